package feed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// Rules is what a State needs of a feed's newest charter.
type Rules struct {
	Cuts   []uint64 // the size at which each closed log was cut: of log 1, 2, …
	Review bool     // "use review"
	Log    int      // the current log
}

// Record is a head and its body.
type Record struct {
	Head []byte
	Body []byte // empty: none was promised, it was erased, or it is missing
}

// Change is what a record changes in the tables of hashes to match: those to enter for an item and those to take out. The tables hold for
// each item the hashes of all bodies that may come in force while it isn't retracted, whatever the limit; what a hit is worth then,
// [State.At] says. A hash is one by kind and value: if a revise changes its quality alone, there is no change.
type Change struct {
	Item   uint32
	List   []Hash
	Unlist []Hash
}

// ErrRebuild says that a State can't follow to a new charter, because it has applied what that charter makes void, or it is another
// feed's: make a new State and append everything again.
var ErrRebuild = errors.New("apply charter: it cuts what was applied: rebuild the state")

// BodyError says that the body of a record, which was there, can't be read: it must be fetched again and given to [State.SetBody].
type BodyError struct {
	At  Position
	Err error
}

func (e BodyError) Error() string { return fmt.Sprintf("read body of %v: %v", e.At, e.Err) }

func (e BodyError) Unwrap() error { return e.Err }

var (
	errOutOfTurn = errors.New("records out of turn")
	errBodyGone  = errors.New("a body in force is gone")
	errStopped   = errors.New("the feed holds an op of a later version: nothing is judged any more")
	errNoBody    = errors.New("the head promises a body and there is none")
	errBodyOther = errors.New("the body is not the head's")
	errUnknownOp = errors.New("an op of a later version")
)

// State is what the records of one feed, all its logs, come to: which heads are void, which bodies refused, what each item is worth. It is
// incremental: whatever order the bodies, suspensions and charters come in, it equals what applying everything at once would give.
//
// Append, SetBody, SetRules, SetSuspensions and SetOpened write; they may be called from any goroutine and take turns by a mutex. At, Item,
// ItemAt, ItemByID, Items, Size, Stopped and Check only read, and take no lock: an item is reached through arrays that only grow (chunks,
// idTable) and is itself a pointer to an immutable snapshot, which a writer replaces by one atomic store. So a reader sees an item before
// or after a record, never in between; a suspension or a retract past a cut lies in the snapshot too. It may see two items of one batch at
// different moments; nothing depends on that.
type State struct {
	body func(Position) ([]byte, error)

	view    atomic.Pointer[view]
	items   chunks[atomic.Pointer[Item]]
	count   atomic.Uint32
	ids     *idTable
	logs    atomic.Pointer[[]*logState] // by log number - 1; grows in place, as chunks do
	stopped atomic.Uint64               // the place of the first op of 128 or more, 0: none

	mu       sync.Mutex // the writers'; guards what follows
	ops      map[Op]uint64
	unjudged uint64
	beyond   map[ItemID][]int    // logs past whose cut a retract names the item, which may come into being later
	notes    map[place][]naming  // suspension lines that count, by the record they name, which may come later
	earliest map[uint32]earliest // by item: of each signer the earliest of its lines that count
}

// view is what readers need besides the items. It is immutable.
type view struct {
	rules  Rules
	opened map[int]int64 // by log, the earliest stamp held
}

// logState is what we keep of each record of a log.
type logState struct {
	size  atomic.Uint64
	owner chunks[atomic.Uint32] // by index: of non-void adds, revises and retracts the item's number + 1
	marks []mark                // under the writers' mutex; by index, ascending
}

// mark is a record without effect: void by code, or with code "" skipped.
type mark struct {
	index uint64
	code  VoidCode
}

// NewState makes the state of a feed without records. body reads an earlier body of the feed, to judge what a revise lowers and to take
// the hashes of a retracted item out of the tables; nil, nil means that it isn't there. It may be called from any goroutine.
func NewState(r Rules, body func(Position) ([]byte, error)) *State {
	s := &State{
		body:     body,
		ids:      newIDTable(),
		ops:      map[Op]uint64{},
		beyond:   map[ItemID][]int{},
		notes:    map[place][]naming{},
		earliest: map[uint32]earliest{},
	}
	s.view.Store(&view{rules: r.clone()})
	s.logs.Store(new([]*logState))
	return s
}

func (r Rules) clone() Rules {
	r.Cuts = slices.Clone(r.Cuts)
	return r
}

