package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// testSource is a log that grew by small records, with what somebody held at each size.
type testSource struct {
	*memoryLog
	chain *Chain
	trees []Tree // by size
}

func newTestSource(t testing.TB, size int) *testSource {
	t.Helper()
	s := &testSource{memoryLog: &memoryLog{}, chain: testChain(t, 1), trees: make([]Tree, 1, size+1)}
	for _, r := range smallRecords(0, size) {
		s.append(t, r.Head, r.Body)
		s.tree.Append(LeafHash(r.Head))
		s.trees = append(s.trees, s.tree)
	}
	return s
}

// checkpoint is the signed head of the log at a size.
func (s *testSource) checkpoint(t testing.TB, size int) Checkpoint {
	t.Helper()
	return testHead(t, s.chain, uint64(size), s.trees[size].Root(), testNow)
}

// held is what somebody holds at a size.
func (s *testSource) held(size int) (Tree, [][]byte) {
	return s.trees[size], s.heads[size/TileWidth*TileWidth : size]
}

func (s *testSource) get(path string) ([]byte, error) {
	p, err := ParsePartPath(path)
	if err != nil {
		return nil, err
	}
	return s.part(p)
}

// want checks that batches are the log's records from old to size, without gaps, and end with cp to adopt.
func (s *testSource) want(t testing.TB, what string, old int, cp Checkpoint, batches []*Batch) {
	t.Helper()
	at := uint64(old)
	for i, b := range batches {
		cpGot, adopt := b.Checkpoint()
		if b.From() != at || b.Before() != s.trees[at] || b.After() != s.trees[b.To()] || b.Origin() != cp.Origin || b.Chain() != s.chain {
			t.Fatalf("%s: batch %d is [%d,%d), want it from %d with the log's trees", what, i, b.From(), b.To(), at)
		}
		records, leaves := b.Records(), b.Leaves()
		for j := range records {
			n := int(at) + j
			if !bytes.Equal(records[j].Head, s.heads[n]) || !bytes.Equal(records[j].Body, s.bodies[n]) || leaves[j] != LeafHash(s.heads[n]) {
				t.Fatalf("%s: record %d isn't the log's", what, n)
			}
		}
		if at += uint64(len(records)); at != b.To() {
			t.Fatalf("%s: batch %d has %d records, want %d", what, i, len(records), b.To()-b.From())
		}
		if last := i == len(batches)-1; adopt != last || last && (cpGot.Size != cp.Size || !bytes.Equal(cpGot.Bytes(), cp.Bytes())) {
			t.Fatalf("%s: batch %d of %d has a checkpoint to adopt: %v", what, i, len(batches), adopt)
		}
	}
	if at != cp.Size || len(batches) == 0 {
		t.Fatalf("%s: got up to %d in %d batches, want %d", what, at, len(batches), cp.Size)
	}
}

func collect(t testing.TB, chain *Chain, tree Tree, tail [][]byte, cp Checkpoint, get func(string) ([]byte, error)) ([]*Batch, error) {
	t.Helper()
	var all []*Batch
	for b, err := range Verify(chain, tree, tail, cp, get) {
		if err != nil {
			return all, err
		}
		all = append(all, b)
	}
	return all, nil
}

// TestVerify goes from every size to every later one: all pairs of small sizes, and those around the edges of bundles and tiles.
func TestVerify(t *testing.T) {
	s := newTestSource(t, 1<<16+300)
	pair := func(old, size int, cp Checkpoint) {
		tree, tail := s.held(old)
		got, err := collect(t, s.chain, tree, tail, cp, s.get)
		if err != nil {
			t.Fatalf("%d to %d: %v", old, size, err)
		}
		s.want(t, fmt.Sprintf("%d to %d", old, size), old, cp, got)
	}
	for size := range 71 {
		cp := s.checkpoint(t, size)
		for old := range size + 1 {
			pair(old, size, cp)
		}
	}
	sizes := []int{0, 1, 2, 100, 254, 255, 256, 257, 258, 300, 510, 511, 512, 513, 514, 767, 768, 769, 1023, 1024, 1025}
	for _, size := range sizes {
		cp := s.checkpoint(t, size)
		for _, old := range sizes {
			if old <= size {
				pair(old, size, cp)
			}
		}
	}
	large := []int{1<<16 - 257, 1<<16 - 256, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1<<16 + 255, 1<<16 + 256, 1<<16 + 300}
	for _, size := range large {
		cp := s.checkpoint(t, size)
		for _, old := range append([]int{0, 255, 256, 257}, large...) {
			if old <= size && (old > 257 || size == 1<<16 || size == 1<<16+300) {
				pair(old, size, cp)
			}
		}
	}
}

