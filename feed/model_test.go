package feed

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
)

// world is everything that a State is told of one feed, as it stands at a moment.
type world struct {
	rules  Rules
	logs   [][]Record // a closed one possibly beyond its cut
	notes  []Suspending
	opened map[int]int64
}

// model is what a world comes to, computed naively: everything from the beginning, with maps, after WIRE sections 2, 4, 5 and 7. It takes
// from the package only how single heads and bodies are read and judged, which has its own tests.
type model struct {
	items    map[ItemID]*modelItem
	order    []ItemID
	owner    map[Position]ItemID
	listed   map[Position]bool // by a non-void retract
	ops      map[Op]uint64
	void     map[Position]VoidCode
	refused  map[Position]RefuseCode
	skipped  []Position
	stopped  *Position
	unjudged uint64
	missing  []Position
	erased   []Position
	beyond   map[ItemID][]int
	after    map[ItemID]bool
	lines    map[ItemID]map[[32]byte]int64 // earliest line that counts, of each signer
}

type modelItem struct {
	records   []Position
	rev       int
	retracted bool
	events    []modelEvent
}

// modelEvent is a non-void add, revise or retract, and what is in force after it: nil is nothing, or what can't be told.
type modelEvent struct {
	at   Position
	head Head
	body *modelBody
}

type modelBody struct {
	at   Position
	body Body
	gap  bool
}

func newModel() *model {
	return &model{items: map[ItemID]*modelItem{}, owner: map[Position]ItemID{}, listed: map[Position]bool{}, ops: map[Op]uint64{},
		void: map[Position]VoidCode{}, refused: map[Position]RefuseCode{}, beyond: map[ItemID][]int{}, after: map[ItemID]bool{}}
}

// head applies one head.
func (m *model) head(at Position, raw []byte, past bool) {
	h, err := ParseHead(raw)
	if err == nil {
		m.ops[h.Op]++
	}
	switch {
	case past:
		m.void[at] = VoidCut
		if err == nil && h.Op == OpRetract {
			m.beyond[h.Item] = append(m.beyond[h.Item], at.Log)
		}
	case m.stopped != nil:
		m.unjudged++
		if err == nil && h.Op == OpRetract {
			m.after[h.Item] = true
		}
	case err != nil:
		m.void[at] = VoidForm
	case h.Op >= 128:
		m.stopped = &at
	case h.Op >= 7:
		m.skipped = append(m.skipped, at)
	case h.Op <= OpRetract:
		m.link(at, h)
	}
}

func (m *model) link(at Position, h Head) {
	it := m.items[h.Item]
	switch {
	case h.Op == OpAdd && it != nil:
		m.void[at] = VoidID
		return
	case h.Op == OpAdd:
		it = &modelItem{}
		m.items[h.Item] = it
		m.order = append(m.order, h.Item)
	case it == nil || h.Rev != it.rev+1,
		h.Op == OpRetract && !slices.Equal(h.Targets, it.records),
		h.Op == OpRevise && h.Target != it.records[len(it.records)-1],
		h.Op == OpRevise && h.Reinstate != it.retracted:
		m.void[at] = VoidChain
		return
	case h.Op == OpRevise && len(it.records) == 64:
		m.void[at] = VoidMany
		return
	}
	it.rev, it.retracted = h.Rev, h.Op == OpRetract
	m.owner[at] = h.Item
	it.events = append(it.events, modelEvent{at: at, head: h})
	if h.Op != OpRetract {
		it.records = append(it.records, at)
		return
	}
	for _, p := range it.records {
		m.listed[p] = true
	}
}

// bodies judges the bodies of an item.
func (m *model) bodies(w *world, it *modelItem) {
	var now *modelBody
	for i := range it.events {
		e := &it.events[i]
		if e.head.Op != OpRetract {
			raw := w.logs[e.at.Log-1][e.at.Index].Body
			if e.head.Reinstate {
				now = nil
			}
			switch {
			case m.listed[e.at]:
				now = nil
				if len(raw) == 0 {
					m.erased = append(m.erased, e.at)
				}
			case len(raw) == 0:
				m.missing = append(m.missing, e.at)
				now = &modelBody{gap: true}
			default:
				var before *Body
				if now != nil && !now.gap && !e.head.Reinstate {
					before = &now.body
				}
				b, err := ParseBody(raw)
				if err == nil {
					err = b.Judge(before, w.rules.Review)
				}
				if err != nil {
					m.refused[e.at] = err.(RefusedError).Code
				} else if now == nil || !now.gap {
					now = &modelBody{at: e.at, body: b}
				}
			}
		}
		e.body = now
	}
}

