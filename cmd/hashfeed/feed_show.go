package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func feedShowCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show one feed: its keys, its size and how fresh it is", ArgsUsage: "[FEED]",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1); err != nil {
				return err
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			f, err := door.Feed(c.Context, c.Args().First())
			if err != nil {
				return fmt.Errorf("feed show: %w", err)
			}
			if c.Bool("json") {
				return e.printJSON(f)
			}
			e.printFeedLine(f)
			fmt.Fprintf(e.stdout, "anchor  %s\ncontact %s\naudience %s\nroot    %s\n", f.Anchor, f.Contact, strings.Join(f.Audience, ","), f.Root)
			if f.Erased > 0 {
				fmt.Fprintf(e.stdout, "erased  the hashes of %d records of retracted items\n", f.Erased)
			}
			for _, k := range f.RootVKeys {
				fmt.Fprintf(e.stdout, "root key   %s\n", k)
			}
			for _, k := range f.SignerVKeys {
				fmt.Fprintf(e.stdout, "signer key %s\n", k)
			}
			fmt.Fprintf(e.stdout, "stamp key  %s\n", f.StampVKey)
			if f.Invite != "" {
				fmt.Fprintf(e.stdout, "invite     %s\n", f.Invite)
			}
			for _, s := range f.CosignedBy {
				fmt.Fprintf(e.stdout, "stored by  %s up to %d (%s)\n", s.Name, s.Size, s.Time)
			}
			return nil
		},
	}
}
