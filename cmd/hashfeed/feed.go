package main

import (
	"github.com/urfave/cli/v2"
)

func feedCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "feed", Usage: "make, show, prove and copy feeds",
		Description: "FEED is an origin, pub/feed, or an own feed's short name; default the first own feed.",
		Subcommands: []*cli.Command{
			feedCreateCommand(e), feedListCommand(e), feedShowCommand(e), feedLogCommand(e),
			feedProveCommand(e), feedMirrorCommand(e), feedVerifyCommand(e), feedCharterCommand(e),
			feedReceiptsCommand(e), feedCountsCommand(e), feedRecoverCommand(e),
		},
	}
}
