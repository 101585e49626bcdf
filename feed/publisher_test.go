package feed

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/crypto"
)

// A made-up publisher with keys that are the same in every run. Its feed has three charters: the first, one with another contact, and
// one that closes log 1.

const (
	testFeed Name = "eokm.example/known"
	testNow       = int64(1_795_424_400) // 2026-11-23T09:00:00Z
)

// testKey returns the n'th key of a name and type.
func testKey(name string, typ crypto.Type, n int) *crypto.PrivateKey {
	return crypto.NewKeyFromSeed(name, typ, sha256.Sum256(fmt.Appendf(nil, "hashfeed test key %s %d %d", name, typ, n)))
}

func rootKey(n int) *crypto.PrivateKey {
	return testKey(string(testFeed)+"/root", crypto.TypeSignature, n)
}
func rosterKey() *crypto.PrivateKey {
	return testKey(string(testFeed)+"/roster", crypto.TypeSignature, 1)
}
func signerKey(log, n int) *crypto.PrivateKey {
	return testKey(string(testFeed.Log(log)), crypto.TypeSignature, n)
}
func stampKey(log int) *crypto.PrivateKey {
	return testKey(string(testFeed.Log(log)), crypto.TypeCosignature, 1)
}
func witnessKey(n int) *crypto.PrivateKey {
	return testKey(fmt.Sprintf("w%d.example/witness", n), crypto.TypeCosignature, n)
}

func publicKeys(keys ...*crypto.PrivateKey) (out []crypto.PublicKey) {
	for _, k := range keys {
		out = append(out, k.Public())
	}
	return out
}

// firstCharter is 2 of 3 roots, one signer, 2 of 3 witnesses.
func firstCharter() Charter {
	roster := rosterKey().Public()
	return Charter{
		Feed: testFeed, Version: 1, Expires: testNow + 365*86400, Harm: CSAM, Use: UseMatch,
		Audience: []string{"police", "hotlines", "hosts"}, Contact: "desk@eokm.example, +31 20 0000000",
		Answer: Term{2, 'd'}, SoftAge: Term{6, 'h'}, HardAge: Term{72, 'h'},
		Root: KeyGroup{2, publicKeys(rootKey(1), rootKey(2), rootKey(3))},
		Log:  1, Signer: KeyGroup{1, publicKeys(signerKey(1, 1))}, Stamp: stampKey(1).Public(),
		Roster: &roster, Quorum: &KeyGroup{2, publicKeys(witnessKey(1), witnessKey(2), witnessKey(3))},
		Extra: []string{"x-note anything at all"},
	}
}

// nextCharter is c with the next version.
func nextCharter(c Charter) Charter {
	c = c.clone()
	c.Version++
	return c
}

// closingCharter is the next version, which closes c's log at cut. The next has 2 of 3 signers.
func closingCharter(c Charter, cut Cut) Charter {
	c = nextCharter(c)
	c.Closed = append(c.Closed, cut)
	c.Log++
	c.Signer = KeyGroup{2, publicKeys(signerKey(c.Log, 1), signerKey(c.Log, 2), signerKey(c.Log, 3))}
	c.Stamp = stampKey(c.Log).Public()
	return c
}

func signed(t testing.TB, c Charter, roots ...int) []byte {
	t.Helper()
	var keys []*crypto.PrivateKey
	for _, n := range roots {
		keys = append(keys, rootKey(n))
	}
	note, err := SignCharter(c, keys...)
	if err != nil {
		t.Fatalf("sign charter %d: %v", c.Version, err)
	}
	return note
}

// signedText is signed for texts that are no charters.
func signedText(t testing.TB, text string, keys ...*crypto.PrivateKey) []byte {
	t.Helper()
	n := crypto.Note{Text: []byte(text)}
	for _, k := range keys {
		n.Lines = append(n.Lines, lineOf(t, k, text, testNow))
	}
	return n.Bytes()
}

func lineOf(t testing.TB, k *crypto.PrivateKey, text string, now int64) crypto.Line {
	t.Helper()
	sign := func() (crypto.Line, error) { return k.Sign([]byte(text)) }
	if k.Public().Type == crypto.TypeCosignature {
		sign = func() (crypto.Line, error) { return k.Cosign([]byte(text), uint64(now)) }
	}
	l, err := sign()
	if err != nil {
		t.Fatalf("sign as %s: %v", k.Public().Name, err)
	}
	return l
}

// A testTree is a log in memory, in x/mod's order of stored hashes.
type testTree struct {
	heads  [][]byte
	bodies [][]byte // nil: none
	stored []tlog.Hash
}

func (tr *testTree) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		out[i] = tr.stored[n]
	}
	return out, nil
}

func (tr *testTree) append(t testing.TB, head, body []byte) {
	t.Helper()
	more, err := tlog.StoredHashes(int64(len(tr.heads)), head, tr)
	if err != nil {
		t.Fatal(err)
	}
	tr.stored = append(tr.stored, more...)
	tr.heads, tr.bodies = append(tr.heads, head), append(tr.bodies, body)
}

