package gossip

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hashfeed/feed"
)

// What peers say of a feed: heads, lists, news and suspensions, each verified before anything comes of it.

// heardNews asks for the charter or roster that we don't have.
func (c *carrier) heardNews(l *link, m *news) {
	l.mu.Lock()
	for o, have := range l.claims {
		if o.Name() == c.name {
			have.Charter, have.Roster = max(have.Charter, m.Charter), max(have.Roster, m.Roster)
			l.claims[o] = have
		}
	}
	l.mu.Unlock()
	charter, roster := c.versions()
	if m.Charter > charter || m.Roster > roster || c.sameAge(l.peer, m.Charter) {
		c.ask(l)
	}
}

// versions are those held; 0: none.
func (c *carrier) versions() (charter, roster int) {
	if chain, ok := c.n.o.Store.Chain(c.name); ok {
		charter = chain.Newest().Version
	}
	if r, ok := c.n.o.Store.Roster(c.name); ok {
		roster = r.Version
	}
	return charter, roster
}

// heardList compares what a peer says it has with what we have, and asks where they differ. On a new connection it asks in any case, since
// suspensions stand on no list.
func (c *carrier) heardList(l *link, first bool) {
	claims, listed := l.claimsOf(c.name)
	if !listed || len(claims) == 0 {
		return
	}
	poke(c.wake)
	if c.ahead(claims, first) {
		c.ask(l)
	}
	if !c.own {
		return
	}
	for _, m := range claims {
		if head, ok := c.n.o.Store.Head(m.Origin); ok && m.Size == head.Size && m.Root == head.Root {
			c.hear(l, m.Origin)
		}
	}
}

func (c *carrier) ahead(claims []claim, first bool) bool {
	charter, roster := c.versions()
	if first || charter == 0 {
		return true
	}
	for _, m := range claims {
		if m.Charter > charter || m.Roster > roster || c.contradicts(m) {
			return true
		}
		k := known{m.Size, m.Stamp, 0}
		head, _ := c.n.o.Store.Head(m.Origin)
		if chain, ok := c.n.o.Store.Chain(c.name); ok {
			if cut, closed := chain.Cut(m.Origin.Log()); closed && m.Size <= cut.Size {
				continue // the charter says where it ends
			}
		}
		if !knownOf(head).covers(k) && !c.aimed(m.Origin).covers(k) {
			return true
		}
	}
	return false
}

// contradicts reports whether a claim is of another tree than ours. Of a closed log there is nothing to contradict: the charter says which it is,
// and who holds a thief's in good faith can't show a head for it.
func (c *carrier) contradicts(m claim) bool {
	if chain, ok := c.n.o.Store.Chain(c.name); ok && closed(chain, m.Origin) {
		return false
	}
	tree, _, ok := c.n.o.Store.Position(m.Origin)
	if !ok || m.Size > tree.Size() {
		return false
	}
	root, err := c.n.o.Store.RootAt(m.Origin, m.Size)
	return err == nil && root != m.Root
}

func (c *carrier) aimed(origin feed.Origin) known {
	c.mu.Lock()
	defer c.mu.Unlock()
	return knownOf(c.targets[origin].cp)
}

// hear notes that a member knows no more of an own feed than we do.
func (c *carrier) hear(l *link, origin feed.Origin) {
	chain, ok := c.n.o.Store.Chain(c.name)
	if !c.own || !ok || chain.Newest().Origin() != origin || !c.n.reads(l.peer, c.name) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heard {
		c.n.log.Info("a member has what we have: signing is safe", "feed", string(c.name), "peer", l.peer.String())
	}
	c.heard = true
}

// heardHead takes a pushed head.
func (c *carrier) heardHead(l *link, m *push) {
	c.do(func() {
		chain, ok := c.n.o.Store.Chain(c.name)
		if !ok || m.Origin.Log() > chain.Newest().Log {
			c.ask(l) // it comes with the charter
			return
		}
		if _, ok := chain.ForLog(m.Origin.Log()); !ok {
			return // of a log closed before the anchor, whose signers we don't know and don't need
		}
		cp, err := chain.OpenCheckpoint(m.Note)
		if err == nil && cp.Origin != m.Origin {
			err = fmt.Errorf("%w: a head of %s as one of %s", errRule, cp.Origin, m.Origin)
		}
		if err == nil {
			cp, err = chain.MergeCosignatures(cp, m.lines...)
		}
		if err != nil {
			c.blame(l, err)
			return
		}
		c.accept(l, chain, cp)
	})
}

