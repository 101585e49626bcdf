package pdq

import "sync"

// lanes is how many rows the filter takes at a time. A running sum is a chain
// of additions that each wait for the one before; eight rows side by side are
// eight chains, which a processor works on together.
const lanes = 8

// A lane holds the values of one column in the eight rows at hand.
type lane [lanes]float32

// A window is how a box filter of one pass covers a line of n inputs. Output i
// averages inputs i-(size-half) to i+half-1, as far as they exist.
type window struct{ n, size, half int }

// newWindow returns the reference's window for a line of n inputs: a 128th of
// it, rounded up.
func newWindow(n int) window {
	size := (n + 2*gridSide - 1) / (2 * gridSide)
	return window{n: n, size: size, half: (size + 2) / 2}
}

// count returns how many inputs output i averages.
func (w window) count(i int) int {
	return min(w.n-1, i+w.half-1) - max(0, i-(w.size-w.half)) + 1
}

// sample returns the output that becomes sample i of the grid.
func (w window) sample(i int) int { return (2*i + 1) * w.n / (2 * gridSide) }

// A box applies both passes of the box filter to a picture given row by row and
// samples the result. Every value goes through four running sums: along its
// row, down its column, and the same again. Each sum is one float32 to which
// the input that enters the window is added before the one that leaves is
// subtracted, then the sum is divided: another order would round differently.
//
// Lines are padded with zeros, which change no sum, so that their ends need no
// code of their own but for the divisor. Only what a running sum reaches back
// to is kept, so a picture's size costs memory by its width, hardly by its height.
// Of the last two passes only what is sampled is computed.
type box struct {
	across, down window

	// rows taken so far, and how many of them are in the lanes at hand.
	taken, fill int

	// in and mid are the inputs of the first and second sum along rows:
	// across.size lanes of zeros, the lanes of the picture, across.half-1 lanes of zeros.
	in, mid []lane

	// ring keeps, for each column, what the first sum down it reaches back to:
	// depth values, written round and round, and the first lane once more so that
	// any eight in a row can be read in one piece.
	ring          []float32
	depth, stride int
	columnSums    []float32

	// samples is the input of the second sum down columns: the last down.size
	// rows of what was sampled of the sums along rows, round and round.
	samples    [][gridSide]float32
	sampleSums [gridSide]float32
	sampled    int // rows that went into sampleSums
	out        grid
	outRow     int // rows of out that are done
}

// boxes holds boxes that were used, with their buffers.
var boxes = sync.Pool{New: func() any { return new(box) }}

// newBox returns a filter for a picture of the given sides, each at least 1.
func newBox(width, height int) *box {
	b := boxes.Get().(*box)
	b.across, b.down = newWindow(width), newWindow(height)
	b.taken, b.fill, b.sampled, b.outRow = 0, 0, 0, 0

	padded := b.across.size + width + b.across.half - 1
	b.in = zeroed(b.in, padded)
	b.mid = zeroed(b.mid, padded)

	b.depth = (b.down.size+lanes-1)/lanes*lanes + lanes
	b.stride = b.depth + lanes
	b.ring = zeroed(b.ring, width*b.stride)
	b.columnSums = zeroed(b.columnSums, width)
	b.samples = zeroed(b.samples, b.down.size)
	b.sampleSums = [gridSide]float32{}
	return b
}

// pooledWidth is the widest picture whose buffers are kept for the next one, so
// that one freak doesn't occupy memory for ever: about 5 MB.
const pooledWidth = 1 << 14

// free gives b back. Its grid must no longer be used.
func (b *box) free() {
	if b.across.n <= pooledWidth {
		boxes.Put(b)
	}
}

