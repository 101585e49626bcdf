package gossip

import (
	"fmt"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// newHost makes a libp2p host that does no more than we need: TCP with TLS 1.3, and QUIC. No relay, hole punching, NAT service, DHT,
// Noise, web transports. It doesn't listen yet.
func newHost(o Options, gate connmgr.ConnectionGater) (host.Host, error) {
	limits, err := newLimits(o)
	if err != nil {
		return nil, err
	}
	options := []libp2p.Option{
		libp2p.Identity(o.Key),
		libp2p.NoListenAddrs,
		libp2p.NoTransports,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Transport(quic.NewTransport),
		libp2p.Security(tls.ID, tls.New),
		libp2p.DisableRelay(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.ConnectionGater(gate),
		// Connections are ours to keep and close: there are only vetted ones.
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.ResourceManager(limits),
		libp2p.UserAgent("hashfeed"),
		libp2p.WithDialTimeout(dialTimeout),
		// The swarm gives up on UDP, or IPv6, when most dials of it fail, as they do while we are cut off, and comes back slowly. Our
		// own back-off is bounded.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
	}
	if o.Registerer == nil {
		options = append(options, libp2p.DisableMetrics())
	} else {
		options = append(options, libp2p.PrometheusRegisterer(o.Registerer))
	}
	if o.Hidden {
		options = append(options, libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return nil }))
	}
	h, err := libp2p.New(append(options, o.Libp2p...)...)
	if err != nil {
		return nil, fmt.Errorf("start libp2p: %w", err)
	}
	return h, nil
}

// protocols are those of ours, each with its own bounds.
var protocols = []protocol.ID{headsProtocol, headProtocol, tilesProtocol, cosignProtocol, reportProtocol, evidenceProtocol}

// newLimits makes fixed limits, the same on every machine, so that what was tested is what runs.
func newLimits(o Options) (network.ResourceManager, error) {
	l := o.Limits
	conns, streams := rcmgr.LimitVal(l.Connections), rcmgr.LimitVal(l.Streams)
	memory := rcmgr.LimitVal64(l.Memory)
	bound := func(conns, streams rcmgr.LimitVal, memory rcmgr.LimitVal64) rcmgr.ResourceLimits {
		return rcmgr.ResourceLimits{Conns: conns, ConnsInbound: conns, ConnsOutbound: conns, FD: conns,
			Streams: streams, StreamsInbound: streams, StreamsOutbound: streams, Memory: memory}
	}
	config := rcmgr.PartialLimitConfig{
		System: bound(conns, streams, memory),
		// Before a connection is known to be a vetted peer's: what outsiders can take.
		Transient:           bound(max(conns/4, 8), max(streams/4, 32), memory/4),
		PeerDefault:         bound(peerConnections, peerStreams, max(memory/4, 16<<20)),
		ProtocolPeer:        map[protocol.ID]rcmgr.ResourceLimits{},
		ProtocolPeerDefault: bound(rcmgr.Unlimited, protocolStreams, rcmgr.Unlimited64),
	}
	for _, p := range protocols {
		config.ProtocolPeer[p] = bound(rcmgr.Unlimited, protocolStreams, rcmgr.Unlimited64)
	}
	var options []rcmgr.Option
	if o.Registerer != nil {
		reporter, err := rcmgr.NewStatsTraceReporter()
		if err != nil {
			return nil, fmt.Errorf("make resource metrics: %w", err)
		}
		options = append(options, rcmgr.WithTraceReporter(reporter))
	} else {
		options = append(options, rcmgr.WithMetricsDisabled())
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(config.Build(rcmgr.InfiniteLimits)), options...)
	if err != nil {
		return nil, fmt.Errorf("make resource limits: %w", err)
	}
	return m, nil
}
