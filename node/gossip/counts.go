package gossip

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"hashfeed/feed"
)

// Counts are what a member shares with a publisher, if both want that: what came of one week's matches of one feed. Three things keep them from
// telling of a single upload, and all are kept by the only two ways to make one, NewCounts and ParseCounts:
//
//   - No number is below Fewest. One that would be is left out, a zero like a nine.
//   - Each upload is in one number of the matches, and there is no sum of them: nothing that is sent minus something else that is sent gives
//     what was left out.
//   - A week is over before it is counted, and weeks don't overlap: there is no difference of one count and the next.
type Counts struct {
	wire counting
}

// Fewest is the smallest number that is shared.
const Fewest = 10

// maxCount is the largest: 4,096 members' fit 64 bits, and JSON's 53, together.
const maxCount = 1<<40 - 1

// Week is seven days from a Monday on, UTC: the time of its beginning in Unix seconds. A week gathers seven times as much as a day, so that more
// numbers reach Fewest, and doesn't tell on which day something was uploaded.
type Week int64

const (
	weekSeconds = 7 * 24 * 3600
	firstMonday = 4 * 24 * 3600 // 1970-01-05
)

// WeekOf is the week in which t lies.
func WeekOf(t time.Time) Week {
	into := (t.Unix() - firstMonday) % weekSeconds
	if into < 0 {
		into += weekSeconds
	}
	return Week(t.Unix() - into)
}

// Begin is the first moment of the week, End the first after it.
func (w Week) Begin() time.Time { return time.Unix(int64(w), 0).UTC() }
func (w Week) End() time.Time   { return time.Unix(int64(w)+weekSeconds, 0).UTC() }

// Before is the week n weeks earlier.
func (w Week) Before(n int) Week { return w - Week(n)*weekSeconds }

// String is the week's name by ISO 8601, "2026-W48".
func (w Week) String() string {
	year, week := w.Begin().ISOWeek()
	return fmt.Sprintf("%04d-W%02d", year, week)
}

func (w Week) valid() bool {
	return w >= firstMonday && w <= 1<<32-weekSeconds && (w-firstMonday)%weekSeconds == 0
}

// Cell is one kind of match.
type Cell struct {
	Verdict feed.Verdict // what the record says: baseline, national or doubtful
	Kind    MatchKind
	Action  Action // what the member's policy did about it
}

// MatchKind is how a match came about.
type MatchKind uint8

const (
	Exact MatchKind = 1 // equal by sha256, photodna or pdq
	Near  MatchKind = 2 // looks alike
	Weak  MatchKind = 3 // by md5 or sha1 alone
)

// Action is what was done about a match.
type Action uint8

const (
	Logged   Action = 1
	Reviewed Action = 2 // a person was to look
	Blocked  Action = 3 // the upload was not to be accepted
)

// Outcome is what people did about an upload that matched.
type Outcome uint8

const (
	Removed   Outcome = 1
	Refused   Outcome = 2
	Preserved Outcome = 3
	Reported  Outcome = 4
	False     Outcome = 5 // they found that the record doesn't fit it
)

var (
	kindNames    = []string{Exact: "exact", Near: "near", Weak: "weak"}
	actionNames  = []string{Logged: "log", Reviewed: "review", Blocked: "block"}
	outcomeNames = []string{Removed: "removed", Refused: "refused", Preserved: "preserved", Reported: "reported", False: "false"}
)

func (k MatchKind) String() string { return nameAt(kindNames, uint8(k)) }
func (a Action) String() string    { return nameAt(actionNames, uint8(a)) }
func (o Outcome) String() string   { return nameAt(outcomeNames, uint8(o)) }

func nameAt(names []string, i uint8) string {
	if i == 0 || int(i) >= len(names) {
		return fmt.Sprintf("(%d)", i)
	}
	return names[i]
}

// Outcomes lists them all.
func Outcomes() []Outcome { return []Outcome{Removed, Refused, Preserved, Reported, False} }

func (c Cell) valid() bool {
	return c.Verdict >= feed.Baseline && c.Verdict <= feed.Doubtful && c.Kind >= Exact && c.Kind <= Weak && c.Action >= Logged && c.Action <= Blocked
}

// Compare orders cells by verdict, kind and action.
func (c Cell) Compare(o Cell) int {
	return cmp.Or(cmp.Compare(c.Verdict, o.Verdict), cmp.Compare(c.Kind, o.Kind), cmp.Compare(c.Action, o.Action))
}

