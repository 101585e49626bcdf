package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
	"hashfeed/node/journal"
)

func journalQueueCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "queue", Usage: "print the reviews that nobody has acted on, the oldest first",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", Usage: "at most `N`", Value: 100},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			limit := c.Int("limit")
			if limit < 1 || limit > journal.MaxPage {
				return usagef("journal queue: --limit %d: want 1 to %d", limit, journal.MaxPage)
			}
			return e.withDoor(c, func(door api.Verbs) error {
				page, err := door.Journal(c.Context, api.JournalQuery{Open: true, Limit: limit})
				if err != nil {
					return err
				}
				return e.printPage(c, page, "act on these first")
			})
		},
	}
}

func journalActCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "act", Usage: "record what people did about a decision", ArgsUsage: "ID",
		Description: "Each may be said with others, but --false. It changes nothing else: a record that is wrong is disputed with hashfeed dispute REF.\n" +
			"A block says \"don't accept this upload\", and nothing about who uploaded it.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "removed", Usage: "the file was removed"},
			&cli.BoolFlag{Name: "refused", Usage: "the upload was not taken"},
			&cli.BoolFlag{Name: "preserved", Usage: "a copy is preserved for the authorities"},
			&cli.StringFlag{Name: "reported", Usage: "it was reported, under number `REF`"},
			&cli.BoolFlag{Name: "false", Usage: "the file isn't what the record says"},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			var act api.JournalAct
			for _, done := range journal.Acts() {
				if done != journal.Reported && c.Bool(done) {
					act.Done = append(act.Done, done)
				}
			}
			if act.Report = c.String("reported"); act.Report != "" {
				act.Done = append(act.Done, journal.Reported)
			}
			switch {
			case len(act.Done) == 0:
				return usagef("journal act: say what was done: --removed, --refused, --preserved, --reported REF or --false")
			case c.Bool("false") && len(act.Done) > 1:
				return usagef("journal act: --false stands alone")
			}
			return e.withDoor(c, func(door api.Verbs) error {
				d, err := door.Act(c.Context, c.Args().First(), act)
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.printJSON(d)
				}
				fmt.Fprintf(e.stdout, "%s: %s\n", d.Decision, strings.Join(act.Done, ", "))
				if c.Bool("false") && len(d.Matches) > 0 {
					fmt.Fprintf(e.stderr, "hint: hashfeed dispute %s --reason false-positive holds the record here, and tells its publisher\n", d.Matches[0].Ref)
				}
				return nil
			})
		},
	}
}
