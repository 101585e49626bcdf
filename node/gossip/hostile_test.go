package gossip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	p2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"

	"hashfeed/feed"
)

// rogue is a raw libp2p host that knows our protocols and keeps to none of our rules.
type rogue struct {
	*testNode
	host p2phost.Host
	gone chan struct{} // closed by close
}

// rogue makes a host with the identity of a node that never starts.
func (w *world) rogue(name string) *rogue {
	w.t.Helper()
	r := &rogue{testNode: w.node(name), gone: make(chan struct{})}
	h, err := libp2p.New(libp2p.Identity(r.key), libp2p.ListenAddrStrings(r.addr()), w.quicSim(), libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		w.t.Fatal(err)
	}
	r.host = h
	return r
}

func (r *rogue) close() {
	select {
	case <-r.gone:
	default:
		close(r.gone)
		r.host.Close()
	}
}

// idle lets a handler wait, until the end of the story at most.
func (r *rogue) idle(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.gone:
	}
}

func (r *rogue) dial(to *testNode) {
	r.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.host.Connect(ctx, peer.AddrInfo{ID: to.id, Addrs: []ma.Multiaddr{ma.StringCast(to.addr())}}); err != nil {
		r.w.t.Logf("dial %s: %v", to.name, err)
	}
}

func (r *rogue) stream(to *testNode, proto string) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return r.host.NewStream(ctx, to.id, protocolID(proto))
}

func (r *rogue) hello() *hello {
	return &hello{Name: r.name, Witness: r.witness.Public().String(), Time: time.Now().Unix(), Instance: []byte("12345678"), Version: "rogue"}
}

// says opens a stream of heads and writes frames.
func (r *rogue) says(to *testNode, messages ...any) network.Stream {
	r.w.t.Helper()
	s, err := r.stream(to, headsProtocol)
	if err != nil {
		r.w.t.Fatal(err)
	}
	for _, m := range messages {
		data, ok := m.([]byte)
		if !ok {
			if data, err = encode(m, 1<<20); err != nil {
				r.w.t.Fatal(err)
			}
		}
		if _, err := s.Write(data); err != nil {
			r.w.t.Logf("write: %v", err)
			break
		}
	}
	return s
}

// claims makes the list of one who has all of a feed, and its head.
func claimsOf(p *publisher) (*list, *push) {
	head, _ := p.node.store.Head(p.origin())
	m := &list{Claims: []claim{{Origin: p.origin(), Size: head.Size, Root: head.Root, Stamp: head.Stamp, Charter: p.chain.Newest().Version, Roster: p.version}}}
	return m, &push{Note: head.Bytes(), Lines: []string{}, Origin: p.origin()}
}

// hands serves tiles: get returns what is sent for a path, frame and all, and an error ends the stream.
func (r *rogue) hands(get func(m *tilesAsk, path string) ([]byte, error)) {
	r.host.SetStreamHandler(tilesProtocol, func(s network.Stream) {
		defer s.Close()
		data, err := receive(s, time.Minute, upTo(maxAsk))
		if err != nil {
			return
		}
		m, err := parseTilesAsk(data)
		if err != nil {
			return
		}
		for _, path := range m.Paths {
			data, err := get(m, path)
			if err != nil {
				s.Reset()
				return
			}
			if _, err := s.Write(data); err != nil {
				return
			}
		}
	})
}

func framed(data []byte, err error) ([]byte, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return []byte{0xff, 0xff, 0xff, 0xff}, nil
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...), err
}

// honest serves what a publisher has.
func honest(p *publisher) func(*tilesAsk, string) ([]byte, error) {
	return func(m *tilesAsk, path string) ([]byte, error) {
		return framed(p.node.store.Part(m.Origin, path, m.Size))
	}
}

