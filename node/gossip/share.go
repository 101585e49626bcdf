package gossip

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// errStranger keeps counts from a peer that only passes a feed on: a [[follow]] may name such a one.
var errStranger = errors.New("the peer of the follow doesn't call itself the feed's publisher")

// Share sends counts to the publisher of their feed, and to nobody else: to the peer that the follow names, if it goes by the publisher's name. No
// error: the publisher has stored them. ErrNotConnected: nothing was sent.
func (n *Network) Share(ctx context.Context, counts Counts) error {
	name := counts.Feed()
	fail := func(err error) error { return fmt.Errorf("share counts of %s: %w", name, err) }
	c, ok := n.carrier(name)
	if !ok || c.own {
		return fail(errors.New("the feed isn't followed"))
	}
	l, up := n.link(c.follow.publisher)
	if !up || !l.heard() {
		return fail(ErrNotConnected)
	}
	if l.name() != name.Publisher() {
		return fail(errors.Join(ErrNotConnected, errStranger))
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, end, err := n.question(ctx, l.peer, reportProtocol, &counts.wire, maxReport)
	if err != nil {
		return fail(errors.Join(ErrNotConnected, err))
	}
	defer end()
	if err := ended(s, askTimeout); err != nil {
		if errors.Is(err, errRule) {
			n.broke(l.peer, err)
		}
		return fail(errors.Join(ErrRefused, err))
	}
	return nil
}

// answerCounts takes a member's counts of an own feed. The answer is the end of the stream: they are stored.
func (n *Network) answerCounts(ctx context.Context, p peer.ID, s network.Stream, data []byte) error {
	counts, err := ParseCounts(data)
	if err != nil {
		return err
	}
	l, up := n.link(p)
	c, ok := n.carrier(counts.Feed())
	if !up || !ok || !c.own || n.o.OnCounts == nil || !n.reads(p, c.name) {
		return errDenied
	}
	if err := l.counts.Wait(ctx); err != nil {
		return err
	}
	if !n.reads(p, c.name) { // it may have waited for long
		return errDenied
	}
	if err := n.o.OnCounts(p.String(), counts); err != nil {
		return fmt.Errorf("take counts of %s: %w", c.name, err)
	}
	n.log.Info("counts taken", "feed", string(c.name), "week", counts.Week().String(), "peer", p.String(), "name", n.nameOf(p))
	return s.CloseWrite()
}
