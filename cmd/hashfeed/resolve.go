package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func resolveCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "resolve", Usage: "answer a dispute of an own record", ArgsUsage: "REF",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "uphold", Usage: "the record stands"},
			&cli.BoolFlag{Name: "retract", Usage: "the item is retracted"},
			&cli.StringFlag{Name: "reason", Usage: "with --retract: `R` as of retract (default false-positive)"},
			aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			r := api.Resolution{Uphold: c.Bool("uphold"), Retract: c.Bool("retract"), Reason: c.String("reason")}
			if r.Uphold == r.Retract {
				return usagef("resolve: say either --uphold or --retract")
			}
			return statement(e, c, func(ctx context.Context, door api.Verbs, ref feed.Ref) (api.Published, error) {
				return door.Resolve(ctx, ref, r)
			})
		},
	}
}
