package match

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestSizes(t *testing.T) {
	for alg, want := range map[Alg]int{0: 0, MD5: 16, SHA1: 20, SHA256: 32, PDQ: 32, PDQFull: 32, PhotoDNA: 144, 7: 0, 255: 0} {
		if got := alg.Size(); got != want {
			t.Errorf("size of kind %d: got %d, want %d", alg, got, want)
		}
	}
}

func TestArguments(t *testing.T) {
	tables := New(Options{})
	v := make([]byte, 32)
	for name, c := range map[string]struct {
		f    func() error
		want error // nil: any
	}{
		"add kind 0":       {func() error { return tables.Add(0, v, 1) }, errAlg},
		"add kind 7":       {func() error { return tables.Add(7, v, 1) }, errAlg},
		"add kind 255":     {func() error { return tables.Add(255, nil, 1) }, errAlg},
		"add short":        {func() error { return tables.Add(PDQ, v[:31], 1) }, nil},
		"add long":         {func() error { return tables.Add(MD5, v, 1) }, nil},
		"add none":         {func() error { return tables.Add(SHA1, nil, 1) }, nil},
		"add id":           {func() error { return tables.Add(PDQ, v, 1<<40) }, errID},
		"remove kind":      {func() error { return tables.Remove(9, v, 1) }, errAlg},
		"remove short":     {func() error { return tables.Remove(SHA256, v[:1], 1) }, nil},
		"batch":            {func() error { return tables.AddBatch([]Entry{{PDQ, v, 1}, {PDQ, v[:1], 2}}) }, nil},
		"lookup kind":      {func() error { _, _, err := tables.Lookup(nil, 0, v, 0); return err }, errAlg},
		"lookup short":     {func() error { _, _, err := tables.Lookup(nil, PDQ, v[:31], 0); return err }, nil},
		"lookup below":     {func() error { _, _, err := tables.Lookup(nil, PDQ, v, -1); return err }, errDistance},
		"lookup beyond":    {func() error { _, _, err := tables.Lookup(nil, PDQFull, v, 64); return err }, errDistance},
		"lookup photodna":  {func() error { _, _, err := tables.Lookup(nil, PhotoDNA, make([]byte, 144), 1<<24); return err }, errDistance},
		"lookup photodna-": {func() error { _, _, err := tables.Lookup(nil, PhotoDNA, make([]byte, 144), -1); return err }, errDistance},
	} {
		if err := c.f(); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v, want %v", name, err, c.want)
		}
	}
	for a := MD5; a <= PhotoDNA; a++ {
		if n := tables.Len(a); n != 0 {
			t.Errorf("kind %d: got %d values after errors only, want 0", a, n)
		}
	}
	if n := tables.Len(0) + tables.Len(7) + tables.Len(255); n != 0 {
		t.Errorf("unknown kinds: got length %d, want 0", n)
	}
	// The distance of exact kinds is ignored.
	for _, d := range []int{-1, 0, 31, 1000} {
		if _, _, err := tables.Lookup(nil, SHA256, v, d); err != nil {
			t.Errorf("sha256 at distance %d: %v", d, err)
		}
	}

	if err := tables.Add(SHA256, v, maxID); err != nil {
		t.Fatal(err)
	}
	tables.Close()
	tables.Close()
	if err := tables.Add(SHA256, v, 1); !errors.Is(err, errClosed) {
		t.Errorf("add after close: got error %v, want %v", err, errClosed)
	}
	if err := tables.Remove(SHA256, v, maxID); !errors.Is(err, errClosed) {
		t.Errorf("remove after close: got error %v, want %v", err, errClosed)
	}
	dst := []Hit{{ID: 9}}
	hits, truncated, err := tables.Lookup(dst, SHA256, v, 0)
	if want := []Hit{{ID: 9}, {ID: maxID, Alg: SHA256}}; err != nil || truncated || !slices.Equal(hits, want) {
		t.Errorf("lookup after close: got %v, %v, %v, want %v", hits, truncated, err, want)
	}
}

