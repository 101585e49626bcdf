package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
	"hashfeed/node/journal"
)

func journalShowCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "print one decision: what matched, by which rule, and what people did; or one import", ArgsUsage: "ID",
		Description: "Of an import: whose list it was, by which permission it was passed on, the digest of the file, and what came of it.\n" +
			"With --bundle a decision receipt on standard output, or in --out FILE: who has it checks it offline, with the journal's key and the\n" +
			"feeds' anchors (proof verify FILE --journal VKEY --anchor HEX,…). It discloses the hashes of the records that matched.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "bundle", Usage: "write the decision receipt"},
			&cli.StringFlag{Name: "out", Usage: "write it to `FILE`, which must not exist"},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			if c.String("out") != "" && !c.Bool("bundle") {
				return usagef("journal show: --out is for --bundle")
			}
			id := c.Args().First()
			return e.withDoor(c, func(door api.Verbs) error {
				if c.Bool("bundle") {
					receipt, err := door.DecisionReceipt(c.Context, id)
					if err != nil {
						return err
					}
					fmt.Fprintln(e.stderr, "hint: this receipt discloses the hashes of the records that matched: hand it on with care")
					if path := c.String("out"); path != "" {
						return writeNewFile(path, receipt)
					}
					_, err = e.stdout.Write(receipt)
					return err
				}
				page, err := door.Journal(c.Context, api.JournalQuery{ID: id})
				switch {
				case err != nil:
					return err
				case c.Bool("json"):
					return e.printPage(c, page, "")
				case len(page.Imports) > 0:
					return e.printImport(page.Imports[0])
				case len(page.Entries) > 0:
					return e.printDecision(page.Entries[0])
				}
				return fmt.Errorf("%s: the daemon doesn't tell of it", id)
			})
		},
	}
}

// writeNewFile writes a file that wasn't there, readable by this user alone.
func writeNewFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write %s: it is there already", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (e *env) printDecision(d api.JournalEntry) error {
	say := func(format string, args ...any) { fmt.Fprintf(e.stdout, format+"\n", args...) }
	say("decision %s, line %d, %s", d.Decision, d.Seq, d.Time.Format(time.RFC3339))
	say("verdict %s%s", d.Verdict, map[bool]string{true: " (test records only)"}[d.Test])
	if d.Ref != "" {
		say("ref %q", d.Ref)
	}
	if d.Note != "" {
		say("note: %s", d.Note)
	}
	say("checked %s; unchecked %s", orNone(d.Checked), orNone(d.Unchecked))
	for _, m := range d.Matches {
		say("match %s by %s at distance %d (%s): %s %s, %s, listed %s, action %s", m.Ref, m.Alg, m.Distance, m.Strength, m.Verdict, m.Harm, m.State,
			m.Listed.Format(time.RFC3339), m.Action)
		text := fmt.Sprintf("  %d publishers; the feed's newest stamp was %s old (%s)", m.Publishers, time.Duration(m.AgeS)*time.Second, m.Age)
		if len(m.Holds) > 0 {
			text += "; against it: " + strings.Join(m.Holds, ", ")
		}
		say("%s", text)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Rules)) {
		say("%s", ruleText(name, d.Rules[name]))
	}
	for _, h := range d.Heads {
		say("head %s size %d, %s old, %s", h.Origin, h.Size, time.Duration(h.AgeS)*time.Second, h.State)
	}
	for _, a := range d.Acts {
		text := fmt.Sprintf("act %s %s", a.Time.Format(time.RFC3339), strings.Join(a.Done, ", "))
		if a.Report != "" {
			text += fmt.Sprintf(" (report %s)", a.Report)
		}
		say("%s", text)
	}
	return nil
}

// ruleText is the rule of a feed in a line.
func ruleText(name string, r *journal.Rule) string {
	trusted := "verdicts " + orNone(r.Verdicts)
	if r.Own {
		trusted = "own feed, all verdicts"
	}
	return fmt.Sprintf("rule %s: %s; action %s, near %s, weak %s; max_distance %d", name, trusted, r.Action, r.ActionNear, r.ActionWeak, r.MaxDistance)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ",")
}
