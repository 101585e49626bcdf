package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/journal"
)

func proofCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "proof", Usage: "check proof files",
		Subcommands: []*cli.Command{{
			Name: "verify", Usage: "check that a record was listed, with nothing but the proof and the feed's anchor", ArgsUsage: "FILE",
			Description: "Needs no node and no network. Exit code 3: the proof is not true. FILE may also be a decision receipt (journal show ID --bundle):\n" +
				"then --journal is the vkey of the node's journal, which hashfeed id prints there, and --anchor the anchors of all feeds in it.",
			Flags:  []cli.Flag{anchorFlag(), &cli.StringFlag{Name: "journal", Usage: "of a decision receipt: the journal's `VKEY`"}, jsonFlag()},
			Action: func(c *cli.Context) error { return proofVerify(e, c) },
		}},
	}
}

func anchorFlag() cli.Flag {
	return &cli.StringFlag{Name: "anchor", Usage: "the feed's anchor: SHA-256 of its charter in `HEX`, as the invite carries it"}
}

func readAnchor(c *cli.Context) (feed.Anchor, error) {
	text := c.String("anchor")
	if text == "" {
		return feed.Anchor{}, usagef("%s: --anchor is missing", c.Command.HelpName)
	}
	anchor, err := feed.ParseAnchor(text)
	if err != nil {
		return anchor, usagef("%s: --anchor: %v", c.Command.HelpName, err)
	}
	return anchor, nil
}

// proofLine is what proof verify --json prints.
type proofLine struct {
	Valid    bool     `json:"valid"`
	Problem  string   `json:"problem"`
	Ref      string   `json:"ref,omitempty"`
	Op       string   `json:"op,omitempty"`
	Of       []string `json:"of,omitempty"` // the records that it revises, retracts or speaks of
	Reason   string   `json:"reason,omitempty"`
	At       string   `json:"at,omitempty"` // it was in the log by then
	Size     uint64   `json:"size,omitempty"`
	Cosigned []string `json:"cosigned,omitempty"` // the named witnesses that vouch for the log, with the time of each
	Hashes   []string `json:"hashes,omitempty"`
	Verdict  string   `json:"verdict,omitempty"`
	Note     string   `json:"note,omitempty"` // what the proof cannot show
}

func proofVerify(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	var anchor feed.Anchor
	if c.String("journal") == "" {
		var err error
		if anchor, err = readAnchor(c); err != nil {
			return err
		}
	}
	path := c.Args().First()
	data, err := readCapped(path, feed.MaxProof)
	if err != nil {
		return err
	}
	if journal.IsReceipt(data) {
		return receiptVerify(e, c, path, data)
	}
	if c.String("journal") != "" {
		return fmt.Errorf("proof verify: %s is no decision receipt: --journal is for these", path)
	}
	p, err := feed.OpenProof(data, anchor)
	if err != nil {
		if c.Bool("json") {
			if err := e.printJSON(proofLine{Problem: err.Error()}); err != nil {
				return err
			}
		}
		return untrueError{fmt.Errorf("proof %s: %w", path, err)}
	}
	line := lineOf(p)
	if c.Bool("json") {
		return e.printJSON(line)
	}
	fmt.Fprintf(e.stdout, "true: %s is a record of kind %s, in the log by %s (size %d)\n", line.Ref, line.Op, line.At, line.Size)
	if len(line.Of) > 0 {
		fmt.Fprintf(e.stdout, "of %s\n", strings.Join(line.Of, " "))
	}
	for _, c := range line.Cosigned {
		fmt.Fprintf(e.stdout, "cosigned by %s\n", c)
	}
	if line.Reason != "" {
		fmt.Fprintf(e.stdout, "reason %s\n", line.Reason)
	}
	if p.Body != nil {
		fmt.Fprintf(e.stdout, "verdict %s; this proof discloses %d hashes: hand it on with care\n", line.Verdict, len(line.Hashes))
	}
	_, err = fmt.Fprintln(e.stdout, line.Note)
	return err
}

// lineOf is what a proof says.
func lineOf(p feed.Proof) proofLine {
	line := proofLine{Valid: true, Ref: feed.Ref{Origin: p.Checkpoint.Origin, Index: p.Index}.String(), Op: p.Head.Op.String(),
		At: time.Unix(p.Checkpoint.Stamp, 0).UTC().Format(time.RFC3339), Size: p.Checkpoint.Size,
		Note: "not shown, since it takes the whole feed: that no later record changed it, and that it is not void by id, chain or many or refused by lowers"}
	line.Of = spokenOf(p.Checkpoint.Origin.Name(), p.Head)
	for _, c := range p.Checkpoint.Cosigned {
		line.Cosigned = append(line.Cosigned, c.Key.Name+" "+time.Unix(c.Time, 0).UTC().Format(time.RFC3339))
	}
	if p.Head.Reason != 0 {
		line.Reason = p.Head.Reason.String()
	}
	if p.Body != nil {
		line.Verdict = p.Body.Facts.Verdict.String()
		for _, h := range p.Body.Hashes {
			line.Hashes = append(line.Hashes, h.Text())
		}
	}
	return line
}

// spokenOf are the records of which a head says something.
func spokenOf(name feed.Name, h feed.Head) []string {
	var refs []string
	switch h.Op {
	case feed.OpRevise:
		refs = append(refs, name.Ref(h.Target).String())
	case feed.OpRetract:
		for _, t := range h.Targets {
			refs = append(refs, name.Ref(t).String())
		}
	case feed.OpEndorse, feed.OpDispute, feed.OpResolve:
		refs = append(refs, feed.Ref{Origin: h.Subject.Origin, Index: h.Subject.Index}.String())
	}
	return refs
}

// readCapped reads a file that should be small.
func readCapped(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, most)
	}
	return data, nil
}
