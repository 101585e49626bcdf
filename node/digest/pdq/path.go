package pdq

// This file joins the steps into the two paths, in one walk over the rows of
// the picture: the luma of a pixel is computed once and goes to both filters.

// fromSource returns both hashes of src.
func fromSource(src source) (small, full Result) {
	if src.w == gridSide && src.h == gridSide {
		// The reference hashes a picture of the grid's size as it is.
		var g grid
		for y := range g {
			src.luma(y, g[y][:])
		}
		r := g.result()
		return r, r
	}
	walk(src, func(s, f *grid) {
		full = f.result()
		small = full
		if s != f {
			small = s.result()
		}
	})
	return small, full
}

// fromSourceDihedral returns the hashes of the eight orientations of src.
func fromSourceDihedral(src source) (small, full [8]Result) {
	walk(src, func(s, f *grid) {
		full = f.dihedral()
		small = full
		if s != f {
			small = s.dihedral()
		}
	})
	return small, full
}

// walk filters src and calls use with the grid of the small path and of the
// full path, which are the same where the paths are, and are reused when use
// returns. It doesn't call it if a side is too small to have a hash. (The C++ tool
// stretches a picture of, say, 4×600 before it looks; nobody needs that hash.)
func walk(src source, use func(small, full *grid)) {
	if src.w < MinSide || src.h < MinSide {
		return
	}
	full := newBox(src.w, src.h)
	defer full.free()
	if src.w <= SmallSide && src.h <= SmallSide {
		for y := 0; y < src.h; y += lanes {
			full.read(src, y)
			full.advance(src.h - y)
		}
		g := full.finish()
		use(g, g)
		return
	}

	small := newBox(SmallSide, SmallSide)
	defer small.free()
	picked := floats(SmallSide)
	defer picked.free()
	var columns [SmallSide]int
	for x := range columns {
		columns[x] = x * src.w / SmallSide
	}
	next := 0 // row of the square
	for y := 0; y < src.h; y += lanes {
		rows := full.read(src, y)
		for next < SmallSide && next*src.h/SmallSide < y+lanes {
			at := next * src.h / SmallSide
			for x, from := range columns {
				picked.v[x] = rows[from][(at-y)&(lanes-1)]
			}
			// A picture of fewer rows than the square's is stretched.
			for next < SmallSide && next*src.h/SmallSide == at {
				small.push(picked.v)
				next++
			}
		}
		full.advance(src.h - y)
	}
	use(small.finish(), full.finish())
}
