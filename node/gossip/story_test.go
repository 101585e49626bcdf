package gossip

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// feedWindow is how many records a commit has while there is much to fetch.
const feedWindow = maxWindow * feed.TileWidth

// A hotline publishes, a liaison and a host receive: records, a retraction, charters; and the hotline gets their receipts.
func TestThreeNodes(t *testing.T) {
	run(t, func(w *world) {
		hotline, liaison, host := w.node("hotline.example"), w.node("liaison.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(3)
		p.admits(liaison, host)
		liaison.follows(p)
		host.follows(p)
		hotline.start()
		liaison.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, liaison, host)

		p.publish(700)
		if took := w.same(2*time.Second, p.name, hotline, liaison, host); took > time.Second {
			t.Errorf("700 records took %v", took)
		}
		p.retract(1)
		if took := w.same(2*time.Second, p.name, hotline, liaison, host); took > 200*time.Millisecond {
			t.Errorf("a retraction took %v", took)
		}
		size := hotline.store.size(p.origin())
		w.settle(7*time.Second, "both receipts", func() bool { return len(hotline.store.receipts(p.origin(), size)) == 2 })
		if heard, err := hotline.net.Load().HeardMember(p.name); !heard || err != nil {
			t.Errorf("heard a member: got %v, %v, want true", heard, err)
		}
		for _, n := range w.nodes {
			if a := n.net.Load().Alarms(); len(a) > 0 {
				t.Errorf("alarms of %s: %v", n.name, a)
			}
		}
		c := p.chain.Newest()
		c.Version++
		c.Contact = "desk@hotline.example"
		p.must(p.charter(c))
		w.same(2*time.Second, p.name, hotline, liaison, host)
	})
}

// The publisher's process has exited before the host first starts: the liaison has the feed, and hands it on.
func TestThirdMemberCarries(t *testing.T) {
	run(t, func(w *world) {
		hotline, liaison, host := w.node("hotline.example"), w.node("liaison.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(600)
		p.admits(liaison, host)
		liaison.follows(p)
		hotline.start()
		liaison.start()
		w.same(5*time.Second, p.name, hotline, liaison)
		hotline.stop()

		host.follows(p)
		host.start()
		time.Sleep(15 * time.Second)
		if why := host.net.Load().Waiting(p.name); why != "publisher unreachable" {
			t.Errorf("waiting: got %q, want that the publisher is unreachable", why)
		}
		host.knows(liaison)
		w.same(5*time.Second, p.name, hotline, liaison, host)
		if why := host.net.Load().Waiting(p.name); why != "" {
			t.Errorf("waiting: got %q, want nothing", why)
		}
	})
}

// Both orders work: follow before member, member before follow.
func TestBothOrders(t *testing.T) {
	run(t, func(w *world) {
		hotline, early, late := w.node("hotline.example"), w.node("early.example"), w.node("late.example")
		p := hotline.publishes()
		p.publish(5)
		hotline.start()
		early.follows(p)
		early.start()
		late.start()
		time.Sleep(5 * time.Minute)
		if why := early.net.Load().Waiting(p.name); why != "waiting for membership" {
			t.Errorf("follow before member: got %q, want waiting for membership", why)
		}
		if early.store.snapshot(p.name) != "nothing" {
			t.Error("an outsider got something")
		}
		p.admits(early, late)
		w.same(40*time.Second, p.name, hotline, early)
		late.follows(p)
		w.same(5*time.Second, p.name, hotline, early, late)
		p.publish(1)
		w.same(time.Second, p.name, hotline, early, late)
	})
}

// A removed member is disconnected, by everyone who has the roster, and gets nothing that was committed later.
func TestRemovedMember(t *testing.T) {
	run(t, func(w *world) {
		hotline, liaison, host := w.node("hotline.example"), w.node("liaison.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(liaison, host)
		for _, n := range []*testNode{liaison, host} {
			n.follows(p)
		}
		host.knows(liaison)
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, hotline, liaison, host)
		w.settle(5*time.Second, "host and liaison connected", func() bool { return host.connected(liaison) && liaison.connected(host) })

		p.expels(host)
		p.publish(1)
		w.same(2*time.Second, p.name, hotline, liaison)
		time.Sleep(10 * time.Minute)
		if host.store.size(p.origin()) != 5 {
			t.Errorf("a removed member has %d records, want 5", host.store.size(p.origin()))
		}
		if hotline.connected(host) || liaison.connected(host) {
			t.Error("a removed member is still connected")
		}
		p.admits(host)
		w.same(time.Minute, p.name, hotline, liaison, host)
	})
}

// Struck off while it downloads, a member gets no further part.
func TestRemovedWhileDownloading(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(20_000)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.settle(10*time.Second, "the download has begun", func() bool { return host.store.size(p.origin()) > 0 })
		p.expels(host)
		time.Sleep(5 * time.Minute)
		if n := host.store.size(p.origin()); n == 20_000 {
			t.Error("the download went on to its end")
		}
	})
}

