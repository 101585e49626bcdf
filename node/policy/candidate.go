package policy

import (
	"slices"
	"time"

	"hashfeed/feed"
)

// Candidate is one record that the question's hash matches, with all that is known of it. Items that are retracted, pending or
// whose not_before lies ahead are none.
type Candidate struct {
	Ref      feed.Ref  // the record whose body is in force
	Hash     feed.Hash // the question's hash that matched; its kind is the match's
	Distance int       // 0 if equal; Hamming distance in bits for pdq kinds, sum of the squares of the bytes' differences for photodna

	Facts  feed.Facts  // of that body
	Exact  []feed.Hash // the item's md5, sha1 and sha256, to tell a collision by
	Listed int64       // time of the item's add, Unix seconds
	Holds  Hold        // what speaks against it; Judge adds collisions and known-good by itself

	Harm feed.Harm // the charter's
	Use  feed.Use  // the charter's

	// Stamp is the time in Unix seconds of the feed's newest stamp, SoftAge and HardAge its charter's maxage.
	Stamp            int64
	SoftAge, HardAge time.Duration

	Endorsers []string // publishers with an endorsement of this item in force
	Alike     []string // publishers that say the same of the item's own hashes (Voices); wanted only where the policy asks for several
	Disputers []string // publishers with a dispute of it that isn't resolved; whether they are enough to hold it, Holds says
}

// Hold is the set of reasons why a match is not to be acted upon without a person.
type Hold uint8

const (
	HoldSuspended Hold = 1 << iota // a note of the feed's signers is in force
	HoldDisputed                   // by us, or by a feed that we follow
	HoldKnownGood                  // a known-good list has it
	HoldCollision                  // md5 or sha1 are equal and another exact hash of the same item is not
	HoldRunaway                    // it matches too much
	HoldClosedLog                  // a retract past the cut of a closed log names it
	HoldOverdue                    // disputed, and not answered within the charter's term
	HoldDamaged                    // the disk has lost records of its feed, and one of them may be its retraction
)

// state names the first that applies, in the order that DESIGN §5 gives.
func (h Hold) state(trusted bool) State {
	switch {
	case h&HoldSuspended != 0:
		return Suspended
	case h&(HoldDisputed|HoldOverdue) != 0:
		return Disputed
	case h != 0:
		return Held
	case !trusted:
		return Untrusted
	}
	return Active
}

// Age is how far a feed's newest stamp can be trusted to be the newest there is.
type Age uint8

const (
	Fresh   Age = iota
	Stale       // past maxage soft: answers say so
	Overdue     // past maxage hard: something may have been retracted without our knowing
)

// AgeOf returns the age of a feed at now, by its newest stamp in Unix seconds and its charter's maxage. A stamp more than 300 s ahead
// of now is Overdue: a stolen stamp key must not make a feed fresh for years.
func AgeOf(stamp int64, soft, hard time.Duration, now time.Time) Age {
	age := now.Sub(time.Unix(stamp, 0))
	switch {
	case age > hard, age < -clockSkew:
		return Overdue
	case age > soft:
		return Stale
	}
	return Fresh
}

// strength is how much a match by itself says.
type strength uint8

const (
	weak   strength = iota // can be forged
	near                   // looks alike
	strong                 // is the same
)

// strength classes the match. proven: the question's sha256 matched the same item.
func (c *Candidate) strength(proven bool) strength {
	switch c.Hash.Alg {
	case feed.SHA256:
		return strong
	case feed.MD5, feed.SHA1:
		if proven {
			return strong
		}
		return weak
	case feed.PDQ, feed.PDQFull, feed.PhotoDNA:
		if c.Distance == 0 {
			return strong
		}
	}
	return near
}

// collides tells whether the file has another md5, sha1 or sha256 than the item: then a match by one of them is a forgery, or an error.
func (c *Candidate) collides(file []feed.Hash) bool {
	for _, mine := range file {
		for _, theirs := range c.Exact {
			if mine.Alg.Exact() && mine.Alg == theirs.Alg && mine.Value != theirs.Value {
				return true
			}
		}
	}
	return false
}

// Collisions are the records that hashes of one file match by md5 or sha1 alone, while another of their exact hashes differs: each such match is a
// forgery or an error, and Judge holds it.
func Collisions(file []feed.Hash, cands []Candidate) []feed.Ref {
	proven := map[feed.Ref]bool{}
	for i := range cands {
		if cands[i].Hash.Alg == feed.SHA256 {
			proven[cands[i].Ref] = true
		}
	}
	var refs []feed.Ref
	for i := range cands {
		c := &cands[i]
		if c.Facts.Verdict != feed.Test && c.strength(proven[c.Ref]) == weak && c.collides(file) && !slices.Contains(refs, c.Ref) {
			refs = append(refs, c.Ref)
		}
	}
	return refs
}

// action returns the rule's action for a match of strength s.
func (r Rule) action(s strength) Action {
	switch s {
	case strong:
		return r.Action
	case near:
		return r.ActionNear
	}
	return r.ActionWeak
}
