package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// TestConformance commits batches of random sizes, directly and as a peer fetches them, closing and opening in between, and compares
// the store with slices after each step. No key is ever written with two values.
func TestConformance(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		p := newPublisher(t, testName)
		o := p.origin()
		s := create(t, dir)
		once := writeOnce(t)
		s.onPut = once
		if err := s.AddFeed(p.chain); err != nil {
			rt.Fatal(err)
		}
		commit := func(b *feed.Batch) {
			rt.Helper()
			if err := s.Commit(b); err != nil {
				rt.Fatal(err)
			}
			if err := s.Commit(b); err != nil {
				rt.Fatalf("the same batch again: %v", err)
			}
		}
		commit(p.publish(0))
		stamps := map[uint64]int64{0: p.last.Stamp}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				n := rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(200, 600)).Draw(rt, "records")
				commit(p.publish(n))
			case 2: // several signed batches, fetched as one extension
				for range 3 {
					p.publish(rapid.IntRange(0, 300).Draw(rt, "records"))
				}
				tree, tail, _ := s.Position(o)
				for b, err := range feed.Verify(p.chain, tree, tail, p.last, func(path string) ([]byte, error) { return p.part(path, p.last.Size) }) {
					if err != nil {
						rt.Fatal(err)
					}
					commit(b)
				}
			case 3:
				commit(p.cosign(rapid.IntRange(1, 3).Draw(rt, "witness")))
			case 4:
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				s = reopen(t, dir)
				s.onPut = once
			}
			if _, ok := stamps[p.last.Size]; !ok {
				stamps[p.last.Size] = p.last.Stamp
			}
			mustHold(t, s, p)
		}
		for size, stamp := range stamps {
			if cp, ok := s.Seen(o, size); !ok || cp.Stamp != stamp || cp.Root != p.roots[size] {
				rt.Fatalf("kept checkpoint of size %d: got stamp %d %v, want %d", size, cp.Stamp, ok, stamp)
			}
		}
		if got := s.SeenSizes(o); len(got) != len(stamps) || !slices.IsSorted(got) {
			rt.Fatalf("kept sizes: got %v, want those of %v", got, stamps)
		}
		mustBeWhole(t, s)
		s.Close()
	})
}

// writeOnce returns a hook that fails the test when a key gets a second value.
func writeOnce(t testing.TB) func(key, []byte) {
	values := map[key]string{}
	return func(k key, plain []byte) {
		if old, ok := values[k]; ok && old != string(plain) {
			t.Errorf("%s was written twice", k)
		}
		values[k] = string(plain)
	}
}

