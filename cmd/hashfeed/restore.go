package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"hashfeed/crypto"
	"hashfeed/node"
)

func restoreCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "restore", Usage: "make a node's directory from a backup", ArgsUsage: "FILE",
		Description: "DIR must be absent or empty. Everything is verified before it is moved into place; a damaged backup is exit code 3, and leaves nothing behind.\n" +
			"Own feeds are signed again only after a member was heard: what was signed after the backup isn't in it. FILE - is standard input.",
		Flags:  []cli.Flag{backupPassphraseFlag(), passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error { return restore(e, c) },
	}
}

func restore(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	dir, err := e.dir()
	if err != nil {
		return err
	}
	var o node.RestoreOptions
	if o.Backup, err = e.backupPassphrase(c, false); err != nil {
		return err
	}
	if o.Passphrase, err = e.passphrase(c); err != nil {
		return err
	}
	in := io.Reader(e.stdin)
	if path := c.Args().First(); path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		defer f.Close()
		in = f
	}
	done, err := node.Restore(c.Context, dir, in, o)
	switch {
	case errors.Is(err, crypto.ErrSealDamaged), errors.Is(err, crypto.ErrNotSealed):
		return untrueError{err}
	case err != nil:
		return err
	}
	if c.Bool("json") {
		return e.printJSON(done)
	}
	fmt.Fprintf(e.stdout, "%s as of %s, in %s\n", done.Name, done.Time, dir)
	for _, f := range done.Feeds {
		fmt.Fprintf(e.stdout, "feed   %s\n", f)
	}
	for _, f := range done.LeftOut {
		fmt.Fprintf(e.stdout, "feed   %s: not in the backup, comes again from peers\n", f)
	}
	fmt.Fprintln(e.stdout, "Run it (hashfeed run). Own feeds are signed once a member was heard.")
	return nil
}
