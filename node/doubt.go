package node

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// A doubt is what this node itself has seen wrong with a record. One that matches more than [policy] breaker different uploads within an hour, a
// runaway, is held until a person has looked: it blocks nothing any more. One whose md5 or sha1 a file has that is another, a collision, isn't: that
// match alone never blocks. Of both the publisher is told, as of a dispute, and status says so. They stand in a file, and so does which are settled.
type doubts struct {
	breaker policy.Breaker
	seed    maphash.Seed
	all     atomic.Pointer[map[doubtKey]doubt] // never changed in place

	mu     sync.Mutex // of whoever changes all
	path   string
	failed error         // why the file isn't what all is; nil if it is
	since  int64         // since when
	wake   chan struct{} // somebody has to be told
}

// doubtKey is an item, by its add, and what is wrong with it.
type doubtKey struct {
	feed   feed.Name
	first  feed.Position
	reason feed.Reason
}

// doubt is one of them, as a line of the file.
type doubt struct {
	Reason  string `json:"reason"`            // runaway or collision
	Item    string `json:"item"`              // REF of the item's add
	Ref     string `json:"ref"`               // the record that was in force then
	Uploads int    `json:"uploads,omitempty"` // of a runaway: how many it had matched within an hour
	Since   int64  `json:"since"`             // Unix seconds
	Ticket  string `json:"ticket,omitempty"`  // the publisher's, hex; "": it wasn't told yet
	Settled int64  `json:"settled,omitempty"` // when somebody said that the record stands; it isn't doubted for that again
}

func (d doubt) key() doubtKey {
	item, _ := feed.ParseRef(d.Item)
	reason, _ := feed.ParseReason(d.Reason)
	return doubtKey{item.Origin.Name(), item.Position(), reason}
}

func (d doubt) check() error {
	_, err := feed.ParseRef(d.Item)
	if err == nil {
		_, err = feed.ParseRef(d.Ref)
	}
	if reason, reasonErr := feed.ParseReason(d.Reason); err == nil && (reasonErr != nil || reason != feed.Runaway && reason != feed.Collision) {
		err = errors.New("reason: want runaway or collision")
	}
	if ticket, hexErr := hex.DecodeString(d.Ticket); err == nil && (hexErr != nil || len(ticket) != 0 && len(ticket) != len(feed.Ticket{})) {
		err = errors.New("ticket: not 32 hex digits")
	}
	return err
}

// openDoubts reads the file. One that is damaged stops nothing: what is wrong with a record is seen again.
func openDoubts(path string, now int64) *doubts {
	d := &doubts{seed: maphash.MakeSeed(), path: path, wake: make(chan struct{}, 1)}
	all := map[doubtKey]doubt{}
	list, err := readJSONLines(path, maxDoubtFile, doubt.check)
	if err != nil {
		d.failed, d.since = err, now
	}
	for _, l := range list {
		all[l.key()] = l
	}
	d.all.Store(&all)
	return d
}

// uploadOf is the name of an upload by which it is counted: by a file's sha256, or else by all that was asked.
func (d *doubts) uploadOf(hashes []feed.Hash) uint64 {
	if i := slices.IndexFunc(hashes, func(h feed.Hash) bool { return h.Alg == feed.SHA256 }); i >= 0 {
		hashes = hashes[i : i+1]
	}
	var h maphash.Hash
	h.SetSeed(d.seed)
	for _, hash := range hashes {
		h.WriteByte(byte(hash.Alg))
		h.WriteString(hash.Value)
	}
	return h.Sum64()
}

// ran counts a match of an upload, and says whether the record is held for having matched too much. Test records are counted nowhere.
func (q *asker) ran(v *view, item uint32, c *policy.Candidate) bool {
	d := q.n.doubts
	if c.Facts.Verdict == feed.Test {
		return false
	}
	key := doubtKey{feed: v.name, reason: feed.Runaway}
	if all := *d.all.Load(); len(all) > 0 {
		key.first = v.state.Item(item).First()
		if known, ok := all[key]; ok {
			return known.Settled == 0
		}
	}
	limit := q.n.config.Load().Policy.Breaker
	if limit == 0 || q.asking || !q.policy.Rules[v.name].Reaches(c.Hash.Alg, c.Distance) {
		return false
	}
	uploads := d.breaker.Count(c.Ref, d.uploadOf(q.asked), q.now.Unix())
	if uploads <= limit {
		return false
	}
	key.first = v.state.Item(item).First()
	q.n.log.Warn("a record matches too much: held", "ref", c.Ref.String(), "uploads", uploads, "seconds", 3600)
	d.add(doubt{Reason: feed.Runaway.String(), Item: v.name.Ref(key.first).String(), Ref: c.Ref.String(), Uploads: uploads, Since: q.now.Unix()})
	return true
}

// collided notes the records that a file's hashes match by a forgery, or an error.
func (q *asker) collided(hashes []feed.Hash, found []policy.Candidate) {
	if q.asking || len(hashes) < 2 {
		return
	}
	for _, ref := range policy.Collisions(hashes, found) {
		v := q.n.viewNamed(ref.Origin.Name())
		if v == nil {
			continue // the test picture's
		}
		item, ok := v.state.ItemAt(ref.Position())
		if !ok {
			continue
		}
		first := v.state.Item(item).First()
		if _, known := (*q.n.doubts.all.Load())[doubtKey{v.name, first, feed.Collision}]; !known {
			q.n.log.Warn("a file has a weak hash of a record, and isn't its file", "ref", ref.String())
			q.n.doubts.add(doubt{Reason: feed.Collision.String(), Item: v.name.Ref(first).String(), Ref: ref.String(), Since: q.now.Unix()})
		}
	}
}

