package feed

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hashfeed/crypto"
)

// closing proposes the third of the test's charters, which closes log 1 and has 2 of 3 signers.
func closing(t testing.TB) Proposal {
	t.Helper()
	p, err := NewProposal(testChain(t, 2), testCharters(t)[2])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func signedBy(t testing.TB, p Proposal, keys ...*crypto.PrivateKey) Proposal {
	t.Helper()
	for _, k := range keys {
		var err error
		if p, err = p.Sign(k); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// proposalFiles are good ones: unsigned, signed by some, with an opening, without the charter before.
func proposalFiles(t testing.TB) [][]byte {
	p := closing(t)
	signed := signedBy(t, p, rootKey(1), rootKey(2))
	opened := signedBy(t, signed, signerKey(2, 1), signerKey(2, 3))
	return [][]byte{p.Bytes(), signed.Bytes(), opened.Bytes(), signedBy(t, p, signerKey(2, 2)).Bytes(), p.Text(), testNotes(t)[0]}
}

// TestProposalIsCarried: a file goes from hand to hand, each adds a signature, and in the end it is a charter that follows.
func TestProposalIsCarried(t *testing.T) {
	chain := testChain(t, 2)
	p := closing(t)
	want := func(what string, met ...bool) {
		t.Helper()
		var got []bool
		for _, q := range p.Quotas(chain.Newest()) {
			got = append(got, q.Met())
		}
		if !slices.Equal(got, met) {
			t.Errorf("%s: got %v, want %v", what, got, met)
		}
		_, err := chain.Extend(p.Note())
		if (err == nil) != met[0] {
			t.Errorf("%s: extend: got %v", what, err)
		}
		again, err := ParseProposal(p.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), p.Bytes()) {
			t.Fatalf("%s: read again: got %v", what, err)
		}
		if before, ok := again.Before(); !ok || before.Version != 2 || again.Charter().Version != 3 {
			t.Errorf("%s: got version %d after %d, %v", what, again.Charter().Version, before.Version, ok)
		}
		p = again // it is what was read that goes on
	}
	want("unsigned", false, false)
	p = signedBy(t, p, rootKey(3))
	want("one root", false, false)
	p = signedBy(t, p, signerKey(2, 2))
	want("one root, one signer", false, false)
	p = signedBy(t, p, rootKey(3), rootKey(1)) // 3 again
	want("two roots", true, false)
	if n := len(p.note.Lines); n != 2 {
		t.Errorf("got %d lines, want 2", n)
	}
	p = signedBy(t, p, signerKey(2, 3))
	want("two signers", true, true)
	if q := p.Quotas(chain.Newest())[1]; len(q.Have) != 2 || q.Open[0] != signerKey(2, 1).Public() || q.Of != "signers of log 2" {
		t.Errorf("got %+v", q)
	}
	next, err := chain.Extend(p.Note())
	if err != nil {
		t.Fatal(err)
	}
	// Nobody here has a signer's key: the lines alone open the log.
	b, err := OpenLog(Signing{Chain: next, Stamp: stampKey(2)}, p.Opening(), testNow)
	if err != nil {
		t.Fatal(err)
	}
	cp, ok := b.Checkpoint()
	if !ok || cp.Origin != testFeed.Log(2) || cp.Size != 0 || cp.Stamp != testNow || b.From() != 0 || b.To() != 0 {
		t.Errorf("got %+v, %v", cp, ok)
	}
	if _, err := next.OpenCheckpoint(cp.Bytes()); err != nil {
		t.Error(err)
	}
}

func TestProposalSign(t *testing.T) {
	p := closing(t)
	for _, tt := range []struct {
		what string
		key  *crypto.PrivateKey
		why  string
	}{
		{"a root", rootKey(2), ""},
		{"a signer of the new log", signerKey(2, 3), ""},
		{"a root of nobody", rootKey(9), "neither a root key"},
		{"a signer of the old log", signerKey(1, 1), "neither a root key"},
		{"a signer of nobody", signerKey(2, 9), "neither a root key"},
		{"the stamp key", stampKey(2), "neither a root key"},
		{"the roster's key", rosterKey(), "neither a root key"},
		{"a root of another feed", testKey("other.example/known/root", crypto.TypeSignature, 1), "neither a root key"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			_, err := p.Sign(tt.key)
			wantError(t, err, tt.why)
		})
	}
	// A root that goes signs too; where the file doesn't say who they were, any key of that name is let.
	c := nextCharter(testCharters(t)[1])
	c.Root = KeyGroup{1, publicKeys(rootKey(7))}
	rotated, err := NewProposal(testChain(t, 2), c)
	if err != nil {
		t.Fatal(err)
	}
	rotated = signedBy(t, rotated, rootKey(7), rootKey(1), rootKey(2))
	if _, err := testChain(t, 2).Extend(rotated.Note()); err != nil {
		t.Error(err)
	}
	if q := rotated.Quotas(testCharters(t)[1]); len(q) != 2 || q[0].Need != 1 || q[1].Need != 2 || !q[0].Met() || !q[1].Met() {
		t.Errorf("got %+v", q)
	}
	bare, err := ParseProposal(rotated.Text())
	if err != nil {
		t.Fatal(err)
	}
	signedBy(t, bare, rootKey(9))
}

// TestProposalKnown: only a charter before that bears the asker's own signature is believed.
func TestProposalKnown(t *testing.T) {
	p := closing(t) // the charter before is signed by roots 1 and 2
	for key, want := range map[*crypto.PrivateKey]bool{rootKey(1): true, rootKey(2): true, rootKey(3): false, rootKey(9): false} {
		if got := p.Known(key.Public()); got != want {
			t.Errorf("%v: got %v, want %v", key, got, want)
		}
	}
	// One that somebody wrote to hide a change is not, though it has a line that says so.
	forged := testCharters(t)[1]
	forged.Contact = "as you know it"
	note := signed(t, forged, 5)
	parsed, err := crypto.ParseNote(testNotes(t)[1])
	if err != nil {
		t.Fatal(err)
	}
	f, err := crypto.ParseNote(note)
	if err != nil {
		t.Fatal(err)
	}
	f.Lines = parsed.Lines // of the other text
	q, err := ParseProposal(append(append(p.Text(), beforeWord...), f.Bytes()...))
	if err != nil {
		t.Fatal(err)
	}
	if before, _ := q.Before(); before.Contact != "as you know it" || q.Known(rootKey(1).Public()) {
		t.Errorf("got %q, known %v", before.Contact, q.Known(rootKey(1).Public()))
	}
	if bare, err := ParseProposal(p.Text()); err != nil || bare.Known(rootKey(1).Public()) {
		t.Errorf("without the charter before: got %v, known", err)
	}
}

func TestNewProposalRefuses(t *testing.T) {
	chain := testChain(t, 2)
	for what, tt := range map[string]struct {
		change func(*Charter)
		why    string
	}{
		"the version held":   {func(c *Charter) { c.Version-- }, "version isn't the last + 1"},
		"one further":        {func(c *Charter) { c.Version++ }, "version isn't the last + 1"},
		"another harm":       {func(c *Charter) { c.Harm = NCII }, "harm or use changed"},
		"another use":        {func(c *Charter) { c.Use = UseReview }, "harm or use changed"},
		"a stolen signer":    {func(c *Charter) { c.Signer = KeyGroup{1, publicKeys(signerKey(1, 2))} }, "without closing the log"},
		"half of the roots":  {func(c *Charter) { c.Root.K = 1 }, "2k > n"},
		"no text":            {func(c *Charter) { c.Contact = "two\nlines" }, "charter"},
		"log 1 is not ended": {func(c *Charter) { c.Log = 2 }, "log line"},
	} {
		c := nextCharter(chain.Newest())
		tt.change(&c)
		_, err := NewProposal(chain, c)
		if err == nil || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: got %v, want %q", what, err, tt.why)
		}
	}
}

