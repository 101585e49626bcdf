package crypto

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
)

// A vector is a note as another implementation signed it: x/mod's note package for type 0x01, transparency-dev/formats
// for 0x04. Ed25519 is deterministic, so that ours must come out the same.
type vector struct {
	Name string `json:"name"`
	Seed []byte `json:"seed"`
	VKey string `json:"vkey"`
	Note string `json:"note"`
	Time uint64 `json:"time"`
}

func vectors(t *testing.T) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(data, &vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) == 0 {
		t.Fatal("no vectors")
	}
	return vs
}

func TestVectors(t *testing.T) {
	types := map[Type]int{}
	for _, v := range vectors(t) {
		public, err := ParsePublicKey(v.VKey)
		if err != nil {
			t.Fatal(err)
		}
		types[public.Type]++
		k := NewKeyFromSeed(v.Name, public.Type, [32]byte(v.Seed))
		if k.Public() != public {
			t.Errorf("public key of the seed: got %v, want %v", k.Public(), public)
		}
		n, err := ParseNote([]byte(v.Note))
		if err != nil {
			t.Fatal(err)
		}
		sigs, err := n.Check(public)
		if err != nil || len(sigs) != 1 || sigs[0].Key != public || sigs[0].Time != v.Time {
			t.Errorf("Check of %q: got %v, %v, want one signature of %v at %d", v.Note, sigs, err, public, v.Time)
		}
		var l Line
		if public.Type == TypeSignature {
			l, err = k.Sign(n.Text)
		} else {
			l, err = k.Cosign(n.Text, v.Time)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := string(Note{Text: n.Text, Lines: []Line{l}}.Bytes()); got != v.Note {
			t.Errorf("signed by us: got\n%s\nwant\n%s", got, v.Note)
		}
	}
	if types[TypeSignature] == 0 || types[TypeCosignature] == 0 {
		t.Errorf("got vectors of types %v, want both", types)
	}
}

// RFC 8032 §7.1, TEST 1: the seed gives this public key.
func TestNewKeyFromSeed(t *testing.T) {
	seed, _ := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	const want = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
	k := NewKeyFromSeed("a", TypeSignature, [32]byte(seed))
	if got := fmt.Sprintf("%x", k.Public().Key); got != want {
		t.Errorf("public key: got %s, want %s", got, want)
	}
	if got := fmt.Sprintf("%x", k.Ed25519()); got != hex.EncodeToString(seed)+want {
		t.Errorf("Ed25519: got %s, want seed and public key", got)
	}
	clear(k.Ed25519())
	if l, err := k.Sign([]byte("a\n")); err != nil || !verifies(k.Public(), "a\n", l) {
		t.Errorf("after clearing a copy of the key: got %v, %v, want a good signature", l, err)
	}
}

func verifies(k PublicKey, text string, l Line) bool {
	sigs, err := Note{Text: []byte(text), Lines: []Line{l}}.Check(k)
	return err == nil && len(sigs) == 1
}

func TestGenerateKey(t *testing.T) {
	a, err := GenerateKey("host.example/witness", TypeCosignature)
	if err != nil {
		t.Fatal(err)
	}
	b, err := GenerateKey("host.example/witness", TypeCosignature)
	if err != nil {
		t.Fatal(err)
	}
	if a.Public() == b.Public() {
		t.Error("two generated keys are the same")
	}
	if got, err := ParsePublicKey(a.Public().String()); err != nil || got != a.Public() {
		t.Errorf("ParsePublicKey: got %v, %v, want %v", got, err, a.Public())
	}
	for _, test := range []struct {
		name string
		typ  Type
		want error
	}{
		{"", TypeSignature, errName},
		{"a b", TypeSignature, errName},
		{"a+b", TypeSignature, errName},
		{"a\nb", TypeSignature, errName},
		{strings.Repeat("n", maxName+1), TypeSignature, errName},
		{"a", 0, errVKeyAlg},
		{"a", 2, errVKeyAlg},
	} {
		if k, err := GenerateKey(test.name, test.typ); !errors.Is(err, test.want) {
			t.Errorf("GenerateKey(%q, %v): got %v, %v, want %q", test.name, test.typ, k, err, test.want)
		}
	}
}

func TestSignRejects(t *testing.T) {
	signer := testKey("eokm.example/known/1", TypeSignature, 1)
	stamp := testKey("eokm.example/known/1", TypeCosignature, 2)
	long := strings.Repeat("a", maxText-1) + "\n"
	for _, test := range []struct {
		what string
		key  *PrivateKey
		text string
		want [2]error // of Sign, Cosign
	}{
		{"signer", signer, "a\n", [2]error{nil, errWrongJob}},
		{"stamp", stamp, "a\n", [2]error{errWrongJob, nil}},
		{"blank lines", signer, "\n\na\n\n", [2]error{nil, errWrongJob}},
		{"longest text", signer, long, [2]error{nil, errWrongJob}},
		{"longest text", stamp, long, [2]error{errWrongJob, nil}},
		{"too long", signer, "a" + long, [2]error{errNote, errWrongJob}},
		{"too long", stamp, "a" + long, [2]error{errWrongJob, errNote}},
		{"empty text", signer, "", [2]error{errNote, errWrongJob}},
		{"empty text", stamp, "", [2]error{errWrongJob, errNote}},
		{"no newline", signer, "a", [2]error{errNote, errWrongJob}},
		{"tab", signer, "a\tb\n", [2]error{errNote, errWrongJob}},
		{"carriage return", stamp, "a\r\n", [2]error{errWrongJob, errNote}},
		{"not UTF-8", signer, "\xff\n", [2]error{errNote, errWrongJob}},
		{"zero key", &PrivateKey{}, "a\n", [2]error{errVKeyAlg, errVKeyAlg}},
		{"bad name", testKey("a b", TypeSignature, 1), "a\n", [2]error{errName, errName}},
		{"bad type", testKey("a", 6, 1), "a\n", [2]error{errVKeyAlg, errVKeyAlg}},
	} {
		l, err := test.key.Sign([]byte(test.text))
		if !errors.Is(err, test.want[0]) {
			t.Errorf("%s: Sign: got %v, want %v", test.what, err, test.want[0])
		}
		if err == nil && !verifies(test.key.Public(), test.text, l) {
			t.Errorf("%s: what Sign made doesn't verify", test.what)
		}
		l, err = test.key.Cosign([]byte(test.text), 1795424400)
		if !errors.Is(err, test.want[1]) {
			t.Errorf("%s: Cosign: got %v, want %v", test.what, err, test.want[1])
		}
		if err == nil && !verifies(test.key.Public(), test.text, l) {
			t.Errorf("%s: what Cosign made doesn't verify", test.what)
		}
	}
	if _, err := stamp.Cosign([]byte("a\n"), math.MaxInt64); err != nil {
		t.Errorf("Cosign at 2^63 - 1: %v", err)
	}
	if _, err := stamp.Cosign([]byte("a\n"), math.MaxInt64+1); err == nil {
		t.Error("Cosign at 2^63: got no error")
	}
}

// The largest text signed by as many of our longest names as a note may have can still be read.
func TestLargestNote(t *testing.T) {
	n := Note{Text: []byte(strings.Repeat("a", maxText-1) + "\n")}
	l, err := testKey(strings.Repeat("n", maxName), TypeCosignature, 1).Cosign(n.Text, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range maxLines {
		n.Lines = append(n.Lines, l)
	}
	if _, err := ParseNote(n.Bytes()); err != nil {
		t.Error(err)
	}
}

// Neither fmt nor slog may show a secret, whatever is asked of them.
func TestSecretsAreNotShown(t *testing.T) {
	k := NewKeyFromSeed("a", TypeSignature, [32]byte(bytes.Repeat([]byte{0xa7}, 32)))
	s := SealKey(bytes.Repeat([]byte{0xa7}, 32))
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x"} {
		fmt.Fprintf(&out, verb+"\n", k)
		fmt.Fprintf(&out, verb+"\n", *k)
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", struct{ K SealKey }{s})
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("keys", "private", k, "value", *k, "seal", s)
	}
	for _, secret := range []string{"a7a7", "A7A7", "a7 a7", "167 167", "167,167", "0xa7, 0xa7",
		base64.StdEncoding.EncodeToString(s[:])[:40]} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("output shows %q:\n%s", secret, out.String())
		}
	}
	if !strings.Contains(out.String(), k.Public().String()) {
		t.Errorf("output doesn't show the vkey:\n%s", out.String())
	}
}
