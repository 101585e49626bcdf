package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/urfave/cli/v2"

	"hashfeed/node"
	"hashfeed/node/api"
)

func doctorCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "look at what an operator should look at, and name the command that mends each finding",
		Description: "Reads nothing large: hashfeed fsck does. Exit code 0, also with warnings; 3: something is damaged; 2: it couldn't look.",
		Flags:       []cli.Flag{passphraseFlag(), jsonFlag()},
		Action:      func(c *cli.Context) error { return doctor(e, c) },
	}
}

func doctor(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	found, err := e.examine(c)
	if err != nil {
		return err
	}
	damaged := 0
	for _, f := range found {
		if f.State == api.FindingDamaged {
			damaged++
		}
		if !c.Bool("json") {
			fmt.Fprintf(e.stdout, "%-9s %s %s: %s\n          %s\n          %s\n", f.State, f.Kind, f.Where, f.Text, f.Means, f.Remedy)
		}
	}
	if c.Bool("json") {
		if err := e.printJSON(examined{Well: len(found) == 0, Findings: found}); err != nil {
			return err
		}
	} else if len(found) == 0 {
		fmt.Fprintln(e.stdout, "nothing needs doing")
	}
	if damaged > 0 {
		return untrueError{fmt.Errorf("doctor: %d damaged", damaged)}
	}
	return nil
}

// examined is what doctor --json prints.
type examined struct {
	Well     bool          `json:"well"` // nothing needs doing
	Findings []api.Finding `json:"findings"`
}

// examine asks the daemon, or looks itself.
func (e *env) examine(c *cli.Context) ([]api.Finding, error) {
	dir, err := e.dir()
	if err != nil {
		return nil, err
	}
	if client, err := api.Dial(c.Context, node.SocketPath(dir)); err == nil {
		defer client.Close()
		return client.Doctor(c.Context)
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, api.ErrNoDaemon) {
		return nil, fmt.Errorf("talk to the daemon of %s: %w", dir, err)
	}
	o := node.Options{Logger: e.logger(slog.LevelError)}
	if o.Passphrase, err = e.passphraseOf(c, dir); err != nil {
		return nil, err
	}
	return node.Doctor(c.Context, dir, o)
}
