package crypto

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// cheapSeals makes sealing cost next to nothing for one test.
func cheapSeals(t testing.TB) {
	before := sealCost
	sealCost = kdf{time: 1, memory: 8, threads: 1}
	t.Cleanup(func() { sealCost = before })
}

// fileOf is what Save writes.
func fileOf(k *PrivateKey, passphrase string) []byte {
	p := k.Public()
	return newKeyFile(p.Type.String(), p.Name, p.String(), [32]byte(k.Ed25519().Seed()), []byte(passphrase)).encode()
}

// resum ends a changed file with the sum that belongs to it, as a forger would.
func resum(data []byte) []byte {
	body, _, _ := bytes.Cut(data, []byte("\nsum "))
	body = append(bytes.Clone(body), '\n')
	return fmt.Appendf(body, "sum %x\n", sha256.Sum256(body))
}

// The format is for ever: files written by an earlier version are read by every later one. Never edit these.
func TestKeyFileGolden(t *testing.T) {
	const plain = `hashfeed-key/v1
Secret: whoever has this file has the key. Never send it; keep a copy of it offline.
type signature
name eokm.example/known/1
public eokm.example/known/1+026ad4c6+AYVIppWjOEuGgLlqx5Ms3UPQ6+ZDMLMRNOvizQh0kOZe
sealed no
secret SHWOwXYT8K0gysI5WfCGATr2+bs6yA/MqCrDjtVJr5w=
sum a1c217594340980f839612a503037b56382831ef044a5ab5b7fbdd1e952411f4
`
	v := vectors(t)[0]
	k := NewKeyFromSeed(v.Name, TypeSignature, [32]byte(v.Seed))
	if got := string(fileOf(k, "")); got != plain {
		t.Errorf("key file: got\n%s\nwant\n%s", got, plain)
	}
	const sealed = `hashfeed-key/v1
Secret: whoever has this file has the key. Never send it; keep a copy of it offline.
type signature
name eokm.example/known/1
public eokm.example/known/1+026ad4c6+AYVIppWjOEuGgLlqx5Ms3UPQ6+ZDMLMRNOvizQh0kOZe
sealed argon2id 3 65536 4 +OJGYSwF2C7I6RnaVyFv/w==
secret eWAulIIZhVJBiSo4buYHF+i1Un49GcgeCpL+4/IjQyhJ8NVBNwQPTfYEVFCu1RgjfucV96YPz63Ezopl8j0etYlA6Ddexw9r
sum 54e18e64e43a6c7a557ac9ddbf4d0bb4836eaaab73345840a00e38b93cbc2af6
`
	got, err := decodeKey([]byte(sealed), []byte("correct horse battery staple"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Public() != k.Public() || !got.Ed25519().Equal(k.Ed25519()) {
		t.Errorf("sealed key file: got %v, want %v", got, k)
	}
	if c := sealCost; c != (kdf{3, 65536, 4}) {
		t.Errorf("new files are sealed with %v, want RFC 9106's second choice", c)
	}
}

func TestKeyFileRoundTrip(t *testing.T) {
	cheapSeals(t)
	for _, k := range []*PrivateKey{testKey("eokm.example/known/1", TypeSignature, 1), testKey("host.example/witness", TypeCosignature, 2),
		testKey(strings.Repeat("ö", maxName/2), TypeSignature, 3)} {
		for _, pass := range []string{"", "p", strings.Repeat("long", 500)} {
			data := fileOf(k, pass)
			if len(data) > 1200 {
				t.Errorf("file has %d bytes, limits.go says under 1,200", len(data))
			}
			got, err := decodeKey(data, []byte(pass))
			if err != nil {
				t.Errorf("decode: %v", err)
				continue
			}
			if got.Public() != k.Public() || !got.Ed25519().Equal(k.Ed25519()) {
				t.Errorf("got %v, want %v", got, k)
			}
			seed := base64.StdEncoding.EncodeToString(k.Ed25519().Seed())
			if open := bytes.Contains(data, []byte(seed)); open != (pass == "") {
				t.Errorf("passphrase %q: seed in the file: %v", pass, open)
			}
		}
	}
	k := testKey("a", TypeSignature, 1)
	a, err1 := parseKeyFile(fileOf(k, "p"))
	b, err2 := parseKeyFile(fileOf(k, "p"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.salt, b.salt) || bytes.Equal(a.secret[:24], b.secret[:24]) {
		t.Error("two files share a salt or a nonce")
	}
	if _, err := decodeKey(fileOf(k, ""), []byte("p")); err != nil {
		t.Errorf("passphrase for a file that isn't sealed: %v", err)
	}
}

func TestPassphraseErrors(t *testing.T) {
	cheapSeals(t)
	data := fileOf(testKey("a", TypeSignature, 1), "right")
	for _, test := range []struct {
		passphrase []byte
		want, not  error
	}{
		{nil, ErrPassphraseNeeded, ErrPassphraseWrong},
		{[]byte{}, ErrPassphraseNeeded, ErrPassphraseWrong},
		{[]byte("wrong"), ErrPassphraseWrong, ErrPassphraseNeeded},
		{[]byte("right\n"), ErrPassphraseWrong, ErrPassphraseNeeded},
	} {
		k, err := decodeKey(data, test.passphrase)
		if !errors.Is(err, test.want) || !errors.Is(err, ErrPassphrase) || errors.Is(err, test.not) || k != nil {
			t.Errorf("passphrase %q: got %v, %v, want %q", test.passphrase, k, err, test.want)
		}
	}
}

// Every byte replaced by every other, every cut, every byte lost or doubled, and bytes before and after: always an
// error, and never one that blames the passphrase.
func TestKeyFileMangled(t *testing.T) {
	cheapSeals(t)
	k := testKey("eokm.example/known/1", TypeSignature, 1)
	for _, pass := range []string{"", "right"} {
		data := fileOf(k, pass)
		reject := func(what string, b []byte) {
			t.Helper()
			got, err := decodeKey(b, []byte(pass))
			if err == nil || got != nil || !errors.Is(err, errKeyFile) || errors.Is(err, ErrPassphrase) {
				t.Errorf("%s: got %v, %v, want %q", what, got, err, errKeyFile)
			}
			if checkSum(b) == nil {
				t.Errorf("%s: got %v, want it found by the sum", what, err)
			}
		}
		for i := range data {
			for c := 1; c < 256; c++ {
				b := bytes.Clone(data)
				b[i] ^= byte(c)
				reject(fmt.Sprintf("byte %d ^ %02x", i, c), b)
			}
			reject(fmt.Sprintf("first %d bytes", i), data[:i])
			reject(fmt.Sprintf("without byte %d", i), slices.Concat(data[:i], data[i+1:]))
			reject(fmt.Sprintf("byte %d doubled", i), slices.Concat(data[:i+1], data[i:i+1], data[i+1:]))
		}
		reject("newline after", append(bytes.Clone(data), '\n'))
		reject("file after file", append(bytes.Clone(data), data...))
		reject("space before", append([]byte(" "), data...))
		reject("byte order mark", append([]byte("\ufeff"), data...))
		reject("CRLF", bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")))
	}
}

// The error says what happened to the file.
func TestKeyFileDamage(t *testing.T) {
	data := fileOf(testKey("a", TypeSignature, 1), "")
	flipped := bytes.Clone(data)
	flipped[len(data)/2] ^= 1
	for _, test := range []struct {
		data []byte
		want string
	}{
		{nil, "doesn't begin with"},
		{data[1:], "doesn't begin with"},
		{data[:len(data)/2], "truncated, no line"},
		{data[:len(data)-1], "truncated within"},
		{append(bytes.Clone(data), '\n'), "something follows"},
		{flipped, "damaged"},
		{make([]byte, maxKeyFile+1), "larger than"},
	} {
		if _, err := decodeKey(test.data, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want it to say %q", test.data, err, test.want)
		}
	}
}

// What a forger writes, with a sum that fits.
func TestKeyFileForged(t *testing.T) {
	cheapSeals(t)
	k := testKey("eokm.example/known/1", TypeSignature, 1)
	vkey := k.Public().String()
	plain, sealed := fileOf(k, ""), fileOf(k, "right")
	params := "sealed argon2id 1 8 1 "
	for _, test := range []struct {
		what     string
		data     []byte
		old, new string
		want     error
		text     string // in the error
	}{
		{"another name", plain, "name eokm.example", "name evil.example", errKeyFile, "the public key's is"},
		{"another type", plain, "type signature", "type cosignature", errKeyFile, "type cosignature"},
		{"unknown type", plain, "type signature", "type rsa", errKeyFile, "unknown key type"},
		{"seal key with a public key", plain, "type signature", "type seal", errKeyFile, "sealed"},
		{"another public key", plain, vkey, testKey("eokm.example/known/1", TypeSignature, 2).Public().String(), errOtherKey, ""},
		{"malformed public key", plain, vkey, vkey + "A", errKeyFile, "vkey"},
		{"no public key", plain, "public " + vkey + "\n", "", errKeyFile, "public"},
		{"other warning", plain, "Secret: ", "Public: ", errKeyFile, "second line"},
		{"no name", plain, "name eokm.example/known/1\n", "", errKeyFile, "name"},
		{"malformed name", plain, "name eokm.example/known/1", "name a b", errKeyFile, "malformed key name"},
		{"no secret", plain, "secret ", "segret ", errKeyFile, "secret"},
		{"short secret", plain, "secret ", "secret AA==\nx ", errKeyFile, "1 bytes"},
		{"secret with stray bits", plain, "AA=\nsum", "AB=\nsum", errKeyFile, "base64"},
		{"line more", plain, "\nsum", "\nx\nsum", errKeyFile, "spelling"},
		{"CR", plain, "signature\n", "signature\r\n", errKeyFile, "unknown key type"},
		{"sealed in an unknown way", plain, "sealed no", "sealed rot13", errKeyFile, "unknown way"},
		{"sealed, but the secret isn't", plain, "sealed no", params + "AAAAAAAAAAAAAAAAAAAAAA==", errKeyFile, "72"},
		{"no passes", sealed, params, "sealed argon2id 0 8 1 ", errKeyFile, "outside"},
		{"too many passes", sealed, params, "sealed argon2id 9 8 1 ", errKeyFile, "outside"},
		{"too much memory", sealed, params, "sealed argon2id 1 1048577 1 ", errKeyFile, "outside"},
		{"a terabyte", sealed, params, "sealed argon2id 1 1073741824 1 ", errKeyFile, "outside"},
		{"memory of 33 bits", sealed, params, "sealed argon2id 1 4294967304 1 ", errKeyFile, "range"},
		{"too little memory", sealed, params, "sealed argon2id 1 7 1 ", errKeyFile, "outside"},
		{"no threads", sealed, params, "sealed argon2id 1 8 0 ", errKeyFile, "outside"},
		{"too many threads", sealed, params, "sealed argon2id 1 1024 17 ", errKeyFile, "outside"},
		{"threads of 9 bits", sealed, params, "sealed argon2id 1 8 257 ", errKeyFile, "range"},
		{"negative passes", sealed, params, "sealed argon2id -1 8 1 ", errKeyFile, "argon2id"},
		{"leading zero", sealed, params, "sealed argon2id 01 8 1 ", errKeyFile, "spelling"},
		{"short salt", sealed, params, params + "AA==\nx ", errKeyFile, "salt"},
		{"unchanged", sealed, params, params, nil, ""}, // shows that the errors of the other rows are not resum's
		{"other parameters", sealed, params, "sealed argon2id 2 8 1 ", ErrPassphraseWrong, ""},
	} {
		data := resum(bytes.ReplaceAll(test.data, []byte(test.old), []byte(test.new)))
		got, err := decodeKey(data, []byte("right"))
		if !errors.Is(err, test.want) || (err == nil) != (got != nil) {
			t.Errorf("%s: got %v, %v, want %v", test.what, got, err, test.want)
		} else if err != nil && !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: got %q, want it to say %q", test.what, err, test.text)
		}
	}
	// A secret sealed for one key doesn't open under the head of another.
	other := fileOf(testKey("eokm.example/known/1", TypeSignature, 2), "right")
	a, b := bytes.Index(sealed, []byte("secret ")), bytes.Index(other, []byte("secret "))
	if got, err := decodeKey(resum(slices.Concat(other[:b], sealed[a:])), []byte("right")); !errors.Is(err, ErrPassphraseWrong) {
		t.Errorf("secret under another head: got %v, %v, want %q", got, err, ErrPassphraseWrong)
	}
	huge := append(bytes.Clone(plain), make([]byte, 1<<20)...)
	if got, err := decodeKey(huge, nil); !errors.Is(err, errKeyFile) {
		t.Errorf("huge file: got %v, %v, want %q", got, err, errKeyFile)
	}
}

// What parses re-encodes to the same bytes. (No passphrase is given: Argon2id within the caps may take seconds.)
func FuzzKeyFile(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte, forge bool) {
		if forge {
			data = resum(data)
		}
		file, err := parseKeyFile(data)
		if err == nil {
			if got := file.encode(); !bytes.Equal(got, data) {
				t.Errorf("got %q, want %q", got, data)
			}
			if file.sealed && file.cost.check() != nil {
				t.Errorf("got cost %v, beyond the caps", file.cost)
			}
		}
		k, err := decodeKey(data, nil)
		if (k == nil) != (err != nil) {
			t.Errorf("got %v, %v", k, err)
		}
		if err == nil && !bytes.Equal(fileOf(k, ""), data) {
			t.Errorf("%v is written %q, but was read from %q", k, fileOf(k, ""), data)
		}
		if k, err := decodeSealKey(data, "host.example/store", nil); (k == SealKey{}) != (err != nil) {
			t.Errorf("got %v, %v", k, err)
		}
	})
}
