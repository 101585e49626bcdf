package gossip

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
)

// tileHeight is log2 of feed.TileWidth.
const tileHeight = 8

// treeAt is the tree that a log of ours had at a size.
func (c *carrier) treeAt(origin feed.Origin, size uint64) (feed.Tree, error) {
	tree, _, ok := c.n.o.Store.Position(origin)
	switch {
	case !ok || size > tree.Size():
		return feed.Tree{}, fmt.Errorf("tree of %s at size %d: it isn't held", origin, size)
	case size == tree.Size():
		return tree, nil
	}
	hashes, err := c.n.o.Store.HashReader(origin)
	if err != nil {
		return feed.Tree{}, err
	}
	var at []int64 // the stored hashes of the frontier, the largest subtree's first
	for level, rest := 62, size; level >= 0; level-- {
		if bit := uint64(1) << level; rest&bit != 0 {
			at = append(at, tlog.StoredHashIndex(level, int64((size-rest)>>level)))
			rest -= bit
		}
	}
	read, err := hashes.ReadHashes(at)
	if err != nil {
		return feed.Tree{}, err
	}
	frontier := make([]feed.Digest, len(read))
	for i, h := range read {
		frontier[i] = feed.Digest(h)
	}
	return feed.NewTree(size, frontier)
}

// contradicted makes evidence of a verified head that can't be true beside ours. l is who sent it; nil if that is forgotten.
func (c *carrier) contradicted(l *link, chain *feed.Chain, cp feed.Checkpoint) {
	ours, ok := c.n.o.Store.Head(cp.Origin)
	if !ok || c.frozen(chain) {
		return
	}
	ev, err := c.headEvidence(l, chain, ours, cp)
	if err != nil {
		c.n.log.Warn("a head contradicts ours, but it can't be shown", "log", string(cp.Origin), "size", cp.Size, "err", err)
		return
	}
	c.prove(ev)
	c.branch(l, cp)
}

func (c *carrier) headEvidence(l *link, chain *feed.Chain, ours, theirs feed.Checkpoint) (feed.Evidence, error) {
	if ours.Size == theirs.Size {
		return feed.NewHeadEvidence(chain, ours, theirs, feed.Digest{}, nil)
	}
	// The larger one's tree shows that it has another root at the smaller's size. Ours we have, of theirs we ask for the tiles.
	small, large := theirs, ours
	var hashes tlog.HashReader
	var err error
	if theirs.Size > ours.Size {
		small, large = ours, theirs
		if l == nil {
			return feed.Evidence{}, errors.New("who has its tiles isn't known")
		}
		hashes = tlog.TileHashReader(tlog.Tree{N: int64(theirs.Size), Hash: tlog.Hash(theirs.Root)}, newTileSource(c.ctx, l, theirs))
	} else if hashes, err = c.n.o.Store.HashReader(ours.Origin); err != nil {
		return feed.Evidence{}, err
	}
	if small.Size == 0 {
		return feed.Evidence{}, errors.New("size 0 proves nothing")
	}
	root, err := tlog.TreeHash(int64(small.Size), hashes)
	if err != nil {
		return feed.Evidence{}, err
	}
	path, err := tlog.ProveTree(int64(large.Size), int64(small.Size), hashes)
	if err != nil {
		return feed.Evidence{}, err
	}
	proof := make([]feed.Digest, len(path))
	for i, h := range path {
		proof[i] = feed.Digest(h)
	}
	return feed.NewHeadEvidence(chain, small, large, feed.Digest(root), proof)
}

// prove takes valid evidence: the first of a feed counts. It is told to the node and to those who may read the feed.
func (c *carrier) prove(ev feed.Evidence) {
	c.mu.Lock()
	if c.evidence != nil {
		c.mu.Unlock()
		return
	}
	c.evidence = &ev
	c.mu.Unlock()
	c.alarmEvidence(ev)
	if c.n.o.OnEvidence != nil {
		c.n.o.OnEvidence(ev)
	}
	for _, l := range c.n.everyLink() {
		c.tellEvidence(l, ev)
		if claims, _ := l.claimsOf(c.name); len(claims) > 0 {
			c.ask(l) // for its head: it may be of the branch that we don't have
		}
	}
}

func (c *carrier) alarmEvidence(ev feed.Evidence) {
	c.n.alarms.raise(AlarmEvidence, "", c.name, fmt.Sprintf("%s has contradicted itself: %s", c.name, ev.Ref()),
		"nothing more of it is taken in; hashfeed evidence verify shows it to anybody; call the publisher: its keys may be stolen")
}

// tellEvidence tells a peer who may read the feed; whoever knows it is told in vain.
func (c *carrier) tellEvidence(l *link, ev feed.Evidence) {
	if !c.n.reads(l.peer, c.name) {
		return
	}
	c.spawn(func() {
		if err := c.sendEvidence(l, ev); err != nil {
			c.n.log.Debug("send evidence", "peer", l.peer.String(), "err", err)
		}
	})
}

func (c *carrier) sendEvidence(l *link, ev feed.Evidence) error {
	ctx, cancel := context.WithTimeout(c.ctx, askTimeout)
	defer cancel()
	s, end, err := c.n.question(ctx, l.peer, evidenceProtocol, &proven{Feed: c.name, Data: ev.Bytes()}, maxProven)
	if err != nil {
		return err
	}
	defer end()
	return ended(s, askTimeout)
}

// errFrozen is why nothing more of a feed is stored.
var errFrozen = errors.New("the feed has said two things that can't both be true")

// frozen reports whether the feed has contradicted itself and not come out of it.
func (c *carrier) frozen(chain *feed.Chain) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.evidence != nil && c.evidence.Ended(chain) {
		c.evidence = nil
		c.n.alarms.clear(AlarmEvidence, string(c.name))
	}
	return c.evidence != nil
}

// answerEvidence is the handler of evidence/1. It is open to every peer, about any feed that we carry.
func (n *Network) answerEvidence(ctx context.Context, p peer.ID, s network.Stream) error {
	l, up := n.link(p)
	if !up {
		return errDenied
	}
	data, err := receive(s, askTimeout, upTo(maxProven))
	if err != nil {
		return err
	}
	m, err := parseProven(data)
	if err != nil {
		return err
	}
	c, ok := n.carrier(m.Feed)
	if !ok {
		return nil
	}
	c.mu.Lock()
	known := c.evidence != nil
	c.mu.Unlock()
	if known {
		return nil
	}
	if err := l.proofs.Wait(ctx); err != nil {
		return err
	}
	chain, ok := n.o.Store.Chain(m.Feed)
	if !ok {
		return nil
	}
	ev, err := chain.OpenEvidence(m.Data)
	if errors.Is(err, feed.ErrOtherAnchor) {
		return nil // whoever sent it need not have lied
	}
	if err != nil {
		n.lied(p, m.Feed, err)
		return err
	}
	if !ev.Ended(chain) {
		c.do(func() { c.prove(ev) })
	}
	return nil
}
