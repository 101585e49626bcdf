package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"hashfeed/feed"
)

// copyDir copies a directory as a crash would leave it: while the store is open, Badger's log is a mapped file, and what it has
// acknowledged is in it. Holes stay holes.
func copyDir(t testing.TB, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		from, err := os.Open(path)
		if err != nil {
			return err
		}
		defer from.Close()
		f, err := os.OpenFile(filepath.Join(to, rel), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := from.Stat()
		if err != nil {
			return err
		}
		for at := int64(0); at < info.Size(); {
			begin, err := from.Seek(at, 3) // SEEK_DATA
			if err != nil {
				break // only a hole is left
			}
			if at, err = from.Seek(begin, 4); err != nil { // SEEK_HOLE
				return err
			}
			if _, err := f.Seek(begin, io.SeekStart); err != nil {
				return err
			}
			if _, err := io.Copy(f, io.NewSectionReader(from, begin, at-begin)); err != nil {
				return err
			}
		}
		return f.Truncate(info.Size())
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// held makes a store with some commits and notes, and returns it still open.
func held(t testing.TB) (dir string, s *Store, p *publisher) {
	t.Helper()
	dir = t.TempDir()
	p = newPublisher(t, testName)
	s = create(t, dir)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 300, 1, 1, 20} {
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := feed.SignSuspension(p.chain, []feed.Position{{Log: 1, Index: 1}}, testNow, signerKey(p.origin()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Suspend(n); err != nil {
		t.Fatal(err)
	}
	r, err := feed.SignRoster(p.chain, 4, testNow+86400, nil, rosterKey(testName), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetRoster(r); err != nil {
		t.Fatal(err)
	}
	return dir, s, p
}

const headName = "eokm.example_known_1"

func edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flip(at int) func([]byte) []byte {
	return func(data []byte) []byte {
		data[(at+len(data))%len(data)] ^= 0x10
		return data
	}
}

func cut(n int) func([]byte) []byte { return func(data []byte) []byte { return data[:len(data)-n] } }

// TestDamagedFiles: each change to a file beside the database is seen at Open, the feed refuses commits, and can still be read
// and suspended.
func TestDamagedFiles(t *testing.T) {
	dir, s, p := held(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	next := p.publish(1)
	head := filepath.Join("heads", headName)
	notes := filepath.Join("charters", "eokm.example_known")
	charter := filepath.Join(notes, "charter-1")
	roster := filepath.Join(notes, "roster-4")
	files, err := filepath.Glob(filepath.Join(dir, notes, "suspension-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("suspension files: got %v %v, want one", files, err)
	}
	suspension, _ := filepath.Rel(dir, files[0])
	remove := func([]byte) []byte { return nil }
	for _, c := range []struct {
		name, file string
		change     func([]byte) []byte
	}{
		{"head flipped at the start", head, flip(3)},
		{"head flipped in the root", head, flip(120)},
		{"head flipped in the note", head, flip(300)},
		{"head flipped at the end", head, flip(-1)},
		{"head truncated", head, cut(1)},
		{"head emptied", head, cut(0)},
		{"head missing", head, remove},
		{"head of another root", head, forge(t, func(h *headFile) { h.Root[0]++ })},
		{"head of another generation", head, forge(t, func(h *headFile) { h.Generation += 2 })},
		{"head of another life", head, forge(t, func(h *headFile) { h.Feed++ })},
		{"head with a false signature", head, forge(t, func(h *headFile) { h.Note[len(h.Note)-20] ^= 1 })},
		{"head of a larger log", head, forge(t, func(h *headFile) { h.Fetched++ })},
		{"charter flipped", charter, flip(60)},
		{"charter signature flipped", charter, flip(-20)},
		{"charter missing", charter, remove},
		{"roster flipped", roster, flip(40)},
		{"roster missing", roster, remove},
		{"suspension flipped", suspension, flip(40)},
		{"suspension missing", suspension, remove},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, dir)
			if c.name == "head emptied" {
				edit(t, filepath.Join(dir, c.file), func([]byte) []byte { return []byte{} })
			} else {
				edit(t, filepath.Join(dir, c.file), c.change)
			}
			if strings.HasSuffix(c.name, "missing") {
				if err := os.Remove(filepath.Join(dir, c.file)); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // opening it mends nothing
				s := reopen(t, dir)
				damage := s.Damage(testName)
				if damage == nil {
					t.Fatal("no damage found")
				}
				var damaged *DamagedError
				if err := s.Commit(next); !errors.As(err, &damaged) || damaged.Remedy == "" {
					t.Errorf("commit: got %v, want a DamagedError with its remedy", err)
				}
				if got, err := s.Record(p.origin(), 5); err != nil || string(got.Head) != string(p.records[5].Head) {
					t.Errorf("record: got %x %v", got.Head, err)
				}
				if got := findings(t, s); len(got) == 0 {
					t.Error("fsck finds nothing")
				}
				s.Close()
			}
		})
	}
}

// forge changes a head file as somebody would who knows how to make the sum.
func forge(t testing.TB, change func(*headFile)) func([]byte) []byte {
	return func(data []byte) []byte {
		h, err := parseHeadFile(data)
		if err != nil {
			t.Fatal(err)
		}
		change(&h)
		return h.bytes()
	}
}

// TestLostLife: the database has lost that a feed which was removed was added again.
func TestLostLife(t *testing.T) {
	dir, s, p := held(t)
	if err := s.RemoveFeed(testName); err != nil {
		t.Fatal(err)
	}
	old := copyDir(t, dir)
	q := newPublisher(t, testName)
	if err := s.AddFeed(q.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 5} {
		if err := s.Commit(q.publish(n)); err != nil {
			t.Fatal(err)
		}
	}
	d := copyDir(t, dir)
	if err := errors.Join(os.RemoveAll(filepath.Join(d, "store")), os.Rename(filepath.Join(old, "store"), filepath.Join(d, "store"))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = reopen(t, d)
		if s.Damage(testName) == nil {
			t.Fatal("no damage found")
		}
		s.Close()
	}
	// Unfollowing and following again mends it.
	s = reopen(t, d)
	if err := errors.Join(s.RemoveFeed(testName), s.AddFeed(p.chain)); err != nil {
		t.Fatal(err)
	}
	if d := s.Damage(testName); d != nil {
		t.Error(d)
	}
	mustBeWhole(t, s)
}

// TestHeadFileBytes: no byte of a head file can be changed, left out or added.
func TestHeadFileBytes(t *testing.T) {
	_, s, p := held(t)
	data, err := os.ReadFile(s.headPath(p.origin()))
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHeadFile(data)
	if err != nil || h.Fetched != 322 || h.Size != 322 || h.Root != p.roots[322] || string(h.Note) != string(p.last.Bytes()) {
		t.Fatalf("head file: got %+v %v", h, err)
	}
	for i := range data {
		for _, bit := range []byte{0x01, 0x20, 0x80} {
			c := bytes.Clone(data)
			c[i] ^= bit
			if _, err := parseHeadFile(c); err == nil {
				t.Fatalf("bit %#x of byte %d changed: accepted", bit, i)
			}
		}
		if _, err := parseHeadFile(data[:i]); err == nil {
			t.Fatalf("cut off at %d: accepted", i)
		}
		if _, err := parseHeadFile(append(bytes.Clone(data[:i]), data[min(i+1, len(data)):]...)); err == nil {
			t.Fatalf("byte %d left out: accepted", i)
		}
	}
	if _, err := parseHeadFile(append(data, '\n')); err == nil {
		t.Fatal("a byte added: accepted")
	}
}

// TestRolledBack: the database, or the head file, is an older one.
func TestRolledBack(t *testing.T) {
	dir, s, p := held(t)
	replaceWith := func(t *testing.T, to, part, from string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(to, part)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(from, part), filepath.Join(to, part)); err != nil {
			t.Fatal(err)
		}
	}
	open := func(t *testing.T, dir string) *DamagedError {
		t.Helper()
		s := reopen(t, dir)
		defer s.Close()
		return s.Damage(testName)
	}
	before := func(t *testing.T) string { return copyDir(t, dir) }
	old := before(t)
	if err := s.Commit(p.publish(3)); err != nil {
		t.Fatal(err)
	}
	one := before(t)
	restamp := p.publish(0)
	if err := s.Commit(restamp); err != nil {
		t.Fatal(err)
	}
	two := before(t)
	again := func(t *testing.T, d string) string { return copyDir(t, d) }

	t.Run("database one commit behind", func(t *testing.T) {
		d := again(t, one)
		replaceWith(t, d, "store", again(t, old))
		if damage := open(t, d); damage == nil || damage.Log != 1 {
			t.Errorf("got %v, want damage", damage)
		}
	})
	t.Run("database one stamp behind", func(t *testing.T) {
		d := again(t, two)
		replaceWith(t, d, "store", again(t, one))
		if damage := open(t, d); damage == nil {
			t.Error("got none, want damage")
		}
	})
	t.Run("head file one commit behind", func(t *testing.T) {
		d := again(t, one)
		replaceWith(t, d, "heads", again(t, old))
		for range 2 {
			if damage := open(t, d); damage != nil {
				t.Errorf("got %v, want it rolled forward", damage)
			}
		}
		data, _ := os.ReadFile(filepath.Join(d, "heads", headName))
		if h, err := parseHeadFile(data); err != nil || h.Fetched != 325 {
			t.Errorf("head file: got %d %v, want 325", h.Fetched, err)
		}
	})
	t.Run("head file one stamp behind", func(t *testing.T) {
		d := again(t, two)
		replaceWith(t, d, "heads", again(t, one))
		if damage := open(t, d); damage != nil {
			t.Errorf("got %v, want it rolled forward", damage)
		}
	})
	t.Run("head file two commits behind", func(t *testing.T) {
		if err := s.Commit(p.publish(2)); err != nil {
			t.Fatal(err)
		}
		d := before(t)
		replaceWith(t, d, "heads", again(t, old))
		if damage := open(t, d); damage == nil {
			t.Error("got none, want damage")
		}
	})
	t.Run("database without the feed", func(t *testing.T) {
		d := again(t, one)
		empty := t.TempDir()
		create(t, empty).Close()
		replaceWith(t, d, "store", empty)
		replaceWith(t, d, "heads/manifest", empty)
		if damage := open(t, d); damage == nil {
			t.Error("got none, want damage")
		}
	})
	t.Run("set aside and fetched again", func(t *testing.T) {
		d := again(t, one)
		replaceWith(t, d, "store", again(t, old))
		s := reopen(t, d)
		if err := s.SetAside(p.origin()); err != nil {
			t.Fatal(err)
		}
		if damage := s.Damage(testName); damage != nil {
			t.Fatalf("after setting it aside: %v", damage)
		}
		get := func(path string) ([]byte, error) { return p.part(path, p.last.Size) }
		for b, err := range feed.Verify(p.chain, feed.Tree{}, nil, p.last, get) {
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(b); err != nil {
				t.Fatal(err)
			}
		}
		mustHold(t, s, p)
		mustBeWhole(t, s)
		s.Close()
		s = reopen(t, d)
		mustHold(t, s, p)
		mustBeWhole(t, s)
	})
}

// TestManifest: without its MANIFEST, or with a part of it, Badger would delete everything.
func TestManifest(t *testing.T) {
	dir, s, p := held(t)
	s.Close()
	for i := range 3 { // several tables, several records in MANIFEST
		s := reopen(t, dir)
		if err := s.Commit(p.publish(i + 1)); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	info, err := os.Stat(filepath.Join(dir, "store", badger.ManifestFilename))
	if err != nil {
		t.Fatal(err)
	}
	// 16 bytes of head and one record: cut there, it is a well-formed MANIFEST of an empty database.
	for n := range int(info.Size()) {
		if n > 24 && n%7 != 0 {
			continue
		}
		d := copyDir(t, dir)
		if err := os.Truncate(filepath.Join(d, "store", badger.ManifestFilename), int64(n)); err != nil {
			t.Fatal(err)
		}
		before, _ := filepath.Glob(filepath.Join(d, "store", "*.sst"))
		s, err := Open(d, testOptions)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, ErrEmptied) {
			t.Fatalf("MANIFEST of %d of %d bytes: got %v, want ErrEmptied", n, info.Size(), err)
		}
		if after, _ := filepath.Glob(filepath.Join(d, "store", "*.sst")); len(after) != len(before) {
			t.Fatalf("MANIFEST of %d bytes: %d tables left of %d", n, len(after), len(before))
		}
		os.RemoveAll(d)
	}
	for name, change := range map[string]func(d string) error{
		"MANIFEST missing": func(d string) error { return os.Remove(filepath.Join(d, "store", badger.ManifestFilename)) },
		"MANIFEST and its record missing": func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, "store", badger.ManifestFilename)), os.Remove(filepath.Join(d, "heads", "manifest")))
		},
	} {
		d := copyDir(t, dir)
		if err := change(d); err != nil {
			t.Fatal(err)
		}
		for _, open := range []func(string, Options) (*Store, error){Open, Create} {
			if _, err := open(d, testOptions); !errors.Is(err, ErrEmptied) {
				t.Errorf("%s: got %v, want ErrEmptied", name, err)
			}
		}
	}
	d := copyDir(t, dir)
	edit(t, filepath.Join(d, "store", badger.ManifestFilename), func(data []byte) []byte { data[5]++; return data })
	if _, err := Open(d, testOptions); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer schema: got %v, want ErrNewer", err)
	}
	d = copyDir(t, dir)
	edit(t, filepath.Join(d, "store", badger.ManifestFilename), flip(-1))
	if _, err := Open(d, testOptions); err == nil {
		t.Error("MANIFEST flipped: opened")
	}
}

