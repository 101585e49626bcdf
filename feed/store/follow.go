package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"hashfeed/feed"
)

// An Event is something that is durable now. Besides Feed, one of Batch, Chain, Suspension and Roster is set.
type Event struct {
	Feed feed.Name
	// Batch: its records from the one with index First on, up to its end, are new; First is its end when it only brought a
	// checkpoint.
	Batch      *feed.Batch
	First      uint64
	Chain      *feed.Chain // newer charters, or those of a feed that was added; logs may have been set aside (Generation)
	Suspension *feed.Suspension
	Roster     *feed.Roster
}

// A Follower is told of everything that is committed, in order, one event at a time, before the call that committed it
// returns: so a retraction has acted when Commit returns.
type Follower interface {
	// Name is told in errors; a cursor kept under it is the follower's own.
	Name() string
	// Apply must be quick, and may read the store but not write to it: the commit lock is held. An error doesn't undo the commit
	// and doesn't stop the other followers; the caller of the commit gets it as a *FollowerError.
	Apply(Event) error
}

// Follow runs replay, in which the follower takes in what is stored (it may be nil), and then tells it of every event. Between
// the two nothing is missed and nothing comes twice, because commits wait; so replay should be quick, or do the bulk before
// Follow is called, and only the rest in it.
func (s *Store) Follow(ctx context.Context, replay func(*Store) error, f Follower) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if replay != nil {
		if err := replay(s); err != nil {
			return fmt.Errorf("replay the store to follower %s: %w", f.Name(), err)
		}
	}
	s.followers = append(s.followers, f)
	return nil
}

// Still runs f while nothing is committed and no follower is told of anything: what f reads and derives belongs together. f may not write.
func (s *Store) Still(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return f()
}

// tell passes an event on. The commit lock is held.
func (s *Store) tell(e Event) error {
	var all []error
	for _, f := range s.followers {
		if err := f.Apply(e); err != nil {
			s.log.Error("follower can't apply a commit", "follower", f.Name(), "feed", string(e.Feed), "err", err)
			s.metrics.followerErrors.Inc()
			all = append(all, &FollowerError{f.Name(), err})
		}
	}
	return errors.Join(all...)
}

// cursorKey is the place of the cursor of that name, of any edition.
func cursorKey(name string) key {
	sum := sha256.Sum256([]byte(name))
	return key{kind: kindCursor, number: binary.BigEndian.Uint64(sum[:])}
}

// PutCursor stores up to where a follower that keeps its own files has come: bytes that only it reads.
func (s *Store) PutCursor(name string, cursor []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.putCursor(name, cursor); err != nil {
		return fmt.Errorf("store cursor of %s: %w", name, err)
	}
	return nil
}

func (s *Store) putCursor(name string, cursor []byte) error {
	if err := s.ready(); err != nil {
		return err
	}
	if len(cursor) > maxCursor || len(name) > maxCursor {
		return fmt.Errorf("more than %d bytes", maxCursor)
	}
	old, ok, err := s.last(cursorKey(name), upToNumber)
	if err != nil {
		return err
	}
	w := s.newWrite()
	defer w.discard()
	k := cursorKey(name)
	if ok {
		k.edition = old.edition + 1
		if err := w.delete(old); err != nil {
			return err
		}
	}
	if err := w.put(k, name, cursor); err != nil {
		return err
	}
	return w.commit()
}

// Cursor returns what PutCursor stored last under a name; nil if nothing.
func (s *Store) Cursor(name string) ([]byte, error) {
	k, ok, err := s.last(cursorKey(name), upToNumber)
	if err != nil || !ok {
		return nil, err
	}
	return s.get(k, name)
}
