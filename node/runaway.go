package node

import (
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

// A record that matches more than [policy] breaker different uploads within an hour is held here until a person has looked: it blocks
// nothing any more, its publisher is told, as of a dispute, and status says so. What is held stands in a file, and so does what was released.

// runaways are the records that have matched too much.
type runaways struct {
	breaker policy.Breaker
	seed    maphash.Seed
	held    atomic.Pointer[map[itemKey]runaway] // never changed in place

	mu     sync.Mutex // of whoever changes held
	path   string
	failed error         // why the file isn't what held is; nil if it is
	since  int64         // since when
	wake   chan struct{} // somebody has to be told
}

// itemKey is an item, by its add.
type itemKey struct {
	feed  feed.Name
	first feed.Position
}

// runaway is one of them, as a line of the file.
type runaway struct {
	Item     string `json:"item"`               // REF of the item's add
	Ref      string `json:"ref"`                // the record that was in force then
	Uploads  int    `json:"uploads"`            // how many it had matched within an hour
	Since    int64  `json:"since"`              // Unix seconds
	Ticket   string `json:"ticket,omitempty"`   // the publisher's, hex; "": it wasn't told yet
	Released int64  `json:"released,omitempty"` // when somebody said that it stands; it isn't held again
}

func (r runaway) check() error {
	_, err := feed.ParseRef(r.Item)
	if err == nil {
		_, err = feed.ParseRef(r.Ref)
	}
	if ticket, hexErr := hex.DecodeString(r.Ticket); err == nil && (hexErr != nil || len(ticket) != 0 && len(ticket) != len(feed.Ticket{})) {
		err = errors.New("ticket: not 32 hex digits")
	}
	return err
}

// openRunaways reads the file. One that is damaged stops nothing: what has run away does so again.
func openRunaways(path string, now int64) *runaways {
	r := &runaways{seed: maphash.MakeSeed(), path: path, wake: make(chan struct{}, 1)}
	held := map[itemKey]runaway{}
	list, err := readJSONLines(path, maxRunawayFile, runaway.check)
	if err != nil {
		r.failed, r.since = err, now
	}
	for _, l := range list {
		ref, _ := feed.ParseRef(l.Item) // it was checked
		held[itemKey{ref.Origin.Name(), ref.Position()}] = l
	}
	r.held.Store(&held)
	return r
}

// uploadOf is the name of an upload by which it is counted: by a file's sha256, or else by all that was asked.
func (r *runaways) uploadOf(hashes []feed.Hash) uint64 {
	if i := slices.IndexFunc(hashes, func(h feed.Hash) bool { return h.Alg == feed.SHA256 }); i >= 0 {
		hashes = hashes[i : i+1]
	}
	var h maphash.Hash
	h.SetSeed(r.seed)
	for _, hash := range hashes {
		h.WriteByte(byte(hash.Alg))
		h.WriteString(hash.Value)
	}
	return h.Sum64()
}

// ran counts a match of an upload, and says whether the record is held for having matched too much. Test records are counted nowhere.
func (q *asker) ran(v *view, item uint32, c *policy.Candidate) bool {
	r := q.n.runaway
	if c.Facts.Verdict == feed.Test {
		return false
	}
	key := itemKey{feed: v.name}
	if held := *r.held.Load(); len(held) > 0 {
		key.first = v.state.Item(item).First()
		if h, ok := held[key]; ok {
			return h.Released == 0
		}
	}
	limit := q.n.config.Load().Policy.Breaker
	if limit == 0 || q.asking || !q.policy.Rules[v.name].Reaches(c.Hash.Alg, c.Distance) {
		return false
	}
	uploads := r.breaker.Count(c.Ref, r.uploadOf(q.asked), q.now.Unix())
	if uploads <= limit {
		return false
	}
	key.first = v.state.Item(item).First()
	q.n.log.Warn("a record matches too much: held", "ref", c.Ref.String(), "uploads", uploads, "seconds", 3600)
	r.hold(key, runaway{Item: v.name.Ref(key.first).String(), Ref: c.Ref.String(), Uploads: uploads, Since: q.now.Unix()})
	return true
}

// hold holds an item, at once, and makes that durable.
func (r *runaways) hold(key itemKey, h runaway) {
	r.change(h.Since, func(held map[itemKey]runaway) bool {
		if _, ok := held[key]; ok {
			return false
		}
		if len(held) >= maxRunaways {
			oldest := slices.SortedFunc(maps.Keys(held), func(a, b itemKey) int { // of those released first
				x, y := held[a], held[b]
				if (x.Released == 0) != (y.Released == 0) {
					return map[bool]int{true: 1, false: -1}[x.Released == 0]
				}
				return int(x.Since - y.Since)
			})
			delete(held, oldest[0])
		}
		held[key] = h
		return true
	})
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// change changes what is held, and the file. A file that can't be written is tried again, and alarmed about.
func (r *runaways) change(now int64, do func(map[itemKey]runaway) bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := maps.Clone(*r.held.Load())
	if !do(held) {
		return nil
	}
	r.held.Store(&held)
	return r.save(now)
}

// save writes the file. The caller holds r.mu.
func (r *runaways) save(now int64) error {
	list := slices.SortedFunc(maps.Values(*r.held.Load()), func(a, b runaway) int { return int(a.Since - b.Since) })
	err := writeJSONLines(r.path, list)
	if err != nil && r.failed == nil {
		r.since = now
	}
	r.failed = err
	return err
}

// release lets an item match again, for good; false if it isn't held.
func (n *Node) releaseRunaway(v *view, item uint32) (bool, error) {
	key, found := itemKey{v.name, v.state.Item(item).First()}, false
	err := n.runaway.change(n.unix(), func(held map[itemKey]runaway) bool {
		h, ok := held[key]
		if found = ok && h.Released == 0; found {
			h.Released = n.unix()
			held[key] = h
		}
		return found
	})
	return found, err
}

// tellRunaways tells publishers of what is held here, until ctx ends, and forgets what needn't be held any more.
func (n *Node) tellRunaways(ctx context.Context) {
	tick := time.NewTicker(runawayLook)
	defer tick.Stop()
	for {
		n.lookAtRunaways(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.runaway.wake:
		}
	}
}

// runawayLook is how often a publisher that couldn't be told is tried again.
const runawayLook = time.Minute

func (n *Node) lookAtRunaways(ctx context.Context) {
	r := n.runaway
	for key, h := range *r.held.Load() {
		v := n.viewNamed(key.feed)
		if v == nil {
			continue // it may be on its way
		}
		if item, ok := v.state.ItemAt(key.first); !ok || v.state.Item(item).Retracted() {
			r.change(n.unix(), func(held map[itemKey]runaway) bool { delete(held, key); return true })
			continue
		}
		w := n.network.Load()
		if h.Released != 0 || h.Ticket != "" || v.own || w == nil || ctx.Err() != nil {
			continue
		}
		ref, err := feed.ParseRef(h.Ref)
		if err != nil {
			continue // it was checked
		}
		if ticket := w.report(ctx, ref, feed.Runaway); ticket != "" {
			r.change(n.unix(), func(held map[itemKey]runaway) bool {
				h, ok := held[key]
				h.Ticket = ticket
				held[key] = h
				return ok
			})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		r.save(n.unix())
	}
}

// alarmRunaways says what is held, and what to do about it.
func (n *Node) alarmRunaways(say func(code, about, text, remedy string, since time.Time)) {
	r := n.runaway
	r.mu.Lock()
	if r.failed != nil {
		say(alarmDamaged, "", "what is held for matching too much isn't kept: "+r.failed.Error(), "free disk space, or remove the file; it is tried again each minute",
			time.Unix(r.since, 0))
	}
	r.mu.Unlock()
	for _, h := range slices.SortedFunc(maps.Values(*r.held.Load()), func(a, b runaway) int { return int(a.Since - b.Since) }) {
		ref, _ := feed.ParseRef(h.Item)
		v := n.viewNamed(ref.Origin.Name())
		if h.Released != 0 || v == nil {
			continue
		}
		if item, ok := v.state.ItemAt(ref.Position()); !ok || v.state.Item(item).Retracted() {
			continue
		}
		told := "its publisher will be told as soon as it is connected"
		switch {
		case h.Ticket != "":
			told = "its publisher was told, ticket " + h.Ticket
		case v.own:
			told = "it is this node's own"
		}
		say("runaway", string(v.name), fmt.Sprintf("%s matched more than %d different uploads within an hour: it is held here and blocks nothing; %s", h.Ref, h.Uploads-1, told),
			fmt.Sprintf("look at what it matched; hashfeed resolve '%s' --uphold releases it, hashfeed dispute '%s' --reason R keeps it from blocking", h.Item, h.Item),
			time.Unix(h.Since, 0))
	}
}
