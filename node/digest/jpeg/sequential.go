package jpeg

import "encoding/binary"

// natural is the place of each coefficient in its block, row by row. It goes on
// with zeros for the 16 that a symbol of damaged data can point behind a block.
var natural = func() (n [128]uint8) {
	x, y := 0, 0
	for i := range 64 {
		n[i] = uint8(8*y + x)
		switch up := (x+y)%2 == 0; {
		case up && x == 7, !up && x == 0 && y != 7:
			y++
		case up && y == 0, !up && y == 7:
			x++
		case up:
			x, y = x+1, y-1
		default:
			x, y = x-1, y+1
		}
	}
	return n
}()

// dcDifference reads the difference of a DC coefficient from that of the block before.
func (r *bitReader) dcDifference(h *huffman) (int32, error) {
	r.fill()
	bits, err := r.symbol(h)
	if err != nil {
		return 0, err
	}
	if bits > 15 {
		return 0, variant("a DC difference of %d bits", bits)
	}
	if bits == 0 {
		return 0, nil
	}
	return extend(r.take(uint(bits)), uint(bits)), nil
}

// dc reads the DC coefficient of p's next block.
func (r *bitReader) dc(p *part) (int32, error) {
	difference, err := r.dcDifference(p.dc)
	if err != nil {
		return 0, err
	}
	p.last += difference
	if p.last != int32(int16(p.last)) {
		return 0, variant("a DC coefficient of %d", p.last)
	}
	return p.last, nil
}

// block reads a block of a sequential picture into out, which is all zeros, as
// transform wants it: multiplied by the steps, and which of them aren't 0.
func (r *bitReader) block(p *part, steps *[64]pair, out *[32]pair) (nonzero uint64, err error) {
	dc, err := r.dc(p)
	if err != nil {
		return 0, err
	}
	out[0] = pair(dc) * steps[0]
	nonzero = 1

	// The reader's state is in registers here, which makes all the difference.
	look := &p.ac.look
	acc, n, next := r.acc, r.n, r.next
	i := 1
	for i < 64 {
		if n < symbolBits {
			acc |= binary.BigEndian.Uint64(r.window[next:]) >> (n & 63)
			next += int(63-n) >> 3
			n |= 56
		}
		s := look[acc>>(64-lookBits)]
		v := s.value()
		if v != 0 {
			i += s.advance()
			acc <<= s.whole() & 63
			n -= s.whole()
		} else if s.whole() != 0 {
			i += s.advance()
			acc <<= s.code() & 63
			n -= s.whole()
			bits := s.extra()
			if bits == 0 {
				continue // 16 zeros, or the block's end
			}
			v = extend(acc>>1>>((63-bits)&63), bits)
			acc <<= bits & 63
		} else {
			r.acc, r.n, r.next = acc, n, next
			advance, value, err := r.longAC(p.ac)
			if err != nil {
				return 0, err
			}
			acc, n = r.acc, r.n
			i += advance
			if value == 0 {
				continue
			}
			v = value
		}
		at := natural[(i-1)&127] & 63
		out[at>>1] += pair(v) * steps[(i-1)&63]
		nonzero |= 1 << at
	}
	r.acc, r.n, r.next = acc, n, next
	if i > 64 && i < endOfBlock {
		return 0, variant("coefficients behind the last of a block")
	}
	return nonzero, nil
}

// longAC reads a symbol whose code is too long to look up, and its value. It has
// bits for both.
func (r *bitReader) longAC(h *huffman) (advance int, value int32, err error) {
	v, err := r.longSymbol(h)
	if err != nil {
		return 0, 0, err
	}
	zeros, bits := int(v>>4), uint(v&0xf)
	switch {
	case bits != 0:
		return zeros + 1, extend(r.take(bits), bits), nil
	case zeros == 0:
		return endOfBlock, 0, nil
	case zeros == 15:
		return 16, 0, nil
	}
	return 0, 0, variant("a run of ended blocks in a sequential picture")
}

// skipBlocks passes over the blocks that p has in an MCU.
func (r *bitReader) skipBlocks(p *part, b band, progressive bool) error {
	for range p.blocks {
		if r.next > r.ample {
			if err := r.more(); err != nil {
				return err
			}
		}
		if b.refine { // a bit of the DC coefficient; refined AC coefficients are in scans of their own
			r.fill()
			r.take(1)
			continue
		}
		if _, err := r.dcDifference(p.dc); err != nil {
			return err
		}
		if progressive {
			continue
		}
		if err := r.skipAC(p.ac); err != nil {
			return err
		}
	}
	return nil
}

// skipAC passes over the AC coefficients of a block of a sequential picture.
func (r *bitReader) skipAC(h *huffman) error {
	look := &h.look
	acc, n, next := r.acc, r.n, r.next
	i := 1
	for i < 64 {
		if n < symbolBits {
			acc |= binary.BigEndian.Uint64(r.window[next:]) >> (n & 63)
			next += int(63-n) >> 3
			n |= 56
		}
		s := look[acc>>(64-lookBits)]
		if k := s.whole(); k != 0 {
			i += s.advance()
			acc <<= k & 63
			n -= k
			continue
		}
		r.acc, r.n, r.next = acc, n, next
		advance, _, err := r.longAC(h)
		if err != nil {
			return err
		}
		acc, n = r.acc, r.n
		i += advance
	}
	r.acc, r.n, r.next = acc, n, next
	if i > 64 && i < endOfBlock {
		return variant("coefficients behind the last of a block")
	}
	return nil
}
