package gossip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hashfeed/feed"
)

// An OldCopyError says that a member has a larger head of an own feed, signed with our keys, than we had: this directory is an old copy,
// or another one signs too. What is missing is fetched from the member; signing may go on after Recover, or the next start.
type OldCopyError struct {
	Feed   feed.Name
	Origin feed.Origin
	Have   uint64 // when it was found
	Theirs uint64
	Peer   string // who has it
}

func (e *OldCopyError) Error() string {
	return fmt.Sprintf("%s at size %d, signed with this node's keys, is at %s; this directory has %d: it is an old copy, or another one is in use",
		e.Origin, e.Theirs, e.Peer, e.Have)
}

// HeardMember reports whether since the start a member or witness of an own feed has shown that it knows no more of it than we do: the
// same head. Before that its publisher must not sign: this directory may be an old copy (DESIGN §3). An *OldCopyError says that it is one.
func (n *Network) HeardMember(name feed.Name) (bool, error) {
	c, ok := n.carrier(name)
	if !ok || !c.own {
		return false, fmt.Errorf("%s is no own feed", name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.oldCopy != nil {
		return false, c.oldCopy
	}
	return c.heard, nil
}

// askMember asks a member for the heads of own feeds as soon as it is connected. It may never say hello to us: where two copies of a directory
// run, a member speaks to one of them.
func (n *Network) askMember(l *link) {
	for _, c := range n.everyCarrier() {
		if c.own && n.reads(l.peer, c.name) {
			c.ask(l)
		}
	}
}

// foundOld: somebody has more of our own feed than we do.
func (c *carrier) foundOld(l *link, cp feed.Checkpoint, have uint64) {
	e := &OldCopyError{Feed: c.name, Origin: cp.Origin, Have: have, Theirs: cp.Size, Peer: l.peer.String()}
	c.mu.Lock()
	if c.oldCopy == nil {
		c.oldCopy = e
	} else if c.oldCopy.Theirs < e.Theirs {
		e.Have = min(e.Have, c.oldCopy.Have)
		c.oldCopy = e
	}
	c.mu.Unlock()
	c.n.alarms.raise(AlarmOldCopy, "", c.name, e.Error(), "make sure that no other copy of this directory runs; then hashfeed feed recover "+string(c.name))
}

// ErrNotHeard says that no member was there to recover from.
var ErrNotHeard = errors.New("no member was heard")

// Recover waits until an own feed has all that its members hold under our signatures, and lets it be signed again. It returns what was
// missing; nil where nothing was. ErrNotHeard: no member answered for recoverWait. It fails where two logs were signed, which nothing mends.
func (n *Network) Recover(ctx context.Context, name feed.Name) (*OldCopyError, error) {
	c, ok := n.carrier(name)
	if !ok || !c.own {
		return nil, fmt.Errorf("%s is no own feed", name)
	}
	for _, l := range n.everyLink() {
		if n.reads(l.peer, name) {
			c.ask(l) // whoever has been silent since it connected may have more
		}
	}
	tick := time.NewTicker(recoverLook)
	defer tick.Stop()
	var size uint64
	for moved := time.Now(); ; {
		chain, ok := n.o.Store.Chain(name)
		if !ok {
			return nil, fmt.Errorf("recover %s: it isn't held", name)
		}
		if c.frozen(chain) {
			return nil, fmt.Errorf("recover %s: it has said two things that can't both be true: nothing can be fetched", name)
		}
		missing, done := c.recovered()
		if done {
			return missing, nil
		}
		if tree, _, ok := n.o.Store.Position(chain.Newest().Origin()); ok && tree.Size() > size {
			size, moved = tree.Size(), time.Now()
		}
		if time.Since(moved) > recoverWait {
			if missing == nil {
				return nil, fmt.Errorf("recover %s: %w", name, ErrNotHeard)
			}
			return nil, fmt.Errorf("recover %s: %d of %d records are here, and no member hands out the rest", name, size, missing.Theirs)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.ctx.Done():
			return nil, fmt.Errorf("recover %s: the network is closed", name)
		}
	}
}

// recovered reports whether all that members have is here; if so, signing is safe from now on.
func (c *carrier) recovered() (missing *OldCopyError, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asks {
		if a.running {
			return c.oldCopy, false
		}
	}
	if c.oldCopy == nil {
		return nil, c.heard
	}
	if head, ok := c.n.o.Store.Head(c.oldCopy.Origin); !ok || head.Size < c.oldCopy.Theirs || len(c.targets) > 0 {
		return c.oldCopy, false
	}
	missing = c.oldCopy
	c.oldCopy, c.heard = nil, true
	c.n.alarms.clear(AlarmOldCopy, string(c.name))
	return missing, true
}