// Whatever happened on both sides of a partition is on both within a minute of its end.
func TestPartition(t *testing.T) {
	run(t, func(w *world) {
		hotline, liaison, host := w.node("hotline.example"), w.node("liaison.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(liaison, host)
		liaison.follows(p)
		host.follows(p)
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, hotline, liaison, host)
		w.apart(host)
		found := w.settle(time.Minute, "the half-open connection is noticed", func() bool { return !hotline.connected(host) && !host.connected(hotline) })
		if found > 45*time.Second {
			t.Errorf("a half-open connection was found after %v, want 45 s", found)
		}
		p.publish(3)
		p.retract(0)
		p.suspend(1)
		p.charter(nextCharter(p))
		w.same(5*time.Second, p.name, hotline, liaison)
		time.Sleep(2 * time.Hour)
		w.sever(nil)
		w.same(time.Minute, p.name, hotline, liaison, host)
	})
}

// A node goes on where it stopped, from what is stored.
func TestRestart(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(40_000)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.settle(20*time.Second, "some of it", func() bool { return host.store.size(p.origin()) > 10_000 })
		host.stop()
		had := host.store.size(p.origin())
		if had == 40_000 {
			t.Fatal("all came before the stop")
		}
		commits := host.store.committed()
		host.start()
		w.same(20*time.Second, p.name, hotline, host)
		if n := host.store.committed() - commits; n > int((40_000-had)/feedWindow)+3 {
			t.Errorf("%d commits for the rest from %d on: it was fetched again", n, had)
		}
	})
}

// Suspensions reach everyone at once, from whomever.
func TestSuspension(t *testing.T) {
	run(t, func(w *world) {
		hotline, liaison, host := w.node("hotline.example"), w.node("liaison.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(liaison, host)
		liaison.follows(p)
		host.follows(p)
		host.knows(liaison)
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, hotline, liaison, host)
		w.sever(func(a, b string) bool { return a == hotline.ip && b == host.ip || a == host.ip && b == hotline.ip })
		p.suspend(3)
		if took := w.same(3*time.Second, p.name, hotline, liaison, host); took > time.Second {
			t.Errorf("a suspension took %v by way of the liaison", took)
		}
		// One that a node wasn't there for it asks for, also when it is long out of force.
		w.apart(host)
		time.Sleep(time.Minute)
		p.suspend(4)
		away := 100 * time.Hour
		if raceEnabled { // its own runtime dies of a segmentation fault in days of fake time
			away = time.Hour
		}
		time.Sleep(away)
		w.sever(nil)
		w.same(time.Minute, p.name, hotline, liaison, host)
	})
}

