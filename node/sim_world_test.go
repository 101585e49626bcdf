package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// simWorld is one run of a plan: nodes on a simulated network, and, outside all of them, what was acknowledged to whoever asked.
type simWorld struct {
	t     *testing.T
	root  *simRoot
	plan  simPlan
	bug   simBug
	dir   string
	net   *simNet
	nodes []*simNode // those of the plan first
	feeds []*simFeed // by publisher
	asked []feed.Hash
	found []violation
	tally simTally

	done        chan struct{} // closed when the run ends
	falseAnchor feed.Anchor   // of the impostor's charter
	groups      uint32        // a partition: who is on the other side; 0: none
	fork        *simFork
	impostor    *simNode
}

// simFeed is the ledger of a feed: what its publisher acknowledged.
type simFeed struct {
	name    feed.Name
	pub     *simNode
	anchor  feed.Anchor
	records map[uint64]feed.Digest // leaf by index
	items   []*simItem
	members map[*simNode]bool
	forked  bool
}

// simItem is what was acknowledged of an item.
type simItem struct {
	ref       feed.Ref
	hashes    []feed.Hash
	retracted uint64 // index of the retraction in force; 0: none (a log begins with an add)
	revisions []string
	disputed  int  // by whom it may be held
	suspended bool // at some time
	forked    bool // on the branch of the twin only
	doubtful  bool // of a feed that was forked, since
}

// simTally counts what a run did.
type simTally struct {
	nodes, refused, checks, answers, records int
	kinds                                    map[simKind]int
	converged                                time.Duration
	quietPackets, quietBytes, pairBytes      int
}

// violation is an invariant that doesn't hold.
type violation struct {
	invariant string
	node      string
	text      string
}

func (v violation) String() string { return v.invariant + " at " + v.node + ": " + v.text }

// playSim runs a plan up to its end or to the first check that finds a violation.
func playSim(t *testing.T, root *simRoot, plan simPlan, bug simBug) *simWorld {
	t.Helper()
	return runSim(t, root, plan, bug, func(w *simWorld) {
		for _, o := range plan.ops {
			w.do(o)
			if len(w.found) > 0 || w.t.Failed() {
				return
			}
		}
		w.end()
	})
}

// runSim makes a plan's network in a bubble of its own, and lets a story happen there.
func runSim(t *testing.T, root *simRoot, plan simPlan, bug simBug, story func(*simWorld)) (w *simWorld) {
	t.Helper()
	dir, err := os.MkdirTemp(root.dir, "run-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	impostor, err := root.template("impostor", simName(0), RoleHotline)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.nodes { // not in the bubble: another one may be making the same, and a lock stops the clock
		if _, err := root.template(simName(i), simName(i), plan.role(i)); err != nil {
			t.Fatal(err)
		}
	}
	w = &simWorld{root: root, plan: plan, bug: bug, dir: dir, falseAnchor: impostor.Anchor, tally: simTally{nodes: plan.nodes, kinds: map[simKind]int{}}}
	synctest.Test(t, func(t *testing.T) {
		w.t, w.done = t, make(chan struct{})
		w.net = newSimNet(plan.seed)
		defer w.net.net.Close()
		defer func() {
			for _, n := range w.nodes {
				if err := n.stop(); err != nil {
					t.Errorf("stop %s: %v", n.name, err)
				}
			}
		}()
		defer func() {
			close(w.done)
			synctest.Wait() // whoever pauses has seen it, and looks at no node any more
		}()
		w.must(w.prepare())
		story(w)
	})
	return w
}

// must is for what has nothing to do with the invariants.
func (w *simWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *simWorld) violated(invariant string, n *simNode, format string, args ...any) {
	w.found = append(w.found, violation{invariant, n.name, fmt.Sprintf(format, args...)})
}

