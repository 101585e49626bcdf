package node

import (
	"fmt"
	"strings"

	"hashfeed/node/api"
)

// quorumOf is how far the witnesses of the newest charter have come, nil where it names none.
func (n *Node) quorumOf(r *reading) *api.Quorum {
	charter := r.chain.Newest()
	if charter.Quorum == nil {
		return nil
	}
	q := &api.Quorum{K: charter.Quorum.K, Witnesses: []api.Cosigner{}}
	sizes, err := n.store.Witnesses(charter.Origin())
	if err != nil {
		n.log.Error("read cosignatures", "feed", charter.Feed, "err", err)
		return q
	}
	for i, k := range charter.Quorum.Keys {
		w := api.Cosigner{Name: witnessOf(k.Name), Size: sizes[i]}
		if cp, ok := n.store.Seen(charter.Origin(), w.Size); ok && w.Size > 0 {
			for _, c := range cp.Cosigned {
				if c.Key == k {
					w.Time = timeText(c.Time)
				}
			}
		}
		q.Witnesses = append(q.Witnesses, w)
	}
	return q
}

// waitText says what additions wait for, "" if they don't.
func waitText(f api.FeedInfo) string {
	if f.Quorum == nil || f.ActiveSize >= f.Size || f.Pending == 0 {
		return ""
	}
	var behind []string
	for _, w := range f.Quorum.Witnesses {
		if w.Size < f.Size {
			behind = append(behind, fmt.Sprintf("%s (has %d)", w.Name, w.Size))
		}
	}
	return fmt.Sprintf("additions from record %d on wait for %d of %d witnesses, %d items are pending; not there yet: %s",
		f.ActiveSize, f.Quorum.K, len(f.Quorum.Witnesses), f.Pending, strings.Join(behind, ", "))
}
