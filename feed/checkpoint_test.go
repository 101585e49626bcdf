package feed

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"hashfeed/crypto"
)

// A noteCase is something to open against a chain or an anchor. why: what the error says; "": none.
type noteCase struct {
	name  string
	chain *Chain
	data  []byte
	why   string
}

// checkpointCases has each rule of WIRE §3 about a single checkpoint.
func checkpointCases(t testing.TB) []noteCase {
	c2, c3 := testChain(t, 2), testChain(t, 3)
	late, err := OpenChain(testCharters(t)[2].Anchor(), testNotes(t)[2:])
	if err != nil {
		t.Fatal(err)
	}
	root := testLog(t, 5, 0).root(t, 5)
	text := string(checkpointText(testFeed.Log(1), 5, root))
	note := func(text string, keys ...*crypto.PrivateKey) []byte { return signedText(t, text, keys...) }
	good := func(text string) []byte { return note(text, signerKey(1, 1), stampKey(1)) }
	b64, empty := encodeBase64(root[:]), encodeBase64(emptyRoot[:])
	with := func(data []byte, lines ...crypto.Line) []byte {
		n, err := crypto.ParseNote(data)
		if err != nil {
			t.Fatal(err)
		}
		n.Lines = append(n.Lines, lines...)
		return n.Bytes()
	}
	bad := lineOf(t, witnessKey(1), text+"\n", testNow)
	stamp := stampKey(1).Public()
	log2 := string(checkpointText(testFeed.Log(2), 5, root))
	return []noteCase{
		{"signer and stamp", c2, good(text), ""},
		{"size 0", c2, good(string(testFeed.Log(1)) + "\n0\n" + empty + "\n"), ""},
		{"size 2^40", c2, good(string(testFeed.Log(1)) + "\n1099511627776\n" + b64 + "\n"), ""},
		{"lines in another order", c2, note(text, witnessKey(3), stampKey(1), signerKey(1, 1), witnessKey(1)), ""},
		{"a stranger's line", c2, with(good(text), crypto.Line{Name: "x", ID: 1, Signature: []byte{1}}), ""},
		{"a stranger's line twice", c2, with(good(text), crypto.Line{Name: "x", ID: 1, Signature: []byte{1}}, crypto.Line{Name: "x", ID: 1, Signature: []byte{2}}), ""},
		{"an unnamed witness's line", c2, note(text, signerKey(1, 1), stampKey(1), witnessKey(9)), ""},
		{"2 of 3 signers", c3, note(log2, signerKey(2, 1), signerKey(2, 3), stampKey(2)), ""},
		{"closed log, past its cut too", c3, good(string(checkpointText(testFeed.Log(1), 7, root))), ""},
		{"the stamp of 1970", c2, with(note(text, signerKey(1, 1)), lineOf(t, stampKey(1), text, 0)), ""},

		{"no stamp", c2, note(text, signerKey(1, 1)), "no stamp"},
		{"no signer", c2, note(text, stampKey(1)), "too few signers"},
		{"another log's signer", c2, note(text, signerKey(2, 1), stampKey(1)), "too few signers"},
		{"roots for signers", c2, note(text, rootKey(1), rootKey(2), stampKey(1)), "too few signers"},
		{"1 of 3 signers", c3, note(log2, signerKey(2, 1), stampKey(2)), "too few signers"},
		{"old signer on the new log", c3, note(log2, signerKey(1, 1), stampKey(1)), "too few signers"},
		{"two stamps", c2, with(good(text), lineOf(t, stampKey(1), text, testNow+1)), "two lines of one known key"},
		{"a signer twice", c2, note(text, signerKey(1, 1), signerKey(1, 1), stampKey(1)), "two lines of one known key"},
		{"a witness's line that fails", c2, with(good(text), bad), "doesn't verify"},
		{"a stamp that fails", c2, with(note(text, signerKey(1, 1)), lineOf(t, stampKey(1), text+"\n", testNow)), "doesn't verify"},
		{"a stamp without time", c2, with(note(text, signerKey(1, 1)), crypto.Line{Name: stamp.Name, ID: stamp.ID(), Signature: make([]byte, 64)}), "doesn't verify"},
		{"a log that isn't yet", c2, note(log2, signerKey(2, 1), signerKey(2, 3), stampKey(2)), "no log of this feed"},
		{"a log closed before the anchor", late, good(text), "no log of this feed"},
		{"another feed's log", c2, good("eokm.example/other/1\n5\n" + b64 + "\n"), "no log of this feed"},
		{"an extension line", c2, good(text + "extension\n"), "not origin, size and root"},
		{"no root", c2, good(string(testFeed.Log(1)) + "\n5\n"), "not origin, size and root"},
		{"size with a leading zero", c2, good(strings.Replace(text, "\n5\n", "\n05\n", 1)), "not origin, size and root"},
		{"size over 2^40", c2, good(strings.Replace(text, "\n5\n", "\n1099511627777\n", 1)), "not origin, size and root"},
		{"negative size", c2, good(strings.Replace(text, "\n5\n", "\n-5\n", 1)), "not origin, size and root"},
		{"no size", c2, good(strings.Replace(text, "\n5\n", "\n\n", 1)), "not origin, size and root"},
		{"size 0 with another root", c2, good(strings.Replace(text, "\n5\n", "\n0\n", 1)), "isn't that of the empty tree"},
		{"root of 31 bytes", c2, good(strings.Replace(text, b64, encodeBase64(root[1:]), 1)), "root"},
		{"root of 33 bytes", c2, good(strings.Replace(text, b64, encodeBase64(append([]byte{1}, root[:]...)), 1)), "root"},
		{"root with stray bits", c2, good(text[:len(text)-3] + "B=\n"), "root"},
		{"root without padding", c2, good(strings.Replace(text, "=", "", 1)), "root"},
		{"origin with a space", c2, good(strings.Replace(text, "known/1", "known/1 ", 1)), "origin"},
		{"log 01", c2, good(strings.Replace(text, "known/1", "known/01", 1)), "origin"},
		{"no signature at all", c2, []byte(text), "malformed note"},
	}
}

