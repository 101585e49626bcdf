package feed

import (
	"cmp"
	"slices"
)

// Tally counts the items as [State.At] judges them, and the erased bodies. It takes a look at each item.
func (s *State) Tally(limit uint64, now int64) Counts {
	var c Counts
	for n := range s.Items() {
		switch s.At(n, limit, now).Status {
		case Pending:
			c.Pending++
		case Active:
			c.Active++
		case Held:
			c.Held++
		case Retracted:
			c.Retracted++
		}
		it := s.Item(n)
		for i := range it.live() {
			if it.entry(i).content == contentAbsent {
				c.Erased++
			}
		}
	}
	return c
}

// Codes returns why the record at p is void, or its body refused; "" and "" where neither is so.
func (s *State) Codes(p Position) (VoidCode, RefuseCode) {
	if n, ok := s.ItemAt(p); ok {
		it := s.Item(n)
		for i := range it.len() {
			if e := it.entry(i); e.at.position() == p {
				code, _ := e.content.refused()
				return "", code
			}
		}
		return "", ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	logs := *s.logs.Load()
	if p.Log < 1 || p.Log > len(logs) {
		return "", ""
	}
	marks := logs[p.Log-1].marks
	i, ok := slices.BinarySearchFunc(marks, p.Index, func(m mark, index uint64) int { return cmp.Compare(m.index, index) })
	if !ok {
		return "", ""
	}
	return marks[i].code, ""
}

// Absent returns the adds and revises whose bodies should be here and aren't, by item. It takes a look at each item.
func (s *State) Absent() []Position {
	var all []Position
	for n := range s.Items() {
		it := s.Item(n)
		for i := it.live(); i < it.len(); i++ {
			if e := it.entry(i); e.content == contentAbsent {
				all = append(all, e.at.position())
			}
		}
	}
	return all
}
