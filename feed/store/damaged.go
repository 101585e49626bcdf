package store

import (
	"slices"

	"hashfeed/feed"
)

// owing says whether nothing is wrong with a feed but that logs of it have to be fetched to where they were.
func (h *heldFeed) owing() bool {
	for _, d := range h.damages {
		if l, ok := h.state(d.Log); !ok || l.owed == nil {
			return false
		}
	}
	return true
}

// SetDamaged notes what somebody who read a feed found to be damaged, such as a lost bundle: commits are refused until it is mended, and
// Damage tells. log 0 is the feed as a whole.
func (s *Store) SetDamaged(name feed.Name, log int, problem error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := (*s.held.Load())[name]
	if h == nil {
		return
	}
	next := *h
	next.damages = slices.Clone(h.damages)
	s.damaged(&next, log, problem, remedyRefetch)
	s.show(name, &next)
}

// damaged notes something that is wrong with a feed.
func (s *Store) damaged(h *heldFeed, log int, problem error, remedy string) {
	h.damages = append(h.damages, &DamagedError{Feed: h.name, Log: log, Problem: problem.Error(), Remedy: remedy})
	s.log.Error("feed is damaged", "feed", string(h.name), "log", log, "err", problem)
}

const (
	remedyRefetch = "hashfeed fsck --repair mends it from what is here and from peers; never sign meanwhile"
	remedyNotes   = "hashfeed fsck --repair; if it can't, restore from a backup, or unfollow the feed and follow it again"
	remedyHead    = "if nothing can have been signed or received that isn't here: hashfeed fsck --repair --alone writes it again"
	remedyOwnLog  = "hashfeed restore a backup that is newer, or hashfeed fsck --repair --alone fetches it from members; never sign meanwhile"
	remedyBehind  = "what is missing is fetched from peers while the daemon runs (hashfeed status); if nobody has it, restore a newer backup"
)
