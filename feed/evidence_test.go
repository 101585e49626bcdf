package feed

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"hashfeed/crypto"
)

// rawEvidence writes a piece of evidence as it is, right or wrong.
type rawEvidence struct {
	kind     string
	charters [][]byte
	a, b     []byte
	rootAt   *Digest // nil: no root-at-a and proof lines
	proof    []Digest
}

func (r rawEvidence) bytes() []byte {
	b := fmt.Appendf(nil, "hashfeed-evidence/v1\nkind %s\n", r.kind)
	for _, n := range r.charters {
		b = fmt.Appendf(b, "charter %s\n", encodeBase64(n))
	}
	b = fmt.Appendf(b, "a %s\nb %s\n", encodeBase64(r.a), encodeBase64(r.b))
	if r.rootAt != nil {
		var hashes []byte
		for _, h := range r.proof {
			hashes = append(hashes, h[:]...)
		}
		b = fmt.Appendf(b, "root-at-a %s\nproof %s\n", encodeBase64(r.rootAt[:]), encodeBase64(hashes))
	}
	return b
}

func evidenceCases(t testing.TB) []fileCase {
	charters := testCharters(t)
	notes := testNotes(t)
	anchor := charters[0].Anchor()
	this, that := testLog(t, 5, 0), testLog(t, 5, 1)
	// head signs without a stamp; log 2 by two of three.
	head := func(log int, size int, tr *testTree, signers ...int) []byte {
		var keys []*crypto.PrivateKey
		for _, n := range signers {
			keys = append(keys, signerKey(log, n))
		}
		return signedText(t, string(checkpointText(testFeed.Log(log), uint64(size), tr.root(t, size))), keys...)
	}
	same := rawEvidence{kind: "head", charters: notes[:1], a: head(1, 5, this, 1), b: head(1, 5, that, 1)}
	root := that.root(t, 3)
	grown := rawEvidence{kind: "head", charters: notes[:1], a: head(1, 3, this, 1), b: head(1, 5, that, 1), rootAt: &root, proof: that.consistency(t, 5, 3)}
	second := rawEvidence{kind: "head", charters: notes, a: head(2, 5, this, 1, 2), b: head(2, 5, that, 2, 3)}
	other := func(v int) Charter { // another charter of version v
		c := charters[v-1].clone()
		c.Contact = "forked"
		return c
	}
	fork := func(v int) rawEvidence {
		return rawEvidence{kind: "charter", charters: notes[:max(v-1, 1)], a: notes[v-1], b: signed(t, other(v), 2, 3)}
	}
	late := rawEvidence{kind: "charter", charters: notes[1:2], a: notes[1], b: signed(t, other(2), 1, 3)}
	rotated := other(1)
	rotated.Root = KeyGroup{1, publicKeys(rootKey(4))}
	// a charter of another feed that the anchor's roots have signed, too
	abroad := other(1)
	abroad.Feed = "eokm.example/other"
	rename := func(k *crypto.PublicKey) { k.Name = strings.Replace(k.Name, "known", "other", 1) }
	abroad.Root = KeyGroup{1, publicKeys(testKey("eokm.example/other/root", crypto.TypeSignature, 1))}
	rename(&abroad.Signer.Keys[0])
	rename(&abroad.Stamp)
	rename(abroad.Roster)
	raw := func(r rawEvidence, change func(r *rawEvidence)) []byte {
		change(&r)
		return r.bytes()
	}
	edit := func(data []byte, old, new string) []byte {
		m := strings.Replace(string(data), old, new, 1)
		if m == string(data) {
			t.Fatalf("%q: nothing to replace", old)
		}
		return []byte(m)
	}
	with := func(note []byte, l crypto.Line) []byte { return append(bytes.Clone(note), l.String()...) }
	text := func(note []byte) string { return string(note[:bytes.LastIndex(note, []byte("\n\n"))+1]) }
	stranger := crypto.Line{Name: "x", ID: 1, Signature: []byte{1}}
	foreign := testKey("eokm.example/other/1", crypto.TypeSignature, 1)
	elsewhere := strings.Replace(text(same.a), "known", "other", 1)
	rehashed := this.root(t, 3)
	empty := emptyRoot
	many := crypto.Note{Text: []byte(charters[1].text())}
	for i := range 90 {
		many.Lines = append(many.Lines, crypto.Line{Name: string(testFeed) + "/root", ID: uint32(i), Signature: make([]byte, 600)})
	}
	stale := other(3)
	stale.Signer.Keys[0].Key = signerKey(1, 1).Public().Key
	var long []byte
	{
		m, err := crypto.ParseNote(notes[0])
		if err != nil {
			t.Fatal(err)
		}
		m.Lines = append(m.Lines, many.Lines[:20]...)
		long = m.Bytes()
	}
	return []fileCase{
		{"two heads of one size", anchor, same.bytes(), ""},
		{"the other way round", anchor, raw(same, func(r *rawEvidence) { r.a, r.b = r.b, r.a }), ""},
		{"the second charter names the log too", anchor, raw(same, func(r *rawEvidence) { r.charters = notes[:2] }), ""},
		{"a head that the other doesn't contain", anchor, grown.bytes(), ""},
		{"two heads by 2 of 3 signers", anchor, second.bytes(), ""},
		{"two second charters", anchor, fork(2).bytes(), ""},
		{"two third charters", anchor, fork(3).bytes(), ""},
		{"two charters of the anchor's version", anchor, fork(1).bytes(), ""},
		{"two of them, the other way round", anchor, raw(fork(1), func(r *rawEvidence) { r.a, r.b = r.b, r.a }), ""},
		{"two of an anchor of version 2", charters[1].Anchor(), late.bytes(), ""},
		{"two of the anchor's version, other roots", anchor, raw(fork(1), func(r *rawEvidence) { r.b = signed(t, rotated, 1, 2, 4) }), ""},

		{"another anchor", charters[1].Anchor(), same.bytes(), "isn't the anchor's"},
		{"one head", anchor, raw(same, func(r *rawEvidence) { r.b = r.a }), "can both be true"},
		{"one head, by other signers", anchor, raw(second, func(r *rawEvidence) { r.b = head(2, 5, this, 2, 3) }), "can both be true"},
		{"a head that the other contains", anchor, raw(grown, func(r *rawEvidence) { r.a = head(1, 3, that, 1) }), "can both be true"},
		{"a root that isn't b's", anchor, raw(grown, func(r *rawEvidence) { r.rootAt = &rehashed }), "isn't shown to be b's"},
		{"a proof too short", anchor, raw(grown, func(r *rawEvidence) { r.proof = r.proof[1:] }), "isn't shown to be b's"},
		{"a proof too long", anchor, raw(grown, func(r *rawEvidence) { r.proof = append(r.proof, Digest{}) }), "isn't shown to be b's"},
		{"an empty proof", anchor, raw(grown, func(r *rawEvidence) { r.proof = nil }), "isn't shown to be b's"},
		{"a proof of 129 hashes", anchor, raw(grown, func(r *rawEvidence) { r.proof = make([]Digest, 129) }), "proof: 4128 bytes"},
		{"a proof of half a hash", anchor, edit(grown.bytes(), "proof ", "proof "+encodeBase64(make([]byte, 48))), "proof"},
		{"a isn't the smaller", anchor, raw(grown, func(r *rawEvidence) { r.a, r.b = r.b, r.a }), "isn't the smaller"},
		{"unequal sizes without a proof", anchor, raw(grown, func(r *rawEvidence) { r.rootAt = nil }), "stand where the sizes differ"},
		{"equal sizes with a proof", anchor, raw(same, func(r *rawEvidence) { r.rootAt, r.proof = grown.rootAt, grown.proof }), "stand where the sizes differ"},
		{"size 0", anchor, raw(grown, func(r *rawEvidence) { r.a, r.rootAt = head(1, 0, this, 1), &empty }), "isn't shown to be b's"},
		{"size 0 with another root at it", anchor, raw(grown, func(r *rawEvidence) { r.a = head(1, 0, this, 1) }), "isn't shown to be b's"},
		{"a head by 1 of 3 signers", anchor, raw(second, func(r *rawEvidence) { r.b = head(2, 5, that, 2) }), "too few signers"},
		{"a head by nobody known", anchor, raw(same, func(r *rawEvidence) { r.b = signedText(t, text(r.b), foreign) }), "doesn't count"},
		{"a head with its stamp", anchor, raw(same, func(r *rawEvidence) { r.b = with(r.b, lineOf(t, stampKey(1), text(r.b), testNow)) }), "doesn't count"},
		{"a head with a cosignature", anchor, raw(same, func(r *rawEvidence) { r.b = with(r.b, lineOf(t, witnessKey(1), text(r.b), testNow)) }), "doesn't count"},
		{"a head with a stranger's line", anchor, raw(same, func(r *rawEvidence) { r.a = with(r.a, stranger) }), "doesn't count"},
		{"a signer twice", anchor, raw(same, func(r *rawEvidence) { r.a = with(r.a, lineOf(t, signerKey(1, 1), text(r.a), 0)) }), "two lines of one known key"},
		{"a signature that fails", anchor, raw(same, func(r *rawEvidence) {
			r.a = with(append([]byte(text(r.a)), 10), lineOf(t, signerKey(1, 1), text(r.b), 0))
		}), "doesn't verify"},
		{"heads of two logs", anchor, raw(second, func(r *rawEvidence) { r.a = same.a }), "names this log"},
		{"heads of a log before the charters' last", anchor, raw(same, func(r *rawEvidence) { r.charters = notes }), "names this log"},
		{"heads of a log after the charters' last", anchor, raw(second, func(r *rawEvidence) { r.charters = notes[:2] }), "names this log"},
		{"heads of another feed", anchor, raw(same, func(r *rawEvidence) { r.a = signedText(t, elsewhere, foreign) }), "names this log"},
		{"one charter", anchor, raw(fork(2), func(r *rawEvidence) { r.b = signed(t, charters[1], 1, 3) }), "one text"},
		{"charters of two versions", anchor, raw(fork(2), func(r *rawEvidence) { r.b = signed(t, other(3), 1, 2) }), "version before"},
		{"charters that end too early", anchor, raw(fork(3), func(r *rawEvidence) { r.charters = notes[:1] }), "version before"},
		{"charters that end too late", anchor, raw(fork(2), func(r *rawEvidence) { r.charters = notes[:2] }), "version before"},
		{"charters of the anchor's version with more", anchor, raw(fork(1), func(r *rawEvidence) { r.charters = notes[:2] }), "version before"},
		{"neither is the anchor", anchor, raw(fork(1), func(r *rawEvidence) {
			c := other(1)
			c.Contact = "third"
			r.a = signed(t, c, 1, 2)
		}), "neither is the anchor's"},
		{"the anchor's version by new roots alone", anchor, raw(fork(1), func(r *rawEvidence) { r.b = signed(t, rotated, 4) }), "too few of the last"},
		{"the anchor's version of another feed", anchor, raw(fork(1), func(r *rawEvidence) {
			r.b = signedText(t, abroad.text(), testKey("eokm.example/other/root", crypto.TypeSignature, 1), rootKey(1), rootKey(2))
		}), "harm or use changed"},
		{"a charter by one root", anchor, raw(fork(2), func(r *rawEvidence) { r.b = signed(t, other(2), 2) }), "too few of its own roots"},
		{"a charter with a stranger's line", anchor, raw(fork(2), func(r *rawEvidence) { r.a = with(r.a, stranger) }), "doesn't count"},
		{"a charter that isn't valid as a successor", anchor, raw(fork(2), func(r *rawEvidence) {
			c := other(2)
			c.Harm = NCII
			r.b = signed(t, c, 1, 2)
		}), "harm or use changed"},
		{"a charter with an earlier log's key", anchor, raw(fork(3), func(r *rawEvidence) { r.b = signed(t, stale, 1, 2) }), "stands in an earlier charter"},
		{"charters with a proof", anchor, raw(fork(2), func(r *rawEvidence) { r.rootAt, r.proof = grown.rootAt, grown.proof }), "stand where the sizes differ"},
		{"a checkpoint for a charter", anchor, raw(fork(2), func(r *rawEvidence) { r.b = same.b }), "not the line"},
		{"a charter for a checkpoint", anchor, raw(same, func(r *rawEvidence) { r.b = notes[1] }), "not origin, size and root"},
		{"no charter line", anchor, raw(same, func(r *rawEvidence) { r.charters = nil }), "no charter"},
		{"another kind", anchor, raw(same, func(r *rawEvidence) { r.kind = "heads" }), "kind"},
		{"another format", anchor, edit(same.bytes(), "/v1", "/v2"), "not the line"},
		{"a line more", anchor, append(same.bytes(), "c x\n"...), "lines after the last"},
		{"no last newline", anchor, bytes.TrimSuffix(same.bytes(), []byte("\n")), "not the line"},
		{"not a note", anchor, raw(same, func(r *rawEvidence) { r.a = []byte("x\n") }), "malformed note"},
		{"base64 without padding", anchor, edit(fork(2).bytes(), "=\n", "\n"), "base64"},
		{"over 16 KiB with one charter", anchor, raw(same, func(r *rawEvidence) { r.charters = [][]byte{long} }), "longer than 16384"},
		{"over 1 MiB", anchor, append(raw(same, func(r *rawEvidence) { r.charters = notes[:2] }), bytes.Repeat([]byte{'x'}, MaxEvidence)...), "longer than 1048576"},
	}
}

