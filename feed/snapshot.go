package feed

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// A Snapshot is a [State] as it is at one moment, to be written to a file: a node that has millions of records doesn't judge all of them
// again at each start. What is written is blocks, each a length (4 bytes, little-endian) and as many bytes; in them values, none of which
// lies in two blocks:
//
//	"hashfeed-state/1"
//	the rules, the earliest stamp held of each log, where we stopped, how many heads of each op there are
//	of each log its size, its records without effect
//	the items by number: 16 bytes of id, and what differs from a single add whose body is in force
//	the records that belong to an item and aren't told by it: older retracts
//	the retracts past a cut; the lines of suspensions that count
//
// Numbers are varints. Equal states give equal bytes. The bytes aren't for strangers: whoever keeps them seals them, and binds them to the
// records of which they tell.
type Snapshot struct {
	view     *view
	items    []*Item
	logs     []snapshotLog
	stopped  uint64
	unjudged uint64
	ops      map[Op]uint64
	beyond   map[ItemID][]int
	notes    map[place][]naming
}

// snapshotLog is a log in a snapshot: owner goes on growing, past size.
type snapshotLog struct {
	size  uint64
	owner *chunks[atomic.Uint32]
	marks []mark
}

const snapshotMagic = "hashfeed-state/1"

// Snapshot takes a snapshot, while whoever writes waits: some 20 ms for a million items.
func (s *State) Snapshot() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &Snapshot{view: s.view.Load(), items: make([]*Item, s.count.Load()), stopped: s.stopped.Load(), unjudged: s.unjudged, ops: maps.Clone(s.ops),
		beyond: maps.Clone(s.beyond), notes: s.notes}
	for n := range m.items {
		m.items[n] = s.Item(uint32(n))
	}
	for _, l := range *s.logs.Load() {
		m.logs = append(m.logs, snapshotLog{l.size.Load(), &l.owner, l.marks})
	}
	return m
}

// Sizes are how many records of each log the snapshot tells of: of log 1, 2, …
func (m *Snapshot) Sizes() []uint64 {
	sizes := make([]uint64, len(m.logs))
	for i, l := range m.logs {
		sizes[i] = l.size
	}
	return sizes
}

// Items is how many items it has.
func (m *Snapshot) Items() uint32 { return uint32(len(m.items)) }

// Flags of an item.
const (
	itemMore      = 1 << iota // a history follows
	itemStopped               // Item.stopped
	itemNotBefore             // Item.notBefore follows
	itemRev                   // Item.rev isn't 1, and follows
	itemContent   = 4         // above it is the content
)

// Write writes the snapshot.
func (m *Snapshot) Write(out io.Writer) error {
	w := &snapshotWriter{out: out}
	w.buf = append(w.buf, snapshotMagic...)
	w.end()
	m.writeHead(w)
	for _, l := range m.logs {
		w.uint(l.size)
		w.uint(uint64(len(l.marks)))
		w.end()
		last := uint64(0)
		for _, k := range l.marks {
			w.uint(k.index - last)
			w.uint(uint64(slices.Index(markCodes[:], k.code)))
			w.end()
			last = k.index
		}
	}
	last := Item{}
	for _, it := range m.items {
		w.item(it, &last)
		w.end()
	}
	m.writeOwners(w)
	for _, id := range slices.SortedFunc(maps.Keys(m.beyond), func(a, b ItemID) int { return bytes.Compare(a[:], b[:]) }) {
		w.buf = append(w.buf, id[:]...)
		w.uint(uint64(len(m.beyond[id])))
		for _, log := range m.beyond[id] {
			w.uint(uint64(log))
		}
		w.end()
	}
	for _, at := range slices.Sorted(maps.Keys(m.notes)) {
		w.uint(uint64(at))
		w.uint(uint64(len(m.notes[at])))
		w.end()
		for _, l := range m.notes[at] {
			w.buf = append(w.buf, l.signer[:]...)
			w.int(l.time)
			w.end()
		}
	}
	w.flush()
	if w.err != nil {
		return fmt.Errorf("write snapshot of a feed: %w", w.err)
	}
	return nil
}