// A liar among honest peers is disconnected and named, and the feed is completed from the others; whatever it is that it sends.
func TestLiar(t *testing.T) {
	flip := func(data []byte, err error) ([]byte, error) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[len(data)-1] ^= 1
		}
		return data, err
	}
	for name, lie := range map[string]func(p *publisher, m *tilesAsk, path string) ([]byte, error){
		"a tile": func(p *publisher, m *tilesAsk, path string) ([]byte, error) {
			if !strings.HasPrefix(path, "tile/entries") && strings.HasPrefix(path, "tile") {
				return framed(flip(p.node.store.Part(m.Origin, path, m.Size)))
			}
			return honest(p)(m, path)
		},
		"a head": func(p *publisher, m *tilesAsk, path string) ([]byte, error) {
			if strings.HasPrefix(path, "tile/entries") {
				return framed(flip(p.node.store.Part(m.Origin, path, m.Size)))
			}
			return honest(p)(m, path)
		},
		"a body": func(p *publisher, m *tilesAsk, path string) ([]byte, error) {
			if strings.HasPrefix(path, "body") {
				return framed(flip(p.node.store.Part(m.Origin, path, m.Size)))
			}
			return honest(p)(m, path)
		},
	} {
		for _, size := range []int{5, 20_000} {
			t.Run(fmt.Sprint(name, " of ", size), func(t *testing.T) {
				run(t, func(w *world) {
					hotline, host := w.node("hotline.example"), w.node("host.example")
					liar := w.rogue("liar.example")
					defer liar.close()
					p := hotline.publishes()
					p.publish(size)
					p.admits(host, liar.testNode)
					host.follows(p)
					// The liar's link is the quicker one, and it is there first: only it has the feed at first.
					host.knows(liar.testNode)
					var asked atomic.Bool
					liar.hands(func(m *tilesAsk, path string) ([]byte, error) {
						asked.Store(true)
						return lie(p, m, path)
					})
					liar.answersHead(p)
					host.start()
					liar.dial(host)
					claims, head := claimsOf(p)
					w.settle(10*time.Second, "the liar is heard", func() bool { return len(liar.host.Network().ConnsToPeer(host.id)) > 0 })
					liar.says(host, liar.hello(), claims, head)
					w.settle(20*time.Second, "the liar is asked", asked.Load)
					hotline.start()
					w.same(time.Minute, p.name, hotline, host)
					a, ok := host.alarm(AlarmLied)
					if !ok || !strings.Contains(a.Text, "liar.example") || !strings.Contains(a.Text, liar.id.String()) {
						t.Errorf("the alarm doesn't name the liar: %v", a)
					}
					if !host.log.contains("WARN peer lied", liar.id.String()) {
						t.Error("the log doesn't name the liar")
					}
					if host.connected(liar.testNode) {
						t.Error("the liar is still connected")
					}
				})
			})
		}
	}
}

// answersHead serves head/1 as a publisher would.
func (r *rogue) answersHead(p *publisher) {
	r.host.SetStreamHandler(headProtocol, func(s network.Stream) {
		defer s.Close()
		data, err := receive(s, time.Minute, upTo(maxAsk))
		if err != nil {
			return
		}
		ask, err := parseHeadAsk(data)
		if err != nil {
			return
		}
		n := &Network{o: Options{Store: p.node.store}}
		if m, err := n.headReply(p.chain, ask.Charter); err == nil {
			send(s, m, maxReply)
		}
	})
}

