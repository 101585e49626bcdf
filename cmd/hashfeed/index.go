package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/node"
	"hashfeed/node/api"
)

func indexCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "index", Usage: "care for what is derived from the log: the match tables",
		Subcommands: []*cli.Command{{
			Name: "rebuild", Usage: "make the match tables anew from the log, and write their snapshot",
			Description: "Nobody needs it: a snapshot that is missing, damaged or of another state is made anew at the next start. Here it is done by hand,\n" +
				"with the daemon stopped: so that its next start is a fast one, or to have nothing left that was derived before.",
			Flags:  []cli.Flag{passphraseFlag(), jsonFlag()},
			Action: func(c *cli.Context) error { return indexRebuild(e, c) },
		}},
	}
}

// rebuilt is what index rebuild --json prints.
type rebuilt struct {
	Records uint64  `json:"records"`
	Seconds float64 `json:"seconds"` // of the replay and the writing
	Bytes   int64   `json:"bytes"`   // of the snapshot
}

func indexRebuild(e *env, c *cli.Context) (err error) {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	dir, err := e.dir()
	if err != nil {
		return err
	}
	if client, err := api.Dial(c.Context, node.SocketPath(dir)); err == nil {
		client.Close()
		return &api.Error{Status: 409, Code: api.CodeConflict, Text: "index rebuild: the daemon of " + dir + " has the tables in use",
			Hint: "stop it, run this, and start it again; or remove " + dir + "/index/snapshot and restart it, which comes to the same"}
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, api.ErrNoDaemon) {
		return fmt.Errorf("index rebuild: talk to the daemon of %s: %w", dir, err)
	}
	begun := time.Now()
	n, err := e.openWith(c, dir, node.Options{Logger: e.logger(slog.LevelWarn), Rebuild: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	var done rebuilt
	if done.Records, done.Bytes, err = n.SaveIndex(); err != nil {
		return fmt.Errorf("index rebuild: %w", err)
	}
	done.Seconds = time.Since(begun).Seconds()
	if c.Bool("json") {
		return e.printJSON(done)
	}
	fmt.Fprintf(e.stdout, "tables of %d records made anew in %.1f s; the snapshot has %d bytes\n", done.Records, done.Seconds, done.Bytes)
	return nil
}
