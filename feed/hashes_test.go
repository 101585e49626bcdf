package feed

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestUnhex tries every byte at every place of eight, beside digits of every kind.
func TestUnhex(t *testing.T) {
	for _, digits := range []string{"00000000", "99999999", "aAfFAa09", "ffffffff", "F0e1D2c3"} {
		for at := range 8 {
			for c := range 256 {
				text := []byte(digits)
				text[at] = byte(c)
				want, err := hex.DecodeString(string(text))
				got, ok := appendUnhexed([]byte("x"), text)
				if ok != (err == nil) || ok && string(got) != "x"+string(want) {
					t.Fatalf("%q: got %x, %v, want %x, %v", text, got, ok, want, err)
				}
			}
		}
	}
}

// FuzzHashesParse holds Parse to ParseHash, between two others that must stay what they are.
func FuzzHashesParse(f *testing.F) {
	const some = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
	for _, text := range []string{
		"", ":", "md5:", "nonsense", some, some[:40], some[:32], some[:63], strings.ToUpper(some), "sha256:" + some, "sha1:" + some[:40], "md5:" + some[:32], "md5:" + some,
		"MD5:" + some[:32], "sha256:" + some[:63] + "g", "sha256:" + some[:62] + "\u00e9", "pdq:" + some, "pdq:" + some + ":50", "pdq:" + some + ":101",
		"photodna:" + strings.Repeat("0a", 144), "vpdq:" + some, strings.Repeat("a", maxHashText+1), some + "\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const before, after = "00112233445566778899aabbccddeeff", "sha1:00112233445566778899aabbccddeeff00112233"
		var list Hashes
		first, err, last := list.Parse([]byte(before)), list.Parse([]byte(text)), list.Parse([]byte(after))
		if first != nil || last != nil {
			t.Fatal(first, last)
		}
		var want []Hash
		for _, text := range []string{before, text, after} {
			if h, err := ParseHash(text); err == nil {
				want = append(want, h)
			}
		}
		if got := list.List(); !slices.Equal(got, want) || (err == nil) != (len(want) == 3) {
			t.Fatalf("%q: got %v, %v, want %v", text, got, err, want)
		}
	})
}

// TestHashes holds them to a list, of one kind or of many.
func TestHashes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s Hashes // is used again
	for range 500 {
		n, kinds := r.IntN(20), 1+r.IntN(3)
		list := make([]Hash, n)
		for i := range list {
			alg := MD5 + Alg(r.IntN(kinds))
			if kinds == 3 {
				alg = MD5 + Alg(r.IntN(int(PhotoDNA)))
			}
			value := make([]byte, alg.Size())
			for i := range value {
				value[i] = byte(r.Uint32())
			}
			list[i] = Hash{Alg: alg, Value: string(value)}
			if alg.Graded() {
				list[i].Quality = uint8(r.IntN(101))
			}
		}
		s.Clear()
		for _, h := range list {
			s.Add(h)
		}
		checkHashes(t, &s, list)
		checkHashes(t, HashesOf(list), list)
		if kinds == 1 {
			var values []byte
			for _, h := range list {
				values = append(values, h.Value...)
			}
			s.Fill(MD5, 0, values)
			checkHashes(t, &s, list)
			s.Add(Hash{Alg: SHA1, Value: strings.Repeat("x", 20)})
			checkHashes(t, &s, append(list, Hash{Alg: SHA1, Value: strings.Repeat("x", 20)}))
		}
	}
}

func checkHashes(t *testing.T, s *Hashes, want []Hash) {
	t.Helper()
	if got := s.List(); !slices.Equal(got, want) || s.Len() != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i, h := range want {
		if s.Alg(i) != h.Alg || string(s.Value(i)) != h.Value {
			t.Fatalf("hash %d: got %v, want %v", i, s.At(i), h)
		}
	}
	from := len(want) / 3
	to := max(from, len(want)-1)
	for alg := MD5; alg <= VPDQ; alg++ {
		var values []byte
		places := []int{7}
		for i, h := range want[from:to] {
			if h.Alg == alg {
				values, places = append(values, h.Value...), append(places, from+i)
			}
		}
		has := slices.ContainsFunc(want, func(h Hash) bool { return h.Alg == alg })
		if got, at := s.Of(alg, from, to, nil, []int{7}); !bytes.Equal(got, values) || !slices.Equal(at, places) || s.Has(alg) != has {
			t.Fatalf("%s from %d to %d of %v: got %x at %v, want %x at %v", alg, from, to, want, got, at, values, places)
		}
	}
}
