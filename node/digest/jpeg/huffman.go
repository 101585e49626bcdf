package jpeg

// lookBits is how many bits are looked up at once. The symbols that make up nearly all of
// a photograph are that long at most, with their value.
const lookBits = 10

// A symbol is what the next lookBits bits begin with:
//
//	bits 0–5    length of its code and its value, or 0 if it has a meaning of its own:
//	            in an AC table any but end of block, 16 zeros, or zeros and a value
//	bits 6–10   length of its code, or 0 if that is more than lookBits
//	bits 11–18  how far it advances among the coefficients, itself included; endOfBlock ends the block
//	bits 19–    the value, if it was among the bits looked up, else 0
type symbol int32

const endOfBlock = 128

func (s symbol) whole() uint  { return uint(s) & 0x3f }
func (s symbol) code() uint   { return uint(s>>6) & 0x1f }
func (s symbol) advance() int { return int(s>>11) & 0xff }
func (s symbol) value() int32 { return int32(s >> 19) }
func (s symbol) extra() uint  { return s.whole() - s.code() }

// A huffman is a table of codes.
type huffman struct {
	defined bool
	look    [1 << lookBits]symbol

	// Codes of n bits are those below limit[n], the first 16 bits of the stream
	// being compared. The index of a code's value is the code plus offset[n].
	limit  [17]uint32
	offset [17]int32
	values [256]byte
}

// define builds the table: counts[i] codes of i+1 bits each, with these values in order.
func (h *huffman) define(counts *[16]byte, values []byte, dc bool) error {
	n := 0
	for _, c := range counts {
		n += int(c)
	}
	if n != len(values) {
		return damaged("a Huffman table of %d values for %d codes", len(values), n)
	}
	copy(h.values[:], values)
	clear(h.look[:])
	code, index := 0, 0
	for i, c := range counts {
		length := i + 1
		code <<= 1
		h.offset[length] = int32(index - code)
		for range c {
			if code >= 1<<length {
				return variant("a Huffman table of more codes than bits can tell apart")
			}
			if length <= lookBits {
				h.fillLook(code, length, h.values[index], dc)
			}
			code++
			index++
		}
		h.limit[length] = uint32(code) << (16 - length)
	}
	h.defined = true
	return nil
}

// fillLook enters a code in look, once for each way that the bits may go on.
func (h *huffman) fillLook(code, length int, value byte, dc bool) {
	zeros, bits := int(value>>4), int(value&0xf)
	entry := symbol((zeros+1)<<11 | length<<6 | (length + bits))
	switch {
	case dc && value > 15, !dc && bits == 0 && zeros != 0 && zeros != 15:
		entry = symbol(length << 6)
	case !dc && value == 0:
		entry = symbol(endOfBlock<<11 | length<<6 | length)
	}
	free := lookBits - length
	at := code << free
	for rest := range 1 << free {
		e := entry
		if bits > 0 && bits <= free && entry.whole() != 0 {
			v := rest >> (free - bits)
			e |= symbol(extend(uint64(v), uint(bits))) << 19
		}
		h.look[at+rest] = e
	}
}

// extend returns the value whose low bits are v, of that many bits: the half of
// them that begins with 0 is negative.
func extend(v uint64, bits uint) int32 {
	negative := int32(v>>((bits-1)&63)) - 1 // all ones, or 0
	return int32(v) + negative&(1-1<<(bits&31))
}

// symbol takes the next code of r, after a fill, and returns its value.
func (r *bitReader) symbol(h *huffman) (byte, error) {
	if k := h.look[r.acc>>(64-lookBits)].code(); k != 0 {
		v := h.values[int32(r.acc>>(64-k))+h.offset[k]]
		r.acc <<= k
		r.n -= k
		return v, nil
	}
	return r.longSymbol(h)
}

// longSymbol is symbol without look.
func (r *bitReader) longSymbol(h *huffman) (byte, error) {
	front := uint32(r.acc >> 48)
	for k := uint(1); k <= 16; k++ {
		if front < h.limit[k] {
			v := h.values[int32(r.acc>>(64-k))+h.offset[k]]
			r.acc <<= k
			r.n -= k
			return v, nil
		}
	}
	return 0, damaged("a Huffman code that its table doesn't have")
}
