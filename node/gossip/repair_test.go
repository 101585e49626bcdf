package gossip

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"hashfeed/feed"
)

// knowsThat is how many peers the node knows to have what it has of a log.
func (n *testNode) knowsThat(origin feed.Origin) (peers int) {
	head, _ := n.store.Head(origin)
	for _, l := range n.net.Load().everyLink() {
		if m, ok := l.claimed(origin); ok && m.Size >= head.Size {
			peers++
		}
	}
	return peers
}

// A lost bundle comes from whoever has it: who sends another is passed over, and where nobody is left the error says so.
func TestPart(t *testing.T) {
	run(t, func(w *world) {
		hotline, liaison, host := w.node("hotline.example"), w.node("liaison.example"), w.node("host.example")
		p := hotline.publishes()
		p.publish(300)
		p.admits(liaison, host)
		liaison.follows(p)
		host.follows(p)
		liaison.knows(host)
		host.knows(liaison)
		for _, n := range []*testNode{hotline, liaison, host} {
			n.start()
		}
		w.same(10*time.Second, p.name, hotline, liaison, host)
		// Until the host knows that both have it: of two that have told each other the same head at the same moment, one may not know until the next.
		for range 10 {
			time.Sleep(time.Minute)
			if host.knowsThat(p.origin()) == 2 {
				break
			}
			p.publish(1)
		}
		path := feed.Part{Kind: feed.PartEntries, N: 0, Width: feed.TileWidth}.Path()
		want, err := hotline.store.Part(p.origin(), path, 300)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		if err := host.net.Load().Part(context.Background(), p.origin(), path, func(data []byte) error {
			if asked++; asked == 1 {
				return errors.New("not this one") // as if the first peer had sent another
			}
			if !bytes.Equal(data, want) {
				t.Error("got another bundle")
			}
			return nil
		}); err != nil || asked != 2 {
			t.Errorf("got %v after %d peers, want none after 2", err, asked)
		}
		refused := errors.New("no")
		if err := host.net.Load().Part(context.Background(), p.origin(), path, func([]byte) error { return refused }); !errors.Is(err, refused) {
			t.Errorf("all refused: got %v, want the last refusal", err)
		}
		if err := host.net.Load().Part(context.Background(), "other.example/known/1", path, func([]byte) error { return nil }); err == nil {
			t.Error("of a feed that isn't carried: got no error")
		}
		hotline.stop()
		liaison.stop()
		time.Sleep(2 * time.Minute)
		if err := host.net.Load().Part(context.Background(), p.origin(), path, func([]byte) error { return nil }); !errors.Is(err, errNobody) {
			t.Errorf("nobody there: got %v, want errNobody", err)
		}
	})
}
