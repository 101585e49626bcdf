package gossip

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// itemOf is the id of testRecord's n'th item.
func itemOf(n int) feed.ItemID {
	id := sha256.Sum256(fmt.Appendf(nil, "item %d", n))
	return feed.ItemID(id[:16])
}

// retractionAt is the head that retracts testRecord's n'th item, which stands at an index of log 1.
func retractionAt(t *testing.T, n, index int) feed.Record {
	t.Helper()
	head, err := (feed.Head{Op: feed.OpRetract, Time: 2, Item: itemOf(n), Rev: 2, Targets: []feed.Position{{Log: 1, Index: uint64(index)}},
		Reason: feed.FalsePositive}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return feed.Record{Head: head}
}

// TestRetractsOfBothBranches: a frozen feed adds nothing more, but a retract on either branch is heard of, however the node
// came to know that there are two, whatever the sizes, and also one that is signed after the freeze.
func TestRetractsOfBothBranches(t *testing.T) {
	for _, sizes := range [][2]int{{5, 5}, {5, 6}, {6, 5}, {300, 700}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			run(t, func(w *world) {
				hotline, a, b, c := w.node("hotline.example"), w.node("a.example"), w.node("b.example"), w.node("c.example")
				p := hotline.publishes()
				p.publish(300)
				p.admits(a, b, c)
				for _, n := range []*testNode{a, b, c} {
					n.follows(p)
				}
				for _, n := range w.nodes {
					n.start()
				}
				w.same(10*time.Second, p.name, w.nodes...)
				for _, n := range w.nodes {
					n.stop()
				}
				// c is with a; b has the other branch. Each branch retracts another item.
				records := func(branch, n int) []feed.Record {
					var all []feed.Record
					for j := range n - 1 {
						all = append(all, testRecord(t, 1000*branch+j))
					}
					return append(all, retractionAt(t, branch, branch))
				}
				now := time.Now().Unix()
				p.must(p.signAt(a.store, now, records(1, sizes[0])...))
				p.must(p.signAt(b.store, now+1, records(2, sizes[1])...))
				p.must(p.signAt(c.store, now, records(1, sizes[0])...))
				for _, n := range []*testNode{a, b, c} {
					n.knows(a, b, c)
					n.start()
				}
				w.settle(time.Minute, "evidence everywhere", func() bool {
					return a.evidence.Load() == 1 && b.evidence.Load() == 1 && c.evidence.Load() == 1
				})
				w.settle(time.Minute, "the other's retract", func() bool {
					return a.holds(p.origin(), 2) && c.holds(p.origin(), 2) && b.holds(p.origin(), 1)
				})
				// Later retracts, signed on either branch. The smaller one's head isn't pushed to who has a larger one, but the lists show it.
				p.must(p.signAt(b.store, time.Now().Unix(), retractionAt(t, 7, 7)))
				p.must(p.signAt(a.store, time.Now().Unix(), retractionAt(t, 8, 8)))
				w.settle(listEvery+time.Minute, "later retracts", func() bool {
					return a.holds(p.origin(), 7) && c.holds(p.origin(), 7) && b.holds(p.origin(), 8) && c.holds(p.origin(), 8)
				})
				if got := c.store.size(p.origin()); got != uint64(300+sizes[0]) {
					t.Errorf("c has %d records, want %d: something was added to a frozen feed", got, 300+sizes[0])
				}
				for _, n := range []*testNode{a, b, c} {
					if al, ok := n.alarm(AlarmLied); ok {
						t.Errorf("%s blames an honest peer: %v", n.name, al)
					}
				}
			})
		})
	}
}

// TestFrozenAfterRestart: what froze a feed before is not forgotten, and is told to whoever connects later.
func TestFrozenAfterRestart(t *testing.T) {
	run(t, func(w *world) {
		hotline, a, b, late := w.node("hotline.example"), w.node("a.example"), w.node("b.example"), w.node("late.example")
		p := hotline.publishes()
		p.publish(3)
		p.admits(a, b, late)
		for _, n := range []*testNode{a, b, late} {
			n.follows(p)
		}
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, w.nodes...)
		for _, n := range []*testNode{a, b, late} {
			n.stop()
		}
		p.must(p.signAt(a.store, time.Now().Unix(), testRecord(t, 100)))
		p.must(p.signAt(b.store, time.Now().Unix(), testRecord(t, 200)))
		hotline.stop()
		a.knows(b)
		b.knows(a)
		a.start()
		b.start()
		w.settle(30*time.Second, "evidence", func() bool { return a.evidence.Load() == 1 && b.evidence.Load() == 1 })
		a.stop()
		b.stop()
		before := a.store.snapshot(p.name)
		a.start()
		p.must(p.signAt(hotline.store, time.Now().Unix(), testRecord(t, 100)))
		p.must(p.signAt(hotline.store, time.Now().Unix(), testRecord(t, 101)))
		hotline.start()
		time.Sleep(time.Minute)
		if got := a.store.snapshot(p.name); got != before {
			t.Errorf("after a restart a frozen feed took in more: %s", got)
		}
		if a.evidence.Load() != 1 {
			t.Error("it was told as news after the restart")
		}
		if _, ok := a.alarm(AlarmEvidence); !ok {
			t.Error("no alarm after the restart")
		}
		late.knows(a)
		late.start()
		w.settle(time.Minute, "one who was away is told", func() bool { return late.evidence.Load() == 1 && hotline.evidence.Load() == 1 })
	})
}

