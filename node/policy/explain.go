package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hashfeed/feed"
)

// Explained is a verdict, and how it came about.
type Explained struct {
	Query   string           `json:"query,omitempty"`  // as of the Verdict
	Hashes  []string         `json:"hashes,omitempty"` // as of the Verdict
	Ref     string           `json:"ref,omitempty"`    // the record whose hashes were asked for
	Verdict Outcome          `json:"verdict"`
	Text    string           `json:"text"`    // in a sentence
	Matches []MatchExplained `json:"matches"` // as of the Verdict
	Notes   []string         `json:"notes"`   // what else there is to know: records too far away, kinds that weren't checked
}

// MatchExplained is one match, and the rules in the order in which they lowered its action.
type MatchExplained struct {
	Ref      string `json:"ref"`
	Alg      string `json:"alg"`
	Distance int    `json:"distance"`
	Verdict  string `json:"verdict"`
	State    State  `json:"state"`
	Action   Action `json:"action"`
	Decides  string `json:"decides"` // the rule of the step that made the action what it is
	Steps    []Step `json:"steps"`
}

// Step is one rule that applies to a match.
type Step struct {
	Rule   string `json:"rule"`   // one of the Rule constants
	Action Action `json:"action"` // of the match, after it
	Text   string `json:"text"`
}

// The names of the rules: keys of the config, words of DESIGN §5.
const (
	RuleAction        = "action"
	RuleActionNear    = "action_near"
	RuleActionWeak    = "action_weak"
	RuleVerdicts      = "verdicts"
	RuleSuspended     = "suspended"
	RuleDisputed      = "disputed"
	RuleOverdue       = "answer"
	RuleKnownGood     = "known-good"
	RuleCollision     = "collision"
	RuleRunaway       = "runaway"
	RuleClosedLog     = "closed-log"
	RuleDamaged       = "damaged"
	RuleUse           = "use"
	RuleOnStale       = "on_stale"
	RuleMinPublishers = "min_publishers"
)

// holdSteps are the holds in the order in which they are told.
var holdSteps = []struct {
	hold       Hold
	rule, text string
}{
	{HoldSuspended, RuleSuspended, "a signer of the feed has suspended it"},
	{HoldDisputed, RuleDisputed, "it is disputed: by this node, or by as many publishers as it takes"},
	{HoldOverdue, RuleOverdue, "it is disputed, and its publisher hasn't answered within its charter's term"},
	{HoldKnownGood, RuleKnownGood, "a known-good list has it"},
	{HoldCollision, RuleCollision, "md5 or sha1 are equal and another exact hash of the same item is not: a forgery, or an error"},
	{HoldRunaway, RuleRunaway, "it has matched too many different uploads within an hour"},
	{HoldClosedLog, RuleClosedLog, "a retraction of it stands past the end of a closed log"},
	{HoldDamaged, RuleDamaged, "records of its feed are lost here, and one of them may be its retraction"},
}

// Explain answers q as Judge does, and says in plain words which rule decides about each match. It is pure, as Judge is.
func Explain(q Question, cands []Candidate, p Policy, now time.Time) Explained {
	v := Judge(q, cands, p, nil, now)
	e := Explained{Query: v.Query, Hashes: v.Hashes, Verdict: v.Verdict, Matches: []MatchExplained{}, Notes: []string{}}
	for _, j := range p.weigh(nil, q.Hashes, p.nearest(nil, cands), now) {
		m := j.match(now)
		steps := j.steps(p)
		x := MatchExplained{Ref: m.Ref, Alg: m.Alg, Distance: m.Distance, Verdict: m.Verdict, State: m.State, Action: m.Action, Steps: steps}
		for i, s := range steps {
			if i == 0 || s.Action != steps[i-1].Action {
				x.Decides = s.Rule
			}
		}
		e.Matches = append(e.Matches, x)
	}
	for _, c := range cands {
		if r := p.rule(c.Ref.Origin.Name()); c.Distance > r.reach(c.Hash.Alg) {
			e.Notes = append(e.Notes, fmt.Sprintf("%s is at distance %d by %s, and what is matched of its feed goes to %d: no match", c.Ref, c.Distance, c.Hash.Alg, r.reach(c.Hash.Alg)))
		}
	}
	if len(v.Unchecked) > 0 {
		e.Notes = append(e.Notes, "some feed lists "+strings.Join(v.Unchecked, ", ")+", and this was not checked for it")
	}
	if v.Truncated {
		e.Notes = append(e.Notes, "more records match than are told")
	}
	e.Text = e.sentence()
	return e
}

