package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func feedMirrorCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "mirror", Usage: "write a feed as plain files, that anybody can check with feed verify", ArgsUsage: "FEED DIR",
		Description: "Running it again brings DIR up to date. The bodies in it hold the hashes: DIR/*/body may be left out of a copy.",
		Flags:       []cli.Flag{passphraseFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, 2); err != nil {
				return err
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			name, dir := c.Args().Get(0), c.Args().Get(1)
			r, w := io.Pipe()
			go func() { w.CloseWithError(door.Mirror(c.Context, name, w)) }()
			err = api.UnpackMirror(r, dir)
			r.CloseWithError(err)
			if err != nil {
				return fmt.Errorf("feed mirror %s: %w", name, err)
			}
			return nil
		},
	}
}
