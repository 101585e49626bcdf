package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"hashfeed/feed"
)

// A faultDisk fails at its n-th call that changes something.
type faultDisk struct {
	realDisk
	n     int   // calls left before the fault
	after bool  // the call is made, and fails nevertheless
	fault error // what the fault was
	space func() uint64
}

var errFault = errors.New("injected fault")

func (d *faultDisk) call(what string, do func() error) error {
	d.n--
	if d.n != 0 {
		return do()
	}
	d.fault = fmt.Errorf("%w: %s", errFault, what)
	if d.after {
		if err := do(); err != nil {
			return err
		}
	}
	return d.fault
}

func (d *faultDisk) commit(txn *badger.Txn) error {
	return d.call("commit", func() error { return d.realDisk.commit(txn) })
}
func (d *faultDisk) replace(path string, data []byte) error {
	return d.call("replace "+filepath.Base(path), func() error { return d.realDisk.replace(path, data) })
}
func (d *faultDisk) syncDir(path string) error {
	return d.call("sync "+filepath.Base(path), func() error { return d.realDisk.syncDir(path) })
}
func (d *faultDisk) removeAll(path string) error {
	return d.call("remove "+filepath.Base(path), func() error { return d.realDisk.removeAll(path) })
}
func (d *faultDisk) free(path string) (uint64, error) {
	if d.space != nil {
		return d.space(), nil
	}
	return d.realDisk.free(path)
}

// TestFaults makes each call to the disk fail in turn, before and after it was made, in a life of a feed; opens the store again,
// checks that it is whole and has all that was acknowledged, and goes on to the end.
func TestFaults(t *testing.T) {
	l := newLife(t)
	steps, held := l.steps, l.held
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			dir := filepath.Join(t.TempDir(), "x")
			d := &faultDisk{n: n, after: after}
			s, err := open(dir, testOptions, d, true)
			done := 0
			for err == nil && done < len(steps) {
				if err = steps[done](s); err == nil {
					done++
				}
			}
			if d.fault == nil && err != nil {
				t.Fatal(err)
			}
			where := fmt.Sprintf("call %d (%v, made: %v), step %d", n, d.fault, after, done)
			if s != nil && err != nil {
				if !errors.Is(err, errFault) || !errors.Is(err, ErrUnwell) {
					t.Fatalf("%s: got %v, want the fault as ErrUnwell", where, err)
				}
				if err := s.PutCursor("x", nil); !errors.Is(err, ErrUnwell) {
					t.Fatalf("%s: writing goes on: %v", where, err)
				}
			}
			if s != nil {
				s.Close()
			}
			if s, err = Open(dir, testOptions); err != nil {
				if s, err = Create(dir, testOptions); done > 0 || err != nil {
					t.Fatalf("%s: %v", where, err)
				}
			}
			s.onPut = nil
			if err := held(s, done); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			for _, f := range findings(t, s) {
				t.Errorf("%s: fsck: %s", where, f)
			}
			if err := l.goOn(s, done); err != nil {
				t.Fatalf("%s: going on: %v", where, err)
			}
			for _, f := range findings(t, s) {
				t.Errorf("%s: fsck at the end: %s", where, f)
			}
			s.Close()
			os.RemoveAll(dir)
			if d.fault == nil {
				t.Logf("%d calls", n-1)
				if n < 20 {
					t.Fatalf("only %d calls", n)
				}
				break
			}
		}
	}
}

// TestLeftover: full bundles of a commit that never counted stay in the database, and then another batch wants their places.
func TestLeftover(t *testing.T) {
	p, other := newPublisher(t, testName), newPublisher(t, testName)
	dir := t.TempDir()
	s := create(t, dir)
	s.onPut = writeOnce(t)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(0)); err != nil {
		t.Fatal(err)
	}
	other.publish(0)
	other.salt = 10_000
	s.disk = &faultDisk{n: 2} // the first transaction is durable, the second isn't
	if err := s.Commit(other.publish(1200)); !errors.Is(err, ErrUnwell) {
		t.Fatalf("got %v, want ErrUnwell", err)
	}
	if ok, err := s.has(key{feed: 1, log: 1, kind: kindHeads, number: 2}); err != nil || !ok {
		t.Fatalf("the first transaction left nothing: %v", err)
	}
	once := s.onPut
	s.Close()
	for _, n := range []int{100, 500, 1000} {
		s = reopen(t, dir)
		s.onPut = once
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
		mustHold(t, s, p)
		mustBeWhole(t, s)
		s.Close()
	}
	s = reopen(t, dir)
	mustHold(t, s, p)
}

