package match

import (
	"encoding/binary"
	"math"
	"runtime"
	"sync/atomic"
)

// PhotoDNA values are compared, never computed. A value is 144 bytes, sums of the
// gradients in four directions of 6×6 parts of a picture, and two pictures are the
// nearer the smaller the sum of the squares of the differences of the bytes is. That
// distance is what public implementations use: IPED takes up to 40,000 for the same
// picture, and of 100,000 pictures of ImageNet no two strangers were nearer than 232,274.
//
// There is no index: vectors of 144 numbers have none that pays before many millions of
// them. A lookup scans, but only a third of each value, for a sum of squares only grows.

// A sketch is every third byte of a value, which takes from all parts of the picture and
// from all directions, and the sum of their squares.
type sketch struct {
	bytes  [sketchWords]uint64
	square uint64
}

const (
	sketchWords = 144 / 3 / 8

	// flatSquare stands in the sketch of a flat value: more than any sum of squares can
	// make up for, so that no scan takes it.
	flatSquare = 1 << 40

	// minEntropy is the entropy in bits a byte below which a value is flat: fewer than
	// eight bytes that are equally frequent. A flat colour, a page of text and a dark frame
	// are near to all others of their kind; they are found by equal values only.
	minEntropy = 3
)

// flat reports whether a value says too little to be compared by distance.
func flat(value []byte) bool {
	var count [256]uint8
	for _, b := range value {
		count[b]++
	}
	sum := 0.
	for _, n := range count {
		sum += frequency[n]
	}
	return math.Log2(float64(len(value)))-sum/float64(len(value)) < minEntropy
}

// frequency is n·log2(n).
var frequency = func() (f [145]float64) {
	for n := 2; n < len(f); n++ {
		f[n] = float64(n) * math.Log2(float64(n))
	}
	return f
}()

func newSketch(value []byte) (s sketch) {
	for i := range sketchWords * 8 {
		b := uint64(value[3*i])
		s.bytes[i/8] |= b << (i % 8 * 8)
		s.square += b * b
	}
	return s
}

// sketches are the sketches of a table's rows. One writer, any number of readers.
type sketches struct {
	memory *memory
	pages  atomic.Pointer[[][]sketch] // page p has rows p*sketchRows …
}

const sketchRows = 1 << 15

func newSketches() *sketches {
	s := &sketches{memory: newMemory()}
	s.pages.Store(new([][]sketch))
	return s
}

// set gives a row its sketch, before the row is published.
func (s *sketches) set(row uint32, value []byte) {
	pages := *s.pages.Load()
	if int(row/sketchRows) == len(pages) {
		pages = append(pages, newArray[sketch](s.memory, sketchRows))
		s.pages.Store(&pages)
	}
	sk := newSketch(value)
	if flat(value) {
		sk.square = flatSquare
	}
	pages[row/sketchRows][row%sketchRows] = sk
}

func (s *sketches) bytes() int64 {
	return int64(len(*s.pages.Load())) * sketchRows * (sketchWords + 1) * 8
}

// photo appends the holders of every value at most distance away.
func (t *table) photo(dst []Hit, value []byte, distance, max int) ([]Hit, bool) {
	if flat(value) {
		return t.exact(dst, value, max)
	}
	s := t.cur.Load()
	sc := getScratch(max)
	defer putScratch(sc)
	q := newPhotoQuery(value, distance)
	q.scan(s.rows, &sc.hits)
	runtime.KeepAlive(s)
	dst = sc.hits.appendTo(dst, t.alg)
	return dst, sc.hits.truncated
}

// A photoQuery is a value as a scan needs it.
type photoQuery struct {
	value  []byte
	most   int64                   // distance
	square int64                   // of the sketch
	pairs  [sketchWords * 4]uint64 // bytes j and j+4 of each word, the second one below
}

func newPhotoQuery(value []byte, distance int) photoQuery {
	sk := newSketch(value)
	q := photoQuery{value: value, most: int64(distance), square: int64(sk.square)}
	for i, w := range sk.bytes {
		for j := range 4 {
			q.pairs[4*i+j] = w>>(8*j)&0xff<<32 | w>>(8*j+32)&0xff
		}
	}
	return q
}

// scan adds every row that is near, in its order.
func (q *photoQuery) scan(r *rows, hits *collector) {
	n := r.n.Load() // before the pages
	pages := *r.sketches.pages.Load()
	for lo := uint32(0); lo < n; lo += sketchRows {
		page := pages[lo/sketchRows][:min(n-lo, sketchRows)]
		for i := range page {
			// |a-b|² = |a|² + |b|² - 2ab, of a third of the bytes at most what it is of all.
			sk := &page[i]
			if int64(sk.square)+q.square-2*int64(sk.dot(&q.pairs)) > q.most {
				continue
			}
			row := lo + uint32(i)
			if d := squareDistance(r.value(row), q.value); int64(d) <= q.most {
				hits.row(r, row, d)
			}
		}
	}
}

// dot returns the sum of the products of bytes, two with each multiplication: of
// (a + b·2³²)(d + c·2³²) the upper half is ac + bd. The lower halves, ad, add up to less
// than 2³², so that nothing is carried.
func (s *sketch) dot(pairs *[sketchWords * 4]uint64) uint64 {
	const mask = 0xff<<32 | 0xff
	var sum uint64
	for i, w := range &s.bytes {
		p := pairs[4*i : 4*i+4 : 4*i+4]
		sum += w & mask * p[0]
		sum += w >> 8 & mask * p[1]
		sum += w >> 16 & mask * p[2]
		sum += w >> 24 & mask * p[3]
	}
	return sum >> 32
}

// squareDistance returns the sum of the squares of the differences of the bytes.
func squareDistance(a, b []byte) int {
	sum := 0
	for ; len(a) >= 8 && len(b) >= 8; a, b = a[8:], b[8:] {
		x, y := binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
		for range 8 {
			d := int(x&0xff) - int(y&0xff)
			sum += d * d
			x, y = x>>8, y>>8
		}
	}
	return sum
}
