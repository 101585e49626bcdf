package feed

import (
	"errors"
	"fmt"
	"slices"
)

// Report is what a State comes to, in figures and references, as "feed verify --json" prints it. No field of it is nil.
type Report struct {
	Records map[string]uint64    `json:"records"` // well-formed heads by op, void ones included
	Void    map[VoidCode][]Ref   `json:"void"`
	Refused map[RefuseCode][]Ref `json:"refused"`
	Counts  Counts               `json:"counts"`
	Missing []Ref                `json:"missing"` // records whose body should be there
	Items   []Listing            `json:"items"`   // the active ones, in the order of their adds

	Skipped  []Ref  `json:"skipped"`           // heads of ops 7 to 127
	Stopped  *Ref   `json:"stopped,omitempty"` // the first op of 128 or more
	Unjudged uint64 `json:"unjudged"`          // heads after it
}

// Counts counts items by status, and the records whose body was erased.
type Counts struct {
	Active    uint64 `json:"active"`
	Held      uint64 `json:"held"`
	Pending   uint64 `json:"pending"`
	Retracted uint64 `json:"retracted"`
	Erased    uint64 `json:"erased"`
}

// Listing is an active item: the reference of its add, and its hashes as [Hash.Text] writes them.
type Listing struct {
	Ref    Ref      `json:"ref"`
	Hashes []string `json:"hashes"`
}

// Report judges all items of the feed called name as [State.At] does, and lists what is void, refused, missing. It reads the bodies of all
// active items. It may run beside writers: then it tells of each item at the moment when it comes to it. The error is that of a body
// that couldn't be read; the report is complete but for the hashes of those items.
func (s *State) Report(name Name, limit uint64, now int64) (Report, error) {
	r := Report{Records: map[string]uint64{}, Void: map[VoidCode][]Ref{}, Refused: map[RefuseCode][]Ref{}, Missing: []Ref{}, Items: []Listing{}, Skipped: []Ref{}}
	s.reportHeads(&r, name)
	var errs error
	refused := map[RefuseCode][]place{}
	var missing []place
	for n := range s.Items() {
		it, st := s.Item(n), s.At(n, limit, now)
		switch st.Status {
		case Pending:
			r.Counts.Pending++
		case Held:
			r.Counts.Held++
		case Retracted:
			r.Counts.Retracted++
		case Active:
			r.Counts.Active++
			hashes, err := s.texts(st.Body)
			if err != nil {
				errs = errors.Join(errs, err)
			}
			r.Items = append(r.Items, Listing{name.Ref(it.First()), hashes})
		}
		for i := range it.len() {
			e := it.entry(i)
			if code, ok := e.content.refused(); ok {
				refused[code] = append(refused[code], e.at)
			} else if e.content != contentAbsent {
				continue
			} else if i < it.live() {
				r.Counts.Erased++
			} else {
				missing = append(missing, e.at)
			}
		}
	}
	refs := func(places []place) []Ref {
		slices.Sort(places)
		all := make([]Ref, len(places))
		for i, p := range places {
			all[i] = name.Ref(p.position())
		}
		return all
	}
	for code, places := range refused {
		r.Refused[code] = refs(places)
	}
	r.Missing = refs(missing)
	return r, errs
}

// reportHeads fills in what is not of items.
func (s *State) reportHeads(r *Report, name Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for op, n := range s.ops {
		r.Records[op.String()] = n
	}
	for i, log := range *s.logs.Load() {
		for _, m := range log.marks {
			ref := name.Ref(Position{i + 1, m.index})
			if m.code == "" {
				r.Skipped = append(r.Skipped, ref)
			} else {
				r.Void[m.code] = append(r.Void[m.code], ref)
			}
		}
	}
	if at, ok := s.Stopped(); ok {
		ref := name.Ref(at)
		r.Stopped = &ref
	}
	r.Unjudged = s.unjudged
}

// texts returns the hashes that the body at p lists.
func (s *State) texts(p Position) ([]string, error) {
	all := []string{}
	raw, err := s.body(p)
	if err != nil {
		return all, fmt.Errorf("report %v: read body: %w", p, err)
	}
	b, err := ParseBody(raw)
	if err != nil {
		return all, fmt.Errorf("report %v: read body: %w", p, err)
	}
	for _, h := range b.Hashes {
		all = append(all, h.Text())
	}
	return all, nil
}
