package feed

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"hashfeed/crypto"
)

// A chainCase is charters to open from an anchor. why: what the error says; "": none.
type chainCase struct {
	name   string
	anchor Anchor
	notes  [][]byte
	why    string
}

// chainCases has each rule of WIRE §4 about more than one charter kept and broken. They are in the kit of vectors, too.
func chainCases(t testing.TB) []chainCase {
	c1, c2, c3 := testCharters(t)[0], testCharters(t)[1], testCharters(t)[2]
	n := testNotes(t)
	cut2 := Cut{3, testLog(t, 3, 1).root(t, 3)}
	c4 := closingCharter(c3, cut2) // two logs closed
	a := c1.Anchor()
	then := func(more ...[]byte) [][]byte { return append([][]byte{n[0]}, more...) }
	with := func(c Charter, change func(c *Charter)) Charter {
		c = c.clone()
		change(&c)
		return c
	}
	sig := func(c Charter, roots ...int) []byte { return signed(t, c, roots...) }
	rotated := with(c2, func(c *Charter) { c.Root = KeyGroup{2, publicKeys(rootKey(4), rootKey(5), rootKey(6))} })
	again := with(nextCharter(rotated), func(c *Charter) { c.Root = KeyGroup{1, publicKeys(rootKey(7))} })
	half := with(c2, func(c *Charter) { c.Root = KeyGroup{2, publicKeys(rootKey(1), rootKey(2), rootKey(4))} })
	rekeyed := func(f func(c *Charter)) Charter { return with(c3, f) }
	broken := func(note []byte, line int) []byte { // one bit of one signature
		p, err := crypto.ParseNote(note)
		if err != nil {
			t.Fatal(err)
		}
		p.Lines[line].Signature = bytes.Clone(p.Lines[line].Signature)
		p.Lines[line].Signature[5] ^= 4
		return p.Bytes()
	}
	twice := func(note []byte) []byte {
		p, err := crypto.ParseNote(note)
		if err != nil {
			t.Fatal(err)
		}
		p.Lines = append(p.Lines, p.Lines[0])
		return p.Bytes()
	}
	stranger := func(note []byte, name string) []byte {
		p, err := crypto.ParseNote(note)
		if err != nil {
			t.Fatal(err)
		}
		p.Lines = append(p.Lines, crypto.Line{Name: name, ID: 7, Signature: make([]byte, 64)})
		return p.Bytes()
	}
	return []chainCase{
		{"one", a, n[:1], ""},
		{"two", a, n[:2], ""},
		{"a log closed", a, n, ""},
		{"two logs closed", a, append(n[:3:3], sig(c4, 1, 3)), ""},
		{"anchor at version 2", c2.Anchor(), n[1:], ""},
		{"anchor after a log was closed", c3.Anchor(), n[2:], ""},
		{"all roots", a, [][]byte{sig(c1, 1, 2, 3), sig(c2, 2, 3)}, ""},
		{"lines of strangers", a, [][]byte{stranger(n[0], "x.example"), stranger(n[1], string(testFeed)+"/root")}, ""},
		{"roots rotated", a, then(sig(rotated, 1, 2, 4, 5)), ""},
		{"roots rotated twice", a, then(sig(rotated, 1, 2, 4, 5), sig(again, 4, 5, 7)), ""},
		{"one signature serves both", a, then(sig(half, 1, 2)), ""},
		{"witnesses changed", a, then(sig(with(c2, func(c *Charter) { c.Quorum = nil }), 1, 2)), ""},
		{"roster gone", a, then(sig(with(c2, func(c *Charter) { c.Roster = nil }), 1, 2)), ""},
		{"expires earlier", a, then(sig(with(c2, func(c *Charter) { c.Expires = 0 }), 1, 2)), ""},
		{"new log's signers swap places and threshold", a, [][]byte{n[0], n[1], sig(rekeyed(func(c *Charter) {
			c.Signer = KeyGroup{1, publicKeys(signerKey(2, 3))}
		}), 1, 2)}, ""},

		{"none", a, nil, "no charter"},
		{"of another anchor", c2.Anchor(), n, "isn't the anchor's"},
		{"begins before the anchor", c2.Anchor(), n[:2], "isn't the anchor's"},
		{"below threshold", a, [][]byte{sig(c1, 1)}, "too few of its own roots"},
		{"signed by strangers alone", a, [][]byte{sig(c1, 4, 5)}, "too few of its own roots"},
		{"a root's line that fails", a, [][]byte{broken(sig(c1, 1, 2, 3), 2)}, "doesn't verify"},
		{"a root's line twice", a, [][]byte{twice(n[0])}, "two lines of one known key"},
		{"second below threshold", a, then(sig(c2, 3)), "too few of its own roots"},
		{"old root's line that fails", a, then(broken(sig(rotated, 4, 5, 1, 2, 3), 4)), "doesn't verify"},
		{"not by the roots before", a, then(sig(rotated, 4, 5)), "too few of the last"},
		{"by one of the roots before", a, then(sig(rotated, 1, 4, 5)), "too few of the last"},
		{"by one of the new roots", a, then(sig(rotated, 1, 2, 4)), "too few of its own"},
		{"signed by the roots before those before", a, then(sig(rotated, 1, 2, 4, 5), sig(again, 1, 2, 7)), "too few of the last"},
		{"version skipped", a, then(sig(with(c2, func(c *Charter) { c.Version = 3 }), 1, 2)), "version isn't the last + 1"},
		{"version repeated", a, then(n[0]), "version isn't the last + 1"},
		{"version rolled back", a, [][]byte{n[0], n[1], n[0]}, "version isn't the last + 1"},
		{"order exchanged", c2.Anchor(), [][]byte{n[1], n[0]}, "version isn't the last + 1"},
		{"gap", a, [][]byte{n[0], n[2]}, "version isn't the last + 1"},
		{"harm changed", a, then(sig(with(c2, func(c *Charter) { c.Harm = NCII }), 1, 2)), "harm or use changed"},
		{"use changed", a, then(sig(with(c2, func(c *Charter) { c.Use = UseReview }), 1, 2)), "harm or use changed"},
		{"signer changed", a, then(sig(with(c2, func(c *Charter) { c.Signer.Keys = publicKeys(signerKey(1, 9)) }), 1, 2)), "without closing the log"},
		{"signer added", a, then(sig(with(c2, func(c *Charter) {
			c.Signer = KeyGroup{2, publicKeys(signerKey(1, 1), signerKey(1, 9))}
		}), 1, 2)), "without closing the log"},
		{"stamp changed", a, then(sig(with(c2, func(c *Charter) {
			c.Stamp = testKey(string(testFeed.Log(1)), crypto.TypeCosignature, 9).Public()
		}), 1, 2)), "without closing the log"},
		{"two logs closed at once", a, then(sig(with(c4, func(c *Charter) { c.Version = 2 }), 1, 2)), "closed lines rewritten"},
		{"closed root rewritten", a, append(n[:3:3], sig(with(nextCharter(c3), func(c *Charter) { c.Closed[0].Root[0] ^= 1 }), 1, 2)), "closed lines rewritten"},
		{"closed size rewritten", a, append(n[:3:3], sig(with(nextCharter(c3), func(c *Charter) { c.Closed[0].Size++ }), 1, 2)), "closed lines rewritten"},
		{"closed size rewritten while closing", a, append(n[:3:3], sig(with(c4, func(c *Charter) { c.Closed[0].Size++ }), 1, 2)), "closed lines rewritten"},
		{"log opened again", a, append(n[:3:3], sig(with(c2, func(c *Charter) { c.Version = 4 }), 1, 2)), "closed lines rewritten"},
		{"new log with the old signer's key", a, [][]byte{n[0], n[1], sig(rekeyed(func(c *Charter) {
			k := signerKey(1, 1).Public()
			c.Signer.Keys[0] = crypto.PublicKey{Name: string(testFeed.Log(2)), Type: k.Type, Key: k.Key}
		}), 1, 2)}, "stands in an earlier charter"},
		{"new log with the old stamp's key", a, [][]byte{n[0], n[1], sig(rekeyed(func(c *Charter) {
			c.Stamp.Key = stampKey(1).Public().Key
		}), 1, 2)}, "stands in an earlier charter"},
		{"new signer with a former root's key", a, then(sig(rotated, 1, 2, 4, 5), sig(with(closingCharter(rotated, c3.Closed[0]), func(c *Charter) {
			c.Signer.Keys[1].Key = rootKey(3).Public().Key
		}), 4, 5)), "stands in an earlier charter"},
		{"new stamp with a former witness's key", a, [][]byte{n[0], n[1], sig(rekeyed(func(c *Charter) {
			c.Quorum, c.Stamp.Key = nil, witnessKey(2).Public().Key
		}), 1, 2)}, "stands in an earlier charter"},
		{"new signer with the former roster's key", a, [][]byte{n[0], n[1], sig(rekeyed(func(c *Charter) {
			c.Roster, c.Signer.Keys[2].Key = nil, rosterKey().Public().Key
		}), 1, 2)}, "stands in an earlier charter"},
		{"not a note", a, [][]byte{[]byte(c1.text())}, "malformed note"},
		{"not a charter", a, [][]byte{signedText(t, "hashfeed-charter/v1\n", rootKey(1), rootKey(2))}, "not the line that stands here"},
		{"a note in a charter's place", a, then(signedText(t, "eokm.example/known/1\n0\n", signerKey(1, 1))), "not the line that stands here"},
	}
}

