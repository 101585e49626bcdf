package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node"
	"hashfeed/node/api"
	"hashfeed/node/digest"
)

func knowngoodCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "knowngood", Usage: "files that nobody lists here and nothing blocks: add to them, list them",
		Subcommands: []*cli.Command{
			{
				Name: "add", Usage: "call files, and all files of folders, known good", ArgsUsage: "FILE|DIR…",
				Description: "Hashes each file here and adds it to the node's own list, with its name, which stays on the node. What looks like an\n" +
					"added picture is known good too. No override of a publisher outweighs this list.",
				Flags:  []cli.Flag{passphraseFlag(), jsonFlag()},
				Action: func(c *cli.Context) error { return knowngoodAdd(e, c) },
			},
			{
				Name: "list", Usage: "list what is known good: the lists, then the own files",
				Description: "With --json one object a line: the lists have a \"kind\" (own, builtin, bloom), the own files a \"name\".",
				Flags:       []cli.Flag{passphraseFlag(), jsonFlag()},
				Action:      func(c *cli.Context) error { return knowngoodList(e, c) },
			},
			{
				Name: "remove", Usage: "take files off the own list", ArgsUsage: "HASH…",
				Flags:  []cli.Flag{passphraseFlag(), jsonFlag()},
				Action: func(c *cli.Context) error { return knowngoodRemove(e, c) },
			},
		},
	}
}

// knownChunk is how many files are added in one request.
const knownChunk = 5000

func knowngoodAdd(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	return e.withDoor(c, func(door api.Verbs) error {
		var total api.KnownChange
		failed := false
		var waiting []api.KnownFile
		flush := func() error {
			if len(waiting) == 0 {
				return nil
			}
			change, err := door.AddKnownGood(c.Context, waiting)
			if err != nil {
				return err
			}
			total.Added, total.Known, total.Files = total.Added+change.Added, total.Known+change.Known, change.Files
			waiting = waiting[:0]
			return nil
		}
		err := eachFile(c.Context, runtime.GOMAXPROCS(0), walk(c.Args().Slice()), e.digest, func(path string, sum digest.Sum, err error) error {
			if err != nil {
				fmt.Fprintf(e.stderr, "hashfeed: %v\n", err)
				failed = true
				return nil
			}
			f := api.KnownFile{Name: knownName(path)}
			for _, h := range node.QueryHashes(sum) {
				f.Hashes = append(f.Hashes, h.Text())
			}
			if waiting = append(waiting, f); len(waiting) == knownChunk {
				return flush()
			}
			return nil
		})
		if err == nil {
			err = flush()
		}
		if err != nil {
			return err
		}
		if c.Bool("json") {
			err = e.printJSON(total)
		} else {
			_, err = fmt.Fprintf(e.stdout, "%d added, %d known already; the own list has %d\n", total.Added, total.Known, total.Files)
		}
		if err == nil && failed {
			err = codeError(exitError)
		}
		return err
	})
}

// knownName is what a file is called in the list: its name without its folders, which tell more than is needed.
func knownName(path string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(filepath.Base(path), "?"))
}

func knowngoodList(e *env, c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	return e.withDoor(c, func(door api.Verbs) error {
		k, err := door.KnownGood(c.Context)
		if err != nil {
			return err
		}
		for _, s := range k.Sources {
			if c.Bool("json") {
				err = e.printJSON(s)
			} else {
				words := fmt.Sprintf("%s: %d files", s.Kind, s.Files)
				if s.Pictures > 0 {
					words += fmt.Sprintf(", %d pictures by their look", s.Pictures)
				}
				if s.Path != "" {
					words += ", " + s.Path
				}
				if s.Problem != "" {
					words += ": " + s.Problem
				}
				_, err = fmt.Fprintln(e.stdout, words)
			}
			if err != nil {
				return err
			}
		}
		for _, f := range k.Files {
			if c.Bool("json") {
				err = e.printJSON(f)
			} else {
				_, err = fmt.Fprintf(e.stdout, "  %s\t%s\tadded %s\n", f.Name, mainHash(f.Hashes), f.Added)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// mainHash is the hash by which a file is told from others: its sha256, if it is there.
func mainHash(hashes []string) string {
	for _, h := range hashes {
		if strings.HasPrefix(h, "sha256:") {
			return h
		}
	}
	return hashes[0] // there is one: a line without is refused
}

func knowngoodRemove(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	var hashes []string
	for _, text := range c.Args().Slice() {
		h, err := feed.ParseHash(text)
		if err != nil {
			return fmt.Errorf("knowngood remove: %w", err)
		}
		hashes = append(hashes, h.String())
	}
	return e.withDoor(c, func(door api.Verbs) error {
		var total api.KnownChange
		for _, h := range hashes {
			change, err := door.RemoveKnownGood(c.Context, h)
			if err != nil {
				return err
			}
			total.Removed, total.Files = total.Removed+change.Removed, change.Files
		}
		if c.Bool("json") {
			return e.printJSON(total)
		}
		_, err := fmt.Fprintf(e.stdout, "%d removed; the own list has %d\n", total.Removed, total.Files)
		return err
	})
}

// overrideName is the flag that lists what is known good.
const overrideName = "override-known-good"

func overrideFlag() cli.Flag {
	return &cli.StringFlag{Name: overrideName,
		Usage: "list it though a known-good list has it; `REASON` is reviewed, legal or test, and stands in the record"}
}

func checkOverride(c *cli.Context, command string) error {
	text := c.String(overrideName)
	if !c.IsSet(overrideName) {
		return nil
	}
	if _, err := feed.ParseOverride(text); err != nil {
		return usagef("%s: --%s %q: %v", command, overrideName, text, err)
	}
	return nil
}
