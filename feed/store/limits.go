package store

// The caps of this package, each with its reason.
const (
	// schema is the number of the layout of keys and values. It is Badger's external magic and the first byte of each
	// key; a directory of a higher one is refused.
	schema = 1

	// width is how many records a bundle and how many hashes a tile holds (C2SP tlog-tiles).
	width = 256

	// maxBatch is how many records one commit takes: the most that a publisher puts into a checkpoint, begun in the middle of
	// a bundle. Its tiles (2.1 MB) then fit into one transaction, which is what makes a commit atomic.
	maxBatch = 1<<16 + width

	// maxHeadFile is the longest head file read: a checkpoint note of 100 lines of at most 260 bytes, and our lines.
	maxHeadFile = 64 << 10

	// maxManifest is the largest MANIFEST of Badger's that is opened: some 40 bytes for each table that came or went; it is written anew
	// after 10,000 that went.
	maxManifest = 64 << 20

	// maxTable is the largest table of Badger's that is read at once: they are as large as the memory table, or twice that.
	maxTable = 256 << 20

	// maxNoteFile is the longest note read from a file: a roster of 4,096 members takes 350 KB.
	maxNoteFile = 1 << 20

	// maxSuspensions is how many suspensions of a feed are kept: one an hour for more than a year. They are all in memory.
	maxSuspensions = 10_000

	// maxNoteFiles is how many files a feed's folder may have: the suspensions, 9,999 charters, a roster, and what a crash left.
	maxNoteFiles = maxSuspensions + 9_999 + 1_000

	// maxCursor is the longest cursor or its name: a cursor is a position, not a place for data.
	maxCursor = 64 << 10

	// maxWitnessed is how many checkpoints are read to tell how far each witness is: one that has been away for longer is as good as none.
	maxWitnessed = 1000

	// maxLine is the longest cosignature line that is kept as a receipt: a name of 64 bytes and 72 of signature in base64.
	maxLine = 1 << 10

	// DefaultReserve is how much of the disk stays free when Options don't say (1 GiB): Badger writes through mapped
	// memory, and a full disk kills the process (SIGBUS) instead of returning an error. Compaction needs room, too.
	DefaultReserve = 1 << 30

	// memTable is the size of Badger's memory table. A transaction may take 15 % of it, 4.8 MB, which must be more than
	// valueThreshold and than the tiles of one commit.
	memTable = 32 << 20

	// valueThreshold is above the largest value, 256 bodies of 3,202 bytes sealed (820 KB), so that nothing ever lands in
	// the value log, whose garbage collection has lost data in several versions.
	valueThreshold = 1 << 20
)
