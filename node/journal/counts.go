package journal

import (
	"maps"
	"slices"
	"time"

	"hashfeed/node/policy"
)

// Counts are what was asked in an hour, and what came of it. Test records are counted by themselves and nowhere else.
type Counts struct {
	Hour  time.Time        `json:"hour"`            // its beginning, UTC
	Allow uint64           `json:"allow"`           // uploads that matched nothing
	Test  uint64           `json:"test,omitempty"`  // that matched test records only
	Harms map[string]Tally `json:"harms,omitempty"` // of the others
}

// Tally is what came of matches of one harm: of decisions, and what people did about them since.
type Tally struct {
	Log       uint64 `json:"log,omitempty"`
	Review    uint64 `json:"review,omitempty"`
	Block     uint64 `json:"block,omitempty"`
	Removed   uint64 `json:"removed,omitempty"`
	Refused   uint64 `json:"refused,omitempty"`
	Preserved uint64 `json:"preserved,omitempty"`
	Reported  uint64 `json:"reported,omitempty"`
	Right     uint64 `json:"right,omitempty"` // decisions that people acted on and didn't find false at first
	False     uint64 `json:"false,omitempty"` // decisions that they found false
}

// Decisions is how many there were.
func (t Tally) Decisions() uint64 { return t.Log + t.Review + t.Block }

func (t *Tally) add(o Tally) {
	t.Log, t.Review, t.Block = t.Log+o.Log, t.Review+o.Review, t.Block+o.Block
	t.Removed, t.Refused, t.Preserved = t.Removed+o.Removed, t.Refused+o.Refused, t.Preserved+o.Preserved
	t.Reported, t.Right, t.False = t.Reported+o.Reported, t.Right+o.Right, t.False+o.False
}

// Add adds o to c.
func (c *Counts) Add(o Counts) {
	c.Allow, c.Test = c.Allow+o.Allow, c.Test+o.Test
	for harm, t := range o.Harms {
		c.change(harm, func(sum *Tally) { sum.add(t) })
	}
}

func (c *Counts) change(harm string, do func(*Tally)) {
	if c.Harms == nil {
		c.Harms = map[string]Tally{}
	}
	t := c.Harms[harm]
	do(&t)
	c.Harms[harm] = t
}

func (c *Counts) clone() Counts {
	copied := *c
	copied.Harms = maps.Clone(c.Harms)
	return copied
}

func (c *Counts) empty() bool { return c.Allow == 0 && c.Test == 0 && len(c.Harms) == 0 }

// decision counts one.
func (c *Counts) decision(d *Decision) {
	if d.Test {
		c.Test++
		return
	}
	c.change(d.Harm, func(t *Tally) {
		switch d.Verdict {
		case policy.OutcomeLog:
			t.Log++
		case policy.OutcomeReview:
			t.Review++
		case policy.OutcomeBlock:
			t.Block++
		}
	})
}

// act counts one.
func (c *Counts) act(a *Act) {
	if a.Test {
		return
	}
	c.change(a.Harm, func(t *Tally) {
		for _, done := range a.Done {
			switch done {
			case Removed:
				t.Removed++
			case Refused:
				t.Refused++
			case Preserved:
				t.Preserved++
			case Reported:
				t.Reported++
			}
		}
		switch a.Tells {
		case Right:
			t.Right++
		case False:
			t.False++
		}
	})
}

// line counts what a line tells.
func (c *Counts) line(l *Line) {
	switch l.Kind {
	case KindDecision:
		c.decision(l.Decision)
	case KindAct:
		c.act(l.Act)
	}
}

// Days sums hours by UTC day, in order.
func Days(hours []Counts) []Counts {
	var days []Counts
	for _, h := range hours {
		day := h.Hour.UTC().Truncate(24 * time.Hour)
		i := slices.IndexFunc(days, func(d Counts) bool { return d.Hour.Equal(day) })
		if i < 0 {
			days, i = append(days, Counts{Hour: day}), len(days)
		}
		days[i].Add(h)
	}
	return days
}

func hourOf(unix int64) int64 { return unix - unix%3600 }