// cut returns where log was cut; ok is false for one that is open.
func (r Rules) cut(log int) (size uint64, ok bool) {
	if log < 1 || log > len(r.Cuts) {
		return 0, false
	}
	return r.Cuts[log-1], true
}

// SetRules follows to a newer charter. [ErrRebuild] where that can't be told from what was kept; then nothing has changed.
func (s *State) SetRules(r Rules) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := *s.view.Load()
	old := v.rules
	if r.Review != old.Review || r.Log < old.Log || len(r.Cuts) < len(old.Cuts) || !slices.Equal(r.Cuts[:len(old.Cuts)], old.Cuts) {
		return ErrRebuild
	}
	for log := len(old.Cuts) + 1; log <= len(r.Cuts); log++ {
		if s.Size(log) > r.Cuts[log-1] {
			return ErrRebuild
		}
	}
	v.rules = r.clone()
	s.view.Store(&v)
	return nil
}

// SetOpened says that stamp is the earliest held of log: a retract past the cut of the log before holds its item for 7 days from it.
func (s *State) SetOpened(log int, stamp int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := *s.view.Load()
	opened := map[int]int64{log: stamp}
	for l, t := range v.opened {
		if l != log {
			opened[l] = t
		}
	}
	v.opened = opened
	s.view.Store(&v)
}

// log returns what is kept of a log, nil if nothing is.
func (s *State) log(log int) *logState {
	if logs := *s.logs.Load(); log >= 1 && log <= len(logs) {
		return logs[log-1]
	}
	return nil
}

// Size returns how many records of a log were applied: the index that Append expects next.
func (s *State) Size(log int) uint64 {
	if l := s.log(log); l != nil {
		return l.size.Load()
	}
	return 0
}

// Stopped returns the record of the first op of 128 or more that doesn't lie past a cut. From there on nothing is judged.
func (s *State) Stopped() (Position, bool) {
	p := place(s.stopped.Load())
	return p.position(), p != 0
}

// Items returns how many items there are; their numbers are 0 and up, in the order of their adds.
func (s *State) Items() uint32 { return s.count.Load() }

// Item returns item n as it stands, nil if there is none.
func (s *State) Item(n uint32) *Item {
	if slot := s.items.at(uint64(n)); slot != nil {
		return slot.Load()
	}
	return nil
}

// ItemAt returns the number of the item that the record at p belongs to: a non-void add, revise or retract.
func (s *State) ItemAt(p Position) (n uint32, ok bool) {
	l := s.log(p.Log)
	if l == nil {
		return 0, false
	}
	slot := l.owner.at(p.Index)
	if slot == nil {
		return 0, false
	}
	n = slot.Load()
	return n - 1, n != 0
}

// ItemByID returns the number of the item with this id.
func (s *State) ItemByID(id ItemID) (n uint32, ok bool) {
	return s.ids.find(id, func(n uint32) bool { it := s.Item(n); return it != nil && it.id == id })
}

// At judges item n at now (Unix seconds). limit is how much of the current log counts for additions: what witnesses have seen and was
// completely fetched, less where the charter has expired; of a closed log all counts up to the cut, and a retract counts wherever it is
// stored. An n without item is pending.
func (s *State) At(n uint32, limit uint64, now int64) Standing {
	it := s.Item(n)
	if it == nil {
		return Standing{}
	}
	v := s.view.Load()
	return it.standing(edgeOf(v.rules.Log, limit), now, v.opened)
}

// Append applies the next records of a log: first is its size until now, and every earlier log reaches its cut (only what lies past a cut
// may come at any time). It returns what changes in the tables.
//
// Records out of turn are an error, and nothing is applied. Any other error is of [BodyError]s, and everything is applied: no retraction
// waits because the disk has lost a body. Where the body that a revise may not lower can't be read it counts as missing, until SetBody
// brings it. What can't be read can't be taken out of the tables either: its hashes stay there, and At says what they are worth.
func (s *State) Append(log int, first uint64, records []Record) ([]Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules := s.view.Load().rules
	if err := s.inTurn(rules, log, first, uint64(len(records))); err != nil {
		return nil, fmt.Errorf("append to log %d at %d: %w", log, first, err)
	}
	logs := *s.logs.Load()
	for len(logs) < log {
		logs = append(logs, &logState{})
	}
	s.logs.Store(&logs)
	a := appending{State: s, log: logs[log-1], first: placeOf(Position{log, first}), records: records, review: rules.Review}
	cut, closed := rules.cut(log)
	for i, r := range records {
		index := first + uint64(i)
		a.record(a.first+place(i), r, closed && index >= cut)
		a.log.size.Store(index + 1)
	}
	if a.lost != nil {
		return a.changes, fmt.Errorf("append to log %d at %d: %w", log, first, a.lost)
	}
	return a.changes, nil
}

