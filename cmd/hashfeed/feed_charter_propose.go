package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func feedCharterProposeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "propose", Usage: "write the next charter of an own feed, to be signed by its roots", ArgsUsage: "[FEED]",
		Description: "What no flag names stays as it is; the harm and the use never change. --close ends the log at its newest checkpoint, or one that\n" +
			"is held of another size, and has the next one begin with fresh keys: when a signer was stolen, or when others are to sign.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "write it to `FILE`, which must not exist; default standard output"},
			&cli.StringFlag{Name: "expires", Usage: "how long it holds, in days (`365d`)", Value: "365d"},
			&cli.StringFlag{Name: "contact", Usage: "whom a host calls (`C`)"},
			&cli.StringFlag{Name: "answer", Usage: "how soon disputes are answered (`2d`)"},
			&cli.StringFlag{Name: "maxage", Usage: "when answers are stale, and when additions are doubtful (`6h,72h`)"},
			&cli.StringFlag{Name: "audience", Usage: "`WHO` may read it: police, hotlines, hosts, with commas; or none"},
			&cli.StringFlag{Name: "quorum", Usage: "`K` of the witnesses must cosign before additions count; or none"},
			&cli.StringFlag{Name: "witness", Usage: "with --quorum: all witnesses' `VKEYS`, with commas"},
			&cli.StringFlag{Name: "root", Usage: "`K` of the root keys must sign charters"},
			&cli.StringFlag{Name: "root-key", Usage: "with --root: all root keys' `VKEYS`, with commas"},
			&cli.BoolFlag{Name: "close", Usage: "end the current log, and begin another with fresh keys"},
			&cli.StringFlag{Name: "at", Usage: "with --close: at this `SIZE`; default all that was signed"},
			&cli.StringFlag{Name: "signers", Usage: "with --close: `K` of the new signers must sign; default 1"},
			&cli.StringFlag{Name: "signer-key", Usage: "with --signers: the other signers' `VKEYS`, with commas; one is made here"},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error { return feedCharterPropose(e, c) },
	}
}

func feedCharterPropose(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 1); err != nil {
		return err
	}
	r, err := proposalFlags(c)
	if err != nil {
		return err
	}
	return e.withDoor(c, func(door api.Verbs) error {
		p, err := door.ProposeCharter(c.Context, r)
		if err != nil {
			return err
		}
		if out := c.String("out"); out != "" {
			if err := writeNew(out, []byte(p.File)); err != nil {
				return err
			}
		}
		if c.Bool("json") {
			return e.printJSON(p)
		}
		fmt.Fprintf(e.stderr, "%s\n   %s\n%s%s", p.Feed, strings.Join(p.Changes, "\n   "), pastText(p.Past), wantsText(p.Wants))
		if c.String("out") == "" {
			_, err = fmt.Fprint(e.stdout, p.File)
		}
		return err
	})
}

func proposalFlags(c *cli.Context) (r api.ProposeCharter, err error) {
	r = api.ProposeCharter{Feed: c.Args().First(), Contact: c.String("contact"), Answer: c.String("answer"), Audience: listFlag(c, "audience"), Close: c.Bool("close")}
	text, isDays := strings.CutSuffix(c.String("expires"), "d")
	if r.Days, err = strconv.Atoi(text); err != nil || !isDays || r.Days < 1 {
		return r, usagef("feed charter propose: --expires %q: must be a number of days, such as 365d", c.String("expires"))
	}
	if c.IsSet("maxage") {
		var ok bool
		if r.SoftAge, r.HardAge, ok = strings.Cut(c.String("maxage"), ","); !ok {
			return r, usagef("feed charter propose: --maxage %q: must be two terms, such as 6h,72h", c.String("maxage"))
		}
	}
	for _, term := range []string{r.Answer, r.SoftAge, r.HardAge} {
		if _, err := feed.ParseTerm(term); term != "" && err != nil {
			return r, usagef("feed charter propose: %v", err)
		}
	}
	if c.String("quorum") == "none" && !c.IsSet("witness") {
		r.Quorum = &api.KeyGroup{}
	} else if r.Quorum, err = groupFlags(c, "quorum", "witness"); err != nil {
		return r, err
	}
	if r.Root, err = groupFlags(c, "root", "root-key"); err != nil {
		return r, err
	}
	if r.Signers, err = groupFlags(c, "signers", "signer-key"); err != nil {
		return r, err
	}
	if !r.Close && (r.Signers != nil || c.IsSet("at")) {
		return r, usagef("feed charter propose: --at and --signers need --close: the signers of a log never change")
	}
	if c.IsSet("at") {
		at, err := strconv.ParseUint(c.String("at"), 10, 64)
		if err != nil {
			return r, usagef("feed charter propose: --at %q: must be a size", c.String("at"))
		}
		r.At = &at
	}
	return r, nil
}

// groupFlags reads a threshold and its keys, nil where neither flag stands.
func groupFlags(c *cli.Context, number, keys string) (*api.KeyGroup, error) {
	if !c.IsSet(number) && !c.IsSet(keys) {
		return nil, nil
	}
	k, err := strconv.Atoi(c.String(number))
	if err != nil || k < 1 || k > feed.MaxGroup {
		return nil, usagef("%s: --%s %q: must be how many of --%s must sign, 1 to %d", c.Command.HelpName, number, c.String(number), keys, feed.MaxGroup)
	}
	g := &api.KeyGroup{K: k, VKeys: listFlag(c, keys)}
	if len(g.VKeys) == 0 {
		return nil, usagef("%s: --%s needs --%s", c.Command.HelpName, number, keys)
	}
	return g, nil
}
