package node

import (
	"context"
	"fmt"
	"slices"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// ownItem finds the item of an own feed that a record belongs to.
func (n *Node) ownItem(ref feed.Ref) (*view, *feed.Item, error) {
	v, item, err := n.item(ref)
	if err != nil {
		return nil, nil, err
	}
	if !v.own {
		return nil, nil, refused("%s is not this node's own record: it can be disputed, not changed", ref)
	}
	return v, v.state.Item(item), nil
}

// item finds the item that a record belongs to: its add, or any later record of it.
func (n *Node) item(ref feed.Ref) (*view, uint32, error) {
	v := n.viewNamed(ref.Origin.Name())
	if v == nil {
		return nil, 0, notFound("there is no feed %s here", ref.Origin.Name())
	}
	item, ok := v.state.ItemAt(ref.Position())
	if ok {
		return v, item, nil
	}
	if ref.Index >= n.store.Size(ref.Origin) {
		return nil, 0, notFound("there is no record %s", ref)
	}
	return nil, 0, refused("%s is a record of no item: it is void, or a statement about another", ref)
}

// Retract takes an item off the list, everywhere. It needs no quorum, and a charter that has expired doesn't stop it.
func (n *Node) Retract(ctx context.Context, ref feed.Ref, reason feed.Reason) (api.Published, error) {
	if !reason.Fits(feed.OpRetract) {
		return api.Published{}, refused("reason %s is not one of a retraction", reason)
	}
	n.signing.Lock()
	defer n.signing.Unlock()
	v, it, err := n.ownItem(ref)
	if err != nil {
		return api.Published{}, err
	}
	if it.Retracted() {
		return api.Published{}, conflict("already retracted")
	}
	record, err := n.retraction(it, reason)
	if err != nil {
		return api.Published{}, err
	}
	until, _ := n.holdMeanwhile(v, it)
	published, err := n.signOne(ctx, v, record)
	if err != nil {
		return api.Published{}, stillHeld(err, until)
	}
	published.Until = until
	return published, nil
}

func (n *Node) retraction(it *feed.Item, reason feed.Reason) (feed.Record, error) {
	return headRecord(feed.Head{Op: feed.OpRetract, Time: n.unix(), Item: it.ID(), Rev: it.Rev() + 1, Targets: it.Records(), Reason: reason}, nil)
}

// Revise adds to what a record says of its item, or reinstates a retracted one.
func (n *Node) Revise(ctx context.Context, ref feed.Ref, r api.Revision) (api.Published, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	v, it, err := n.ownItem(ref)
	if err != nil {
		return api.Published{}, err
	}
	switch {
	case it.Retracted() && !r.Reinstate:
		return api.Published{}, conflict("the item is retracted: --reinstate lists it again")
	case !it.Retracted() && r.Reinstate:
		return api.Published{}, conflict("the item is not retracted: there is nothing to reinstate")
	}
	before, err := n.latestBody(v, it)
	if err != nil {
		return api.Published{}, err
	}
	hashes, err := parseHashes(r.Hashes)
	if err != nil {
		return api.Published{}, err
	}
	for _, h := range before.Hashes {
		if !slices.ContainsFunc(hashes, func(e feed.Hash) bool { return exactKey(e) == exactKey(h) }) {
			hashes = append(hashes, h)
		}
	}
	facts, source := before.Facts, before.Source
	if r.Verdict != "" {
		if facts.Verdict, err = feed.ParseVerdict(r.Verdict); err != nil {
			return api.Published{}, badRequest(err)
		}
	}
	if override, err := parseOverride(r.OverrideKnownGood); err != nil {
		return api.Published{}, err
	} else if override != 0 {
		facts.Override = override
	}
	if err := n.guardKnownGood(hashes, facts.Override); err != nil {
		return api.Published{}, err
	}
	newSource, err := setFacts(&facts, r.VerifiedBy, r.Severity, r.AgeBand, r.NotBefore, r.Source)
	if err != nil {
		return api.Published{}, err
	}
	if newSource != nil {
		source = newSource
	}
	records := it.Records()
	record, err := makeRecord(feed.Head{Op: feed.OpRevise, Time: n.unix(), Item: it.ID(), Rev: it.Rev() + 1,
		Target: records[len(records)-1], Reinstate: r.Reinstate}, hashes, facts, source)
	if err != nil {
		return api.Published{}, badRequest(err)
	}
	published, err := n.signOne(ctx, v, record)
	published.Hashes = hexByKind(hashes)
	return published, err
}

// latestBody is the newest body of an item that is here and lists something.
func (n *Node) latestBody(v *view, it *feed.Item) (feed.Body, error) {
	return listedBody(it, n.reader(v))
}

// bodyHere is latestBody where none needs to be here.
func (n *Node) bodyHere(v *view, it *feed.Item) (body feed.Body, ok bool, err error) {
	return newestBody(it, n.reader(v))
}

// reader reads records of a feed.
func (n *Node) reader(v *view) func(feed.Position) (feed.Record, error) {
	return func(p feed.Position) (feed.Record, error) { return n.store.Record(v.name.Log(p.Log), p.Index) }
}

// listedBody is newestBody, and a refusal where there is none any more.
func listedBody(it *feed.Item, read func(feed.Position) (feed.Record, error)) (feed.Body, error) {
	body, ok, err := newestBody(it, read)
	if err == nil && !ok {
		err = conflict("no body of this item is here any more: its hashes were erased; publish it anew")
	}
	return body, err
}

// newestBody is the newest body of an item that can be read; not ok: all were erased.
func newestBody(it *feed.Item, read func(feed.Position) (feed.Record, error)) (body feed.Body, ok bool, err error) {
	for _, p := range slices.Backward(it.Records()) {
		record, err := read(p)
		if err != nil {
			return feed.Body{}, false, err
		}
		if len(record.Body) == 0 {
			continue
		}
		if body, err := feed.ParseBody(record.Body); err == nil {
			return body, true, nil
		}
	}
	return feed.Body{}, false, nil
}

// Endorse says in the own feed that another publisher's record is right.
func (n *Node) Endorse(ctx context.Context, ref feed.Ref) (api.Published, error) {
	return n.speak(ctx, ref, feed.Head{Op: feed.OpEndorse})
}

// speak puts a statement about a record of any feed here into the own feed.
func (n *Node) speak(ctx context.Context, ref feed.Ref, head feed.Head) (api.Published, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	v, item, err := n.item(ref)
	if err != nil {
		return api.Published{}, err
	}
	own, err := n.ownView("")
	if err != nil {
		return api.Published{}, err
	}
	if v.own && head.Op == feed.OpEndorse {
		return api.Published{}, refused("%s is this node's own record: endorsing it oneself says nothing", ref)
	}
	for _, t := range n.said.standing(n, v, item) {
		if t.own && t.op == head.Op {
			return api.Published{}, conflict("said already, by %s", t.at)
		}
	}
	// What is spoken of is the record in force: the item's newest.
	records := v.state.Item(item).Records()
	target := v.name.Ref(records[len(records)-1])
	record, err := n.store.Record(target.Origin, target.Index)
	if err != nil {
		return api.Published{}, err
	}
	head.Time = n.unix()
	head.Subject = feed.Subject{Origin: target.Origin, Index: target.Index, Leaf: feed.LeafHash(record.Head)}
	said, err := headRecord(head, nil)
	if err != nil {
		return api.Published{}, badRequest(err)
	}
	return n.signOne(ctx, own, said)
}

// Dispute says that a record is wrong. It holds here at once: the record can't block any more. The statement stands in
// the own feed, which for a host nobody else reads; the publisher is told by a report.
func (n *Node) Dispute(ctx context.Context, ref feed.Ref, reason feed.Reason) (api.Published, error) {
	if !reason.Fits(feed.OpDispute) {
		return api.Published{}, refused("reason %s is not one of a dispute", reason)
	}
	published, err := n.speak(ctx, ref, feed.Head{Op: feed.OpDispute, Reason: reason})
	if err != nil {
		return published, err
	}
	if net := n.network.Load(); net != nil {
		published.Ticket = net.report(ctx, ref, reason)
	}
	return published, nil
}

// Resolve answers the disputes of an own record: it stands, or the item is retracted. Of another publisher's record --uphold ends what this node
// holds against it.
func (n *Node) Resolve(ctx context.Context, ref feed.Ref, r api.Resolution) (api.Published, error) {
	if r.Uphold == r.Retract {
		return api.Published{}, badRequest(fmt.Errorf("a dispute is either upheld or ends in a retraction"))
	}
	outcome, reason := feed.Upheld, feed.FalsePositive
	if r.Retract {
		outcome = feed.ResolvedRetracted
		if r.Reason != "" {
			var err error
			if reason, err = feed.ParseReason(r.Reason); err != nil || !reason.Fits(feed.OpRetract) {
				return api.Published{}, refused("reason %.40q is not one of a retraction", r.Reason)
			}
		}
	}
	n.signing.Lock()
	defer n.signing.Unlock()
	var released api.Published
	if r.Uphold {
		var err error
		var over bool
		if released, over, err = n.upholdHere(ctx, ref); err != nil || over {
			return released, err
		}
	}
	v, it, err := n.ownItem(ref)
	if err != nil {
		return api.Published{}, err
	}
	if p, err := n.pendingOf(v); err != nil {
		return api.Published{}, err
	} else if p != nil {
		return api.Published{}, n.waits(p)
	}
	item, _ := v.state.ItemAt(it.First())
	var records []feed.Record
	until := ""
	if r.Retract && !it.Retracted() {
		record, err := n.retraction(it, reason)
		if err != nil {
			return api.Published{}, err
		}
		records = append(records, record)
		until, _ = n.holdMeanwhile(v, it)
	}
	disputes := 0
	for _, t := range n.said.standing(n, v, item) {
		if t.op != feed.OpDispute {
			continue
		}
		disputes++
		record, err := n.resolution(t, outcome)
		if err != nil {
			return api.Published{}, err
		}
		records = append(records, record)
	}
	if disputes == 0 && released.Ref != "" {
		return released, nil
	}
	if disputes == 0 {
		return api.Published{}, conflict("no dispute of %s is open", ref)
	}
	done, err := n.sign(ctx, v, records)
	if err != nil {
		return api.Published{}, err
	}
	return api.Published{Ref: done.refs[len(done.refs)-1].String(), Batch: done.batch, Until: until}, nil
}

// signOne signs a record by itself, once the feed's own rules find it good.
func (n *Node) signOne(ctx context.Context, v *view, r feed.Record) (api.Published, error) {
	log := v.reading.Load().chain.Newest().Log
	if err := v.state.Check(log, v.state.Size(log), r); err != nil {
		return api.Published{}, refused("%s", guardText(err))
	}
	done, err := n.sign(ctx, v, []feed.Record{r})
	if err != nil {
		return api.Published{}, err
	}
	return api.Published{Ref: done.refs[0].String(), Batch: done.batch}, nil
}
