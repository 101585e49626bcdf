package node

import (
	"os"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
	"hashfeed/node/policy"
)

// reported has p take a member's report of a record, as its network does.
func (h *handNode) reported(ref feed.Ref, reason feed.Reason) feed.Ticket {
	h.t.Helper()
	record, err := h.store.Record(ref.Origin, ref.Index)
	h.must(err)
	ticket, err := h.takeReport(api.WithAlone(h.t.Context()), gossip.Report{Ref: ref, Leaf: feed.LeafHash(record.Head), Reason: reason})
	h.must(err)
	return ticket
}

// TestOverdue: a member's dispute holds nothing until the charter's term is over, and from then on holds everywhere; the publisher's status
// lists it until it is answered.
func TestOverdue(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	ref := p.lists(0)
	x.follows(p, nil)
	clock.advance(time.Hour)
	p.reported(ref, feed.WrongCategory)
	since := clock.now()
	x.carry(p)
	const answer = 48 * time.Hour
	for _, c := range []struct {
		after   time.Duration
		overdue bool
	}{{0, false}, {answer, false}, {answer + time.Second, true}, {10 * answer, true}} {
		clock.unix.Store(since.Unix() + int64(c.after/time.Second))
		p.stampDue(t.Context())
		x.carry(p)
		for _, h := range []*handNode{p, x} {
			if c.overdue {
				h.wantVerdict(0, policy.OutcomeReview, policy.Disputed)
			} else {
				h.wantVerdict(0, policy.OutcomeBlock, policy.Active)
			}
		}
		s, err := p.Status(t.Context())
		p.must(err)
		until := since.Add(answer).UTC().Format(time.RFC3339)
		want := api.OpenDispute{Ref: ref.String(), By: "hotline.example", Report: true, Reason: "wrong-category", Since: since.UTC().Format(time.RFC3339),
			Until: until, Overdue: c.overdue}
		if len(s.Disputes) != 1 || s.Disputes[0] != want {
			t.Fatalf("got %+v, want %+v", s.Disputes, want)
		}
		if a := p.alarm("dispute"); a == nil || !strings.Contains(a.Text, until) || !strings.Contains(a.Remedy, "hashfeed resolve '"+ref.String()) ||
			strings.Contains(a.Text, "was due") != c.overdue {
			t.Errorf("got the alarm %+v", a)
		}
		if a := x.alarm("dispute"); a != nil {
			t.Errorf("a follower got the alarm %+v", a)
		}
	}
	x.reopen()
	x.wantVerdict(0, policy.OutcomeReview, policy.Disputed)
	_, err := p.Resolve(api.WithAlone(t.Context()), ref, api.Resolution{Uphold: true})
	p.must(err)
	x.carry(p)
	for _, h := range []*handNode{p, x} {
		h.wantVerdict(0, policy.OutcomeBlock, policy.Active)
	}
	if a := p.alarm("dispute"); a != nil {
		t.Errorf("answered: got the alarm %+v", a)
	}
}

// TestDisputeDatedBack: a publisher's dispute whose head names an early time is overdue no sooner.
func TestDisputeDatedBack(t *testing.T) {
	clock := newHandClock()
	p, q, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "q.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	ref := p.lists(0)
	x.follows(p, nil)
	x.follows(q, nil)
	q.follows(p, nil)
	clock.advance(10 * 24 * time.Hour)
	record, err := q.store.Record(ref.Origin, ref.Index)
	q.must(err)
	said, err := headRecord(feed.Head{Op: feed.OpDispute, Time: 1, Reason: feed.FalsePositive,
		Subject: feed.Subject{Origin: ref.Origin, Index: ref.Index, Leaf: feed.LeafHash(record.Head)}}, nil)
	q.must(err)
	own, err := q.ownView("")
	q.must(err)
	q.lists(1) // so that its log has a stamp of today
	_, err = q.signOne(api.WithAlone(t.Context()), own, said)
	q.must(err)
	p.stampDue(t.Context())
	x.carry(p)
	x.carry(q)
	x.wantVerdict(0, policy.OutcomeBlock, policy.Active) // one publisher, of two that it takes
	if got := x.matches(0).Matches[0].DisputedBy; len(got) != 1 || got[0] != "q.example" {
		t.Errorf("disputed by %v", got)
	}
	q.wantVerdict(0, policy.OutcomeReview, policy.Disputed) // its own

	// Taken back by the one who said it.
	if _, err := x.Resolve(api.WithAlone(t.Context()), ref, api.Resolution{Uphold: true}); err == nil || !strings.Contains(err.Error(), "holds nothing against it") {
		t.Errorf("nothing of ours: got %v", err)
	}
	_, err = q.Resolve(api.WithAlone(t.Context()), ref, api.Resolution{Uphold: true})
	q.must(err)
	q.wantVerdict(0, policy.OutcomeBlock, policy.Active)
	x.carry(q)
	if got := x.matches(0).Matches[0].DisputedBy; len(got) != 0 {
		t.Errorf("taken back: disputed by %v", got)
	}
}

