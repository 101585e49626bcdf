package node

import (
	"bytes"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
)

// forgetPeak gives memory back that isn't used, and makes the peak of the process what it has now (proc(5), clear_refs).
func forgetPeak(b *testing.B) {
	b.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log(err) // another system: peakMemory says 0 there
	}
}

// peakMemory is the most that the process had resident since, in bytes.
func peakMemory(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[0]) == "VmHWM:" {
			n, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n << 10
		}
	}
	b.Fatal("no VmHWM")
	return 0
}
