// Command hashfeed publishes, follows and queries signed feeds of hashes.
//
// Results go to standard output, talk to standard error. Each command is a file of this folder, and all of them ask a
// node through one set of verbs (api.Verbs): the daemon's, when one runs on the directory, and else a node opened for
// this one command. Exit codes: 0 done, or nothing worse than log; 1 some verdict is review or block; 2 an error, or
// something could not be checked; 3 checked and found untrue or damaged; 64 wrong usage.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: tests call it in-process. Nothing below it calls os.Exit, so that what was opened is closed.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	app := newApp(e)
	permuted, err := permute(app, args)
	if err == nil {
		err = app.RunContext(ctx, permuted)
	}
	return e.exit(err)
}
