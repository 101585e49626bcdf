package node

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// matched is a match as the journal has it.
func matched(origin, verdict, strength string, action policy.Action) journal.Matched {
	return journal.Matched{Match: policy.Match{Origin: origin, Verdict: verdict, Action: action, Test: verdict == "test"}, Strength: strength}
}

var countedWeek = gossip.WeekOf(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))

// entry is a decision at an hour of the counted week, with acts, one an hour from then on; "" is an hour in which nobody did anything.
func entry(hour int, acts []string, matches ...journal.Matched) journal.Entry {
	at := countedWeek.Begin().Add(time.Duration(hour) * time.Hour)
	e := journal.Entry{Line: journal.Line{Time: at, Decision: &journal.Decision{Matches: matches}}}
	for i, a := range acts {
		if a != "" {
			e.Acts = append(e.Acts, journal.Line{Time: at.Add(time.Duration(i+1) * time.Hour), Act: &journal.Act{Done: strings.Split(a, "+")}})
		}
	}
	return e
}

// TestTally: an upload counts once for a feed, by what was done most about it; an outcome once, in the week in which it was first said.
func TestTally(t *testing.T) {
	const p, q = "hotline.example/known/1", "other.example/known/2"
	type cells = map[gossip.Cell]uint64
	type outcomes = map[gossip.Outcome]uint64
	one := func(v feed.Verdict, k gossip.MatchKind, a gossip.Action) cells {
		return cells{{Verdict: v, Kind: k, Action: a}: 1}
	}
	week := 7 * 24
	idle := func(hours int, acts ...string) []string { return append(slices.Repeat([]string{""}, hours), acts...) }
	for _, c := range []struct {
		name     string
		entry    journal.Entry
		matches  cells
		outcomes outcomes
	}{
		{"exact", entry(0, nil, matched(p, "baseline", "strong", policy.Block)), one(feed.Baseline, gossip.Exact, gossip.Blocked), nil},
		{"the last hour", entry(week-1, nil, matched(p, "national", "near", policy.Review)), one(feed.National, gossip.Near, gossip.Reviewed), nil},
		{"the week before", entry(-1, nil, matched(p, "baseline", "strong", policy.Block)), nil, nil},
		{"the week after", entry(week, nil, matched(p, "baseline", "strong", policy.Block)), nil, nil},
		{"another feed", entry(0, []string{"false"}, matched(q, "baseline", "strong", policy.Block)), nil, nil},
		{"another log of the feed", entry(0, nil, matched("hotline.example/known/2", "doubtful", "weak", policy.Log)), one(feed.Doubtful, gossip.Weak, gossip.Logged), nil},
		{"a test record", entry(0, []string{"removed"}, matched(p, "test", "strong", policy.Block)), nil, nil},
		{"a test record and another", entry(0, nil, matched(p, "test", "strong", policy.Block), matched(p, "national", "weak", policy.Log)),
			one(feed.National, gossip.Weak, gossip.Logged), nil},
		{"several: what was done most", entry(0, nil, matched(p, "baseline", "strong", policy.Log), matched(q, "baseline", "strong", policy.Block), matched(p, "doubtful", "near", policy.Review)),
			one(feed.Doubtful, gossip.Near, gossip.Reviewed), nil},
		{"several: the surest", entry(0, nil, matched(p, "baseline", "weak", policy.Block), matched(p, "national", "strong", policy.Block), matched(p, "baseline", "near", policy.Block)),
			one(feed.National, gossip.Exact, gossip.Blocked), nil},
		{"several: the gravest", entry(0, nil, matched(p, "national", "near", policy.Block), matched(p, "baseline", "near", policy.Block)),
			one(feed.Baseline, gossip.Near, gossip.Blocked), nil},
		{"acted on", entry(0, []string{"removed+preserved", "reported", "reported+removed"}, matched(p, "baseline", "strong", policy.Block)),
			one(feed.Baseline, gossip.Exact, gossip.Blocked), outcomes{gossip.Removed: 1, gossip.Preserved: 1, gossip.Reported: 1}},
		{"acted on later", entry(week-1, []string{"refused", "false"}, matched(p, "baseline", "strong", policy.Block)), one(feed.Baseline, gossip.Exact, gossip.Blocked), nil},
		{"acted on a week later", entry(-5, idle(10, "refused", "false"), matched(p, "baseline", "strong", policy.Block)), nil, outcomes{gossip.Refused: 1, gossip.False: 1}},
		{"said before", entry(-5, []string{"refused", "", "", "", "", "", "", "refused", "false"}, matched(p, "baseline", "strong", policy.Block)), nil, outcomes{gossip.False: 1}},
	} {
		got := newTally()
		got.add(c.entry, "hotline.example/known", countedWeek)
		if !maps.Equal(got.matches, c.matches) || !maps.Equal(got.outcomes, c.outcomes) {
			t.Errorf("%s: got %v and %v, want %v and %v", c.name, got.matches, got.outcomes, c.matches, c.outcomes)
		}
	}
}

