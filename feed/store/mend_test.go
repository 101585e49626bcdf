package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"hashfeed/feed"
)

// grown makes a store with several tables and a write-ahead log, as a power cut leaves it, and an older copy of it.
func grown(t *testing.T) (older, dir string, p *publisher) {
	t.Helper()
	from, s, p := held(t)
	for i := range 3 {
		s.Close()
		s = reopen(t, from)
		if err := s.Commit(p.publish(200 + i)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			older = copyDir(t, from)
		}
	}
	n, err := feed.SignSuspension(p.chain, []feed.Position{{Log: 1, Index: 2}}, testNow+1, signerKey(p.origin()))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Suspend(n), s.Commit(p.publish(5)), s.Commit(p.publish(1))); err != nil {
		t.Fatal(err)
	}
	return older, copyDir(t, from), p
}

// mended does what `fsck --repair` of a follower does, a peer having all that p published.
func mended(t *testing.T, dir string, p *publisher) (s *Store, done []string) {
	t.Helper()
	done, err := Salvage(dir, testOptions)
	if err != nil {
		t.Fatalf("salvage: %v", err)
	}
	s = reopen(t, dir)
	o := p.origin()
	more, err := s.Mend(testName, MendOptions{Adopt: true, Refetch: true, Anchor: p.chain.Anchor()})
	if err != nil {
		t.Fatalf("mend: %v", err)
	}
	done = append(done, more...)
	for _, f := range findings(t, s) {
		if f.Kind != "heads" && f.Kind != "bodies" && f.Kind != "body" {
			continue
		}
		n := f.Number
		if f.Kind == "body" {
			n /= width
		}
		for _, kind := range []feed.PartKind{feed.PartEntries, feed.PartBody} {
			path := feed.Part{Kind: kind, N: n, Width: width}.Path()
			data, err := p.part(path, p.last.Size)
			if err != nil {
				t.Fatal(err)
			}
			bad := append([]byte{}, data...)
			bad[len(bad)/2] ^= 1
			if err := s.PutPart(o, path, bad); err == nil {
				t.Errorf("%s with a byte changed: taken", path)
			}
			if err := s.PutPart(o, path, data); err != nil {
				t.Errorf("put back %s: %v", path, err)
			}
			done = append(done, "fetched "+path)
		}
	}
	tree, tail, _ := s.Position(o)
	if head, ok := s.Head(o); tree.Size() < p.last.Size || !ok || p.last.Newer(head) {
		done = append(done, fmt.Sprintf("fetched from %d on", tree.Size()))
	}
	for b, err := range feed.Verify(p.chain, tree, tail, p.last, func(path string) ([]byte, error) { return p.part(path, p.last.Size) }) {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	return s, done
}

// mustBeMended: everything that readers see is right again, also after the next Open. The times since which records are listed may be lost.
func mustBeMended(t *testing.T, s *Store, p *publisher) {
	t.Helper()
	for range 2 {
		if d := s.Damage(testName); d != nil {
			t.Errorf("still damaged: %v", d)
		}
		mustBeWhole(t, s)
		tree, _ := s.Tree(p.origin())
		if tree != p.tree {
			t.Fatalf("tree: got size %d, want %d", tree.Size(), p.tree.Size())
		}
		for r, err := range s.Records(p.origin(), 0, p.last.Size) {
			if want := p.records[r.Index]; err != nil || string(r.Head) != string(want.Head) || string(r.Body) != string(want.Body) {
				t.Fatalf("record %d: got %x %x %v, want %x %x", r.Index, r.Head, r.Body, err, want.Head, want.Body)
			}
		}
		s.Close()
		s = reopen(t, s.dir)
	}
	s.Close()
}

// TestEveryFile takes each kind of file away, shortens it, and puts an older copy in its place: the store doesn't open, or the feed is
// damaged, or all is there; never is it silently less. Then it is mended.
func TestEveryFile(t *testing.T) {
	older, dir, p := grown(t)
	kinds := map[string]string{
		"MANIFEST": "store/MANIFEST", "WAL": "store/*.mem", "vlog": "store/*.vlog", "table": "store/*.sst", "first table": "store/000001.sst", "key registry": "store/KEYREGISTRY",
		"discard": "store/DISCARD", "head file": "heads/" + headName, "record of MANIFEST": "heads/manifest",
		"charter": "charters/*/charter-*", "suspension": "charters/*/suspension-*", "roster": "charters/*/roster-*",
	}
	pick := func(t *testing.T, dir, pattern string) string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: got %v %v", pattern, found, err)
		}
		return found[len(found)-1]
	}
	shorten := func(keep func(size int64) int64) func(t *testing.T, path, name string) {
		return func(t *testing.T, path, name string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			size := int64(len(data))
			if strings.HasSuffix(path, ".mem") { // what is past its end are zeros
				size = int64(len(strings.TrimRight(string(data), "\x00")))
			}
			if err := os.Truncate(path, keep(size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	changes := map[string]func(t *testing.T, path, name string){
		"missing": func(t *testing.T, path, name string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"shortened by 1": shorten(func(n int64) int64 { return n - 1 }),
		"half":           shorten(func(n int64) int64 { return n / 2 }),
		"empty":          shorten(func(n int64) int64 { return 0 }),
		"rolled back": func(t *testing.T, path, name string) {
			data, err := os.ReadFile(pick(t, older, kinds[name]))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
	full := os.Getenv("HASHFEED_TEST") == "full"
	for kind, pattern := range kinds {
		for change, do := range changes {
			if cheap := change == "missing" || change == "half" && strings.HasPrefix(pattern, "store/") || change == "rolled back" && (strings.HasPrefix(pattern, "heads/") || kind == "MANIFEST"); !full && !cheap {
				continue
			}
			t.Run(kind+" "+change, func(t *testing.T) {
				d := copyDir(t, dir)
				path := pick(t, d, pattern)
				do(t, path, kind)
				told := ""
				s, err := Open(d, testOptions)
				switch {
				case err != nil:
					told = err.Error()
				case s.Damage(testName) != nil:
					told = s.Damage(testName).Error()
				default:
					for r, err := range s.Records(p.origin(), 0, p.last.Size) {
						if err != nil {
							told = err.Error() // it couldn't have been read unnoticed
							break
						}
						if string(r.Head) != string(p.records[r.Index].Head) || string(r.Body) != string(p.records[r.Index].Body) {
							t.Fatalf("record %d is another", r.Index)
						}
					}
					if told == "" {
						if got := s.Size(p.origin()); got != p.last.Size {
							t.Errorf("silently less: got %d records, want %d", got, p.last.Size)
						}
						if got := len(s.Suspensions(testName)); got != 2 {
							t.Errorf("silently less: got %d suspensions, want 2", got)
						}
						if _, ok := s.Roster(testName); !ok {
							t.Error("silently less: the roster is gone")
						}
					}
				}
				if err == nil {
					s.Close()
				}
				if told == "" {
					told = "nothing is lost"
				}
				s, done := mended(t, d, p)
				mustBeMended(t, s, p)
				t.Logf("%s; %s", told, strings.Join(done, "; "))
			})
		}
	}
}

// lose deletes values as a damaged table would.
func lose(t *testing.T, s *Store, keys ...key) {
	t.Helper()
	w := s.newWrite()
	for _, k := range keys {
		if ok, err := s.has(k); err != nil || !ok {
			t.Fatalf("%s: got %v %v, want it there", k, ok, err)
		}
		if err := w.delete(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.commit(); err != nil {
		t.Fatal(err)
	}
}

// TestMendValues loses single values: fsck tells which, and each is put back from where it can be had.
func TestMendValues(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 300, 1, 400, 20} {
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
	}
	o := p.origin()
	if err := s.Erase(o, 5); err != nil {
		t.Fatal(err)
	}
	p.records[5].Body = nil
	r, err := feed.SignRoster(p.chain, 4, testNow+86400, nil, rosterKey(testName), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetRoster(r); err != nil {
		t.Fatal(err)
	}
	s.Close()
	type found struct {
		kind   string
		number uint64
	}
	at := func(k kind, level uint8, number uint64, edition uint32) func(*logState) key {
		return func(l *logState) key { return l.key(k, level, number, edition) }
	}
	note := func(k kind, number uint64) func(*logState) key {
		return func(l *logState) key { return key{feed: l.feed, kind: k, number: number} }
	}
	for name, c := range map[string]struct {
		lost  []func(*logState) key
		want  found
		again bool // the next Open finds the feed damaged, if nothing is done
		fetch int  // parts from a peer
	}{
		"heads":                      {lost: []func(*logState) key{at(kindHeads, 0, 1, 0)}, want: found{"heads", 1}, fetch: 1},
		"bodies":                     {lost: []func(*logState) key{at(kindBodies, 0, 1, 0)}, want: found{"bodies", 1}, fetch: 1},
		"bodies of which one erased": {lost: []func(*logState) key{at(kindBodies, 0, 0, 1)}, want: found{"bodies", 0}, fetch: 1},
		"heads and bodies":           {lost: []func(*logState) key{at(kindHeads, 0, 0, 0), at(kindBodies, 0, 0, 1)}, want: found{"heads", 0}, fetch: 2},
		"a tile":                     {lost: []func(*logState) key{at(kindTile, 0, 1, 0)}, want: found{"tile", 1}, again: true},
		"both tiles":                 {lost: []func(*logState) key{at(kindTile, 0, 0, 0), at(kindTile, 0, 1, 0)}, want: found{"tile", 0}, again: true},
		"the newest chunk of heads":  {lost: []func(*logState) key{at(kindHeadsPart, 0, 701, 0)}, want: found{"chunk", 701}, again: true},
		"the newest chunk of bodies": {lost: []func(*logState) key{at(kindBodiesPart, 0, 701, 0)}, want: found{"chunk", 701}, again: true},
		"the record of a commit":     {lost: []func(*logState) key{at(kindCommit, 0, 301, 0)}, want: found{"record", 301}},
		"the newest checkpoint":      {lost: []func(*logState) key{at(kindCheckpoint, 0, 721, 0)}, want: found{"checkpoint", 721}, again: true},
		"a charter":                  {lost: []func(*logState) key{note(kindCharter, 1)}, want: found{"charter", 0}, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, closed := range []bool{false, true} { // mended at once, and after the next Open
				if closed && os.Getenv("HASHFEED_TEST") != "full" && name != "a tile" {
					continue
				}
				d := copyDir(t, dir)
				s := reopen(t, d)
				l, err := s.state(o)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range c.lost {
					lose(t, s, k(l))
				}
				if closed {
					s.Close()
					s = reopen(t, d)
					if damaged := s.Damage(testName) != nil; damaged != c.again {
						t.Errorf("next open: damaged %v, want %v", damaged, c.again)
					}
				}
				told := findings(t, s)
				if len(told) == 0 {
					t.Fatal("fsck finds nothing")
				}
				if !closed {
					ok := false
					for _, f := range told {
						ok = ok || f.Kind == c.want.kind && f.Number == c.want.number
					}
					if !ok {
						t.Errorf("fsck: got %v, want %v", told, c.want)
					}
				}
				s.Close()
				s, done := mended(t, d, p)
				fetched := 0
				for _, text := range done {
					if strings.HasPrefix(text, "fetched tile") || strings.HasPrefix(text, "fetched body") {
						fetched++
					}
				}
				if (fetched > 0) != (c.fetch > 0) {
					t.Errorf("got %q, want %d parts fetched", done, c.fetch)
				}
				erased, err := s.Erased(o, 5)
				if r, recordErr := s.Record(o, 5); !strings.Contains(strings.Join(done, " "), "set aside") && (err != nil || recordErr != nil || !erased || len(r.Body) > 0) {
					t.Errorf("the erased body: got %x %v %v", r.Body, err, recordErr)
				}
				mustBeMended(t, s, p)
			}
		})
	}
}

// TestMendKeepsOut: without the operator's word a head file isn't made again, nor a log set aside or taken as it is; what is of no weight is mended.
func TestMendKeepsOut(t *testing.T) {
	dir, s, p := held(t)
	s.Close()
	o := p.origin()
	head := filepath.Join("heads", headName)
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		with   MendOptions // mends it
	}{
		"head file missing": {func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, head)); err != nil {
				t.Fatal(err)
			}
		}, MendOptions{Adopt: true}},
		"head file of another root": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, head), forge(t, func(h *headFile) { h.Root[0]++ }))
		}, MendOptions{Refetch: true}},
		"head file of a later generation": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, head), forge(t, func(h *headFile) { h.Generation += 2 }))
		}, MendOptions{Refetch: true}},
		"end of the log lost": {func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, head), forge(t, func(h *headFile) { h.Fetched++ }))
		}, MendOptions{Shorter: true}},
	} {
		t.Run(name, func(t *testing.T) {
			d := copyDir(t, dir)
			c.change(t, d)
			charter := filepath.Join(d, "charters", "eokm.example_known", "charter-1")
			edit(t, charter, cut(3))
			before, err := os.ReadFile(filepath.Join(d, head))
			s := reopen(t, d)
			done, mendErr := s.Mend(testName, MendOptions{})
			if mendErr != nil || len(done) != 1 || !strings.Contains(done[0], "charter-1") {
				t.Errorf("mend without more: got %q %v, want the charter's file", done, mendErr)
			}
			if s.Damage(testName) == nil {
				t.Error("no damage left")
			}
			if after, afterErr := os.ReadFile(filepath.Join(d, head)); string(after) != string(before) || (err == nil) != (afterErr == nil) {
				t.Error("the head file was changed")
			}
			if done, err = s.Mend(testName, c.with); err != nil || len(done) == 0 || s.Damage(testName) != nil {
				t.Errorf("mend with %+v: got %q %v, damage %v", c.with, done, err, s.Damage(testName))
			}
			if c.with.Refetch {
				if got := s.Size(o); got != 0 {
					t.Errorf("set aside: got size %d, want 0", got)
				}
			} else if got := s.Size(o); got != p.last.Size {
				t.Errorf("kept: got size %d, want %d", got, p.last.Size)
			}
			mustBeWhole(t, s)
			s.Close()
			s = reopen(t, d)
			if dmg := s.Damage(testName); dmg != nil {
				t.Errorf("after the next open: %v", dmg)
			}
		})
	}
}