// holds reports whether a node was told of a retract of testRecord's n'th item.
func (n *testNode) holds(origin feed.Origin, item int) bool {
	n.rollMu.Lock()
	defer n.rollMu.Unlock()
	return slices.Contains(n.held[origin], itemOf(item))
}

// takesCharter signs a charter and gives it to a node's store, as if only that node had been shown it.
func (n *testNode) takesCharter(p *publisher, c feed.Charter) {
	n.w.t.Helper()
	note, err := feed.SignCharter(c, p.root)
	p.must(err)
	chain, _ := n.store.Chain(p.name)
	longer, err := chain.Extend(note)
	p.must(err)
	p.must(n.store.SetChain(longer))
}

// TestCharterFork: two charters of one version are found out by any two who are connected, when they connect or while they are; the feed
// freezes; nobody is taken for a liar; a charter that is valid after both ends it for both.
func TestCharterFork(t *testing.T) {
	for _, live := range []bool{false, true} {
		for _, closes := range []bool{false, true} { // one of the two closes the log
			t.Run(fmt.Sprintf("live=%v,closes=%v", live, closes), func(t *testing.T) {
				run(t, func(w *world) { charterFork(w, live, closes) })
			})
		}
	}
}

func charterFork(w *world, live, closes bool) {
	t := w.t
	hotline, a, b, c := w.node("hotline.example"), w.node("a.example"), w.node("b.example"), w.node("c.example")
	p := hotline.publishes()
	p.publish(3)
	p.admits(a, b, c)
	followers := []*testNode{a, b, c}
	for _, n := range followers {
		n.follows(p)
		n.knows(followers...)
	}
	for _, n := range w.nodes {
		n.start()
	}
	w.same(5*time.Second, p.name, w.nodes...)
	hotline.stop()
	if !live {
		for _, n := range followers {
			n.stop()
		}
	}
	signer, stamp := p.signer, p.stamp
	one, other := nextCharter(p), nextCharter(p)
	other.Contact = "another desk"
	if closes {
		head, _ := a.store.Head(p.origin())
		signer, stamp = testKey(string(p.name.Log(2)), crypto.TypeSignature, "signer"), testKey(string(p.name.Log(2)), crypto.TypeCosignature, "stamp")
		one.Closed, one.Log, one.Stamp = []feed.Cut{{Size: head.Size, Root: head.Root}}, 2, stamp.Public()
		one.Signer = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{signer.Public()}}
	}
	sign := func(n *testNode, records ...feed.Record) {
		chain, _ := n.store.Chain(p.name)
		tree, _, _ := n.store.Position(chain.Newest().Origin())
		last, _ := n.store.Head(chain.Newest().Origin())
		b, err := feed.Sign(feed.Signing{Chain: chain, Signers: []crypto.Signer{signer}, Stamp: stamp}, tree, last, records, time.Now().Unix())
		p.must(err)
		p.must(n.store.Commit(b))
	}
	w.sever(func(x, y string) bool { return true })
	a.takesCharter(p, one)
	b.takesCharter(p, other)
	if closes {
		sign(a)
	}
	w.sever(nil)
	if !live {
		for _, n := range followers {
			n.start()
		}
	}
	w.settle(2*time.Minute, "evidence everywhere", func() bool { // c, who had neither, too
		return a.evidence.Load() == 1 && b.evidence.Load() == 1 && c.evidence.Load() == 1
	})
	if ev := a.kept.Load(); ev.Kind != feed.CharterEvidence || ev.Version != 2 {
		t.Errorf("got %s of version %d", ev.Kind, ev.Version)
	}
	sign(a, testRecord(t, 50))
	time.Sleep(time.Minute)
	if got := b.store.size(one.Origin()); got != b.store.size(p.origin()) && got != 0 || b.store.size(p.origin()) != 3 {
		t.Errorf("more was taken in of a frozen feed: %d", got)
	}
	next := one
	next.Version, next.Contact = 3, "desk 3"
	a.takesCharter(p, next)
	w.settle(2*listEvery, "the next charter, and what waited", func() bool {
		return a.store.size(next.Origin()) > 0 && b.store.size(next.Origin()) == a.store.size(next.Origin())
	})
	for _, n := range followers {
		if al, ok := n.alarm(AlarmLied); ok {
			t.Errorf("%s blames an honest peer: %v", n.name, al)
		}
		if al, ok := n.alarm(AlarmEvidence); ok && n != c {
			t.Errorf("%s still has %v", n.name, al)
		}
	}
}
