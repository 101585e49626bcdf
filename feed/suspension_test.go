package feed

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hashfeed/crypto"
)

func suspensionCases(t testing.TB) []noteCase {
	c2, c3 := testChain(t, 2), testChain(t, 3)
	by := func(text string, keys ...*crypto.PrivateKey) []byte {
		if len(keys) == 0 {
			keys = []*crypto.PrivateKey{signerKey(1, 1)}
		}
		return signedText(t, text, keys...)
	}
	head := "hashfeed-suspend/v1\nfeed " + string(testFeed) + "\ntime 1795424400\n"
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "item 1 %d\n", i)
		}
		return b.String()
	}
	text := head + "item 1 17\n"
	n, err := crypto.ParseNote(by(text))
	if err != nil {
		t.Fatal(err)
	}
	n.Lines = append(n.Lines, n.Lines[0])
	twice := n.Bytes()
	n.Lines = []crypto.Line{lineOf(t, signerKey(1, 1), text+"\n", testNow)}
	fails := n.Bytes()
	n.Lines = append(n.Lines, lineOf(t, signerKey(2, 1), text, testNow))
	return []noteCase{
		{"one item", c2, by(text), ""},
		{"many items", c2, by(head + "item 1 0\nitem 1 1\nitem 1 1099511627775\nitem 2 0\nitem 9999 5\n"), ""},
		{"1,000 items", c2, by(head + many(1000)), ""},
		{"time 0", c2, by(strings.Replace(text, "1795424400", "0", 1)), ""},
		{"time 2^32-1", c2, by(strings.Replace(text, "1795424400", "4294967295", 1)), ""},
		{"1 of 3 signers", c3, by(text, signerKey(2, 2)), ""},
		{"all signers", c3, by(text, signerKey(2, 3), signerKey(2, 1), signerKey(2, 2)), ""},
		{"a former signer", c3, by(text), ""},
		{"a stranger", c2, by(text, signerKey(1, 9)), ""},
		{"roots", c2, by(text, rootKey(1), rootKey(2)), ""},
		{"a former signer's line that fails", c3, n.Bytes(), ""},

		{"a signer's line that fails", c2, fails, "doesn't verify"},
		{"a signer's line twice", c2, twice, "two lines of one known key"},
		{"another feed", c2, by(strings.Replace(text, "known", "other", 1)), "another feed"},
		{"no items", c2, by(head), "1,000 item lines"},
		{"1,001 items", c2, by(head + many(1001)), "1,000 item lines"},
		{"items descending", c2, by(head + "item 1 2\nitem 1 1\n"), "not ascending"},
		{"an item twice", c2, by(head + "item 1 2\nitem 1 2\n"), "not ascending"},
		{"logs descending", c2, by(head + "item 2 1\nitem 1 2\n"), "not ascending"},
		{"log 0", c2, by(head + "item 0 1\n"), "item"},
		{"log 10000", c2, by(head + "item 10000 1\n"), "item"},
		{"index 2^40", c2, by(head + "item 1 1099511627776\n"), "item"},
		{"index with a leading zero", c2, by(head + "item 1 01\n"), "item"},
		{"a reference", c2, by(head + "item 1#1\n"), "item"},
		{"three numbers", c2, by(head + "item 1 1 1\n"), "item"},
		{"time 2^32", c2, by(strings.Replace(text, "1795424400", "4294967296", 1)), "time"},
		{"time with a leading zero", c2, by(strings.Replace(text, "1795424400", "01", 1)), "time"},
		{"negative time", c2, by(strings.Replace(text, "1795424400", "-1", 1)), "time"},
		{"another version", c2, by(strings.Replace(text, "/v1", "/v2", 1)), "not the line"},
		{"a line more", c2, by(text + "reason none\n"), "lines after the last"},
		{"a blank line", c2, by(text + "\n"), "lines after the last"},
		{"not a note", c2, []byte(text), "malformed note"},
		{"a checkpoint", c2, testHead(t, c2, 5, Digest{1}, testNow).Bytes(), "not the line"},
	}
}

func TestOpenSuspension(t *testing.T) {
	for _, tt := range suspensionCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			s, err := tt.chain.OpenSuspension(tt.data)
			wantError(t, err, tt.why)
			if err != nil || tt.why != "" {
				return
			}
			again, err := tt.chain.OpenSuspension(s.Bytes())
			if err != nil || !bytes.Equal(again.Bytes(), s.Bytes()) || again.Sum != s.Sum || len(again.Signers) != len(s.Signers) {
				t.Errorf("opened again: got %+v, %v, want %+v", again, err, s)
			}
			if want := slices.Contains([]string{"a stranger", "roots"}, tt.name); s.Vouched() == want {
				t.Errorf("vouched: got %v", s.Vouched())
			}
			if n, err := crypto.ParseNote(tt.data); err != nil || s.Sum != sha256.Sum256(n.Text) {
				t.Errorf("got sum %x", s.Sum)
			}
		})
	}
}

