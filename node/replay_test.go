package node

import (
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// TestReplayDecision: what is recorded leads to its own verdict and to another policy's; what was spoilt or cut says nothing.
func TestReplayDecision(t *testing.T) {
	const name = "hotline.example/known"
	decision := func() *journal.Decision {
		return &journal.Decision{Verdict: policy.OutcomeLog, MinPublishers: 1,
			Rules: map[string]*journal.Rule{name: {Verdicts: []string{"baseline"}, Action: policy.Log, ActionNear: policy.Log, ActionWeak: policy.Log}},
			Matches: []journal.Matched{{Match: policy.Match{Origin: name + "/1", Ref: name + "/1#7", Alg: "sha256", Verdict: "baseline", Action: policy.Log},
				Strength: "strong", Age: "fresh", Publishers: 1}}}
	}
	p := policy.Policy{Rules: map[feed.Name]policy.Rule{name: {Verdicts: []feed.Verdict{feed.Baseline}, Action: policy.Block}}}
	for _, c := range []struct {
		what   string
		change func(*journal.Decision)
		want   policy.Outcome // "": an error
	}{
		{"as recorded", func(*journal.Decision) {}, policy.OutcomeBlock},
		{"held", func(d *journal.Decision) { d.Matches[0].Holds = []string{"disputed"} }, policy.OutcomeReview},
		{"a match was cut", func(d *journal.Decision) { d.Verdict = policy.OutcomeReview }, ""},
		{"no rule", func(d *journal.Decision) { d.Rules = nil }, ""},
		{"a rule for nothing known", func(d *journal.Decision) { d.Rules[name].Verdicts = []string{"x"} }, ""},
		{"an age", func(d *journal.Decision) { d.Matches[0].Age = "x" }, ""},
		{"an origin", func(d *journal.Decision) { d.Matches[0].Origin = "x" }, ""},
	} {
		d := decision()
		c.change(d)
		got, err := replay(d, p)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: got %q, %v, want %q", c.what, got, err, c.want)
		}
	}
}

// TestCountReplay: each decision is counted where it would go, known-good ones and those that people called false apart.
func TestCountReplay(t *testing.T) {
	entry := func(was policy.Outcome, m journal.Matched, done ...string) journal.Entry {
		e := journal.Entry{Line: journal.Line{ID: "x", Time: time.Unix(1, 0), Decision: &journal.Decision{Verdict: was, Matches: []journal.Matched{m}}}}
		if len(done) > 0 {
			e.Acts = []journal.Line{{Act: &journal.Act{Done: done}}}
		}
		return e
	}
	var got api.PolicyTested
	countReplay(&got, entry(policy.OutcomeLog, journal.Matched{}), policy.OutcomeBlock)
	countReplay(&got, entry(policy.OutcomeReview, journal.Matched{KnownGood: "list"}, journal.False), policy.OutcomeBlock)
	countReplay(&got, entry(policy.OutcomeLog, journal.Matched{Holds: []string{"known-good"}}), policy.OutcomeReview)
	countReplay(&got, entry(policy.OutcomeBlock, journal.Matched{}), policy.OutcomeAllow)
	countReplay(&got, entry(policy.OutcomeBlock, journal.Matched{}), policy.OutcomeBlock)
	if want := (api.PolicyShift{Was: 2, Would: 3, More: 2, Fewer: 1, KnownGood: 1, False: 1}); got.Block != want {
		t.Errorf("block: got %+v, want %+v", got.Block, want)
	}
	if want := (api.PolicyShift{Was: 1, Would: 1, More: 1, Fewer: 1, KnownGood: 1}); got.Review != want {
		t.Errorf("review: got %+v, want %+v", got.Review, want)
	}
	if got.Decisions != 5 || got.Held != 1 || len(got.Samples) != 4 {
		t.Errorf("got %+v", got)
	}
}
