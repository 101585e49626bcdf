package feed

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBundle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 40), 1, TileWidth).Draw(t, "items")
		data, err := AppendBundle([]byte("before"), items)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.TrimPrefix(data, []byte("before"))
		got, err := SplitBundle(data, len(items))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, items, bytes.Equal) {
			t.Fatalf("got %x, want %x", got, items)
		}
		if len(items) < TileWidth {
			if got, err := SplitBundle(data, len(items)+1); err == nil {
				t.Fatalf("split as one more: got %x, want an error", got)
			}
		}
		if got, err := SplitBundle(append(slices.Clone(data), 0), len(items)); err == nil {
			t.Fatalf("split with a byte behind: got %x, want an error", got)
		}
		if cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut"); true {
			if got, err := SplitBundle(data[:cut], len(items)); err == nil {
				t.Fatalf("split when cut at %d: got %x, want an error", cut, got)
			}
		}
	})
}

// TestBundleForm pins the bytes.
func TestBundleForm(t *testing.T) {
	got, err := AppendBundle(nil, [][]byte{[]byte("a"), nil, []byte(strings.Repeat("b", 258))})
	if want := "\x00\x01a\x00\x00\x01\x02" + strings.Repeat("b", 258); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := AppendBundle(nil, [][]byte{make([]byte, MaxItemBytes)}); err != nil {
		t.Errorf("an item of %d bytes: got %v, want no error", MaxItemBytes, err)
	}
	if _, err := AppendBundle(nil, [][]byte{make([]byte, MaxItemBytes+1)}); err == nil {
		t.Errorf("an item of %d bytes: got no error, want one", MaxItemBytes+1)
	}
}

// TestSplitBundleOwns: appending to an item must not reach into the next.
func TestSplitBundleOwns(t *testing.T) {
	data := []byte("\x00\x01a\x00\x01b")
	items, err := SplitBundle(data, 2)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(items[0], 'X', 'X', 'X')
	if string(items[1]) != "b" {
		t.Errorf("got %q, want %q", items[1], "b")
	}
}

func TestSplitBundleWidth(t *testing.T) {
	for _, width := range []int{-1, 0, TileWidth + 1, 1 << 40} {
		if _, err := SplitBundle(nil, width); err == nil {
			t.Errorf("width %d: got no error, want one", width)
		}
	}
}

func FuzzSplitBundle(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		items, err := SplitBundle(data, width)
		if err != nil {
			return
		}
		if len(items) != width {
			t.Fatalf("got %d items, want %d", len(items), width)
		}
		again, err := AppendBundle(nil, items)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("got %x, %v, want %x", again, err, data)
		}
	})
}
