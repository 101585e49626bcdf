package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func endorseCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "endorse", Usage: "say in the own feed that another publisher's record is right", ArgsUsage: "REF",
		Flags: []cli.Flag{aloneFlag(), passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			return statement(e, c, func(ctx context.Context, door api.Verbs, ref feed.Ref) (api.Published, error) {
				return door.Endorse(ctx, ref)
			})
		},
	}
}
