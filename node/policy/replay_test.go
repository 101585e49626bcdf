package policy

import (
	"maps"
	"slices"
	"testing"
	"time"

	"hashfeed/feed"

	"pgregory.net/rapid"
)

// TestHoldNames: every hold has a word of its own, by which the journal keeps it.
func TestHoldNames(t *testing.T) {
	for _, c := range []struct {
		hold Hold
		name string
	}{
		{HoldSuspended, "suspended"}, {HoldDisputed, "disputed"}, {HoldKnownGood, "known-good"}, {HoldCollision, "collision"},
		{HoldRunaway, "runaway"}, {HoldClosedLog, "closed-log"}, {HoldOverdue, "overdue"}, {HoldDamaged, "damaged"},
	} {
		if got := c.hold.Names(); !slices.Equal(got, []string{c.name}) {
			t.Errorf("hold %b: got %q, want %q", c.hold, got, c.name)
		}
	}
}

// TestReplay: under another rule, what was only logged is blocked; what is held is not, and what is too far away matches no more.
func TestReplay(t *testing.T) {
	calm := strict()
	r := calm.Rules[listed]
	r.Action, r.ActionNear, r.ActionWeak = Log, Log, Log
	calm.Rules[listed] = r
	held := candidate(listed, 1, hash(feed.SHA256, 'a'), 0)
	held.Holds = HoldKnownGood
	for _, c := range []struct {
		name   string
		cand   Candidate
		change func(*Policy)
		want   Outcome
	}{
		{"the same", candidate(listed, 1, hash(feed.SHA256, 'a'), 0), func(p *Policy) { *p = calm }, OutcomeLog},
		{"sha256", candidate(listed, 1, hash(feed.SHA256, 'a'), 0), nil, OutcomeBlock},
		{"held", held, nil, OutcomeReview},
		{"near", candidate(listed, 1, hash(feed.PDQ, 'a'), 9), nil, OutcomeReview},
		{"too far", candidate(listed, 1, hash(feed.PDQ, 'a'), 9), func(p *Policy) { p.Rules[listed] = Rule{MaxDistance: 8} }, OutcomeAllow},
		{"weak", candidate(listed, 1, hash(feed.MD5, 'a'), 0), nil, OutcomeLog},
		{"one of two", candidate(listed, 1, hash(feed.SHA256, 'a'), 0), func(p *Policy) { p.MinPublishers = 2 }, OutcomeReview},
		{"not followed any more", candidate(listed, 1, hash(feed.SHA256, 'a'), 0), func(p *Policy) { delete(p.Rules, listed) }, OutcomeLog},
	} {
		p := strict()
		if c.change != nil {
			c.change(&p)
		}
		v := judge(calm, c.cand)
		got, actions, err := Replay(v.Matches, p)
		if err != nil || got != c.want || len(actions) != 1 {
			t.Errorf("%s: got %s, %v, %v, want %s", c.name, got, actions, err, c.want)
		}
	}
	for name, spoil := range map[string]func(*Match){
		"ref": func(m *Match) { m.Ref = "x" }, "alg": func(m *Match) { m.Alg = "x" }, "verdict": func(m *Match) { m.Verdict = "x" },
		"strength": func(m *Match) { m.Basis.Strength = "x" }, "hold": func(m *Match) { m.Basis.Holds = []string{"x"} },
	} {
		v := judge(calm, held)
		spoil(&v.Matches[0])
		if _, _, err := Replay(v.Matches, calm); err == nil {
			t.Errorf("a wrong %s: got no error", name)
		}
	}
}

