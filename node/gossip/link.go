package gossip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"golang.org/x/time/rate"

	"hashfeed/feed"
)

// A link is a peer that we are connected with. Each side keeps one stream of heads/1 open, on which it alone speaks.
//
// What is to be said is kept as debts, sets of names without contents: a peer that doesn't read costs us some names, however much happens
// meanwhile, and when it reads again it gets what is newest then. Each message is made, and the peer's right to it looked up, when it is
// written.
type link struct {
	n    *Network
	peer peer.ID
	ctx  context.Context
	end  context.CancelFunc
	wake chan struct{}

	rate   *rate.Limiter // of what it sends
	proofs *rate.Limiter
	counts *rate.Limiter

	mu      sync.Mutex
	hello   *hello         // theirs; nil: not heard yet
	skew    time.Duration  // its clock less ours
	latency time.Duration  // round trip
	inbound network.Stream // the one they speak on
	listed  bool           // a list came: what isn't on it, it doesn't let us read or doesn't have
	claims  map[feed.Origin]claim
	knows   map[feed.Origin]known // what it is known to have: never pushed again
	told    map[feed.Digest]bool  // suspensions sent on this stream, by toldOf
	debts   debts
}

// known is a head as far as telling it again goes.
type known struct {
	size     uint64
	stamp    int64
	cosigned int
}

// covers reports whether one who knows k learns nothing from other.
func (k known) covers(other known) bool {
	if k.size != other.size {
		return k.size > other.size
	}
	return k.stamp > other.stamp || k.stamp == other.stamp && k.cosigned >= other.cosigned
}

func knownOf(cp feed.Checkpoint) known { return known{cp.Size, cp.Stamp, len(cp.Cosigned)} }

// debts are what is to be told to a peer.
type debts struct {
	list, peers bool
	heads       map[feed.Origin][]uint64 // the head, and smaller sizes that have new cosignatures
	news        map[feed.Name]bool       // charter, roster or suspensions
}

func newDebts() debts { return debts{heads: map[feed.Origin][]uint64{}, news: map[feed.Name]bool{}} }

func (d *debts) head(origin feed.Origin, size uint64) {
	sizes := d.heads[origin]
	if !slices.Contains(sizes, size) {
		sizes = append(sizes, size)
		slices.Sort(sizes)
	}
	d.heads[origin] = sizes[max(0, len(sizes)-maxSizes):]
}

// syncLink makes the link of a peer agree with whether it is connected. It is called after each change, in any order.
func (n *Network) syncLink(p peer.ID) *link {
	n.mu.Lock()
	l, up := n.links[p], n.host.Network().Connectedness(p) == network.Connected && !n.closed
	switch {
	case up && l == nil:
		l = &link{n: n, peer: p, wake: make(chan struct{}, 1), claims: map[feed.Origin]claim{}, knows: map[feed.Origin]known{}, told: map[feed.Digest]bool{}, debts: newDebts(),
			rate: rate.NewLimiter(messageRate, messageBurst), proofs: rate.NewLimiter(rate.Every(proofRate), proofBurst),
			counts: rate.NewLimiter(rate.Every(countsRate), countsBurst)}
		l.ctx, l.end = context.WithCancel(n.ctx)
		n.links[p] = l
		n.metrics.links.Set(float64(len(n.links)))
		n.mu.Unlock()
		n.log.Debug("connected", "peer", p.String())
		n.spawn(l.speak)
		n.spawn(l.ping)
		n.askMember(l)
		return l
	case !up && l != nil:
		delete(n.links, p)
		n.metrics.links.Set(float64(len(n.links)))
		n.mu.Unlock()
		l.end()
		heard := l.heard()
		n.log.Info("disconnected", "peer", p.String(), "name", l.name())
		n.hungUp(p, heard)
		n.checkClock()
		for _, c := range n.everyCarrier() {
			c.linkDown(l, heard)
		}
		return nil
	}
	n.mu.Unlock()
	return l
}

func (l *link) heard() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hello != nil
}

func (l *link) name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hello == nil {
		return ""
	}
	return l.hello.Name
}

func (l *link) standing() (connected bool, latency time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hello != nil, l.latency
}

// owe adds to what is to be told.
func (l *link) owe(f func(*debts)) {
	l.mu.Lock()
	f(&l.debts)
	l.mu.Unlock()
	poke(l.wake)
}

// learn notes that the peer has a head.
func (l *link) learn(origin feed.Origin, k known) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.knows[origin].covers(k) {
		l.knows[origin] = k
	}
}

// claimed is what the peer says it has of a log.
func (l *link) claimed(origin feed.Origin) (claim, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.claims[origin]
	return c, ok
}

