package match

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A Snapshot is tables as they are at one moment, to be written to a file, so that
// the next process needn't enter all hashes again:
//
//	"hashfeed-tables/2"
//	of each exact kind: the mask and the key of its hash, the lines of a region, all
//	lines as they are in memory, the lists of holders
//	of each other kind: the number of rows, their values (spread.go) and their words as they
//	are in memory, the lists of holders, the segments
//
// Everything but values is numbers of 64 bits, or of 32 in arrays of these, little-endian.
// The lists are their number, and of each its length and its IDs. The bytes aren't for
// strangers: whoever keeps them seals them.
type Snapshot struct {
	exact  [algs]*savedLines
	tables [algs]*savedRows
}

// savedLines is a copy of the lines of an exact table: they change in place.
type savedLines struct {
	table  *exactTable
	memory *memory
	region int
	words  []uint64 // 8 a line
	lists  []uint64
}

// savedRows is the rows of a table with a copy of their words. Values and segments
// never change.
type savedRows struct {
	size   int
	state  *state
	memory *memory
	words  []uint64
	lists  []uint64
}

const (
	snapshotMagic = "hashfeed-tables/2"
	lineWords     = lineEntries + 2
)

var errSnapshot = errors.New("snapshot of tables")

// Snapshot takes one, while whoever adds and removes waits: some 10 ms for a million
// values. Readers don't notice.
func (t *Tables) Snapshot() *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &Snapshot{}
	for a := MD5; a.Size() != 0; a++ {
		if a.exact() {
			s.exact[a] = t.exact[a].saved()
		} else {
			s.tables[a] = t.tables[a].saved()
		}
	}
	return s
}

func (t *exactTable) saved() *savedLines {
	l := t.cur.Load()
	s := &savedLines{table: t, memory: newMemory(), region: l.region, lists: savedLists(*l.lists.Load())}
	s.words = newArray[uint64](s.memory, len(l.array)*lineWords)
	for i := range l.array {
		ln, words := &l.array[i], s.words[i*lineWords:][:lineWords]
		for k := range ln.words {
			words[k] = ln.words[k].Load()
		}
		words[lineEntries], words[lineEntries+1] = ln.tags[0].Load(), ln.tags[1].Load()
	}
	runtime.KeepAlive(l)
	return s
}

func (t *table) saved() *savedRows {
	st := t.cur.Load()
	s := &savedRows{size: t.alg.Size(), state: st, memory: newMemory(), lists: savedLists(*st.rows.lists.Load())}
	s.words = newArray[uint64](s.memory, int(st.rows.n.Load()))
	for row := range s.words {
		s.words[row] = st.rows.word(uint32(row)).Load()
	}
	return s
}

func savedLists(lists []*holders) []uint64 {
	saved := []uint64{uint64(len(lists))}
	for _, h := range lists {
		at := len(saved)
		saved = append(saved, 0)
		h.each(func(id ID) { saved = append(saved, uint64(id)) })
		saved[at] = uint64(len(saved) - at - 1)
	}
	return saved
}

// Write writes the snapshot.
func (s *Snapshot) Write(out io.Writer) error {
	w := &snapshotWriter{out: out}
	w.bytes([]byte(snapshotMagic))
	for a := MD5; a.Size() != 0; a++ {
		if a.exact() {
			s.exact[a].write(w)
		} else {
			s.tables[a].write(w)
		}
	}
	if w.err != nil {
		return fmt.Errorf("write %w: %w", errSnapshot, w.err)
	}
	return nil
}

func (s *savedLines) write(w *snapshotWriter) {
	w.numbers(s.table.mask)
	w.numbers(s.table.key[:]...)
	w.numbers(uint64(s.region))
	w.numbers(s.words...)
	w.numbers(s.lists...)
	runtime.KeepAlive(s.memory)
}

func (s *savedRows) write(w *snapshotWriter) {
	w.numbers(uint64(len(s.words)))
	for row := 0; row < len(s.words); row += pageRows {
		n := min(pageRows, len(s.words)-row)
		p, _ := s.state.rows.at(uint32(row))
		w.bytes(p.values[:n*s.size])
	}
	w.numbers(s.words...)
	w.numbers(s.lists...)
	w.segments(s.state.segments)
	runtime.KeepAlive(s)
}

