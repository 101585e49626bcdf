package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"

	"hashfeed/node"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

func scanCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "scan", Usage: "hash files and say what they match", ArgsUsage: "PATH… | -",
		Description: "Walks folders; symbolic links in them are not followed. Nothing leaves this machine. Exit code 1: some verdict is\n" +
			"review or block; 2: some file could not be read.",
		Flags:  []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error { return scan(e, c) },
	}
}

func scan(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	if err := wantOneStdin(c); err != nil {
		return err
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	worst := &worstVerdict{}
	progress := e.progress(c.Args().Slice())
	defer progress.Finish()
	work := func(ctx context.Context, path string) (policy.Verdict, error) { return scanFile(ctx, e, door, path) }
	err = eachFile(c.Context, runtime.GOMAXPROCS(0), walk(c.Args().Slice()), work, func(_ string, v policy.Verdict, err error) error {
		if err != nil {
			fmt.Fprintf(e.stderr, "hashfeed: %v\n", err)
			worst.unchecked = true
		} else {
			progress.Clear()
			if err := e.printVerdict(c, v); err != nil {
				return err
			}
			worst.add(v)
		}
		progress.Add(1)
		return nil
	})
	if err != nil {
		return err
	}
	return worst.exit()
}

// walk names all files in paths: a folder's, and those that aren't folders themselves.
func walk(paths []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		more := true
		for _, path := range paths {
			if path == "-" {
				more = yield(path, nil)
			} else {
				filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error { // which returns no error but this one's
					switch {
					case err != nil:
						more = yield(p, fmt.Errorf("scan: %w", err))
					case d.Type().IsRegular() || p == path && !d.IsDir(): // a link that was named is followed
						more = yield(p, nil)
					}
					if !more {
						return fs.SkipAll
					}
					return nil
				})
			}
			if !more {
				return
			}
		}
	}
}

// scanFile hashes a file in this process, so that its bytes are read once, and asks about its hashes.
func scanFile(ctx context.Context, e *env, door api.Verbs, path string) (policy.Verdict, error) {
	if info, err := os.Stat(path); path != "-" && err == nil && !info.Mode().IsRegular() {
		return policy.Verdict{}, fmt.Errorf("scan %s: not a regular file", path)
	}
	sum, err := e.digest(ctx, path)
	if err != nil {
		return policy.Verdict{}, fmt.Errorf("scan: %w", err)
	}
	verdicts, err := door.Match(ctx, node.QueryHashes(sum), true)
	if err != nil {
		return policy.Verdict{}, fmt.Errorf("scan %s: %w", path, err)
	}
	if len(verdicts) != 1 {
		return policy.Verdict{}, errors.New("scan: the node answered something else than was asked")
	}
	v := verdicts[0]
	v.File, v.Note = path, sum.Note
	return v, nil
}

// progress is a line on a terminal, and nothing elsewhere: there the lines of the verdicts are the progress. How many
// files there will be isn't known, for they are hashed while folders are read.
func (e *env) progress(paths []string) *progressbar.ProgressBar {
	info, err := os.Stat(paths[0])
	one := len(paths) == 1 && (err != nil || !info.IsDir())
	// With an interval it would move by a goroutine of its own, which races with Add.
	return progressbar.NewOptions(-1, progressbar.OptionSetWriter(e.stderr), progressbar.OptionSetDescription("scan"),
		progressbar.OptionSetVisibility(!one && isTerminal(e.stderr)), progressbar.OptionSetSpinnerChangeInterval(0),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("files"),
		progressbar.OptionClearOnFinish())
}
