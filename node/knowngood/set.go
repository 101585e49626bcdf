package knowngood

import (
	"fmt"
	"path/filepath"

	"hashfeed/feed"
)

// Set is all that a node knows to be good. The zero Set knows nothing.
type Set struct {
	Builtin *List
	Own     *Own
	Blooms  []*Bloom
	Within  int // bits up to which a neighbour by PDQ counts, 0 to MaxWithin
}

// Find tells whether anything knows a hash, and what, in words that follow "known good:".
func (s *Set) Find(h feed.Hash) (source string, ok bool) {
	if name, ok := s.Own.Find(h, s.Within); ok {
		return fmt.Sprintf("your own list has it (%s)", name), true
	}
	if s.Builtin != nil {
		if source, ok := s.Builtin.Find(h, s.Within); ok {
			return fmt.Sprintf("the built-in list has it (%s)", source), true
		}
	}
	for _, b := range s.Blooms {
		if b.Has(h) {
			return fmt.Sprintf("the filter %s has it", filepath.Base(b.Path)), true
		}
	}
	return "", false
}

// HasOwn tells whether the operator's own list has a hash.
func (s *Set) HasOwn(h feed.Hash) bool {
	_, ok := s.Own.Find(h, s.Within)
	return ok
}

// Has tells whether the built-in list has a hash.
func (s *Set) Has(h feed.Hash) bool {
	if s.Builtin == nil {
		return false
	}
	_, ok := s.Builtin.Find(h, s.Within)
	return ok
}

// Bytes tells whether a Bloom filter has an exact hash. It may be wrong, and be made to: see the package's doc.
func (s *Set) Bytes(h feed.Hash) bool {
	for _, b := range s.Blooms {
		if b.Has(h) {
			return true
		}
	}
	return false
}
