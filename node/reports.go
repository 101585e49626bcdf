package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
)

// takeReport logs a member's dispute in the own feed, with its ticket: that is the answer that the member can see. A record
// that is disputed there already has its ticket. Where several must sign, the dispute goes with the next batch.
func (n *Node) takeReport(ctx context.Context, r gossip.Report) (feed.Ticket, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	v, it, err := n.ownItem(r.Ref)
	if err != nil {
		return feed.Ticket{}, err
	}
	item, _ := v.state.ItemAt(it.First())
	for _, t := range n.said.standing(n, v, item) {
		if t.op == feed.OpDispute && t.by == v.name && t.ticket != nil {
			return *t.ticket, nil
		}
	}
	var ticket feed.Ticket
	rand.Read(ticket[:])
	q := queued{Ticket: hex.EncodeToString(ticket[:]), Ref: r.Ref.String(), Leaf: hex.EncodeToString(r.Leaf[:]), Reason: r.Reason.String(), Time: n.unix()}
	if v.reading.Load().chain.Newest().Signer.K > 1 {
		return n.queueReport(v, q)
	}
	record, err := q.record()
	if err != nil {
		return feed.Ticket{}, err
	}
	_, err = n.sign(ctx, v, []feed.Record{record})
	return ticket, err
}

// queued is a member's report that has its ticket and isn't in the feed yet, as a line of a file.
type queued struct {
	Ticket string `json:"ticket"` // hex
	Ref    string `json:"ref"`
	Leaf   string `json:"leaf"` // hex
	Reason string `json:"reason"`
	Time   int64  `json:"time"` // Unix seconds
}

var errQueued = errors.New("malformed report")

// record makes the dispute that a report is logged as.
func (q queued) record() (feed.Record, error) {
	ref, err := feed.ParseRef(q.Ref)
	if err != nil {
		return feed.Record{}, err
	}
	reason, err := feed.ParseReason(q.Reason)
	if err != nil {
		return feed.Record{}, err
	}
	leaf, err := hex.DecodeString(q.Leaf)
	if err != nil || len(leaf) != len(feed.Digest{}) {
		return feed.Record{}, errQueued
	}
	ticket, err := hex.DecodeString(q.Ticket)
	if err != nil || len(ticket) != len(feed.Ticket{}) {
		return feed.Record{}, errQueued
	}
	t := feed.Ticket(ticket)
	return headRecord(feed.Head{Op: feed.OpDispute, Time: q.Time, Reason: reason, Ticket: &t,
		Subject: feed.Subject{Origin: ref.Origin, Index: ref.Index, Leaf: feed.Digest(leaf)}}, nil)
}

func (q queued) check() error {
	_, err := q.record()
	return err
}

func (n *Node) readQueue(v *view) ([]queued, error) {
	return readJSONLines(n.dir.reports(v.name), maxReportFile, queued.check)
}

// queueReport keeps a report until a batch takes it along. The ticket is given when it is on the disk; a record of which a
// report waits already has its ticket.
func (n *Node) queueReport(v *view, q queued) (ticket feed.Ticket, err error) {
	list, err := n.readQueue(v)
	if err != nil {
		return ticket, err
	}
	if i := slices.IndexFunc(list, func(o queued) bool { return o.Ref == q.Ref && o.Leaf == q.Leaf }); i >= 0 {
		q = list[i]
	} else if len(list) >= maxReports {
		return ticket, &api.Error{Status: http.StatusTooManyRequests, Code: api.CodeBusy, Text: "too many reports wait for the next batch"}
	} else if err := os.MkdirAll(filepath.Dir(n.dir.reports(v.name)), 0o700); err != nil {
		return ticket, err
	} else if err := writeJSONLines(n.dir.reports(v.name), append(list, q)); err != nil {
		return ticket, err
	} else {
		n.announce(reportEvent(v, q.Ref, q.Reason)) // it may take hours until it is in the feed
	}
	raw, err := hex.DecodeString(q.Ticket)
	copy(ticket[:], raw)
	return ticket, err
}

// queuedDisputes are the disputes that go along with the next batch, which has so many records of its own; and of the queue
// is dropped what the feed has by now.
func (n *Node) queuedDisputes(v *view, own []feed.Record) ([]feed.Record, error) {
	list, err := n.readQueue(v)
	if err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(slices.Clone(list), func(q queued) bool { return n.logged(v, q) })
	if len(left) < len(list) {
		if err := writeJSONLines(n.dir.reports(v.name), left); err != nil {
			return nil, err
		}
	}
	var records []feed.Record
	for _, q := range left[:min(len(left), feed.MaxBatch-len(own))] {
		record, err := q.record()
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// logged says whether the dispute of a report stands in the feed.
func (n *Node) logged(v *view, q queued) bool {
	ref, err := feed.ParseRef(q.Ref)
	if err != nil {
		return false // the list was checked
	}
	list, _ := n.said.of.Load(ref)
	said, _ := list.([]statement)
	return slices.ContainsFunc(said, func(t statement) bool {
		return t.by == v.name && t.ticket != nil && hex.EncodeToString(t.ticket[:]) == q.Ticket
	})
}

// proposeReports proposes the reports that have waited for a batch in vain for an hour. The caller holds n.signing, and no
// batch awaits approval.
func (n *Node) proposeReports(v *view) error {
	list, err := n.readQueue(v)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(q queued) bool { return n.logged(v, q) })
	if len(list) == 0 || n.unix()-list[0].Time < reportWaitSeconds {
		return nil
	}
	_, err = n.propose(v, nil)
	return err
}

// reportWaitSeconds is how long a report waits for a batch to go along with: it must be in the feed within a day (WIRE §8),
// and approving takes time too.
const reportWaitSeconds = 3600
