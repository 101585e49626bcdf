package match

import (
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"
)

// An exactTable finds the holders of values that are compared for equality. It keeps
// no values, only 52 bits of a keyed hash of each, an identity, so that a lookup
// reads one cache line, and whoever gets hold of the memory gets no list. What it
// finds is a candidate: see Tables.Lookup for what that means.
//
// # Lines
//
// A line is 64 bytes, one cache line, and has six entries: six words of
//
//	23 bits of the identity, never all 0; a flag; 40 bits of an ID
//
// and two words with 21 more bits for each, by turns. A word of 0 is a free place. With the
// flag set, the 40 bits are the number of a list of holders. Two bits are left; one
// says that an insertion found the line full and went past it, and only then does a
// search go on to the next line. So a removal frees the place at once, and leaves no
// tombstone: what may be left is a mark that lets some searches read a line more.
//
// Eight entries of 23 bits were one in five smaller, but 8·2^-23 of all lookups would
// be wrong about a value that nobody lists, and of ten million values some hundreds
// would be taken for another.
//
// # Regions
//
// The lines are 256 regions of equal length. Eight bits of the identity choose the
// region and are known from there; the upper bits of the 44 that are stored choose
// the line in the region, whatever its length. So the table can be made anew, larger
// or smaller, out of itself. A search that comes to the end of its region goes on at
// its start.
//
// # Lookups
//
// One lookup at a time waits for memory, unless the processor has begun the next one
// meanwhile; it looks some 250 instructions ahead. So there are few of them, and few calls,
// on the way of a single lookup, and a filter (filter.go) tells of most values that nobody
// holds without a line being read. Many lookups together (holds) read their lines side by
// side; for them the filter would be one more read.
//
// # Growing
//
// A new array is filled beside the writer, some lines with each change, so that no
// change takes long; then it takes the old one's place. Readers see one or the other.
// Until then the writer changes both, as far as the new one goes.
type exactTable struct {
	alg  Alg
	key  hashKey
	mask uint64 // of the hash: all bits, but in tests that want collisions
	cur  atomic.Pointer[lines]
	live atomic.Int64 // identities with a holder
	size atomic.Int64 // bytes of it all

	// The writer's, guarded by Tables.mu.
	next   *lines // what takes the place of cur; nil: nothing
	copied int    // lines of cur whose entries next has
	gone   int    // entries that were removed since cur was begun
}

const (
	lineEntries = 6
	regions     = 256

	printBits = 23
	tagBits   = 21
	listed    = 1 << distanceShift // the flag of a word: the rest is the number of a list
	wordShift = 64 - printBits
	passed    = 1 << 63 // in tags[0]: an insertion went past the line

	// A table grows by half when 2/3 of its places are taken: 16 to 24 bytes an entry.
	// At 4/5 every tenth line has been passed, which costs more time than the memory
	// is worth.
	fullShare, emptyShare = 2. / 3, 4. / 9

	// stepLines is how many lines a change copies while a table grows: at 8 it has
	// grown before 2 % more have come.
	stepLines = 8
	// goneEntries is how many removals a table bears before it is made anew for what
	// marks and empty lists they have left, if they are half as many as the entries.
	goneEntries = 256
)

// An identity is what is known of a value: 8 bits of region, 21 of tag, 23 of print.
type identity uint64

func (i identity) region() int   { return int(i >> (tagBits + printBits)) }
func (i identity) tag() uint64   { return uint64(i) >> printBits & (1<<tagBits - 1) }
func (i identity) print() uint64 { return uint64(i) & (1<<printBits - 1) }

func newIdentity(region int, tag, print uint64) identity {
	return identity(region)<<(tagBits+printBits) | identity(tag)<<printBits | identity(print)
}

// identity returns what the table knows of a value.
func (t *exactTable) identity(value []byte) identity {
	return identityOf(t.key.sum(value) & t.mask)
}

// identityOf takes the hash of a value.
func identityOf(sum uint64) identity {
	i := identity(sum >> (64 - 8 - tagBits - printBits))
	if i.print() == 0 {
		i |= 1
	}
	return i
}

// lines is one array of a table. One writer, any number of readers, who keep it alive.
type lines struct {
	memory *memory
	array  []line
	filter filter                     // of what has an entry
	region int                        // lines of a region
	used   int                        // entries; the writer's
	lists  atomic.Pointer[[]*holders] // what a word with the flag refers to
}

type line struct {
	words [lineEntries]atomic.Uint64
	tags  [2]atomic.Uint64 // of every other entry each, 21 bits an entry
}

func (l *line) tag(entry int) uint64 {
	return l.tags[entry&1].Load() >> (uint(entry) >> 1 * tagBits & 63) & (1<<tagBits - 1)
}