// TestTallyCountsOnce is why nothing can be found out by subtraction: each upload that matched is in exactly one number of the matches, whatever
// it matched besides; so of any others the sum isn't sent.
func TestTallyCountsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		match := rapid.Custom(func(t *rapid.T) journal.Matched {
			return matched(rapid.SampledFrom([]string{"hotline.example/known/1", "hotline.example/known/2", "hotline.example/other/1", "b.example/known/1"}).Draw(t, "origin"),
				rapid.SampledFrom([]string{"baseline", "national", "doubtful", "test"}).Draw(t, "verdict"),
				rapid.SampledFrom([]string{"strong", "near", "weak"}).Draw(t, "strength"),
				rapid.SampledFrom([]policy.Action{policy.Log, policy.Review, policy.Block}).Draw(t, "action"))
		})
		got, want := newTally(), uint64(0)
		for _, d := range rapid.SliceOfN(rapid.SliceOf(match), 0, 60).Draw(t, "decisions") {
			got.add(entry(rapid.IntRange(0, 7*24-1).Draw(t, "hour"), nil, d...), "hotline.example/known", countedWeek)
			want += uint64(count(slices.ContainsFunc(d, func(m journal.Matched) bool {
				return !m.Test && strings.HasPrefix(m.Origin, "hotline.example/known/")
			})))
		}
		sum := uint64(0)
		for _, n := range got.matches {
			sum += n
		}
		if sum != want {
			t.Fatalf("%d uploads are in numbers that come to %d", want, sum)
		}
	})
}

// shares switches on, or off, that a node shares counts of p's feed.
func (h *handNode) shares(p *handNode, on bool) {
	h.t.Helper()
	path := h.Node.dir.config()
	text, err := os.ReadFile(path)
	h.must(err)
	text = []byte(strings.ReplaceAll(string(text), "\nshare_counts = true\n", "\n"))
	h.must(os.WriteFile(path, text, 0o600))
	if on {
		h.must(ReplaceFollow(path, Follow{Feed: string(p.known()), ShareCounts: true}))
	}
	h.must(h.Reload())
	h.must(h.shareDue(h.t.Context()))
}

// takes switches on that a node takes counts.
func (h *handNode) takes() {
	h.t.Helper()
	f, err := os.OpenFile(h.Node.dir.config(), os.O_APPEND|os.O_WRONLY, 0)
	h.must(err)
	_, err = f.WriteString("\n[own]\ntake_counts = true\n")
	h.must(errors.Join(err, f.Close()))
	h.must(h.Reload())
}

// asksTimes asks a node so often about the n'th MD5, as that many uploads do, and returns the decisions.
func (h *handNode) asksTimes(n, times int) (ids []string) {
	h.t.Helper()
	for range times {
		ids = append(ids, h.matches(n).Decision)
	}
	return ids
}

func (h *handNode) acts(done string, ids ...string) {
	h.t.Helper()
	for _, id := range ids {
		_, err := h.Act(h.t.Context(), id, api.JournalAct{Done: []string{done}})
		h.must(err)
	}
}

func (h *handNode) shared(p *handNode) api.SharedCounts {
	h.t.Helper()
	s, err := h.SharedCounts(h.t.Context(), string(p.known()))
	h.must(err)
	return s
}

// text is a week in words, to compare.
func text(w api.WeekCounts) string {
	said := []string{w.Week}
	for _, m := range w.Matches {
		said = append(said, fmt.Sprintf("%s %s %s %d", m.Verdict, m.Kind, m.Action, m.Count))
	}
	for _, o := range w.Outcomes {
		said = append(said, fmt.Sprintf("%s %d", o.Outcome, o.Count))
	}
	return strings.Join(said, ", ")
}

