package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"hashfeed/node"
)

func initCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "init", Usage: "make a node: its keys, its config and its own feed",
		Description: "Without a passphrase the keys are unsealed, readable by this user only. Nothing that exists is overwritten.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "name", Usage: "a domain that you own (`NAME`); it stands in every record's reference"},
			&cli.StringFlag{Name: "role", Usage: "`ROLE` is hotline, liaison or host"},
			&cli.StringFlag{Name: "harm", Usage: "what the own feed lists: `HARM` is csam, ncii or tvec"},
			&cli.StringFlag{Name: "feed", Usage: "the own feed's short name `F`; default known, for a host local"},
			&cli.StringFlag{Name: "contact", Usage: "whom a host calls (`C`), in the charter"},
			passphraseFlag(),
		},
		Action: func(c *cli.Context) error { return initNode(e, c) },
	}
}

func initNode(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	o := node.InitOptions{Name: c.String("name"), Role: c.String("role"), Harm: c.String("harm"), Feed: c.String("feed"),
		Contact: c.String("contact"), Now: time.Now()}
	if err := e.askMissing(&o); err != nil {
		return err
	}
	if err := o.Check(); err != nil {
		return usagef("init: %v", err)
	}
	var err error
	if o.Passphrase, err = e.passphrase(c); err != nil {
		return err
	}
	dir, err := e.dir()
	if err != nil {
		return err
	}
	made, err := node.Init(dir, o)
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	fmt.Fprintf(e.stderr, "made %s (%s) in %s\nfeed   %s, harm %s\nanchor %s\n", o.Name, o.Role, dir, made.Origin, o.Harm, made.Anchor)
	if o.Contact == "" {
		fmt.Fprintln(e.stderr, "hint: the charter names no contact; hosts will want somebody to call (init --contact)")
	}
	return nil
}

// askMissing asks on a terminal for what no flag gave; elsewhere that is wrong usage.
func (e *env) askMissing(o *node.InitOptions) error {
	questions := []struct {
		flag, text string
		value      *string
	}{
		{"name", "the node's name, a domain that you own", &o.Name},
		{"role", "its role: hotline, liaison or host", &o.Role},
		{"harm", "what its feed lists: csam, ncii or tvec", &o.Harm},
	}
	var lines *bufio.Scanner
	for _, q := range questions {
		if *q.value != "" {
			continue
		}
		if !isTerminal(e.stdin) || !isTerminal(e.stderr) {
			return usagef("init: --%s is missing", q.flag)
		}
		if lines == nil {
			lines = bufio.NewScanner(os.Stdin)
		}
		fmt.Fprintf(e.stderr, "%s: ", q.text)
		if !lines.Scan() {
			return usagef("init: --%s is missing", q.flag)
		}
		*q.value = strings.TrimSpace(lines.Text())
	}
	return nil
}
