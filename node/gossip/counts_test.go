package gossip

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hashfeed/feed"
)

// sampleWeek is 2026-W47.
const sampleWeek = Week(1763337600 + 364*86400)

func sampleCounts(t testing.TB, matches map[Cell]uint64, outcomes map[Outcome]uint64) *counting {
	t.Helper()
	c, err := NewCounts("hotline.example/known", sampleWeek, matches, outcomes)
	if err != nil {
		t.Fatal(err)
	}
	return &c.wire
}

func allCells() (cells []Cell) {
	for v := feed.Baseline; v <= feed.Doubtful; v++ {
		for k := Exact; k <= Weak; k++ {
			for a := Logged; a <= Blocked; a++ {
				cells = append(cells, Cell{v, k, a})
			}
		}
	}
	return cells
}

func everyCell(n uint64) map[Cell]uint64 {
	all := map[Cell]uint64{}
	for _, c := range allCells() {
		all[c] = n
	}
	return all
}

func everyOutcome(n uint64) map[Outcome]uint64 {
	all := map[Outcome]uint64{}
	for _, o := range Outcomes() {
		all[o] = n
	}
	return all
}

func TestWeek(t *testing.T) {
	for _, c := range []struct{ at, begin, name string }{
		{"2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-W48"},
		{"2026-11-29T23:59:59Z", "2026-11-23T00:00:00Z", "2026-W48"},
		{"2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-W47"},
		{"2027-01-03T12:00:00+14:00", "2026-12-28T00:00:00Z", "2026-W53"},
		{"2027-01-04T00:00:00Z", "2027-01-04T00:00:00Z", "2027-W01"},
		{"1970-01-01T00:00:00Z", "1969-12-29T00:00:00Z", "1970-W01"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		w := WeekOf(at)
		if got := w.Begin().Format(time.RFC3339); got != c.begin || w.String() != c.name {
			t.Errorf("%s: got %s %s, want %s %s", c.at, got, w, c.begin, c.name)
		}
		if w.End().Sub(w.Begin()) != 7*24*time.Hour || WeekOf(w.End()) == w || WeekOf(w.End().Add(-1)) != w || WeekOf(w.End()).Before(1) != w {
			t.Errorf("%s: it doesn't meet the next week", w)
		}
	}
}

// Every small number, alone and among others: what is below ten isn't there, and says no more than a zero does.
func TestCountsSmall(t *testing.T) {
	at := func(n uint64) []byte {
		cells, outcomes := everyCell(40), everyOutcome(50)
		cells[Cell{feed.National, Near, Logged}], outcomes[False] = n, n
		c, err := NewCounts("hotline.example/known", sampleWeek, cells, outcomes)
		if err != nil {
			t.Fatal(err)
		}
		return c.Bytes()
	}
	none := at(0)
	for n := range uint64(100) {
		got := at(n)
		c, err := ParseCounts(got)
		if err != nil {
			t.Fatal(err)
		}
		m, seen := c.Matches()[Cell{feed.National, Near, Logged}]
		o, said := c.Outcomes()[False]
		switch {
		case n < Fewest && string(got) != string(none):
			t.Errorf("%d: its bytes differ from those of 0", n)
		case n >= Fewest && (!seen || !said || m != n || o != n):
			t.Errorf("%d: got %d and %d", n, m, o)
		}
	}
}

// TestCountsHide is the promise as a property: whatever was counted, no number of what leaves is one of 1 to 9, or below ten in any way, and
// what leaves doesn't depend on any number that is.
func TestCountsHide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.OneOf(rapid.Uint64Range(0, 25), rapid.Uint64())
		counted := rapid.MapOf(rapid.SampledFrom(allCells()), count).Draw(t, "matches")
		outcomes := rapid.MapOf(rapid.SampledFrom(Outcomes()), count).Draw(t, "outcomes")
		c, err := NewCounts("hotline.example/known", sampleWeek, counted, outcomes)
		if err != nil {
			t.Fatal(err)
		}
		data := c.Bytes()
		if len(data) > maxReport {
			t.Fatalf("%d bytes", len(data))
		}
		sent, err := ParseCounts(data)
		if err != nil {
			t.Fatal(err)
		}
		for cell, n := range sent.Matches() {
			if n < Fewest || n != min(counted[cell], maxCount) {
				t.Fatalf("%v: sent %d, counted %d", cell, n, counted[cell])
			}
		}
		for o, n := range sent.Outcomes() {
			if n < Fewest || n != min(outcomes[o], maxCount) {
				t.Fatalf("%v: sent %d, counted %d", o, n, outcomes[o])
			}
		}
		other, others := maps.Clone(counted), maps.Clone(outcomes)
		small := rapid.Uint64Range(0, Fewest-1)
		for _, cell := range allCells() {
			if other[cell] < Fewest {
				other[cell] = small.Draw(t, "hidden")
			}
		}
		for _, o := range Outcomes() {
			if others[o] < Fewest {
				delete(others, o)
			}
		}
		again, err := NewCounts("hotline.example/known", sampleWeek, other, others)
		if err != nil || string(again.Bytes()) != string(data) {
			t.Fatalf("other hidden numbers, other bytes: %x, %x, %v", data, again.Bytes(), err)
		}
	})
}

