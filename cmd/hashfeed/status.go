package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

// watchEvery is how often status --watch asks again.
const watchEvery = 2 * time.Second

func statusCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "print the state of the node, its feeds and its peers",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "watch", Usage: "again every two seconds, until interrupted"}, passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			door, closeDoor, err := e.door(c)
			if err != nil {
				return err
			}
			defer closeDoor()
			for {
				s, err := door.Status(c.Context)
				if err != nil {
					return fmt.Errorf("status: %w", err)
				}
				if c.Bool("watch") && isTerminal(e.stdout) && !c.Bool("json") {
					fmt.Fprint(e.stdout, "\x1b[H\x1b[2J")
				}
				if err := e.printStatus(c, s); err != nil || !c.Bool("watch") {
					return err
				}
				select {
				case <-c.Context.Done():
					return nil
				case <-time.After(watchEvery):
				}
			}
		},
	}
}

func (e *env) printStatus(c *cli.Context, s api.Status) error {
	if c.Bool("json") {
		return e.printJSON(s)
	}
	fmt.Fprintf(e.stdout, "%s (%s), hashfeed %s\n", s.Name, s.Role, s.Version)
	for _, f := range s.Feeds {
		e.printFeedLine(f)
	}
	for _, p := range s.Peers {
		state := "not connected"
		if p.Connected {
			state = fmt.Sprintf("connected, %d ms", p.LatencyMS)
		}
		fmt.Fprintf(e.stdout, "peer   %s %s: %s\n", p.Name, p.PeerID, state)
	}
	fmt.Fprint(e.stdout, "tables")
	for _, kind := range slices.Sorted(maps.Keys(s.Tables)) {
		fmt.Fprintf(e.stdout, " %s %d", kind, s.Tables[kind])
	}
	fmt.Fprintln(e.stdout)
	if s.Index.Note != "" {
		fmt.Fprintf(e.stdout, "index  made anew from the log in %.1f s: %s\n", s.Index.Seconds, s.Index.Note)
	}
	for _, a := range s.Alarms {
		fmt.Fprintf(e.stdout, "ALARM  %s %s: %s\n       %s\n", a.Code, a.Feed, a.Text, a.Remedy)
	}
	return nil
}

func (e *env) printFeedLine(f api.FeedInfo) {
	fmt.Fprintf(e.stdout, "feed   %s (%s, %s): %s, size %d, active %d, retracted %d, %s old\n", f.Origin, f.Role, f.Harm, f.State,
		f.Size, f.Active, f.Retracted, time.Duration(f.AgeS)*time.Second)
	if f.StateText != "" {
		fmt.Fprintf(e.stdout, "       %s\n", f.StateText)
	}
}
