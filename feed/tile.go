package feed

import (
	"errors"
	"fmt"
	"strings"
)

// TileWidth is the number of hashes in a full tile, and of records in a full bundle (C2SP tlog-tiles).
const TileWidth = 256

const (
	tileBits  = 8  // log2 of TileWidth
	maxLevels = 6  // tile levels of a tree of MaxSize: 0 to 5
	hashSize  = 32 // bytes of a SHA-256
)

// A PartKind says what a [Part] holds.
type PartKind uint8

// The kinds of parts.
const (
	PartTile    PartKind = 1 + iota // hashes of the tree
	PartEntries                     // a bundle of heads
	PartBody                        // a bundle of bodies
)

// A Part is a file of a log: a tile, a bundle of heads or a bundle of bodies, as C2SP tlog-tiles numbers them. A tile of level l and number
// n holds the hashes of the subtrees of 256^l records with the numbers 256n to 256n+Width-1; bundle n holds the records of the same numbers.
type Part struct {
	Kind  PartKind
	Level int    // of a tile: 0 to 5; else 0
	N     uint64 // number within the level
	Width int    // hashes or records: 1 to 256
}

var errPartPath = errors.New("malformed path of a tile or bundle")

// Path returns the part's path below its log: "tile/0/x001/234", "tile/entries/005.p/17", "body/000".
func (p Part) Path() string {
	switch p.Kind {
	case PartEntries:
		return EntriesPath(p.N, p.Width)
	case PartBody:
		return BodyPath(p.N, p.Width)
	}
	return TilePath(p.Level, p.N, p.Width)
}

// TilePath returns the path of a tile: level 0 to 5, its number there, and its width, 1 to 256.
func TilePath(level int, n uint64, width int) string {
	return fmt.Sprintf("tile/%d/%s", level, numberPath(n, width))
}

// EntriesPath returns the path of a bundle of heads.
func EntriesPath(n uint64, width int) string { return "tile/entries/" + numberPath(n, width) }

// BodyPath returns the path of a bundle of bodies.
func BodyPath(n uint64, width int) string { return "body/" + numberPath(n, width) }

// numberPath is the C2SP form of n, in groups of three digits, and the width of what isn't full.
func numberPath(n uint64, width int) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	if width < TileWidth {
		s = fmt.Sprintf("%s.p/%d", s, width)
	}
	return s
}

// ParsePartPath reads what Path writes, and nothing else, so that a path from a peer names one part or none and never a file elsewhere.
func ParsePartPath(path string) (Part, error) {
	if len(path) > maxPartPath {
		return Part{}, fmt.Errorf("%w: %d bytes long", errPartPath, len(path))
	}
	bad := func() (Part, error) { return Part{}, fmt.Errorf("%w: %q", errPartPath, path) }
	p := Part{Width: TileWidth}
	rest, ok := strings.CutPrefix(path, "body/")
	if ok {
		p.Kind = PartBody
	} else if rest, ok = strings.CutPrefix(path, "tile/entries/"); ok {
		p.Kind = PartEntries
	} else if rest, ok = strings.CutPrefix(path, "tile/"); ok && len(rest) > 2 && '0' <= rest[0] && rest[0] < '0'+maxLevels && rest[1] == '/' {
		p.Kind, p.Level, rest = PartTile, int(rest[0]-'0'), rest[2:]
	} else {
		return bad()
	}
	if number, width, ok := strings.Cut(rest, ".p/"); ok {
		w, ok := parseNumber(width, 1, TileWidth-1)
		if !ok {
			return bad()
		}
		rest, p.Width = number, int(w)
	}
	for _, group := range strings.Split(rest, "/") {
		digits := strings.TrimPrefix(group, "x")
		if len(digits) != 3 || strings.Trim(digits, "0123456789") != "" {
			return bad()
		}
		p.N = p.N*1000 + uint64(digits[0]-'0')*100 + uint64(digits[1]-'0')*10 + uint64(digits[2]-'0')
	}
	// The canonical form is compared as a whole: leading groups of zeros and a stray x are found that way.
	if p.N > MaxSize>>(tileBits*(p.Level+1)) || p.Path() != path {
		return bad()
	}
	return p, nil
}

// partWidth returns the width that tile or bundle n of a level has in the tree of size; 0 if it has none.
func partWidth(size uint64, level int, n uint64) int {
	have := size >> (tileBits * level)
	if n >= (have+TileWidth-1)/TileWidth {
		return 0
	}
	return int(min(have-n*TileWidth, TileWidth))
}

// Bundles returns the number of bundles, and of level-0 tiles, of a tree of size, the last and partial one included.
func Bundles(size uint64) uint64 { return (size + TileWidth - 1) / TileWidth }