func TestParseProposal(t *testing.T) {
	for i, data := range proposalFiles(t) {
		if _, err := ParseProposal(data); err != nil {
			t.Errorf("file %d: %v", i, err)
		}
	}
	p := signedBy(t, closing(t), rootKey(1), signerKey(2, 1))
	text, opening := string(p.Text()), string(crypto.Note{Text: p.charter.openingText(), Lines: p.opening}.Bytes())
	before := string(testNotes(t)[1])
	other, err := crypto.ParseNote([]byte(opening))
	if err != nil {
		t.Fatal(err)
	}
	other.Text = checkpointText(testFeed.Log(2), 1, Digest{1})
	for _, tt := range []struct{ what, file, why string }{
		{"nothing", "", "want"},
		{"no charter", "text\n", "want"},
		{"a word alone", text + "\nopening\n", "malformed note"},
		{"an opening without lines", text + "\nopening\n" + string(p.charter.openingText()), "malformed note"},
		{"an opening of another log", text + "\nopening\n" + string(testHead(t, testChain(t, 2), 0, emptyRoot, testNow).Bytes()), "isn't the first checkpoint"},
		{"an opening of another size", text + "\nopening\n" + string(other.Bytes()), "isn't the first checkpoint"},
		{"the wrong order", text + "\nbefore\n" + before + "\nopening\n" + opening, "proposal"},
		{"twice before", text + "\nbefore\n" + before + "\nbefore\n" + before, "proposal"},
		{"before without lines", text + "\nbefore\n" + string(testCharters(t)[1].text()), "malformed note"},
		{"the one before that", text + "\nbefore\n" + string(testNotes(t)[0]), "isn't the one before"},
		{"itself", text + "\nbefore\n" + string(signed(t, testCharters(t)[2], 1)), "isn't the one before"},
		{"no newline at the end", text + "\nbefore\n" + strings.TrimSuffix(before, "\n"), "proposal"},
		{"something after", text + "\nbefore\n" + before + "\n", "proposal"},
		{"a space", text + "\nbefore \n" + before, "proposal"},
		{"too long", text + "\nbefore\n" + strings.Repeat("x", MaxProposal), "longer than"},
	} {
		_, err := ParseProposal([]byte(tt.file))
		if err == nil || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: got %v, want %q", tt.what, err, tt.why)
		}
	}
	mangleAll(p.Bytes(), func(what string, m []byte) {
		if q, err := ParseProposal(m); err == nil && !bytes.Equal(q.Bytes(), m) {
			t.Errorf("%s: written again it is another", what)
		}
	})
}

