package policy

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"hashfeed/feed"
)

// Question is what is asked: one hash, or the hashes of one file.
type Question struct {
	File   string      // the file's name, for lines of scan
	Hashes []feed.Hash // what was asked for; several are of one file

	Checked []feed.Alg // kinds that were looked up; nil: those of Hashes
	Listed  []feed.Alg // kinds that some feed we hold lists

	Note      string // why a kind could not be computed, say
	Truncated bool   // more records match than there are candidates
}

// Judge answers q, given the records that its hashes match, in any order, the operator's policy and what is known of each feed. It holds
// on to none of its arguments.
func Judge(q Question, cands []Candidate, p Policy, heads []Head, now time.Time) Verdict {
	v := Verdict{
		File: q.File, Verdict: OutcomeAllow, Note: q.Note, Truncated: q.Truncated,
		Matches: []Match{}, Heads: append([]Head{}, heads...),
	}
	if len(q.Hashes) == 1 && q.File == "" {
		v.Query = q.Hashes[0].String()
	} else {
		for _, h := range q.Hashes {
			v.Hashes = append(v.Hashes, h.String())
		}
	}
	v.Checked, v.Unchecked = q.kinds()
	p.add(&v, q.Hashes, cands, now)
	return v
}

// add adds the matches to a verdict on hashes that had none.
func (p Policy) add(v *Verdict, hashes []feed.Hash, cands []Candidate, now time.Time) {
	if len(cands) == 0 { // by far most answers
		return
	}
	// Nearly always there is one, and none of this takes memory.
	var few [4]*Candidate
	var fewJudged [len(few)]judgement
	judged := p.weigh(fewJudged[:0], hashes, p.nearest(few[:0], cands), now)
	v.Matches = make([]Match, 0, len(judged))
	for i := range judged {
		m := judged[i].match(now)
		v.Matches = append(v.Matches, m)
		v.Verdict = v.Verdict.or(m.Action)
	}
}

// or returns the stronger of o and a.
func (o Outcome) or(a Action) Outcome {
	if o == OutcomeAllow || Action(o).rank() < a.rank() {
		return Outcome(a)
	}
	return o
}

// kinds returns the names of the kinds that were looked up, and of those that are listed somewhere and were not.
func (q Question) kinds() (checked, unchecked []string) {
	algs := slices.Clone(q.Checked)
	if q.Checked == nil {
		for _, h := range q.Hashes {
			algs = append(algs, h.Alg)
		}
	}
	slices.Sort(algs)
	algs = slices.Compact(algs)
	listed := slices.Clone(q.Listed)
	slices.Sort(listed)
	checked, unchecked = []string{}, []string{}
	for _, a := range algs {
		checked = append(checked, a.String())
	}
	for _, a := range slices.Compact(listed) {
		if !slices.Contains(algs, a) {
			unchecked = append(unchecked, a.String())
		}
	}
	return checked, unchecked
}

// judgement is one candidate on its way to a match.
type judgement struct {
	*Candidate
	rule     Rule
	strength strength
	state    State
	age      Age
	action   Action
	holds    Hold
	voices   int  // publishers that say the same
	capped   bool // something speaks against it, so it can't speak for others either

	good, ownGood bool // the file is known good; for the journal
}

// nearest appends to kept, which is empty, the candidates within their rule's distance, one a record and kind, the nearest ones first.
func (p Policy) nearest(kept []*Candidate, cands []Candidate) []*Candidate {
	for i := range cands {
		c := &cands[i]
		if c.Distance > p.rule(c.Ref.Origin.Name()).reach(c.Hash.Alg) {
			continue
		}
		kept = append(kept, c)
	}
	if len(kept) < 2 { // the most frequent match
		return kept
	}
	// Within a distance the order is fixed only so that the same question has the same answer.
	slices.SortStableFunc(kept, func(a, b *Candidate) int {
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.Ref.Origin, b.Ref.Origin),
			cmp.Compare(a.Ref.Index, b.Ref.Index), cmp.Compare(a.Hash.Alg, b.Hash.Alg), cmp.Compare(a.Hash.Value, b.Hash.Value))
	})
	type recordKind struct {
		ref feed.Ref
		alg feed.Alg
	}
	seen := make(map[recordKind]bool, len(kept))
	return slices.DeleteFunc(kept, func(c *Candidate) bool {
		k := recordKind{c.Ref, c.Hash.Alg}
		again := seen[k]
		seen[k] = true
		return again
	})
}

// weigh gives each candidate its state and its action, and appends that to judged, which is empty.
func (p Policy) weigh(judged []judgement, hashes []feed.Hash, cands []*Candidate, now time.Time) []judgement {
	var proven map[feed.Ref]bool // matched by sha256
	if len(cands) > 1 {
		proven = map[feed.Ref]bool{}
		for _, c := range cands {
			if c.Hash.Alg == feed.SHA256 {
				proven[c.Ref] = true
			}
		}
	}
	ownGood, good := p.OwnKnownGood.Has(hashes...), p.KnownGood.Has(hashes...)
	var sameBytes map[feed.Ref]bool // matched by md5, sha1 or sha256, where the file's bytes are known good
	if p.KnownBytes.Has(hashes...) {
		sameBytes = map[feed.Ref]bool{}
		for _, c := range cands {
			if c.Hash.Alg.Exact() {
				sameBytes[c.Ref] = true
			}
		}
	}

	for _, c := range cands {
		j := judgement{Candidate: c, rule: p.rule(c.Ref.Origin.Name()), age: AgeOf(c.Stamp, c.SoftAge, c.HardAge, now)}
		j.strength = c.strength(proven[c.Ref])
		holds := c.Holds
		if j.strength == weak && c.collides(hashes) {
			holds |= HoldCollision
		}
		if ownGood || c.Facts.Override == 0 && (good || sameBytes[c.Ref]) {
			holds |= HoldKnownGood
		}
		j.holds, j.good, j.ownGood = holds, good, ownGood
		j.decide()
		judged = append(judged, j)
	}
	p.demandPublishers(judged)
	return judged
}

