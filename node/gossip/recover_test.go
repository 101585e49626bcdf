package gossip

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
)

// recovers calls Recover in the story's time.
func (n *testNode) recovers(p *publisher) (*OldCopyError, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	return n.net.Load().Recover(ctx, p.name)
}

// TestRecover: what an old copy lacks comes back from members, and then it may be signed, without a restart.
func TestRecover(t *testing.T) {
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
		w.same(5*time.Second, p.name, w.nodes...)
		if missing, err := hotline.recovers(p); missing != nil || err != nil {
			t.Errorf("nothing is missing: got %v, %v", missing, err)
		}
		b.stop() // it has 5
		p.publish(700)
		w.same(10*time.Second, p.name, hotline, a)
		now := hotline.store
		hotline.stop()
		hotline.store = now.copyAt(t, p, 3)
		a.stop()
		b.start()
		hotline.start()
		w.settle(time.Minute, "b shows that this is an old copy", func() bool {
			_, err := hotline.net.Load().HeardMember(p.name)
			var old *OldCopyError
			return errors.As(err, &old) && old.Have == 3 && old.Theirs == 5
		})
		// What b has is here by now; a has more, which is heard of before it is too late.
		a.start()
		w.settle(time.Minute, "a is connected", func() bool { return hotline.connected(a) })
		missing, err := hotline.recovers(p)
		if err != nil || missing == nil || missing.Have != 3 || missing.Theirs != 705 || missing.Peer != a.id.String() {
			t.Fatalf("got %+v, %v", missing, err)
		}
		if got := hotline.store.snapshot(p.name); got != now.snapshot(p.name) {
			t.Errorf("got %s, want %s", got, now.snapshot(p.name))
		}
		if heard, err := hotline.net.Load().HeardMember(p.name); !heard || err != nil {
			t.Errorf("after recovery: got %v, %v", heard, err)
		}
		if al, ok := hotline.alarm(AlarmOldCopy); ok {
			t.Errorf("still there: %v", al)
		}
		p.publish(1)
		w.same(10*time.Second, p.name, w.nodes...)
		for _, n := range w.nodes {
			if n.evidence.Load() != 0 {
				t.Errorf("%s has evidence", n.name)
			}
		}
	})
}

// TestRecoverFails: nobody is there; who is there hands nothing out; two logs were signed.
func TestRecoverFails(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(5)
		p.admits(host)
		host.follows(p)
		hotline.start()
		if _, err := hotline.recovers(p); !errors.Is(err, ErrNotHeard) {
			t.Errorf("nobody is there: got %v", err)
		}
		if _, err := host.start().net.Load().Recover(context.Background(), p.name); err == nil {
			t.Error("a follower recovered a feed that isn't its own")
		}
		w.same(time.Minute, p.name, hotline, host)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		hotline.stop()
		hotline.store = hotline.store.copyAt(t, p, 3)
		hotline.start()
		hotline.store.setFull(true)
		w.settle(time.Minute, "it is an old copy", func() bool {
			_, err := hotline.net.Load().HeardMember(p.name)
			return err != nil
		})
		if _, err := hotline.net.Load().Recover(ctx, p.name); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: got %v", err)
		}
		if _, err := hotline.recovers(p); err == nil || errors.Is(err, ErrNotHeard) {
			t.Errorf("nothing can be stored: got %v", err)
		}
		hotline.store.setFull(false)
		if missing, err := hotline.recovers(p); err != nil || missing == nil {
			t.Errorf("it can again: got %v, %v", missing, err)
		}
		// Signed on an old copy, whatever was said: there is no way back from that.
		hotline.stop()
		hotline.store = hotline.store.copyAt(t, p, 3)
		p.records = 100
		p.must(p.signAt(hotline.store, time.Now().Unix(), testRecord(t, 100), testRecord(t, 101)))
		hotline.start()
		w.settle(time.Minute, "evidence", func() bool { return hotline.evidence.Load() == 1 && host.evidence.Load() == 1 })
		if _, err := hotline.recovers(p); err == nil || !strings.Contains(err.Error(), "two things") {
			t.Errorf("recovered what has said two things: %v", err)
		}
	})
}

// TestTwiceRun: a copied directory that runs beside the first signs nothing more once the first has: it asks a member of its own accord,
// though that speaks to the first alone.
func TestTwiceRun(t *testing.T) {
	run(t, func(w *world) {
		hotline, host := w.node("hotline.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(3)
		p.admits(host)
		host.follows(p)
		hotline.start()
		host.start()
		w.same(5*time.Second, p.name, hotline, host)
		copied := hotline.store.copyAt(t, p, 3)
		p.publish(2)
		w.same(5*time.Second, p.name, hotline, host)
		twin := w.node("hotline.example")
		twin.key, twin.id, twin.store = hotline.key, hotline.id, copied
		twin.store.follow = func(name feed.Name, b *feed.Batch) {
			if net := twin.net.Load(); net != nil {
				net.Committed(name, b)
			}
		}
		twin.roll(func(r *Roll) { r.Own = append(r.Own, p.name) })
		twin.knows(host)
		twin.start()
		w.settle(time.Minute, "the copy finds out", func() bool {
			_, err := twin.net.Load().HeardMember(p.name)
			var old *OldCopyError
			return errors.As(err, &old) && old.Have == 3 && old.Theirs == 5
		})
		w.settle(2*time.Minute, "the member's alarm", func() bool { _, ok := host.alarm(AlarmClone); return ok })
		if hotline.evidence.Load()+twin.evidence.Load()+host.evidence.Load() != 0 {
			t.Error("somebody froze the feed")
		}
	})
}