// inTurn checks that the records are next. Once a later log has begun, what can still be next in an earlier one lies past its cut.
func (s *State) inTurn(rules Rules, log int, first, n uint64) error {
	if log < 1 || log > rules.Log || log > MaxLog || first != s.Size(log) || n > MaxSize-first {
		return errOutOfTurn
	}
	for l := 1; l < log; l++ {
		if cut, closed := rules.cut(l); !closed || s.Size(l) < cut {
			return errOutOfTurn
		}
	}
	return nil
}

// appending is one call of Append.
type appending struct {
	*State
	log     *logState
	first   place
	records []Record
	review  bool
	changes []Change
	lost    error // of bodies that couldn't be read
}

// read returns the body at p, which may be of this very batch.
func (a *appending) read(p place) ([]byte, error) {
	if p >= a.first && p < a.first+place(len(a.records)) {
		return a.records[p-a.first].Body, nil
	}
	return a.body(p.position())
}

// readOrMiss is read where what can't be read counts as missing.
func (a *appending) readOrMiss(p place) ([]byte, error) {
	raw, err := a.read(p)
	if err != nil {
		return nil, nil
	}
	return raw, nil
}

// record applies one record; past says that it lies past its log's cut.
func (a *appending) record(at place, r Record, past bool) {
	h, err := ParseHead(r.Head)
	known := err == nil
	index := at.position().Index
	switch {
	case past:
		a.log.marks = append(a.log.marks, mark{index, VoidCut})
		if known && h.Op == OpRetract {
			a.holdCut(at.position().Log, h.Item)
		}
	case a.stopped.Load() != 0:
		a.unjudged++
		if known && h.Op == OpRetract {
			a.holdStopped(h.Item)
		}
	case !known:
		a.log.marks = append(a.log.marks, mark{index, VoidForm})
	case h.Op >= opStop:
		a.stopped.Store(uint64(at))
	case h.Op >= opSkipped:
		a.log.marks = append(a.log.marks, mark{index, ""})
	case h.Op <= OpRetract:
		n, it, void := a.link(h)
		if void != nil {
			a.log.marks = append(a.log.marks, mark{index, void.Code})
		} else {
			a.apply(at, h, r.Body, n, it)
		}
	}
	if known {
		a.ops[h.Op]++
	}
}

// link finds the item that an add, revise or retract goes on with (of an add the number that it will have, and nil), or says why the
// head is void.
func (s *State) link(h Head) (n uint32, it *Item, void *VoidError) {
	n, ok := s.ItemByID(h.Item)
	if h.Op == OpAdd {
		if ok {
			return 0, nil, &VoidError{VoidID, "the item is there already"}
		}
		return s.count.Load(), nil, nil
	}
	chain := func(why string) (uint32, *Item, *VoidError) { return 0, nil, &VoidError{VoidChain, why} }
	if !ok {
		return chain("no such item")
	}
	it = s.Item(n)
	if h.Rev != it.Rev()+1 {
		return chain(fmt.Sprintf("rev %d after %d", h.Rev, it.Rev()))
	}
	if h.Op == OpRetract {
		if !slices.Equal(h.Targets, it.Records()) {
			return chain("targets are not the item's adds and revises")
		}
		return n, it, nil
	}
	switch {
	case h.Target != it.entry(it.len()-1).at.position():
		return chain("target is not the item's latest add or revise")
	case h.Reinstate && !it.Retracted():
		return chain("reinstates what isn't retracted")
	case !h.Reinstate && it.Retracted():
		return chain("revises what is retracted")
	case it.len() >= MaxRecords:
		return 0, nil, &VoidError{VoidMany, "the item has 64 adds and revises"}
	}
	return n, it, nil
}

