package policy

import (
	"fmt"
	"slices"

	"hashfeed/feed"
)

// Replay answers by the matches of an answer that was given, and what they were judged by, what p would have answered; actions are theirs, in
// order, "" for one that is too far away under p. It weighs as Judge does, and holds and ages are as they were.
//
// What an answer doesn't tell, it can't know: records that were too far away then, and publishers that say the same by other hashes of the item,
// which are looked for only where a policy asks for several. Of these it takes as many as there were.
func Replay(matches []Match, p Policy) (o Outcome, actions []Action, err error) {
	o, actions = OutcomeAllow, make([]Action, len(matches))
	then := make([]judgement, 0, len(matches))
	var now []judgement
	var at []int // the place in matches of each of now
	for i := range matches {
		j, err := matches[i].judgement()
		if err != nil {
			return OutcomeError, nil, fmt.Errorf("match %d: %w", i, err)
		}
		again := j
		j.decide()
		then = append(then, j)
		if again.rule = p.rule(j.Ref.Origin.Name()); j.Distance <= again.rule.reach(j.Hash.Alg) {
			again.decide()
			now, at = append(now, again), append(at, i)
		}
	}
	for k := range now {
		j, i := &now[k], at[k]
		j.voices = voices(now, j) + max(0, matches[i].Basis.Publishers-voices(then, &then[i]))
		p.demand(j)
		actions[i] = j.action
		o = o.or(j.action)
	}
	return o, actions, nil
}

// judgement is what m was, before its rule decided.
func (m *Match) judgement() (j judgement, err error) {
	b := &m.Basis
	c := &Candidate{Distance: m.Distance, Endorsers: m.EndorsedBy}
	if c.Ref, err = feed.ParseRef(m.Ref); err != nil {
		return j, err
	}
	if c.Hash.Alg, err = feed.ParseAlg(m.Alg); err != nil {
		return j, err
	}
	if c.Facts.Verdict, err = feed.ParseVerdict(m.Verdict); err != nil {
		return j, err
	}
	if b.Review {
		c.Use = feed.UseReview
	}
	j = judgement{Candidate: c, rule: b.Rule, age: b.Age}
	if j.strength, err = parseStrength(b.Strength); err != nil {
		return j, err
	}
	for _, name := range b.Holds {
		i := slices.Index(holdNames, name)
		if i < 0 {
			return j, fmt.Errorf("hold %.20q is unknown", name)
		}
		j.holds |= 1 << i
	}
	return j, nil
}

func parseStrength(s string) (strength, error) {
	for _, k := range []strength{weak, near, strong} {
		if k.String() == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("strength %.20q is unknown", s)
}

// ParseAge parses the word for an age.
func ParseAge(s string) (Age, error) {
	for _, a := range []Age{Fresh, Stale, Overdue} {
		if a.String() == s {
			return a, nil
		}
	}
	return 0, fmt.Errorf("age %.20q: want fresh, stale or overdue", s)
}
