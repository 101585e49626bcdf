// Package match finds the records that a hash matches, exactly or within a distance.
//
// # Words
//
// A value is the bytes of a hash of some kind ([Alg]). An item holds values, and a
// value may be held by many items, of several publishers. A hit is an item that
// holds a value near enough to the one asked for. An item is an [ID] here, a number
// of the caller's choice.
//
// # Example
//
//	t := match.New(match.Options{})
//	defer t.Close()
//	err := t.Add(match.PDQ, hash, 17)             // item 17 is listed
//	…
//	hits, truncated, err := t.Lookup(hits[:0], match.PDQ, query, 31)
//	for _, h := range hits {                      // nearest first
//		fmt.Println(h.ID, h.Distance)
//	}
//	err = t.Remove(match.PDQ, hash, 17)           // and retracted
//
// # What holds
//
//   - A lookup finds every item within the distance (exact recall). The one exception
//     is more than 4096 items: then it returns the nearest and says so.
//   - A hit of PDQ and PhotoDNA is true. One of MD5, SHA1 and SHA256 is a candidate, which
//     the caller confirms against the record: see Lookup.
//   - What has been added is found by the next lookup, what has been removed isn't.
//   - Lookups take no lock, and wait for no writer and no merge.
//   - A lookup costs at most some two readings of its table, whatever the values are; of
//     exact kinds a cache line or two.
//
// # How
//
// Kinds that are compared for equality only have tables of lines, without the values
// (exact.go), and a filter of what isn't in them (filter.go). A table of the others is a list of rows, each a value and its holders (rows.go, holders.go). It
// is append-only, so that everything else is numbers of rows. A keyed hash table
// finds the row of a value (slots.go): that is an exact lookup. For PDQ an immutable
// segment (segment.go) indexes a range of rows, whose bits are spread (spread.go); newer rows, the delta, are scanned,
// until the merger (merge.go) indexes them too. PhotoDNA is always scanned, a third of
// each value first (photodna.go). A value that nobody holds any longer
// keeps its row until the merger rebuilds the table without it.
//
// # What it doesn't do
//
// It knows nothing of feeds, records and policy, and keeps nothing on disk. PhotoDNA
// hashes are compared, never computed. The time of a lookup depends on what is listed:
// who can time lookups can tell a listed value from another.
package match

import (
	"errors"
	"fmt"
)

// An Alg says which kind of hash a value is. The numbers are those of the wire
// format.
type Alg uint8

// The kinds of hash that can be looked up.
const (
	MD5      Alg = 1
	SHA1     Alg = 2
	SHA256   Alg = 3
	PDQ      Alg = 4 // of the picture shrunk to 512×512 first
	PDQFull  Alg = 5 // of the full picture
	PhotoDNA Alg = 6
)

const algs = int(PhotoDNA) + 1 // length of an array indexed by Alg

var algSizes = [algs]int{MD5: 16, SHA1: 20, SHA256: 32, PDQ: 32, PDQFull: 32, PhotoDNA: 144}

// Size returns the length in bytes of a value of this kind, 0 for an unknown kind.
func (a Alg) Size() int {
	if int(a) >= algs {
		return 0
	}
	return algSizes[a]
}

// exact reports whether values of this kind are compared for equality only.
func (a Alg) exact() bool { return a <= SHA256 }

// near reports whether values of this kind are compared by Hamming distance.
func (a Alg) near() bool { return a == PDQ || a == PDQFull }

// An ID is what the caller wants back from a lookup: it names one item of one
// feed, and means nothing to this package. At most 2^40-1.
type ID uint64

// An Entry says that the item ID holds the hash Value.
type Entry struct {
	Alg   Alg
	Value []byte // Alg.Size() bytes; copied
	ID    ID
}

// A Hit is one item that holds a hash within the distance asked for.
type Hit struct {
	ID       ID
	Alg      Alg
	Distance int // of the nearest hash that the item holds: bits, or the sum of squares of PhotoDNA; 0 for exact kinds
}

// Options tune the tables. The zero value is right for everything but tests.
type Options struct {
	// DeltaRows is how many PDQ values may wait, scanned by every lookup, before
	// they are indexed in the background. Default 4096.
	DeltaRows int
	// CompactRows is how many values without a holder a table keeps at least
	// before it is rebuilt without them. Default 65,536.
	CompactRows int
	// MaxHits lowers the number of hits of one lookup. Default, and at most, 4096.
	MaxHits int

	hashBlind uint64 // bits that the hash of the exact kinds has lost: tests want collisions
}

var (
	errAlg      = errors.New("unknown kind of hash")
	errID       = errors.New("id beyond 2^40-1")
	errDistance = errors.New("distance out of range")
	errFull     = errors.New("table is full")
	errClosed   = errors.New("tables are closed")
)

// check reports what is wrong with a value, before any table is touched.
func check(alg Alg, value []byte) error {
	size := alg.Size()
	if size == 0 {
		return fmt.Errorf("match: kind %d: %w", alg, errAlg)
	}
	if len(value) != size {
		return fmt.Errorf("match: kind %d: value of %d bytes, want %d", alg, len(value), size)
	}
	return nil
}
