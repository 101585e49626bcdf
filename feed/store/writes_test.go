package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLostWrites: what is lost at the end of the write-ahead log, where no head file tells, is told by the number of the newest write.
func TestLostWrites(t *testing.T) {
	dir, s, p := held(t)
	cp, _ := s.Head(p.origin())
	line, err := cp.Cosign(witnessKey(1), testNow)
	if err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "store", "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs: got %v %v, want one", logs, err)
	}
	used := func() int {
		data, err := os.ReadFile(logs[0])
		if err != nil {
			t.Fatal(err)
		}
		return len(bytes.TrimRight(data, "\x00"))
	}
	before := used()
	if err := s.PutReceipt(p.origin(), cp.Size, line); err != nil {
		t.Fatal(err)
	}
	after := used()
	log := filepath.Join("store", filepath.Base(logs[0]))
	for _, c := range []struct {
		name   string
		change func(dir string)
		lost   uint64
		there  int
	}{
		{"nothing", func(string) {}, 0, 1},
		{"a byte of the receipt flipped", func(d string) { edit(t, filepath.Join(d, log), flip(before+(after-before)/2)) }, 1, 0},
		{"cut off before the receipt", func(d string) { edit(t, filepath.Join(d, log), func(b []byte) []byte { return b[:before] }) }, 1, 0},
		{"the number flipped", func(d string) { edit(t, filepath.Join(d, "heads", "writes"), flip(30)) }, 0, 1},
		{"the number missing", func(d string) {
			if err := os.Remove(filepath.Join(d, "heads", "writes")); err != nil {
				t.Fatal(err)
			}
		}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := copyDir(t, dir)
			c.change(d)
			s := reopen(t, d)
			if got := s.Lost(); got != c.lost {
				t.Errorf("lost: got %d, want %d", got, c.lost)
			}
			if all, err := s.AllReceipts(p.origin()); err != nil || len(all) != c.there {
				t.Errorf("receipts: got %v %v, want %d", all, err, c.there)
			}
			mustHold(t, s, p)
			s.Close()
			if s = reopen(t, d); s.Lost() != 0 {
				t.Errorf("the second time: got %d, want 0", s.Lost())
			}
		})
	}
}

// TestCutTable: a table that is cut off anywhere is refused; Badger would panic in a goroutine of its own.
func TestCutTable(t *testing.T) {
	dir, s, _ := held(t)
	s.Close()
	tables, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables: got %v %v", tables, err)
	}
	info, err := os.Stat(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := new(tableChecker).check(tables[0], 1); err != nil {
		t.Fatalf("whole: %v", err)
	}
	cut := filepath.Join(t.TempDir(), "cut")
	for n := range info.Size() {
		if n > 100 && n < info.Size()-100 && n%97 != 0 {
			continue
		}
		data, err := os.ReadFile(tables[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(cut, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if new(tableChecker).check(cut, 1) == nil {
			t.Fatalf("%d of %d bytes: taken for whole", n, info.Size())
		}
	}
	data, _ := os.ReadFile(tables[0])
	for at := 0; at < len(data); at += 1 + at%3*13 {
		edited := bytes.Clone(data)
		edited[at] ^= 1 << (at % 8)
		if err := os.WriteFile(cut, edited, 0o600); err != nil {
			t.Fatal(err)
		}
		if new(tableChecker).check(cut, 1) == nil {
			t.Fatalf("byte %d of %d flipped: taken for whole", at, info.Size())
		}
	}
	d := copyDir(t, dir)
	if err := os.Truncate(filepath.Join(d, "store", filepath.Base(tables[0])), info.Size()/2); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(d, testOptions); !errors.Is(err, ErrTable) {
		t.Errorf("open: got %v, want ErrTable", err)
	}
	// One that MANIFEST doesn't list is what a crash left of a table that was being written.
	if err := os.WriteFile(filepath.Join(dir, "store", "999999.sst"), data[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	reopen(t, dir)
}
