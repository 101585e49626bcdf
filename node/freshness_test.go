package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// pdqListed is a PDQ, and one at a distance of 2 of it.
const (
	pdqListed = "pdq:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f:100"
	pdqNear   = "pdq:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0c:100"
)

func (h *handNode) asks(text string) policy.Verdict {
	h.t.Helper()
	hash, err := feed.ParseHash(text)
	h.must(err)
	v, err := h.Match(h.t.Context(), []feed.Hash{hash}, false)
	h.must(err)
	return v[0]
}

func (h *handNode) metric(line string) bool {
	h.t.Helper()
	families, err := h.registry.Gather()
	h.must(err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			if fmt.Sprintf("%s{%s} %v", f.GetName(), strings.Join(labels, ","), m.GetGauge().GetValue()) == line {
				return true
			}
		}
	}
	return false
}

// TestFreshness: what a follower says of a feed whose newest stamp was made at a time by the publisher's clock, by its own clock. Charter:
// soft 6 h, hard 72 h.
func TestFreshness(t *testing.T) {
	theirs, ours := newHandClock(), newHandClock()
	p := newHandNode(t, "hotline.example", RoleHotline, theirs)
	made, err := p.Publish(t.Context(), api.Publish{Items: []api.Item{
		{Hashes: []string{"md5:00112233445566778899aabbccddeeff"}, Verdict: "baseline", VerifiedBy: 2, Media: "image"},
		{Hashes: []string{pdqListed}, Verdict: "baseline", VerifiedBy: 2, Media: "image"}}})
	p.must(err)
	keep, review := newHandNode(t, "keep.example", RoleHost, ours), newHandNode(t, "review.example", RoleHost, ours)
	keep.follows(p, func(f *Follow) { f.Required = true })
	review.follows(p, func(f *Follow) { f.OnStale = policy.ReviewIfStale })
	const exact = "md5:00112233445566778899aabbccddeeff"
	name := p.known()
	head, _ := p.store.Head(name.Log(1))
	stamp := head.Stamp

	for _, c := range []struct {
		name   string
		our    time.Duration // our clock, after the stamp
		state  string
		stale  bool
		exact  policy.Outcome // at keep
		near   policy.Outcome
		strict policy.Outcome // an exact one at review
		ready  bool
		text   string
	}{
		{"just stamped", 0, "ok", false, "block", "block", "block", true, ""},
		{"soft to the second", 6 * time.Hour, "ok", false, "block", "block", "block", true, ""},
		{"past soft", 6*time.Hour + time.Second, "stale", true, "block", "block", "block", true, "6h0m1s old"},
		{"hard to the second", 72 * time.Hour, "stale", true, "block", "block", "block", true, "72h0m0s old"},
		{"past hard", 72*time.Hour + time.Second, "stale", true, "block", "review", "review", false, "72h0m1s old"},
		{"a year", 365 * 24 * time.Hour / 2, "stale", true, "block", "review", "review", false, "old"},
		{"our clock jumps back, a little", -300 * time.Second, "ok", false, "block", "block", "block", true, ""},
		{"our clock jumps back", -301 * time.Second, "stale", true, "block", "review", "review", false, "5m1s in the future"},
		{"our clock jumps back for years", -3 * 365 * 24 * time.Hour, "stale", true, "block", "review", "review", false, "in the future"},
		{"and is right again", time.Minute, "ok", false, "block", "block", "block", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours.unix.Store(stamp + int64(c.our/time.Second))
			f := keep.info(p)
			if f.State != c.state || !strings.Contains(f.StateText, c.text) || c.text == "" && f.StateText != "" {
				t.Errorf("got %s, %q, want %s, %q", f.State, f.StateText, c.state, c.text)
			}
			if want := max(0, int64(c.our/time.Second)); f.AgeS != want {
				t.Errorf("got an age of %d s, want %d", f.AgeS, want)
			}
			for _, q := range []struct {
				at   *handNode
				hash string
				want policy.Outcome
			}{{keep, exact, c.exact}, {keep, pdqNear, c.near}, {keep, pdqListed, c.exact}, {review, exact, c.strict}} {
				v := q.at.asks(q.hash)
				if len(v.Matches) != 1 || v.Verdict != q.want || v.Matches[0].Stale != c.stale || v.Matches[0].State != policy.Active {
					t.Errorf("%.12s at %s: got %s, %+v, want %s, stale %v", q.hash, q.at.config.Load().Name, v.Verdict, v.Matches, q.want, c.stale)
				}
				if heads := v.Heads; heads[len(heads)-1].State != c.state {
					t.Errorf("got heads %+v, want %s", v.Heads, c.state)
				}
			}
			if err := keep.Ready(); (err == nil) != c.ready || err != nil && !strings.Contains(err.Error(), "hotline.example/known") {
				t.Errorf("ready: got %v, want %v", err, c.ready)
			}
			if err := review.Ready(); err != nil {
				t.Errorf("a feed that isn't required: got %v", err)
			}
			s, err := keep.Status(t.Context())
			keep.must(err)
			alarmed := false
			for _, a := range s.Alarms {
				alarmed = alarmed || a.Code == "stale" && a.Feed == string(name.Log(1))
			}
			if alarmed != (c.state == "stale") {
				t.Errorf("got alarms %+v", s.Alarms)
			}
			for _, line := range []string{
				fmt.Sprintf(`hashfeed_feed_age_seconds{feed="hotline.example/known"} %v`, float64(c.our/time.Second)),
				fmt.Sprintf(`hashfeed_feed_state{feed="hotline.example/known",state=%q} 1`, c.state),
				`hashfeed_feed_max_age_seconds{feed="hotline.example/known",limit="hard"} 259200`,
				`hashfeed_feed_size{feed="hotline.example/known"} 2`, `hashfeed_feed_active_size{feed="hotline.example/known"} 2`,
			} {
				if !keep.metric(line) {
					t.Errorf("no metric %s", line)
				}
			}
		})
	}

	// The publisher's clock is far ahead when it retracts: the record acts at once, and the feed isn't fresh, until time has caught up.
	ours.unix.Store(stamp + 60)
	theirs.unix.Store(stamp + 100*24*3600)
	ref, err := feed.ParseRef(made[0].Ref)
	p.must(err)
	p.retracts(ref)
	keep.carry(p)
	if v := keep.asks(exact); v.Verdict != policy.OutcomeAllow || len(v.Matches) != 0 {
		t.Errorf("a retraction with a stamp of the far future: got %s", v.Verdict)
	}
	if f := keep.info(p); f.State != "stale" || f.Size != 3 {
		t.Errorf("a stamp of the far future: got %s, size %d", f.State, f.Size)
	}
	if err := keep.Ready(); err == nil || !strings.Contains(err.Error(), "in the future") {
		t.Errorf("a required feed with a stamp of the far future: got %v", err)
	}
	if v := keep.asks(pdqNear); v.Verdict != policy.OutcomeReview || !v.Matches[0].Stale {
		t.Errorf("a neighbour, with a stamp of the far future: got %s", v.Verdict)
	}

	// Its clock is set right. A stamp can't go back; so the next is the same, and goes with records only.
	theirs.unix.Store(stamp + 120)
	before, _ := p.store.Head(name.Log(1))
	p.stampDue(t.Context())
	if after, _ := p.store.Head(name.Log(1)); after.Stamp != before.Stamp {
		t.Errorf("stamped ahead of a stamp from the future: %d after %d", after.Stamp, before.Stamp)
	}
	p.lists(7)
	if after, _ := p.store.Head(name.Log(1)); after.Stamp != before.Stamp || after.Size != before.Size+1 {
		t.Errorf("got the stamp %d after %d, want the same", after.Stamp, before.Stamp)
	}
	ours.unix.Store(stamp + 100*24*3600 - 299)
	keep.carry(p)
	if f := keep.info(p); f.State != "ok" || f.Size != 4 {
		t.Errorf("time has caught up: got %s, size %d", f.State, f.Size)
	}
}

