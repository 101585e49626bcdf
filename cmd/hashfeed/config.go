package main

import (
	"fmt"
	"path/filepath"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli/v2"

	"hashfeed/node"
)

func configCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "check and show hashfeed.toml",
		Subcommands: []*cli.Command{
			{
				Name: "check", Usage: "say whether the config is good, where it isn't, and what you hardly mean", Flags: []cli.Flag{jsonFlag()},
				Action: func(c *cli.Context) error {
					path, config, err := e.config(c)
					if err != nil {
						return err
					}
					if err := config.CheckFiles(filepath.Dir(path)); err != nil {
						return fmt.Errorf("%s: %w", path, err)
					}
					warnings := node.ConfigWarnings(filepath.Dir(path), config)
					if c.Bool("json") {
						return e.printJSON(map[string]any{"valid": true, "file": path, "warnings": warnings})
					}
					for _, w := range warnings {
						fmt.Fprintf(e.stderr, "warning: %s\n", w)
					}
					_, err = fmt.Fprintf(e.stdout, "%s: ok\n", path)
					return err
				},
			},
			{
				Name: "show", Usage: "print the config in force, defaults included", Flags: []cli.Flag{jsonFlag()},
				Action: func(c *cli.Context) error {
					_, config, err := e.config(c)
					if err != nil {
						return err
					}
					if c.Bool("json") {
						return e.printJSON(config)
					}
					return toml.NewEncoder(e.stdout).Encode(config)
				},
			},
		},
	}
}

func (e *env) config(c *cli.Context) (string, node.Config, error) {
	if err := wantArgs(c, 0, 0); err != nil {
		return "", node.Config{}, err
	}
	dir, err := e.dir()
	if err != nil {
		return "", node.Config{}, err
	}
	path := filepath.Join(dir, "hashfeed.toml")
	config, err := node.LoadConfig(path)
	return path, config, err
}
