package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// command is a program that is started for each message.
type command struct {
	words []string
	time  time.Duration // that it may take
}

func newCommand(t Target) (*command, error) {
	return &command{words: t.Command, time: commandTime}, checkCommand(t.Command)
}

func (c *command) send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.time)
	defer cancel()
	name := filepath.Base(c.words[0])
	cmd := exec.CommandContext(ctx, c.words[0], c.words[1:]...)
	cmd.Dir = "/"
	// The daemon's environment may tell where secrets are (HASHFEED_PASSPHRASE_FILE, SSH_AUTH_SOCK).
	for _, key := range []string{"PATH", "HOME", "LANG", "SystemRoot"} {
		if value, ok := os.LookupEnv(key); ok {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	cmd.Stdin = bytes.NewReader(append(bytes.Clone(m.Body), '\n')) // one that doesn't read it is no error
	var said capped
	cmd.Stdout, cmd.Stderr = &said, &said
	ownGroup(cmd)                   // so that what it has started is killed with it
	cmd.WaitDelay = 2 * time.Second // for whoever else holds its output
	err := cmd.Run()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("run %s: killed after %s%s", name, c.time, said.words())
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // it ended well; something that it left running holds its output
	case err != nil:
		var wrapped *os.PathError
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("run %s: %w%s", name, err, said.words())
	}
	return nil
}

func (c *command) close() {}

// capped keeps the first of what is written to it.
type capped struct{ b []byte }

func (c *capped) Write(p []byte) (int, error) {
	c.b = append(c.b, p[:min(len(p), maxSaid-len(c.b))]...)
	return len(p), nil
}

// words is what was said, on one line.
func (c *capped) words() string {
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(c.b), "?"))
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return ": " + text
}
