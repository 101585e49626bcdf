package policy

import (
	"fmt"
	"strings"
	"testing"

	"hashfeed/feed"
)

// explains wants an explanation to come to the verdict, step by step, none of which raises the action.
func explains(q Question, cands []Candidate, p Policy, v Verdict) error {
	e := Explain(q, cands, p, now)
	if e.Verdict != v.Verdict || len(e.Matches) != len(v.Matches) {
		return fmt.Errorf("explains %s of %d matches, not %s of %d", e.Verdict, len(e.Matches), v.Verdict, len(v.Matches))
	}
	for i, m := range e.Matches {
		want := v.Matches[i]
		if m.Ref != want.Ref || m.Alg != want.Alg || m.State != want.State || m.Action != want.Action {
			return fmt.Errorf("explains %+v, not %+v", m, want)
		}
		if len(m.Steps) == 0 || m.Steps[len(m.Steps)-1].Action != want.Action {
			return fmt.Errorf("%s ends otherwise than %s: %+v", m.Ref, want.Action, m.Steps)
		}
		decides := ""
		for k, s := range m.Steps {
			if k > 0 && s.Action.rank() > m.Steps[k-1].Action.rank() {
				return fmt.Errorf("%s is raised: %+v", m.Ref, m.Steps)
			}
			if k == 0 || s.Action != m.Steps[k-1].Action {
				decides = s.Rule
			}
			if s.Rule == "" || s.Text == "" {
				return fmt.Errorf("%s has a step without words: %+v", m.Ref, m.Steps)
			}
		}
		if m.Decides != decides {
			return fmt.Errorf("%s is decided by %s, not by %s", m.Ref, decides, m.Decides)
		}
	}
	return nil
}

// TestExplain: each rule is named where it decides, in words that say why.
func TestExplain(t *testing.T) {
	sha, md5, pdq := hash(feed.SHA256, 'a'), hash(feed.MD5, 'b'), hash(feed.PDQ, 'c')
	with := func(change func(*Candidate)) []Candidate {
		c := candidate(listed, 1, sha, 0)
		change(&c)
		return []Candidate{c}
	}
	hold := func(h Hold) []Candidate { return with(func(c *Candidate) { c.Holds = h }) }
	for _, c := range []struct {
		rule  string
		cands []Candidate
		p     func(*Policy)
		want  Action
		words string
	}{
		{RuleAction, with(func(*Candidate) {}), nil, Block, `action of [[follow]] eokm.example/known is "block"`},
		{RuleActionNear, []Candidate{candidate(listed, 1, pdq, 7)}, nil, Review, "a neighbour by pdq, at distance 7"},
		{RuleActionWeak, []Candidate{candidate(listed, 1, md5, 0)}, nil, Log, "can be forged"},
		{RuleAction, []Candidate{candidate(own, 1, sha, 0)}, nil, Block, `[own] action is "block"`},
		{RuleAction, []Candidate{candidate(listed, 1, md5, 0), candidate(listed, 1, sha, 0)}, nil, Block, "sha256 is equal"},
		{RuleAction, []Candidate{candidate(feed.Name("x.example/known"), 1, sha, 0)}, nil, Log, "no rule for this feed"},
		{RuleAction, []Candidate{candidate(feed.SelfTest, 0, pdq, 0)}, nil, Block, "test picture"},
		{RuleVerdicts, with(func(c *Candidate) { c.Facts.Verdict = feed.National }), nil, Log, "it is national, and the feed is trusted for baseline"},
		{RuleSuspended, hold(HoldSuspended), nil, Review, "suspended"},
		{RuleDisputed, hold(HoldDisputed), nil, Review, "disputed"},
		{RuleOverdue, hold(HoldOverdue), nil, Review, "hasn't answered"},
		{RuleKnownGood, with(func(*Candidate) {}), func(p *Policy) { p.KnownGood = isHash(sha) }, Review, "known-good"},
		{RuleRunaway, hold(HoldRunaway), nil, Review, "too many"},
		{RuleClosedLog, hold(HoldClosedLog), nil, Review, "closed log"},
		{RuleDamaged, hold(HoldDamaged), nil, Review, "lost here"},
		{RuleCollision, []Candidate{func() Candidate {
			c := candidate(own, 1, md5, 0)
			c.Exact = []feed.Hash{md5, hash(feed.SHA1, 'x')}
			return c
		}()}, nil, Review, "forgery"},
		{RuleUse, with(func(c *Candidate) { c.Use = feed.UseReview }), nil, Review, "use review"},
		{RuleOnStale, with(func(c *Candidate) { c.Stamp = now.Unix() - 80*3600 }), func(p *Policy) {
			r := p.Rules[listed]
			r.OnStale = ReviewIfStale
			p.Rules[listed] = r
		}, Review, "hard maxage"},
		{RuleMinPublishers, with(func(c *Candidate) { c.Endorsers = []string{"a.example"} }), func(p *Policy) { p.MinPublishers = 3 }, Review, "2 of the 3 publishers"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			p := strict()
			if c.p != nil {
				c.p(&p)
			}
			var q Question
			for _, x := range c.cands {
				q.Hashes = append(q.Hashes, x.Hash)
			}
			if c.rule == RuleCollision {
				q.Hashes = append(q.Hashes, hash(feed.SHA1, 'y'))
			}
			if err := explains(q, c.cands, p, Judge(q, c.cands, p, nil, now)); err != nil {
				t.Fatal(err)
			}
			e := Explain(q, c.cands, p, now)
			m := e.Matches[len(e.Matches)-1]
			if m.Decides != c.rule || m.Action != c.want || !strings.Contains(m.Steps[0].Text+"; "+m.Steps[len(m.Steps)-1].Text, c.words) {
				t.Errorf("got %+v, want %s, %s, %q", m, c.rule, c.want, c.words)
			}
			if !strings.HasPrefix(e.Text, string(e.Verdict)) || !strings.Contains(e.Text, "#") {
				t.Errorf("got the text %q", e.Text)
			}
		})
	}

	e := Explain(Question{Hashes: []feed.Hash{pdq}, Listed: []feed.Alg{feed.PhotoDNA}}, []Candidate{candidate(listed, 1, pdq, 32)}, strict(), now)
	if e.Verdict != OutcomeAllow || len(e.Matches) != 0 || len(e.Notes) != 2 || !strings.Contains(e.Notes[0], "goes to 31") || !strings.Contains(e.Notes[1], "photodna") {
		t.Errorf("nothing matches: got %+v", e)
	}
}

