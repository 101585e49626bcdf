package feed

import (
	"bytes"
	"cmp"
	"slices"
)

// Suspending is what a State needs of a suspension: what it names, and which signers of the newest charter stand on it.
type Suspending struct {
	Time    int64      // Unix seconds
	Sum     Digest     // SHA-256 of the note's text: the order of notes of one time
	Signers [][32]byte // the public keys; none: the note has no effect
	Items   []Position // ascending; each names its item by any of its non-void adds, revises and retracts
}

// naming is one line of a suspension that counts: a signer names a record.
type naming struct {
	signer [32]byte
	time   int64
}

// earliest is for each signer the time of the earliest of its lines that count for an item.
type earliest map[[32]byte]int64

// SetSuspensions replaces the suspensions. notes are all that the feed has, in any order, also those without effect. Call it again when a
// note comes or when a new charter changes whose signatures count.
//
// A note is in force until its time + 72 h, and not before our clock has come within 300 s of it. A signer can't renew: of its notes that
// name any record of an item only the earliest counts. And of its lines only 1,000 count in any 72 h, so that a stolen signer can hold a
// thousand items for three days and no more. None of this depends on the clock but the two comparisons in [Item.held]: a note's budget
// is spent by earlier notes alone, and the earliest note of all decides, so that later ones needn't be known.
func (s *State) SetSuspensions(notes []Suspending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.earliest
	s.notes, s.earliest = countLines(notes), map[uint32]earliest{}
	for at, lines := range s.notes {
		if n, ok := s.ItemAt(at.position()); ok {
			s.earliest[n] = s.earliest[n].with(lines)
		}
	}
	for n := range old {
		if s.earliest[n] == nil {
			s.setTimes(n)
		}
	}
	for n := range s.earliest {
		s.setTimes(n)
	}
}

// countLines returns the lines that count, by the record that they name.
func countLines(notes []Suspending) map[place][]naming {
	notes = slices.Clone(notes)
	slices.SortFunc(notes, func(a, b Suspending) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), bytes.Compare(a.Sum[:], b.Sum[:]))
	})
	// A note is its text: one that came twice, each time with other signatures, is one with both.
	type budget struct {
		spent []struct{ time, lines int64 } // within the last 72 h
		sum   int64
		last  Digest // the note charged last
		any   bool
	}
	budgets := map[[32]byte]*budget{}
	lines := map[place][]naming{}
	for _, note := range notes {
		for _, signer := range note.Signers {
			b := budgets[signer]
			if b == nil {
				b = &budget{}
				budgets[signer] = b
			}
			if b.any && b.last == note.Sum {
				continue
			}
			for len(b.spent) > 0 && b.spent[0].time <= note.Time-suspensionHold {
				b.sum -= b.spent[0].lines
				b.spent = b.spent[1:]
			}
			n := min(suspensionLines-b.sum, int64(len(note.Items))) // the first that there is room for
			b.spent = append(b.spent, struct{ time, lines int64 }{note.Time, n})
			b.sum, b.last, b.any = b.sum+n, note.Sum, true
			for _, p := range note.Items[:n] {
				lines[placeOf(p)] = append(lines[placeOf(p)], naming{signer, note.Time})
			}
		}
	}
	return lines
}

// with adds lines to an item's. The receiver may be nil.
func (e earliest) with(lines []naming) earliest {
	if e == nil {
		e = earliest{}
	}
	for _, l := range lines {
		if t, ok := e[l.signer]; !ok || l.time < t {
			e[l.signer] = l.time
		}
	}
	return e
}

// times returns what Item.held asks for.
func (e earliest) times() []int64 {
	var all []int64
	for _, t := range e {
		all = append(all, t)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// setTimes stores item n with the suspensions that are now known of it.
func (s *State) setTimes(n uint32) {
	it, times := s.Item(n), s.earliest[n].times()
	if it.more != nil && slices.Equal(it.more.suspended, times) {
		return
	}
	it = it.edit()
	it.more.suspended = times
	s.items.at(uint64(n)).Store(it)
}

// name tells the item n, of which the record at a place is a new one, of the suspensions that came before the record.
func (s *State) name(at place, n uint32, it *Item) *Item {
	lines := s.notes[at]
	if lines == nil {
		return it
	}
	s.earliest[n] = s.earliest[n].with(lines)
	it = it.edit()
	it.more.suspended = s.earliest[n].times()
	return it
}
