package gossip

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// checkClock compares our clock with the median of those of our peers. Fewer than three say nothing: it may as well be theirs.
func (n *Network) checkClock() {
	var skews []time.Duration
	for _, l := range n.everyLink() {
		l.mu.Lock()
		if l.hello != nil {
			skews = append(skews, l.skew)
		}
		l.mu.Unlock()
	}
	skew, ok := medianSkew(skews)
	if !ok {
		return
	}
	if skew.Abs() <= clockSkew {
		n.alarms.clear(AlarmClock, "")
		return
	}
	way := "slow"
	if skew < 0 {
		way = "fast"
	}
	n.alarms.raise(AlarmClock, "", "", fmt.Sprintf("this node's clock is %s by %s against %d peers", way, skew.Abs(), len(skews)), "set the clock (NTP)")
}

// medianSkew is the median, and whether there are enough to say anything. Of an even number it is the one nearer to zero, in doubt for us.
func medianSkew(skews []time.Duration) (time.Duration, bool) {
	if len(skews) < clockPeers {
		return 0, false
	}
	skews = slices.Clone(skews)
	slices.Sort(skews)
	a, b := skews[(len(skews)-1)/2], skews[len(skews)/2]
	if b.Abs() < a.Abs() {
		a = b
	}
	return a, true
}

// runs remembers the instances of peers, to tell a restart from a directory that is in use twice: after a restart the old instance never
// speaks again, two copies take turns.
type runs struct {
	mu  sync.Mutex
	all map[peer.ID][][8]byte
}

// seen notes an instance of a peer and says whether another one of it has spoken since this one did.
func (r *runs) seen(p peer.ID, instance [8]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[peer.ID][][8]byte{}
	}
	known := r.all[p]
	at := slices.Index(known, instance)
	if at >= 0 {
		return at != len(known)-1
	}
	r.all[p] = append(known[max(0, len(known)-7):len(known):len(known)], instance)
	return false
}

func (n *Network) checkClone(p peer.ID, h *hello) {
	if n.runs.seen(p, [8]byte(h.Instance)) {
		n.alarms.raise(AlarmClone, p.String(), "", "two nodes run as "+n.called(p)+": its directory was copied",
			"tell whoever runs it to stop one of them: two that sign contradict each other")
	}
}
