package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"

	"pgregory.net/rapid"
)

var (
	now    = time.Unix(1_800_000_000, 0)
	soft   = 6 * time.Hour
	hard   = 72 * time.Hour
	listed = feed.Name("eokm.example/known")
	other  = feed.Name("interpol.example/known")
	own    = feed.Name("host.example/local")
)

func hash(alg feed.Alg, fill byte) feed.Hash {
	h := feed.Hash{Alg: alg, Value: strings.Repeat(string(rune(fill)), alg.Size())}
	if alg.Graded() {
		h.Quality = 100
	}
	return h
}

// candidate returns a fresh, undisputed baseline record of n's first log that h matches.
func candidate(n feed.Name, index uint64, h feed.Hash, distance int) Candidate {
	return Candidate{
		Ref: feed.Ref{Origin: n.Log(1), Index: index}, Hash: h, Distance: distance,
		Facts: feed.Facts{Verdict: feed.Baseline, Media: feed.Image}, Listed: now.Unix() - 86400,
		Harm: feed.CSAM, Use: feed.UseMatch, Stamp: now.Unix() - 60, SoftAge: soft, HardAge: hard,
	}
}

// strict blocks strong matches, reviews near ones and logs weak ones.
func strict() Policy {
	r := Rule{Verdicts: []feed.Verdict{feed.Baseline}, Action: Block, ActionNear: Review, ActionWeak: Log, MaxDistance: 31, MaxSquare: 40_000}
	return Policy{Rules: map[feed.Name]Rule{listed: r, other: r, own: OwnRule(Block, Block, Block, 31)}}
}

func judge(p Policy, cands ...Candidate) Verdict {
	var q Question
	for _, c := range cands {
		if !slices.Contains(q.Hashes, c.Hash) {
			q.Hashes = append(q.Hashes, c.Hash)
		}
	}
	return Judge(q, cands, p, nil, now)
}

// TestReach: a neighbour counts up to its kind's distance in the feed's rule.
func TestReach(t *testing.T) {
	for _, c := range []struct {
		alg          feed.Alg
		distance     int
		bits, square int
		matches      int
	}{
		{feed.PDQ, 31, 31, 0, 1},
		{feed.PDQFull, 32, 31, 40_000, 0},
		{feed.PhotoDNA, 40_000, 0, 40_000, 1},
		{feed.PhotoDNA, 40_001, 63, 40_000, 0},
		{feed.PhotoDNA, 1, 31, 0, 0},
		{feed.PhotoDNA, 0, 31, 0, 1},
	} {
		p := strict()
		r := p.Rules[listed]
		r.MaxDistance, r.MaxSquare = c.bits, c.square
		p.Rules[listed] = r
		if v := judge(p, candidate(listed, 1, hash(c.alg, 'h'), c.distance)); len(v.Matches) != c.matches {
			t.Errorf("%s at distance %d of %d and %d: got %d matches, want %d", c.alg, c.distance, c.bits, c.square, len(v.Matches), c.matches)
		}
	}
}

