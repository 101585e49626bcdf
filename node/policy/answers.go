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
	m.headsJSON = AppendHeads(nil, m.heads)
	for alg := feed.MD5; alg <= feed.VPDQ; alg++ {
		v := Verdict{Verdict: OutcomeAllow, Matches: []Match{}, Heads: m.heads}
		q := Question{Hashes: []feed.Hash{{Alg: alg}}, Listed: listed, Checked: []feed.Alg{}}
		if lookedUp(alg) {
			q.Checked = append(q.Checked, alg)
		}
		v.Checked, v.Unchecked = q.kinds()
		text, _ := v.appendRest(nil, m.headsJSON) // without a match it can't fail
		m.of[alg] = miss{v, text}
	}
	return m
}

// Heads are what is known of each feed; they are for reading.
func (m *Misses) Heads() []Head { return m.heads }

// Answers are the verdicts on hashes that were asked one by one, in their order. Only those of hashes that match something are kept; the others are
// made when they are read. They share what they have in common: it is for reading. Zero Answers are to no hashes.
type Answers struct {
	hashes  *feed.Hashes
	misses  *Misses   // nil: all are in others, in order
	matched []matched // the hashes that match something, in order
	others  []Verdict // in any order; where misses are known, their Query is wanting
}

// matched is a hash that matches something, and the place of its verdict in others.
type matched struct{ hash, other int32 }

// AnswersOf are verdicts that somebody else has made.
func AnswersOf(verdicts []Verdict) Answers { return Answers{others: verdicts} }

// NewAnswers says of each hash that it matches nothing. It keeps hashes.
func NewAnswers(hashes *feed.Hashes, m *Misses) Answers { return Answers{hashes: hashes, misses: m} }

// Judge answers hash i, which asked holds alone, as the func Judge does, given the records that it matches; truncated: there are more. It holds on to
// none of its arguments.
func (a *Answers) Judge(i int, asked []feed.Hash, cands []Candidate, truncated bool, p Policy, now time.Time) {
	if a.others == nil {
		few := min(a.hashes.Len(), 16)
		a.matched, a.others = make([]matched, 0, few), make([]Verdict, 0, few)
	}
	at := a.place(i) // nearly always the end
	a.matched = slices.Insert(a.matched, at, matched{int32(i), int32(len(a.others))})
	a.others = append(a.others, a.misses.of[a.hashes.Alg(i)].verdict)
	v := &a.others[len(a.others)-1]
	v.Truncated = truncated
	p.add(v, asked, cands, now)
}

// Len is how many hashes were asked.
func (a *Answers) Len() int {
	if a.misses == nil {
		return len(a.others)
	}
	return a.hashes.Len()
}

// other is the verdict on hash i where one was kept, else nil.
func (a *Answers) other(i int) *Verdict {
	if a.misses == nil {
		return &a.others[i]
	}
	if at := a.place(i); at < len(a.matched) && int(a.matched[at].hash) == i {
		return &a.others[a.matched[at].other]
	}
	return nil
}

// place is where in matched the first hash from i on is.
func (a *Answers) place(i int) int {
	if n := len(a.matched); n == 0 || int(a.matched[n-1].hash) < i { // nearly always
		return n
	}
	at, _ := slices.BinarySearchFunc(a.matched, i, func(m matched, i int) int { return int(m.hash) - i })
	return at
}

// Matched is the first hash from i on that may match something, Len if none does: the outcome of all before it is OutcomeAllow.
func (a *Answers) Matched(i int) int {
	if a.misses == nil {
		return i
	}
	if at := a.place(i); at < len(a.matched) {
		return int(a.matched[at].hash)
	}
	return a.Len()
}

// Kept calls do with each verdict that isn't made when it is read, which are all but those on hashes that match nothing: do may change it. It
// returns how many there are.
func (a *Answers) Kept(do func(i int, v *Verdict)) int {
	n := 0
	for i := a.Matched(0); i < a.Len(); i = a.Matched(i + 1) {
		n++
		do(i, a.other(i))
	}
	return n
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
	if a.misses == nil {
		return a.others[i]
	}
	v := &a.misses.of[a.hashes.Alg(i)].verdict
	if other := a.other(i); other != nil {
		v = other
	}
	verdict := *v
	verdict.Query = a.hashes.At(i).String()
	return verdict
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
	if a.misses == nil {
		return a.others[i].AppendJSON(b)
	}
	alg, value := a.hashes.Alg(i), a.hashes.Value(i)
	b = append(append(append(b, `{"query":"`...), alg.String()...), ':')
	b = slices.Grow(b, 2*len(value))
	b = hex.AppendEncode(b, value)
	b = append(b, `",`...)
	if v := a.other(i); v != nil {
		return v.appendRest(b, a.misses.headsJSON)
	}
	return append(b, a.misses.of[alg].tail...), nil
}
