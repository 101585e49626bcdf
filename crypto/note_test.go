package crypto

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

const (
	// peterNote is the example of x/mod's note package.
	peterNote = "If you think cryptography is the answer to your problem,\n" +
		"then you don't know what your problem is.\n" +
		"\n" +
		"— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"

	// quasimodo is the example of C2SP signed-note: a text with a blank line.
	quasimodo = "Ognuno sta solo sul cuor della terra\n" +
		"trafitto da un raggio di sole:\n" +
		"\n" +
		"ed è subito sera.\n" +
		"\n" +
		"— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"

	// behindTheSofa is the example of C2SP tlog-cosignature, with a line of each type.
	behindTheSofa = "example.com/behind-the-sofa\n" +
		"20852163\n" +
		"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n" +
		"\n" +
		"— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n" +
		"— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"

	line = "— a AAAAAAE=\n" // the shortest signature
)

func TestParseNote(t *testing.T) {
	for _, test := range []struct {
		data, text string
		lines      int
	}{
		{peterNote, "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n", 1},
		{quasimodo, "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n", 1},
		{behindTheSofa, "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", 2},
		{"\n\n" + line, "\n", 1},
		{"\n\n\n" + line, "\n\n", 1},
		{"a\n\n\n\n" + line, "a\n\n\n", 1},
		{"a\n\n" + line + "\n" + line, "a\n\n" + line, 1},
		{"a\n\n" + strings.Repeat(line, maxLines), "a\n", maxLines},
		{"\x7f\u0085\ufffd\n\n" + line, "\x7f\u0085\ufffd\n", 1},
		{"a\n\n— \x7f AAAAAAE=\n", "a\n", 1},
	} {
		n, err := ParseNote([]byte(test.data))
		if err != nil {
			t.Errorf("ParseNote(%q): %v", test.data, err)
			continue
		}
		if string(n.Text) != test.text || len(n.Lines) != test.lines {
			t.Errorf("ParseNote(%q): got %q and %d lines, want %q and %d", test.data, n.Text, len(n.Lines), test.text, test.lines)
		}
		if got := n.Bytes(); string(got) != test.data {
			t.Errorf("Bytes: got %q, want %q", got, test.data)
		}
	}
	n, err := ParseNote([]byte(behindTheSofa))
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := n.Lines[0].Time(); ok {
		t.Errorf("Time of a line of type 0x01: got %d, want none", u)
	}
	if u, ok := n.Lines[1].Time(); !ok || u != 1679315147 {
		t.Errorf("Time of a cosignature: got %d, %v, want 1679315147", u, ok)
	}
}

func TestParseNoteRejects(t *testing.T) {
	for _, test := range []struct {
		what, data string
		want       error
	}{
		{"empty", "", errNote},
		{"text only", "a\n", errNote},
		{"no lines", "a\n\n", errNote},
		{"nothing before the lines", line, errNote},
		{"no blank line", "a\n" + line, errNote},
		{"one newline before the lines", "\n" + line, errNote},
		{"no newline at the end", "a\n\n" + strings.TrimSuffix(line, "\n"), errNote},
		{"blank line at the end", "a\n\n" + line + "\n", errNote},
		{"not UTF-8", "\xff\n\n" + line, errNote},
		{"surrogate", "\xed\xa0\x80\n\n" + line, errNote},
		{"overlong", "\xc0\x80\n\n" + line, errNote},
		{"too many lines", "a\n\n" + strings.Repeat(line, maxLines+1), errNote},
		{"too large", strings.Repeat("a", maxNote) + "\n\n" + line, errNote},
		{"hyphen for dash", "a\n\n- a AAAAAAE=\n", errLine},
		{"en dash for em dash", "a\n\n– a AAAAAAE=\n", errLine},
		{"no space after the dash", "a\n\n—a AAAAAAE=\n", errLine},
		{"two spaces after the dash", "a\n\n—  a AAAAAAE=\n", errLine},
		{"two spaces after the name", "a\n\n— a  AAAAAAE=\n", errLine},
		{"space at the end", "a\n\n— a AAAAAAE= \n", errLine},
		{"no name", "a\n\n—  AAAAAAE=\n", errLine},
		{"no signature", "a\n\n— a\n", errLine},
		{"empty signature", "a\n\n— a \n", errLine},
		{"id only", "a\n\n— a AAAAAA==\n", errLine},
		{"plus in name", "a\n\n— a+b AAAAAAE=\n", errLine},
		{"no-break space in name", "a\n\n— a\u00a0b AAAAAAE=\n", errLine},
		{"next line in name", "a\n\n— a\u0085b AAAAAAE=\n", errLine},
		{"ideographic space in name", "a\n\n— a\u3000b AAAAAAE=\n", errLine},
		{"stray bits", "a\n\n— a AAAAAAF=\n", errLine},
		{"no padding", "a\n\n— a AAAAAAE\n", errLine},
		{"URL alphabet", "a\n\n— a AAAAAA_-\n", errLine},
	} {
		if _, err := ParseNote([]byte(test.data)); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %q", test.what, err, test.want)
		}
	}
	for c := range byte(0x20) {
		if c == '\n' {
			continue
		}
		for _, data := range []string{"a" + string(c) + "\n\n" + line, "a\n\n— a" + string(c) + " AAAAAAE=\n", "a\n\n— a AAAA" + string(c) + "AAE=\n"} {
			if _, err := ParseNote([]byte(data)); !errors.Is(err, errNote) {
				t.Errorf("control character 0x%02x in %q: got %v, want %q", c, data, err, errNote)
			}
		}
	}
}

