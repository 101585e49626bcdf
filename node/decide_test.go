package node

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"hashfeed/feed"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// TestDecisionWork: what the journal keeps of a verdict doesn't depend on which verdicts had the memory before.
func TestDecisionWork(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	origins := []string{"a.example/known/1", "b.example/known/1", "b.example/known/2", "c.example/other/1"}
	rules := []policy.Rule{
		{Verdicts: []feed.Verdict{feed.Baseline, feed.National}, Action: policy.Block, ActionNear: policy.Review, ActionWeak: policy.Log, MaxDistance: 31},
		policy.OwnRule(policy.Log, policy.Log, policy.Log, 10),
		{},
	}
	verdict := func() *policy.Verdict {
		v := &policy.Verdict{Verdict: policy.OutcomeLog, Checked: []string{"md5"}, Unchecked: []string{}, Matches: []policy.Match{}, Heads: []policy.Head{}}
		for i, o := range origins {
			v.Heads = append(v.Heads, policy.Head{Origin: o, Size: uint64(r.IntN(100)), State: "ok"})
			if r.IntN(2) == 0 {
				continue
			}
			for range 1 + r.IntN(3) {
				v.Matches = append(v.Matches, policy.Match{Origin: o, Ref: o + "#1", Harm: []string{"csam", "tvec"}[r.IntN(2)], Test: r.IntN(3) == 0,
					Action: []policy.Action{policy.Log, policy.Review, policy.Block}[r.IntN(3)], Basis: policy.Basis{Strength: "near", Rule: rules[(i+r.IntN(2))%3]}})
			}
		}
		for _, m := range v.Matches {
			if policy.Outcome(m.Action) != policy.OutcomeLog {
				v.Verdict = policy.Outcome(m.Action)
			}
		}
		if r.IntN(3) == 0 {
			v.Note, v.Truncated = "note", true
		}
		return v
	}
	used := decisionWorks.New().(*decisionWork)
	for range 300 {
		v := verdict()
		fresh := decisionWorks.New().(*decisionWork)
		fresh.of(v)
		used.of(v)
		if !sameDecision(&fresh.Decision, &used.Decision) {
			t.Fatalf("got  %+v\nwant %+v", used.Decision, fresh.Decision)
		}
		if len(fresh.Matches) != len(v.Matches) || len(v.Matches) > 0 && fresh.Rules[string(feed.Origin(v.Matches[0].Origin).Name())] == nil {
			t.Fatalf("got %+v of %+v", fresh.Decision, v)
		}
		used.clear()
	}
}

// sameDecision compares what stands in the journal: no rule without verdicts has any, be they nil or not.
func sameDecision(a, b *journal.Decision) bool {
	for _, d := range []*journal.Decision{a, b} {
		for _, r := range d.Rules {
			if len(r.Verdicts) == 0 {
				r.Verdicts = nil
			}
		}
	}
	return reflect.DeepEqual(a, b)
}

// TestMatchMemory: a match that is logged takes little memory, so that a question of thousands that match keeps the collector idle.
func TestMatchMemory(t *testing.T) {
	d := newDesk(t)
	var numbers []int
	for i := range 100 {
		numbers = append(numbers, i)
	}
	d.list(numbers...)
	config := *d.config.Load()
	config.Own.ActionWeak = policy.Log
	d.config.Store(&config)
	d.decide()
	var list []feed.Hash
	for _, i := range numbers {
		list = append(list, thing(t, i))
	}
	hashes := feed.HashesOf(list)
	ask := func() {
		answers, err := d.Answers(t.Context(), hashes)
		d.must(err)
		if answers.Outcome(99) != policy.OutcomeLog {
			t.Fatalf("got %+v", answers.Verdict(99))
		}
	}
	ask() // reads the bodies
	d.Node.journal.Flush()
	if got := testing.AllocsPerRun(20, ask) / 100; got > 14 { // 6, and more where the race detector empties pools
		t.Errorf("a match takes %.1f allocations", got)
	}
}