func (tr *testTree) root(t testing.TB, size int) Digest {
	t.Helper()
	h, err := tlog.TreeHash(int64(size), tr)
	if err != nil {
		t.Fatal(err)
	}
	return Digest(h)
}

func (tr *testTree) path(t testing.TB, size, index int) []Digest {
	t.Helper()
	p, err := tlog.ProveRecord(int64(size), int64(index), tr)
	if err != nil {
		t.Fatal(err)
	}
	return digests(p)
}

func (tr *testTree) consistency(t testing.TB, size, old int) []Digest {
	t.Helper()
	p, err := tlog.ProveTree(int64(size), int64(old), tr)
	if err != nil {
		t.Fatal(err)
	}
	return digests(p)
}

func digests(hashes []tlog.Hash) []Digest {
	out := make([]Digest, len(hashes))
	for i, h := range hashes {
		out[i] = Digest(h)
	}
	return out
}

// testRecord makes the n'th add of a feed.
func testRecord(t testing.TB, n int, facts Facts) (head, body []byte) {
	t.Helper()
	sum := sha256.Sum256(fmt.Appendf(nil, "file %d", n))
	h, err := NewHash(SHA256, sum[:], 0)
	if err != nil {
		t.Fatal(err)
	}
	salt := sha256.Sum256(fmt.Appendf(nil, "salt %d", n))
	if body, err = NewBody([16]byte(salt[:16]), []Hash{h}, facts, nil).Bytes(); err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(fmt.Appendf(nil, "item %d", n))
	if head, err = (Head{Op: OpAdd, Time: testNow, Item: ItemID(id[:16]), Rev: 1, Body: sha256.Sum256(body)}).Bytes(); err != nil {
		t.Fatal(err)
	}
	return head, body
}

var baselineFacts = Facts{Verdict: Baseline, Media: Image, VerifiedBy: 2}

// testLog returns a log of n adds; other makes another log of them.
func testLog(t testing.TB, n int, other int) *testTree {
	t.Helper()
	tr := &testTree{}
	for i := range n {
		head, body := testRecord(t, i+1000*other, baselineFacts)
		tr.append(t, head, body)
	}
	return tr
}

// testChain returns the feed's chain of 1 to 3 charters. Log 1 is closed at 5 of its records, testLog(t, 5, 0).
func testChain(t testing.TB, n int) *Chain {
	t.Helper()
	notes := testNotes(t)[:n]
	c, err := OpenChain(firstCharter().Anchor(), notes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testCharters(t testing.TB) []Charter {
	t.Helper()
	c1 := firstCharter()
	c2 := nextCharter(c1)
	c2.Contact = "none"
	c3 := closingCharter(c2, Cut{5, testLog(t, 5, 0).root(t, 5)})
	return []Charter{c1, c2, c3}
}

func testNotes(t testing.TB) [][]byte {
	t.Helper()
	var notes [][]byte
	for _, c := range testCharters(t) {
		notes = append(notes, signed(t, c, 1, 2))
	}
	return notes
}

// head signs a checkpoint of the chain's newest log with all its signers, one witness's cosignature a number.
func testHead(t testing.TB, c *Chain, size uint64, root Digest, now int64, witnesses ...int) Checkpoint {
	t.Helper()
	log := c.newest().Log
	var signers []crypto.Signer
	for n := range c.newest().Signer.Keys {
		signers = append(signers, signerKey(log, n+1))
	}
	cp, err := signCheckpoint(c, c.newest().Origin(), size, root, signers, stampKey(log), now)
	if err != nil {
		t.Fatal(err)
	}
	var more []crypto.Line
	for _, n := range witnesses {
		more = append(more, lineOf(t, witnessKey(n), string(cp.Text()), now+1))
	}
	if cp, err = c.MergeCosignatures(cp, more...); err != nil {
		t.Fatal(err)
	}
	return cp
}

// wantError checks that err is there and says what is expected; with an empty want, that there is none.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got error %q, want none", err)
	case want != "" && err == nil:
		t.Errorf("got no error, want one with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("got error %q, want one with %q", err, want)
	}
}

// mangleAll calls f with every single-byte change of data to one other value a byte, every truncation, and every byte doubled or left out.
func mangleAll(data []byte, f func(what string, changed []byte)) {
	for i := range data {
		for _, x := range []byte{0x01, 0x20} {
			m := bytes.Clone(data)
			m[i] ^= x
			f(fmt.Sprintf("byte %d ^ %#x", i, x), m)
		}
		f(fmt.Sprintf("cut at %d", i), data[:i:i])
		f(fmt.Sprintf("without byte %d", i), slices.Delete(bytes.Clone(data), i, i+1))
		f(fmt.Sprintf("byte %d twice", i), slices.Insert(bytes.Clone(data), i, data[i]))
	}
	f("newline after it", append(bytes.Clone(data), '\n'))
}
