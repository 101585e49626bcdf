package main

import (
	"github.com/urfave/cli/v2"
)

func demoCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "start a hotline, a liaison and a host as real processes, and tell the whole story",
		Description: "Works in temporary directories and on loopback ports of its own, with harmless pictures that it draws itself. Exit code 0\n" +
			"only if every step held.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "keep", Usage: "leave the nodes running, and print how to talk to them"},
			&cli.StringFlag{Name: "images", Usage: "take the pictures of `DIR` (two at least) instead of drawn ones"},
			&cli.StringFlag{Name: "break", Hidden: true, Usage: "break a `STEP`, to see that the demo fails: tests do"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			s, err := newStory(e, c.String("images"), c.String("break"))
			if err != nil {
				return err
			}
			err = s.tell(c.Context)
			if err == nil && c.Bool("keep") {
				s.keep()
				return nil
			}
			if err != nil {
				s.showLogs()
			}
			s.cleanUp()
			return err
		},
	}
}
