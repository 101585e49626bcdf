package node

import (
	"context"
	"errors"
	"fmt"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/journal"
)

// Journal is decisions and imports, the newest first; or the one with an id; or the open reviews, the oldest first.
func (n *Node) Journal(ctx context.Context, q api.JournalQuery) (page api.JournalPage, err error) {
	page.Entries, page.Imports = []api.JournalEntry{}, []api.JournalImport{}
	var decisions []journal.Entry
	var imports []journal.Line
	switch {
	case q.ID != "":
		decisions, imports, err = n.findLine(ctx, q.ID)
	case q.Open:
		decisions, page.More, err = n.journal.Open(ctx, q.Limit)
	default:
		query := journal.Query{Kind: journal.Kind(q.Kind), Ref: q.Ref, Before: q.Before, Limit: q.Limit, Since: q.Since, Until: q.Until}
		if q.Kind != "" && q.Kind != api.JournalDecisions && q.Kind != api.JournalImports {
			return page, badRequest(fmt.Errorf("kind %.20q: want %s or %s", q.Kind, api.JournalDecisions, api.JournalImports))
		}
		if q.Verdict != "" {
			if query.Verdict, err = journal.ParseOutcome(q.Verdict); err != nil {
				return page, badRequest(err)
			}
		}
		if q.Hash != "" {
			h, err := feed.ParseHash(q.Hash)
			if err != nil {
				return page, badRequest(err)
			}
			query.Hash = n.journalKey.Hash(h)
		}
		if decisions, imports, page.More, err = n.journal.List(ctx, query); page.More {
			page.Next = lowest(decisions, imports)
		}
	}
	for _, e := range decisions {
		page.Entries = append(page.Entries, api.EntryOf(e))
	}
	for _, l := range imports {
		page.Imports = append(page.Imports, api.ImportOf(l))
	}
	return page, err
}

// lowest is the number of the oldest line of a page.
func lowest(decisions []journal.Entry, imports []journal.Line) (seq uint64) {
	for _, e := range decisions {
		seq = e.Seq // they come in order
	}
	if k := len(imports); k > 0 && (seq == 0 || imports[k-1].Seq < seq) {
		seq = imports[k-1].Seq
	}
	return seq
}

// findLine is the decision or the import with an id.
func (n *Node) findLine(ctx context.Context, id string) ([]journal.Entry, []journal.Line, error) {
	e, err := n.findDecision(ctx, id)
	if err == nil {
		return []journal.Entry{e}, nil, nil
	}
	if !journal.ValidID(id) {
		return nil, nil, err
	}
	l, importErr := n.journal.Import(ctx, id)
	switch {
	case importErr == nil:
		return nil, []journal.Line{l}, nil
	case errors.Is(importErr, journal.ErrNotFound):
		return nil, nil, err // the decision's
	}
	return nil, nil, importErr
}
