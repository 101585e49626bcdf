package gossip

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"hashfeed/feed"
)

// A carrier looks after one feed, followed or own: it takes what peers say of it, fetches what is missing and cosigns what is stored. For an
// own feed it fetches only what a lost or old copy lacks.
type carrier struct {
	n      *Network
	name   feed.Name
	own    bool
	follow follow // zero if own

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // what do runs

	wake       chan struct{} // something to fetch, or somebody new to fetch from
	cosignWake chan struct{}
	urgent     atomic.Bool  // a retraction was stored: cosign at once
	cosignedAt atomic.Int64 // by the system's clock, in nanoseconds

	mu       sync.Mutex
	stopped  bool
	targets  map[feed.Origin]target
	asks     map[peer.ID]*asking
	why      string // what is wrong with it; "" if nothing is known to be
	heard    bool
	oldCopy  *OldCopyError
	evidence *feed.Evidence
	law      map[peer.ID]int // our charter version that a peer's was compared with
	// Of a frozen feed: the heads to be read, by who sent them; whether they are being read; and how far branches were.
	branches   map[peer.ID]feed.Checkpoint
	reading    bool
	branchEnds map[feed.Origin][]branchEnd
	delivered  map[feed.Origin]uint64
	missing    map[feed.Ref]bool
}

// target is a verified head that is ahead of us. What else was heard of its log meanwhile, at most maxSizes heads that aren't newer, is
// looked at again when the records are here: it may bring a witness's line or a stamp.
type target struct {
	headFrom
	since time.Time
	more  []headFrom
}

// headFrom is a verified head, and who sent it.
type headFrom struct {
	l  *link
	cp feed.Checkpoint
}

// asking is the state of head/1 towards one peer.
type asking struct {
	running, again bool
	failed         time.Time // zero: it didn't
}

// syncCarriers makes the carriers agree with the roll. When it returns nothing is written any more of feeds that were let go of.
func (n *Network) syncCarriers() {
	r := n.roll.Load()
	var stopped, begun []*carrier
	n.mu.Lock()
	for name, c := range n.carriers {
		_, own := r.own[name]
		f, followed := r.follows[name]
		same := own && c.own || followed && !c.own && f.Anchor == c.follow.Anchor && f.publisher == c.follow.publisher && f.Harm == c.follow.Harm
		if !same {
			delete(n.carriers, name)
			stopped = append(stopped, c)
		}
	}
	begin := func(name feed.Name, own bool, f follow) {
		if n.carriers[name] != nil {
			return
		}
		c := &carrier{n: n, name: name, own: own, follow: f, wake: make(chan struct{}, 1), cosignWake: make(chan struct{}, 1),
			targets: map[feed.Origin]target{}, asks: map[peer.ID]*asking{}, delivered: map[feed.Origin]uint64{},
			missing: map[feed.Ref]bool{}, law: map[peer.ID]int{}, branches: map[peer.ID]feed.Checkpoint{}, branchEnds: map[feed.Origin][]branchEnd{}}
		if n.o.Evidence != nil {
			if ev, ok := n.o.Evidence(name); ok { // before any head is heard
				c.evidence = &ev
				c.alarmEvidence(ev)
			}
		}
		c.ctx, c.cancel = context.WithCancel(n.ctx)
		n.carriers[name] = c
		begun = append(begun, c)
	}
	for name := range r.own {
		begin(name, true, follow{})
	}
	for name, f := range r.follows {
		begin(name, false, f)
	}
	n.mu.Unlock()
	for _, c := range stopped {
		c.stop()
	}
	for _, c := range begun {
		c.start()
	}
}

func (c *carrier) start() {
	if chain, ok := c.n.o.Store.Chain(c.name); ok && !c.own {
		c.checkHarm(chain.Newest().Harm)
	}
	c.spawn(c.carry)
	c.spawn(c.repair)
	if !c.own {
		c.spawn(c.witness)
	}
	for _, l := range c.n.everyLink() {
		if l.heard() {
			c.linkUp(l)
			c.heardList(l, true)
		}
	}
}

func (c *carrier) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
}

// do runs f unless the carrier was stopped; stop waits for it.
func (c *carrier) do(f func()) {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	c.wg.Add(1)
	c.mu.Unlock()
	defer c.wg.Done()
	f()
}

func (c *carrier) spawn(f func()) { c.n.spawn(func() { c.do(f) }) }

