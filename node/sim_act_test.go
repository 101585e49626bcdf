package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
)

// newHash makes a hash that nobody has listed.
func (w *simWorld) newHash(alg feed.Alg) feed.Hash {
	sum := sha256.Sum256(fmt.Appendf(nil, "file %d of %d", len(w.asked), w.plan.seed))
	quality := 0
	if alg.Graded() {
		quality = 100
	}
	h, err := feed.NewHash(alg, sum[:], quality)
	w.must(err)
	w.asked = append(w.asked, h)
	return h
}

// do carries one op out, and lets its time pass.
func (w *simWorld) do(o simOp) {
	w.tally.kinds[o.kind]++
	if err := w.act(o); err != nil {
		var e *api.Error
		if !errors.As(err, &e) {
			w.t.Errorf("%v: %v", o, err)
		}
		w.tally.refused++
	}
	time.Sleep(o.wait)
	if o.kind == simCheck {
		w.check()
	}
}

// act does what an op says. An *api.Error is a refusal, which is nobody's fault: a publisher that hasn't heard a member doesn't sign.
func (w *simWorld) act(o simOp) error {
	f := w.feeds[o.feed]
	n := w.nodes[o.node]
	switch o.kind {
	case simPublish, simRetract, simRevise, simReinstate, simSuspend, simStamp, simCharter, simExpel, simAdmit:
		if f.pub.node == nil {
			return nil // it is down
		}
		return w.publisher(f, o)
	case simEndorse, simDispute:
		return w.opine(n, f, o)
	case simForked, simUnlist:
		if w.fork != nil && w.fork.feed == f {
			return w.onFork(o)
		}
	case simCut:
		w.groups = o.mask
		w.resever()
	case simHeal:
		w.groups = 0
		w.resever()
	case simLoss:
		w.net.set(func(s *simNet) { s.loss = float64(o.pick%6) / 100 })
	case simSkew:
		n.skew += time.Duration(o.pick%41-20) * time.Second
	case simCrash, simRestart:
		if n.node == nil {
			return nil
		}
		if err := w.end1(n, o.kind == simCrash); err != nil {
			return err
		}
		return w.begin(n)
	case simDown:
		return w.end1(n, o.pick%2 == 0)
	case simUp:
		if n.node == nil {
			return w.begin(n)
		}
	case simSplit:
		return w.forkNow(f, o.mask)
	case simJoin:
		if w.fork != nil {
			w.fork.joined = true
			w.resever()
		}
	}
	return nil
}

// end1 ends a node, in order or as SIGKILL does.
func (w *simWorld) end1(n *simNode, abrupt bool) error {
	if !abrupt {
		return n.stop()
	}
	return n.crash()
}

// begin starts a node again. What it comes up with is looked at before anybody can tell it anything.
func (w *simWorld) begin(n *simNode) error {
	if err := n.open(); err != nil {
		return err
	}
	w.checkHeads(n)
	if w.liar(n) {
		n.node.alone.Store(true)
	}
	return n.join()
}