// TestStampHourly: an idle publisher stamps within the hour; the log doesn't grow; the stamps only go on, whatever its clock does.
func TestStampHourly(t *testing.T) {
	clock := newHandClock()
	p := newHandNode(t, "hotline.example", RoleHotline, clock)
	p.lists(0)
	origin := p.known().Log(1)
	last, _ := p.store.Head(origin)
	clock.unix.Store(last.Stamp)
	for _, step := range []struct {
		by      time.Duration
		stamped bool
	}{
		{54 * time.Minute, false}, {time.Minute, true}, {time.Minute, false}, {54 * time.Minute, true},
		{-30 * time.Minute, false}, {84 * time.Minute, false}, {time.Minute, true}, // a jump back: when its time has come again
		{48 * time.Hour, true}, {time.Minute, false},
	} {
		clock.advance(step.by)
		p.stampDue(context.Background())
		head, _ := p.store.Head(origin)
		if head.Size != 1 {
			t.Fatalf("the log grew to %d", head.Size)
		}
		if stamped := head.Stamp != last.Stamp; stamped != step.stamped || head.Stamp < last.Stamp {
			t.Errorf("after %v: stamp %d after %d, want stamped %v", step.by, head.Stamp, last.Stamp, step.stamped)
		}
		last = head
	}
	if first, ok := p.store.Covering(origin, 0); !ok || first.Stamp >= last.Stamp {
		t.Error("the first stamp of the size isn't kept")
	}
}

// TestRequiredFeed: /readyz fails for a required feed that has not arrived.
func TestRequiredFeed(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	if err := x.Ready(); err != nil {
		t.Errorf("nothing is required: got %v", err)
	}
	chain, _ := p.store.Chain(p.known())
	x.must(AppendFollow(x.dir+"/hashfeed.toml", Follow{Feed: string(p.known()), Anchor: chain.Anchor().String(), Required: true}.withDefaults()))
	x.must(x.Reload())
	if err := x.Ready(); err == nil || !strings.Contains(err.Error(), "has not arrived") {
		t.Errorf("nothing has come: got %v", err)
	}
	x.must(x.store.AddFeed(chain))
	if err := x.Ready(); err == nil || !strings.Contains(err.Error(), "no checkpoint") {
		t.Errorf("a charter alone: got %v", err)
	}
	x.carry(p)
	if err := x.Ready(); err != nil {
		t.Errorf("got %v", err)
	}
}