// TestCloseEnds checks that the merger ends, in the middle of its work too, and
// that what was added is found nevertheless.
func TestCloseEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := rand.New(rand.NewPCG(1, 1))
	tables := New(Options{DeltaRows: 256})
	var batch []Entry
	for i := range 50_000 {
		batch = append(batch, Entry{PDQ, randomValue(r), ID(i)})
	}
	if err := tables.AddBatch(batch); err != nil {
		t.Fatal(err)
	}
	tables.Close()
	for _, i := range []int{0, 25_000, 49_999} {
		hits, _, err := tables.Lookup(nil, PDQ, batch[i].Value, 31)
		if want := []Hit{{ID(i), PDQ, 0}}; err != nil || !slices.Equal(hits, want) {
			t.Errorf("value %d: got %v, %v, want %v", i, hits, err, want)
		}
	}
}

// TestTablesApart: a value of one kind matches nothing of another.
func TestTablesApart(t *testing.T) {
	tables := newTables(Options{})
	v := make([]byte, 32)
	for _, alg := range []Alg{SHA256, PDQ, PDQFull} {
		for _, other := range []Alg{SHA256, PDQ, PDQFull} {
			hits, _, err := tables.Lookup(nil, other, v, 31)
			if err != nil || (len(hits) == 1) != (other < alg) {
				t.Errorf("before kind %d is added, kind %d: got %v, %v", alg, other, hits, err)
			}
		}
		if err := tables.Add(alg, v, ID(alg)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestConcurrent has one writer, readers, and the merger with merges and
// compactions all the time. Of the values in a ring the writer adds at the head
// and removes at the tail; a reader must find each that was added before its
// lookup and isn't removed after it, and none that was removed before.
func TestConcurrent(t *testing.T) {
	const (
		live  = 2000 // values between tail and head
		total = 16_000
		flips = 5
	)
	for _, alg := range []Alg{SHA256, PDQ} {
		r := rand.New(rand.NewPCG(2, 2))
		values := distinct(total, func() []byte { return balanced(r) })
		tables := New(Options{DeltaRows: 300, CompactRows: 500})
		lasting := distinct(200, func() []byte { return balanced(r) }) // never removed, others hold them at times
		for i, v := range lasting {
			if err := tables.Add(alg, v, ID(total+i)); err != nil {
				t.Fatal(err)
			}
		}
		// Values below removing may be gone, those below removed are; those below added are there.
		var added, removing, removed atomic.Int64
		var lookups atomic.Int64
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for reader := range 3 {
			readers.Go(func() {
				r := rand.New(rand.NewPCG(3, uint64(reader)))
				var dst []Hit
				for {
					select {
					case <-stop:
						return
					default:
					}
					lookups.Add(1)
					i := r.IntN(total)
					v, d := values[i], 0
					if r.IntN(4) == 0 {
						i = total + r.IntN(len(lasting))
						v = lasting[i-total]
					}
					if alg == PDQ {
						v, d = flipped(r, v, r.IntN(flips+1)), flips
					}
					gone, here := int64(i) < removed.Load(), int64(i) < added.Load()
					hits, truncated, err := tables.Lookup(dst[:0], alg, v, d)
					if err != nil || truncated {
						t.Errorf("value %d: truncated %v, error %v", i, truncated, err)
						return
					}
					dst = hits
					leaving := int64(i) < removing.Load()
					found := slices.ContainsFunc(hits, func(h Hit) bool { return h.ID == ID(i) })
					switch {
					case i >= total && !found:
						t.Errorf("lasting value %d: not found", i-total)
					case i < total && gone && found:
						t.Errorf("value %d: found after its removal", i)
					case i < total && here && !leaving && !found:
						t.Errorf("value %d: not found", i)
					}
					for _, h := range hits { // no hit on what the query isn't near to
						var w []byte
						if h.ID < total {
							w = values[h.ID]
						} else if h.ID < ID(total+len(lasting)) {
							w = lasting[h.ID-total]
						} else {
							continue // a second holder
						}
						a, b := load256(v), load256(w)
						if a.distance(&b) != h.Distance {
							t.Errorf("value %d: got item %d at distance %d, want %d", i, h.ID, h.Distance, a.distance(&b))
						}
					}
				}
			})
		}
		for i, v := range values {
			if err := tables.Add(alg, v, ID(i)); err != nil {
				t.Fatal(err)
			}
			added.Store(int64(i) + 1)
			if i%500 == 0 { // or a fast writer ends before the readers have begun
				for seen := lookups.Load(); lookups.Load() < seen+10 && !t.Failed(); {
					runtime.Gosched()
				}
			}
			l := lasting[i%len(lasting)]
			if err := tables.Add(alg, l, ID(2*total+i)); err != nil {
				t.Fatal(err)
			}
			if i >= live {
				removing.Store(int64(i-live) + 1)
				if err := tables.Remove(alg, values[i-live], ID(i-live)); err != nil {
					t.Fatal(err)
				}
				removed.Store(int64(i-live) + 1)
				for i%2000 == 0 && overdue(tables, alg) { // or a fast writer ends before the first compaction
					runtime.Gosched()
				}
				if err := tables.Remove(alg, lasting[(i-live)%len(lasting)], ID(2*total+i-live)); err != nil {
					t.Fatal(err)
				}
			}
		}
		close(stop)
		readers.Wait()
		tables.Close()
		if got, want := tables.Len(alg), live+len(lasting); got != want {
			t.Errorf("kind %d: got %d values at the end, want %d", alg, got, want)
		}
		if alg.exact() {
			if gone := tables.exact[alg].gone; gone > goneEntries+2*live {
				t.Errorf("kind %d: %d entries gone at the end: never made anew", alg, gone)
			}
		} else if n := tables.tables[alg].cur.Load().rows.n.Load(); n > total/2 {
			t.Errorf("kind %d: %d rows at the end: never compacted", alg, n)
		}
	}
}

// overdue reports whether the merger has a compaction before it.
func overdue(tables *Tables, alg Alg) bool {
	tables.mu.Lock()
	defer tables.mu.Unlock()
	tb := tables.tables[alg]
	if alg.exact() {
		return false // its writers make it anew
	}
	return tb.dead >= tables.opts.CompactRows && tb.dead >= int(tb.cur.Load().rows.n.Load())/4
}

// TestCrowd: a value held by very many items costs its writer and its readers
// little, and all holders count.
func TestCrowd(t *testing.T) {
	const n = 60_000
	tables := newTables(Options{})
	v := make([]byte, 16)
	r := rand.New(rand.NewPCG(4, 4))
	order := r.Perm(n)
	for _, id := range order {
		if err := tables.Add(MD5, v, ID(id)); err != nil {
			t.Fatal(err)
		}
	}
	for removed := 0; ; {
		hits, truncated, err := tables.Lookup(nil, MD5, v, 0)
		left := n - removed
		if err != nil || truncated != (left > maxHits) || len(hits) != min(left, maxHits) {
			t.Fatalf("%d holders: got %d hits, truncated %v, error %v", left, len(hits), truncated, err)
		}
		if !slices.IsSortedFunc(hits, func(a, b Hit) int { return int(a.ID) - int(b.ID) }) {
			t.Fatalf("%d holders: hits not in order", left)
		}
		if left == 0 {
			break
		}
		if want := slices.Min(order[removed:]); hits[0].ID != ID(want) {
			t.Fatalf("%d holders: got item %d first, want %d", left, hits[0].ID, want)
		}
		for end := min(removed+n/8, n); removed < end; removed++ {
			if err := tables.Remove(MD5, v, ID(order[removed])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := tables.Len(MD5); n != 0 {
		t.Errorf("got %d values at the end, want 0", n)
	}
}

// TestNearDuplicatesBounded: very many near-duplicates give the nearest 4096 and
// say that there are more; the budget turns the lookup into a scan.
func TestNearDuplicatesBounded(t *testing.T) {
	const n = 50_000
	r := rand.New(rand.NewPCG(5, 5))
	centre := balanced(r)
	values := distinct(n, func() []byte { return swapped(r, centre, 2+r.IntN(6)) })
	tables := newTables(Options{})
	var batch []Entry
	for id, v := range values {
		batch = append(batch, Entry{PDQ, v, ID(id)})
	}
	if err := tables.AddBatch(batch); err != nil {
		t.Fatal(err)
	}
	tables.settle()
	s := tables.tables[PDQ].cur.Load()
	q := query256(s.rows, centre, 24)
	sc := getScratch(maxHits)
	sc.budget = budget(n)
	if len(s.segments) != 1 || s.segments[0].search(&q, sc) {
		t.Errorf("got %d segments, and no budget exceeded", len(s.segments))
	}
	if len(sc.hits.keys) > 2*maxHits {
		t.Errorf("got %d hits in memory, want at most %d", len(sc.hits.keys), 2*maxHits)
	}
	want := naive(values, centre, 24)
	if len(want) < n/2 {
		t.Fatalf("got %d near values, want a crowd", len(want))
	}
	hits, truncated, err := tables.Lookup(nil, PDQ, centre, 24)
	if err != nil || !truncated || len(hits) != maxHits {
		t.Fatalf("got %d hits, truncated %v, error %v", len(hits), truncated, err)
	}
	for i, h := range hits {
		if uint64(h.Distance)<<distanceShift|uint64(h.ID) != want[i] {
			t.Fatalf("hit %d: got %+v, want %x", i, h, want[i])
		}
	}
}

// TestBytes compares the figure with what the data needs at least and at most.
func TestBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	tables := newTables(Options{})
	before := tables.Bytes()
	const n = 20_000
	var batch []Entry
	for id := range n {
		batch = append(batch, Entry{PDQ, randomValue(r), ID(id)})
	}
	if err := tables.AddBatch(batch); err != nil {
		t.Fatal(err)
	}
	plain := tables.Bytes() - before
	tables.settle()
	indexed := tables.Bytes() - before
	if plain < 40*n || plain > 64*n {
		t.Errorf("unindexed: got %d bytes a value, want 40 to 64", plain/n)
	}
	if more := (indexed - plain) / n; more < 48 || more > 160 {
		t.Errorf("index: got %d bytes a value, want 48 to 160", more)
	}
}

// TestReappearance: a value that everybody has left and somebody lists again is
// found again, wherever its row was meanwhile.
func TestReappearance(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	values := distinct(100, func() []byte { return balanced(r) })
	for _, settle := range []string{"", "gone", "back", "gone back"} {
		tables := newTables(Options{DeltaRows: 16, CompactRows: 1000})
		for id, v := range values {
			must(t, tables.Add(PDQ, v, ID(id)))
		}
		for id, v := range values {
			must(t, tables.Remove(PDQ, v, ID(id)))
		}
		if settle == "gone" || settle == "gone back" {
			tables.settle() // a segment of dead rows
		}
		for id, v := range values {
			must(t, tables.Add(PDQ, v, ID(id)+1000))
		}
		if settle == "back" || settle == "gone back" {
			tables.settle()
		}
		for id, v := range values {
			hits, _, err := tables.Lookup(nil, PDQ, flipped(r, v, 3), 3)
			if want := []Hit{{ID(id) + 1000, PDQ, 3}}; err != nil || !slices.Equal(hits, want) {
				t.Fatalf("settled %q: value %d: got %v, %v, want %v", settle, id, hits, err, want)
			}
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
