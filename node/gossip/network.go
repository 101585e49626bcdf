package gossip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// A Network carries feeds between this node and others. Its methods may be called by any number of goroutines.
type Network struct {
	o        Options
	log      *slog.Logger
	host     host.Host
	id       peer.ID
	instance [8]byte // of this run: what tells two copies of one directory apart
	metrics  *metrics
	alarms   *board
	book     *book
	reports  *reports
	bans     *bans
	runs     runs

	roll atomic.Pointer[roll]

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // what spawn started

	upkeepWake chan struct{}

	// mu guards what follows. It is never held while the store is called or the network is used.
	mu       sync.Mutex
	started  bool
	closed   bool
	links    map[peer.ID]*link
	carriers map[feed.Name]*carrier
	dials    map[peer.ID]*dial
}

// New makes a network that doesn't listen or dial yet. What it was given is checked here.
func New(o Options) (*Network, error) {
	switch {
	case o.Key == nil || o.Store == nil || o.Roll == nil || o.Witness == nil:
		return nil, errors.New("make network: key, witness, store and roll are required")
	case !feed.ValidName(o.Name):
		return nil, fmt.Errorf("make network: %.80q is no name of a node", o.Name)
	case o.Witness.Public().Type != crypto.TypeCosignature || o.Witness.Public().Name != o.Name+"/witness":
		return nil, fmt.Errorf("make network: %s is not the witness key of %s", o.Witness.Public().Name, o.Name)
	case !printable(o.Version, maxVersion):
		return nil, fmt.Errorf("make network: version %.80q", o.Version)
	}
	id, err := peer.IDFromPrivateKey(o.Key)
	if err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	if _, err := decodePeer(id.String()); err != nil {
		return nil, fmt.Errorf("make network: its key: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Limits = o.Limits.withDefaults()
	n := &Network{
		o: o, log: o.Logger, id: id,
		metrics: newMetrics(o.Registerer), alarms: newBoard(o.Logger, o.Now), bans: newBans(),
		upkeepWake: make(chan struct{}, 1),
		links:      map[peer.ID]*link{}, carriers: map[feed.Name]*carrier{}, dials: map[peer.ID]*dial{},
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(newHeld(n))
	}
	rand.Read(n.instance[:])
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.readRoll()
	if n.book, err = loadBook(o.Store); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	if n.reports, err = loadReports(o.Store); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	if n.host, err = newHost(o, gate{n}); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	return n, nil
}

// ID returns this node's peer id.
func (n *Network) ID() string { return n.id.String() }

// Start listens, and begins to dial, answer and fetch. It returns once the addresses are bound.
func (n *Network) Start(ctx context.Context) error {
	n.mu.Lock()
	if n.started || n.closed {
		n.mu.Unlock()
		return errors.New("start network: it was started or closed before")
	}
	n.started = true
	n.mu.Unlock()
	n.serve()
	n.host.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { n.spawn(func() { n.syncLink(c.RemotePeer()) }) },
		DisconnectedF: func(_ network.Network, c network.Conn) { n.spawn(func() { n.syncLink(c.RemotePeer()) }) },
	})
	var addrs []ma.Multiaddr
	for _, s := range n.o.Listen {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return fmt.Errorf("listen at %.200q: %w", s, err)
		}
		addrs = append(addrs, a)
	}
	if len(addrs) > 0 {
		if err := n.host.Network().Listen(addrs...); err != nil {
			return fmt.Errorf("listen at %s: %w", strings.Join(n.o.Listen, ", "), err)
		}
		// Listen succeeds if one of the addresses does; an operator who named two wants both.
		if bound := n.host.Network().ListenAddresses(); len(bound) < len(addrs) {
			return fmt.Errorf("listen at %s: only %v could be bound", strings.Join(n.o.Listen, ", "), bound)
		}
	}
	sub, err := n.host.EventBus().Subscribe(new(event.EvtLocalAddressesUpdated))
	if err != nil {
		return fmt.Errorf("watch addresses: %w", err)
	}
	n.spawn(func() { n.watchAddresses(sub) })
	n.syncCarriers()
	n.spawn(n.upkeep)
	return nil
}

// Close ends all connections and waits until nothing of the network runs any more. The store is left to its owner. Idempotent.
func (n *Network) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		n.wg.Wait()
		return nil
	}
	n.closed = true
	started := n.started
	n.mu.Unlock()
	n.cancel()
	err := n.host.Close()
	n.wg.Wait()
	if started {
		err = errors.Join(err, n.save())
	}
	return err
}

// spawn runs f in a goroutine that Close waits for; f ends with n.ctx. After Close it does nothing.
func (n *Network) spawn(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		f()
	}()
}

