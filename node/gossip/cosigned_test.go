package gossip

import (
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// A far member hears of the witness's line while it still fetches what was witnessed. The line counts all the same: without it the
// addition would stay pending there until the publisher speaks again.
func TestCosignedWhileFetching(t *testing.T) {
	run(t, func(w *world) {
		hotline, witness, host := w.node("hotline.example"), w.node("witness.example"), w.node("host.example")
		p := hotline.publishes(func(c *feed.Charter) {
			c.Quorum = &feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{witness.witness.Public()}}
		})
		p.admits(witness, host)
		witness.follows(p)
		host.follows(p)
		for _, n := range w.nodes {
			n.start()
		}
		w.same(5*time.Second, p.name, hotline, witness, host)
		time.Sleep(10 * time.Second)
		w.delay(host, 400*time.Millisecond)
		for range 5 {
			p.publish(1)
			time.Sleep(7 * time.Second) // a witness cosigns every 5 s
			for _, n := range w.nodes {
				head, _ := n.store.Head(p.origin())
				if head.Size != uint64(p.records) || len(head.Cosigned) != 1 {
					t.Errorf("%s: head of size %d with %d lines of the witness, want %d with 1", n.name, head.Size, len(head.Cosigned), p.records)
				}
			}
		}
	})
}