// asksPDQ asks for a PDQ some bits from one that is listed: each n is another.
func (h *handNode) asksPDQ(n int) policy.Verdict {
	h.t.Helper()
	hash, err := feed.ParseHash(pdqListed)
	h.must(err)
	value := []byte(hash.Value)
	value[n%32] ^= 1 << (n / 32 % 8)
	hash.Value = string(value)
	v, err := h.Match(h.t.Context(), []feed.Hash{hash}, false)
	h.must(err)
	return v[0]
}

func (h *handNode) breaker(n int) {
	h.t.Helper()
	path := h.dir + "/hashfeed.toml"
	text, err := os.ReadFile(path)
	h.must(err)
	before, _, _ := strings.Cut(string(text), "\n[policy]\n")
	h.must(os.WriteFile(path, []byte(strings.TrimSuffix(before, "\n")+"\n[policy]\nbreaker = "+string(rune('0'+n))+"\n"), 0o600))
	h.must(h.Reload())
}

// TestRunaway: a record that matches more than so many different uploads is held, also after a restart, until somebody says that it stands.
func TestRunaway(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	made, err := p.Publish(t.Context(), api.Publish{Items: []api.Item{
		{Hashes: []string{pdqListed, md5Of(0)}, Verdict: "baseline", VerifiedBy: 2, Media: "image"}}})
	p.must(err)
	ref, err := feed.ParseRef(made[0].Ref)
	p.must(err)
	x.follows(p, nil)
	x.breaker(5)
	want := func(v policy.Verdict, held bool) {
		t.Helper()
		outcome, state := policy.OutcomeBlock, policy.Active
		if held {
			outcome, state = policy.OutcomeReview, policy.Held
		}
		if len(v.Matches) != 1 || v.Verdict != outcome || v.Matches[0].State != state {
			t.Errorf("got %s, %+v, want %s, %s", v.Verdict, v.Matches, outcome, state)
		}
	}
	for range 50 {
		want(x.asksPDQ(0), false) // the same upload again and again
	}
	for n := range 5 {
		want(x.asksPDQ(n), false)
	}
	clock.advance(time.Hour) // those don't count any more
	for n := range 5 {
		want(x.asksPDQ(10+n), false)
	}
	explained, err := x.Explain(t.Context(), api.Explain{Hashes: []string{pdqNear}})
	x.must(err)
	if len(explained.Matches) != 1 || explained.Verdict != policy.OutcomeBlock {
		t.Errorf("to ask why: got %+v", explained)
	}
	want(x.asksPDQ(10), false)
	if x.alarm("runaway") != nil {
		t.Error("alarmed too early")
	}
	want(x.asksPDQ(20), true) // the sixth within an hour
	want(x.asksPDQ(0), true)
	x.wantVerdict(0, policy.OutcomeReview, policy.Held) // the item, by whatever hash
	a := x.alarm("runaway")
	if a == nil || !strings.Contains(a.Text, ref.String()) || !strings.Contains(a.Remedy, "--uphold") {
		t.Fatalf("got the alarm %+v", a)
	}
	x.reopen()
	clock.advance(time.Minute)
	want(x.asksPDQ(0), true)
	if b := x.alarm("runaway"); b == nil || b.Since != a.Since {
		t.Errorf("after a restart: got the alarm %+v, want %+v", b, a)
	}
	x.breaker(0) // nothing new is held; what is stays so
	want(x.asksPDQ(0), true)
	x.breaker(5)

	// Released, it isn't held again.
	_, err = x.Resolve(t.Context(), ref, api.Resolution{Uphold: true})
	x.must(err)
	for n := range 40 {
		want(x.asksPDQ(n), false)
	}
	x.reopen()
	for n := range 40 {
		want(x.asksPDQ(n), false)
	}
	if a := x.alarm("runaway"); a != nil {
		t.Errorf("released: got the alarm %+v", a)
	}

	// The publisher's own, and a retraction ends it.
	p.breaker(5)
	for n := range 5 {
		want(p.asksPDQ(n), false)
	}
	want(p.asksPDQ(5), true)
	if a := p.alarm("runaway"); a == nil || !strings.Contains(a.Text, "own") {
		t.Errorf("got the alarm %+v", a)
	}
	p.retracts(ref)
	if a := p.alarm("runaway"); a != nil {
		t.Errorf("retracted: got the alarm %+v", a)
	}
	p.lookAtDoubts(t.Context())
	if held := *p.doubts.all.Load(); len(held) != 0 {
		t.Errorf("retracted: held %+v", held)
	}
}

