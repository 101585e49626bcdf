package node

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hashfeed/feed"
	"hashfeed/node/gossip"
	"hashfeed/node/match"
)

// simBug is something that could be wrong, put in from outside: into what a node makes its network of, its directory, its views.
type simBug struct {
	breaks string // the invariant that must notice
	is     string
	ops    func(p *simPlan, node int) []simOp // what must happen for it to show; node follows the first feed

	network func(*simNode, *gossip.Options) // what the network is made of
	before  func(*simNode)                  // before something is published
	disk    func(*simNode) string           // what is on the disk after a crash
	derived func(*Node)                     // what views and tables come to, live and rebuilt
	live    func(*simNode)                  // live only, before each check
}

// simBugs are one bug for each invariant.
var simBugs = []simBug{
	{
		breaks: "I1", is: "a publish is acknowledged before it is on the disk",
		ops: func(p *simPlan, _ int) []simOp {
			return []simOp{{kind: simPublish}, {kind: simCrash, wait: time.Second}, {kind: simCheck}}
		},
		before: func(n *simNode) { n.keep("unsynced") },
		disk:   func(n *simNode) string { return n.kept("unsynced") },
	},
	{
		breaks: "I2", is: "a follower doesn't compare a feed's charter with the anchor that was pinned",
		ops: func(p *simPlan, _ int) []simOp {
			p.impostor = true
			return []simOp{{kind: simPublish, wait: 20 * time.Second}, {kind: simCheck}}
		},
		network: func(n *simNode, o *gossip.Options) {
			roll := o.Roll
			o.Roll = func() gossip.Roll {
				r := roll()
				for i := range r.Follows {
					if r.Follows[i].Feed == n.w.firstFeed() {
						r.Follows[i].Anchor = n.w.falseAnchor
					}
				}
				return r
			}
		},
	},
	{
		breaks: "I3", is: "a follower comes up with the stamp before the newest",
		ops: func(p *simPlan, node int) []simOp {
			return []simOp{{kind: simStamp, wait: 10 * time.Second}, {kind: simCheck}, {kind: simCrash, node: node}}
		},
		live: func(n *simNode) {
			if n.kept("older") == n.dir {
				n.keep("older")
			}
		},
		disk: func(n *simNode) string { return n.kept("older") },
	},
	{
		breaks: "I4", is: "that a feed is frozen doesn't outlive a restart",
		ops: func(p *simPlan, node int) []simOp {
			return []simOp{{kind: simSplit, mask: 1 << node, wait: 50 * time.Second}, {kind: simPublish}, {kind: simForked, wait: 5 * time.Second},
				{kind: simJoin, wait: time.Minute}, {kind: simCheck}, // a dial is repeated within 30 s: by now everybody has evidence
				{kind: simCut, mask: 0b11, wait: 50 * time.Second},                      // the publisher and one member, by themselves
				{kind: simCrash, node: 0}, {kind: simCrash, node: 1, wait: time.Minute}, // they find each other again
				{kind: simPublish, wait: 30 * time.Second}, {kind: simPublish, wait: 30 * time.Second}, {kind: simCheck}}
		},
		network: func(n *simNode, o *gossip.Options) {
			o.Evidence, o.OnEvidence = nil, func(feed.Evidence) {}
		},
	},
	{
		breaks: "I5", is: "a follower reads retractions as void",
		ops: func(p *simPlan, _ int) []simOp {
			return []simOp{{kind: simRetract, wait: 10 * time.Second}, {kind: simCheck}}
		},
		derived: func(n *Node) {
			c, err := rebuilt(n, func(v *view, records []feed.Record) {
				for i, r := range records {
					if h, err := feed.ParseHead(r.Head); err == nil && h.Op == feed.OpRetract && !v.own {
						records[i] = feed.Record{Head: []byte{0}}
					}
				}
			})
			if err != nil {
				panic(err)
			}
			n.tables.Close()
			n.tables, n.said = c.tables, c.said
			n.views.Store(c.views.Load())
		},
	},
	{
		breaks: "I6", is: "a follower's store takes nothing more of a feed, and says that it will later",
		ops: func(p *simPlan, _ int) []simOp {
			return []simOp{{kind: simPublish, wait: time.Second}, {kind: simPublish, wait: time.Second}}
		},
		network: func(n *simNode, o *gossip.Options) {
			o.Store = &fullStore{Store: o.Store, feed: n.w.firstFeed(), room: 3}
		},
	},
	{
		breaks: "I7", is: "a node tells its news again and again",
		ops: func(p *simPlan, _ int) []simOp { return nil },
		network: func(n *simNode, o *gossip.Options) {
			go func() {
				for n.w.pause(100 * time.Millisecond) {
					if w := n.node.network.Load(); w != nil {
						w.gossip.Committed(n.w.firstFeed(), nil)
					}
				}
			}()
		},
	},
	{
		breaks: "I8", is: "a hash drops out of the live tables",
		ops: func(p *simPlan, _ int) []simOp {
			return []simOp{{kind: simPublish, wait: 10 * time.Second}, {kind: simCheck}}
		},
		live: func(n *simNode) {
			for _, h := range n.w.asked {
				hits, _, err := n.node.tables.Lookup(nil, match.Alg(h.Alg), h.Bytes(), 0)
				if err == nil && len(hits) > 0 {
					n.w.must(n.node.tables.Remove(match.Alg(h.Alg), h.Bytes(), hits[0].ID))
					return
				}
			}
		},
	},
}

