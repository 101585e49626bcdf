package node

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// simPlan is what a seed comes to: who is there, and what happens, one thing after the other. The same seed gives the same plan;
// the order in which goroutines run is the scheduler's.
type simPlan struct {
	seed       uint64
	nodes      int
	publishers int
	follows    [][]int // by node: the publishers whose feeds it follows
	quorum     []int   // by publisher: how many members must have cosigned; 0: none
	skew       []time.Duration
	minDelay   time.Duration
	maxDelay   time.Duration
	loss       float64
	impostor   bool // somebody claims to be the first publisher, and talks to everyone
	ops        []simOp
}

func (p simPlan) role(i int) string {
	if i < p.publishers {
		return RoleHotline
	}
	return RoleHost
}

// simOp is one thing that happens. Which item or member it happens to is chosen by pick among those that are there then, so that
// a plan stays good when others are left out of it.
type simOp struct {
	kind simKind
	node int // who acts, or whom it happens to
	feed int // the publisher whose feed it is about
	pick int
	mask uint32 // of nodes, for partitions and forks
	wait time.Duration
}

type simKind string

const (
	simPublish   simKind = "publish"
	simRetract   simKind = "retract"
	simRevise    simKind = "revise"
	simReinstate simKind = "reinstate"
	simSuspend   simKind = "suspend"
	simEndorse   simKind = "endorse"
	simDispute   simKind = "dispute"
	simStamp     simKind = "stamp"
	simCharter   simKind = "charter"
	simExpel     simKind = "member remove"
	simAdmit     simKind = "member add"
	simCut       simKind = "partition"
	simHeal      simKind = "heal"
	simLoss      simKind = "loss"
	simCrash     simKind = "crash"
	simRestart   simKind = "restart"
	simDown      simKind = "down"
	simUp        simKind = "up"
	simSkew      simKind = "clock"
	simSplit     simKind = "fork"
	simForked    simKind = "publish on the fork"
	simUnlist    simKind = "retract on the fork"
	simJoin      simKind = "join the sides"
	simCheck     simKind = "check"
)

func (o simOp) String() string {
	s := fmt.Sprintf("%s node=%d feed=%d pick=%d", o.kind, o.node, o.feed, o.pick)
	if o.mask != 0 {
		s += fmt.Sprintf(" mask=%b", o.mask)
	}
	return s + fmt.Sprintf(" then %v", o.wait)
}

func (p simPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d nodes, %d publish, links %v to %v, loss %.1f %%, quorum %v, follows %v, skew %v, impostor %v\n",
		p.seed, p.nodes, p.publishers, p.minDelay, p.maxDelay, 100*p.loss, p.quorum, p.follows, p.skew, p.impostor)
	for i, o := range p.ops {
		fmt.Fprintf(&b, "%4d %v\n", i, o)
	}
	return b.String()
}

// simFaults are the kinds that are faults and no work.
var simFaults = map[simKind]bool{simCut: true, simHeal: true, simLoss: true, simCrash: true, simRestart: true, simDown: true, simUp: true, simSkew: true,
	simSplit: true, simForked: true, simUnlist: true, simJoin: true}

// newSimPlan makes the plan of a seed.
func newSimPlan(seed uint64) simPlan {
	r := rand.New(rand.NewPCG(seed, 0))
	p := simPlan{seed: seed, nodes: 5 + r.IntN(2)*r.IntN(4)}
	switch r.IntN(30) { // most are small: what goes wrong among twenty mostly goes wrong among six
	case 0:
		p.nodes = 12 + r.IntN(9)
	case 1, 2:
		p.nodes = 9 + r.IntN(3)
	}
	p.publishers = 1 + r.IntN(3)
	p.minDelay = time.Duration(10+r.IntN(60)) * time.Millisecond
	p.maxDelay = p.minDelay + time.Duration(r.IntN(300-int(p.minDelay/time.Millisecond)))*time.Millisecond
	p.loss = float64(r.IntN(6)) / 100
	p.impostor = r.IntN(4) == 0
	for i := range p.nodes {
		var follows []int
		for f := range p.publishers {
			if f != i && (i < p.publishers && r.IntN(2) == 0 || i >= p.publishers && (f == i%p.publishers || r.IntN(3) > 0)) {
				follows = append(follows, f)
			}
		}
		p.follows = append(p.follows, follows)
		p.skew = append(p.skew, time.Duration(r.IntN(61)-30)*time.Second)
	}
	for range p.publishers {
		quorum := 0
		if r.IntN(3) == 0 {
			quorum = 1 + r.IntN(2)
		}
		p.quorum = append(p.quorum, quorum)
	}
	g := simGenerator{r: r, p: &p}
	for f := range p.publishers {
		g.op(simPublish, f, f, time.Second)
	}
	g.add(simCheck, 8*time.Second)
	episodes := 2 + r.IntN(2)
	forked := false
	for range episodes {
		g.work(2 + r.IntN(4))
		switch k := r.IntN(8); {
		case k == 0 && !forked && p.nodes-p.publishers >= 2:
			forked = true
			g.fork()
		case k <= 2:
			g.partition()
		case k <= 4:
			g.crashes()
		case k == 5:
			g.outage()
		case k == 6:
			g.op(simLoss, 0, 0, time.Second)
			g.op(simSkew, r.IntN(p.nodes), 0, time.Second)
		default:
			g.membership()
		}
		g.work(1 + r.IntN(3))
		g.add(simCheck, time.Duration(r.IntN(6))*time.Second)
	}
	return p
}

