package gossip

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

func otherSigner(name feed.Name, i int) *crypto.PrivateKey {
	return testKey(string(name.Log(1)), crypto.TypeSignature, fmt.Sprintf("signer %d", i))
}

// twoOfThree is a charter of which two of three must sign.
func twoOfThree(c *feed.Charter) {
	c.Signer.K = 2
	c.Signer.Keys = append(c.Signer.Keys, otherSigner(c.Feed, 2).Public(), otherSigner(c.Feed, 3).Public())
}

// judged is what an item is worth at a node, by what it has stored.
func (n *testNode) judged(p *publisher, index uint64) feed.Standing {
	n.w.t.Helper()
	s := feed.NewState(p.chain.Newest().Rules(), nil)
	size := n.store.size(p.origin())
	var records []feed.Record
	for i := range size {
		r, err := n.store.Record(p.origin(), i)
		p.must(err)
		records = append(records, r)
	}
	_, err := s.Append(1, 0, records)
	p.must(err)
	var notes []feed.Suspending
	for _, note := range n.store.Suspensions(p.name) {
		notes = append(notes, note.Suspending())
	}
	s.SetSuspensions(notes)
	item, ok := s.ItemAt(feed.Position{Log: 1, Index: index})
	if !ok {
		n.w.t.Fatalf("%s has no item at %d", n.name, index)
	}
	return s.At(item, size, n.now().Unix())
}

// Who has stolen one of two signers, and the stamp, can list and retract nothing, not even from the publisher's own place.
func TestStolenSignerListsNothing(t *testing.T) {
	for name, lines := range map[string]func(p *publisher, text []byte) []crypto.Line{
		"one signer": func(p *publisher, text []byte) []crypto.Line { return []crypto.Line{signLine(p.signer, text)} },
		"one signer twice": func(p *publisher, text []byte) []crypto.Line {
			l := signLine(p.signer, text)
			return []crypto.Line{l, l}
		},
		"one signer and a stranger": func(p *publisher, text []byte) []crypto.Line {
			return []crypto.Line{signLine(p.signer, text), signLine(otherSigner(p.name, 9), text)}
		},
		"nobody but the stamp": func(*publisher, []byte) []crypto.Line { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(w *world) {
				hotline, host := w.node("hotline.example"), w.node("host.example")
				thief := w.rogue("thief.example")
				defer thief.close()
				p := hotline.publishes(twoOfThree)
				p.publish(5)
				p.admits(host, thief.testNode)
				host.follows(p)
				hotline.start()
				host.start()
				w.same(5*time.Second, p.name, hotline, host)
				tree, _, _ := host.store.Position(p.origin())
				last, _ := host.store.Head(p.origin())
				forged, err := feed.Propose(p.chain, tree, last, []feed.Record{testRecord(t, 100)})
				p.must(err)
				stamp, err := p.stamp.Cosign(forged.Text(), uint64(time.Now().Unix()))
				p.must(err)
				note := crypto.Note{Text: forged.Text(), Lines: append(lines(p, forged.Text()), stamp)}
				thief.dial(host)
				time.Sleep(time.Second)
				before := host.store.snapshot(p.name)
				s := thief.says(host, thief.hello(), &push{Note: note.Bytes(), Lines: []string{}, Origin: p.origin()})
				s.SetReadDeadline(time.Now().Add(time.Minute))
				if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "deadline") {
					t.Errorf("the stream goes on: %v", err)
				}
				if got := host.store.snapshot(p.name); got != before {
					t.Errorf("something was taken in: %s", got)
				}
				p.publish(1) // the honest two go on
				w.same(time.Second, p.name, hotline, host)
			})
		})
	}
}

func signLine(k *crypto.PrivateKey, text []byte) crypto.Line {
	l, err := k.Sign(text)
	if err != nil {
		panic(err)
	}
	return l
}

// One signer of two suspends: at once, everywhere, for 72 hours and no longer, whatever it signs later.
func TestSuspensionLapses(t *testing.T) {
	run(t, func(w *world) {
		hotline, liaison, host := w.node("hotline.example"), w.node("liaison.example"), w.node("host.example")
		p := hotline.publishes(twoOfThree)
		p.publish(5)
		p.admits(liaison, host)
		liaison.follows(p)
		host.follows(p)
		host.knows(liaison)
		for _, n := range w.nodes {
			n.start()
		}
		all := []*testNode{hotline, liaison, host}
		w.same(5*time.Second, p.name, all...)
		want := func(what string, status feed.Status, why string) {
			t.Helper()
			for _, n := range all {
				if got := n.judged(p, 3); got.Status != status || got.Why != why {
					t.Errorf("%s, at %s: got %v %q, want %v %q", what, n.name, got.Status, got.Why, status, why)
				}
				if got := n.judged(p, 2); got.Status != feed.Active {
					t.Errorf("%s, at %s: another item is %v", what, n.name, got.Status)
				}
			}
		}
		suspend := func(at int64, by *crypto.PrivateKey) {
			t.Helper()
			s, err := feed.SignSuspension(p.chain, []feed.Position{{Log: 1, Index: 3}}, at, by)
			p.must(err)
			p.must(hotline.store.Suspend(s))
			w.same(3*time.Second, p.name, all...)
		}
		want("before", feed.Active, "")
		begun := time.Now()
		suspend(begun.Unix(), p.signer)
		want("at once", feed.Held, feed.WhySuspended)
		pass := func(d time.Duration) { // with the nodes stopped: three days of pings are a minute of work
			for _, n := range all {
				n.stop()
			}
			time.Sleep(time.Until(begun.Add(d)))
			for _, n := range all {
				n.start()
			}
			w.same(30*time.Second, p.name, all...)
		}
		pass(71 * time.Hour)
		suspend(time.Now().Unix(), p.signer) // a renewal
		want("within 72 h", feed.Held, feed.WhySuspended)
		pass(72*time.Hour + time.Second)
		want("after 72 h", feed.Active, "")
		suspend(time.Now().Unix(), p.signer)
		want("renewed by the same signer", feed.Active, "")
		time.Sleep(time.Second) // else it is the same note with another signature
		suspend(time.Now().Unix(), p.others[0])
		want("by another signer", feed.Held, feed.WhySuspended)
		p.retract(3)
		w.same(3*time.Second, p.name, all...)
		want("retracted", feed.Retracted, "")
	})
}