func TestOpenEvidence(t *testing.T) {
	for _, tt := range evidenceCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			e, err := OpenEvidence(tt.data, tt.anchor)
			wantError(t, err, tt.why)
			if err == nil && !bytes.Equal(e.Bytes(), tt.data) {
				t.Error("written again as another")
			}
		})
	}
}

func TestNewHeadEvidence(t *testing.T) {
	c := testChain(t, 3)
	two := testChain(t, 2) // while log 1 was open
	this, that := testLog(t, 9, 0), testLog(t, 9, 1)
	for a := 0; a <= 9; a++ {
		for b := 0; b <= 9; b++ {
			// Notes as they come: with stamps and cosignatures. Every pair of the other log conflicts, unless one is empty.
			ha := testHead(t, two, uint64(a), this.root(t, a), testNow, 1, 2)
			hb := testHead(t, two, uint64(b), that.root(t, b), testNow+1)
			small, large, tr := min(a, b), max(a, b), that
			if a > b {
				tr = this
			}
			var rootAt Digest
			var path []Digest
			if small > 0 && small < large {
				rootAt, path = tr.root(t, small), tr.consistency(t, large, small)
			}
			e, err := NewHeadEvidence(c, ha, hb, rootAt, path)
			if small == 0 {
				if err == nil {
					t.Errorf("sizes %d and %d: got no error", a, b)
				}
				continue
			}
			if err != nil {
				t.Errorf("sizes %d and %d: %v", a, b, err)
				continue
			}
			if e.Kind != HeadEvidence || e.Origin != testFeed.Log(1) || e.Feed != testFeed || e.Ref() != string(testFeed)+"/1" {
				t.Errorf("got %+v", e)
			}
			if n := bytes.Count(e.Bytes(), []byte("charter ")); n != 1 {
				t.Errorf("got %d charters, want the first that names the log alone", n)
			}
			// And one of one log doesn't.
			same := testHead(t, two, uint64(b), this.root(t, b), testNow+1)
			if small < large {
				rootAt, path = this.root(t, small), this.consistency(t, large, small)
			}
			if _, err := NewHeadEvidence(c, ha, same, rootAt, path); err == nil {
				t.Errorf("sizes %d and %d of one log: got no error", a, b)
			}
		}
	}
	late, err := OpenChain(testCharters(t)[2].Anchor(), testNotes(t)[2:])
	if err != nil {
		t.Fatal(err)
	}
	h := testHead(t, two, 5, Digest{1}, testNow)
	_, err = NewHeadEvidence(late, h, h, Digest{}, nil)
	wantError(t, err, "names this log")
}

