package gossip

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// closes signs and stores the charter that ends the current log at a size, and opens the next with fresh keys.
func (p *publisher) closes(size uint64) {
	p.node.w.t.Helper()
	root, err := p.node.store.RootAt(p.origin(), size)
	p.must(err)
	c := nextCharter(p)
	c.Closed = append(c.Closed, feed.Cut{Size: size, Root: root})
	c.Log++
	p.signer = testKey(string(c.Origin()), crypto.TypeSignature, "signer")
	p.stamp = testKey(string(c.Origin()), crypto.TypeCosignature, "stamp")
	c.Signer, c.Stamp = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{p.signer.Public()}}, p.stamp.Public()
	p.must(p.charter(c))
	p.publish(0)
}

// retraction is a retract of the n'th record, in a form that has an effect where that isn't retracted.
func retraction(t *testing.T, n int) feed.Record {
	t.Helper()
	id := sha256.Sum256(fmt.Appendf(nil, "item %d", n))
	head, err := (feed.Head{Op: feed.OpRetract, Time: 2, Item: feed.ItemID(id[:16]), Rev: 2, Targets: []feed.Position{{Log: 1, Index: uint64(n)}},
		Reason: feed.FalsePositive}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return feed.Record{Head: head}
}

// A signer's key is stolen. The thief's records reach one member; the publisher closes the log where its own records end. Whoever has another
// log up to there fetches it anew, whoever has the same keeps it, and all go on with the next.
func TestStolenSigner(t *testing.T) {
	for _, story := range []struct {
		name         string
		from, stolen int  // the thief goes on from there with so many records
		aside        bool // then the member has to fetch the log anew
	}{
		{"another log, shorter than the cut", 8, 1, true},
		{"another log, as long as the cut", 8, 2, true},
		{"another log, longer than the cut", 8, 5, true},
		{"another log of several bundles", 3, 600, true},
		{"nothing of ours", 0, 4, true},
		{"ours, and more past the cut", 10, 3, false},
	} {
		t.Run(story.name, func(t *testing.T) {
			run(t, func(w *world) {
				hotline, deceived, other := w.node("hotline.example"), w.node("deceived.example"), w.node("other.example")
				p := hotline.publishes()
				p.publish(story.from)
				p.admits(deceived, other)
				deceived.follows(p)
				other.follows(p)
				deceived.knows(other)
				other.knows(deceived)
				for _, n := range w.nodes {
					n.start()
				}
				w.same(5*time.Second, p.name, hotline, deceived, other)
				deceived.stop()
				records := []feed.Record{}
				for i := range story.stolen {
					records = append(records, testRecord(t, 5000+i))
				}
				p.must(p.signAt(deceived.store, time.Now().Unix()+1, records...))
				if more := 10 - story.from; more > 0 {
					p.publish(more)
				}
				w.same(5*time.Second, p.name, hotline, other)
				first := p.origin()
				p.closes(10)
				w.same(5*time.Second, p.name, hotline, other)
				deceived.start()
				p.publish(3)
				w.settle(time.Minute, "the next log is at both", func() bool {
					return deceived.store.size(p.origin()) == 3 && other.store.size(p.origin()) == 3
				})
				if got := slices.Contains(deceived.store.givenUp(), first); got != story.aside {
					t.Errorf("its copy was set aside: %v, want %v", got, story.aside)
				}
				if len(other.store.givenUp())+len(hotline.store.givenUp()) > 0 {
					t.Error("somebody else's copy was set aside")
				}
				end, err := deceived.store.RootAt(first, 10)
				if want, _ := hotline.store.RootAt(first, 10); err != nil || end != want {
					t.Errorf("its log at the cut: got %x, %v, want %x", end, err, want)
				}
				if size := deceived.store.size(first); story.aside && size != 10 {
					t.Errorf("its log has %d records, want the cut's 10", size)
				}
				for _, n := range w.nodes {
					if a, ok := n.alarm(AlarmLied); ok {
						t.Errorf("%s blames an honest peer: %v", n.name, a)
					}
				}
				// What a publisher of a log that is closed is said to have signed there doesn't keep it from signing.
				w.settle(time.Minute, "the publisher may sign", func() bool {
					heard, err := hotline.net.Load().HeardMember(p.name)
					return heard && err == nil
				})
			})
		})
	}
}

// Two were deceived. The first to hear of the charter doesn't ask the other, which is nearer than the publisher, for parts of the closed log, and so
// doesn't take it for a liar.
func TestDeceivedInGoodFaith(t *testing.T) {
	run(t, func(w *world) {
		hotline, first, second := w.node("hotline.example"), w.node("first.example"), w.node("second.example")
		p := hotline.publishes()
		p.publish(8)
		p.admits(first, second)
		for _, n := range []*testNode{first, second} {
			n.follows(p)
		}
		first.knows(second)
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, hotline, first, second)
		w.apart(hotline)
		time.Sleep(2 * time.Minute)
		p.must(p.signAt(first.store, time.Now().Unix(), testRecord(t, 5000), testRecord(t, 5001), testRecord(t, 5002)))
		w.same(time.Minute, p.name, first, second)
		p.publish(2)
		p.closes(10)
		p.publish(1)
		end, _ := p.chain.ClosedHead(1)
		for want, claims := range map[bool][]claim{
			true:  {{Size: 10, Root: end.Root, Charter: 1}, {Size: 11, Charter: 2}, {Size: 11, Charter: 3}},
			false: {{Size: 10, Charter: 1}, {Size: 11, Root: end.Root, Charter: 1}, {Size: 9, Root: end.Root, Charter: 0}},
		} {
			for _, m := range claims {
				if got := hasEnd(p.chain, end, m); got != want {
					t.Errorf("claim of size %d under charter %d: got %v, want %v", m.Size, m.Charter, got, want)
				}
			}
		}
		w.delay(hotline, 200*time.Millisecond)
		w.sever(func(a, b string) bool { // the publisher reaches the first alone
			return a == hotline.ip && b == second.ip || b == hotline.ip && a == second.ip
		})
		for _, n := range []*testNode{first, second} {
			w.settle(time.Minute, n.name+" has both logs", func() bool {
				return n.store.size(p.name.Log(1)) == 10 && n.store.size(p.name.Log(2)) == 1
			})
		}
		for _, n := range w.nodes {
			if a, ok := n.alarm(AlarmLied); ok {
				t.Errorf("%s blames an honest peer: %v", n.name, a)
			}
		}
	})
}

// The thief goes on after the log was closed: members may take what it signs, which has no effect, and the publisher isn't taken for an old copy.
func TestThiefGoesOn(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		thief := *p // its keys and its chain
		first := p.origin()
		p.closes(5)
		w.same(5*time.Second, p.name, hotline, host)
		p.must(thief.signAt(host.store, time.Now().Unix()+1, testRecord(t, 5000), retraction(t, 1)))
		p.publish(2)
		w.settle(time.Minute, "the next log is at the host", func() bool { return host.store.size(p.origin()) == 2 })
		w.settle(time.Minute, "what lies past the cut is at the publisher, too", func() bool { return hotline.store.size(first) == 7 })
		w.settle(time.Minute, "a member is heard", func() bool {
			heard, err := hotline.net.Load().HeardMember(p.name)
			return heard && err == nil
		})
		if a, ok := hotline.alarm(AlarmOldCopy); ok {
			t.Errorf("the publisher is taken for an old copy: %v", a)
		}
		if len(host.store.givenUp())+len(hotline.store.givenUp()) > 0 {
			t.Error("a copy was set aside")
		}
	})
}

// A publisher that was taken for an old copy because of a thief's records may sign again once it has closed that log.
func TestClosingEndsOldCopy(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		hotline.stop()
		host.stop()
		p.must(p.signAt(host.store, time.Now().Unix()+1, testRecord(t, 5000)))
		hotline.start()
		host.start()
		w.settle(time.Minute, "the alarm", func() bool { _, ok := hotline.alarm(AlarmOldCopy); return ok })
		p.closes(5)
		w.settle(time.Minute, "the end of it", func() bool {
			_, alarmed := hotline.alarm(AlarmOldCopy)
			heard, err := hotline.net.Load().HeardMember(p.name)
			return heard && err == nil && !alarmed
		})
		p.publish(1)
		w.settle(time.Minute, "the next log is at the host", func() bool { return host.store.size(p.origin()) == 1 })
	})
}

