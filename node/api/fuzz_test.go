package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"hashfeed/feed"
)

// FuzzMatchJSON holds the scanner to what encoding/json makes of the same bytes.
func FuzzMatchJSON(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		var got question
		err := got.parse(body)
		var want matchRequest
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		wantErr := d.Decode(&want)
		if wantErr == nil {
			_, more := d.Token()
			if more != io.EOF {
				wantErr = more
			}
		}
		if err != nil {
			return // stricter it may be
		}
		if wantErr != nil {
			t.Fatalf("got %+v, encoding/json refuses it: %v", got, wantErr)
		}
		hashes := []string{}
		for _, text := range got.hashes {
			hashes = append(hashes, string(text))
		}
		if !slices.Equal(hashes, want.Hashes) || got.partial != want.Partial || got.oneFile != want.OneFile || got.ref != want.Ref {
			t.Fatalf("got %+v, encoding/json has %+v", got, want)
		}
		// What it took is taken again in the form that encoding/json writes.
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.parse(text); err != nil || len(got.hashes) != len(hashes) {
			t.Fatalf("%s: got %+v, %v", text, got, err)
		}
	})
}

// FuzzMatchLines: a line in is a line out, whatever the pieces in which it comes.
func FuzzMatchLines(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(r io.Reader, quoted, live bool) (good []bool, hashes []feed.Hash) {
			in := bufio.NewReaderSize(r, matchBuffer)
			var c lineChunk
			for {
				more, err := c.read(in, quoted, live)
				if err != nil {
					t.Fatal(err)
				}
				if c.lines() > matchChunk {
					t.Fatalf("a chunk of %d lines", c.lines())
				}
				first := len(good)
				for range c.lines() {
					good = append(good, true)
				}
				for _, bad := range c.bad {
					good[first+bad.line] = false
				}
				hashes = append(hashes, c.hashes.List()...)
				if !more {
					return good, hashes
				}
			}
		}
		good, hashes := read(bytes.NewReader(body), false, true)
		lines := strings.Split(string(body), "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		if len(good) != len(lines) {
			t.Fatalf("got %d answers to %d lines", len(good), len(lines))
		}
		n := 0
		for i, line := range lines {
			h, err := feed.ParseHash(strings.TrimSuffix(line, "\r"))
			if (err == nil) != good[i] {
				t.Fatalf("line %d %q: got %v, want %v", i, line, good[i], err)
			}
			if err == nil {
				if hashes[n] != h {
					t.Fatalf("line %d: got %v, want %v", i, hashes[n], h)
				}
				n++
			}
		}
		for _, live := range []bool{false, true} {
			slowGood, slowHashes := read(iotest.OneByteReader(bytes.NewReader(body)), false, live)
			if !slices.Equal(slowGood, good) || !slices.Equal(slowHashes, hashes) {
				t.Fatal("byte by byte the answers differ")
			}
		}
		// Where lines may be JSON strings, what is a hash without is the same one.
		quotedGood, _ := read(bytes.NewReader(body), true, false)
		for i, line := range lines {
			var text string
			if json.Unmarshal([]byte(line), &text) != nil || strings.TrimSpace(line)[0] != '"' {
				text = strings.TrimSuffix(line, "\r")
			}
			if _, err := feed.ParseHash(text); (err == nil) != quotedGood[i] {
				t.Fatalf("line %d %q as JSON: got %v, want %v", i, line, quotedGood[i], err)
			}
		}
	})
}

// FuzzMatchOctets: digests put end to end give the body again.
func FuzzMatchOctets(f *testing.F) {
	f.Fuzz(func(t *testing.T, alg string, body []byte, chunked bool) {
		length := int64(len(body))
		if chunked {
			length = -1
		}
		d, err := newDigestReader(iotest.HalfReader(bytes.NewReader(body)), alg, length)
		var all []byte
		for err == nil {
			var hashes *feed.Hashes
			hashes, err = d.read()
			if err != nil || hashes.Len() == 0 {
				break
			}
			for _, h := range hashes.List() {
				if h.Alg.String() != alg || len(h.Value) != h.Alg.Size() {
					t.Fatalf("got %v", h)
				}
				if again, err := feed.ParseHash(h.Text()); err != nil || again != h {
					t.Fatalf("%s: got %v, %v", h.Text(), again, err)
				}
				all = append(all, h.Value...)
			}
		}
		known, algErr := feed.ParseAlg(alg)
		wantErr := algErr != nil || known.Size() == 0 || len(body)%known.Size() != 0
		if (err != nil) != wantErr {
			t.Fatalf("%s, %d bytes: got error %v, want one: %v", alg, len(body), err, wantErr)
		}
		if err == nil && !bytes.Equal(all, body) {
			t.Fatalf("got %x, want %x", all, body)
		}
	})
}