// suspensions finds the lines that count.
func (m *model) suspensions(notes []Suspending) {
	m.lines = map[ItemID]map[[32]byte]int64{}
	notes = slices.Clone(notes)
	slices.SortFunc(notes, func(a, b Suspending) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), bytes.Compare(a.Sum[:], b.Sum[:]))
	})
	used := map[[32]byte][]int64{}
	for _, n := range notes {
		for _, signer := range n.Signers {
			room := 1000
			for _, t := range used[signer] {
				if t > n.Time-72*3600 {
					room--
				}
			}
			for _, p := range n.Items[:min(room, len(n.Items))] {
				used[signer] = append(used[signer], n.Time)
				id, ok := m.owner[p]
				if !ok {
					continue
				}
				if m.lines[id] == nil {
					m.lines[id] = map[[32]byte]int64{}
				}
				if _, ok := m.lines[id][signer]; !ok {
					m.lines[id][signer] = n.Time
				}
			}
		}
	}
}

// compute makes the model of a world.
func compute(w *world) *model {
	m := newModel()
	for l, records := range w.logs {
		cut, closed := w.rules.cut(l + 1)
		for i, r := range records {
			m.head(Position{l + 1, uint64(i)}, r.Head, closed && uint64(i) >= cut)
		}
	}
	for _, id := range m.order {
		m.bodies(w, m.items[id])
	}
	m.suspensions(w.notes)
	slices.SortFunc(m.missing, Position.Compare)
	return m
}

// at is State.At.
func (m *model) at(w *world, id ItemID, limit uint64, now int64) Standing {
	it := m.items[id]
	st := Standing{Listed: it.events[0].head.Time}
	counts := func(p Position) bool { return p.Log < w.rules.Log || p.Log == w.rules.Log && p.Index < limit }
	var last *modelEvent
	for i := range it.events {
		e := &it.events[i]
		if counts(e.at) {
			last = e
		} else if e.head.Op == OpRetract {
			st.Status = Retracted
		}
	}
	if last != nil && last.head.Op == OpRetract {
		st.Status = Retracted
	}
	if st.Status == Retracted || last == nil || last.body == nil || last.body.gap {
		return st
	}
	st.Body = last.body.at
	if last.body.body.Facts.NotBefore > now {
		return st
	}
	st.Status = Active
	if m.after[id] {
		st.Why = WhyStopped
	}
	for _, log := range m.beyond[id] {
		if stamp, ok := w.opened[log+1]; !ok || now < stamp+7*86400 {
			st.Why = WhyCut
		}
	}
	for _, t := range m.lines[id] {
		if t <= now+300 && now < t+72*3600 {
			st.Why = WhySuspended
		}
	}
	if st.Why != "" {
		st.Status = Held
	}
	return st
}

type tableKey struct {
	alg   Alg
	value string
}

// table is what the match tables must hold for an item.
func (m *model) table(id ItemID) map[tableKey]bool {
	all := map[tableKey]bool{}
	it := m.items[id]
	for i, e := range it.events {
		later := func(e modelEvent) bool { return e.head.Op == OpRetract }
		if e.body == nil || e.body.gap || slices.ContainsFunc(it.events[i:], later) {
			continue
		}
		for _, h := range e.body.body.Hashes {
			all[tableKey{h.Alg, h.Value}] = true
		}
	}
	return all
}

func (m *model) report(w *world, limit uint64, now int64) Report {
	const name = Name("a.example/b")
	r := Report{Records: map[string]uint64{}, Void: map[VoidCode][]Ref{}, Refused: map[RefuseCode][]Ref{}, Missing: []Ref{}, Items: []Listing{}, Skipped: []Ref{},
		Unjudged: m.unjudged}
	for op, n := range m.ops {
		r.Records[op.String()] = n
	}
	for _, p := range slices.SortedFunc(maps.Keys(m.void), Position.Compare) {
		r.Void[m.void[p]] = append(r.Void[m.void[p]], name.Ref(p))
	}
	for _, p := range slices.SortedFunc(maps.Keys(m.refused), Position.Compare) {
		r.Refused[m.refused[p]] = append(r.Refused[m.refused[p]], name.Ref(p))
	}
	for _, p := range m.missing {
		r.Missing = append(r.Missing, name.Ref(p))
	}
	for _, p := range m.skipped {
		r.Skipped = append(r.Skipped, name.Ref(p))
	}
	if m.stopped != nil {
		ref := name.Ref(*m.stopped)
		r.Stopped = &ref
	}
	r.Counts.Erased = uint64(len(m.erased))
	for _, id := range m.order {
		st := m.at(w, id, limit, now)
		switch st.Status {
		case Pending:
			r.Counts.Pending++
		case Held:
			r.Counts.Held++
		case Retracted:
			r.Counts.Retracted++
		case Active:
			r.Counts.Active++
			l := Listing{Ref: name.Ref(m.items[id].records[0])}
			b, err := ParseBody(w.logs[st.Body.Log-1][st.Body.Index].Body)
			if err != nil {
				panic(err)
			}
			for _, h := range b.Hashes {
				l.Hashes = append(l.Hashes, h.Text())
			}
			r.Items = append(r.Items, l)
		}
	}
	return r
}