// waiting says why nothing is here yet.
func (c *carrier) waiting() string {
	c.mu.Lock()
	why := c.why
	c.mu.Unlock()
	if why != "" {
		return why
	}
	chain, ok := c.n.o.Store.Chain(c.name)
	if ok && chain != nil {
		if _, ok := c.n.o.Store.Head(chain.Newest().Origin()); ok {
			return ""
		}
	}
	for _, l := range c.n.everyLink() {
		if claims, _ := l.claimsOf(c.name); len(claims) > 0 {
			return "fetching"
		}
	}
	p := c.follow.publisher
	if l, up := c.n.link(p); up {
		if _, listed := l.claimsOf(c.name); listed {
			return "waiting for membership"
		}
		return "connecting"
	}
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	switch d := c.n.dials[p]; {
	case d == nil || d.next.IsZero() && d.err == nil && !d.refused:
		if p == "" || len(c.follow.addrs) == 0 {
			return "the publisher's address isn't known"
		}
		return "connecting"
	case d.refused:
		return "waiting for membership"
	case d.err != nil:
		return "publisher unreachable"
	}
	return "connecting"
}

func (c *carrier) linkUp(l *link) {
	if l.peer == c.follow.publisher {
		poke(c.cosignWake)
	}
	c.mu.Lock()
	ev := c.evidence
	c.mu.Unlock()
	if ev != nil {
		c.tellEvidence(l, *ev)
	}
}

func (c *carrier) linkDown(l *link, heard bool) {
	c.mu.Lock()
	delete(c.asks, l.peer)
	delete(c.law, l.peer)
	c.mu.Unlock()
	if l.peer == c.follow.publisher && !heard {
		c.n.log.Info("the publisher ends our connections: is this node a member?", "feed", string(c.name), "peer", l.peer.String())
	}
}

// committed takes note of a commit. The store's commit lock is held.
func (c *carrier) committed(b *feed.Batch) {
	poke(c.wake)
	if b == nil {
		c.newLaw()
		return
	}
	c.mu.Lock()
	looking := len(c.missing) > 0
	c.mu.Unlock()
	recent := time.Since(time.Unix(0, c.cosignedAt.Load())) < cosignEvery
	if b.To() > b.From() && (looking || recent && !c.own) {
		for _, r := range b.Records() {
			h, err := feed.ParseHead(r.Head)
			if err != nil || h.Op != feed.OpRetract {
				continue
			}
			c.urgent.Store(true)
			c.mu.Lock()
			for _, p := range h.Targets { // what is retracted need not be found any more
				delete(c.missing, c.name.Ref(p))
			}
			c.mu.Unlock()
		}
	}
	poke(c.cosignWake)
}

// commit stores a batch. What is stored in spite of an error (a follower of the store didn't take it) is the node's to mend, not a
// reason to fetch it again.
func (c *carrier) commit(b *feed.Batch) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if c.frozen(b.Chain()) {
		return errFrozen // since this was begun
	}
	err := c.n.o.Store.Commit(b)
	if err == nil {
		c.n.alarms.clear(AlarmStore, string(c.name))
		return nil
	}
	c.storeFailed(err)
	if tree, _, ok := c.n.o.Store.Position(b.Origin()); ok && tree.Size() >= b.To() && b.To() > b.From() {
		return nil
	}
	return err
}

// storeFailed is for what goes wrong here: no peer is blamed.
func (c *carrier) storeFailed(err error) {
	if c.ctx.Err() != nil || errors.Is(err, errFrozen) {
		return
	}
	c.n.log.Error("store", "feed", string(c.name), "err", err)
	c.n.alarms.raise(AlarmStore, "", c.name, "what came of "+string(c.name)+" can't be stored: "+err.Error(),
		"hashfeed doctor tells what is wrong; it is fetched again by itself")
}

// aim makes a head what is to be reached.
func (c *carrier) aim(l *link, cp feed.Checkpoint) {
	c.mu.Lock()
	t, ok := c.targets[cp.Origin]
	if !ok {
		t.since = time.Now()
	}
	news := headFrom{l, cp}
	if !ok || cp.Newer(t.cp) {
		t.headFrom, news = news, t.headFrom
	}
	if ok {
		t.more = append(t.more, news)
		t.more = t.more[max(0, len(t.more)-maxSizes):]
	}
	c.targets[cp.Origin] = t
	c.mu.Unlock()
	poke(c.wake)
}

// checkHarm makes sure that a feed lists what the operator expects.
func (c *carrier) checkHarm(harm feed.Harm) bool {
	if c.follow.Harm == "" || c.follow.Harm == harm {
		return true
	}
	c.mu.Lock()
	c.why = "harm differs"
	c.mu.Unlock()
	c.n.alarms.raise(AlarmHarm, "", c.name, fmt.Sprintf("%s lists %s, not %s as expected: nothing of it is taken in", c.name, harm, c.follow.Harm),
		"compare the invite with the publisher by telephone; follow it again with the right --harm, or unfollow it")
	return false
}