// TestNoSpace: below the reserve nothing is written, and it works again when there is room.
func TestNoSpace(t *testing.T) {
	var free uint64 = 1 << 40
	d := &faultDisk{space: func() uint64 { return free }}
	o := testOptions
	o.Reserve = 1 << 30
	dir := t.TempDir()
	s, err := open(dir, o, d, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	p := newPublisher(t, testName)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 2} {
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
	}
	big, size := p.publish(2000), s.Size(p.origin())
	for _, free = range []uint64{0, 1 << 29, 1<<30 + 100} {
		if err := s.Commit(big); !errors.Is(err, ErrNoSpace) || errors.Is(err, ErrUnwell) {
			t.Errorf("%d bytes free: got %v, want ErrNoSpace", free, err)
		}
		if err := s.Erase(p.origin(), 0); !errors.Is(err, ErrNoSpace) {
			t.Errorf("erase with %d bytes free: got %v, want ErrNoSpace", free, err)
		}
		if got := s.Size(p.origin()); got != size {
			t.Errorf("size: got %d, want %d", got, size)
		}
	}
	s.Close()
	if _, err := open(dir, o, d, false); !errors.Is(err, ErrNoSpace) {
		t.Errorf("open without room: got %v, want ErrNoSpace", err)
	}
	free = 1 << 40
	if s, err = open(dir, o, d, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(big); err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, p)
	mustBeWhole(t, s)
}

func TestFreeIsReal(t *testing.T) {
	free, err := realDisk{}.free(t.TempDir())
	if err != nil || free < 1<<20 || free > 1<<60 {
		t.Errorf("free space: got %d %v", free, err)
	}
}

// TestRemoveFaults makes each call to the disk fail in turn while a log is set aside, and while a feed is removed and added again: after the next
// Open the log is the old or the new one, the feed is there or gone, and nothing is damaged.
func TestRemoveFaults(t *testing.T) {
	p := newPublisher(t, testName)
	o := p.origin()
	batches := []*feed.Batch{p.publish(0), p.publish(300)}
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			dir := t.TempDir()
			s := create(t, dir)
			if err := s.AddFeed(p.chain); err != nil {
				t.Fatal(err)
			}
			for _, b := range batches {
				if err := s.Commit(b); err != nil {
					t.Fatal(err)
				}
			}
			d := &faultDisk{n: n, after: after}
			s.disk = d
			err := s.SetAside(o)
			if err == nil {
				err = s.RemoveFeed(testName)
			}
			if err == nil {
				err = s.AddFeed(p.chain)
			}
			fault := d.fault
			s.Close()
			where := fmt.Sprintf("call %d (%v, made: %v)", n, d.fault, after)
			if fault != nil && !errors.Is(err, ErrUnwell) {
				t.Fatalf("%s: got %v, want ErrUnwell", where, err)
			}
			s = reopen(t, dir)
			if d := s.Damage(testName); d != nil {
				t.Fatalf("%s: %v", where, d)
			}
			if size := s.Size(o); size != 0 && size != 300 {
				t.Fatalf("%s: %d records", where, size)
			}
			for _, f := range findings(t, s) {
				t.Errorf("%s: fsck: %s", where, f)
			}
			if err := s.AddFeed(p.chain); err != nil {
				t.Fatalf("%s: add again: %v", where, err)
			}
			for _, b := range batches {
				if err := s.Commit(b); err != nil {
					t.Fatalf("%s: commit again: %v", where, err)
				}
			}
			mustHold(t, s, p)
			s.Close()
			if d.fault == nil {
				if n < 8 {
					t.Fatalf("only %d calls", n)
				}
				break
			}
		}
	}
}
