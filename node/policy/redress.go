package policy

import (
	"time"

	"hashfeed/feed"
)

// Dispute is a dispute of a record that its publisher hasn't answered.
type Dispute struct {
	Publisher string // whose feed it stands in
	Own       bool   // of this node
	Report    bool   // a member's, which its publisher has logged with a ticket: the member's word, and not its publisher's
	At        int64  // since when it stands there, Unix seconds
}

// Deadline is when a dispute must be answered, by the charter's answer term of the record that it disputes.
func (d Dispute) Deadline(answer time.Duration) int64 { return d.At + int64(answer/time.Second) }

// DisputeHolds says what disputes do to a record with a verdict, of a publisher whose charter promises to answer within a term:
//
//   - The operator's own holds it at once, and so does that of its own publisher.
//   - Overturning another publisher's baseline record takes disputes of two publishers, since two have assessed it; any other, a national one
//     say, takes one (ICCAM's rule). A report counts for nobody: else any member could switch a list off for all.
//   - One that isn't answered within the term holds it too, a report's also: a publisher may be wrong, and may not be silent.
//
// Each hold lowers a block to review, and nothing else.
func DisputeHolds(list []Dispute, publisher string, verdict feed.Verdict, answer time.Duration, now time.Time) Hold {
	var holds Hold
	others := map[string]bool{}
	for _, d := range list {
		if d.Own || d.Publisher == publisher && !d.Report {
			holds |= HoldDisputed
		}
		if !d.Report {
			others[d.Publisher] = true
		}
		if answer > 0 && now.Unix() > d.Deadline(answer) {
			holds |= HoldOverdue
		}
	}
	needed := 1
	if verdict == feed.Baseline {
		needed = 2
	}
	if len(others) >= needed {
		holds |= HoldDisputed
	}
	return holds
}
