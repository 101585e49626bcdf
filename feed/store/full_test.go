//go:build linux

package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestDiskFull fills a real, small file system, first with records and then with something else: the store refuses to write, says why,
// lives, and goes on when there is room.
func TestDiskFull(t *testing.T) {
	small := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", small).CombinedOutput(); err != nil {
		cannot(t, fmt.Sprintf("mount a tmpfs: %v: %s", err, out))
		return
	}
	t.Cleanup(func() { exec.Command("umount", small).Run() })
	o := testOptions
	o.Reserve = 96 << 20 // more than a memory table and the table that it becomes
	s, err := Create(filepath.Join(small, "x"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	p := newPublisher(t, testName)
	if err := errors.Join(s.AddFeed(p.chain), s.Commit(p.publish(0))); err != nil {
		t.Fatal(err)
	}
	free, err := realDisk{}.free(small)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(small, "others"), make([]byte, free-uint64(o.Reserve)-4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 50 {
		b := p.publish(2000)
		if err = s.Commit(b); err == nil {
			continue
		}
		if !errors.Is(err, ErrNoSpace) || errors.Is(err, ErrUnwell) || s.Unwell() != nil {
			t.Fatalf("got %v, unwell: %v, want ErrNoSpace alone", err, s.Unwell())
		}
		refused++
		if refused == 1 { // somebody else takes what is left
			if err := fill(filepath.Join(small, "ballast")); err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(b); !errors.Is(err, ErrNoSpace) || s.Unwell() != nil {
				t.Fatalf("without a byte free: got %v, unwell: %v, want ErrNoSpace alone", err, s.Unwell())
			}
			size := s.Size(p.origin())
			if r, err := s.Record(p.origin(), size-1); err != nil || string(r.Head) != string(p.records[size-1].Head) {
				t.Errorf("reading on a full disk: %v", err)
			}
		}
		if err := errors.Join(os.Remove(filepath.Join(small, "ballast")), exec.Command("mount", "-o", "remount,size=1g", small).Run()); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(b); err != nil {
			t.Fatalf("with room again: %v", err)
		}
		break
	}
	if refused == 0 {
		t.Fatal("the disk was never full")
	}
	mustHold(t, s, p)
	mustBeWhole(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, filepath.Join(small, "x"))
	mustHold(t, s, p)
	mustBeWhole(t, s)
}

// fill writes a file until there is no room.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	piece := make([]byte, 1<<16)
	for {
		if _, err := f.Write(piece); err != nil {
			return nil
		}
	}
}
