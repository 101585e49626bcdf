package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	p2pnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// mallory is a raw libp2p host that speaks our protocols (WIRE §8) without being a node: what the demo's adversaries are.
type mallory struct {
	host host.Host
	name string

	mu    sync.Mutex
	head  []byte            // the newest checkpoint, as it came
	reply []byte            // the answer of head/1, as it came
	parts map[string][]byte // of the log, by path; nil: absent
}

// The protocols of WIRE §8 that mallory speaks, and the caps on what it reads.
const (
	malloryHeads = "/hashfeed/heads/1"
	malloryHead  = "/hashfeed/head/1"
	malloryTiles = "/hashfeed/tiles/1"

	maxMalloryFrame = 1 << 20
	malloryTime     = 10 * time.Second
)

func newMallory(name string) (*mallory, error) {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.DisableIdentifyAddressDiscovery())
	if err != nil {
		return nil, fmt.Errorf("make a raw libp2p host: %w", err)
	}
	h.SetStreamHandler(malloryHeads, func(s p2pnet.Stream) { io.Copy(io.Discard, io.LimitReader(s, maxMalloryFrame)) })
	return &mallory{host: h, name: name, parts: map[string][]byte{}}, nil
}

func (m *mallory) close()          { m.host.Close() }
func (m *mallory) peerID() string  { return m.host.ID().String() }
func (m *mallory) address() string { return m.host.Addrs()[0].String() }

// connect dials an actor. That it returns no error says little: who isn't vetted is thrown out a moment later.
func (m *mallory) connect(ctx context.Context, a *actor) (peer.ID, error) {
	id, err := peer.Decode(a.peer)
	if err != nil {
		return "", err
	}
	addr, err := multiaddr.NewMultiaddr(a.listen)
	if err != nil {
		return "", err
	}
	return id, m.host.Connect(ctx, peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{addr}})
}

// deterministic is how messages are encoded (RFC 8949 §4.2.1).
var deterministic = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return mode
}()

func writeFrame(s io.Writer, message any) error {
	data, err := deterministic.Marshal(message)
	if err != nil {
		return err
	}
	_, err = s.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

// readSized reads a length and as many bytes.
func readSized(s io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(s, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n == 0xFFFFFFFF {
		return nil, nil
	}
	if n > maxMalloryFrame {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	data := make([]byte, n)
	_, err := io.ReadFull(s, data)
	return data, err
}

// ask opens a stream and sends one message.
func (m *mallory) ask(ctx context.Context, to peer.ID, proto string, message any) (p2pnet.Stream, error) {
	s, err := m.host.NewStream(ctx, to, protocol.ID(proto))
	if err != nil {
		return nil, err
	}
	s.SetDeadline(time.Now().Add(malloryTime))
	if err := writeFrame(s, message); err != nil {
		s.Reset()
		return nil, err
	}
	return s, nil
}

// steal fetches a feed's head and all parts of its log, as a member may.
func (m *mallory) steal(ctx context.Context, from *actor, name feed.Name) error {
	hello, id, err := m.hello(ctx, from)
	if err != nil {
		return err
	}
	defer hello.Close()
	s, err := m.ask(ctx, id, malloryHead, map[int]any{1: string(name), 2: 0})
	if err != nil {
		return err
	}
	defer s.Close()
	if m.reply, err = readSized(s); err != nil {
		return err
	}
	var reply struct {
		Note []byte `cbor:"2,keyasint"`
	}
	if err := cbor.Unmarshal(m.reply, &reply); err != nil {
		return err
	}
	m.head = reply.Note
	origin, size, _, err := m.checkpoint()
	if err != nil {
		return err
	}
	var paths []string
	for n := range feed.Bundles(size) {
		width := int(min(size-n*feed.TileWidth, feed.TileWidth))
		paths = append(paths, feed.EntriesPath(n, width), feed.BodyPath(n, width), feed.TilePath(0, n, width))
	}
	if above := size / feed.TileWidth; above > 0 {
		paths = append(paths, feed.TilePath(1, 0, int(above)))
	}
	for chunk := range slices.Chunk(paths, 8) {
		s, err := m.ask(ctx, id, malloryTiles, map[int]any{1: string(origin), 2: size, 3: chunk})
		if err != nil {
			return err
		}
		for _, path := range chunk {
			if m.parts[path], err = readSized(s); err != nil {
				return err
			}
		}
		s.Close()
	}
	return nil
}

func (m *mallory) checkpoint() (feed.Origin, uint64, feed.Digest, error) {
	note, err := crypto.ParseNote(m.head)
	if err != nil {
		return "", 0, feed.Digest{}, err
	}
	return feed.ParseCheckpointBody(note.Text)
}

// serve hands out what was stolen. Where tamper is set, one byte of each bundle of hashes is another.
func (m *mallory) serve(tamper bool) {
	m.host.SetStreamHandler(malloryHead, func(s p2pnet.Stream) {
		defer s.Close()
		s.SetDeadline(time.Now().Add(malloryTime))
		if _, err := readSized(s); err == nil {
			s.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(m.reply))), m.reply...))
		}
	})
	m.host.SetStreamHandler(malloryTiles, func(s p2pnet.Stream) {
		defer s.Close()
		s.SetDeadline(time.Now().Add(malloryTime))
		data, err := readSized(s)
		var ask struct {
			Paths []string `cbor:"3,keyasint"`
		}
		if err != nil || cbor.Unmarshal(data, &ask) != nil {
			return
		}
		for _, path := range ask.Paths {
			m.mu.Lock()
			part, ok := m.parts[path]
			m.mu.Unlock()
			if !ok || part == nil {
				s.Write([]byte{0xff, 0xff, 0xff, 0xff})
				continue
			}
			if tamper && strings.HasPrefix(path, "body/") && len(part) > 40 {
				part = slices.Clone(part)
				part[40] ^= 1
			}
			s.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(part))), part...))
		}
	})
}