func (m *Snapshot) writeHead(w *snapshotWriter) {
	r := m.view.rules
	w.uint(uint64(r.Log))
	w.bool(r.Review)
	w.uint(uint64(len(r.Cuts)))
	w.end()
	for _, cut := range r.Cuts {
		w.uint(cut)
		w.end()
	}
	w.uint(uint64(len(m.view.opened)))
	w.end()
	for _, log := range slices.Sorted(maps.Keys(m.view.opened)) {
		w.uint(uint64(log))
		w.int(m.view.opened[log])
		w.end()
	}
	w.uint(m.stopped)
	w.uint(m.unjudged)
	w.uint(uint64(len(m.ops)))
	w.end()
	for _, op := range slices.Sorted(maps.Keys(m.ops)) {
		w.uint(uint64(op))
		w.uint(m.ops[op])
		w.end()
	}
	for _, n := range []int{len(m.logs), len(m.items), len(m.beyond), len(m.notes)} {
		w.uint(uint64(n))
	}
	w.end()
}

// markCodes are what a mark can say, by what stands for it in a snapshot.
var markCodes = [...]VoidCode{"", VoidCut, VoidForm, VoidID, VoidChain, VoidMany}

// writeOwners writes which records belong to an item that doesn't name them, and 0 behind the last of a log.
func (m *Snapshot) writeOwners(w *snapshotWriter) {
	for i, l := range m.logs {
		last := uint64(0) // an index + 1
		for index := range l.size {
			slot := l.owner.at(index)
			if slot == nil {
				break
			}
			n := slot.Load()
			if n == 0 || m.items[n-1].names(placeOf(Position{i + 1, index})) {
				continue
			}
			w.uint(index + 1 - last)
			w.uint(uint64(n))
			w.end()
			last = index + 1
		}
		w.uint(0)
		w.end()
	}
}

// names says whether the item tells that the record at a place is one of its own.
func (it *Item) names(at place) bool {
	if it.more == nil {
		return it.first == at
	}
	if it.more.retract == at {
		return true
	}
	_, ok := slices.BinarySearchFunc(it.more.records, at, func(e entry, at place) int { return cmp.Compare(e.at, at) })
	return ok
}

// snapshotWriter gathers values into blocks.
type snapshotWriter struct {
	out io.Writer
	buf []byte
	err error
}

func (w *snapshotWriter) uint(n uint64) { w.buf = binary.AppendUvarint(w.buf, n) }
func (w *snapshotWriter) int(n int64)   { w.buf = binary.AppendVarint(w.buf, n) }
func (w *snapshotWriter) bool(b bool) {
	if b {
		w.uint(1)
	} else {
		w.uint(0)
	}
}

// end says that no value goes on: a block may end here.
func (w *snapshotWriter) end() {
	if len(w.buf) >= snapshotBlock {
		w.flush()
	}
}

func (w *snapshotWriter) flush() {
	if w.err == nil && len(w.buf) > 0 {
		var n [4]byte
		binary.LittleEndian.PutUint32(n[:], uint32(len(w.buf)))
		if _, w.err = w.out.Write(n[:]); w.err == nil {
			_, w.err = w.out.Write(w.buf)
		}
	}
	w.buf = w.buf[:0]
}

