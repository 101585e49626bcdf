package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func feedCreateCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "make another own feed", ArgsUsage: "NAME",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "harm", Usage: "`HARM` is csam, ncii or tvec; default the first own feed's"},
			&cli.StringFlag{Name: "contact", Usage: "whom a host calls (`C`)"},
			&cli.IntFlag{Name: "signers", Usage: "how many must sign each batch (`K`); default 1"},
			&cli.StringFlag{Name: "signer-key", Usage: "the signers besides this node's own (`VKEY[,VKEY]`), as signer create and signer agent print them"},
			&cli.StringFlag{Name: "own-signer", Usage: "this node's own signer is `VKEY` in its ssh-agent; default a new key"},
			passphraseFlag(), jsonFlag(),
		},
		Description: "With --signers K above 1 nothing counts that K of the feed's signers have not signed, this node's own being one of\n" +
			"them: the opening of its log awaits approval already (hashfeed approve), and so does whatever is listed in it.",
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			f, err := door.CreateFeed(c.Context, api.CreateFeed{Name: c.Args().First(), Harm: c.String("harm"), Contact: c.String("contact"),
				Signers: c.Int("signers"), SignerKeys: listFlag(c, "signer-key"), OwnSigner: c.String("own-signer")})
			if err != nil {
				return fmt.Errorf("feed create: %w", err)
			}
			if c.Bool("json") {
				return e.printJSON(f)
			}
			_, err = fmt.Fprintf(e.stdout, "%s\nanchor %s\n", f.Origin, f.Anchor)
			return err
		},
	}
}
