package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func feedCharterPublishCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "publish", Usage: "take a signed charter into force, and tell everyone", ArgsUsage: "FILE",
		Description: "Where it closes a log, the new one is opened, and suspensions in force are repeated with its signers. Where records lie past the\n" +
			"cut, --repeat must say which retractions among them are honest. After a failure the same command does what is left.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "repeat", Usage: "retract again in the new log: all, none, or the retractions' `REFS`, with commas"},
			aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error { return feedCharterPublish(e, c) },
	}
}

func feedCharterPublish(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	data, err := readCapped(c.Args().First(), feed.MaxProposal)
	if err != nil {
		return fmt.Errorf("feed charter publish: %w", err)
	}
	return e.withDoor(c, func(door api.Verbs) error {
		p, err := door.PublishCharter(c.Context, api.PublishCharter{File: string(data), Repeat: listFlag(c, "repeat")})
		if err != nil {
			return err
		}
		if c.Bool("json") {
			return e.printJSON(p)
		}
		fmt.Fprintf(e.stdout, "%s version %d is in force until %s\n", p.Feed, p.Version, p.Expires)
		if p.Opened {
			fmt.Fprintf(e.stdout, "log %s is open; %d suspensions and %d retractions were repeated\n", p.Origin, p.Suspensions, len(p.Retracted))
		}
		fmt.Fprint(e.stderr, pastText(p.Past))
		return nil
	})
}
