package node

import (
	"context"
	"fmt"
	"maps"
	"time"

	"hashfeed/node/journal"
)

// An import's line in the journal is owed from before its first record is signed until it is on disk there: the file of past imports, which is
// durable by then, has it meanwhile (pastImport.Owed). So a journal that takes nothing, or a crash at any point, loses no permission: the line is
// written when the node opens again, when the next list is imported, or within importsDue.

// importsDue is how often the daemon looks whether the journal takes what it is owed.
const importsDue = time.Minute

// line is what the journal is told of an import: its counts are those that it has come to.
func (im *listImport) line() *journal.Import {
	r, res := im.request, &im.result
	return &journal.Import{Run: im.runID, Began: im.began.UTC().Truncate(time.Millisecond), Source: res.Source, Format: r.Format, Feed: res.Feed, File: im.file,
		MaxVerdict: res.MaxVerdict, Permission: res.Permission, Rows: res.Rows, Added: res.Added, Revised: res.Revised, Retracted: res.Retracted,
		Unchanged: res.Unchanged, Skipped: res.Skipped, Refused: res.Refused, Waiting: res.Waiting, Overrides: maps.Clone(im.overrides), Batch: res.Batch,
		Initial: r.Initial, Complete: r.Complete, Partial: r.Partial, Released: im.released, Done: res.Done}
}

// planned is the line that is owed before anything is signed: if nothing better comes, the node has died over it.
func (im *listImport) planned(gone int) *journal.Import {
	l := im.line()
	if l.Lost = true; im.hold {
		l.Added, l.Revised, l.Overrides, l.Waiting = 0, 0, nil, l.Added+l.Revised
	}
	l.Retracted += gone
	return l
}

// record has the journal take the line of an import that stands in the file of imports as p. The import doesn't fail for the journal's sake: what
// is owed is told. The error is of the file.
func (im *listImport) record(ctx context.Context, p pastImport) error {
	n := im.n
	defer n.countOwed()
	p.Owed = im.line()
	if err := n.remember(p); err != nil {
		return err // what stands there since the beginning is owed, then
	}
	if !im.tellJournal(ctx, p.Owed, true) {
		return nil
	}
	p.Owed = nil
	return n.remember(p)
}

// tellJournal says whether the journal has an import's line on disk. kept: the file of imports has it.
func (im *listImport) tellJournal(ctx context.Context, line *journal.Import, kept bool) bool {
	id, err := im.n.journal.Imported(context.WithoutCancel(ctx), *line)
	if err == nil {
		im.result.Journal = id
		return true
	}
	im.n.log.Error("an import isn't in the journal yet", "source", line.Source, "feed", line.Feed, "err", err)
	im.result.Warning = "the journal doesn't take this import's line now" + map[bool]string{true: ": it is kept, and written as soon as it does"}[kept]
	return false
}

// settleImports has the journal take what it is owed. The caller holds importing, or is alone.
func (n *Node) settleImports(ctx context.Context) error {
	list, err := n.pastImports()
	if err != nil {
		return err
	}
	defer n.countOwed()
	for _, p := range list {
		if p.Owed == nil {
			continue
		}
		// The power may have gone between the journal's line and ours.
		id, err := n.journal.ImportRun(ctx, p.Owed.Run)
		if err == nil && id == "" {
			_, err = n.journal.Imported(ctx, *p.Owed)
		}
		if err != nil {
			return err
		}
		n.log.Info("an import that the journal was owed is in it", "source", p.Source, "feed", p.Feed)
		p.Owed = nil
		if err := n.remember(p); err != nil {
			return err
		}
	}
	return nil
}

// countOwed counts, for the alarm, what the journal is owed.
func (n *Node) countOwed() {
	list, err := n.pastImports()
	if err != nil {
		return // whoever imports is told
	}
	owed := int64(0)
	for _, p := range list {
		if p.Owed != nil {
			owed++
		}
	}
	n.owed.Store(owed)
}

// settleDue settles what is owed until ctx is done.
func (n *Node) settleDue(ctx context.Context) {
	tick := time.NewTicker(importsDue)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n.owed.Load() == 0 || !n.importing.TryLock() {
			continue
		}
		if err := n.settleImports(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("imports that aren't in the journal", "err", err)
		}
		n.importing.Unlock()
	}
}

// owedAlarm tells of imports that the journal hasn't got.
func (n *Node) owedAlarm(say func(code, about, text, remedy string, since time.Time)) {
	if owed := n.owed.Load(); owed > 0 {
		say(alarmJournal, "", fmt.Sprintf("%d imports, and the permissions by which they were passed on, aren't in the journal yet", owed),
			"look for a full or failing disk under DIR/journal; they are kept in DIR/imports/past, and written as soon as the journal takes them", n.opened)
	}
}
