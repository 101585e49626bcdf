package node

import (
	"context"

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
	d := n.decisionOf(v, hashes, ref)
	v.Decision, line = n.journal.Decided(d)
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
		line = max(line, n.decided(v, []feed.Hash{hashes.At(i)}, ""))
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

// decisionOf is what the journal keeps of a verdict.
func (n *Node) decisionOf(v *policy.Verdict, hashes []feed.Hash, ref string) journal.Decision {
	d := journal.Decision{Ref: ref, Hashes: n.keyed(hashes), Verdict: v.Verdict, Test: true, Checked: v.Checked, Unchecked: v.Unchecked,
		Matches: make([]journal.Matched, 0, len(v.Matches)), Heads: []policy.Head{}, Rules: map[string]*journal.Rule{},
		MinPublishers: n.policy.Load().MinPublishers, Note: v.Note, Truncated: v.Truncated}
	decided := false
	for i := range v.Matches {
		m := &v.Matches[i]
		b := &m.Basis
		d.Matches = append(d.Matches, journal.Matched{Match: *m, Strength: b.Strength, Holds: b.Holds, KnownGood: b.KnownGood, Override: b.Override,
			Publishers: b.Publishers, AgeS: b.AgeS, Age: b.Age.String(), Review: b.Review})
		if !m.Test {
			d.Test = false
		}
		// The nearest of those whose action the verdict is.
		if !m.Test && (d.Harm == "" || !decided && policy.Outcome(m.Action) == v.Verdict) {
			d.Harm, decided = m.Harm, policy.Outcome(m.Action) == v.Verdict
		}
		name := string(feed.Origin(m.Origin).Name())
		if d.Rules[name] != nil {
			continue
		}
		d.Rules[name] = ruleOf(b.Rule)
		for _, h := range v.Heads {
			if feed.Origin(h.Origin).Name() == feed.Name(name) {
				d.Heads = append(d.Heads, h)
			}
		}
	}
	return d
}

func ruleOf(r policy.Rule) *journal.Rule {
	rule := &journal.Rule{Action: r.Action, ActionNear: r.ActionNear, ActionWeak: r.ActionWeak, MaxDistance: r.MaxDistance, MaxSquare: r.MaxSquare,
		OnStale: string(r.OnStale), Own: r.Own}
	for _, v := range r.Verdicts {
		rule.Verdicts = append(rule.Verdicts, v.String())
	}
	return rule
}
