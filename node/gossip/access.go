package gossip

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"hashfeed/feed"
)

// Who may connect, and who may read what. Both are asked anew each time, of the roll and of the rosters as they are then: a connection that
// was let in says nothing about a stream, and the first message of a stream nothing about the next.

// vetted reports whether a peer may be connected with: it is in the roll, publishes a feed that we follow, or is a member of an own or
// followed feed.
func (n *Network) vetted(p peer.ID) bool {
	return !n.bans.banned(p) && n.knows(p)
}

// knows is vetted, but for bans.
func (n *Network) knows(p peer.ID) bool {
	if p == n.id {
		return false
	}
	r := n.roll.Load()
	for _, f := range r.follows {
		if f.publisher == p {
			return true
		}
	}
	for name := range r.own {
		if n.reads(p, name) {
			return true
		}
	}
	if n.o.Hidden {
		return false
	}
	if _, ok := r.peers[p]; ok {
		return true
	}
	for name := range r.follows {
		if n.reads(p, name) {
			return true
		}
	}
	return false
}

// reads reports whether a peer may read a feed that we hold: its roster names it, or it publishes the feed, or it is a hidden member of an
// own feed. Nobody reads a feed that we neither own nor follow any more.
func (n *Network) reads(p peer.ID, name feed.Name) bool {
	r := n.roll.Load()
	hidden, own := r.own[name]
	f, followed := r.follows[name]
	switch {
	case own:
		if expires, ok := hidden[p]; ok && n.now() <= expires {
			return true
		}
	case !followed:
		return false
	case f.publisher == p:
		return true
	}
	roster, ok := n.o.Store.Roster(name)
	return ok && roster.Reads(p.String(), n.now())
}

// readable lists the feeds we hold that a peer may read.
func (n *Network) readable(p peer.ID) (names []feed.Name) {
	for _, c := range n.everyCarrier() {
		if n.reads(p, c.name) {
			names = append(names, c.name)
		}
	}
	return names
}

// closeUnvetted closes connections that wouldn't be let in now: gaters aren't asked again.
func (n *Network) closeUnvetted() {
	for _, p := range n.host.Network().Peers() {
		if !n.vetted(p) {
			n.log.Info("disconnect, no longer vetted", "peer", p.String(), "name", n.nameOf(p))
			n.host.Network().ClosePeer(p)
		}
	}
}

// gate is the connection gater. An outsider who dials sees a connection that ends as soon as it has shown its identity (TLS 1.3 lets it
// finish first); not one of its streams is looked at.
type gate struct{ n *Network }

func (g gate) InterceptPeerDial(p peer.ID) bool { return g.n.dialable(p) }

func (g gate) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept doesn't know yet who it is.
func (g gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured is the first to know.
func (g gate) InterceptSecured(direction network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	if direction == network.DirOutbound {
		return g.n.dialable(p)
	}
	ok := g.n.vetted(p)
	if !ok {
		g.n.metrics.refused.Inc()
		g.n.log.Debug("refuse connection of an outsider", "peer", p.String())
	}
	return ok
}

func (g gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

// dialable reports whether we may connect to a peer of our own accord. A hidden node shows itself to publishers alone.
func (n *Network) dialable(p peer.ID) bool {
	if !n.vetted(p) {
		return false
	}
	return !n.o.Hidden || n.publishes(p)
}

// publishes reports whether a peer is the publisher of a feed that we follow.
func (n *Network) publishes(p peer.ID) bool {
	for _, f := range n.roll.Load().follows {
		if f.publisher == p {
			return true
		}
	}
	return false
}

// bans are peers that broke the rules, until when.
type bans struct {
	mu     sync.Mutex
	until  map[peer.ID]time.Time
	broken map[peer.ID][]time.Time
}

func newBans() *bans { return &bans{until: map[peer.ID]time.Time{}, broken: map[peer.ID][]time.Time{}} }

func (b *bans) banned(p peer.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, ok := b.until[p]
	if ok && !time.Now().Before(until) {
		delete(b.until, p)
		return false
	}
	return ok
}

func (b *bans) ban(p peer.ID, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until[p] = time.Now().Add(d)
	delete(b.broken, p)
}

// strike counts a breach of the format, and says whether it was one too many.
func (b *bans) strike(p peer.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	recent := []time.Time{now}
	for _, t := range b.broken[p] {
		if now.Sub(t) < ruleWindow {
			recent = append(recent, t)
		}
	}
	b.broken[p] = recent
	return len(recent) >= maxBroken
}

// lied disconnects a peer that sent what an honest one can't have, and names it. Never for what may be our own disk's or the network's fault.
func (n *Network) lied(p peer.ID, name feed.Name, err error) {
	n.metrics.offences.WithLabelValues("lie").Inc()
	n.log.Warn("peer lied, disconnect it", "peer", p.String(), "name", n.nameOf(p), "feed", string(name), "err", err)
	n.alarms.raise(AlarmLied, p.String()+" "+string(name), name,
		"peer "+n.called(p)+" sent what no honest peer can have: "+err.Error(),
		"ask whoever runs it; what it should have sent is fetched from others, and it may come back in "+banLie.String())
	n.bans.ban(p, banLie)
	n.host.Network().ClosePeer(p)
}

// broke counts a breach of the format against its sender.
func (n *Network) broke(p peer.ID, err error) {
	n.metrics.offences.WithLabelValues("rule").Inc()
	n.log.Info("peer broke the protocol", "peer", p.String(), "name", n.nameOf(p), "err", err)
	if n.bans.strike(p) {
		n.alarms.raise(AlarmLied, p.String()+" ", "", "peer "+n.called(p)+" keeps breaking the protocol: "+err.Error(),
			"ask whoever runs it which version it is; it may come back in "+banRule.String())
		n.bans.ban(p, banRule)
		n.host.Network().ClosePeer(p)
	}
}

// called is a peer's name and id, for people.
func (n *Network) called(p peer.ID) string {
	if name := n.nameOf(p); name != "" {
		return name + " (" + p.String() + ")"
	}
	return p.String()
}
