package gossip

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"hashfeed/feed"
)

// ErrNotConnected says that the publisher isn't connected just now.
var ErrNotConnected = errors.New("the publisher isn't connected")

// ErrRefused says that the publisher didn't take a report: it may not take any, or not regard us as a member.
var ErrRefused = errors.New("the publisher didn't take it")

// Report tells the publisher of a followed feed that a record of it is wrong. The ticket that it gives stands in the dispute that it logs
// within an hour (a day where several must sign); if it doesn't, an alarm tells, also after a restart.
func (n *Network) Report(ctx context.Context, ref feed.Ref, reason feed.Reason) (feed.Ticket, error) {
	fail := func(err error) (feed.Ticket, error) {
		return feed.Ticket{}, fmt.Errorf("report %s: %w", ref, err)
	}
	name := ref.Origin.Name()
	c, ok := n.carrier(name)
	if !ok || c.own {
		return fail(errors.New("its feed isn't followed"))
	}
	if !reason.Fits(feed.OpDispute) {
		return fail(fmt.Errorf("%s is no reason for a dispute", reason))
	}
	record, err := n.o.Store.Record(ref.Origin, ref.Index)
	if err != nil {
		return fail(err)
	}
	l, up := n.link(c.follow.publisher)
	if !up || !l.heard() {
		return fail(ErrNotConnected)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, end, err := n.question(ctx, l.peer, reportProtocol, &reporting{Kind: "dispute",
		Ref: subject{Origin: ref.Origin, Index: ref.Index, Leaf: feed.LeafHash(record.Head)}, Reason: reason}, maxReport)
	if err != nil {
		return fail(errors.Join(ErrNotConnected, err))
	}
	defer end()
	data, err := receive(s, askTimeout, upTo(maxReport))
	if err != nil {
		return fail(errors.Join(ErrRefused, err))
	}
	m, err := parseTicketReply(data)
	if err != nil {
		n.broke(l.peer, err)
		return fail(err)
	}
	n.reports.add(openReport{Feed: name, Ticket: m.Ticket, Since: n.now(), Ref: ref.String()})
	return m.Ticket, nil
}

// answerReport is the handler of report/1.
func (n *Network) answerReport(ctx context.Context, p peer.ID, s network.Stream) error {
	data, err := receive(s, askTimeout, upTo(maxReport))
	if err != nil {
		return err
	}
	if isCounting(data) {
		return n.answerCounts(ctx, p, s, data)
	}
	m, err := parseReporting(data)
	if err != nil {
		return err
	}
	c, ok := n.carrier(m.Ref.Origin.Name())
	if !ok || !c.own || n.o.OnReport == nil || !n.reads(p, c.name) {
		return errDenied
	}
	ref := feed.Ref{Origin: m.Ref.Origin, Index: m.Ref.Index}
	record, err := n.o.Store.Record(ref.Origin, ref.Index)
	if err != nil || feed.LeafHash(record.Head) != m.Ref.Leaf {
		return fmt.Errorf("report of %s: no such record", ref)
	}
	r := Report{Peer: p.String(), Name: n.nameOf(p), Ref: ref, Leaf: m.Ref.Leaf, Reason: m.Reason}
	ticket, err := n.o.OnReport(ctx, r)
	if err != nil {
		return fmt.Errorf("take report of %s: %w", ref, err)
	}
	n.log.Info("report taken", "ref", ref.String(), "reason", m.Reason.String(), "peer", r.Peer, "name", r.Name)
	if err := send(s, &ticketReply{Ticket: ticket}, maxReport); err != nil {
		return err
	}
	return s.CloseWrite()
}

// reportsCursor is where the store keeps the open reports.
const reportsCursor = "gossip/reports"

// reports are ours that the publisher has taken and not yet logged.
type reports struct {
	mu    sync.Mutex
	open  []openReport
	dirty bool
}

type openReport struct {
	Feed   feed.Name   `cbor:"1,keyasint"`
	Ticket feed.Ticket `cbor:"2,keyasint"`
	Since  int64       `cbor:"3,keyasint"`
	Ref    string      `cbor:"4,keyasint"`
}

func loadReports(s Store) (*reports, error) {
	r := &reports{}
	data, err := s.Cursor(reportsCursor)
	if err == nil && len(data) > 0 {
		err = cbor.Unmarshal(data, &r.open)
	}
	if err != nil {
		return nil, fmt.Errorf("read open reports: %w", err)
	}
	return r, nil
}

func (r *reports) save() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dirty {
		return nil, nil
	}
	r.dirty = false
	return encoder.Marshal(r.open)
}

func (r *reports) add(o openReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open[max(0, len(r.open)-maxTickets+1):], o)
	r.dirty = true
}

// answered closes the reports whose tickets stand in a batch.
func (r *reports) answered(name feed.Name, b *feed.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.ContainsFunc(r.open, func(o openReport) bool { return o.Feed == name }) {
		return
	}
	for _, record := range b.Records() {
		h, err := feed.ParseHead(record.Head)
		if err != nil || h.Op != feed.OpDispute || h.Ticket == nil {
			continue
		}
		r.open = slices.DeleteFunc(r.open, func(o openReport) bool { return o.Feed == name && o.Ticket == *h.Ticket })
		r.dirty = true
	}
}

// overdue raises an alarm for each feed that owes us an answer.
func (r *reports) overdue(n *Network) {
	r.mu.Lock()
	open := slices.Clone(r.open)
	r.mu.Unlock()
	late := map[feed.Name][]openReport{}
	for _, o := range open {
		limit := answerAfter
		chain, ok := n.o.Store.Chain(o.Feed)
		if ok && chain.Newest().Signer.K > 1 {
			limit = answerMany
		}
		if ok && n.now()-o.Since > int64(limit/time.Second) {
			late[o.Feed] = append(late[o.Feed], o)
		}
	}
	for _, c := range n.everyCarrier() {
		if l := late[c.name]; len(l) > 0 {
			n.alarms.raise(AlarmUnanswered, "", c.name, fmt.Sprintf("%d reports to %s aren't in its feed, the oldest of %s", len(l), c.name, l[0].Ref),
				"call the contact that its charter names")
		} else {
			n.alarms.clear(AlarmUnanswered, string(c.name))
		}
	}
}
