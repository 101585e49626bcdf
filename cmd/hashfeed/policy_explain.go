package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func policyExplainCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "say which rule decides about an upload, in words", ArgsUsage: "REF | HASH…",
		Description: "HASH… are the hashes of one file. REF is a record: the upload is then an exact copy of what it lists. It counts as no upload.",
		Flags:       []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			r := api.Explain{Hashes: c.Args().Slice()}
			if first := c.Args().First(); strings.Contains(first, "#") {
				if c.NArg() > 1 {
					return usagef("policy explain: one REF, or the hashes of one file")
				}
				r = api.Explain{Ref: first}
			}
			return e.withDoor(c, func(door api.Verbs) error {
				x, err := door.Explain(c.Context, r)
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.printJSON(x)
				}
				fmt.Fprintln(e.stdout, x.Text)
				for _, m := range x.Matches {
					fmt.Fprintf(e.stdout, "\n%s  %s at distance %d, %s, %s\n", m.Ref, m.Alg, m.Distance, m.Verdict, m.State)
					for _, s := range m.Steps {
						mark := " "
						if s.Rule == m.Decides {
							mark = "*"
						}
						fmt.Fprintf(e.stdout, "%s %-15s %-6s  %s\n", mark, s.Rule, s.Action, s.Text)
					}
				}
				for _, n := range x.Notes {
					fmt.Fprintf(e.stdout, "note: %s\n", n)
				}
				return nil
			})
		},
	}
}
