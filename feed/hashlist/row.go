package hashlist

import (
	"fmt"

	"hashfeed/feed"
)

// Row is one item as a list has it. What the list doesn't say is zero.
type Row struct {
	Line     int          // where it begins in its file, from 1
	ID       string       // the source's own id of the item; never published
	Hashes   []feed.Hash  // none only where the row isn't Active
	Facts    feed.Facts   // Verdict and Media too are zero where the row doesn't say them
	Harm     feed.Harm    // "": not said
	Category string       // what the item is, as a code of the source
	State    State        // of the item at its source
	Reason   feed.Reason  // of what is Retracted; 0: not said
	Source   *feed.Source // written only: where the publisher has the item from
	Listed   int64        // written only: Unix seconds of its add
}

// State is what a source says has become of an item.
type State string

// The states of a row.
const (
	Active    State = "active"    // listed
	Retracted State = "retracted" // taken off the list: the row is a tombstone
	Pending   State = "pending"   // the source itself doesn't count it yet
	Held      State = "held"      // suspended or disputed at its source
)

// states are the words that a list may say, and what they come to.
var states = map[string]State{"": Active, "active": Active, "retracted": Retracted, "withdrawn": Retracted, "deleted": Retracted,
	"pending": Pending, "held": Held, "suspended": Held, "disputed": Held}

// RowError is what is wrong with one row. The rows after it can be read.
type RowError struct {
	Line int
	Err  error
}

func (e *RowError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *RowError) Unwrap() error { return e.Err }

// check wants of a row that is read what no list may leave out.
func (r *Row) check() error {
	if r.State == "" {
		r.State = Active
	}
	switch {
	case len(r.Hashes) == 0 && r.State == Active:
		return fmt.Errorf("no hash")
	case len(r.Hashes) == 0 && r.ID == "":
		return fmt.Errorf("neither a hash nor an id says which item it is")
	case len(r.Hashes) > maxHashes:
		return fmt.Errorf("more than %d hashes", maxHashes)
	case r.Reason != 0 && r.State != Retracted:
		return fmt.Errorf("a reason, and the item is not retracted")
	}
	kinds := 0
	for _, h := range r.Hashes {
		if !h.Alg.Exact() {
			continue
		}
		if kinds&(1<<h.Alg) != 0 {
			return fmt.Errorf("two hashes of kind %s: a row is one file", h.Alg)
		}
		kinds |= 1 << h.Alg
	}
	return nil
}
