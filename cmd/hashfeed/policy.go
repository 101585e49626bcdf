package main

import "github.com/urfave/cli/v2"

func policyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "policy", Usage: "see why an upload is answered as it is, try another policy, switch to it",
		Subcommands: []*cli.Command{policyExplainCommand(e), policyTestCommand(e), policyPromoteCommand(e)},
	}
}