// TestConsistencyMerkle compares consistency proofs of all pairs of sizes with transparency-dev/merkle.
func TestConsistencyMerkle(t *testing.T) {
	tr := testLog(t, 20, 0)
	for large := 1; large <= 20; large++ {
		for small := 1; small <= large; small++ {
			var path [][]byte
			for _, h := range tr.consistency(t, large, small) {
				path = append(path, h[:])
			}
			a, b := tr.root(t, small), tr.root(t, large)
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(small), uint64(large), path, a[:], b[:]); err != nil {
				t.Errorf("%d in %d: %v", small, large, err)
			}
		}
	}
}

func TestNewCharterEvidence(t *testing.T) {
	c := testChain(t, 3)
	_, err := NewCharterEvidence(c, testNotes(t)[1])
	wantError(t, err, "one text")
	_, err = NewCharterEvidence(testChain(t, 1), testNotes(t)[1])
	wantError(t, err, "version before")
	_, err = NewCharterEvidence(c, []byte("x"))
	wantError(t, err, "malformed note")
	other := testCharters(t)[1].clone()
	other.Contact = "forked"
	// Lines of strangers don't stand in the way.
	note := append(signed(t, other, 1, 3), crypto.Line{Name: "x", ID: 1, Signature: []byte{1}}.String()...)
	e, err := NewCharterEvidence(c, note)
	if err != nil {
		t.Fatal(err)
	}
	if e.Kind != CharterEvidence || e.Version != 2 || e.Ref() != "eokm.example/known version 2" || e.Origin != "" {
		t.Errorf("got %+v", e)
	}
}