// The size is looked at before anything else: refusing a huge note costs no memory but that of the error.
func TestParseNoteRefusesHugeNotesCheaply(t *testing.T) {
	huge := bytes.Repeat([]byte(line), 100_000)
	if got := testing.AllocsPerRun(10, func() { ParseNote(huge) }); got > 8 {
		t.Errorf("got %v allocations, want at most 8", got)
	}
}

// parties are the keys of the tests of Check: two signers and a stamp of one name, a witness, and a stranger.
type parties struct {
	signer, second, stamp, witness, stranger *PrivateKey
}

func newParties() parties {
	const origin = "eokm.example/known/1"
	return parties{
		testKey(origin, TypeSignature, 1), testKey(origin, TypeSignature, 2), testKey(origin, TypeCosignature, 3),
		testKey("host.example/witness", TypeCosignature, 4), testKey("mallory.example", TypeSignature, 5),
	}
}

func (p parties) public() []PublicKey {
	return []PublicKey{p.signer.Public(), p.second.Public(), p.stamp.Public(), p.witness.Public()}
}

// signed is the line of a key that signs in whatever way the key does, at time 1000 + the first byte of its seed.
func signed(t *testing.T, k *PrivateKey, text string) Line {
	t.Helper()
	var l Line
	var err error
	if k.Public().Type == TypeCosignature {
		l, err = k.Cosign([]byte(text), 1000+uint64(k.Ed25519()[0]))
	} else {
		l, err = k.Sign([]byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCheck(t *testing.T) {
	const text = "eokm.example/known/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	p := newParties()
	signer, second, stamp := signed(t, p.signer, text), signed(t, p.second, text), signed(t, p.stamp, text)
	witness, stranger := signed(t, p.witness, text), signed(t, p.stranger, text)
	edit := func(l Line, f func(*Line)) Line {
		l.Signature = bytes.Clone(l.Signature)
		f(&l)
		return l
	}
	flip := func(l Line) Line { return edit(l, func(l *Line) { l.Signature[len(l.Signature)-1] ^= 1 }) }
	other := signed(t, p.signer, "other\n")
	newer, err := p.stamp.Cosign([]byte(text), 9999)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what  string
		lines []Line
		want  []string // type and time of each signature, or
		err   error
	}{
		{"no lines", nil, nil, nil},
		{"one signer", []Line{signer}, []string{"signature 0"}, nil},
		{"all", []Line{witness, stamp, second, signer}, []string{"cosignature 1004", "cosignature 1003", "signature 0", "signature 0"}, nil},
		{"strangers are ignored", []Line{stranger, signer, stranger}, []string{"signature 0"}, nil},
		{"even bad ones", []Line{flip(stranger), signer}, []string{"signature 0"}, nil},
		{"only strangers", []Line{stranger}, nil, nil},
		{"known name, unknown id", []Line{edit(flip(signer), func(l *Line) { l.ID ^= 1 }), signer}, []string{"signature 0"}, nil},
		{"known id, unknown name", []Line{edit(flip(signer), func(l *Line) { l.Name = "x" }), signer}, []string{"signature 0"}, nil},
		{"a known signature fails", []Line{flip(signer)}, nil, errSignature},
		{"one of several fails", []Line{second, flip(signer), stamp}, nil, errSignature},
		{"a cosignature fails", []Line{signer, flip(stamp)}, nil, errSignature},
		{"another text's", []Line{other}, nil, errSignature},
		{"two lines of one key", []Line{signer, signer}, nil, errTwice},
		{"two lines of one key, one bad", []Line{signer, flip(signer)}, nil, errTwice},
		{"two lines of one stamp", []Line{signer, stamp, newer}, nil, errTwice},
		{"another time", []Line{edit(stamp, func(l *Line) { l.Signature[7]++ })}, nil, errSignature},
		{"cosignature without time", []Line{edit(stamp, func(l *Line) { l.Signature = l.Signature[8:] })}, nil, errSignature},
		{"signature with a time", []Line{edit(signer, func(l *Line) { l.Signature = append(make([]byte, 8), l.Signature...) })}, nil, errSignature},
		{"short", []Line{edit(signer, func(l *Line) { l.Signature = l.Signature[:63] })}, nil, errSignature},
		{"long", []Line{edit(signer, func(l *Line) { l.Signature = append(l.Signature, 0) })}, nil, errSignature},
		{"stamp's bytes under the signer's id", []Line{edit(stamp, func(l *Line) { l.ID = signer.ID; l.Signature = l.Signature[8:] })}, nil, errSignature},
	} {
		sigs, err := Note{Text: []byte(text), Lines: test.lines}.Check(p.public()...)
		if !errors.Is(err, test.err) || (err != nil && sigs != nil) {
			t.Errorf("%s: got %v, %v, want error %v", test.what, sigs, err, test.err)
			continue
		}
		var got []string
		for _, s := range sigs {
			got = append(got, fmt.Sprint(s.Key.Type, " ", s.Time))
			if s.Key.Name != s.Line.Name || s.Key.ID() != s.Line.ID {
				t.Errorf("%s: got key %v for line %v", test.what, s.Key, s.Line)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.what, got, test.want)
		}
	}
}

// The published example of x/mod's note package, checked with its published key.
func TestCheckPublished(t *testing.T) {
	k, err := ParsePublicKey(peter)
	if err != nil {
		t.Fatal(err)
	}
	n, err := ParseNote([]byte(peterNote))
	if err != nil {
		t.Fatal(err)
	}
	if sigs, err := n.Check(k); err != nil || len(sigs) != 1 || sigs[0].Key != k {
		t.Errorf("got %v, %v, want one signature of %v", sigs, err, k)
	}
}

func TestCheckKeys(t *testing.T) {
	const text = "a\n"
	p := newParties()
	n := Note{Text: []byte(text), Lines: []Line{signed(t, p.signer, text)}}
	k := p.signer.Public()
	if sigs, err := n.Check(); len(sigs) != 0 || err != nil {
		t.Errorf("no keys: got %v, %v, want none", sigs, err)
	}
	if sigs, err := n.Check(k, k); len(sigs) != 1 || err != nil {
		t.Errorf("one key given twice: got %v, %v, want one signature", sigs, err)
	}
	noType, badName := k, k
	noType.Type, badName.Name = 0, "a b"
	if sigs, err := n.Check(noType); !errors.Is(err, errVKeyAlg) {
		t.Errorf("key without type: got %v, %v, want %q", sigs, err, errVKeyAlg)
	}
	if sigs, err := n.Check(badName); !errors.Is(err, errName) {
		t.Errorf("key with a bad name: got %v, %v, want %q", sigs, err, errName)
	}
	a, b := collision(t)
	if sigs, err := n.Check(a, k, b); !errors.Is(err, errAmbiguous) {
		t.Errorf("two keys of one name and id: got %v, %v, want %q", sigs, err, errAmbiguous)
	}
}

// collision finds two keys of one name and id: by the birthday paradox after some 80,000 tries.
func collision(t *testing.T) (a, b PublicKey) {
	t.Helper()
	seen := make(map[uint32]PublicKey)
	for i := range uint32(1 << 20) {
		k := PublicKey{Name: "n", Type: TypeSignature}
		k.Key[0], k.Key[1], k.Key[2] = byte(i), byte(i>>8), byte(i>>16)
		if other, ok := seen[k.ID()]; ok {
			return other, k
		}
		seen[k.ID()] = k
	}
	t.Fatal("no two keys of one id in 2^20")
	return
}

// A cosignature made by hand with a time that Cosign refuses verifies, and its time comes back as it is.
func TestCheckLateTime(t *testing.T) {
	k := testKey("w", TypeCosignature, 1)
	for _, unix := range []uint64{0, 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
		l := handmadeCosignature(k, "a\n", unix)
		sigs, err := Note{Text: []byte("a\n"), Lines: []Line{l}}.Check(k.Public())
		if err != nil || len(sigs) != 1 || sigs[0].Time != unix {
			t.Errorf("got %v, %v, want one signature at %d", sigs, err, unix)
		}
	}
}

// Whatever bit of a note flips, whatever byte is lost or doubled: a signature found in it is one that was in the whole
// note, over the same text.
func TestNoteMangled(t *testing.T) {
	const text = "hashfeed-suspend/v1\nfeed eokm.example/known\ntime 1795424400\nitem 1 17\n"
	p := newParties()
	whole := Note{Text: []byte(text), Lines: []Line{signed(t, p.signer, text), signed(t, p.stamp, text)}}
	keys := p.public()
	want := map[PublicKey]uint64{p.signer.Public(): 0, p.stamp.Public(): 1003}
	errs, missing := 0, 0
	try := func(data []byte) {
		t.Helper()
		n, err := ParseNote(data)
		if err != nil {
			errs++
			return
		}
		if got := n.Bytes(); !bytes.Equal(got, data) {
			t.Errorf("Bytes: got %q, want %q", got, data)
		}
		sigs, err := n.Check(keys...)
		if err != nil {
			errs++
			return
		}
		if len(sigs) < len(want) {
			missing++
		}
		for _, s := range sigs {
			unix, ok := want[s.Key]
			if !ok || s.Time != unix || string(n.Text) != text {
				t.Errorf("mangled note %q: got signature %v", data, s)
			}
		}
		if len(sigs) == len(want) {
			t.Errorf("mangled note %q has all signatures", data)
		}
	}
	data := whole.Bytes()
	for i := range data {
		for bit := range 8 {
			b := bytes.Clone(data)
			b[i] ^= 1 << bit
			try(b)
		}
		try(data[:i])
		try(slices.Concat(data[:i], data[i+1:]))
		try(slices.Concat(data[:i+1], data[i:i+1], data[i+1:]))
	}
	if errs == 0 || missing == 0 {
		t.Errorf("got %d errors and %d notes that lost a signature, want some of each", errs, missing)
	}
}

// x/mod's note package and we agree on what is signed by keys of type 0x01, in both directions.
func TestAgainstModNote(t *testing.T) {
	for i := range byte(20) {
		text := strings.Repeat(fmt.Sprintf("line %d\n\n", i), int(i)+1)
		skey, vkey, err := note.GenerateKey(zeros(i), "eokm.example/known/1")
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := note.NewSigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := note.Sign(&note.Note{Text: text}, theirs)
		if err != nil {
			t.Fatal(err)
		}
		public, err := ParsePublicKey(vkey)
		if err != nil {
			t.Fatal(err)
		}
		n, err := ParseNote(msg)
		if err != nil {
			t.Fatal(err)
		}
		if sigs, err := n.Check(public); err != nil || len(sigs) != 1 || string(n.Text) != text {
			t.Errorf("their note: got %v, %v", sigs, err)
		}

		ours := testKey("host.example/x", TypeSignature, i)
		n.Lines = append(n.Lines, signed(t, ours, text))
		v, err := note.NewVerifier(ours.Public().String())
		if err != nil {
			t.Fatal(err)
		}
		opened, err := note.Open(n.Bytes(), note.VerifierList(v, verifier))
		if err != nil || len(opened.Sigs) != 2 || opened.Text != text {
			t.Errorf("our note: got %v, %v", opened, err)
		}
	}
}

// zeros is a source of randomness without any.
type zeros byte

func (z zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(z)
	}
	return len(b), nil
}

// What parses re-encodes to the same bytes, and x/mod reads the same. What x/mod reads we read too, if its base64 is
// canonical and its size allowed.
func FuzzParseNote(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ParseNote(data)
		_, modErr := note.Open(data, nil)
		unverified, modOK := errors.AsType[*note.UnverifiedNoteError](modErr)
		if err != nil {
			if n.Text != nil || n.Lines != nil {
				t.Errorf("got %v with an error", n)
			}
			if modOK && len(data) <= maxNote && canonical(unverified.Note) {
				t.Errorf("got %v for a note that x/mod reads", err)
			}
			return
		}
		if got := n.Bytes(); !bytes.Equal(got, data) {
			t.Errorf("Bytes: got %q, want %q", got, data)
		}
		if !modOK {
			t.Fatalf("x/mod refuses what we accept: %v", modErr)
		}
		if unverified.Note.Text != string(n.Text) {
			t.Errorf("text: got %q, x/mod has %q", n.Text, unverified.Note.Text)
		}
		for _, l := range n.Lines {
			if again, err := ParseLine(l.String()); err != nil || again.String() != l.String() {
				t.Errorf("ParseLine of %q: got %v, %v", l, again, err)
			}
		}
		if sigs, err := n.Check(); err != nil || len(sigs) != 0 {
			t.Errorf("Check without keys: got %v, %v", sigs, err)
		}
	})
}

func canonical(n *note.Note) bool {
	for _, s := range n.UnverifiedSigs {
		if _, err := decodeBase64(s.Base64); err != nil {
			return false
		}
	}
	return true
}
