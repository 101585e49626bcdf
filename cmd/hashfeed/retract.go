package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func retractCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "retract", Usage: "take an item off the list, everywhere", ArgsUsage: "REF",
		Description: "REF is ORIGIN#INDEX of any record of the item. A retraction is sticky: only revise --reinstate undoes it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "reason", Usage: "`R` is false-positive, legal-order, duplicate, publisher-error, reclassified or withdrawn-by-subject"},
			aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			reason, err := reasonFlag(c)
			if err != nil {
				return err
			}
			if !reason.Fits(feed.OpRetract) {
				return usagef("retract: --reason %q is a dispute's or a resolution's", reason)
			}
			return statement(e, c, func(ctx context.Context, door api.Verbs, ref feed.Ref) (api.Published, error) {
				return door.Retract(ctx, ref, reason)
			})
		},
	}
}
