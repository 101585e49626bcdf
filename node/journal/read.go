package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"hashfeed/node/policy"
)

// What is asked of the journal is read from its files, a file at a time: nothing of it stays in memory, and what is being written is never waited
// for. Lines that are damaged are left out: Verify tells of them.

// Query says which decisions and imports are wanted, the newest first.
type Query struct {
	Kind         Kind           // KindDecision or KindImport; "": both
	Verdict      policy.Outcome // "": any. An import has none, no Ref and no Hash
	Ref          string         // the caller's own; "": any
	Hash         string         // keyed, as Key.Hash makes it; "": any
	Since, Until time.Time      // zero: no bound. Until itself is left out
	Before       uint64         // only lines below this number; 0: all
	Limit        int            // 0: MaxPage
}

// ErrNotFound is returned for a decision that isn't in the journal, or was purged.
var ErrNotFound = errors.New("there is no such decision in the journal, or it was purged")

// walk calls do with each line whose text has one of marks, in order, or from the newest back; do says whether to go on.
func walk(ctx context.Context, dir string, backward bool, marks []string, do func(line []byte) bool) error {
	names, err := listFiles(dir)
	if err != nil {
		return err
	}
	if backward {
		slices.Reverse(names)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := readFile(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		lines, _ := splitLines(data)
		if backward {
			slices.Reverse(lines)
		}
		for _, line := range lines {
			if !slices.ContainsFunc(marks, func(m string) bool { return bytes.Contains(line, []byte(m)) }) {
				continue
			}
			if !do(line) {
				return nil
			}
		}
	}
	return nil
}

func kindMark(k Kind) string { return `"kind":"` + string(k) + `"` }

// Decisions are those that are asked for, with what people did about each; more tells that there are others.
func (j *Journal) Decisions(ctx context.Context, q Query) (found []Entry, more bool, err error) {
	q.Kind = KindDecision
	found, _, more, err = j.List(ctx, q)
	return found, more, err
}

// List are the decisions and the imports that are asked for, up to q.Limit of both together. What is asked with the lowest number of them as Before
// are the next ones.
func (j *Journal) List(ctx context.Context, q Query) (decisions []Entry, imports []Line, more bool, err error) {
	j.Flush()
	limit := q.Limit
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	acts := map[string][]Line{}
	err = walk(ctx, j.o.Dir, true, []string{kindMark(KindDecision), kindMark(KindAct), kindMark(KindImport)}, func(line []byte) bool {
		l, err := ParseLine(line)
		if err != nil {
			return true
		}
		if l.Act != nil {
			acts[l.Act.Of] = append(acts[l.Act.Of], l)
			return true
		}
		if !q.wants(&l) {
			return q.Since.IsZero() || !l.Time.Before(q.Since)
		}
		if len(decisions)+len(imports) == limit {
			more = true
			return false
		}
		if l.Import != nil {
			imports = append(imports, l)
			return true
		}
		decisions = append(decisions, entryOf(l, line, acts[l.ID]))
		delete(acts, l.ID)
		return true
	})
	return decisions, imports, more, err
}

func (q *Query) wants(l *Line) bool {
	d := l.Decision
	switch {
	case d == nil && l.Import == nil,
		q.Kind != "" && l.Kind != q.Kind,
		q.Before > 0 && l.Seq >= q.Before,
		d == nil && (q.Verdict != "" || q.Ref != "" || q.Hash != ""),
		q.Verdict != "" && d.Verdict != q.Verdict,
		q.Ref != "" && d.Ref != q.Ref,
		q.Hash != "" && !slices.Contains(d.Hashes, q.Hash),
		!q.Since.IsZero() && l.Time.Before(q.Since),
		!q.Until.IsZero() && !l.Time.Before(q.Until):
		return false
	}
	return true
}

// Entry is a decision, and what people did about it.
type Entry struct {
	Line
	Acts []Line // in order
	Raw  []byte // the decision's line as it stands
}

// entryOf wants the acts from the newest back.
func entryOf(l Line, raw []byte, acts []Line) Entry {
	slices.Reverse(acts)
	return Entry{Line: l, Raw: bytes.Clone(raw), Acts: acts}
}

// Find is the decision with an id.
func (j *Journal) Find(ctx context.Context, id string) (e Entry, err error) {
	if !ValidID(id) {
		return e, fmt.Errorf("%.40q is no id of a decision: want 26 letters and digits", id)
	}
	j.Flush()
	var acts []Line
	found := false
	err = walk(ctx, j.o.Dir, true, []string{`"` + id + `"`}, func(line []byte) bool {
		l, err := ParseLine(line)
		switch {
		case err != nil:
		case l.Act != nil && l.Act.Of == id:
			acts = append(acts, l)
		case l.Decision != nil && l.ID == id:
			e, found = entryOf(l, line, acts), true
		}
		return !found
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return e, err
}

// Open are the reviews that nobody has acted on, the oldest first. Test records ask nobody to do anything.
func (j *Journal) Open(ctx context.Context, limit int) (open []Entry, more bool, err error) {
	j.Flush()
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	acted := map[string]bool{}
	err = walk(ctx, j.o.Dir, true, []string{kindMark(KindAct), `"verdict":"review"`}, func(line []byte) bool {
		l, err := ParseLine(line)
		switch {
		case err != nil:
		case l.Act != nil:
			acted[l.Act.Of] = true
		case l.Decision != nil && l.Decision.Verdict == policy.OutcomeReview && !l.Decision.Test && !acted[l.ID]:
			open = append(open, entryOf(l, line, nil))
			if len(open) > 2*MaxPage { // the oldest come last
				open, more = slices.Delete(open, 0, len(open)-MaxPage), true
			}
		}
		return true
	})
	slices.Reverse(open)
	if len(open) > limit {
		open, more = open[:limit], true
	}
	return open, more, err
}

// Affected are the decisions of which a match is one of refs, and the allowed uploads that have one of hashes (keyed), the newest first.
func (j *Journal) Affected(ctx context.Context, refs, hashes []string) (decisions, uploads []Entry, more bool, err error) {
	j.Flush()
	marks := []string{kindMark(KindAct)}
	for _, r := range refs {
		marks = append(marks, `"ref":"`+r+`"`)
	}
	if len(hashes) > 0 {
		marks = append(marks, kindMark(KindUpload))
	}
	acts := map[string][]Line{}
	err = walk(ctx, j.o.Dir, true, marks, func(line []byte) bool {
		l, err := ParseLine(line)
		if err != nil {
			return true
		}
		if len(decisions)+len(uploads) == MaxPage {
			more = true
			return false
		}
		switch {
		case l.Act != nil:
			acts[l.Act.Of] = append(acts[l.Act.Of], l)
		case l.Decision != nil && slices.ContainsFunc(l.Decision.Matches, func(m Matched) bool { return slices.Contains(refs, m.Ref) }):
			decisions = append(decisions, entryOf(l, line, acts[l.ID]))
		case l.Upload != nil && slices.ContainsFunc(l.Upload.Hashes, func(h string) bool { return slices.Contains(hashes, h) }):
			uploads = append(uploads, entryOf(l, line, nil))
		}
		return true
	})
	return decisions, uploads, more, err
}

// Hours are the counts of each hour in which something was asked, from since on and before until, in order; the hour that isn't over included.
// Zero times are no bounds.
func (j *Journal) Hours(ctx context.Context, since, until time.Time) (hours []Counts, err error) {
	now := j.Counts()
	j.Flush()
	take := func(c Counts) {
		if (since.IsZero() || !c.Hour.Before(since.Truncate(time.Hour))) && (until.IsZero() || c.Hour.Before(until)) && !c.empty() {
			hours = append(hours, c)
		}
	}
	err = walk(ctx, j.o.Dir, false, []string{kindMark(KindCounts)}, func(line []byte) bool {
		if l, err := ParseLine(line); err == nil && l.Counts != nil {
			take(*l.Counts)
		}
		return true
	})
	take(now)
	return hours, err
}

// ParseOutcome parses the verdict of a decision that is in the journal.
func ParseOutcome(s string) (policy.Outcome, error) {
	switch o := policy.Outcome(strings.ToLower(s)); o {
	case policy.OutcomeLog, policy.OutcomeReview, policy.OutcomeBlock:
		return o, nil
	}
	return "", fmt.Errorf("verdict %.20q: want block, review or log", s)
}
