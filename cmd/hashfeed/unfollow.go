package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func unfollowCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "unfollow", Usage: "let go of a feed: what it lists matches no more", ArgsUsage: "FEED",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			if err := door.Unfollow(c.Context, c.Args().First()); err != nil {
				return fmt.Errorf("unfollow: %w", err)
			}
			fmt.Fprintf(e.stderr, "%s is not followed any more\n", c.Args().First())
			return nil
		},
	}
}
