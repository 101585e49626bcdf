package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func policyPromoteCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "promote", Usage: "switch a followed feed's actions, after a look at what they would have done", ArgsUsage: "ORIGIN",
		Description: "Prints what policy test says of them, asks, and changes the feed's [[follow]] block; a running daemon answers by it at once.\n" +
			"An action that isn't named stays as it is.",
		Flags: append(actionFlags(), replaySinceFlag(), &cli.BoolFlag{Name: "yes", Usage: "switch without asking"}, passphraseFlag(), jsonFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			r, err := policyTestOf(c)
			if err != nil {
				return err
			}
			if r.Actions == (api.Actions{}) {
				return usagef("policy promote: say what to switch: --action, --near or --weak")
			}
			return e.withDoor(c, func(door api.Verbs) error { return promote(e, c, door, r) })
		},
	}
}

func promote(e *env, c *cli.Context, door api.Verbs, r api.PolicyTest) error {
	t, err := door.PolicyTest(c.Context, r)
	if err != nil {
		return fmt.Errorf("policy promote: %w", err)
	}
	if !c.Bool("json") {
		showReplay(e, t)
	}
	if err := e.confirm(c, fmt.Sprintf("switch %s?", r.Feed)); err != nil {
		return err
	}
	p, err := door.Promote(c.Context, api.Promote{Feed: r.Feed, Actions: r.Actions})
	if err != nil {
		return fmt.Errorf("policy promote: %w", err)
	}
	if c.Bool("json") {
		return e.printJSON(struct {
			api.Promoted
			Test api.PolicyTested `json:"test"`
		}{p, t})
	}
	fmt.Fprintf(e.stdout, "%s: action %s, action_near %s, action_weak %s\n", p.Feed, p.Action, p.Near, p.Weak)
	for _, w := range p.Warnings {
		fmt.Fprintf(e.stderr, "warning: %s\n", w)
	}
	return nil
}
