package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	p2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// Options are what a Network is made of. Key, Name, Witness, Store and Roll are required.
type Options struct {
	// Key is the node's identity: Ed25519, for connections alone.
	Key p2pcrypto.PrivKey
	// Name is the node's name, and Witness its key "<name>/witness", with which it cosigns what it has stored.
	Name    string
	Witness *crypto.PrivateKey
	// Version is told to peers, at most 64 characters.
	Version string
	// Listen are the multiaddrs to listen at, TCP or QUIC; none: only dial.
	Listen []string
	// Hidden: announce no address, and dial and accept only the publishers of followed feeds and the members of own ones.
	Hidden bool

	// Store keeps the feeds.
	Store Store
	// Roll tells what the operator decided. It is called by New and Network.Changed.
	Roll func() Roll

	// Now is the clock of what is signed, compared and expires; nil: time.Now. Timers take the system's.
	Now func() time.Time
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer takes the metrics, ours and libp2p's; nil: nobody sees them. Never the global one: two nodes may be in one process.
	Registerer prometheus.Registerer
	// Limits bound connections, streams and memory. Zero fields get defaults.
	Limits Limits

	// OnReport is asked for a ticket when a member disputes a record of an own feed; the record and the reporter's right to read it
	// were checked. An error refuses the report. nil refuses all.
	OnReport func(ctx context.Context, r Report) (feed.Ticket, error)
	// OnCounts takes the counts of a week that a member shares of an own feed, durably; its right to read the feed was checked. An error refuses
	// them. nil refuses all.
	OnCounts func(peer string, counts Counts) error
	// OnEvidence is told once a run of each feed that has contradicted itself. It must not block. Until then this package has only
	// stopped adopting heads of that feed; what freezing means beyond, the node decides.
	OnEvidence func(feed.Evidence)
	// Evidence is what OnEvidence was told in an earlier run, if the feed hasn't come out of it since. nil: nothing.
	Evidence func(feed.Name) (feed.Evidence, bool)
	// OnBranch is told of the items that retracts name on a branch of a frozen log past what is taken in, verified under its signed head. It
	// must not block.
	OnBranch func(feed.Origin, []feed.ItemID)
	// OnReceipt is told which peer sent a receipt by which key. It must not block.
	OnReceipt func(peer string, witness crypto.PublicKey)
	// OnBody is told of a missing body that came from a member and was stored. It must not block.
	OnBody func(feed.Ref, []byte)

	// Libp2p are further options for the host, for simulated networks.
	Libp2p []libp2p.Option
}

// Limits are fixed bounds of what all connections together may use, whatever the machine has.
type Limits struct {
	Connections int   // default 64
	Streams     int   // default 1024
	Memory      int64 // bytes that libp2p's buffers may take; default 256 MiB
}

func (l Limits) withDefaults() Limits {
	if l.Connections == 0 {
		l.Connections = defaultConnections
	}
	if l.Streams == 0 {
		l.Streams = defaultStreams
	}
	if l.Memory == 0 {
		l.Memory = defaultMemory
	}
	return l
}

// A Roll is whom the operator knows: the config, as far as it is about others. Peer ids are base58 text ("12D3Koo…"), addresses multiaddrs
// without /p2p; one that doesn't parse is logged and left out.
type Roll struct {
	Peers   []Peer
	Follows []Follow
	// Own are the feeds whose keys are here.
	Own []feed.Name
	// Hidden are the members of own feeds that stand in no roster. We serve them, nobody else does.
	Hidden map[feed.Name][]feed.Member
	// Names are what the operator calls peers, by peer id: members above all. Peers brings its own.
	Names map[string]string
}

// A Peer is a node that may connect, and is dialled where an address is known.
type Peer struct {
	ID    string
	Name  string
	Addrs []string
}

// A Follow is a feed to carry, pinned by an anchor.
type Follow struct {
	Feed      feed.Name
	Anchor    feed.Anchor
	Publisher string // peer id; may be ""
	Addrs     []string
	Harm      feed.Harm // "": whatever the charter says; a feed whose charter says otherwise isn't taken in
}

// A Report is a member's word that a record of an own feed is wrong.
type Report struct {
	Peer   string // peer id of the member
	Name   string // what it calls itself
	Ref    feed.Ref
	Leaf   feed.Digest
	Reason feed.Reason
}

// roll is a Roll that was parsed. It is immutable.
type roll struct {
	peers   map[peer.ID]contact
	follows map[feed.Name]follow
	own     map[feed.Name]map[peer.ID]int64 // hidden members and when they expire
	names   map[peer.ID]string
}

type contact struct {
	name  string
	addrs []ma.Multiaddr
}

type follow struct {
	Follow
	publisher peer.ID
	addrs     []ma.Multiaddr
}

// parseRoll takes what parses and tells about the rest, which a checked config doesn't have.
func parseRoll(r Roll, complain func(error)) *roll {
	p := &roll{peers: map[peer.ID]contact{}, follows: map[feed.Name]follow{}, own: map[feed.Name]map[peer.ID]int64{}, names: map[peer.ID]string{}}
	for id, name := range r.Names {
		if id, err := decodePeer(id); err != nil {
			complain(err)
		} else {
			p.names[id] = name
		}
	}
	for _, q := range r.Peers {
		id, err := decodePeer(q.ID)
		if err != nil {
			complain(err)
			continue
		}
		p.peers[id] = contact{q.Name, parseAddrs(q.Addrs, complain)}
		if q.Name != "" {
			p.names[id] = q.Name
		}
	}
	for _, name := range r.Own {
		p.own[name] = map[peer.ID]int64{}
		for _, m := range r.Hidden[name] {
			if id, err := decodePeer(m.PeerID); err != nil {
				complain(err)
			} else {
				p.own[name][id] = m.Expires
			}
		}
	}
	for _, f := range r.Follows {
		if _, own := p.own[f.Feed]; own {
			complain(fmt.Errorf("follow %s: it is this node's own", f.Feed))
			continue
		}
		parsed := follow{Follow: f, addrs: parseAddrs(f.Addrs, complain)}
		if f.Publisher != "" {
			var err error
			if parsed.publisher, err = decodePeer(f.Publisher); err != nil {
				complain(err)
			}
		}
		p.follows[f.Feed] = parsed
	}
	return p
}

// decodePeer reads a peer id, which must be that of an Ed25519 key: others cost more to check than to send.
func decodePeer(s string) (peer.ID, error) {
	raw, err := feed.ParsePeerID(s)
	if err != nil {
		return "", fmt.Errorf("peer %.80q: %w", s, err)
	}
	return peer.ID(raw), nil
}

func parseAddrs(addrs []string, complain func(error)) (parsed []ma.Multiaddr) {
	for _, s := range addrs {
		s, _, _ = strings.Cut(s, "/p2p/")
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			complain(fmt.Errorf("address %.200q: %w", s, err))
			continue
		}
		parsed = append(parsed, a)
	}
	return parsed
}
