//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"
	p2pnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"hashfeed/feed"
)

// listens collects what a peer says to this host of its own accord.
func (m *mallory) listens() (heard func() []byte) {
	var mu sync.Mutex
	var all []byte
	for _, p := range hostileProtocols {
		m.host.SetStreamHandler(protocol.ID(p), func(s p2pnet.Stream) {
			defer s.Close()
			buf := make([]byte, 4096)
			for {
				n, err := s.Read(buf)
				mu.Lock()
				if len(all) < 16<<20 {
					all = append(all, buf[:n]...)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	return func() []byte {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Clone(all)
	}
}

var hostileProtocols = []string{malloryHeads, malloryHead, malloryTiles, "/hashfeed/cosign/1", "/hashfeed/report/1", "/hashfeed/evidence/1"}

// asksForAll asks by every protocol, and counts the bytes of the answers.
func (m *mallory) asksForAll(ctx context.Context, a *actor, name feed.Name, vetted bool) (got int) {
	hello, id, err := m.hello(ctx, a)
	if err == nil {
		defer hello.Close()
	} else if id, err = m.connect(ctx, a); err != nil {
		return 0
	}
	questions := []struct {
		proto   string
		message any
	}{
		{malloryHead, map[int]any{1: string(name), 2: 0}},
		{malloryTiles, map[int]any{1: string(name.Log(1)), 2: 10, 3: []string{feed.EntriesPath(0, 10), feed.BodyPath(0, 10), feed.TilePath(0, 0, 10)}}},
		{malloryTiles, map[int]any{1: string(name.Log(1)), 2: 256, 3: []string{feed.EntriesPath(0, 256), feed.BodyPath(0, 256)}}},
		{"/hashfeed/cosign/1", map[int]any{1: string(name.Log(1)), 2: 1}},
		{"/hashfeed/report/1", map[int]any{1: string(name.Log(1)), 2: 0}},
		{"/hashfeed/evidence/1", map[int]any{1: string(name), 2: []byte("x")}},
	}
	if vetted {
		questions = questions[:3] // the others are no questions: a peer that says such a thing is named for it
	}
	for _, q := range questions {
		s, err := m.ask(ctx, id, q.proto, q.message)
		if err != nil {
			continue
		}
		s.CloseWrite()
		s.SetReadDeadline(time.Now().Add(2 * time.Second))
		data, _ := io.ReadAll(io.LimitReader(s, 1<<20))
		for len(data) >= 4 && binary.BigEndian.Uint32(data) == 0xFFFFFFFF {
			data = data[4:] // "there is no such part" is the same for what is there
		}
		got += len(data)
		s.Reset()
	}
	return got
}

func sized(part []byte, _ string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(part))), part...)
}

// changed changes the last byte.
func changed(part []byte, really bool) []byte {
	if really && len(part) > 0 {
		part = bytes.Clone(part)
		part[len(part)-1] ^= 1
	}
	return part
}

// hands serves the stolen parts in its own way.
func (m *mallory) hands(what string, reply func([]byte, string) []byte, asked *atomic.Int64) {
	m.serve(false)
	m.host.SetStreamHandler(malloryTiles, func(s p2pnet.Stream) {
		defer s.Close()
		s.SetDeadline(time.Now().Add(time.Minute))
		data, err := readSized(s)
		var ask struct {
			Paths []string `cbor:"3,keyasint"`
		}
		if err != nil || cbor.Unmarshal(data, &ask) != nil {
			return
		}
		asked.Add(1)
		switch what {
		case "endless":
			for {
				if _, err := s.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "messages cut off in the middle":
			part := m.parts[ask.Paths[0]]
			s.Write(sized(part, "")[:len(part)/2])
			return
		case "reordered parts":
			slices.Reverse(ask.Paths)
			reply = sized
		}
		for _, path := range ask.Paths {
			m.mu.Lock()
			part := m.parts[path]
			m.mu.Unlock()
			if part == nil {
				s.Write([]byte{0xff, 0xff, 0xff, 0xff})
			} else if _, err := s.Write(reply(part, path)); err != nil {
				return
			}
		}
	})
}

// pours opens a stream and writes until it is stopped; after a hello, if it is to be heard.
func (m *mallory) pours(ctx context.Context, to peer.ID, proto string, next func() []byte, hello bool) error {
	s, err := m.host.NewStream(ctx, to, protocol.ID(proto))
	if err != nil {
		return err
	}
	defer s.Reset()
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	if hello {
		if err := m.greet(s); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		if _, err := s.Write(next()); err != nil {
			return err
		}
	}
	return nil
}
