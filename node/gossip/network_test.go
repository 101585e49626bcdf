package gossip

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	p2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// Two real hosts on loopback, over TCP with TLS and over QUIC: they listen where they were told, nothing else is open, their metrics are in
// their own registry, and nothing of them is left after Close.
func TestRealSockets(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, transport := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"} {
		w := &world{t: t}
		registry := prometheus.NewRegistry()
		begin := func(n *testNode, o Options) *Network {
			o.Key, o.Name, o.Witness, o.Store, o.Roll, o.Logger = n.key, n.name, n.witness, n.store, n.getRoll, slog.New(n.log)
			o.Listen = []string{transport}
			net, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			n.net.Store(net)
			if err := net.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			return net
		}
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(2000)
		p.admits(host)
		a := begin(hotline, Options{Registerer: registry})
		addrs := a.Addrs()
		if len(addrs) != 1 || !strings.HasPrefix(addrs[0], strings.Split(transport, "/0")[0]) || strings.Contains(addrs[0], "p2p") {
			t.Errorf("bound to %v, want one like %s", addrs, transport)
		}
		host.roll(func(r *Roll) {
			r.Follows = []Follow{{Feed: p.name, Anchor: p.chain.Anchor(), Publisher: hotline.id.String(), Addrs: addrs}}
		})
		b := begin(host, Options{})
		w.settle(20*time.Second, "the feed", func() bool { return hotline.store.snapshot(p.name) == host.store.snapshot(p.name) })
		w.settle(20*time.Second, "the latency", func() bool { return len(b.Peers()) == 1 && b.Peers()[0].Latency > 0 })
		got := b.Peers()[0]
		if got.ID != hotline.id.String() || got.Name != "hotline.example" || !got.Connected || !slices.Equal(got.Addrs, addrs) {
			t.Errorf("peers: got %+v", got)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range families {
			names = append(names, f.GetName())
		}
		for _, want := range []string{"hashfeed_gossip_peers", "hashfeed_gossip_served_bytes_total", "libp2p_swarm_connections_opened_total"} {
			if !slices.Contains(names, want) {
				t.Errorf("no metric %s", want)
			}
		}
		host.stop()
		hotline.stop()
		hotline.stop()
	}
}