// TestVerifySpecSize takes the example of C2SP tlog-tiles, size 70,000, in batches of 256 bundles, and counts what is asked for.
func TestVerifySpecSize(t *testing.T) {
	s := newTestSource(t, 70_000)
	cp := s.checkpoint(t, 70_000)
	kinds := map[string]int{}
	got, err := collect(t, s.chain, Tree{}, nil, cp, func(path string) ([]byte, error) {
		p, _ := ParsePartPath(path)
		kinds[fmt.Sprintf("%d/%d", p.Kind, p.Level)]++
		return s.get(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.want(t, "0 to 70,000", 0, cp, got)
	if len(got) != 2 || got[0].To() != 1<<16 {
		t.Errorf("got %d batches, the first to %d, want 2, the first to 65,536", len(got), got[0].To())
	}
	want := map[string]int{"1/0": 1, "1/1": 2, "1/2": 1, "2/0": 274, "3/0": 274} // of level 0 only the right edge
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("asked for %v, want %v (kind/level: count)", kinds, want)
	}
}

// TestOutline pins what is asked for, so that no later change makes a small step dear.
func TestOutline(t *testing.T) {
	s := newTestSource(t, 1<<16+300)
	for _, tt := range []struct {
		old, size int
		want      string
	}{
		{0, 0, ""},
		{5, 5, ""},
		{0, 1, "tile/0/000.p/1"},
		{1, 2, "tile/0/000.p/2"},
		{0, 256, "tile/1/000.p/1"},
		{255, 256, "tile/1/000.p/1 tile/0/000"},
		{256, 257, "tile/1/000.p/1 tile/0/001.p/1"},
		{300, 1000, "tile/1/000.p/3 tile/0/001 tile/0/003.p/232"},
		{1 << 16, 1<<16 + 1, "tile/2/000.p/1 tile/0/256.p/1"},
		{1<<16 - 1, 1<<16 + 300, "tile/2/000.p/1 tile/1/000 tile/1/001.p/1 tile/0/255 tile/0/257.p/44"},
	} {
		tree, tail := s.held(tt.old)
		e, err := NewExtension(s.chain, tree, tail, s.checkpoint(t, tt.size))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(e.Outline(), " "); got != tt.want {
			t.Errorf("%d to %d: got %q, want %q", tt.old, tt.size, got, tt.want)
		}
		first, last := e.Bundles()
		if want := Bundles(uint64(tt.size)); tt.old < tt.size && (first != uint64(tt.old)/256 || last != want) || tt.old == tt.size && first != last {
			t.Errorf("%d to %d: got bundles %d to %d", tt.old, tt.size, first, last)
		}
	}
}

// TestVerifyFullForPartial: where a partial part is gone, the full one serves.
func TestVerifyFullForPartial(t *testing.T) {
	s := newTestSource(t, 1024)
	for _, size := range []int{1, 255, 257, 700, 1023} {
		for _, old := range []int{0, 1, 200, 256, 300, 699} {
			if old >= size {
				continue
			}
			tree, tail := s.held(old)
			cp := s.checkpoint(t, size)
			got, err := collect(t, s.chain, tree, tail, cp, func(path string) ([]byte, error) {
				p, _ := ParsePartPath(path)
				if p.Level == 0 {
					p.Width = TileWidth
				}
				return s.part(p)
			})
			if err != nil {
				t.Fatalf("%d to %d: %v", old, size, err)
			}
			s.want(t, fmt.Sprintf("%d to %d", old, size), old, cp, got)
		}
	}
}

// TestVerifyLies: whatever one part a source falsifies, no batch comes of it, and the error names the part. The lies are: a bit, a cut, more
// behind it, nothing, another part of the kind, the part as it is in a tree of another size, and another log's.
func TestVerifyLies(t *testing.T) {
	s, other := newTestSource(t, 1300), newTestSource(t, 0)
	for _, r := range smallRecords(9_999, 1300) {
		other.append(t, r.Head, r.Body)
	}
	for _, tt := range []struct{ old, size int }{{0, 1}, {0, 70}, {30, 70}, {0, 256}, {255, 257}, {0, 700}, {300, 1300}, {256, 1280}, {1279, 1280}, {1200, 1203}} {
		tree, tail := s.held(tt.old)
		cp := s.checkpoint(t, tt.size)
		var asked []string
		if _, err := collect(t, s.chain, tree, tail, cp, func(path string) ([]byte, error) {
			asked = append(asked, path)
			return s.get(path)
		}); err != nil {
			t.Fatal(err)
		}
		for _, path := range asked {
			p, err := ParsePartPath(path)
			if err != nil {
				t.Fatal(err)
			}
			true_, err := s.part(p)
			if err != nil {
				t.Fatal(err)
			}
			lies := map[string][]byte{"nothing": {}, "more": append(slices.Clone(true_), 0), "half": true_[:len(true_)/2], "twice": append(slices.Clone(true_), true_...)}
			for _, bit := range []int{0, len(true_) * 4, len(true_)*8 - 1} {
				lie := slices.Clone(true_)
				lie[bit/8] ^= 1 << (bit % 8)
				lies[fmt.Sprintf("bit %d", bit)] = lie
			}
			for n := range Bundles(uint64(tt.size)) {
				if q := (Part{p.Kind, p.Level, n, partWidth(uint64(tt.size), p.Level, n)}); q.Width > 0 && q != p {
					lies["swapped with "+q.Path()], _ = s.part(q)
				}
			}
			if p.Width > 1 {
				narrower := p
				narrower.Width--
				lies["replayed"], _ = s.part(narrower)
			}
			lies["another log's"], _ = other.part(p)
			for what, lie := range lies {
				if bytes.Equal(lie, true_) {
					continue // such as another log that has no bodies there either
				}
				got, err := collect(t, s.chain, tree, tail, cp, func(at string) ([]byte, error) {
					if at == path {
						return lie, nil
					}
					return s.get(at)
				})
				var lied *PartError
				if !errors.As(err, &lied) || !slices.Contains(lied.Parts, p) {
					t.Errorf("%d to %d, %s: %s: got error %v, want one that names it", tt.old, tt.size, path, what, err)
				}
				if lied != nil && p.Kind != PartTile && len(lied.Parts) != 1 {
					t.Errorf("%s: %s: got an error that blames %d parts", path, what, len(lied.Parts))
				}
				if len(got) > 0 {
					t.Errorf("%d to %d, %s: %s: got a batch, want none", tt.old, tt.size, path, what)
				}
			}
		}
	}
}

// TestCheckBodies: a body is the head's or absent; 256 absent ones are as good as no bundle.
func TestCheckBodies(t *testing.T) {
	s := newTestSource(t, 300)
	e, err := NewExtension(s.chain, Tree{}, nil, s.checkpoint(t, 300))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Check(0, nil, nil); !errors.Is(err, errOutline) {
		t.Errorf("before SetOutline: got %v, want %v", err, errOutline)
	}
	if err := e.SetOutline(s.get); err != nil {
		t.Fatal(err)
	}
	entries, _ := AppendBundle(nil, s.heads[:256])
	bodies := slices.Clone(s.bodies[:256])
	pack := func() []byte {
		data, err := AppendBundle(nil, bodies)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	bodies[3] = nil
	b, err := e.Check(0, entries, pack())
	if err != nil || len(b.records[3].Body) != 0 || !bytes.Equal(b.records[6].Body, s.bodies[6]) {
		t.Errorf("one body erased: got %v, want the others", err)
	}
	if b, err = e.Check(0, entries, nil); err != nil || len(b.records[6].Body) != 0 {
		t.Errorf("no bundle of bodies: got %v, want none", err)
	}
	for what, change := range map[string]func(){
		"a body of another head":                func() { bodies[3] = s.bodies[6] },
		"a body of a head that promises none":   func() { bodies[4] = s.bodies[6] },
		"a body with a byte behind it":          func() { bodies[9] = append(slices.Clone(s.bodies[9]), 0) },
		"a body with a bit changed":             func() { bodies[255] = slices.Clone(s.bodies[255]); bodies[255][0] ^= 1 },
		"the bodies of two heads, interchanged": func() { bodies[3], bodies[6] = bodies[6], bodies[3] },
	} {
		bodies = slices.Clone(s.bodies[:256])
		change()
		var lied *PartError
		if _, err := e.Check(0, entries, pack()); !errors.As(err, &lied) || lied.Parts[0].Kind != PartBody {
			t.Errorf("%s: got %v, want an error that blames the bodies", what, err)
		}
	}
	if _, err := e.Check(2, entries, nil); !errors.Is(err, errRange) {
		t.Errorf("a bundle beyond the end: got %v, want %v", err, errRange)
	}
}

// TestCheckCopies: whoever owns the buffers can't change what has been checked, nor can whoever reads a batch.
func TestCheckCopies(t *testing.T) {
	s := newTestSource(t, 9)
	cp := s.checkpoint(t, 9)
	e, err := NewExtension(s.chain, Tree{}, nil, cp)
	if err == nil {
		err = e.SetOutline(s.get)
	}
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := AppendBundle(nil, s.heads)
	bodies, _ := AppendBundle(nil, s.bodies)
	bundle, err := e.Check(0, entries, bodies)
	if err != nil {
		t.Fatal(err)
	}
	clear(entries)
	clear(bodies)
	b, err := e.Batch(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range b.Records() {
		clear(r.Head)
		clear(r.Body)
		_ = append(r.Head, 'x')
	}
	clear(b.Leaves())
	after := b.After()
	after.Append(Digest{})
	s.want(t, "after all that", 0, cp, []*Batch{b})
}

// TestBatchOrder: a batch is a run without gaps of this Extension's own bundles.
func TestBatchOrder(t *testing.T) {
	s := newTestSource(t, 1100)
	open := func() (*Extension, []Bundle) {
		tree, tail := s.held(100)
		e, err := NewExtension(s.chain, tree, tail, s.checkpoint(t, 1100))
		if err == nil {
			err = e.SetOutline(s.get)
		}
		if err != nil {
			t.Fatal(err)
		}
		var all []Bundle
		for n := range uint64(5) {
			b, err := e.fetch(n, s.get)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
		}
		return e, all
	}
	_, foreign := open()
	for what, pick := range map[string]func([]Bundle) []Bundle{
		"none":           func([]Bundle) []Bundle { return nil },
		"not the first":  func(b []Bundle) []Bundle { return b[1:] },
		"a gap":          func(b []Bundle) []Bundle { return []Bundle{b[0], b[2]} },
		"one twice":      func(b []Bundle) []Bundle { return []Bundle{b[0], b[0]} },
		"backwards":      func(b []Bundle) []Bundle { return []Bundle{b[1], b[0]} },
		"past the end":   func(b []Bundle) []Bundle { return append(b, b[4]) },
		"another's":      func(b []Bundle) []Bundle { return []Bundle{b[0], foreign[1]} },
		"the zero value": func(b []Bundle) []Bundle { return []Bundle{{}} },
	} {
		e, all := open()
		if b, err := e.Batch(pick(all)...); !errors.Is(err, errRange) {
			t.Errorf("%s: got %v, %v, want %v", what, b, err, errRange)
		}
		// A refused run changes nothing.
		b, err := e.Batch(all...)
		if err != nil {
			t.Fatalf("%s, then all: %v", what, err)
		}
		s.want(t, what, 100, e.checkpoint, []*Batch{b})
	}
	e, all := open()
	var batches []*Batch
	for _, run := range [][]Bundle{all[:1], all[1:3], all[3:]} {
		b, err := e.Batch(run...)
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, b)
	}
	s.want(t, "in three runs", 100, e.checkpoint, batches)
	// Having arrived, a batch of nothing adopts the checkpoint once more.
	if b, err := e.Batch(); err != nil || b.From() != 1100 || b.To() != 1100 {
		t.Errorf("at the end: got %v, %v, want a batch without records", b, err)
	}
}

// TestBatchMoved: an Extension that was broken off is resumed by another from the last batch.
func TestBatchMoved(t *testing.T) {
	s := newTestSource(t, 2000)
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.IntRange(1, 2000).Draw(r, "size")
		old := rapid.IntRange(0, size).Draw(r, "old")
		cp := testHead(t, s.chain, uint64(size), s.trees[size].Root(), testNow)
		at := old
		var batches []*Batch
		for done := false; !done; {
			tree, tail := s.held(at)
			e, err := NewExtension(s.chain, tree, tail, cp)
			if err == nil {
				err = e.SetOutline(s.get)
			}
			if err != nil {
				t.Fatal(err)
			}
			first, last := e.Bundles()
			var run []Bundle
			for n := first; n < last && n < first+uint64(rapid.IntRange(1, 4).Draw(r, "bundles")); n++ {
				b, err := e.fetch(n, s.get)
				if err != nil {
					t.Fatal(err)
				}
				run = append(run, b)
			}
			b, err := e.Batch(run...)
			if err != nil {
				t.Fatal(err)
			}
			batches, at = append(batches, b), int(b.To())
			_, done = b.Checkpoint()
		}
		s.want(t, "resumed", old, cp, batches)
	})
}

// TestCheckConcurrent: bundles are checked by many goroutines beside Batch.
func TestCheckConcurrent(t *testing.T) {
	s := newTestSource(t, 5000)
	cp := s.checkpoint(t, 5000)
	e, err := NewExtension(s.chain, Tree{}, nil, cp)
	if err == nil {
		err = e.SetOutline(s.get)
	}
	if err != nil {
		t.Fatal(err)
	}
	first, last := e.Bundles()
	checked := make([]chan Bundle, last-first)
	for i := range checked {
		checked[i] = make(chan Bundle, 1)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := range last {
		wg.Go(func() {
			b, err := e.fetch(n, s.get)
			if err != nil {
				t.Error(err)
			}
			checked[n] <- b
		})
	}
	var batches []*Batch
	for n := range last {
		b, err := e.Batch(<-checked[n])
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, b)
	}
	s.want(t, "by many", 0, cp, batches)
}

// TestNewExtensionRefuses: a checkpoint that can't follow what is held, and things held that aren't what they are said to be.
func TestNewExtensionRefuses(t *testing.T) {
	s := newTestSource(t, 600)
	tree, tail := s.held(300)
	forged := s.checkpoint(t, 600)
	forged.Size, forged.Root = 599, s.trees[599].Root()
	elsewhere := s.checkpoint(t, 600)
	elsewhere.Origin = "eokm.example/known/2"
	for _, tt := range []struct {
		what string
		tree Tree
		tail [][]byte
		cp   Checkpoint
		want string
	}{
		{"older", tree, tail, s.checkpoint(t, 299), "older one"},
		{"of the same size with another root", tree, tail, testHead(t, s.chain, 300, Digest{1}, testNow), ErrInconsistent.Error()},
		{"no checkpoint", tree, tail, Checkpoint{}, "no signatures"},
		{"not signed", tree, tail, Checkpoint{Origin: "eokm.example/known/1", Size: 600, Root: s.trees[600].Root(), Stamp: testNow}, "no signatures"},
		{"no tail", tree, nil, s.checkpoint(t, 600), "0 heads of the partial last bundle, want 44"},
		{"a tail too long", tree, s.heads[255:300], s.checkpoint(t, 600), "45 heads"},
		{"another tail", tree, s.heads[:44], s.checkpoint(t, 600), "aren't the tree's"},
		{"a tail of a full bundle", s.trees[256], s.heads[:256], s.checkpoint(t, 600), "256 heads of the partial last bundle, want 0"},
	} {
		_, err := NewExtension(s.chain, tt.tree, tt.tail, tt.cp)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.what, err, tt.want)
		}
	}
	// The fields of a Checkpoint are for reading: what counts is what was signed.
	for _, cp := range []Checkpoint{forged, elsewhere} {
		e, err := NewExtension(s.chain, tree, tail, cp)
		if err != nil || e.checkpoint.Size != 600 || e.checkpoint.Origin != "eokm.example/known/1" {
			t.Errorf("fields changed by hand: got %v, want the checkpoint as it was signed", err)
		}
	}
	if _, err := NewExtension(testChainOf(t, "other.example/known"), Tree{}, nil, s.checkpoint(t, 600)); err == nil {
		t.Error("another feed's chain: got no error, want one")
	}
}

