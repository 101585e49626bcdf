package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func idCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "id", Usage: "print who this node is, and the invite that others follow its feed by",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			id, err := door.Identity(c.Context)
			if err != nil {
				return fmt.Errorf("id: %w", err)
			}
			if c.Bool("json") {
				return e.printJSON(id)
			}
			fmt.Fprintf(e.stdout, "name     %s (%s)\npeer id  %s\nfeed     %s\nanchor   %s\n", id.Name, id.Role, id.PeerID, id.Origin, id.Anchor)
			for _, k := range id.RootVKeys {
				fmt.Fprintf(e.stdout, "root     %s\n", k)
			}
			fmt.Fprintf(e.stdout, "journal  %s\n", id.JournalVKey)
			for _, a := range id.Addresses {
				fmt.Fprintf(e.stdout, "address  %s\n", a)
			}
			_, err = fmt.Fprintf(e.stdout, "invite   %s\n", id.Invite)
			return err
		},
	}
}
