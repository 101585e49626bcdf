package node

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// I2: what is visible follows from the anchor that the operator pinned: charters, head, tree, bodies. Everything is verified anew, from the
// bytes in the store.
func (w *simWorld) checkSigned(s simView) {
	n := s.node.node
	held := map[string]map[string]bool{} // by reference: the hashes of the bodies that are verified
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil {
			continue
		}
		if err := w.verify(s.node, v, held); err != nil {
			w.violated("I2", s.node, "%s: %v", v.name, err)
		}
	}
	s.each(func(h int, m policy.Match) {
		if !m.Test && !held[m.Ref][w.asked[h].String()] {
			w.violated("I2", s.node, "%s matches, and no verified record says so", m.Ref)
		}
	})
}

func (w *simWorld) verify(n *simNode, v *view, held map[string]map[string]bool) error {
	store := n.node.store
	mine, ok := store.Chain(v.name)
	if !ok {
		return fmt.Errorf("no charter")
	}
	anchor := mine.Anchor() // of the own feed nobody told us one
	if f := w.feedNamed(v.name); f != nil && n != w.impostor {
		anchor = f.anchor
	}
	chain, err := feed.OpenChain(anchor, mine.Notes())
	if err != nil {
		return err
	}
	origin := v.name.Log(1)
	head := v.reading.Load().head
	if head.IsZero() {
		if store.Size(origin) > 0 {
			return nil // fetched, and not yet counted
		}
		return nil
	}
	cp, err := chain.OpenCheckpoint(head.Bytes())
	if err != nil {
		return err
	}
	var tree simTree
	for r, err := range store.Records(origin, 0, cp.Size) {
		if err != nil {
			return err
		}
		if err := tree.add(r.Head); err != nil {
			return err
		}
		if len(r.Body) == 0 {
			continue
		}
		h, err := feed.ParseHead(r.Head)
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(r.Body); h.Body != feed.Digest(sum) {
			return fmt.Errorf("record %d has another body than its head says", r.Index)
		}
		body, err := feed.ParseBody(r.Body)
		if err != nil {
			return err
		}
		hashes := map[string]bool{}
		for _, h := range body.Hashes {
			hashes[h.String()] = true
		}
		held[feed.Ref{Origin: origin, Index: r.Index}.String()] = hashes
	}
	if root, err := tree.root(); err != nil || root != cp.Root {
		return fmt.Errorf("the records give another root than is signed: %v", err)
	}
	return nil
}

// simTree hashes heads by the book (RFC 6962, in golang.org/x/mod), not by our trees.
type simTree struct {
	stored []tlog.Hash
	size   int64
}

func (t *simTree) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		out[i] = t.stored[n]
	}
	return out, nil
}

func (t *simTree) add(head []byte) error {
	more, err := tlog.StoredHashes(t.size, head, t)
	t.stored = append(t.stored, more...)
	t.size++
	return err
}

func (t *simTree) root() (feed.Digest, error) {
	if t.size == 0 {
		return sha256.Sum256(nil), nil
	}
	h, err := tlog.TreeHash(t.size, t)
	return feed.Digest(h), err
}

func (w *simWorld) feedNamed(name feed.Name) *simFeed {
	for _, f := range w.feeds {
		if f.name == name {
			return f
		}
	}
	return nil
}
