package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
)

func suspendCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "suspend", Usage: "hold own items at once, everywhere, for 72 hours, with one signer's key", ArgsUsage: "REF…",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			var refs []feed.Ref
			for _, arg := range c.Args().Slice() {
				ref, err := feed.ParseRef(arg)
				if err != nil {
					return fmt.Errorf("suspend: %w", err)
				}
				refs = append(refs, ref)
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			published, err := door.Suspend(c.Context, refs)
			if err != nil {
				return fmt.Errorf("suspend: %w", err)
			}
			return e.printJSON(published)
		},
	}
}