// What NewCounts would never make isn't taken either: a publisher never gets to know a small number, not even from a member that errs.
func TestCountsBounds(t *testing.T) {
	cell := func(v feed.Verdict, k MatchKind, a Action, n uint64) matchCount {
		return matchCount{Verdict: v, Match: k, Action: a, Count: n}
	}
	for what, change := range map[string]func(*counting){
		"another kind":     func(m *counting) { m.Kind = "count" },
		"no feed":          func(m *counting) { m.Feed = "hotline.example" },
		"a Tuesday":        func(m *counting) { m.Week += 86400 },
		"no week":          func(m *counting) { m.Week = 0 },
		"before all weeks": func(m *counting) { m.Week = firstMonday - weekSeconds },
		"after all weeks":  func(m *counting) { m.Week = firstMonday + weekSeconds*((1<<32-firstMonday)/weekSeconds+1) },
		"nine":             func(m *counting) { m.Matches = []matchCount{cell(feed.Baseline, Exact, Blocked, 9)} },
		"one":              func(m *counting) { m.Matches = []matchCount{cell(feed.Baseline, Exact, Blocked, 1)} },
		"zero":             func(m *counting) { m.Matches = []matchCount{cell(feed.Baseline, Exact, Blocked, 0)} },
		"too many":         func(m *counting) { m.Matches = []matchCount{cell(feed.Baseline, Exact, Blocked, maxCount+1)} },
		"tests":            func(m *counting) { m.Matches = []matchCount{cell(feed.Test, Exact, Blocked, 10)} },
		"no verdict":       func(m *counting) { m.Matches = []matchCount{cell(0, Exact, Blocked, 10)} },
		"no match kind":    func(m *counting) { m.Matches = []matchCount{cell(feed.Baseline, 4, Blocked, 10)} },
		"no action":        func(m *counting) { m.Matches = []matchCount{cell(feed.Baseline, Exact, 4, 10)} },
		"twice":            func(m *counting) { m.Matches = slices.Repeat([]matchCount{cell(feed.Baseline, Exact, Blocked, 10)}, 2) },
		"out of order":     func(m *counting) { m.Matches = []matchCount{cell(2, 1, 1, 10), cell(1, 3, 3, 10)} },
		"nine acts":        func(m *counting) { m.Outcomes = []outcomeCount{{Outcome: False, Count: 9}} },
		"no outcome":       func(m *counting) { m.Outcomes = []outcomeCount{{Outcome: 6, Count: 10}} },
		"outcome twice":    func(m *counting) { m.Outcomes = slices.Repeat([]outcomeCount{{Outcome: False, Count: 10}}, 2) },
		"outcomes unordered": func(m *counting) {
			m.Outcomes = []outcomeCount{{Outcome: False, Count: 10}, {Outcome: Removed, Count: 10}}
		},
	} {
		m := *sampleCounts(t, nil, nil)
		change(&m)
		data, err := encoder.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCounts(data); !errors.Is(err, errRule) {
			t.Errorf("%s: got %v, want %v", what, err, errRule)
		}
	}
	if _, err := NewCounts("hotline.example/known", sampleWeek+1, nil, nil); err == nil {
		t.Error("NewCounts took a week that begins nowhere")
	}
	if _, err := NewCounts("hotline.example/known", sampleWeek, map[Cell]uint64{{feed.Test, Exact, Blocked}: 10}, nil); err == nil {
		t.Error("NewCounts took test records")
	}
	if data := sampleCounts(t, everyCell(maxCount), everyOutcome(maxCount)); len(encoded(t, data, maxReport)) > 700 {
		t.Error("more than 700 bytes")
	}
}

// taken are the counts that a publisher's node was told.
type taken struct {
	mu   sync.Mutex
	all  []Counts
	from []string
	err  error
}

func (k *taken) take(peer string, c Counts) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.all, k.from = append(k.all, c), append(k.from, peer)
	return nil
}

func (k *taken) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.all)
}

