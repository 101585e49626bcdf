package node

import (
	"context"
	"sync"

	"hashfeed/feed"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// Every answer passes here once, after it was judged and before it is given.

// decided records the verdict on hashes, of a file that the caller calls ref, gives it its id, and tells who is to be told. What it returns is the number of the
// journal's line that the answer waits for (see awaitLine); 0: none.
func (n *Node) decided(v *policy.Verdict, hashes []feed.Hash, ref string) (line uint64) {
	if v.Verdict == policy.OutcomeAllow {
		n.allowed(1, hashes, ref)
		return 0
	}
	return n.recorded(v, ref, n.keyed(hashes)...)
}

// recorded does that for a verdict other than allow, on hashes that are keyed.
func (n *Node) recorded(v *policy.Verdict, ref string, keyed ...string) (line uint64) {
	w := decisionWorks.Get().(*decisionWork)
	w.of(v)
	w.Ref, w.Hashes, w.MinPublishers = ref, keyed, n.policy.Load().MinPublishers
	v.Decision, line = n.journal.Decided(w.Decision)
	w.free()
	n.announceVerdict(*v, ref)
	if v.Verdict != policy.OutcomeBlock {
		return 0
	}
	return line
}

// allowed counts uploads that match nothing; hashes are of one of them.
func (n *Node) allowed(count int, hashes []feed.Hash, ref string) {
	n.journal.Allowed(n.now(), count)
	if n.config.Load().Journal.OldUploads {
		n.journal.Uploaded(journal.Upload{Ref: ref, Hashes: n.keyed(hashes)})
	}
}

// decidedAll records the answers to hashes that were asked each by itself.
func (n *Node) decidedAll(ctx context.Context, answers *policy.Answers, hashes *feed.Hashes) {
	line, old := uint64(0), n.config.Load().Journal.OldUploads
	next := 0
	missed := func(to int) { // those before to, which match nothing
		for ; old && next < to; next++ {
			n.journal.Uploaded(journal.Upload{Hashes: n.keyed([]feed.Hash{hashes.At(next)})})
		}
		next = to + 1
	}
	kept := answers.Kept(func(i int, v *policy.Verdict) {
		missed(i)
		if v.Verdict == policy.OutcomeAllow {
			n.allowed(1, []feed.Hash{hashes.At(i)}, "")
		} else {
			line = max(line, n.recorded(v, "", n.journalKey.HashOf(hashes, i)))
		}
	})
	missed(hashes.Len())
	n.journal.Allowed(n.now(), hashes.Len()-kept)
	n.awaitLine(ctx, line)
}

// awaitLine waits until a line of the journal is on disk, for as long as an answer may wait for that: a block that was answered isn't lost with the
// power. It waits for nothing else, so that a disk that is full or slow stops no answer.
func (n *Node) awaitLine(ctx context.Context, line uint64) {
	if line > 0 {
		n.journal.Wait(ctx, line)
	}
}

// keyed is how hashes stand in the journal.
func (n *Node) keyed(hashes []feed.Hash) []string {
	list := make([]string, len(hashes))
	for i, h := range hashes {
		list[i] = n.journalKey.Hash(h)
	}
	return list
}

// decisionWork is what the journal keeps of a verdict, and the memory that the next one's takes: a question of a thousand hashes may match as often.
type decisionWork struct {
	journal.Decision
	rules []journal.Rule // those that Rules has
}

var decisionWorks = sync.Pool{New: func() any {
	return &decisionWork{Decision: journal.Decision{Matches: []journal.Matched{}, Heads: []policy.Head{}, Rules: map[string]*journal.Rule{}}}
}}

// free gives the memory back.
func (w *decisionWork) free() {
	if cap(w.Matches) <= maxMatchedKept {
		w.clear()
		decisionWorks.Put(w)
	}
}

// clear makes room for another verdict.
func (w *decisionWork) clear() {
	clear(w.Matches) // they hold on to verdicts
	clear(w.Rules)
	w.Decision = journal.Decision{Matches: w.Matches[:0], Heads: w.Heads[:0], Rules: w.Rules}
	w.rules = w.rules[:0]
}

// of takes over what a verdict says.
func (w *decisionWork) of(v *policy.Verdict) {
	w.Verdict, w.Checked, w.Unchecked, w.Note, w.Truncated, w.Test = v.Verdict, v.Checked, v.Unchecked, v.Note, v.Truncated, true
	decided := false
	for i := range v.Matches {
		m := &v.Matches[i]
		b := &m.Basis
		w.Matches = append(w.Matches, journal.Matched{Match: *m, Strength: b.Strength, Holds: b.Holds, KnownGood: b.KnownGood, Override: b.Override,
			Publishers: b.Publishers, AgeS: b.AgeS, Age: b.Age.String(), Review: b.Review})
		if !m.Test {
			w.Test = false
		}
		// The nearest of those whose action the verdict is.
		if !m.Test && (w.Harm == "" || !decided && policy.Outcome(m.Action) == v.Verdict) {
			w.Harm, decided = m.Harm, policy.Outcome(m.Action) == v.Verdict
		}
		name := string(feed.Origin(m.Origin).Name())
		if w.Rules[name] != nil {
			continue
		}
		w.Rules[name] = w.rule(&b.Rule)
		for _, h := range v.Heads {
			if string(feed.Origin(h.Origin).Name()) == name {
				w.Heads = append(w.Heads, h)
			}
		}
	}
}

// rule is how a rule stands in the journal.
func (w *decisionWork) rule(r *policy.Rule) *journal.Rule {
	var verdicts []string
	if n := len(w.rules); n < cap(w.rules) {
		verdicts = w.rules[:n+1][n].Verdicts[:0]
	}
	for _, v := range r.Verdicts {
		verdicts = append(verdicts, v.String())
	}
	w.rules = append(w.rules, journal.Rule{Verdicts: verdicts, Action: r.Action, ActionNear: r.ActionNear, ActionWeak: r.ActionWeak,
		MaxDistance: r.MaxDistance, MaxSquare: r.MaxSquare, OnStale: string(r.OnStale), Own: r.Own})
	return &w.rules[len(w.rules)-1]
}
