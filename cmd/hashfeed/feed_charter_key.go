package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
)

func feedCharterKeyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "key", Usage: "make a root key, or a signer's, on a machine without a node", ArgsUsage: "NAME FILE",
		Description: "NAME is pub/feed/root, or the log that a signer is to sign, such as pub/feed/2. Prints the key's vkey, which a charter names; the key\n" +
			"itself stays in FILE, sealed if there is a passphrase.",
		Flags:  []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error { return feedCharterKey(e, c) },
	}
}

// madeKey is what feed charter key --json prints.
type madeKey struct {
	VKey string `json:"vkey"`
	File string `json:"file"`
}

func feedCharterKey(e *env, c *cli.Context) error {
	if err := wantArgs(c, 2, 2); err != nil {
		return err
	}
	name, path := c.Args().Get(0), c.Args().Get(1)
	if of, isRoot := strings.CutSuffix(name, "/root"); isRoot {
		if _, err := feed.ParseName(of); err != nil {
			return fmt.Errorf("feed charter key: %w", err)
		}
	} else if _, err := feed.ParseOrigin(name); err != nil {
		return fmt.Errorf("feed charter key: %q is neither pub/feed/root nor a log: %w", name, err)
	}
	passphrase, err := e.passphrase(c)
	if err != nil {
		return err
	}
	key, err := crypto.GenerateKey(name, crypto.TypeSignature)
	if err != nil {
		return fmt.Errorf("feed charter key: %w", err)
	}
	if err := key.Save(path, passphrase); err != nil {
		return fmt.Errorf("feed charter key: %w", err)
	}
	if passphrase == nil {
		fmt.Fprintf(e.stderr, "%s is readable by this user only, and not sealed; --passphrase-file seals it\n", path)
	}
	if c.Bool("json") {
		return e.printJSON(madeKey{key.Public().String(), path})
	}
	_, err = fmt.Fprintln(e.stdout, key.Public())
	return err
}