// TestReplayProperties: replayed under the same policy, an answer is what it was; under other actions and another min_publishers it is what Judge
// answers by them, and so it is under other verdicts, a smaller distance and another on_stale where nothing stands in other answers.
func TestReplayProperties(t *testing.T) {
	actions := rapid.SampledFrom([]Action{Log, Review, Block})
	names := []feed.Name{listed, other, own, feed.SelfTest, "x.example/known"}
	stale := rapid.SampledFrom([]OnStale{"", Keep, ReviewIfStale})
	verdicts := rapid.SliceOf(rapid.SampledFrom([]feed.Verdict{feed.Baseline, feed.National}))
	rapid.Check(t, func(t *rapid.T) {
		alone := rapid.Bool().Draw(t, "alone") // nothing stands in other answers
		p := Policy{Rules: map[feed.Name]Rule{}, MinPublishers: rapid.IntRange(0, 3).Draw(t, "min")}
		for _, n := range names[:3] {
			p.Rules[n] = Rule{Verdicts: verdicts.Draw(t, "verdicts"), Action: actions.Draw(t, "action"), ActionNear: actions.Draw(t, "near"),
				ActionWeak: actions.Draw(t, "weak"), MaxDistance: rapid.IntRange(0, 31).Draw(t, "distance"), MaxSquare: rapid.IntRange(0, 40).Draw(t, "square"),
				Own: n == own, OnStale: stale.Draw(t, "stale")}
		}
		var cands []Candidate
		var q Question
		for range rapid.IntRange(1, 5).Draw(t, "n") {
			alg := rapid.SampledFrom([]feed.Alg{feed.MD5, feed.SHA1, feed.SHA256, feed.PDQ, feed.PhotoDNA}).Draw(t, "alg")
			c := candidate(rapid.SampledFrom(names).Draw(t, "feed"), rapid.Uint64Range(0, 2).Draw(t, "index"), hash(alg, 'h'), 0)
			if !alg.Exact() {
				c.Distance = rapid.IntRange(0, 40).Draw(t, "d")
			}
			c.Facts.Verdict = rapid.SampledFrom([]feed.Verdict{feed.Baseline, feed.National, feed.Doubtful, feed.Test}).Draw(t, "verdict")
			c.Holds = Hold(rapid.SampledFrom([]int{0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 255}).Draw(t, "holds"))
			c.Use = rapid.SampledFrom([]feed.Use{feed.UseMatch, feed.UseMatch, feed.UseReview}).Draw(t, "use")
			c.Stamp = now.Add(-rapid.SampledFrom([]time.Duration{0, soft + time.Hour, hard + time.Hour}).Draw(t, "age")).Unix()
			c.Endorsers = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 2).Draw(t, "endorsers")
			if !alone {
				c.Alike = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "c"}), 0, 2).Draw(t, "alike")
			}
			if !slices.ContainsFunc(cands, func(o Candidate) bool { return o.Ref == c.Ref && o.Hash == c.Hash }) {
				cands, q.Hashes = append(cands, c), append(q.Hashes, c.Hash)
			}
		}
		v := Judge(q, cands, p, nil, now)
		got, as, err := Replay(v.Matches, p)
		if err != nil || got != v.Verdict {
			t.Fatalf("replayed %s, %v, not %s", got, err, v.Verdict)
		}
		for i, m := range v.Matches {
			if as[i] != m.Action {
				t.Fatalf("replayed %s, not %s, of %+v", as[i], m.Action, m)
			}
		}

		p2 := Policy{Rules: maps.Clone(p.Rules), MinPublishers: rapid.IntRange(0, 4).Draw(t, "min2")}
		for _, n := range names[:3] {
			r := p2.Rules[n]
			r.Action, r.ActionNear, r.ActionWeak = actions.Draw(t, "action2"), actions.Draw(t, "near2"), actions.Draw(t, "weak2")
			if alone {
				r.MaxDistance, r.MaxSquare = rapid.IntRange(0, r.MaxDistance).Draw(t, "distance2"), rapid.IntRange(0, r.MaxSquare).Draw(t, "square2")
				r.Verdicts, r.OnStale = verdicts.Draw(t, "verdicts2"), stale.Draw(t, "stale2")
			}
			p2.Rules[n] = r
		}
		want := Judge(q, cands, p2, nil, now).Verdict
		if got, _, err := Replay(v.Matches, p2); err != nil || got != want {
			t.Fatalf("under another policy replayed %s, %v, not %s", got, err, want)
		}
	})
}

// TestReplayVoices: publishers that say the same by other hashes of the item stand in no match, and count as they did.
func TestReplayVoices(t *testing.T) {
	p := strict()
	p.MinPublishers = 2
	c := candidate(listed, 1, hash(feed.SHA256, 'a'), 0)
	c.Alike = []string{"c.example"}
	v := judge(p, c)
	for min, want := range map[int]Outcome{1: OutcomeBlock, 2: OutcomeBlock, 3: OutcomeReview} {
		p.MinPublishers = min
		if got, _, err := Replay(v.Matches, p); err != nil || got != want {
			t.Errorf("min_publishers %d: got %s, %v, want %s", min, got, err, want)
		}
	}
}