// TestFlippedLog flips bytes of the write-ahead log, from which Badger drops the rest without a word.
func TestFlippedLog(t *testing.T) {
	dir, _, p := held(t)
	crash := copyDir(t, dir)
	logs, err := filepath.Glob(filepath.Join(crash, "store", "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs: got %v %v, want one", logs, err)
	}
	data, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(data, "\x00"))
	damaged := 0
	for i := range 12 {
		at := 25 + i*(used-26)/11
		d := copyDir(t, crash)
		edit(t, filepath.Join(d, "store", filepath.Base(logs[0])), flip(at))
		s, err := Open(d, testOptions)
		if err != nil {
			continue // refused: well
		}
		if s.Damage(testName) != nil {
			damaged++
		} else {
			// What comes after the last commit (a suspension, a roster) is taken over from its file.
			mustHold(t, s, p)
			if len(s.Suspensions(testName)) != 1 {
				t.Errorf("byte %d of %d flipped: the suspension is lost", at, used)
			}
			if r, ok := s.Roster(testName); !ok || r.Version != 4 {
				t.Errorf("byte %d of %d flipped: the roster is lost", at, used)
			}
			mustBeWhole(t, s)
		}
		s.Close()
		os.RemoveAll(d)
	}
	if damaged == 0 {
		t.Error("no flipped byte damaged anything: were they in the log?")
	}
	s := reopen(t, crash)
	mustHold(t, s, p)
	mustBeWhole(t, s)
}