// accept takes a verified head from a peer: it is adopted at once where we have its records, else fetched.
func (c *carrier) accept(l *link, chain *feed.Chain, cp feed.Checkpoint) {
	l.learn(cp.Origin, knownOf(cp))
	l.mu.Lock()
	if have := l.claims[cp.Origin]; l.claims != nil && cp.Size >= have.Size {
		l.claims[cp.Origin] = claim{Origin: cp.Origin, Size: cp.Size, Root: cp.Root, Stamp: cp.Stamp,
			Charter: max(1, have.Charter), Roster: have.Roster}
	}
	l.mu.Unlock()
	if c.barred() {
		return
	}
	if c.frozen(chain) {
		c.branch(l, cp)
		return
	}
	store := c.n.o.Store
	tree, _, ok := store.Position(cp.Origin)
	if !ok {
		return
	}
	if cp.Size > tree.Size() {
		if c.own && !closed(chain, cp.Origin) {
			c.foundOld(l, cp, tree.Size())
		}
		c.aim(l, cp)
		return
	}
	root, err := store.RootAt(cp.Origin, cp.Size)
	if err != nil {
		c.storeFailed(err)
		return
	}
	if root != cp.Root {
		c.contradicted(l, chain, cp)
		return
	}
	head, has := store.Head(cp.Origin)
	if has && cp.Size == head.Size {
		c.hear(l, cp.Origin)
	}
	held := head
	if has && cp.Size < head.Size {
		if len(cp.Cosigned) == 0 {
			return // of the past
		}
		held, _ = store.Seen(cp.Origin, cp.Size)
	}
	if !has || cp.Newer(head) || newlyCosigned(cp, held) {
		if err := c.adopt(chain, cp); err != nil {
			c.storeFailed(err)
		}
	}
}

// newlyCosigned reports whether cp has a cosignature that held hasn't.
func newlyCosigned(cp, held feed.Checkpoint) bool {
	return slices.ContainsFunc(cp.Cosigned, func(a feed.Cosignature) bool {
		return !slices.ContainsFunc(held.Cosigned, func(b feed.Cosignature) bool { return a.Key == b.Key && a.Time <= b.Time })
	})
}

// adopt commits a checkpoint of a tree that we have.
func (c *carrier) adopt(chain *feed.Chain, cp feed.Checkpoint) error {
	tree, err := c.treeAt(cp.Origin, cp.Size)
	if err != nil {
		return err
	}
	b, err := feed.AdoptCosignatures(chain, tree, cp, nil)
	if err != nil {
		return err
	}
	return c.commit(b)
}

// heardSuspension takes a pushed suspension, and passes it on by the commit.
func (c *carrier) heardSuspension(l *link, note []byte) {
	c.do(func() {
		chain, ok := c.n.o.Store.Chain(c.name)
		if !ok {
			return
		}
		c.suspend(l, chain, note)
	})
}

func (c *carrier) suspend(l *link, chain *feed.Chain, note []byte) {
	s, err := chain.OpenSuspension(note)
	if err != nil {
		c.accuse(l, err)
		return
	}
	l.mu.Lock()
	l.told[toldOf(s)] = true
	l.mu.Unlock()
	if !s.Vouched() {
		return // anybody may have written it
	}
	for _, held := range c.n.o.Store.Suspensions(c.name) {
		if held.Sum == s.Sum && len(held.Signers) >= len(s.Signers) {
			return
		}
	}
	if err := c.n.o.Store.Suspend(s); err != nil {
		c.storeFailed(err)
	}
}

// recentSuspensions are those that may be in force, the newest first; older ones go with head/1.
func (n *Network) recentSuspensions(name feed.Name) []feed.Suspension {
	all := slices.DeleteFunc(slices.Clone(n.o.Store.Suspensions(name)), func(s feed.Suspension) bool {
		return !s.Vouched() || s.Time < n.now()-72*3600
	})
	slices.SortFunc(all, newestFirst)
	return all
}

func newestFirst(a, b feed.Suspension) int {
	return cmp.Or(-cmp.Compare(a.Time, b.Time), strings.Compare(string(a.Sum[:]), string(b.Sum[:])))
}
