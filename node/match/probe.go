package match

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// scratch is the memory of one lookup. A search goes through four phases, each
// over a block of work, so that the reads of a phase don't wait for each other:
// words of the bitmaps, ranks, slots, values.
type scratch struct {
	hits   collector
	budget int // candidates that may still be verified

	// Words of the bitmap, chunk<<wordBits | word, and those of their bits that were asked for.
	masks [maskBlock]uint32
	words [blockSize + maskBlock]uint32
	asked [blockSize + maskBlock]uint64
	slots [blockSize + 64]uint64 // chunk<<32 | slot
	// Candidates: chunk<<wordBits | row, and chunk<<32 | place in overflow.
	single [blockSize + 64]uint32
	multi  [blockSize + 64]uint64

	touched uint64 // of no meaning: what it is made of must be read
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func getScratch(max int) *scratch {
	sc := scratches.Get().(*scratch)
	sc.hits.reset(max)
	return sc
}

func putScratch(sc *scratch) { scratches.Put(sc) }

// budget is how many candidates a lookup among n values may verify by index.
func budget(n uint32) int { return max(minBudget, int(n)/budgetShare) }

// balls[t][x] has the bits whose number differs from x in at most t of 6 bits.
var balls = func() (b [7][64]uint64) {
	for t := range b {
		for x := range b[t] {
			for y := range 64 {
				if bits.OnesCount(uint(x^y)) <= t {
					b[t][x] |= 1 << y
				}
			}
		}
	}
	return b
}()

// search adds the rows of the segment within the query's distance. It reports
// false, with some rows added, when the budget is used up.
func (s *segment) search(q *query, sc *scratch) bool {
	cost := 0.0
	for parity, p := range s.parts {
		if p != nil {
			cost += p.cost(q.within(parity))
		}
	}
	if cost >= costScanned*float64(s.hi-s.lo) {
		q.scan(s.lo, s.hi, &sc.hits)
		return true
	}
	for parity, p := range s.parts {
		if p == nil {
			continue
		}
		d := q.within(parity)
		if d < 0 {
			continue
		}
		if !p.search(q, d, sc) {
			return false
		}
	}
	return true
}

// within returns the largest distance that a value of this parity can have within
// the query's: of the same parity as both weights together.
func (q *query) within(parity int) int {
	return q.distance - (q.distance^q.parity^parity)&1
}

func (p *part) cost(d int) float64 {
	switch {
	case d < 0:
		return 0
	case p.chunks == nil:
		return costListed * float64(p.n)
	}
	return p.plans[d].cost
}

// search is segment.search for one part and a distance.
func (p *part) search(q *query, d int, sc *scratch) bool {
	for _, row := range p.list {
		v := q.value(row)
		if n := v.distance(&q.bits); n <= d {
			sc.hits.row(q.rows, row, n)
		}
	}
	if p.chunks == nil {
		return true
	}
	s := search{p: p, q: q, d: d, radius: p.plans[d].radius, sc: sc}
	n := 0
	for i := range p.chunks {
		t := int(s.radius[i])
		if t < 0 {
			continue
		}
		c := &p.chunks[i]
		key := c.key(&q.bits)
		high, low := key>>6, key&63
		width := int(c.width) - 6
		bitmap := p.bitmap[c.first:][:1<<width]
		tag := uint32(i)<<wordBits | c.first
		for j := range min(t, width) + 1 {
			// Every word whose number differs in j bits; in it, the bits that
			// differ in at most t-j more.
			ball := balls[min(t-j, 6)][low]
			list := masksOf(width, j)
			for block := list.block(&sc.masks); len(block) > 0; block = list.block(&sc.masks) {
				words, asked := sc.words[n:n+len(block)], sc.asked[n:n+len(block)]
				for k, mask := range block {
					asked[k] = bitmap[high^mask]
				}
				k := 0
				for l, mask := range block {
					x := asked[l] & ball
					words[k], asked[k] = tag+(high^mask), x
					k += int((x | -x) >> 63) // if x != 0, without a branch
				}
				if n += k; n >= blockSize {
					if !s.ranks(n) {
						return false
					}
					n = 0
				}
			}
		}
	}
	return s.ranks(n)
}

// A search is the later phases of part.search.
type search struct {
	p      *part
	q      *query
	d      int
	radius []int8
	sc     *scratch
}

// ranks turns the first n words into numbers of slots.
func (s *search) ranks(n int) bool {
	p, slots := s.p, &s.sc.slots
	words, asked := s.sc.words[:n], s.sc.asked[:n]
	touched := uint32(0)
	for _, x := range words {
		touched ^= p.ranks[x&(1<<wordBits-1)>>3]
	}
	s.sc.touched ^= uint64(touched)
	k := 0
	for i, x := range words {
		w := x & (1<<wordBits - 1)
		r := uint64(x>>wordBits)<<32 + uint64(p.rank(w))
		all := p.bitmap[w]
		for b := asked[i]; b != 0; b &= b - 1 {
			slots[k] = r + uint64(bits.OnesCount64(all&(b&-b-1)))
			k++
		}
		if k >= blockSize {
			if !s.load(slots[:k]) {
				return false
			}
			k = 0
		}
	}
	return s.load(slots[:k])
}

// load reads slots, and verifies the rows they name.
func (s *search) load(slots []uint64) bool {
	all, single, multi := s.p.slots, &s.sc.single, &s.sc.multi
	singles, multis := 0, 0
	touched := uint32(0)
	for _, x := range slots {
		touched ^= all[uint32(x)]
	}
	for _, x := range slots {
		v := all[uint32(x)]
		single[singles] = uint32(x>>32)<<wordBits | v&^shared
		multi[multis] = x&^0xffffffff | uint64(v&^shared)
		m := int(v >> 31)
		multis += m
		singles += 1 - m
	}
	if s.sc.budget -= singles; s.sc.budget < 0 {
		return false
	}
	s.verify(single[:singles])
	// The lists of rows that share a key: all their heads, then all their rows.
	overflow, n := s.p.overflow, 0
	for _, x := range multi[:multis] {
		touched ^= overflow[uint32(x)]
	}
	s.sc.touched ^= uint64(touched)
	for _, x := range multi[:multis] {
		for _, row := range overflow[uint32(x):] {
			if n == len(single) {
				if s.sc.budget -= n; s.sc.budget < 0 {
					return false
				}
				s.verify(single[:n])
				n = 0
			}
			single[n] = uint32(x>>32)<<wordBits | row&^last
			n++
			if row&last != 0 {
				break
			}
		}
	}
	if s.sc.budget -= n; s.sc.budget < 0 {
		return false
	}
	s.verify(single[:n])
	return true
}

// verify reads candidates and adds those that are near enough. Nearly all aren't:
// so the loop is kept short, for many reads to be on their way at a time.
func (s *search) verify(candidates []uint32) {
	s.sc.touched ^= s.touch(candidates)
	q0, q1, q2, q3, d := s.q.bits[0], s.q.bits[1], s.q.bits[2], s.q.bits[3], s.d
	pages := s.q.pages
	for _, x := range candidates {
		row := x & (1<<rowBits - 1)
		b := pages[row>>pageBits].values[row&(pageRows-1)*32:][:32]
		n := bits.OnesCount64(binary.LittleEndian.Uint64(b)^q0) + bits.OnesCount64(binary.LittleEndian.Uint64(b[8:])^q1) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[16:])^q2) + bits.OnesCount64(binary.LittleEndian.Uint64(b[24:])^q3)
		if n <= d && s.first(int(x>>wordBits), row) {
			s.sc.hits.row(s.q.rows, row, n)
		}
	}
}

// touch reads a word of each candidate, and nothing more: so many reads are under
// way at a time as the processor can have, and verify finds them in the cache.
func (s *search) touch(candidates []uint32) (x uint64) {
	pages := s.q.pages
	for _, c := range candidates {
		row := c & (1<<rowBits - 1)
		x ^= uint64(pages[row>>pageBits].values[row&(pageRows-1)*32])
	}
	return x
}

// first reports whether chunk is the first one that leads to a row, so that the
// row is added once without remembering what was.
func (s *search) first(chunk int, row uint32) bool {
	v := s.q.value(row)
	for i := range chunk {
		c := &s.p.chunks[i]
		if bits.OnesCount32(c.key(&v)^c.key(&s.q.bits)) <= int(s.radius[i]) {
			return false
		}
	}
	return true
}
