package node

import (
	"context"
	"fmt"
	"io"

	"hashfeed/feed"
	"hashfeed/feed/hashlist"
	"hashfeed/node/api"
)

// Export writes a feed as a list: each item once, in the order of their adds, with what is in force of it. A retracted item is a row with its
// reason and without a hash, since its hashes are to be forgotten.
func (n *Node) Export(ctx context.Context, r api.Export, w io.Writer) error {
	if r.Format == "" {
		return incomplete("the format is missing: one of %s", hashlist.Names(false))
	}
	format, ok := hashlist.Find(r.Format)
	if !ok || format.Write == nil {
		return badRequest(fmt.Errorf("format %.20q: one of %s", r.Format, hashlist.Names(false)))
	}
	v, err := n.findView(r.Feed)
	if err != nil {
		return err
	}
	out := format.Write(w)
	now := n.unix()
	for k := range v.state.Items() {
		if k%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row, err := n.exported(v, k, now)
		if err != nil {
			return err
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	return out.Close()
}

func (n *Node) exported(v *view, k uint32, now int64) (hashlist.Row, error) {
	reading := v.reading.Load()
	it, standing := v.state.Item(k), v.state.At(k, reading.limit, now)
	row := hashlist.Row{ID: v.name.Ref(it.First()).String(), Harm: reading.charter.Harm, Listed: standing.Listed}
	switch standing.Status {
	case feed.Retracted:
		row.State, row.Reason = hashlist.Retracted, n.reasonOf(v, it)
		return row, nil
	case feed.Active:
		row.State = hashlist.Active
	case feed.Held:
		row.State = hashlist.Held
	default:
		row.State = hashlist.Pending
	}
	at := standing.Body
	if at == (feed.Position{}) { // nothing is in force: of what is pending, what is to be
		body, err := n.latestBody(v, it)
		if err == nil {
			row.Hashes, row.Facts, row.Source = body.Hashes, body.Facts, body.Source
		}
		return row, nil
	}
	record, err := n.store.Record(v.name.Log(at.Log), at.Index)
	if err != nil {
		return row, err
	}
	body, err := feed.ParseBody(record.Body)
	if err != nil {
		return row, fmt.Errorf("export %s: %w", row.ID, err)
	}
	row.Hashes, row.Facts, row.Source = body.Hashes, body.Facts, body.Source
	row.Facts.Override = 0 // of our list of known-good, not of theirs
	return row, nil
}

// reasonOf is why an item was retracted; 0 where that can't be read.
func (n *Node) reasonOf(v *view, it *feed.Item) feed.Reason {
	at, ok := it.Retract()
	if !ok {
		return 0
	}
	record, err := n.store.Record(v.name.Log(at.Log), at.Index)
	if err != nil {
		return 0
	}
	head, err := feed.ParseHead(record.Head)
	if err != nil {
		return 0
	}
	return head.Reason
}