// testChainOf is a chain of one charter of another feed, with keys of the same seeds.
func testChainOf(t *testing.T, name Name) *Chain {
	t.Helper()
	c := firstCharter()
	root := testKey(string(name)+"/root", rootKey(1).Public().Type, 1)
	c.Feed, c.Roster, c.Root = name, nil, KeyGroup{1, publicKeys(root)}
	c.Signer = KeyGroup{1, publicKeys(testKey(string(name.Log(1)), signerKey(1, 1).Public().Type, 1))}
	c.Stamp = testKey(string(name.Log(1)), stampKey(1).Public().Type, 1).Public()
	note, err := SignCharter(c, root)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := OpenChain(c.Anchor(), [][]byte{note})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// TestInconsistent: two logs of one publisher that go apart before what we hold, both signed, are told from a source that lies.
func TestInconsistent(t *testing.T) {
	const size = 700
	s := newTestSource(t, size)
	for _, fork := range []int{0, 1, 255, 256, 299, 511, 512, 599} {
		other := newTestSource(t, 0)
		for _, r := range append(smallRecords(0, fork), smallRecords(5000, size-fork)...) {
			other.append(t, r.Head, r.Body)
			other.tree.Append(LeafHash(r.Head))
			other.trees = append(other.trees, other.tree)
		}
		for _, old := range []int{1, 255, 256, 300, 512, 600} {
			tree, tail := s.held(old)
			got, err := collect(t, s.chain, tree, tail, other.checkpoint(t, size), other.get)
			if old <= fork {
				if err != nil {
					t.Errorf("fork at %d, held %d: got %v, want no error", fork, old, err)
				}
			} else if !errors.Is(err, ErrInconsistent) || len(got) > 0 {
				t.Errorf("fork at %d, held %d: got %d batches and error %v, want none and %v", fork, old, len(got), err, ErrInconsistent)
			}
		}
	}
}

// TestVerifyErrors: what get can't read is no lie of anybody's, and an absent bundle of bodies is none at all.
func TestVerifyErrors(t *testing.T) {
	s := newTestSource(t, 300)
	cp := s.checkpoint(t, 300)
	broken := errors.New("disk on fire")
	for _, path := range []string{"tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "body/001.p/44"} {
		_, err := collect(t, s.chain, Tree{}, nil, cp, func(at string) ([]byte, error) {
			if at == path {
				return nil, broken
			}
			return s.get(at)
		})
		var lied *PartError
		if !errors.Is(err, broken) || errors.As(err, &lied) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s unreadable: got %v, want get's error and the path", path, err)
		}
	}
	absent := func(at string) ([]byte, error) {
		if strings.HasPrefix(at, "body/") {
			return nil, fmt.Errorf("fetch %s: %w", at, fs.ErrNotExist)
		}
		return s.get(at)
	}
	got, err := collect(t, s.chain, Tree{}, nil, cp, absent)
	if err != nil || len(got) != 1 || len(got[0].Records()[0].Body) != 0 {
		t.Errorf("without bodies: got %v, want a batch without bodies", err)
	}
	if _, err := collect(t, s.chain, Tree{}, nil, cp, func(string) ([]byte, error) { return nil, fs.ErrNotExist }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without tiles: got %v, want %v", err, fs.ErrNotExist)
	}
}