// TestFlippedTable flips bytes of Badger's tables: Open refuses, or the byte was nobody's.
func TestFlippedTable(t *testing.T) {
	dir, s, p := held(t)
	s.Close()
	tables, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables: got %v %v", tables, err)
	}
	info, err := os.Stat(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 40 {
		at := i * (int(info.Size()) - 1) / 39
		d := copyDir(t, dir)
		edit(t, filepath.Join(d, "store", filepath.Base(tables[0])), flip(at))
		s, err := Open(d, testOptions)
		if err != nil {
			refused++
			continue
		}
		if s.Damage(testName) == nil {
			mustHold(t, s, p)
			mustBeWhole(t, s)
		}
		s.Close()
		os.RemoveAll(d)
	}
	if refused < 30 {
		t.Errorf("%d of 40 flipped bytes refused", refused)
	}
}

func TestLocked(t *testing.T) {
	dir, s, _ := held(t)
	if _, err := Open(dir, testOptions); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: got %v, want ErrLocked", err)
	}
	if _, err := Create(dir, testOptions); !errors.Is(err, ErrLocked) {
		t.Errorf("create over an open store: got %v, want ErrLocked", err)
	}
	s.Close()
	if _, err := Create(dir, testOptions); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over a closed store: got %v, want fs.ErrExist", err)
	}
	reopen(t, dir)
	if _, err := Open(t.TempDir(), testOptions); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open where there is none: got %v, want fs.ErrNotExist", err)
	}
}

func TestWrongKey(t *testing.T) {
	dir, s, _ := held(t)
	s.Close()
	o := testOptions
	o.Key[0]++
	if s, err := Open(dir, o); err == nil {
		s.Close()
		t.Error("opened with another key")
	}
	reopen(t, dir)
}

func TestClosed(t *testing.T) {
	_, s, p := held(t)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("commit: got %v, want ErrClosed", err)
	}
	if _, err := s.Record(p.origin(), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("read: got %v, want ErrClosed", err)
	}
}
