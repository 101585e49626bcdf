package feed

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

func TestPartPath(t *testing.T) {
	for _, tt := range []struct {
		part Part
		want string
	}{
		{Part{PartTile, 0, 0, 256}, "tile/0/000"},
		{Part{PartTile, 1, 1234067, 256}, "tile/1/x001/x234/067"}, // the example of C2SP tlog-tiles
		{Part{PartTile, 0, 1234067, 8}, "tile/0/x001/x234/067.p/8"},
		{Part{PartTile, 5, 0, 1}, "tile/5/000.p/1"},
		{Part{PartTile, 0, 1000, 255}, "tile/0/x001/000.p/255"},
		{Part{PartEntries, 0, 273, 112}, "tile/entries/273.p/112"},
		{Part{PartEntries, 0, 4294967295, 256}, "tile/entries/x004/x294/x967/295"},
		{Part{PartBody, 0, 0, 1}, "body/000.p/1"},
		{Part{PartBody, 0, 999999, 256}, "body/x999/999"},
	} {
		if got := tt.part.Path(); got != tt.want {
			t.Errorf("path of %+v: got %q, want %q", tt.part, got, tt.want)
		}
		if got, err := ParsePartPath(tt.want); err != nil || got != tt.part {
			t.Errorf("parse %q: got %+v, %v, want %+v", tt.want, got, err, tt.part)
		}
		// One spelling a part: no changed path may name the same part.
		mangleAll([]byte(tt.want), func(what string, changed []byte) {
			if got, err := ParsePartPath(string(changed)); err == nil && (got == tt.part || got.Path() != string(changed)) && string(changed) != tt.want {
				t.Errorf("%q with %s: got %+v, of another spelling", tt.want, what, got)
			}
		})
	}
}

func TestParsePartPathRefuses(t *testing.T) {
	for _, path := range []string{
		"", "tile", "tile/", "body/", "body", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000/000", "tile/0/001/000",
		"tile/0/x001", "tile/0/x001/", "tile/0/000/", "/tile/0/000", "tile//0/000", "tile/6/000", "tile/63/000", "tile/00/000", "tile/-1/000",
		"tile/data/000", "tile/8/0/000", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/+1",
		"tile/0/000.p/1/", "tile/0/000.p/1.p/1", "tile/0/000.P/1", "tile/0/ 00", "tile/0/0x0", "tile/0/-01", "tile/0/../000", "body/../checkpoint",
		"tile/entries", "tile/entries/", "tile/entries/0/000", "TILE/0/000", "tile/0/000\x00", "tile/0/٠٠٠", "tile/0/x999/x999/x999/x999/x999/x999/999",
		"tile/5/001", "tile/1/x016/x777/217", strings.Repeat("x", 65),
	} {
		if got, err := ParsePartPath(path); err == nil {
			t.Errorf("parse %q: got %+v, want an error", path, got)
		}
	}
}

// TestPartPathIsTlogs compares our paths with x/mod's, which has the height in them.
func TestPartPathIsTlogs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := rapid.IntRange(0, maxLevels-1).Draw(t, "level")
		n := rapid.Uint64Range(0, MaxSize>>(tileBits*(level+1))).Draw(t, "n")
		width := rapid.IntRange(1, TileWidth).Draw(t, "width")
		want := strings.Replace(tlog.Tile{H: 8, L: level, N: int64(n), W: width}.Path(), "tile/8/", "tile/", 1)
		if got := TilePath(level, n, width); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		for _, p := range []Part{{PartTile, level, n, width}, {PartEntries, 0, n, width}, {PartBody, 0, n, width}} {
			if got, err := ParsePartPath(p.Path()); err != nil || got != p {
				t.Fatalf("parse %q: got %+v, %v, want %+v", p.Path(), got, err, p)
			}
		}
	})
}

// TestPartWidth compares the tiles of a tree with x/mod's list of them, at all small sizes and around each edge.
func TestPartWidth(t *testing.T) {
	sizes := []uint64{70_000}
	for size := range uint64(600) {
		sizes = append(sizes, size)
	}
	for _, edge := range []uint64{1 << 16, 1 << 17, 1<<16 + 1<<8} {
		sizes = append(sizes, edge-1, edge, edge+1)
	}
	for _, size := range sizes {
		want := map[string]bool{}
		for _, tile := range tlog.NewTiles(8, 0, int64(size)) {
			want[TilePath(tile.L, uint64(tile.N), tile.W)] = true
		}
		got := 0
		for level := range maxLevels {
			n := uint64(0)
			for ; partWidth(size, level, n) > 0; n++ {
				if path := TilePath(level, n, partWidth(size, level, n)); !want[path] {
					t.Errorf("size %d: got tile %s, which it doesn't have", size, path)
				}
				got++
			}
			if level == 0 && n != Bundles(size) {
				t.Errorf("size %d: got %d bundles, want %d", size, Bundles(size), n)
			}
		}
		if got != len(want) {
			t.Errorf("size %d: got %d tiles, want %d", size, got, len(want))
		}
	}
	// The example of C2SP tlog-tiles.
	for _, tt := range []struct {
		level int
		n     uint64
		want  int
	}{{0, 272, 256}, {0, 273, 112}, {0, 274, 0}, {1, 0, 256}, {1, 1, 17}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}, {3, 0, 0}} {
		if got := partWidth(70_000, tt.level, tt.n); got != tt.want {
			t.Errorf("size 70,000, tile %d/%d: got width %d, want %d", tt.level, tt.n, got, tt.want)
		}
	}
	if got, want := partWidth(MaxSize, 5, 0), 1; got != want {
		t.Errorf("the largest tree: got width %d at level 5, want %d", got, want)
	}
}

func FuzzParsePartPath(f *testing.F) {
	f.Fuzz(func(t *testing.T, path string) {
		p, err := ParsePartPath(path)
		if err != nil {
			return
		}
		if p.Path() != path {
			t.Errorf("%q: got a part whose path is %q", path, p.Path())
		}
		if p.Width < 1 || p.Width > TileWidth || p.Level < 0 || p.Level >= maxLevels || p.N > MaxSize {
			t.Errorf("%q: got %+v, out of range", path, p)
		}
	})
}
