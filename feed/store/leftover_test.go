package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// TestLeftovers: what failed calls leave of Badger's files doesn't keep the store from opening, and what is missing is told.
func TestLeftovers(t *testing.T) {
	dir, s, p := held(t)
	s.Close()
	next := p.publish(1)
	touch := func(name string) func(t *testing.T, d string) {
		return func(t *testing.T, d string) {
			if err := os.WriteFile(filepath.Join(d, "store", name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name  string
		leave func(t *testing.T, d string)
		lost  uint64
	}{
		{"an empty write-ahead log", touch("00077.mem"), 0},
		{"an empty value log", touch("000077.vlog"), 0},
		{"a table in MANIFEST that was removed again", func(t *testing.T, d string) { list(t, d, 77) }, 1},
		{"three of them", func(t *testing.T, d string) { list(t, d, 77); list(t, d, 78); list(t, d, 300) }, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := copyDir(t, dir)
			c.leave(t, d)
			s := reopen(t, d)
			if s.Lost() != c.lost {
				t.Errorf("lost: got %d, want %d", s.Lost(), c.lost)
			}
			mustBeWhole(t, s)
			s.Close()
			s = reopen(t, d)
			if s.Lost() != 0 {
				t.Errorf("lost, the second time: got %d, want 0", s.Lost())
			}
			if err := s.Commit(next); err != nil {
				t.Error(err)
			}
			mustBeWhole(t, s)
			if left, err := filepath.Glob(filepath.Join(d, ".trial*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}

	// A table that had something is refused, and nothing is changed: it may yet be put back.
	d := copyDir(t, dir)
	tables, err := filepath.Glob(filepath.Join(d, "store", "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatalf("tables: got %v %v, want one", tables, err)
	}
	away := filepath.Join(t.TempDir(), "away.sst")
	if err := os.Rename(tables[0], away); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(d, testOptions); !errors.Is(err, ErrTable) {
			t.Fatalf("without a table: got %v, want ErrTable", err)
		}
	}
	if err := os.Rename(away, tables[0]); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, d)
	mustBeWhole(t, s)
	if err := s.Commit(next); err != nil {
		t.Error(err)
	}
}

// TestManifestFlips: whatever bit of MANIFEST is another, Open refuses, and Badger deletes no table.
func TestManifestFlips(t *testing.T) {
	dir, s, p := held(t)
	s.Close()
	s = reopen(t, dir)
	if err := s.Commit(p.publish(1)); err != nil {
		t.Fatal(err)
	}
	s.Close() // two tables
	data, err := os.ReadFile(filepath.Join(dir, "store", badger.ManifestFilename))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	d := copyDir(t, dir)
	for at := range data {
		for bit := range 8 {
			edit(t, filepath.Join(d, "store", badger.ManifestFilename), func([]byte) []byte {
				c := bytes.Clone(data)
				c[at] ^= 1 << bit
				return c
			})
			if s, err := Open(d, testOptions); err == nil {
				s.Close()
				t.Fatalf("bit %d of byte %d: opened", bit, at)
			}
			if after, _ := filepath.Glob(filepath.Join(d, "store", "*.sst")); len(after) != len(before) {
				t.Fatalf("bit %d of byte %d: %d of %d tables left", bit, at, len(after), len(before))
			}
		}
	}
}

// list has MANIFEST list a table that there isn't.
func list(t *testing.T, dir string, id uint64) {
	t.Helper()
	change := binary.AppendUvarint([]byte{1 << 3}, id)
	changes := append([]byte{1<<3 | 2, byte(len(change))}, change...)
	record := binary.BigEndian.AppendUint32(nil, uint32(len(changes)))
	record = binary.BigEndian.AppendUint32(record, crc32.Checksum(changes, crc32.MakeTable(crc32.Castagnoli)))
	edit(t, filepath.Join(dir, "store", badger.ManifestFilename), func(data []byte) []byte { return append(append(data, record...), changes...) })
}
