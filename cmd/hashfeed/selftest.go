package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func selftestCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "selftest", Usage: "send a harmless test picture through every door, and a test event to everybody who is notified",
		Description: "The test picture is listed by every node, and must be blocked; so must a JPEG of it, and an innocent picture must not be. What\n" +
			"matches is marked \"test\" and notifies nobody but those who ask for it. Exit code 2: a door isn't ok, or is closed because no daemon runs.",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			return e.withDoor(c, func(door api.Verbs) error {
				t, err := door.SelfTest(c.Context)
				if err != nil {
					return err
				}
				return e.printSelfTest(c, t)
			})
		},
	}
}

func (e *env) printSelfTest(c *cli.Context, t api.SelfTest) error {
	failed := 0
	for _, d := range t.Doors {
		word := "ok"
		if !d.OK {
			word = "not ok"
			failed++
		}
		if c.Bool("json") {
			continue
		}
		fmt.Fprintf(e.stdout, "%-6s %s, %.0f ms\n", word, d.Door, 1000*d.Seconds)
		if d.Text != "" {
			fmt.Fprintf(e.stdout, "       %s\n", d.Text)
		}
	}
	if c.Bool("json") {
		if err := e.printJSON(t); err != nil {
			return err
		}
	}
	if !t.Passed {
		return fmt.Errorf("%d of %d doors are not ok", failed, len(t.Doors))
	}
	return nil
}