// TestRestamp: of the same size there is nothing to fetch, and the batch adopts the newer stamp.
func TestRestamp(t *testing.T) {
	s := newTestSource(t, 300)
	tree, tail := s.held(300)
	later := testHead(t, s.chain, 300, tree.Root(), testNow+3600)
	got, err := collect(t, s.chain, tree, tail, later, nil)
	if err != nil || len(got) != 1 || got[0].From() != 300 || got[0].To() != 300 {
		t.Fatalf("got %d batches, %v, want one without records", len(got), err)
	}
	if cp, ok := got[0].Checkpoint(); !ok || cp.Stamp != testNow+3600 {
		t.Errorf("got stamp %d, %v, want the later one to adopt", cp.Stamp, ok)
	}
}

// TestExtensionWindow: what a publisher may sign is larger than what memory can hold, so one Extension covers a part of it.
func TestExtensionWindow(t *testing.T) {
	s := newTestSource(t, 300)
	cp := testHead(t, s.chain, MaxSize, Digest{1}, testNow)
	tree, tail := s.held(300)
	e, err := NewExtension(s.chain, tree, tail, cp)
	if err != nil {
		t.Fatal(err)
	}
	if first, last := e.Bundles(); first != 1 || last != 1+MaxExtension/TileWidth {
		t.Errorf("got bundles %d to %d, want 1 to %d", first, last, 1+MaxExtension/TileWidth)
	}
	if n := len(e.Outline()); n > 300 {
		t.Errorf("got %d tiles in the outline, want at most 300", n)
	}
}

