package store

import (
	"bytes"
	"testing"
)

// FuzzParseHeadFile: what is accepted is written again byte for byte. The seeds are in testdata/fuzz/FuzzParseHeadFile.
func FuzzParseHeadFile(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseHeadFile(data)
		if err != nil {
			return
		}
		if got := h.bytes(); !bytes.Equal(got, data) {
			t.Errorf("got %q, want %q", got, data)
		}
		if h.Size > h.Fetched {
			t.Errorf("size %d above what is fetched, %d", h.Size, h.Fetched)
		}
	})
}
