package gossip

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	p2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// A world is nodes on a simulated network, in fake time: each has an address, links take 10 ms, and any two can be cut off from each other.
type world struct {
	t     *testing.T
	net   *simnet.Simnet
	nodes []*testNode
	mu    sync.Mutex
	cut   func(a, b string) bool   // by address
	lag   map[string]time.Duration // by address: how much longer its packets take
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, lag: map[string]time.Duration{}}
	w.net = &simnet.Simnet{Logger: slog.New(slog.DiscardHandler), LatencyFunc: func(p *simnet.Packet) time.Duration {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.cut != nil && w.cut(ipOf(p.From), ipOf(p.To)) {
			return 1000 * time.Hour // never, as far as anybody waits
		}
		return 5*time.Millisecond + w.lag[ipOf(p.From)] + w.lag[ipOf(p.To)]
	}}
	w.net.Start()
	return w
}

func ipOf(a net.Addr) string { return a.(*net.UDPAddr).IP.String() }

// sever cuts links; nil heals all.
func (w *world) sever(cut func(a, b string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
}

// delay makes a node farther away than the others.
func (w *world) delay(n *testNode, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lag[n.ip] = d
}

// apart cuts a node off from all others.
func (w *world) apart(n *testNode) {
	w.sever(func(a, b string) bool { return (a == n.ip) != (b == n.ip) })
}

func (w *world) close() {
	for _, n := range w.nodes {
		n.stop()
	}
	w.net.Close()
}

// run plays a story in fake time.
func run(t *testing.T, story func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.t = t
		story(w)
	})
}

// testNode is one node: what lasts, and the network while it runs.
type testNode struct {
	w       *world
	name    string
	ip      string
	key     p2pcrypto.PrivKey
	id      peer.ID
	witness *crypto.PrivateKey
	store   *memStore
	hidden  bool
	skew    atomic.Int64 // of its clock, a time.Duration
	log     *logBook
	rollNow Roll
	rollMu  sync.Mutex

	net      atomic.Pointer[Network]
	evidence atomic.Int32
	kept     atomic.Pointer[feed.Evidence]
	held     map[feed.Origin][]feed.ItemID // what OnBranch was told, under rollMu
	bodies   atomic.Int32
	onReport func(context.Context, Report) (feed.Ticket, error)
	onCounts atomic.Pointer[taken] // nil: none are taken
	pub      *publisher
}

func (w *world) node(name string) *testNode {
	w.t.Helper()
	i := len(w.nodes)
	seed := sha256.Sum256([]byte("node " + name))
	key, _, err := p2pcrypto.GenerateEd25519Key(strings.NewReader(string(seed[:])))
	if err != nil {
		w.t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	n := &testNode{w: w, name: name, ip: simnet.IntToPublicIPv4(i).String(), key: key, id: id, store: newMemStore(), log: newLogBook(name),
		witness: crypto.NewKeyFromSeed(name+"/witness", crypto.TypeCosignature, sha256.Sum256([]byte("witness "+name)))}
	n.store.follow = func(name feed.Name, b *feed.Batch) {
		if net := n.net.Load(); net != nil {
			net.Committed(name, b)
		}
	}
	w.nodes = append(w.nodes, n)
	return n
}

func (n *testNode) addr() string { return "/ip4/" + n.ip + "/udp/4480/quic-v1" }

func (n *testNode) now() time.Time { return time.Now().Add(time.Duration(n.skew.Load())) }

// roll changes what the operator decided.
func (n *testNode) roll(change func(*Roll)) {
	n.rollMu.Lock()
	change(&n.rollNow)
	n.rollMu.Unlock()
	if net := n.net.Load(); net != nil {
		net.Changed()
	}
}

func (n *testNode) getRoll() Roll {
	n.rollMu.Lock()
	defer n.rollMu.Unlock()
	r := n.rollNow
	r.Peers, r.Follows, r.Own = slices.Clone(r.Peers), slices.Clone(r.Follows), slices.Clone(r.Own)
	return r
}

// quicSim makes a host's QUIC run over the simulated network.
func (w *world) quicSim() libp2p.Option {
	source := new(sourceIP)
	link := simnet.NodeBiDiLinkSettings{Downlink: simnet.LinkSettings{BitsPerSecond: 100e6}, Uplink: simnet.LinkSettings{BitsPerSecond: 100e6}}
	return libp2p.QUICReuse(
		func(l fx.Lifecycle, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
			m, err := quicreuse.NewConnManager(reset, token, opts...)
			if err == nil {
				l.Append(fx.StopHook(m.Close))
			}
			return m, err
		},
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source, nil }),
		quicreuse.OverrideListenUDP(func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
			source.ip.Store(&a.IP)
			return w.net.NewEndpoint(a, link), nil
		}))
}

