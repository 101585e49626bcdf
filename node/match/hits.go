package match

import "slices"

// A collector keeps the nearest hits of one lookup, one an item, in bounded
// memory. A hit is one word, distance<<40 | id, so that the order of words is the
// order of hits: nearest first, ties by ID.
type collector struct {
	max       int      // hits to keep
	keys      []uint64 // at most 2*max
	bound     uint64   // with truncated set: keys from here on can't be among the nearest
	truncated bool
}

const distanceShift = 40

func (c *collector) reset(max int) {
	c.max, c.keys, c.truncated = max, c.keys[:0], false
}

// full reports whether a hit at this distance can no longer matter.
func (c *collector) full(distance int) bool {
	return c.truncated && uint64(distance)<<distanceShift >= c.bound
}

func (c *collector) add(distance int, id ID) {
	key := uint64(distance)<<distanceShift | uint64(id)
	if c.truncated && key >= c.bound {
		return
	}
	if len(c.keys) == 2*c.max {
		c.prune()
	}
	c.keys = append(c.keys, key)
}

// row adds every holder of a row.
func (c *collector) row(r *rows, row uint32, distance int) {
	if c.full(distance) {
		return
	}
	switch w := r.word(row).Load(); {
	case w == 0:
	case w&many == 0:
		c.add(distance, ID(w-1))
	default:
		c.list(r.holders(w), distance)
	}
}

// list adds every holder of a list.
func (c *collector) list(h *holders, distance int) {
	a := h.cur.Load()
	for i := range a.ids[:a.n.Load()] {
		if w := a.ids[i].Load(); w != 0 {
			c.add(distance, ID(w-1))
		}
	}
}

// prune sorts the keys, keeps the nearest of each item and the max nearest items.
// An item that is dropped sets truncated; should a nearer hash of it turn up
// later, it comes back and pushes out another, so truncated stays true.
func (c *collector) prune() {
	if len(c.keys) > 1 {
		// Once by item, to keep its nearest; then by distance.
		for i, k := range c.keys {
			c.keys[i] = k<<(64-distanceShift) | k>>distanceShift
		}
		slices.Sort(c.keys)
		c.keys = slices.CompactFunc(c.keys, func(a, b uint64) bool {
			return a>>(64-distanceShift) == b>>(64-distanceShift)
		})
		for i, k := range c.keys {
			c.keys[i] = k<<distanceShift | k>>(64-distanceShift)
		}
		slices.Sort(c.keys)
	}
	if len(c.keys) > c.max {
		c.keys = c.keys[:c.max]
		c.truncated = true
	}
	if c.truncated && len(c.keys) == c.max {
		c.bound = c.keys[c.max-1]
	}
}

// appendTo appends the hits to dst.
func (c *collector) appendTo(dst []Hit, alg Alg) []Hit {
	c.prune()
	for _, k := range c.keys {
		dst = append(dst, Hit{ID: ID(k & maxID), Alg: alg, Distance: int(k >> distanceShift)})
	}
	return dst
}
