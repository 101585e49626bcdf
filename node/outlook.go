package node

import (
	"time"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// outlook is what the answers to all hashes have in common: the policy, what is known of each feed, which kinds are listed, and so what a hash
// is answered that matches nothing. It is immutable, and made anew when anything that it was made of has changed: to look that up takes
// nanoseconds a feed, to make it microseconds.
type outlook struct {
	policy *policy.Policy
	views  *[]*view
	second int64    // of the clock: ages are told in seconds
	seen   []glance // of each view that is a feed's, in order
	reach  int      // the largest distance of a pdq that any rule lets count
	square int      // and of a photodna
	listed []feed.Alg
	misses *policy.Misses
}

// glance is what a view's part of an outlook was made of.
type glance struct {
	view    *view
	reading *reading
	frozen  *freeze
	stopped bool
	size    uint64
	age     policy.Age
	listed  uint8 // a bit for each kind
}

// glanceAt looks at a view.
func (n *Node) glanceAt(v *view, now time.Time) glance {
	r := v.reading.Load()
	g := glance{view: v, reading: r, frozen: v.frozen.Load(), size: n.store.Size(r.origin), age: r.age(now)}
	_, g.stopped = v.state.Stopped()
	for alg := feed.MD5; alg <= feed.VPDQ; alg++ {
		if v.listed[alg].Load() > 0 {
			g.listed |= 1 << alg
		}
	}
	return g
}

// outlookAt is the outlook at now.
func (n *Node) outlookAt(now time.Time) *outlook {
	if o := n.outlook.Load(); o != nil && o.holds(n, now) {
		return o
	}
	o := &outlook{policy: n.policy.Load(), views: n.views.Load(), second: now.Unix(), reach: selfTestReach}
	for _, r := range o.policy.Rules {
		o.reach, o.square = max(o.reach, r.MaxDistance), max(o.square, r.MaxSquare)
	}
	var heads []policy.Head
	for _, v := range *o.views {
		if v == nil || v.state == nil {
			continue
		}
		g := n.glanceAt(v, now)
		o.seen = append(o.seen, g)
		heads = append(heads, n.headOf(v, now))
		for alg := feed.MD5; alg <= feed.VPDQ; alg++ {
			if g.listed&(1<<alg) != 0 {
				o.listed = append(o.listed, alg)
			}
		}
	}
	o.misses = policy.NewMisses(o.listed, matchable, heads)
	if o.holds(n, now) { // nothing has changed meanwhile
		n.outlook.Store(o)
	}
	return o
}

// holds tells whether o would be made the same at now.
func (o *outlook) holds(n *Node, now time.Time) bool {
	if o.policy != n.policy.Load() || o.views != n.views.Load() || o.second != now.Unix() {
		return false
	}
	for i := range o.seen {
		if g := &o.seen[i]; n.glanceAt(g.view, now) != *g {
			return false
		}
	}
	return true
}