type snapshotWriter struct {
	out io.Writer
	buf [snapshotBuffer]byte
	err error
}

// snapshotBuffer is how many bytes of numbers are turned into others at a time.
const snapshotBuffer = 32 << 10

func (w *snapshotWriter) bytes(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
}

func (w *snapshotWriter) numbers(list ...uint64) {
	for len(list) > 0 && w.err == nil {
		n := min(len(list), snapshotBuffer/8)
		for i, v := range list[:n] {
			binary.LittleEndian.PutUint64(w.buf[8*i:], v)
		}
		w.bytes(w.buf[:8*n])
		list = list[n:]
	}
}

// Load makes tables of which a snapshot was written. size is how many bytes there are at
// most; valid says which IDs there are. What can't be a snapshot is an error: no bytes
// make tables that break a lookup.
func Load(in io.Reader, size int64, opts Options, valid func(ID) bool) (*Tables, error) {
	t, err := load(in, size, opts, valid)
	if err != nil {
		return nil, err
	}
	go t.merger()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nudge()
	return t, nil
}

// load is Load without a merger.
func load(in io.Reader, size int64, opts Options, valid func(ID) bool) (*Tables, error) {
	t := newTables(opts)
	r := &snapshotReader{in: in, left: size, valid: valid}
	defer r.beside.Wait()
	magic := make([]byte, len(snapshotMagic))
	r.bytes(magic)
	if r.err == nil && string(magic) != snapshotMagic {
		return nil, fmt.Errorf("%w: of another version", errSnapshot)
	}
	for a := MD5; a.Size() != 0; a++ {
		if a.exact() {
			r.exact(t.exact[a])
		} else {
			r.table(t.tables[a])
		}
	}
	r.beside.Wait()
	if r.err != nil {
		return nil, r.err
	}
	return t, nil
}

// snapshotReader reads one. After an error it gives zeros.
type snapshotReader struct {
	in     io.Reader
	left   int64 // bytes that there can be still: no array is larger
	valid  func(ID) bool
	err    error
	beside sync.WaitGroup // what is made of what was read, while more is read
}

func (r *snapshotReader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errSnapshot, why)
	}
}

func (r *snapshotReader) bytes(to []byte) {
	if r.err != nil {
		return
	}
	if len(to) > hugePage {
		r.beside.Go(func() { populate(to) })
	}
	if _, err := io.ReadFull(r.in, to); err != nil {
		r.err = fmt.Errorf("read %w: %w", errSnapshot, err)
	}
	r.left -= int64(len(to))
}

// numbers reads them to where they stay, as they are in most machines' memory.
func (r *snapshotReader) numbers(to []uint64) {
	r.bytes(memoryOf(to))
	if bigEndian {
		for i, v := range to {
			to[i] = bits.ReverseBytes64(v)
		}
	}
}

// bigEndian says that a machine's numbers aren't as a snapshot has them.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// memoryOf is the memory of numbers.
func memoryOf[T uint32 | uint64](list []T) []byte {
	var n T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), len(list)*int(unsafe.Sizeof(n)))
}

func (r *snapshotReader) number(most uint64) uint64 {
	var n [1]uint64
	if r.numbers(n[:]); n[0] > most {
		r.fail("a number is too large")
	}
	if r.err != nil {
		return 0
	}
	return n[0]
}

// count reads how many follow, of that many bytes each.
func (r *snapshotReader) count(bytes int) int {
	return int(r.number(uint64(max(r.left, 0)) / uint64(bytes)))
}

func (r *snapshotReader) exact(t *exactTable) {
	t.mask = r.number(1<<64 - 1)
	r.numbers(t.key[:])
	region := r.count(regions * lineWords * 8)
	if region < 1 {
		r.fail("a table without lines")
		return
	}
	t.size.Add(-t.cur.Load().bytes())
	l := t.newLines(region)
	t.cur.Store(l)
	// Nobody else has it yet, so that its words may be written as plain ones.
	words := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(l.array))), len(l.array)*lineWords)
	r.numbers(words)
	lists, holds := r.lists(&t.size)
	for at, w := range words {
		if at%lineWords >= lineEntries || w == 0 {
			continue
		}
		switch {
		case w>>wordShift == 0, w&listed == 0 && !r.valid(ID(w&maxID)):
			r.fail("an item that isn't there")
		case w&listed != 0 && !take(holds, w&maxID):
			r.fail("a list of holders that isn't there")
		}
		l.used++
	}
	t.live.Store(int64(l.used))
	l.lists.Store(&lists)
	r.beside.Go(l.fillFilter)
}

