package node

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"
)

// simNet is a network in memory and in fake time. Between any two addresses packets take their own time, get lost, and may be cut off.
type simNet struct {
	net *simnet.Simnet

	mu    sync.Mutex
	rand  *rand.Rand
	delay func(a, b string) time.Duration // one way
	loss  float64
	cut   func(a, b string) bool
	sent  map[[2]string]traffic
}

// traffic is what one address has sent another.
type traffic struct{ packets, bytes int }

// never is how long a lost packet takes: longer than any story.
const never = 10_000 * time.Hour

func newSimNet(seed uint64) *simNet {
	s := &simNet{rand: rand.New(rand.NewPCG(seed, 1)), delay: func(a, b string) time.Duration { return 10 * time.Millisecond }, sent: map[[2]string]traffic{}}
	s.net = &simnet.Simnet{Logger: slog.New(slog.DiscardHandler), LatencyFunc: s.latency}
	s.net.Start()
	return s
}

func (s *simNet) latency(p *simnet.Packet) time.Duration {
	a, b := p.From.(*net.UDPAddr).IP.String(), p.To.(*net.UDPAddr).IP.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut != nil && s.cut(a, b) || s.loss > 0 && s.rand.Float64() < s.loss {
		return never
	}
	d := s.delay(a, b)
	return d + time.Duration(s.rand.Int64N(int64(d)/8+1))
}

// set changes the network at once.
func (s *simNet) set(f func(*simNet)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// traffic is what was sent so far, by sender and receiver.
func (s *simNet) traffic() map[[2]string]traffic {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[[2]string]traffic, len(s.sent))
	for k, t := range s.sent {
		all[k] = t
	}
	return all
}

// host makes a libp2p host speak QUIC over this network.
func (s *simNet) host() libp2p.Option {
	source := new(simSource)
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
			return &simConn{s.net.NewEndpoint(a, link), s, a.IP.String()}, nil
		}))
}

// simConn counts what is sent.
type simConn struct {
	*simnet.SimConn
	net *simNet
	ip  string
}

func (c *simConn) WriteTo(p []byte, to net.Addr) (int, error) {
	pair := [2]string{c.ip, to.(*net.UDPAddr).IP.String()}
	c.net.mu.Lock()
	t := c.net.sent[pair]
	c.net.sent[pair] = traffic{t.packets + 1, t.bytes + len(p)}
	c.net.mu.Unlock()
	return c.SimConn.WriteTo(p, to)
}

type simSource struct{ ip atomic.Pointer[net.IP] }

func (s *simSource) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	ip := s.ip.Load()
	if ip == nil {
		return nil, fmt.Errorf("nothing is bound")
	}
	return *ip, nil
}
