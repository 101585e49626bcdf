package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/journal"
)

func journalCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "journal", Usage: "what this node has decided, what people did about it, and which lists were taken",
		Description: "Every decision but allow has a line in DIR/journal, in a chain that shows what was changed, and so has every import. It holds no hash that\n" +
			"can be compared with a list, no file name and no user but the reference that the caller passed (POST /v1/scan?ref=).",
		Subcommands: []*cli.Command{
			journalListCommand(e), journalShowCommand(e), journalAffectedCommand(e), journalVerifyCommand(e), journalStatsCommand(e),
			journalQueueCommand(e), journalActCommand(e),
		},
	}
}

func journalListCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "print decisions and imports, the newest first",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "kind", Usage: "only one `KIND`: decision or import"},
			&cli.StringFlag{Name: "verdict", Usage: "only `VERDICT`: block, review or log"},
			&cli.StringFlag{Name: "ref", Usage: "only those of the caller's reference `REF`"},
			&cli.StringFlag{Name: "hash", Usage: "only those of a file with the hash `ALG:HEX`"},
			sinceFlag(), untilFlag(),
			&cli.Uint64Flag{Name: "before", Usage: "only lines below number `SEQ`: the next page"},
			&cli.IntFlag{Name: "limit", Usage: "at most `N`", Value: 100},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			q := api.JournalQuery{Kind: c.String("kind"), Verdict: c.String("verdict"), Ref: c.String("ref"), Hash: c.String("hash"), Before: c.Uint64("before"), Limit: c.Int("limit")}
			switch {
			case q.Kind != "" && q.Kind != api.JournalDecisions && q.Kind != api.JournalImports:
				return usagef("journal list: --kind %.20q: want %s or %s", q.Kind, api.JournalDecisions, api.JournalImports)
			case q.Kind == api.JournalImports && (q.Verdict != "" || q.Ref != "" || q.Hash != ""):
				return usagef("journal list: an import has no --verdict, --ref or --hash")
			}
			if q.Verdict != "" {
				if _, err := journal.ParseOutcome(q.Verdict); err != nil {
					return usagef("journal list: --%v", err)
				}
			}
			if q.Limit < 1 || q.Limit > journal.MaxPage {
				return usagef("journal list: --limit %d: want 1 to %d", q.Limit, journal.MaxPage)
			}
			var err error
			if q.Since, q.Until, err = times(c); err != nil {
				return err
			}
			return e.withDoor(c, func(door api.Verbs) error {
				page, err := door.Journal(c.Context, q)
				if err != nil {
					return err
				}
				return e.printPage(c, page, "--before %d prints the next ones")
			})
		},
	}
}

// printPage prints decisions and imports, a line each, in the order of their lines in the journal.
func (e *env) printPage(c *cli.Context, page api.JournalPage, more string) error {
	imports := page.Imports
	printImports := func(above uint64) error { // those that are newer than a line
		for ; len(imports) > 0 && imports[0].Seq > above; imports = imports[1:] {
			if err := e.printLine(c, imports[0], importText(imports[0])); err != nil {
				return err
			}
		}
		return nil
	}
	for _, entry := range page.Entries {
		if err := printImports(entry.Seq); err != nil {
			return err
		}
		if err := e.printLine(c, entry, entryText(entry)); err != nil {
			return err
		}
	}
	if err := printImports(0); err != nil {
		return err
	}
	if page.More {
		if strings.Contains(more, "%d") {
			more = fmt.Sprintf(more, page.Next)
		}
		fmt.Fprintf(e.stderr, "there are more: %s\n", more)
	}
	return nil
}

// printLine prints something as JSON or as text.
func (e *env) printLine(c *cli.Context, v any, text string) error {
	if c.Bool("json") {
		return e.printJSON(v)
	}
	_, err := fmt.Fprintln(e.stdout, text)
	return err
}

// entryText is a decision in a line.
func entryText(d api.JournalEntry) string {
	text := fmt.Sprintf("%s %s %s", d.Decision, d.Time.Format(time.RFC3339), d.Verdict)
	if d.Test {
		text += " (test)"
	}
	if len(d.Matches) > 0 {
		m := d.Matches[0]
		text += fmt.Sprintf(" %s %s distance %d %s", m.Ref, m.Alg, m.Distance, m.State)
		if n := len(d.Matches) - 1; n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
	}
	if d.Ref != "" {
		text += fmt.Sprintf(" ref %q", d.Ref)
	}
	for _, a := range d.Acts {
		text += " " + strings.Join(a.Done, ",")
	}
	return text
}

func sinceFlag() cli.Flag {
	return &cli.StringFlag{Name: "since", Usage: "from `TIME` on: 2026-11-01, 2026-11-01T08:00:00Z, or so long ago: 7d, 12h"}
}

func untilFlag() cli.Flag {
	return &cli.StringFlag{Name: "until", Usage: "before `TIME`"}
}

// times reads --since and --until.
func times(c *cli.Context) (since, until time.Time, err error) {
	now := time.Now()
	if since, err = readTime(c.String("since"), now); err != nil {
		return since, until, usagef("%s: --since: %v", c.Command.HelpName, err)
	}
	if until, err = readTime(c.String("until"), now); err != nil {
		return since, until, usagef("%s: --until: %v", c.Command.HelpName, err)
	}
	return since, until, nil
}

// readTime reads a time, a date, or how long ago; "" is the zero time.
func readTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	n, unit := 0, ""
	if k, err := fmt.Sscanf(text, "%d%s", &n, &unit); err == nil && k == 2 && n > 0 && n < 100_000 {
		switch unit {
		case "h":
			return now.Add(-time.Duration(n) * time.Hour), nil
		case "d":
			return now.AddDate(0, 0, -n), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q: want a date, a time such as 2026-11-01T08:00:00Z, or 7d or 12h", text)
}

func journalAffectedCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "affected", Usage: "print the decisions that a record had a part in", ArgsUsage: "REF",
		Description: "What to look at again when a record was retracted or disputed: each upload by the caller's own reference. With old_uploads in [journal]\n" +
			"also the uploads that were allowed before the record was listed.",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			ref, err := feed.ParseRef(c.Args().First())
			if err != nil {
				return fmt.Errorf("journal affected: %w", err)
			}
			return e.withDoor(c, func(door api.Verbs) error {
				a, err := door.Affected(c.Context, ref)
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.printJSON(a)
				}
				for _, entry := range a.Entries {
					fmt.Fprintln(e.stdout, entryText(entry))
				}
				for _, u := range a.Uploads {
					fmt.Fprintf(e.stdout, "%s %s allowed ref %q\n", u.Upload, u.Time.Format(time.RFC3339), u.Ref)
				}
				if a.More {
					fmt.Fprintf(e.stderr, "there are more: these are the newest %d\n", len(a.Entries)+len(a.Uploads))
				}
				_, err = fmt.Fprintf(e.stderr, "%s: %d decisions, %d allowed uploads\n", ref, len(a.Entries), len(a.Uploads))
				return err
			})
		},
	}
}