// TestParts compares every part of every tree up to each size with the publisher's.
func TestParts(t *testing.T) {
	p := newPublisher(t, testName)
	s := create(t, t.TempDir())
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 254, 1, 300, 256} {
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
	}
	o, size := p.origin(), uint64(len(p.records))
	check := func(path string, size uint64, want []byte) {
		t.Helper()
		got, err := s.Part(o, path, size)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%s of size %d: got %x, %v, want %x", path, size, got, err, want)
		}
	}
	for n := range size / width {
		for _, path := range []string{feed.TilePath(0, n, width), feed.EntriesPath(n, width), feed.BodyPath(n, width)} {
			want, _ := p.part(path, size)
			check(path, size, want)
			if _, err := s.Part(o, path, (n+1)*width-1); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of a tree of one record less: got %v, want fs.ErrNotExist", path, err)
			}
		}
	}
	for w := 1; w < width; w++ {
		for _, path := range []string{feed.TilePath(0, 1, w), feed.EntriesPath(1, w), feed.BodyPath(1, w), feed.EntriesPath(0, w)} {
			want, _ := p.part(path, size)
			check(path, width+uint64(w), want)
		}
		path := feed.EntriesPath(3, w)
		_, err := s.Part(o, path, size)
		if have := w <= int(size%width); have != (err == nil) || !have && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %v, there: %v", path, err, have)
		}
	}
	want, _ := p.part("tile/1/000.p/3", size)
	check("tile/1/000.p/3", size, want)
	for _, path := range []string{"tile/1/000.p/4", "tile/2/000.p/1", "tile/0/999", "tile/5/000", "../heads", "", "tile/0/000.p/256"} {
		if _, err := s.Part(o, path, size); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v, want fs.ErrNotExist", path, err)
		}
	}
	// Proofs from the hash reader.
	reader, err := s.HashReader(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []uint64{1, 2, 255, 256, 257, 600, size} {
		if got, err := s.RootAt(o, at); err != nil || got != p.roots[at] {
			t.Errorf("root at %d: got %x, %v, want %x", at, got, err, p.roots[at])
		}
		proof, err := tlog.ProveRecord(int64(at), int64(at-1), reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(proof, int64(at), tlog.Hash(p.roots[at]), int64(at-1), tlog.Hash(feed.LeafHash(p.records[at-1].Head))); err != nil {
			t.Errorf("proof of record %d in size %d: %v", at-1, at, err)
		}
	}
	if cp, ok := s.Covering(o, 255); !ok || cp.Size != 256 {
		t.Errorf("covering record 255: got size %d %v, want 256", cp.Size, ok)
	}
	if cp, ok := s.Covering(o, 256); !ok || cp.Size != 556 {
		t.Errorf("covering record 256: got size %d %v, want 556", cp.Size, ok)
	}
	if _, ok := s.Covering(o, size); ok {
		t.Error("covering a record that isn't there: got one")
	}
	mustBeWhole(t, s)
}

// TestLarge crosses the edge of a level-1 tile, with more than one transaction takes.
func TestLarge(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	s.onPut = writeOnce(t)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 100, 65_536, 3} {
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
		mustHold(t, s, p)
	}
	mustBeWhole(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, dir)
	mustHold(t, s, p)
	if got, err := s.RootAt(p.origin(), 60_000); err != nil || got != p.roots[60_000] {
		t.Errorf("root at 60,000: got %x, %v, want %x", got, err, p.roots[60_000])
	}
	if err := s.Commit(p.publish(300)); err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, p)
	mustBeWhole(t, s)
}

func TestCommitRefuses(t *testing.T) {
	p, fork := newPublisher(t, testName), newPublisher(t, testName)
	stranger := newPublisher(t, "other.example/known")
	s := create(t, t.TempDir())
	first := p.publish(0)
	if err := s.Commit(first); !errors.Is(err, ErrUnknownFeed) {
		t.Errorf("a feed that isn't held: got %v, want ErrUnknownFeed", err)
	}
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	fork.publish(0)
	fork.salt = 1000
	second, third := p.publish(3), p.publish(2)
	other := fork.publish(3)
	for _, b := range []*feed.Batch{first, second} {
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(other); !errors.Is(err, ErrFork) {
		t.Errorf("other records of the same size: got %v, want ErrFork", err)
	}
	if err := s.Commit(fork.publish(1)); !errors.Is(err, ErrFork) {
		t.Errorf("on top of other records: got %v, want ErrFork", err)
	}
	if err := s.Commit(stranger.publish(0)); !errors.Is(err, ErrUnknownFeed) {
		t.Errorf("another feed: got %v, want ErrUnknownFeed", err)
	}
	gap := p.publish(1)
	if err := s.Commit(gap); !errors.Is(err, ErrGap) {
		t.Errorf("with a gap: got %v, want ErrGap", err)
	}
	next := testCharter(testName)
	next.Version, next.Contact = 2, "none"
	longer := extend(t, p.chain, next)
	p.chain = longer
	newer := p.publish(1)
	for _, b := range []*feed.Batch{third, gap} {
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(newer); !errors.Is(err, ErrCharter) {
		t.Errorf("under a charter that isn't held: got %v, want ErrCharter", err)
	}
	if err := s.SetChain(longer); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(newer); err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, p)
	replaced := testCharter(testName)
	replaced.Contact = "somebody else"
	if err := s.SetChain(extend(t, nil, replaced)); !errors.Is(err, ErrAnchor) {
		t.Errorf("charters from another anchor: got %v, want ErrAnchor", err)
	}
	mustBeWhole(t, s)
}

// TestOverlap: a batch of which the first part is held already, by commits that ended elsewhere.
func TestOverlap(t *testing.T) {
	p := newPublisher(t, testName)
	s := create(t, t.TempDir())
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(0)); err != nil {
		t.Fatal(err)
	}
	tree := p.tree
	one := p.publish(10)
	p.publish(400)
	var whole *feed.Batch
	for b, err := range feed.Verify(p.chain, tree, nil, p.last, func(path string) ([]byte, error) { return p.part(path, p.last.Size) }) {
		if err != nil {
			t.Fatal(err)
		}
		whole = b
	}
	if err := s.Commit(one); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(whole); err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, p)
	mustBeWhole(t, s)
}

