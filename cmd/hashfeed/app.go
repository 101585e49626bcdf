package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// newApp is the command tree. Six habits of urfave/cli v2 are undone here, once: flags after arguments are lost
// (permute), usage errors go to standard output, an unknown command is no error, slices split at commas on their own,
// OnUsageError isn't inherited, and errors exit inside the library.
func newApp(e *env) *cli.App {
	app := &cli.App{
		Name:      "hashfeed",
		Usage:     "share fingerprints of verified abuse material, and check uploads against them, locally",
		UsageText: "hashfeed [--dir DIR] COMMAND [flags] [arguments]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "the node's `DIR`", EnvVars: []string{"HASHFEED_DIR"},
				DefaultText: "$XDG_DATA_HOME/hashfeed", Destination: &e.dirFlag},
		},
		Commands: []*cli.Command{
			demoCommand(e), initCommand(e), idCommand(e), runCommand(e),
			publishCommand(e), retractCommand(e), reviseCommand(e), approveCommand(e), signerCommand(e),
			suspendCommand(e), endorseCommand(e), disputeCommand(e), resolveCommand(e),
			importCommand(e), exportCommand(e),
			matchCommand(e), scanCommand(e), hashCommand(e), knowngoodCommand(e),
			memberCommand(e), followCommand(e), unfollowCommand(e), peerCommand(e),
			statusCommand(e), feedCommand(e), proofCommand(e), evidenceCommand(e), journalCommand(e),
			tokenCommand(e), configCommand(e), policyCommand(e),
			doctorCommand(e), selftestCommand(e), fsckCommand(e), backupCommand(e), restoreCommand(e), indexCommand(e),
			versionCommand(e), completionCommand(e), manCommand(e),
		},
		Writer:                    e.stdout,
		ErrWriter:                 e.stderr,
		HideVersion:               true,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              onUsageError,
		Action:                    groupAction,
		CustomAppHelpTemplate:     cli.AppHelpTemplate + exitCodesHelp,
	}
	for _, c := range app.Commands {
		prepare(c)
	}
	return app
}

const exitCodesHelp = `
EXIT CODES:
   0 done, or no verdict above log   1 (match, scan) some verdict is review or block
   2 error, or not all was checked   3 checked and found untrue or damaged   64 wrong usage

EXAMPLE:
   hashfeed init --name hotline.example --role hotline --harm csam
   hashfeed publish --verdict national photo.jpg
   hashfeed scan uploads/
`

func prepare(c *cli.Command) {
	c.OnUsageError = onUsageError
	c.HideHelpCommand = true
	if len(c.Subcommands) > 0 {
		c.Action = groupAction
	}
	for _, s := range c.Subcommands {
		prepare(s)
	}
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usageError{err.Error()} }

// groupAction runs when a command that has subcommands got none it knows.
func groupAction(c *cli.Context) error {
	if word := c.Args().First(); word != "" {
		return usagef("unknown command %q (see hashfeed --help)", word)
	}
	return usagef("%s needs a command (see %s --help)", c.Command.HelpName, c.Command.HelpName)
}

// permute puts flags before arguments, which is all that urfave/cli v2 understands, so that both orders work. The word
// -- ends the flags. An unknown flag is a usage error here already: the library would take it for an argument.
func permute(app *cli.App, args []string) ([]string, error) {
	global, level, flags := app.Flags, app.Commands, app.Flags
	var head, path, own, words []string
	if len(args) == 0 {
		args = []string{app.Name}
	}
	rest := args[1:]
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		switch {
		case arg == "--":
			words = append(words, rest...)
			rest = nil
		case len(arg) > 1 && arg[0] == '-':
			name, _, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			found, isGlobal := findFlag(flags, name), false
			if found == nil {
				found, isGlobal = findFlag(global, name), true
			}
			if len(path) == 0 {
				isGlobal = true
			}
			if found == nil && name != "help" && name != "h" {
				return nil, usagef("unknown flag %s", arg)
			}
			took := []string{arg}
			if found != nil && !inline && takesValue(found) {
				if len(rest) == 0 {
					return nil, usagef("flag %s needs a value", arg)
				}
				took = append(took, rest[0])
				rest = rest[1:]
			}
			if isGlobal {
				head = append(head, took...)
			} else {
				own = append(own, took...)
			}
		default:
			if c := findCommand(level, arg); c != nil && len(words) == 0 {
				path = append(path, arg)
				level, flags = c.Subcommands, c.Flags
				continue
			}
			if len(level) > 0 && len(words) == 0 {
				return nil, usagef("unknown command %q (see hashfeed --help)", strings.Join(append(path, arg), " "))
			}
			words = append(words, arg)
		}
	}
	out := append([]string{args[0]}, head...)
	out = append(out, path...)
	out = append(out, own...)
	if len(words) > 0 {
		out = append(append(out, "--"), words...)
	}
	return out, nil
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

func findCommand(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// wantArgs is a usage error unless there are between low and high arguments; high < 0: any number.
func wantArgs(c *cli.Context, low, high int) error {
	n := c.NArg()
	switch {
	case n < low:
		return usagef("%s: an argument is missing: %s %s", c.Command.HelpName, c.Command.HelpName, c.Command.ArgsUsage)
	case high >= 0 && n > high:
		return usagef("%s: unexpected argument %q", c.Command.HelpName, c.Args().Get(high))
	}
	return nil
}

// listFlag splits a flag that takes a list, such as --scope match,read.
func listFlag(c *cli.Context, name string) []string {
	var out []string
	for _, s := range strings.Split(c.String(name), ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON: one object, or one object a line"}
}

func passphraseFlag() cli.Flag {
	return &cli.StringFlag{Name: "passphrase-file", Usage: "read the keys' passphrase from `FILE`",
		EnvVars: []string{"HASHFEED_PASSPHRASE_FILE"}}
}

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }
