package node

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
	"hashfeed/node/match"
	"hashfeed/node/policy"
)

// view is one feed as this node judges it: the state of its items, and how much of it counts. It follows the store; it
// is derived, and made anew at each start.
type view struct {
	name    feed.Name
	slot    uint64
	serial  uint64 // no two views have the same
	own     bool
	state   *feed.State
	picture []feed.Hash // of the self-test's view, which has no state
	reading atomic.Pointer[reading]
	noting  sync.Mutex // of whoever makes a new reading
	// frozen is why the feed is frozen, nil if it isn't.
	frozen atomic.Pointer[freeze]
	awaits atomic.Pointer[awaiting] // the batch that awaits approval, of an own feed; nil: none
	// listed counts the hashes of each kind that the items hold, for what an answer calls unchecked.
	listed [feed.VPDQ + 1]atomic.Int64
	audit  audit
	// erasing is what is known of bodies to be erased, nil where it must be looked at; retracts says that a retraction has come since the start.
	erasing  atomic.Pointer[erasing]
	retracts atomic.Bool
	// broken is why not all records could be read, nil if they could: the feed is frozen. It is set before the view is seen.
	broken error
}

// reading is what a view's newest notes say. It is replaced as a whole.
type reading struct {
	chain *feed.Chain
	// charter is the chain's newest, for reading: each answer wants some words of it. origin is its log's.
	charter feed.Charter
	origin  feed.Origin
	head    feed.Checkpoint // newest of the current log; Size 0 and no Stamp: none yet
	limit   uint64          // how much of the current log counts for additions
	// damage is why the feed can't be trusted here, nil if it can.
	damage error
}

// slotBits is where a match.ID has its slot; the item's number is below.
const slotBits = 32

func (v *view) id(item uint32) match.ID { return match.ID(v.slot<<slotBits | uint64(item)) }

// refOf names a record of the feed.
func (v *view) refOf(p feed.Position) feed.Ref {
	if r := v.reading.Load(); r.charter.Log == p.Log { // nearly always, and then it takes no memory
		return feed.Ref{Origin: r.origin, Index: p.Index}
	}
	return v.name.Ref(p)
}

// viewOf returns the view of a match.ID's slot.
func (n *Node) viewOf(id match.ID) *view {
	views := *n.views.Load()
	if slot := uint64(id) >> slotBits; slot < uint64(len(views)) {
		return views[slot]
	}
	return nil
}

// pastCut says whether a head has no effect because of where it stands: past the cut of a closed log, or after what only a newer
// version can judge.
func (v *view) pastCut(at feed.Position) bool {
	cut, closed := v.reading.Load().chain.Cut(at.Log)
	stopped, stops := v.state.Stopped()
	return closed && at.Index >= cut.Size || stops && stopped.Less(at)
}

// viewNamed returns the view of a feed.
func (n *Node) viewNamed(name feed.Name) *view {
	for _, v := range *n.views.Load() {
		if v != nil && v.name == name && v.state != nil {
			return v
		}
	}
	return nil
}

// findView finds a feed as people name it: an origin, pub/feed, an own feed's short name; "" is the first own feed.
func (n *Node) findView(name string) (*view, error) {
	origin, _ := feed.ParseOrigin(name)
	for _, v := range *n.views.Load() { // in the order in which they came here
		switch {
		case v == nil || v.state == nil:
		case name == "" && v.own, name == string(v.name), name == v.name.Short() && v.own, name != "" && origin.Name() == v.name:
			return v, nil
		}
	}
	if name == "" {
		return nil, notFound("this node has no feed of its own")
	}
	return nil, notFound("there is no feed %s here", name)
}

// openView makes the view of a feed that the store holds, with all its records.
func (n *Node) openView(name feed.Name) error {
	chain, ok := n.store.Chain(name)
	if !ok {
		return fmt.Errorf("open feed %s: %w", name, store.ErrUnknownFeed)
	}
	v := n.newView(name)
	v.state = feed.NewState(chain.Newest().Rules(), n.bodyOf(name))
	if v.slot, ok = n.takeSlot(); !ok {
		return fmt.Errorf("open feed %s: a node keeps at most %d feeds", name, maxFeeds)
	}
	if err := n.loadFreeze(v, chain); err != nil {
		return errors.Join(err, n.freeSlot(v.slot))
	}
	return n.openFrom(v, chain)
}