// TestPartial: what is fetched may end below its checkpoint, and goes on after a restart.
func TestPartial(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(0)); err != nil {
		t.Fatal(err)
	}
	opening := p.last
	p.publish(900)
	o := p.origin()
	get := func(path string) ([]byte, error) { return p.part(path, p.last.Size) }
	for step := 0; s.Size(o) < 900; step++ {
		tree, tail, _ := s.Position(o)
		e, err := feed.NewExtension(p.chain, tree, tail, p.last)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.SetOutline(get); err != nil {
			t.Fatal(err)
		}
		n, _ := e.Bundles()
		heads, bodies := e.Parts(n)
		h, _ := get(heads.Path())
		b, _ := get(bodies.Path())
		bundle, err := e.Check(n, h, b)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := e.Batch(bundle)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(batch); err != nil {
			t.Fatal(err)
		}
		if head, _ := s.Head(o); s.Size(o) < 900 && head.Size != opening.Size {
			t.Fatalf("head while fetching: got size %d, want %d", head.Size, opening.Size)
		}
		mustBeWhole(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = reopen(t, dir)
		if d := s.Damage(testName); d != nil {
			t.Fatalf("step %d: %v", step, d)
		}
	}
	mustHold(t, s, p)
}

func TestErase(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	once := writeOnce(t)
	s.onPut = once
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 300, 5, 5} {
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
	}
	o := p.origin()
	bodies := map[uint64][]byte{}
	for _, i := range []uint64{0, 5, 6, 200, 260, 301, 302, 309} {
		bodies[i] = p.records[i].Body
		p.records[i].Body = nil
	}
	if err := s.Erase(o, 0, 5, 200, 260, 301); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(o, 302, 309, 0, 6); err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, p)
	if err := s.Erase(o, 310); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("erase past the end: got %v, want fs.ErrNotExist", err)
	}
	if err := s.SetBody(o, 5, bodies[5]); !errors.Is(err, ErrErased) {
		t.Errorf("set an erased body: got %v, want ErrErased", err)
	}
	if erased, err := s.Erased(o, 5); err != nil || !erased {
		t.Errorf("erased 5: got %v %v", erased, err)
	}
	if erased, err := s.Erased(o, 9); err != nil || erased {
		t.Errorf("erased 9: got %v %v", erased, err)
	}
	// The newest bundle fills up with erased bodies in it, and one more goes afterwards.
	if err := s.Commit(p.publish(300)); err != nil {
		t.Fatal(err)
	}
	p.records[304].Body = nil
	if err := s.Erase(o, 304); err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, p)
	mustBeWhole(t, s)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = reopen(t, dir)
		s.onPut = once
		mustHold(t, s, p)
		mustBeWhole(t, s)
	}
}

// TestSetBody: bodies that the sender didn't have arrive later.
func TestSetBody(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(0)); err != nil {
		t.Fatal(err)
	}
	p.publish(300)
	o := p.origin()
	get := func(path string) ([]byte, error) {
		if part, _ := feed.ParsePartPath(path); part.Kind == feed.PartBody {
			return nil, fs.ErrNotExist
		}
		return p.part(path, p.last.Size)
	}
	tree, tail, _ := s.Position(o)
	for b, err := range feed.Verify(p.chain, tree, tail, p.last, get) {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetBody(o, 0, []byte("no")); err == nil {
		t.Error("a body that the head doesn't promise: stored")
	}
	if err := s.SetBody(o, 3, p.records[0].Body); err == nil {
		t.Error("a body for a record without one: stored")
	}
	for i, r := range p.records {
		if len(r.Body) > 0 && (i < 20 || i > 250) {
			if err := s.SetBody(o, uint64(i), r.Body); err != nil {
				t.Fatal(err)
			}
			if err := s.SetBody(o, uint64(i), r.Body); err != nil {
				t.Fatalf("again: %v", err)
			}
		} else {
			p.records[i].Body = nil
		}
	}
	mustHold(t, s, p)
	s.Close()
	s = reopen(t, dir)
	mustHold(t, s, p)
	mustBeWhole(t, s)
}

