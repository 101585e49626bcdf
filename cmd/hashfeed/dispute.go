package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func disputeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "dispute", Usage: "say that a record is wrong: it stops blocking here at once, and its publisher is told", ArgsUsage: "REF",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reason", Usage: "`R` is one of retract's, or known-good, runaway, collision, wrong-category"},
			aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			reason, err := reasonFlag(c)
			if err != nil {
				return err
			}
			if !reason.Fits(feed.OpDispute) {
				return usagef("dispute: --reason %q is a resolution's", reason)
			}
			return statement(e, c, func(ctx context.Context, door api.Verbs, ref feed.Ref) (api.Published, error) {
				return door.Dispute(ctx, ref, reason)
			})
		},
	}
}