// TestCut: of a log that a charter has closed only the branch that it closed is taken.
func TestCut(t *testing.T) {
	chain := testChain(t, 3) // closes log 1 at 5 of testLog(t, 5, 0)
	cut, ok := chain.ClosedHead(1)
	if !ok || cut.Size != 5 {
		t.Fatalf("got %+v, %v, want the cut of log 1", cut, ok)
	}
	if _, ok := chain.ClosedHead(2); ok {
		t.Error("the open log has a ClosedHead, want none")
	}
	open := testChain(t, 2)
	branch := func(honest, size int) *testSource {
		s := &testSource{memoryLog: &memoryLog{}, chain: chain, trees: make([]Tree, 1)}
		for i := range size {
			n := i
			if i >= honest {
				n += 1000
			}
			head, body := testRecord(t, n, baselineFacts)
			s.append(t, head, body)
			s.tree.Append(LeafHash(head))
			s.trees = append(s.trees, s.tree)
		}
		return s
	}
	head := func(s *testSource, size int) Checkpoint {
		return testHead(t, open, uint64(size), s.trees[size].Root(), testNow)
	}
	honest, past, stolen := branch(5, 5), branch(5, 9), branch(3, 9)
	for _, tt := range []struct {
		what string
		s    *testSource
		old  int
		cp   Checkpoint
		want error
	}{
		{"to the cut", honest, 2, cut, nil},
		{"from nothing to the cut", honest, 0, cut, nil},
		{"at the cut", honest, 5, cut, nil},
		{"past the cut", past, 2, head(past, 9), nil},
		{"past the cut, from the cut", past, 5, head(past, 9), nil},
		{"past the cut, from beyond", past, 7, head(past, 9), nil},
		{"below the cut", honest, 2, head(honest, 4), nil},
		{"the thief's, over the cut", stolen, 0, head(stolen, 9), ErrCut},
		{"the thief's, to the cut", stolen, 0, head(stolen, 5), ErrCut},
		{"the thief's, from the cut", stolen, 5, head(stolen, 9), ErrCut},
	} {
		tree, tail := tt.s.held(tt.old)
		got, err := collect(t, chain, tree, tail, tt.cp, tt.s.get)
		if !errors.Is(err, tt.want) || tt.want != nil && len(got) > 0 {
			t.Errorf("%s: got %d batches, %v, want error %v", tt.what, len(got), err, tt.want)
		}
		if tt.want == nil && err == nil {
			tt.s.want(t, tt.what, tt.old, got[len(got)-1].checkpoint, got)
		}
	}
}
