package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func memberCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "member", Usage: "say who may read an own feed",
		Subcommands: []*cli.Command{
			{
				Name: "add", Usage: "let a node read the feed", ArgsUsage: "PEER_ID",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "name", Usage: "the node's name `N`, a domain"},
					&cli.StringFlag{Name: "as", Usage: "`KIND` is police, hotline or host", Value: "host"},
					&cli.StringFlag{Name: "expires", Usage: "how long, in days (`365d`)", Value: "365d"},
					&cli.StringFlag{Name: "contact", Usage: "whom to call there (`C`)"},
					&cli.StringFlag{Name: "agreement", Usage: "the `SHA256` of the signed agreement, hex"},
					&cli.BoolFlag{Name: "hidden", Usage: "stands in no roster: only this node serves it"},
					&cli.StringFlag{Name: "feed", Usage: "the own `FEED`; default the first"},
					passphraseFlag(), jsonFlag(),
				},
				Action: func(c *cli.Context) error { return memberAdd(e, c) },
			},
			{
				Name: "remove", Usage: "end a membership: nothing committed later reaches the node", ArgsUsage: "PEER_ID",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "feed", Usage: "the own `FEED`; default all"}, passphraseFlag(), jsonFlag(),
				},
				Action: func(c *cli.Context) error { return memberRemove(e, c) },
			},
			{
				Name: "list", Usage: "list the members", Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
				Action: func(c *cli.Context) error { return memberList(e, c) },
			},
		},
	}
}

func memberAdd(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	if c.String("name") == "" {
		return usagef("member add: --name is missing")
	}
	switch c.String("as") {
	case "police", "hotline", "host":
	default:
		return usagef("member add: --as %q: must be police, hotline or host", c.String("as"))
	}
	text, isDays := strings.CutSuffix(c.String("expires"), "d")
	days, err := strconv.Atoi(text)
	if err != nil || !isDays || days < 1 {
		return usagef("member add: --expires %q: must be a number of days, such as 365d", c.String("expires"))
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	m, err := door.AddMember(c.Context, api.AddMember{Feed: c.String("feed"), PeerID: c.Args().First(), Name: c.String("name"), As: c.String("as"),
		Days: days, Contact: c.String("contact"), Agreement: c.String("agreement"), Hidden: c.Bool("hidden")})
	if err != nil {
		return fmt.Errorf("member add: %w", err)
	}
	if c.Bool("json") {
		return e.printJSON(m)
	}
	_, err = fmt.Fprintf(e.stdout, "%s (%s) may read %s until %s\n", m.Name, m.As, m.Feed, m.Expires)
	return err
}

func memberRemove(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	if err := door.RemoveMember(c.Context, c.String("feed"), c.Args().First()); err != nil {
		return fmt.Errorf("member remove: %w", err)
	}
	fmt.Fprintf(e.stderr, "%s is a member no more\n", c.Args().First())
	return nil
}

func memberList(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	members, err := door.Members(c.Context)
	if err != nil {
		return fmt.Errorf("member list: %w", err)
	}
	for _, m := range members {
		if c.Bool("json") {
			err = e.printJSON(m)
		} else {
			_, err = fmt.Fprintf(e.stdout, "%s\t%s\t%s\t%s\tuntil %s\n", m.Feed, m.Name, m.As, m.PeerID, m.Expires)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
