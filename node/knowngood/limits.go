package knowngood

const (
	// MaxWithin is the largest distance, in bits, at which a PDQ counts as a known one's neighbour: the index finds no farther ones.
	// Strangers are some 128 bits apart.
	MaxWithin = 31

	// MaxOwn is how many files an operator may call known good: each is held in memory, some 600 bytes.
	MaxOwn = 100_000

	// MaxBloomBytes bounds a filter's file: CIRCL's has 956 MiB. It is mapped, so this is address space, not memory.
	MaxBloomBytes = 1 << 30

	// maxBloomHashes bounds a filter's hash functions: each is a cache miss of a lookup. One for a false positive rate of 2^-64 has 64.
	maxBloomHashes = 64

	// maxBloomProbability is the highest rate of false positives that a filter may promise: one that is wrong once in a hundred times would
	// hold one real match in a hundred.
	maxBloomProbability = 0.01

	// bloomSamples is how many words of a filter are looked at when it is opened, to see whether it is full: at most a page of disk each.
	bloomSamples = 256

	// minQuality is the quality below which a PDQ says too little for neighbours to mean anything (the reference's rule).
	minQuality = 50
)