// lists reads lists of holders. holds has for each whether it has one; take takes it.
func (r *snapshotReader) lists(size *atomic.Int64) (lists []*holders, holds []bool) {
	for range r.count(8) {
		ids := make([]uint64, r.count(8))
		r.numbers(ids)
		held := make([]ID, len(ids))
		for i, id := range ids {
			if held[i] = ID(id); r.err == nil && (id > maxID || !r.valid(ID(id))) {
				r.fail("an item that isn't there")
			}
		}
		if r.err != nil {
			return nil, nil
		}
		lists, holds = append(lists, newHolders(size, held...)), append(holds, true)
	}
	return lists, holds
}

// take reports whether there is a k-th list that no word had until now.
func take(lists []bool, k uint64) bool {
	if k >= uint64(len(lists)) || !lists[k] {
		return false
	}
	lists[k] = false
	return true
}

func (r *snapshotReader) table(t *table) {
	s := t.cur.Load()
	n := min(r.count(t.alg.Size()+8), maxRows)
	for row := 0; row < n; row += pageRows {
		s.rows.addPage()
	}
	pages := *s.rows.pages.Load()
	r.beside.Go(func() {
		for i := len(pages) - 1; i > 0; i-- {
			populate(pages[i].values)
		}
	})
	for i := range pages {
		r.bytes(pages[i].values[:min(pageRows, n-i*pageRows)*t.alg.Size()])
	}
	// Nobody else has them yet, so that words may be written as plain ones.
	plain := func(p *page) []uint64 {
		return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(p.words))), pageRows)
	}
	for i := range pages {
		r.numbers(plain(&pages[i])[:min(pageRows, n-i*pageRows)])
	}
	lists, holds := r.lists(&s.rows.listBytes)
	if r.err != nil {
		return
	}
	if s.rows.sketches != nil {
		for row := range uint32(n) {
			s.rows.sketches.set(row, s.rows.value(row))
		}
	}
	s.rows.n.Store(uint32(n))
	live := 0
	for i := range pages {
		for _, w := range plain(&pages[i])[:min(pageRows, n-i*pageRows)] {
			switch {
			case w == 0:
			case w&many == 0 && !r.valid(ID(w-1)):
				r.fail("an item that isn't there")
			case w&many != 0 && !take(holds, w&^many):
				r.fail("a list of holders that isn't there")
			case w&many == 0 || lists[w&^many].live > 0:
				live++
			}
		}
	}
	t.live.Store(int64(live))
	t.dead = n - live
	s.rows.lists.Store(&lists)
	r.beside.Go(func() { s.slots.fill(s.rows) })
	if s.segments = r.segments(uint32(n)); len(s.segments) > 0 {
		s.indexed = s.segments[len(s.segments)-1].hi
		if !t.alg.near() {
			r.fail("an index of what has none")
		}
	}
}

// Segments are written as their number, and of each the rows from … to, and of either
// parity how many rows it has, into how many chunks it is cut, and its arrays. A list
// has no chunks. Ranks are counted anew.

func (w *snapshotWriter) segments(segments []*segment) {
	w.numbers(uint64(len(segments)))
	for _, s := range segments {
		w.numbers(uint64(s.lo), uint64(s.hi))
		for _, p := range s.parts {
			if p == nil {
				w.numbers(0)
				continue
			}
			w.numbers(uint64(p.n), uint64(len(p.chunks)))
			w.array32(p.list)
			if len(p.chunks) > 0 {
				w.numbers(p.bitmap...)
				w.numbers(uint64(len(p.slots)), uint64(len(p.overflow)))
				w.array32(p.slots)
				w.array32(p.overflow)
			}
		}
	}
}