// TestRules changes one thing at a time about one match.
func TestRules(t *testing.T) {
	type change = func(*Candidate, *Policy)
	onRule := func(f func(*Rule)) change {
		return func(c *Candidate, p *Policy) {
			r := p.Rules[listed]
			f(&r)
			p.Rules[listed] = r
		}
	}
	overdue := func(c *Candidate, p *Policy) { c.Stamp = now.Add(-hard).Unix() - 1 }
	hold := func(h Hold) change { return func(c *Candidate, p *Policy) { c.Holds |= h } }
	verdict := func(v feed.Verdict) change { return func(c *Candidate, p *Policy) { c.Facts.Verdict = v } }
	ofFeed := func(n feed.Name) change { return func(c *Candidate, p *Policy) { c.Ref.Origin = n.Log(1) } }
	weakBlocks := onRule(func(r *Rule) { r.ActionWeak = Block })
	nearBlocks := onRule(func(r *Rule) { r.ActionNear = Block })

	for _, c := range []struct {
		name     string
		alg      feed.Alg
		distance int
		changes  []change
		state    State
		action   Action
	}{
		{"sha256", feed.SHA256, 0, nil, Active, Block},
		{"photodna, equal", feed.PhotoDNA, 0, nil, Active, Block},
		{"photodna, near", feed.PhotoDNA, 900, nil, Active, Review},
		{"pdq, equal", feed.PDQ, 0, nil, Active, Block},
		{"pdq_full, equal", feed.PDQFull, 0, nil, Active, Block},
		{"pdq, nearest", feed.PDQ, 1, nil, Active, Review},
		{"pdq, farthest", feed.PDQ, 31, nil, Active, Review},
		{"pdq, near, set to block", feed.PDQ, 31, []change{nearBlocks}, Active, Block},
		{"md5 alone", feed.MD5, 0, nil, Active, Log},
		{"sha1 alone", feed.SHA1, 0, nil, Active, Log},
		{"md5, set to block", feed.MD5, 0, []change{weakBlocks}, Active, Block},
		{"vpdq is never exact", feed.VPDQ, 0, nil, Active, Review},

		{"suspended", feed.SHA256, 0, []change{hold(HoldSuspended)}, Suspended, Review},
		{"disputed", feed.SHA256, 0, []change{hold(HoldDisputed)}, Disputed, Review},
		{"known good", feed.SHA256, 0, []change{hold(HoldKnownGood)}, Held, Review},
		{"collision", feed.SHA256, 0, []change{hold(HoldCollision)}, Held, Review},
		{"runaway", feed.SHA256, 0, []change{hold(HoldRunaway)}, Held, Review},
		{"closed log", feed.SHA256, 0, []change{hold(HoldClosedLog)}, Held, Review},
		{"suspended, all else too", feed.SHA256, 0, []change{hold(0xff), verdict(feed.National)}, Suspended, Log},
		{"disputed, all else too", feed.SHA256, 0, []change{hold(0xff &^ HoldSuspended), verdict(feed.National)}, Disputed, Log},
		{"held and untrusted", feed.SHA256, 0, []change{hold(HoldRunaway), verdict(feed.National)}, Held, Log},
		{"held stays as low as it is", feed.MD5, 0, []change{hold(HoldRunaway)}, Held, Log},

		{"untrusted verdict", feed.SHA256, 0, []change{verdict(feed.National)}, Untrusted, Log},
		{"trusted verdict", feed.SHA256, 0, []change{verdict(feed.National), onRule(func(r *Rule) { r.Verdicts = append(r.Verdicts, feed.National) })}, Active, Block},
		{"feed without a rule", feed.SHA256, 0, []change{ofFeed("x.example/known")}, Untrusted, Log},
		{"zero rule", feed.SHA256, 0, []change{onRule(func(r *Rule) { *r = Rule{} })}, Untrusted, Log},
		{"test record", feed.SHA256, 0, []change{verdict(feed.Test)}, Active, Block},
		{"use review", feed.SHA256, 0, []change{func(c *Candidate, p *Policy) { c.Use = feed.UseReview }}, Active, Review},

		{"overdue, exact baseline", feed.SHA256, 0, []change{overdue}, Active, Block},
		{"overdue, exact by md5", feed.MD5, 0, []change{overdue, weakBlocks}, Active, Block},
		{"overdue, near", feed.PDQ, 2, []change{overdue, nearBlocks}, Active, Review},
		{"overdue, national", feed.SHA256, 0, []change{overdue, verdict(feed.National), onRule(func(r *Rule) { r.Verdicts = append(r.Verdicts, feed.National) })}, Active, Review},
		{"overdue, on_stale review", feed.SHA256, 0, []change{overdue, onRule(func(r *Rule) { r.OnStale = ReviewIfStale })}, Active, Review},
		{"stale only", feed.PDQ, 2, []change{nearBlocks, func(c *Candidate, p *Policy) { c.Stamp = now.Add(-hard).Unix() }}, Active, Block},
		{"stamp of the future", feed.PDQ, 2, []change{nearBlocks, func(c *Candidate, p *Policy) { c.Stamp = now.Unix() + 301 }}, Active, Review},

		{"own, md5", feed.MD5, 0, []change{ofFeed(own)}, Active, Block},
		{"own, near", feed.PDQ, 31, []change{ofFeed(own)}, Active, Block},
		{"own, doubtful", feed.SHA256, 0, []change{ofFeed(own), verdict(feed.Doubtful)}, Active, Block},
		{"own, overdue", feed.PDQ, 2, []change{ofFeed(own), overdue}, Active, Block},
		{"own, set to log", feed.SHA256, 0, []change{ofFeed(own), func(c *Candidate, p *Policy) { p.Rules[own] = OwnRule(Log, Log, Log, 31) }}, Active, Log},
		{"own, suspended", feed.SHA256, 0, []change{ofFeed(own), hold(HoldSuspended)}, Suspended, Review},
		{"own, use review", feed.SHA256, 0, []change{ofFeed(own), func(c *Candidate, p *Policy) { c.Use = feed.UseReview }}, Active, Review},

		{"self test", feed.SHA256, 0, []change{ofFeed(feed.SelfTest), verdict(feed.Test)}, Active, Block},
		{"self test can't be configured", feed.SHA256, 0, []change{ofFeed(feed.SelfTest), func(c *Candidate, p *Policy) { p.Rules[feed.SelfTest] = Rule{} }}, Active, Block},

		{"known-good list", feed.SHA256, 0, []change{func(c *Candidate, p *Policy) { p.KnownGood = isHash(c.Hash) }}, Held, Review},
		{"known-good list, override", feed.SHA256, 0, []change{func(c *Candidate, p *Policy) { p.KnownGood = isHash(c.Hash); c.Facts.Override = 1 }}, Active, Block},
		{"own known-good list, override", feed.SHA256, 0, []change{func(c *Candidate, p *Policy) { p.OwnKnownGood = isHash(c.Hash); c.Facts.Override = 1 }}, Held, Review},
		{"own record, own known-good list", feed.SHA256, 0, []change{ofFeed(own), func(c *Candidate, p *Policy) { p.OwnKnownGood = isHash(c.Hash) }}, Held, Review},

		{"filter, by bytes", feed.SHA256, 0, []change{knownBytes}, Held, Review},
		{"filter, by md5", feed.MD5, 0, []change{weakBlocks, knownBytes}, Held, Review},
		{"filter, by bytes, override", feed.SHA256, 0, []change{knownBytes, func(c *Candidate, p *Policy) { c.Facts.Override = 1 }}, Active, Block},
		{"filter, by look", feed.PDQ, 0, []change{knownBytes}, Active, Block},
		{"filter, by photodna", feed.PhotoDNA, 0, []change{knownBytes}, Active, Block},

		{"no second publisher", feed.SHA256, 0, []change{func(c *Candidate, p *Policy) { p.MinPublishers = 2 }}, Active, Review},
		{"endorsed", feed.SHA256, 0, []change{func(c *Candidate, p *Policy) { p.MinPublishers = 2; c.Endorsers = []string{"interpol.example"} }}, Active, Block},
		{"endorsed by itself", feed.SHA256, 0, []change{func(c *Candidate, p *Policy) { p.MinPublishers = 2; c.Endorsers = []string{"eokm.example"} }}, Active, Review},
		{"endorsed twice by one", feed.SHA256, 0, []change{func(c *Candidate, p *Policy) { p.MinPublishers = 3; c.Endorsers = []string{"b", "b"} }}, Active, Review},
		{"own needs no second", feed.SHA256, 0, []change{ofFeed(own), func(c *Candidate, p *Policy) { p.MinPublishers = 2 }}, Active, Block},
	} {
		t.Run(c.name, func(t *testing.T) {
			cand, p := candidate(listed, 17, hash(c.alg, 'h'), c.distance), strict()
			for _, change := range c.changes {
				change(&cand, &p)
			}
			v := judge(p, cand)
			if len(v.Matches) != 1 {
				t.Fatalf("got %d matches, want 1", len(v.Matches))
			}
			m := v.Matches[0]
			if m.State != c.state || m.Action != c.action || string(v.Verdict) != string(c.action) {
				t.Errorf("got %s, %s, %s; want %s, %s", m.State, m.Action, v.Verdict, c.state, c.action)
			}
			if m.Test != (cand.Facts.Verdict == feed.Test) {
				t.Errorf("test: got %v for %v", m.Test, cand.Facts.Verdict)
			}
		})
	}
}

