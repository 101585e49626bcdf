package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// disputed is a statement as the policy wants it. Of a report in the disputed feed itself its head's time counts, as far as its log's stamps bear it
// out; of others' disputes only the stamps do, since one that is dated back would be overdue at once.
func (n *Node) disputed(t statement) policy.Dispute {
	d := policy.Dispute{Publisher: t.by.Publisher(), Own: t.own && t.ticket == nil, Report: t.ticket != nil, At: t.time}
	if t.at.Index >= n.store.Size(t.at.Origin) {
		return d // it awaits approval
	}
	at, ok := n.said.stood.Load(t.at)
	if !ok {
		if stamps := n.stampsOf(t.by); d.Report {
			at = stamps.since(t.at.Position())
		} else {
			at = stamps.shown(t.at.Position())
		}
		n.said.stood.Store(t.at, at)
	}
	d.At = at.(int64)
	return d
}

// upholdHere ends what this node itself holds against a record: its doubts about it, and where it is another publisher's, its own
// disputes. It returns the item's reference if it released one, and whether there is nothing left to answer.
func (n *Node) upholdHere(ctx context.Context, ref feed.Ref) (p api.Published, over bool, err error) {
	v, item, err := n.item(ref)
	if err != nil {
		return p, false, err
	}
	released, err := n.settle(v, item)
	if err != nil {
		return p, false, err
	}
	if released {
		p.Ref = v.name.Ref(v.state.Item(item).First()).String()
	}
	if v.own {
		return p, false, nil
	}
	for _, t := range n.said.standing(n, v, item) {
		if t.op != feed.OpDispute || !t.own {
			continue
		}
		own := n.viewNamed(t.by)
		if b, err := n.pendingOf(own); err != nil {
			return p, false, err
		} else if b != nil {
			return p, false, n.waits(b)
		}
		record, err := n.resolution(t, feed.Upheld)
		if err != nil {
			return p, false, err
		}
		published, err := n.signOne(ctx, own, record)
		if err != nil {
			return p, false, err
		}
		return published, true, nil // a feed disputes an item once
	}
	if !released {
		return p, false, conflict("%s is another publisher's record, and this node holds nothing against it", ref)
	}
	return p, true, nil
}

// resolution answers a dispute.
func (n *Node) resolution(t statement, outcome feed.Reason) (feed.Record, error) {
	dispute, err := n.store.Record(t.at.Origin, t.at.Index)
	if err != nil {
		return feed.Record{}, err
	}
	return headRecord(feed.Head{Op: feed.OpResolve, Time: n.unix(), Reason: outcome,
		Subject: feed.Subject{Origin: t.at.Origin, Index: t.at.Index, Leaf: feed.LeafHash(dispute.Head)}}, nil)
}

// openDisputes are the disputes of own items that nobody has answered, the most pressing first. What waits for a second signer counts.
func (n *Node) openDisputes() []api.OpenDispute {
	open := []api.OpenDispute{}
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil || !v.own {
			continue
		}
		answer := v.reading.Load().charter.Answer.Duration()
		say := func(item uint32, by, reason string, report bool, at int64) {
			d := policy.Dispute{At: at}
			until := d.Deadline(answer)
			open = append(open, api.OpenDispute{Ref: v.name.Ref(v.state.Item(item).First()).String(), By: by, Report: report, Reason: reason,
				Since: timeText(at), Until: timeText(until), Overdue: n.unix() > until})
		}
		logged := map[string]bool{} // tickets
		for _, item := range n.said.disputedItems(v) {
			if v.state.Item(item).Retracted() {
				continue
			}
			for _, t := range n.said.standing(n, v, item) {
				if t.op == feed.OpDispute {
					d := n.disputed(t)
					say(item, d.Publisher, t.reason.String(), d.Report, d.At)
					if t.ticket != nil {
						logged[fmt.Sprintf("%x", *t.ticket)] = true
					}
				}
			}
		}
		queue, err := n.readQueue(v)
		if err != nil {
			n.log.Error("read the reports that wait", "feed", string(v.name), "err", err)
		}
		for _, q := range queue {
			ref, err := feed.ParseRef(q.Ref)
			item, ok := v.state.ItemAt(ref.Position())
			if err == nil && ok && !logged[q.Ticket] && !n.logged(v, q) && !v.state.Item(item).Retracted() {
				say(item, v.name.Publisher(), q.Reason, true, q.Time)
			}
		}
	}
	slices.SortStableFunc(open, func(a, b api.OpenDispute) int { return strings.Compare(a.Until, b.Until) })
	return open
}

// disputedItems are the items of a view that anybody has said something of, ascending.
func (s *statements) disputedItems(v *view) []uint32 {
	var items []uint32
	s.of.Range(func(key, value any) bool {
		ref := key.(feed.Ref)
		if ref.Origin.Name() == v.name && slices.ContainsFunc(value.([]statement), func(t statement) bool { return t.op == feed.OpDispute }) {
			if item, ok := v.state.ItemAt(ref.Position()); ok {
				items = append(items, item)
			}
		}
		return true
	})
	if a := v.awaits.Load(); a != nil {
		for ref := range a.said {
			if item, ok := v.state.ItemAt(ref.Position()); ok && ref.Origin.Name() == v.name {
				items = append(items, item)
			}
		}
	}
	slices.Sort(items)
	return slices.Compact(items)
}

// alarmDisputes tells a publisher what to answer, and until when.
func alarmDisputes(open []api.OpenDispute, say func(code, about, text, remedy string, since time.Time)) {
	for i, d := range open {
		ref, _ := feed.ParseRef(d.Ref)
		since, _ := time.Parse(time.RFC3339, d.Since)
		if i == maxDisputesTold {
			say("dispute", "", fmt.Sprintf("%d more disputes wait for an answer", len(open)-i), "hashfeed status --json lists them all", since)
			break
		}
		by := d.By
		if d.Report {
			by = "a member"
		}
		text := fmt.Sprintf("%s is disputed by %s as %s: to be answered until %s", d.Ref, by, d.Reason, d.Until)
		if d.Overdue {
			text = fmt.Sprintf("%s is disputed by %s as %s: the answer was due on %s, and until it comes nobody blocks by this record", d.Ref, by, d.Reason, d.Until)
		}
		say("dispute", string(ref.Origin.Name()), text, fmt.Sprintf("hashfeed resolve '%s' --uphold, or --retract", d.Ref), since)
	}
}