// Who stalls, drips, cuts off, resets or announces more than it sends delays the feed by a bounded time, and needn't be a liar.
func TestStalledPeer(t *testing.T) {
	for name, serve := range map[string]func(r *rogue, p *publisher, m *tilesAsk, path string) ([]byte, error){
		"says nothing": func(r *rogue, _ *publisher, _ *tilesAsk, _ string) ([]byte, error) {
			r.idle(time.Hour)
			return nil, io.EOF
		},
		"drips": func(r *rogue, p *publisher, m *tilesAsk, path string) ([]byte, error) {
			r.idle(8 * time.Second)
			return honest(p)(m, path)
		},
		"cuts off": func(_ *rogue, p *publisher, m *tilesAsk, path string) ([]byte, error) {
			data, _ := honest(p)(m, path)
			return data[:len(data)/2], nil
		},
		"resets":      func(*rogue, *publisher, *tilesAsk, string) ([]byte, error) { return nil, io.EOF },
		"has nothing": func(*rogue, *publisher, *tilesAsk, string) ([]byte, error) { return framed(nil, fs.ErrNotExist) },
		"announces": func(*rogue, *publisher, *tilesAsk, string) ([]byte, error) {
			return []byte{0x7f, 0xff, 0xff, 0xff}, nil
		},
		"announces all": func(*rogue, *publisher, *tilesAsk, string) ([]byte, error) {
			return []byte{0x00, 0xff, 0xff, 0xff, 1}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				hotline, host := w.node("hotline.example"), w.node("host.example")
				slow := w.rogue("slow.example")
				defer slow.close()
				p := hotline.publishes()
				p.publish(1000)
				p.admits(host, slow.testNode)
				host.follows(p)
				host.knows(slow.testNode)
				slow.hands(func(m *tilesAsk, path string) ([]byte, error) { return serve(slow, p, m, path) })
				slow.answersHead(p)
				w.delay(hotline, 50*time.Millisecond) // so that the slow one is asked first, for being quick
				host.start()
				slow.dial(host)
				time.Sleep(time.Second)
				claims, head := claimsOf(p)
				slow.says(host, slow.hello(), claims, head)
				time.Sleep(time.Second)
				hotline.start()
				if took := w.same(5*time.Minute, p.name, hotline, host); took > 90*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// An outsider gets nothing: its connection ends, and not one of its streams is answered.
func TestOutsider(t *testing.T) {
	run(t, func(w *world) {
		hotline := w.node("hotline.example")
		outsider := w.rogue("outsider.example")
		defer outsider.close()
		p := hotline.publishes()
		p.publish(5)
		hotline.start()
		outsider.dial(hotline)
		outsider.mustGetNothing(t, hotline, p)
		time.Sleep(200 * time.Millisecond)
		if conns := outsider.host.Network().ConnsToPeer(hotline.id); len(conns) > 0 {
			t.Errorf("an outsider is connected: %v", conns)
		}
		if hotline.connected(outsider.testNode) {
			t.Error("an outsider is among the peers")
		}
	})
}

// A vetted peer that is no member of a feed gets nothing of it; it isn't blamed for asking.
func TestVettedIsNotMember(t *testing.T) {
	run(t, func(w *world) {
		hotline := w.node("hotline.example")
		other := w.rogue("other.example")
		defer other.close()
		p := hotline.publishes()
		p.publish(5)
		hotline.knows(other.testNode)
		hotline.start()
		other.dial(hotline)
		other.mustGetNothing(t, hotline, p)
		got := make(chan any, 100)
		other.host.SetStreamHandler(headsProtocol, func(s network.Stream) {
			for {
				data, err := receive(s, time.Hour, pushLimit)
				if err != nil {
					close(got)
					return
				}
				m, err := parsePush(data)
				if err != nil {
					t.Error(err)
				}
				got <- m
			}
		})
		time.Sleep(10 * time.Second)
		p.publish(5)
		p.suspend(1)
		p.must(p.charter(nextCharter(p)))
		time.Sleep(30 * time.Minute)
		other.close()
		for m := range got {
			switch m := m.(type) {
			case *hello:
			case *list:
				if len(m.Claims) > 0 {
					t.Errorf("a list of what isn't for it: %v", m.Claims)
				}
			case *peers:
				if len(m.Records) > 1 {
					t.Errorf("%d peer records", len(m.Records))
				}
			default:
				t.Errorf("it was told %T", m)
			}
		}
		if a, ok := hotline.alarm(AlarmLied); ok {
			t.Errorf("asking is no offence: %v", a)
		}
	})
}

// mustGetNothing asks for everything.
func (r *rogue) mustGetNothing(t *testing.T, from *testNode, p *publisher) {
	t.Helper()
	head, _ := p.node.store.Head(p.origin())
	line, err := head.Cosign(r.witness, time.Now().Unix())
	if err != nil {
		t.Fatal(err)
	}
	for proto, m := range map[string]any{
		headProtocol:   &headAsk{Feed: p.name},
		tilesProtocol:  &tilesAsk{Origin: p.origin(), Size: 5, Paths: []string{"tile/0/000.p/5", "tile/entries/000.p/5", "body/000.p/5"}},
		cosignProtocol: &cosigning{Origin: p.origin(), Size: 5, Line: line.String()},
		reportProtocol: &reporting{Kind: "dispute", Ref: subject{Origin: p.origin(), Index: 1}, Reason: feed.FalsePositive},
	} {
		s, err := r.stream(from, proto)
		if err != nil {
			continue
		}
		data, err := encode(m, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		s.Write(data)
		s.CloseWrite()
		s.SetReadDeadline(time.Now().Add(time.Minute))
		got, err := io.ReadAll(s)
		if len(got) > 0 || err == nil {
			t.Errorf("%s answered with %d bytes, %v", proto, len(got), err)
		}
	}
	if n := len(p.node.store.receipts(p.origin(), 5)); n > 0 {
		t.Errorf("%d receipts of an outsider", n)
	}
}

// Garbage on any protocol costs its sender the stream and, again and again, the connection; nothing else.
func TestGarbage(t *testing.T) {
	flood := bytes.Repeat([]byte{0, 0, 0, 1, 0xa0}, 1000)
	for name, garbage := range map[string][]byte{
		"no CBOR":        {0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff},
		"endless":        bytes.Repeat([]byte{0xa1}, 1<<20),
		"oversized":      {0xff, 0xff, 0xff, 0xff, 0xa1, 0x01, 0x61, 0x61},
		"hello too long": append([]byte{0, 1, 0, 0, 0xa5, 0x01, 0x79, 0xff, 0xf0}, make([]byte, 1<<16)...),
		"empty":          {0, 0, 0, 0},
		"unknown":        {0, 0, 0, 3, 0xa1, 0x09, 0x00},
		"flood":          flood,
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				hotline, host := w.node("hotline.example"), w.node("host.example")
				bad := w.rogue("bad.example")
				defer bad.close()
				p := hotline.publishes()
				p.publish(5)
				p.admits(host, bad.testNode)
				host.follows(p)
				hotline.start()
				host.start()
				w.same(5*time.Second, p.name, hotline, host)
				bad.dial(hotline)
				for _, proto := range protocols {
					s, err := bad.stream(hotline, string(proto))
					if err != nil {
						break // it was thrown out
					}
					s.SetDeadline(time.Now().Add(time.Minute))
					s.Write(garbage)
					s.CloseWrite()
					if got, err := io.ReadAll(s); err == nil || len(got) > 0 {
						t.Errorf("%s answered %x, %v", proto, got, err)
					}
				}
				w.settle(10*time.Second, "the alarm", func() bool {
					a, ok := hotline.alarm(AlarmLied)
					return ok && strings.Contains(a.Text, bad.id.String())
				})
				w.settle(time.Second, "it is thrown out", func() bool { return len(bad.host.Network().ConnsToPeer(hotline.id)) == 0 })
				p.publish(1)
				w.same(time.Second, p.name, hotline, host)
			})
		})
	}
}

