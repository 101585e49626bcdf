package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/multiformats/go-multiaddr"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// charterWait is how long follow waits for the charter, to say whom one follows.
const charterWait = 5 * time.Second

// Follow pins a feed and follows it. A publisher that is away, or that hasn't made us a member yet, is no error: the feed
// comes when it can.
func (n *Node) Follow(ctx context.Context, r api.Follow) (api.Followed, error) {
	invite, err := feed.ParseInvite(r.Invite)
	if err != nil {
		return api.Followed{}, badRequest(err)
	}
	if invite.Expired(n.unix()) {
		return api.Followed{}, refused("the invite to %s has expired: ask its publisher for another", invite.Feed)
	}
	if invite.Feed.Publisher() == n.config.Load().Name || n.keys.owns(invite.Feed) && n.viewNamed(invite.Feed) != nil {
		return api.Followed{}, refused("%s is this node's own feed: there is nothing to follow", invite.Feed)
	}
	peerID, err := feed.FormatPeerID(invite.Peer)
	if err != nil {
		return api.Followed{}, badRequest(err)
	}
	f := Follow{Feed: string(invite.Feed), Anchor: invite.Anchor.String(), Peer: peerID, Harm: r.Harm, Verdicts: r.Verdicts,
		Action: policy.Action(r.Action), ActionNear: policy.Action(r.Near), ActionWeak: policy.Action(r.Weak)}
	for _, raw := range invite.Addrs {
		a, err := multiaddr.NewMultiaddrBytes(raw)
		if err != nil {
			return api.Followed{}, badRequest(fmt.Errorf("invite: address: %w", err))
		}
		f.Addresses = append(f.Addresses, a.String())
	}
	if problems := f.withDefaults().check(n.config.Load().Name); len(problems) > 0 {
		return api.Followed{}, badRequest(errors.Join(problems...))
	}
	if err := n.pin(f, r.Replace); err != nil {
		return api.Followed{}, err
	}
	answer := api.Followed{Feed: f.Feed, Publisher: invite.Feed.Publisher(), Anchor: f.Anchor, Digits: invite.Anchor.Digits(), State: "waiting"}
	if w := n.network.Load(); w == nil {
		answer.StateText = "the daemon isn't running: the feed comes when it does"
		return answer, nil
	}
	deadline := time.NewTimer(charterWait)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if v := n.viewNamed(invite.Feed); v != nil {
			charter := v.reading.Load().chain.Newest()
			answer.Harm, answer.Contact, answer.Audience = string(charter.Harm), charter.Contact, charter.Audience
			answer.State, answer.StateText = n.stateOf(v, n.now())
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return answer, nil
		case <-deadline.C:
			for _, f := range n.notArrived() {
				if f.Origin == answer.Feed {
					answer.StateText = f.StateText
				}
			}
			return answer, nil
		case <-tick.C:
		}
	}
}

// withDefaults is a new follow: it trusts for baseline, and does nothing but log until the operator raises it.
func (f Follow) withDefaults() Follow {
	if len(f.Verdicts) == 0 {
		f.Verdicts = []string{feed.Baseline.String()}
	}
	f.Action, f.ActionNear, f.ActionWeak = cmp.Or(f.Action, policy.Log), cmp.Or(f.ActionNear, policy.Log), cmp.Or(f.ActionWeak, policy.Log)
	f.OnStale, f.MaxDistance = cmp.Or(f.OnStale, policy.Keep), cmp.Or(f.MaxDistance, nearDistance)
	return f
}