// put publishes an entry: its tag first, so that no reader meets the word beside the
// tag of an entry that was there before.
func (l *line) put(entry int, tag, word uint64) {
	tags, shift := &l.tags[entry&1], entry>>1*tagBits
	tags.Store(tags.Load()&^((1<<tagBits-1)<<shift) | tag<<shift)
	l.words[entry].Store(word)
}

// newExactTable returns an empty table.
func newExactTable(alg Alg, opts Options) *exactTable {
	t := &exactTable{alg: alg, key: newHashKey(), mask: ^opts.hashBlind}
	t.cur.Store(t.newLines(1))
	return t
}

// newLines returns an empty array with this many lines a region.
func (t *exactTable) newLines(region int) *lines {
	l := &lines{memory: newMemory(), region: region}
	l.array = newArray[line](l.memory, regions*region)
	l.filter = newFilter(l.memory, len(l.array))
	l.lists.Store(new([]*holders))
	t.size.Add(l.bytes())
	return l
}

func (l *lines) bytes() int64 {
	return int64(len(l.array))*int64(unsafe.Sizeof(line{})) + int64(len(l.filter.words))*8
}

// several appends the holders in a list.
func (t *exactTable) several(dst []Hit, h *holders, max int) ([]Hit, bool) {
	sc := getScratch(max)
	defer putScratch(sc)
	sc.hits.list(h, 0)
	dst = sc.hits.appendTo(dst, t.alg)
	return dst, sc.hits.truncated
}

const (
	// holdsBlock is how many values are hashed before their lines are read: their cache
	// misses overlap.
	holdsBlock = 64
	// holdsFew is how many values are still asked for one at a time. For four that aren't
	// held that takes half as long as together, for eight two thirds; where half are held,
	// four take as long either way.
	holdsFew = 4
)

// holds appends to dst, for each of the values that stand end to end, whether it may
// have a holder.
func (t *exactTable) holds(dst []bool, values []byte) []bool {
	size := t.alg.Size()
	if len(values) <= holdsFew*size {
		for l := t.cur.Load(); len(values) > 0; values = values[size:] {
			id := t.identity(values[:size])
			home := l.home(id)
			dst = append(dst, !l.filter.lacks(id, home) && l.find(id, home) != 0)
			runtime.KeepAlive(l)
		}
		return dst
	}
	return t.holdsMany(dst, values, size)
}

// holdsMany is holds for values of that size.
func (t *exactTable) holdsMany(dst []bool, values []byte, size int) []bool {
	l := t.cur.Load()
	var block [holdsBlock]struct {
		id   identity
		home int
	}
	for len(values) > 0 {
		n := min(len(values)/size, holdsBlock)
		for i := range block[:n] {
			b := &block[i]
			b.id = t.identity(values[i*size : (i+1)*size])
			b.home = l.home(b.id)
		}
		for i := range block[:n] { // nothing here waits for what it reads
			l.array[block[i].home].tags[0].Load()
		}
		dst = slices.Grow(dst, n)[:len(dst)+n]
		held := dst[len(dst)-n:]
		for i := range held {
			b := &block[i]
			held[i] = !l.array[b.home].lacks(b.id.print()) && l.find(b.id, b.home) != 0
		}
		values = values[n*size:]
	}
	runtime.KeepAlive(l)
	return dst
}

// home returns the line at which a search for an identity begins: of the lines of its
// region, the one as far from the first as the 32 bits after the region's number are from 0.
func (l *lines) home(id identity) int {
	return int(uint64(id) >> (tagBits + printBits - 32) * uint64(l.region) >> 32)
}

// after returns the line at which a search goes on.
func (l *lines) after(id identity, at int) int {
	if at++; at == (id.region()+1)*l.region {
		at -= l.region
	}
	return at
}

// lacks tells that no entry of the line has a print, and that none which does may stand in
// a later line. A word with the print comes to 0, and one less has bit 63 set, as has the
// mark; no other word does. It is find's first step in half as many, all that nearly every
// value of a batch takes.
func (ln *line) lacks(print uint64) bool {
	some := (ln.words[0].Load()>>wordShift ^ print) - 1
	some |= (ln.words[1].Load()>>wordShift ^ print) - 1
	some |= (ln.words[2].Load()>>wordShift ^ print) - 1
	some |= (ln.words[3].Load()>>wordShift ^ print) - 1
	some |= (ln.words[4].Load()>>wordShift ^ print) - 1
	some |= (ln.words[5].Load()>>wordShift ^ print) - 1
	return (some|ln.tags[0].Load())&passed == 0
}