// tell makes up a world. pick(n) returns a number below n; small numbers make small worlds.
func tell(pick func(n int) int) *world {
	g := &teller{pick: pick, model: newModel(), w: &world{opened: map[int]int64{}}}
	logs := 1 + pick(3)
	g.w.rules.Review = pick(4) == 0
	g.w.rules.Log = logs
	for l := 1; l <= logs; l++ {
		n := pick(14)
		cut := math.MaxInt
		if l < logs {
			cut = pick(n + 1)
			g.w.rules.Cuts = append(g.w.rules.Cuts, uint64(cut))
		}
		g.w.logs = append(g.w.logs, nil)
		for range n {
			for _, r := range g.records(l) {
				at := Position{l, uint64(len(g.w.logs[l-1]))}
				g.w.logs[l-1] = append(g.w.logs[l-1], r)
				g.model.head(at, r.Head, int(at.Index) >= cut)
			}
		}
		if pick(3) > 0 {
			g.w.opened[l] = epoch + int64(pick(5))*86400
		}
	}
	for range pick(4) {
		g.w.notes = append(g.w.notes, g.note())
	}
	return g.w
}

// epoch is when worlds play.
const epoch = 1_795_424_400

type teller struct {
	pick  func(n int) int
	model *model
	w     *world
	salt  byte
}

func (g *teller) odds(n int) bool { return g.pick(n) == n-1 }

func (g *teller) id() ItemID { return ItemID{byte(1 + g.pick(4))} }

// records makes up the next record of a log, or a run of revises.
func (g *teller) records(log int) []Record {
	at := Position{log, uint64(len(g.w.logs[log-1]))}
	h := Head{Time: epoch + int64(g.pick(1000)), Item: g.id()}
	it := g.model.items[h.Item]
	kind := g.pick(13)
	if it == nil && kind < 9 && !g.odds(6) {
		kind = 0
	}
	switch {
	case kind < 2:
		h.Op, h.Rev = OpAdd, 1
	case kind < 6:
		h.Op, h.Rev = OpRevise, 2
		if it != nil {
			h.Rev, h.Target, h.Reinstate = it.rev+1, it.records[len(it.records)-1], it.retracted
		} else {
			h.Target = Position{1, 0}
		}
		if g.odds(8) {
			h.Rev = 2 + g.pick(3)
		}
		if g.odds(8) {
			h.Target = Position{1, uint64(g.pick(8))}
		}
		if g.odds(8) {
			h.Reinstate = !h.Reinstate
		}
	case kind < 9:
		h.Op, h.Rev, h.Reason, h.Targets = OpRetract, 2, Duplicate, []Position{{1, 0}}
		if it != nil {
			h.Rev, h.Targets = it.rev+1, slices.Clone(it.records)
		}
		if g.odds(8) {
			h.Rev = 2 + g.pick(3)
		}
		if g.odds(8) {
			slices.Reverse(h.Targets)
		}
		if g.odds(8) {
			h.Targets = h.Targets[:max(1, len(h.Targets)-1)]
		}
	case kind < 10:
		h.Op, h.Subject, h.Reason = OpEndorse+Op(g.pick(3)), Subject{Origin: "a.example/b/1"}, KnownGood
		if h.Op == OpResolve {
			h.Reason = Upheld
		}
	case kind < 11:
		return []Record{{Head: slices.Concat([]byte{0xa0}, make([]byte, g.pick(3)))}}
	case kind < 12:
		op := 7 + g.pick(4)
		if g.odds(6) {
			op = 128 + g.pick(4)*200
		}
		return []Record{{Head: encodeAny([]pair{{1, 1}, {2, op}, {6, made(1, 32)}})}}
	default:
		return g.run(at, it, h)
	}
	return []Record{g.record(h, it)}
}

