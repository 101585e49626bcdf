package feed

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"hashfeed/crypto"
)

func TestCharterText(t *testing.T) {
	for _, c := range testCharters(t) {
		text, err := c.Text()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseCharter(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := got.Text()
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("version %d: got %q, %v, want %q", c.Version, again, err, text)
		}
		if got.Anchor() != c.Anchor() || got.Origin() != testFeed.Log(c.Log) {
			t.Errorf("version %d: got %v %v", c.Version, got.Anchor(), got.Origin())
		}
	}
	c := firstCharter()
	c.Contact = "two\nlines"
	if text, err := c.Text(); err == nil {
		t.Errorf("a contact of two lines: got %q", text)
	}
}

func TestCharterFields(t *testing.T) {
	want := testCharters(t)[2]
	text, err := want.Text()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseCharter(text)
	if err != nil {
		t.Fatal(err)
	}
	// String of %+v follows pointers only at the top: compare those apart.
	if *got.Roster != *want.Roster || got.Quorum.String() != want.Quorum.String() {
		t.Errorf("got roster %v quorum %v", got.Roster, got.Quorum)
	}
	got.Roster, got.Quorum, want.Roster, want.Quorum = nil, nil, nil, nil
	if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); a != b {
		t.Errorf("got  %s\nwant %s", a, b)
	}
	rules := got.Rules()
	if fmt.Sprint(rules.Cuts) != "[5]" || rules.Review || rules.Log != 2 {
		t.Errorf("got rules %+v", rules)
	}
	want.Use = UseReview
	if !want.Rules().Review {
		t.Error("use review: got rules that don't say so")
	}
}

// vkeys for lines that differ from the right ones in one respect.
func vkey(name string, typ crypto.Type, n int) string { return testKey(name, typ, n).Public().String() }

// A lineCase is the text of a charter with one line replaced.
type lineCase struct {
	with string // the line in its place
	text string
	good bool
}

