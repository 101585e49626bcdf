package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	"hashfeed/feed"
)

// A life is what a store can be asked to write, in order; a step may be made again. It is the same each time, in each process.
type life struct {
	p      *publisher
	steps  []func(*Store) error
	held   func(s *Store, done int) error // whether all is there that must be after so many steps
	last   feed.Checkpoint
	erased []uint64
}

func newLife(t testing.TB) *life {
	t.Helper()
	p := newPublisher(t, testName)
	next := testCharter(testName)
	next.Version = 2
	longer := extend(t, p.chain, next)
	suspension, err := feed.SignSuspension(p.chain, []feed.Position{{Log: 1, Index: 1}}, testNow, signerKey(p.origin()))
	if err != nil {
		t.Fatal(err)
	}
	roster, err := feed.SignRoster(p.chain, 1, testNow+86400, nil, rosterKey(testName), testNow)
	if err != nil {
		t.Fatal(err)
	}
	o := p.origin()
	batches := []*feed.Batch{p.publish(0), p.publish(3), p.publish(400), p.publish(0), p.publish(1200)}
	l := &life{p: p, last: p.last, erased: []uint64{1, 2, 500, 1601}}
	erase := func(s *Store) error { return s.Erase(o, l.erased...) }
	l.steps = []func(*Store) error{
		func(s *Store) error { return s.AddFeed(p.chain) },
		func(s *Store) error { return s.Commit(batches[0]) },
		func(s *Store) error { return s.Commit(batches[1]) },
		func(s *Store) error { return s.Suspend(suspension) },
		func(s *Store) error { return s.SetRoster(roster) },
		func(s *Store) error { return s.Commit(batches[2]) },
		func(s *Store) error { return s.SetChain(longer) },
		func(s *Store) error { return s.Commit(batches[3]) },
		func(s *Store) error { return s.Commit(batches[4]) },
		erase,
		func(s *Store) error { return s.SetAside(o) },
		l.fetch,
		erase,
	}
	const setAside, fetched = 11, 12 // steps done
	l.held = func(s *Store, done int) error {
		if done > 0 {
			if _, ok := s.Chain(testName); !ok {
				return errors.New("the feed is lost")
			}
		}
		var want uint64
		for i, b := range map[int]*feed.Batch{2: batches[0], 3: batches[1], 6: batches[2], 9: batches[4]} {
			if done >= i {
				want = max(want, b.To())
			}
		}
		if done == setAside-1 || done == setAside { // it may be set aside already, and is fetched again
			want = 0
		}
		if got := s.Size(o); got < want || got > l.last.Size {
			return fmt.Errorf("%d records, acknowledged were %d", got, want)
		}
		if done >= 4 && len(s.Suspensions(testName)) != 1 {
			return errors.New("the suspension is lost")
		}
		if _, ok := s.Roster(testName); done >= 5 && !ok {
			return errors.New("the roster is lost")
		}
		if c, _ := s.Chain(testName); done >= 7 && c.Newest().Version != 2 {
			return errors.New("the charter is lost")
		}
		if done == setAside-1 || done > fetched {
			return l.isErased(s)
		}
		return nil
	}
	return l
}

// isErased: of the records that are there, those that were erased have no body.
func (l *life) isErased(s *Store) error {
	for _, i := range l.erased {
		if r, err := s.Record(l.p.origin(), i); err == nil && len(r.Body) > 0 {
			return fmt.Errorf("record %d isn't erased", i)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// fetch restores the log from a peer that has all of it.
func (l *life) fetch(s *Store) error {
	chain, _ := s.Chain(testName)
	tree, tail, ok := s.Position(l.p.origin())
	if !ok || chain == nil {
		return errors.New("there is no log to fetch")
	}
	get := func(path string) ([]byte, error) { return l.p.part(path, l.last.Size) }
	for b, err := range feed.Verify(chain, tree, tail, l.last, get) {
		if err != nil {
			return err
		}
		if err := s.Commit(b); err != nil {
			return err
		}
	}
	return nil
}

// goOn makes the steps that aren't done yet, and wants everything to be there then.
func (l *life) goOn(s *Store, done int) error {
	for ; done < len(l.steps); done++ {
		if err := l.steps[done](s); err != nil {
			return fmt.Errorf("step %d: %w", done, err)
		}
	}
	if err := l.held(s, len(l.steps)); err != nil {
		return err
	}
	if got, ok := s.Head(l.p.origin()); !ok || string(got.Bytes()) != string(l.last.Bytes()) {
		return fmt.Errorf("the head is %q", got.Bytes())
	}
	return nil
}

// swallowDisk doesn't say that a file couldn't be written.
type swallowDisk struct{ realDisk }

func (d swallowDisk) replace(path string, data []byte) error {
	d.realDisk.replace(path, data)
	return nil
}

// live lives in a folder, and says on stdout how many steps are done. It opens the store anew in the middle.
func live(dir, bug string) error {
	closeTime = 3 * time.Second
	l := newLife(&testing.B{})
	var d disk = realDisk{}
	if bug == bugSwallow {
		d = swallowDisk{}
	}
	s, err := open(dir, testOptions, d, true)
	if err != nil {
		return err
	}
	for i, step := range l.steps {
		if i == len(l.steps)/2 {
			if err := s.Close(); err != nil {
				return fmt.Errorf("close: %w", err)
			}
			if s, err = open(dir, testOptions, d, false); err != nil {
				return err
			}
		}
		if err := step(s); err != nil {
			if unwell := s.Unwell(); unwell == nil {
				fmt.Println("well") // the store goes on: nothing may have been written
			}
			return err
		}
		fmt.Println(i + 1)
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	fmt.Println("closed")
	os.Stdout.Close()
	return nil
}
