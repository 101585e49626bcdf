package node

import (
	"fmt"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
)

const day = 24 * 3600

// charterWarnDays are how many days before its end a charter's expiry is an alarm, each time anew (WIRE §4); the last is its end.
var charterWarnDays = []int64{30, 7, 1, 0}

// rootGraceDays is how long the root key of a feed that others read may lie on the node before that is an alarm.
const rootGraceDays = 14

// daysLeft is how many whole days a charter has left; -1 within the first day after.
func daysLeft(c feed.Charter, now int64) int64 {
	left := c.Expires - now
	if left < 0 {
		left -= day - 1 // so that the division rounds down
	}
	return left / day
}

// charterAlarms is what a charter asks an operator to do.
func (n *Node) charterAlarms(v *view, now time.Time) []api.Alarm {
	charter := v.reading.Load().chain.Newest()
	var alarms []api.Alarm
	if a, ok := expiryAlarm(charter, v.own, now.Unix()); ok {
		alarms = append(alarms, a)
	}
	if opened, ok := n.store.Opened(v.name.Log(1)); ok && v.own && charter.Roster != nil && now.Unix()-opened > rootGraceDays*day && n.keys.hasRoot(v.name) {
		alarms = append(alarms, api.Alarm{Code: "root", Feed: string(v.name), Since: timeText(opened + rootGraceDays*day),
			Text: "the root key lies on this node: whoever breaks in has the feed for ever",
			Remedy: fmt.Sprintf("move it to a machine without a network (docs/operating.md, \"The root key leaves the node\"), or give the feed another: "+
				"hashfeed feed charter propose %s --root 1 --root-key VKEY --out FILE", v.name.Short())})
	}
	return alarms
}

// expiryAlarm says that a charter expires within 30, 7 or 1 days, or has expired. Each of the four is an alarm of its own by its time.
func expiryAlarm(c feed.Charter, own bool, now int64) (api.Alarm, bool) {
	left := c.Expires - now
	a := api.Alarm{Code: "charter", Feed: string(c.Feed)}
	for _, days := range charterWarnDays {
		if at := c.Expires - days*day; now >= at {
			a.Since = timeText(at)
		}
	}
	if a.Since == "" {
		return a, false
	}
	switch days := left / day; {
	case c.Expired(now):
		a.Text = fmt.Sprintf("the charter expired on %s: no addition counts any more, retractions do", timeText(c.Expires))
	case days < 1:
		a.Text = fmt.Sprintf("the charter expires on %s, within a day", timeText(c.Expires))
	default:
		a.Text = fmt.Sprintf("the charter expires on %s, in %d days", timeText(c.Expires), days)
	}
	a.Remedy = fmt.Sprintf("its publisher signs the next version: ask %s", c.Contact)
	if own {
		a.Remedy = fmt.Sprintf("hashfeed feed charter propose %s --out FILE, then feed charter sign FILE where the root key is, then feed charter publish FILE", c.Feed.Short())
	}
	return a, true
}