// lineCases replaces one line of a good charter (one that closes a log, so that every line stands in it) at a time.
func lineCases(t testing.TB) (cases []lineCase) {
	t.Helper()
	good, err := testCharters(t)[2].Text()
	if err != nil {
		t.Fatal(err)
	}
	root := func(n int) string { return rootKey(n).Public().String() }
	wit := func(n int) string { return witnessKey(n).Public().String() }
	origin := string(testFeed.Log(2))
	signer := func(n int) string { return signerKey(2, n).Public().String() }
	emptyB64 := encodeBase64(emptyRoot[:])
	rep := strings.Repeat
	tests := []struct {
		line string // what it begins with
		with string // the line in its place, with \n; "": none
		good bool
	}{
		{"hashfeed-charter", "hashfeed-charter/v2\n", false},
		{"hashfeed-charter", "hashfeed-charter/v1 \n", false},
		{"hashfeed-charter", "", false},
		{"hashfeed-charter", "\nhashfeed-charter/v1\n", false},
		{"feed ", "feed eokm.example\n", false},
		{"feed ", "feed eokm.example/known/1\n", false},
		{"feed ", "feed Eokm.example/known\n", false},
		{"feed ", "feed  eokm.example/known\n", false},
		{"feed ", "feed hashfeed-test/selftest\n", false},
		{"feed ", "feed other.example/known\n", false}, // its keys then have the wrong names
		{"feed ", "feed eokm.example/known\r\n", false},
		{"version ", "version 1\n", true},
		{"version ", "version 9999\n", true},
		{"version ", "version 0\n", false},
		{"version ", "version 10000\n", false},
		{"version ", "version 03\n", false},
		{"version ", "version +3\n", false},
		{"version ", "version -3\n", false},
		{"version ", "version \n", false},
		{"version ", "version\n", false},
		{"version ", "version 3\nversion 3\n", false},
		{"expires ", "expires 2027-12-31T23:59:59Z\n", true},
		{"expires ", "expires 2028-02-29T00:00:00Z\n", true},
		{"expires ", "expires 0001-01-01T00:00:00Z\n", true},
		{"expires ", "expires 9999-12-31T23:59:59Z\n", true},
		{"expires ", "expires 0000-01-01T00:00:00Z\n", false},
		{"expires ", "expires 2027-02-29T00:00:00Z\n", false},
		{"expires ", "expires 2027-12-31T24:00:00Z\n", false},
		{"expires ", "expires 2027-12-31T23:59:60Z\n", false},
		{"expires ", "expires 2027-12-31T23:59:59.0Z\n", false},
		{"expires ", "expires 2027-12-31T23:59:59+00:00\n", false},
		{"expires ", "expires 2027-12-31t23:59:59z\n", false},
		{"expires ", "expires 2027-12-31\n", false},
		{"expires ", "expires 1795424400\n", false},
		{"harm ", "harm ncii\n", true},
		{"harm ", "harm tvec\n", true},
		{"harm ", "harm CSAM\n", false},
		{"harm ", "harm other\n", false},
		{"harm ", "harm csam,ncii\n", false},
		{"use ", "use review\n", true},
		{"use ", "use block\n", false},
		{"use ", "use \n", false},
		{"audience ", "audience none\n", true},
		{"audience ", "audience hosts\n", true},
		{"audience ", "audience police,hosts\n", true},
		{"audience ", "audience police,hotlines\n", true},
		{"audience ", "audience hosts,police\n", false},
		{"audience ", "audience police,police\n", false},
		{"audience ", "audience none,hosts\n", false},
		{"audience ", "audience \n", false},
		{"audience ", "audience hosts,\n", false},
		{"audience ", "audience everybody\n", false},
		{"audience ", "audience police, hosts\n", false},
		{"contact ", "contact " + rep("~", 128) + "\n", true},
		{"contact ", "contact  \n", true}, // one space: %x20 is a character of it
		{"contact ", "contact " + rep("x", 129) + "\n", false},
		{"contact ", "contact \n", false},
		{"contact ", "contact desk\x7f\n", false},
		{"contact ", "contact d\u00e9sk\n", false},
		{"contact ", "contact a\tb\n", false},
		{"answer ", "answer 1h\n", true},
		{"answer ", "answer 9999d\n", true},
		{"answer ", "answer 0h\n", false},
		{"answer ", "answer 10000h\n", false},
		{"answer ", "answer 2\n", false},
		{"answer ", "answer h\n", false},
		{"answer ", "answer 2w\n", false},
		{"answer ", "answer 02d\n", false},
		{"answer ", "answer 2d \n", false},
		{"maxage ", "maxage 72h 72h\n", true},
		{"maxage ", "maxage 3d 72h\n", true},
		{"maxage ", "maxage 1d 24h\n", true},
		{"maxage ", "maxage 4d 72h\n", false},
		{"maxage ", "maxage 73h 72h\n", false},
		{"maxage ", "maxage 6h\n", false},
		{"maxage ", "maxage 6h  72h\n", false},
		{"maxage ", "maxage 6h 72h 72h\n", false},
		{"root ", "root 1 " + root(1) + "\n", true},
		{"root ", "root 2 " + root(1) + " " + root(2) + "\n", true},
		{"root ", "root 4 " + joined(root, 7) + "\n", true},
		{"root ", "root 7 " + joined(root, 7) + "\n", true},
		{"root ", "root 3 " + joined(root, 7) + "\n", false},
		{"root ", "root 5 " + joined(root, 8) + "\n", false},
		{"root ", "root 1 " + joined(root, 2) + "\n", false}, // 2k > n
		{"root ", "root 2 " + joined(root, 4) + "\n", false},
		{"root ", "root 4 " + joined(root, 3) + "\n", false},
		{"root ", "root 0 " + root(1) + "\n", false},
		{"root ", "root " + root(1) + "\n", false},
		{"root ", "root 1\n", false},
		{"root ", "root 1 \n", false},
		{"root ", "root 2 " + root(1) + " " + root(1) + "\n", false},
		{"root ", "root 1 " + root(1) + " \n", false},
		{"root ", "root 1  " + root(1) + "\n", false},
		{"root ", "root 1 " + vkey(string(testFeed)+"/root", crypto.TypeCosignature, 1) + "\n", false},
		{"root ", "root 1 " + vkey("eokm.example/other/root", crypto.TypeSignature, 1) + "\n", false},
		{"root ", "root 1 " + signer(1) + "\n", false},
		{"root ", "root 1 " + strings.ToUpper(root(1)) + "\n", false},
		{"closed ", "closed 1 0 " + emptyB64 + "\n", true},
		{"closed ", "closed 1 1099511627776 " + emptyB64 + "\n", true},
		{"closed ", "closed 1 1099511627777 " + emptyB64 + "\n", false},
		{"closed ", "closed 1 05 " + emptyB64 + "\n", false},
		{"closed ", "closed 1 -5 " + emptyB64 + "\n", false},
		{"closed ", "closed 2 5 " + emptyB64 + "\n", false},
		{"closed ", "closed 0 5 " + emptyB64 + "\n", false},
		{"closed ", "closed 1 5 " + emptyB64[:40] + "\n", false},
		{"closed ", "closed 1 5 " + emptyB64[:42] + "V=\n", false}, // stray bits
		{"closed ", "closed 1 5 " + strings.TrimRight(emptyB64, "=") + "\n", false},
		{"closed ", "closed 1 5\n", false},
		{"closed ", "closed 1 5 " + emptyB64 + " \n", false},
		{"closed ", "", false}, // then log 2 is one too many
		{"closed ", "closed 1 5 " + emptyB64 + "\nclosed 2 5 " + emptyB64 + "\n", false},
		{"closed ", "closed 1 5 " + emptyB64 + "\nclosed 1 5 " + emptyB64 + "\n", false},
		{"log ", "log 1\n", false},
		{"log ", "log 3\n", false},
		{"log ", "log 02\n", false},
		{"log ", "log 0\n", false},
		{"log ", "", false},
		{"signer ", "signer 1 " + signer(1) + "\n", true},
		{"signer ", "signer 3 " + joined(signer, 3) + "\n", true},
		{"signer ", "signer 1 " + joined(signer, 2) + "\n", false},
		{"signer ", "signer 1 " + vkey(string(testFeed.Log(1)), crypto.TypeSignature, 9) + "\n", false},
		{"signer ", "signer 1 " + vkey(origin, crypto.TypeCosignature, 9) + "\n", false},
		{"signer ", "", false},
		{"stamp ", "stamp " + vkey(origin, crypto.TypeCosignature, 9) + "\n", true},
		{"stamp ", "stamp " + vkey(origin, crypto.TypeSignature, 9) + "\n", false},
		{"stamp ", "stamp " + vkey(string(testFeed.Log(1)), crypto.TypeCosignature, 9) + "\n", false},
		{"stamp ", "stamp 1 " + vkey(origin, crypto.TypeCosignature, 9) + "\n", false},
		{"stamp ", "stamp " + sameKey(signerKey(2, 1), origin, crypto.TypeCosignature) + "\n", false}, // two jobs
		{"stamp ", "", false},
		{"roster ", "", true},
		{"roster ", "roster " + vkey(string(testFeed)+"/roster", crypto.TypeSignature, 9) + "\n", true},
		{"roster ", "roster " + vkey(string(testFeed)+"/roster", crypto.TypeCosignature, 1) + "\n", false},
		{"roster ", "roster " + vkey("eokm.example/other/roster", crypto.TypeSignature, 1) + "\n", false},
		{"roster ", "roster " + sameKey(rootKey(1), string(testFeed)+"/roster", crypto.TypeSignature) + "\n", false},
		{"roster ", "roster \n", false},
		{"roster ", "roster none\n", false},
		{"quorum ", "quorum none\n", true},
		{"quorum ", "quorum 1 " + wit(1) + "\n", true},
		{"quorum ", "quorum 7 " + joined(wit, 7) + "\n", true},
		{"quorum ", "quorum 5 " + joined(wit, 8) + "\n", false},
		{"quorum ", "quorum 1 " + joined(wit, 2) + "\n", false},
		{"quorum ", "quorum 0\n", false},
		{"quorum ", "quorum none \n", false},
		{"quorum ", "quorum none " + wit(1) + "\n", false},
		{"quorum ", "quorum 1 " + vkey("w1.example", crypto.TypeCosignature, 1) + "\n", false},
		{"quorum ", "quorum 1 " + vkey("/witness", crypto.TypeCosignature, 1) + "\n", false},
		{"quorum ", "quorum 1 " + vkey("a/b/witness", crypto.TypeCosignature, 1) + "\n", false},
		{"quorum ", "quorum 1 " + vkey("hashfeed-x/witness", crypto.TypeCosignature, 1) + "\n", true},
		{"quorum ", "quorum 1 " + vkey("w1.example/witness", crypto.TypeSignature, 1) + "\n", false},
		{"quorum ", "quorum 1 " + sameKey(stampKey(2), "w1.example/witness", crypto.TypeCosignature) + "\n", false},
		{"quorum ", "quorum 2 " + wit(1) + " " + sameKey(witnessKey(1), "w2.example/witness", crypto.TypeCosignature) + "\n", false},
		{"quorum ", "", false},
		{"x-note ", "", true},
		{"x-note ", "x-a b\nx-a b\n", true},
		{"x-note ", "x-" + rep("z", 32) + " " + rep("~", 256) + "\n", true},
		{"x-note ", "x-" + rep("z", 33) + " a\n", false},
		{"x-note ", "x-a " + rep("~", 257) + "\n", false},
		{"x-note ", "x-a\n", false},
		{"x-note ", "x-a \n", false},
		{"x-note ", "x- a\n", false},
		{"x-note ", "x-A a\n", false},
		{"x-note ", "x-a1 a\n", false},
		{"x-note ", "x-a b\x1b\n", false},
		{"x-note ", "y-a b\n", false},
		{"x-note ", "x-a b", false}, // no newline at the end
		{"x-note ", "x-a b\n\n", false},
		{"x-note ", "x-a b\nlog 2\n", false},
	}
	for _, tt := range tests {
		line := regexp.MustCompile(`(?m)^` + tt.line + `.*\n`).FindString(string(good))
		text := strings.Replace(string(good), line, tt.with, 1)
		if line == "" || text == string(good) {
			t.Fatalf("line %q: nothing to replace", tt.line)
		}
		cases = append(cases, lineCase{tt.with, text, tt.good})
	}
	return cases
}