func TestNotes(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(5)); err != nil {
		t.Fatal(err)
	}
	suspend := func(i uint64) feed.Suspension {
		n, err := feed.SignSuspension(p.chain, []feed.Position{{Log: 1, Index: i}}, testNow+int64(i), signerKey(p.origin()))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	roster := func(v int) feed.Roster {
		r, err := feed.SignRoster(p.chain, v, testNow+86400, nil, rosterKey(testName), testNow)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, n := range []feed.Suspension{suspend(0), suspend(1), suspend(0)} {
		if err := s.Suspend(n); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []int{1, 3, 2} {
		if err := s.SetRoster(roster(v)); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		if got := s.Suspensions(testName); len(got) != 2 || got[0].Items[0].Index != 0 || got[1].Items[0].Index != 1 {
			t.Errorf("suspensions: got %v, want of items 0 and 1", got)
		}
		if r, ok := s.Roster(testName); !ok || r.Version != 3 {
			t.Errorf("roster: got version %d %v, want 3", r.Version, ok)
		}
		mustBeWhole(t, s)
	}
	check()
	s.Close()
	s = reopen(t, dir)
	check()
	next := testCharter(testName)
	next.Version = 2
	p.chain = extend(t, p.chain, next)
	if err := s.SetChain(p.chain); err != nil {
		t.Fatal(err)
	}
	check()
	s.Close()
	s = reopen(t, dir)
	check()
	if c, ok := s.Chain(testName); !ok || c.Newest().Version != 2 {
		t.Errorf("charter after reopening: got %v %v, want version 2", c, ok)
	}
}

// TestClosing: a new charter closes the log. One that is the same at the cut stays, one that differs is set aside.
func TestClosing(t *testing.T) {
	for _, honest := range []bool{true, false} {
		t.Run(fmt.Sprint(honest), func(t *testing.T) {
			dir := t.TempDir()
			p := newPublisher(t, testName)
			s := create(t, dir)
			if err := s.AddFeed(p.chain); err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{0, 10, 300} {
				if err := s.Commit(p.publish(n)); err != nil {
					t.Fatal(err)
				}
			}
			next := testCharter(testName)
			next.Version, next.Log = 2, 2
			next.Closed = []feed.Cut{{Size: 10, Root: p.roots[10]}}
			if !honest {
				next.Closed[0].Root = feed.Digest{7}
			}
			next.Signer.Keys, next.Stamp = []crypto.PublicKey{signerKey(testName.Log(2)).Public()}, stampKey(testName.Log(2)).Public()
			longer := extend(t, p.chain, next)
			late := p.publish(1)
			if err := s.SetChain(longer); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got, want := s.Size(testName.Log(1)), uint64(310); honest && got != want || !honest && got != 0 {
					t.Errorf("size of the closed log: got %d", got)
				}
				if got := s.Generation(testName.Log(1)); honest && got != 0 || !honest && got != 1 {
					t.Errorf("generation of the closed log: got %d", got)
				}
				if err := s.Commit(late); !errors.Is(err, ErrCharter) {
					t.Errorf("a batch from before the closing: got %v, want ErrCharter", err)
				}
				if w, err := s.Witnessed(testName.Log(1)); err != nil || w != 10 {
					t.Errorf("witnessed of the closed log: got %d %v, want 10", w, err)
				}
				mustBeWhole(t, s)
				s.Close()
				s = reopen(t, dir)
			}
			two := &publisher{t: t, chain: longer, now: testNow + 1000, salt: 5000}
			two.roots = []feed.Digest{two.tree.Root()}
			for _, n := range []int{0, 10} {
				if err := s.Commit(two.publish(n)); err != nil {
					t.Fatal(err)
				}
			}
			mustHold(t, s, two)
			if opened, ok := s.Opened(testName.Log(2)); !ok || opened != testNow+1010 {
				t.Errorf("opened: got %d %v, want %d", opened, ok, testNow+1010)
			}
			mustBeWhole(t, s)
		})
	}
}

func TestWitnessed(t *testing.T) {
	p := newPublisher(t, testName)
	s := create(t, t.TempDir())
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	want := func(size uint64) {
		t.Helper()
		if got, err := s.Witnessed(p.origin()); err != nil || got != size {
			t.Fatalf("witnessed: got %d %v, want %d", got, err, size)
		}
	}
	commit := func(b *feed.Batch) {
		t.Helper()
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	want(0)
	commit(p.publish(0))
	commit(p.publish(3))
	first := p.last
	commit(p.cosign(1))
	want(0)
	commit(p.publish(4))
	commit(p.cosign(2))
	want(3) // 1 has cosigned 3, 2 has 7
	commit(p.cosign(3))
	want(7)
	if cp, ok := s.Seen(p.origin(), 3); !ok || cp.Stamp != first.Stamp || len(cp.Cosigned) != 1 {
		t.Errorf("kept checkpoint of 3: got stamp %d and %d cosignatures %v", cp.Stamp, len(cp.Cosigned), ok)
	}
}

func TestRemoveFeed(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	once := writeOnce(t)
	s.onPut = once
	for range 3 {
		if err := s.AddFeed(p.chain); err != nil {
			t.Fatal(err)
		}
		q := newPublisher(t, testName)
		for _, n := range []int{0, 300} {
			if err := s.Commit(q.publish(n)); err != nil {
				t.Fatal(err)
			}
		}
		mustHold(t, s, q)
		if err := s.RemoveFeed(testName); err != nil {
			t.Fatal(err)
		}
		if got := s.Feeds(); len(got) != 0 {
			t.Errorf("feeds: got %v, want none", got)
		}
		all, err := s.keys(key{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			if k.kind != kindFeed {
				t.Errorf("left behind: %s", k)
			}
		}
		s.Close()
		s = reopen(t, dir)
		s.onPut = once
		if got := s.Feeds(); len(got) != 0 {
			t.Errorf("feeds after reopening: got %v, want none", got)
		}
	}
}

func TestReceiptsAndCursors(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher(t, testName)
	s := create(t, dir)
	s.onPut = writeOnce(t)
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 3, 4} {
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
		for w := 7; w < 9; w++ {
			line, err := p.last.Cosign(witnessKey(w), p.now)
			if err != nil {
				t.Fatal(err)
			}
			if w == 8 && n == 4 {
				continue
			}
			for range 2 {
				if err := s.PutReceipt(p.origin(), p.last.Size, line); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for range 2 {
		got, err := s.Receipts(p.origin())
		if err != nil || len(got) != 2 || got[0].Size != 7 || got[1].Size != 3 {
			t.Errorf("receipts: got %v %v, want of sizes 7 and 3", got, err)
		}
		if all, err := s.AllReceipts(p.origin()); err != nil || len(all) != 5 {
			t.Errorf("all receipts: got %d %v, want 5", len(all), err)
		}
		for i := range 3 {
			want := fmt.Sprint("at ", i)
			if err := s.PutCursor("index", []byte(want)); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Cursor("index"); err != nil || string(got) != want {
				t.Errorf("cursor: got %q %v, want %q", got, err, want)
			}
		}
		if got, err := s.Cursor("other"); err != nil || got != nil {
			t.Errorf("cursor never put: got %q %v", got, err)
		}
		s.Close()
		s = reopen(t, dir)
	}
	o := p.origin()
	set := func(size uint64, root feed.Digest) error { return s.SetCosigned(o, Cosigned{size, root, testNow}) }
	if err := set(3, p.roots[3]); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"smaller": set(2, p.roots[2]), "other root": set(3, p.roots[2]), "beyond": set(8, p.roots[7])} {
		if err == nil {
			t.Errorf("cosigned a size that is %s: accepted", name)
		}
	}
	if err := set(7, p.roots[7]); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := s.LastCosigned(o); err != nil || !ok || got != (Cosigned{7, p.roots[7], testNow}) {
		t.Errorf("last cosigned: got %v %v %v", got, ok, err)
	}
}

type follower struct {
	events []Event
	err    error
}

func (f *follower) Name() string { return "test" }
func (f *follower) Apply(e Event) error {
	f.events = append(f.events, e)
	return f.err
}

func TestFollow(t *testing.T) {
	p := newPublisher(t, testName)
	s := create(t, t.TempDir())
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(0)); err != nil {
		t.Fatal(err)
	}
	f := &follower{}
	replayed := 0
	if err := s.Follow(t.Context(), func(s *Store) error { replayed = len(s.Feeds()); return nil }, f); err != nil {
		t.Fatal(err)
	}
	b := p.publish(3)
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	if replayed != 1 || len(f.events) != 1 || f.events[0].Batch != b || f.events[0].First != 0 {
		t.Fatalf("got %d events %v after replaying %d feeds, want the one batch after 1", len(f.events), f.events, replayed)
	}
	f.err = errors.New("broken table")
	var failed *FollowerError
	if err := s.Commit(p.publish(2)); !errors.As(err, &failed) || failed.Name != "test" {
		t.Errorf("a follower that fails: got %v, want a FollowerError", err)
	}
	mustHold(t, s, p) // the commit stands
}

// TestMirror writes a mirror and reads it into another store.
func TestMirror(t *testing.T) {
	p := newPublisher(t, testName)
	s := create(t, t.TempDir())
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 300, 1, 7} {
		if err := s.Commit(p.publish(n)); err != nil {
			t.Fatal(err)
		}
	}
	src, err := s.Mirror(testName)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := feed.WriteMirror(dir, testName, src); err != nil {
		t.Fatal(err)
	}
	m, err := feed.ReadMirror(os.DirFS(dir), p.chain.Anchor())
	if err != nil {
		t.Fatal(err)
	}
	s2 := create(t, t.TempDir())
	if err := s2.AddFeed(m.Chain()); err != nil {
		t.Fatal(err)
	}
	for b, err := range m.Batches(1, feed.Tree{}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if err := s2.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	mustHold(t, s2, p)
	if got, want := s2.SeenSizes(p.origin()), s.SeenSizes(p.origin()); !slices.Equal(got, want) {
		t.Errorf("kept sizes: got %v, want %v", got, want)
	}
	mustBeWhole(t, s2)
}

// TestReadersBesideCommits reads while commits and erasures go on; run it with -race.
func TestReadersBesideCommits(t *testing.T) {
	p := newPublisher(t, testName)
	s := create(t, t.TempDir())
	if err := s.AddFeed(p.chain); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(p.publish(0)); err != nil {
		t.Fatal(err)
	}
	o := p.origin()
	batches := make([]*feed.Batch, 40)
	for i := range batches {
		batches[i] = p.publish(1 + rand.IntN(60))
	}
	done := make(chan error)
	go func() {
		for _, b := range batches {
			if err := s.Commit(b); err != nil {
				done <- err
				return
			}
			if err := s.Erase(o, b.To()/2); err != nil {
				done <- err
				return
			}
		}
		close(done)
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			mustBeWhole(t, s)
			return
		default:
		}
		tree, tail, _ := s.Position(o)
		if want := p.roots[tree.Size()]; tree.Root() != want || len(tail) != int(tree.Size()%width) {
			t.Fatalf("size %d: got root %x and %d heads, want %x", tree.Size(), tree.Root(), len(tail), want)
		}
		for r, err := range s.Records(o, 0, tree.Size()) {
			if err != nil {
				t.Fatal(err)
			}
			if string(r.Head) != string(p.records[r.Index].Head) {
				t.Fatalf("record %d differs", r.Index)
			}
		}
	}
}