// pin writes the follow into the config, and has the node take it up.
func (n *Node) pin(f Follow, replace bool) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	var old *Follow
	for _, o := range n.config.Load().Follow {
		if o.Feed == f.Feed {
			old = &o
		}
	}
	switch {
	case old != nil && old.Anchor == f.Anchor && !replace:
		return conflict("%s is followed already", f.Feed)
	case old != nil && !replace:
		return conflict("%s is followed with another anchor; if its publisher has lost its root keys, --replace pins this one", f.Feed)
	case old == nil && replace:
		return conflict("%s is not followed yet: there is nothing to replace", f.Feed)
	}
	if old == nil {
		if err := AppendFollow(n.dir.config(), f.withDefaults()); err != nil {
			return err
		}
		return n.Reload()
	}
	if err := ReplaceFollow(n.dir.config(), f); err != nil {
		return err
	}
	if old.Anchor == f.Anchor {
		return n.Reload()
	}
	return n.letGo(feed.Name(f.Feed))
}

// letGo reads the config again and forgets a feed, so that it comes anew if it is still followed.
func (n *Node) letGo(name feed.Name) error {
	config, err := LoadConfig(n.dir.config())
	if err != nil {
		return err
	}
	without := config
	without.Follow = slices.DeleteFunc(slices.Clone(config.Follow), func(f Follow) bool { return f.Feed == string(name) })
	n.config.Store(&without)
	if w := n.network.Load(); w != nil {
		w.changed() // from here on nothing of the feed is written
	}
	if v := n.viewNamed(name); v != nil {
		if err := n.closeView(v); err != nil {
			return err
		}
		if err := n.forgetFreeze(v, v.reading.Load().chain); err != nil {
			return err
		}
		if err := n.store.RemoveFeed(name); err != nil {
			return err
		}
	}
	return n.Reload()
}

// closeView takes a feed out of what is matched.
func (n *Node) closeView(v *view) error {
	n.dropSnapshot() // it tells of a feed that isn't here
	err := n.freeSlot(v.slot)
	n.said.forget(v.name)
	n.decide()
	return err
}

// Unfollow lets go of a feed: what it listed matches no more, and what was stored of it is removed.
func (n *Node) Unfollow(ctx context.Context, name string) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	for _, f := range n.config.Load().Follow {
		origin, _ := feed.ParseOrigin(name)
		if f.Feed == name || name != "" && string(origin.Name()) == f.Feed {
			if err := RemoveFollow(n.dir.config(), f.Feed); err != nil {
				return err
			}
			return n.letGo(feed.Name(f.Feed))
		}
	}
	return notFound("feed %.140s is not followed", name)
}

// Peers lists the peers of the config and those that are connected.
func (n *Node) Peers(ctx context.Context) ([]api.Peer, error) {
	peers := []api.Peer{}
	if w := n.network.Load(); w != nil {
		peers = w.peers()
	}
	for _, p := range n.config.Load().Peers {
		if !slices.ContainsFunc(peers, func(o api.Peer) bool { return o.PeerID == p.ID }) {
			peers = append(peers, api.Peer{PeerID: p.ID, Name: p.Name, Addresses: p.Addresses})
		}
	}
	return peers, nil
}

// AddPeer lets a peer connect, and has it dialled; a second time it adds an address.
func (n *Node) AddPeer(ctx context.Context, r api.AddPeer) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	p := Peer{ID: r.PeerID, Name: r.Name, Addresses: []string{r.Address}}
	for _, o := range n.config.Load().Peers {
		if o.ID == r.PeerID && !slices.Contains(o.Addresses, r.Address) {
			p.Addresses = append(slices.Clone(o.Addresses), r.Address)
		}
	}
	if err := p.check(); err != nil {
		return badRequest(err)
	}
	if p.ID == n.keys.peerID() {
		return refused("%s is this node itself", p.ID)
	}
	if err := SetPeer(n.dir.config(), p); err != nil {
		return err
	}
	return n.Reload()
}

// RemovePeer undoes AddPeer.
func (n *Node) RemovePeer(ctx context.Context, peerID string) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	if !slices.ContainsFunc(n.config.Load().Peers, func(p Peer) bool { return p.ID == peerID }) {
		return notFound("there is no peer %.80s in the config", peerID)
	}
	if err := RemovePeer(n.dir.config(), peerID); err != nil {
		return err
	}
	return n.Reload()
}
