package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"

	"hashfeed/feed"
	"hashfeed/feed/hashlist"
	"hashfeed/node/api"
)

// begin makes a pass over the list forget the one before.
func (im *listImport) begin() {
	im.seen, im.leaving, im.blocked, im.rows, im.batch, im.base = nil, nil, 0, map[uint64]struct{}{}, map[feed.Hash]bool{}, 0
	if im.v != nil {
		im.base = im.v.state.Items()
	}
}

// errStop ends a pass whose list can't be read further; the rows before were good.
var errStop = errors.New("the list can't be read further")

// rowReader judges the rows of a list, one by one; next returns io.EOF at the end.
type rowReader struct {
	im   *listImport
	file *os.File
	in   hashlist.Reader
	n    int
}

func (im *listImport) open(path string) (*rowReader, error) {
	_, list, f, err := im.n.openSpool(path)
	if err != nil {
		return nil, err
	}
	im.begin()
	r := &rowReader{im: im, file: f}
	if r.in, err = im.format.Read(list); err != nil {
		f.Close()
		return nil, badRequest(err)
	}
	return r, nil
}

func (r *rowReader) next() (judgedRow, error) {
	row, err := r.in.Read()
	var bad *hashlist.RowError
	switch {
	case errors.As(err, &bad):
		r.n++
		return judgedRow{row: hashlist.Row{Line: bad.Line}, why: bad.Err.Error()}, nil
	case err == io.EOF:
		return judgedRow{}, err
	case errors.Is(err, errSpool):
		return judgedRow{}, err
	case err != nil:
		r.im.broken = err
		return judgedRow{}, errStop
	}
	if r.n++; r.n > maxListRows {
		r.im.broken = fmt.Errorf("line %d: more than %d rows", row.Line, maxListRows)
		return judgedRow{}, errStop
	}
	j := r.im.judge(row)
	j.n = r.n
	return j, nil
}

// check judges every row and counts what would become of it. Its error is why nothing is taken.
func (im *listImport) check(ctx context.Context, path string, tell func(api.ImportProgress)) error {
	in, err := im.open(path)
	if err != nil {
		return err
	}
	defer in.file.Close()
	res := &im.result
	adds := 0
	for {
		if in.n%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			tell(api.ImportProgress{Stage: api.ImportChecks, Rows: in.n})
		}
		j, err := in.next()
		if err == io.EOF || err == errStop {
			break
		}
		if err != nil {
			return err
		}
		if j.outcomeOfRow >= rowAdds {
			if _, err := im.records(j); err != nil {
				j = j.as(rowRefused, "%s", guardText(err))
			}
		}
		im.note(j)
		im.count(j, 1)
		if j.outcomeOfRow == rowAdds || j.outcomeOfRow == rowReplaces {
			adds++
			if len(res.Sample) < maxSample {
				res.Sample = append(res.Sample, sampleOf(j))
			} else if k := mathrand.IntN(adds); k < maxSample {
				res.Sample[k] = sampleOf(j)
			}
		}
	}
	res.Rows = in.n
	if im.request.Partial {
		if im.broken != nil {
			res.Notes = append(res.Notes, api.RowNote{Refused: true, Text: firstLine(im.broken.Error()) + ": what follows is not read"})
			res.Refused++
		}
		return nil
	}
	if im.broken != nil {
		return badRequest(im.broken)
	}
	if res.Refused == 0 {
		return nil
	}
	first := ""
	for _, note := range res.Notes {
		if note.Refused {
			first = fmt.Sprintf("line %d: %s", note.Line, note.Text)
			break
		}
	}
	if im.lacksMedia {
		return incomplete("%s", first)
	}
	res.Why = fmt.Sprintf("%d of %d rows are wrong, and nothing was taken: %s", res.Refused, res.Rows, first)
	return nil
}

// note tells of a row that isn't taken.
func (im *listImport) note(j judgedRow) {
	if j.outcomeOfRow > rowSkipped && j.why == "" {
		return
	}
	res := &im.result
	refusedRow := j.outcomeOfRow == rowRefused
	full := 0
	for _, o := range res.Notes {
		if o.Refused == refusedRow {
			full++
		}
	}
	if full < maxRowNotes {
		res.Notes = append(res.Notes, api.RowNote{Line: j.row.Line, Refused: refusedRow, Text: firstLine(j.why)})
	}
}

// count counts a row, by 1, or takes it back, by -1.
func (im *listImport) count(j judgedRow, by int) {
	res := &im.result
	switch j.outcomeOfRow {
	case rowRefused:
		res.Refused += by
	case rowSkipped:
		res.Skipped += by
	case rowUnchanged:
		res.Unchanged += by
	case rowAdds:
		res.Added += by
	case rowRevises:
		res.Revised += by
	case rowReplaces:
		res.Added, res.Retracted = res.Added+by, res.Retracted+by
	case rowRetracts:
		res.Retracted += by
	}
	switch j.outcomeOfRow {
	case rowAdds, rowRevises, rowReplaces:
		res.Facts[j.draft.facts.Verdict.String()+" "+j.draft.facts.Media.String()] += by
		if o := feed.OverrideName(j.draft.facts.Override); o != "" {
			im.overrides[o] += by
		}
		for _, h := range j.draft.hashes {
			res.Kinds[h.Alg.String()] += by
		}
	}
}

// missing are the items of the source that a complete list no longer has.
func (im *listImport) missing(ctx context.Context) (gone []uint32, err error) {
	if !im.request.Complete || im.v == nil {
		return nil, nil
	}
	if im.result.Refused > 0 {
		im.result.Notes = append(im.result.Notes, api.RowNote{Text: "not all of the list could be read: nothing is retracted for not being in it"})
		return nil, nil
	}
	here := 0
	for k := range im.base {
		if k%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		it := im.v.state.Item(k)
		if it == nil || it.Retracted() {
			continue
		}
		if im.seen.has(k) {
			here++
			continue
		}
		if body, err := im.bodyOf(it); err == nil && im.ours(body) {
			here++
			gone = append(gone, k)
		}
	}
	share := cmp.Or(im.request.MaxRetract, defaultMaxRetract)
	if len(gone) > max(1, here*share/100) || len(gone) == here && here > 0 && share < 100 {
		return nil, &api.Error{Status: 422, Code: api.CodeRefused,
			Text: fmt.Sprintf("the list lacks %d of the %d items that source %s has here, and at most %d percent may go at once: nothing was taken", len(gone), here, im.result.Source, share),
			Hint: "is the list whole? --max-retract PERCENT lets more go"}
	}
	return gone, nil
}

// defaultMaxRetract is how many percent of a source's items a complete list may take off: more is rather a list that was cut off.
const defaultMaxRetract = 10
