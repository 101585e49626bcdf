package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func feedCountsCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "counts", Usage: "print what members have shared of what came of matches of an own feed", ArgsUsage: "[FEED]",
		Description: "Sums over all members that share, by week. No member tells a number below 10, so a sum says: at least so many.\n" +
			"Both sides have to want it: [own] take_counts here, share_counts in the member's [[follow]].",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1); err != nil {
				return err
			}
			return e.withDoor(c, func(door api.Verbs) error {
				f, err := door.FeedCounts(c.Context, c.Args().First())
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.printJSON(f)
				}
				e.printFeedCounts(f)
				return nil
			})
		},
	}
}

func (e *env) printFeedCounts(f api.FeedCounts) {
	fmt.Fprintf(e.stdout, "%s: %d weeks; each number counts what was at least %d with a member\n", f.Feed, len(f.Weeks), f.Fewest)
	if !f.Take {
		fmt.Fprintln(e.stderr, "hint: nothing is taken from members: take_counts = true under [own]")
	}
	for _, w := range f.Weeks {
		fmt.Fprintf(e.stdout, "%s, %d members\n", weekText(w), w.Members)
		e.printCounts(w, f.Fewest)
	}
}