// TestAlike: who lists the same by an item's own hashes is a voice, once, and one that is doubted is none.
func TestAlike(t *testing.T) {
	p := strict()
	p.MinPublishers = 2
	sha, md5, pdq := hash(feed.SHA256, 'a'), hash(feed.MD5, 'b'), hash(feed.PDQ, 'c')
	item := []feed.Hash{md5, sha, pdq}
	with := func(c Candidate, change func(*Candidate)) Candidate { change(&c); return c }
	for _, c := range []struct {
		name  string
		cands []Candidate
		want  string
	}{
		{"nobody", nil, ""},
		{"itself", []Candidate{candidate(listed, 1, sha, 0), candidate(listed, 1, md5, 0)}, "eokm.example"},
		{"equal by sha256", []Candidate{candidate(other, 1, sha, 0)}, "interpol.example"},
		{"a neighbour", []Candidate{candidate(other, 1, pdq, 31)}, "interpol.example"},
		{"too far", []Candidate{candidate(other, 1, pdq, 32)}, ""},
		{"by md5 alone", []Candidate{candidate(other, 1, md5, 0)}, ""},
		{"own", []Candidate{candidate(own, 1, sha, 0)}, ""},
		{"disputed", []Candidate{with(candidate(other, 1, sha, 0), func(c *Candidate) { c.Holds = HoldDisputed })}, ""},
		{"untrusted", []Candidate{with(candidate(other, 1, sha, 0), func(c *Candidate) { c.Facts.Verdict = feed.National })}, ""},
		{"a test", []Candidate{with(candidate(other, 1, sha, 0), func(c *Candidate) { c.Facts.Verdict = feed.Test })}, ""},
		{"its endorsers", []Candidate{with(candidate(other, 1, sha, 0), func(c *Candidate) { c.Endorsers = []string{"a.example", "interpol.example"} })}, "a.example interpol.example"},
	} {
		got := Voices(item, c.cands, p, now)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
		m := with(candidate(listed, 1, sha, 0), func(c *Candidate) { c.Alike = got })
		want := Review
		if c.want != "" && c.want != "eokm.example" {
			want = Block
		}
		if v := judge(p, m); v.Matches[0].Action != want {
			t.Errorf("%s: got %s, want %s", c.name, v.Matches[0].Action, want)
		}
	}
}
