package node

import (
	"context"
	"encoding/json"
	"slices"

	"hashfeed/feed"
	"hashfeed/node/match"
)

// I8: tables made anew from the store answer as the live ones do.
func (w *simWorld) checkRebuilt(s simView) {
	again, err := rebuilt(s.node.node, nil)
	w.must(err)
	defer func() { again.tables.Close() }() // a bug may have put others in their place
	if w.bug.derived != nil {
		w.bug.derived(again)
	}
	answers, err := again.answers(context.Background(), feed.HashesOf(w.asked))
	w.must(err)
	verdicts := answers.Verdicts()
	for i := range verdicts {
		live, err := json.Marshal(s.verdicts[i])
		w.must(err)
		anew, err := json.Marshal(verdicts[i])
		w.must(err)
		if string(live) != string(anew) {
			w.violated("I8", s.node, "live %s, rebuilt %s", live, anew)
		}
	}
	for alg := feed.MD5; alg <= feed.VPDQ; alg++ {
		if matchable(alg) && s.node.node.tables.Len(match.Alg(alg)) != again.tables.Len(match.Alg(alg)) {
			w.violated("I8", s.node, "%d live values of %s, %d rebuilt", s.node.node.tables.Len(match.Alg(alg)), alg, again.tables.Len(match.Alg(alg)))
		}
	}
}

// rebuilt is a node on the same store whose views and tables are made anew, as at a start. alter, if any, changes the records on the way.
func rebuilt(n *Node, alter func(*view, []feed.Record)) (*Node, error) {
	c := &Node{dir: n.dir, log: n.log, now: n.now, registry: n.registry, keys: n.keys, store: n.store, tables: match.New(match.Options{}), tokens: n.tokens,
		said: newStatements(), doubts: n.doubts, news: newNews()}
	c.config.Store(n.config.Load())
	selfTest, err := newSelfTest(c.tables)
	if err != nil {
		return nil, err
	}
	c.views.Store(&[]*view{selfTest})
	for _, old := range *n.views.Load() { // in the same order
		if old == nil || old.state == nil {
			continue
		}
		if alter == nil {
			if err := c.openView(old.name); err != nil {
				return nil, err
			}
			continue
		}
		if err := c.openAltered(old.name, alter); err != nil {
			return nil, err
		}
	}
	c.decide()
	return c, nil
}

// openAltered is openView with records that were changed on the way from the store: what is retracted may be so no more.
func (n *Node) openAltered(name feed.Name, alter func(*view, []feed.Record)) error {
	if err := n.openView(name); err != nil {
		return err
	}
	v, origin := n.viewNamed(name), name.Log(1)
	var records []feed.Record
	for r, err := range n.store.Records(origin, 0, n.store.Size(origin)) {
		if err != nil {
			return err
		}
		records = append(records, r.Record)
	}
	alter(v, records)
	altered := feed.NewState(v.reading.Load().chain.Newest().Rules(), func(p feed.Position) ([]byte, error) {
		r, err := n.store.Record(name.Log(p.Log), p.Index)
		return r.Body, err
	})
	changes, err := altered.Append(1, 0, records)
	if err != nil {
		return err
	}
	retracted := v.state
	v.state = altered
	return n.enter(v, slices.DeleteFunc(changes, func(c feed.Change) bool { return !retracted.Item(c.Item).Retracted() }))
}