func (n *Node) newView(name feed.Name) *view {
	return &view{name: name, serial: n.serial.Add(1), own: n.keys.owns(name) && name.Publisher() == n.config.Load().Name}
}

// bodyOf reads bodies of a feed for its state.
func (n *Node) bodyOf(name feed.Name) func(feed.Position) ([]byte, error) {
	return func(p feed.Position) ([]byte, error) {
		r, err := n.store.Record(name.Log(p.Log), p.Index)
		return r.Body, err
	}
}

// openFrom brings a view up to what the store has, and shows it.
func (n *Node) openFrom(v *view, chain *feed.Chain) error {
	n.read(v)
	if err := n.catchUp(v); err != nil {
		// One feed's damage stops no other. What follows may be a retraction, so nothing of this one blocks until it is mended.
		v.broken = fmt.Errorf("open feed %s: %w", v.name, err)
		n.log.Error("feed can't be read to its end", "feed", string(v.name), "err", err)
		n.read(v)
	}
	if err := n.loadHeld(v, chain); err != nil {
		return errors.Join(err, n.freeSlot(v.slot))
	}
	n.suspend(v)
	n.show(v.slot, v)
	n.decide()
	if v.own {
		n.await(v)
	}
	return nil
}

// takeSlot reserves a place among the views. One that was given back is taken last of all, and the one first that was given back first: a query
// that began before may still hold hits of it.
func (n *Node) takeSlot() (uint64, bool) {
	n.showing.Lock()
	defer n.showing.Unlock()
	if views := *n.views.Load(); len(views) < maxFeeds {
		views = append(slices.Clone(views), nil)
		n.views.Store(&views)
		return uint64(len(views) - 1), true
	}
	if len(n.freed) == 0 {
		return 0, false
	}
	slot := n.freed[0]
	n.freed = n.freed[1:]
	return slot, true
}

// show makes a view what its slot stands for; nil: nothing any more.
func (n *Node) show(slot uint64, v *view) {
	n.showing.Lock()
	defer n.showing.Unlock()
	views := slices.Clone(*n.views.Load())
	views[slot] = v
	n.views.Store(&views)
}

// freeSlot takes what stands at a slot out of what is matched.
func (n *Node) freeSlot(slot uint64) error {
	n.show(slot, nil) // from here on its hits lead nowhere
	if err := n.tables.RemoveAll(match.ID(slot<<slotBits), match.ID((slot+1)<<slotBits)); err != nil {
		return err
	}
	n.showing.Lock()
	defer n.showing.Unlock()
	n.freed = append(n.freed, slot)
	return nil
}

// decide makes the policy anew, after a change of the config or of the feeds here.
func (n *Node) decide() {
	p := n.policyUnder(n.config.Load())
	n.policy.Store(&p)
}

// policyUnder is what a config, and the feeds here, come to.
func (n *Node) policyUnder(c *Config) policy.Policy {
	var own []feed.Name
	for _, v := range *n.views.Load() {
		if v != nil && v.own {
			own = append(own, v.name)
		}
	}
	p := c.policyOf(own)
	n.addKnown(&p)
	return p
}

// catchUp applies what the store has and the view has not: all of it at first. A log goes on from where the one before was closed, so that none
// is applied before that one is whole.
func (n *Node) catchUp(v *view) error {
	chain := v.reading.Load().chain
	for log := 1; log <= chain.Newest().Log; log++ {
		if err := n.replay(v, log); err != nil {
			return err
		}
		if cut, closed := chain.Cut(log); closed && v.state.Size(log) < cut.Size {
			break
		}
	}
	return nil
}

