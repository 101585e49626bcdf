package gossip

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"hashfeed/feed"
)

// Missing says that bodies of a feed that this node carries aren't here, as the node finds at its start, when it scans what is stored. Those that
// were missing when their records came are known already. They are looked for at members until found or retracted.
func (n *Network) Missing(refs ...feed.Ref) {
	for _, r := range refs {
		if c, ok := n.carrier(r.Origin.Name()); ok {
			c.mu.Lock()
			if len(c.missing) < maxMissing {
				c.missing[r] = true
			}
			c.mu.Unlock()
		}
	}
}

// look notes the bodies that a batch should have and hasn't. What was retracted and erased looks the same, until its retract comes.
func (c *carrier) look(b *feed.Batch) {
	var missing []feed.Ref
	retracted := map[feed.Position]bool{}
	for i, r := range b.Records() {
		if len(r.Body) > 0 {
			continue
		}
		if _, promised := feed.PromisedBody(r.Head); promised {
			missing = append(missing, feed.Ref{Origin: b.Origin(), Index: b.From() + uint64(i)})
		} else if h, err := feed.ParseHead(r.Head); err == nil && h.Op == feed.OpRetract {
			for _, p := range h.Targets {
				retracted[p] = true
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range missing {
		if !retracted[r.Position()] && len(c.missing) < maxMissing {
			c.missing[r] = true
		}
	}
	for p := range retracted {
		delete(c.missing, c.name.Ref(p))
	}
}

// repair looks for missing bodies, more and more rarely while nobody has them.
func (c *carrier) repair() {
	wait := repairEvery
	for pause(c.ctx, wait) {
		c.mu.Lock()
		missing := slices.SortedFunc(maps.Keys(c.missing), func(a, b feed.Ref) int { return a.Position().Compare(b.Position()) })
		c.mu.Unlock()
		if len(missing) == 0 {
			wait = repairEvery
			continue
		}
		found := 0
		for len(missing) > 0 {
			n := 0 // those of one bundle
			for n < len(missing) && missing[n].Origin == missing[0].Origin && missing[n].Index/feed.TileWidth == missing[0].Index/feed.TileWidth {
				n++
			}
			found += c.repairBundle(missing[:n])
			missing = missing[n:]
			if c.ctx.Err() != nil {
				return
			}
		}
		if found > 0 {
			wait = repairEvery
			c.n.log.Info("missing bodies found", "feed", string(c.name), "bodies", found)
		} else {
			wait = min(2*wait, repairMost)
		}
	}
}

// repairBundle asks one peer after the other for the bodies of a bundle, and returns how many were found.
func (c *carrier) repairBundle(missing []feed.Ref) (found int) {
	origin, n := missing[0].Origin, missing[0].Index/feed.TileWidth
	head, ok := c.n.o.Store.Head(origin)
	if !ok {
		return 0
	}
	for _, l := range c.n.everyLink() {
		if m, ok := l.claimed(origin); !ok || m.Size < head.Size || len(missing) == 0 {
			continue
		}
		width := int(min(head.Size-n*feed.TileWidth, feed.TileWidth))
		var data []byte
		err := l.parts(c.ctx, origin, head.Size, []string{feed.BodyPath(n, width)}, func(_ int, part []byte) error {
			data = part
			return nil
		})
		if err != nil || data == nil {
			continue
		}
		bodies, err := feed.SplitBundle(data, width)
		if err != nil {
			c.n.lied(l.peer, c.name, err)
			continue
		}
		missing = slices.DeleteFunc(slices.Clone(missing), func(r feed.Ref) bool {
			i := int(r.Index % feed.TileWidth)
			if i >= width || len(bodies[i]) == 0 {
				return false
			}
			if err := c.repairBody(l, r, bodies[i]); err != nil {
				c.n.log.Debug("repair", "ref", r.String(), "err", err)
				return false
			}
			found++
			return true
		})
	}
	return found
}

func (c *carrier) repairBody(l *link, r feed.Ref, body []byte) error {
	record, err := c.n.o.Store.Record(r.Origin, r.Index)
	if err != nil {
		return err
	}
	if digest, ok := feed.PromisedBody(record.Head); !ok || digest != sha256.Sum256(body) {
		err := fmt.Errorf("body of %s: not the one that its head promises", r)
		c.n.lied(l.peer, c.name, err)
		return err
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if err := c.n.o.Store.SetBody(r.Origin, r.Index, body); err != nil {
		return err
	}
	c.mu.Lock()
	delete(c.missing, r)
	c.mu.Unlock()
	if c.n.o.OnBody != nil {
		c.n.o.OnBody(r, body)
	}
	return nil
}

// Part asks one peer after the other for a full bundle of a feed that this node carries, by its path below the log, until check takes
// what came. check compares it with what is held; a peer whose part it refuses lied. The error is check's last, or says that nobody has it.
func (n *Network) Part(ctx context.Context, origin feed.Origin, path string, check func([]byte) error) error {
	c, ok := n.carrier(origin.Name())
	head, known := n.o.Store.Head(origin)
	if !ok || !known {
		return fmt.Errorf("fetch %s of %s: the feed isn't carried", path, origin)
	}
	last := errNobody
	for _, l := range n.everyLink() {
		if m, ok := l.claimed(origin); !ok || m.Size < head.Size || !n.vetted(l.peer) {
			continue
		}
		var data []byte
		err := l.parts(ctx, origin, head.Size, []string{path}, func(_ int, part []byte) error {
			data = part
			return nil
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || data == nil {
			continue
		}
		if last = check(data); last == nil {
			return nil
		}
		n.log.Info("a peer's part isn't ours", "peer", l.peer.String(), "feed", string(c.name), "err", last)
	}
	return fmt.Errorf("fetch %s of %s: %w", path, origin, last)
}