func knownBytes(c *Candidate, p *Policy) { p.KnownBytes = isHash(c.Hash) }

// TestKnownBytes: a filter is wrong now and then, so that a picture can be changed without its look until the filter has it. That saves it from
// no record that it matches by its look alone; where the very file is listed, it speaks against each match of that record.
func TestKnownBytes(t *testing.T) {
	md5, sha1, pdq := hash(feed.MD5, 'm'), hash(feed.SHA1, 's'), hash(feed.PDQ, 'p')
	p := strict()
	p.KnownBytes = isHash(sha1)
	q := Question{Hashes: []feed.Hash{md5, sha1, pdq}}
	look := candidate(listed, 17, pdq, 0)
	if v := Judge(q, []Candidate{look}, p, nil, now); v.Verdict != OutcomeBlock || v.Matches[0].State != Active {
		t.Errorf("by its look: got %s, %s, want a block", v.Verdict, v.Matches[0].State)
	}
	// The record lists the file's md5 too, though not the sha1 that the filter has.
	v := Judge(q, []Candidate{look, candidate(listed, 17, md5, 0), candidate(listed, 18, pdq, 0)}, p, nil, now)
	for _, m := range v.Matches {
		want := Held
		if m.Index == 18 { // another record, by look alone
			want = Active
		}
		if m.State != want {
			t.Errorf("%s by %s: got %s, want %s", m.Ref, m.Alg, m.State, want)
		}
	}
}

