package notify

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script makes a shell script, for what a program may do.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCommand: a program gets the line on standard input, the words as they stand in the config, and not the daemon's environment.
func TestCommand(t *testing.T) {
	t.Setenv("HASHFEED_PASSPHRASE_FILE", "/hunter2")
	out := filepath.Join(t.TempDir(), "out")
	path := script(t, `{ cat; printf '%s|' "$@"; echo; env; pwd; } >"$1"`)
	c, err := newCommand(Target{Command: []string{path, out, "two words", "$HOME", "`false`", ""}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.send(t.Context(), message(7)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if want := out + "|two words|$HOME|`false`||"; lines[0] != `{"n":7}` || lines[1] != want {
		t.Errorf("got %q, want the message and %q", lines[:2], want)
	}
	if strings.Contains(string(text), "HASHFEED") || !strings.HasSuffix(string(text), "\n/\n") {
		t.Errorf("got %s", text)
	}
}

func TestCommandFails(t *testing.T) {
	for _, c := range []struct{ name, path, want string }{
		{"exit code", script(t, "echo no such desk >&2; exit 3"), "run program: exit status 3: no such desk"},
		{"much output", script(t, "head -c 1000000 /dev/zero | tr '\\0' x; exit 1"), "exit status 1: xxx"},
		{"no such program", "/nowhere/desk", "run desk: no such file"},
		{"no program", os.DevNull, "permission denied"},
	} {
		command, err := newCommand(Target{Command: []string{c.path}})
		if err != nil {
			t.Fatal(err)
		}
		if err := command.send(t.Context(), message(1)); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 2*maxSaid {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	// One that doesn't read what it is told has been told.
	large := message(1)
	large.Body = []byte(`"` + strings.Repeat("x", 200_000) + `"`)
	deaf, _ := newCommand(Target{Command: []string{"/bin/true"}})
	if err := deaf.send(t.Context(), large); err != nil {
		t.Errorf("one that doesn't read: %v", err)
	}
}

// TestCommandIsKilled: a program that takes too long is killed, with all that it has started.
func TestCommandIsKilled(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pid")
	c, err := newCommand(Target{Command: []string{script(t, `sleep 300 & echo $! >"$1"; wait`), pids}})
	if err != nil {
		t.Fatal(err)
	}
	c.time = 300 * time.Millisecond
	begun := time.Now()
	if err := c.send(t.Context(), message(1)); err == nil || !strings.Contains(err.Error(), "killed after 300ms") || time.Since(begun) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(begun))
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		// A killed child of a killed parent may be left as a zombie where nobody reaps; it does nothing any more.
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if syscall.Kill(pid, 0) != nil || err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("what it has started still runs")
		}
	}
}
