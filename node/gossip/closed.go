package gossip

import (
	"fmt"

	"hashfeed/feed"
)

// What it means for a carrier that a charter has closed a log (WIRE §4): the log ends where the charter says, whoever signs what lies past that.

// closed reports whether the newest charter has closed a log.
func closed(chain *feed.Chain, origin feed.Origin) bool {
	_, ok := chain.Cut(origin.Log())
	return ok
}

// isEnd reports whether a checkpoint is a closed log's end as the charter states it, without signatures.
func isEnd(cp feed.Checkpoint) bool { return len(cp.Lines()) == 0 }

// newLaw takes note of a charter: what a thief's signatures on a log that is closed now said of us, or promised, is of no account any more.
func (c *carrier) newLaw() {
	chain, ok := c.n.o.Store.Chain(c.name)
	if !ok {
		return
	}
	c.mu.Lock()
	spared := c.oldCopy != nil && closed(chain, c.oldCopy.Origin)
	if spared {
		c.oldCopy = nil
	}
	c.mu.Unlock()
	if spared {
		c.n.alarms.clear(AlarmOldCopy, string(c.name))
	}
	for log := 1; log < chain.Newest().Log; log++ {
		c.n.alarms.clear(AlarmWithheld, string(c.name.Log(log)))
	}
}

// otherLog says that a head isn't of the log, up to its cut, that a charter closed, or that ours isn't: whoever had the signer's key wrote it, or
// part of it. In the one case the head is forgotten. In the other a follower sets its copy aside and fetches the log anew; a publisher's own is
// never given up by itself.
func (c *carrier) otherLog(chain *feed.Chain, cp feed.Checkpoint, why error) error {
	end, ok := chain.ClosedHead(cp.Origin.Log())
	if !ok {
		return why
	}
	if !isEnd(cp) && !c.shorter(end) {
		if root, err := c.n.o.Store.RootAt(cp.Origin, end.Size); err == nil && root == end.Root {
			c.forget(cp.Origin)
			return nil
		}
	}
	if c.own {
		c.n.alarms.raise(AlarmCut, string(cp.Origin), c.name, why.Error(), "this directory is an old copy of the feed, or another one was in use: restore the newest")
		return why
	}
	c.n.log.Warn("our copy of a closed log is another one: fetched anew", "log", string(cp.Origin), "size", end.Size, "err", why)
	if err := c.n.o.Store.SetAside(cp.Origin); err != nil {
		c.storeFailed(err)
		return fmt.Errorf("set %s aside: %w", cp.Origin, err)
	}
	poke(c.wake)
	return nil
}

// forget gives a target up.
func (c *carrier) forget(origin feed.Origin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.targets, origin)
}

// hasEnd reports whether a peer's claim of a closed log is one of the log that the charter closed, so far as a claim tells: a peer that hasn't heard
// of the charter yet may hold the thief's in good faith, and isn't asked.
func hasEnd(chain *feed.Chain, end feed.Checkpoint, m claim) bool {
	return m.Charter >= chain.Newest().Version || m.Size == end.Size && m.Root == end.Root
}