// add notes a doubt, at once, makes it durable, and has its publisher told.
func (d *doubts) add(one doubt) {
	d.change(one.Since, func(all map[doubtKey]doubt) bool {
		if _, ok := all[one.key()]; ok {
			return false
		}
		if len(all) >= maxDoubts {
			least := slices.MinFunc(slices.Collect(maps.Values(all)), func(a, b doubt) int {
				return cmp.Or(cmp.Compare(a.weight(), b.weight()), cmp.Compare(a.Since, b.Since))
			})
			delete(all, least.key())
		}
		all[one.key()] = one
		return true
	})
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// weight orders doubts by what is lost with them: of what is settled, of what only alarms, of what holds.
func (d doubt) weight() int {
	switch {
	case d.Settled != 0:
		return 0
	case d.Reason == feed.Collision.String():
		return 1
	}
	return 2
}

// change changes the doubts, and the file. A file that can't be written is tried again, and alarmed about.
func (d *doubts) change(now int64, do func(map[doubtKey]doubt) bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := maps.Clone(*d.all.Load())
	if !do(all) {
		return nil
	}
	d.all.Store(&all)
	return d.save(now)
}

// inOrder are the doubts, the oldest first.
func (d *doubts) inOrder() []doubt {
	return slices.SortedFunc(maps.Values(*d.all.Load()), func(a, b doubt) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.Item, b.Item), cmp.Compare(a.Reason, b.Reason))
	})
}

// save writes the file. The caller holds d.mu.
func (d *doubts) save(now int64) error {
	err := writeJSONLines(d.path, d.inOrder())
	if err != nil && d.failed == nil {
		d.since = now
	}
	d.failed = err
	return err
}

// settle ends the doubts about an item, for good; false if there were none.
func (n *Node) settle(v *view, item uint32) (found bool, err error) {
	first := v.state.Item(item).First()
	err = n.doubts.change(n.unix(), func(all map[doubtKey]doubt) bool {
		for _, reason := range []feed.Reason{feed.Runaway, feed.Collision} {
			key := doubtKey{v.name, first, reason}
			if one, ok := all[key]; ok && one.Settled == 0 {
				one.Settled = n.unix()
				all[key], found = one, true
			}
		}
		return found
	})
	return found, err
}

// tellDoubts tells publishers of the doubts here, until ctx ends, and forgets those about what is retracted.
func (n *Node) tellDoubts(ctx context.Context) {
	tick := time.NewTicker(doubtLook)
	defer tick.Stop()
	for {
		n.lookAtDoubts(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.doubts.wake:
		}
	}
}

// doubtLook is how often a publisher that couldn't be told is tried again.
const doubtLook = time.Minute

func (n *Node) lookAtDoubts(ctx context.Context) {
	d := n.doubts
	for _, one := range d.inOrder() {
		key := one.key()
		v := n.viewNamed(key.feed)
		if v == nil {
			continue // it may be on its way
		}
		if item, ok := v.state.ItemAt(key.first); !ok || v.state.Item(item).Retracted() {
			d.change(n.unix(), func(all map[doubtKey]doubt) bool { delete(all, key); return true })
			continue
		}
		w := n.network.Load()
		if one.Settled != 0 || one.Ticket != "" || v.own || w == nil || ctx.Err() != nil {
			continue
		}
		ref, err := feed.ParseRef(one.Ref)
		if err != nil {
			continue // it was checked
		}
		if ticket := w.report(ctx, ref, key.reason); ticket != "" {
			d.change(n.unix(), func(all map[doubtKey]doubt) bool {
				one, ok := all[key]
				if one.Ticket = ticket; ok {
					all[key] = one
				}
				return ok
			})
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed != nil {
		d.save(n.unix())
	}
}

// alarmDoubts says what is wrong with records here, and what to do about it.
func (n *Node) alarmDoubts(say func(code, about, text, remedy string, since time.Time)) {
	d := n.doubts
	d.mu.Lock()
	if d.failed != nil {
		say(alarmDamaged, "", "what this node has seen wrong with records isn't kept: "+d.failed.Error(), "free disk space, or remove the file; it is tried again each minute",
			time.Unix(d.since, 0))
	}
	d.mu.Unlock()
	for _, one := range d.inOrder() {
		key := one.key()
		v := n.viewNamed(key.feed)
		if one.Settled != 0 || v == nil {
			continue
		}
		if item, ok := v.state.ItemAt(key.first); !ok || v.state.Item(item).Retracted() {
			continue
		}
		told := "its publisher will be told as soon as it is connected"
		switch {
		case one.Ticket != "":
			told = "its publisher was told, ticket " + one.Ticket
		case v.own:
			told = "it is this node's own"
		}
		text := fmt.Sprintf("%s matched more than %d different uploads within an hour: it is held here and blocks nothing; %s", one.Ref, one.Uploads-1, told)
		remedy := fmt.Sprintf("look at what it matched; hashfeed resolve '%s' --uphold releases it, hashfeed dispute '%s' --reason R keeps it from blocking", one.Item, one.Item)
		if key.reason == feed.Collision {
			text = fmt.Sprintf("a file has an md5 or sha1 of %s, and another of its hashes differs: a forgery, or an error in the record; such a match never blocks; %s", one.Ref, told)
			remedy = fmt.Sprintf("look at both files; hashfeed resolve '%s' --uphold ends this alarm, hashfeed dispute '%s' --reason R keeps the record from blocking", one.Item, one.Item)
		}
		say(key.reason.String(), string(v.name), text, remedy, time.Unix(one.Since, 0))
	}
}