func (h *handNode) wantShared(p *handNode, want ...string) api.SharedCounts {
	h.t.Helper()
	s := h.shared(p)
	var got []string
	for _, w := range s.Weeks {
		got = append(got, w.State+" "+text(w.WeekCounts))
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return s
}

func (c *handClock) set(text string) {
	at, err := time.Parse(time.DateTime, text)
	if err != nil {
		panic(err)
	}
	c.unix.Store(at.Unix())
}

// TestShareWeeks: a week is counted once, when it is over, from the first on that began after the switch; what was counted stays, whatever the
// journal comes to; off is off.
func TestShareWeeks(t *testing.T) {
	clock := newHandClock()
	clock.set("2026-11-24 08:00:00") // a Tuesday of W48
	p, h := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "host.example", RoleHost, clock)
	p.lists(0)
	p.lists(1)
	h.follows(p, nil)
	h.asksTimes(0, 3)
	h.acts("refused", h.asksTimes(1, 12)...)

	// A look before it is switched on.
	const w48 = "2026-W48, baseline weak block 15, refused 12"
	if s := h.wantShared(p, "running "+w48, "preview 2026-W47"); s.Share || s.First != nil || s.Weeks[0].Hidden != 0 {
		t.Errorf("got %+v", s)
	}
	h.acts("false", h.asksTimes(0, 2)...)
	if s := h.wantShared(p, "running 2026-W48, baseline weak block 17, refused 12", "preview 2026-W47"); s.Weeks[0].Hidden != 1 {
		t.Errorf("got %+v", s)
	}
	if _, err := os.Stat(h.Node.dir.shared()); err == nil {
		t.Error("there is a file before anything is switched on")
	}

	h.shares(p, true)
	s := h.shared(p)
	if !s.Share || s.First == nil || s.First.Format(time.DateOnly) != "2026-11-30" {
		t.Errorf("got %+v", s)
	}
	clock.set("2026-12-01 08:00:00") // W49
	h.reopen()
	h.must(h.shareDue(t.Context()))
	h.wantShared(p, "running 2026-W49", "preview 2026-W48, baseline weak block 17, refused 12") // and so it stays
	first := h.asksTimes(0, 11)
	h.acts("removed", first[:9]...)
	clock.set("2026-12-06 23:59:59")
	h.asksTimes(1, 2)
	h.must(h.shareDue(t.Context()))
	clock.set("2026-12-07 00:09:59")
	h.must(h.shareDue(t.Context()))
	h.wantShared(p, "running 2026-W50", "preview 2026-W49, baseline weak block 13")
	clock.set("2026-12-07 00:10:00")
	h.must(h.shareDue(t.Context()))
	const w49 = "waiting 2026-W49, baseline weak block 13"
	h.wantShared(p, "running 2026-W50", w49)

	// It is made: later acts, and the journal's loss, change nothing of it.
	h.acts("removed", first...) // nine of them for the second time
	h.wantShared(p, "running 2026-W50", w49)
	before, err := os.ReadFile(h.Node.dir.shared())
	h.must(err)
	_, err = h.journal.Purge(t.Context(), journal.Keep{Block: 1, Review: 1, Log: 1})
	h.must(err)
	h.must(h.shareDue(t.Context()))
	h.reopen()
	h.must(h.shareDue(t.Context()))
	if after, err := os.ReadFile(h.Node.dir.shared()); err != nil || string(after) != string(before) {
		t.Errorf("the file has changed: %v\n%s\n%s", err, before, after)
	}

	// Off: what wasn't sent never is, not even when it is on again.
	h.shares(p, false)
	if s := h.wantShared(p, "running 2026-W50", "preview 2026-W49"); s.Share || s.First != nil { // whose decisions are purged
		t.Errorf("off: got %+v", s)
	}
	h.shares(p, true)
	clock.set("2026-12-14 08:00:00")
	h.must(h.shareDue(t.Context()))
	h.wantShared(p, "running 2026-W51", "preview 2026-W50")
	clock.set("2026-12-21 08:00:00")
	h.must(h.shareDue(t.Context()))
	h.wantShared(p, "running 2026-W52", "waiting 2026-W51")

	// A damaged file isn't believed: sharing begins anew, and fsck says so.
	h.close()
	h.must(os.WriteFile(filepath.Join(h.dir, "shared"), []byte("{}\n"), 0o600))
	h.open()
	if found := h.fsck(t); !strings.Contains(found, "shared") {
		t.Errorf("fsck: %s", found)
	}
	h.must(h.shareDue(t.Context()))
	clock.set("2026-12-28 08:00:00")
	h.must(h.shareDue(t.Context()))
	h.wantShared(p, "running 2026-W53", "preview 2026-W52") // it began within W52
	// After a long time of sleep only the last weeks are counted; after a year they are gone.
	clock.set("2027-05-03 08:00:00")
	h.must(h.shareDue(t.Context()))
	if s := h.shared(p); len(s.Weeks) != 1+shareWeeks || s.Weeks[shareWeeks].Week != "2027-W10" {
		t.Errorf("got %d weeks, the oldest %+v", len(s.Weeks), s.Weeks[len(s.Weeks)-1])
	}
	clock.set("2027-07-05 08:00:00")
	h.must(h.shareDue(t.Context()))
	if s := h.shared(p); len(s.Weeks) != 1+2*shareWeeks || s.Weeks[shareWeeks].State != api.ShareWaiting || s.Weeks[2*shareWeeks].State != api.ShareMissed {
		t.Errorf("got %d weeks, %+v", len(s.Weeks), s.Weeks)
	}
	clock.set("2028-08-01 08:00:00")
	h.must(h.shareDue(t.Context()))
	if s := h.shared(p); len(s.Weeks) != 1+shareWeeks || s.Weeks[1].Week != "2028-W30" {
		t.Errorf("got %d weeks, %+v", len(s.Weeks), s.Weeks)
	}
	// A feed that isn't followed any more leaves nothing.
	h.must(h.Unfollow(t.Context(), string(p.known())))
	h.must(h.shareDue(t.Context()))
	if all := h.sharing.all(); len(all) != 0 {
		t.Errorf("unfollowed: got %+v", all)
	}
	if _, err := h.SharedCounts(t.Context(), string(p.known())); err == nil {
		t.Error("counts of a feed that isn't followed")
	}
}