// A hidden member dials the publisher alone, stands in no roster, and nobody learns its address.
func TestHiddenMember(t *testing.T) {
	run(t, func(w *world) {
		hotline, liaison, hidden := w.node("hotline.example"), w.node("liaison.example"), w.node("hidden.example")
		hidden.hidden = true
		p := hotline.publishes()
		p.publish(5)
		p.admits(liaison)
		hotline.roll(func(r *Roll) { r.Hidden = hiddenMembers(p, hidden) })
		liaison.follows(p)
		hidden.follows(p)
		hidden.knows(liaison)
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, hotline, liaison, hidden)
		p.publish(5)
		w.same(time.Second, p.name, hotline, liaison, hidden)
		time.Sleep(25 * time.Minute)
		if liaison.connected(hidden) || hidden.connected(liaison) {
			t.Error("a hidden member is connected with another than the publisher")
		}
		for _, n := range w.nodes {
			if n.net.Load().book.envelope(hidden.id) != nil {
				t.Errorf("%s has a record of the hidden member's address", n.name)
			}
		}
		net := hidden.net.Load()
		if addrs := net.host.Addrs(); len(addrs) > 0 {
			t.Errorf("the hidden member announces %v", addrs)
		}
		if wanted := net.wanted(); len(wanted) != 1 || wanted[hotline.id] == nil {
			t.Errorf("the hidden member dials %v", wanted)
		}
		// A member of its own feed may come, and is not dialled.
		q := hidden.publishes()
		q.admits(liaison)
		if !net.vetted(liaison.id) || net.dialable(liaison.id) {
			t.Errorf("a member of its own feed: vetted %v, dialable %v", net.vetted(liaison.id), net.dialable(liaison.id))
		}
	})
}

// Members find each other when the publisher is away, by the records that it passed on; also after a restart.
func TestFellowsFindEachOther(t *testing.T) {
	run(t, func(w *world) {
		hotline, a, b := w.node("hotline.example"), w.node("a.example"), w.node("b.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(a, b)
		a.follows(p)
		b.follows(p)
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, hotline, a, b)
		w.settle(20*time.Second, "the members are connected", func() bool { return a.connected(b) && b.connected(a) })
		hotline.stop()
		a.stop()
		b.stop()
		a.start()
		b.start()
		w.settle(20*time.Second, "the members are connected again", func() bool { return a.connected(b) && b.connected(a) })
	})
}

// Two members of two feeds of one publisher get each their own.
func TestOtherFeedsStayApart(t *testing.T) {
	run(t, func(w *world) {
		one, two, both, x := w.node("one.example"), w.node("two.example"), w.node("both.example"), w.node("x.example")
		p, q := one.publishes(), two.publishes()
		p.publish(5)
		q.publish(6)
		p.admits(both, x)
		q.admits(both)
		both.follows(p)
		both.follows(q)
		x.follows(p)
		x.follows(q)
		x.knows(both)
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, one, both, x)
		w.same(5*time.Second, q.name, two, both)
		time.Sleep(25 * time.Minute)
		if got := x.store.snapshot(q.name); got != "nothing" {
			t.Errorf("not a member, and got %s", got)
		}
		if why := x.net.Load().Waiting(q.name); why != "waiting for membership" {
			t.Errorf("waiting: got %q", why)
		}
	})
}

// A host's report reaches the publisher, whose ticket stands in the feed; if it doesn't, an alarm tells, also after a restart.
func TestReport(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host)
		host.follows(p)
		var got Report
		hotline.onReport = func(_ context.Context, r Report) (feed.Ticket, error) {
			got = r
			return feed.Ticket{1, 2, 3}, nil
		}
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		ref := feed.Ref{Origin: p.origin(), Index: 2}
		ticket, err := host.net.Load().Report(context.Background(), ref, feed.FalsePositive)
		if err != nil || ticket != (feed.Ticket{1, 2, 3}) {
			t.Fatalf("report: got %x, %v", ticket, err)
		}
		if got.Ref != ref || got.Reason != feed.FalsePositive || got.Peer != host.id.String() || got.Name != "host.example" {
			t.Errorf("the publisher got %+v", got)
		}
		if _, err := host.net.Load().Report(context.Background(), feed.Ref{Origin: p.origin(), Index: 99}, feed.FalsePositive); err == nil {
			t.Error("a report of a record that isn't there was taken")
		}
		if _, err := host.net.Load().Report(context.Background(), ref, feed.Upheld); err == nil {
			t.Error("a reason that no dispute has was taken")
		}
		time.Sleep(50 * time.Minute)
		if a, ok := host.alarm(AlarmUnanswered); ok {
			t.Errorf("alarm after 50 minutes: %v", a)
		}
		host.stop()
		host.start()
		time.Sleep(11 * time.Minute)
		if _, ok := host.alarm(AlarmUnanswered); !ok {
			t.Error("no alarm after an hour")
		}
		p.dispute(2, ticket)
		w.same(time.Minute, p.name, hotline, host)
		time.Sleep(2 * time.Second)
		if a, ok := host.alarm(AlarmUnanswered); ok {
			t.Errorf("alarm after the answer: %v", a)
		}
		hotline.onReport = func(context.Context, Report) (feed.Ticket, error) { return feed.Ticket{}, errors.New("no") }
		if _, err := host.net.Load().Report(context.Background(), ref, feed.FalsePositive); !errors.Is(err, ErrRefused) {
			t.Errorf("a refused report: got %v, want %v", err, ErrRefused)
		}
		hotline.stop()
		time.Sleep(time.Minute)
		if _, err := host.net.Load().Report(context.Background(), ref, feed.FalsePositive); !errors.Is(err, ErrNotConnected) {
			t.Errorf("a report to nobody: got %v, want %v", err, ErrNotConnected)
		}
	})
}

