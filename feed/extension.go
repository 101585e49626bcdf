package feed

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
)

// An Extension takes a log from the tree we hold to a checkpoint, without trusting whoever sends the parts:
//
//	e, err := NewExtension(chain, have, tail, checkpoint)
//	err = e.SetOutline(get)                   // fetches e.Outline: the tiles above the leaves
//	first, last := e.Bundles()
//	bundle, err := e.Check(n, entries, bodies) // for n from first to last-1, in any order, from anybody
//	batch, err := e.Batch(bundle, …)           // in order, as many at a time as memory allows
//
// Once SetOutline has succeeded it is certain that the checkpoint's tree contains ours, and each bundle is checked by itself, so that whoever
// sends a false one is known at once. Check may be called from many goroutines, before and beside Batch; Batch from one at a time. What
// was given to a Batch and stored need not be fetched again: a new Extension goes on from there.
type Extension struct {
	chain      *Chain
	checkpoint Checkpoint
	cut        *Cut   // of a log that the charters have closed
	first, end uint64 // covers the records from the tree given to NewExtension to end
	tiles      map[tileID][]Digest
	ready      bool // tiles are verified; set once, before any Check

	have Tree // what follows belongs to Batch
	tail [][]byte
}

type tileID struct {
	level int
	n     uint64
}

var (
	// ErrInconsistent says that a checkpoint's tree doesn't contain the tree that we hold, though its publisher signed both: ours was verified
	// when it came, this one's tiles give the root that was signed. It is what evidence is made of.
	ErrInconsistent = errors.New("the checkpoint contradicts the tree held")
	// ErrCut says that a log, at the size where a charter closed it, isn't the log that the charter closed: whoever had the signer's key
	// wrote it. It must be fetched anew from somebody else.
	ErrCut = errors.New("not the log that the charter closed")

	errOutline = errors.New("the outline isn't checked yet")
	errRange   = errors.New("bundle out of turn")
)

// A PartError says that parts which somebody sent are not those of the tree: whoever sent them lied, or was lied to. With more than one part
// it can't be told which of them is false.
type PartError struct {
	Parts []Part
	Err   error
}

func (e *PartError) Error() string {
	paths := make([]string, len(e.Parts))
	for i, p := range e.Parts {
		paths[i] = p.Path()
	}
	return "check " + strings.Join(paths, ", ") + ": " + e.Err.Error()
}

func (e *PartError) Unwrap() error { return e.Err }

// ClosedHead returns the end of a closed log as the newest charter states it: a checkpoint without note and stamp, for which the charter's
// root keys stand. By it a log is fetched up to its cut, also one that was closed before the anchor, of whose signers we know nothing.
func (c *Chain) ClosedHead(log int) (Checkpoint, bool) {
	newest := c.Newest()
	if log < 1 || log > len(newest.Closed) {
		return Checkpoint{}, false
	}
	cut := newest.Closed[log-1]
	return Checkpoint{Origin: newest.Feed.Log(log), Size: cut.Size, Root: cut.Root}, true
}

// NewExtension begins to extend have to cp. tail is the heads of have's partial last bundle: have.Size() mod 256 of
// them. ErrInconsistent if cp has have's size and another root; of one smaller than have this can't be told, and it is
// an error.
//
// An Extension covers at most MaxExtension records. Where cp is further away its last Batch has no checkpoint to adopt, and the caller
// makes another one.
func NewExtension(chain *Chain, have Tree, tail [][]byte, cp Checkpoint) (*Extension, error) {
	e := &Extension{chain: chain, have: have, tail: cloneItems(tail), first: have.Size(), tiles: map[tileID][]Digest{}}
	if err := e.begin(cp); err != nil {
		return nil, fmt.Errorf("extend %s from size %d to %d: %w", cp.Origin, have.Size(), cp.Size, err)
	}
	return e, nil
}

// verified returns cp as its note says, whose signatures are checked once more: a Checkpoint is a plain value, and this is the gate. One
// without a note is a closed log's end, or nothing.
func (c *Chain) verified(cp Checkpoint) (Checkpoint, error) {
	if len(cp.note.Text) > 0 {
		return c.openCheckpoint(cp.note)
	}
	if head, ok := c.ClosedHead(cp.Origin.Log()); ok && head.Origin == cp.Origin {
		return head, nil
	}
	return Checkpoint{}, errors.New("the checkpoint has no signatures")
}