// run makes up many revises of one item in a row, so that it comes to its 64th record.
func (g *teller) run(at Position, it *modelItem, h Head) (all []Record) {
	if it == nil || it.retracted || !g.odds(3) {
		return []Record{{Head: []byte{}}}
	}
	h.Op, h.Rev, h.Target = OpRevise, it.rev+1, it.records[len(it.records)-1]
	for h.Rev <= 126 && len(it.records)+len(all) < 66 {
		all = append(all, g.record(h, it))
		h.Rev, h.Target = h.Rev+1, Position{at.Log, at.Index + uint64(len(all)-1)}
	}
	return all
}

// record makes up a body for a head.
func (g *teller) record(h Head, it *modelItem) Record {
	var body []byte
	if h.Op == OpAdd || h.Op == OpRevise {
		body = g.body(h.Rev)
		h.Body = sha256.Sum256(body)
	}
	raw, err := h.Bytes()
	if err != nil { // a rev beyond its bounds
		raw = encodeAny([]pair{{1, 1}, {2, int(h.Op)}, {5, h.Rev}})
	}
	return Record{raw, body}
}

func (g *teller) body(rev int) []byte {
	if g.odds(7) {
		return nil
	}
	b := Body{Facts: Facts{Verdict: Verdict(1 + (6-g.pick(7))/2), Media: Image}}
	g.salt++
	b.Salt[0] = g.salt
	// Later revs tend to list more, so that not every revise drops a hash.
	hashes := []Hash{{MD5, string(made(1, 16)), 0}, {SHA256, string(made(2, 32)), 0}, {PDQ, string(made(3, 32)), 60}, {PDQFull, string(made(4, 32)), 70}}
	for i, hash := range hashes {
		if i < rev || g.pick(3) == 0 {
			if hash.Alg == PDQ {
				hash.Quality += uint8(g.pick(2))
			}
			b.Hashes = append(b.Hashes, hash)
		}
	}
	if !g.odds(5) {
		b.Facts.VerifiedBy = 2
	}
	if g.odds(4) {
		b.Facts.NotBefore = epoch + int64(g.pick(3))*86400
	}
	switch g.pick(12) {
	case 10:
		slices.Reverse(b.Hashes)
	case 11:
		b.Hashes = append(b.Hashes, Hash{PhotoDNA, string(make([]byte, 144)), 0})
	}
	raw, err := b.Bytes()
	if err != nil {
		panic(err)
	}
	if g.odds(10) {
		raw = raw[:len(raw)-1]
	}
	return raw
}

// note makes up a suspension, often one that uses its signers' budget up.
func (g *teller) note() Suspending {
	n := Suspending{Time: epoch + int64(g.pick(6))*86400 + int64(g.pick(2))*300}
	for s := range byte(3) {
		if g.pick(2) == 1 {
			n.Signers = append(n.Signers, [32]byte{s})
		}
	}
	named := map[Position]bool{}
	for range 1 + g.pick(5) {
		named[Position{1 + g.pick(len(g.w.logs)), uint64(g.pick(14))}] = true
	}
	if g.odds(3) {
		for i := len(named); i < 995+g.pick(6); i++ {
			named[Position{1 + g.pick(len(g.w.logs)), uint64(10_000 + i)}] = true
		}
	}
	n.Items = slices.SortedFunc(maps.Keys(named), Position.Compare)
	n.Sum = sha256.Sum256(fmt.Append(nil, n.Time, n.Items))
	return n
}

// clocks are the moments at which something in a world may change, and those just before.
func (w *world) clocks() []int64 {
	at := map[int64]bool{0: true, math.MaxInt64: true, epoch: true}
	for _, n := range w.notes {
		at[n.Time-300], at[n.Time+72*3600] = true, true
	}
	for _, t := range w.opened {
		at[t+7*86400] = true
	}
	for d := range int64(3) {
		at[epoch+d*86400] = true
	}
	for t := range maps.Clone(at) {
		at[max(t-1, 0)] = true
	}
	return slices.Sorted(maps.Keys(at))
}

