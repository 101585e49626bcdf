package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
)

// maxPending bounds the retracts that are listed for a member; how many there are is counted all the same.
const maxPending = 1000

// Receipts says which members have stored an own feed, and up to where. Only its publisher gets their cosignatures.
func (n *Node) Receipts(ctx context.Context, name string, pending bool) (api.Receipts, error) {
	v, err := n.findView(name)
	if err != nil {
		return api.Receipts{}, err
	}
	if !v.own {
		return api.Receipts{}, refused("feed %s is not this node's own: members send their receipts to its publisher alone", v.name)
	}
	r := v.reading.Load()
	charter := r.chain.Newest()
	answer := api.Receipts{Origin: string(charter.Origin()), Size: r.head.Size}
	if answer.Members, err = n.receiptsOf(v, r); err != nil {
		return answer, err
	}
	if pending {
		err = n.addPending(ctx, v, r, answer.Members)
	}
	return answer, err
}

// receiptsOf lists the newest receipt of each member, former members' too, whoever is furthest behind first.
func (n *Node) receiptsOf(v *view, r *reading) ([]api.Receipt, error) {
	charter := r.chain.Newest()
	stored, err := n.store.Receipts(charter.Origin())
	if err != nil {
		return nil, fmt.Errorf("read receipts: %w", err)
	}
	members, err := n.readMembers(v.name)
	if err != nil {
		return nil, err
	}
	newest := map[string]store.Receipt{} // by peer id
	list := []api.Receipt{}
	for _, s := range stored {
		peer, err := n.sentBy(s.Line, members)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(members, func(m membership) bool { return m.PeerID == peer && m.Until > n.unix() })
		if at < 0 {
			list = append(list, n.receipt(r, api.Receipt{Name: witnessOf(s.Line.Name), State: "former"}, s))
		} else if old, ok := newest[peer]; !ok || s.Size > old.Size { // it has changed its key
			newest[peer] = s
		}
	}
	for _, m := range members {
		if m.Until > n.unix() {
			list = append(list, n.receipt(r, api.Receipt{Name: m.Name, PeerID: m.PeerID}, newest[m.PeerID]))
		}
	}
	slices.SortStableFunc(list, func(a, b api.Receipt) int {
		return cmp.Or(cmp.Compare(b.LagRecords, a.LagRecords), cmp.Compare(b.LagS, a.LagS), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// receipt fills in what a stored receipt says; the zero one is none.
func (n *Node) receipt(r *reading, m api.Receipt, s store.Receipt) api.Receipt {
	m.Size = s.Size
	m.LagRecords = r.head.Size - min(s.Size, r.head.Size)
	if m.LagRecords > 0 {
		if cp, ok := n.store.Covering(r.head.Origin, s.Size); ok {
			m.LagS = ageOf(cp.Stamp, n.now())
		}
	}
	switch {
	case m.State != "":
	case s.Size == 0:
		m.State = "never"
	case m.LagRecords > 0:
		m.State = "behind"
	default:
		m.State = "current"
	}
	if at, ok := s.Line.Time(); ok {
		m.Time = timeText(int64(at))
	}
	if q := r.chain.Newest().Quorum; q != nil {
		m.Witness = slices.ContainsFunc(q.Keys, func(k crypto.PublicKey) bool {
			return s.Size > 0 && k.Name == s.Line.Name && k.ID() == s.Line.ID || s.Size == 0 && witnessOf(k.Name) == m.Name
		})
	}
	return m
}

// addPending adds the retracts that members haven't acknowledged.
func (n *Node) addPending(ctx context.Context, v *view, r *reading, members []api.Receipt) error {
	first := r.head.Size
	for _, m := range members {
		first = min(first, m.Size)
	}
	origin := r.chain.Newest().Origin()
	for rec, err := range n.store.Records(origin, first, r.head.Size-first) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read retracts: %w", err)
		}
		if h, err := feed.ParseHead(rec.Head); err != nil || h.Op != feed.OpRetract {
			continue
		}
		at := feed.Position{Log: origin.Log(), Index: rec.Index}
		if void, _ := v.state.Codes(at); void != "" {
			continue
		}
		for i := range members {
			if m := &members[i]; m.Size <= rec.Index {
				if m.Pending++; len(m.PendingRetractions) < maxPending {
					m.PendingRetractions = append(m.PendingRetractions, v.name.Ref(at).String())
				}
			}
		}
	}
	return nil
}

// witnessCursor is where the store has which peer sent receipts by a witness key.
func witnessCursor(name string, id uint32) string { return fmt.Sprintf("witness/%s/%08x", name, id) }

// receiptCame notes whose key it is that receipts come by: what a node calls itself is not what its publisher calls it.
func (n *Node) receiptCame(peer string, key crypto.PublicKey) {
	cursor := witnessCursor(key.Name, key.ID())
	old, err := n.store.Cursor(cursor)
	if err == nil && string(old) != peer {
		err = n.store.PutCursor(cursor, []byte(peer))
	}
	if err != nil {
		n.log.Error("note who sends receipts", "key", key.Name, "peer", peer, "err", err)
	}
}

// sentBy is the peer id of the node that a receipt came from, "" if that isn't known any more.
func (n *Node) sentBy(line crypto.Line, members []membership) (string, error) {
	peer, err := n.store.Cursor(witnessCursor(line.Name, line.ID))
	if err != nil || len(peer) > 0 {
		return string(peer), err
	}
	for _, m := range members {
		if m.Name == witnessOf(line.Name) {
			return m.PeerID, nil
		}
	}
	return "", nil
}