func (e *Extension) begin(cp Checkpoint) (err error) {
	if cp, err = e.chain.verified(cp); err != nil {
		return err
	}
	e.checkpoint = cp
	size := e.have.Size()
	if cut, ok := e.chain.Cut(cp.Origin.Log()); ok {
		e.cut = &cut
		if cp.Size == cut.Size && cp.Root != cut.Root || size == cut.Size && e.have.Root() != cut.Root {
			return ErrCut
		}
	}
	switch {
	case cp.Size < size:
		return errors.New("the checkpoint is the older one")
	case cp.Size == size && cp.Root != e.have.Root():
		return ErrInconsistent
	}
	if err := checkTail(e.have, e.tail); err != nil {
		return err
	}
	e.end = cp.Size
	if cp.Size-size > MaxExtension {
		e.end = size - size%TileWidth + MaxExtension
	}
	if e.end > size {
		e.want()
	}
	return nil
}

// checkTail compares heads with the tree whose partial last bundle they should be.
func checkTail(tree Tree, tail [][]byte) error {
	if uint64(len(tail)) != tree.Size()%TileWidth {
		return fmt.Errorf("%d heads of the partial last bundle, want %d", len(tail), tree.Size()%TileWidth)
	}
	leaves := make([]Digest, len(tail))
	for i, head := range tail {
		leaves[i] = LeafHash(head)
	}
	if !slices.Equal(frontierOf(nil, leaves), tree.level(0)) {
		return errors.New("the heads of the partial last bundle aren't the tree's")
	}
	return nil
}

// level returns the hashes of the frontier that lie in one level's tile, the largest subtree's first.
func (t Tree) level(level int) []Digest {
	var all []Digest
	for i := min(tileBits*(level+1), maxFrontier) - 1; i >= tileBits*level; i-- {
		if t.size>>i&1 == 1 {
			all = append(all, t.hashes[i])
		}
	}
	return all
}

// want enters the tiles that are needed, without their hashes.
//
// Of the new tree's right edge: the partial tile of each level that has one. They make the root. Of our own tree's right edge: the tile of
// each level in which its frontier ends. They show that it is contained. For the bundles to come: the tiles of level 1, which hold their
// hashes. And above each tile that is full, the one that holds its hash, up to one of the right edge.
func (e *Extension) want() {
	size, have := e.checkpoint.Size, e.have.Size()
	need := func(level int, n uint64) {
		for ; ; level, n = level+1, n/TileWidth {
			id := tileID{level, n}
			if _, ok := e.tiles[id]; ok {
				return
			}
			e.tiles[id] = nil
			if partWidth(size, level, n) < TileWidth {
				return
			}
		}
	}
	for level := range maxLevels {
		if n := size >> (tileBits * level); n%TileWidth != 0 {
			need(level, n/TileWidth)
		}
		if n := have >> (tileBits * level); n%TileWidth != 0 {
			need(level, n/TileWidth)
		}
	}
	full := min(e.end, size-size%TileWidth) / TileWidth // bundles before this one are full
	for n := have / TileWidth / TileWidth; n*TileWidth < full; n++ {
		need(1, n)
	}
}

// outline returns the tiles wanted, the highest level's first, so that each stands after the one that holds its hash.
func (e *Extension) outline() []tileID {
	return slices.SortedFunc(maps.Keys(e.tiles), func(a, b tileID) int {
		return cmp.Or(-cmp.Compare(a.level, b.level), cmp.Compare(a.n, b.n))
	})
}

func (e *Extension) tile(id tileID) Part {
	return Part{PartTile, id.level, id.n, partWidth(e.checkpoint.Size, id.level, id.n)}
}

// Outline returns the paths of the tiles that SetOutline asks for, in its order: those above the new bundles, and of level 0 at most the ones
// where the old tree and the new one end. It is empty if there is nothing to fetch.
func (e *Extension) Outline() []string {
	paths := []string{}
	for _, id := range e.outline() {
		paths = append(paths, e.tile(id).Path())
	}
	return paths
}

