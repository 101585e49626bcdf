package feed

import (
	"bytes"
	"testing"
)

// BenchmarkHashesParse is a sha256 as it is typed.
func BenchmarkHashesParse(b *testing.B) {
	text := bytes.Repeat([]byte("0123456789abcdef"), 4)
	var s Hashes
	for b.Loop() {
		if s.Len() == 1024 {
			s.Clear()
		}
		if err := s.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
