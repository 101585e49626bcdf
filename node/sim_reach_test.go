package node

import (
	"context"
	"math/bits"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/feed/store"
)

// reachPlan is a hotline and its members, the publisher's promise: links of 50 to 150 ms, one packet in a hundred lost.
func reachPlan(nodes int) simPlan {
	p := simPlan{seed: 1, nodes: nodes, publishers: 1, quorum: []int{0}, minDelay: 50 * time.Millisecond, maxDelay: 150 * time.Millisecond, loss: 0.01,
		follows: [][]int{nil}, skew: make([]time.Duration, nodes)}
	for range nodes - 1 {
		p.follows = append(p.follows, []int{0})
	}
	return p
}

// reachRounds is how many retractions are timed, in how large a network.
func reachRounds() (nodes, rounds int) {
	switch {
	case raceEnabled:
		return 8, 2
	case os.Getenv("HASHFEED_TEST") == "":
		return 10, 6
	}
	return 20, 200
}

// arrivals notes when retractions act at a node: it follows the store after the views do.
type arrivals struct {
	mu sync.Mutex
	at map[uint64]time.Time // by index of the record
}

func (a *arrivals) Name() string { return "arrivals" }

func (a *arrivals) Apply(e store.Event) error {
	if e.Batch == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := e.First; i < e.Batch.To(); i++ {
		if _, ok := a.at[i]; !ok {
			a.at[i] = time.Now()
		}
	}
	return nil
}

// watch notes arrivals at all members.
func (w *simWorld) watch() map[*simNode]*arrivals {
	all := map[*simNode]*arrivals{}
	for _, n := range w.followers(w.feeds[0]) {
		all[n] = &arrivals{at: map[uint64]time.Time{}}
		w.must(n.node.store.Follow(context.Background(), nil, all[n]))
	}
	return all
}

// list publishes items, and waits until everybody has them.
func (w *simWorld) list(n int) {
	for range n {
		w.do(simOp{kind: simPublish, pick: 1})
	}
	w.await(time.Minute, "everybody has the items", func() bool { return w.apart() == "" })
}

