package digest

const (
	// chunkBytes is how much is read at a time: enough that hashing dominates,
	// small enough for the processor's cache, and more than sniffBytes.
	chunkBytes = 64 << 10

	// DefaultHashBytes is the longest stream that is hashed: some minutes of
	// video, as uploads to a host go. Hashing it takes about a second.
	DefaultHashBytes = 256 << 20

	// DefaultDecodeBytes is the longest image file that is decoded, and so kept in
	// memory. A photograph has 3 to 20 MB.
	DefaultDecodeBytes = 64 << 20

	// DefaultPixels is the largest picture that is decoded. Phones take up to 50
	// Mpx normally. Files of some hundred bytes can claim 2^62 pixels.
	DefaultPixels = 100e6

	// maxSide is the longest side that is decoded, that of JPEG. Beyond, the
	// filter of PDQ, which needs memory by the width, would cost more than the pixels.
	maxSide = 1<<16 - 1

	// maxScans is how many times the largest picture may be drawn in one JPEG. A
	// progressive file is some ten scans over all pixels, but a scan that changes
	// nothing costs its author 200 bytes and us a second: 64 MiB would be days.
	// What may be drawn is bounded by scans times pixels, so a small picture may
	// have more.
	maxScans = 20

	// lumaQuality is the quality below which a JPEG is decoded again, with its colours.
	// What a picture has of structure is hardly more there than how its pixels were rounded, and
	// luma alone is rounded otherwise: at quality 0 to 10 half of the hashes differ by 10 bits and
	// more, from 50 on none by more than 8. Such pictures are flat and quickly decoded.
	lumaQuality = 50

	// DefaultBudgetBytes is what decoders use together in DefaultBudget: one
	// progressive JPEG of DefaultPixels in CMYK, the dearest picture there is, or hundreds of
	// ordinary photographs.
	DefaultBudgetBytes = 2 << 30
)

// Limits bounds what one file may cost. A zero field means the default.
type Limits struct {
	HashBytes   int64 // longest stream, bytes
	DecodeBytes int64 // longest file that is decoded, bytes
	Pixels      int64 // largest picture that is decoded, width × height

	// Budget is shared by all who decode; nil means DefaultBudget.
	Budget *Budget

	// Dihedral asks for the hashes of the eight orientations, too.
	Dihedral bool
}

func (l Limits) orDefault() Limits {
	if l.HashBytes == 0 {
		l.HashBytes = DefaultHashBytes
	}
	if l.DecodeBytes == 0 {
		l.DecodeBytes = DefaultDecodeBytes
	}
	if l.Pixels == 0 {
		l.Pixels = DefaultPixels
	}
	if l.Budget == nil {
		l.Budget = DefaultBudget
	}
	return l
}
