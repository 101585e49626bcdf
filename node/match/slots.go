package match

import (
	"bytes"
	"hash/maphash"
	"runtime"
	"sync/atomic"
)

// seed keys the hash of every slot table. It is new in each process: a publisher
// who chose colliding values would otherwise make every lookup a scan.
var seed = maphash.MakeSeed()

// slots find the row of a value: 256 tables of open addressing, each grown on its
// own, so that an insert never moves more than a 256th. One writer, any number
// of readers. Values never leave; a value without a holder is a row whose word is 0.
type slots [256]atomic.Pointer[slotTable]

// slotTable is one of the 256. A slot is 0, or the row + 1, and above it a tag of 5
// bits of the value's hash, so that few other values are looked at.
type slotTable struct {
	slots []atomic.Uint32 // length is a power of two
	used  int             // the writer's; at most 7/8
}

func hashOf(value []byte) uint64 { return maphash.Bytes(seed, value) }

// slotOf is the slot of a row whose value has hash h.
func slotOf(h uint64, row uint32) uint32 { return uint32(h>>32)<<rowBits | row + 1 }

// find returns the row of a value, whose hash is h.
func (s *slots) find(r *rows, value []byte, h uint64) (row uint32, ok bool) {
	t := s[h>>56].Load()
	if t == nil {
		return 0, false
	}
	mask, tag := uint32(len(t.slots)-1), slotOf(h, 0)>>rowBits
	for i := uint32(h) & mask; ; i = (i + 1) & mask {
		w := t.slots[i].Load()
		if w == 0 {
			return 0, false
		}
		if w>>rowBits == tag {
			row := w&(1<<rowBits-1) - 1
			if bytes.Equal(r.value(row), value) {
				return row, true
			}
		}
	}
}

// insert publishes where a value is. The caller sees to it that it isn't there.
func (s *slots) insert(r *rows, h uint64, row uint32) {
	p := &s[h>>56]
	t := p.Load()
	if t == nil || t.used >= len(t.slots)/8*7 {
		t = t.grown(r)
		t.put(h, row)
		p.Store(t)
		return
	}
	t.put(h, row)
}

// fill enters all rows into empty tables that nobody has yet. They go in one table after
// the other, so that what is written stays in the processor's cache.
func (s *slots) fill(r *rows) {
	n := int(r.n.Load())
	m := newMemory()
	words, sorted := newArray[uint64](m, n), newArray[uint64](m, n) // the low half of the hash, the slot
	tables := newArray[uint8](m, n)
	var ends [len(s) + 1]int
	for row := range words {
		h := hashOf(r.value(uint32(row)))
		words[row], tables[row] = h<<32|uint64(slotOf(h, uint32(row))), uint8(h>>56)
		ends[h>>56+1]++
	}
	for i := range s {
		ends[i+1] += ends[i]
	}
	next := ends
	for row, w := range words {
		at := &next[tables[row]]
		sorted[*at] = w
		*at++
	}
	for i := range s {
		list := sorted[ends[i]:ends[i+1]]
		if len(list) == 0 {
			continue
		}
		size := 8
		for len(list) > size/8*7 {
			size *= 2
		}
		t := &slotTable{slots: make([]atomic.Uint32, size)}
		for _, w := range list {
			t.putSlot(uint32(w>>32), uint32(w))
		}
		s[i].Store(t)
	}
	runtime.KeepAlive(m)
}

func (t *slotTable) put(h uint64, row uint32) { t.putSlot(uint32(h), slotOf(h, row)) }

// putSlot takes the low half of the hash.
func (t *slotTable) putSlot(h, slot uint32) {
	mask := uint32(len(t.slots) - 1)
	i := h & mask
	for t.slots[i].Load() != 0 {
		i = (i + 1) & mask
	}
	t.slots[i].Store(slot)
	t.used++
}

func (t *slotTable) grown(r *rows) *slotTable {
	if t == nil {
		return &slotTable{slots: make([]atomic.Uint32, 8)}
	}
	g := &slotTable{slots: make([]atomic.Uint32, 2*len(t.slots))}
	for i := range t.slots {
		if w := t.slots[i].Load(); w != 0 {
			row := w&(1<<rowBits-1) - 1
			g.put(hashOf(r.value(row)), row)
		}
	}
	return g
}

func (s *slots) bytes() (n int64) {
	for i := range s {
		n += 8
		if t := s[i].Load(); t != nil {
			n += int64(len(t.slots))*4 + 32
		}
	}
	return n
}
