package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
)

func feedProveCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "prove", Usage: "write a proof that a record is in its feed", ArgsUsage: "REF",
		Description: "A C2SP tlog-proof on standard output, for anybody who has the feed's anchor (proof verify FILE --anchor HEX).",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "no-body", Usage: "disclose no hash"}, passphraseFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			ref, err := feed.ParseRef(c.Args().First())
			if err != nil {
				return fmt.Errorf("feed prove: %w", err)
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			proof, err := door.Prove(c.Context, ref, !c.Bool("no-body"))
			if err != nil {
				return fmt.Errorf("feed prove %s: %w", ref, err)
			}
			if !c.Bool("no-body") {
				fmt.Fprintln(e.stderr, "hint: this proof discloses the record's hashes; --no-body doesn't")
			}
			_, err = e.stdout.Write(proof)
			return err
		},
	}
}
