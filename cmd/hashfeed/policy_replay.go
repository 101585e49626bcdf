package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

func policyTestCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "replay the journal under another policy; nothing is changed", ArgsUsage: "[ORIGIN]",
		Description: "What isn't said is as it is in force: without flags it tells what today's policy would have answered. ORIGIN is the followed feed\n" +
			"whose rule is another, by default all that are followed. With --config the whole policy is another: what FILE says under [policy],\n" +
			"[own] and [[follow]], as if the node had started with it; what the file doesn't say is the default. Allowed uploads were not\n" +
			"kept: what a larger distance would find more is not counted.",
		Flags: append(actionFlags(),
			&cli.StringFlag{Name: configName, Usage: "replay under the policy of `FILE`, a hashfeed.toml that isn't in force; nothing else can be said then"},
			&cli.StringFlag{Name: "verdicts", Usage: "trust it for these `VERDICTS`, with commas"},
			&cli.IntFlag{Name: "max-distance", Usage: "of a neighbour by PDQ, in `BITS`"},
			&cli.IntFlag{Name: "min-publishers", Usage: "`N` that must say the same before more than review is done"},
			replaySinceFlag(), passphraseFlag(), jsonFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1); err != nil {
				return err
			}
			r, err := policyTestOf(c)
			if err != nil {
				return err
			}
			if c.IsSet("verdicts") {
				r.Verdicts = listFlag(c, "verdicts")
				for _, v := range r.Verdicts {
					if verdict, err := feed.ParseVerdict(v); err != nil || verdict == feed.Test {
						return usagef("policy test: --verdicts %q: must be of baseline, national, doubtful", v)
					}
				}
			}
			for _, v := range []struct {
				flag string
				to   **int
			}{{"max-distance", &r.MaxDistance}, {"min-publishers", &r.MinPublishers}} {
				if c.IsSet(v.flag) {
					n := c.Int(v.flag)
					*v.to = &n
				}
			}
			if c.IsSet(configName) {
				if r.Config, err = candidateOf(e, c); err != nil {
					return err
				}
			}
			return e.withDoor(c, func(door api.Verbs) error {
				t, err := door.PolicyTest(c.Context, r)
				if err != nil {
					return fmt.Errorf("policy test: %w", err)
				}
				if c.Bool("json") {
					return e.printJSON(t)
				}
				showReplay(e, t)
				for _, w := range t.Warnings {
					fmt.Fprintf(e.stderr, "warning: %s\n", w)
				}
				return nil
			})
		},
	}
}

const configName = "config"

// candidateOf reads the config that --config names.
func candidateOf(e *env, c *cli.Context) (string, error) {
	for _, other := range []string{"action", "near", "weak", "verdicts", "max-distance", "min-publishers"} {
		if c.IsSet(other) {
			return "", usagef("policy test: --config says the whole policy: it stands without --%s", other)
		}
	}
	if c.NArg() > 0 {
		return "", usagef("policy test: --config says the whole policy: it stands without ORIGIN")
	}
	dir, err := e.dir()
	if err != nil {
		return "", err
	}
	text, err := node.ReadCandidate(dir, c.String(configName))
	if err == nil && strings.TrimSpace(text) == "" {
		err = fmt.Errorf("%s: it is empty", c.String(configName))
	}
	if err != nil {
		return "", fmt.Errorf("policy test: %w", err)
	}
	return text, nil
}

func actionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "action", Usage: "for an exact match: `A` is log, review or block"},
		&cli.StringFlag{Name: "near", Usage: "for a neighbour by PDQ or PhotoDNA (`A`)"},
		&cli.StringFlag{Name: "weak", Usage: "for MD5 or SHA-1 alone (`A`)"},
	}
}

func replaySinceFlag() cli.Flag {
	return &cli.StringFlag{Name: "since", Usage: "replay from `TIME` on: a date, or so long ago: 7d, 12h", Value: "7d"}
}

// policyTestOf reads ORIGIN, the actions and --since.
func policyTestOf(c *cli.Context) (r api.PolicyTest, err error) {
	r.Feed = c.Args().First()
	r.Actions = api.Actions{Action: c.String("action"), Near: c.String("near"), Weak: c.String("weak")}
	for _, a := range []string{r.Action, r.Near, r.Weak} {
		if _, err := policy.ParseAction(a); a != "" && err != nil {
			return r, usagef("%s: %v", c.Command.HelpName, err)
		}
	}
	r.Since, _, err = times(c)
	return r, err
}

// showReplay prints what would have been otherwise.
func showReplay(e *env, t api.PolicyTested) {
	fmt.Fprintf(e.stdout, "%d decisions since %s replayed\n", t.Decisions, t.Since.UTC().Format("2006-01-02 15:04 MST"))
	for _, s := range []struct {
		verb string
		api.PolicyShift
	}{{"blocked", t.Block}, {"sent to review", t.Review}} {
		fmt.Fprintf(e.stdout, "would have %s %d more uploads, of them %d known-good, %d that people called false; and %d fewer (%d instead of %d)\n",
			s.verb, s.More, s.KnownGood, s.False, s.Fewer, s.Would, s.Was)
	}
	if t.Held > 0 {
		fmt.Fprintf(e.stdout, "%d have a match that is held: suspended, disputed, known-good and the like, which never blocks\n", t.Held)
	}
	if t.Skipped > 0 {
		fmt.Fprintf(e.stdout, "%d more were skipped: the journal doesn't keep enough of them\n", t.Skipped)
	}
	for _, s := range t.Samples {
		fmt.Fprintf(e.stdout, "  %s  %s  %s -> %s\n", s.Decision, s.Time.UTC().Format("2006-01-02 15:04"), s.Was, s.Would)
	}
	fmt.Fprintf(e.stdout, "note: %s\n", t.Note)
}
