package feed

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// The tables of a State are written by one goroutine at a time and read by any number without a lock. Both kinds only ever grow, and
// publish what they hold by atomic stores.

const chunkSize = 1024

// chunks is an array that grows in place: T is an atomic type, whose zero value means nothing is there.
type chunks[T any] struct {
	dir atomic.Pointer[[]*[chunkSize]T]
}

// at returns the slot of n, nil if the array has not grown that far.
func (c *chunks[T]) at(n uint64) *T {
	dir := c.dir.Load()
	if dir == nil || n/chunkSize >= uint64(len(*dir)) {
		return nil
	}
	return &(*dir)[n/chunkSize][n%chunkSize]
}

// grow returns the slot of n and makes it where there is none. Appending to the directory may write behind the end of those that readers
// still hold, where they never look.
func (c *chunks[T]) grow(n uint64) *T {
	var dir []*[chunkSize]T
	if p := c.dir.Load(); p != nil {
		dir = *p
	}
	for n/chunkSize >= uint64(len(dir)) {
		dir = append(dir, new([chunkSize]T))
	}
	c.dir.Store(&dir)
	return &dir[n/chunkSize][n%chunkSize]
}

// reserve makes the slots below n. Those that aren't there yet lie side by side, many in a huge page.
func (c *chunks[T]) reserve(n uint64) {
	var dir []*[chunkSize]T
	if p := c.dir.Load(); p != nil {
		dir = *p
	}
	want := int((n + chunkSize - 1) / chunkSize)
	if want <= len(dir) {
		return
	}
	more := inHugePages(make([][chunkSize]T, want-len(dir)))
	for i := range more {
		dir = append(dir, &more[i])
	}
	c.dir.Store(&dir)
}

// idTable finds items by id: open addressing over words of hash (32 bits) and item number + 1. The items themselves hold the ids, so an
// entry costs 12 to 24 bytes, where a map would cost twice that and a lock. The hash is keyed: ids are the publisher's to choose.
type idTable struct {
	seed  maphash.Seed
	slots atomic.Pointer[[]atomic.Uint64]
	used  int // the writer's
}

const idTableStart = 1024 // a power of two, as all sizes

func newIDTable() *idTable {
	t := &idTable{seed: maphash.MakeSeed()}
	slots := make([]atomic.Uint64, idTableStart)
	t.slots.Store(&slots)
	return t
}

func (t *idTable) hash(id ItemID) uint32 { return uint32(maphash.Bytes(t.seed, id[:])) }

// find returns the number of the item that is(n) says has this id.
func (t *idTable) find(id ItemID, is func(n uint32) bool) (uint32, bool) {
	slots, h := *t.slots.Load(), t.hash(id)
	mask := uint32(len(slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		word := slots[i].Load()
		if word == 0 {
			return 0, false
		}
		if n := uint32(word) - 1; uint32(word>>32) == h && is(n) {
			return n, true
		}
	}
}

// add enters item n, whose id is not there yet.
func (t *idTable) add(id ItemID, n uint32) {
	slots := *t.slots.Load()
	if t.used++; t.used*3 > len(slots)*2 {
		larger := make([]atomic.Uint64, 2*len(slots))
		for i := range slots {
			if word := slots[i].Load(); word != 0 {
				place64(larger, word)
			}
		}
		slots = larger
		place64(slots, uint64(t.hash(id))<<32|uint64(n+1))
		t.slots.Store(&slots)
		return
	}
	place64(slots, uint64(t.hash(id))<<32|uint64(n+1))
}

// fill enters items 0 … count-1 into a table that nobody has yet and that is empty. They go in by where they come to lie, a 256th of the table
// at a time, so that what is written stays in the processor's cache.
func (t *idTable) fill(count uint64, id func(n uint64) *ItemID) {
	size := idTableStart
	for count*3 > uint64(size)*2 {
		size *= 2
	}
	const parts = 256
	shift := bits.TrailingZeros32(uint32(size)) - 8
	part := func(word uint64) uint32 { return uint32(word>>32) & uint32(size-1) >> shift }
	word := func(n uint64) uint64 { return uint64(t.hash(*id(n)))<<32 | (n + 1) }
	var next [parts + 1]uint32
	for n := range count {
		next[part(word(n))+1]++
	}
	for i := 1; i < parts; i++ {
		next[i] += next[i-1]
	}
	sorted := inHugePages(make([]uint64, count))
	for n := range count {
		w := word(n)
		p := part(w)
		sorted[next[p]] = w
		next[p]++
	}
	slots := inHugePages(make([]atomic.Uint64, size))
	for _, word := range sorted {
		place64(slots, word)
	}
	t.used = int(count)
	t.slots.Store(&slots)
}

// place64 puts a word into the first free slot from its hash on.
func place64(slots []atomic.Uint64, word uint64) {
	mask := uint32(len(slots) - 1)
	i := uint32(word>>32) & mask
	for slots[i].Load() != 0 {
		i = (i + 1) & mask
	}
	slots[i].Store(word)
}
