package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"hashfeed/node"
)

func runCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "run the node: serve its API and its peers until stopped",
		Description: "When it serves it prints one line on standard error: ready peer=ID listen=ADDR[,ADDR] api=http://HOST:PORT socket=PATH.\n" +
			"SIGTERM stops it cleanly, SIGHUP reads the config again.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Usage: "where peers reach it (`MULTIADDR`), repeatable; replaces the config's"},
			&cli.StringFlag{Name: "api", Usage: "where the HTTP API listens (`HOST:PORT`); replaces the config's"},
			aloneFlag(), passphraseFlag(),
		},
		Action: func(c *cli.Context) error { return runNode(e, c) },
	}
}

func runNode(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	dir, err := e.dir()
	if err != nil {
		return err
	}
	n, err := e.open(c, dir)
	if err != nil {
		return err
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	err = n.Run(c.Context, node.RunOptions{
		Listen: c.StringSlice("listen"), API: c.String("api"), Alone: c.Bool("alone"), Reload: reload, Logger: e.logger(n.LogLevel()),
		Ready: func(r node.Ready) { fmt.Fprintln(e.stderr, r) },
	})
	if closeErr := n.Close(); err == nil {
		err = closeErr
	}
	return err
}