// TestKnownGoodUnasked: what matches nothing costs no known-good list anything.
func TestKnownGoodUnasked(t *testing.T) {
	asked := 0
	count := func(feed.Hash) bool { asked++; return false }
	p := strict()
	p.KnownGood, p.OwnKnownGood, p.KnownBytes = count, count, count
	q := Question{Hashes: []feed.Hash{hash(feed.MD5, 'm'), hash(feed.PDQ, 'p')}}
	if v := Judge(q, nil, p, nil, now); v.Verdict != OutcomeAllow || asked != 0 {
		t.Errorf("no match: got %s, and %d questions", v.Verdict, asked)
	}
	Judge(q, []Candidate{candidate(listed, 17, hash(feed.MD5, 'm'), 0)}, p, nil, now)
	if asked == 0 {
		t.Error("a match: nobody was asked")
	}
}

func isHash(h feed.Hash) KnownGood { return func(o feed.Hash) bool { return o == h } }

func TestNoMatch(t *testing.T) {
	q := Question{Hashes: []feed.Hash{hash(feed.PDQ, 'h')}, Listed: []feed.Alg{feed.PhotoDNA, feed.MD5, feed.PDQ}}
	// A neighbour beyond the rule's distance is none.
	v := Judge(q, []Candidate{candidate(listed, 1, q.Hashes[0], 32)}, strict(), nil, now)
	got, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"query":"pdq:` + strings.Repeat("68", 32) + `","verdict":"allow","checked":["pdq"],"unchecked":["md5","photodna"],"matches":[],"heads":[]}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestJSON is DESIGN's example.
func TestJSON(t *testing.T) {
	h := hash(feed.PDQ, 'h')
	c := candidate(listed, 17, h, 6)
	c.Listed, c.Endorsers = 1_795_420_800, []string{"z.example", "interpol.example", "z.example"}
	p := strict()
	r := p.Rules[listed]
	r.ActionNear = Block
	p.Rules[listed] = r
	q := Question{File: "a.png", Hashes: []feed.Hash{h}, Checked: []feed.Alg{feed.PDQ, feed.MD5, feed.MD5}, Note: "note", Truncated: true}
	v := Judge(q, []Candidate{c}, p, []Head{{"eokm.example/known/1", 2048, 12, "ok"}}, now)
	got, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"file":"a.png","hashes":["pdq:` + strings.Repeat("68", 32) + `"],"verdict":"block","checked":["md5","pdq"],"unchecked":[],` +
		`"matches":[{"origin":"eokm.example/known/1","index":17,"ref":"eokm.example/known/1#17","alg":"pdq","distance":6,"verdict":"baseline",` +
		`"harm":"csam","media":"image","listed":"2026-11-23T08:00:00Z","state":"active","stale":false,"endorsed_by":["interpol.example","z.example"],"action":"block"}],` +
		`"heads":[{"origin":"eokm.example/known/1","size":2048,"age_s":12,"state":"ok"}],"note":"note","truncated":true}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestWeak: md5 and sha1 aren't alone where sha256 says the same, and collide where it differs.