// After the hello: messages that break a rule, or lie.
func TestBadMessages(t *testing.T) {
	for name, bad := range map[string]func(r *rogue, p *publisher) []any{
		"second hello": func(r *rogue, p *publisher) []any { return []any{r.hello()} },
		"forged head": func(r *rogue, p *publisher) []any {
			_, head := claimsOf(p)
			head.Note = bytes.Replace(head.Note, []byte("\n5\n"), []byte("\n6\n"), 1)
			return []any{head}
		},
		"another's head": func(r *rogue, p *publisher) []any {
			_, head := claimsOf(p)
			head.Origin = p.name.Log(1) + "0"
			return []any{head, head}
		},
		"forged suspension": func(r *rogue, p *publisher) []any {
			s, err := feed.SignSuspension(p.chain, []feed.Position{{Log: 1, Index: 1}}, time.Now().Unix(), p.signer)
			if err != nil {
				panic(err)
			}
			return []any{&suspend{Note: bytes.Replace(s.Bytes(), []byte("item 1 1"), []byte("item 1 2"), 1)}}
		},
		"a list of another tree, without a head": func(r *rogue, p *publisher) []any {
			claims, _ := claimsOf(p)
			claims.Claims[0].Root[0] ^= 1
			r.host.SetStreamHandler(headProtocol, func(s network.Stream) {
				send(s, &headReply{}, maxReply)
				s.Close()
			})
			return []any{claims}
		},
		"a list of another tree than its head's": func(r *rogue, p *publisher) []any {
			claims, _ := claimsOf(p)
			claims.Claims[0].Root[0] ^= 1
			r.answersHead(p)
			return []any{claims}
		},
		"a forged charter": func(r *rogue, p *publisher) []any {
			claims, _ := claimsOf(p)
			claims.Claims[0].Charter++
			note, _ := p.chain.Note(1)
			note = bytes.Replace(note, []byte("version 1"), []byte("version 2"), 1)
			r.host.SetStreamHandler(headProtocol, func(s network.Stream) {
				send(s, &headReply{Charters: [][]byte{note}}, maxReply)
				s.Close()
			})
			return []any{claims}
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				hotline, host := w.node("hotline.example"), w.node("host.example")
				r := w.rogue("bad.example")
				defer r.close()
				p := hotline.publishes()
				p.publish(5)
				p.admits(host, r.testNode)
				host.follows(p)
				hotline.start()
				host.start()
				w.same(5*time.Second, p.name, hotline, host)
				r.dial(host)
				time.Sleep(time.Second)
				before := host.store.snapshot(p.name)
				s := r.says(host, append([]any{r.hello()}, bad(r, p)...)...)
				s.SetReadDeadline(time.Now().Add(time.Minute))
				if name != "another's head" {
					if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "deadline") {
						t.Errorf("the stream goes on: %v", err)
					}
				}
				if host.store.snapshot(p.name) != before {
					t.Errorf("something was taken in: %s", host.store.snapshot(p.name))
				}
				if !host.connected(hotline) {
					t.Error("the honest one was thrown out")
				}
				p.publish(1)
				w.same(time.Second, p.name, hotline, host)
			})
		})
	}
}

