package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

func followCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "follow", Usage: "follow another node's feed", ArgsUsage: "INVITE",
		Description: "Prints 30 digits: compare them with the publisher by telephone. A publisher that is away, or to which this node isn't\n" +
			"a member yet, is no error: the feed comes when it can. Matches only log until you raise --action.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "harm", Usage: "refuse the feed if its charter lists another `HARM`"},
			&cli.StringFlag{Name: "verdicts", Usage: "trust it for these `VERDICTS`, with commas", Value: "baseline"},
			&cli.StringFlag{Name: "action", Usage: "for an exact match: `A` is log, review or block", Value: "log"},
			&cli.StringFlag{Name: "near", Usage: "for a neighbour by PDQ (`A`)", Value: "log"},
			&cli.StringFlag{Name: "weak", Usage: "for MD5 or SHA-1 alone (`A`)", Value: "log"},
			&cli.BoolFlag{Name: "replace", Usage: "pin this invite's anchor instead of the one held: the publisher lost its root keys"},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error { return follow(e, c) },
	}
}

func follow(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	r := api.Follow{Invite: c.Args().First(), Harm: c.String("harm"), Replace: c.Bool("replace")}
	if r.Harm != "" {
		if _, err := feed.ParseHarm(r.Harm); err != nil {
			return usagef("follow: --harm: %v", err)
		}
	}
	// With --replace, what isn't said anew keeps its value.
	given := func(name string) string {
		if r.Replace && !c.IsSet(name) {
			return ""
		}
		return c.String(name)
	}
	if given("verdicts") != "" {
		r.Verdicts = listFlag(c, "verdicts")
	}
	for _, v := range r.Verdicts {
		if verdict, err := feed.ParseVerdict(v); err != nil || verdict == feed.Test {
			return usagef("follow: --verdicts %q: must be of baseline, national, doubtful", v)
		}
	}
	r.Action, r.Near, r.Weak = given("action"), given("near"), given("weak")
	for _, a := range []string{r.Action, r.Near, r.Weak} {
		if _, err := policy.ParseAction(a); a != "" && err != nil {
			return usagef("follow: %v", err)
		}
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	f, err := door.Follow(c.Context, r)
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	if c.Bool("json") {
		return e.printJSON(f)
	}
	fmt.Fprintf(e.stdout, "publisher %s, feed %s\ncompare by telephone: %s\n", f.Publisher, f.Feed, f.Digits)
	if f.Harm != "" {
		fmt.Fprintf(e.stdout, "harm %s, for %s, contact %s\n", f.Harm, strings.Join(f.Audience, ","), f.Contact)
	}
	if f.StateText != "" {
		fmt.Fprintf(e.stdout, "%s: %s\n", f.State, f.StateText)
	}
	return nil
}
