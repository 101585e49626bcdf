package match

import (
	"math/bits"
	"runtime"
)

// A segment is an immutable index over the rows lo … hi-1 for lookups within a
// Hamming distance: multi-index hashing (Norouzi, Punjani, Fleet: "Fast Exact
// Search in Hamming Space with Multi-Index Hashing", 2014) over wide chunks.
//
// The 256 bits are cut into chunks. Were a value within distance d of the query
// and differed in more than t_i bits in every chunk i, it would differ in
// Σ(t_i+1) bits or more; so with Σ(t_i+1) = d+1 it is enough to look, in each
// chunk, at the keys within t_i bits of the query's (t_i = -1: at none). Rows have their
// bits spread (spread.go), so that no chunk's keys are far more common than others.
//
// Even and odd rows are apart. A PDQ hash has 128 bits set but for ties, so that
// nearly all are even, and the distance of two even ones is even: the even part
// need not be searched for 31 but for 30 bits, which saves a sixth of the work.
type segment struct {
	lo, hi uint32
	parts  [2]*part // by parity of the number of bits set; nil: none
}

// A part is the values of one parity of a segment. The arrays of all its chunks lie
// end to end, so that a phase of a lookup needs no chunk to find its way.
type part struct {
	n      int
	list   []uint32 // of a small part: its rows, which are simply scanned
	chunks []chunk
	plans  [MaxDistance + 1]plan

	memory   *memory
	bitmap   []uint64 // bit k of a chunk's: some row has key k there
	ranks    []uint32 // slots before each line of 8 words of the bitmap
	slots    []uint32 // a present key, in order of keys: its row, or shared|place in overflow
	overflow []uint32 // rows that share a key, the last with the bit last
}

// A chunk is the index over width bits from bit offset on. A key is the chunk's
// bits of some value, its low 6 bits being the place in a word of the bitmap.
type chunk struct {
	offset, width uint8
	first         uint32 // its first word in bitmap
	keys          uint32 // that are present
}

const (
	shared = 1 << 31
	last   = 1 << 31
)

func (c *chunk) key(v *bits256) uint32 {
	i, s := c.offset>>6, c.offset&63
	k := v[i] >> s
	if s+c.width > 64 {
		k |= v[i+1] << (64 - s)
	}
	return uint32(k) & (1<<c.width - 1)
}

// lineMasks[k] lets through the words of a line before the k-th.
var lineMasks = func() (m [8][7]uint64) {
	for k := range m {
		for i := range k {
			m[k][i] = ^uint64(0)
		}
	}
	return m
}()

// rank returns how many keys are present before word w of the bitmap. The words of
// a line are summed without a branch: they are in one line of the cache.
func (p *part) rank(w uint32) uint32 {
	line := (*[8]uint64)(p.bitmap[w&^7:])
	m := &lineMasks[w&7]
	n := bits.OnesCount64(line[0]&m[0]) + bits.OnesCount64(line[1]&m[1]) + bits.OnesCount64(line[2]&m[2]) + bits.OnesCount64(line[3]&m[3]) +
		bits.OnesCount64(line[4]&m[4]) + bits.OnesCount64(line[5]&m[5]) + bits.OnesCount64(line[6]&m[6])
	return p.ranks[w>>3] + uint32(n)
}

// rankWords sets the ranks of the bitmap's words from … to-1, before which there are so
// many keys, and returns how many keys are in them.
func (p *part) rankWords(from, to, before uint32) uint32 {
	n := before
	for w := from; w < to; w++ {
		if w&7 == 0 {
			p.ranks[w>>3] = n
		}
		n += uint32(bits.OnesCount64(p.bitmap[w]))
	}
	return n - before
}

// slot returns the place in slots of a key that is present.
func (p *part) slot(c *chunk, key uint32) uint32 {
	w := c.first + key>>6
	return p.rank(w) + uint32(bits.OnesCount64(p.bitmap[w]&(1<<(key&63)-1)))
}

// smallPart is the number of values below which an index isn't worth its memory.
const smallPart = 2048

// chunksFor returns into how many chunks n values are cut: a chunk has about
// log2(n)+1 bits, so that about half of its keys are present or fewer. Where the bounds
// lie was measured beside a segment of a million, which takes the nearest caches.
func chunksFor(n int) int {
	switch {
	case n < 8_000:
		return maxChunks
	case n < 75_000:
		return 14
	case n < 150_000:
		return 13
	case n < 500_000:
		return 12
	case n < 3_000_000:
		return 11
	case n < 30_000_000:
		return 10
	}
	return minChunks
}

// A chunk's number has 4 bits beside a word's or a row's. With fewer than 9 chunks
// their words would have too many numbers.
const (
	minChunks = 9
	maxChunks = 16
	wordBits  = 28
)

