package knowngood

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"hashfeed/feed"
)

// Bloom is a Bloom filter in DCSO's format, as CIRCL publishes its hashlookup in: mapped read-only, so that of a gigabyte what is asked
// for is in memory. Little-endian:
//
//	byte  0  uint64   version, 1 in the lowest byte
//	byte  8  uint64   n, how many keys it was made for
//	byte 16  float64  p, how often it is wrong with so many
//	byte 24  uint64   k, hash functions
//	byte 32  uint64   m, bits
//	byte 40  uint64   N, how many keys it has
//	byte 48  uint64…  the bits, ceil(m/64) words; whatever follows is ignored
//
// A key is the upper-case hex of an md5, sha1 or sha256. h(0) is its FNV-1 of 64 bits, mod 2^64-59; h(i) = (h(i-1) × 18446744073709550147
// mod 2^64) mod 2^64-59; bit h(i) mod m is set for i from 1 to k.
//
// The file must not be changed in place: put another one beside it and rename. If it is cut short nevertheless, the filter has nothing more.
type Bloom struct {
	Path    string
	P       float64
	N       uint64
	k, m    uint64
	data    []byte // the whole file
	mapping *mapping
	faulted atomic.Bool
}

const (
	bloomHeader  = 48
	bloomPrime   = 18446744073709551557 // 2^64-59
	bloomFactor  = 18446744073709550147
	fnvOffset    = 14695981039346656037
	fnvPrime     = 1099511628211
	maxBloomFill = 0.75 // of the bits: one that is made as it should be has half of them set
)

// BloomError says where a filter's file is wrong.
type BloomError struct {
	Path   string
	Offset int64 // in bytes
	Text   string
}

func (e *BloomError) Error() string {
	return fmt.Sprintf("read Bloom filter %s: byte %d: %s", e.Path, e.Offset, e.Text)
}

// OpenBloom maps a filter's file, once it has found its header true to its size, and its bits not too many. The memory goes when nobody
// refers to the filter any more.
func OpenBloom(path string) (*Bloom, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read Bloom filter: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read Bloom filter: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read Bloom filter %s: it isn't a file", path)
	}
	var head [bloomHeader]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("read Bloom filter %s: %w", path, err)
	}
	b, err := parseBloom(path, head[:n], info.Size())
	if err != nil {
		return nil, err
	}
	m, err := mapFile(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("map Bloom filter %s: %w", path, err)
	}
	b.data, b.mapping = m.data, m
	runtime.AddCleanup(b, (*mapping).close, m)
	if err := b.sample(); err != nil {
		return nil, err
	}
	return b, nil
}

// parseBloom checks a filter's header against the size of its file.
func parseBloom(path string, head []byte, size int64) (*Bloom, error) {
	bad := func(offset int64, format string, args ...any) (*Bloom, error) {
		return nil, &BloomError{Path: path, Offset: offset, Text: fmt.Sprintf(format, args...)}
	}
	if len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b {
		return bad(0, "it is packed with gzip: unpack it")
	}
	if len(head) < bloomHeader {
		return bad(int64(len(head)), "the file ends within its header of %d bytes", bloomHeader)
	}
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(head[at:]) }
	b := &Bloom{Path: path, P: math.Float64frombits(word(16)), N: word(40), k: word(24), m: word(32)}
	n := word(8)
	switch {
	case size > MaxBloomBytes:
		return bad(MaxBloomBytes, "the file is longer than %d bytes", int64(MaxBloomBytes))
	case word(0)&0xff != 1:
		return bad(0, "version %d: want 1", word(0)&0xff)
	case n == 0:
		return bad(8, "it was made for no keys")
	case !(b.P > 0 && b.P <= maxBloomProbability):
		return bad(16, "it is wrong with probability %g: want more than 0 and at most %g", b.P, maxBloomProbability)
	case b.k < 1 || b.k > maxBloomHashes:
		return bad(24, "%d hash functions: want 1 to %d", b.k, maxBloomHashes)
	case b.m < 1 || b.m > 8*MaxBloomBytes:
		return bad(32, "%d bits: want 1 to %d", b.m, int64(8*MaxBloomBytes))
	case b.N > n:
		return bad(40, "%d keys in a filter for %d: it would be wrong more often than it says", b.N, n)
	}
	if end := bloomHeader + 8*int64((b.m+63)/64); size < end {
		return bad(size, "the file ends before its %d bits do, at byte %d", b.m, end)
	}
	return b, nil
}

// sample looks at some words of the bits. A filter that is full, by damage or on purpose, would call everything good.
func (b *Bloom) sample() error {
	words := (b.m + 63) / 64
	step := max(1, words/bloomSamples)
	set, seen := 0, 0
	for w := uint64(0); w+1 < words; w += step { // not the last, which is partly unused
		set, seen = set+bits.OnesCount64(binary.LittleEndian.Uint64(b.data[bloomHeader+8*w:])), seen+64
	}
	if seen > 0 && float64(set)/float64(seen) > maxBloomFill {
		return &BloomError{Path: b.Path, Offset: bloomHeader, Text: fmt.Sprintf("of %d bits that were looked at %d %% are set: it would call everything known good", seen, 100*set/seen)}
	}
	if used := b.m % 64; used != 0 {
		at := bloomHeader + 8*int64(words-1)
		if binary.LittleEndian.Uint64(b.data[at:])>>used != 0 {
			return &BloomError{Path: b.Path, Offset: at, Text: "bits beyond the last are set"}
		}
	}
	return nil
}

// Has tells whether the filter has a hash, which it can be only an md5, sha1 or sha256.
func (b *Bloom) Has(h feed.Hash) (has bool) {
	if !h.Alg.Exact() || b.faulted.Load() {
		return false
	}
	// Where the file was cut short behind our back, reading it is a fault of memory, which would end the process.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			b.faulted.Store(true)
			has = false
		}
	}()
	var key [64]byte
	size := hex.Encode(key[:], []byte(h.Value))
	hash := uint64(fnvOffset)
	for _, c := range key[:size] {
		if 'a' <= c && c <= 'f' {
			c -= 'a' - 'A'
		}
		hash = hash*fnvPrime ^ uint64(c)
	}
	hash %= bloomPrime
	for range b.k {
		hash = hash * bloomFactor % bloomPrime
		bit := hash % b.m
		if b.data[bloomHeader+bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// Faulted tells whether the file was cut short while it was mapped: the filter has nothing more.
func (b *Bloom) Faulted() bool { return b.faulted.Load() }