type simGenerator struct {
	r *rand.Rand
	p *simPlan
}

func (g *simGenerator) add(kind simKind, wait time.Duration) {
	g.p.ops = append(g.p.ops, simOp{kind: kind, wait: wait})
}

func (g *simGenerator) op(kind simKind, node, feed int, wait time.Duration) {
	g.p.ops = append(g.p.ops, simOp{kind: kind, node: node, feed: feed, pick: g.r.IntN(1 << 20), wait: wait})
}

func (g *simGenerator) pause() time.Duration {
	return time.Duration(g.r.IntN(2500)) * time.Millisecond
}

// work is what publishers and members do all day.
func (g *simGenerator) work(n int) {
	for range n {
		f := g.r.IntN(g.p.publishers)
		kind := []simKind{simPublish, simPublish, simPublish, simRetract, simRetract, simRetract, simRevise, simReinstate, simSuspend, simStamp, simCharter,
			simEndorse, simDispute}[g.r.IntN(13)]
		node := f
		if kind == simEndorse || kind == simDispute {
			node = g.r.IntN(g.p.nodes)
		}
		g.op(kind, node, f, g.pause())
	}
}

func (g *simGenerator) mask() uint32 {
	return uint32(g.r.Uint64N(1<<g.p.nodes-2)) + 1 // some on either side
}

// partition cuts the net in two, for less or more than it takes to notice.
func (g *simGenerator) partition() {
	g.p.ops = append(g.p.ops, simOp{kind: simCut, mask: g.mask(), wait: g.pause()})
	g.work(2 + g.r.IntN(3))
	if g.r.IntN(2) == 0 {
		g.add(simCheck, 50*time.Second)
	}
	g.add(simHeal, g.pause())
}

// crashes ends nodes, one in the middle of what its publisher does.
func (g *simGenerator) crashes() {
	for range 1 + g.r.IntN(2) {
		kind := simCrash
		if g.r.IntN(3) == 0 {
			kind = simRestart
		}
		node := g.r.IntN(g.p.nodes)
		if g.r.IntN(2) == 0 { // the moment after something was acknowledged
			node = g.r.IntN(g.p.publishers)
			g.op([]simKind{simPublish, simRetract, simStamp}[g.r.IntN(3)], node, node, 0)
		}
		g.op(kind, node, 0, g.pause())
		g.add(simCheck, 0)
	}
}

// outage keeps a node down while others go on.
func (g *simGenerator) outage() {
	node := g.r.IntN(g.p.nodes)
	g.op(simDown, node, 0, 0)
	g.work(2 + g.r.IntN(3))
	g.op(simUp, node, 0, g.pause())
}

// membership ends one and begins it again.
func (g *simGenerator) membership() {
	f := g.r.IntN(g.p.publishers)
	pick := g.r.IntN(1 << 20)
	g.p.ops = append(g.p.ops, simOp{kind: simExpel, node: f, feed: f, pick: pick, wait: g.pause()})
	g.work(2)
	if g.r.IntN(2) == 0 {
		g.p.ops = append(g.p.ops, simOp{kind: simAdmit, node: f, feed: f, pick: pick, wait: g.pause()})
	}
}

// fork has a publisher tell two halves two stories, one half often being a single node that hears nobody else; and then the halves meet.
func (g *simGenerator) fork() {
	f := g.r.IntN(g.p.publishers)
	mask := g.mask()
	if g.r.IntN(2) == 0 {
		mask = 1 << (g.p.publishers + g.r.IntN(g.p.nodes-g.p.publishers)) // an eclipsed node
	}
	g.p.ops = append(g.p.ops, simOp{kind: simSplit, node: f, feed: f, mask: mask &^ (1 << f), wait: 50 * time.Second})
	told := func() {
		for range 1 + g.r.IntN(2) {
			g.op(simPublish, f, f, g.pause())
		}
		for range 1 + g.r.IntN(2) {
			g.op(simForked, f, f, g.pause())
		}
		if g.r.IntN(2) == 0 {
			g.op([]simKind{simRetract, simUnlist}[g.r.IntN(2)], f, f, g.pause())
		}
	}
	told()
	g.add(simCheck, 5*time.Second)
	g.p.ops = append(g.p.ops, simOp{kind: simJoin, wait: 5 * time.Second})
	g.add(simCheck, 0)
	told()
	g.add(simCheck, 5*time.Second)
}
