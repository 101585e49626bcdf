package node

import (
	"context"
	"slices"
	"strings"
	"testing/synctest"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// simInvariants is what must hold, whatever happens.
var simInvariants = []struct{ id, says string }{
	{"I1", "no acknowledged record is lost"},
	{"I2", "nothing is visible without valid signatures"},
	{"I3", "heads never go back"},
	{"I4", "a fork freezes"},
	{"I5", "a retracted item never matches again"},
	{"I6", "honest nodes converge"},
	{"I7", "bounds hold"},
	{"I8", "rebuilt tables equal live ones"},
}

// stillness is what stood at a node when it first held evidence of a feed.
type stillness struct {
	at     mark
	active map[string]bool // references that matched
}

// simView is what a node answers to everything that was ever listed, at one moment.
type simView struct {
	node     *simNode
	verdicts []policy.Verdict
}

// each goes through the matches.
func (s simView) each(f func(h int, m policy.Match)) {
	for h, v := range s.verdicts {
		for _, m := range v.Matches {
			f(h, m)
		}
	}
}

// check looks at all invariants that must hold at every moment. Nobody is in the middle of anything.
func (w *simWorld) check() {
	synctest.Wait()
	w.tally.checks++
	for _, n := range w.nodes {
		if n.node == nil {
			continue
		}
		if w.bug.derived != nil {
			w.bug.derived(n.node)
		}
		if w.bug.live != nil {
			w.bug.live(n)
		}
		answers, err := n.node.answers(context.Background(), feed.HashesOf(w.asked)) // which no journal keeps
		w.must(err)
		verdicts := answers.Verdicts()
		w.tally.answers += len(verdicts)
		view := simView{n, verdicts}
		w.checkHeads(n)
		w.checkSigned(view)
		w.checkFrozen(view)
		w.checkRetracted(view)
		w.checkRebuilt(view)
		w.checkHeld(n)
	}
	for _, f := range w.feeds {
		w.checkKept(f)
	}
}

// I1: what a publisher has acknowledged is in its log, and what a member has cosigned is in its copy.
func (w *simWorld) checkKept(f *simFeed) {
	n := f.pub
	if n.node == nil {
		return
	}
	origin := f.name.Log(1)
	for i, want := range f.records {
		r, err := n.node.store.Record(origin, i)
		if err != nil {
			w.violated("I1", n, "record %s: %v", f.name.Ref(feed.Position{Log: 1, Index: i}), err)
		} else if feed.LeafHash(r.Head) != want {
			w.violated("I1", n, "record %d of %s is another one than was acknowledged", i, origin)
		}
	}
	if f.forked {
		return // what its members have cosigned may be the other branch
	}
	receipts, err := n.node.store.Receipts(origin)
	w.must(err)
	for _, r := range receipts {
		for _, m := range w.honest() {
			if m.node == nil || m.name+"/witness" != r.Line.Name || w.liar(m) {
				continue // a liar's copy has the same key, and may be ahead of it
			}
			ours, err := n.node.store.RootAt(origin, r.Size)
			if err != nil {
				continue // it was looked at above
			}
			if theirs, err := m.node.store.RootAt(origin, r.Size); err != nil || theirs != ours {
				w.violated("I1", m, "it has cosigned %s at size %d, and hasn't got that: %v", origin, r.Size, err)
			}
		}
	}
}

// I3: size, stamp, charter and roster of each feed only rise, over restarts too.
func (w *simWorld) checkHeads(n *simNode) {
	for _, v := range *n.node.views.Load() {
		if v == nil || v.state == nil {
			continue
		}
		m, ok := n.head(v.name)
		if !ok {
			continue
		}
		if old := n.seen[v.name]; m.behind(old) {
			w.violated("I3", n, "%s was at %+v and is at %+v", v.name, old, m)
			continue
		}
		n.seen[v.name] = m
	}
}

// I4: where there is evidence no head is adopted any more, and what was active still matches unless somebody took it back. Where there was
// no fork there is no evidence.
func (w *simWorld) checkFrozen(s simView) {
	n := s.node
	n.mu.Lock()
	defer n.mu.Unlock()
	active := map[string]bool{}
	s.each(func(_ int, m policy.Match) {
		if m.State == policy.Active {
			active[m.Ref] = true
		}
	})
	for name := range n.evidence {
		f := w.feedNamed(name)
		if f == nil || !f.forked {
			w.violated("I4", n, "evidence against %s, which said nothing twice", name)
			continue
		}
		if w.liar(n) {
			continue
		}
		now, ok := n.head(name)
		if !ok {
			continue
		}
		was := n.frozen[name]
		if was == nil {
			n.frozen[name] = &stillness{now, active}
			continue
		}
		if now.size != was.at.size || now.stamp != was.at.stamp {
			w.violated("I4", n, "%s is frozen at %+v, and has gone on to %+v", name, was.at, now)
		}
		for _, it := range f.items {
			if ref := it.ref.String(); was.active[ref] && !active[ref] && !it.doubtful && !it.suspended && it.retracted == 0 && it.disputed == 0 {
				w.violated("I4", n, "%s matched when the feed was frozen, and doesn't any more", ref)
			}
		}
	}
}

// I5: a retraction that is here has acted, and goes on acting.
func (w *simWorld) checkRetracted(s simView) {
	n := s.node
	if n == w.impostor {
		return
	}
	matches := map[string]bool{}
	s.each(func(_ int, m policy.Match) { matches[m.Ref] = true })
	for _, f := range w.feeds {
		if f.forked {
			continue // I4
		}
		size := n.node.store.Size(f.name.Log(1))
		for _, it := range f.items {
			if it.retracted == 0 {
				continue
			}
			if size > it.retracted {
				n.obeyed[it.ref] = it.retracted // not an earlier one, after which it was reinstated
			}
			if n.obeyed[it.ref] == it.retracted && slices.ContainsFunc(it.refs(), func(r string) bool { return matches[r] }) {
				w.violated("I5", n, "%s was retracted by record %d, of %d here, and matches", it.ref, it.retracted, size)
			}
		}
	}
}

// refs are the references that a match of an item may have.
func (it *simItem) refs() []string { return append([]string{it.ref.String()}, it.revisions...) }

func violations(all []violation) string {
	var lines []string
	for _, v := range all[:min(len(all), 10)] {
		lines = append(lines, v.String())
	}
	return strings.Join(lines, "\n")
}
