package crypto

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// peter is the key of the example in x/mod's note package, sumdb the one of Go's checksum database.
const (
	peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
	sumdb = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
)

// testKey is a key that is the same in every run.
func testKey(name string, t Type, seed byte) *PrivateKey {
	return NewKeyFromSeed(name, t, [32]byte{seed})
}

// vkeyOf spells a vkey of any name, type byte and key bytes, with the id that belongs to them.
func vkeyOf(name string, raw []byte) string {
	k := PublicKey{Name: name, Type: Type(raw[0])}
	copy(k.Key[:], raw[1:])
	return name + "+" + k.hexID() + "+" + base64.StdEncoding.EncodeToString(raw)
}

func TestParsePublicKey(t *testing.T) {
	witness := testKey("host.example/witness", TypeCosignature, 1).Public().String()
	for _, vkey := range []string{
		peter, sumdb, witness,
		testKey("a", TypeSignature, 2).Public().String(),
		testKey("ö/—", TypeSignature, 2).Public().String(),
		testKey(strings.Repeat("n", maxName), TypeSignature, 2).Public().String(),
	} {
		k, err := ParsePublicKey(vkey)
		if err != nil {
			t.Errorf("ParsePublicKey(%q): %v", vkey, err)
			continue
		}
		if got := k.String(); got != vkey {
			t.Errorf("String: got %q, want %q", got, vkey)
		}
	}
	k, err := ParsePublicKey(peter)
	if err != nil {
		t.Fatal(err)
	}
	if k.Name != "PeterNeumann" || k.Type != TypeSignature || k.ID() != 0xc74f20a3 {
		t.Errorf("got %q, %v, %08x, want PeterNeumann, signature, c74f20a3", k.Name, k.Type, k.ID())
	}
}

func TestParsePublicKeyRejects(t *testing.T) {
	raw := append([]byte{1}, make([]byte, 32)...)
	typed := func(b byte) []byte { return append([]byte{b}, make([]byte, 32)...) }
	name, rest, _ := strings.Cut(peter, "+")
	id, key, _ := strings.Cut(rest, "+")
	for _, test := range []struct {
		what, vkey string
		want       error
	}{
		{"empty", "", errVKey},
		{"one plus", name + "+" + id, errVKey},
		{"upper-case id", name + "+" + strings.ToUpper(id) + "+" + key, errVKeyID},
		{"id of seven digits", name + "+" + id[:7] + "+" + key, errVKeyID},
		{"id of nine digits", name + "+0" + id + "+" + key, errVKeyID},
		{"id of another name", "x" + name + "+" + id + "+" + key, errVKeyID},
		{"signed id", name + "++" + id + "+" + key, errVKey},
		{"fourth part", peter + "+", errVKey},
		{"newline after", peter + "\n", errVKey},
		{"newline in base64", name + "+" + id + "+" + key[:10] + "\n" + key[10:], errVKey},
		{"carriage return in base64", name + "+" + id + "+" + key[:10] + "\r" + key[10:], errVKey},
		{"no name", vkeyOf("", raw), errName},
		{"space in name", vkeyOf("a b", raw), errName},
		{"no-break space in name", vkeyOf("a\u00a0b", raw), errName},
		{"line separator in name", vkeyOf("a\u2028b", raw), errName},
		{"newline in name", vkeyOf("a\nb", raw), errName},
		{"tab in name", vkeyOf("a\tb", raw), errName},
		{"NUL in name", vkeyOf("a\x00b", raw), errName},
		{"escape in name", vkeyOf("a\x1bb", raw), errName},
		{"DEL in name", vkeyOf("a\x7fb", raw), errName},
		{"C1 control in name", vkeyOf("a\u009bb", raw), errName},
		{"name not UTF-8", vkeyOf("a\xff", raw), errName},
		{"name too long", vkeyOf(strings.Repeat("n", maxName+1), raw), errVKey},
		{"huge", strings.Repeat("n", 1<<20) + peter, errVKey},
		{"no key", name + "+" + id + "+", errVKeyAlg},
		{"type 0x00", vkeyOf("a", typed(0)), errVKeyAlg},
		{"ECDSA", vkeyOf("a", typed(2)), errVKeyAlg},
		{"RFC 6962", vkeyOf("a", typed(5)), errVKeyAlg},
		{"ML-DSA", vkeyOf("a", typed(6)), errVKeyAlg},
		{"short key", vkeyOf("a", raw[:32]), errVKey},
		{"long key", vkeyOf("a", append(raw[:33:33], 0)), errVKey},
		{"padded otherwise", name + "+" + id + "+" + key + "=", errVKey},
	} {
		if k, err := ParsePublicKey(test.vkey); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, %v, want %q", test.what, k, err, test.want)
		}
	}
}

// Every byte of a vkey replaced by every other, every byte taken out, every prefix: none is a key. (A changed name
// changes the id, a changed id is another's, a changed key changes the id.)
func TestParsePublicKeyMangled(t *testing.T) {
	for _, vkey := range []string{peter, testKey("host.example/witness", TypeCosignature, 1).Public().String()} {
		for i := range len(vkey) {
			reject := func(s string) {
				t.Helper()
				if k, err := ParsePublicKey(s); err == nil {
					t.Errorf("got %v of %q, want an error", k, s)
				}
			}
			reject(vkey[:i])
			reject(vkey[:i] + vkey[i+1:])
			for c := range 256 {
				if byte(c) != vkey[i] {
					reject(vkey[:i] + string([]byte{byte(c)}) + vkey[i+1:])
				}
				reject(vkey[:i] + string([]byte{byte(c)}) + vkey[i:])
			}
		}
	}
}

func TestTypeString(t *testing.T) {
	for typ, want := range map[Type]string{TypeSignature: "signature", TypeCosignature: "cosignature", 2: "type 0x02"} {
		if got := typ.String(); got != want {
			t.Errorf("Type(%d): got %q, want %q", byte(typ), got, want)
		}
	}
}

// What parses re-encodes to the same bytes, and the other implementation reads the same key in it.
func FuzzParsePublicKey(f *testing.F) {
	f.Fuzz(func(t *testing.T, vkey string) {
		k, err := ParsePublicKey(vkey)
		if err != nil {
			if k != (PublicKey{}) {
				t.Errorf("got %v with an error", k)
			}
			return
		}
		if got := k.String(); got != vkey {
			t.Errorf("got %q, want %q", got, vkey)
		}
		if k.Type != TypeSignature {
			return
		}
		v, err := note.NewVerifier(vkey)
		if err != nil {
			t.Fatalf("x/mod refuses %q: %v", vkey, err)
		}
		if v.Name() != k.Name || v.KeyHash() != k.ID() {
			t.Errorf("x/mod: got %s %08x, want %s %08x", v.Name(), v.KeyHash(), k.Name, k.ID())
		}
	})
}

func ExamplePublicKey_ID() {
	k, err := ParsePublicKey(peter)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s %s %08x\n", k.Name, k.Type, k.ID())
	// Output: PeterNeumann signature c74f20a3
}