// A head of the thief's that has the size of the cut, and another root, was being fetched when the log was closed: our own good copy is not what is
// given up.
func TestTargetAtTheCut(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(8)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		forged := hotline.store.copyAt(t, p, 8)
		forged.follow = func(feed.Name, *feed.Batch) {}
		p.must(p.signAt(forged, time.Now().Unix()+1, testRecord(t, 5000), testRecord(t, 5001)))
		cp, _ := forged.Head(p.origin())
		c, _ := host.net.Load().carrier(p.name)
		l, _ := host.net.Load().link(hotline.id)
		w.apart(host)
		time.Sleep(2 * time.Minute)
		c.aim(l, cp)
		p.publish(2)
		first := p.origin()
		p.closes(10)
		p.publish(1)
		w.sever(nil)
		w.settle(time.Minute, "the next log", func() bool { return host.store.size(p.origin()) == 1 && host.store.size(first) == 10 })
		c.aim(l, cp) // and somebody hands it out once more
		if err := c.otherLog(p.chain, cp, feed.ErrCut); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if _, ok := c.target(p.chain, 1); ok {
			t.Error("it is still to be reached")
		}
		if len(host.store.givenUp()) > 0 {
			t.Errorf("%d copies were set aside", len(host.store.givenUp()))
		}
	})
}

// Of a log that a thief signed to any size nobody has the records: once it is closed that is no alarm.
func TestWithheldThenClosed(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		// A head of a tree that nobody has.
		beyond := newMemStore()
		p.must(beyond.AddFeed(p.chain))
		p.must(p.signAt(beyond, time.Now().Unix()))
		for i := range 9 {
			p.must(p.signAt(beyond, time.Now().Unix(), testRecord(t, 7000+i)))
		}
		cp, _ := beyond.Head(p.origin())
		c, _ := host.net.Load().carrier(p.name)
		l, _ := host.net.Load().link(hotline.id)
		c.aim(l, cp)
		w.settle(30*time.Minute, "the alarm", func() bool { _, ok := host.alarm(AlarmWithheld); return ok })
		p.closes(5)
		p.publish(1)
		w.settle(time.Minute, "the next log", func() bool { return host.store.size(p.origin()) == 1 })
		time.Sleep(30 * time.Minute)
		if a, ok := host.alarm(AlarmWithheld); ok {
			t.Errorf("still an alarm: %v", a)
		}
	})
}

// A suspension in force goes on with a new log: its publisher signs the same text with the new signer, and that reaches whoever had it before.
func TestSuspensionOutlivesLog(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		p.suspend(2)
		w.same(5*time.Second, p.name, hotline, host)
		note := hotline.store.Suspensions(p.name)[0]
		p.closes(5)
		w.same(5*time.Second, p.name, hotline, host)
		if n := len(host.store.Suspensions(p.name)[0].Signers); n != 0 {
			t.Errorf("closed: %d signers still count, want 0", n)
		}
		again, err := feed.SignSuspension(p.chain, note.Items, note.Time, p.signer)
		p.must(err)
		p.must(hotline.store.Suspend(again))
		w.same(5*time.Second, p.name, hotline, host)
		held := host.store.Suspensions(p.name)
		if len(held) != 1 || len(held[0].Signers) != 1 || held[0].Sum != note.Sum {
			t.Errorf("repeated: got %+v", held)
		}
	})
}