func TestOpenChain(t *testing.T) {
	for _, tt := range chainCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			c, err := OpenChain(tt.anchor, tt.notes)
			wantError(t, err, tt.why)
			if err != nil || tt.why != "" {
				return
			}
			// Opening them one by one is the same, and what it keeps opens again.
			one, err := OpenChain(tt.anchor, tt.notes[:1])
			for _, note := range tt.notes[1:] {
				if err == nil {
					one, err = one.Extend(note)
				}
			}
			if err != nil || one.String() != c.String() {
				t.Fatalf("one by one: got %v, %v, want %v", one, err, c)
			}
			again, err := OpenChain(tt.anchor, c.Notes())
			if err != nil || again.String() != c.String() || c.Len() != len(tt.notes) {
				t.Errorf("opened again: got %v, %v, want %v", again, err, c)
			}
			for i, note := range again.Notes() {
				if !bytes.Equal(note, c.Notes()[i]) {
					t.Errorf("note %d: got %q, want %q", i, note, c.Notes()[i])
				}
			}
		})
	}
	if _, err := OpenChain(Anchor{}, make([][]byte, MaxCharters+1)); err == nil || !strings.Contains(err.Error(), "at most 9999") {
		t.Errorf("too many: got %v", err)
	}
}

func TestChainAccessors(t *testing.T) {
	c := testChain(t, 3)
	if c.Feed() != testFeed || c.First().Version != 1 || c.Newest().Version != 3 || len(c.All()) != 3 || c.Anchor() != firstCharter().Anchor() {
		t.Errorf("got %v", c)
	}
	for log, want := range map[int]int{0: 0, 1: 2, 2: 3, 3: 0} {
		got, ok := c.ForLog(log)
		if got.Version != want || ok != (want > 0) {
			t.Errorf("charter of log %d: got version %d, %v, want %d", log, got.Version, ok, want)
		}
	}
	late, err := OpenChain(testCharters(t)[2].Anchor(), testNotes(t)[2:])
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := late.ForLog(1); ok {
		t.Error("a log closed before the anchor has a charter")
	}
	for log, want := range map[int]bool{0: false, 1: true, 2: false} {
		if cut, ok := late.Cut(log); ok != want || ok && cut.Size != 5 {
			t.Errorf("cut of log %d: got %v, %v", log, cut, ok)
		}
	}
	for v, want := range map[int]bool{0: false, 1: true, 3: true, 4: false} {
		if _, ok := c.Note(v); ok != want {
			t.Errorf("note of version %d: got %v", v, ok)
		}
	}
}