// await lets time pass until a condition holds.
func (w *simWorld) await(d time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > d {
			w.t.Fatalf("after %v: %s: not yet", d, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

// reached is how long a retraction took to act at each member; never where it hasn't.
func reached(seen map[*simNode]*arrivals, index uint64, since time.Time, except uint32, nodes []*simNode) (took []time.Duration) {
	for n, a := range seen {
		if except>>slices.Index(nodes, n)&1 == 1 {
			continue
		}
		a.mu.Lock()
		at, ok := a.at[index]
		a.mu.Unlock()
		d := never
		if ok {
			d = at.Sub(since)
		}
		took = append(took, d)
	}
	return took
}

func quantile(all []time.Duration, of, from int) time.Duration {
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*of/from)]
}

// A retraction acts on every connected node within 2 s (p99), measured from the call of retract (DESIGN §8).
func simReach(t *testing.T, root *simRoot, r *simResults) {
	nodes, rounds := reachRounds()
	var took []time.Duration
	runSim(t, root, reachPlan(nodes), simBug{}, func(w *simWorld) {
		seen := w.watch()
		w.list(rounds)
		f := w.feeds[0]
		for _, it := range f.items {
			called := time.Now()
			_, err := f.pub.node.Retract(context.Background(), it.ref, feed.FalsePositive)
			w.must(err)
			it.retracted = f.pub.node.store.Size(f.name.Log(1)) - 1
			time.Sleep(3 * time.Second)
			took = append(took, reached(seen, it.retracted, called, 0, w.nodes)...)
		}
		w.must(w.noted(f))
		w.check()
		if len(w.found) > 0 {
			t.Error(violations(w.found))
		}
	})
	got := reachResult{rounds, nodes - 1, quantile(took, 1, 2), quantile(took, 99, 100), quantile(took, 1, 1)}
	r.reach = got
	t.Logf("%+v", got)
	if got.p99 > 2*time.Second {
		t.Errorf("p99 of %d arrivals: got %v, want 2 s at most", len(took), got.p99)
	}
}

// Within 60 s of a partition's end what was retracted meanwhile acts on both sides, however long it lasted.
func simReachAfterPartition(t *testing.T, root *simRoot, r *simResults) {
	nodes, lasting := 20, []time.Duration{20 * time.Second, 2 * time.Minute, 10 * time.Minute}
	if raceEnabled || os.Getenv("HASHFEED_TEST") == "" {
		nodes, lasting = 8, lasting[1:2]
	}
	runSim(t, root, reachPlan(nodes), simBug{}, func(w *simWorld) {
		seen := w.watch()
		w.list(len(lasting))
		f := w.feeds[0]
		for i, d := range lasting {
			w.groups = 0b1010_1010_1010_1010_1010 & (1<<nodes - 1) // half of them, not the publisher
			w.resever()
			time.Sleep(d / 2)
			_, err := f.pub.node.Retract(context.Background(), f.items[i].ref, feed.FalsePositive)
			w.must(err)
			index := f.pub.node.store.Size(f.name.Log(1)) - 1
			time.Sleep(d / 2)
			if took := reached(seen, index, time.Now(), ^w.groups, w.nodes); len(took) != bits.OnesCount32(w.groups) || slices.Max(took) != slices.Min(took) {
				t.Fatalf("a retraction got through a partition: %v", took)
			}
			w.groups = 0
			w.resever()
			healed := time.Now()
			time.Sleep(time.Minute)
			took := slices.Max(reached(seen, index, healed, 0, w.nodes))
			t.Logf("%v after the end of a partition of %v a retraction had acted everywhere", took, d)
			if took > time.Minute {
				t.Errorf("partition of %v: a retraction took %v after its end, want a minute at most", d, took)
			}
			r.healed[d] = took
		}
	})
}

// A split view is detected within one exchange of lists once a link joins the two sides: by the two that it joins, and from them by all.
func simSplitView(t *testing.T, root *simRoot, r *simResults) {
	for _, more := range []int{0, 3} { // heads of one size, and of different ones
		if raceEnabled && more == 0 {
			continue
		}
		runSim(t, root, reachPlan(6), simBug{}, func(w *simWorld) {
			w.list(3)
			time.Sleep(15 * time.Second) // the publisher has saved its members' addresses: its copy dials them
			w.do(simOp{kind: simSplit, mask: 0b11_1000, wait: time.Minute})
			for range 2 {
				w.do(simOp{kind: simPublish})
			}
			for range 2 + more {
				w.do(simOp{kind: simForked})
			}
			w.await(2*time.Minute, "each side has its story", func() bool {
				for i, n := range w.honest() {
					tells := w.fork.feed.pub
					if i >= 3 {
						tells = w.fork.twin
					}
					if got, _ := n.head(w.feeds[0].name); got.size != tells.node.store.Size(w.feeds[0].name.Log(1)) {
						return false
					}
				}
				return true
			})
			for _, n := range w.honest() {
				if n.holdsEvidence(w.feeds[0].name) {
					t.Fatalf("%s knows before anybody could", n.name)
				}
			}
			w.fork.joined = true
			w.resever()
			var a, b *simNode // the first that a link joins
			w.await(time.Minute, "a link joins the sides", func() bool {
				for _, a = range w.nodes[1:3] {
					for _, b = range w.nodes[3:6] {
						if a.connected(b) && b.connected(a) {
							return true
						}
					}
				}
				return false
			})
			// The list, the note of the other's head, the tiles that show what it was: some round trips of at most 300 ms, with a loss.
			took := w.await(5*time.Second, "both have evidence", func() bool {
				return a.holdsEvidence(w.feeds[0].name) && b.holdsEvidence(w.feeds[0].name)
			})
			r.splits = append(r.splits, took)
			t.Logf("%d more records on one side: evidence at both ends %v after a link joined them", more, took)
			w.await(time.Minute, "everybody has evidence", func() bool { return w.apart() == "" })
			w.check()
			if len(w.found) > 0 {
				t.Error(violations(w.found))
			}
		})
	}
}

func (n *simNode) holdsEvidence(name feed.Name) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.evidence[name]
}

func (n *simNode) connected(o *simNode) bool {
	for _, p := range n.net.peers() {
		if p.PeerID == o.node.keys.peerID() && p.Connected {
			return true
		}
	}
	return false
}

// A removed member gets nothing that is committed after its removal, from any node that has that roster; not after a restart either.
func simRemovedMember(t *testing.T, root *simRoot, r *simResults) {
	runSim(t, root, reachPlan(6), simBug{}, func(w *simWorld) {
		w.list(3)
		f, m := w.feeds[0], w.nodes[5]
		w.must(f.pub.node.RemoveMember(context.Background(), "", m.node.keys.peerID()))
		delete(f.members, m)
		w.await(time.Minute, "the members have the roster", func() bool { return w.apart() == "" })
		had := m.node.store.Size(f.name.Log(1))
		for range 3 {
			w.do(simOp{kind: simPublish, wait: 20 * time.Second})
			w.must(m.stop())
			w.must(m.start())
		}
		time.Sleep(2 * time.Minute)
		if got := m.node.store.Size(f.name.Log(1)); got != had {
			t.Errorf("a removed member has %d records, want %d as when it was removed", got, had)
		}
		if problem := w.apart(); problem != "" {
			t.Error(problem)
		}
		r.removed = true
	})
}
