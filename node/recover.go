package node

import (
	"context"
	"errors"
	"net/http"

	"hashfeed/node/api"
	"hashfeed/node/gossip"
)

// Recover fetches from members what a restored copy of an own feed lacks, verified against heads that bear this feed's own signatures, and
// lets it be signed again.
func (n *Node) Recover(ctx context.Context, name string) (api.Recovered, error) {
	v, err := n.ownView(name)
	if err != nil {
		return api.Recovered{}, err
	}
	if err := n.refuseFrozen(v); err != nil {
		return api.Recovered{}, err
	}
	w := n.network.Load()
	if w == nil {
		return api.Recovered{}, &api.Error{Status: http.StatusConflict, Code: api.CodeConflict, Text: "the daemon isn't running: there is nobody to fetch from",
			Hint: "hashfeed run, and recover then"}
	}
	missing, err := w.gossip.Recover(ctx, v.name)
	if errors.Is(err, gossip.ErrNotHeard) {
		return api.Recovered{}, &api.Error{Status: http.StatusServiceUnavailable, Code: api.CodeNotReady, Text: err.Error(),
			Hint: "hashfeed status tells who is connected; where no member has ever stored the feed nothing is missing"}
	}
	if err != nil {
		return api.Recovered{}, err
	}
	origin := v.reading.Load().chain.Newest().Origin()
	size := n.store.Size(origin)
	r := api.Recovered{Origin: string(origin), Had: size, Size: size}
	if missing != nil {
		r.Had, r.From = missing.Have, missing.Peer
	}
	return r, nil
}
