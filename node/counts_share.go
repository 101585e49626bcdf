package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
)

// A sharing is what this node shares with the publishers of the feeds that it follows, where it is switched on (Follow.ShareCounts): what came of each
// week's matches. It stands in a file, as the very bytes that are sent: a week is counted once, when it is over, made durable, and never counted again,
// whatever is in the journal later. Nothing is shared of a week that began before it was switched on, or before the file began: two counts of one
// week, or of parts of it, would differ by what neither of them tells. That is also why no backup has the file.
type sharing struct {
	path string

	mu      sync.Mutex
	feeds   []sharedFeed           // by feed; a slice in it is never changed in place
	refused map[feed.Name]shareTry // not in the file
}

// sharedFeed is what is shared of one feed, as a line of the file.
type sharedFeed struct {
	Feed  string       `json:"feed"`
	Since int64        `json:"since,omitempty"` // since when it is switched on, Unix seconds; 0: it isn't
	Weeks []sharedWeek `json:"weeks"`           // in order
}

type sharedWeek struct {
	Counts []byte `json:"counts"`         // gossip.Counts
	Sent   int64  `json:"sent,omitempty"` // when its publisher took it; 0: it hasn't yet
}

// shareTry is how the last attempt failed, and when the next may be.
type shareTry struct {
	why  string
	next time.Time
}

const (
	// shareLook is how often it is looked whether a week is over, or a publisher there.
	shareLook = time.Minute
	// shareAfter is how long after its end a week is counted: its last decisions are in the journal by then, and it is over by the
	// publisher's clock too.
	shareAfter = 10 * time.Minute
	// shareWithin is the time from then on within which members send: each has a moment of its own.
	shareWithin = 12 * time.Hour
	// shareAgain is when a publisher that took no counts is asked again.
	shareAgain = 6 * time.Hour
	// shareWeeks is for how many weeks back counts are made, sent and taken.
	shareWeeks = 8
	// shareDays is for how long the journal must keep a decision, so that its week counts it.
	shareDays = 8
	// keepWeeks is how many weeks are kept, both of what was sent and of what was taken: a year.
	keepWeeks = 53
)

var errShared = errors.New("not what was shared of a feed")

func (s sharedFeed) check() error {
	if _, err := feed.ParseName(s.Feed); err != nil {
		return err
	}
	last := gossip.Week(0)
	for _, w := range s.Weeks {
		c, err := gossip.ParseCounts(w.Counts)
		if err != nil {
			return err
		}
		if string(c.Feed()) != s.Feed || c.Week() <= last {
			return errShared
		}
		last = c.Week()
	}
	return nil
}

// counts are those of a week that was checked.
func (w sharedWeek) counts() gossip.Counts {
	c, _ := gossip.ParseCounts(w.Counts)
	return c
}

func (s sharedFeed) has(week gossip.Week) bool {
	return slices.ContainsFunc(s.Weeks, func(w sharedWeek) bool { return w.counts().Week() == week })
}

// openSharing reads the file. Of one that is damaged nothing is believed: sharing begins anew, with the next week.
func openSharing(path string) (*sharing, error) {
	feeds, err := readJSONLines(path, maxSharedFile, sharedFeed.check)
	return &sharing{path: path, feeds: feeds, refused: map[feed.Name]shareTry{}}, err
}

func (s *sharing) all() []sharedFeed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.feeds)
}

// put makes it durable, and then so.
func (s *sharing) put(feeds []sharedFeed) error {
	if err := writeJSONLines(s.path, feeds); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feeds = feeds
	return nil
}

func (s *sharing) of(name feed.Name) (sharedFeed, shareTry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	try := s.refused[name]
	if i := slices.IndexFunc(s.feeds, func(f sharedFeed) bool { return f.Feed == string(name) }); i >= 0 {
		return s.feeds[i], try
	}
	return sharedFeed{Feed: string(name)}, try
}

// sent notes that a week was taken.
func (s *sharing) sent(name feed.Name, week gossip.Week, at int64) error {
	feeds := s.all()
	for i := range feeds {
		if feeds[i].Feed != string(name) {
			continue
		}
		feeds[i].Weeks = slices.Clone(feeds[i].Weeks)
		for k := range feeds[i].Weeks {
			if w := &feeds[i].Weeks[k]; w.counts().Week() == week {
				w.Sent = at
			}
		}
	}
	return s.put(feeds)
}

