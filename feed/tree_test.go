package feed

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// TestTree compares the root of every small tree, and of some larger ones, with those that two other implementations compute.
func TestTree(t *testing.T) {
	var tree Tree
	other := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	third := &testTree{}
	for size := range uint64(70_001) {
		if size <= 600 || size%256 <= 1 || size%256 == 255 || size == 70_000 {
			root := tree.Root()
			want, err := other.GetRootHash(nil)
			if err != nil {
				t.Fatal(err)
			}
			if size == 0 {
				want = rfc6962.DefaultHasher.EmptyRoot()
			}
			if root != Digest(want) {
				t.Fatalf("root at %d: got %x, transparency-dev/merkle has %x", size, root, want)
			}
			if size <= 600 {
				if want := third.root(t, int(size)); root != want {
					t.Fatalf("root at %d: got %x, x/mod has %x", size, root, want)
				}
			}
			if tree.Size() != size {
				t.Fatalf("got size %d, want %d", tree.Size(), size)
			}
			again, err := NewTree(size, tree.Hashes())
			if err != nil || again != tree {
				t.Fatalf("size %d: restored tree isn't equal, %v", size, err)
			}
		}
		leaf := fmt.Appendf(nil, "leaf %d", size)
		tree.Append(LeafHash(leaf))
		if err := other.Append(rfc6962.DefaultHasher.HashLeaf(leaf), nil); err != nil {
			t.Fatal(err)
		}
		if size <= 600 {
			third.append(t, leaf, nil)
		}
	}
}

// TestTreeIsValue: a copy and its origin grow apart.
func TestTreeIsValue(t *testing.T) {
	var a Tree
	for i := range 7 {
		a.Append(Digest{byte(i)})
	}
	root := a.Root()
	b := a
	b.Append(Digest{9})
	b.Append(Digest{9})
	if a.Root() != root || a.Size() != 7 {
		t.Errorf("got size %d and another root, want the tree as it was", a.Size())
	}
	hashes := a.Hashes()
	hashes[0] = Digest{}
	if a.Root() != root {
		t.Error("writing to Hashes changed the tree")
	}
}

func TestNewTreeRefuses(t *testing.T) {
	for _, tt := range []struct {
		size   uint64
		hashes int
	}{{0, 1}, {1, 0}, {1, 2}, {3, 1}, {MaxSize, 2}, {MaxSize + 1, 2}, {1<<64 - 1, 64}} {
		if _, err := NewTree(tt.size, make([]Digest, tt.hashes)); err == nil {
			t.Errorf("size %d with %d hashes: got no error, want one", tt.size, tt.hashes)
		}
	}
	tree, err := NewTree(MaxSize, make([]Digest, 1))
	if err != nil || tree.Root() != (Digest{}) {
		t.Errorf("the largest tree: got %v, want its one hash as its root", err)
	}
	tree, err = NewTree(MaxSize-1, make([]Digest, 40))
	if tree.Append(Digest{}); err != nil || tree.Size() != MaxSize {
		t.Errorf("the largest tree but one: got size %d after one more, %v", tree.Size(), err)
	}
}

// TestTreeAnyOrder: a tree restored at any size goes on like one that was never put down.
func TestTreeAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 300), 1, 8).Draw(t, "steps")
		var whole, parts Tree
		for _, n := range steps {
			var err error
			if parts, err = NewTree(parts.Size(), parts.Hashes()); err != nil {
				t.Fatal(err)
			}
			for range n {
				leaf := sha256.Sum256(fmt.Append(nil, whole.Size()))
				whole.Append(leaf)
				parts.Append(leaf)
			}
		}
		if whole != parts {
			t.Fatalf("sizes %v: got another tree", steps)
		}
	})
}

// TestFrontier: the tiles of a tree's right edge hold its frontier.
func TestFrontier(t *testing.T) {
	l := &memoryLog{}
	for size := range 700 {
		var frontier []Digest
		for level := maxLevels - 1; level >= 0; level-- {
			n := uint64(size) >> (tileBits * level)
			var partial []Digest
			if n%TileWidth > 0 {
				data, err := l.part(Part{PartTile, level, n / TileWidth, int(n % TileWidth)})
				if err != nil {
					t.Fatal(err)
				}
				if partial, err = splitTile(data, int(n%TileWidth)); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := frontierOf(nil, partial), l.tree.level(level); !slices.Equal(got, want) {
				t.Fatalf("size %d, level %d: got %x, want %x", size, level, got, want)
			}
			frontier = frontierOf(frontier, partial)
		}
		if !slices.Equal(frontier, l.tree.Hashes()) {
			t.Fatalf("size %d: got %x, want %x", size, frontier, l.tree.Hashes())
		}
		head := fmt.Append(nil, size)
		l.append(t, head, nil)
		l.tree.Append(LeafHash(head))
	}
}

// TestSubtreeHash: a full tile's hash is the root of its hashes.
func TestSubtreeHash(t *testing.T) {
	var tree Tree
	hashes := make([]Digest, TileWidth)
	for i := range hashes {
		hashes[i] = sha256.Sum256([]byte{byte(i)})
		tree.Append(hashes[i])
		if n := i + 1; n&(n-1) == 0 {
			if got, want := subtreeHash(slices.Clone(hashes[:n])), tree.Root(); got != want {
				t.Errorf("%d hashes: got %x, want %x", n, got, want)
			}
		}
	}
	if got := tlog.NodeHash(tlog.Hash(hashes[0]), tlog.Hash(hashes[1])); Digest(got) != Digest(rfc6962.DefaultHasher.HashChildren(hashes[0][:], hashes[1][:])) {
		t.Error("x/mod and transparency-dev/merkle hash a node in two ways")
	}
}
