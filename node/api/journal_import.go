package api

import (
	"time"

	"hashfeed/node/journal"
)

// JournalImport is a list that was taken into an own feed, as the journal has it: what `hashfeed journal show --json` prints of one. It is no
// decision, and counted nowhere.
type JournalImport struct {
	ID   string    `json:"import"`
	Seq  uint64    `json:"seq"` // of its line
	Time time.Time `json:"time"`
	journal.Import
}

// ImportOf is an import's line as it is told.
func ImportOf(l journal.Line) JournalImport {
	return JournalImport{ID: l.ID, Seq: l.Seq, Time: l.Time, Import: *l.Import}
}

// The kinds of what the journal lists.
const (
	JournalDecisions = string(journal.KindDecision)
	JournalImports   = string(journal.KindImport)
)