func TestOpenCheckpoint(t *testing.T) {
	for _, tt := range checkpointCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			cp, err := tt.chain.OpenCheckpoint(tt.data)
			wantError(t, err, tt.why)
			if err != nil || tt.why != "" {
				return
			}
			again, err := tt.chain.OpenCheckpoint(cp.Bytes())
			if err != nil || !bytes.Equal(again.Bytes(), cp.Bytes()) {
				t.Errorf("opened again: got %q, %v, want %q", again.Bytes(), err, cp.Bytes())
			}
			// transparency-dev/formats reads the same.
			var other log.Checkpoint
			if rest, err := other.Unmarshal(cp.Text()); err != nil || len(rest) > 0 || other.Origin != string(cp.Origin) || other.Size != cp.Size ||
				!bytes.Equal(other.Hash, cp.Root[:]) {
				t.Errorf("got %+v, formats has %+v, %v", cp, other, err)
			}
		})
	}
}

func TestCheckpointFields(t *testing.T) {
	c := testChain(t, 2)
	root := testLog(t, 5, 0).root(t, 5)
	cp := testHead(t, c, 5, root, testNow, 3, 1)
	if cp.Origin != testFeed.Log(1) || cp.Size != 5 || cp.Root != root || cp.Stamp != testNow || cp.IsZero() || !(Checkpoint{}).IsZero() {
		t.Errorf("got %+v", cp)
	}
	if len(cp.Cosigned) != 2 || cp.Cosigned[0] != (Cosignature{witnessKey(1).Public(), testNow + 1}) || cp.Cosigned[1].Key != witnessKey(3).Public() {
		t.Errorf("got cosignatures %v", cp.Cosigned)
	}
	// The order of the lines is always the same: signers, stamp, witnesses.
	n, err := crypto.ParseNote(cp.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	n.Lines[0], n.Lines[3] = n.Lines[3], n.Lines[0]
	again, err := c.OpenCheckpoint(n.Bytes())
	if err != nil || !bytes.Equal(again.Bytes(), cp.Bytes()) {
		t.Errorf("got %q, %v, want %q", again.Bytes(), err, cp.Bytes())
	}
	if strings.Count(string(cp.Bytes()), "\n\u2014 ") != 4 || len(cp.Lines()) != 4 {
		t.Errorf("got %q", cp.Bytes())
	}
}

func TestUnixTime(t *testing.T) {
	for in, want := range map[uint64]int64{0: 0, 5: 5, math.MaxInt64: math.MaxInt64, math.MaxInt64 + 1: math.MaxInt64, math.MaxUint64: math.MaxInt64} {
		if got := unixTime(in); got != want {
			t.Errorf("%d: got %d, want %d", in, got, want)
		}
	}
}

func TestCheckpointMangled(t *testing.T) {
	c := testChain(t, 2)
	data := testHead(t, c, 5, testLog(t, 5, 0).root(t, 5), testNow).Bytes()
	mangleAll(data, func(what string, m []byte) {
		if _, err := c.OpenCheckpoint(m); err == nil {
			t.Errorf("%s: got no error", what)
		}
	})
}

func TestNewer(t *testing.T) {
	order := []Checkpoint{{Size: 1, Stamp: 9}, {Size: 2, Stamp: 3}, {Size: 2, Stamp: 4}, {Size: 3, Stamp: -1}}
	for i, a := range order {
		for j, b := range order {
			if got := a.Newer(b); got != (i > j) {
				t.Errorf("%d newer than %d: got %v", i, j, got)
			}
		}
	}
}

func TestMergeCheckpoints(t *testing.T) {
	c := testChain(t, 2)
	root := testLog(t, 5, 0).root(t, 5)
	a := testHead(t, c, 5, root, testNow, 1, 2)
	b := testHead(t, c, 5, root, testNow+3600, 2, 3)
	for _, pair := range [][2]Checkpoint{{a, b}, {b, a}} {
		got, err := c.Merge(pair[0], pair[1])
		if err != nil {
			t.Fatal(err)
		}
		if got.Stamp != testNow+3600 || len(got.Cosigned) != 3 || got.Cosigned[1].Time != testNow+3601 {
			t.Errorf("got %+v", got)
		}
	}
	_, err := c.Merge(a, testHead(t, c, 4, root, testNow))
	wantError(t, err, "not of the same")
	// Bad lines and those of strangers come to nothing.
	text := string(a.Text())
	bad := lineOf(t, witnessKey(3), text+"\n", testNow+9)
	got, err := c.MergeCosignatures(a, bad, lineOf(t, witnessKey(9), text, testNow+9), lineOf(t, witnessKey(1), text, testNow-9))
	if err != nil || !bytes.Equal(got.Bytes(), a.Bytes()) {
		t.Errorf("got %q, %v, want %q", got.Bytes(), err, a.Bytes())
	}
	line, err := a.Cosign(witnessKey(3), testNow+9)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = c.MergeCosignatures(a, line); err != nil || len(got.Cosigned) != 3 || got.Cosigned[2].Time != testNow+9 {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = a.Cosign(signerKey(1, 1), testNow)
	wantError(t, err, "wrong key for the job")
	_, err = c.MergeCosignatures(Checkpoint{}, line)
	wantError(t, err, "no log of this feed")
}

func TestSignCheckpoint(t *testing.T) {
	c := testChain(t, 3)
	origin, root := testFeed.Log(2), emptyRoot
	_, err := signCheckpoint(c, origin, 0, root, []crypto.Signer{signerKey(2, 1)}, stampKey(2), testNow)
	wantError(t, err, "too few signers")
	_, err = signCheckpoint(c, origin, 0, root, []crypto.Signer{signerKey(2, 1), signerKey(2, 2)}, stampKey(1), testNow)
	wantError(t, err, "no stamp")
	_, err = signCheckpoint(c, origin, 0, root, []crypto.Signer{stampKey(2)}, stampKey(2), testNow)
	wantError(t, err, "wrong key for the job")
	_, err = signCheckpoint(c, origin, 0, root, []crypto.Signer{signerKey(2, 1), signerKey(2, 2)}, signerKey(2, 1), testNow)
	wantError(t, err, "wrong key for the job")
	_, err = signCheckpoint(c, origin, 0, root, []crypto.Signer{signerKey(2, 1), signerKey(2, 2)}, stampKey(2), -1)
	wantError(t, err, "2^63")
	if _, err := signCheckpoint(c, origin, 0, root, []crypto.Signer{signerKey(2, 1), signerKey(2, 2)}, stampKey(2), testNow); err != nil {
		t.Error(err)
	}
}

func TestWitnessed(t *testing.T) {
	c := testChain(t, 2) // 2 of 3
	w := func(n int) Cosignature { return Cosignature{witnessKey(n).Public(), testNow} }
	at := func(size uint64, by ...Cosignature) Checkpoint {
		return Checkpoint{Origin: testFeed.Log(1), Size: size, Cosigned: by}
	}
	elsewhere := at(99, w(1), w(2), w(3))
	elsewhere.Origin = testFeed.Log(2)
	renamed := w(1)
	renamed.Key.Name = "other.example/witness"
	for i, tt := range []struct {
		heads []Checkpoint
		want  uint64
	}{
		{nil, 0},
		{[]Checkpoint{at(5)}, 0},
		{[]Checkpoint{at(5, w(1))}, 0},
		{[]Checkpoint{at(5, w(1), w(2))}, 5},
		{[]Checkpoint{at(5, w(1)), at(3, w(2))}, 3},
		{[]Checkpoint{at(9, w(1)), at(7, w(3)), at(3, w(2))}, 7},
		{[]Checkpoint{at(9, w(1)), at(3, w(1)), at(2, w(2))}, 2},
		{[]Checkpoint{at(9, w(9)), at(8, w(8))}, 0}, // not named
		{[]Checkpoint{at(9, w(1), renamed)}, 0},
		{[]Checkpoint{elsewhere, at(1, w(1), w(2))}, 1},
		{[]Checkpoint{at(0, w(1), w(2))}, 0},
	} {
		if got, quorum := Witnessed(c, tt.heads); got != tt.want || !quorum {
			t.Errorf("%d: got %d, %v, want %d", i, got, quorum, tt.want)
		}
	}
	none := nextCharter(c.Newest())
	none.Quorum = nil
	c, err := c.Extend(signed(t, none, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	if got, quorum := Witnessed(c, []Checkpoint{at(5, w(1), w(2))}); got != 0 || quorum {
		t.Errorf("no quorum: got %d, %v", got, quorum)
	}
	// And a checkpoint opened now names no witness any more.
	if cp := testHead(t, c, 5, Digest{1}, testNow, 1, 2); len(cp.Cosigned) != 0 {
		t.Errorf("got cosignatures %v", cp.Cosigned)
	}
}

func TestEmptyRoot(t *testing.T) {
	if h, err := tlog.TreeHash(0, tlog.HashReaderFunc(nil)); err != nil || Digest(h) != emptyRoot {
		t.Errorf("got %v, %v, want %x", h, err, emptyRoot)
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	c := testChain(f, 3)
	f.Fuzz(func(t *testing.T, data []byte) {
		if origin, size, root, err := ParseCheckpointBody(data); err == nil && !bytes.Equal(checkpointText(origin, size, root), data) {
			t.Fatalf("%q written again as %q", data, checkpointText(origin, size, root))
		}
		if n, err := crypto.ParseNote(data); err == nil {
			if origin, size, root, err := ParseCheckpointBody(n.Text); err == nil && !bytes.Equal(checkpointText(origin, size, root), n.Text) {
				t.Fatalf("%q written again as %q", n.Text, checkpointText(origin, size, root))
			}
		}
		cp, err := c.OpenCheckpoint(data)
		if err != nil {
			return
		}
		again, err := c.OpenCheckpoint(cp.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), cp.Bytes()) {
			t.Fatalf("opened again: got %q, %v, want %q", again.Bytes(), err, cp.Bytes())
		}
	})
}

// TestMergeOrder: whatever the order in which lines arrive, the same are kept.
func TestMergeOrder(t *testing.T) {
	c := testChain(t, 2)
	cp := testHead(t, c, 5, Digest{1}, testNow)
	var all []crypto.Line
	for n := range 4 {
		for d := range int64(3) {
			all = append(all, lineOf(t, witnessKey(n+1), string(cp.Text()), testNow+d))
		}
	}
	all = append(all, lineOf(t, stampKey(1), string(cp.Text()), testNow+7))
	want, err := c.MergeCosignatures(cp, all...)
	if err != nil || want.Stamp != testNow+7 || len(want.Cosigned) != 3 || want.Cosigned[2].Time != testNow+2 {
		t.Fatalf("got %+v, %v", want, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		got := cp
		for _, l := range rapid.Permutation(all).Draw(t, "lines") {
			var err error
			if got, err = c.MergeCosignatures(got, l); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatalf("got %q, want %q", got.Bytes(), want.Bytes())
		}
	})
}