// item writes an item. Of last, the one before it, nothing but first and listed counts.
func (w *snapshotWriter) item(it, last *Item) {
	first := it.entry(0)
	flags := byte(first.content) << itemContent
	if it.more != nil {
		flags |= itemMore
	}
	if it.stopped {
		flags |= itemStopped
	}
	if first.notBefore != 0 {
		flags |= itemNotBefore
	}
	if it.rev != 1 {
		flags |= itemRev
	}
	w.buf = append(w.buf, flags)
	w.buf = append(w.buf, it.id[:]...)
	w.uint(uint64(it.first - last.first))
	w.int(int64(it.listed) - int64(last.listed))
	last.first, last.listed = it.first, it.listed
	if first.notBefore != 0 {
		w.uint(uint64(first.notBefore))
	}
	if it.rev != 1 {
		w.buf = append(w.buf, it.rev)
	}
	if it.more == nil {
		return
	}
	w.uint(uint64(len(it.more.records)))
	w.uint(uint64(first.force + snapshotForce))
	for i, e := range it.more.records[1:] {
		w.uint(uint64(e.at - it.more.records[i].at))
		w.uint(uint64(e.notBefore))
		w.uint(uint64(e.content))
		w.uint(uint64(e.force + snapshotForce))
	}
	w.uint(uint64(it.more.live))
	w.uint(uint64(it.more.retract))
}

// snapshotForce makes an entry's force a number of 0 and up.
const snapshotForce = -forceGap

var (
	errSnapshot    = errors.New("snapshot of a feed")
	errSnapshotEnd = fmt.Errorf("%w: cut off, or a value lies in two blocks", errSnapshot)
)

// LoadState makes the state again of which a snapshot was written. body is as for [NewState]; sizes are how many records of each log there
// are, of log 1, 2, …: a snapshot tells of no others. What can't be a snapshot is an error; that it is one of these very records the caller
// knows. The state has the rules, suspensions and stamps of its time: SetRules, SetSuspensions and SetOpened lead on from there, and Append
// of what has come since.
func LoadState(in io.Reader, body func(Position) ([]byte, error), sizes []uint64) (*State, error) {
	r := &snapshotReader{in: in, sizes: sizes}
	s := NewState(Rules{}, body)
	r.state(s)
	r.beside.Wait()
	if r.err == nil && len(r.rest) > 0 {
		r.fail("more than a snapshot")
	}
	if r.err != nil {
		return nil, r.err
	}
	return s, nil
}

// snapshotReader takes values out of blocks. After an error it gives zeros.
type snapshotReader struct {
	in    io.Reader
	sizes []uint64
	block []byte
	rest  []byte
	err   error

	beside sync.WaitGroup // of what populates memory, while it is filled
}

func (r *snapshotReader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errSnapshot, why)
	}
	r.rest = nil
}

func (r *snapshotReader) must(ok bool, why string) {
	if !ok {
		r.fail(why)
	}
}

// next is called where a block may end.
func (r *snapshotReader) next() {
	if len(r.rest) > 0 || r.err != nil {
		return
	}
	var n [4]byte
	if _, err := io.ReadFull(r.in, n[:]); err != nil {
		r.err = fmt.Errorf("%w: %w", errSnapshot, err)
		return
	}
	size := binary.LittleEndian.Uint32(n[:])
	if size == 0 || size > maxSnapshotBlock {
		r.fail("a block of 0 bytes, or too many")
		return
	}
	r.block = slices.Grow(r.block[:0], int(size))[:size]
	if _, err := io.ReadFull(r.in, r.block); err != nil {
		r.err = fmt.Errorf("%w: %w", errSnapshot, err)
		return
	}
	r.rest = r.block
}

func (r *snapshotReader) uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		if r.err == nil {
			r.err = errSnapshotEnd
		}
		r.rest = nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// upTo reads a number of at most most.
func (r *snapshotReader) upTo(most uint64) uint64 {
	n := r.uint()
	if n > most {
		r.fail("a number is too large")
		return 0
	}
	return n
}

func (r *snapshotReader) int() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *snapshotReader) byte() byte {
	var b [1]byte
	r.bytes(b[:])
	return b[0]
}

func (r *snapshotReader) bytes(to []byte) {
	if len(r.rest) < len(to) {
		if r.err == nil {
			r.err = errSnapshotEnd
		}
		r.rest = nil
		return
	}
	copy(to, r.rest)
	r.rest = r.rest[len(to):]
}

// place reads one above `above`, of a record that there is.
func (r *snapshotReader) place(above place) place { return r.checked(above + place(r.uint())) }

