package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func feedRecoverCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "recover", Usage: "fetch from members what an old copy of an own feed lacks, and sign again", ArgsUsage: "[FEED]",
		Description: "After a directory was restored from a backup, members may hold records that it doesn't have: to sign on would fork\n" +
			"the feed. This fetches them, checked against heads that bear this feed's own signatures, and lets the node sign again.\n" +
			"The daemon must run. Make sure first that no other copy of the directory runs.",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1); err != nil {
				return err
			}
			return e.withDoor(c, func(door api.Verbs) error {
				r, err := door.Recover(c.Context, c.Args().First())
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.printJSON(r)
				}
				if r.Had == r.Size {
					_, err = fmt.Fprintf(e.stdout, "%s: nothing is missing, size %d; it can be signed\n", r.Origin, r.Size)
				} else {
					_, err = fmt.Fprintf(e.stdout, "%s: %d records came back from members, size %d; it can be signed again\n", r.Origin, r.Size-r.Had, r.Size)
				}
				return err
			})
		},
	}
}