// apply lets a non-void add, revise or retract act.
func (a *appending) apply(at place, h Head, raw []byte, n uint32, it *Item) {
	change := Change{Item: n}
	switch {
	case h.Op == OpRetract:
		unlist, err := a.hashes(it, a.read)
		if err != nil {
			a.lost = errors.Join(a.lost, err)
		}
		change.Unlist = unlist
		it = it.edit()
		it.more.retract, it.more.live = at, len(it.more.records)
		for i := range it.more.records {
			e := &it.more.records[i]
			if e.force = forceNone; e.content != contentAbsent {
				e.content = contentIdle
			}
		}
	default:
		prior := forceNone
		if h.Op == OpRevise && !h.Reinstate {
			prior = int(it.entry(it.len() - 1).force)
		}
		before, err := bodyInForce(it, prior, a.read)
		if err != nil {
			a.lost = errors.Join(a.lost, err)
			it = it.edit()
			before, _ = a.rejudge(it, a.readOrMiss) // which fails only if reading does
			prior = int(it.entry(it.len() - 1).force)
		}
		j := judge(raw, before, a.review)
		if h.Op == OpAdd {
			it = &Item{id: h.Item, first: at, listed: uint32(h.Time), notBefore: uint32(j.body.Facts.NotBefore), content: j.content}
			if logs := a.beyond[h.Item]; logs != nil {
				it = it.edit()
				it.more.cuts = logs
			}
		} else {
			it = it.edit()
			it.more.records = append(it.more.records, entry{at, uint32(j.body.Facts.NotBefore), j.content, j.force(prior, len(it.more.records))})
		}
		if e := it.entry(it.len() - 1); e.force == int8(it.len()-1) {
			change.List = j.body.Hashes
			if before != nil {
				change.List = subtract(j.body.Hashes, before.Hashes)
			}
		}
	}
	it.rev = uint8(h.Rev)
	it = a.name(at, n, it)
	a.items.grow(uint64(n)).Store(it)
	if h.Op == OpAdd {
		a.count.Store(n + 1)
		a.ids.add(it.id, n)
	}
	a.log.owner.grow(uint64(at.position().Index)).Store(n + 1)
	if len(change.List)+len(change.Unlist) > 0 {
		a.changes = append(a.changes, change)
	}
}

// judged is what one body comes to.
type judged struct {
	content content
	body    Body // if good
}

// judge judges a body; before is the one in force until now, nil where nothing can be lowered.
func judge(raw []byte, before *Body, review bool) judged {
	if len(raw) == 0 {
		return judged{content: contentAbsent}
	}
	b, err := ParseBody(raw)
	if err == nil {
		err = b.Judge(before, review)
	}
	var refused RefusedError
	if errors.As(err, &refused) {
		return judged{content: refusedAs(refused.Code)}
	}
	return judged{contentGood, b}
}

// force says what is in force after a record with this content, being number self of its item, where prior was in force before it.
// A gap lasts until a reinstate (whose prior is none): what is missing decides what later bodies lower.
func (j judged) force(prior, self int) int8 {
	switch {
	case prior == forceGap || j.content == contentAbsent:
		return forceGap
	case j.content == contentGood:
		return int8(self)
	}
	return int8(prior)
}

// bodyInForce reads the body of an item's record in force, nil where force is none or a gap.
func bodyInForce(it *Item, force int, read func(place) ([]byte, error)) (*Body, error) {
	if force < 0 {
		return nil, nil
	}
	at := it.entry(force).at
	raw, err := read(at)
	if err == nil && len(raw) == 0 {
		err = errBodyGone
	}
	var b Body
	if err == nil {
		b, err = ParseBody(raw)
	}
	if err != nil {
		return nil, BodyError{at.position(), err}
	}
	return &b, nil
}

// hashes returns what the tables hold for an item.
func (s *State) hashes(it *Item, read func(place) ([]byte, error)) ([]Hash, error) {
	i, ok := it.latest()
	if !ok {
		return nil, nil
	}
	b, err := bodyInForce(it, i, read)
	if err != nil {
		return nil, err
	}
	return b.Hashes, nil
}

// SetBody says that the body of the record at p, missing or erased until now, is here, or, where body is empty, that it was erased. The
// caller has compared it with its head's digest. It fails where p is no add or revise in effect, or an earlier body can't be read; then
// nothing has changed. Where the body that is gone was in force and can't be read any more, its hashes stay in the tables.
func (s *State) SetBody(p Position, body []byte) ([]Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := placeOf(p)
	n, ok := s.ItemAt(p)
	var old *Item
	i := -1
	if ok {
		old = s.Item(n)
		i = slices.IndexFunc(old.Records(), func(q Position) bool { return q == p })
	}
	if i < 0 {
		return nil, fmt.Errorf("set body of %v: no add or revise in effect", p)
	}
	if here := old.entry(i).content != contentAbsent; here == (len(body) > 0) {
		return nil, nil
	}
	it := old.edit()
	if i < it.more.live { // a retract lists it: it isn't judged
		it.more.records[i].content = contentAbsent
		if len(body) > 0 {
			it.more.records[i].content = contentIdle
		}
		s.items.at(uint64(n)).Store(it)
		return nil, nil
	}
	read := func(q place) ([]byte, error) {
		if q == at {
			return body, nil
		}
		return s.body(q.position())
	}
	before, err := s.hashes(old, func(q place) ([]byte, error) { return s.body(q.position()) })
	if err != nil && len(body) > 0 {
		return nil, fmt.Errorf("set body of %v: %w", p, err)
	}
	if _, err := s.rejudge(it, read); err != nil {
		return nil, fmt.Errorf("set body of %v: %w", p, err)
	}
	after, err := s.hashes(it, read)
	if err != nil {
		return nil, fmt.Errorf("set body of %v: %w", p, err)
	}
	s.items.at(uint64(n)).Store(it)
	change := Change{n, subtract(after, before), subtract(before, after)}
	if len(change.List)+len(change.Unlist) == 0 {
		return nil, nil
	}
	return []Change{change}, nil
}