func TestSuspensionFields(t *testing.T) {
	c := testChain(t, 3)
	s, err := SignSuspension(c, []Position{{2, 3}, {1, 7}, {2, 3}, {1, 0}}, testNow, signerKey(2, 3), signerKey(2, 1))
	if err != nil {
		t.Fatal(err)
	}
	if s.Feed != testFeed || s.Time != testNow || !slices.Equal(s.Items, []Position{{1, 0}, {1, 7}, {2, 3}}) {
		t.Errorf("got %+v", s)
	}
	if !slices.Equal(s.Signers, publicKeys(signerKey(2, 1), signerKey(2, 3))) {
		t.Errorf("got signers %v", s.Signers)
	}
	got := s.Suspending()
	if got.Time != testNow || got.Sum != s.Sum || !slices.Equal(got.Items, s.Items) ||
		!slices.Equal(got.Signers, [][32]byte{signerKey(2, 1).Public().Key, signerKey(2, 3).Public().Key}) {
		t.Errorf("got %+v", got)
	}
	// The signers are those of the newest charter, and a note outlives them.
	s, err = testChain(t, 2).OpenSuspension(signedText(t, string(suspensionText(testFeed, testNow, s.Items)), signerKey(1, 1)))
	if err != nil || len(s.Signers) != 1 {
		t.Fatalf("got %+v, %v", s, err)
	}
	if s, err = c.OpenSuspension(s.Bytes()); err != nil || len(s.Signers) != 0 || !s.Vouched() {
		t.Errorf("got %+v, %v", s, err)
	}

	items := []Position{{1, 1}}
	_, err = SignSuspension(c, items, testNow)
	wantError(t, err, "no key")
	_, err = SignSuspension(c, items, testNow, signerKey(1, 1))
	wantError(t, err, "wrong name")
	_, err = SignSuspension(c, nil, testNow, signerKey(2, 1))
	wantError(t, err, "item lines")
	_, err = SignSuspension(c, []Position{{0, 0}}, testNow, signerKey(2, 1))
	wantError(t, err, "position")
	_, err = SignSuspension(c, items, -1, signerKey(2, 1))
	wantError(t, err, "time")
}

func TestMergeSuspensions(t *testing.T) {
	c := testChain(t, 3)
	text := string(suspensionText(testFeed, testNow, []Position{{1, 1}}))
	open := func(keys ...*crypto.PrivateKey) Suspension {
		t.Helper()
		s, err := c.OpenSuspension(signedText(t, text, keys...))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, two, former, none := open(signerKey(2, 1)), open(signerKey(2, 3), signerKey(2, 1)), open(signerKey(1, 1)), open(rootKey(1))
	for i, tt := range []struct {
		a, b    Suspension
		signers int
		lines   int
	}{
		{one, two, 2, 2}, {two, one, 2, 2}, {one, none, 1, 1}, {none, one, 1, 1}, {one, former, 1, 2}, {former, two, 2, 3}, {none, none, 0, 1},
	} {
		got, err := c.MergeSuspensions(tt.a, tt.b)
		if err != nil || len(got.Signers) != tt.signers || strings.Count(string(got.Bytes()), "\n\u2014 ") != tt.lines {
			t.Errorf("%d: got %q, %v, want %d signers on %d lines", i, got.Bytes(), err, tt.signers, tt.lines)
		}
	}
	other, err := SignSuspension(c, []Position{{1, 2}}, testNow, signerKey(2, 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.MergeSuspensions(one, other)
	wantError(t, err, "other texts")
}

func TestSuspensionMangled(t *testing.T) {
	c := testChain(t, 2)
	data := signedText(t, string(suspensionText(testFeed, testNow, []Position{{1, 17}})), signerKey(1, 1))
	mangleAll(data, func(what string, m []byte) {
		// Whatever is changed, no signer stands on it any more.
		if s, err := c.OpenSuspension(m); err == nil && (len(s.Signers) > 0 || s.Vouched()) {
			t.Errorf("%s: got signers %v", what, s.Signers)
		}
	})
}

func FuzzOpenSuspension(f *testing.F) {
	c := testChain(f, 3)
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseSuspension(data); err == nil && !bytes.Equal(suspensionText(s.Feed, s.Time, s.Items), data) {
			t.Fatalf("%q written again as %q", data, suspensionText(s.Feed, s.Time, s.Items))
		}
		s, err := c.OpenSuspension(data)
		if err != nil {
			return
		}
		if text := suspensionText(s.Feed, s.Time, s.Items); !bytes.HasPrefix(data, append(text, '\n')) || s.Sum != sha256.Sum256(text) {
			t.Fatalf("%q written again as %q", data, text)
		}
		if again, err := c.OpenSuspension(s.Bytes()); err != nil || !bytes.Equal(again.Bytes(), s.Bytes()) || again.Vouched() != s.Vouched() {
			t.Fatalf("opened again: got %+v, %v, want %+v", again, err, s)
		}
	})
}
