package main

import (
	"bytes"
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/crypto"
	"hashfeed/node"
	"hashfeed/node/api"
)

func backupCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "write all that the node has, keys included, to one sealed file", ArgsUsage: "FILE",
		Description: "Works while the daemon runs. The file is sealed with a passphrase of its own: keep it apart from the file. FILE - is standard output.",
		Flags:       []cli.Flag{backupPassphraseFlag(), passphraseFlag()},
		Action:      func(c *cli.Context) error { return backup(e, c) },
	}
}

func backupPassphraseFlag() cli.Flag {
	return &cli.StringFlag{Name: "backup-passphrase-file", Usage: "read the backup's passphrase from `FILE`; without it, it is asked for",
		EnvVars: []string{"HASHFEED_BACKUP_PASSPHRASE_FILE"}}
}

func backup(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	dir, err := e.dir()
	if err != nil {
		return err
	}
	passphrase, err := e.backupPassphrase(c, true)
	if err != nil {
		return err
	}
	return e.withDoor(c, func(door api.Verbs) error {
		var leftOut []string
		if c.Args().First() == "-" {
			leftOut, err = node.WriteBackup(c.Context, dir, door, e.stdout, passphrase)
		} else {
			leftOut, err = node.BackupTo(c.Context, dir, door, c.Args().First(), passphrase)
		}
		for _, f := range leftOut {
			fmt.Fprintf(e.stderr, "left out, comes again from peers: %s\n", f)
		}
		return err
	})
}

// backupPassphrase reads what a backup is sealed with; twice from a terminal where it is new.
func (e *env) backupPassphrase(c *cli.Context, isNew bool) ([]byte, error) {
	if path := c.String("backup-passphrase-file"); path != "" {
		return readPassphrase(path)
	}
	text, err := e.askPassphrase()
	if err != nil {
		return nil, usagef("%s: --backup-passphrase-file is missing", c.Command.Name)
	}
	if isNew {
		fmt.Fprint(e.stderr, "again, ")
		again, err := e.askPassphrase()
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(text, again) {
			return nil, fmt.Errorf("%s: the two differ", c.Command.Name)
		}
	}
	if len(text) == 0 {
		return nil, crypto.ErrPassphraseNeeded
	}
	return text, nil
}
