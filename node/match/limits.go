package match

// Every bound of this package, with its reason.
const (
	// maxHits is the most hits one Lookup returns, the nearest ones. A feed may
	// list any number of near-duplicates, and each of their neighbours matches
	// them all; nobody reads more than this, and an answer must fit in memory.
	maxHits = 4096

	// maxID is the largest ID: a hit is sorted as one word of 24 bits of
	// distance (a squared distance of two PhotoDNA hashes needs 24) and 40 of ID.
	maxID = 1<<40 - 1

	// MaxDistance is the largest distance of a PDQ lookup. Unrelated pictures are
	// some 128 bits apart; beyond 63 a match says nothing and costs a full scan.
	MaxDistance = 63

	// MaxSquare is the largest distance of a PhotoDNA lookup: what a hit has room
	// for, and more than two values can be apart.
	MaxSquare = 1<<(64-distanceShift) - 1

	// maxRows is the most values, dead ones included, that one table holds. A row
	// and its chunk are one word of 32 bits in a segment, a row and a tag in slots.
	maxRows = 1<<rowBits - 1
	rowBits = 27

	// maxEntries is the most values that a table of an exact kind holds. Of lookups
	// of values that nobody lists one in 2^52/maxEntries then is a candidate.
	maxEntries = 1 << 30
)

// Limits of the work of one lookup. An index that meets a dense cluster may cost
// more than reading every value; past its budget a lookup starts over as a scan.
// So it never costs more than about two scans, and never misses.
const (
	// minBudget is the least number of candidates a lookup may verify by index.
	minBudget = 1 << 12
	// budgetShare is the share of the values that it may verify: a candidate is
	// a read at random and costs as much as some 32 values read in order.
	budgetShare = 32
	// blockSize is how many words or slots a lookup gathers before it goes on to
	// the next phase: enough for reads to overlap, few enough for the cache.
	blockSize = 2048
)