func TestWeak(t *testing.T) {
	md5, sha1, sha256 := hash(feed.MD5, 'm'), hash(feed.SHA1, 's'), hash(feed.SHA256, 'h')
	same := []feed.Hash{md5, sha1, sha256}
	forged := []feed.Hash{md5, sha1, hash(feed.SHA256, 'x')}
	for _, c := range []struct {
		name     string
		file     []feed.Hash
		matched  []feed.Hash
		item     []feed.Hash
		sameItem bool
		state    State // of the md5
		action   Action
	}{
		{"md5 alone", []feed.Hash{md5}, []feed.Hash{md5}, []feed.Hash{md5}, true, Active, Log},
		{"md5 alone of an item with more", []feed.Hash{md5}, []feed.Hash{md5}, same, true, Active, Log},
		{"all three", same, same, same, true, Active, Block},
		{"sha256 of another item", same, []feed.Hash{md5, sha256}, []feed.Hash{md5}, false, Active, Log},
		{"md5 and sha1", same, []feed.Hash{md5, sha1}, []feed.Hash{md5, sha1}, true, Active, Log},
		{"another sha256", forged, []feed.Hash{md5, sha1}, same, true, Held, Log},
		{"another sha1", []feed.Hash{md5, hash(feed.SHA1, 'x')}, []feed.Hash{md5}, []feed.Hash{md5, sha1}, true, Held, Log},
	} {
		var cands []Candidate
		for i, h := range c.matched {
			cand := candidate(listed, 17, h, 0)
			cand.Exact = c.item
			if !c.sameItem {
				cand.Ref.Index += uint64(i)
			}
			cands = append(cands, cand)
		}
		v := Judge(Question{Hashes: c.file}, cands, strict(), nil, now)
		i := slices.IndexFunc(v.Matches, func(m Match) bool { return m.Alg == "md5" })
		if m := v.Matches[i]; m.State != c.state || m.Action != c.action {
			t.Errorf("%s: got %s, %s, want %s, %s", c.name, m.State, m.Action, c.state, c.action)
		}
	}
	// Even where md5 alone may block, a collision may not.
	p := strict()
	r := p.Rules[listed]
	r.ActionWeak = Block
	p.Rules[listed] = r
	cand := candidate(listed, 17, md5, 0)
	cand.Exact = same
	if v := Judge(Question{Hashes: forged}, []Candidate{cand}, p, nil, now); v.Verdict != OutcomeReview {
		t.Errorf("collision: got %s, want review", v.Verdict)
	}
}