func TestEvidenceEnded(t *testing.T) {
	c := testChain(t, 3)
	h := func(root byte) Checkpoint { return testHead(t, testChain(t, 2), 5, Digest{root}, testNow) }
	e, err := NewHeadEvidence(testChain(t, 2), h(1), h(2), Digest{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Ended(testChain(t, 2)) || !e.Ended(c) {
		t.Errorf("two heads: got ended %v while the log is open, %v after it was closed", e.Ended(testChain(t, 2)), e.Ended(c))
	}
	// Version v forks; the branches have other roots, one of which both have.
	for _, v := range []int{1, 2} {
		a := testCharters(t)[v-1]
		b := a.clone()
		b.Root = KeyGroup{2, publicKeys(rootKey(1), rootKey(2), rootKey(4))}
		held := testChain(t, v)
		e, err = NewCharterEvidence(held, signed(t, b, 1, 2, 4))
		if err != nil {
			t.Fatal(err)
		}
		next := nextCharter(a)
		next.Contact = "one again"
		for _, tt := range []struct {
			roots []int
			want  bool
		}{{[]int{1, 3}, false}, {[]int{2, 3}, false}, {[]int{1, 2}, true}, {[]int{1, 3, 4}, true}} {
			c, err := held.Extend(signed(t, next, tt.roots...))
			if err != nil {
				t.Fatal(err)
			}
			if got := e.Ended(c); got != tt.want {
				t.Errorf("fork of version %d, next by roots %v: got %v, want %v", v, tt.roots, got, tt.want)
			}
		}
		if e.Ended(held) {
			t.Errorf("fork of version %d: ended by nothing", v)
		}
	}
	if (Evidence{Feed: "other.example/known", Kind: HeadEvidence, Origin: "other.example/known/1"}).Ended(c) {
		t.Error("another feed's evidence was ended")
	}
}

func TestEvidenceMangled(t *testing.T) {
	for _, tt := range evidenceCases(t) {
		if tt.name != "two heads of one size" && tt.name != "a head that the other doesn't contain" {
			continue
		}
		mangleAll(tt.data, func(what string, m []byte) {
			if bytes.Equal(m, tt.data) {
				return // a byte like its neighbour, left out and doubled elsewhere
			}
			if _, err := OpenEvidence(m, tt.anchor); err == nil {
				t.Errorf("%s, %s: got no error", tt.name, what)
			}
		})
	}
}

func FuzzOpenEvidence(f *testing.F) {
	anchor := firstCharter().Anchor()
	chain := testChain(f, 3)
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := OpenEvidence(data, anchor)
		if _, here := chain.OpenEvidence(data); err == nil && here != nil {
			t.Fatalf("true with the anchor, and not with the chain: %v", here)
		}
		if err != nil {
			return
		}
		e.Explain()
		if !bytes.Equal(e.Bytes(), data) || bytes.Equal(e.A, e.B) || e.Feed != testFeed {
			t.Fatalf("got %+v", e)
		}
	})
}
