package main

import (
	"bufio"
	"fmt"
	"io"

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
			&cli.StringFlag{Name: "format", Usage: "how the list is written: `F` is one of " + hashlist.Names(false) + "; or dsa: no list but the journal's counts, in the " +
				"columns of the EU's transparency template"},
			&cli.StringFlag{Name: "origin", Usage: "the feed (`O`): an origin, pub/feed, or an own feed's short name; default the first own feed"},
			&cli.StringFlag{Name: "out", Usage: "write to `FILE`, readable by you alone; default standard output"},
			sinceFlag(), untilFlag(),
			passphraseFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			since, until, err := times(c)
			if err != nil {
				return err
			}
			if c.String("format") == "dsa" {
				if c.String("origin") != "" {
					return usagef("export: --origin is a feed's, and dsa counts what this node decided")
				}
				return e.withDoor(c, func(door api.Verbs) error {
					return writeExport(e, c, func(out io.Writer) error { return exportDSA(c.Context, door, since, until, out) })
				})
			}
			if !since.IsZero() || !until.IsZero() {
				return usagef("export: --since and --until are for --format dsa")
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
	return writeExport(e, c, func(out io.Writer) error { return door.Export(c.Context, request, out) })
}

// writeExport writes to --out, whole or not at all, or to standard output.
func writeExport(e *env, c *cli.Context, write func(io.Writer) error) error {
	path := c.String("out")
	if path == "" || path == "-" {
		out := bufio.NewWriterSize(e.stdout, 64<<10)
		if err := write(out); err != nil {
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
	if err := write(out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return f.CloseAtomicallyReplace()
}
