package node

import (
	"encoding/json"
	"fmt"
	"time"

	"hashfeed/feed"
)

// end heals everything and demands that all honest nodes come to the same (I6), then that it gets quiet (I7).
func (w *simWorld) end() {
	w.groups = 0
	if w.fork != nil {
		w.fork.joined, w.fork.healed = true, true
	}
	w.resever()
	for _, n := range w.nodes {
		if n.node == nil {
			w.must(w.begin(n))
		}
	}
	begun := time.Now()
	for {
		problem := w.apart()
		if problem == "" {
			break
		}
		if time.Since(begun) > convergeWithin {
			w.violated("I6", w.nodes[0], "%v after everything was healed: %s", convergeWithin, problem)
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	w.tally.converged = time.Since(begun)
	w.check()
	if len(w.found) == 0 {
		w.checkReports()
	}
	if len(w.found) == 0 {
		w.checkTraffic()
	}
}

// convergeWithin is how long after the end of all faults honest nodes may differ: a dial is repeated within 30 s, and whoever was removed
// and admitted again is dialled anew.
const convergeWithin = 2 * time.Minute

// apart says in what honest nodes still differ from the publishers, "" if in nothing.
func (w *simWorld) apart() string {
	for _, f := range w.feeds {
		want, ok := f.pub.head(f.name)
		if !ok {
			return "a publisher without its feed"
		}
		for _, n := range w.followers(f) {
			if w.liar(n) {
				continue // of two nodes with one key others speak to one at a time; the other may hear nothing for as long as both run
			}
			got, ok := n.head(f.name)
			n.mu.Lock()
			evident := n.evidence[f.name]
			n.mu.Unlock()
			switch {
			case f.forked && w.fork.told() && !evident:
				return fmt.Sprintf("%s has no evidence that %s was forked", n.name, f.name)
			case f.forked:
			case !ok || got != want:
				return fmt.Sprintf("%s has %s at %+v, its publisher at %+v", n.name, f.name, got, want)
			case n.node.viewNamed(f.name).reading.Load().limit != f.pub.node.viewNamed(f.name).reading.Load().limit:
				return fmt.Sprintf("%s counts %s up to %d, its publisher to %d", n.name, f.name, n.node.viewNamed(f.name).reading.Load().limit,
					f.pub.node.viewNamed(f.name).reading.Load().limit)
			case len(n.node.store.Suspensions(f.name)) != len(f.pub.node.store.Suspensions(f.name)):
				return fmt.Sprintf("%s has %d suspensions of %s", n.name, len(n.node.store.Suspensions(f.name)), f.name)
			}
		}
	}
	return ""
}

// told reports whether both branches of a fork say something.
func (s *simFork) told() bool {
	origin := s.feed.name.Log(1)
	return s.feed.pub.node.store.Size(origin) > s.size && s.twin.node.store.Size(origin) > s.size
}

// checkReports compares everything that the states of followers and of the publisher come to (I6).
func (w *simWorld) checkReports() {
	now := time.Now().Unix()
	report := func(n *simNode, name feed.Name) string {
		v := n.node.viewNamed(name)
		r, err := v.state.Report(name, v.reading.Load().limit, now)
		w.must(err)
		text, err := json.Marshal(r)
		w.must(err)
		return string(text)
	}
	for _, f := range w.feeds {
		if f.forked {
			continue
		}
		want := report(f.pub, f.name)
		for _, n := range w.followers(f) {
			if w.liar(n) {
				continue
			}
			if got := report(n, f.name); got != want {
				w.violated("I6", n, "%s comes to %s, at its publisher to %s", f.name, got, want)
			}
		}
	}
}

// What two nodes send each other. While nothing happens these are pings, and QUIC's own; all together grows with what happens. The figures in
// docs/reliability.md are well below.
const (
	quietFor     = 30 * time.Second
	quietPackets = 120      // in that time
	quietBytes   = 64 << 10 // one message with the addresses of all members may be among it
	pairBytes    = 512 << 10
	pairOpBytes  = 32 << 10 // more for each op
)

// checkTraffic demands that what each sends another is bounded: while nothing happens, and altogether (I7). Two nodes with one key take
// each other's connections, so liars are left out.
func (w *simWorld) checkTraffic() {
	time.Sleep(5 * time.Second)
	before := w.net.traffic()
	time.Sleep(quietFor)
	for pair, t := range w.net.traffic() {
		from, to := w.at(pair[0]), w.at(pair[1])
		if w.liar(from) || w.liar(to) {
			continue
		}
		packets, bytes := t.packets-before[pair].packets, t.bytes-before[pair].bytes
		w.tally.quietBytes, w.tally.quietPackets = max(w.tally.quietBytes, bytes), max(w.tally.quietPackets, packets)
		w.tally.pairBytes = max(w.tally.pairBytes, t.bytes)
		if packets > quietPackets || bytes > quietBytes {
			w.violated("I7", from, "%d packets, %d bytes to %s in %v in which nothing happened", packets, bytes, to.name, quietFor)
		}
		if t.bytes > pairBytes+pairOpBytes*len(w.plan.ops) {
			w.violated("I7", from, "%d bytes to %s in %d ops", t.bytes, to.name, len(w.plan.ops))
		}
	}
}

// checkHeld demands that what a node keeps about others is no more than there are others, feeds and items (I7).
func (w *simWorld) checkHeld(n *simNode) {
	families, err := n.node.registry.Gather()
	w.must(err)
	nodes, logs, notes := len(w.nodes), len(w.feeds)+len(w.nodes), w.tally.kinds[simSuspend]
	bounds := map[string]int{"links": nodes, "feeds": logs, "addresses": nodes, "strangers": nodes, "dials": nodes, "claims": nodes * logs,
		"suspensions told": nodes * notes, "debts": 9 * nodes * logs, "heads ahead": 9 * logs, "bodies missing": 0}
	seen := 0
	for _, family := range families {
		if family.GetName() != "hashfeed_gossip_held" {
			continue
		}
		for _, m := range family.GetMetric() {
			what, got := m.GetLabel()[0].GetValue(), int(m.GetGauge().GetValue())
			bound, ok := bounds[what]
			if !ok {
				w.t.Errorf("no bound for %q", what)
			}
			if got > bound {
				w.violated("I7", n, "%d %s are held, of %d nodes and %d logs", got, what, nodes, logs)
			}
			seen++
		}
	}
	if n.net != nil && seen < 5 {
		w.t.Errorf("%d kinds of what %s holds, want some", seen, n.name)
	}
}

func (w *simWorld) at(ip string) *simNode {
	for _, n := range w.nodes {
		if n.ip == ip {
			return n
		}
	}
	return w.nodes[0]
}
