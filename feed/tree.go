package feed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// maxFrontier is the number of hashes of a frontier: one for each bit of a size up to MaxSize.
const maxFrontier = 41

// A Tree is the frontier of a log: its size, and the hashes of the largest complete subtrees it is made of, which suffice to append to it
// and to compute its root (RFC 6962, section 2.1). It is a value: assigning it copies it, and the copies grow apart. The zero value is the
// empty tree. Two trees of the same records are equal (==).
type Tree struct {
	size   uint64
	hashes [maxFrontier]Digest // hashes[i], the subtree of 2^i records, counts where bit i of size is set; else it is zero
}

var errTree = errors.New("malformed tree")

// NewTree restores the tree of size with what Hashes returned for it.
func NewTree(size uint64, hashes []Digest) (Tree, error) {
	if size > MaxSize {
		return Tree{}, fmt.Errorf("%w: size %d above 2^40", errTree, size)
	}
	if len(hashes) != bits.OnesCount64(size) {
		return Tree{}, fmt.Errorf("%w: size %d has %d hashes, got %d", errTree, size, bits.OnesCount64(size), len(hashes))
	}
	t := Tree{size: size}
	for i := maxFrontier - 1; i >= 0; i-- {
		if size>>i&1 == 1 {
			t.hashes[i], hashes = hashes[0], hashes[1:]
		}
	}
	return t, nil
}

// Size returns the number of records.
func (t Tree) Size() uint64 { return t.size }

// Hashes returns the frontier, that of the largest subtree first: at most 41 hashes.
func (t Tree) Hashes() []Digest {
	var all []Digest
	for i := maxFrontier - 1; i >= 0; i-- {
		if t.size>>i&1 == 1 {
			all = append(all, t.hashes[i])
		}
	}
	return all
}

// Append adds a record by its leaf hash. A tree never has more than MaxSize records: whoever counts them sees to that first.
func (t *Tree) Append(leaf Digest) {
	h, i := leaf, 0
	for ; t.size>>i&1 == 1; i++ {
		h = nodeHash(t.hashes[i], h)
		t.hashes[i] = Digest{}
	}
	t.hashes[i] = h
	t.size++
}

// Root returns the root hash. That of the empty tree is the SHA-256 of nothing.
func (t Tree) Root() Digest {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	i := bits.TrailingZeros64(t.size)
	root := t.hashes[i]
	for i++; i < maxFrontier; i++ {
		if t.size>>i&1 == 1 {
			root = nodeHash(t.hashes[i], root)
		}
	}
	return root
}

// nodeHash is SHA-256(0x01 || left || right).
func nodeHash(left, right Digest) Digest {
	return Digest(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right)))
}

// subtreeHash is the root of a complete subtree, of which the number of hashes is a power of two. It overwrites them.
func subtreeHash(hashes []Digest) Digest {
	for len(hashes) > 1 {
		for i := range len(hashes) / 2 {
			hashes[i] = nodeHash(hashes[2*i], hashes[2*i+1])
		}
		hashes = hashes[:len(hashes)/2]
	}
	return hashes[0]
}

// frontierOf appends to hashes the roots of the complete subtrees that partial hashes of one level make, the largest first.
func frontierOf(hashes, partial []Digest) []Digest {
	for len(partial) > 0 {
		n := 1 << (bits.Len(uint(len(partial))) - 1)
		hashes = append(hashes, subtreeHash(append([]Digest(nil), partial[:n]...)))
		partial = partial[n:]
	}
	return hashes
}