// Our clock is compared with those of at least three peers.
func TestClock(t *testing.T) {
	run(t, func(w *world) {
		host := w.node("host.example")
		var ps []*publisher
		for i := range 4 {
			n := w.node(fmt.Sprintf("p%d.example", i))
			p := n.publishes()
			p.admits(host)
			host.follows(p)
			ps = append(ps, p)
			n.start()
		}
		ps[0].node.skew.Store(int64(3 * time.Hour))
		host.start()
		w.settle(10*time.Second, "all are here", func() bool {
			return !slices.ContainsFunc(ps, func(p *publisher) bool { return host.net.Load().Waiting(p.name) != "" })
		})
		if a, ok := host.alarm(AlarmClock); ok {
			t.Errorf("one peer's clock is wrong, and the alarm is about ours: %v", a)
		}
		host.stop()
		host.skew.Store(-int64(3 * time.Hour))
		host.start()
		w.settle(40*time.Second, "the clock alarm", func() bool { _, ok := host.alarm(AlarmClock); return ok })
		// Hours off, it still gets everything: no clock may delay a retraction.
		ps[1].publish(2)
		ps[1].retract(0)
		w.same(2*time.Second, ps[1].name, ps[1].node, host)
		host.stop()
		host.skew.Store(0)
		host.start()
		w.settle(40*time.Second, "connected", func() bool {
			return host.connected(ps[3].node) && host.connected(ps[2].node) && host.connected(ps[1].node)
		})
		if a, ok := host.alarm(AlarmClock); ok {
			t.Errorf("the clock is right again: %v", a)
		}
	})
}

// A directory that was copied and runs twice is noticed by those who are connected with it, a restart is none.
func TestClone(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.admits(host)
		host.follows(p)
		hotline.start()
		for range 3 {
			host.start()
			w.settle(40*time.Second, "connected", func() bool { return hotline.connected(host) })
			host.stop()
			w.settle(40*time.Second, "disconnected", func() bool { return !hotline.connected(host) })
		}
		if a, ok := hotline.alarm(AlarmClone); ok {
			t.Errorf("restarts raised %v", a)
		}
		host.start()
		clone := w.node("host.example")
		clone.key, clone.id = host.key, host.id
		clone.follows(p)
		clone.start()
		w.settle(2*time.Minute, "the clone alarm", func() bool { _, ok := hotline.alarm(AlarmClone); return ok })
	})
}

