package policy

import "time"

// Action is what a rule does with a match: Log, Review or Block, in rising order.
type Action string

const (
	Log    Action = "log"    // note it
	Review Action = "review" // let a person look
	Block  Action = "block"  // don't accept this upload; nothing more
)

// Outcome is the answer to one question: Allow, or the strongest action of its matches.
type Outcome string

const (
	OutcomeAllow  Outcome = "allow"
	OutcomeLog    Outcome = "log"
	OutcomeReview Outcome = "review"
	OutcomeBlock  Outcome = "block"
	OutcomeError  Outcome = "error" // the hash can't be read; only where the asker wanted an answer to the others nevertheless
)

// Verdict is the answer to one question, the same from the command line, the API and the journal. Its slices are never nil, so that
// their JSON is [] and not null, except Hashes.
type Verdict struct {
	File      string   `json:"file,omitempty"`   // only in lines of scan
	Query     string   `json:"query,omitempty"`  // the one hash asked for, as alg:hex
	Hashes    []string `json:"hashes,omitempty"` // instead of Query: the hashes of one file
	Verdict   Outcome  `json:"verdict"`
	Checked   []string `json:"checked"`             // kinds that were looked up
	Unchecked []string `json:"unchecked"`           // kinds that some followed feed lists and this file was not checked for
	Matches   []Match  `json:"matches"`             // nearest first, one a record and kind
	Heads     []Head   `json:"heads"`               // what was known of each feed when this was answered
	Note      string   `json:"note,omitempty"`      // why a kind could not be computed, say
	Truncated bool     `json:"truncated,omitempty"` // more records match than are shown
	Decision  string   `json:"decision,omitempty"`  // the journal's id
}

// Match is one record that a hash matches.
type Match struct {
	Origin     string    `json:"origin"`
	Index      uint64    `json:"index"`
	Ref        string    `json:"ref"` // ORIGIN#INDEX
	Alg        string    `json:"alg"`
	Distance   int       `json:"distance"` // Hamming distance in bits; 0 for exact kinds
	Verdict    string    `json:"verdict"`
	Harm       string    `json:"harm"`
	Media      string    `json:"media"`
	Listed     time.Time `json:"listed"`
	State      State     `json:"state"`
	Stale      bool      `json:"stale"`
	EndorsedBy []string  `json:"endorsed_by"`
	DisputedBy []string  `json:"disputed_by,omitempty"`
	Test       bool      `json:"test,omitempty"`
	Action     Action    `json:"action"`

	Basis Basis `json:"-"` // for the journal
}

// State is how much weight a match has; what isn't Active caps the action at Review.
type State string

const (
	Suspended State = "suspended" // a note of the feed's signers is in force
	Disputed  State = "disputed"
	Held      State = "held"      // known-good, collision, runaway, closed log
	Untrusted State = "untrusted" // a verdict that the operator doesn't trust this feed for: action log
	Active    State = "active"
)

// Head is what this node knew of a feed when it answered.
type Head struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	AgeS   int64  `json:"age_s"`
	State  string `json:"state"` // ok, stale, frozen, behind, waiting, expired
}
