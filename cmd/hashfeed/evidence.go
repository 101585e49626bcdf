package main

import (
	"encoding/hex"
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
)

func evidenceCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "evidence", Usage: "check what shows that a feed has said two things",
		Subcommands: []*cli.Command{{
			Name: "verify", Usage: "check a file of evidence, with nothing but the feed's anchor", ArgsUsage: "FILE",
			Description: "Needs no node and no network. A node that finds a feed to have said two things that can't both be true keeps\n" +
				"the evidence under DIR/evidence and names the file (status, feed show). Exit code 3: it shows nothing.",
			Flags:  []cli.Flag{anchorFlag(), jsonFlag()},
			Action: func(c *cli.Context) error { return evidenceVerify(e, c) },
		}},
	}
}

// evidenceLine is what evidence verify --json prints.
type evidenceLine struct {
	Valid   bool           `json:"valid"`
	Problem string         `json:"problem"`
	Kind    string         `json:"kind,omitempty"` // head, charter
	Feed    string         `json:"feed,omitempty"`
	Origin  string         `json:"origin,omitempty"`  // of heads
	Version int            `json:"version,omitempty"` // of charters
	A       *evidenceClaim `json:"a,omitempty"`
	B       *evidenceClaim `json:"b,omitempty"`
	Says    []string       `json:"says,omitempty"`
}

type evidenceClaim struct {
	Size uint64 `json:"size,omitempty"`
	Root string `json:"root,omitempty"` // hex
	Text string `json:"text"`           // what was signed
}

func evidenceVerify(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	anchor, err := readAnchor(c)
	if err != nil {
		return err
	}
	path := c.Args().First()
	data, err := readCapped(path, feed.MaxEvidence)
	if err != nil {
		return err
	}
	ev, err := feed.OpenEvidence(data, anchor)
	if err != nil {
		if c.Bool("json") {
			if err := e.printJSON(evidenceLine{Problem: err.Error()}); err != nil {
				return err
			}
		}
		return untrueError{fmt.Errorf("%s: %w", path, err)}
	}
	line := evidenceLine{Valid: true, Kind: string(ev.Kind), Feed: string(ev.Feed), Origin: string(ev.Origin), Version: ev.Version, Says: ev.Explain()}
	a, b := ev.Claims()
	line.A, line.B = claimLine(ev.Kind, a), claimLine(ev.Kind, b)
	if c.Bool("json") {
		return e.printJSON(line)
	}
	fmt.Fprintf(e.stdout, "true: %s has said two things that can't both be true\n", ev.Feed)
	for _, text := range line.Says {
		if _, err := fmt.Fprintln(e.stdout, text); err != nil {
			return err
		}
	}
	return nil
}

func claimLine(kind feed.EvidenceKind, c feed.Claim) *evidenceClaim {
	line := &evidenceClaim{Text: string(c.Text)}
	if kind == feed.HeadEvidence {
		line.Size, line.Root = c.Size, hex.EncodeToString(c.Root[:])
	}
	return line
}
