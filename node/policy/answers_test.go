package policy

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"hashfeed/feed"
)

// randomHash makes one of any kind.
func randomHash(r *rand.Rand) feed.Hash {
	h := feed.Hash{Alg: feed.Alg(1 + r.IntN(int(feed.VPDQ)))}
	value := make([]byte, max(h.Alg.Size(), 5))
	for i := range value {
		value[i] = byte(r.Uint32())
	}
	h.Value = string(value)
	if h.Alg.Graded() {
		h.Quality = uint8(r.IntN(101))
	}
	return h
}

func randomPolicy(r *rand.Rand) Policy {
	p := strict()
	for name, rule := range p.Rules {
		rule.Action, rule.ActionNear, rule.OnStale = []Action{Log, Review, Block, ""}[r.IntN(4)], []Action{Log, Review, Block}[r.IntN(3)], []OnStale{Keep, ReviewIfStale}[r.IntN(2)]
		p.Rules[name] = rule
	}
	p.MinPublishers = r.IntN(3)
	p.KnownGood = func(h feed.Hash) bool { return h.Value[0]&1 == 0 }
	return p
}

// TestAnswersAreJudges: whatever the policy, the feeds and the hashes, Answers say what Judge says of each hash, also in JSON.
func TestAnswersAreJudges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		p := randomPolicy(r)
		var heads []Head
		for range r.IntN(4) {
			var h Head
			random(r, reflect.ValueOf(&h).Elem())
			heads = append(heads, h)
		}
		var listed []feed.Alg
		for range r.IntN(6) {
			listed = append(listed, feed.Alg(1+r.IntN(int(feed.VPDQ))))
		}
		unseen := feed.Alg(1 + r.IntN(int(feed.VPDQ)))
		misses := NewMisses(listed, func(a feed.Alg) bool { return a != unseen }, heads)
		hashes := make([]feed.Hash, r.IntN(20))
		for i := range hashes {
			hashes[i] = randomHash(r)
		}
		a := NewAnswers(feed.HashesOf(hashes), misses)
		var want []Verdict
		var judge []func() // in any order: a node asks for one kind after the other
		for i, h := range hashes {
			q := Question{Hashes: []feed.Hash{h}, Listed: listed, Checked: []feed.Alg{}}
			if h.Alg != unseen {
				q.Checked = append(q.Checked, h.Alg)
			}
			var cands []Candidate
			if r.IntN(3) == 0 {
				for range 1 + r.IntN(3) {
					cands = append(cands, candidate(listedOr(r, other), uint64(r.IntN(3)), h, r.IntN(40)))
				}
				q.Truncated = r.IntN(2) == 0
				judge = append(judge, func() { a.Judge(i, hashes[i:i+1], cands, q.Truncated, p, now) })
			}
			want = append(want, Judge(q, cands, p, heads, now))
		}
		r.Shuffle(len(judge), func(i, k int) { judge[i], judge[k] = judge[k], judge[i] })
		for _, do := range judge {
			do()
		}
		kept := -1
		if n := a.Kept(func(i int, v *Verdict) {
			if i <= kept || v.Verdict != want[i].Verdict || len(v.Matches) != len(want[i].Matches) {
				t.Fatalf("kept %+v of hash %d behind %d, want %+v", v, i, kept, want[i])
			}
			kept = i
		}); n != len(judge) {
			t.Fatalf("%d verdicts are kept, want %d", n, len(judge))
		}
		if got := a.Verdicts(); len(got) != len(want) || a.Len() != len(want) {
			t.Fatalf("got %d verdicts, want %d", len(got), len(want))
		}
		given := AnswersOf(slices.Clone(want))
		for _, list := range []Answers{a, given} {
			for i, from := 0, 0; i < len(want); i++ {
				if i == from {
					from = list.Matched(i)
				}
				if from < i || from > len(want) || i < from && want[i].Verdict != OutcomeAllow {
					t.Fatalf("%d of %d answered %s, the first that matches is said to be %d", i, len(want), want[i].Verdict, from)
				}
				if i == from {
					from++
				}
			}
		}
		for i := range want {
			if got := a.Verdict(i); !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("hash %d of %v:\ngot  %+v\nwant %+v", i, hashes, got, want[i])
			}
			text, err := byEncodingJSON(want[i])
			if err != nil {
				t.Fatal(err)
			}
			for _, list := range []Answers{a, given} {
				if list.Outcome(i) != want[i].Verdict || list.Len() != len(want) {
					t.Fatalf("got %s, want %s", list.Outcome(i), want[i].Verdict)
				}
				if got, err := list.AppendJSON(nil, i); err != nil || string(got) != text {
					t.Fatalf("got\n%s, %v, want\n%s", got, err, text)
				}
			}
		}
	}
}

func listedOr(r *rand.Rand, n feed.Name) feed.Name {
	if r.IntN(2) == 0 {
		return listed
	}
	return n
}

// TestMissAllocates: the answer to a hash that matches nothing costs no memory, whatever is known of how many feeds.
func TestMissAllocates(t *testing.T) {
	misses := NewMisses([]feed.Alg{feed.PDQ}, func(feed.Alg) bool { return true }, make([]Head, 100))
	a := NewAnswers(feed.HashesOf([]feed.Hash{hash(feed.SHA256, 'x')}), misses)
	b := make([]byte, 0, 1<<16)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := a.AppendJSON(b, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
