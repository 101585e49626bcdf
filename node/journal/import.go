package journal

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Import is a list that was taken into an own feed: whose it was, by which permission it may be passed on, and what came of it. It counts as no
// decision, and is kept for ever: what it listed may stay listed for as long, and somebody may ask by which permission.
type Import struct {
	Run        string         `json:"run"` // by which the node knows it again
	Began      time.Time      `json:"began"`
	Source     string         `json:"source"` // whose list it is
	Format     string         `json:"format"`
	Feed       string         `json:"feed"` // where it went: the origin
	File       string         `json:"file"` // SHA-256 of the list, hex
	MaxVerdict string         `json:"max_verdict"`
	Permission string         `json:"permission,omitempty"` // a reference of the operator's: by what the list may be passed on
	Rows       int            `json:"rows"`
	Added      int            `json:"added"`
	Revised    int            `json:"revised"`
	Retracted  int            `json:"retracted"`
	Unchanged  int            `json:"unchanged"`
	Skipped    int            `json:"skipped"`
	Refused    int            `json:"refused"`
	Waiting    int            `json:"waiting,omitempty"`   // that were held, or wait for the batch before them
	Overrides  map[string]int `json:"overrides,omitempty"` // of what it added or revised, known-good all the same: by the reason in the record
	Batch      string         `json:"batch,omitempty"`     // under which it awaits approval
	Initial    bool           `json:"initial,omitempty"`   // the source's first load
	Complete   bool           `json:"complete,omitempty"`  // the list was said to be all that the source lists
	Partial    bool           `json:"partial,omitempty"`   // wrong rows were to be passed over
	Released   bool           `json:"released,omitempty"`  // it was held, and somebody let it through
	Done       bool           `json:"done"`                // all was taken
	Lost       bool           `json:"lost,omitempty"`      // the node died over it: the counts are what it was to bring, at most
}

// importWait is how long an import waits for its line to be on disk: it isn't an answer that somebody needs at once.
const importWait = 2 * time.Second

// Imported records an import and waits until its line is on disk. An error says that it isn't, or not yet (then there is an id): the caller keeps
// the import, and asks with ImportRun before it records it again.
func (j *Journal) Imported(ctx context.Context, i Import) (id string, err error) {
	id, seq := j.add(&Line{Time: j.now(), Kind: KindImport, Import: &i}, true)
	if id == "" {
		return "", fmt.Errorf("write journal: %w", errors.Join(errors.New("it takes no line now"), j.State().Err))
	}
	return id, j.keep(ctx, seq)
}

// keep wants a line to be on disk.
func (j *Journal) keep(ctx context.Context, seq uint64) error {
	if !j.wait(ctx, seq, importWait) {
		return fmt.Errorf("write journal: %w", errors.Join(errors.New("the line isn't on disk yet"), j.State().Err))
	}
	return nil
}

// ImportRun finds the line of a run, and waits until it is on disk; "" if there is none.
func (j *Journal) ImportRun(ctx context.Context, run string) (id string, err error) {
	var seq uint64
	err = j.imports(ctx, `"run":"`+run+`"`, func(l Line) bool {
		if l.Import.Run == run {
			id, seq = l.ID, l.Seq
		}
		return id == ""
	})
	if err == nil && id != "" {
		err = j.keep(ctx, seq)
	}
	return id, err
}

// imports calls do with each import whose line has a text, from the newest back; do says whether to go on.
func (j *Journal) imports(ctx context.Context, text string, do func(Line) bool) error {
	j.Flush()
	return walk(ctx, j.o.Dir, true, []string{text}, func(line []byte) bool {
		l, err := ParseLine(line)
		return err != nil || l.Import == nil || do(l)
	})
}

// Import is the import with an id.
func (j *Journal) Import(ctx context.Context, id string) (found Line, err error) {
	if !ValidID(id) {
		return found, fmt.Errorf("%.40q is no id of an import: want 26 letters and digits", id)
	}
	err = j.imports(ctx, `"`+id+`"`, func(l Line) bool {
		if l.ID == id {
			found = l
		}
		return l.ID != id
	})
	if err == nil && found.Import == nil {
		err = ErrNotFound
	}
	return found, err
}

// check wants what a writer of ours can have written.
func (i *Import) check() error {
	sum, err := hex.DecodeString(i.File)
	counts := []int{i.Rows, i.Added, i.Revised, i.Retracted, i.Unchanged, i.Skipped, i.Refused, i.Waiting}
	for _, n := range i.Overrides {
		counts = append(counts, n)
	}
	if err != nil || len(sum) != len(digest{}) || i.Run == "" || i.Source == "" || i.Feed == "" || len(i.Permission) > maxPermission || slices.Min(counts) < 0 {
		return errLine
	}
	return nil
}
