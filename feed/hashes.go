package feed

import (
	"encoding/binary"
	"slices"
)

// Hashes are many hashes in their order, with their values end to end: a question of thousands takes no memory a hash. The zero Hashes are none.
// What they hold is of use until they are changed.
type Hashes struct {
	values []byte
	list   []placedHash
	kinds  uint8 // a bit for each kind that there is
}

// placedHash is a hash whose value ends there in values, where the one before it ends.
type placedHash struct {
	end     uint32
	alg     Alg
	quality uint8
}

// HashesOf returns a list's hashes.
func HashesOf(list []Hash) *Hashes {
	s := new(Hashes)
	for _, h := range list {
		s.Add(h)
	}
	return s
}

// Clear takes all out, and keeps their memory for others.
func (s *Hashes) Clear() { s.values, s.list, s.kinds = s.values[:0], s.list[:0], 0 }

// Len is how many there are.
func (s *Hashes) Len() int { return len(s.list) }

// Has tells whether there is one of a kind.
func (s *Hashes) Has(alg Alg) bool { return s.kinds&(1<<alg) != 0 }

// Alg is the kind of hash i.
func (s *Hashes) Alg(i int) Alg { return s.list[i].alg }

// Value is the value of hash i, for reading.
func (s *Hashes) Value(i int) []byte { return s.values[s.end(i):s.end(i+1)] }

// end is where the first i values end.
func (s *Hashes) end(i int) int {
	if i == 0 {
		return 0
	}
	return int(s.list[i-1].end)
}

// At returns hash i.
func (s *Hashes) At(i int) Hash {
	return Hash{Alg: s.list[i].alg, Value: string(s.Value(i)), Quality: s.list[i].quality}
}

// List returns all of them.
func (s *Hashes) List() []Hash {
	list := make([]Hash, s.Len())
	for i := range list {
		list[i] = s.At(i)
	}
	return list
}

// Add adds one.
func (s *Hashes) Add(h Hash) {
	s.values = append(s.values, h.Value...)
	s.placed(h.Alg, h.Quality)
}

// placed makes a hash of the end of values.
func (s *Hashes) placed(alg Alg, quality uint8) {
	s.list = append(s.list, placedHash{uint32(len(s.values)), alg, quality})
	s.kinds |= 1 << alg
}

// Fill makes them those whose values stand end to end in values, which they keep: all of one kind, which has a size.
func (s *Hashes) Fill(alg Alg, quality uint8, values []byte) {
	s.Clear()
	n := len(values) / alg.Size()
	s.list = slices.Grow(s.list, n)[:n]
	for i := range s.list {
		s.list[i] = placedHash{uint32((i + 1) * alg.Size()), alg, quality}
	}
	s.values = values[:n*alg.Size()]
	if n > 0 {
		s.kinds = 1 << alg
	}
}

// Of appends to places where among the hashes from … to-1 those of a kind are, and returns their values end to end: a part of all values where
// there is no other kind, else what it appends to buf.
func (s *Hashes) Of(alg Alg, from, to int, buf []byte, places []int) (values []byte, _ []int) {
	if s.kinds == 1<<alg {
		for i := from; i < to; i++ {
			places = append(places, i)
		}
		return s.values[s.end(from):s.end(to)], places
	}
	for i := from; i < to; i++ {
		if s.list[i].alg == alg {
			buf, places = append(buf, s.Value(i)...), append(places, i)
		}
	}
	return buf, places
}

// Parse adds the hash that ParseHash makes of a text, or says why that is none. Of the exact kinds it does so in a tenth of the time.
func (s *Hashes) Parse(text []byte) error {
	if alg, digits := exactText(text); alg != 0 {
		if values, ok := appendUnhexed(s.values, digits); ok {
			s.values = values
			s.placed(alg, 0)
			return nil
		}
	}
	if len(text) > maxHashText { // before it is copied
		return errHashText
	}
	h, err := ParseHash(string(text))
	if err == nil {
		s.Add(h)
	}
	return err
}

// exactText tells md5, sha1 and sha256 in hex, bare or behind the kind's name, by their length; else 0.
func exactText(text []byte) (alg Alg, digits []byte) {
	switch len(text) {
	case 64:
		return SHA256, text
	case 40:
		return SHA1, text
	case 32:
		return MD5, text
	case len("sha256:") + 64:
		if string(text[:len("sha256:")]) == "sha256:" {
			return SHA256, text[len("sha256:"):]
		}
	case len("sha1:") + 40:
		if string(text[:len("sha1:")]) == "sha1:" {
			return SHA1, text[len("sha1:"):]
		}
	case len("md5:") + 32:
		if string(text[:len("md5:")]) == "md5:" {
			return MD5, text[len("md5:"):]
		}
	}
	return 0, nil
}

// appendUnhexed appends what hex digits, a multiple of eight, stand for: of md5, sha1 and sha256. It looks only at the end whether all were digits,
// since nearly always they are.
func appendUnhexed(b, digits []byte) (_ []byte, ok bool) {
	n := len(digits) / 2
	b = slices.Grow(b, n)[:len(b)+n]
	bad := uint64(0)
	for out := b[len(b)-n:]; len(digits) >= 8 && len(out) >= 4; digits, out = digits[8:], out[4:] {
		v, odd := unhex8(binary.LittleEndian.Uint64(digits))
		v = (v | v>>8) & 0x0000ffff0000ffff
		binary.LittleEndian.PutUint32(out, uint32(v|v>>16))
		bad |= odd
	}
	return b, bad&highs == 0
}

const highs = 0x8080808080808080

// unhex8 returns what eight hex digits stand for, the first of both lowest, in every other byte; bad has a bit of highs if one of them is none. All
// eight are worked on at once, a byte each, and it is small enough to be inlined.
func unhex8(w uint64) (n, bad uint64) {
	const ones = 0x0101010101010101
	letter := w >> 6 & ones // 1: "A" to "F" or "a" to "f", if anything
	// How far from "0" or "A": less than 0 if it is before, which borrows from the next, but then all eight are bad.
	far := w - ones*'0' - letter*('A'-'0')
	small := far &^ (ones * 0x20) // "a" is "A"; no digit is so far from "0"
	n = small + letter*10
	return (n<<4 | n>>8) & 0x00ff00ff00ff00ff, far | (small + letter*4 + ones*(0x80-10)) // up to 9 or 5
}