func TestCharterLines(t *testing.T) {
	for _, tt := range lineCases(t) {
		c, err := ParseCharter([]byte(tt.text))
		if (err == nil) != tt.good {
			t.Errorf("%q: got error %v, want good: %v", tt.with, err, tt.good)
		}
		if err == nil && c.text() != tt.text {
			t.Errorf("%q: written again as %q", tt.with, c.text())
		}
	}
}

func joined(f func(int) string, n int) string {
	var all []string
	for i := range n {
		all = append(all, f(i+1))
	}
	return strings.Join(all, " ")
}

// sameKey is the vkey of k's bare key under another name and type.
func sameKey(k *crypto.PrivateKey, name string, typ crypto.Type) string {
	return crypto.PublicKey{Name: name, Type: typ, Key: k.Public().Key}.String()
}

// TestCharterOrder exchanges each two neighbouring lines, and leaves out each line.
func TestCharterOrder(t *testing.T) {
	good, err := testCharters(t)[2].Text()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(good), "\n"), "\n")
	lines[len(lines)-1] += "\n"
	for i := range len(lines) - 1 {
		swapped := append(append([]string{}, lines[:i]...), lines[i+1], lines[i])
		text := strings.Join(append(swapped, lines[i+2:]...), "")
		if _, err := ParseCharter([]byte(text)); err == nil {
			t.Errorf("lines %d and %d exchanged: got no error", i, i+1)
		}
	}
}