// items are those of a feed that a condition holds for.
func (f *simFeed) choose(pick int, ok func(*simItem) bool) *simItem {
	var fit []*simItem
	for _, it := range f.items {
		if !it.forked && ok(it) {
			fit = append(fit, it)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[pick%len(fit)]
}

func listed(it *simItem) bool { return it.retracted == 0 }

// noted puts what a publisher's log has grown by into the ledger.
func (w *simWorld) noted(f *simFeed) error {
	origin := f.name.Log(1)
	for i := uint64(len(f.records)); i < f.pub.node.store.Size(origin); i++ {
		r, err := f.pub.node.store.Record(origin, i)
		if err != nil {
			return err
		}
		f.records[i] = feed.LeafHash(r.Head)
		w.tally.records++
	}
	return nil
}

// publisher does what a publisher does, by the verbs that everybody uses.
func (w *simWorld) publisher(f *simFeed, o simOp) error {
	ctx, n := context.Background(), f.pub.node
	origin := f.name.Log(1)
	if f.forked && (o.kind == simPublish || o.kind == simRetract) {
		if err := w.lie(f.pub, o); err != nil {
			return err
		}
		return w.noted(f)
	}
	switch o.kind {
	case simPublish:
		if w.bug.before != nil {
			w.bug.before(f.pub)
		}
		item := &simItem{hashes: []feed.Hash{w.newHash(feed.SHA256)}}
		switch o.pick % 4 {
		case 0:
			item.hashes = append(item.hashes, w.newHash(feed.PDQ))
		case 1: // what is listed already, in another item or feed
			if h := w.asked[o.pick%len(w.asked)]; h.Alg == feed.PDQ {
				item.hashes = append(item.hashes, h)
			}
		}
		var texts []string
		for _, h := range item.hashes {
			texts = append(texts, h.Text())
		}
		got, err := n.Publish(ctx, api.Publish{Items: []api.Item{{Hashes: texts, Verdict: "baseline", Media: "image", VerifiedBy: 2}}})
		if err != nil {
			return err
		}
		if got[0].Ref == "" {
			return fmt.Errorf("publish: got %+v", got[0])
		}
		if item.ref, err = feed.ParseRef(got[0].Ref); err != nil {
			return err
		}
		f.items = append(f.items, item)
	case simRetract:
		if it := f.choose(o.pick, listed); it != nil {
			got, err := n.Retract(ctx, it.ref, feed.FalsePositive)
			if err != nil {
				return err
			}
			ref, err := feed.ParseRef(got.Ref)
			if err != nil {
				return err
			}
			it.retracted = ref.Index
		}
	case simRevise:
		if it := f.choose(o.pick, listed); it != nil {
			h := w.newHash(feed.PDQ)
			got, err := n.Revise(ctx, it.ref, api.Revision{Hashes: []string{h.Text()}, Severity: 1 + o.pick%4})
			if err != nil {
				return err
			}
			it.hashes, it.revisions = append(it.hashes, h), append(it.revisions, got.Ref)
		}
	case simReinstate:
		if it := f.choose(o.pick, func(it *simItem) bool { return it.retracted > 0 }); it != nil {
			got, err := n.Revise(ctx, it.ref, api.Revision{Reinstate: true})
			if err != nil {
				return err
			}
			it.retracted, it.revisions = 0, append(it.revisions, got.Ref)
		}
	case simSuspend:
		if it := f.choose(o.pick, listed); it != nil {
			if _, err := n.Suspend(ctx, []feed.Ref{it.ref}); err != nil {
				return err
			}
			it.suspended = true
		}
	case simStamp:
		v, err := n.findView("")
		if err != nil {
			return err
		}
		if err := n.stamp(ctx, v); err != nil {
			return err
		}
	case simCharter:
		return w.charter(f, func(c *feed.Charter) { c.Contact = fmt.Sprintf("desk %d", c.Version) })
	case simExpel:
		if members := w.followers(f); len(members) > 1 {
			m := members[o.pick%len(members)]
			if m.node == nil {
				return nil
			}
			if err := n.RemoveMember(ctx, "", m.node.keys.peerID()); err != nil {
				return err
			}
			delete(f.members, m)
		}
	case simAdmit:
		for i, m := range w.honest() {
			if slices.Contains(w.plan.follows[i], o.feed) && !f.members[m] && m.node != nil {
				if err := w.admit(f, m); err != nil {
					return err
				}
			}
		}
	}
	if n.store.Size(origin) > uint64(len(f.records)) {
		return w.noted(f)
	}
	return nil
}

func (w *simWorld) admit(f *simFeed, m *simNode) error {
	_, err := f.pub.node.AddMember(context.Background(), api.AddMember{PeerID: m.node.keys.peerID(), Name: m.name})
	if err == nil {
		f.members[m] = true
	}
	return err
}

// charter signs a feed's next charter.
func (w *simWorld) charter(f *simFeed, change func(*feed.Charter)) error {
	n := f.pub.node
	n.signing.Lock()
	defer n.signing.Unlock()
	chain, _ := n.store.Chain(f.name)
	c := chain.Newest()
	c.Version++
	change(&c)
	root, err := n.keys.load(n.dir.rootKey(f.name), string(f.name)+"/root")
	if err != nil {
		return err
	}
	note, err := feed.SignCharter(c, root)
	if err != nil {
		return err
	}
	if chain, err = chain.Extend(note); err != nil {
		return err
	}
	return n.store.SetChain(chain)
}

// name makes members the witnesses of a feed.
func (w *simWorld) name(f *simFeed, k int, members []*simNode) error {
	var keys []crypto.PublicKey
	for _, m := range members[:min(len(members), 2*k-1)] {
		keys = append(keys, m.node.keys.witness.Public())
	}
	return w.charter(f, func(c *feed.Charter) { c.Quorum = &feed.KeyGroup{K: min(k, len(keys)), Keys: keys} })
}

// opine has a node endorse or dispute an item that it holds.
func (w *simWorld) opine(n *simNode, f *simFeed, o simOp) error {
	if n.node == nil || n == f.pub || n.node.viewNamed(f.name) == nil {
		return nil
	}
	it := f.choose(o.pick, func(it *simItem) bool { return n.node.store.Size(f.name.Log(1)) > it.ref.Index })
	if it == nil {
		return nil
	}
	var err error
	if o.kind == simEndorse {
		_, err = n.node.Endorse(context.Background(), it.ref)
	} else {
		it.disputed++
		_, err = n.node.Dispute(context.Background(), it.ref, feed.FalsePositive)
	}
	if err == nil || isRefusal(err) { // a report may have made the publisher say something
		for _, g := range w.feeds {
			if g.pub.node != nil {
				err = errors.Join(err, w.noted(g))
			}
		}
	}
	return err
}

func isRefusal(err error) bool {
	var e *api.Error
	return errors.As(err, &e)
}
