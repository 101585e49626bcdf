package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/node/api"
)

func feedReceiptsCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "receipts", Usage: "print which members have stored an own feed, and up to where", ArgsUsage: "[FEED]",
		Description: "A member's receipt is its cosignature: all records below its size are stored there, and all retractions among them\n" +
			"have acted. Whoever is furthest behind comes first.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "pending-retractions", Usage: "print which retracts each member hasn't acknowledged yet"},
			passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1); err != nil {
				return err
			}
			return e.withDoor(c, func(door api.Verbs) error {
				r, err := door.Receipts(c.Context, c.Args().First(), c.Bool("pending-retractions"))
				if err != nil {
					return err
				}
				if c.Bool("json") {
					return e.printJSON(r)
				}
				return e.printReceipts(r, c.Bool("pending-retractions"))
			})
		},
	}
}

func (e *env) printReceipts(r api.Receipts, pending bool) error {
	fmt.Fprintf(e.stdout, "%s: size %d, %d members and former members\n", r.Origin, r.Size, len(r.Members))
	for _, m := range r.Members {
		var what string
		switch {
		case m.State == "never":
			what = "has never sent a receipt"
		case m.LagRecords > 0:
			what = fmt.Sprintf("has %d, %d records behind for %s (%s)", m.Size, m.LagRecords, time.Duration(m.LagS)*time.Second, m.Time)
		default:
			what = fmt.Sprintf("has all %d (%s)", m.Size, m.Time)
		}
		name := m.Name
		if m.Witness {
			name += " (witness)"
		}
		if m.State == "former" {
			name += " (no member)"
		}
		if _, err := fmt.Fprintf(e.stdout, "%s %s\n", name, what); err != nil {
			return err
		}
		if pending && m.Pending > 0 {
			fmt.Fprintf(e.stdout, "  %d retractions not acknowledged: %s\n", m.Pending, strings.Join(m.PendingRetractions, " "))
		}
	}
	return nil
}