// hello connects to an actor and opens the stream of heads, as a node does.
func (m *mallory) hello(ctx context.Context, a *actor) (p2pnet.Stream, peer.ID, error) {
	id, err := m.connect(ctx, a)
	if err != nil {
		return nil, "", err
	}
	s, err := m.host.NewStream(ctx, id, malloryHeads)
	if err != nil {
		return nil, id, err
	}
	s.SetDeadline(time.Now().Add(malloryTime))
	return s, id, m.greet(s)
}

// greet says who it is, as a node does at the start of a stream of heads.
func (m *mallory) greet(s io.Writer) error {
	witness, err := crypto.GenerateKey(m.name+"/witness", crypto.TypeCosignature)
	if err != nil {
		return err
	}
	return writeFrame(s, map[int]any{1: m.name, 2: witness.Public().String(), 3: time.Now().Unix(), 4: []byte("mallory1"), 5: "0"})
}

// announce says hello to an actor and pushes the stolen head.
func (m *mallory) announce(ctx context.Context, a *actor) error {
	origin, size, root, err := m.checkpoint()
	if err != nil {
		return err
	}
	s, _, err := m.hello(ctx, a)
	if err != nil {
		return err
	}
	if err := writeFrame(s, map[int]any{10: []any{[]any{string(origin), size, root[:], time.Now().Unix(), 1, 0}}}); err != nil {
		return err
	}
	return writeFrame(s, map[int]any{20: m.head, 21: []string{}, 22: string(origin)})
}

// getsNothing checks that an actor tells this host nothing: neither that it has a feed nor a byte of it.
func (m *mallory) getsNothing(ctx context.Context, a *actor, name feed.Name) error {
	id, err := m.connect(ctx, a)
	if err != nil {
		return nil // not even a connection
	}
	for _, q := range []struct {
		proto   string
		message any
	}{
		{malloryHead, map[int]any{1: string(name), 2: 0}},
		{malloryTiles, map[int]any{1: string(name.Log(1)), 2: 1, 3: []string{feed.EntriesPath(0, 1)}}},
	} {
		s, err := m.ask(ctx, id, q.proto, q.message)
		if err != nil {
			continue
		}
		if data, err := readSized(s); err == nil && len(data) > 0 {
			return fmt.Errorf("an outsider got %d bytes by %s", len(data), q.proto)
		}
		s.Reset()
	}
	deadline := time.Now().Add(2 * time.Second)
	for m.host.Network().Connectedness(id) == p2pnet.Connected {
		if time.Now().After(deadline) {
			return errors.New("an outsider is still connected after 2 s")
		}
		if err := wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