// rejudge judges all bodies of an item's records since its newest retract once more, and returns the one in force after them, if any.
// The item is being edited.
func (s *State) rejudge(it *Item, read func(place) ([]byte, error)) (*Body, error) {
	review := s.view.Load().rules.Review
	prior, before := forceNone, (*Body)(nil)
	for i := it.more.live; i < len(it.more.records); i++ {
		e := &it.more.records[i]
		raw, err := read(e.at)
		if err != nil {
			return nil, BodyError{e.at.position(), err}
		}
		j := judge(raw, before, review)
		e.content, e.notBefore, e.force = j.content, uint32(j.body.Facts.NotBefore), j.force(prior, i)
		switch prior = int(e.force); prior {
		case i:
			before = &j.body
		case forceGap:
			before = nil
		}
	}
	return before, nil
}

// holdCut lets a retract past the cut of log hold its item, which may come into being in a later log.
func (s *State) holdCut(log int, id ItemID) {
	logs := s.beyond[id]
	if slices.Contains(logs, log) {
		return
	}
	logs = append(slices.Clip(logs), log)
	s.beyond[id] = logs
	if n, ok := s.ItemByID(id); ok {
		it := s.Item(n).edit()
		it.more.cuts = logs
		s.items.at(uint64(n)).Store(it)
	}
}

// HoldPast lets retracts past the end of log hold their items, though the log here doesn't have them: of the other branch of a log that has
// said two things (WIRE §6). They hold as those past a cut do: for 7 days from the next log's opening, and until there is one.
func (s *State) HoldPast(log int, ids ...ItemID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.holdCut(log, id)
	}
}

// holdStopped lets a retract that can't be judged hold its item. Items no longer come into being then.
func (s *State) holdStopped(id ItemID) {
	if n, ok := s.ItemByID(id); ok {
		it := *s.Item(n)
		it.stopped = true
		s.items.at(uint64(n)).Store(&it)
	}
}

// Check says what would become of a record that were appended next, for its publisher before signing: nil, a [VoidError], a
// [RefusedError], or another error where it is nothing that a publisher of this version may sign.
func (s *State) Check(log int, index uint64, r Record) error {
	rules := s.view.Load().rules
	if cut, closed := rules.cut(log); closed && index >= cut {
		return VoidError{VoidCut, "the log is closed"}
	}
	if at, stopped := s.Stopped(); stopped {
		return fmt.Errorf("check record: %w (since %v)", errStopped, at)
	}
	h, err := ParseHead(r.Head)
	if err != nil {
		return err
	}
	if h.Op >= opSkipped {
		return fmt.Errorf("check record: %w", errUnknownOp)
	}
	digest, promised := PromisedBody(r.Head)
	switch {
	case promised && len(r.Body) == 0:
		return fmt.Errorf("check record: %w", errNoBody)
	case promised != (len(r.Body) > 0), promised && sha256.Sum256(r.Body) != digest:
		return fmt.Errorf("check record: %w", errBodyOther)
	case h.Op > OpRetract:
		return nil
	}
	_, it, void := s.link(h)
	if void != nil {
		return *void
	}
	if h.Op == OpRetract {
		return nil
	}
	prior := forceNone
	if h.Op == OpRevise && !h.Reinstate {
		prior = int(it.entry(it.len() - 1).force)
	}
	before, err := bodyInForce(it, prior, func(q place) ([]byte, error) { return s.body(q.position()) })
	if err != nil {
		return fmt.Errorf("check record: %w", err)
	}
	b, err := ParseBody(r.Body)
	if err != nil {
		return err
	}
	return b.Judge(before, rules.Review)
}
