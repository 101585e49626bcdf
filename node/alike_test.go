package node

import (
	"testing"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// TestAlike: where two publishers must say the same, an upload that is asked about by an md5 of one counts the other's look-alike of the item;
// and an endorsement.
func TestAlike(t *testing.T) {
	clock := newHandClock()
	p, q, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "q.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	publish := func(h *handNode, hashes ...string) feed.Ref {
		t.Helper()
		made, err := h.Publish(api.WithAlone(t.Context()), api.Publish{Items: []api.Item{{Hashes: hashes, Verdict: "baseline", VerifiedBy: 2, Media: "image"}}})
		h.must(err)
		ref, err := feed.ParseRef(made[0].Ref)
		h.must(err)
		return ref
	}
	ref := publish(p, md5Of(0), pdqListed)
	x.follows(p, nil)
	x.follows(q, nil)
	q.follows(p, nil)
	config := *x.config.Load()
	config.Policy.MinPublishers = 2
	x.config.Store(&config)
	x.decide()

	x.wantVerdict(0, policy.OutcomeReview, policy.Active)
	theirs := publish(q, pdqNear)
	x.carry(q)
	x.wantVerdict(0, policy.OutcomeBlock, policy.Active)
	if v := x.asks(pdqListed); v.Verdict != policy.OutcomeBlock || len(v.Matches) != 2 {
		t.Errorf("by the look: got %s of %d matches", v.Verdict, len(v.Matches))
	}
	e, err := x.Explain(t.Context(), api.Explain{Ref: ref.String()})
	x.must(err)
	if e.Verdict != policy.OutcomeBlock || e.Ref != ref.String() || len(e.Hashes) != 0 || e.Query != "" {
		t.Errorf("explained: got %+v", e)
	}
	q.retracts(theirs)
	x.carry(q)
	x.wantVerdict(0, policy.OutcomeReview, policy.Active)
	e, err = x.Explain(t.Context(), api.Explain{Hashes: []string{md5Of(0)}})
	x.must(err)
	if len(e.Matches) != 1 || e.Matches[0].Decides != policy.RuleMinPublishers {
		t.Errorf("explained: got %+v", e)
	}
	if e, err := x.Explain(t.Context(), api.Explain{Ref: theirs.String()}); err != nil || e.Verdict != policy.OutcomeAllow {
		t.Errorf("of a retracted record: got %+v, %v", e, err)
	}
	_, err = q.Endorse(api.WithAlone(t.Context()), ref)
	q.must(err)
	x.carry(q)
	x.wantVerdict(0, policy.OutcomeBlock, policy.Active)
}
