package journal

import "time"

// Every bound of this package. All are checked before work or memory is spent on what they bound.
const (
	// maxFile is the size in bytes at which the next file is begun: it is read as a whole, by whoever looks for something.
	maxFile = 8 << 20
	// maxReadFile bounds a file that is read, in bytes: maxFile and one batch of lines.
	maxReadFile = maxFile + maxBacklog + maxLine
	// maxLine bounds a line, in bytes: maxMatches matches of 700 bytes, a rule and a head of 200 for each of 256 feeds.
	maxLine = 256 << 10
	// maxMatches is how many matches of a decision are kept, the nearest.
	maxMatches = 100
	// maxRef bounds the caller's reference, in bytes; the API takes no longer one.
	maxRef = 256
	// maxPermission bounds an import's permission, in bytes; the node takes no longer one.
	maxPermission = 256
	// maxNote bounds a verdict's note, in bytes.
	maxNote = 200
	// maxBacklog bounds the lines that wait to be written, in bytes: some ten thousand decisions.
	maxBacklog = 16 << 20
	// maxHandKept bounds the memory that lines which aren't many any more leave behind for the next, in bytes.
	maxHandKept = 1 << 20
	// maxTailKept bounds the memory of a line that the next is made in, in bytes: nearly all have one match or few.
	maxTailKept = 8 << 10
	// maxTorn bounds what is set aside of a torn line, in bytes; a batch may have been under way.
	maxTorn = maxReadFile
	// slotSize is the size in bytes of each of the head's two places: three harms with their counts take 800.
	slotSize = 4096
	// MaxPage is how many lines one answer has.
	MaxPage = 1000

	// MaxWait is how long an answer that blocks waits for its line to be on disk.
	MaxWait = 100 * time.Millisecond
	// roomWait is how long a decision waits for room while lines are being written faster than the disk takes them.
	roomWait = time.Second
	// lingerTime is how long a line that nobody waits for waits for others, to be written with them.
	lingerTime = 20 * time.Millisecond
	// enoughPending is how many bytes of lines wait for no others: they still are in the processor's cache, and a write of more is no cheaper by the byte.
	enoughPending = 64 << 10
	// syncAfter is how long after a line was written it is on disk, where nobody waits for it.
	syncAfter = time.Second
	// headAfter is how long after a count its head is written.
	headAfter = 5 * time.Second
	// retryAfter is how long after a failed write it is tried again.
	retryAfter = time.Second
)