// barred reports whether nothing of the feed may be taken in.
func (c *carrier) barred() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why != ""
}

// unreachable: a peer could not be dialled.
func (c *carrier) unreachable(p peer.ID) {
	if p == c.follow.publisher {
		c.n.log.Debug("publisher unreachable", "feed", string(c.name), "peer", p.String())
	}
}

// watch does what time brings: it asks again where nobody answered, and raises the alarm of a head whose records nobody hands out.
func (c *carrier) watch() {
	c.mu.Lock()
	var again []peer.ID
	for p, a := range c.asks {
		if !a.running && !a.failed.IsZero() && time.Since(a.failed) > redialMost {
			again = append(again, p)
		}
	}
	var withheld []target
	for _, t := range c.targets {
		if time.Since(t.since) >= withheldAfter {
			withheld = append(withheld, t)
		}
	}
	c.mu.Unlock()
	for _, p := range again {
		if l, ok := c.n.link(p); ok {
			c.ask(l)
		}
	}
	chain, ok := c.n.o.Store.Chain(c.name)
	for _, t := range withheld {
		if ok && closed(chain, t.cp.Origin) {
			continue // a thief can sign any size, and nobody has to have it
		}
		c.n.alarms.raise(AlarmWithheld, string(t.cp.Origin), c.name,
			fmt.Sprintf("%s has a signed head of size %d, whose records no peer hands out", t.cp.Origin, t.cp.Size),
			"ask the publisher; it may show us another list than others")
	}
}

// reached says that a log has got to a size, and takes what else was heard of it on the way.
func (c *carrier) reached(chain *feed.Chain, origin feed.Origin, size uint64) {
	c.mu.Lock()
	t, ok := c.targets[origin]
	if !ok || t.cp.Size > size {
		c.mu.Unlock()
		return
	}
	delete(c.targets, origin)
	c.mu.Unlock()
	c.n.metrics.fetchTime.Observe(time.Since(t.since).Seconds())
	c.n.alarms.clear(AlarmWithheld, string(origin))
	for _, h := range append(t.more, t.headFrom) {
		c.accept(h.l, chain, h.cp)
	}
}

// carry fetches, as long as the feed is carried.
func (c *carrier) carry() {
	wait := retryFetch
	for {
		var again <-chan time.Time
		if err := c.catchUp(); err != nil && c.ctx.Err() == nil {
			c.n.log.Info("fetch", "feed", string(c.name), "err", err)
			t := time.NewTimer(wait)
			defer t.Stop()
			again, wait = t.C, min(2*wait, retryMost)
		} else {
			wait = retryFetch
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case <-again:
		}
	}
}

// catchUp fetches every log to its target. What lies past the cut of a closed log comes last: a thief may have signed any amount of it, and a
// retraction in the current log must not wait for that.
func (c *carrier) catchUp() error {
	chain, ok := c.n.o.Store.Chain(c.name)
	if !ok || c.frozen(chain) || c.barred() {
		return nil
	}
	var errs []error
	for log := 1; log <= chain.Newest().Log; log++ {
		end, ended := chain.ClosedHead(log)
		cp, ok := c.target(chain, log)
		switch {
		case !ended && !ok, ended && !c.shorter(end):
			continue
		case ended: // it ends there, whoever signs what lies past that
			cp = end
		}
		if err := c.fetch(chain, cp); err != nil {
			errs = append(errs, err)
		}
		if ended && c.shorter(end) {
			return errors.Join(errs...) // later logs go on from its state
		}
	}
	for log := 1; log < chain.Newest().Log; log++ {
		if cp, ok := c.target(chain, log); ok {
			if err := c.fetch(chain, cp); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// shorter reports whether our copy of a log doesn't reach a size yet.
func (c *carrier) shorter(end feed.Checkpoint) bool {
	tree, _, ok := c.n.o.Store.Position(end.Origin)
	return ok && tree.Size() < end.Size
}

// target is a head that a log should reach, and whether it hasn't yet.
func (c *carrier) target(chain *feed.Chain, log int) (feed.Checkpoint, bool) {
	origin := c.name.Log(log)
	c.mu.Lock()
	t, ok := c.targets[origin]
	c.mu.Unlock()
	if !ok {
		return feed.Checkpoint{}, false
	}
	if head, has := c.n.o.Store.Head(origin); has && head.Size >= t.cp.Size {
		c.reached(chain, origin, head.Size)
		return feed.Checkpoint{}, false
	}
	return t.cp, true
}