// prepare makes the nodes, the feeds and who follows whom.
func (w *simWorld) prepare() error {
	ctx := context.Background()
	p := w.plan
	w.net.set(func(s *simNet) {
		s.loss = 0 // until everybody has met
		s.delay = func(a, b string) time.Duration {
			if a > b {
				a, b = b, a
			}
			sum := sha256.Sum256([]byte(a + "-" + b))
			return p.minDelay + (p.maxDelay-p.minDelay)*time.Duration(sum[0])/255
		}
		s.cut = w.severed()
	})
	for i := range p.nodes {
		n := w.newSimNode(w.t, i, p.role(i))
		n.skew = p.skew[i]
		if err := n.start(); err != nil {
			return err
		}
	}
	for i := range p.publishers {
		n := w.nodes[i]
		v, err := n.node.findView("")
		if err != nil {
			return err
		}
		f := &simFeed{name: v.name, pub: n, anchor: v.reading.Load().chain.Anchor(), records: map[uint64]feed.Digest{}, members: map[*simNode]bool{}}
		w.feeds = append(w.feeds, f)
	}
	for i, follows := range p.follows {
		for _, f := range follows {
			n, pub := w.nodes[i], w.nodes[f]
			if err := w.admit(w.feeds[f], n); err != nil {
				return err
			}
			id, err := pub.node.Identity(ctx)
			if err != nil {
				return err
			}
			if _, err := n.node.Follow(ctx, api.Follow{Invite: id.Invite, Action: "block"}); err != nil {
				return err
			}
		}
	}
	for f, k := range p.quorum {
		if members := w.followers(w.feeds[f]); k > 0 && len(members) >= k {
			if err := w.name(w.feeds[f], k, members); err != nil {
				return err
			}
		}
	}
	if p.impostor {
		if err := w.addImpostor(); err != nil {
			return err
		}
	}
	time.Sleep(5 * time.Second)
	w.net.set(func(s *simNet) { s.loss = p.loss })
	return nil
}

// addImpostor starts a node that claims to publish the first feed, with keys of its own, and whom everybody lets connect.
func (w *simWorld) addImpostor() error {
	n := w.simNode("impostor", 200, "impostor")
	made, err := w.root.template("impostor", simName(0), RoleHotline)
	if err != nil {
		return err
	}
	if err := copyDir(n.dir, made.dir); err != nil {
		return err
	}
	w.impostor = n
	w.nodes = append(w.nodes, n)
	if err := n.start(); err != nil {
		return err
	}
	ctx := context.Background()
	for _, m := range w.honest() {
		if err := m.node.AddPeer(ctx, api.AddPeer{PeerID: n.node.keys.peerID(), Name: "friend", Address: "/ip4/" + n.ip + "/udp/4480/quic-v1"}); err != nil {
			return err
		}
		if _, err := n.node.AddMember(ctx, api.AddMember{PeerID: m.node.keys.peerID(), Name: m.name}); err != nil {
			return err
		}
	}
	h := w.newHash(feed.SHA256)
	_, err = n.node.Publish(ctx, api.Publish{Items: []api.Item{{Hashes: []string{h.Text()}, Verdict: "baseline", Media: "image", VerifiedBy: 2}}})
	return err
}

// firstFeed is the name of the first publisher's feed.
func (w *simWorld) firstFeed() feed.Name { return feed.Name(simName(0) + "/known") }

// honest are the nodes of the plan: all but twins and impostors.
func (w *simWorld) honest() []*simNode { return w.nodes[:w.plan.nodes] }

// followers are the members of a feed that follow it.
func (w *simWorld) followers(f *simFeed) []*simNode {
	var all []*simNode
	for _, n := range w.honest() {
		if f.members[n] {
			all = append(all, n)
		}
	}
	return all
}

// liar reports whether a node publishes a feed that was forked.
func (w *simWorld) liar(n *simNode) bool {
	return w.fork != nil && (n == w.fork.twin || n == w.fork.feed.pub)
}

// severed is who is cut off from whom, by address. It is made anew whenever that changes.
func (w *simWorld) severed() func(a, b string) bool {
	at := map[string]int{}
	for i, n := range w.nodes {
		at[n.ip] = i
	}
	groups, plan := w.groups, w.plan
	side := func(i int, mask uint32) bool { return i < plan.nodes && mask>>i&1 == 1 }
	fork := w.fork
	var twin, pub = -1, -1
	var mask uint32
	var joined, healed bool
	if fork != nil {
		twin, pub = slices.Index(w.nodes, fork.twin), slices.Index(w.nodes, fork.feed.pub)
		mask, joined, healed = fork.mask, fork.joined, fork.healed
	}
	return func(a, b string) bool {
		i, iok := at[a]
		j, jok := at[b]
		if !iok || !jok {
			return false
		}
		if groups != 0 && side(i, groups) != side(j, groups) {
			return true
		}
		if twin < 0 || healed {
			return false
		}
		hearsTwin := func(k int) bool { return k == twin || k != pub && side(k, mask) }
		if hearsTwin(i) == hearsTwin(j) {
			return false
		}
		return !joined || i == twin || j == twin || i == pub || j == pub
	}
}

func (w *simWorld) resever() {
	cut := w.severed()
	w.net.set(func(s *simNet) { s.cut = cut })
}