// NewCounts makes what may be shared of what was counted: what is below Fewest is left out.
func NewCounts(name feed.Name, week Week, matches map[Cell]uint64, outcomes map[Outcome]uint64) (Counts, error) {
	m := counting{Kind: countsKind, Feed: name, Week: week, Matches: []matchCount{}, Outcomes: []outcomeCount{}}
	for _, cell := range slices.SortedFunc(maps.Keys(matches), Cell.Compare) {
		if n := matches[cell]; n >= Fewest {
			m.Matches = append(m.Matches, matchCount{Verdict: cell.Verdict, Match: cell.Kind, Action: cell.Action, Count: min(n, maxCount)})
		}
	}
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		if n := outcomes[outcome]; n >= Fewest {
			m.Outcomes = append(m.Outcomes, outcomeCount{Outcome: outcome, Count: min(n, maxCount)})
		}
	}
	if err := m.check(); err != nil {
		return Counts{}, err
	}
	return Counts{m}, nil
}

// ParseCounts reads a message of counts, byte for byte as Bytes wrote it.
func ParseCounts(data []byte) (Counts, error) {
	m, err := parseCounting(data)
	if err != nil {
		return Counts{}, err
	}
	return Counts{*m}, nil
}

// Bytes is the message that is sent.
func (c Counts) Bytes() []byte {
	data, err := encode(&c.wire, maxReport)
	if err != nil {
		panic(err) // 32 small numbers and a name: it can't be too long
	}
	return data[4:]
}

// Feed is the feed whose matches were counted, Week when.
func (c Counts) Feed() feed.Name { return c.wire.Feed }
func (c Counts) Week() Week      { return c.wire.Week }

// Matches are how many uploads matched, and Outcomes what people did about such; what isn't there is below Fewest, or none.
func (c Counts) Matches() map[Cell]uint64 {
	all := make(map[Cell]uint64, len(c.wire.Matches))
	for _, m := range c.wire.Matches {
		all[m.cell()] = m.Count
	}
	return all
}

func (c Counts) Outcomes() map[Outcome]uint64 {
	all := make(map[Outcome]uint64, len(c.wire.Outcomes))
	for _, o := range c.wire.Outcomes {
		all[o.Outcome] = o.Count
	}
	return all
}

// counting is the message: {1: "counts", 2: feed, 3: week, 4: [[verdict, kind, action, count]…], 5: [[outcome, count]…]}, both lists ascending.
type counting struct {
	Kind     string         `cbor:"1,keyasint"`
	Feed     feed.Name      `cbor:"2,keyasint"`
	Week     Week           `cbor:"3,keyasint"`
	Matches  []matchCount   `cbor:"4,keyasint"`
	Outcomes []outcomeCount `cbor:"5,keyasint"`
}

type matchCount struct {
	_       struct{} `cbor:",toarray"`
	Verdict feed.Verdict
	Match   MatchKind
	Action  Action
	Count   uint64
}

func (m matchCount) cell() Cell { return Cell{m.Verdict, m.Match, m.Action} }

type outcomeCount struct {
	_       struct{} `cbor:",toarray"`
	Outcome Outcome
	Count   uint64
}

const countsKind = "counts"

// isCounting tells the two messages of report/1 apart: both begin with a map whose first key is 1, and the kind.
func isCounting(data []byte) bool {
	const at = 2 // after the map's head and the key
	return len(data) >= at+1+len(countsKind) && data[at] == 0x60|byte(len(countsKind)) && string(data[at+1:at+1+len(countsKind)]) == countsKind
}

func parseCounting(data []byte) (*counting, error) {
	m := new(counting)
	if err := decode(data, m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: report/1: counts: %w", errRule, err)
	}
	return m, nil
}

func (m *counting) check() error {
	if m.Kind != countsKind {
		return fmt.Errorf("kind %.20q", m.Kind)
	}
	if _, err := feed.ParseName(string(m.Feed)); err != nil {
		return err
	}
	if !m.Week.valid() {
		return fmt.Errorf("%d begins no week", m.Week)
	}
	for i, c := range m.Matches {
		if !c.cell().valid() || i > 0 && m.Matches[i-1].cell().Compare(c.cell()) >= 0 {
			return errors.New("a match that there isn't, or out of order")
		}
		if c.Count < Fewest || c.Count > maxCount {
			return fmt.Errorf("a count of matches below %d or above %d", Fewest, uint64(maxCount))
		}
	}
	for i, o := range m.Outcomes {
		if o.Outcome < Removed || o.Outcome > False || i > 0 && m.Outcomes[i-1].Outcome >= o.Outcome {
			return errors.New("an outcome that there isn't, or out of order")
		}
		if o.Count < Fewest || o.Count > maxCount {
			return fmt.Errorf("a count of outcomes below %d or above %d", Fewest, uint64(maxCount))
		}
	}
	return nil
}