// A feed that lists another harm than the operator expects isn't taken in; nor one whose charters aren't the pinned one's.
func TestHarmAndAnchor(t *testing.T) {
	run(t, func(w *world) {
		hotline, host, other := w.node("hotline.example"), w.node("host.example"), w.node("other.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host, other)
		host.roll(func(r *Roll) {
			r.Follows = []Follow{{Feed: p.name, Anchor: p.chain.Anchor(), Publisher: hotline.id.String(), Addrs: []string{hotline.addr()}, Harm: feed.NCII}}
		})
		other.roll(func(r *Roll) {
			r.Follows = []Follow{{Feed: p.name, Anchor: feed.Anchor{1}, Publisher: hotline.id.String(), Addrs: []string{hotline.addr()}}}
		})
		hotline.start()
		host.start()
		other.start()
		w.settle(10*time.Second, "the alarms", func() bool {
			_, harm := host.alarm(AlarmHarm)
			_, anchor := other.alarm(AlarmAnchor)
			return harm && anchor
		})
		if why := host.net.Load().Waiting(p.name); why != "harm differs" {
			t.Errorf("waiting: got %q, want harm differs", why)
		}
		time.Sleep(25 * time.Minute)
		if host.store.snapshot(p.name) != "nothing" || other.store.snapshot(p.name) != "nothing" {
			t.Error("something was taken in")
		}
		if a, ok := host.alarm(AlarmLied); ok {
			t.Errorf("the publisher is blamed: %v", a)
		}
		host.roll(func(r *Roll) { r.Follows[0].Harm = feed.CSAM })
		w.same(time.Minute, p.name, hotline, host)
	})
}

// A publisher that was restored from an old copy is told by a member, before it signs.
func TestOldCopy(t *testing.T) {
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
		old := hotline.store.copyAt(t, p, 3)
		now := hotline.store
		hotline.store = old
		hotline.start()
		if heard, err := hotline.net.Load().HeardMember(p.name); heard || err != nil {
			t.Errorf("before anybody is heard: got %v, %v", heard, err)
		}
		var e *OldCopyError
		w.settle(time.Minute, "the error", func() bool {
			_, err := hotline.net.Load().HeardMember(p.name)
			return errors.As(err, &e)
		})
		if e.Have != 3 || e.Theirs != 5 || e.Peer != host.id.String() {
			t.Errorf("got %+v", e)
		}
		if _, ok := hotline.alarm(AlarmOldCopy); !ok {
			t.Error("no alarm")
		}
		w.settle(time.Minute, "what was lost comes back", func() bool { return hotline.store.snapshot(p.name) == now.snapshot(p.name) })
		hotline.stop()
		hotline.start()
		w.settle(time.Minute, "a member is heard", func() bool {
			heard, err := hotline.net.Load().HeardMember(p.name)
			return heard && err == nil
		})
	})
}

// A publisher that signs two trees is found out as soon as a link joins the two sides.
func TestFork(t *testing.T) {
	for _, sizes := range [][2]int{{5, 5}, {5, 6}, {6, 5}, {5, 700}} {
		t.Run(fmt.Sprint(sizes), func(t *testing.T) {
			run(t, func(w *world) {
				hotline, a, b := w.node("hotline.example"), w.node("a.example"), w.node("b.example")
				p := hotline.publishes()
				p.publish(3)
				p.admits(a, b)
				a.follows(p)
				b.follows(p)
				for _, n := range w.nodes {
					n.start()
				}
				w.same(5*time.Second, p.name, hotline, a, b)
				hotline.stop()
				a.stop()
				b.stop()
				// Two trees, signed with the same keys.
				for i, n := range []*testNode{a, b} {
					var records []feed.Record
					for j := range sizes[i] {
						records = append(records, testRecord(t, 1000*(i+1)+j))
					}
					p.must(p.signAt(n.store, time.Now().Unix()+int64(i), records...))
				}
				a.knows(b)
				b.knows(a)
				a.start()
				b.start()
				w.settle(30*time.Second, "evidence on both sides", func() bool { return a.evidence.Load() == 1 && b.evidence.Load() == 1 })
				if a.store.size(p.origin()) != uint64(3+sizes[0]) || b.store.size(p.origin()) != uint64(3+sizes[1]) {
					t.Error("somebody took in the other's")
				}
				for _, n := range []*testNode{a, b} {
					if _, ok := n.alarm(AlarmEvidence); !ok {
						t.Errorf("no alarm at %s", n.name)
					}
					if al, ok := n.alarm(AlarmLied); ok {
						t.Errorf("%s blames an honest peer: %v", n.name, al)
					}
				}
			})
		})
	}
}

