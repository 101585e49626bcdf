package gossip

import (
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"hashfeed/feed"
)

// Two charters of one version are told apart by their text, which no list carries. So whoever has as new a version as we do is asked for it,
// once a connection and version, by saying that we hold the one before. Between two members who follow the two branches of a forked
// charter nobody lies: what is valid there need not be here.

// comparesLaw reports whether a peer's charter of our newest version was seen since it connected.
func (c *carrier) comparesLaw(p peer.ID) bool {
	version, _ := c.versions()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.law[p] == version
}

// sameAge reports whether a peer has a charter that is as new as ours, or newer, and was not compared with it yet.
func (c *carrier) sameAge(p peer.ID, version int) bool {
	held, _ := c.versions()
	return held > 0 && version >= held && !c.comparesLaw(p)
}

// extend compares charters with ours, and goes on to newer ones.
func (c *carrier) extend(l *link, chain *feed.Chain, charters [][]byte) error {
	longer, seen := chain, 0
	for _, data := range charters {
		charter, err := readCharter(data)
		if err != nil {
			return fmt.Errorf("%w: %w", errRule, err)
		}
		seen = max(seen, charter.Version)
		next, err := longer.Extend(data)
		var fork *feed.ForkError
		switch {
		case errors.As(err, &fork):
			c.prove(fork.Evidence) // we keep ours; what follows may be valid after both
		case err != nil && charter.Version <= chain.Newest().Version:
			c.n.log.Debug("a charter of another anchor", "feed", string(c.name), "peer", l.peer.String(), "err", err)
		case err != nil:
			c.accuse(l, err)
			return err
		default:
			longer = next
		}
	}
	if longer.Len() > chain.Len() && c.ctx.Err() == nil {
		if err := c.n.o.Store.SetChain(longer); err != nil {
			c.storeFailed(err)
			return err
		}
	}
	if version := longer.Newest().Version; seen >= version {
		c.mu.Lock()
		c.law[l.peer] = version
		c.mu.Unlock()
	}
	return c.ctx.Err()
}

// blame takes what a peer sent for a lie, unless its charters, which are compared first, turn out to be of another branch.
func (c *carrier) blame(l *link, err error) {
	if !c.comparesLaw(l.peer) {
		if askErr := c.askOnce(l); askErr != nil {
			c.n.log.Debug("compare charters", "feed", string(c.name), "peer", l.peer.String(), "err", askErr)
		}
	}
	c.accuse(l, err)
}

// accuse is blame where the charters were compared.
func (c *carrier) accuse(l *link, err error) {
	c.mu.Lock()
	forked := c.evidence != nil && c.evidence.Kind == feed.CharterEvidence
	c.mu.Unlock()
	if forked {
		c.n.log.Debug("not valid after the charters here, of which there are two", "feed", string(c.name), "peer", l.peer.String(), "err", err)
		return
	}
	c.n.lied(l.peer, c.name, err)
}
