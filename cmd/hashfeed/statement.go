package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// statement runs a command that says one thing about one record, and prints what came of it.
func statement(e *env, c *cli.Context, do func(context.Context, api.Verbs, feed.Ref) (api.Published, error)) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	ref, err := feed.ParseRef(c.Args().First())
	if err != nil {
		return fmt.Errorf("%s: %w", c.Command.Name, err)
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	published, err := do(c.Context, door, ref)
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.Command.Name, ref, err)
	}
	e.sayAwaits(published.Batch)
	return e.printJSON(published)
}

// sayAwaits tells whoever lists something in a feed that several must sign that it doesn't count yet.
func (e *env) sayAwaits(batch string) {
	if batch != "" {
		fmt.Fprintf(e.stderr, "it awaits approval by another signer: hashfeed approve %s\n", batch)
	}
}

// reasonFlag reads --reason, of which there is no default: a retraction says why.
func reasonFlag(c *cli.Context) (feed.Reason, error) {
	text := c.String("reason")
	if text == "" {
		return 0, usagef("%s: --reason is missing", c.Command.Name)
	}
	reason, err := feed.ParseReason(text)
	if err != nil {
		return 0, usagef("%s: --reason %q: %v", c.Command.Name, text, err)
	}
	return reason, nil
}