// TestChainImmutable changes everything that a chain gives away.
func TestChainImmutable(t *testing.T) {
	c := testChain(t, 3)
	for _, got := range append(c.All(), c.Newest(), c.First()) {
		got.Root.Keys[0].Key[0] ^= 1
		got.Signer.Keys[0].Key[0] ^= 1
		got.Quorum.Keys[0].Key[0] ^= 1
		got.Roster.Key[0] ^= 1
		got.Audience[0], got.Extra[0] = "nobody", ""
		for i := range got.Closed {
			got.Closed[i].Size = 0
		}
	}
	for _, note := range c.Notes() {
		clear(note)
	}
	if note, ok := c.Note(1); ok {
		clear(note)
	}
	for i, want := range testCharters(t) {
		if got := c.All()[i].text(); got != want.text() {
			t.Errorf("version %d: got %q, want %q", i+1, got, want.text())
		}
	}
	if again, err := OpenChain(c.Anchor(), c.Notes()); err != nil || again.Len() != 3 {
		t.Errorf("got %v, %v", again, err)
	}
	// Two chains that grow out of one don't share what they append, however it has grown itself.
	three := testChain(t, 1)
	for _, note := range testNotes(t)[1:] {
		var err error
		if three, err = three.Extend(note); err != nil {
			t.Fatal(err)
		}
	}
	var grown []*Chain
	for _, contact := range []string{"one", "other"} {
		fourth := nextCharter(three.Newest())
		fourth.Contact = contact
		c, err := three.Extend(signed(t, fourth, 1, 3))
		if err != nil {
			t.Fatal(err)
		}
		grown = append(grown, c)
	}
	if three.Len() != 3 || grown[0].Newest().Contact != "one" || grown[1].Newest().Contact != "other" {
		t.Errorf("a chain changed when another grew out of the same: got %q and %q", grown[0].Newest().Contact, grown[1].Newest().Contact)
	}
}