// Named witnesses' lines are passed on with heads, so that everyone sees when the quorum is met.
func TestQuorum(t *testing.T) {
	run(t, func(w *world) {
		hotline, a, b, c := w.node("hotline.example"), w.node("a.example"), w.node("b.example"), w.node("c.example")
		p := hotline.publishes(func(ch *feed.Charter) {
			ch.Quorum = &feed.KeyGroup{K: 2, Keys: []crypto.PublicKey{a.witness.Public(), b.witness.Public()}}
		})
		p.publish(5)
		p.admits(a, b, c)
		for _, n := range []*testNode{a, b, c} {
			n.follows(p)
		}
		for _, n := range w.nodes {
			n.start()
		}
		cosigned := func(size uint64, nodes ...*testNode) func() bool {
			return func() bool {
				return !slices.ContainsFunc(nodes, func(n *testNode) bool {
					cp, ok := n.store.Seen(p.origin(), size)
					return !ok || len(cp.Cosigned) != 2
				})
			}
		}
		w.settle(10*time.Second, "the quorum everywhere", cosigned(5, w.nodes...))
		if got := hotline.store.receipts(p.origin(), 5); !slices.Equal(got, []string{"a.example/witness", "b.example/witness", "c.example/witness"}) {
			t.Errorf("receipts of %v", got)
		}
		if cp, _ := c.store.Head(p.origin()); slices.ContainsFunc(cp.Cosigned, func(s feed.Cosignature) bool { return s.Key == c.witness.Public() }) {
			t.Error("the line of an unnamed witness was passed on")
		}
		// Cosignatures of a size that is past when they arrive count, too.
		for range 12 {
			p.publish(1)
			time.Sleep(900 * time.Millisecond)
		}
		met := 0
		for _, size := range []uint64{6, 7, 8, 9, 10, 11, 12, 13, 14, 15} {
			if cosigned(size, c)() {
				met++
			}
		}
		if met == 0 {
			t.Error("under steady publishing no quorum was met")
		}
		if met > 4 {
			t.Errorf("%d sizes cosigned in 11 s: more than one every 5 s", met)
		}
		// A retraction is cosigned at once.
		time.Sleep(time.Second)
		p.retract(0)
		size := hotline.store.size(p.origin())
		if took := w.settle(5*time.Second, "the retraction's quorum", cosigned(size, c)); took > 500*time.Millisecond {
			t.Errorf("a retraction was cosigned everywhere after %v", took)
		}
	})
}

// A body that nobody had when its record came is found later.
func TestMissingBody(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(300)
		p.admits(host)
		host.follows(p)
		lost := hotline.store.loseBody(p.origin(), 17)
		hotline.store.loseBody(p.origin(), 280)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		time.Sleep(10 * time.Minute)
		hotline.store.SetBody(p.origin(), 17, lost)
		w.settle(time.Hour, "the body", func() bool { return host.bodies.Load() == 1 })
		r, err := host.store.Record(p.origin(), 17)
		if err != nil || string(r.Body) != string(lost) {
			t.Errorf("got another body, %v", err)
		}
	})
}

// Our own full disk is our own matter: an alarm, no peer blamed, and it goes on when there is room.
func TestFullDisk(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		host.store.setFull(true)
		p.publish(5)
		w.settle(10*time.Second, "the store alarm", func() bool { _, ok := host.alarm(AlarmStore); return ok })
		time.Sleep(30 * time.Minute)
		if a, ok := host.alarm(AlarmLied); ok || !host.connected(hotline) {
			t.Errorf("the peer pays for our disk: %v", a)
		}
		host.store.setFull(false)
		w.same(time.Minute, p.name, hotline, host)
		if a, ok := host.alarm(AlarmStore); ok {
			t.Errorf("there is room again: %v", a)
		}
	})
}

// What the store has although one of its followers failed isn't fetched again.
func TestFollowerFails(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		commits := host.store.committed()
		host.store.mutinies(errors.New("the tables are full"))
		p.publish(20_000)
		w.same(20*time.Second, p.name, hotline, host)
		if n := host.store.committed() - commits; n > 20_000/feedWindow+2 {
			t.Errorf("%d commits", n)
		}
		if host.log.contains("INFO fetch") {
			t.Error("a fetch counts as failed")
		}
		if _, ok := host.alarm(AlarmStore); !ok {
			t.Error("no alarm")
		}
	})
}

