package feed

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"hashfeed/crypto"
)

// testProof makes the proof of a record of testLog(t, 5, 0), in the tree of all five.
func testProof(t testing.TB, c *Chain, index int, withBody bool) Proof {
	t.Helper()
	tr := testLog(t, 5, 0)
	cp := testHead(t, testChain(t, 2), 5, tr.root(t, 5), testNow, 1, 2)
	body := tr.bodies[index]
	if !withBody {
		body = nil
	}
	p, err := NewProof(c, cp, uint64(index), tr.heads[index], body, tr.path(t, 5, index))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A fileCase is a proof or evidence to open with an anchor. why: what the error says; "": none.
type fileCase struct {
	name   string
	anchor Anchor
	data   []byte
	why    string
}

// rawProof writes a proof as it is, right or wrong.
type rawProof struct {
	extra []byte // CBOR; nil: of the fields below
	head  []byte
	notes [][]byte
	body  []byte
	index uint64
	path  []Digest
	cp    []byte
}

func (r rawProof) bytes() []byte {
	if r.extra == nil {
		pairs := 2
		if r.body != nil {
			pairs++
		}
		r.extra = appendCBORBytes(appendCBORUint(appendCBORMap(nil, pairs), 1), r.head)
		r.extra = appendCBORArray(appendCBORUint(r.extra, 2), len(r.notes))
		for _, n := range r.notes {
			r.extra = appendCBORBytes(r.extra, n)
		}
		if r.body != nil {
			r.extra = appendCBORBytes(appendCBORUint(r.extra, 3), r.body)
		}
	}
	data := fmt.Appendf(nil, "c2sp.org/tlog-proof@v1\nextra %s\nindex %d\n", encodeBase64(r.extra), r.index)
	for _, h := range r.path {
		data = append(data, encodeBase64(h[:])+"\n"...)
	}
	return append(append(data, '\n'), r.cp...)
}

func proofCases(t testing.TB) []fileCase {
	c2, c3 := testChain(t, 2), testChain(t, 3)
	anchor := c2.Anchor()
	tr := testLog(t, 5, 0)
	cp := testHead(t, c2, 5, tr.root(t, 5), testNow, 1, 2)
	raw := func(change func(r *rawProof)) []byte {
		r := rawProof{head: tr.heads[3], notes: c2.Notes(), body: tr.bodies[3], index: 3, path: tr.path(t, 5, 3), cp: cp.Bytes()}
		change(&r)
		return r.bytes()
	}
	good := testProof(t, c2, 3, true).Bytes()
	if !bytes.Equal(raw(func(*rawProof) {}), good) {
		t.Fatal("the proof isn't written as expected")
	}
	edit := func(old, new string) []byte {
		m := strings.Replace(string(good), old, new, 1)
		if m == string(good) {
			t.Fatalf("%q: nothing to replace", old)
		}
		return []byte(m)
	}
	// single makes a proof from a log of one head.
	single := func(c *Chain, head, body []byte) []byte {
		one := &testTree{}
		one.append(t, head, body)
		cp := testHead(t, c, 1, one.root(t, 1), testNow)
		return rawProof{head: head, notes: c.Notes(), body: body, cp: cp.Bytes()}.bytes()
	}
	record := func(facts Facts) []byte { head, body := testRecord(t, 7, facts); return single(c2, head, body) }
	reviewing := firstCharter()
	reviewing.Use = UseReview
	review, err := OpenChain(reviewing.Anchor(), [][]byte{signed(t, reviewing, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	doubtHead, doubtBody := testRecord(t, 7, Facts{Verdict: Doubtful, Media: Image})
	retract, err := Head{Op: OpRetract, Time: testNow, Item: ItemID{1}, Rev: 2, Targets: []Position{{1, 3}}, Reason: 1}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	// a head of op 7: a map of 1 and 2 is enough for it to be skipped
	skipped := []byte{0xa2, 1, 1, 2, 7}
	zero, err := NewHash(MD5, make([]byte, 16), 0)
	if err != nil {
		t.Fatal(err)
	}
	hollow, err := NewBody([16]byte{}, []Hash{zero}, baselineFacts, nil).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	hollowHead := headOf(t, hollow)
	noBody := headOf(t, []byte{0xa0})
	late, err := OpenChain(testCharters(t)[2].Anchor(), testNotes(t)[2:])
	if err != nil {
		t.Fatal(err)
	}
	cut4 := closingCharter(c2.Newest(), Cut{3, tr.root(t, 3)})
	cut, err := c2.Extend(signed(t, cut4, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	hash := encodeBase64(tr.path(t, 5, 3)[0][:])
	bigNote := func(n int) []byte { return append(bytes.Repeat([]byte{'x'}, n), '\n') }
	return []fileCase{
		{"with the body", anchor, good, ""},
		{"without the body", anchor, testProof(t, c2, 3, false).Bytes(), ""},
		{"the last record", anchor, testProof(t, c2, 4, true).Bytes(), ""},
		{"the only record", anchor, record(baselineFacts), ""},
		{"below the cut of a closed log", anchor, testProof(t, c3, 3, true).Bytes(), ""},
		{"the last below a cut", anchor, raw(func(r *rawProof) {
			*r = rawProof{head: tr.heads[2], notes: cut.Notes(), index: 2, path: tr.path(t, 5, 2), cp: cp.Bytes()}
		}), ""},
		{"a retract", anchor, single(c2, retract, nil), ""},
		{"doubtful where the charter says review", review.Anchor(), single(review, doubtHead, doubtBody), ""},
		{"a checkpoint with a stranger's line", anchor, append(bytes.Clone(good), crypto.Line{Name: "x", ID: 1, Signature: []byte{1}}.String()...), ""},

		{"another anchor", firstOf(c3.ForLog(2)).Anchor(), good, "isn't the anchor's"},
		{"at the cut", anchor, raw(func(r *rawProof) { r.notes = cut.Notes() }), "at or past the cut"},
		{"a log closed before the anchor", late.Anchor(), raw(func(r *rawProof) { r.notes = late.Notes() }), "no log of this feed"},
		{"another record", anchor, raw(func(r *rawProof) { r.head, r.body = tr.heads[2], nil }), "isn't in the checkpoint's tree"},
		{"another index", anchor, raw(func(r *rawProof) { r.index = 2 }), "isn't in the checkpoint's tree"},
		{"an index outside", anchor, raw(func(r *rawProof) { r.index = 5 }), "isn't in the checkpoint's tree"},
		{"an index of 2^40", anchor, raw(func(r *rawProof) { r.index = MaxSize }), "index"},
		{"index 03", anchor, edit("index 3", "index 03"), "index"},
		{"a path too short", anchor, raw(func(r *rawProof) { r.path = r.path[1:] }), "isn't in the checkpoint's tree"},
		{"a path too long", anchor, raw(func(r *rawProof) { r.path = append(r.path, Digest{}) }), "isn't in the checkpoint's tree"},
		{"64 hashes", anchor, raw(func(r *rawProof) { r.path = make([]Digest, 64) }), "more than 63 hashes"},
		{"63 hashes", anchor, raw(func(r *rawProof) { r.path = make([]Digest, 63) }), "isn't in the checkpoint's tree"},
		{"a path in another order", anchor, raw(func(r *rawProof) { r.path[0], r.path[1] = r.path[1], r.path[0] }), "isn't in the checkpoint's tree"},
		{"a hash of 31 bytes", anchor, edit(hash, encodeBase64(make([]byte, 31))), "root"},
		{"a hash without padding", anchor, edit(hash, hash[:43]), "root"},
		{"another body", anchor, raw(func(r *rawProof) { r.body = tr.bodies[2] }), "body isn't the head's"},
		{"an empty body", anchor, raw(func(r *rawProof) { r.body = []byte{} }), "body isn't the head's"},
		{"a retract with a body", anchor, single(c2, retract, tr.bodies[0]), "body isn't the head's"},
		{"a void head", anchor, single(c2, []byte{0xa0}, nil), "void head: form"},
		{"an op of 7", anchor, single(c2, skipped, nil), "op unknown"},
		{"a body refused by form", anchor, single(c2, noBody, []byte{0xa0}), "refused body: form"},
		{"a body refused by digest", anchor, single(c2, hollowHead, hollow), "refused body: digest"},
		{"a body refused by baseline", anchor, record(Facts{Verdict: Baseline, Media: Image, VerifiedBy: 1}), "refused body: baseline"},
		{"a body refused by doubtful", anchor, record(Facts{Verdict: Doubtful, Media: Image}), "refused body: doubtful"},
		{"no charter", anchor, raw(func(r *rawProof) { r.notes = nil }), "not a map of head"},
		{"charters in another order", anchor, raw(func(r *rawProof) { r.notes[0], r.notes[1] = r.notes[1], r.notes[0] }), "isn't the anchor's"},
		{"a checkpoint without stamp", anchor, raw(func(r *rawProof) { r.cp = signedText(t, string(cp.Text()), signerKey(1, 1)) }), "no stamp"},
		{"no checkpoint", anchor, raw(func(r *rawProof) { r.cp = nil }), "malformed note"},
		{"no blank line", anchor, bytes.Split(good, []byte("\n\n"))[0], "no checkpoint"},
		{"no extra", anchor, edit("extra ", "more "), "not the line"},
		{"another format", anchor, edit("@v1", "@v2"), "not the line"},
		{"extra with a space", anchor, edit("extra ", "extra  "), "base64"},
		{"extra isn't CBOR", anchor, raw(func(r *rawProof) { r.extra = []byte{0xff} }), "CBOR"},
		{"extra with another key", anchor, raw(func(r *rawProof) { r.extra = []byte{0xa3, 1, 0x40, 2, 0x81, 0x40, 4, 0} }), "not a map of head"},
		{"extra with an extension key", anchor, raw(func(r *rawProof) { r.extra = []byte{0xa3, 1, 0x40, 2, 0x81, 0x40, 0x18, 64, 0} }), "not a map of head"},
		{"extra without a head", anchor, raw(func(r *rawProof) { r.extra = []byte{0xa1, 2, 0x81, 0x40} }), "not a map of head"},
		{"extra with texts", anchor, raw(func(r *rawProof) { r.extra = []byte{0xa2, 1, 0x60, 2, 0x81, 0x40} }), "not a map of head"},
		{"extra over 1 MiB", anchor, raw(func(r *rawProof) { r.notes = append(r.notes, bigNote(MaxExtra)) }), "longer than 1048576"},
		{"extra of 1 MiB and a byte", anchor, raw(func(r *rawProof) { r.extra = bigNote(MaxExtra) }), "longer than 1048576"},
		{"extra of 1 MiB", anchor, raw(func(r *rawProof) { r.extra = bigNote(MaxExtra - 1) }), "CBOR"},
		{"over 2 MiB", anchor, append(bytes.Clone(good), bigNote(MaxProof)...), "longer than 2097152"},
	}
}

func firstOf[T any](v T, _ bool) T { return v }

// headOf makes an add whose body is body.
func headOf(t testing.TB, body []byte) []byte {
	t.Helper()
	head, err := Head{Op: OpAdd, Time: testNow, Item: ItemID{1}, Rev: 1, Body: sha256.Sum256(body)}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func TestOpenProof(t *testing.T) {
	for _, tt := range proofCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			p, err := OpenProof(tt.data, tt.anchor)
			wantError(t, err, tt.why)
			if err != nil || tt.why != "" {
				return
			}
			if !bytes.Equal(p.Bytes(), tt.data) {
				t.Error("written again as another")
			}
		})
	}
}

func TestProofFields(t *testing.T) {
	tr := testLog(t, 5, 0)
	for i := range 5 {
		for _, withBody := range []bool{true, false} {
			p := testProof(t, testChain(t, 3), i, withBody)
			if p.Ref() != (Ref{testFeed.Log(1), uint64(i)}) || p.Checkpoint.Stamp != testNow || len(p.Checkpoint.Cosigned) != 2 ||
				!bytes.Equal(p.HeadRaw, tr.heads[i]) || p.Head.Op != OpAdd || p.Chain.Len() != 3 {
				t.Errorf("record %d: got %+v", i, p)
			}
			if p.Discloses() != withBody || (p.Body != nil) != withBody {
				t.Errorf("record %d: got a body: %v, want %v", i, p.Discloses(), withBody)
			}
			if withBody && (len(p.Body.Hashes) != 1 || p.Body.Hashes[0].Alg != SHA256) {
				t.Errorf("record %d: got body %+v", i, p.Body)
			}
			if !withBody && bytes.Contains(p.Bytes(), []byte(encodeBase64(tr.bodies[i])[:20])) {
				t.Errorf("record %d: the proof has the body", i)
			}
		}
	}
	_, err := NewProof(testChain(t, 3), Checkpoint{}, 0, nil, nil, nil)
	wantError(t, err, "make proof")
}

// TestProofMerkle compares inclusion proofs of all trees up to a size with transparency-dev/merkle, an independent implementation.
func TestProofMerkle(t *testing.T) {
	tr := testLog(t, 40, 0)
	for size := 1; size <= 40; size++ {
		for index := range size {
			var path [][]byte
			for _, h := range tr.path(t, size, index) {
				path = append(path, h[:])
			}
			root, leaf := tr.root(t, size), LeafHash(tr.heads[index])
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leaf[:], path, root[:]); err != nil {
				t.Errorf("record %d of %d: %v", index, size, err)
			}
		}
	}
}

func TestProofMangled(t *testing.T) {
	c := testChain(t, 1)
	one := testLog(t, 2, 0)
	cp := testHead(t, c, 2, one.root(t, 2), testNow)
	p, err := NewProof(c, cp, 0, one.heads[0], one.bodies[0], one.path(t, 2, 0))
	if err != nil {
		t.Fatal(err)
	}
	mangleAll(p.Bytes(), func(what string, m []byte) {
		if _, err := OpenProof(m, c.Anchor()); err == nil {
			t.Errorf("%s: got no error", what)
		}
	})
}

func FuzzOpenProof(f *testing.F) {
	anchor := firstCharter().Anchor()
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := OpenProof(data, anchor)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), data) {
			t.Fatal("written again as another")
		}
		var path []Digest
		for line := range strings.SplitSeq(strings.SplitN(string(data), "\n\n", 2)[0], "\n") {
			if h, err := parseRoot(line); err == nil {
				path = append(path, h)
			}
		}
		if _, err := NewProof(p.Chain, p.Checkpoint, p.Index, p.HeadRaw, p.BodyRaw, path); err != nil {
			t.Fatalf("made again: %v", err)
		}
	})
}