func TestCharterCap(t *testing.T) {
	c := firstCharter()
	text, _ := c.Text()
	for len(text) < MaxCharter {
		n := min(maxExtraValue, MaxCharter-len(text)-len("x-a \n"))
		c.Extra = append(c.Extra, "x-a "+strings.Repeat("y", n))
		text = []byte(c.text())
	}
	if len(text) != MaxCharter {
		t.Fatalf("got a text of %d bytes", len(text))
	}
	if _, err := ParseCharter(text); err != nil {
		t.Errorf("%d bytes: %v", len(text), err)
	}
	c.Contact += "!"
	_, err := ParseCharter([]byte(c.text()))
	wantError(t, err, "longer than 8192 bytes")
}

func TestCharterMangled(t *testing.T) {
	text, err := firstCharter().Text()
	if err != nil {
		t.Fatal(err)
	}
	mangleAll(text, func(what string, m []byte) {
		if c, err := ParseCharter(m); err == nil && c.text() != string(m) {
			t.Errorf("%s: written again as another text", what)
		} else if err == nil && c.Anchor() == firstCharter().Anchor() {
			t.Errorf("%s: same anchor", what)
		}
	})
}

func TestCharterExpired(t *testing.T) {
	c := firstCharter()
	for d, want := range map[int64]bool{-1: false, 0: false, 1: true} {
		if got := c.Expired(c.Expires + d); got != want {
			t.Errorf("%d s after: got %v, want %v", d, got, want)
		}
	}
}

