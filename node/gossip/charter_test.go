package gossip

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// rotates signs and stores a charter with another root key, as the one before and the next must sign it.
func (p *publisher) rotates(more string) {
	p.node.w.t.Helper()
	c := nextCharter(p)
	root := testKey(string(p.name)+"/root", crypto.TypeSignature, more)
	c.Root = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{root.Public()}}
	note, err := feed.SignCharter(c, p.root, root)
	p.must(err)
	p.chain, err = p.chain.Extend(note)
	p.must(err)
	p.root = root
	p.must(p.node.store.SetChain(p.chain))
}

// A member that was away while the roots were rotated twice follows both steps, and joins the log that was begun meanwhile.
func TestAwayWhileRootsRotate(t *testing.T) {
	run(t, func(w *world) {
		hotline, host, late := w.node("hotline.example"), w.node("host.example"), w.node("late.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host, late)
		host.follows(p)
		late.follows(p) // by the first charter's anchor, too
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		w.apart(host)
		p.rotates("second")
		p.closes(5)
		p.rotates("third")
		p.publish(2)
		time.Sleep(time.Hour)
		w.sever(nil)
		w.same(time.Minute, p.name, hotline, host)
		late.start()
		w.settle(time.Minute, "the late one has both logs", func() bool {
			chain, ok := late.store.Chain(p.name)
			return ok && chain.Newest().Version == 4 && late.store.size(p.name.Log(1)) == 5 && late.store.size(p.name.Log(2)) == 2
		})
	})
}

// A peer hands out charters that don't follow: they are refused, the feed stays under the law that it had, and the peer is named.
func TestForgedCharter(t *testing.T) {
	for name, forge := range map[string]func(t *testing.T, p *publisher) [][]byte{
		"signed by a stranger": func(t *testing.T, p *publisher) [][]byte {
			return [][]byte{signedCharter(t, nextCharter(p), strangeRoot(p))}
		},
		"with a stranger's root, not signed by the one before": func(t *testing.T, p *publisher) [][]byte {
			c := nextCharter(p)
			c.Root.Keys = []crypto.PublicKey{strangeRoot(p).Public()}
			return [][]byte{signedCharter(t, c, strangeRoot(p))}
		},
		"a version skipped": func(t *testing.T, p *publisher) [][]byte {
			c := nextCharter(p)
			c.Version++
			return [][]byte{signedCharter(t, c, p.root)}
		},
		"the one held, once more": func(t *testing.T, p *publisher) [][]byte { return p.chain.Notes() },
		"of another feed": func(t *testing.T, p *publisher) [][]byte {
			other := p.node.w.node("other.example").publishes()
			c := nextCharter(other)
			return [][]byte{signedCharter(t, c, other.root)}
		},
		"anything at all": func(t *testing.T, p *publisher) [][]byte { return [][]byte{[]byte("text\n\n— x.example AAAA\n")} },
	} {
		for _, joined := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, member before: %v", name, joined), func(t *testing.T) {
				run(t, func(w *world) {
					hotline, host := w.node("hotline.example"), w.node("host.example")
					liar := w.rogue("liar.example")
					defer liar.close()
					p := hotline.publishes()
					p.publish(5)
					p.admits(host, liar.testNode)
					host.follows(p)
					host.knows(liar.testNode)
					forged := forge(t, p)
					var asked atomic.Int32
					liar.host.SetStreamHandler(headProtocol, func(s network.Stream) {
						defer s.Close()
						data, err := receive(s, time.Minute, upTo(maxAsk))
						if err != nil {
							return
						}
						ask, err := parseHeadAsk(data)
						if err != nil {
							return
						}
						notes := forged
						if ask.Charter == 0 {
							notes = append(p.chain.Notes(), forged...) // the true first one, and then
						}
						asked.Add(1)
						send(s, &headReply{Charters: notes, Note: []byte{}, Lines: []string{}, Suspensions: [][]byte{}}, maxReply)
					})
					host.start()
					if joined {
						hotline.start()
						w.same(5*time.Second, p.name, hotline, host)
					}
					liar.dial(host)
					claims, _ := claimsOf(p)
					claims.Claims[0].Charter = 2
					liar.says(host, liar.hello(), claims)
					w.settle(time.Minute, "the liar is named", func() bool {
						return asked.Load() > 0 && (host.log.contains("WARN peer lied", liar.id.String()) || host.log.contains("peer broke", liar.id.String()))
					})
					if !joined {
						hotline.start()
					}
					w.same(time.Minute, p.name, hotline, host)
					chain, ok := host.store.Chain(p.name)
					if !ok || chain.String() != p.chain.String() {
						t.Errorf("got %v, want %v", chain, p.chain)
					}
					if n := host.evidence.Load(); n > 0 {
						t.Errorf("%d pieces of evidence against an honest publisher", n)
					}
					p.must(p.charter(nextCharter(p))) // and the true one comes
					w.same(time.Minute, p.name, hotline, host)
				})
			})
		}
	}
}

func strangeRoot(p *publisher) *crypto.PrivateKey {
	return testKey(string(p.name)+"/root", crypto.TypeSignature, "a stranger's")
}

func signedCharter(t *testing.T, c feed.Charter, root *crypto.PrivateKey) []byte {
	t.Helper()
	note, err := feed.SignCharter(c, root)
	if err != nil {
		t.Fatal(err)
	}
	return note
}
