package policy

import (
	"encoding/hex"
	"slices"
	"time"

	"hashfeed/feed"
)

// Misses are the answers to hashes that match nothing, nearly all there are, while what is known of the feeds stays the same. Those to hashes of
// one kind differ in the hash alone, so that they are judged and written once. Misses are immutable.
type Misses struct {
	heads     []Head
	headsJSON []byte
	of        [feed.VPDQ + 1]miss
}

// miss is the answer to any hash of a kind.
type miss struct {
	verdict Verdict // its Query is wanting
	tail    []byte  // of its JSON: what comes after the query
}

// NewMisses makes them of the kinds that some feed lists, of those that are looked up, and of what is known of each feed.
func NewMisses(listed []feed.Alg, lookedUp func(feed.Alg) bool, heads []Head) *Misses {
	m := &Misses{heads: append([]Head{}, heads...)}
	m.headsJSON = appendHeads(nil, m.heads)
	for alg := feed.MD5; alg <= feed.VPDQ; alg++ {
		v := Verdict{Verdict: OutcomeAllow, Matches: []Match{}, Heads: m.heads}
		q := Question{Hashes: []feed.Hash{{Alg: alg}}, Listed: listed, Checked: []feed.Alg{}}
		if lookedUp(alg) {
			q.Checked = append(q.Checked, alg)
		}
		v.Checked, v.Unchecked = q.kinds()
		text, _ := v.appendJSON(nil, m.headsJSON) // without a match it can't fail
		m.of[alg] = miss{v, text[1:]}
	}
	return m
}

// Heads are what is known of each feed; they are for reading.
func (m *Misses) Heads() []Head { return m.heads }

// Answers are the verdicts on hashes that were asked one by one, in their order. Only those of hashes that match something are kept; the others are
// made when they are read. They share what they have in common: it is for reading. Zero Answers are to no hashes.
type Answers struct {
	hashes  []feed.Hash
	misses  *Misses   // nil: all are in others, in order
	matched []int32   // by hash: 0, or its place in others and 1; nil while nothing matches
	others  []Verdict // in any order
}

// AnswersOf are verdicts that somebody else has made.
func AnswersOf(verdicts []Verdict) Answers { return Answers{others: verdicts} }

// NewAnswers says of each hash that it matches nothing. It keeps hashes.
func NewAnswers(hashes []feed.Hash, m *Misses) Answers { return Answers{hashes: hashes, misses: m} }

// Judge answers hash i as the func Judge does, given the records that it matches; truncated: there are more. It holds on to none of them.
func (a *Answers) Judge(i int, cands []Candidate, truncated bool, p Policy, now time.Time) {
	v := a.miss(i)
	v.Truncated = truncated
	p.add(&v, a.hashes[i:i+1], cands, now)
	if a.matched == nil {
		a.matched = make([]int32, len(a.hashes))
		a.others = make([]Verdict, 0, min(len(a.hashes), 16))
	}
	a.others = append(a.others, v)
	a.matched[i] = int32(len(a.others))
}

// Len is how many hashes were asked.
func (a *Answers) Len() int {
	if a.misses == nil {
		return len(a.others)
	}
	return len(a.hashes)
}

// other is the verdict on hash i where one was kept, else nil.
func (a *Answers) other(i int) *Verdict {
	switch {
	case a.misses == nil:
		return &a.others[i]
	case a.matched == nil || a.matched[i] == 0:
		return nil
	}
	return &a.others[a.matched[i]-1]
}

// Outcome is the outcome of the verdict on hash i.
func (a *Answers) Outcome(i int) Outcome {
	if v := a.other(i); v != nil {
		return v.Verdict
	}
	return OutcomeAllow
}

// Verdict is the verdict on hash i.
func (a *Answers) Verdict(i int) Verdict {
	if v := a.other(i); v != nil {
		return *v
	}
	return a.miss(i)
}

// miss is the verdict on hash i if it matches nothing.
func (a *Answers) miss(i int) Verdict {
	v := a.misses.of[a.hashes[i].Alg].verdict
	v.Query = a.hashes[i].String()
	return v
}

// Verdicts are all of them.
func (a *Answers) Verdicts() []Verdict {
	all := make([]Verdict, a.Len())
	for i := range all {
		all[i] = a.Verdict(i)
	}
	return all
}

// AppendJSON appends the verdict on hash i as [Verdict.AppendJSON] does.
func (a *Answers) AppendJSON(b []byte, i int) ([]byte, error) {
	if v := a.other(i); v != nil {
		if a.misses == nil {
			return v.AppendJSON(b)
		}
		return v.appendJSON(b, a.misses.headsJSON)
	}
	h := &a.hashes[i]
	b = append(append(append(b, `{"query":"`...), h.Alg.String()...), ':')
	b = slices.Grow(b, 2*len(h.Value))
	b = hex.AppendEncode(b, []byte(h.Value))
	b = append(b, `",`...)
	return append(b, a.misses.of[h.Alg].tail...), nil
}
