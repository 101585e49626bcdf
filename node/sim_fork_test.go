package node

import (
	"testing/synctest"

	"hashfeed/feed"
)

// simFork is a publisher that runs twice, and whom it tells what.
type simFork struct {
	feed   *simFeed
	twin   *simNode
	mask   uint32 // who hears the twin
	size   uint64 // up to which there is one story
	joined bool   // the two sides hear each other, and each its own liar
	healed bool
}

// forkNow runs the publisher's directory twice: the copy has the same keys, and tells others something else.
func (w *simWorld) forkNow(f *simFeed, mask uint32) error {
	if f.pub.node == nil || w.fork != nil {
		return nil
	}
	synctest.Wait()
	twin := w.simNode(f.pub.name+" (twin)", 100, "twin")
	twin.skew = f.pub.skew
	if err := copyDir(twin.dir, f.pub.dir); err != nil {
		return err
	}
	w.nodes = append(w.nodes, twin)
	w.fork = &simFork{feed: f, twin: twin, mask: mask, size: f.pub.node.store.Size(f.name.Log(1))}
	w.resever()
	if err := twin.start(); err != nil {
		return err
	}
	f.forked = true
	twin.node.alone.Store(true)
	f.pub.node.alone.Store(true)
	return nil
}

// onFork does something on the twin's branch.
func (w *simWorld) onFork(o simOp) error {
	if o.kind == simUnlist {
		o.kind = simRetract
	}
	return w.lie(w.fork.twin, o)
}

// lie signs for a publisher that runs twice, without asking whether it should.
func (w *simWorld) lie(n *simNode, o simOp) error {
	f := w.fork.feed
	if n.node == nil {
		return nil
	}
	v := n.node.viewNamed(f.name)
	now := n.now().Unix()
	var record feed.Record
	var item *simItem
	var err error
	if o.kind == simRetract {
		it := f.choose(o.pick, func(it *simItem) bool {
			return it.retracted == 0 && it.forked == (n == w.fork.twin) || it.ref.Index < w.fork.size
		})
		if it == nil {
			return nil
		}
		held, ok := v.state.ItemAt(it.ref.Position())
		if !ok || v.state.Item(held).Retracted() {
			return nil
		}
		if record, err = n.node.retraction(v.state.Item(held), feed.FalsePositive); err != nil {
			return err
		}
		it.doubtful = true // whoever hears of it may hold it
	} else {
		item = &simItem{hashes: []feed.Hash{w.newHash(feed.SHA256)}, forked: n == w.fork.twin, doubtful: true}
		d := draft{hashes: item.hashes, facts: feed.Facts{Verdict: feed.Baseline, Media: feed.Image, VerifiedBy: 2}}
		if record, err = d.record(now); err != nil {
			return err
		}
	}
	keys, err := n.node.keys.signing(v.reading.Load().chain)
	if err != nil {
		return err
	}
	origin := f.name.Log(1)
	tree, _ := n.node.store.Tree(origin)
	last, _ := n.node.store.Head(origin)
	b, err := feed.Sign(keys, tree, last, []feed.Record{record}, now)
	if err != nil {
		return err
	}
	if item != nil {
		item.ref = feed.Ref{Origin: origin, Index: b.From()}
		f.items = append(f.items, item)
	}
	return n.node.store.Commit(b)
}