// TestTakeCounts: what a member shares of a week is kept, replaced and not added when it comes again, shown as a sum, and gone after a year.
func TestTakeCounts(t *testing.T) {
	clock := newHandClock()
	clock.set("2026-11-24 08:00:00") // of W48
	p, h := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "host.example", RoleHost, clock)
	name := p.known()
	p.lists(0)
	h.follows(p, nil)
	this := gossip.WeekOf(clock.now())
	exact, weak := gossip.Cell{Verdict: feed.Baseline, Kind: gossip.Exact, Action: gossip.Blocked}, gossip.Cell{Verdict: feed.National, Kind: gossip.Weak, Action: gossip.Logged}
	counts := func(week gossip.Week, matches map[gossip.Cell]uint64, refused uint64) gossip.Counts {
		c, err := gossip.NewCounts(name, week, matches, map[gossip.Outcome]uint64{gossip.Refused: refused})
		p.must(err)
		return c
	}
	last := counts(this.Before(1), map[gossip.Cell]uint64{exact: 20, weak: 9}, 11)
	if err := p.takeCounts(testPeer, last); !errors.Is(err, errCountsUnwanted) {
		t.Errorf("not switched on: got %v", err)
	}
	if f, err := p.FeedCounts(t.Context(), ""); err != nil || f.Take || len(f.Weeks) != 0 {
		t.Errorf("got %+v, %v", f, err)
	}
	p.takes()
	want := func(weeks ...api.WeekCounts) {
		t.Helper()
		f, err := p.FeedCounts(t.Context(), "known")
		p.must(err)
		if !f.Take || f.Feed != string(name) || f.Fewest != 10 || fmt.Sprint(f.Weeks) != fmt.Sprint(append([]api.WeekCounts{}, weeks...)) {
			t.Errorf("got  %+v\nwant %+v", f.Weeks, weeks)
		}
	}
	want()
	other := h.keys.peerID()
	for range 3 {
		p.must(p.takeCounts(testPeer, last))
	}
	p.must(p.takeCounts(other, counts(this.Before(1), map[gossip.Cell]uint64{exact: 15, weak: 30}, 3)))
	p.must(p.takeCounts(other, counts(this.Before(8), nil, 0)))
	week := func(w gossip.Week, members int, matches []api.MatchCount, outcomes []api.OutcomeCount) api.WeekCounts {
		c := weekCounts(w)
		c.Members, c.Matches, c.Outcomes = members, append(c.Matches, matches...), append(c.Outcomes, outcomes...)
		return c
	}
	oldest := week(this.Before(8), 1, nil, nil)
	want(week(this.Before(1), 2, []api.MatchCount{{Verdict: "baseline", Kind: "exact", Action: "block", Count: 35, Members: 2}, {Verdict: "national", Kind: "weak", Action: "log", Count: 30, Members: 1}},
		[]api.OutcomeCount{{Outcome: "refused", Count: 11, Members: 1}}), oldest)
	p.must(p.takeCounts(testPeer, counts(this.Before(1), map[gossip.Cell]uint64{exact: 21}, 0)))
	replaced := week(this.Before(1), 2, []api.MatchCount{{Verdict: "baseline", Kind: "exact", Action: "block", Count: 36, Members: 2},
		{Verdict: "national", Kind: "weak", Action: "log", Count: 30, Members: 1}}, nil)
	want(replaced, oldest)
	p.reopen()
	want(replaced, oldest)

	for back, ok := range map[int]bool{-1: false, 0: false, 1: true, 8: true, 9: false} {
		if err := p.takeCounts(other, counts(this.Before(back), nil, 0)); ok != (err == nil) || !ok && !errors.Is(err, errCountsWeek) {
			t.Errorf("%d weeks ago: got %v", back, err)
		}
	}
	clock.set("2026-11-29 23:54:59")
	if err := p.takeCounts(other, counts(this, nil, 0)); !errors.Is(err, errCountsWeek) {
		t.Errorf("before its end: got %v", err)
	}
	clock.set("2026-11-29 23:55:00")
	p.must(p.takeCounts(other, counts(this, nil, 0))) // the member's clock may be ahead

	if _, err := h.FeedCounts(t.Context(), string(name)); err == nil || !strings.Contains(err.Error(), "publisher alone") {
		t.Errorf("at a follower: got %v", err)
	}

	// A changed byte, or a file under another's name, is told.
	path := p.Node.dir.counts(name, this)
	good, err := os.ReadFile(path)
	p.must(err)
	bad := append([]byte("x"), good[1:]...)
	p.must(os.WriteFile(path, bad, 0o600))
	if _, err := p.FeedCounts(t.Context(), ""); err == nil || !strings.Contains(p.fsck(t), "2026-W48") {
		t.Errorf("a changed byte: got %v", err)
	}
	p.must(os.Rename(p.Node.dir.counts(name, this.Before(1)), path))
	if _, err := p.FeedCounts(t.Context(), ""); !strings.Contains(fmt.Sprint(err), errCountsFile.Error()) {
		t.Errorf("another week's file: got %v", err)
	}
	p.must(os.WriteFile(path, good, 0o600))
	want(week(this, 1, nil, nil), oldest)

	p.purgeCounts()
	want(week(this, 1, nil, nil), oldest)
	clock.set("2027-10-11 08:00:00") // W41, 54 weeks after W40 and 53 after W41
	p.purgeCounts()
	want(week(this, 1, nil, nil))
	clock.set("2027-12-13 08:00:00")
	p.purgeCounts()
	want()
	if left, err := os.ReadDir(p.Node.dir.countsDir()); err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// TestSharedNotRestored: a restored node counts no week that began before: its journal is not the one that was counted.