type sourceIP struct{ ip atomic.Pointer[net.IP] }

func (s *sourceIP) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return *s.ip.Load(), nil
}

func (n *testNode) start() *testNode {
	n.w.t.Helper()
	net, err := New(Options{Key: n.key, Name: n.name, Witness: n.witness, Version: "test", Listen: []string{n.addr()}, Hidden: n.hidden,
		Store: n.store, Roll: n.getRoll, Now: n.now, Logger: slog.New(n.log),
		OnReport: func(ctx context.Context, r Report) (feed.Ticket, error) { return n.onReport(ctx, r) },
		OnCounts: func(peer string, c Counts) error {
			if t := n.onCounts.Load(); t != nil {
				return t.take(peer, c)
			}
			return errors.New("not wanted")
		},
		OnEvidence: func(ev feed.Evidence) {
			n.evidence.Add(1)
			n.kept.Store(&ev)
		},
		Evidence: func(name feed.Name) (ev feed.Evidence, ok bool) {
			if kept := n.kept.Load(); kept != nil && kept.Feed == name {
				return *kept, true
			}
			return ev, false
		},
		OnBranch: func(o feed.Origin, items []feed.ItemID) {
			n.rollMu.Lock()
			defer n.rollMu.Unlock()
			if n.held == nil {
				n.held = map[feed.Origin][]feed.ItemID{}
			}
			n.held[o] = append(n.held[o], items...)
		},
		OnBody: func(feed.Ref, []byte) { n.bodies.Add(1) },
		Libp2p: []libp2p.Option{n.w.quicSim()}})
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.net.Store(net)
	if err := net.Start(context.Background()); err != nil {
		n.w.t.Fatal(err)
	}
	return n
}

func (n *testNode) stop() {
	if net := n.net.Swap(nil); net != nil {
		if err := net.Close(); err != nil {
			n.w.t.Errorf("close %s: %v", n.name, err)
		}
	}
}

// knows gives a node the address of another, as `peer add` does.
func (n *testNode) knows(others ...*testNode) {
	n.roll(func(r *Roll) {
		for _, o := range others {
			r.Peers = append(r.Peers, Peer{ID: o.id.String(), Name: o.name, Addrs: []string{o.addr()}})
		}
	})
}

// follows makes a node follow the feed of another.
func (n *testNode) follows(p *publisher) {
	n.roll(func(r *Roll) {
		r.Follows = append(r.Follows, Follow{Feed: p.name, Anchor: p.chain.Anchor(), Publisher: p.node.id.String(), Addrs: []string{p.node.addr()}})
	})
}

func (n *testNode) alarm(code string) (Alarm, bool) {
	for _, a := range n.net.Load().Alarms() {
		if a.Code == code {
			return a, true
		}
	}
	return Alarm{}, false
}

// connected reports whether the node has heard hello of another.
func (n *testNode) connected(o *testNode) bool {
	l, ok := n.net.Load().link(o.id)
	return ok && l.heard()
}

// publisher is the keys of a feed, and what it has signed.
type publisher struct {
	node    *testNode
	name    feed.Name
	chain   *feed.Chain
	root    *crypto.PrivateKey
	signer  *crypto.PrivateKey
	stamp   *crypto.PrivateKey
	roster  *crypto.PrivateKey
	others  []*crypto.PrivateKey // more signers, where the charter wants more than one
	members map[string]feed.Member
	version int
	records int
}

func testKey(name string, kind crypto.Type, more string) *crypto.PrivateKey {
	return crypto.NewKeyFromSeed(name, kind, sha256.Sum256([]byte(name+more)))
}

