package jpeg

// A part is a component's part in a scan.
type part struct {
	blocks int // in an MCU
	luma   bool
	dc, ac *huffman
	last   int32 // DC coefficient of the block before
}

// A band is what a scan brings of each block: coefficients first to last of it, without
// their low bits. If refine is set, it brings the lowest bit that earlier scans left out.
type band struct {
	first, last int
	low         uint
	refine      bool
}

// scan reads a scan: its header, and the segments behind.
func (d *decoder) scan(body []byte) error {
	if !d.framed {
		return damaged("a scan before the frame header")
	}
	if len(body) < 6 || len(body) != 4+2*int(body[0]) || int(body[0]) > len(d.components) {
		return damaged("a scan header of %d bytes", len(body))
	}
	parts, err := d.parts(body)
	if err != nil {
		return err
	}
	b, err := d.band(body[1+2*len(parts):], len(parts))
	if err != nil {
		return err
	}
	if d.plane == nil {
		if err := d.checkColours(); err != nil {
			return err
		}
		d.plane = zeros[byte](&planes, d.stride*d.down*d.components[0].v*8)
	}
	if len(parts) == 1 && !parts[0].luma {
		d.unread = true
		return nil // its segments aren't markers and will be passed over
	}
	if d.progressive && d.coefficients == nil {
		n := d.across * d.down * d.components[0].h * d.components[0].v
		d.coefficients = zeros[[64]int16](&coefficients, n)
		d.masks = zeros[uint64](&masks, n)
	}
	for _, p := range parts {
		if b.first == 0 && !b.refine && !p.dc.defined || b.last > 0 && !p.ac.defined {
			return damaged("a scan by a Huffman table that wasn't defined")
		}
	}
	d.sequentialSteps = d.steps()
	d.bits.begin(d.rest)
	if len(parts) == 1 {
		err = d.walkBlocks(&parts[0], b)
	} else {
		err = d.walkMCUs(parts, b)
	}
	if err != nil {
		if d.bits.short() {
			return errShort // whatever the bits behind the end looked like
		}
		return err
	}
	if d.endRun != 0 {
		return variant("a scan that announces more blocks than the picture has")
	}
	d.rest, err = d.bits.finish()
	return err
}

// parts reads who takes part in a scan.
func (d *decoder) parts(body []byte) ([]part, error) {
	parts := make([]part, body[0], len(d.components))
	total := 0
	for i := range parts {
		id, tables := body[1+2*i], body[2+2*i]
		index := -1
		for j, c := range d.components {
			if c.id == id {
				index = j
			}
		}
		if index < 0 {
			return nil, damaged("a scan of component %d, which the frame doesn't have", id)
		}
		for j := range i {
			if body[1+2*j] == id {
				return nil, damaged("a scan of component %d and again", id)
			}
		}
		dc, ac := tables>>4, tables&0xf
		if dc > 3 || ac > 3 || d.baseline && (dc > 1 || ac > 1) {
			return nil, damaged("a scan by Huffman tables %d and %d", dc, ac)
		}
		c := d.components[index]
		total += c.h * c.v
		parts[i] = part{blocks: c.h * c.v, luma: index == 0, dc: &d.huffmen[0][dc], ac: &d.huffmen[1][ac]}
	}
	if len(d.components) > 1 && total > 10 {
		return nil, damaged("a scan of %d blocks an MCU", total)
	}
	return parts, nil
}

// band reads what of each block a scan of that many components brings.
func (d *decoder) band(body []byte, parts int) (band, error) {
	if !d.progressive {
		return band{last: 63}, nil // image/jpeg ignores what is said here, and libjpeg warns
	}
	b := band{first: int(body[0]), last: int(body[1]), low: uint(body[2] & 0xf), refine: body[2]>>4 != 0}
	switch {
	case b.first == 0 && b.last != 0 || b.first > b.last || b.last > 63:
		return b, damaged("a scan of coefficients %d to %d", b.first, b.last)
	case b.first != 0 && parts != 1:
		return b, damaged("a scan of coefficients %d to %d of several components", b.first, b.last)
	case b.refine && uint(body[2]>>4) != b.low+1:
		return b, damaged("a scan of bits %d to %d", b.low, body[2]>>4)
	case b.low > maxShift:
		return b, variant("a scan of bits from %d", b.low)
	}
	return b, nil
}

// walkBlocks reads a scan of luma alone, whose blocks aren't grouped, and which has
// none that are wholly outside the picture.
func (d *decoder) walkBlocks(p *part, b band) error {
	luma := d.components[0]
	across, down := (d.width+7)/8, (d.height+7)/8
	d.uncommon = d.uncommon || d.interval > 0 && luma.h*luma.v > 1
	left := restarts{interval: d.interval, total: across * down}
	for y := range down {
		for x := range across {
			if err := d.lumaBlock(p, b, x, y); err != nil {
				return err
			}
			if left.due() {
				if err := d.restart(&left); err != nil {
					return err
				}
				p.last = 0
			}
		}
	}
	return nil
}

// walkMCUs reads a scan of luma and chroma, or of both chroma, MCU by MCU.
func (d *decoder) walkMCUs(parts []part, b band) error {
	luma := d.components[0]
	left := restarts{interval: d.interval, total: d.across * d.down}
	for my := range d.down {
		for mx := range d.across {
			for i := range parts {
				p := &parts[i]
				if !p.luma {
					if err := d.bits.skipBlocks(p, b, d.progressive); err != nil {
						return err
					}
					continue
				}
				for y := range luma.v {
					for x := range luma.h {
						if err := d.lumaBlock(p, b, luma.h*mx+x, luma.v*my+y); err != nil {
							return err
						}
					}
				}
			}
			if left.due() {
				if err := d.restart(&left); err != nil {
					return err
				}
				for i := range parts {
					parts[i].last = 0
				}
			}
		}
	}
	return nil
}

// restarts counts the MCUs of a scan.
type restarts struct {
	interval, total int
	done, markers   int
}

// due counts an MCU and says whether a restart marker follows.
func (r *restarts) due() bool {
	r.done++
	return r.interval > 0 && r.done%r.interval == 0 && r.done < r.total
}

// restart goes on with the segment behind the next restart marker.
func (d *decoder) restart(r *restarts) error {
	rest, err := d.bits.finish()
	if err != nil {
		return err
	}
	d.rest = rest
	marker, err := d.nextMarker()
	if err != nil {
		return err
	}
	if want := byte(restart0 + r.markers%8); marker != want {
		return damaged("marker %#x, not the restart marker %#x", marker, want)
	}
	r.markers++
	d.bits.begin(d.rest)
	d.endRun = 0
	return nil
}

// lumaBlock reads the block in column x and row y.
func (d *decoder) lumaBlock(p *part, b band, x, y int) error {
	r := &d.bits
	if r.next > r.ample {
		if err := r.more(); err != nil {
			return err
		}
	}
	if d.progressive {
		i := y*d.across*d.components[0].h + x
		return d.progress(p, b, &d.coefficients.v[i], &d.masks.v[i])
	}
	nonzero, err := r.block(p, &d.sequentialSteps, &d.block)
	if err != nil {
		return err
	}
	transform(&d.block, nonzero, d.plane.v[y*8*d.stride+x*8:], d.stride)
	return nil
}