// array32 writes numbers of 32 bits, two in 64.
func (w *snapshotWriter) array32(list []uint32) {
	for len(list) > 0 && w.err == nil {
		n := min(len(list), snapshotBuffer/4)
		for i, v := range list[:n] {
			binary.LittleEndian.PutUint32(w.buf[4*i:], v)
		}
		size := 4 * n
		if n&1 != 0 {
			binary.LittleEndian.PutUint32(w.buf[size:], 0)
			size += 4
		}
		w.bytes(w.buf[:size])
		list = list[n:]
	}
}

func (r *snapshotReader) array32(to []uint32) {
	r.bytes(memoryOf(to))
	if len(to)&1 != 0 {
		r.bytes(make([]byte, 4))
	}
	if bigEndian {
		for i, v := range to {
			to[i] = bits.ReverseBytes32(v)
		}
	}
}

// segments reads the segments of the rows 0 … n-1.
func (r *snapshotReader) segments(n uint32) (segments []*segment) {
	lo := uint32(0)
	for range r.count(32) {
		s := &segment{lo: uint32(r.number(maxRows)), hi: uint32(r.number(uint64(n)))}
		if s.lo != lo || s.hi <= lo {
			r.fail("segments that don't adjoin")
		}
		for i := range s.parts {
			s.parts[i] = r.part(s)
		}
		if r.err != nil {
			return nil
		}
		lo = s.hi
		segments = append(segments, s)
	}
	return segments
}

func (r *snapshotReader) part(s *segment) *part {
	n := int(r.number(uint64(s.hi - s.lo)))
	if n == 0 || r.err != nil {
		return nil
	}
	p := &part{n: n}
	count := int(r.number(maxChunks))
	if count == 0 {
		p.list = r.rows(s, n)
		return p
	}
	if count < minChunks {
		r.fail("chunks that are too wide")
		return nil
	}
	if r.arrays(s, p, count); r.err != nil {
		return nil
	}
	p.plan()
	return p
}

// rows reads numbers of rows of a segment.
func (r *snapshotReader) rows(s *segment, n int) []uint32 {
	if int64(n)*4 > r.left {
		r.fail("more rows than there can be")
		return nil
	}
	list := make([]uint32, n)
	r.array32(list)
	for _, row := range list {
		r.row(s, row)
	}
	return list
}

// row checks that a row is one of the segment's.
func (r *snapshotReader) row(s *segment, row uint32) {
	if row < s.lo || row >= s.hi {
		r.fail("a row that isn't there")
	}
}

// arrays reads the arrays of a part. Ranks are counted anew; each key must have a slot, and
// what a slot leads to must be there.
func (r *snapshotReader) arrays(s *segment, p *part, count int) {
	var words int
	if p.chunks, words = newChunks(count); int64(words)*8 > r.left {
		r.fail("a bitmap that is too long")
		return
	}
	p.memory = newMemory()
	p.bitmap = newArray[uint64](p.memory, words)
	r.numbers(p.bitmap)
	p.ranks = newArray[uint32](p.memory, words/8)
	keys := uint32(0)
	for i := range p.chunks {
		c := &p.chunks[i]
		c.keys = p.rankWords(c.first, c.first+1<<c.width/64, keys)
		keys += c.keys
	}
	slots, overflow := r.count(4), r.count(4)
	if int64(slots+overflow)*4 > r.left || slots != int(keys) {
		r.fail("slots of other keys")
		return
	}
	p.slots, p.overflow = newArray[uint32](p.memory, slots), newArray[uint32](p.memory, overflow)
	r.array32(p.slots)
	r.array32(p.overflow)
	next := 0 // the lists stand end to end
	for _, x := range p.slots {
		if x&shared == 0 {
			r.row(s, x)
			continue
		}
		if int(x&^shared) != next {
			r.fail("a list of rows that isn't there")
		}
		for more := r.err == nil; more; next++ {
			if next >= overflow {
				r.fail("a list of rows without an end")
				return
			}
			r.row(s, p.overflow[next]&^last)
			more = p.overflow[next]&last == 0
		}
		if r.err != nil {
			return
		}
	}
}