// find returns the word of an identity whose home is that line, 0 if nobody holds it.
func (l *lines) find(id identity, home int) uint64 {
	ln := &l.array[home]
	// The words are compared without a jump for each: a jump that was foreseen wrongly, as
	// the one to the word that is equal would be, lets the processor begin anew once the line
	// is there. As it is, it reads the lines of the next lookups meanwhile.
	print := id.print()
	equal := ((ln.words[0].Load()>>wordShift ^ print) - 1) >> 63 // a bit for each entry
	equal |= ((ln.words[1].Load()>>wordShift ^ print) - 1) >> 63 << 1
	equal |= ((ln.words[2].Load()>>wordShift ^ print) - 1) >> 63 << 2
	equal |= ((ln.words[3].Load()>>wordShift ^ print) - 1) >> 63 << 3
	equal |= ((ln.words[4].Load()>>wordShift ^ print) - 1) >> 63 << 4
	equal |= ((ln.words[5].Load()>>wordShift ^ print) - 1) >> 63 << 5
	if equal|ln.tags[0].Load()&passed == 0 {
		return 0
	}
	if i := bits.TrailingZeros64(equal); i < lineEntries {
		if w := ln.words[i].Load(); w>>wordShift == print && ln.tag(i) == id.tag() {
			return w
		}
	}
	return l.findFrom(id, home)
}

// findFrom is find word by word, and line by line.
func (l *lines) findFrom(id identity, at int) uint64 {
	for range l.region {
		ln := &l.array[at]
		for i := range ln.words {
			if w := ln.words[i].Load(); w>>wordShift == id.print() && ln.tag(i) == id.tag() {
				return w
			}
		}
		if ln.tags[0].Load()&passed == 0 {
			return 0
		}
		at = l.after(id, at)
	}
	return 0
}

// A place is where an entry stands or may stand.
type place struct {
	line  *line
	entry int
	index int // of the line
}

// search returns the place of an identity. If there is none and it is to be inserted,
// that is the place where it may go to, with the lines before it marked; its line is nil
// if the region is full.
func (l *lines) search(id identity, insert bool) (p place, found bool) {
	at := l.home(id)
	for range l.region {
		ln := &l.array[at]
		for i := range ln.words {
			switch w := ln.words[i].Load(); {
			case w == 0:
				if p.line == nil {
					p = place{ln, i, at}
				}
			case w>>wordShift == id.print() && ln.tag(i) == id.tag():
				return place{ln, i, at}, true
			}
		}
		if tags := ln.tags[0].Load(); tags&passed == 0 {
			if p.line != nil || !insert {
				return p, false
			}
			ln.tags[0].Store(tags | passed)
		}
		at = l.after(id, at)
	}
	return p, false
}

// list returns the list that a word with the flag refers to.
func (l *lines) list(w uint64) *holders { return (*l.lists.Load())[w&maxID] }

// newList enters a list and returns what a word has for it.
func (l *lines) newList(h *holders) uint64 {
	lists := append(*l.lists.Load(), h)
	l.lists.Store(&lists)
	return listed | uint64(len(lists)-1)
}

func (p place) word() *atomic.Uint64 { return &p.line.words[p.entry] }

// set makes w the word of an identity whose place is p; 0 takes it out, if it was found.
func (l *lines) set(p place, found bool, ident identity, w uint64) {
	switch {
	case !found:
		l.filter.add(ident, l.home(ident))
		p.line.put(p.entry, ident.tag(), w)
		l.used++
	case w == 0:
		p.word().Store(0)
		l.used--
	default:
		p.word().Store(w)
	}
}

// add makes id a holder of value.
func (t *exactTable) add(value []byte, id ID) error {
	ident := t.identity(value)
	l := t.cur.Load()
	p, found := l.search(ident, true)
	if !found && l.used >= maxEntries {
		return fmt.Errorf("match: add to kind %d: %w", t.alg, errFull)
	}
	for p.line == nil {
		if err := t.grow(); err != nil {
			return err
		}
		l = t.cur.Load()
		p, _ = l.search(ident, true)
	}
	switch w := p.word().Load(); {
	case !found:
		l.set(p, false, ident, ident.print()<<wordShift|uint64(id))
		t.live.Add(1)
	case w&listed != 0:
		l.list(w).add(id)
	case w&maxID != uint64(id):
		p.word().Store(ident.print()<<wordShift | l.newList(newHolders(&t.size, ID(w&maxID), id)))
	}
	t.follow(p, ident)
	t.tend(stepLines)
	return nil
}

// remove ends id's hold of value.
func (t *exactTable) remove(value []byte, id ID) {
	t.release(t.identity(value), id)
	t.tend(stepLines)
}

