package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
	"hashfeed/node/journal"
)

func journalStatsCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "stats", Usage: "count what was decided and allowed, and what people found false",
		Description: "Counts outlive the decisions that they count. The error rate is how many of the decisions that people acted on they found false\n" +
			"(journal act --false). Test records are counted by themselves.\n" +
			"--shared FEED prints what its publisher was told of that, or would be if share_counts were set in its [[follow]].",
		Flags: []cli.Flag{
			sinceFlag(), untilFlag(),
			&cli.StringFlag{Name: "by", Usage: "a line for each `day` or hour, too"},
			&cli.BoolFlag{Name: "dsa", Usage: "print the figures for a DSA transparency report, as CSV: a row a category"},
			&cli.StringFlag{Name: "shared", Usage: "print what is, or would be, shared with the publisher of `FEED`, and nothing else"},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			if c.IsSet("shared") {
				return e.sharedStats(c)
			}
			by := c.String("by")
			if by != "" && by != "day" && by != "hour" {
				return usagef("journal stats: --by %.20q: want day or hour", by)
			}
			if c.Bool("dsa") && (by != "" || c.Bool("json")) {
				return usagef("journal stats: --dsa stands without --by and --json")
			}
			since, until, err := times(c)
			if err != nil {
				return err
			}
			return e.withDoor(c, func(door api.Verbs) error {
				if c.Bool("dsa") {
					return exportDSA(c.Context, door, since, until, e.stdout)
				}
				s, err := door.JournalStats(c.Context, since, until)
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.printJSON(s)
				}
				return e.printStats(s, by)
			})
		},
	}
}

func (e *env) printStats(s api.JournalStats, by string) error {
	say := func(format string, args ...any) { fmt.Fprintf(e.stdout, format+"\n", args...) }
	say("allowed %d", s.Allow)
	for _, harm := range slices.Sorted(maps.Keys(s.Harms)) {
		h := s.Harms[harm]
		rate := "error rate unknown: nobody acted on any"
		if h.ErrorRate != nil {
			rate = fmt.Sprintf("%d of %d acted on were false: error rate %.2f %%", h.False, h.Right+h.False, 100**h.ErrorRate)
		}
		say("%s: block %d, review %d, log %d; removed %d, refused %d, preserved %d, reported %d; %s", harm, h.Block, h.Review, h.Log,
			h.Removed, h.Refused, h.Preserved, h.Reported, rate)
	}
	if s.Test > 0 {
		say("test %d", s.Test)
	}
	if s.Missed > 0 {
		say("missed %d since the start", s.Missed)
	}
	rows, layout := []journal.Counts{}, ""
	switch by {
	case "day":
		rows, layout = s.Days, time.DateOnly
	case "hour":
		rows, layout = s.Hours, time.RFC3339
	}
	for _, row := range rows {
		sum := journal.Tally{}
		for _, t := range row.Harms {
			sum.Log, sum.Review, sum.Block = sum.Log+t.Log, sum.Review+t.Review, sum.Block+t.Block
		}
		say("%s allow %d log %d review %d block %d", row.Hour.UTC().Format(layout), row.Allow, sum.Log, sum.Review, sum.Block)
	}
	return nil
}
