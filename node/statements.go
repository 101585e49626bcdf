package node

import (
	"slices"
	"sync"
	"time"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// statements is what the feeds here say of records: who endorses, who disputes, which disputes are resolved. Reading
// takes no lock.
type statements struct {
	of       sync.Map // feed.Ref -> []statement, never changed in place
	resolved sync.Map // feed.Ref of a dispute -> []feed.Name of the feeds that resolve it
	stood    sync.Map // feed.Ref of a dispute -> int64, since when it stands in its feed
	mu       sync.Mutex
}

// statement is an endorse or a dispute.
type statement struct {
	op     feed.Op
	by     feed.Name
	own    bool // by a feed of this node
	at     feed.Ref
	leaf   feed.Digest // of the record that is spoken of: the one that was meant, and no other in its place
	reason feed.Reason
	ticket *feed.Ticket
	time   int64 // that its head names, while it awaits approval
}

func newStatements() *statements { return &statements{} }

// hear takes in the statements among records.
func (s *statements) hear(v *view, log int, first uint64, records []feed.Record) {
	for i, r := range records {
		// A head is a map that begins with 1: 1, 2: op, a byte each.
		if len(r.Head) < 5 || feed.Op(r.Head[4]) < feed.OpEndorse || feed.Op(r.Head[4]) > feed.OpResolve {
			continue
		}
		at := feed.Position{Log: log, Index: first + uint64(i)}
		head, err := feed.ParseHead(r.Head)
		if err != nil || v.pastCut(at) {
			continue
		}
		origin, err := feed.ParseOrigin(string(head.Subject.Origin))
		if err != nil {
			continue
		}
		subject := feed.Ref{Origin: origin, Index: head.Subject.Index}
		switch head.Op {
		case feed.OpEndorse, feed.OpDispute:
			add(&s.mu, &s.of, subject, statement{op: head.Op, by: v.name, own: v.own, at: v.name.Ref(at), leaf: head.Subject.Leaf,
				reason: head.Reason, ticket: head.Ticket})
		case feed.OpResolve:
			add(&s.mu, &s.resolved, subject, v.name)
		}
	}
}

// add appends to a list in a map, for readers that hold the old list.
func add[T any](mu *sync.Mutex, m *sync.Map, key feed.Ref, value T) {
	mu.Lock()
	defer mu.Unlock()
	old, _ := m.Load(key)
	list, _ := old.([]T)
	m.Store(key, append(slices.Clip(list), value))
}

// forget drops what a feed said, before it is heard anew.
func (s *statements) forget(name feed.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stood.Clear()
	s.of.Range(func(key, value any) bool {
		s.of.Store(key, slices.DeleteFunc(slices.Clone(value.([]statement)), func(t statement) bool { return t.by == name }))
		return true
	})
	s.resolved.Range(func(key, value any) bool {
		s.resolved.Store(key, slices.DeleteFunc(slices.Clone(value.([]feed.Name)), func(by feed.Name) bool { return by == name }))
		return true
	})
}

// standing is the statements in force about an item: a dispute that the item's own feed has resolved is over.
func (s *statements) standing(n *Node, v *view, item uint32) []statement {
	it := v.state.Item(item)
	if it == nil {
		return nil
	}
	var found []statement
	var few [4]feed.Position // of which nearly all items have one: every match comes here
	for _, p := range it.AppendRecords(few[:0]) {
		ref := v.refOf(p)
		said, _ := s.of.Load(ref)
		list, _ := said.([]statement)
		if list = append(slices.Clip(list), n.awaited(ref)...); len(list) == 0 {
			continue
		}
		record, err := n.store.Record(ref.Origin, ref.Index)
		if err != nil {
			continue // then nothing shows that this record was meant
		}
		leaf := feed.LeafHash(record.Head)
		for _, t := range list {
			if t.leaf == leaf && !(t.op == feed.OpDispute && s.isResolved(t, v.name)) {
				found = append(found, t)
			}
		}
	}
	return found
}

// isResolved says whether a dispute of an item of a feed is over: that feed has answered it, or the one that it stands in takes it back.
func (s *statements) isResolved(t statement, of feed.Name) bool {
	list, ok := s.resolved.Load(t.at)
	return ok && (slices.Contains(list.([]feed.Name), of) || slices.Contains(list.([]feed.Name), t.by))
}

// about adds to a candidate what is said of its item.
func (s *statements) about(n *Node, v *view, item uint32, c *policy.Candidate, answer time.Duration, now time.Time) {
	var disputes []policy.Dispute
	for _, t := range s.standing(n, v, item) {
		publisher := t.by.Publisher()
		switch t.op {
		case feed.OpEndorse:
			if !slices.Contains(c.Endorsers, publisher) {
				c.Endorsers = append(c.Endorsers, publisher)
			}
		case feed.OpDispute:
			if !slices.Contains(c.Disputers, publisher) {
				c.Disputers = append(c.Disputers, publisher)
			}
			disputes = append(disputes, n.disputed(t))
		}
	}
	if len(disputes) > 0 {
		c.Holds |= policy.DisputeHolds(disputes, v.name.Publisher(), c.Facts.Verdict, answer, now)
	}
}