func FuzzParseProposal(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProposal(data)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), data) {
			t.Fatal("written again it is another")
		}
		before, _ := p.Before()
		p.Quotas(before)
		Changes(before, p.Charter())
		if q, err := p.Sign(rootKey(1)); err == nil {
			if _, err := ParseProposal(q.Bytes()); err != nil {
				t.Fatalf("signed it is none: %v", err)
			}
		}
	})
}

// TestOpenLog: below the threshold, by strangers, or without the right stamp a log isn't opened.
func TestOpenLog(t *testing.T) {
	chain := testChain(t, 3)
	line := func(k *crypto.PrivateKey, text []byte) crypto.Line {
		l, err := k.Sign(text)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	text := checkpointText(testFeed.Log(2), 0, emptyRoot)
	one, two := line(signerKey(2, 1), text), line(signerKey(2, 2), text)
	for _, tt := range []struct {
		what    string
		signers []int // log and number
		lines   []crypto.Line
		stamp   *crypto.PrivateKey
		why     string
	}{
		{"two keys", []int{21, 22}, nil, stampKey(2), ""},
		{"a key and a line", []int{21}, []crypto.Line{two}, stampKey(2), ""},
		{"two lines", nil, []crypto.Line{one, two}, stampKey(2), ""},
		{"a key whose line is there", []int{21}, []crypto.Line{one, two}, stampKey(2), ""},
		{"a line of a stranger beside", []int{21}, []crypto.Line{two, line(rootKey(1), text)}, stampKey(2), ""},
		{"one key", []int{21}, nil, stampKey(2), "signers"},
		{"a line of another text", []int{21}, []crypto.Line{line(signerKey(2, 2), []byte("x\n"))}, stampKey(2), "signers"},
		{"one key and its line", []int{21}, []crypto.Line{one}, stampKey(2), "signers"},
		{"signers of the log before", []int{11}, []crypto.Line{one}, stampKey(2), "signers"},
		{"the stamp of the log before", []int{21}, []crypto.Line{two}, stampKey(1), "stamp key"},
		{"no stamp", nil, []crypto.Line{one, two}, nil, "stamp key"},
	} {
		s := Signing{Chain: chain, Stamp: tt.stamp}
		for _, n := range tt.signers {
			s.Signers = append(s.Signers, signerKey(n/10, n%10))
		}
		_, err := OpenLog(s, tt.lines, testNow)
		if tt.why == "" && err != nil || tt.why != "" && (err == nil || !strings.Contains(err.Error(), tt.why)) {
			t.Errorf("%s: got %v, want %q", tt.what, err, tt.why)
		}
	}
	// The clock of a machine without one.
	b, err := OpenLog(Signing{Chain: chain, Signers: nil, Stamp: stampKey(2)}, []crypto.Line{one, two}, -5)
	if cp, _ := b.Checkpoint(); err != nil || cp.Stamp != 1 {
		t.Errorf("got %v, %v, want the stamp 1", cp.Stamp, err)
	}
}

// TestChanges: every line of a charter that can change is told, and only those that have.
func TestChanges(t *testing.T) {
	base := testCharters(t)[1]
	for what, tt := range map[string]struct {
		change func(*Charter)
		want   []string
	}{
		"nothing":         {func(c *Charter) {}, nil},
		"expires":         {func(c *Charter) { c.Expires = testNow }, []string{"expires: 2026-11-23T09:00:00Z (was 2027-11-23T09:00:00Z)"}},
		"harm":            {func(c *Charter) { c.Harm = NCII }, []string{"harm: ncii (was csam)"}},
		"use":             {func(c *Charter) { c.Use = UseReview }, []string{"use: review (was match)"}},
		"feed":            {func(c *Charter) { c.Feed = "x/y" }, []string{"feed: x/y (was eokm.example/known)"}},
		"audience":        {func(c *Charter) { c.Audience = nil }, []string{"audience: none (was police,hotlines,hosts)"}},
		"contact":         {func(c *Charter) { c.Contact = "x" }, []string{"contact: x (was none)"}},
		"answer":          {func(c *Charter) { c.Answer = Term{48, 'h'} }, []string{"disputes are answered within: 48h (was 2d)"}},
		"maxage":          {func(c *Charter) { c.SoftAge = Term{7, 'h'} }, []string{"answers are stale after: 7h (was 6h)"}},
		"maxage, hard":    {func(c *Charter) { c.HardAge = Term{9, 'd'} }, []string{"additions are doubtful after: 9d (was 72h)"}},
		"root threshold":  {func(c *Charter) { c.Root.K = 3 }, []string{"root keys that must sign: 3 of 3 (was 2 of 3)"}},
		"roots' order":    {func(c *Charter) { slices.Reverse(c.Root.Keys) }, []string{"root keys stand in another order"}},
		"one root":        {func(c *Charter) { c.Root.Keys[2] = rootKey(4).Public() }, []string{"root key goes: " + rootKey(3).Public().String(), "root key comes: " + rootKey(4).Public().String()}},
		"roster":          {func(c *Charter) { c.Roster = nil }, []string{"roster key: none (was " + rosterKey().Public().String() + ")"}},
		"no quorum":       {func(c *Charter) { c.Quorum = nil }, []string{"no quorum", "witnesses that", "witness goes", "witness goes", "witness goes"}},
		"quorum":          {func(c *Charter) { c.Quorum.K = 3 }, []string{"witnesses that must sign: 3 of 3 (was 2 of 3)"}},
		"remarks":         {func(c *Charter) { c.Extra = nil }, []string{"remarks:  (was x-note anything at all)"}},
		"stamp":           {func(c *Charter) { c.Stamp = stampKey(2).Public() }, []string{"stamp key: "}},
		"signers":         {func(c *Charter) { c.Signer.Keys[0] = signerKey(1, 2).Public() }, []string{"signer goes", "signer comes"}},
		"a log is closed": {func(c *Charter) { c.Closed = []Cut{{5, emptyRoot}}; c.Log = 2 }, []string{"log 1 is closed at 5 records", "log: 2 (was 1)"}},
	} {
		c := nextCharter(base)
		tt.change(&c)
		got := Changes(base, c)
		want := append([]string{"version: 3 (was 2)"}, tt.want...)
		ok := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			ok = ok && strings.HasPrefix(got[i], want[i])
		}
		if !ok {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	third := testCharters(t)[2]
	rewritten := nextCharter(third)
	rewritten.Closed[0].Size++
	if got := fmt.Sprint(Changes(third, rewritten)); !strings.Contains(got, "the end of log 1 is rewritten") {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(Changes(third, nextCharter(base))); !strings.Contains(got, "closed logs are left out") {
		t.Errorf("got %s", got)
	}
	without := base.clone()
	without.Quorum = nil
	if got := fmt.Sprint(Changes(without, nextCharter(base))); !strings.Contains(got, "additions count only once 2 of 3 witnesses have cosigned them") {
		t.Errorf("got %s", got)
	}
}

// A Proposal's charter can't be changed through what is given away.
func TestProposalIsImmutable(t *testing.T) {
	p := signedBy(t, closing(t), rootKey(1))
	want := p.Bytes()
	c := p.Charter()
	c.Root.Keys[0], c.Closed[0].Size = crypto.PublicKey{}, 7
	before, _ := p.Before()
	before.Root.Keys[0] = crypto.PublicKey{}
	clear(p.Text())
	clear(p.Note())
	clear(p.Opening())
	if _, err := p.Sign(rootKey(2)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Bytes(), want) {
		t.Error("it has changed")
	}
	if _, err := p.Sign(rootKey(8)); !errors.Is(err, errProposalKey) {
		t.Errorf("got %v", err)
	}
}
