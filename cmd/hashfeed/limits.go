package main

const (
	// maxPassphrase: longer ones are a wrong file, a key or a picture say.
	maxPassphrase = 1024
	// maxHashLine: the longest hash is a PhotoDNA value in hex, 9+288 characters.
	maxHashLine = 1024
	// maxDemoPixels: a larger picture of --images is passed over.
	maxDemoPixels = 50_000_000
	// maxMap bounds a map of codes, in bytes: a thousand of 256.
	maxMap = 256 << 10
	// filesAhead is how many files, for each that is hashed at a time, may be named or done before their turn: enough
	// that a long video doesn't hold up the others soon.
	filesAhead = 64
)
