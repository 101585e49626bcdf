package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node"
)

func feedCharterSignCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "sign", Usage: "add a signature to a proposed charter", ArgsUsage: "FILE",
		Description: "With --key it needs no node, no network and no DIR: FILE is carried to the machine that has the key, and back. It says what it signs.\n" +
			"A root key signs the charter; the key of a signer of a new log signs that log's first checkpoint, in the same file.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "key", Usage: "sign with this `KEYFILE`; default the root key under DIR"},
			passphraseFlag(),
		},
		Action: func(c *cli.Context) error { return feedCharterSign(e, c) },
	}
}

func feedCharterSign(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	path, keyPath := c.Args().First(), c.String("key")
	p, err := readProposal(path)
	if err != nil {
		return fmt.Errorf("feed charter sign: %w", err)
	}
	charter := p.Charter()
	if keyPath == "" {
		dir, err := e.dir()
		if err != nil {
			return err
		}
		keyPath = node.RootKeyFile(dir, charter.Feed)
	}
	key, err := e.loadKey(c, keyPath)
	if errors.Is(err, fs.ErrNotExist) && c.String("key") == "" {
		return fmt.Errorf("feed charter sign: the root key of %s isn't on this node: carry %s to the machine that has it, and sign there with --key", charter.Feed, path)
	}
	if err != nil {
		return fmt.Errorf("feed charter sign: %w", err)
	}
	signed, err := p.Sign(key)
	if err != nil {
		return fmt.Errorf("feed charter sign: %w", err)
	}
	e.tellProposal(signed, key.Public())
	if err := renameio.WriteFile(path, signed.Bytes(), 0o644); err != nil {
		return fmt.Errorf("feed charter sign: %w", err)
	}
	return nil
}

// tellProposal says what is being signed: what changes, as far as the file can be believed about the charter before, else the whole text.
func (e *env) tellProposal(p feed.Proposal, key crypto.PublicKey) {
	charter := p.Charter()
	before, has := p.Before()
	fmt.Fprintf(e.stderr, "%s, version %d\n", charter.Feed, charter.Version)
	if has {
		fmt.Fprintf(e.stderr, "   %s\n", strings.Join(feed.Changes(before, charter), "\n   "))
	}
	if !has || !p.Known(key) {
		fmt.Fprintf(e.stderr, "this key has not signed the version before, so that what changes is only what the file says; this is the whole text:\n\n%s\n", p.Text())
	}
	fmt.Fprintf(e.stderr, "signed by %s\n", key)
	if has {
		for _, q := range p.Quotas(before) {
			fmt.Fprintf(e.stderr, "%s: %d of %d have signed\n", q.Of, len(q.Have), q.Need)
		}
	}
}