// decide gives j its state and its action by its rule, its strength, what speaks against it and its feed's age.
func (j *judgement) decide() {
	trusted := j.rule.trusts(j.Facts.Verdict)
	j.state = j.holds.state(trusted)

	// Each doubt lowers the action by itself, not only the first that the state names: else an untrusted record, which is
	// only logged, would rise to review by being suspended.
	j.action = j.rule.action(j.strength).atMost(Block)
	if !trusted {
		j.capped, j.action = true, j.action.atMost(Log)
	}
	if j.holds != 0 || j.Use == feed.UseReview || j.stale() {
		j.capped, j.action = true, j.action.atMost(Review)
	}
}

// stale tells whether the feed's age forbids acting on j.
func (j *judgement) stale() bool {
	if j.rule.Own || j.age != Overdue {
		return false
	}
	keeps := j.rule.OnStale != ReviewIfStale && j.Distance == 0 && j.Facts.Verdict == feed.Baseline
	return !keeps
}

// demandPublishers lowers what fewer than MinPublishers say. Publishers are counted by the domain that they own: two feeds of one are
// one voice, and so is a publisher's endorsement of itself.
func (p Policy) demandPublishers(judged []judgement) {
	for i := range judged {
		judged[i].voices = voices(judged, &judged[i])
		p.demand(&judged[i])
	}
}

// demand lowers j if fewer than MinPublishers say it.
func (p Policy) demand(j *judgement) {
	if j.rule.Own {
		return // the operator needs nobody's leave for its own list
	}
	if p.MinPublishers >= 2 && j.voices < p.MinPublishers {
		j.action = j.action.atMost(Review)
	}
}

// Voices are the publishers that say the same of an item, by the records that its own hashes match: equal by sha256, photodna or pdq, or neighbours
// by these within the feed's distance, which nothing speaks against; their endorsers too. So an item counts as listed by two where an upload is
// asked about by one hash that only one of them lists. Test records and own lists say nothing here.
func Voices(item []feed.Hash, cands []Candidate, p Policy, now time.Time) []string {
	p.MinPublishers = 0
	voices := map[string]bool{}
	for _, j := range p.weigh(nil, item, p.nearest(nil, cands), now) {
		if j.capped || j.strength == weak || j.Facts.Verdict == feed.Test {
			continue
		}
		if !j.rule.Own {
			voices[j.Ref.Origin.Publisher()] = true
		}
		for _, e := range j.Endorsers {
			voices[e] = true
		}
	}
	return slices.Sorted(maps.Keys(voices))
}

// voices is how many different publishers say at least what j says.
func voices(judged []judgement, j *judgement) int {
	if len(judged) == 1 && len(j.Endorsers) == 0 && len(j.Alike) == 0 { // the most frequent match
		if j.rule.Own || !j.supports(j) {
			return 0
		}
		return 1
	}
	voices := map[string]bool{}
	for _, a := range j.Alike {
		voices[a] = true
	}
	for k := range judged {
		if o := &judged[k]; o.supports(j) {
			// An own list may hold what was imported from the very feed it would confirm: it is no second voice.
			if !o.rule.Own {
				voices[o.Ref.Origin.Publisher()] = true
			}
			for _, e := range o.Endorsers {
				voices[e] = true
			}
		}
	}
	return len(voices)
}

// supports tells whether o says at least what j says: a match as strong or of the same kind of strength, that nothing speaks against. Test
// records speak only for test records.
func (o *judgement) supports(j *judgement) bool {
	return !o.capped && (o.strength == strong || o.strength == j.strength) &&
		(o.Facts.Verdict == feed.Test) == (j.Facts.Verdict == feed.Test)
}

func (j *judgement) match(now time.Time) Match {
	endorsers := append([]string{}, j.Endorsers...)
	slices.Sort(endorsers)
	disputers := slices.Clone(j.Disputers)
	slices.Sort(disputers)
	return Match{
		Origin: string(j.Ref.Origin), Index: j.Ref.Index, Ref: j.Ref.String(),
		Alg: j.Hash.Alg.String(), Distance: j.Distance,
		Verdict: j.Facts.Verdict.String(), Harm: string(j.Harm), Media: j.Facts.Media.String(),
		Listed: time.Unix(j.Listed, 0).UTC(), State: j.state, Stale: j.age != Fresh,
		EndorsedBy: slices.Compact(endorsers), DisputedBy: slices.Compact(disputers), Test: j.Facts.Verdict == feed.Test, Action: j.action,
		Basis: j.basis(now),
	}
}
