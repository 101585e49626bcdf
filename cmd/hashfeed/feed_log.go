package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func feedLogCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "log", Usage: "print a feed's records in order", ArgsUsage: "[FEED]",
		Description: "Without --json, hashes are shortened.",
		Flags: []cli.Flag{
			&cli.Uint64Flag{Name: "from", Usage: "the first index to print (`N`)"},
			&cli.Uint64Flag{Name: "count", Usage: "how many at most (`N`, 0: all)"},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error { return feedLog(e, c) },
	}
}

func feedLog(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 1); err != nil {
		return err
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	for r, err := range door.Log(c.Context, c.Args().First(), c.Uint64("from"), c.Uint64("count")) {
		if err != nil {
			return fmt.Errorf("feed log: %w", err)
		}
		if c.Bool("json") {
			if err := e.printJSON(r); err != nil {
				return err
			}
			continue
		}
		words := []string{r.Ref, r.Time, r.Op}
		switch {
		case r.Void != "":
			words = append(words, "void:"+r.Void)
		case r.Refused != "":
			words = append(words, "refused:"+r.Refused)
		}
		if r.Reason != "" {
			words = append(words, r.Reason)
		}
		if r.Subject != "" {
			words = append(words, "of "+r.Subject)
		}
		if r.Item != "" && r.Item != r.Ref {
			words = append(words, "item "+r.Item)
		}
		if r.Facts != nil {
			words = append(words, r.Facts.Verdict, r.Facts.Media)
		}
		for _, h := range r.Hashes {
			words = append(words, shorten(h))
		}
		if r.State != "" {
			words = append(words, "("+r.State+")")
		}
		if _, err := fmt.Fprintln(e.stdout, strings.Join(words, " ")); err != nil {
			return err
		}
	}
	return nil
}

// shorten cuts a hash to its kind and first eight digits, for the screen.
func shorten(hash string) string {
	alg, hex, _ := strings.Cut(hash, ":")
	if len(hex) > 8 {
		hex = hex[:8] + "…"
	}
	return alg + ":" + hex
}