// A flood of well-formed messages slows its sender down, nobody else.
func TestFlood(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		r := w.rogue("flood.example")
		defer r.close()
		p := hotline.publishes()
		p.publish(5)
		p.admits(host, r.testNode)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		r.dial(host)
		time.Sleep(time.Second)
		_, head := claimsOf(p)
		one, err := encode(head, maxPush)
		if err != nil {
			t.Fatal(err)
		}
		s := r.says(host, r.hello())
		sent := 0
		s.SetWriteDeadline(time.Now().Add(20 * time.Second))
		for s != nil {
			if _, err := s.Write(one); err != nil {
				break
			}
			sent++
		}
		// What the window of the connection holds comes on top of the burst and the rate.
		if limit := messageBurst + 20*messageRate + (32<<20)/len(one); sent > limit {
			t.Errorf("%d messages were taken in 20 s, want at most %d", sent, limit)
		}
		p.retract(1)
		if took := w.same(5*time.Second, p.name, hotline, host); took > time.Second {
			t.Errorf("meanwhile a retraction took %v", took)
		}
		if a, ok := host.alarm(AlarmLied); ok {
			t.Errorf("too much of the truth is no lie: %v", a)
		}
	})
}

// A signed head whose records nobody hands out isn't adopted, and an alarm tells.
func TestWithheld(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		r := w.rogue("keeper.example")
		defer r.close()
		p := hotline.publishes()
		p.publish(5)
		p.admits(host, r.testNode)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		hotline.stop()
		p.publish(3)
		r.dial(host)
		time.Sleep(time.Second)
		claims, head := claimsOf(p)
		r.says(host, r.hello(), claims, head)
		r.answersHead(p)
		time.Sleep(9 * time.Minute)
		if a, ok := host.alarm(AlarmWithheld); ok {
			t.Errorf("alarm after 9 minutes: %v", a)
		}
		w.settle(2*time.Minute, "the alarm", func() bool { _, ok := host.alarm(AlarmWithheld); return ok })
		if cp, _ := host.store.Head(p.origin()); cp.Size != 5 {
			t.Errorf("the head is of size %d", cp.Size)
		}
		hotline.start()
		w.same(time.Minute, p.name, hotline, host)
		if a, ok := host.alarm(AlarmWithheld); ok {
			t.Errorf("the records are here: %v", a)
		}
	})
}