func TestOrder(t *testing.T) {
	pdq, full, sha256 := hash(feed.PDQ, 'p'), hash(feed.PDQFull, 'f'), hash(feed.SHA256, 'h')
	v := judge(strict(),
		candidate(other, 3, pdq, 8), candidate(listed, 9, pdq, 8), candidate(listed, 2, pdq, 20), candidate(listed, 2, pdq, 4),
		candidate(listed, 2, full, 30), candidate(listed, 2, sha256, 0), candidate(listed, 3, pdq, 32))
	var got []string
	for _, m := range v.Matches {
		got = append(got, fmt.Sprintf("%s %s %d", m.Ref, m.Alg, m.Distance))
	}
	want := []string{"eokm.example/known/1#2 sha256 0", "eokm.example/known/1#2 pdq 4", "eokm.example/known/1#9 pdq 8", "interpol.example/known/1#3 pdq 8",
		"eokm.example/known/1#2 pdq_full 30"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if v.Verdict != OutcomeBlock {
		t.Errorf("got %s, want the strongest action", v.Verdict)
	}
}

func TestMinPublishers(t *testing.T) {
	sha256, md5, pdq := hash(feed.SHA256, 'h'), hash(feed.MD5, 'm'), hash(feed.PDQ, 'p')
	p := strict()
	p.MinPublishers = 2
	for n, r := range p.Rules {
		r.ActionNear, r.ActionWeak = Block, Block
		p.Rules[n] = r
	}
	test := func(c Candidate) Candidate { c.Facts.Verdict = feed.Test; return c }
	disputed := func(c Candidate) Candidate { c.Holds = HoldDisputed; return c }
	untrusted := func(c Candidate) Candidate { c.Facts.Verdict = feed.National; return c }
	endorsed := func(c Candidate, by string) Candidate { c.Endorsers = []string{by}; return c }
	for _, c := range []struct {
		name  string
		first Candidate // whose action is looked at
		also  Candidate
		want  Action
	}{
		{"two publishers", candidate(listed, 1, sha256, 0), candidate(other, 1, sha256, 0), Block},
		{"two feeds of one", candidate(listed, 1, sha256, 0), candidate("eokm.example/more", 1, sha256, 0), Review},
		{"two records of one", candidate(listed, 1, sha256, 0), candidate(listed, 2, sha256, 0), Review},
		{"own list is no second", candidate(listed, 1, sha256, 0), candidate(own, 1, sha256, 0), Review},
		{"disputed second", candidate(listed, 1, sha256, 0), disputed(candidate(other, 1, sha256, 0)), Review},
		{"untrusted second", candidate(listed, 1, sha256, 0), untrusted(candidate(other, 1, sha256, 0)), Review},
		{"disputed second's endorser", candidate(listed, 1, sha256, 0), endorsed(disputed(candidate(other, 1, sha256, 0)), "c.example"), Review},
		{"test is no second", candidate(listed, 1, sha256, 0), test(candidate(other, 1, sha256, 0)), Review},
		{"two tests", test(candidate(listed, 1, sha256, 0)), test(candidate(other, 1, sha256, 0)), Block},
		{"strong by weak", candidate(listed, 1, sha256, 0), candidate(other, 1, md5, 0), Review},
		{"strong by near", candidate(listed, 1, sha256, 0), candidate(other, 1, pdq, 4), Review},
		{"weak by strong", candidate(listed, 1, md5, 0), candidate(other, 1, sha256, 0), Block},
		{"weak by weak", candidate(listed, 1, md5, 0), candidate(other, 1, md5, 0), Block},
		{"weak by near", candidate(listed, 1, md5, 0), candidate(other, 1, pdq, 4), Review},
		{"near by strong", candidate(listed, 1, pdq, 4), candidate(other, 1, sha256, 0), Block},
	} {
		p.Rules["eokm.example/more"] = p.Rules[listed]
		v := judge(p, c.first, c.also)
		i := slices.IndexFunc(v.Matches, func(m Match) bool { return m.Ref == c.first.Ref.String() })
		if got := v.Matches[i].Action; got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAgeOf(t *testing.T) {
	for age, want := range map[time.Duration]Age{
		0: Fresh, soft: Fresh, soft + time.Second: Stale, hard: Stale, hard + time.Second: Overdue,
		-300 * time.Second: Fresh, -301 * time.Second: Overdue,
	} {
		if got := AgeOf(now.Add(-age).Unix(), soft, hard, now); got != want {
			t.Errorf("age %v: got %v, want %v", age, got, want)
		}
	}
	c := candidate(listed, 1, hash(feed.SHA256, 'h'), 0)
	for _, want := range []bool{false, true} {
		if got := judge(strict(), c).Matches[0].Stale; got != want {
			t.Errorf("stale: got %v, want %v", got, want)
		}
		c.Stamp = now.Add(-soft).Unix() - 1
	}
}

// TestDoubtNeverRaises: one more reason to doubt a match never makes the answer harsher, whatever else there is.
func TestDoubtNeverRaises(t *testing.T) {
	rank := func(o Outcome) int {
		return slices.Index([]Outcome{OutcomeAllow, OutcomeLog, OutcomeReview, OutcomeBlock}, o)
	}
	actions := rapid.SampledFrom([]Action{"", Log, Review, Block})
	names := []feed.Name{listed, other, own, feed.SelfTest, "x.example/known"}
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Rules: map[feed.Name]Rule{}, MinPublishers: rapid.IntRange(0, 3).Draw(t, "min")}
		for _, n := range names[:3] {
			p.Rules[n] = Rule{
				Verdicts: rapid.SliceOf(rapid.SampledFrom([]feed.Verdict{feed.Baseline, feed.National})).Draw(t, "verdicts"),
				Action:   actions.Draw(t, "action"), ActionNear: actions.Draw(t, "near"), ActionWeak: actions.Draw(t, "weak"),
				MaxDistance: rapid.IntRange(0, 31).Draw(t, "distance"), MaxSquare: rapid.IntRange(0, 40).Draw(t, "square"), Own: n == own,
				OnStale: rapid.SampledFrom([]OnStale{"", Keep, ReviewIfStale}).Draw(t, "stale"),
			}
		}
		var cands []Candidate
		var q Question
		for range rapid.IntRange(1, 5).Draw(t, "n") {
			alg := rapid.SampledFrom([]feed.Alg{feed.MD5, feed.SHA1, feed.SHA256, feed.PDQ, feed.PhotoDNA}).Draw(t, "alg")
			c := candidate(rapid.SampledFrom(names).Draw(t, "feed"), rapid.Uint64Range(0, 2).Draw(t, "index"), hash(alg, 'h'), 0)
			if !alg.Exact() {
				c.Distance = rapid.IntRange(0, 40).Draw(t, "d")
			}
			c.Facts.Verdict = rapid.SampledFrom([]feed.Verdict{feed.Baseline, feed.National, feed.Doubtful, feed.Test}).Draw(t, "verdict")
			c.Facts.Override = rapid.Uint8Range(0, 1).Draw(t, "override")
			c.Holds = rapid.SampledFrom([]Hold{0, 0, HoldDisputed, HoldRunaway}).Draw(t, "holds")
			c.Stamp = now.Add(-rapid.SampledFrom([]time.Duration{0, soft + time.Hour, hard + time.Hour}).Draw(t, "age")).Unix()
			c.Alike = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "c"}), 0, 1).Draw(t, "alike")
			c.Endorsers = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b"}), 0, 2).Draw(t, "endorsers")
			if slices.ContainsFunc(cands, func(o Candidate) bool { return o.Ref == c.Ref && o.Hash == c.Hash }) {
				continue // a record has one body, and so one set of facts
			}
			cands = append(cands, c)
			q.Hashes = append(q.Hashes, c.Hash)
		}
		before := Judge(q, cands, p, nil, now)

		doubted := slices.Clone(cands)
		i := rapid.IntRange(0, len(cands)-1).Draw(t, "which")
		c := &doubted[i]
		q2, p2 := q, p
		switch rapid.IntRange(0, 8).Draw(t, "doubt") {
		case 0:
			c.Holds |= Hold(1) << rapid.IntRange(0, 7).Draw(t, "hold")
		case 1:
			c.Use = feed.UseReview
		case 2:
			c.Stamp = now.Add(-hard - time.Hour).Unix()
		case 3:
			c.Endorsers, c.Alike = nil, nil
		case 4:
			p2.MinPublishers++
		case 5:
			p2.KnownGood = isHash(c.Hash)
		case 6:
			p2.OwnKnownGood = isHash(c.Hash)
		case 7:
			delete(doubtedRules(&p2), c.Ref.Origin.Name())
		case 8:
			if c.Hash.Alg != feed.SHA256 { // a sha256 that isn't there proves nothing any more; one that is more does
				doubted = slices.Delete(doubted, i, i+1)
			}
		}
		after := Judge(q2, doubted, p2, nil, now)
		if err := explains(q2, doubted, p2, after); err != nil {
			t.Fatal(err)
		}
		if rank(after.Verdict) > rank(before.Verdict) {
			t.Fatalf("got %s after %s", after.Verdict, before.Verdict)
		}
		for _, m := range after.Matches {
			if m.State != Active && m.Action == Block {
				t.Fatalf("%+v blocks", m)
			}
			if m.State == Untrusted && m.Action != Log {
				t.Fatalf("%+v is more than logged", m)
			}
		}
		// The order in which candidates come doesn't matter.
		slices.Reverse(doubted)
		if again := Judge(q2, doubted, p2, nil, now); again.Verdict != after.Verdict {
			t.Fatalf("in another order: got %s, want %s", again.Verdict, after.Verdict)
		}
	})
}

// doubtedRules gives p rules of its own and returns them.
func doubtedRules(p *Policy) map[feed.Name]Rule {
	rules := map[feed.Name]Rule{}
	for n, r := range p.Rules {
		rules[n] = r
	}
	p.Rules = rules
	return rules
}

func TestParseAction(t *testing.T) {
	for _, a := range []Action{Log, Review, Block} {
		if got, err := ParseAction(string(a)); err != nil || got != a {
			t.Errorf("got %q, %v, want %q", got, err, a)
		}
	}
	for _, s := range []string{"", "allow", "Block", "block "} {
		if got, err := ParseAction(s); err == nil {
			t.Errorf("%q: got %q, want an error", s, got)
		}
	}
}