// TestRunawayTest: test records and the built-in test picture are counted nowhere.
func TestRunawayTest(t *testing.T) {
	clock := newHandClock()
	p := newHandNode(t, "hotline.example", RoleHotline, clock)
	_, err := p.Publish(t.Context(), api.Publish{Items: []api.Item{{Hashes: []string{pdqListed}, Verdict: "test", Media: "image"}}})
	p.must(err)
	p.breaker(1)
	for n := range 30 {
		if v := p.asksPDQ(n); v.Verdict != policy.OutcomeBlock || !v.Matches[0].Test {
			t.Fatalf("got %s, %+v", v.Verdict, v.Matches)
		}
	}
	picture := (*p.views.Load())[0].picture
	for n := range 30 {
		h := picture[len(picture)-1]
		value := []byte(h.Value)
		value[n] ^= 1
		h.Value = string(value)
		v, err := p.Match(t.Context(), []feed.Hash{h}, false)
		p.must(err)
		if v[0].Verdict != policy.OutcomeBlock {
			t.Fatalf("the test picture: got %s", v[0].Verdict)
		}
	}
	if held := *p.doubts.all.Load(); len(held) != 0 {
		t.Errorf("held %+v", held)
	}
}

// TestRunawayDamaged: a damaged file of what is held stops nothing and is told; the next hold makes a new one.
func TestRunawayDamaged(t *testing.T) {
	clock := newHandClock()
	p := newHandNode(t, "hotline.example", RoleHotline, clock)
	_, err := p.Publish(t.Context(), api.Publish{Items: []api.Item{{Hashes: []string{pdqListed}, Verdict: "national", Media: "image"}}})
	p.must(err)
	p.breaker(1)
	p.asksPDQ(0)
	p.asksPDQ(1)
	path := p.Node.dir.doubts()
	text, err := os.ReadFile(path)
	p.must(err)
	for _, at := range []int{0, len(text) / 2, len(text) - 2} {
		p.close()
		flipped := []byte(string(text))
		flipped[at] ^= 1
		p.must(os.WriteFile(path, flipped, 0o600))
		p.open()
		if a := p.alarm(alarmDamaged); a == nil || !strings.Contains(a.Text, "doubts") {
			t.Errorf("byte %d: got the alarm %+v", at, a)
		}
		if found := p.fsck(t); !strings.Contains(found, "doubts") {
			t.Errorf("byte %d: fsck found %q", at, found)
		}
		p.asksPDQ(0)
		if v := p.asksPDQ(1); v.Verdict != policy.OutcomeReview {
			t.Errorf("byte %d: got %s", at, v.Verdict)
		}
		if a := p.alarm(alarmDamaged); a != nil {
			t.Errorf("byte %d, held again: got the alarm %+v", at, a)
		}
	}
}

// TestCollision: a file that has a record's md5 and another sha256 is never blocked, and is told of once; the record goes on blocking its own file.
func TestCollision(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	sha := func(n int) string { return "sha256:" + strings.Repeat("0123456789abcde"+string(rune('0'+n)), 4) }
	made, err := p.Publish(t.Context(), api.Publish{Items: []api.Item{{Hashes: []string{md5Of(0), sha(0)}, Verdict: "baseline", VerifiedBy: 2, Media: "image"}}})
	p.must(err)
	x.follows(p, nil)
	asks := func(texts ...string) policy.Verdict {
		t.Helper()
		var hashes []feed.Hash
		for _, text := range texts {
			h, err := feed.ParseHash(text)
			x.must(err)
			hashes = append(hashes, h)
		}
		v, err := x.Match(t.Context(), hashes, true)
		x.must(err)
		return v[0]
	}
	if v := asks(md5Of(0), sha(0)); v.Verdict != policy.OutcomeBlock || x.alarm("collision") != nil {
		t.Errorf("the file itself: got %s", v.Verdict)
	}
	for range 3 {
		v := asks(md5Of(0), sha(1))
		if v.Verdict != policy.OutcomeReview || v.Matches[0].State != policy.Held {
			t.Errorf("a forgery: got %s, %+v", v.Verdict, v.Matches)
		}
		clock.advance(time.Minute)
	}
	a := x.alarm("collision")
	if a == nil || !strings.Contains(a.Text, made[0].Ref) {
		t.Fatalf("got the alarm %+v", a)
	}
	x.reopen()
	if b := x.alarm("collision"); b == nil || *b != *a {
		t.Errorf("after a restart: got %+v, want %+v", b, a)
	}
	if v := asks(md5Of(0), sha(0)); v.Verdict != policy.OutcomeBlock {
		t.Errorf("the file itself, afterwards: got %s", v.Verdict)
	}
	ref, err := feed.ParseRef(made[0].Ref)
	x.must(err)
	_, err = x.Resolve(t.Context(), ref, api.Resolution{Uphold: true})
	x.must(err)
	asks(md5Of(0), sha(1))
	if a := x.alarm("collision"); a != nil {
		t.Errorf("settled: got the alarm %+v", a)
	}
}