// Changed says that the roll may have changed: whom we follow, know or own. It is read at once, feeds that aren't followed any more are
// let go of (when Changed returns nothing of them is written any more), and connections that aren't vetted any more are closed. Not to
// be called where the store's commit lock is held: see Committed.
func (n *Network) Changed() {
	n.readRoll()
	n.mu.Lock()
	running := n.started && !n.closed
	n.mu.Unlock()
	if !running {
		return
	}
	n.syncCarriers()
	n.closeUnvetted()
	for _, l := range n.everyLink() {
		l.owe(func(d *debts) { d.list, d.peers = true, true })
	}
	n.wake()
}

// Committed says that something of a feed was stored: b, or, where b is nil, a charter, a suspension or a roster. It is to be called for
// every commit, this package's own included, after retractions in it have acted (cosignatures say so). It only takes note, and may be
// called under the store's commit lock.
func (n *Network) Committed(name feed.Name, b *feed.Batch) {
	c, ok := n.carrier(name)
	if b == nil {
		for _, l := range n.everyLink() {
			l.owe(func(d *debts) { d.news[name], d.list, d.peers = true, true, true })
		}
		n.wake()
	} else {
		cp, adopted := b.Checkpoint()
		if adopted && !cp.IsZero() && isEnd(cp) { // a closed log is here to its end, which no head tells; others may wait for it
			for _, l := range n.everyLink() {
				l.owe(func(d *debts) { d.list = true })
			}
		}
		if adopted && !cp.IsZero() && !isEnd(cp) {
			for _, l := range n.everyLink() {
				l.owe(func(d *debts) { d.head(cp.Origin, cp.Size) })
			}
		}
		n.reports.answered(name, b)
	}
	if ok {
		c.committed(b)
	}
}

// readRoll takes over what the operator decided.
func (n *Network) readRoll() {
	n.roll.Store(parseRoll(n.o.Roll(), func(err error) { n.log.Warn("left out what doesn't parse", "err", err) }))
}

// now is the node's clock in Unix seconds.
func (n *Network) now() int64 { return n.o.Now().Unix() }

func (n *Network) wake() { poke(n.upkeepWake) }

// poke wakes whoever waits on a channel with room for one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits, and says whether the context is still good.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (n *Network) everyLink() []*link {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*link, 0, len(n.links))
	for _, l := range n.links {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *link) int { return strings.Compare(string(a.peer), string(b.peer)) })
	return all
}

func (n *Network) link(p peer.ID) (*link, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.links[p]
	return l, ok
}

func (n *Network) carrier(name feed.Name) (*carrier, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, ok := n.carriers[name]
	return c, ok
}

func (n *Network) everyCarrier() []*carrier {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*carrier, 0, len(n.carriers))
	for _, c := range n.carriers {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *carrier) int { return strings.Compare(string(a.name), string(b.name)) })
	return all
}

// Addrs returns the bound addresses: without /p2p, 0.0.0.0 expanded, loopback kept.
func (n *Network) Addrs() []string {
	bound, err := n.host.Network().InterfaceListenAddresses()
	if err != nil {
		bound = n.host.Network().ListenAddresses()
	}
	addrs := []string{}
	for _, a := range bound {
		if !manet.IsIPUnspecified(a) {
			addrs = append(addrs, a.String())
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// A PeerInfo is one vetted peer that we would connect to or are connected with.
type PeerInfo struct {
	ID        string
	Name      string // the operator's name for it, else what it calls itself
	Connected bool   // it has said hello
	Latency   time.Duration
	Addrs     []string // of the connections, else where it would be dialled
}

// Peers lists the peers that are connected or should be, by id.
func (n *Network) Peers() []PeerInfo {
	infos := map[peer.ID]PeerInfo{}
	for p, addrs := range n.wanted() {
		infos[p] = PeerInfo{ID: p.String(), Name: n.nameOf(p), Addrs: addrTexts(addrs)}
	}
	for _, l := range n.everyLink() {
		info := PeerInfo{ID: l.peer.String(), Name: n.nameOf(l.peer)}
		info.Connected, info.Latency = l.standing()
		for _, c := range n.host.Network().ConnsToPeer(l.peer) {
			info.Addrs = append(info.Addrs, c.RemoteMultiaddr().String())
		}
		infos[l.peer] = info
	}
	all := make([]PeerInfo, 0, len(infos))
	for _, info := range infos {
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b PeerInfo) int { return strings.Compare(a.ID, b.ID) })
	return all
}

func addrTexts(addrs []ma.Multiaddr) []string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return texts
}

// nameOf says what to call a peer.
func (n *Network) nameOf(p peer.ID) string {
	if name := n.roll.Load().names[p]; name != "" {
		return name
	}
	if l, ok := n.link(p); ok {
		return l.name()
	}
	return ""
}

// Alarms lists what an operator should act on, the oldest first.
func (n *Network) Alarms() []Alarm { return n.alarms.list() }

// Waiting says in a few words why nothing of a followed feed has arrived yet: "waiting for membership", "publisher unreachable",
// "harm differs". "" if its head is here, or the feed isn't followed.
func (n *Network) Waiting(name feed.Name) string {
	c, ok := n.carrier(name)
	if !ok || c.own {
		return ""
	}
	return c.waiting()
}