func (s *sharing) tried(name feed.Name, try shareTry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused[name] = try; try.why == "" {
		delete(s.refused, name)
	}
}

// shareCounts shares with publishers what is due, and lets go of what members shared too long ago, until ctx ends.
func (n *Node) shareCounts(ctx context.Context) {
	tick := time.NewTicker(shareLook)
	defer tick.Stop()
	for {
		if err := n.shareDue(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("share counts", "err", err)
		}
		n.purgeCounts()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// shareDue counts the weeks that are over, and sends what wasn't sent yet. Only one goroutine calls it.
func (n *Node) shareDue(ctx context.Context) error {
	now := n.now()
	feeds, changed := switched(n.sharing.all(), n.config.Load().Follow, now)
	made, err := n.countDue(ctx, feeds, now)
	if err != nil {
		return err
	}
	if changed || made {
		if err := n.sharing.put(feeds); err != nil {
			return err
		}
	}
	w := n.network.Load()
	if w == nil {
		return nil
	}
	for _, s := range feeds {
		if err := n.send(ctx, w, feed.Name(s.Feed), now); err != nil {
			return err
		}
	}
	return nil
}

// switched makes feeds what the config says. Where it isn't switched on any more, what wasn't sent never is.
func switched(feeds []sharedFeed, follows []Follow, now time.Time) (_ []sharedFeed, changed bool) {
	on := map[string]bool{}
	for _, f := range follows {
		if on[f.Feed] = f.ShareCounts; f.ShareCounts && !slices.ContainsFunc(feeds, func(s sharedFeed) bool { return s.Feed == f.Feed }) {
			feeds, changed = append(feeds, sharedFeed{Feed: f.Feed, Since: now.Unix(), Weeks: []sharedWeek{}}), true
		}
	}
	oldest := gossip.WeekOf(now).Before(keepWeeks)
	for i := range feeds {
		s := &feeds[i]
		kept := slices.DeleteFunc(slices.Clone(s.Weeks), func(w sharedWeek) bool {
			return w.counts().Week() < oldest || w.Sent == 0 && !on[s.Feed]
		})
		since := s.Since
		switch {
		case !on[s.Feed]:
			since = 0
		case since == 0:
			since = now.Unix()
		}
		if since != s.Since || len(kept) != len(s.Weeks) {
			s.Since, s.Weeks, changed = since, kept, true
		}
	}
	left := len(feeds)
	feeds = slices.DeleteFunc(feeds, func(s sharedFeed) bool { return s.Since == 0 && len(s.Weeks) == 0 })
	slices.SortFunc(feeds, func(a, b sharedFeed) int { return cmp.Compare(a.Feed, b.Feed) })
	return feeds, changed || len(feeds) != left
}

// due are the weeks of a feed that are over and weren't counted, the oldest first.
func (s sharedFeed) due(now time.Time) (weeks []gossip.Week) {
	this := gossip.WeekOf(now.Add(-shareAfter))
	for back := shareWeeks; back > 0; back-- {
		if w := this.Before(back); s.Since != 0 && w.Begin().Unix() >= s.Since && !s.has(w) {
			weeks = append(weeks, w)
		}
	}
	return weeks
}

// countDue counts them, in feeds.
func (n *Node) countDue(ctx context.Context, feeds []sharedFeed, now time.Time) (made bool, err error) {
	due := map[gossip.Week][]feed.Name{}
	for _, s := range feeds {
		for _, w := range s.due(now) {
			due[w] = append(due[w], feed.Name(s.Feed))
		}
	}
	for week, names := range due {
		tallies, err := n.tallies(ctx, week, names)
		if err != nil {
			return made, fmt.Errorf("count week %s: %w", week, err)
		}
		for i := range feeds {
			t := tallies[feed.Name(feeds[i].Feed)]
			if t == nil {
				continue
			}
			c, err := gossip.NewCounts(feed.Name(feeds[i].Feed), week, t.matches, t.outcomes)
			if err != nil {
				return made, err
			}
			weeks := append(slices.Clone(feeds[i].Weeks), sharedWeek{Counts: c.Bytes()})
			slices.SortFunc(weeks, func(a, b sharedWeek) int { return cmp.Compare(a.counts().Week(), b.counts().Week()) })
			feeds[i].Weeks, made = weeks, true
		}
	}
	return made, nil
}

// send sends what wasn't sent of one feed, the oldest week first.
func (n *Node) send(ctx context.Context, w *network, name feed.Name, now time.Time) error {
	s, try := n.sharing.of(name)
	if now.Before(try.next) {
		return nil
	}
	for _, week := range s.Weeks {
		c := week.counts()
		if week.Sent != 0 || tooOld(c.Week(), now) || now.Before(c.Week().End().Add(shareAfter+n.shareSpread(c.Week()))) {
			continue
		}
		if f, err := n.followed(string(name)); err != nil || !f.ShareCounts {
			return nil // switched off just now
		}
		if err := w.gossip.Share(ctx, c); err != nil {
			try := shareTry{why: err.Error()}
			if !errors.Is(err, gossip.ErrNotConnected) {
				try.next = now.Add(shareAgain)
			}
			n.sharing.tried(name, try)
			n.log.Debug("counts not shared", "feed", string(name), "week", c.Week().String(), "err", err)
			return nil
		}
		n.log.Info("counts shared", "feed", string(name), "week", c.Week().String())
		n.sharing.tried(name, shareTry{})
		if err := n.sharing.sent(name, c.Week(), n.unix()); err != nil {
			return err
		}
	}
	return nil
}

// shareSpread is how long this node lets pass, so that a feed's members don't all come in one minute.
func (n *Node) shareSpread(week gossip.Week) time.Duration {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s", n.keys.peerID(), week))
	return time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(shareWithin))
}

// tooOld says that a week ended too long ago to be sent, or taken.
func tooOld(w gossip.Week, now time.Time) bool { return w < gossip.WeekOf(now).Before(shareWeeks) }

// SharedCounts is what was shared with the publisher of a followed feed, what waits for it, and what would be shared of the last week and of this one.
func (n *Node) SharedCounts(ctx context.Context, name string) (api.SharedCounts, error) {
	f, err := n.followed(name)
	if err != nil {
		return api.SharedCounts{}, err
	}
	now := n.now()
	s, try := n.sharing.of(feed.Name(f.Feed))
	answer := api.SharedCounts{Feed: f.Feed, Share: f.ShareCounts, Note: try.why, Fewest: gossip.Fewest, Weeks: []api.SharedWeek{}}
	if f.ShareCounts {
		since := cmp.Or(s.Since, now.Unix()) // the daemon hasn't looked yet
		first := gossip.WeekOf(time.Unix(since-1, 0)).Before(-1).Begin()
		answer.First = &first
	}
	this := gossip.WeekOf(now)
	for _, state := range []struct {
		state string
		week  gossip.Week
	}{{api.ShareRunning, this}, {api.SharePreview, this.Before(1)}} {
		if s.has(state.week) {
			continue
		}
		tallies, err := n.tallies(ctx, state.week, []feed.Name{feed.Name(f.Feed)})
		if err != nil {
			return answer, fmt.Errorf("count week %s: %w", state.week, err)
		}
		t := tallies[feed.Name(f.Feed)]
		c, err := gossip.NewCounts(feed.Name(f.Feed), state.week, t.matches, t.outcomes)
		if err != nil {
			return answer, err
		}
		answer.Weeks = append(answer.Weeks, api.SharedWeek{WeekCounts: countsOf(c), State: state.state, Hidden: t.hidden()})
	}
	for _, w := range slices.Backward(s.Weeks) {
		c := w.counts()
		told := api.SharedWeek{WeekCounts: countsOf(c), State: api.ShareWaiting}
		switch {
		case w.Sent != 0:
			told.State, told.Sent = api.ShareSent, timeText(w.Sent)
		case tooOld(c.Week(), now):
			told.State = api.ShareMissed
		}
		answer.Weeks = append(answer.Weeks, told)
	}
	return answer, nil
}