// SetOutline gets the tiles of Outline and checks that they give the checkpoint's root and contain the tree held. Where a partial tile is
// gone, get may return the full one. A *PartError says which tiles are false, ErrInconsistent that the publisher's two trees are; an error of
// get is wrapped. After an error it may be called again, with another source. It is called once before any Check, also where Outline is
// empty; then get may be nil.
func (e *Extension) SetOutline(get func(path string) ([]byte, error)) error {
	if e.ready {
		return nil
	}
	var edge []Part
	var frontier []Digest
	ids := e.outline()
	for _, id := range ids {
		part := e.tile(id)
		data, err := get(part.Path())
		if err != nil {
			return fmt.Errorf("fetch %s of %s: %w", part.Path(), e.checkpoint.Origin, err)
		}
		hashes, err := splitTile(data, part.Width)
		if err != nil {
			return &PartError{[]Part{part}, err}
		}
		e.tiles[id] = hashes
		if part.Width < TileWidth {
			edge, frontier = append(edge, part), frontierOf(frontier, hashes)
		}
	}
	if len(ids) > 0 {
		tree, err := NewTree(e.checkpoint.Size, frontier)
		if err != nil {
			return err
		}
		if tree.Root() != e.checkpoint.Root {
			return &PartError{edge, errors.New("not the root that was signed")}
		}
	}
	for _, id := range ids {
		if part := e.tile(id); part.Width == TileWidth {
			if subtreeHash(slices.Clone(e.tiles[id])) != e.tiles[tileID{id.level + 1, id.n / TileWidth}][id.n%TileWidth] {
				return &PartError{[]Part{part}, errors.New("not the hash in the tile above")}
			}
		}
	}
	if len(ids) > 0 && !e.contains() {
		return fmt.Errorf("extend %s from size %d to %d: %w", e.checkpoint.Origin, e.first, e.checkpoint.Size, ErrInconsistent)
	}
	e.ready = true
	return nil
}

// contains says whether the tree of the tiles, which the signed root confirms, contains the one held.
func (e *Extension) contains() bool {
	for level := range maxLevels {
		n := e.have.Size() >> (tileBits * level)
		if width := n % TileWidth; width != 0 {
			if !slices.Equal(frontierOf(nil, e.tiles[tileID{level, n / TileWidth}][:width]), e.have.level(level)) {
				return false
			}
		}
	}
	return true
}

// Bundles returns the numbers of the bundles to fetch: first to last-1. They are equal if there is none. The first may be one that we hold
// in part.
func (e *Extension) Bundles() (first, last uint64) {
	first = e.first / TileWidth
	if e.end == e.first {
		return first, first
	}
	return first, Bundles(e.end)
}

// Parts returns the bundle of heads and the bundle of bodies of a number, as they are in the checkpoint's tree.
func (e *Extension) Parts(n uint64) (entries, bodies Part) {
	width := partWidth(e.checkpoint.Size, 0, n)
	return Part{PartEntries, 0, n, width}, Part{PartBody, 0, n, width}
}

// A Bundle is the records of one bundle that [Extension.Check] has found to be the tree's. Only its Extension takes it.
type Bundle struct {
	of      *Extension
	n       uint64
	records []Record
	leaves  []Digest
	bytes   int
}

// N returns the bundle's number.
func (b Bundle) N() uint64 { return b.n }

// Check compares bundle n with the tree, and its bodies with their heads. bodies is nil where the bundle of bodies is absent, which is as good
// as 256 absent bodies. For a partial bundle the full one may serve. A *PartError says which of the two is false.
func (e *Extension) Check(n uint64, entries, bodies []byte) (Bundle, error) {
	if !e.ready {
		return Bundle{}, errOutline
	}
	if first, last := e.Bundles(); n < first || n >= last {
		return Bundle{}, fmt.Errorf("%w: %d, want %d to %d", errRange, n, first, last-1)
	}
	heads, other := e.Parts(n)
	lied := func(p Part, err error) (Bundle, error) { return Bundle{}, &PartError{[]Part{p}, err} }
	// The copies are ours: what has been compared can't be changed any more by whoever owns the buffers.
	raw, err := splitPart(bytes.Clone(entries), heads.Width)
	if err != nil {
		return lied(heads, err)
	}
	b := Bundle{of: e, n: n, records: make([]Record, len(raw)), leaves: make([]Digest, len(raw)), bytes: len(entries) + len(bodies)}
	for i, head := range raw {
		b.records[i].Head, b.leaves[i] = head, LeafHash(head)
	}
	if !e.holds(n, b.leaves) {
		return lied(heads, errors.New("not the hashes of its tile"))
	}
	if bodies == nil {
		return b, nil
	}
	rawBodies, err := splitPart(bytes.Clone(bodies), other.Width)
	if err != nil {
		return lied(other, err)
	}
	for i, body := range rawBodies {
		if err := checkBody(raw[i], body); err != nil {
			return lied(other, fmt.Errorf("body %d: %w", n*TileWidth+uint64(i), err))
		}
		b.records[i].Body = body
	}
	return b, nil
}

// holds says whether leaves are those of bundle n.
func (e *Extension) holds(n uint64, leaves []Digest) bool {
	if len(leaves) < TileWidth {
		return slices.Equal(leaves, e.tiles[tileID{0, n}])
	}
	return subtreeHash(slices.Clone(leaves)) == e.tiles[tileID{1, n / TileWidth}][n%TileWidth]
}

