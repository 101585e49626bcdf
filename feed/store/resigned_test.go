package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// TestResignedSuspension: a suspension in force comes again with the signature of a new log's signer. It is one note, with both, through restarts
// and a crash between its file and the database; a file that was changed is still damage.
func TestResignedSuspension(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.AddFeed(p.chain))
	must(s.Commit(p.publish(0)))
	must(s.Commit(p.publish(5)))
	items := []feed.Position{{Log: 1, Index: 2}}
	note, err := feed.SignSuspension(p.chain, items, testNow, signerKey(testName.Log(1)))
	must(err)
	must(s.Suspend(note))
	next := testCharter(testName)
	next.Version, next.Closed, next.Log = 2, []feed.Cut{{Size: 5, Root: p.roots[5]}}, 2
	next.Signer = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{signerKey(testName.Log(2)).Public()}}
	next.Stamp = stampKey(testName.Log(2)).Public()
	chain := extend(t, p.chain, next)
	must(s.SetChain(chain))
	check := func(what string, signers int) {
		t.Helper()
		held := s.Suspensions(testName)
		if len(held) != 1 || len(held[0].Signers) != signers || !held[0].Vouched() {
			t.Fatalf("%s: got %d notes, %+v, want one with %d signers of the newest charter", what, len(held), held, signers)
		}
		mustBeWhole(t, s)
		if d := s.Damage(testName); d != nil {
			t.Errorf("%s: %v", what, d)
		}
	}
	check("closed", 0)
	again, err := feed.SignSuspension(chain, items, testNow, signerKey(testName.Log(2)))
	must(err)
	told := 0
	must(s.Follow(t.Context(), nil, tellOf(func(e Event) {
		if e.Suspension != nil {
			told++
		}
	})))
	path := s.notePath(testName, suspensionFile(note))
	before, err := os.ReadFile(path)
	must(err)
	must(s.Suspend(again))
	must(s.Suspend(again)) // and once more is nothing new
	must(s.Suspend(note))  // nor is less
	if told != 1 {
		t.Errorf("followers were told %d times, want once", told)
	}
	check("signed again", 1)
	after, err := os.ReadFile(path)
	must(err)
	if lines := strings.Count(string(after), "\n— "); lines != 2 || !bytes.HasPrefix(after, before[:bytes.Index(before, []byte("\n\n"))]) {
		t.Errorf("the file has %d signatures, want both: %s", lines, after)
	}
	s.Close()
	s = reopen(t, dir)
	check("started again", 1)

	// The power failed after the file was written: Badger has only the note with less.
	s.Close()
	s = reopen(t, dir)
	keys, _, err := s.stored((*s.held.Load())[testName], kindSuspension)
	must(err)
	if len(keys) != 2 {
		t.Fatalf("got %d values, want 2", len(keys))
	}
	w := s.newWrite()
	must(w.delete(keys[1]))
	must(w.commit())
	s.Close()
	s = reopen(t, dir)
	check("cut off between file and database", 1)

	// A file with less than the database has, or another, is damage as ever.
	s.Close()
	for what, data := range map[string][]byte{"with less": before, "flipped": flipped(after, len(after)-10), "without a line's end": after[:len(after)-1]} {
		must(os.WriteFile(path, data, 0o600))
		s = reopen(t, dir)
		if s.Damage(testName) == nil {
			t.Errorf("file %s: no damage", what)
		}
		s.Close()
	}
	must(os.WriteFile(path, after, 0o600))
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir)
	check("mended", 1)
}

// TestSetAsideTells: who follows the store is told that a log begins anew.
func TestSetAsideTells(t *testing.T) {
	p := newPublisher(t, testName)
	s := create(t, t.TempDir())
	for _, err := range []error{s.AddFeed(p.chain), s.Commit(p.publish(0)), s.Commit(p.publish(5))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []uint64
	if err := s.Follow(t.Context(), nil, tellOf(func(e Event) {
		if e.Chain != nil {
			got = append(got, s.Size(p.origin()))
		}
	})); err != nil {
		t.Fatal(err)
	}
	if err := s.SetAside(p.origin()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != 0 {
		t.Errorf("told with sizes %v, want once, when it was empty", got)
	}
}

// tellOf is a follower that only listens.
type tellOf func(Event)

func (tellOf) Name() string { return "listener" }

func (f tellOf) Apply(e Event) error {
	f(e)
	return nil
}

func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 1
	return data
}
