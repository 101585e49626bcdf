package knowngood

import (
	"encoding/binary"
	"math/bits"

	"hashfeed/feed"
)

// near finds a PDQ within MaxWithin bits. Of 16 parts of 16 bits at least one differs in at most one bit, if all together differ in at most
// 31: else 16 parts with two would make 32. So a lookup asks each part's bucket and the 16 around it, of which nearly all are
// empty, and compares what is in them.
type near struct {
	values []quads
	places []int // what find returns, by value
	parts  [16]buckets
}

// quads is a PDQ as it is compared.
type quads [4]uint64

// buckets has the values in the order of one part: those with part p are ids[ends[p-1]:ends[p]], from 0 for p = 0.
type buckets struct {
	some []uint64 // a bit for each that has any: most have none, and all the bits stay in the cache
	ends []uint32 // 2^16
	ids  []uint32
}

func quadsOf(value string) (q quads) {
	for i := range q {
		q[i] = binary.BigEndian.Uint64([]byte(value[8*i : 8*i+8]))
	}
	return q
}

func (q quads) part(i int) uint16 { return uint16(q[i/4] >> (16 * (i % 4))) }

func (q quads) distance(o quads) int {
	return bits.OnesCount64(q[0]^o[0]) + bits.OnesCount64(q[1]^o[1]) + bits.OnesCount64(q[2]^o[2]) + bits.OnesCount64(q[3]^o[3])
}

// newNear makes the index of values, each with the place that find returns for it.
func newNear(values []string, places []int) *near {
	n := &near{places: places}
	for _, v := range values {
		n.values = append(n.values, quadsOf(v))
	}
	if len(values) < fewValues {
		return n
	}
	for i := range n.parts {
		b := &n.parts[i]
		b.some, b.ends, b.ids = make([]uint64, 1<<10), make([]uint32, 1<<16), make([]uint32, len(values))
		for _, q := range n.values {
			p := q.part(i)
			b.ends[p]++
			b.some[p/64] |= 1 << (p % 64)
		}
		sum := uint32(0)
		for p, count := range b.ends {
			b.ends[p] = sum // where the bucket begins; it moves to the end as the bucket is filled
			sum += count
		}
		for id, q := range n.values {
			p := q.part(i)
			b.ids[b.ends[p]] = uint32(id)
			b.ends[p]++
		}
	}
	return n
}

// fewValues are faster compared one by one, and need no five megabytes of buckets.
const fewValues = 1024

// find returns the place of some value within so many bits, at most MaxWithin, of value.
func (n *near) find(value string, within int) (place int, ok bool) {
	q, within := quadsOf(value), min(within, MaxWithin)
	if len(n.values) < fewValues {
		for id, v := range n.values {
			if q.distance(v) <= within {
				return n.places[id], true
			}
		}
		return 0, false
	}
	for i := range n.parts {
		b, p := &n.parts[i], q.part(i)
		for flip := -1; flip < 16; flip++ {
			around := p
			if flip >= 0 {
				around ^= 1 << flip
			}
			if b.some[around/64]&(1<<(around%64)) == 0 {
				continue
			}
			from := uint32(0)
			if around > 0 {
				from = b.ends[around-1]
			}
			for _, id := range b.ids[from:b.ends[around]] {
				if q.distance(n.values[id]) <= within {
					return n.places[id], true
				}
			}
		}
	}
	return 0, false
}

// hasNeighbours tells whether it means anything that a PDQ is near to this one: flat pictures are near to all flat ones.
func hasNeighbours(value string, quality uint8) bool {
	if len(value) != feed.PDQ.Size() || quality < minQuality {
		return false
	}
	q := quadsOf(value)
	ones := q.distance(quads{})
	return 64 <= ones && ones <= 192
}
