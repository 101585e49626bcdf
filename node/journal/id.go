package journal

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
)

// An ID is a ULID: 48 bits of Unix milliseconds and 80 random bits, in 26 characters of Crockford's base32. IDs of one journal rise.

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// idLength is the length of an ID in characters.
const idLength = 26

// ids makes them.
type ids struct {
	ms   uint64
	high uint16 // of the random bits
	low  uint64
}

// next is the next ID at a time in Unix milliseconds. Within one millisecond, and when the clock was set back, it counts on.
func (s *ids) next(ms uint64) string {
	if ms > s.ms || s.ms == 0 {
		var random [10]byte
		rand.Read(random[:]) // it never fails
		s.ms, s.high, s.low = ms, binary.BigEndian.Uint16(random[:])&0x7fff, binary.BigEndian.Uint64(random[2:])
	} else if s.low++; s.low == 0 {
		s.high++ // its first bit was 0: it takes 2^79 to run over
	}
	var out [idLength]byte
	hi, lo := s.ms<<16|uint64(s.high), s.low // 128 bits
	for i := idLength - 1; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// ValidID tells whether s has the form of an ID.
func ValidID(s string) bool {
	return len(s) == idLength && s[0] <= '7' && strings.Trim(s, crockford) == ""
}
