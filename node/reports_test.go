package node

import (
	"context"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
	"hashfeed/node/policy"
)

// TestReportsWait: members' reports go along with the next batch, have their ticket at once, and are in the feed within a day.
func TestReportsWait(t *testing.T) {
	s := newShared(t)
	ref := s.list(md5A)
	record, err := s.store.Record(ref.Origin, ref.Index)
	s.must(err)
	report := gossip.Report{Ref: ref, Leaf: feed.LeafHash(record.Head), Reason: feed.WrongCategory}
	ticket, err := s.takeReport(context.Background(), report)
	s.must(err)
	if list, _ := s.Batches(context.Background()); len(list) != 0 {
		t.Errorf("got %d batches, want the report to wait", len(list))
	}
	s.open()
	if again, err := s.takeReport(context.Background(), report); err != nil || again != ticket {
		t.Errorf("reported again: got ticket %x, %v, want %x", again, err, ticket)
	}
	v := s.viewNamed(sharedName)
	s.must(s.carryOn(context.Background(), v))
	if list, _ := s.Batches(context.Background()); len(list) != 0 {
		t.Errorf("at once: got %d batches, want none", len(list))
	}
	s.now = s.now.Add(time.Hour)
	s.must(s.carryOn(context.Background(), v))
	batch := s.pending()
	if batch.Ops["dispute"] != 1 || len(batch.Ops) != 1 {
		t.Errorf("after an hour: got %+v, want one dispute", batch)
	}
	s.must(s.Withdraw(context.Background(), batch.ID, "")) // doesn't lose it
	second := s.propose(md5B)
	if b := s.pending(); b.Ops["dispute"] != 1 || b.Ops["add"] != 1 {
		t.Errorf("with the next batch: got %+v, want an add and the dispute", b)
	}
	s.approve(s.bob, second.Batch)
	if again, err := s.takeReport(context.Background(), report); err != nil || again != ticket {
		t.Errorf("reported when logged: got ticket %x, %v, want %x", again, err, ticket)
	}
	s.propose("md5:2123456789abcdef0123456789abcdef")
	if b := s.pending(); b.Ops["dispute"] != 0 {
		t.Errorf("once it is logged: got %+v, want no dispute", b)
	}
}

// TestDisputeHoldsAtOnce: the operator's own dispute holds here before the second signature.
func TestDisputeHoldsAtOnce(t *testing.T) {
	s := newShared(t)
	known, err := s.Publish(context.Background(), api.Publish{Items: []api.Item{{Hashes: []string{md5A}, Verdict: "national", Media: "image"}}})
	s.must(err)
	ref, err := feed.ParseRef(known[0].Ref)
	s.must(err)
	v := s.viewNamed(sharedName)
	head := feed.Head{Op: feed.OpDispute, Time: s.now.Unix(), Reason: feed.WrongCategory}
	record, err := s.store.Record(ref.Origin, ref.Index)
	s.must(err)
	head.Subject = feed.Subject{Origin: ref.Origin, Index: ref.Index, Leaf: feed.LeafHash(record.Head)}
	said, err := headRecord(head, nil)
	s.must(err)
	s.signing.Lock()
	out, err := s.sign(context.Background(), v, []feed.Record{said})
	s.signing.Unlock()
	s.must(err)
	s.wantVerdict(md5A, policy.OutcomeReview, "disputed")
	s.open()
	s.wantVerdict(md5A, policy.OutcomeReview, "disputed")
	s.must(s.Withdraw(context.Background(), out.batch, ""))
	s.wantVerdict(md5A, policy.OutcomeBlock, "active")
}