// Batch returns the records of the bundles that we don't hold yet, as a batch: a run of bundles without gaps, from where the last Batch
// ended. The batch that reaches the checkpoint's size has it to adopt; where there is nothing to fetch, that is a Batch of no bundles.
// ErrCut if the log isn't the one that a charter closed; the Extension is then of no further use.
func (e *Extension) Batch(bundles ...Bundle) (*Batch, error) {
	if !e.ready {
		return nil, errOutline
	}
	b := &Batch{chain: e.chain, origin: e.checkpoint.Origin, before: e.have, after: e.have, checkpoint: e.checkpoint, tail: e.tail}
	if len(bundles) == 0 && e.have.Size() < e.checkpoint.Size {
		return nil, fmt.Errorf("%w: none given, want %d", errRange, e.have.Size()/TileWidth)
	}
	for _, bundle := range bundles {
		size := b.after.Size()
		if bundle.of != e || bundle.n != size/TileWidth || size == e.end {
			return nil, fmt.Errorf("%w: %d, want %d", errRange, bundle.n, size/TileWidth)
		}
		for i := size % TileWidth; i < uint64(len(bundle.records)); i++ {
			b.add(bundle.records[i], bundle.leaves[i])
			if e.cut != nil && b.after.Size() == e.cut.Size && b.after.Root() != e.cut.Root {
				return nil, fmt.Errorf("extend %s to its cut at %d: %w", b.origin, e.cut.Size, ErrCut)
			}
		}
		b.tail = nil
		for _, r := range bundle.records[:b.after.Size()%TileWidth] {
			b.tail = append(b.tail, r.Head)
		}
	}
	if b.after.Size() == e.checkpoint.Size {
		if b.after.Root() != e.checkpoint.Root {
			return nil, fmt.Errorf("extend %s to size %d: not the root that was signed", b.origin, b.after.Size())
		}
		b.adopt = true
	}
	e.have, e.tail = b.after, b.tail
	return b, nil
}

// Verify extends tree to cp with what get returns, and yields verified batches, of at most 256 bundles and some 64 MiB each, in order. get
// returns the bytes of a part of the tree of cp's size by its path, where a partial one is gone the full one, and an error that is
// fs.ErrNotExist for an absent bundle of bodies. The first error ends it; what was yielded before stands. tail is as in [NewExtension].
func Verify(chain *Chain, tree Tree, tail [][]byte, cp Checkpoint, get func(path string) ([]byte, error)) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		for tree, tail := tree, tail; ; {
			last, err := verifyStretch(chain, tree, tail, cp, get, func(b *Batch) bool { return yield(b, nil) })
			if err != nil {
				yield(nil, err)
				return
			}
			if last == nil || last.adopt {
				return
			}
			tree, tail = last.after, last.tail
		}
	}
}

// verifyStretch is Verify over one Extension. It returns the last batch, or nil if yield wanted no more.
func verifyStretch(chain *Chain, tree Tree, tail [][]byte, cp Checkpoint, get func(string) ([]byte, error), yield func(*Batch) bool) (last *Batch, err error) {
	e, err := NewExtension(chain, tree, tail, cp)
	if err != nil {
		return nil, err
	}
	if err := e.SetOutline(get); err != nil {
		return nil, err
	}
	n, end := e.Bundles()
	for {
		var run []Bundle
		for size := 0; n < end && len(run) < TileWidth && size < maxBatchBytes; n++ {
			b, err := e.fetch(n, get)
			if err != nil {
				return nil, err
			}
			run, size = append(run, b), size+b.bytes
		}
		if last, err = e.Batch(run...); err != nil {
			return nil, err
		}
		if !yield(last) {
			return nil, nil
		}
		if n == end {
			return last, nil
		}
	}
}

// fetch gets and checks one bundle.
func (e *Extension) fetch(n uint64, get func(string) ([]byte, error)) (Bundle, error) {
	heads, other := e.Parts(n)
	entries, err := get(heads.Path())
	if err != nil {
		return Bundle{}, fmt.Errorf("fetch %s of %s: %w", heads.Path(), e.checkpoint.Origin, err)
	}
	bodies, err := get(other.Path())
	if errors.Is(err, fs.ErrNotExist) {
		bodies = nil
	} else if err != nil {
		return Bundle{}, fmt.Errorf("fetch %s of %s: %w", other.Path(), e.checkpoint.Origin, err)
	} else if bodies == nil {
		bodies = []byte{} // an empty file is not an absent one
	}
	return e.Check(n, entries, bodies)
}