// replay applies the records of a log that the store has and the view has not.
func (n *Node) replay(v *view, log int) error {
	origin := v.name.Log(log)
	if stamp, ok := n.store.Opened(origin); ok {
		v.state.SetOpened(log, stamp)
	}
	size, first := n.store.Size(origin), v.state.Size(log)
	if first >= size {
		return nil
	}
	var chunk []feed.Record
	flush := func() error {
		err := n.apply(v, log, first, chunk)
		first += uint64(len(chunk))
		chunk = chunk[:0]
		return err
	}
	for r, err := range n.store.Records(origin, first, size-first) {
		if err != nil {
			return err
		}
		if chunk = append(chunk, r.Record); len(chunk) == replayChunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// apply lets records act: on the state, on the tables, on what was said of records.
func (n *Node) apply(v *view, log int, first uint64, records []feed.Record) error {
	if len(records) == 0 {
		return nil
	}
	changes, err := v.state.Append(log, first, records)
	if tableErr := n.enter(v, changes); tableErr != nil {
		return tableErr
	}
	n.said.hear(v, log, first, records)
	if err != nil {
		return fmt.Errorf("apply records of %s: %w", v.name.Log(log), err)
	}
	return nil
}

// enter brings changes into the match tables, in their order: a hash may come, go and come again. Runs of additions go
// in one build.
func (n *Node) enter(v *view, changes []feed.Change) error {
	var list []match.Entry
	flush := func() error {
		if len(list) == 0 {
			return nil
		}
		err := n.tables.AddBatch(list)
		list = list[:0]
		if err != nil {
			return fmt.Errorf("enter hashes of %s: %w", v.name, err)
		}
		return nil
	}
	for _, c := range changes {
		for _, h := range c.Unlist {
			v.listed[h.Alg].Add(-1)
			if !matchable(h.Alg) {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
			if err := n.tables.Remove(match.Alg(h.Alg), h.Bytes(), v.id(c.Item)); err != nil {
				return fmt.Errorf("take out hashes of %s: %w", v.name, err)
			}
		}
		for _, h := range c.List {
			v.listed[h.Alg].Add(1)
			if matchable(h.Alg) {
				list = append(list, match.Entry{Alg: match.Alg(h.Alg), Value: h.Bytes(), ID: v.id(c.Item)})
			}
		}
	}
	return flush()
}

// matchable says whether there is a table of a kind; vpdq is carried only.
func matchable(a feed.Alg) bool { return match.Alg(a).Size() > 0 }

// read makes the reading of a view anew.
func (n *Node) read(v *view) {
	v.noting.Lock()
	defer v.noting.Unlock()
	chain, ok := n.store.Chain(v.name)
	if !ok {
		return
	}
	r := &reading{chain: chain, charter: chain.Newest()}
	r.origin = r.charter.Origin()
	origin := r.origin
	if damage := n.store.Damage(v.name); damage != nil {
		r.damage = damage // (a nil *DamagedError would be an error)
	} else if v.broken != nil {
		r.damage = v.broken
	}
	if head, ok := n.store.Head(origin); ok {
		r.head = head
		r.limit = n.limit(chain, origin, head)
		if f := v.frozen.Load(); f != nil && f.Log == origin.Log() {
			r.limit = min(r.limit, f.Limit)
		}
	}
	v.reading.Store(r)
}

// limit is how much of the current log counts for additions: what was completely fetched, what the named witnesses have
// seen, and what was stamped before the charter expired (WIRE §3, §4, §7). A log of which only a part is here counts up
// to the last checkpoint that it has whole, since what follows may retract it.
func (n *Node) limit(chain *feed.Chain, origin feed.Origin, head feed.Checkpoint) uint64 {
	limit := head.Size
	if chain.Newest().Quorum != nil {
		witnessed, err := n.store.Witnessed(origin)
		if err != nil {
			n.log.Error("read cosignatures", "feed", chain.Feed(), "err", err)
		}
		limit = min(limit, witnessed)
	}
	if !chain.Newest().Expired(n.unix()) {
		return limit
	}
	heads := []feed.Checkpoint{head}
	for _, size := range n.store.SeenSizes(origin) {
		if c, ok := n.store.Seen(origin, size); ok {
			heads = append(heads, c)
		}
	}
	return min(limit, chain.AdditionLimit(heads, n.unix()))
}

// suspend brings the suspensions that the store has into force.
func (n *Node) suspend(v *view) {
	var notes []feed.Suspending
	for _, s := range n.store.Suspensions(v.name) {
		notes = append(notes, s.Suspending())
	}
	v.state.SetSuspensions(notes)
}

// Name is this follower's name in the store.
func (n *Node) Name() string { return "view" }

// Apply lets what was committed act. The store calls it in line after the commit, so that the next lookup sees it.
func (n *Node) Apply(e store.Event) error {
	if err := n.act(e); err != nil {
		return err
	}
	if w := n.network.Load(); w != nil {
		w.gossip.Committed(e.Feed, e.Batch)
	}
	n.news.stir()
	return nil
}

func (n *Node) act(e store.Event) error {
	v := n.viewNamed(e.Feed)
	if v != nil && v.broken != nil {
		n.read(v)
		return nil // fsck --repair makes the view anew
	}
	if v == nil {
		if err := n.openView(e.Feed); err != nil {
			return err
		}
		n.eraseSoon(n.viewNamed(e.Feed))
		return nil
	}
	switch {
	case e.Batch != nil:
		log := e.Batch.Origin().Log()
		if stamp, ok := n.store.Opened(e.Batch.Origin()); ok {
			v.state.SetOpened(log, stamp)
		}
		next := n.isNext(v, log, e.First)
		if next {
			if err := n.apply(v, log, e.First, e.Batch.Records()[e.First-e.Batch.From():]); err != nil {
				return err
			}
		}
		if !next || log < v.reading.Load().chain.Newest().Log { // it has to wait for an earlier log, or later ones have waited for it
			if err := n.catchUp(v); err != nil {
				return err
			}
		}
		if retracts(e.Batch) {
			n.eraseSoon(v)
		}
	case e.Chain != nil:
		if f := v.frozen.Load(); f != nil && f.ended(e.Chain) {
			return n.rebuild(v) // without what held it
		}
		if err := v.state.SetRules(e.Chain.Newest().Rules()); errors.Is(err, feed.ErrRebuild) || n.hasLost(v, e.Chain) {
			return n.rebuild(v)
		} else if err != nil {
			return err
		}
		n.suspend(v)
	case e.Suspension != nil:
		n.suspend(v)
	}
	n.read(v)
	if e.Chain != nil && v.own {
		n.await(v)
	}
	return nil
}

// isNext reports whether records of a log are next for a view: they wait where an earlier log is being fetched anew.
func (n *Node) isNext(v *view, log int, first uint64) bool {
	chain := v.reading.Load().chain
	for l := 1; l < log; l++ {
		if cut, closed := chain.Cut(l); !closed || v.state.Size(l) < cut.Size {
			return false
		}
	}
	return first == v.state.Size(log)
}

// hasLost reports whether the store has set a log aside that the view has applied: its records may never have been the publisher's.
func (n *Node) hasLost(v *view, chain *feed.Chain) bool {
	for log := 1; log <= chain.Newest().Log; log++ {
		if n.store.Size(v.name.Log(log)) < v.state.Size(log) {
			return true
		}
	}
	return false
}

// rebuild makes a view anew, beside the old one, and lets go of that: a charter has cut what was applied, or the log was set aside. Until the new
// one is whole the old one answers.
func (n *Node) rebuild(old *view) error {
	n.said.forget(old.name)
	n.dropSnapshot()
	return errors.Join(n.openView(old.name), n.freeSlot(old.slot))
}

func notFound(format string, args ...any) error {
	return &api.Error{Status: http.StatusNotFound, Code: api.CodeNotFound, Text: fmt.Sprintf(format, args...)}
}

func badRequest(err error) error {
	return &api.Error{Status: http.StatusBadRequest, Code: api.CodeMalformed, Text: err.Error()}
}
