package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/node"
	"hashfeed/node/journal"
)

// verifiedJournal is what journal verify --json prints.
type verifiedJournal struct {
	Valid bool `json:"valid"`
	journal.Report
}

func journalVerifyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check that no line of the journal was changed, dropped, moved or cut off",
		Description: "Reads DIR/journal itself: it needs no daemon, and disturbs none. With the node's key, which may want --passphrase-file, it also tells a\n" +
			"journal that was written anew. Exit code 3: it isn't as it was written; the lines are named.",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			dir, err := e.dir()
			if err != nil {
				return err
			}
			passphrase, err := e.passphrase(c)
			if err != nil {
				return err
			}
			report, err := node.VerifyJournal(c.Context, dir, passphrase)
			if err != nil {
				return fmt.Errorf("journal verify: %w", err)
			}
			valid := len(report.Problems) == 0
			if c.Bool("json") {
				if err := e.printJSON(verifiedJournal{valid, report}); err != nil {
					return err
				}
			} else {
				for _, p := range report.Problems {
					fmt.Fprintf(e.stdout, "%s %s: %s\n", p.What, p.File, p.Text)
				}
				if report.Note != "" {
					fmt.Fprintf(e.stderr, "note: %s\n", report.Note)
				}
			}
			if !valid {
				return untrueError{errors.New("journal verify: the journal isn't as it was written")}
			}
			if !c.Bool("json") {
				fmt.Fprintf(e.stdout, "true: %d lines in %d files, %d of them purged; the last has the hash %s\n", report.Lines, report.Files, report.Purged, report.Last)
			}
			return nil
		},
	}
}
