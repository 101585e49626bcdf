package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func peerCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "peer", Usage: "say which other nodes may connect, and where to reach them",
		Description: "Publishers that are followed, and members, need no entry.",
		Subcommands: []*cli.Command{
			{
				Name: "add", Usage: "let a node connect, and dial it", ArgsUsage: "PEER_ID MULTIADDR",
				Flags: []cli.Flag{&cli.StringFlag{Name: "name", Usage: "what to call it (`N`)"}, passphraseFlag(), jsonFlag()},
				Action: func(c *cli.Context) error {
					if err := wantArgs(c, 2, 2); err != nil {
						return err
					}
					return e.withDoor(c, func(door api.Verbs) error {
						return door.AddPeer(c.Context, api.AddPeer{PeerID: c.Args().Get(0), Address: c.Args().Get(1), Name: c.String("name")})
					})
				},
			},
			{
				Name: "remove", Usage: "undo peer add", ArgsUsage: "PEER_ID", Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
				Action: func(c *cli.Context) error {
					if err := wantArgs(c, 1, 1); err != nil {
						return err
					}
					return e.withDoor(c, func(door api.Verbs) error { return door.RemovePeer(c.Context, c.Args().First()) })
				},
			},
			{
				Name: "list", Usage: "list the nodes that may connect, and their connections", Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
				Action: func(c *cli.Context) error {
					if err := wantArgs(c, 0, 0); err != nil {
						return err
					}
					return e.withDoor(c, func(door api.Verbs) error { return peerList(e, c, door) })
				},
			},
		},
	}
}

func peerList(e *env, c *cli.Context, door api.Verbs) error {
	peers, err := door.Peers(c.Context)
	if err != nil {
		return err
	}
	for _, p := range peers {
		if c.Bool("json") {
			err = e.printJSON(p)
		} else {
			state := "not connected"
			if p.Connected {
				state = fmt.Sprintf("connected, %d ms", p.LatencyMS)
			}
			_, err = fmt.Fprintf(e.stdout, "%s\t%s\t%s\t%s\n", p.PeerID, p.Name, state, strings.Join(p.Addresses, " "))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