// publishes gives a node a feed of its own.
func (n *testNode) publishes(change ...func(*feed.Charter)) *publisher {
	n.w.t.Helper()
	name := feed.Name(n.name + "/known")
	p := &publisher{node: n, name: name, members: map[string]feed.Member{},
		root: testKey(string(name)+"/root", crypto.TypeSignature, ""), roster: testKey(string(name)+"/roster", crypto.TypeSignature, ""),
		signer: testKey(string(name.Log(1)), crypto.TypeSignature, "signer"), stamp: testKey(string(name.Log(1)), crypto.TypeCosignature, "stamp")}
	roster := p.roster.Public()
	c := feed.Charter{Feed: name, Version: 1, Expires: time.Now().Unix() + 365*86400, Harm: feed.CSAM, Use: feed.UseMatch, Audience: []string{"hosts"},
		Contact: "none", Answer: feed.Term{N: 2, Unit: 'd'}, SoftAge: feed.Term{N: 6, Unit: 'h'}, HardAge: feed.Term{N: 72, Unit: 'h'},
		Root: feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{p.root.Public()}}, Log: 1,
		Signer: feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{p.signer.Public()}}, Stamp: p.stamp.Public(), Roster: &roster}
	for _, f := range change {
		f(&c)
	}
	for i := 2; i <= len(c.Signer.Keys); i++ {
		p.others = append(p.others, otherSigner(name, i))
	}
	p.must(p.charter(c))
	n.roll(func(r *Roll) { r.Own = append(r.Own, name) })
	n.pub = p
	p.publish(0)
	return p
}

func (p *publisher) must(err error) {
	p.node.w.t.Helper()
	if err != nil {
		p.node.w.t.Fatal(err)
	}
}

// charter signs the next charter and stores it.
func (p *publisher) charter(c feed.Charter) error {
	note, err := feed.SignCharter(c, p.root)
	if err != nil {
		return err
	}
	if p.chain == nil {
		if p.chain, err = feed.OpenChain(c.Anchor(), [][]byte{note}); err != nil {
			return err
		}
		return p.node.store.AddFeed(p.chain)
	}
	if p.chain, err = p.chain.Extend(note); err != nil {
		return err
	}
	return p.node.store.SetChain(p.chain)
}

// testRecord makes the n'th add.
func testRecord(t *testing.T, n int) feed.Record {
	t.Helper()
	sum := sha256.Sum256(fmt.Appendf(nil, "file %d", n))
	h, err := feed.NewHash(feed.SHA256, sum[:], 0)
	if err != nil {
		t.Fatal(err)
	}
	body, err := feed.NewBody([16]byte(sum[:16]), []feed.Hash{h}, feed.Facts{Verdict: feed.Baseline, Media: feed.Image, VerifiedBy: 2}, nil).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(fmt.Appendf(nil, "item %d", n))
	head, err := (feed.Head{Op: feed.OpAdd, Time: 1, Item: feed.ItemID(id[:16]), Rev: 1, Body: sha256.Sum256(body)}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return feed.Record{Head: head, Body: body}
}

// publish signs and stores n adds; 0: a new stamp.
func (p *publisher) publish(n int) {
	p.node.w.t.Helper()
	var records []feed.Record
	for range n {
		records = append(records, testRecord(p.node.w.t, p.records))
		p.records++
	}
	p.must(p.sign(records...))
}

func (p *publisher) sign(records ...feed.Record) error {
	return p.signAt(p.node.store, p.node.now().Unix(), records...)
}

func (p *publisher) signAt(s *memStore, now int64, records ...feed.Record) error {
	origin := p.chain.Newest().Origin()
	tree, _, _ := s.Position(origin)
	last, _ := s.Head(origin)
	signers := []crypto.Signer{p.signer}
	for _, k := range p.others[:p.chain.Newest().Signer.K-1] {
		signers = append(signers, k)
	}
	b, err := feed.Sign(feed.Signing{Chain: p.chain, Signers: signers, Stamp: p.stamp}, tree, last, records, now)
	if err != nil {
		return err
	}
	return s.Commit(b)
}

// retract signs the retraction of a record.
func (p *publisher) retract(n int) {
	p.node.w.t.Helper()
	id := sha256.Sum256(fmt.Appendf(nil, "item %d", n))
	head, err := (feed.Head{Op: feed.OpRetract, Time: 2, Item: feed.ItemID(id[:16]), Rev: 2, Targets: []feed.Position{{Log: 1, Index: uint64(n)}},
		Reason: feed.FalsePositive}).Bytes()
	p.must(err)
	p.records++
	p.must(p.sign(feed.Record{Head: head}))
}

// admits makes nodes members.
func (p *publisher) admits(nodes ...*testNode) {
	p.node.w.t.Helper()
	for _, n := range nodes {
		p.members[n.id.String()] = feed.Member{PeerID: n.id.String(), Expires: time.Now().Unix() + 300*86400}
	}
	p.signRoster()
}

func (p *publisher) expels(n *testNode) {
	p.node.w.t.Helper()
	delete(p.members, n.id.String())
	p.signRoster()
}

func (p *publisher) signRoster() {
	p.node.w.t.Helper()
	p.version++
	var members []feed.Member
	for _, m := range p.members {
		members = append(members, m)
	}
	now := p.node.now().Unix()
	r, err := feed.SignRoster(p.chain, p.version, now+29*86400, members, p.roster, now)
	p.must(err)
	p.must(p.node.store.SetRoster(r))
}

func (p *publisher) origin() feed.Origin { return p.chain.Newest().Origin() }

// settle lets the time pass until a condition holds, and fails the story if it doesn't within d.
func (w *world) settle(d time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > d {
			for _, n := range w.nodes {
				w.t.Log(n.log.String())
			}
			w.t.Fatalf("after %v: %s: not yet", d, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(begun)
}

// same waits until nodes have the same of a feed.
func (w *world) same(d time.Duration, name feed.Name, nodes ...*testNode) time.Duration {
	w.t.Helper()
	return w.settle(d, "the same of "+string(name), func() bool {
		for _, n := range nodes[1:] {
			if n.store.snapshot(name) != nodes[0].store.snapshot(name) {
				return false
			}
		}
		return true
	})
}

// logBook keeps what a node logs, for a story that fails, and to see whom it names.
type logBook struct {
	mu    *sync.Mutex
	lines *[]string
	name  string
	attrs string
}

func newLogBook(name string) *logBook {
	return &logBook{mu: new(sync.Mutex), lines: new([]string), name: name}
}

func (b *logBook) Enabled(context.Context, slog.Level) bool { return true }

func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	line := fmt.Sprintf("%s %s %s %s%s", r.Time.Format("15:04:05.000"), b.name, r.Level, r.Message, b.attrs)
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	*b.lines = append(*b.lines, line)
	if os.Getenv("GOSSIP_LOG") != "" {
		fmt.Println(line)
	}
	return nil
}

func (b *logBook) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *b
	for _, a := range attrs {
		c.attrs += " " + a.String()
	}
	return &c
}

func (b *logBook) WithGroup(string) slog.Handler { return b }

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join((*b.lines)[max(0, len(*b.lines)-60):], "\n")
}

