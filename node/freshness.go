package node

import (
	"context"
	"fmt"
	"time"

	"hashfeed/node/policy"
)

const (
	// stampEvery is how often an own feed is stamped, whether or not it has grown (WIRE §3: at least hourly).
	stampEvery = 55 * time.Minute
	// stampLook is how often the node looks whether a stamp is due.
	stampLook = time.Minute
	// maxAhead is how far in the future a stamp may be, for clocks that differ (WIRE §3).
	maxAhead = 300 * time.Second
)

// age is how far the newest stamp can be trusted to be the newest there is.
func (r *reading) age(now time.Time) policy.Age {
	return policy.AgeOf(r.head.Stamp, r.charter.SoftAge.Duration(), r.charter.HardAge.Duration(), now)
}

// ageOf is a stamp's age in seconds; one from the future has none.
func ageOf(stamp int64, now time.Time) int64 { return max(0, now.Unix()-stamp) }

func stampText(stamp int64, now time.Time) string {
	if ahead := time.Duration(stamp-now.Unix()) * time.Second; ahead > maxAhead {
		return fmt.Sprintf("the newest stamp is %s in the future: it isn't counted as fresh; a clock is wrong, its publisher's or this node's", ahead)
	}
	return fmt.Sprintf("the newest stamp is %s old", time.Duration(ageOf(stamp, now))*time.Second)
}

// stampDue stamps the own feeds whose newest stamp is old, and renews their rosters.
func (n *Node) stampDue(ctx context.Context) {
	for _, v := range *n.views.Load() {
		if v == nil || !v.own || ctx.Err() != nil {
			continue
		}
		if err := n.renewRoster(v); err != nil {
			n.log.Warn("renew roster", "feed", v.name, "err", err)
		}
		if err := n.carryOn(ctx, v); err != nil {
			n.log.Warn("batch that awaits approval", "feed", v.name, "err", err)
		}
		if head := v.reading.Load().head; head.IsZero() || n.unix()-head.Stamp < int64(stampEvery/time.Second) {
			continue // a stamp from the future can't be undone: it is waited for, and alarmed about
		}
		if err := n.stamp(ctx, v); err != nil {
			n.log.Warn("stamp", "feed", v.name, "err", err)
		}
	}
}

func (n *Node) stamp(ctx context.Context, v *view) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	_, err := n.sign(ctx, v, nil)
	return err
}

// alarmStamps tells a publisher that members take its feed for stale: the daemon runs and can't stamp, or a clock was wrong when it did.
func (n *Node) alarmStamps(say func(code, about, text, remedy string, since time.Time)) {
	if n.network.Load() == nil {
		return
	}
	now := n.now()
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil || !v.own {
			continue
		}
		r := v.reading.Load()
		if roster, ok := n.store.Roster(v.name); !ok || len(roster.Members) == 0 || r.age(now) == policy.Fresh {
			continue
		}
		say("stamp", string(v.name), "members take this feed for stale: "+stampText(r.head.Stamp, now),
			"set the clock (NTP); see the log for why it isn't stamped; a stamp from the future ends only with its time, or with the log", time.Unix(r.head.Stamp, 0))
	}
}
