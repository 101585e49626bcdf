package store

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// fullDiskDir names a small file system to a test binary that was started in a mount namespace of its own.
const fullDiskDir = "HASHFEED_TEST_FULL_DISK_DIR"

// TestFullDisk fills a real file system: writing stops with ErrNoSpace before Badger dies of it, reading goes on, and writing does when there is room
// again. TestNoSpace does the same with a made-up disk, where no namespace can be had.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(fullDiskDir); dir != "" {
		fillDisk(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command("unshare", "-rm", "sh", "-c", `mount -t tmpfs -o size=192m none "$1" || exit 77; shift; exec "$@"`, "sh", dir,
		os.Args[0], "-test.run=^TestFullDisk$", "-test.count=1")
	cmd.Env = append(os.Environ(), fullDiskDir+"="+dir)
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 1 && !bytes.HasPrefix(out, []byte("unshare:")):
		t.Errorf("on a small file system: %v\n%s", err, out)
	default:
		t.Logf("no file system can be mounted here (%v: %s): only TestNoSpace says what happens when it is full", err, out)
	}
}

func fillDisk(t *testing.T, dir string) {
	o := testOptions
	o.Reserve = 32 << 20
	s, err := Create(filepath.Join(dir, "node"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	p := newPublisher(t, testName)
	if err := errors.Join(s.AddFeed(p.chain), s.Commit(p.publish(0)), s.Commit(p.publish(300))); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 1<<20)
	for s.Room() == nil {
		if _, err := filler.Write(piece); err != nil {
			t.Fatalf("the disk is full before the reserve is: %v", err)
		}
	}
	next := p.publish(5)
	for range 3 {
		if err := s.Commit(next); !errors.Is(err, ErrNoSpace) {
			t.Fatalf("commit on a full disk: got %v, want ErrNoSpace", err)
		}
	}
	if err := s.Unwell(); err != nil {
		t.Errorf("a full disk needs no restart: %v", err)
	}
	if r, err := s.Record(p.origin(), 7); err != nil || string(r.Head) != string(p.records[7].Head) {
		t.Errorf("read on a full disk: %v", err)
	}
	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(next); err != nil {
		t.Fatalf("commit when there is room again: %v", err)
	}
	mustHold(t, s, p)
	mustBeWhole(t, s)
}
