package jpeg

import "math/bits"

// progress reads what a scan of a progressive picture brings of a block of luma.
// Bit i of mask is set if c[i] isn't 0, but for i = 0.
func (d *decoder) progress(p *part, b band, c *[64]int16, mask *uint64) error {
	switch {
	case b.first == 0 && b.refine:
		d.bits.fill()
		c[0] |= int16(d.bits.take(1) << b.low)
		return nil
	case b.first == 0:
		dc, err := d.bits.dc(p)
		if err != nil {
			return err
		}
		c[0], err = shifted(dc, b.low)
		return err
	case b.refine:
		return d.refineAC(p, b, c, mask)
	}
	return d.firstAC(p, b, c, mask)
}

// shifted returns v with that many zeros behind it, or an error if that is more
// than an 8-bit picture has.
func shifted(v int32, low uint) (int16, error) {
	v <<= low
	if v != int32(int16(v)) {
		return 0, variant("a coefficient of %d", v)
	}
	return int16(v), nil
}

// beginRun reads how many blocks end at once with this one, after a symbol that
// says how many bits that number has.
func (d *decoder) beginRun(bits uint) { d.endRun = 1<<bits | int(d.bits.take(bits)) }

// firstAC reads AC coefficients of a block for the first time.
func (d *decoder) firstAC(p *part, b band, c *[64]int16, mask *uint64) error {
	if d.endRun > 0 {
		d.endRun--
		return nil
	}
	r := &d.bits
	for i := b.first; i <= b.last; i++ {
		r.fill()
		v, err := r.symbol(p.ac)
		if err != nil {
			return err
		}
		zeros, bits := int(v>>4), uint(v&0xf)
		if bits == 0 {
			if zeros != 15 {
				d.beginRun(uint(zeros))
				d.endRun--
				return nil
			}
			i += 15
			continue
		}
		i += zeros
		if i > b.last {
			return variant("coefficients behind the last of a scan")
		}
		if c[i], err = shifted(extend(r.take(bits), bits), b.low); err != nil {
			return err
		}
		*mask |= 1 << i
	}
	return nil
}

// refineAC reads one more bit of the AC coefficients that aren't 0 yet in a block, and
// which are no longer 0 by that bit.
func (d *decoder) refineAC(p *part, b band, c *[64]int16, mask *uint64) error {
	r := &d.bits
	i := b.first
	if d.endRun == 0 {
	symbols:
		for ; i <= b.last; i++ {
			r.fill()
			v, err := r.symbol(p.ac)
			if err != nil {
				return err
			}
			zeros, bits := int(v>>4), uint(v&0xf)
			fresh := int16(0)
			switch {
			case bits > 1:
				return damaged("a coefficient of %d bits where one is refined", bits)
			case bits == 1:
				fresh = int16(2*r.take(1)) - 1
			case zeros != 15:
				d.beginRun(uint(zeros))
				break symbols
			}
			if i, err = r.refine(c, *mask, i, b, zeros); err != nil {
				return err
			}
			if i > b.last {
				return damaged("coefficients behind the last of a scan")
			}
			if fresh != 0 {
				c[i] = fresh << b.low
				*mask |= 1 << i
			}
		}
	}
	if d.endRun > 0 {
		d.endRun--
		_, err := r.refine(c, *mask, i, b, 64)
		return err
	}
	return nil
}

// refine reads one more bit of the coefficients from i on that aren't 0, and stops
// at the 0 that comes after as many zeros, or behind the band.
func (r *bitReader) refine(c *[64]int16, mask uint64, i int, b band, zeros int) (int, error) {
	for i <= b.last {
		if run := min(bits.TrailingZeros64(mask>>i), b.last+1-i); run > 0 {
			if run > zeros {
				return i + zeros, nil
			}
			zeros -= run
			i += run
			continue
		}
		if r.n == 0 {
			r.fill()
		}
		if r.take(1) == 1 {
			v := int32(c[i])
			if v < 0 {
				v -= 1 << b.low
			} else {
				v += 1 << b.low
			}
			if v != int32(int16(v)) {
				return 0, variant("a coefficient of %d", v)
			}
			c[i] = int16(v)
		}
		i++
	}
	return i, nil
}

// reconstruct makes the samples of a progressive picture, once all scans were read.
func (d *decoder) reconstruct() {
	if d.coefficients == nil {
		return // no scan had luma
	}
	luma := d.components[0]
	steps := d.steps()
	row := d.across * luma.h
	for y := range (d.height + 7) / 8 {
		for x := range (d.width + 7) / 8 {
			c := &d.coefficients.v[y*row+x]
			d.block[0] = pair(c[0]) * steps[0]
			nonzero := uint64(1)
			for m := d.masks.v[y*row+x]; m != 0; m &= m - 1 {
				i := bits.TrailingZeros64(m)
				at := natural[i] & 63
				d.block[at>>1] += pair(c[i]) * steps[i]
				nonzero |= 1 << at
			}
			transform(&d.block, nonzero, d.plane.v[y*8*d.stride+x*8:], d.stride)
		}
	}
}
