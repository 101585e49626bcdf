package node

// Version is this program's version: the newest entry of CHANGELOG.md, which a test compares.
const Version = "0.1.0"
