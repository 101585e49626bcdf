package store

import (
	"fmt"

	"hashfeed/feed"
)

var _ feed.MirrorSource = (*Store)(nil)

// Mirror returns what [feed.WriteMirror] reads a feed from. A damaged feed is refused: a mirror of it would spread the damage.
func (s *Store) Mirror(name feed.Name) (feed.MirrorSource, error) {
	h, err := s.feed(name)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	if err := h.damaged(); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	return s, nil
}