// sentence says what decides.
func (e *Explained) sentence() string {
	i := slices.IndexFunc(e.Matches, func(m MatchExplained) bool { return Outcome(m.Action) == e.Verdict })
	if i < 0 {
		return "allow: nothing that is listed here matches; that says nothing else about the file"
	}
	what := map[Outcome]string{OutcomeBlock: "don't accept this upload", OutcomeReview: "let a person look", OutcomeLog: "note it"}[e.Verdict]
	return fmt.Sprintf("%s (%s): %s decides, by %s", e.Verdict, what, e.Matches[i].Ref, e.Matches[i].Decides)
}

// steps are the rules that apply to a match, in the order of the package's doc. The action of the last is the match's.
func (j *judgement) steps(p Policy) []Step {
	action := j.rule.action(j.strength).atMost(Block)
	key := map[strength]string{strong: RuleAction, near: RuleActionNear, weak: RuleActionWeak}[j.strength]
	steps := []Step{{key, action, j.firstText(p, key)}}
	lower := func(rule string, limit Action, text string) {
		action = action.atMost(limit)
		steps = append(steps, Step{rule, action, text + ": at most " + string(limit)})
	}
	if !j.rule.trusts(j.Facts.Verdict) {
		var trusted []string
		for _, v := range j.rule.Verdicts {
			trusted = append(trusted, v.String())
		}
		lower(RuleVerdicts, Log, fmt.Sprintf("it is %s, and the feed is trusted for %s", j.Facts.Verdict, orNothing(trusted)))
	}
	for _, h := range holdSteps {
		if j.holds&h.hold != 0 {
			lower(h.rule, Review, h.text)
		}
	}
	if j.Use == feed.UseReview {
		lower(RuleUse, Review, `the feed's charter says "use review"`)
	}
	if j.stale() {
		lower(RuleOnStale, Review, "nothing was heard of the feed for longer than its charter's hard maxage, and it may have been retracted")
	}
	if p.MinPublishers >= 2 && !j.rule.Own && j.voices < p.MinPublishers {
		lower(RuleMinPublishers, Review, fmt.Sprintf("%d of the %d publishers that it takes say the same", j.voices, p.MinPublishers))
	}
	return steps
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// firstText says which rule's action a match has to begin with.
func (j *judgement) firstText(p Policy, key string) string {
	kind := fmt.Sprintf("%s is equal", j.Hash.Alg)
	switch {
	case j.strength == near:
		kind = fmt.Sprintf("a neighbour by %s, at distance %d", j.Hash.Alg, j.Distance)
	case j.strength == weak:
		kind += ", which can be forged"
	case j.Hash.Alg == feed.MD5 || j.Hash.Alg == feed.SHA1:
		kind += ", and so is sha256"
	}
	name := j.Ref.Origin.Name()
	_, ruled := p.Rules[name]
	switch {
	case name == feed.SelfTest:
		return kind + ": the built-in test picture always blocks"
	case !ruled:
		return kind + ": there is no rule for this feed, so it is only logged"
	case j.rule.Own:
		return fmt.Sprintf("%s: [own] %s is %q", kind, key, j.rule.action(j.strength))
	}
	return fmt.Sprintf("%s: %s of [[follow]] %s is %q", kind, key, name, j.rule.action(j.strength))
}