func (b *logBook) contains(parts ...string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(*b.lines, func(line string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) })
	})
}

// seeded is a source of chance whose seed is printed.
func seeded(t *testing.T, seed uint64) *rand.Rand {
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// suspend signs and stores a suspension of a record.
func (p *publisher) suspend(index uint64) {
	p.node.w.t.Helper()
	s, err := feed.SignSuspension(p.chain, []feed.Position{{Log: 1, Index: index}}, p.node.now().Unix(), p.signer)
	p.must(err)
	p.must(p.node.store.Suspend(s))
}

// dispute signs a dispute of an own record, with the ticket of a report.
func (p *publisher) dispute(index uint64, ticket feed.Ticket) {
	p.node.w.t.Helper()
	r, err := p.node.store.Record(p.origin(), index)
	p.must(err)
	head, err := (feed.Head{Op: feed.OpDispute, Time: 3, Reason: feed.FalsePositive, Ticket: &ticket,
		Subject: feed.Subject{Origin: p.origin(), Index: index, Leaf: feed.LeafHash(r.Head)}}).Bytes()
	p.must(err)
	p.records++
	p.must(p.sign(feed.Record{Head: head}))
}

// nextCharter is the newest charter with another contact and the next version.
func nextCharter(p *publisher) feed.Charter {
	c := p.chain.Newest()
	c.Version++
	c.Contact = fmt.Sprintf("desk %d", c.Version)
	return c
}

func hiddenMembers(p *publisher, nodes ...*testNode) map[feed.Name][]feed.Member {
	m := map[feed.Name][]feed.Member{}
	for _, n := range nodes {
		m[p.name] = append(m[p.name], feed.Member{PeerID: n.id.String(), Expires: time.Now().Unix() + 86400})
	}
	return m
}

// copyAt is a copy of a publisher's store as it was when its log had a size.
func (s *memStore) copyAt(t *testing.T, p *publisher, size int) *memStore {
	t.Helper()
	old := newMemStore()
	old.follow = s.follow
	if err := old.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	if r, ok := s.Roster(p.name); ok {
		if err := old.SetRoster(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.signAt(old, time.Now().Unix()-100); err != nil {
		t.Fatal(err)
	}
	if err := p.signAt(old, time.Now().Unix()-99, s.logs[p.origin()].records[:size]...); err != nil {
		t.Fatal(err)
	}
	return old
}

// loseBody takes a body away and returns it.
func (s *memStore) loseBody(origin feed.Origin, index uint64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.logs[origin].records[index]
	body := r.Body
	r.Body = nil
	return body
}

func protocolID(s string) protocol.ID { return protocol.ID(s) }
