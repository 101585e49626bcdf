package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

// sharedStats is journal stats --shared.
func (e *env) sharedStats(c *cli.Context) error {
	for _, other := range []string{"since", "until", "by", "dsa"} {
		if c.IsSet(other) {
			return usagef("journal stats: --shared stands without --%s: what is shared goes by the week", other)
		}
	}
	if c.String("shared") == "" {
		return usagef("journal stats: --shared: name a feed that is followed")
	}
	return e.withDoor(c, func(door api.Verbs) error {
		s, err := door.SharedCounts(c.Context, c.String("shared"))
		if err != nil {
			return err
		}
		if c.Bool("json") {
			return e.printJSON(s)
		}
		e.printShared(s)
		return nil
	})
}

func (e *env) printShared(s api.SharedCounts) {
	say := func(format string, args ...any) { fmt.Fprintf(e.stdout, format+"\n", args...) }
	if s.First == nil {
		say("%s: nothing is shared with its publisher; share_counts = true in its [[follow]] shares what follows", s.Feed)
	} else {
		say("%s: shared with its publisher from the week of %s on", s.Feed, s.First.UTC().Format(time.DateOnly))
	}
	if s.Note != "" {
		say("the last attempt: %s", s.Note)
	}
	said := map[string]string{api.ShareRunning: "so far; what would be shared of it", api.SharePreview: "not shared; what would be", api.ShareWaiting: "waits for its publisher to take it",
		api.ShareMissed: "its publisher didn't take it in time"}
	for _, w := range s.Weeks {
		state := said[w.State]
		if w.State == api.ShareSent {
			state = "sent " + w.Sent
		}
		say("%s, %s", weekText(w.WeekCounts), state)
		e.printCounts(w.WeekCounts, s.Fewest)
		if w.Hidden > 0 {
			say("  left out: %d numbers below %d", w.Hidden, s.Fewest)
		}
	}
}

func weekText(w api.WeekCounts) string {
	return fmt.Sprintf("%s (%s to %s)", w.Week, w.Since.UTC().Format(time.DateOnly), w.Until.UTC().AddDate(0, 0, -1).Format(time.DateOnly))
}

// printCounts prints a line a number; there may be none.
func (e *env) printCounts(w api.WeekCounts, fewest uint64) {
	of := func(members int) string {
		if members == 0 {
			return ""
		}
		return fmt.Sprintf(" (%d of %d members)", members, w.Members)
	}
	for _, m := range w.Matches {
		fmt.Fprintf(e.stdout, "  %s %s, %s: %d uploads%s\n", m.Kind, m.Verdict, m.Action, m.Count, of(m.Members))
	}
	for _, o := range w.Outcomes {
		fmt.Fprintf(e.stdout, "  %s: %d%s\n", o.Outcome, o.Count, of(o.Members))
	}
	if len(w.Matches)+len(w.Outcomes) == 0 {
		fmt.Fprintf(e.stdout, "  every number is below %d, or 0\n", fewest)
	}
}
