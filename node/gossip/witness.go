package gossip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// witness cosigns what is stored and sends it to the publisher: at once where a retraction is in it, else at most every cosignEvery. What the
// publisher didn't take, because it is away, is made up for when it is back.
func (c *carrier) witness() {
	var last time.Time
	var retry <-chan time.Time
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.cosignWake:
		case <-retry:
		}
		retry = nil
		urgent := c.urgent.Swap(false)
		cp, l, due := c.cosignable()
		if !due {
			continue
		}
		if rest := cosignEvery - time.Since(last); rest > 0 && !urgent {
			retry = time.After(rest)
			continue
		}
		last = time.Now()
		c.cosignedAt.Store(last.UnixNano())
		if err := c.cosign(l, cp); err != nil {
			if c.ctx.Err() == nil {
				c.n.log.Info("deliver cosignature", "log", string(cp.Origin), "size", cp.Size, "err", err)
			}
			retry = time.After(cosignEvery)
		}
	}
}

// cosignable is the head to cosign, and the link of the publisher.
func (c *carrier) cosignable() (feed.Checkpoint, *link, bool) {
	chain, ok := c.n.o.Store.Chain(c.name)
	if !ok || c.frozen(chain) {
		return feed.Checkpoint{}, nil, false
	}
	cp, ok := c.n.o.Store.Head(chain.Newest().Origin())
	l, up := c.n.link(c.follow.publisher)
	if !ok || !up || cp.Size == 0 || !l.heard() {
		return feed.Checkpoint{}, nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return cp, l, cp.Size > c.delivered[cp.Origin]
}

func (c *carrier) cosign(l *link, cp feed.Checkpoint) error {
	now := c.n.now()
	if err := c.n.o.Store.NoteCosigned(cp.Origin, cp.Size, cp.Root, now); err != nil {
		return err
	}
	line, err := cp.Cosign(c.n.o.Witness, now)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx, askTimeout)
	defer cancel()
	s, end, err := c.n.question(ctx, l.peer, cosignProtocol, &cosigning{Origin: cp.Origin, Size: cp.Size, Line: line.String()}, maxCosign)
	if err != nil {
		return err
	}
	defer end()
	if err := ended(s, askTimeout); err != nil {
		return err
	}
	c.n.metrics.cosigned.Inc()
	c.mu.Lock()
	c.delivered[cp.Origin] = cp.Size
	c.mu.Unlock()
	return nil
}

// answerCosign is the handler of cosign/1: a member's receipt for an own feed. A named witness's line goes on with the head; nobody else's does.
func (n *Network) answerCosign(_ context.Context, p peer.ID, s network.Stream) error {
	data, err := receive(s, askTimeout, upTo(maxCosign))
	if err != nil {
		return err
	}
	m, err := parseCosigning(data)
	if err != nil {
		return err
	}
	c, ok := n.carrier(m.Origin.Name())
	l, up := n.link(p)
	if !ok || !c.own || !up || !n.reads(p, c.name) {
		return errDenied
	}
	l.mu.Lock()
	hello := l.hello
	l.mu.Unlock()
	if hello == nil {
		return errors.New("a cosignature before hello")
	}
	done := errDenied
	c.do(func() { done = c.receipt(l, hello.witness, m) })
	return done
}

func (c *carrier) receipt(l *link, witness crypto.PublicKey, m *cosigning) error {
	store := c.n.o.Store
	chain, ok := store.Chain(c.name)
	if !ok {
		return errDenied
	}
	head, _ := store.Head(m.Origin)
	cp := head
	if cp.Size != m.Size {
		if cp, ok = store.Seen(m.Origin, m.Size); !ok {
			return fmt.Errorf("cosignature of size %d, of which there is no checkpoint", m.Size)
		}
	}
	note := crypto.Note{Text: cp.Text(), Lines: []crypto.Line{m.line}}
	by, err := note.Check(witness)
	if err != nil || len(by) != 1 {
		return fmt.Errorf("%w: cosignature of %s at size %d isn't by the key of its hello", errRule, m.Origin, m.Size)
	}
	if err := store.PutReceipt(m.Origin, m.Size, m.line); err != nil {
		return errors.Join(errOurs, err)
	}
	c.n.metrics.receipts.Inc()
	if c.n.o.OnReceipt != nil {
		c.n.o.OnReceipt(l.peer.String(), witness)
	}
	if m.Size == head.Size {
		c.hear(l, m.Origin)
	}
	if c.frozen(chain) {
		return nil // it is a receipt all the same
	}
	merged, err := chain.MergeCosignatures(cp, m.line)
	if err == nil && newlyCosigned(merged, cp) {
		err = c.adopt(chain, merged)
	}
	if err != nil {
		return errors.Join(errOurs, err)
	}
	return nil
}