func (r *snapshotReader) checked(at place) place {
	p := at.position()
	if at>>40 > MaxLog || p.Log < 1 || p.Log > len(r.sizes) || p.Index >= r.sizes[p.Log-1] {
		r.fail("it tells of a record that isn't here")
		return 0
	}
	return at
}

func (r *snapshotReader) state(s *State) {
	magic := make([]byte, len(snapshotMagic))
	r.next()
	r.bytes(magic)
	r.must(r.err != nil || string(magic) == snapshotMagic, "of another version")
	v, logs, items, beyond, notes := r.head(s)
	s.view.Store(v)
	all := make([]*logState, 0, logs)
	for log := range logs {
		l := &logState{}
		all = append(all, l)
		r.log(l, r.sizes[log])
	}
	s.logs.Store(&all)
	r.items(s, all, items)
	for _, l := range all {
		r.owners(l, items)
	}
	for ; beyond > 0 && r.err == nil; beyond-- {
		r.beyond(s)
	}
	for ; notes > 0 && r.err == nil; notes-- {
		r.note(s)
	}
	if r.err != nil {
		return
	}
	for at, lines := range s.notes {
		if n, ok := s.ItemAt(at.position()); ok {
			s.earliest[n] = s.earliest[n].with(lines)
		}
	}
	for n := range s.earliest {
		s.setTimes(n)
	}
}

func (r *snapshotReader) head(s *State) (v *view, logs, items, beyond, notes uint64) {
	r.next()
	v = &view{rules: Rules{Log: int(r.upTo(MaxLog)), Review: r.upTo(1) == 1}}
	cuts := r.upTo(MaxLog)
	for range cuts {
		r.next()
		v.rules.Cuts = append(v.rules.Cuts, r.upTo(MaxSize))
	}
	r.next()
	opened := r.upTo(MaxLog)
	for range opened {
		if v.opened == nil {
			v.opened = map[int]int64{}
		}
		r.next()
		log := int(r.upTo(MaxLog))
		v.opened[log] = r.int()
	}
	r.next()
	stopped := place(r.uint())
	if stopped != 0 {
		r.checked(stopped)
	}
	s.stopped.Store(uint64(stopped))
	s.unjudged = r.uint()
	ops := r.uint()
	for range ops {
		r.next()
		op := Op(r.upTo(uint64(^Op(0))))
		s.ops[op] = r.uint()
		if r.err != nil {
			break
		}
	}
	r.next()
	logs = r.upTo(uint64(len(r.sizes)))
	return v, logs, r.upTo(1<<32 - 1), r.uint(), r.uint()
}

func (r *snapshotReader) log(l *logState, size uint64) {
	r.next()
	l.size.Store(r.upTo(size))
	marks, last := r.uint(), uint64(0)
	for i := range marks {
		r.next()
		step := r.uint()
		r.must(i == 0 || step > 0, "marks that don't ascend")
		last += r.within(step, l.size.Load()-last)
		code := r.upTo(uint64(len(markCodes) - 1))
		if r.err != nil {
			return
		}
		l.marks = append(l.marks, mark{last, markCodes[code]})
	}
}

// within is n, which must be below end.
func (r *snapshotReader) within(n, end uint64) uint64 {
	if n >= end {
		r.fail("it tells of a record that isn't here")
		return 0
	}
	return n
}

// items reads the items, many at a time: they lie side by side.
func (r *snapshotReader) items(s *State, logs []*logState, count uint64) {
	last := Item{}
	for n := uint64(0); n < count && r.err == nil; {
		slab := inHugePages(make([]Item, min(count-n, snapshotStep)))
		r.beside.Go(func() { populate(slab) })
		s.items.reserve(n + uint64(len(slab)))
		for i := range slab {
			r.next()
			if r.item(&slab[i], &last, logs, uint32(n)); r.err != nil {
				return
			}
			s.items.at(n).Store(&slab[i])
			n++
		}
	}
	if r.err != nil {
		return
	}
	s.count.Store(uint32(count))
	s.ids.fill(count, func(n uint64) *ItemID { return &s.Item(uint32(n)).id })
}

