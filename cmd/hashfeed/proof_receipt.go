package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/journal"
)

// receiptChecked is what proof verify --json prints of a decision receipt.
type receiptChecked struct {
	Valid    bool              `json:"valid"`
	Problem  string            `json:"problem"`
	Decision string            `json:"decision,omitempty"`
	Journal  string            `json:"journal,omitempty"` // whose
	Time     string            `json:"time,omitempty"`
	Verdict  string            `json:"verdict,omitempty"`
	Proved   []proofLine       `json:"proved,omitempty"`
	Unproved []string          `json:"unproved,omitempty"` // matches of which the receipt has no proof
	Line     *journal.Decision `json:"line,omitempty"`
}

// receiptVerify checks a decision receipt.
func receiptVerify(e *env, c *cli.Context, path string, data []byte) error {
	if c.String("journal") == "" {
		return usagef("%s: %s is a decision receipt: --journal VKEY is missing (hashfeed id prints it on the node that decided)", c.Command.HelpName, path)
	}
	key, err := crypto.ParsePublicKey(c.String("journal"))
	if err != nil {
		return usagef("%s: --journal: %v", c.Command.HelpName, err)
	}
	var anchors []feed.Anchor
	for _, text := range listFlag(c, "anchor") {
		a, err := feed.ParseAnchor(text)
		if err != nil {
			return usagef("%s: --anchor: %v", c.Command.HelpName, err)
		}
		anchors = append(anchors, a)
	}
	r, err := journal.OpenReceipt(data, key, anchors)
	if err != nil {
		if c.Bool("json") {
			if err := e.printJSON(receiptChecked{Problem: err.Error()}); err != nil {
				return err
			}
		}
		return untrueError{fmt.Errorf("receipt %s: %w", path, err)}
	}
	d := r.Line.Decision
	out := receiptChecked{Valid: true, Decision: r.Line.ID, Journal: key.Name, Time: r.Line.Time.Format(time.RFC3339), Verdict: string(d.Verdict),
		Unproved: r.Unproved, Line: d}
	for _, p := range r.Proofs {
		out.Proved = append(out.Proved, lineOf(p))
	}
	if c.Bool("json") {
		return e.printJSON(out)
	}
	say := func(format string, args ...any) { fmt.Fprintf(e.stdout, format+"\n", args...) }
	say("true: %s decided %s at %s (decision %s)", out.Journal, out.Verdict, out.Time, out.Decision)
	for _, m := range d.Matches {
		say("match %s by %s at distance %d, %s %s, %s: action %s", m.Ref, m.Alg, m.Distance, m.Verdict, m.Harm, m.State, m.Action)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Rules)) {
		say("%s", ruleText(name, d.Rules[name]))
	}
	for _, p := range out.Proved {
		say("%s is in its log, listed by %s (size %d), cosigned by %s", p.Ref, p.At, p.Size, orNone(p.Cosigned))
	}
	if len(r.Unproved) > 0 {
		say("not proved: %s", strings.Join(r.Unproved, " "))
	}
	_, err = fmt.Fprintln(e.stdout, "not shown: that the file is the one that was asked about; compare its hashes with those of the records in the proofs (--json)")
	return err
}