// Evidence comes from any peer, and is believed only where it is valid.
func TestEvidenceFromPeer(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		r := w.rogue("witness.example")
		defer r.close()
		p := hotline.publishes()
		p.publish(5)
		p.admits(host, r.testNode)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		r.dial(host)
		time.Sleep(time.Second)
		r.says(host, r.hello())
		tell := func(data []byte) {
			s, err := r.stream(host, evidenceProtocol)
			if err != nil {
				t.Fatal(err)
			}
			if err := send(s, &proven{Feed: p.name, Data: data}, maxProven); err != nil {
				t.Fatal(err)
			}
			s.CloseWrite()
			io.ReadAll(s)
		}
		other := newMemStore()
		p.must(other.AddFeed(p.chain))
		p.must(p.signAt(other, time.Now().Unix()))
		p.must(p.signAt(other, time.Now().Unix(), testRecord(t, 77), testRecord(t, 78), testRecord(t, 79), testRecord(t, 80), testRecord(t, 81)))
		a, _ := hotline.store.Head(p.origin())
		b, _ := other.Head(p.origin())
		ev, err := feed.NewHeadEvidence(p.chain, a, b, feed.Digest{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		tell(ev.Bytes())
		w.settle(5*time.Second, "evidence here and there", func() bool { return host.evidence.Load() == 1 && hotline.evidence.Load() == 1 })
		tell(ev.Bytes())
		time.Sleep(time.Second)
		if host.evidence.Load() != 1 {
			t.Error("told twice")
		}
		before := host.store.snapshot(p.name)
		p.publish(0)
		time.Sleep(time.Minute)
		p.publish(1)
		time.Sleep(time.Minute)
		if got := host.store.snapshot(p.name); got != before {
			t.Errorf("of a feed that has contradicted itself more was taken in: %s", got)
		}
		p.suspend(2)
		w.settle(5*time.Second, "the suspension", func() bool { return len(host.store.Suspensions(p.name)) == 1 })
	})
	run(t, func(w *world) {
		hotline := w.node("hotline.example")
		r := w.rogue("witness.example")
		defer r.close()
		p := hotline.publishes()
		p.publish(5)
		p.admits(r.testNode)
		hotline.start()
		r.dial(hotline)
		time.Sleep(time.Second)
		s, err := r.stream(hotline, evidenceProtocol)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(s, &proven{Feed: p.name, Data: []byte("hashfeed-evidence/v1\nkind head\n")}, maxProven); err != nil {
			t.Fatal(err)
		}
		w.settle(5*time.Second, "an invalid piece costs the connection", func() bool { return len(r.host.Network().ConnsToPeer(hotline.id)) == 0 })
		if hotline.evidence.Load() != 0 {
			t.Error("it was believed")
		}
	})
}

// A peer that keeps its connection and doesn't answer pings is as good as gone.
func TestSilentPeer(t *testing.T) {
	run(t, func(w *world) {
		hotline := w.node("hotline.example")
		r := w.rogue("silent.example")
		defer r.close()
		p := hotline.publishes()
		p.admits(r.testNode)
		hotline.start()
		r.host.SetStreamHandler(ping.ID, func(s network.Stream) {
			r.idle(time.Hour)
			s.Reset()
		})
		r.dial(hotline)
		w.settle(time.Second, "the connection", func() bool { return len(r.host.Network().ConnsToPeer(hotline.id)) > 0 })
		if took := w.settle(time.Minute, "its end", func() bool { return len(r.host.Network().ConnsToPeer(hotline.id)) == 0 }); took > 45*time.Second {
			t.Errorf("noticed after %v, want 45 s", took)
		}
		if a, ok := hotline.alarm(AlarmLied); ok {
			t.Errorf("silence is no offence: %v", a)
		}
	})
}
