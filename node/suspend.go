package node

import (
	"context"
	"errors"
	"slices"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// suspensionSeconds is how long a suspension holds (WIRE §5).
const suspensionSeconds = 72 * 3600

// Suspend holds own items at once and everywhere, for 72 hours, with this node's signer alone, however many must sign
// else.
func (n *Node) Suspend(ctx context.Context, refs []feed.Ref) (api.Published, error) {
	if len(refs) == 0 {
		return api.Published{}, incomplete("nothing to suspend: a reference is missing")
	}
	n.signing.Lock()
	defer n.signing.Unlock()
	var v *view
	var items []*feed.Item
	for _, ref := range refs {
		of, it, err := n.ownItem(ref)
		switch {
		case err != nil:
			return api.Published{}, err
		case v != nil && v != of:
			return api.Published{}, refused("%s and %s are of two feeds: suspend each by itself", refs[0], ref)
		case it.Retracted():
			return api.Published{}, conflict("%s is retracted already", ref)
		}
		v, items = of, append(items, it)
	}
	until, err := n.hold(v, items)
	if err != nil {
		return api.Published{}, err
	}
	return api.Published{Ref: v.name.Ref(items[0].First()).String(), Until: timeText(until)}, nil
}

// hold signs a suspension of items, and says until when it holds. The caller holds n.signing.
func (n *Node) hold(v *view, items []*feed.Item) (until int64, err error) {
	chain := v.reading.Load().chain
	signer, err := n.keys.signer(chain.Newest())
	if err != nil {
		return 0, err
	}
	var positions []feed.Position
	for _, it := range items {
		if since, ok := n.suspendedBy(v, it, signer.Public().Key); ok {
			return 0, conflict("%s was suspended on %s already: a signer can't renew that; retract it",
				v.name.Ref(it.First()), timeText(since))
		}
		positions = append(positions, it.First())
	}
	slices.SortFunc(positions, feed.Position.Compare)
	positions = slices.Compact(positions)
	now := n.unix()
	for slices.ContainsFunc(n.store.Suspensions(v.name), func(o feed.Suspension) bool { return o.Time == now && slices.Equal(o.Items, positions) }) {
		now++ // another signer's note of this very text is held already, and would be all that is kept
	}
	note, err := feed.SignSuspension(chain, positions, now, signer)
	if err != nil {
		return 0, refused("%v", err)
	}
	return now + suspensionSeconds, explainWrite(n.store.Suspend(note))
}

// suspendedBy says since when a signer's first suspension of an item holds it, or held it: later ones by that signer don't
// count (WIRE §5).
func (n *Node) suspendedBy(v *view, it *feed.Item, signer [32]byte) (since int64, ok bool) {
	item, _ := v.state.ItemAt(it.First())
	for _, s := range n.store.Suspensions(v.name) {
		if ok && since <= s.Time || !slices.Contains(s.Suspending().Signers, signer) {
			continue
		}
		if slices.ContainsFunc(s.Items, func(p feed.Position) bool {
			of, known := v.state.ItemAt(p)
			return known && of == item
		}) {
			since, ok = s.Time, true
		}
	}
	return since, ok
}

// holdMeanwhile suspends items that are to be retracted where the retraction has to await approval: who is listed wrongly
// doesn't wait for a second signer. It returns until when and how many, "" if none is held: a suspension that fails mustn't stop the
// retraction. One signer can hold so many; of more the first.
func (n *Node) holdMeanwhile(v *view, items ...*feed.Item) (until string, held int) {
	chain := v.reading.Load().chain
	if chain.Newest().Signer.K == 1 {
		return "", 0
	}
	if len(items) > 1 { // else it is told why not
		if signer, err := n.keys.signer(chain.Newest()); err == nil {
			items = slices.DeleteFunc(slices.Clone(items), func(it *feed.Item) bool {
				_, suspended := n.suspendedBy(v, it, signer.Public().Key)
				return suspended
			})
		}
	}
	items = items[:min(len(items), feed.MaxSuspended)]
	if len(items) == 0 {
		return "", 0
	}
	end, err := n.hold(v, items)
	if err != nil {
		n.log.Warn("not held until the retraction is approved", "ref", v.name.Ref(items[0].First()).String(), "items", len(items), "err", err)
		return "", 0
	}
	return timeText(end), len(items)
}

// stillHeld adds to the error of a retraction that its item is held meanwhile.
func stillHeld(err error, until string) error {
	var e *api.Error
	if until == "" || !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Text += "; the item is held meanwhile, until " + until
	return &c
}