func TestAnchor(t *testing.T) {
	a := firstCharter().Anchor()
	got, err := ParseAnchor(a.String())
	if err != nil || got != a {
		t.Errorf("got %v, %v, want %v", got, err, a)
	}
	for _, s := range []string{"", a.String()[1:], a.String() + "0", strings.ToUpper(a.String()), strings.Repeat("g", 64)} {
		if _, err := ParseAnchor(s); err == nil {
			t.Errorf("%q: got no error", s)
		}
	}
	for _, tt := range []struct{ anchor, want string }{
		{strings.Repeat("0", 64), "00000 00000 00000 00000 00000 00000"},
		{strings.Repeat("0", 63) + "7", "00000 00000 00000 00000 00000 00007"},
		// 10^30 = 0xc9f2c9cd04674edea40000000
		{strings.Repeat("0", 39) + "c9f2c9cd04674edea40000000", "00000 00000 00000 00000 00000 00000"},
		{strings.Repeat("0", 39) + "c9f2c9cd04674edea3fffffff", "99999 99999 99999 99999 99999 99999"},
		// python3: int("ff"*32, 16) % 10**30
		{strings.Repeat("f", 64), "64056 40394 57584 00791 31296 39935"},
	} {
		var a Anchor
		if _, err := hex.Decode(a[:], []byte(tt.anchor)); err != nil {
			t.Fatal(err)
		}
		if got := a.Digits(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.anchor, got, tt.want)
		}
	}
}

func TestTerm(t *testing.T) {
	for s, want := range map[string]time.Duration{"1h": time.Hour, "6h": 6 * time.Hour, "2d": 48 * time.Hour, "9999d": 9999 * 24 * time.Hour} {
		got, err := ParseTerm(s)
		if err != nil || got.Duration() != want || got.String() != s {
			t.Errorf("%s: got %v %v, %v, want %v", s, got, got.Duration(), err, want)
		}
	}
}
