package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func feedCharterCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "charter", Usage: "show, change and renew the law of a feed",
		Description: "A new charter is proposed on the node, signed wherever the root keys are, and published on the node:\n\n" +
			"   node$    hashfeed feed charter propose known --out next\n" +
			"   offline$ hashfeed feed charter sign next --key root.key\n" +
			"   node$    hashfeed feed charter publish next",
		Subcommands: []*cli.Command{
			feedCharterShowCommand(e), feedCharterProposeCommand(e), feedCharterSignCommand(e), feedCharterPublishCommand(e), feedCharterKeyCommand(e),
		},
	}
}

func feedCharterShowCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show the newest charter of a feed", ArgsUsage: "[FEED]",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1); err != nil {
				return err
			}
			return e.withDoor(c, func(door api.Verbs) error {
				i, err := door.Charter(c.Context, c.Args().First())
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.printJSON(i)
				}
				first := i.Versions[0]
				fmt.Fprintf(e.stderr, "anchor %s, versions %d to %d; %s\n", i.Anchor, first.Version, i.Version, daysText(i.DaysLeft))
				if i.RootOnNode {
					fmt.Fprintln(e.stderr, "hint: the root key lies on this node, where it is needed only to sign a charter: keep it offline")
				}
				_, err = fmt.Fprint(e.stdout, i.Text)
				return err
			})
		},
	}
}

func daysText(left int64) string {
	switch {
	case left < 0:
		return "expired"
	case left == 0:
		return "expires within a day"
	case left == 1:
		return "1 day left"
	}
	return fmt.Sprintf("%d days left", left)
}

// readProposal reads a proposed charter, signed or not.
func readProposal(path string) (feed.Proposal, error) {
	data, err := readCapped(path, feed.MaxProposal)
	if err != nil {
		return feed.Proposal{}, err
	}
	p, err := feed.ParseProposal(data)
	if err != nil {
		return p, fmt.Errorf("read %s: %w", path, err)
	}
	return p, nil
}

// wantsText says whose signatures are missing, a line each.
func wantsText(wants []api.Quota) string {
	var b strings.Builder
	for _, q := range wants {
		fmt.Fprintf(&b, "%s: %d of %d have signed\n", q.Of, q.Have, q.Need)
		if q.Have < q.Need {
			for _, k := range q.Missing {
				fmt.Fprintf(&b, "   not yet %s\n", k)
			}
		}
	}
	return b.String()
}

// pastText says what lies past a cut.
func pastText(p *api.PastCut) string {
	if p == nil {
		return ""
	}
	text := fmt.Sprintf("%d records lie past the cut and lose their effect, %d adds or revises among them\n", p.Records, p.Adds)
	for _, r := range p.Retracts {
		text += fmt.Sprintf("   %s retracts %s (%s, %s)\n", r.Ref, r.Item, r.Reason, r.Time)
	}
	return text
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
