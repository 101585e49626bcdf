package match

import (
	"encoding/binary"
	"sync/atomic"
)

// rows are the values of a table in the order in which they came, each with its
// holders. They are append-only: a row's value never changes and never moves, so
// that everything else (slots, segments) is numbers of rows, and a reader needs
// no lock. One writer, any number of readers, who keep the rows alive.
type rows struct {
	size      int                        // bytes of a value
	n         atomic.Uint32              // rows published; a reader loads it before pages
	pages     atomic.Pointer[[]page]     // page p has rows p*pageRows …
	lists     atomic.Pointer[[]*holders] // what a word with the bit many refers to
	listBytes atomic.Int64
	memory    *memory
	sketches  *sketches // of PhotoDNA values, nil for others
}

const (
	pageBits = 16
	pageRows = 1 << pageBits
)

// page is pageRows values end to end and their words. Of the first page only what
// is used takes memory, for most tables are small; the next ones are huge pages.
type page struct {
	values []byte
	words  []atomic.Uint64
}

func newRows(size int) *rows {
	r := &rows{size: size, memory: newMemory()}
	r.pages.Store(new([]page))
	r.lists.Store(new([]*holders))
	if size == PhotoDNA.Size() {
		r.sketches = newSketches()
	}
	return r
}

// append adds a row and publishes it. The caller sees to it that the value isn't
// in another row, and that there are fewer than maxRows.
func (r *rows) append(value []byte, word uint64) uint32 {
	n := r.n.Load()
	if int(n>>pageBits) == len(*r.pages.Load()) {
		r.addPage()
	}
	p := &(*r.pages.Load())[n>>pageBits]
	i := int(n & (pageRows - 1))
	copy(p.values[i*r.size:], value)
	p.words[i].Store(word)
	if r.sketches != nil {
		r.sketches.set(n, value)
	}
	r.n.Store(n + 1)
	return n
}

// addPage makes room for pageRows rows more.
func (r *rows) addPage() *page {
	pages := *r.pages.Load()
	values := newArray[byte]
	if len(pages) == 0 {
		values = newSmallPages[byte]
	}
	// Appending in place is safe: no reader looks beyond its own length.
	pages = append(pages, page{values(r.memory, pageRows*r.size), newArray[atomic.Uint64](r.memory, pageRows)})
	r.pages.Store(&pages)
	return &pages[len(pages)-1]
}

func (r *rows) at(row uint32) (*page, int) {
	return &(*r.pages.Load())[row>>pageBits], int(row & (pageRows - 1))
}

func (r *rows) value(row uint32) []byte {
	p, i := r.at(row)
	return p.values[i*r.size:][:r.size]
}

func (r *rows) word(row uint32) *atomic.Uint64 {
	p, i := r.at(row)
	return &p.words[i]
}

// holders returns the list that a word with the bit many refers to.
func (r *rows) holders(word uint64) *holders { return (*r.lists.Load())[word&^many] }

// each calls f with every holder of a row.
func (r *rows) each(row uint32, f func(ID)) {
	switch w := r.word(row).Load(); {
	case w == 0:
	case w&many == 0:
		f(ID(w - 1))
	default:
		r.holders(w).each(f)
	}
}

// hold makes id a holder of a row. It reports whether it wasn't one before, and
// whether the row had no holder.
func (r *rows) hold(row uint32, id ID) (changed, revived bool) {
	word := r.word(row)
	switch w := word.Load(); {
	case w == 0:
		word.Store(uint64(id) + 1)
		return true, true
	case w&many != 0:
		h := r.holders(w)
		revived = h.live == 0
		return h.add(id), revived
	case w == uint64(id)+1:
		return false, false
	default:
		word.Store(r.newList(ID(w-1), id))
		return true, false
	}
}

// newList makes a list of holders and returns the word that refers to it.
func (r *rows) newList(ids ...ID) uint64 {
	lists := *r.lists.Load()
	k := len(lists)
	lists = append(lists, newHolders(&r.listBytes, ids...))
	r.lists.Store(&lists)
	return many | uint64(k)
}

// release ends id's hold of a row. It reports whether there was one, and whether
// the row has no holder left.
func (r *rows) release(row uint32, id ID) (changed, died bool) {
	word := r.word(row)
	switch w := word.Load(); {
	case w == 0:
		return false, false
	case w&many != 0:
		h := r.holders(w)
		changed = h.remove(id)
		return changed, changed && h.live == 0
	case w == uint64(id)+1:
		word.Store(0)
		return true, true
	default:
		return false, false
	}
}

// bytes is the memory of the rows.
func (r *rows) bytes() int64 {
	pages := *r.pages.Load()
	n := int64(len(pages)) * pageRows
	if len(pages) == 1 {
		n = int64(r.n.Load())
	}
	n = n*int64(r.size+8) + int64(cap(*r.lists.Load()))*8 + r.listBytes.Load()
	if r.sketches != nil {
		n += r.sketches.bytes()
	}
	return n
}

// A bits256 is a PDQ hash as four words, so that distances are four XORs and
// four population counts. Bit i of the hash is bit i%64 of word i/64, bytes being
// little-endian; any order would do, distances don't depend on it.
type bits256 [4]uint64

func load256(b []byte) bits256 {
	_ = b[31]
	return bits256{
		binary.LittleEndian.Uint64(b),
		binary.LittleEndian.Uint64(b[8:]),
		binary.LittleEndian.Uint64(b[16:]),
		binary.LittleEndian.Uint64(b[24:]),
	}
}
