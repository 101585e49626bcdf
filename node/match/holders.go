package match

import "sync/atomic"

// Holders of a value. Nearly every value is held by one item, so that a row has
// one word for it:
//
//	0            nobody holds the value: it doesn't match
//	id+1         one item
//	many | k     the k-th holders of the generation
//
// A row that once had two holders keeps its list for good, even when it is empty
// again. So a list never changes rows, and a reader can't follow a word to the
// holders of another value, which would accuse the wrong item.
const many = 1 << 63

// holders is the list of the items that hold one value. One writer, any number
// of readers.
type holders struct {
	cur  atomic.Pointer[idArray]
	live int           // ids in cur that aren't 0; the writer's
	pos  map[ID]uint32 // where an id stands in cur; the writer's, nil for a short list
	size *atomic.Int64 // bytes of all lists of the generation; nil: they are no longer counted
}

// idArray is append-only but for one thing: an id that is removed becomes 0, in
// place. Moving the last id into the hole would hide it from a reader that is
// already past the hole.
type idArray struct {
	n   atomic.Uint32
	ids []atomic.Uint64 // id+1
}

// indexedHolders is the length from which a list gets a map, so that a hash
// listed by a million items costs its writer no scan of a million ids each time.
const indexedHolders = 16

func newHolders(size *atomic.Int64, ids ...ID) *holders {
	h := &holders{size: size}
	h.cur.Store(&idArray{})
	h.count(holdersBytes)
	h.rebuild(ids)
	return h
}

// Approximate sizes of a list's parts on the heap.
const (
	holdersBytes = 24 + 32 + 8 // the struct, the array's header, the pointer to it
	idBytes      = 8
	posBytes     = 24 // an entry of pos
)

func (h *holders) count(bytes int) {
	if h.size != nil {
		h.size.Add(int64(bytes))
	}
}

func (h *holders) bytes() int {
	return holdersBytes + len(h.cur.Load().ids)*idBytes + len(h.pos)*posBytes
}

// retire ends the counting of a list's memory: soon only old readers will refer to it.
func (h *holders) retire() {
	h.count(-h.bytes())
	h.size = nil
}

// recount takes a list that was retired back into the count.
func (h *holders) recount(size *atomic.Int64) {
	if h.size == nil {
		h.size = size
		h.count(h.bytes())
	}
}

// each calls f with every holder.
func (h *holders) each(f func(ID)) {
	a := h.cur.Load()
	for i := range a.ids[:a.n.Load()] {
		if w := a.ids[i].Load(); w != 0 {
			f(ID(w - 1))
		}
	}
}

func (h *holders) find(id ID) (uint32, bool) {
	if h.pos != nil {
		i, ok := h.pos[id]
		return i, ok
	}
	a := h.cur.Load()
	for i := range a.n.Load() {
		if a.ids[i].Load() == uint64(id)+1 {
			return i, true
		}
	}
	return 0, false
}

// add reports whether id is new.
func (h *holders) add(id ID) bool {
	if _, ok := h.find(id); ok {
		return false
	}
	a := h.cur.Load()
	n := a.n.Load()
	if int(n) == len(a.ids) {
		h.rebuild(append(h.list(), id))
		return true
	}
	a.ids[n].Store(uint64(id) + 1)
	a.n.Store(n + 1)
	h.live++
	if h.pos != nil {
		h.pos[id] = n
	}
	return true
}

// remove reports whether id was there.
func (h *holders) remove(id ID) bool {
	i, ok := h.find(id)
	if !ok {
		return false
	}
	a := h.cur.Load()
	a.ids[i].Store(0)
	h.live--
	delete(h.pos, id)
	if n := int(a.n.Load()); n > indexedHolders && h.live < n/2 {
		h.rebuild(h.list())
	}
	return true
}

func (h *holders) list() []ID {
	ids := make([]ID, 0, h.live+1)
	h.each(func(id ID) { ids = append(ids, id) })
	return ids
}

// rebuild publishes a fresh array of these ids, with room for as many again.
func (h *holders) rebuild(ids []ID) {
	old := h.cur.Load()
	a := &idArray{ids: make([]atomic.Uint64, max(4, 2*len(ids)))}
	for i, id := range ids {
		a.ids[i].Store(uint64(id) + 1)
	}
	a.n.Store(uint32(len(ids)))
	h.count((len(a.ids)-len(old.ids))*idBytes - len(h.pos)*posBytes)
	h.pos = nil
	if len(ids) > indexedHolders {
		h.pos = make(map[ID]uint32, len(a.ids))
		for i, id := range ids {
			h.pos[id] = uint32(i)
		}
	}
	h.count(len(h.pos) * posBytes)
	h.live = len(ids)
	h.cur.Store(a)
}
