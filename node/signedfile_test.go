package node

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hashfeed/crypto"
	"hashfeed/feed"
)

func TestSignedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "bob.signed")
	key := crypto.NewKeyFromSeed("a.example/known/1", crypto.TypeSignature, [32]byte{1}).Public()
	anchor := feed.Anchor{1}
	words := feed.Words{{Kind: feed.WordSigned, Head: feed.Pledge{Size: 3, Root: feed.Digest{3}}},
		{Kind: feed.WordNever, Head: feed.Pledge{Size: 4, Root: feed.Digest{4}}},
		{Kind: feed.WordReleased, Head: feed.Pledge{Size: 3, Root: feed.Digest{3}}}}
	open := func() *signedFile {
		t.Helper()
		s, err := openSigned(path, key, anchor)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	if _, err := openSigned(path, key, anchor); err == nil || !strings.Contains(err.Error(), "another command") {
		t.Errorf("opened twice: got %v, want an error", err)
	}
	for i, w := range words {
		if err := s.add(feed.Words{w}, int64(100+i)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
	s = open()
	if !slices.Equal(s.words, words) {
		t.Errorf("got %v, want %v", s.words, words)
	}
	s.Close()
	for what, try := range map[string]func() (*signedFile, error){
		"another key": func() (*signedFile, error) { k := key; k.Key[0] ^= 1; return openSigned(path, k, anchor) },
		"another log": func() (*signedFile, error) {
			k := key
			k.Name = "a.example/known/2"
			return openSigned(path, k, anchor)
		},
		"another anchor": func() (*signedFile, error) { return openSigned(path, key, feed.Anchor{2}) },
	} {
		if s, err := try(); err == nil {
			t.Errorf("%s: got %v, want an error", what, s.words)
		}
	}

	// A line that a crash cut off is gone; what stood before it stays, and the next goes where it was.
	header := len(signedHeader(key, anchor))
	for n := 0; n < len(good); n += 7 { // 7 divides no line: every kind of cut comes up
		if err := os.WriteFile(path, good[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open()
		want := max(0, bytes.Count(good[:n], []byte("\n"))-bytes.Count(good[:header], []byte("\n")))
		if !slices.Equal(s.words, words[:want]) {
			t.Fatalf("cut at %d: got %v, want the first %d", n, s.words, want)
		}
		if err := s.add(words[want:], 100); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if s = open(); !slices.Equal(s.words, words) {
			t.Fatalf("cut at %d and written again: got %v, want %v", n, s.words, words)
		}
		s.Close()
	}
	// Any changed byte is found. Of the last newline alone a cut is made, and the last line is gone: that is a file set back.
	for i := range good[:len(good)-1] {
		bad := slices.Clone(good)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := openSigned(path, key, anchor); err == nil {
			t.Fatalf("byte %d changed: got %v, want an error", i, s.words)
		}
	}
}

func FuzzParseSigned(f *testing.F) {
	header := signedHeader(crypto.NewKeyFromSeed("a.example/known/1", crypto.TypeSignature, [32]byte{1}).Public(), feed.Anchor{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseSigned(append([]byte(header), data...), len(header))
		if err != nil {
			return
		}
		s := &signedFile{data: []byte(header)}
		var again []byte
		for _, e := range entries {
			line := s.line(e)
			s.data, again = append(s.data, line...), append(again, line...)
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%q written again as %q", data, again)
		}
	})
}
