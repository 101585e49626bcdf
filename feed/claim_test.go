package feed

import (
	"errors"
	"strings"
	"testing"
)

// TestExplain: the words that evidence verify prints.
func TestExplain(t *testing.T) {
	want := map[string][]string{
		"two heads of one size": {"a says: eokm.example/known/1 has 5 records, with the root ", "b says: eokm.example/known/1 has 5 records, with the root ",
			"both are signed by the signers", "one number of records can't have two roots"},
		"a head that the other doesn't contain": {"a says: eokm.example/known/1 has 3 records", "b says: eokm.example/known/1 has 5 records",
			"both are signed by the signers", "the first 3 records of b's log have another root than a's"},
		"two second charters": {"a is charter 2 of eokm.example/known with the SHA-256 ", "b is charter 2 of eokm.example/known with the SHA-256 ",
			"both are signed by the root keys", "they differ in: contact"},
	}
	for _, c := range evidenceCases(t) {
		lines, ok := want[c.name]
		if !ok {
			continue
		}
		delete(want, c.name)
		e, err := OpenEvidence(c.data, c.anchor)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := e.Explain()
		if len(got) != len(lines) {
			t.Fatalf("%s: got %q", c.name, got)
		}
		for i := range lines {
			if !strings.HasPrefix(got[i], lines[i]) {
				t.Errorf("%s: got %q, want %q…", c.name, got[i], lines[i])
			}
		}
		if c.name == "two second charters" {
			if other := (testCharters(t)[1]).Anchor().String(); !strings.HasSuffix(got[0], other) || got[0][20:] == got[1][20:] {
				t.Errorf("got %q, %q, want SHA-256 %s and another", got[0], got[1], other)
			}
		}
	}
	for name := range want {
		t.Errorf("there is no case %q", name)
	}
}

// TestChainOpenEvidence: evidence made by somebody who pinned another charter of the same chain counts; from before or beyond the chain it
// can't be told.
func TestChainOpenEvidence(t *testing.T) {
	chain, later := testChain(t, 3), testCharters(t)[1].Anchor()
	late, err := OpenChain(later, testNotes(t)[1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range evidenceCases(t) {
		e, err := chain.OpenEvidence(c.data)
		if good := c.why == ""; good != (err == nil) && c.anchor == chain.Anchor() {
			t.Errorf("%s: got %v, want %q", c.name, err, c.why)
		}
		if err == nil && e.Feed != testFeed {
			t.Errorf("%s: got %+v", c.name, e)
		}
	}
	for _, c := range evidenceCases(t) {
		switch c.name {
		case "two heads of one size":
			if _, err := late.OpenEvidence(c.data); !errors.Is(err, ErrOtherAnchor) {
				t.Errorf("%s, from before the anchor: got %v", c.name, err)
			}
		case "two of an anchor of version 2":
			for _, holder := range []*Chain{chain, late} {
				if _, err := holder.OpenEvidence(c.data); err != nil {
					t.Errorf("%s: got %v", c.name, err)
				}
			}
			if _, err := testChain(t, 1).OpenEvidence(c.data); !errors.Is(err, ErrOtherAnchor) {
				t.Errorf("%s, newer than what is held: got %v", c.name, err)
			}
		}
	}
}