// fullStore refuses what would be stored of a feed after a few commits.
type fullStore struct {
	gossip.Store
	feed feed.Name
	room int32
}

func (s *fullStore) Commit(b *feed.Batch) error {
	if b.Origin().Name() == s.feed && atomic.AddInt32(&s.room, -1) < 0 {
		return errors.New("no space left on device")
	}
	return s.Store.Commit(b)
}

// keep copies the directory aside, kept says where that is: the directory itself where nothing was kept.
func (n *simNode) keep(as string) {
	synctest.Wait()
	n.w.must(os.RemoveAll(n.dir + "." + as))
	n.w.must(copyDir(n.dir+"."+as, n.dir))
}

func (n *simNode) kept(as string) string {
	if _, err := os.Stat(n.dir + "." + as); err != nil {
		return n.dir
	}
	return n.dir + "." + as
}

// pause lets time pass, and says whether the run goes on.
func (w *simWorld) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-w.done:
		return false
	}
}

// simFindsBugs puts one bug after the other in, and demands that the invariant that it breaks is reported, and no other.
func simFindsBugs(t *testing.T, root *simRoot, r *simResults) {
	bugs := simBugs
	if raceEnabled {
		bugs = bugs[:2]
	}
	for _, bug := range bugs {
		t.Run(bug.breaks, func(t *testing.T) {
			t.Parallel()
			found := findBug(t, root, bug)
			r.mu.Lock()
			r.bugs[bug.breaks] = found
			r.mu.Unlock()
		})
	}
}

// findBug plays a network with a bug, and, where there is time, without: so it is the bug that is found.
func findBug(t *testing.T, root *simRoot, bug simBug) []violation {
	plan := reachPlan(5)
	plan.ops = append([]simOp{{kind: simPublish, wait: 10 * time.Second}, {kind: simCheck}}, bug.ops(&plan, plan.nodes-1)...)
	if os.Getenv("HASHFEED_TEST") != "" {
		if w := playSim(t, root, plan, simBug{}); len(w.found) > 0 {
			t.Fatalf("without the bug: %s\n%v", violations(w.found), plan)
		}
	}
	w := playSim(t, root, plan, bug)
	if len(w.found) == 0 {
		t.Errorf("%s: nothing was found\n%v", bug.is, plan)
	}
	for _, v := range w.found {
		if v.invariant != bug.breaks {
			t.Errorf("%s: got %v, want %s alone", bug.is, v, bug.breaks)
		}
	}
	return w.found
}