// claimsOf is what it says of the logs of a feed, and whether it has listed at all.
func (l *link) claimsOf(name feed.Name) (claims []claim, listed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for o, c := range l.claims {
		if o.Name() == name {
			claims = append(claims, c)
		}
	}
	slices.SortFunc(claims, func(a, b claim) int { return strings.Compare(string(a.Origin), string(b.Origin)) })
	return claims, l.listed
}

// hear is the handler of heads/1: it reads what a peer says, until it ends or breaks a rule.
func (n *Network) hear(s network.Stream) {
	defer s.Reset()
	l := n.syncLink(s.Conn().RemotePeer())
	if l == nil {
		return
	}
	// One stream a peer: the newest counts, as after half a connection was lost.
	l.mu.Lock()
	if l.inbound != nil {
		l.inbound.Reset()
	}
	l.inbound = s
	l.mu.Unlock()
	err := l.hearAll(s)
	switch {
	case errors.Is(err, errRule):
		n.broke(l.peer, err)
	case !errors.Is(err, io.EOF):
		n.log.Debug("stop listening to peer", "peer", l.peer.String(), "err", err)
	}
}

func (l *link) hearAll(s network.Stream) error {
	data, err := receive(s, helloTimeout, func(begin []byte) int {
		if limit := pushLimit(begin); limit == maxHello {
			return limit
		}
		return 0
	})
	if err != nil {
		return fmt.Errorf("read hello: %w", err)
	}
	h, err := parseHello(data)
	if err != nil {
		return err
	}
	if err := l.greeted(h, s); err != nil {
		return err
	}
	for {
		data, err := receive(s, quietTimeout, pushLimit)
		if err != nil {
			return err
		}
		// Whoever sends faster than this is read slower.
		if err := l.rate.Wait(l.ctx); err != nil {
			return err
		}
		m, err := parsePush(data)
		if err != nil {
			return err
		}
		if !l.n.vetted(l.peer) {
			return errors.New("no longer vetted")
		}
		switch m := m.(type) {
		case *hello:
			return fmt.Errorf("%w: a second hello", errRule)
		case *list:
			l.heardList(m)
		case *push:
			l.n.metrics.heads.WithLabelValues("in").Inc()
			if c, ok := l.n.carrier(m.Origin.Name()); ok {
				c.heardHead(l, m)
			}
		case *suspend:
			if c, ok := l.n.carrier(m.feed); ok {
				c.heardSuspension(l, m.Note)
			}
		case *news:
			if c, ok := l.n.carrier(m.Feed); ok {
				c.heardNews(l, m)
			}
		case *peers:
			l.n.heardPeers(l.peer, m.Records)
		}
	}
}

// greeted takes a hello.
func (l *link) greeted(h *hello, s network.Stream) error {
	l.mu.Lock()
	first := l.hello == nil
	l.hello = h
	l.skew = time.Duration(h.Time-l.n.now()) * time.Second
	l.mu.Unlock()
	if first {
		l.n.log.Info("connected", "peer", l.peer.String(), "name", h.Name, "version", h.Version, "addr", s.Conn().RemoteMultiaddr().String())
	}
	l.n.answered(l.peer)
	l.n.checkClone(l.peer, h)
	l.n.checkClock()
	if len(h.Record) > 0 {
		l.n.heardPeers(l.peer, [][]byte{h.Record})
	}
	for _, c := range l.n.everyCarrier() {
		c.linkUp(l)
	}
	return nil
}

func (l *link) heardList(m *list) {
	claims := map[feed.Origin]claim{}
	for _, c := range m.Claims {
		claims[c.Origin] = c
	}
	l.mu.Lock()
	first := !l.listed
	l.claims, l.listed = claims, true
	l.mu.Unlock()
	for _, c := range m.Claims {
		l.learn(c.Origin, known{c.Size, c.Stamp, 0})
	}
	for _, c := range l.n.everyCarrier() {
		c.heardList(l, first)
	}
}

// ping finds out whether the other end is still there.
func (l *link) ping() {
	for {
		if err := l.pingOnce(); err != nil && l.ctx.Err() == nil {
			l.n.log.Info("peer doesn't answer, disconnect", "peer", l.peer.String(), "name", l.name(), "err", err)
			l.n.host.Network().ClosePeer(l.peer)
			return
		}
		if !pause(l.ctx, pingEvery) {
			return
		}
	}
}

func (l *link) pingOnce() error {
	ctx, cancel := context.WithTimeout(l.ctx, pingTimeout)
	defer cancel()
	select {
	case r, ok := <-ping.Ping(ctx, l.n.host, l.peer):
		if !ok {
			return ctx.Err()
		}
		if r.Error == nil {
			l.mu.Lock()
			l.latency = r.RTT
			l.mu.Unlock()
		}
		return r.Error
	case <-ctx.Done():
		return ctx.Err()
	}
}
