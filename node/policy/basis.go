package policy

import (
	"time"

	"hashfeed/feed"
)

// Basis is what a match was judged by: what another policy needs to judge it again, and what whoever answers for a decision is asked. It
// stands in the journal and in no answer.
type Basis struct {
	Strength   string   // weak, near or strong
	Holds      []string // all that speaks against it, where the state names only the first: suspended, disputed, known-good, …
	KnownGood  string   // "list" or "own": whose known-good list has it; "" none
	Override   int      // the record's known-good override
	Publishers int      // how many different ones say the same; 0: only this node itself
	AgeS       int64    // of the feed's newest stamp, in seconds
	Age        Age      // what the feed's charter says of that age
	Review     bool     // the charter says "use review"
	Rule       Rule     // the rule in force
}

// The known-good lists, as Basis names them.
const (
	GoodList = "list"
	GoodOwn  = "own"
)

// holdNames are the words for holds, in the order of their bits.
var holdNames = []string{"suspended", "disputed", "known-good", "collision", "runaway", "closed-log", "overdue", "damaged"}

// Names are the words for the holds in h.
func (h Hold) Names() (names []string) {
	for i, name := range holdNames {
		if h&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String is the word for a strength.
func (s strength) String() string { return [...]string{"weak", "near", "strong"}[s] }

// String is the word for an age.
func (a Age) String() string { return [...]string{"fresh", "stale", "overdue"}[a] }

// basis is what j was judged by.
func (j *judgement) basis(now time.Time) Basis {
	b := Basis{Strength: j.strength.String(), Holds: j.holds.Names(), Override: int(j.Facts.Override), Publishers: j.voices,
		AgeS: now.Unix() - j.Stamp, Age: j.age, Review: j.Use == feed.UseReview, Rule: j.rule}
	switch {
	case j.ownGood:
		b.KnownGood = GoodOwn
	case j.good:
		b.KnownGood = GoodList
	}
	return b
}
