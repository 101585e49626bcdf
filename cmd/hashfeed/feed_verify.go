package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
)

func feedVerifyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check a feed kept as plain files, with nothing but its anchor", ArgsUsage: "DIR",
		Description: "Needs no node and no network. Exit code 2: nothing is wrong, but there are no entries to check; 3: not valid.",
		Flags: []cli.Flag{
			anchorFlag(), &cli.Int64Flag{Name: "now", Usage: "judge as at this time (`UNIX` seconds); default now"}, jsonFlag(),
		},
		Action: func(c *cli.Context) error { return feedVerify(e, c) },
	}
}

func feedVerify(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	anchor, err := readAnchor(c)
	if err != nil {
		return err
	}
	now := time.Now().Unix()
	if c.IsSet("now") {
		if now = c.Int64("now"); now < 0 {
			return usagef("feed verify: --now must not be negative")
		}
	}
	dir := c.Args().First()
	if info, err := os.Stat(dir); err != nil {
		return fmt.Errorf("feed verify: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("feed verify: %s is not a directory", dir)
	}
	r, err := feed.VerifyMirror(os.DirFS(dir), anchor, now)
	if err != nil {
		return fmt.Errorf("feed verify %s: %w", dir, err)
	}
	if c.Bool("json") {
		err = e.printJSON(r)
	} else {
		err = e.printMirrorReport(dir, r)
	}
	switch {
	case err != nil:
		return err
	case !r.Valid:
		return untrueError{fmt.Errorf("feed verify %s: %s", dir, r.Problem)}
	case !r.Entries:
		return fmt.Errorf("feed verify %s: no entries: the records were not checked", dir)
	}
	return nil
}

func (e *env) printMirrorReport(dir string, r feed.MirrorReport) error {
	if !r.Valid {
		return nil
	}
	for _, l := range r.Logs {
		fmt.Fprintf(e.stdout, "%s: size %d, root %s\n", l.Origin, l.Size, l.Root)
	}
	if r.Report == nil {
		return nil
	}
	for _, op := range slices.Sorted(maps.Keys(r.Records)) {
		fmt.Fprintf(e.stdout, "%s %d\n", op, r.Records[op])
	}
	for _, code := range slices.Sorted(maps.Keys(r.Void)) {
		fmt.Fprintf(e.stdout, "void %s: %d\n", code, len(r.Void[code]))
	}
	for _, code := range slices.Sorted(maps.Keys(r.Refused)) {
		fmt.Fprintf(e.stdout, "refused %s: %d\n", code, len(r.Refused[code]))
	}
	fmt.Fprintf(e.stdout, "active %d, held %d, pending %d, retracted %d, erased %d\n", r.Counts.Active, r.Counts.Held, r.Counts.Pending,
		r.Counts.Retracted, r.Counts.Erased)
	if len(r.Missing) > 0 {
		fmt.Fprintf(e.stdout, "bodies missing: %d\n", len(r.Missing))
	}
	_, err := fmt.Fprintf(e.stdout, "%s: valid\n", dir)
	return err
}