// TestChainLines: the lines of strangers are not kept, those that say they are a root's are.
func TestChainLines(t *testing.T) {
	notes := testNotes(t)[:2]
	for i := range notes {
		for n, name := range []string{"x.example", string(testFeed.Log(1)), string(testFeed) + "/root"} {
			notes[i] = append(notes[i], crypto.Line{Name: name, ID: uint32(n), Signature: make([]byte, 64)}.String()...)
		}
	}
	c, err := OpenChain(firstCharter().Anchor(), notes)
	if err != nil {
		t.Fatal(err)
	}
	for i, note := range c.Notes() {
		n, err := crypto.ParseNote(note)
		if err != nil || len(n.Lines) != 3 {
			t.Errorf("note %d: got %d lines, %v, want 3", i, len(n.Lines), err)
		}
		for _, l := range n.Lines {
			if l.Name != string(testFeed)+"/root" {
				t.Errorf("note %d: got a line of %q", i, l.Name)
			}
		}
	}
}

func TestExtendHeld(t *testing.T) {
	c := testChain(t, 3)
	for v, note := range testNotes(t) {
		if got, err := c.Extend(note); err != nil || got != c {
			t.Errorf("version %d again: got %v, %v", v+1, got, err)
		}
	}
	// Another valid text of a version that we hold is evidence, at the anchor's version too.
	for v, base := range testCharters(t) {
		other := base.clone()
		other.Contact = "forked"
		_, err := c.Extend(signed(t, other, 2, 3))
		fork, ok := errors.AsType[*ForkError](err)
		if !ok {
			t.Fatalf("version %d forked: got %v, want a ForkError", v+1, err)
		}
		if e := fork.Evidence; e.Kind != CharterEvidence || e.Version != v+1 || e.Feed != testFeed || !strings.Contains(err.Error(), fmt.Sprint(v+1)) {
			t.Errorf("version %d forked: got %+v", v+1, fork)
		}
		_, err = c.Extend(signed(t, other, 2))
		if _, ok := errors.AsType[*ForkError](err); ok || err == nil {
			t.Errorf("version %d forked by one root: got %v", v+1, err)
		}
	}
}

// TestChainMangled: whatever is changed in charters that bear exactly the signatures they need, they don't open.
func TestChainMangled(t *testing.T) {
	notes := testNotes(t)
	for i := range notes {
		tried := 0
		mangleAll(notes[i], func(what string, m []byte) {
			if tried++; tried%3 != i { // a third for each: each try costs verifications
				return
			}
			with := append([][]byte{}, notes...)
			with[i] = m
			if _, err := OpenChain(firstCharter().Anchor(), with); err == nil {
				t.Errorf("note %d, %s: got no error", i, what)
			}
		})
	}
}

func TestSignCharter(t *testing.T) {
	c := firstCharter()
	one, err := SignCharter(c, rootKey(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenChain(c.Anchor(), [][]byte{one}); err == nil {
		t.Error("one of two: got no error")
	}
	two, err := CountersignCharter(one, rootKey(3), rootKey(1)) // 1 again: its line is replaced
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenChain(c.Anchor(), [][]byte{two}); err != nil {
		t.Error(err)
	}
	_, err = SignCharter(c)
	wantError(t, err, "no key")
	_, err = SignCharter(c, signerKey(1, 1))
	wantError(t, err, "wrong name")
	_, err = CountersignCharter([]byte("x"), rootKey(1))
	wantError(t, err, "malformed note")
	c.Version = 0
	_, err = SignCharter(c, rootKey(1))
	wantError(t, err, "version")
}

func TestAdditionLimit(t *testing.T) {
	c := testChain(t, 2)
	expires := c.Newest().Expires
	at := func(size uint64, stamp int64) Checkpoint {
		return Checkpoint{Origin: testFeed.Log(1), Size: size, Stamp: stamp}
	}
	heads := []Checkpoint{at(0, expires-20), at(3, expires-10), at(5, expires), at(9, expires+1), at(7, expires+2),
		{Origin: testFeed.Log(2), Size: 100, Stamp: 0}}
	for _, tt := range []struct {
		now   int64
		heads []Checkpoint
		want  uint64
	}{
		{expires, heads, math.MaxUint64},
		{expires + 1, heads, 5},
		{expires + 1, heads[:2], 3},
		{expires + 1, heads[3:], 0},
		{expires + 1, nil, 0},
	} {
		if got := c.AdditionLimit(tt.heads, tt.now); got != tt.want {
			t.Errorf("%d s after, %d heads: got %d, want %d", tt.now-expires, len(tt.heads), got, tt.want)
		}
	}
}

func FuzzParseCharter(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCharter(text)
		if err != nil {
			return
		}
		again, err := c.Text()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("got %q, %v, want %q", again, err, text)
		}
		if c.clone().text() != string(text) {
			t.Fatal("the clone is another")
		}
	})
}
