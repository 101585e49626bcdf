package gossip

import (
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// witnessed is how much of a feed's log counts for additions at a node.
func (n *testNode) witnessed(p *publisher) uint64 {
	chain, _ := n.store.Chain(p.name)
	origin := chain.Newest().Origin()
	var heads []feed.Checkpoint
	for size := uint64(1); size <= n.store.size(origin); size++ {
		if cp, ok := n.store.Seen(origin, size); ok {
			heads = append(heads, cp)
		}
	}
	size, _ := feed.Witnessed(chain, heads)
	return size
}

// TestQuorumSurvives: a quorum of two of three starts from an empty feed, and goes on while one witness is away, restarts, or has left for
// good; while two are away additions wait everywhere, and the retraction among them doesn't.
func TestQuorumSurvives(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		a, b, c, d := w.node("a.example"), w.node("b.example"), w.node("c.example"), w.node("d.example")
		keys := []crypto.PublicKey{a.witness.Public(), b.witness.Public(), c.witness.Public(), d.witness.Public()}
		p := hotline.publishes(func(ch *feed.Charter) { ch.Quorum = &feed.KeyGroup{K: 2, Keys: keys[:3]} })
		members := []*testNode{host, a, b, c, d}
		p.admits(members...)
		for _, n := range members {
			n.follows(p)
		}
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, w.nodes...)
		counts := func(what string, size uint64) {
			t.Helper()
			w.settle(90*time.Second, what, func() bool {
				for _, n := range w.nodes {
					if n.net.Load() != nil && n.witnessed(p) != size {
						return false
					}
				}
				return true
			})
		}
		counts("an empty feed", 0)
		p.publish(1)
		counts("the first record", 1)

		c.stop()
		p.publish(1)
		counts("one is away", 2)
		b.stop()
		p.publish(1)
		p.retract(0)
		w.settle(10*time.Second, "records and the retraction arrive", func() bool { return host.store.size(p.origin()) == 4 })
		time.Sleep(time.Minute)
		counts("two are away: additions wait", 2)
		b.start()
		counts("one is back", 4)

		a.stop()
		p.publish(1)
		time.Sleep(10 * time.Second)
		counts("a is restarting", 4)
		a.start()
		counts("a has restarted", 5)

		// c never comes back; the next charter names d in its place.
		next := nextCharter(p)
		next.Quorum = &feed.KeyGroup{K: 2, Keys: []crypto.PublicKey{keys[0], keys[1], keys[3]}}
		p.must(p.charter(next))
		b.stop()
		p.publish(2)
		counts("a and d are the quorum", 7)
		for _, n := range w.nodes {
			if n.net.Load() == nil {
				continue
			}
			if al, ok := n.alarm(AlarmLied); ok {
				t.Errorf("%s blames an honest peer: %v", n.name, al)
			}
		}
	})
}
