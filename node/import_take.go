package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// take signs what the list brings, in batches: first the retractions of what is missing in it, which must wait for nothing, then its rows. Where several
// must sign, there is one batch, which they approve; what doesn't fit into it waits.
func (im *listImport) take(ctx context.Context, path string, several bool, gone []uint32, tell func(api.ImportProgress)) error {
	res := &im.result
	rows := res.Rows
	res.Added, res.Revised, res.Retracted, res.Unchanged, res.Skipped, res.Refused = 0, 0, 0, 0, 0, 0
	res.Facts, res.Kinds, res.Notes = map[string]int{}, map[string]int{}, []api.RowNote{}
	im.overrides = map[string]int{}
	in, err := im.open(path)
	if err != nil {
		return err
	}
	defer in.file.Close()
	if im.broken != nil { // and --partial: the rows before it are taken
		res.Refused++
		res.Notes = append(res.Notes, api.RowNote{Refused: true, Text: firstLine(im.broken.Error()) + ": what follows is not read"})
	}
	if several {
		return im.propose(ctx, in, gone)
	}
	for part := range slices.Chunk(gone, importBatch) {
		if err := im.retract(ctx, part); err != nil {
			return err
		}
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if more, err = im.takeBatch(ctx, in); err != nil {
			return err
		}
		tell(api.ImportProgress{Stage: api.ImportTakes, Rows: in.n, Of: rows})
	}
	return nil
}

// pile is records that are signed together, and the rows that they come of.
type pile struct {
	records []feed.Record
	rows    []judgedRow
	held    []*feed.Item // that are retracted
}

// clear empties the pile, and keeps its room. Its records are gone: whoever signed them may have kept the slice.
func (p *pile) clear() {
	clear(p.rows)
	*p = pile{records: make([]feed.Record, 0, cap(p.records)), rows: p.rows[:0]}
}

// gather judges up to rows rows into a pile of up to records records.
func (im *listImport) gather(in *rowReader, p *pile, rows, records int) (more bool, err error) {
	for range rows {
		if len(p.records) >= records {
			return true, nil
		}
		j, err := in.next()
		if err == io.EOF || err == errStop {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		adds := j.outcomeOfRow == rowAdds || j.outcomeOfRow == rowRevises || j.outcomeOfRow == rowReplaces
		if adds && im.hold {
			im.result.Waiting++
			continue
		}
		if j.outcomeOfRow >= rowAdds {
			list, err := im.records(j)
			if err != nil {
				j = j.as(rowRefused, "%s", guardText(err))
			} else {
				p.records = append(p.records, list...)
				p.rows = append(p.rows, j)
			}
		}
		im.note(j)
		switch j.outcomeOfRow {
		case rowRefused, rowSkipped, rowUnchanged:
			im.count(j, 1)
		case rowRetracts, rowReplaces:
			p.held = append(p.held, j.item)
		}
		if j.outcomeOfRow >= rowAdds {
			for _, h := range j.draft.hashes {
				if h.Alg.Exact() {
					im.batch[exactKey(h)] = true
				}
			}
		}
	}
	return true, nil
}

// takeBatch signs a batch of rows.
func (im *listImport) takeBatch(ctx context.Context, in *rowReader) (more bool, err error) {
	n := im.n
	n.signing.Lock()
	defer n.signing.Unlock()
	clear(im.batch)
	p := &im.pile
	defer p.clear()
	if more, err = im.gather(in, p, 4*importBatch, importBatch); err != nil || len(p.records) == 0 {
		return more, err
	}
	if _, err := n.sign(ctx, im.v, p.records); err != nil {
		return false, err
	}
	for _, j := range p.rows {
		im.count(j, 1)
	}
	return more, n.noteTaken(im.name, p.held)
}

// retract signs the retractions of items that a complete list no longer has.
func (im *listImport) retract(ctx context.Context, items []uint32) error {
	n := im.n
	n.signing.Lock()
	defer n.signing.Unlock()
	records, held, err := im.retractions(items)
	if err != nil || len(records) == 0 {
		return err
	}
	if _, err := n.sign(ctx, im.v, records); err != nil {
		return err
	}
	im.result.Retracted += len(records)
	return n.noteTaken(im.name, held)
}

func (im *listImport) retractions(items []uint32) (records []feed.Record, held []*feed.Item, err error) {
	for _, k := range items {
		it := im.v.state.Item(k)
		if it.Retracted() {
			continue
		}
		r, err := im.n.retraction(it, feed.PublisherError)
		if err != nil {
			return nil, nil, err
		}
		records, held = append(records, r), append(held, it)
	}
	return records, held, nil
}

// propose makes one batch of the list wait for approval. What is to be retracted is held meanwhile.
func (im *listImport) propose(ctx context.Context, in *rowReader, gone []uint32) error {
	n := im.n
	n.signing.Lock()
	defer n.signing.Unlock()
	const most = feed.MaxBatch - maxReports // disputes that wait go along
	var p pile
	var err error
	if p.records, p.held, err = im.retractions(gone[:min(len(gone), most)]); err != nil {
		return err
	}
	retracted := len(p.records)
	if _, err := im.gather(in, &p, maxListRows, most-1); err != nil {
		return err
	}
	if len(p.records) == 0 {
		return nil
	}
	done, err := n.sign(ctx, im.v, p.records)
	if err != nil {
		return err
	}
	im.result.Batch = done.batch
	im.result.Retracted += retracted
	for _, j := range p.rows {
		im.count(j, 1)
	}
	im.result.Waiting += len(gone) - min(len(gone), most)
	for _, it := range p.held[:min(len(p.held), maxMeanwhile)] {
		n.holdMeanwhile(im.v, it)
	}
	for { // what didn't fit
		j, err := in.next()
		if err != nil {
			break
		}
		if j.outcomeOfRow >= rowAdds {
			im.result.Waiting++
		}
	}
	return nil
}

// nothingWaits says why no batch can be proposed.
func (n *Node) nothingWaits(v *view) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	p, err := n.pendingOf(v)
	if err == nil && p != nil {
		err = n.waits(p)
	}
	return err
}

// maxMeanwhile is how many items a signer may hold in 72 hours (WIRE §5).
const maxMeanwhile = 1000

func sumOf(r io.Reader) (string, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, r)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// idOfHeld names an import that is held after its list and where it goes, so that the same list isn't held twice.
func (im *listImport) idOfHeld() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", im.name, im.result.Source, im.file))
	return hex.EncodeToString(sum[:4])
}