// equal compares a State with what the world comes to. tables are what the changes made.
func equal(t testingT, s *State, w *world, tables map[uint32]map[tableKey]bool) {
	t.Helper()
	m := compute(w)
	if int(s.Items()) != len(m.order) {
		t.Errorf("items: got %d, want %d", s.Items(), len(m.order))
		return
	}
	limits := []uint64{math.MaxUint64}
	if w.rules.Log <= len(w.logs) {
		for n := range len(w.logs[w.rules.Log-1]) + 1 {
			if n < 16 || n%16 == 0 {
				limits = append(limits, uint64(n))
			}
		}
	}
	clocks := w.clocks()
	for i, id := range m.order {
		n, want := uint32(i), m.items[id]
		it := s.Item(n)
		if it.ID() != id || it.First() != want.records[0] || it.Rev() != want.rev || it.Retracted() != want.retracted || !slices.Equal(it.Records(), want.records) {
			t.Errorf("item %d: got %x, rev %d, retracted %v, %v, want %x, %d, %v, %v", n, it.ID(), it.Rev(), it.Retracted(), it.Records(), id, want.rev, want.retracted,
				want.records)
		}
		if got, ok := s.ItemByID(id); got != n || !ok {
			t.Errorf("item by id %x: got %d, %v, want %d", id, got, ok, n)
		}
		for _, limit := range limits {
			for _, now := range clocks {
				if got, want := s.At(n, limit, now), m.at(w, id, limit, now); got != want {
					t.Errorf("item %d (%v) at limit %d, time %d: got %+v, want %+v", n, it.First(), limit, now, got, want)
				}
			}
		}
		if got, want := tables[n], m.table(id); !maps.Equal(got, want) {
			t.Errorf("item %d (%v) lists %v, want %v", n, it.First(), got, want)
		}
	}
	for l, records := range w.logs {
		for i := range len(records) + 2 {
			p := Position{l + 1, uint64(i)}
			n, ok := s.ItemAt(p)
			id, want := m.owner[p]
			if ok != want || ok && m.order[n] != id {
				t.Errorf("item at %v: got %d, %v, want %x, %v", p, n, ok, id, want)
			}
		}
	}
	for i, limit := range limits {
		now := clocks[i*7%len(clocks)]
		got, err := s.Report("a.example/b", limit, now)
		if want := m.report(w, limit, now); err != nil || fmt.Sprintf("%+v", flat(got)) != fmt.Sprintf("%+v", flat(want)) {
			t.Errorf("report at limit %d, time %d:\ngot  %+v, %v\nwant %+v", limit, now, flat(got), err, flat(want))
		}
	}
}

// flat replaces a report's pointer, so that it can be printed and compared.
func flat(r Report) any {
	stopped := Ref{}
	if r.Stopped != nil {
		stopped, r.Stopped = *r.Stopped, nil
	}
	return []any{r, stopped}
}

