package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"hashfeed/feed"
)

// A body lists hashes: whoever has them can look for the pictures. So that of a retracted record is erased, on every node that holds it, and what is
// left is its head, which every proof rests on. Each node does so by itself; nobody is asked to, and nobody could be made to.

const (
	// eraseAfter is how long after its retraction a body is kept, so that what was listed can still be shown in a dispute. That of an intimate
	// image, whose subject may have asked for it, goes at once.
	eraseAfter = 30 * 24 * time.Hour
	// eraseLook is how often a running node looks for bodies whose time has come, and tries again where it failed.
	eraseLook = time.Minute
	// eraseAtMost is how long a feed is left alone that has no body to erase: a clock that was wrong may have said so.
	eraseAtMost = time.Hour
)

// erasing is what a view knows of its erasures. The zero value says: look.
type erasing struct {
	next  int64  // Unix seconds: before that nothing is due
	since int64  // since when what is due couldn't be erased
	err   string // why; "" if it could
}

// eraseSoon has the bodies of a feed looked at, since a retraction has come, or a body.
func (n *Node) eraseSoon(v *view) {
	v.erasing.Store(nil)
	v.retracts.Store(true)
	select {
	case n.eraseWake <- struct{}{}:
	default: // it is awake
	}
}

// retracts says whether a batch has a retraction.
func retracts(b *feed.Batch) bool {
	return slices.ContainsFunc(b.Records(), func(r feed.Record) bool {
		return len(r.Head) > 4 && feed.Op(r.Head[4]) == feed.OpRetract // a head is a map that begins with 1: 1, 2: op, a byte each
	})
}

// eraseDue erases what is due until ctx ends.
func (n *Node) eraseDue(ctx context.Context) {
	tick := time.NewTicker(eraseLook)
	defer tick.Stop()
	for {
		n.erase(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.eraseWake:
		}
	}
}

// eraseAtEnd erases what a command without a daemon has retracted.
func (n *Node) eraseAtEnd() {
	for _, v := range *n.views.Load() {
		if v != nil && v.state != nil && v.retracts.Load() {
			n.eraseOf(context.Background(), v)
		}
	}
}

// erase erases what is due of every feed here.
func (n *Node) erase(ctx context.Context) {
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil || ctx.Err() != nil {
			continue
		}
		if e := v.erasing.Load(); e == nil || n.unix() >= e.next || e.next-n.unix() > int64(eraseAtMost/time.Second) {
			n.eraseOf(ctx, v)
		}
	}
}

// eraseOf erases what is due of a feed.
func (n *Node) eraseOf(ctx context.Context, v *view) {
	looking := &erasing{next: n.unix()}
	if before := v.erasing.Load(); before != nil {
		looking.since, looking.err = before.since, before.err
	}
	v.erasing.Store(looking) // what comes from here on has it looked at again
	due, next := n.erasable(v)
	done := &erasing{next: next}
	switch err := n.eraseBodies(ctx, v, due); {
	case ctx.Err() != nil:
		done = looking
	case err != nil:
		n.log.Error("bodies of retracted records can't be erased", "feed", string(v.name), "bodies", len(due), "err", err)
		done = &erasing{next: n.unix() + int64(eraseLook/time.Second), since: looking.since, err: err.Error()}
		if looking.err == "" {
			done.since = n.unix()
		}
	case len(due) > 0:
		n.log.Info("bodies of retracted records erased", "feed", string(v.name), "bodies", len(due))
	}
	v.erasing.CompareAndSwap(looking, done)
}

// erasable returns the records of a view whose bodies are to be erased now, in order, and when the next is due.
func (n *Node) erasable(v *view) (due []feed.Position, next int64) {
	next = n.unix() + int64(eraseAtMost/time.Second)
	wait := int64(eraseAfter / time.Second)
	if v.reading.Load().charter.Harm == feed.NCII {
		wait = 0
	}
	stamps := n.stampsOf(v.name)
	for i := range v.state.Items() {
		retract, bodies := v.state.Item(i).Erasable()
		if len(bodies) == 0 {
			continue
		}
		since := int64(0)
		if wait > 0 {
			since = stamps.since(retract)
		}
		if since+wait <= n.unix() {
			due = append(due, bodies...)
		} else {
			next = min(next, since+wait)
		}
	}
	slices.SortFunc(due, feed.Position.Compare)
	return due, next
}

// eraseBodies erases bodies, a bundle at a time: commits and retractions take their turn in between.
func (n *Node) eraseBodies(ctx context.Context, v *view, due []feed.Position) error {
	for len(due) > 0 {
		k := 1
		for k < len(due) && due[k].Log == due[0].Log && due[k].Index/feed.TileWidth == due[0].Index/feed.TileWidth {
			k++
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var indexes []uint64
		for _, p := range due[:k] {
			indexes = append(indexes, p.Index)
		}
		if err := n.store.Erase(v.name.Log(due[0].Log), indexes...); err != nil {
			return err
		}
		err := n.store.Still(func() error { // as bodyCame: a snapshot has the state before or after
			for _, p := range due[:k] {
				n.dropBody(v, p)
				changes, err := v.state.SetBody(p, nil)
				if err == nil {
					err = n.enter(v, changes)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		due = due[k:]
	}
	return nil
}

// alarmErasures tells of bodies that should be gone and are not.
func (n *Node) alarmErasures(say func(code, about, text, remedy string, since time.Time)) {
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil {
			continue
		}
		if e := v.erasing.Load(); e != nil && e.err != "" {
			say("erasure", string(v.name), "hashes of retracted records should be erased and can't be: "+e.err,
				cmp.Or(eraseRemedy(n, v), "it tries again each minute; see the log"), time.Unix(e.since, 0))
		}
	}
}

func eraseRemedy(n *Node, v *view) string {
	if n.store.Damage(v.name) != nil {
		return remedyRepair
	}
	if n.store.Room() != nil {
		return "free disk space on the file system of DIR; it goes on by itself then"
	}
	return ""
}