func TestSharedNotRestored(t *testing.T) {
	if !notBackedUp[filepath.Base(layout("x").shared())] {
		t.Error("a backup has what was shared")
	}
	if notBackedUp[filepath.Base(layout("x").countsDir())] {
		t.Error("a backup doesn't have what members have shared")
	}
}

// FuzzParseShared reads the file of what is shared.
func FuzzParseShared(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		feeds, err := parseJSONLines(data, maxSharedFile, sharedFeed.check)
		if err != nil {
			return
		}
		for _, s := range feeds {
			for _, w := range s.Weeks {
				if c := w.counts(); string(c.Feed()) != s.Feed || !s.has(c.Week()) {
					t.Errorf("took %+v for what is shared of %s", c, s.Feed)
				}
			}
		}
	})
}

// FuzzParseTaken reads a file of what members have shared.
func FuzzParseTaken(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseJSONLines(data, maxCountsFile, takenCounts.check)
		if err != nil {
			return
		}
		sum := newSum(countedWeek)
		for _, l := range list {
			c, err := gossip.ParseCounts(l.Counts)
			if err != nil {
				t.Fatal(err)
			}
			sum.add(c)
		}
		for _, m := range sum.told().Matches {
			if m.Count < gossip.Fewest {
				t.Errorf("a number of %d", m.Count)
			}
		}
	})
}
