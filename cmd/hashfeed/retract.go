package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func retractCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "retract", Usage: "take an item off the list, everywhere; or all items of a batch, of a source, since a time",
		ArgsUsage: "REF | --batch ID | --source S | --since T",
		Description: "REF is ORIGIN#INDEX of any record of the item. A retraction is sticky: only revise --reinstate undoes it. Of --batch, --source and\n" +
			"--since several may be given; what fits all of them is retracted.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reason", Usage: "`R` is false-positive, legal-order, duplicate, publisher-error, reclassified or withdrawn-by-subject"},
			&cli.StringFlag{Name: "batch", Usage: "all items that a batch listed: `ID` is the batch's, or the reference of any record in it"},
			&cli.StringFlag{Name: "source", Usage: "all items of a source: `S` is SCHEME:CODE, or SCHEME"},
			&cli.StringFlag{Name: "since", Usage: "all items listed since `T`: 2026-11-23T08:00:00Z, 2026-11-23 (UTC), or 48h ago"},
			&cli.StringFlag{Name: "feed", Usage: "of this own `FEED`, not the first (with --batch, --source, --since)"},
			&cli.BoolFlag{Name: "dry-run", Usage: "tell which, and retract nothing (with --batch, --source, --since)"},
			aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			reason, err := reasonFlag(c)
			if err != nil {
				return err
			}
			if !reason.Fits(feed.OpRetract) {
				return usagef("retract: --reason %q is a dispute's or a resolution's", reason)
			}
			if c.String("batch") != "" || c.String("source") != "" || c.String("since") != "" {
				return retractMany(e, c, reason)
			}
			if c.Bool("dry-run") || c.String("feed") != "" {
				return usagef("retract: --dry-run and --feed go with --batch, --source or --since")
			}
			return statement(e, c, func(ctx context.Context, door api.Verbs, ref feed.Ref) (api.Published, error) {
				return door.Retract(ctx, ref, reason)
			})
		},
	}
}

// retractMany retracts what the flags name.
func retractMany(e *env, c *cli.Context, reason feed.Reason) error {
	if c.NArg() > 0 {
		return usagef("retract: a REF, or --batch, --source, --since")
	}
	r := api.RetractMany{Feed: c.String("feed"), Batch: c.String("batch"), Source: c.String("source"), Reason: reason.String(), DryRun: c.Bool("dry-run")}
	if text := c.String("since"); text != "" {
		since, err := parseSince(text, time.Now())
		if err != nil {
			return err
		}
		r.Since = since.UTC().Format(time.RFC3339)
	}
	return e.withDoor(c, func(door api.Verbs) error {
		done, err := door.RetractMany(c.Context, r)
		if err != nil {
			return usageIfIncomplete(err)
		}
		e.sayAwaits(done.Batch)
		if c.Bool("json") {
			return e.printJSON(done)
		}
		what := "retracted"
		switch {
		case done.DryRun:
			what = "would be retracted"
		case done.Batch != "":
			what = fmt.Sprintf("to be retracted, %d of them held until %s meanwhile", done.Held, done.Until)
		}
		for _, ref := range done.Refs {
			fmt.Fprintln(e.stdout, ref)
		}
		if more := done.Items - len(done.Refs); more > 0 {
			fmt.Fprintf(e.stdout, "and %d more\n", more)
		}
		fmt.Fprintf(e.stdout, "%d items of %s %s\n", done.Items, done.Feed, what)
		return nil
	})
}

// parseSince reads a time, a day, or how long ago.
func parseSince(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("retract: --since %q: want 2026-11-23T08:00:00Z, 2026-11-23 or 48h", text)
}