// However often a peer was lost, it is looked for again at once: only who never answers is dialled rarely.
func TestReconnect(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		host.hidden = true // only it dials
		p := hotline.publishes()
		p.admits(host)
		host.follows(p)
		host.start()
		for range 8 {
			hotline.start()
			w.settle(35*time.Second, "connected", func() bool { return host.connected(hotline) && hotline.connected(host) })
			time.Sleep(time.Minute)
			hotline.stop()
			w.settle(45*time.Second, "disconnected", func() bool { return !host.connected(hotline) })
			time.Sleep(3 * time.Second)
			hotline.start()
			if took := w.settle(35*time.Second, "connected again", func() bool { return host.connected(hotline) }); took > 10*time.Second {
				t.Errorf("reconnected after %v", took)
			}
			hotline.stop()
			time.Sleep(10 * time.Minute)
		}
	})
}

// An idle publisher's stamps arrive and cause no cosignatures.
func TestRestamp(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		w.settle(10*time.Second, "a receipt", func() bool { return hotline.store.cosignatures(p.origin(), 5) == 1 })
		before := hotline.store.cosignatures(p.origin(), 5)
		for range 5 {
			time.Sleep(time.Hour)
			p.publish(0)
			w.same(time.Second, p.name, hotline, host)
		}
		if n := hotline.store.cosignatures(p.origin(), 5); n != before {
			t.Errorf("%d cosignatures of one size, want %d", n, before)
		}
	})
}

// Twenty nodes, five of them publishers, join, stop, are cut off and come back at random. In the end all have the same.
func TestTwentyNodes(t *testing.T) {
	seeds, steps := []uint64{1, 2, 3}, 40
	if testing.Short() {
		seeds, steps = seeds[:1], 20
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(w *world) {
				chance := seeded(t, seed)
				var ps []*publisher
				for i := range 20 {
					n := w.node(fmt.Sprintf("n%d.example", i))
					if i < 5 {
						ps = append(ps, n.publishes())
					}
				}
				for _, p := range ps {
					for _, n := range w.nodes {
						if n != p.node {
							n.follows(p)
						}
					}
				}
				p := func() *publisher { return ps[chance.IntN(len(ps))] }
				for _, i := range chance.Perm(20) {
					if chance.IntN(3) > 0 {
						w.nodes[i].start()
					}
					time.Sleep(time.Duration(chance.IntN(3000)) * time.Millisecond)
				}
				for _, q := range ps {
					q.admits(w.nodes...)
				}
				for range steps {
					n := w.nodes[chance.IntN(20)]
					switch chance.IntN(8) {
					case 0:
						n.stop()
					case 1, 2:
						if n.net.Load() == nil {
							n.start()
						}
					case 3:
						groups := map[string]int{}
						for _, m := range w.nodes {
							groups[m.ip] = chance.IntN(2)
						}
						w.sever(func(a, b string) bool { return groups[a] != groups[b] })
					case 4:
						w.sever(nil)
					case 5:
						if q := p(); q.records > 0 {
							q.retract(chance.IntN(q.records))
						}
					case 6:
						p().suspend(0)
					default:
						p().publish(1 + chance.IntN(300))
					}
					time.Sleep(time.Duration(chance.IntN(20_000)) * time.Millisecond)
				}
				w.sever(nil)
				for _, n := range w.nodes {
					if n.net.Load() == nil {
						n.start()
					}
				}
				for _, q := range ps {
					took := w.same(2*time.Minute, q.name, w.nodes...)
					t.Logf("%s: %s after %v", q.name, q.node.store.snapshot(q.name), took)
				}
				for _, n := range w.nodes {
					for _, a := range n.net.Load().Alarms() {
						t.Errorf("alarm at %s: %s: %s", n.name, a.Code, a.Text)
					}
				}
			})
		})
	}
}
