package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node"
)

func signerCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "signer", Usage: "make and show the keys of a feed's signers",
		Subcommands: []*cli.Command{signerCreateCommand(e), signerAgentCommand(e)},
	}
}

func signerCreateCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "create", Usage: "make a signer's key, and print its vkey", ArgsUsage: "ORIGIN FILE",
		Description: "ORIGIN is the log that the key will sign, such as hotline.example/known/1. Give the vkey to whoever writes the feed's\n" +
			"charter; FILE stays with the signer. What the signer has signed is remembered in FILE.signed: keep the two together.",
		Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, 2); err != nil {
				return err
			}
			origin, err := originArg(c)
			if err != nil {
				return err
			}
			passphrase, err := e.passphrase(c)
			if err != nil {
				return err
			}
			key, err := crypto.GenerateKey(string(origin), crypto.TypeSignature)
			if err != nil {
				return err
			}
			if err := key.Save(c.Args().Get(1), passphrase); err != nil {
				return fmt.Errorf("signer create: %w", err)
			}
			return e.printVKey(c, key.Public(), "")
		},
	}
}

func signerAgentCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "agent", Usage: "print the vkeys of the Ed25519 keys in the ssh-agent", ArgsUsage: "ORIGIN",
		Description: "ORIGIN is the log that the key will sign. Any plain Ed25519 key will do (ssh-keygen -t ed25519), best one of its own that\n" +
			"opens no doors; ssh-add -c has the agent ask before each signature.",
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			origin, err := originArg(c)
			if err != nil {
				return err
			}
			keys, err := node.AgentKeys(string(origin))
			if err != nil {
				return fmt.Errorf("signer agent: %w", err)
			}
			for _, k := range keys {
				if err := e.printVKey(c, k.Public, k.Comment); err != nil {
					return err
				}
			}
			if len(keys) == 0 {
				return fmt.Errorf("signer agent: the ssh-agent has no plain Ed25519 key (ssh-keygen -t ed25519, ssh-add)")
			}
			return nil
		},
	}
}

func originArg(c *cli.Context) (feed.Origin, error) {
	origin, err := feed.ParseOrigin(c.Args().First())
	if err != nil {
		return "", usagef("%s: %v", c.Command.HelpName, err)
	}
	return origin, nil
}

// printVKey prints a key that may be given to anybody.
func (e *env) printVKey(c *cli.Context, key crypto.PublicKey, comment string) error {
	if c.Bool("json") {
		return e.printJSON(struct {
			VKey    string `json:"vkey"`
			Comment string `json:"comment,omitempty"`
		}{key.String(), comment})
	}
	if comment != "" {
		fmt.Fprintf(e.stderr, "%q:\n", comment)
	}
	_, err := fmt.Fprintln(e.stdout, key)
	return err
}