// TestOwed: a log that has lost its end takes what it lost, and nothing else, and is damaged until it has all of it.
func TestOwed(t *testing.T) {
	_, s, p := held(t)
	before := copyDir(t, s.dir)
	next := []*feed.Batch{p.publish(3), p.publish(4)}
	for _, b := range next {
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	after := copyDir(t, s.dir)
	if err := errors.Join(os.RemoveAll(filepath.Join(after, "store")), os.Rename(filepath.Join(before, "store"), filepath.Join(after, "store"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(after, "heads", "manifest")), os.Rename(filepath.Join(before, "heads", "manifest"), filepath.Join(after, "heads", "manifest"))); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, after)
	var damaged *DamagedError
	// Another that the same keys have signed: a fork.
	q := newPublisher(t, testName)
	for _, n := range []int{0, 300, 1, 1, 20} {
		q.publish(n)
	}
	q.salt += 1000
	if err := s.Commit(q.publish(7)); !errors.As(err, &damaged) || !errors.Is(err, ErrFork) {
		t.Errorf("another end: got %v, want a DamagedError that is ErrFork", err)
	}
	if err := s.Commit(next[0]); err != nil {
		t.Fatalf("half of the end: %v", err)
	}
	if d := s.Damage(testName); d == nil {
		t.Error("half of it is here: want damage still")
	}
	s.Close()
	s = reopen(t, after)
	if d := s.Damage(testName); d == nil {
		t.Error("half of it is here, after the next open: want damage still")
	}
	if err := s.Commit(next[1]); err != nil {
		t.Fatalf("the rest: %v", err)
	}
	if d := s.Damage(testName); d != nil {
		t.Errorf("all of it is here: %v", d)
	}
	mustHold(t, s, p)
	mustBeWhole(t, s)
	s.Close()
	s = reopen(t, after)
	mustHold(t, s, p)
	mustBeWhole(t, s)
}

// TestOlderManifest: Badger wrote MANIFEST anew, shorter, and somebody puts back the one from before, which is longer, whole, and doesn't list
// the newest table: Badger would delete that.
func TestOlderManifest(t *testing.T) {
	dir, s, p := held(t)
	s.Close()
	for i := range 2 {
		s = reopen(t, dir)
		if err := s.Commit(p.publish(i + 1)); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	path := filepath.Join(dir, "store", badger.ManifestFilename)
	older, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir)
	if err := s.Commit(p.publish(5)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	var tables []uint64
	if err := eachTable(filepath.Join(dir, "store"), func(_ string, id uint64) error { tables = append(tables, id); return nil }); err != nil {
		t.Fatal(err)
	}
	anew := manifestOf(tables)
	if len(anew) >= len(older) {
		t.Fatalf("MANIFEST written anew has %d bytes, the older one %d: nothing is tested", len(anew), len(older))
	}
	if err := os.WriteFile(path, anew, 0o600); err != nil {
		t.Fatal(err)
	}
	reopen(t, dir).Close()
	if err := os.WriteFile(path, older, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(dir, testOptions); !errors.Is(err, ErrEmptied) {
		if err == nil {
			s.Close()
		}
		t.Fatalf("an older MANIFEST: got %v, want ErrEmptied", err)
	}
	if _, err := Salvage(dir, testOptions); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir)
	mustHold(t, s, p)
	mustBeWhole(t, s)
}
