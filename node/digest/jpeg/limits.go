package jpeg

const (
	// windowBytes is how much of a segment is held ready for decoding, without its
	// stuffing: enough that moving its rest seldom costs, small enough for a processor's cache.
	windowBytes = 16 << 10

	// symbolBits is the longest symbol: a code of 16 bits and the 15 of its value.
	// (A DC difference of 16 bits is no 8-bit picture's.)
	symbolBits = 16 + 15

	// slackBytes is more than a block can take from a segment, which is 64 symbols,
	// so that a block is decoded without asking whether the window still lasts.
	slackBytes = 64*symbolBits/8 + 16

	// maxShift is the highest successive approximation that T.81 allows. A bit
	// above it would have no place in a coefficient.
	maxShift = 13

	// blockBytes is what a progressive picture keeps of a block: its 64
	// coefficients, and which of them aren't 0.
	blockBytes = 64*2 + 8

	// decoderBytes is more than a decoder without the picture's buffers: its
	// tables and the window.
	decoderBytes = 128 << 10

	// pooledBytes is the largest buffer that is kept for the next picture, the luma
	// of 16 Mpx: what a larger one needs goes back at once, for what waits in a
	// pool is in nobody's budget.
	pooledBytes = 16 << 20
)
