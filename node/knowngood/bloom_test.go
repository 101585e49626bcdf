package knowngood

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"hashfeed/feed"
)

// bloomFile is what testdata/bloom.py wrote.
func bloomFile(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/hashlookup.bloom")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// writeBloom writes a filter to a file of its own.
func writeBloom(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.bloom")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBloom asks the filter of bloom.py for what is in it, and for what isn't.
func TestBloom(t *testing.T) {
	b, err := OpenBloom("testdata/hashlookup.bloom")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		kind := 0
		if i >= 40 {
			kind++
		}
		if i >= 80 {
			kind++
		}
		for k, h := range exactHashes(fmt.Appendf(nil, "hashfeed bloom %d\n", i)) {
			if got, want := b.Has(h), k == kind; got != want {
				t.Errorf("key %d by its %s: got %v, want %v", i, h.Alg, got, want)
			}
		}
	}
	wrong := 0
	for i := range 100_000 {
		if b.Has(exactHashes(fmt.Append(nil, i))[i%3]) {
			wrong++
		}
	}
	if wrong > 3 {
		t.Errorf("of 100,000 files that it hasn't, it has %d: it promises one in a million", wrong)
	}
	for _, h := range []feed.Hash{{}, {Alg: feed.PDQ, Value: strings.Repeat("x", 32)}, {Alg: feed.PhotoDNA, Value: strings.Repeat("x", 144)}} {
		if b.Has(h) {
			t.Errorf("it has %s", h.Short())
		}
	}
	runtime.KeepAlive(b)
}

// TestBloomRefused says where each thing is wrong.
func TestBloomRefused(t *testing.T) {
	good := bloomFile(t)
	word := func(at int, v uint64) []byte {
		b := append([]byte{}, good...)
		binary.LittleEndian.PutUint64(b[at:], v)
		return b
	}
	full := append([]byte{}, good...)
	for i := bloomHeader; i < len(full); i++ {
		full[i] = 0xff
	}
	m := binary.LittleEndian.Uint64(good[32:])
	if m%64 == 0 {
		t.Fatal("the file's last word is full")
	}
	beyond := append([]byte{}, good...)
	beyond[len(beyond)-1] |= 0x80
	for _, c := range []struct {
		name   string
		data   []byte
		offset int64
	}{
		{"empty", nil, 0},
		{"half a header", good[:20], 20},
		{"cut off", good[:len(good)-1], int64(len(good) - 1)},
		{"only a header", good[:bloomHeader], bloomHeader},
		{"version 2", word(0, 2), 0},
		{"gzip", append([]byte{0x1f, 0x8b}, good...), 0},
		{"no keys", word(8, 0), 8},
		{"p = 0", word(16, 0), 16},
		{"p negative", word(16, math.Float64bits(-0.001)), 16},
		{"p = 1/2", word(16, math.Float64bits(0.5)), 16},
		{"p no number", word(16, math.Float64bits(math.NaN())), 16},
		{"no functions", word(24, 0), 24},
		{"65 functions", word(24, 65), 24},
		{"no bits", word(32, 0), 32},
		{"more bits than fit a file", word(32, 8*MaxBloomBytes+1), 32},
		{"bits near 2^64", word(32, math.MaxUint64), 32},
		{"more bits than there are", word(32, m+64), int64(len(good))},
		{"more keys than it was made for", word(40, 101), 40},
		{"all bits", full, bloomHeader},
		{"a bit beyond the last", beyond, int64(len(good) - 8)},
	} {
		b, err := OpenBloom(writeBloom(t, c.data))
		var e *BloomError
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, %v, want a BloomError", c.name, b, err)
			continue
		}
		if e.Offset != c.offset || !strings.Contains(err.Error(), fmt.Sprintf("byte %d: ", c.offset)) {
			t.Errorf("%s: got %v, want byte %d", c.name, err, c.offset)
		}
	}
	if _, err := OpenBloom(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	if _, err := OpenBloom(t.TempDir()); err == nil {
		t.Error("a folder is taken for a filter")
	}
	// What follows the bits is the maker's own.
	if _, err := OpenBloom(writeBloom(t, append(append([]byte{}, good...), "data"...))); err != nil {
		t.Errorf("with data behind: %v", err)
	}
}

// TestBloomCutShort takes the file away below a mapped filter: it has nothing more, and the process lives.
func TestBloomCutShort(t *testing.T) {
	good := bloomFile(t)
	big := append([]byte{}, good...)
	binary.LittleEndian.PutUint64(big[32:], 64*1024*8+1) // more than the page of the header
	big = append(big, make([]byte, 64*1024+8)...)
	for i := bloomHeader; i < 8192; i++ {
		big[i] = 0
	}
	path := writeBloom(t, big)
	b, err := OpenBloom(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if b.Has(exactHashes(fmt.Append(nil, i))[0]) {
			t.Error("a filter without a file has something")
		}
	}
	if runtime.GOOS == "linux" && !b.Faulted() {
		t.Error("nobody was told that the file is gone")
	}
}

// FuzzOpenBloom takes a file, and a size that it might have been of.
func FuzzOpenBloom(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		b, err := parseBloom("f", data[:min(bloomHeader, len(data))], size)
		var e *BloomError
		switch {
		case err != nil && (!errors.As(err, &e) || e.Offset < 0):
			t.Errorf("got %v, want a BloomError with an offset", err)
		case err == nil && (bloomHeader+int64((b.m-1)/8) >= size || size > MaxBloomBytes || b.k > maxBloomHashes || b.m == 0):
			// Whatever is accepted can be asked for any key without leaving the file.
			t.Errorf("took k = %d, m = %d for a file of %d bytes", b.k, b.m, size)
		}
		b, err = OpenBloom(writeBloom(t, data))
		if err != nil {
			if !errors.As(err, &e) {
				t.Errorf("got %v, want a BloomError", err)
			}
			return
		}
		for _, h := range exactHashes(data) {
			b.Has(h)
		}
		if b.Faulted() {
			t.Error("a lookup left the file")
		}
	})
}
