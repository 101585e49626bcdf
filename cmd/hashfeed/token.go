package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func tokenCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "make, list and revoke tokens for the HTTP API",
		Subcommands: []*cli.Command{
			{
				Name: "create", Usage: "make a token; it is shown once and stored hashed",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "scope", Usage: "what it may do: `SCOPES` out of match, read, publish, propose, admin, with commas"},
					&cli.StringFlag{Name: "name", Usage: "to tell it by (`N`); default a random one"},
					passphraseFlag(), jsonFlag(),
				},
				Action: func(c *cli.Context) error { return tokenCreate(e, c) },
			},
			{
				Name: "list", Usage: "list tokens: names and scopes", Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
				Action: func(c *cli.Context) error { return tokenList(e, c) },
			},
			{
				Name: "revoke", Usage: "revoke a token at once", ArgsUsage: "NAME", Flags: []cli.Flag{passphraseFlag(), jsonFlag()},
				Action: func(c *cli.Context) error { return tokenRevoke(e, c) },
			},
		},
	}
}

func tokenCreate(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	scopes := listFlag(c, "scope")
	if len(scopes) == 0 {
		return usagef("token create: --scope is missing (%s)", strings.Join(api.Scopes(), ", "))
	}
	for _, s := range scopes {
		if !api.ValidScope(s) {
			return usagef("token create: --scope %q: must be of %s", s, strings.Join(api.Scopes(), ", "))
		}
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	t, err := door.CreateToken(c.Context, api.CreateToken{Name: c.String("name"), Scopes: scopes})
	if err != nil {
		return fmt.Errorf("token create: %w", err)
	}
	if c.Bool("json") {
		return e.printJSON(t)
	}
	fmt.Fprintf(e.stderr, "token %s (%s): write it down, it is not shown again\n", t.Name, strings.Join(t.Scopes, ","))
	_, err = fmt.Fprintln(e.stdout, t.Token)
	return err
}

func tokenList(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	tokens, err := door.Tokens(c.Context)
	if err != nil {
		return fmt.Errorf("token list: %w", err)
	}
	for _, t := range tokens {
		if c.Bool("json") {
			err = e.printJSON(t)
		} else {
			_, err = fmt.Fprintf(e.stdout, "%s\t%s\tcreated %s\n", t.Name, strings.Join(t.Scopes, ","), t.Created)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func tokenRevoke(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	name := c.Args().First()
	if err := door.RevokeToken(c.Context, name); err != nil {
		return fmt.Errorf("token revoke %s: %w", name, err)
	}
	fmt.Fprintf(e.stderr, "token %s is revoked\n", name)
	return nil
}