// testingT is a *testing.T or a *rapid.T.
type testingT interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// play tells a State of a world bit by bit: batches split anyhow, bodies that come late or are erased, charters, suspensions and stamps at
// any time. Now and then, and at the end, it must equal the model of what it was told.
func play(t testingT, w *world, pick func(n int) int) {
	t.Helper()
	bodies := map[Position][]byte{} // the store
	told := &world{rules: Rules{Review: w.rules.Review, Log: 1}, opened: map[int]int64{}}
	if pick(2) == 0 {
		told.rules = w.rules
	}
	s := NewState(told.rules, func(p Position) ([]byte, error) { return bodies[p], nil })
	tables := map[uint32]map[tableKey]bool{}
	changed := func(changes []Change, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("apply: %v", err)
		}
		for _, c := range changes {
			if tables[c.Item] == nil {
				tables[c.Item] = map[tableKey]bool{}
			}
			for _, h := range c.Unlist {
				if k := (tableKey{h.Alg, h.Value}); !tables[c.Item][k] {
					t.Errorf("item %d: %v is unlisted, but isn't listed", c.Item, h)
				} else {
					delete(tables[c.Item], k)
				}
			}
			for _, h := range c.List {
				if k := (tableKey{h.Alg, h.Value}); tables[c.Item][k] {
					t.Errorf("item %d: %v is listed twice", c.Item, h)
				} else {
					tables[c.Item][k] = true
				}
			}
		}
	}
	final := compute(w)
	var late []Position // bodies that are yet to come
	var gone []Position // bodies that were here, and in the world are erased
	setBody := func(p Position, body []byte) {
		t.Helper()
		bodies[p] = body
		told.logs[p.Log-1][p.Index].Body = body
		changes, err := s.SetBody(p, body)
		if _, void := final.void[p]; void || final.stopped != nil && !p.Less(*final.stopped) {
			if err == nil && len(changes) > 0 {
				t.Errorf("the body of void %v changes %v", p, changes)
			}
			return
		}
		changed(changes, err)
	}
	deliver := func(log int, upTo uint64) {
		t.Helper()
		for len(told.logs) < log {
			told.logs = append(told.logs, nil)
		}
		for first := s.Size(log); first < upTo; first = s.Size(log) {
			n := 1 + uint64(pick(int(upTo-first)))
			batch := slices.Clone(w.logs[log-1][first : first+n])
			early := pick(2) == 0 // whether the store has the bodies before Append
			for i := range batch {
				p := Position{log, first + uint64(i)}
				switch {
				case len(batch[i].Body) > 0 && pick(4) == 3:
					batch[i].Body = nil
					late = append(late, p)
				case len(batch[i].Body) == 0 && final.listed[p] && pick(2) == 1:
					b := NewBody([16]byte{}, []Hash{{MD5, string(made(1, 16)), 0}}, Facts{Verdict: National, Media: Image}, nil)
					batch[i].Body, _ = b.Bytes()
					gone = append(gone, p)
				}
				if early {
					bodies[p] = batch[i].Body
				}
			}
			changed(s.Append(log, first, batch))
			told.logs[log-1] = append(told.logs[log-1], batch...)
			for i := range batch {
				bodies[Position{log, first + uint64(i)}] = batch[i].Body
			}
			switch pick(6) {
			case 1:
				told.notes = w.notes[:pick(len(w.notes)+1)]
				s.SetSuspensions(told.notes)
			case 2:
				if stamp, ok := w.opened[log]; ok {
					told.opened[log] = stamp
					s.SetOpened(log, stamp)
				}
			case 3:
				if len(late) > 0 {
					i := pick(len(late))
					setBody(late[i], w.logs[late[i].Log-1][late[i].Index].Body)
					late = slices.Delete(late, i, i+1)
				}
			case 4:
				equal(t, s, told, tables)
			case 5:
				s = restarted(t, s) // from here on all that is told goes to the copy
			}
		}
	}
	for l := 1; l <= len(w.logs); l++ {
		upTo := uint64(len(w.logs[l-1]))
		if cut, closed := w.rules.cut(l); closed {
			deliver(l, cut)
			if told.rules.Log == l {
				told.rules.Log, told.rules.Cuts = l+1, w.rules.Cuts[:l]
				if err := s.SetRules(told.rules); err != nil {
					t.Fatalf("close log %d at %d: %v", l, cut, err)
				}
			}
			if pick(2) == 0 {
				continue // what lies past the cut comes at the end
			}
		}
		deliver(l, upTo)
	}
	for l := range w.logs {
		deliver(l+1, uint64(len(w.logs[l])))
	}
	for _, p := range late {
		setBody(p, w.logs[p.Log-1][p.Index].Body)
	}
	for _, p := range gone {
		setBody(p, nil)
	}
	told.notes = w.notes
	s.SetSuspensions(told.notes)
	for l, stamp := range w.opened {
		told.opened[l] = stamp
		s.SetOpened(l, stamp)
	}
	equal(t, s, w, tables)
}

// restarted is the state that its snapshot gives, of which the snapshot must be the same bytes.
func restarted(t testingT, s *State) *State {
	t.Helper()
	m := s.Snapshot()
	var written, again bytes.Buffer
	if err := m.Write(&written); err != nil {
		t.Fatalf("write: %v", err)
	}
	loaded, err := LoadState(bytes.NewReader(written.Bytes()), s.body, m.Sizes())
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if err := loaded.Snapshot().Write(&again); err != nil || !bytes.Equal(written.Bytes(), again.Bytes()) {
		t.Errorf("the snapshot of what was loaded: %v, other bytes:\n%x\n%x", err, written.Bytes(), again.Bytes())
	}
	return loaded
}

// picker returns choices out of bytes, 0 when they are used up.
func picker(data []byte) func(n int) int {
	return func(n int) int {
		if len(data) == 0 || n <= 1 {
			return 0
		}
		c := int(data[0])
		data = data[1:]
		if n > 256 && len(data) > 0 {
			c, data = c<<8|int(data[0]), data[1:]
		}
		return c % n
	}
}

// places returns the positions of references.
func places(refs []Ref) []string {
	all := []string{}
	for _, r := range refs {
		all = append(all, r.Position().String())
	}
	return all
}
