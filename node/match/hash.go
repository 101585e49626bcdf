package match

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// A hashKey keys the hash of the exact kinds. It is drawn anew for all tables and
// shown to nobody: a publisher who could choose values that collide would make
// lookups slow and have one value be taken for another.
type hashKey [6]uint64

func newHashKey() (k hashKey) {
	var b [8 * len(k)]byte
	rand.Read(b[:])
	for i := range k {
		k[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return k
}

// sum is a keyed hash of a value of 16, 20 or 32 bytes. Two values that were chosen
// without the key have the same sum s of 128 bits in one of 2^64 keys at most: that is
// NH of UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway, 1999). One more product folds
// and mixes s.
//
// It isn't hash/maphash, whose key ends with the process, for the key has to be kept
// beside a table that is kept. And it isn't SipHash: its promise that whoever sees sums
// can't foretell others is for sums that are seen, and with its 8 rounds a lookup of ten
// million values took twice as long. A processor looks some 250 instructions ahead, and
// so many are its rounds; with few, the next lookup begins to read while this one waits
// for memory.
func (k *hashKey) sum(b []byte) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(b)+k[0], binary.LittleEndian.Uint64(b[8:])+k[1])
	if len(b) > 16 {
		var m, n uint64
		if len(b) == 32 {
			m, n = binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		} else {
			m = uint64(binary.LittleEndian.Uint32(b[16:]))
		}
		h, l := bits.Mul64(m+k[2], n+k[3])
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi, _ = bits.Add64(hi, h, carry)
	}
	hi, lo = bits.Mul64(hi^k[4], lo^k[5])
	return hi ^ lo
}