// What New must refuse.
func TestNewRefuses(t *testing.T) {
	n := (&world{t: t}).node("host.example")
	good := func() Options {
		return Options{Key: n.key, Name: n.name, Witness: n.witness, Store: n.store, Roll: n.getRoll}
	}
	rsa, _, err := p2pcrypto.GenerateKeyPairWithReader(p2pcrypto.RSA, 2048, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Options){
		"no key":        func(o *Options) { o.Key = nil },
		"RSA":           func(o *Options) { o.Key = rsa },
		"no store":      func(o *Options) { o.Store = nil },
		"no roll":       func(o *Options) { o.Roll = nil },
		"no witness":    func(o *Options) { o.Witness = nil },
		"its witness":   func(o *Options) { o.Witness = testKey("other.example/witness", crypto.TypeCosignature, "") },
		"no cosignings": func(o *Options) { o.Witness = testKey("host.example/witness", crypto.TypeSignature, "") },
		"name":          func(o *Options) { o.Name = "Host" },
		"version":       func(o *Options) { o.Version = "1\n" },
	} {
		o := good()
		change(&o)
		if net, err := New(o); err == nil {
			t.Errorf("%s: accepted", what)
			net.Close()
		}
	}
	for what, listen := range map[string][]string{"no multiaddr": {"localhost:80"}, "no transport of ours": {"/ip4/127.0.0.1/tcp/0/ws"},
		"one of two": {"/ip4/127.0.0.1/tcp/0", "/ip4/203.0.113.1/tcp/4480"}} {
		o := good()
		o.Listen = listen
		net, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := net.Start(context.Background()); err == nil {
			t.Errorf("listen: %s: accepted", what)
		}
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What doesn't parse is left out and told; an own feed can't be followed.
func TestParseRoll(t *testing.T) {
	n := (&world{t: t}).node("host.example")
	id := n.id.String()
	var complaints []string
	r := parseRoll(Roll{
		Peers: []Peer{{ID: id, Name: "host", Addrs: []string{"/ip4/1.2.3.4/tcp/1/p2p/" + id, "nonsense"}}, {ID: "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"}, {ID: ""}},
		Follows: []Follow{{Feed: "a.example/known", Publisher: id, Addrs: []string{"/ip4/1.2.3.4/tcp/2"}},
			{Feed: "b.example/known", Publisher: "x"}, {Feed: "own.example/known"}},
		Own:    []feed.Name{"own.example/known"},
		Hidden: map[feed.Name][]feed.Member{"own.example/known": {{PeerID: id, Expires: 7}, {PeerID: "x"}}},
		Names:  map[string]string{id: "overruled", "x": "x"},
	}, func(err error) { complaints = append(complaints, err.Error()) })
	if len(complaints) != 7 {
		t.Errorf("%d complaints, want 7: %q", len(complaints), complaints)
	}
	if c := r.peers[n.id]; c.name != "host" || len(c.addrs) != 1 || c.addrs[0].String() != "/ip4/1.2.3.4/tcp/1" {
		t.Errorf("peer: got %+v", c)
	}
	if r.names[n.id] != "host" || r.own["own.example/known"][n.id] != 7 || len(r.peers) != 1 || len(r.follows) != 2 {
		t.Errorf("got %+v", r)
	}
	if _, ok := r.follows["own.example/known"]; ok {
		t.Error("an own feed is followed")
	}
}

func TestMedianSkew(t *testing.T) {
	for _, test := range []struct {
		skews []time.Duration
		want  time.Duration
		ok    bool
	}{
		{nil, 0, false},
		{[]time.Duration{9, 9}, 0, false},
		{[]time.Duration{9, -1, 5}, 5, true},
		{[]time.Duration{100, 1, 100}, 100, true},
		{[]time.Duration{-9, 100, 7, 3}, 3, true},
		{[]time.Duration{-100, -3, -7, 100}, -3, true},
	} {
		if got, ok := medianSkew(test.skews); got != test.want || ok != test.ok {
			t.Errorf("%v: got %d, %v, want %d, %v", test.skews, got, ok, test.want, test.ok)
		}
	}
}

// A restart is a new instance; a clone is an old one that speaks again.
func TestRuns(t *testing.T) {
	r, p := &runs{}, peer.ID("p")
	a, b, c := [8]byte{1}, [8]byte{2}, [8]byte{3}
	for i, step := range []struct {
		instance [8]byte
		clone    bool
	}{{a, false}, {a, false}, {b, false}, {b, false}, {c, false}, {a, true}, {b, true}, {c, false}} {
		if got := r.seen(p, step.instance); got != step.clone {
			t.Errorf("step %d: got %v, want %v", i, got, step.clone)
		}
	}
	for i := range 100 { // what it remembers is bounded
		r.seen(p, [8]byte{0, byte(i)})
	}
	if n := len(r.all[p]); n != 8 {
		t.Errorf("%d instances remembered, want 8", n)
	}
}

// Three breaches within ten minutes are too many, two aren't, nor three spread over hours.
func TestBans(t *testing.T) {
	run(t, func(w *world) {
		b, p := newBans(), peer.ID("p")
		for _, step := range []struct {
			after time.Duration
			many  bool
		}{{0, false}, {9 * time.Minute, false}, {2 * time.Minute, false}, {5 * time.Minute, true}} {
			time.Sleep(step.after)
			if got := b.strike(p); got != step.many {
				t.Errorf("after %v: got %v, want %v", step.after, got, step.many)
			}
		}
		b.ban(p, time.Minute)
		time.Sleep(59 * time.Second)
		if !b.banned(p) {
			t.Error("the ban ended early")
		}
		time.Sleep(time.Second)
		if b.banned(p) {
			t.Error("the ban goes on")
		}
	})
}

// What a peer that doesn't read is owed is bounded.
func TestDebts(t *testing.T) {
	d := newDebts()
	for size := range uint64(1000) {
		d.head("a/b/1", size)
		d.head("a/b/1", size)
	}
	if got := d.heads["a/b/1"]; len(got) != maxSizes || got[maxSizes-1] != 999 || got[0] != 992 {
		t.Errorf("got %v", got)
	}
}

// A reply has room for the newest suspensions, however many there are.
func TestHeadReplyIsBounded(t *testing.T) {
	w := &world{t: t}
	p := w.node("hotline.example").publishes()
	p.publish(1)
	for range 40 {
		c := nextCharter(p)
		p.must(p.charter(c))
	}
	var positions []feed.Position
	for i := range 1000 {
		positions = append(positions, feed.Position{Log: 9999, Index: 1<<40 - 2000 + uint64(i)})
	}
	for i := range 60 {
		s, err := feed.SignSuspension(p.chain, positions, int64(1000+i), p.signer)
		p.must(err)
		p.must(p.node.store.Suspend(s))
	}
	n := &Network{o: Options{Store: p.node.store}}
	r, err := n.headReply(p.chain, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := encode(r, maxReply); err != nil {
		t.Error(err)
	}
	if len(r.Charters) != maxCharters || len(r.Suspensions) < 20 || len(r.Suspensions) == 60 {
		t.Errorf("%d charters, %d suspensions", len(r.Charters), len(r.Suspensions))
	}
	if c, err := readCharter(r.Charters[0]); err != nil || c.Version != 4 {
		t.Errorf("the first charter: got %d, %v, want 4", c.Version, err)
	}
	if s, err := p.chain.OpenSuspension(r.Suspensions[0]); err != nil || s.Time != 1059 {
		t.Errorf("the first suspension: got %d, %v, want the newest", s.Time, err)
	}
}
