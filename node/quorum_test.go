package node

import (
	"strings"
	"testing"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/policy"
)

// TestQuorumGatesAdditions: additions count up to what k named witnesses have cosigned, retractions at once; it starts from an
// empty feed, and survives witnesses that lag, lie behind for ever, or leave.
func TestQuorumGatesAdditions(t *testing.T) {
	clock := newHandClock()
	p, host := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "host.example", RoleHost, clock)
	var witnesses []*handNode
	var keys []crypto.PublicKey
	for _, name := range []string{"a.example", "b.example", "c.example"} {
		w := newHandNode(t, name, RoleLiaison, clock)
		witnesses, keys = append(witnesses, w), append(keys, w.keys.witness.Public())
	}
	a, b, c := witnesses[0], witnesses[1], witnesses[2]
	p.signsCharter(func(c *feed.Charter) { c.Quorum = &feed.KeyGroup{K: 2, Keys: keys} })
	host.follows(p, nil)
	check := func(step string, active, pending int, activeSize uint64) {
		t.Helper()
		host.carry(p)
		for _, n := range []*handNode{p, host} {
			if f := n.info(p); f.Active != active || f.Pending != pending || f.ActiveSize != activeSize || f.State != "ok" {
				t.Errorf("%s, at %s: got %d active, %d pending, active size %d, %s; want %d, %d, %d, ok", step, n.config.Load().Name,
					f.Active, f.Pending, f.ActiveSize, f.State, active, pending, activeSize)
			}
		}
	}

	check("an empty feed", 0, 0, 0)
	first := p.lists(0)
	check("nobody has cosigned", 0, 1, 0)
	host.wantVerdict(0, policy.OutcomeAllow, "")
	a.cosigns(p, 1)
	check("one of two", 0, 1, 0)
	f := host.info(p)
	if want := "additions from record 0 on wait for 2 of 3 witnesses, 1 items are pending; not there yet: b.example (has 0), c.example (has 0)"; f.StateText != want {
		t.Errorf("got %q, want %q", f.StateText, want)
	}
	if f.Quorum == nil || f.Quorum.K != 2 || len(f.Quorum.Witnesses) != 3 || f.Quorum.Witnesses[0].Size != 1 || f.Quorum.Witnesses[0].Time == "" {
		t.Errorf("got %+v", f.Quorum)
	}
	b.cosigns(p, 1)
	check("two of three", 1, 0, 1)
	host.wantVerdict(0, policy.OutcomeBlock, policy.Active)
	if text := host.info(p).StateText; text != "" {
		t.Errorf("nothing waits: got %q", text)
	}

	p.lists(1)
	p.lists(2)
	a.cosigns(p, 3)
	check("b lags", 1, 2, 1)
	c.cosigns(p, 2)
	check("the second largest size counts", 2, 1, 2)
	host.wantVerdict(1, policy.OutcomeBlock, policy.Active)
	host.wantVerdict(2, policy.OutcomeAllow, "")

	// A retraction waits for nobody: of what counts, and of what is pending.
	p.retracts(first)
	check("a retraction", 1, 1, 2)
	host.wantVerdict(0, policy.OutcomeAllow, "")

	// Both witnesses that were behind are back.
	b.cosigns(p, 4)
	check("b has caught up", 2, 0, 3)
	c.cosigns(p, 4)
	check("c, too", 2, 0, 4)

	// A witness leaves for good: the others are a quorum, and the next charter names two.
	p.lists(3)
	a.cosigns(p, 5)
	check("c is gone", 2, 1, 4)
	p.signsCharter(func(c *feed.Charter) { c.Quorum = &feed.KeyGroup{K: 1, Keys: keys[:1]} })
	check("a alone is asked", 3, 0, 5)
	p.signsCharter(func(c *feed.Charter) { c.Quorum = &feed.KeyGroup{K: 2, Keys: keys[1:]} })
	check("b and c are asked, who have 4", 2, 1, 4)
	p.signsCharter(func(c *feed.Charter) { c.Quorum = nil })
	check("no quorum", 3, 0, 5)
	if host.info(p).Quorum != nil {
		t.Error("a quorum is shown that the charter doesn't have")
	}

	// All of it stands after a restart.
	p.signsCharter(func(c *feed.Charter) { c.Quorum = &feed.KeyGroup{K: 2, Keys: keys[1:]} })
	host.carry(p)
	host.reopen()
	p.reopen()
	check("after a restart", 2, 1, 4)
	if text := host.info(p).StateText; !strings.Contains(text, "b.example (has 4), c.example (has 4)") {
		t.Errorf("got %q", text)
	}
}