// zeroed returns n zero elements, those of s if it has room for them.
func zeroed[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// read puts the rows of src from y to y+7 into b.in, as far as there are, and returns them
// side by side. They count once advance is called.
func (b *box) read(src source, y int) []lane {
	in := b.in[b.across.size:][:b.across.n]
	n := min(lanes, src.h-y)
	if n == lanes && src.lanes != nil {
		src.lanes(y, in)
		return in
	}
	row := floats(len(in))
	defer row.free()
	for i := range n {
		src.luma(y+i, row.v)
		scatter(in, row.v, i)
	}
	return in
}

// scatter puts row into lane i of in.
func scatter(in []lane, row []float32, i int) {
	in, i = in[:len(row)], i&(lanes-1)
	for x, v := range row {
		in[x][i] = v
	}
}

// advance takes the rows that were read, of which left is how many the picture
// has from the first of them on.
func (b *box) advance(left int) {
	if left < lanes {
		b.fill = left
		return
	}
	b.run()
}

// push takes the next row of the picture.
func (b *box) push(row []float32) {
	scatter(b.in[b.across.size:], row, b.fill)
	b.fill++
	if b.fill == lanes {
		b.run()
	}
}

// finish returns the grid, once all rows were pushed.
func (b *box) finish() *grid {
	// The sums down columns lag behind by half a window, each: rows of zeros
	// bring out what is still in them.
	for last := b.down.n + b.down.half - 1; b.taken < last; {
		in := b.in[b.across.size:][:b.across.n]
		for x := range in {
			clear(in[x][b.fill:])
		}
		b.run()
	}
	for range b.down.half - 1 {
		b.sumSamples(nil, 0)
	}
	return &b.out
}

// run takes the eight rows in b.in through all four sums.
func (b *box) run() {
	first := b.taken - (b.down.half - 1) // row that comes out of the first sum down columns
	b.taken += lanes
	b.fill = 0

	b.sumRows((b.taken - lanes) % b.depth)
	b.sumColumns(first)
	var sampled [gridSide]lane
	b.sampleRows(&sampled)
	for i := range lanes {
		if row := first + i; row >= 0 && row < b.down.n {
			b.sumSamples(&sampled, i)
		}
	}
}

// sumRows is the first sum, along rows: from in to ring, where it writes at
// position at of each column.
func (b *box) sumRows(at int) {
	var s lane
	w := b.across
	for r := range w.half - 1 {
		for i := range s {
			s[i] += b.in[w.size+r][i]
		}
	}
	// The outputs that average a whole window are those from full to end.
	full := min(w.size-w.half, w.n)
	end := max(full, w.n-w.half+1)
	for x := 0; x < full; x++ {
		b.sumRowsPart(&s, x, x+1, at)
	}
	b.sumRowsPart(&s, full, end, at)
	for x := end; x < w.n; x++ {
		b.sumRowsPart(&s, x, x+1, at)
	}
}

// sumRowsPart continues sumRows for outputs x0 to x1, which average equally many
// inputs.
func (b *box) sumRowsPart(s *lane, x0, x1, at int) {
	if x0 >= x1 {
		return
	}
	w := b.across
	enter := b.in[w.size+x0+w.half-1:][:x1-x0]
	leave := b.in[x0+w.half-1:][:x1-x0]
	ring := b.ring[x0*b.stride+at:]
	stride := b.stride
	s0, s1, s2, s3, s4, s5, s6, s7 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	k := 0
	if by, ok := reciprocal(w.count(x0)); ok {
		for i := range enter {
			e, l := &enter[i], &leave[i]
			s0 += e[0]
			s1 += e[1]
			s2 += e[2]
			s3 += e[3]
			s4 += e[4]
			s5 += e[5]
			s6 += e[6]
			s7 += e[7]
			s0 -= l[0]
			s1 -= l[1]
			s2 -= l[2]
			s3 -= l[3]
			s4 -= l[4]
			s5 -= l[5]
			s6 -= l[6]
			s7 -= l[7]
			out := (*lane)(ring[k:])
			out[0] = s0 * by
			out[1] = s1 * by
			out[2] = s2 * by
			out[3] = s3 * by
			out[4] = s4 * by
			out[5] = s5 * by
			out[6] = s6 * by
			out[7] = s7 * by
			k += stride
		}
	} else {
		by := float32(w.count(x0))
		for i := range enter {
			e, l := &enter[i], &leave[i]
			s0 += e[0]
			s1 += e[1]
			s2 += e[2]
			s3 += e[3]
			s4 += e[4]
			s5 += e[5]
			s6 += e[6]
			s7 += e[7]
			s0 -= l[0]
			s1 -= l[1]
			s2 -= l[2]
			s3 -= l[3]
			s4 -= l[4]
			s5 -= l[5]
			s6 -= l[6]
			s7 -= l[7]
			out := (*lane)(ring[k:])
			out[0] = s0 / by
			out[1] = s1 / by
			out[2] = s2 / by
			out[3] = s3 / by
			out[4] = s4 / by
			out[5] = s5 / by
			out[6] = s6 / by
			out[7] = s7 / by
			k += stride
		}
	}
	*s = lane{s0, s1, s2, s3, s4, s5, s6, s7}
}

// reciprocal returns 1/n if multiplying by it is exactly dividing by n, which
// is faster: if n is a power of two.
func reciprocal(n int) (float32, bool) { return 1 / float32(n), n&(n-1) == 0 }

// sumColumns is the second sum, down columns: from the eight newest values of
// each column of ring to mid. The first of its outputs is that of row first, which
// is negative while the sums fill; those of rows that don't exist are ignored later.
func (b *box) sumColumns(first int) {
	w := b.down
	at := (b.taken - lanes) % b.depth
	back := (b.taken - lanes - w.size + b.depth) % b.depth
	mid := b.mid[b.across.size:][:b.across.n]
	sums := b.columnSums[:len(mid)]
	ring, stride, depth := b.ring, b.stride, b.depth
	if at == 0 {
		for k := 0; k < len(ring); k += stride {
			*(*lane)(ring[k+depth:]) = *(*lane)(ring[k:])
		}
	}

	by, exact := reciprocal(w.size)
	if exact && first >= w.size-w.half && first+lanes+w.half-1 <= w.n {
		k := 0
		for x := range mid {
			e, l, out := (*lane)(ring[k+at:]), (*lane)(ring[k+back:]), &mid[x]
			s := sums[x]
			s += e[0]
			s -= l[0]
			out[0] = s * by
			s += e[1]
			s -= l[1]
			out[1] = s * by
			s += e[2]
			s -= l[2]
			out[2] = s * by
			s += e[3]
			s -= l[3]
			out[3] = s * by
			s += e[4]
			s -= l[4]
			out[4] = s * by
			s += e[5]
			s -= l[5]
			out[5] = s * by
			s += e[6]
			s -= l[6]
			out[6] = s * by
			s += e[7]
			s -= l[7]
			out[7] = s * by
			sums[x] = s
			k += stride
		}
		return
	}
	var n lane
	for i := range n {
		n[i] = 1
		if row := first + i; row >= 0 && row < w.n {
			n[i] = float32(w.count(row))
		}
	}
	k := 0
	for x := range mid {
		e, l, out := (*lane)(ring[k+at:]), (*lane)(ring[k+back:]), &mid[x]
		s := sums[x]
		s += e[0]
		s -= l[0]
		out[0] = s / n[0]
		s += e[1]
		s -= l[1]
		out[1] = s / n[1]
		s += e[2]
		s -= l[2]
		out[2] = s / n[2]
		s += e[3]
		s -= l[3]
		out[3] = s / n[3]
		s += e[4]
		s -= l[4]
		out[4] = s / n[4]
		s += e[5]
		s -= l[5]
		out[5] = s / n[5]
		s += e[6]
		s -= l[6]
		out[6] = s / n[6]
		s += e[7]
		s -= l[7]
		out[7] = s / n[7]
		sums[x] = s
		k += stride
	}
}

// sampleRows is the third sum, along rows again, of which only the sampled
// columns are divided and kept.
func (b *box) sampleRows(out *[gridSide]lane) {
	w := b.across
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	r := 0 // inputs that entered
	for j := range out {
		x := w.sample(j)
		n := x + w.half - r
		enter := b.mid[w.size+r:][:n]
		leave := b.mid[r:][:n]
		for i := range enter {
			e, l := &enter[i], &leave[i]
			s0 += e[0]
			s1 += e[1]
			s2 += e[2]
			s3 += e[3]
			s4 += e[4]
			s5 += e[5]
			s6 += e[6]
			s7 += e[7]
			s0 -= l[0]
			s1 -= l[1]
			s2 -= l[2]
			s3 -= l[3]
			s4 -= l[4]
			s5 -= l[5]
			s6 -= l[6]
			s7 -= l[7]
		}
		r += n
		by := float32(w.count(x))
		out[j] = lane{s0 / by, s1 / by, s2 / by, s3 / by, s4 / by, s5 / by, s6 / by, s7 / by}
	}
}

// sumSamples is the fourth sum, down columns again: it takes lane i of in, or a
// row of zeros if in is nil, and keeps the rows that are samples.
func (b *box) sumSamples(in *[gridSide]lane, i int) {
	w := b.down
	slot := &b.samples[b.sampled%w.size] // holds the row that leaves
	if in == nil {
		for j, leaves := range slot {
			b.sampleSums[j] -= leaves
			slot[j] = 0
		}
	} else {
		i &= lanes - 1
		for j, leaves := range slot {
			enters := in[j][i]
			s := b.sampleSums[j] + enters
			s -= leaves
			b.sampleSums[j] = s
			slot[j] = enters
		}
	}
	row := b.sampled - (w.half - 1)
	b.sampled++
	for b.outRow < gridSide && w.sample(b.outRow) == row {
		by := float32(w.count(row))
		out := &b.out[b.outRow]
		for j, s := range b.sampleSums {
			out[j] = s / by
		}
		b.outRow++
	}
}
