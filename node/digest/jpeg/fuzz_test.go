package jpeg

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// agree returns an error if what image/jpeg decodes and what it refuses isn't the
// same here, or the samples aren't, but where the decoder says that it left a part unread, or
// that it leaves the file to others.
func agree(file []byte) error {
	got, d, err := read(file)
	if errors.Is(err, ErrVariant) || d.unread || d.uncommon || d.framed && int64(d.width)*int64(d.height) > manyPixels {
		return nil
	}
	want, standardErr := standard(file)
	if (err == nil) != (standardErr == nil) {
		return fmt.Errorf("got %v, image/jpeg %v", err, standardErr)
	}
	if err != nil {
		return nil
	}
	return compare(got, want, true)
}

// FuzzLuma: no bytes make a panic, and image/jpeg agrees.
func FuzzLuma(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<16 {
			return
		}
		if err := agree(file); err != nil {
			t.Error(err)
		}
	})
}

// FuzzLuma's corpus, with some bytes other than they were.
func TestMangled(t *testing.T) {
	seeds, err := filepath.Glob("testdata/fuzz/FuzzLuma/*")
	if err != nil || len(seeds) == 0 {
		t.Fatalf("got %d seeds, %v", len(seeds), err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, seed := range seeds {
		text, err := os.ReadFile(seed)
		if err != nil {
			t.Fatal(err)
		}
		_, quoted, _ := strings.Cut(strings.TrimSuffix(string(text), ")\n"), "[]byte(")
		file, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", seed, err)
		}
		for range 300 {
			b := []byte(file)
			for range 1 + rng.IntN(3) {
				b[rng.IntN(len(b))] = byte(rng.Uint32())
			}
			if err := agree(b); err != nil {
				t.Fatalf("%s, mangled: %v: %q", filepath.Base(seed), err, b)
			}
		}
	}
}
