//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A jail is a memory cgroup, of version 1 or 2: who needs more than its limit is killed.
type jail struct {
	dir     string
	v2      bool
	program string // runs another program in it
}

var jails int

// newJail makes a jail for a program, which needs root; nil: it can't be.
func newJail(t testing.TB, program string, limit int64) *jail {
	t.Helper()
	jails++
	name := fmt.Sprintf("hashfeed-test-%d-%d", os.Getpid(), jails)
	j := &jail{dir: filepath.Join("/sys/fs/cgroup/memory", name)}
	limits := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/memory/memory.limit_in_bytes"); err != nil {
		j.dir, j.v2, limits = filepath.Join("/sys/fs/cgroup", name), true, "memory.max"
		os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory"), 0o644) // if it can't be, the limit can't either
	}
	err := os.Mkdir(j.dir, 0o755)
	if err == nil {
		t.Cleanup(func() {
			for range 100 { // until what ran in it is gone
				if os.Remove(j.dir) == nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
		err = os.WriteFile(filepath.Join(j.dir, limits), []byte(strconv.FormatInt(limit, 10)), 0o644)
	}
	if err != nil {
		cannot(t, fmt.Sprintf("no memory cgroup can be made: %v", err))
		return nil
	}
	if j.v2 {
		os.WriteFile(filepath.Join(j.dir, "memory.swap.max"), []byte("0"), 0o644)
	}
	j.program = filepath.Join(t.TempDir(), "jailed")
	script := fmt.Sprintf("#!/bin/sh\necho $$ >%s/cgroup.procs || exit 99\nexec %s \"$@\"\n", j.dir, program)
	if err := os.WriteFile(j.program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return j
}

// cannot says why this machine can't run a test, and skips it. CI, which may not skip, prints it as a limit of what was tried: the caller
// must return.
func cannot(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "true" {
		t.Skip(why)
	}
	t.Log("LIMIT: " + why)
}

func (j *jail) number(file string) int64 {
	text, err := os.ReadFile(filepath.Join(j.dir, file))
	if err != nil {
		return -1
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// peak is the most memory that was used at once, the cache of files included, which the kernel gives back before it kills.
func (j *jail) peak() int64 {
	if j.v2 {
		return j.number("memory.peak")
	}
	return j.number("memory.max_usage_in_bytes")
}

// killed is how many processes were killed for needing more.
func (j *jail) killed() int64 {
	file := "memory.oom_control"
	if j.v2 {
		file = "memory.events"
	}
	text, err := os.ReadFile(filepath.Join(j.dir, file))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			count, err := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			if err != nil {
				return -1
			}
			return count
		}
	}
	return -1
}

// resident is the most memory that a process has had of its own, in bytes.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(n), " kB"), 10, 64)
			if err != nil {
				return -1
			}
			return kb << 10
		}
	}
	return -1
}