// buildSegment indexes the rows lo … hi-1, dead ones too: they may get a holder
// again. It returns nil when stop turns true meanwhile.
func buildSegment(r *rows, lo, hi uint32, small int, stop func() bool) *segment {
	s := &segment{lo: lo, hi: hi}
	var members [2][]uint32
	for row := lo; row < hi; row++ {
		v := load256(r.value(row))
		p := v.weight() & 1
		members[p] = append(members[p], row)
	}
	for p, m := range members {
		switch {
		case len(m) == 0:
		case len(m) < small:
			s.parts[p] = &part{n: len(m), list: append([]uint32(nil), m...)}
		default:
			if s.parts[p] = buildPart(r, m, stop); s.parts[p] == nil {
				return nil
			}
		}
	}
	return s
}

// buildPart makes the index of members. It returns nil when stop turns true
// meanwhile.
func buildPart(r *rows, members []uint32, stop func() bool) *part {
	p := &part{n: len(members), memory: newMemory()}
	count := chunksFor(len(members))
	var words int
	p.chunks, words = newChunks(count)
	p.bitmap = newArray[uint64](p.memory, words)
	p.ranks = newArray[uint32](p.memory, words/8)
	// As much as there can be. What isn't touched takes no memory.
	p.slots = newArray[uint32](p.memory, count*len(members))[:0]
	p.overflow = newArray[uint32](p.memory, count*len(members))[:0]
	sorted := newMemory()
	entries := newArray[uint64](sorted, len(members))
	for i := range p.chunks {
		if stop() {
			return nil
		}
		p.chunks[i].fill(p, r, members, entries)
	}
	runtime.KeepAlive(sorted)
	p.plan()
	return p
}

// newChunks cuts the 256 bits into chunks, whose bitmaps have so many words in all.
func newChunks(count int) (chunks []chunk, words int) {
	for i := range count {
		from, to := 256*i/count, 256*(i+1)/count
		chunks = append(chunks, chunk{offset: uint8(from), width: uint8(to - from), first: uint32(words)})
		words += 1 << (to - from) / 64
	}
	return chunks, words
}

// bucketBits is the width of a bucket: so many keys' part of all arrays fits into
// the nearest caches.
const bucketBits = 16

// fill makes a chunk's part of the arrays: a counting sort of (key, row) into
// buckets of adjoining keys, and then one bucket after another.
func (c *chunk) fill(p *part, r *rows, members []uint32, entries []uint64) {
	shift := min(c.width, bucketBits)
	ends := make([]int, 1<<(c.width-shift)+1)
	for _, row := range members {
		v := load256(r.value(row))
		ends[c.key(&v)>>shift+1]++
	}
	for b := range ends[1:] {
		ends[b+1] += ends[b]
	}
	for _, row := range members {
		v := load256(r.value(row))
		k := c.key(&v)
		at := &ends[k>>shift] // where the bucket begins, until it is full
		entries[*at] = uint64(k)<<32 | uint64(row)
		*at++
	}
	before, begin := len(p.slots), 0
	for b, end := range ends[:len(ends)-1] {
		c.fillBucket(p, c.first+uint32(b)<<shift/64, c.first+uint32(b+1)<<shift/64, entries[begin:end])
		begin = end
	}
	c.keys = uint32(len(p.slots) - before)
}

// fillBucket enters the entries whose keys are in the bitmap's words from … to-1.
func (c *chunk) fillBucket(p *part, from, to uint32, entries []uint64) {
	for _, e := range entries {
		k := uint32(e >> 32)
		p.bitmap[c.first+k>>6] |= 1 << (k & 63)
	}
	first := len(p.slots)
	n := first + int(p.rankWords(from, to, uint32(first)))
	p.slots = p.slots[:n]
	for _, e := range entries {
		p.slots[p.slot(c, uint32(e>>32))]++
	}
	for i := first; i < n; i++ {
		rows := int(p.slots[i])
		p.slots[i] = 0
		if rows > 1 {
			p.slots[i] = shared | uint32(len(p.overflow))
			p.overflow = p.overflow[:len(p.overflow)+rows]
			p.overflow[len(p.overflow)-rows] = uint32(rows) // how many are missing, while some are
			p.overflow[len(p.overflow)-1] = last
		}
	}
	for _, e := range entries {
		s := &p.slots[p.slot(c, uint32(e>>32))]
		if *s&shared == 0 {
			*s = uint32(e)
			continue
		}
		list := p.overflow[*s&^shared:]
		missing := list[0]
		list[0] = missing - 1
		list[missing-1] |= uint32(e)
	}
}

// bytes is the memory of the segment.
func (s *segment) bytes() (n int64) {
	for _, p := range s.parts {
		if p != nil {
			n += int64(len(p.list)+len(p.ranks)+len(p.slots)+len(p.overflow))*4 + int64(len(p.bitmap))*8
		}
	}
	return n
}