// release ends id's hold of an identity.
func (t *exactTable) release(ident identity, id ID) {
	l := t.cur.Load()
	p, found := l.search(ident, false)
	if !found {
		return
	}
	died := false
	switch w := p.word().Load(); {
	case w&listed != 0:
		h := l.list(w)
		h.remove(id)
		if died = h.live == 0; died {
			h.retire()
		}
	default:
		died = w&maxID == uint64(id)
	}
	if died {
		l.set(p, true, ident, 0)
		t.live.Add(-1)
		t.gone++
	}
	t.follow(p, ident)
}

// follow lets next have what was changed at a place of cur, if it has that line.
func (t *exactTable) follow(p place, ident identity) {
	if t.next != nil && p.index < t.copied && !t.copy(ident, p.word().Load()) {
		t.begin(t.next.region + 1)
	}
}

// copy makes an entry of next what it is in cur, w being its word there. Both have the
// same list, but one item needs none. It reports whether there was room.
func (t *exactTable) copy(ident identity, w uint64) bool {
	p, found := t.next.search(ident, w != 0)
	if !found && (w == 0 || p.line == nil) {
		return w == 0
	}
	if w&listed != 0 {
		h := t.cur.Load().list(w)
		had := uint64(0)
		if found {
			had = p.word().Load()
		}
		switch {
		case h.live == 1:
			h.each(func(id ID) { w = ident.print()<<wordShift | uint64(id) })
			h.retire() // it serves on until the table is new
		case had&listed != 0 && t.next.list(had) == h:
			return true
		default:
			h.recount(&t.size)
			w = ident.print()<<wordShift | t.next.newList(h)
		}
	}
	t.next.set(p, found, ident, w)
	return true
}

// removeAll ends the holds of the IDs from lo to hi-1.
func (t *exactTable) removeAll(lo, hi ID) {
	l := t.cur.Load()
	var held []ID
	l.each(0, len(l.array), func(ident identity, w uint64) {
		held = held[:0]
		if w&listed == 0 {
			held = append(held, ID(w&maxID))
		} else {
			l.list(w).each(func(id ID) { held = append(held, id) })
		}
		for _, id := range held {
			if lo <= id && id < hi {
				t.release(ident, id)
			}
		}
	})
	t.tend(stepLines)
}

// each calls f with each entry of the lines from … to-1. f may remove it.
func (l *lines) each(from, to int, f func(ident identity, w uint64)) {
	for i := from; i < to; i++ {
		ln, region := &l.array[i], i/l.region
		for entry := range ln.words {
			if w := ln.words[entry].Load(); w != 0 {
				f(newIdentity(region, ln.tag(entry), w>>wordShift), w)
			}
		}
	}
}

// fillFilter lets pass what has an entry.
func (l *lines) fillFilter() {
	l.each(0, len(l.array), func(id identity, _ uint64) {
		l.filter.add(id, l.home(id))
	})
}

// tend begins to make the table anew if that is due, and goes on with it for some
// lines. It reports whether more is to be done.
func (t *exactTable) tend(n int) bool {
	if t.next == nil {
		if !t.due() {
			return false
		}
		t.begin(0)
	}
	l := t.cur.Load()
	for n = min(t.copied+n, len(l.array)); t.copied < n; t.copied++ {
		for !t.copyLine(t.copied) {
			t.begin(t.next.region + 1)
		}
	}
	if t.copied < len(l.array) {
		return true
	}
	t.cur.Store(t.next)
	t.next, t.copied = nil, 0
	t.size.Add(-l.bytes())
	return t.due()
}

// due reports whether the table is to be made anew: it is full, or much was removed.
func (t *exactTable) due() bool {
	l := t.cur.Load()
	return float64(l.used) > fullShare*lineEntries*float64(len(l.array)) || t.gone > goneEntries+l.used/2
}

// begin begins to make the table anew, for the entries that there are, with at least
// this many lines a region. What was begun before is given up: a region had no room.
func (t *exactTable) begin(atLeast int) {
	if t.next != nil {
		t.size.Add(-t.next.bytes())
	}
	fit := int(float64(t.cur.Load().used)/(emptyShare*lineEntries*regions)) + 1
	t.next = t.newLines(max(atLeast, fit))
	t.copied, t.gone = 0, 0
}

// copyLine copies the entries of a line of cur; false if there is no room.
func (t *exactTable) copyLine(index int) bool {
	ok := true
	t.cur.Load().each(index, index+1, func(ident identity, w uint64) { ok = ok && t.copy(ident, w) })
	return ok
}

// grow makes the table anew at once: a region is full. That is so by chance in a small
// table; a large one has grown before.
func (t *exactTable) grow() error {
	l := t.cur.Load()
	if l.region >= maxEntries/regions {
		return fmt.Errorf("match: add to kind %d: %w", t.alg, errFull)
	}
	t.begin(l.region + l.region/2 + 1)
	t.tend(len(l.array))
	return nil
}
