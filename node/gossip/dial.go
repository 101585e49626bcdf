package gossip

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
)

// dial is what is remembered of a peer that we would connect with.
type dial struct {
	next    time.Time
	wait    time.Duration
	running bool
	err     error // of the last attempt; nil: it connected
	refused bool  // it ended the connection before it said hello: it doesn't know us (yet)
}

// wanted are the peers that we dial, with their addresses: publishers of what we follow, those whom the operator gave an address, and some
// fellow members. A hidden node dials publishers alone.
func (n *Network) wanted() map[peer.ID][]ma.Multiaddr {
	r := n.roll.Load()
	all := map[peer.ID][]ma.Multiaddr{}
	add := func(p peer.ID, addrs ...ma.Multiaddr) {
		if p != "" && p != n.id {
			all[p] = append(all[p], addrs...)
		}
	}
	for _, f := range r.follows {
		add(f.publisher, f.addrs...)
	}
	if !n.o.Hidden {
		for p, c := range r.peers {
			add(p, c.addrs...)
		}
		for _, p := range n.fellows() {
			add(p)
		}
	}
	for p, addrs := range all {
		if c, ok := r.peers[p]; ok {
			addrs = append(addrs, c.addrs...)
		}
		addrs = append(addrs, n.book.addrs(p)...)
		all[p] = ma.Unique(addrs)
	}
	return all
}

// fellows are some members of our feeds whose address we have: those whose id lies nearest to ours, hashed, so that each member has others
// and all are reached.
func (n *Network) fellows() []peer.ID {
	n.book.mu.Lock()
	var all []peer.ID
	for p := range n.book.all {
		all = append(all, p)
	}
	n.book.mu.Unlock()
	distance := func(p peer.ID) string {
		a, b := string(n.id), string(p)
		if a > b {
			a, b = b, a
		}
		sum := sha256.Sum256([]byte(a + b))
		return string(sum[:])
	}
	slices.SortFunc(all, func(a, b peer.ID) int { return strings.Compare(distance(a), distance(b)) })
	return all[:min(len(all), maxFellows)]
}

// dialDue begins to dial whoever is due.
func (n *Network) dialDue() {
	wanted := n.wanted()
	now := time.Now()
	n.mu.Lock()
	for p, d := range n.dials {
		if _, ok := wanted[p]; !ok && !d.running {
			delete(n.dials, p)
		}
	}
	type job struct {
		p     peer.ID
		addrs []ma.Multiaddr
	}
	var jobs []job
	for p, addrs := range wanted {
		d := n.dials[p]
		if d == nil {
			d = &dial{wait: redialFirst}
			n.dials[p] = d
		}
		if _, up := n.links[p]; up || d.running || len(addrs) == 0 || now.Before(d.next) {
			continue
		}
		d.running = true
		jobs = append(jobs, job{p, addrs})
	}
	n.mu.Unlock()
	for _, j := range jobs {
		n.spawn(func() { n.dial(j.p, j.addrs) })
	}
}

func (n *Network) dial(p peer.ID, addrs []ma.Multiaddr) {
	var err error
	if !n.dialable(p) {
		err = errors.New("not vetted, or banned for now")
	} else {
		// The swarm's own back-off isn't bounded as ours is.
		if s, ok := n.host.Network().(*swarm.Swarm); ok {
			s.Backoff().Clear(p)
		}
		ctx, cancel := context.WithTimeout(n.ctx, dialTimeout)
		n.host.Peerstore().ClearAddrs(p)
		n.host.Peerstore().AddAddrs(p, addrs, peerstore.TempAddrTTL)
		_, err = n.host.Network().DialPeer(network.WithDialPeerTimeout(ctx, dialTimeout), p)
		cancel()
	}
	n.mu.Lock()
	if d := n.dials[p]; d != nil {
		d.running, d.err = false, err
		// Until it has said hello the next attempt is later: an outsider's connection comes up, too, and then ends.
		d.wait = min(2*d.wait, redialMost)
		d.next = time.Now().Add(d.wait*4/5 + rand.N(d.wait/5+1))
	}
	n.mu.Unlock()
	if err != nil && n.ctx.Err() == nil {
		n.log.Debug("dial", "peer", p.String(), "err", strings.ReplaceAll(err.Error(), "\n", ""))
		for _, c := range n.everyCarrier() {
			c.unreachable(p)
		}
	}
}

// answered says that a peer has said hello: the next loss of it is answered at once.
func (n *Network) answered(p peer.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d := n.dials[p]; d != nil {
		d.wait, d.next, d.err, d.refused = redialFirst, time.Time{}, nil, false
	}
}

// hungUp says that the connection with a peer is gone.
func (n *Network) hungUp(p peer.ID, heard bool) {
	n.mu.Lock()
	if d := n.dials[p]; d != nil {
		d.refused = !heard
		if heard {
			d.next = time.Now().Add(redialFirst/2 + rand.N(redialFirst/2))
		}
	}
	n.mu.Unlock()
	n.wake()
}
