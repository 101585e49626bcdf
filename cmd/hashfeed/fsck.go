package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"

	"github.com/urfave/cli/v2"

	"hashfeed/crypto"
	"hashfeed/node"
	"hashfeed/node/api"
)

func fsckCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "fsck", Usage: "check everything that is stored: feeds, charters, heads, keys, tokens, config, evidence",
		Description: "Works with the daemon if one runs, and without. Each finding says what is wrong, what it means, and which command mends it.\n" +
			"--repair mends what it can: from the other copy here, else from peers, verified against the signed head.\n" +
			"Exit code 0: all is well; 3: something is damaged; 2: it couldn't finish, or a key is sealed and was not checked.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "repair", Usage: "mend what can be mended"},
			&cli.BoolFlag{Name: "alone", Usage: "mend own feeds too from what is here: nothing can have been signed that isn't"},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error { return fsck(e, c) },
	}
}

// checked is what fsck --json prints.
type checked struct {
	Clean    bool          `json:"clean"`    // all of it was checked, and all is well
	Finished bool          `json:"finished"` // all of it was checked
	Findings []api.Finding `json:"findings"`
}

func fsck(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	found, err := e.findings(c)
	if err != nil {
		return err
	}
	all := checked{Findings: []api.Finding{}}
	damaged, unchecked := 0, 0
	for f, err2 := range found {
		if err2 != nil {
			err = fmt.Errorf("fsck: %w", err2)
			break
		}
		all.Findings = append(all.Findings, f)
		switch f.State {
		case api.FindingDamaged:
			damaged++
		case api.FindingUnchecked:
			unchecked++
		}
		if !c.Bool("json") {
			fmt.Fprintf(e.stdout, "%-9s %s %s: %s\n", f.State, f.Kind, f.Where, f.Text)
			if f.State != api.FindingRepaired {
				fmt.Fprintf(e.stdout, "          %s\n          %s\n", f.Means, f.Remedy)
			}
		}
	}
	all.Finished = err == nil && unchecked == 0
	all.Clean = all.Finished && damaged == 0
	if c.Bool("json") {
		if err := e.printJSON(all); err != nil {
			return err
		}
	} else if all.Clean {
		fmt.Fprintln(e.stdout, "clean")
	}
	switch {
	case damaged > 0:
		if err != nil {
			fmt.Fprintf(e.stderr, "hashfeed: %v\n", err)
		}
		return untrueError{fmt.Errorf("fsck: %d damaged", damaged)}
	case err != nil:
		return err
	case unchecked > 0:
		return fmt.Errorf("fsck: %d not checked", unchecked)
	}
	return nil
}

// findings asks the daemon, or looks itself: a directory in which no node opens is what fsck is for.
func (e *env) findings(c *cli.Context) (iter.Seq2[api.Finding, error], error) {
	dir, err := e.dir()
	if err != nil {
		return nil, err
	}
	if c.Bool("alone") {
		c.Context = api.WithAlone(c.Context)
	}
	if client, err := api.Dial(c.Context, node.SocketPath(dir)); err == nil {
		return client.Fsck(c.Context, c.Bool("repair")), nil
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, api.ErrNoDaemon) {
		return nil, fmt.Errorf("talk to the daemon of %s: %w", dir, err)
	}
	o := node.FsckOptions{Options: node.Options{Logger: e.logger(slog.LevelError)}, Repair: c.Bool("repair")}
	if o.Passphrase, err = e.passphraseOf(c, dir); err != nil {
		return nil, err
	}
	return node.Fsck(c.Context, dir, o), nil
}

// passphraseOf is the passphrase for the keys in a directory: nil where they are unsealed, or where nobody can be asked.
func (e *env) passphraseOf(c *cli.Context, dir string) ([]byte, error) {
	passphrase, err := e.passphrase(c)
	if err != nil || passphrase != nil || !node.Sealed(dir) {
		return passphrase, err
	}
	if passphrase, err = e.askPassphrase(); errors.Is(err, crypto.ErrPassphrase) {
		return nil, nil
	}
	return passphrase, err
}