// Counts go to the publisher alone, from members alone, and only where it takes them.
func TestShare(t *testing.T) {
	run(t, func(w *world) {
		hotline, host, other := w.node("hotline.example"), w.node("host.example"), w.node("other.example")
		p := hotline.publishes()
		p.publish(3)
		p.admits(host, other)
		host.follows(p)
		other.follows(p)
		other.knows(host)
		host.knows(other)
		hotline.start()
		host.start()
		other.start()
		w.same(5*time.Second, p.name, hotline, host, other)
		ctx := context.Background()
		counts := Counts{*sampleCounts(t, map[Cell]uint64{{feed.Baseline, Exact, Blocked}: 12}, nil)}
		share := func() error { return host.net.Load().Share(ctx, counts) }

		if err := share(); !errors.Is(err, ErrRefused) { // it takes none
			t.Errorf("not wanted: got %v, want %v", err, ErrRefused)
		}
		got := &taken{}
		hotline.onCounts.Store(got)
		if err := share(); err != nil {
			t.Fatal(err)
		}
		if got.count() != 1 || string(got.all[0].Bytes()) != string(counts.Bytes()) || got.from[0] != host.id.String() {
			t.Errorf("got %+v from %v", got.all, got.from)
		}
		got.err = errors.New("the disk is full")
		if err := share(); !errors.Is(err, ErrRefused) {
			t.Errorf("not stored: got %v, want %v", err, ErrRefused)
		}
		got.err = nil

		// A peer that only passes the feed on gets nothing, whatever it would take.
		passes := &taken{}
		other.onCounts.Store(passes)
		host.roll(func(r *Roll) { r.Follows[0].Publisher, r.Follows[0].Addrs = other.id.String(), []string{other.addr()} })
		time.Sleep(5 * time.Second)
		if err := share(); !errors.Is(err, ErrNotConnected) || !errors.Is(err, errStranger) || passes.count() != 0 {
			t.Errorf("to a stranger: got %v, and it has %d", err, passes.count())
		}
		host.roll(func(r *Roll) {
			r.Follows[0].Publisher, r.Follows[0].Addrs = hotline.id.String(), []string{hotline.addr()}
		})
		// Nor does one that is asked directly, of a feed that isn't its own.
		ask := func(from, to *testNode, c *counting) error {
			s, end, err := from.net.Load().question(ctx, to.id, reportProtocol, c, maxReport)
			if err != nil {
				return err
			}
			defer end()
			return ended(s, askTimeout)
		}
		if err := ask(host, other, &counts.wire); err == nil || passes.count() != 0 {
			t.Errorf("not its own feed: got %v, and it has %d", err, passes.count())
		}
		// Small numbers are a breach of the protocol, and aren't taken.
		small := counts.wire
		small.Matches = []matchCount{{Verdict: feed.Baseline, Match: Exact, Action: Blocked, Count: 9}}
		if err := ask(host, hotline, &small); err == nil || got.count() != 1 {
			t.Errorf("nine: got %v, and it has %d", err, got.count())
		}
		// Who isn't a member any more is heard no more, though it stays connected.
		hotline.knows(host)
		p.expels(host)
		time.Sleep(5 * time.Second)
		if !host.connected(hotline) {
			t.Error("it isn't connected any more")
		}
		if err := share(); err == nil || got.count() != 1 {
			t.Errorf("no member: got %v, and it has %d", err, got.count())
		}
		// The other member goes on.
		if err := other.net.Load().Share(ctx, counts); err != nil || got.count() != 2 {
			t.Errorf("the other: got %v, and it has %d", err, got.count())
		}
	})
}

// More than some weeks at once wait: each writes a file.
func TestShareRate(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(1)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		got := &taken{}
		hotline.onCounts.Store(got)
		counts := Counts{*sampleCounts(t, nil, nil)}
		var refused int
		for range countsBurst + 3 {
			if err := host.net.Load().Share(context.Background(), counts); err != nil {
				refused++
			}
		}
		if got.count() < countsBurst || refused == 0 || got.count() > countsBurst+2 {
			t.Errorf("%d were taken and %d refused, of %d at once", got.count(), refused, countsBurst+3)
		}
		if a, ok := hotline.alarm(AlarmLied); ok {
			t.Errorf("whoever is fast is blamed: %+v", a)
		}
	})
}

func TestCountsNames(t *testing.T) {
	var names []string
	for _, c := range []Cell{{feed.Baseline, Exact, Logged}, {feed.National, Near, Reviewed}, {feed.Doubtful, Weak, Blocked}, {feed.Test, 0, 9}} {
		names = append(names, c.Verdict.String(), c.Kind.String(), c.Action.String())
	}
	for _, o := range Outcomes() {
		names = append(names, o.String())
	}
	if got, want := strings.Join(names, " "), "baseline exact log national near review doubtful weak block test (0) (9) removed refused preserved reported false"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
