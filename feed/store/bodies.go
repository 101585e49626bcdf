package store

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"hashfeed/feed"
)

// SetBody stores a body that was missing. It must be the one that the record's head promises. One that is there already is no
// error; one that was erased stays so (ErrErased).
func (s *Store) SetBody(origin feed.Origin, index uint64, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.setBody(origin, index, body); err != nil {
		return fmt.Errorf("store body of %s#%d: %w", origin, index, err)
	}
	return nil
}

func (s *Store) setBody(origin feed.Origin, index uint64, body []byte) error {
	h, l, err := s.mutable(origin)
	if err != nil {
		return err
	}
	record, err := s.Record(origin, index)
	if err != nil {
		return err
	}
	if want, ok := feed.PromisedBody(record.Head); !ok || want != sha256.Sum256(body) || len(body) == 0 {
		return fmt.Errorf("it isn't the body that the head promises")
	}
	if len(record.Body) > 0 {
		return nil
	}
	if gone, err := s.has(l.key(kindErased, 0, index, 0)); err != nil {
		return err
	} else if gone {
		return ErrErased
	}
	return s.rebody(h, l, map[uint64][]byte{index: body}, false)
}

// Erase removes the bodies of records: their heads, proofs and the tree stand, and the bytes are gone from the disk at the
// database's next compaction. Which may go is the caller's to judge (WIRE §7). What is erased or has no body is no error.
func (s *Store) Erase(origin feed.Origin, indexes ...uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.erase(origin, indexes); err != nil {
		return fmt.Errorf("erase bodies of %s: %w", origin, err)
	}
	return nil
}

func (s *Store) erase(origin feed.Origin, indexes []uint64) error {
	byBundle := map[uint64]map[uint64][]byte{}
	for _, i := range indexes {
		if byBundle[i/width] == nil {
			byBundle[i/width] = map[uint64][]byte{}
		}
		byBundle[i/width][i] = nil
	}
	for _, n := range slices.Sorted(maps.Keys(byBundle)) {
		h, l, err := s.mutable(origin)
		if err != nil {
			return err
		}
		if err := s.rebody(h, l, byBundle[n], true); err != nil {
			return err
		}
	}
	return nil
}

// mutable is a log that may be written to.
func (s *Store) mutable(origin feed.Origin) (*heldFeed, *logState, error) {
	if err := s.ready(); err != nil {
		return nil, nil, err
	}
	h, err := s.feed(origin.Name())
	if err != nil {
		return nil, nil, err
	}
	if err := h.damaged(); err != nil {
		return nil, nil, err
	}
	l, err := s.state(origin)
	return h, l, err
}

// Erased says whether a record's body was erased here.
func (s *Store) Erased(origin feed.Origin, index uint64) (bool, error) {
	l, err := s.state(origin)
	if err != nil {
		return false, err
	}
	return s.has(l.key(kindErased, 0, index, 0))
}

// AllErased lists the records of a log whose bodies were erased here, ascending.
func (s *Store) AllErased(origin feed.Origin) ([]uint64, error) {
	l, err := s.state(origin)
	if err != nil {
		return nil, err
	}
	return s.sizes(l, kindErased)
}

// Rewritten lists the full bundles of a log whose bodies were written more than once, for a late body or an erasure, and how often: what was
// derived from one before must be looked at again where that has changed.
func (s *Store) Rewritten(origin feed.Origin) map[uint64]uint32 {
	l, err := s.state(origin)
	if err != nil {
		return nil
	}
	all := map[uint64]uint32{}
	s.editions.Range(func(k, edition any) bool {
		if at := k.(key); at == l.key(kindBodies, 0, at.number, 0) {
			all[at.number] = edition.(uint32)
		}
		return true
	})
	return all
}

// rebody writes the next edition of one bundle's bodies, or of the chunks' that have them, with some of them set.
func (s *Store) rebody(h *heldFeed, l *logState, set map[uint64][]byte, erase bool) error {
	w := s.newWrite()
	defer w.discard()
	for _, i := range slices.Sorted(maps.Keys(set)) {
		if i >= l.size {
			return fmt.Errorf("record %d: %w", i, fs.ErrNotExist)
		}
		if !erase {
			continue
		}
		k := l.key(kindErased, 0, i, 0)
		if ok, err := s.has(k); err != nil {
			return err
		} else if !ok {
			if err := w.put(k, string(l.origin), nil); err != nil {
				return err
			}
		}
	}
	next, done, err := s.rebundle(w, l, set)
	if err != nil {
		return err
	}
	if w.bytes == 0 {
		return nil
	}
	if err := w.commit(); err != nil {
		return err
	}
	for _, f := range done {
		f()
	}
	s.show(h.name, h.with(next))
	return nil
}

func (s *Store) rebundle(w *write, l *logState, set map[uint64][]byte) (next *logState, done []func(), err error) {
	change := func(bodies [][]byte, first uint64) (changed bool) {
		for i, body := range set {
			if i >= first && i-first < uint64(len(bodies)) && !bytes.Equal(bodies[i-first], body) {
				bodies[i-first], changed = bytes.Clone(body), true
			}
		}
		return changed
	}
	var n uint64
	for i := range set {
		n = i / width
	}
	if n < l.full() {
		bodies, err := s.bundle(l, kindBodies, n, width)
		if err != nil {
			return nil, nil, err
		}
		if !change(bodies, n*width) {
			return l, nil, nil
		}
		data, err := feed.AppendBundle(nil, bodies)
		if err != nil {
			return nil, nil, err
		}
		at := l.key(kindBodies, 0, n, 0)
		at.edition = s.newestEdition(at)
		old := at
		at.edition++
		f, err := w.putEdition(at, string(l.origin), data)
		if err != nil {
			return nil, nil, err
		}
		return l, []func(){f}, w.delete(old)
	}
	c := *l
	c.bodies, c.chunks = slices.Clone(l.bodies), slices.Clone(l.chunks)
	for i, part := range c.chunks {
		at := part.first % width
		bodies := c.bodies[at : at+uint64(part.n)]
		if !change(bodies, part.first) {
			continue
		}
		old := c.key(kindBodiesPart, 0, part.first, part.edition)
		part.edition++
		if err := s.putChunk(w, &c, kindBodiesPart, part, bodies); err != nil {
			return nil, nil, err
		}
		if err := w.delete(old); err != nil {
			return nil, nil, err
		}
		c.chunks[i] = part
	}
	return &c, nil, nil
}
