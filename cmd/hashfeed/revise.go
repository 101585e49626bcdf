package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/api"
)

func reviseCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "revise", Usage: "add to what a record says of its item, or reinstate a retracted one", ArgsUsage: "REF",
		Description: "A revision may add hashes and facts. It may not drop a hash or lower the verdict: retract and publish instead,\n" +
			"so that a correction never waits for a quorum.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "hash", Usage: "a further hash of the item (`ALG:HEX`), repeatable"},
			&cli.StringFlag{Name: "verdict", Usage: "`V` is baseline, national or doubtful"},
			&cli.IntFlag{Name: "verified-by", Usage: "how many assessed it independently (`N`, 1-255)"},
			&cli.IntFlag{Name: "severity", Usage: "`N`, 1-4"},
			&cli.StringFlag{Name: "age-band", Usage: "`BAND` is undetermined, infant, prepubescent, pubescent or adult"},
			&cli.StringFlag{Name: "source", Usage: "`SCHEME:CODE`"},
			&cli.StringFlag{Name: "not-before", Usage: "no effect until this `TIME` (RFC 3339)"},
			&cli.BoolFlag{Name: "reinstate", Usage: "list a retracted item again"},
			overrideFlag(), aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			r := api.Revision{Hashes: c.StringSlice("hash"), Verdict: c.String("verdict"), VerifiedBy: c.Int("verified-by"),
				Severity: c.Int("severity"), AgeBand: c.String("age-band"), Source: c.String("source"),
				NotBefore: c.String("not-before"), Reinstate: c.Bool("reinstate"), OverrideKnownGood: c.String(overrideName)}
			if len(r.Hashes) == 0 && r.Verdict == "" && r.VerifiedBy == 0 && r.Severity == 0 && r.AgeBand == "" &&
				r.Source == "" && r.NotBefore == "" && !r.Reinstate && r.OverrideKnownGood == "" {
				return usagef("revise: nothing to revise was given")
			}
			if err := checkOverride(c, "revise"); err != nil {
				return err
			}
			if r.Verdict != "" {
				if _, err := feed.ParseVerdict(r.Verdict); err != nil {
					return usagef("revise: --verdict %q: %v", r.Verdict, err)
				}
			}
			return statement(e, c, func(ctx context.Context, door api.Verbs, ref feed.Ref) (api.Published, error) {
				return door.Revise(ctx, ref, r)
			})
		},
	}
}
