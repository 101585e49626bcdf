package feed

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/crypto"
)

// memoryFeed holds a feed in memory, as a store does on disk: it takes batches and is a MirrorSource.
type memoryFeed struct {
	chain       *Chain
	logs        map[Origin]*memoryLog
	suspensions []Suspension
}

type memoryLog struct {
	testTree
	tree Tree
	head Checkpoint
	seen map[uint64]Checkpoint
}

func newMemoryFeed(chain *Chain) *memoryFeed {
	return &memoryFeed{chain: chain, logs: map[Origin]*memoryLog{}}
}

func (f *memoryFeed) log(o Origin) *memoryLog {
	if f.logs[o] == nil {
		f.logs[o] = &memoryLog{seen: map[uint64]Checkpoint{}}
	}
	return f.logs[o]
}

// tail is the heads of the partial last bundle.
func (l *memoryLog) tail() [][]byte { return l.heads[l.tree.Size()/TileWidth*TileWidth:] }

// commit is what a store does with a batch.
func (f *memoryFeed) commit(t testing.TB, b *Batch) {
	t.Helper()
	l := f.log(b.Origin())
	if b.Before() != l.tree || b.From() != l.tree.Size() || b.To()-b.From() != uint64(len(b.Records())) {
		t.Fatalf("batch [%d,%d) with %d records doesn't go on from size %d", b.From(), b.To(), len(b.Records()), l.tree.Size())
	}
	leaves := b.Leaves()
	for i, r := range b.Records() {
		if LeafHash(r.Head) != leaves[i] {
			t.Fatalf("leaf %d isn't the head's", i)
		}
		l.append(t, r.Head, r.Body)
	}
	l.tree = b.After()
	if got, want := l.tree.Root(), l.root(t, len(l.heads)); got != want {
		t.Fatalf("root at %d: got %x, want %x", b.To(), got, want)
	}
	if cp, ok := b.Checkpoint(); ok {
		if cp.Size != b.To() || cp.Root != l.tree.Root() {
			t.Fatalf("checkpoint to adopt has size %d, want %d", cp.Size, b.To())
		}
		if cp.Newer(l.head) {
			l.head = cp
		}
		if old, ok := l.seen[cp.Size]; !ok || cp.Stamp < old.Stamp {
			l.seen[cp.Size] = cp
		}
	}
}

func (f *memoryFeed) Chain(n Name) (*Chain, bool)      { return f.chain, n == f.chain.Feed() }
func (f *memoryFeed) Suspensions(Name) []Suspension    { return f.suspensions }
func (f *memoryFeed) Head(o Origin) (Checkpoint, bool) { h := f.log(o).head; return h, !h.IsZero() }
func (f *memoryFeed) SeenSizes(o Origin) []uint64      { return slices.Sorted(maps.Keys(f.log(o).seen)) }
func (f *memoryFeed) Seen(o Origin, size uint64) (Checkpoint, bool) {
	cp, ok := f.log(o).seen[size]
	return cp, ok
}

func (f *memoryFeed) Part(o Origin, path string, size uint64) ([]byte, error) {
	l := f.log(o)
	p, err := ParsePartPath(path)
	if err != nil {
		return nil, err
	}
	if size > uint64(len(l.heads)) || p.Width > partWidth(size, p.Level, p.N) {
		return nil, fmt.Errorf("%s at size %d: %w", path, size, fs.ErrNotExist)
	}
	return l.part(p)
}

func (l *memoryLog) part(p Part) ([]byte, error) {
	from := int(p.N) * TileWidth
	switch p.Kind {
	case PartEntries:
		return AppendBundle(nil, l.heads[from:from+p.Width])
	case PartBody:
		return AppendBundle(nil, l.bodies[from:from+p.Width])
	}
	return tlog.ReadTileData(tlog.Tile{H: 8, L: p.Level, N: int64(p.N), W: p.Width}, &l.testTree)
}

// testSigning has the keys of the newest charter's log, as many signers as it asks for.
func testSigning(chain *Chain) Signing {
	c := chain.Newest()
	s := Signing{Chain: chain, Stamp: stampKey(c.Log)}
	for n := range c.Signer.K {
		s.Signers = append(s.Signers, signerKey(c.Log, n+1))
	}
	return s
}

// publish signs records and commits them; heads need no form.
func (f *memoryFeed) publish(t testing.TB, now int64, records ...Record) *Batch {
	t.Helper()
	l := f.log(f.chain.Newest().Origin())
	b, err := testSigning(f.chain).sign(l.tree, l.head, records, now)
	if err != nil {
		t.Fatal(err)
	}
	f.commit(t, b)
	return b
}

// cosign adds cosignatures of witnesses to the newest head of the current log.
func (f *memoryFeed) cosign(t testing.TB, now int64, witnesses ...*crypto.PrivateKey) {
	t.Helper()
	l := f.log(f.chain.Newest().Origin())
	var lines []crypto.Line
	for _, w := range witnesses {
		line, err := l.head.Cosign(w, now)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	b, err := AdoptCosignatures(f.chain, l.tree, l.head, lines)
	if err != nil {
		t.Fatal(err)
	}
	cp, _ := b.Checkpoint()
	l.head = cp
	if seen, ok := l.seen[cp.Size]; ok {
		if l.seen[cp.Size], err = f.chain.MergeCosignatures(seen, lines...); err != nil {
			t.Fatal(err)
		}
	}
}

// smallRecords are n heads that no parser likes and that no tree minds, every third of them with a body.
func smallRecords(from, n int) []Record {
	all := make([]Record, n)
	for i := range all {
		body := []byte(fmt.Sprintf("body %d", from+i))
		all[i].Head = []byte(fmt.Sprintf("head %d", from+i))
		if (from+i)%3 == 0 {
			all[i] = Record{promising(body, from+i), body}
		}
	}
	return all
}

// promising is a head, void by form, that promises a body: {6: digest, 64: n}.
func promising(body []byte, n int) []byte {
	digest := sha256.Sum256(body)
	b := appendCBORMap(nil, 2)
	b = appendCBORUint(b, 6)
	b = appendCBORBytes(b, digest[:])
	b = appendCBORUint(b, 64)
	return appendCBORUint(b, uint64(n))
}
