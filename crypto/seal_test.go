package crypto

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// The AEAD is the one of draft-irtf-cfrg-xchacha-03, appendix A.3.1, nonce first.
func TestOpenVector(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := SealKey(unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"))
	ad := unhex("50515253c0c1c2c3c4c5c6c7")
	sealed := unhex("404142434445464748494a4b4c4d4e4f5051525354555657" +
		"bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb" +
		"731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452" +
		"2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9" +
		"21f9664c97637da9768812f615c68b13b52e" +
		"c0875924c1c7987947deafd8780acf49")
	const want = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
	got, err := key.Open(sealed, ad)
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestSealer(t *testing.T) {
	key, err := GenerateSealKey()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := GenerateSealKey(); again == key {
		t.Error("two generated keys are the same")
	}
	s := key.Sealer()
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "plaintext")
		ad := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "ad")
		dst := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "dst")
		prefix := bytes.Clone(dst)
		out := s.AppendSeal(dst, plain, ad)
		if !bytes.HasPrefix(out, prefix) || len(out) != len(prefix)+SealOverhead+len(plain) {
			t.Fatalf("AppendSeal: got %d bytes after %d", len(out), len(prefix))
		}
		sealed := out[len(prefix):]
		got, err := s.AppendOpen(bytes.Clone(prefix), sealed, ad)
		if err != nil || !bytes.Equal(got, append(bytes.Clone(prefix), plain...)) {
			t.Errorf("AppendOpen: got %x, %v, want %x after %x", got, err, plain, prefix)
		}
		if got, err := key.Open(sealed, ad); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("Open: got %x, %v, want %x", got, err, plain)
		}
		if got, err := s.AppendOpen(nil, key.Seal(plain, ad), ad); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("AppendOpen of Seal: got %x, %v, want %x", got, err, plain)
		}
		if bytes.Equal(key.Seal(plain, ad), key.Seal(plain, ad)) {
			t.Error("one nonce twice")
		}
	})
}

// Every changed byte, every cut, another key, another place: nothing opens, and nothing of the plaintext comes back.
func TestOpenRejects(t *testing.T) {
	key, other := SealKey{1}, SealKey{2}
	plain, ad := []byte("a body bundle"), []byte("eokm.example/known/1\n0\nbody\n17")
	sealed := key.Seal(plain, ad)
	reject := func(what string, k SealKey, sealed, ad []byte) {
		t.Helper()
		if got, err := k.Open(sealed, ad); !errors.Is(err, errOpen) || got != nil {
			t.Errorf("%s: got %q, %v, want %q", what, got, err, errOpen)
		}
	}
	for i := range sealed {
		for c := 1; c < 256; c++ {
			b := bytes.Clone(sealed)
			b[i] ^= byte(c)
			reject("changed byte", key, b, ad)
		}
		reject("cut", key, sealed[:i], ad)
		reject("cut in front", key, sealed[i+1:], ad)
	}
	for i := range ad {
		b := bytes.Clone(ad)
		b[i] ^= 1
		reject("another place", key, sealed, b)
	}
	reject("no place", key, sealed, nil)
	reject("another key", other, sealed, ad)
	reject("longer", key, append(bytes.Clone(sealed), 0), ad)
}

// The store seals and opens a value for every bundle: with room in dst that costs no memory.
func TestSealerAllocates(t *testing.T) {
	s := SealKey{1}.Sealer()
	plain, ad := make([]byte, 4096), []byte("eokm.example/known/1\n0\nbody\n17")
	box, out := make([]byte, 0, 8192), make([]byte, 0, 8192)
	if got := testing.AllocsPerRun(100, func() { box = s.AppendSeal(box[:0], plain, ad) }); got > 0 {
		t.Errorf("AppendSeal: got %v allocations, want none", got)
	}
	if got := testing.AllocsPerRun(100, func() { out, _ = s.AppendOpen(out[:0], box, ad) }); got > 0 {
		t.Errorf("AppendOpen: got %v allocations, want none", got)
	}
}

// Bytes that nobody sealed don't open, however they are cut into value and place.
func FuzzSealerOpen(f *testing.F) {
	s := SealKey{1}.Sealer()
	f.Fuzz(func(t *testing.T, sealed, ad []byte) {
		if got, err := s.AppendOpen(nil, sealed, ad); err == nil {
			// The corpus holds one value that was sealed with this key, for the place "place".
			if string(got) != "sealed" || string(ad) != "place" {
				t.Errorf("got %q for place %q", got, ad)
			}
		}
	})
}

func BenchmarkSealer(b *testing.B) {
	s := SealKey{1}.Sealer()
	plain, ad := make([]byte, 64<<10), []byte("eokm.example/known/1\n0\nbody\n17")
	box := s.AppendSeal(nil, plain, ad)
	out := make([]byte, 0, len(box))
	b.Run("seal", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			box = s.AppendSeal(box[:0], plain, ad)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			out, _ = s.AppendOpen(out[:0], box, ad)
		}
	})
}
