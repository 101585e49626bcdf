package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// tally counts what came of the matches of one feed in a week: every upload once among the matches, by the one of its matches that weighs most, and
// every outcome of it once, in the week in which people first said so.
type tally struct {
	matches  map[gossip.Cell]uint64
	outcomes map[gossip.Outcome]uint64
}

func newTally() *tally {
	return &tally{matches: map[gossip.Cell]uint64{}, outcomes: map[gossip.Outcome]uint64{}}
}

var (
	matchKinds   = map[string]gossip.MatchKind{"strong": gossip.Exact, "near": gossip.Near, "weak": gossip.Weak}
	matchActions = map[policy.Action]gossip.Action{policy.Log: gossip.Logged, policy.Review: gossip.Reviewed, policy.Block: gossip.Blocked}
	actOutcomes  = map[string]gossip.Outcome{journal.Removed: gossip.Removed, journal.Refused: gossip.Refused, journal.Preserved: gossip.Preserved,
		journal.Reported: gossip.Reported, journal.False: gossip.False}
)

// cellOf is what a match of a decision counts as; test records count as nothing.
func cellOf(m *journal.Matched) (c gossip.Cell, ok bool) {
	v, err := feed.ParseVerdict(m.Verdict)
	c = gossip.Cell{Verdict: v, Kind: matchKinds[m.Strength], Action: matchActions[m.Action]}
	return c, err == nil && !m.Test && v != feed.Test && c.Kind != 0 && c.Action != 0
}

// weightiest is what a decision counts as for a feed: what was done most, then by the surest match, then by the gravest verdict.
func weightiest(d *journal.Decision, name feed.Name) (best gossip.Cell, ok bool) {
	for i := range d.Matches {
		m := &d.Matches[i]
		if feed.Origin(m.Origin).Name() != name {
			continue
		}
		c, counts := cellOf(m)
		if counts && (!ok || cmp.Or(cmp.Compare(best.Action, c.Action), cmp.Compare(c.Kind, best.Kind), cmp.Compare(c.Verdict, best.Verdict)) < 0) {
			best, ok = c, true
		}
	}
	return best, ok
}

// add counts a decision that matched a feed, as far as it and what people did about it fall into the week.
func (t *tally) add(e journal.Entry, name feed.Name, week gossip.Week) {
	cell, ok := weightiest(e.Decision, name)
	if !ok {
		return
	}
	within := func(at time.Time) bool { return !at.Before(week.Begin()) && at.Before(week.End()) }
	if within(e.Time) {
		t.matches[cell]++
	}
	seen := map[gossip.Outcome]bool{}
	for _, l := range e.Acts {
		for _, done := range l.Act.Done {
			o, known := actOutcomes[done]
			if known && !seen[o] && within(l.Time) {
				t.outcomes[o]++
			}
			seen[o] = true
		}
	}
}

// hidden is how many numbers there are that aren't shared: no zeros.
func (t *tally) hidden() (n int) {
	for _, c := range t.matches {
		n += count(c < gossip.Fewest)
	}
	for _, c := range t.outcomes {
		n += count(c < gossip.Fewest)
	}
	return n
}

// tallies counts a week of some feeds.
func (n *Node) tallies(ctx context.Context, week gossip.Week, names []feed.Name) (map[feed.Name]*tally, error) {
	all := map[feed.Name]*tally{}
	for _, name := range names {
		all[name] = newTally()
	}
	err := n.journal.Within(ctx, week.Begin(), week.End(), func(e journal.Entry) {
		for name, t := range all {
			t.add(e, name, week)
		}
	})
	return all, err
}

// weekCounts is a week as it is told here.
func weekCounts(w gossip.Week) api.WeekCounts {
	return api.WeekCounts{Week: w.String(), Since: w.Begin(), Until: w.End(), Matches: []api.MatchCount{}, Outcomes: []api.OutcomeCount{}}
}

// countsOf is what one member's counts say.
func countsOf(c gossip.Counts) api.WeekCounts {
	sum := newSum(c.Week())
	sum.add(c)
	w := sum.told()
	w.Members = 0
	for i := range w.Matches {
		w.Matches[i].Members = 0
	}
	for i := range w.Outcomes {
		w.Outcomes[i].Members = 0
	}
	return w
}

// sum is what members' counts of a week come to together.
type sum struct {
	week     gossip.Week
	members  int
	matches  map[gossip.Cell]*part
	outcomes map[gossip.Outcome]*part
}

// part is a number of a sum, and of how many members' numbers it is.
type part struct {
	count   uint64
	members int
}

func newSum(week gossip.Week) *sum {
	return &sum{week: week, matches: map[gossip.Cell]*part{}, outcomes: map[gossip.Outcome]*part{}}
}

func (s *sum) add(c gossip.Counts) {
	s.members++
	for cell, n := range c.Matches() {
		addPart(s.matches, cell, n)
	}
	for o, n := range c.Outcomes() {
		addPart(s.outcomes, o, n)
	}
}

func addPart[K comparable](parts map[K]*part, k K, n uint64) {
	p := parts[k]
	if p == nil {
		p = &part{}
		parts[k] = p
	}
	p.count, p.members = p.count+n, p.members+1
}

func (s *sum) told() api.WeekCounts {
	w := weekCounts(s.week)
	w.Members = s.members
	for c, p := range s.matches {
		w.Matches = append(w.Matches, api.MatchCount{Verdict: c.Verdict.String(), Kind: c.Kind.String(), Action: c.Action.String(), Count: p.count, Members: p.members})
	}
	slices.SortFunc(w.Matches, func(a, b api.MatchCount) int {
		return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Action, b.Action))
	})
	for _, o := range gossip.Outcomes() {
		if p := s.outcomes[o]; p != nil {
			w.Outcomes = append(w.Outcomes, api.OutcomeCount{Outcome: o.String(), Count: p.count, Members: p.members})
		}
	}
	return w
}
