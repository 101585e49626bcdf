package main

import (
	"bufio"
	"fmt"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"

	"hashfeed/feed/hashlist"
	"hashfeed/node/api"
)

func exportCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "export", Usage: "write a feed as a list of hashes",
		Description: "Each item is a row with what is in force of it (docs/import.md). A retracted item is a row with its reason and without a\n" +
			"hash, so that whoever has imported the list before takes it back. The list is the feed in clear: give it to nobody who may not have it.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "how the list is written: `F` is one of " + hashlist.Names(false)},
			&cli.StringFlag{Name: "origin", Usage: "the feed (`O`): an origin, pub/feed, or an own feed's short name; default the first own feed"},
			&cli.StringFlag{Name: "out", Usage: "write to `FILE`, readable by you alone; default standard output"},
			passphraseFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			if f, ok := hashlist.Find(c.String("format")); !ok || f.Write == nil {
				return usagef("export: --format %q: one of %s", c.String("format"), hashlist.Names(false))
			}
			return e.withDoor(c, func(door api.Verbs) error { return exportList(e, c, door) })
		},
	}
}

func exportList(e *env, c *cli.Context, door api.Verbs) error {
	request := api.Export{Format: c.String("format"), Feed: c.String("origin")}
	path := c.String("out")
	if path == "" || path == "-" {
		out := bufio.NewWriterSize(e.stdout, 64<<10)
		if err := door.Export(c.Context, request, out); err != nil {
			return err
		}
		return out.Flush()
	}
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	out := bufio.NewWriterSize(f, 256<<10)
	if err := door.Export(c.Context, request, out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.CloseAtomicallyReplace()
}
