package feed

import (
	"bufio"
	"encoding/json"
	"math/bits"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// A merkleCase is a line of the proof cases of transparency-dev/merkle, most of which are wrong in some way.
type merkleCase struct {
	Case    string   `json:"case"`
	WantErr bool     `json:"wantErr"`
	Proof   [][]byte `json:"proof"`

	LeafIdx  uint64 `json:"leafIdx"` // inclusion
	TreeSize uint64 `json:"treeSize"`
	Root     []byte `json:"root"`
	LeafHash []byte `json:"leafHash"`

	Size1 uint64 `json:"size1"` // consistency
	Size2 uint64 `json:"size2"`
	Root1 []byte `json:"root1"`
	Root2 []byte `json:"root2"`

	Start uint64 `json:"start"` // of subtrees, with LeafIdx, and Size
	End   uint64 `json:"end"`
	Size  uint64 `json:"size"`
}

func merkleCases(t *testing.T, name string) (all []merkleCase) {
	t.Helper()
	f, err := os.Open(filepath.Join("../../shared/vectors/merkle", name)) // beside the folder of go.mod
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("the proof cases are missing: %v", err)
	}
	if err != nil {
		t.Skipf("the proof cases are not committed, for their licence: %v", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c merkleCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if err := lines.Err(); err != nil || len(all) < 50 {
		t.Fatalf("%s: got %d cases, %v", name, len(all), err)
	}
	return all
}

// merkleHash is ok for 32 bytes: a hash of another length can't even be passed to what checks proofs.
func merkleHash(b []byte) (h tlog.Hash, ok bool) {
	copy(h[:], b)
	return h, len(b) == len(h)
}

func (c merkleCase) proof() (all []tlog.Hash, ok bool) {
	for _, p := range c.Proof {
		h, ok := merkleHash(p)
		if !ok {
			return nil, false
		}
		all = append(all, h)
	}
	return all, true
}

// valid says what the functions that proofs and evidence are checked with say, which take sizes as int64: ours are at most MaxSize.
func (c merkleCase) inclusion(index, size uint64) bool {
	root, ok1 := merkleHash(c.Root)
	leaf, ok2 := merkleHash(c.LeafHash)
	proof, ok3 := c.proof()
	return ok1 && ok2 && ok3 && size <= MaxSize && index < size && tlog.CheckRecord(proof, int64(size), root, int64(index), leaf) == nil
}

func (c merkleCase) consistency() bool {
	root1, ok1 := merkleHash(c.Root1)
	root2, ok2 := merkleHash(c.Root2)
	proof, ok3 := c.proof()
	return ok1 && ok2 && ok3 && c.Size1 <= MaxSize && c.Size2 <= MaxSize && tlog.CheckTree(proof, int64(c.Size2), root2, int64(c.Size1), root1) == nil
}

func TestMerkleInclusion(t *testing.T) {
	good := 0
	for _, c := range merkleCases(t, "inclusion.jsonl") {
		if got := c.inclusion(c.LeafIdx, c.TreeSize); got == c.WantErr {
			t.Errorf("%s: got accepted %v, want %v", c.Case, got, !c.WantErr)
		} else if got {
			good++
		}
	}
	if good == 0 {
		t.Error("no case is good")
	}
}

func TestMerkleConsistency(t *testing.T) {
	good := 0
	for _, c := range merkleCases(t, "consistency.jsonl") {
		// One case accepts a root of 12 bytes; ours always has 32.
		want := !c.WantErr && len(c.Root1) == hashSize
		if got := c.consistency(); got != want {
			t.Errorf("%s: got accepted %v, want %v", c.Case, got, want)
		} else if got {
			good++
		}
	}
	if good == 0 {
		t.Error("no case is good")
	}
}

// TestMerkleSubtreeInclusion: a subtree that begins at a multiple of its size is a tree of its own, so its proofs are those of a tree. What
// bounds a case breaks on purpose stays outside.
func TestMerkleSubtreeInclusion(t *testing.T) {
	good := 0
	for _, c := range merkleCases(t, "subtreeinclusion.jsonl") {
		ok := c.Start <= c.LeafIdx && c.LeafIdx < c.End && validSubtree(c.Start, c.End) && c.inclusion(c.LeafIdx-c.Start, c.End-c.Start)
		if ok == c.WantErr {
			t.Errorf("%s: got accepted %v, want %v", c.Case, ok, !c.WantErr)
		} else if ok {
			good++
		}
	}
	if good == 0 {
		t.Error("no case is good")
	}
}

// validSubtree: the start is a multiple of the smallest power of two that is at least as large as the subtree.
func validSubtree(start, end uint64) bool {
	if start >= end {
		return false
	}
	mask := uint64(1)<<bits.Len64(end-start-1) - 1
	return start&mask == 0
}

// TestMerkleSubtreeConsistency runs those cases whose subtree begins at 0: it is then an earlier tree. That another subtree lies within a tree
// is nothing that the format has a proof of.
func TestMerkleSubtreeConsistency(t *testing.T) {
	ran, good := 0, 0
	for _, c := range merkleCases(t, "subtreeconsistency.jsonl") {
		if c.Start != 0 || c.End == 0 {
			continue
		}
		ran++
		c.Size1, c.Size2 = c.End, c.Size
		want := !c.WantErr && len(c.Root1) == hashSize
		if got := c.consistency(); got != want {
			t.Errorf("%s: got accepted %v, want %v", c.Case, got, want)
		} else if got {
			good++
		}
	}
	if ran == 0 || good == 0 {
		t.Errorf("ran %d cases, %d of them good", ran, good)
	}
	t.Logf("ran %d cases, %d of them good", ran, good)
}
