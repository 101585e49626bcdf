package policy

import (
	"fmt"
	"slices"

	"hashfeed/feed"
)

// OnStale says what becomes of a feed's matches while its newest stamp is older than its charter's hard maxage.
type OnStale string

const (
	Keep          OnStale = "keep"   // exact baseline matches keep their action, all others are at most review
	ReviewIfStale OnStale = "review" // all are at most review
)

// Rule is what the operator decided about one feed. The zero Rule trusts the feed for nothing and only logs.
type Rule struct {
	Verdicts    []feed.Verdict // trusted for these; feed.Test needs no entry
	Action      Action         // of a strong match
	ActionNear  Action         // of a neighbour by pdq or photodna
	ActionWeak  Action         // of md5 or sha1 alone
	MaxDistance int            // in bits, 0 to the package's MaxDistance: the farthest pdq neighbour that counts
	MaxSquare   int            // the farthest photodna neighbour that counts, by sum of squares; 0: only equal ones
	OnStale     OnStale        // "" is Keep
	Own         bool           // the operator's own list: trusted for every verdict, never stale, needs no second publisher
}

// OwnRule returns the rule of an own feed.
func OwnRule(action, near, weak Action, maxDistance int) Rule {
	return Rule{Action: action, ActionNear: near, ActionWeak: weak, MaxDistance: maxDistance, OnStale: Keep, Own: true}
}

// selfTest is the rule of the built-in test picture's feed. The config can't change it: whoever tries the path must get an answer.
var selfTest = OwnRule(Block, Block, Block, 31)

// reach is the largest distance at which a hash of a kind counts.
func (r Rule) reach(alg feed.Alg) int {
	switch {
	case alg.Graded():
		return r.MaxDistance
	case alg == feed.PhotoDNA:
		return r.MaxSquare
	}
	return 0
}

func (r Rule) trusts(v feed.Verdict) bool {
	return r.Own || v == feed.Test || slices.Contains(r.Verdicts, v)
}

// Policy is what the operator decided.
type Policy struct {
	// Rules has a rule for every own and followed feed. A feed without one, unfollowed a moment ago say, is trusted for nothing.
	Rules map[feed.Name]Rule

	// MinPublishers is how many different publishers must say the same before a match keeps an action above review. 0 and 1 ask for
	// no second one. Endorsers count, imports of one's own and what is held don't.
	MinPublishers int

	// KnownGood has the hashes of harmless material, OwnKnownGood those that the operator chose in person. A record with an
	// override, which a publisher sets having reviewed the case, outweighs the first and never the second. Nil ones have none.
	KnownGood, OwnKnownGood KnownGood

	// KnownBytes has files by their bytes alone, and is wrong now and then: a Bloom filter. Whoever wants an upload to pass can append to it
	// until the filter has it, so it speaks only against a record that the file matches by its bytes: by md5, sha1 or sha256. Else it is as
	// KnownGood.
	KnownBytes KnownGood
}

// KnownGood tells whether a hash is of known harmless material: the guard that keeps it from being listed, and from being blocked where
// somebody listed it nevertheless. It must be quick and safe for concurrent use. A nil KnownGood has none.
type KnownGood func(feed.Hash) bool

// Has tells whether any of hashes is known good.
func (k KnownGood) Has(hashes ...feed.Hash) bool {
	return k != nil && slices.ContainsFunc(hashes, k)
}

func (p Policy) rule(n feed.Name) Rule {
	if n == feed.SelfTest {
		return selfTest
	}
	return p.Rules[n]
}

// ParseAction parses the name of an action.
func ParseAction(s string) (Action, error) {
	switch a := Action(s); a {
	case Log, Review, Block:
		return a, nil
	}
	return "", fmt.Errorf("action %.20q: want block, review or log", s)
}

// rank orders actions. What isn't one, as in a zero Rule, is Log.
func (a Action) rank() int {
	switch a {
	case Block:
		return 2
	case Review:
		return 1
	}
	return 0
}

// Exceeds says whether a is harsher than b.
func (a Action) Exceeds(b Action) bool { return a.rank() > b.rank() }

// atMost returns the lower of a and limit.
func (a Action) atMost(limit Action) Action {
	switch {
	case a.rank() >= limit.rank():
		return limit
	case a.rank() == Review.rank():
		return Review
	}
	return Log
}
