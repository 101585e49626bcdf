package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func completionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a shell's completion script", ArgsUsage: "bash|zsh|fish",
		Description: "bash: eval \"$(hashfeed completion bash)\"   zsh: source <(hashfeed completion zsh)   fish: hashfeed completion fish | source",
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			var script string
			switch shell := c.Args().First(); shell {
			case "bash":
				script = bashCompletion(c.App)
			case "zsh":
				script = "autoload -U +X bashcompinit && bashcompinit\n" + bashCompletion(c.App)
			case "fish":
				var err error
				if script, err = c.App.ToFishCompletion(); err != nil {
					return fmt.Errorf("write completion: %w", err)
				}
			default:
				return usagef("completion %q: must be bash, zsh or fish", shell)
			}
			_, err := fmt.Fprint(e.stdout, script)
			return err
		},
	}
}

// bashCompletion offers the words that may follow each command: its subcommands and flags, and files after those.
func bashCompletion(app *cli.App) string {
	var cases strings.Builder
	var walk func(path string, commands []*cli.Command, flags []cli.Flag)
	walk = func(path string, commands []*cli.Command, flags []cli.Flag) {
		var words []string
		for _, c := range commands {
			words = append(words, c.Name)
		}
		for _, f := range flags {
			if name := f.Names()[0]; len(name) > 1 {
				words = append(words, "--"+name)
			}
		}
		fmt.Fprintf(&cases, "\t%q) words=%q ;;\n", path, strings.Join(words, " "))
		for _, c := range commands {
			walk(strings.TrimSpace(path+" "+c.Name), c.Subcommands, c.Flags)
		}
	}
	walk("", app.Commands, app.Flags)
	return `_hashfeed() {
	local cur=${COMP_WORDS[COMP_CWORD]} path= words= word i
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--dir) ((i++)) ;;
		-*) ;;
		*) [[ $path == *" "* ]] || path="${path:+$path }$word" ;;
		esac
	done
	_hashfeed_words "$path" || _hashfeed_words "${path%% *}"
	COMPREPLY=($(compgen -W "$words" -- "$cur") $(compgen -f -- "$cur"))
}
_hashfeed_words() {
	case $1 in
` + cases.String() + `	*) return 1 ;;
	esac
}
complete -o filenames -F _hashfeed hashfeed
`
}
