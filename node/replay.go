package node

import (
	"context"
	"errors"
	"slices"
	"strings"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// maxSamples is how many decisions that would be others a replay names: enough to look at.
const maxSamples = 20

// maxPublishers is the largest min_publishers.
const maxPublishers = 100

// replayNote is what a replay can't know.
const replayNote = "only what is in the journal is replayed: allowed uploads were not kept, so what a larger max_distance would find more is not counted; " +
	"publishers are counted as they were when the upload was answered"

// candidateNote is what a replay under a candidate can't know beside.
const candidateNote = "; of the config [policy] min_publishers, [own] and [[follow]] are replayed: what was held, as a known-good list or the breaker had it, is held"

// PolicyTest replays the journal under the policy in force with what r says in its stead, or under a candidate's.
func (n *Node) PolicyTest(ctx context.Context, r api.PolicyTest) (t api.PolicyTested, err error) {
	config, warnings, err := n.otherConfig(r)
	if err != nil {
		return t, err
	}
	p := n.policyUnder(&config)
	t = api.PolicyTested{Feed: r.Feed, Since: r.Since, Samples: []api.PolicySample{}, Note: replayNote, Warnings: append([]string{}, warnings...)}
	if r.Config != "" {
		t.Note += candidateNote
	}
	err = n.journal.Each(ctx, r.Since, func(e journal.Entry) {
		if e.Decision.Test {
			return
		}
		would, err := replay(e.Decision, p)
		if err != nil {
			t.Skipped++
			return
		}
		countReplay(&t, e, would)
	})
	return t, err
}

// followed is the block of a feed that is followed, by its name or origin.
func (n *Node) followed(name string) (Follow, error) {
	origin, _ := feed.ParseOrigin(name)
	for _, f := range n.config.Load().Follow {
		if f.Feed == name || name != "" && string(origin.Name()) == f.Feed {
			return f, nil
		}
	}
	return Follow{}, notFound("feed %.140s is not followed", name)
}

func (f Follow) withActions(a api.Actions) Follow {
	for _, v := range []struct {
		to   *policy.Action
		text string
	}{{&f.Action, a.Action}, {&f.ActionNear, a.Near}, {&f.ActionWeak, a.Weak}} {
		if v.text != "" {
			*v.to = policy.Action(v.text)
		}
	}
	return f
}

// Promote switches the actions of a followed feed, in the config and at once.
func (n *Node) Promote(ctx context.Context, r api.Promote) (api.Promoted, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	f, err := n.followed(r.Feed)
	if err != nil {
		return api.Promoted{}, err
	}
	f = f.withActions(r.Actions)
	if problems := f.check(n.config.Load().Name); len(problems) > 0 {
		return api.Promoted{}, badRequest(errors.Join(problems...))
	}
	// Only what is switched is written.
	only := Follow{Feed: f.Feed}.withActions(r.Actions)
	if err := ReplaceFollow(n.dir.config(), only); err != nil {
		return api.Promoted{}, err
	}
	if err := n.Reload(); err != nil {
		return api.Promoted{}, err
	}
	done := api.Promoted{Feed: f.Feed, Actions: api.Actions{Action: string(f.Action), Near: string(f.ActionNear), Weak: string(f.ActionWeak)}, Warnings: []string{}}
	for _, w := range ConfigWarnings(string(n.dir), *n.config.Load()) {
		if strings.HasPrefix(w, "[[follow]] "+f.Feed+":") {
			done.Warnings = append(done.Warnings, w)
		}
	}
	return done, nil
}

var errRecorded = errors.New("what the journal keeps of it doesn't lead to its verdict")

// replay is what p would have answered where d was. A decision of which the journal keeps too little to come to its own verdict says nothing.
func replay(d *journal.Decision, p policy.Policy) (policy.Outcome, error) {
	then := policy.Policy{Rules: map[feed.Name]policy.Rule{}, MinPublishers: d.MinPublishers}
	matches := make([]policy.Match, len(d.Matches))
	for i, m := range d.Matches {
		age, err := policy.ParseAge(m.Age)
		if err != nil {
			return "", err
		}
		name := feed.Origin(m.Origin).Name()
		rule, err := recordedRule(d.Rules[string(name)])
		if err != nil {
			return "", err
		}
		then.Rules[name] = rule
		matches[i] = m.Match
		matches[i].Basis = policy.Basis{Strength: m.Strength, Holds: m.Holds, KnownGood: m.KnownGood, Override: m.Override, Publishers: m.Publishers,
			AgeS: m.AgeS, Age: age, Review: m.Review, Rule: rule}
	}
	if was, _, err := policy.Replay(matches, then); err != nil || was != d.Verdict {
		return "", errors.Join(err, errRecorded)
	}
	_, actions, err := policy.Replay(matches, p)
	if err != nil {
		return "", err
	}
	return outcomeOf(matches, actions, p), nil
}

// outcomeOf is what p answers by the actions of its matches. What is neither followed nor an own feed has no records there that could match.
func outcomeOf(matches []policy.Match, actions []policy.Action, p policy.Policy) policy.Outcome {
	o := policy.OutcomeAllow
	for i, a := range actions {
		name := feed.Origin(matches[i].Origin).Name()
		if _, there := p.Rules[name]; a == "" || !there && name != feed.SelfTest {
			continue
		}
		if o == policy.OutcomeAllow || a.Exceeds(policy.Action(o)) {
			o = policy.Outcome(a)
		}
	}
	return o
}

// recordedRule is the rule that ruleOf recorded.
func recordedRule(r *journal.Rule) (rule policy.Rule, err error) {
	if r == nil {
		return rule, errRecorded
	}
	rule = policy.Rule{Action: r.Action, ActionNear: r.ActionNear, ActionWeak: r.ActionWeak, MaxDistance: r.MaxDistance, MaxSquare: r.MaxSquare,
		OnStale: policy.OnStale(r.OnStale), Own: r.Own}
	for _, s := range r.Verdicts {
		v, err := feed.ParseVerdict(s)
		if err != nil {
			return rule, err
		}
		rule.Verdicts = append(rule.Verdicts, v)
	}
	return rule, nil
}

// countReplay counts a decision that would have been another, or the same.
func countReplay(t *api.PolicyTested, e journal.Entry, would policy.Outcome) {
	d := e.Decision
	t.Decisions++
	if slices.ContainsFunc(d.Matches, func(m journal.Matched) bool { return len(m.Holds) > 0 }) {
		t.Held++
	}
	good := slices.ContainsFunc(d.Matches, func(m journal.Matched) bool {
		return m.KnownGood != "" || slices.Contains(m.Holds, policy.HoldKnownGood.Names()[0])
	})
	wrong := slices.ContainsFunc(e.Acts, func(l journal.Line) bool { return slices.Contains(l.Act.Done, journal.False) })
	for outcome, s := range map[policy.Outcome]*api.PolicyShift{policy.OutcomeBlock: &t.Block, policy.OutcomeReview: &t.Review} {
		was, will := d.Verdict == outcome, would == outcome
		s.Was, s.Would = s.Was+count(was), s.Would+count(will)
		s.More, s.Fewer = s.More+count(will && !was), s.Fewer+count(was && !will)
		s.KnownGood, s.False = s.KnownGood+count(will && !was && good), s.False+count(will && !was && wrong)
	}
	if would != d.Verdict && len(t.Samples) < maxSamples {
		t.Samples = append(t.Samples, api.PolicySample{Decision: e.ID, Time: e.Time, Was: d.Verdict, Would: would})
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