// own says of a record that it is item n's.
func (r *snapshotReader) own(logs []*logState, at place, n uint32) {
	p := at.position()
	if p.Log < 1 || p.Log > len(logs) || p.Index >= logs[p.Log-1].size.Load() {
		r.fail("it tells of a record that isn't here")
		return
	}
	logs[p.Log-1].own(p.Index, n)
}

// own says of a record below size, of a log that is being loaded, that it is item n's.
func (l *logState) own(index uint64, n uint32) {
	slot := l.owner.at(index)
	if slot == nil {
		l.owner.reserve(min(index+snapshotStep, l.size.Load()))
		slot = l.owner.at(index)
	}
	slot.Store(n + 1)
}

func (r *snapshotReader) item(it, last *Item, logs []*logState, n uint32) {
	flags := r.byte()
	r.bytes(it.id[:])
	it.first = r.place(last.first)
	r.must(r.err != nil || it.first > last.first, "items that don't ascend")
	listed := int64(last.listed) + r.int()
	r.must(listed >= 0 && listed <= maxSecs, "a time out of range")
	it.listed, it.rev, it.stopped = uint32(listed), 1, flags&itemStopped != 0
	it.content = r.content(uint64(flags >> itemContent))
	if flags&itemNotBefore != 0 {
		it.notBefore = uint32(r.upTo(maxSecs))
	}
	if flags&itemRev != 0 {
		it.rev = r.byte()
	}
	if r.err != nil {
		return
	}
	r.own(logs, it.first, n)
	last.first, last.listed = it.first, it.listed
	if flags&itemMore == 0 {
		return
	}
	count := r.upTo(MaxRecords)
	r.must(count > 0, "an item without records")
	h := &history{records: make([]entry, count)}
	for i := range h.records {
		e := &h.records[i]
		if i == 0 {
			*e = entry{at: it.first, notBefore: it.notBefore, content: it.content}
		} else {
			e.at = r.place(h.records[i-1].at)
			e.notBefore = uint32(r.upTo(maxSecs))
			e.content = r.content(r.uint())
			r.must(e.at > h.records[i-1].at, "records that don't ascend")
		}
		e.force = int8(r.upTo(count-1+snapshotForce)) - snapshotForce
		r.must(int(e.force) <= i, "a record in force that comes later")
		if r.err != nil {
			return
		}
		r.own(logs, e.at, n)
	}
	h.live = int(r.upTo(count))
	if h.retract = place(r.uint()); h.retract != 0 {
		if r.checked(h.retract); r.err != nil {
			return
		}
		r.own(logs, h.retract, n)
	}
	it.more = h
}

func (r *snapshotReader) content(n uint64) content {
	if n >= uint64(contentRefused)+uint64(len(refuseCodes)) {
		r.fail("a body is neither here nor judged")
	}
	return content(n)
}

// owners reads the records that no item names.
func (r *snapshotReader) owners(l *logState, items uint64) {
	last := uint64(0)
	for r.err == nil {
		r.next()
		step := r.uint()
		if step == 0 {
			return
		}
		index := r.within(last+step-1, l.size.Load())
		n := r.upTo(items)
		r.must(n > 0, "a record of no item")
		if r.err != nil {
			return
		}
		l.own(index, uint32(n-1))
		last = index + 1
	}
}

func (r *snapshotReader) beyond(s *State) {
	r.next()
	var id ItemID
	r.bytes(id[:])
	for range r.upTo(MaxLog) {
		log := int(r.upTo(MaxLog))
		if r.err != nil {
			return
		}
		s.holdCut(log, id)
	}
}

func (r *snapshotReader) note(s *State) {
	r.next()
	at := place(r.uint())
	lines := r.uint()
	for range lines {
		r.next()
		var l naming
		r.bytes(l.signer[:])
		l.time = r.int()
		if r.err != nil {
			return
		}
		s.notes[at] = append(s.notes[at], l)
	}
}
