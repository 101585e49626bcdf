package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"hashfeed/crypto"
	"hashfeed/node"
	"hashfeed/node/api"
)

// env is what a command has of the world.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	dirFlag        string
}

// Exit codes, a contract with scripts.
const (
	exitMatched = 1
	exitError   = 2
	exitUntrue  = 3
	exitUsage   = 64
)

// usageError is a wrong flag, argument or command: exit 64.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// untrueError is something that was checked and found untrue or damaged: exit 3.
type untrueError struct{ err error }

func (e untrueError) Error() string { return e.err.Error() }
func (e untrueError) Unwrap() error { return e.err }

// codeError ends with a code and without words: what there is to say has been said.
type codeError int

func (e codeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exit says what is wrong on standard error, and turns it into the exit code. It is the only place that does.
func (e *env) exit(err error) int {
	if err == nil {
		return 0
	}
	var code codeError
	if errors.As(err, &code) {
		return int(code)
	}
	fmt.Fprintf(e.stderr, "hashfeed: %v\n", err)
	var usage usageError
	var untrue untrueError
	var refused *api.Error
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &untrue):
		return exitUntrue
	case errors.As(err, &refused):
		if refused.Hint != "" {
			fmt.Fprintf(e.stderr, "hint: %s\n", refused.Hint)
		}
	case errors.Is(err, crypto.ErrPassphrase):
		fmt.Fprintln(e.stderr, "hint: --passphrase-file FILE, or HASHFEED_PASSPHRASE_FILE")
	}
	return exitError
}

// dir is the node's directory: the flag, HASHFEED_DIR, or $XDG_DATA_HOME/hashfeed.
func (e *env) dir() (string, error) {
	if e.dirFlag != "" {
		return filepath.Abs(e.dirFlag)
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the node's directory: %w (use --dir)", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "hashfeed"), nil
}

// door opens the node: over its socket when a daemon runs on the directory, else the directory itself. Whoever gets a
// door closes it.
func (e *env) door(c *cli.Context) (api.Verbs, func() error, error) {
	dir, err := e.dir()
	if err != nil {
		return nil, nil, err
	}
	if c.Bool("alone") {
		c.Context = api.WithAlone(c.Context)
	}
	if client, err := api.Dial(c.Context, node.SocketPath(dir)); err == nil {
		return client, client.Close, nil
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, api.ErrNoDaemon) {
		return nil, nil, fmt.Errorf("talk to the daemon of %s: %w", dir, err)
	}
	n, err := e.open(c, dir)
	if err != nil {
		return nil, nil, err
	}
	return n, n.Close, nil
}

// withDoor opens a door, does something, and closes it.
func (e *env) withDoor(c *cli.Context, do func(api.Verbs) error) error {
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	if err := do(door); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimPrefix(c.Command.HelpName, "hashfeed "), err)
	}
	return nil
}

// open opens the node's directory in this process.
func (e *env) open(c *cli.Context, dir string) (*node.Node, error) {
	return e.openWith(c, dir, node.Options{Logger: e.logger(slog.LevelWarn)})
}

// openWith is open with options, but for the passphrase.
func (e *env) openWith(c *cli.Context, dir string, o node.Options) (*node.Node, error) {
	passphrase, err := e.passphrase(c)
	if err != nil {
		return nil, err
	}
	o.Passphrase = passphrase
	n, err := node.Open(dir, o)
	if errors.Is(err, crypto.ErrPassphrase) && passphrase == nil {
		if passphrase, err = e.askPassphrase(); err == nil {
			o.Passphrase = passphrase
			n, err = node.Open(dir, o)
		}
	}
	return n, err
}

func (e *env) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

// passphrase reads the file that --passphrase-file or HASHFEED_PASSPHRASE_FILE names; nil when neither does. A secret is
// never an argument: every process on the machine can read those.
func (e *env) passphrase(c *cli.Context) ([]byte, error) {
	path := c.String("passphrase-file")
	if path == "" {
		path = os.Getenv("HASHFEED_PASSPHRASE_FILE")
	}
	if path == "" {
		return nil, nil
	}
	return readPassphrase(path)
}

func readPassphrase(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	text = bytes.TrimRight(text, "\r\n")
	switch {
	case len(text) == 0:
		return nil, fmt.Errorf("read passphrase: %s is empty", path)
	case len(text) > maxPassphrase:
		return nil, fmt.Errorf("read passphrase: %s is longer than %d bytes", path, maxPassphrase)
	}
	return text, nil
}

func (e *env) askPassphrase() ([]byte, error) {
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, crypto.ErrPassphrase
	}
	fmt.Fprint(e.stderr, "passphrase: ")
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(e.stderr)
	return text, err
}

// isTerminal says whether talk may use a terminal's tricks, such as a progress bar.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printJSON writes one object on a line.
func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// statusOf is the HTTP status that a verb's error stands for, 0 for another error.
func statusOf(err error) int {
	var e *api.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// usageIfIncomplete turns a guard's "this is missing" into wrong usage: on the command line a missing verdict is a
// missing flag.
func usageIfIncomplete(err error) error {
	var e *api.Error
	if errors.As(err, &e) && e.Status == http.StatusUnprocessableEntity && e.Code == api.CodeIncomplete {
		return usageError{e.Text}
	}
	return err
}

// loadKey loads a key file that isn't a node's, asking for its passphrase where that is needed.
func (e *env) loadKey(c *cli.Context, path string) (*crypto.PrivateKey, error) {
	passphrase, err := e.passphrase(c)
	if err != nil {
		return nil, err
	}
	key, err := crypto.Load(path, passphrase)
	if errors.Is(err, crypto.ErrPassphraseNeeded) {
		if passphrase, err = e.askPassphrase(); err == nil {
			key, err = crypto.Load(path, passphrase)
		}
	}
	return key, err
}
