package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func feedListCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the feeds that this node keeps", Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			feeds, err := door.Feeds(c.Context)
			if err != nil {
				return fmt.Errorf("feed list: %w", err)
			}
			for _, f := range feeds {
				if !c.Bool("json") {
					e.printFeedLine(f)
				} else if err := e.printJSON(f); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
