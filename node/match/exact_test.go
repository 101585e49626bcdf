package match

import (
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSum compares with the formula in numbers of any size.
func TestSum(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 20))
	word := func(x uint64) *big.Int { return new(big.Int).SetUint64(x) }
	two64, two128 := new(big.Int).Lsh(big.NewInt(1), 64), new(big.Int).Lsh(big.NewInt(1), 128)
	for range 1000 {
		key := newHashKey()
		for _, size := range []int{16, 20, 32} {
			v := make([]byte, size)
			for i := range v {
				v[i] = byte(r.Uint32())
			}
			s, padded := new(big.Int), append(slices.Clone(v), make([]byte, 32-size)...)
			for i := 0; i < size; i += 16 {
				var factor [2]*big.Int
				for j := range factor {
					w := padded[i+8*j : i+8*j+8]
					slices.Reverse(w) // big numbers are big-endian
					factor[j] = new(big.Int).Add(new(big.Int).SetBytes(w), word(key[i/8+j]))
					factor[j].Mod(factor[j], two64)
				}
				s.Add(s, new(big.Int).Mul(factor[0], factor[1])).Mod(s, two128)
			}
			hi, lo := new(big.Int).DivMod(s, two64, new(big.Int))
			p := hi.Mul(word(hi.Uint64()^key[4]), word(lo.Uint64()^key[5]))
			hi, lo = new(big.Int).DivMod(p, two64, new(big.Int))
			if got, want := key.sum(v), hi.Uint64()^lo.Uint64(); got != want {
				t.Fatalf("%d bytes: got %#x, want %#x", size, got, want)
			}
		}
	}
}

// TestSumSpreads: of values that differ in a few bits only, no two share an identity,
// and no region has many more than its share.
func TestSumSpreads(t *testing.T) {
	for _, alg := range []Alg{MD5, SHA1, SHA256} {
		tb := newExactTable(alg, Options{})
		for at := range alg.Size() - 2 {
			seen := make(map[identity]bool)
			var inRegion [regions]int
			v := make([]byte, alg.Size())
			for k := range 1 << 13 {
				v[at], v[at+1] = byte(k), byte(k>>8)
				i := tb.identity(v)
				if seen[i] {
					t.Fatalf("kind %d, byte %d: two of %d values share an identity", alg, at, k)
				}
				seen[i] = true
				inRegion[i.region()]++
			}
			if n := slices.Max(inRegion[:]); n > 32*3 { // 32 ± 6
				t.Errorf("kind %d, byte %d: %d of %d values in one region", alg, at, n, 1<<13)
			}
		}
	}
}

// identityModel is what a table should hold: the holders of each identity.
type identityModel map[identity]map[ID]bool

// TestExactCollisions runs random steps on tables whose hash has lost bits, so that
// values share identities, lines and regions: they must do what sets of items by
// identity do, and so never lose an item's hold of a value that holds no other value of
// that identity.
func TestExactCollisions(t *testing.T) {
	for name, blind := range map[string]uint64{
		"no":                         0,
		"4 regions, 16 tags":         ^uint64(3<<56 | 15<<52),
		"one region":                 255 << 56,
		"one line a region":          (1<<32 - 1) << 24,
		"one identity":               1<<64 - 1,
		"16 identities, one line":    1<<64 - 1 ^ 15<<12,
		"512 identities, 8 a region": 1<<64 - 1 ^ 63<<58 ^ 7<<12,
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(21, blind))
			tables := newTables(Options{hashBlind: blind, MaxHits: 1000})
			tb, m := tables.exact[SHA1], identityModel{}
			values := distinct(600, func() []byte { return randomValue(r)[:20] })
			check := func(step int, v []byte) {
				t.Helper()
				want := slices.Sorted(maps.Keys(m[tb.identity(v)]))
				hits, truncated, err := tables.Lookup(nil, SHA1, v, 0)
				if err != nil || truncated || len(hits) != len(want) {
					t.Fatalf("step %d: got %d hits, truncated %v, %v, want %d", step, len(hits), truncated, err, len(want))
				}
				for i, h := range hits {
					if (h != Hit{ID: want[i], Alg: SHA1}) {
						t.Fatalf("step %d: got %v, want item %d", step, h, want[i])
					}
				}
				if got := tables.Len(SHA1); got != len(m) {
					t.Fatalf("step %d: got length %d, want %d", step, got, len(m))
				}
			}
			remove := func(v []byte, id ID) {
				i := tb.identity(v)
				delete(m[i], id)
				if len(m[i]) == 0 {
					delete(m, i)
				}
			}
			for step := range 6000 {
				// Times of growth and times of shrinking, by turns.
				v, id := values[r.IntN(len(values))], ID(r.IntN(8))
				if r.IntN(50) == 0 {
					id = maxID - id
				}
				switch grow := step/1500%2 == 0; {
				case r.IntN(1000) == 0:
					lo := ID(r.IntN(8))
					must(t, tables.RemoveAll(lo, lo+3))
					for i, ids := range m {
						maps.DeleteFunc(ids, func(id ID, _ bool) bool { return lo <= id && id < lo+3 })
						if len(ids) == 0 {
							delete(m, i)
						}
					}
				case r.IntN(10) < 7 == grow:
					must(t, tables.Add(SHA1, v, id))
					if i := tb.identity(v); m[i] == nil {
						m[i] = map[ID]bool{id: true}
					} else {
						m[i][id] = true
					}
				default:
					must(t, tables.Remove(SHA1, v, id))
					remove(v, id)
				}
				check(step, v)
				check(step, values[r.IntN(len(values))])
				if step%500 == 0 {
					checkLines(t, tb)
					for _, v := range values {
						check(step, v)
					}
				}
				if step == 4000 {
					tables.settle()
				}
			}
		})
	}
}

// checkLines compares a table's counts with what its lines hold.
func checkLines(t *testing.T, tb *exactTable) {
	t.Helper()
	for _, l := range []*lines{tb.cur.Load(), tb.next} {
		if l == nil {
			continue
		}
		n, seen := 0, map[identity]bool{}
		l.each(0, len(l.array), func(i identity, w uint64) {
			n++
			if seen[i] {
				t.Fatalf("identity %x has two entries", uint64(i))
			}
			seen[i] = true
			if w&listed != 0 && l.list(w).live == 0 {
				t.Fatalf("identity %x has an empty list", uint64(i))
			}
			if l.find(i, l.home(i)) != w {
				t.Fatalf("identity %x isn't found where it stands", uint64(i))
			}
			if l.filter.lacks(i, l.home(i)) {
				t.Fatalf("identity %x doesn't pass the filter", uint64(i))
			}
		})
		if n != l.used {
			t.Fatalf("got %d entries, %d counted", n, l.used)
		}
		if l != tb.next && int64(n) != tb.live.Load() {
			t.Fatalf("got %d entries, length %d", n, tb.live.Load())
		}
	}
	if l := tb.cur.Load(); tb.next == nil {
		if tb.gone > goneEntries+l.used/2+1 {
			t.Fatalf("%d entries gone of a table of %d, and it isn't made anew", tb.gone, l.used)
		}
		if n := filterBits(l); n > 2*(l.used+tb.gone) {
			t.Fatalf("the filter has %d bits set for %d entries and %d gone", n, l.used, tb.gone)
		}
	}
}

// TestExactHolders: of two values with one identity, each keeps the items that hold it
// when the other is removed, and the items of both are candidates for both.
func TestExactHolders(t *testing.T) {
	tables := newTables(Options{hashBlind: 1<<64 - 1})
	a, b := make([]byte, 16), append(make([]byte, 15), 1)
	must(t, tables.Add(MD5, a, 1))
	must(t, tables.Add(MD5, b, 2))
	for range 3 { // for want of any list, with one, and with it empty in between
		must(t, tables.Remove(MD5, a, 1))
		for _, v := range [][]byte{a, b} {
			hits, _, err := tables.Lookup(nil, MD5, v, 0)
			if want := []Hit{{2, MD5, 0}}; err != nil || !slices.Equal(hits, want) {
				t.Fatalf("got %v, %v, want %v", hits, err, want)
			}
		}
		must(t, tables.Add(MD5, a, 1))
	}
	// An item that holds both holds neither once one is removed: nothing tells them apart.
	must(t, tables.Add(MD5, b, 1))
	must(t, tables.Remove(MD5, b, 1))
	if hits, _, _ := tables.Lookup(nil, MD5, a, 0); len(hits) != 1 || hits[0].ID != 2 {
		t.Fatalf("got %v, want item 2 only", hits)
	}
}

// TestExactSizes fills tables of all small sizes, and empties them.
func TestExactSizes(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 22))
	values := distinct(260, func() []byte { return randomValue(r)[:16] })
	other := randomValue(r)[:16]
	for n := range values {
		tables := newTables(Options{})
		tb := tables.exact[MD5]
		found := func(v []byte) string {
			hits, _, _ := tables.Lookup(nil, MD5, v, 0)
			return fmt.Sprint(hits)
		}
		for id, v := range values[:n] {
			must(t, tb.add(v, ID(id)))
		}
		for id, v := range values[:n] {
			if got, want := found(v), fmt.Sprint([]Hit{{ID(id), MD5, 0}}); got != want {
				t.Fatalf("%d values: value %d: got %s, want %s", n, id, got, want)
			}
		}
		if tb.live.Load() != int64(n) || found(other) != "[]" {
			t.Fatalf("%d values: got length %d and %s of another", n, tb.live.Load(), found(other))
		}
		for id, v := range values[:n] {
			tb.remove(v, ID(id))
			if got := found(v); got != "[]" {
				t.Fatalf("%d values: value %d: got %s after its removal", n, id, got)
			}
		}
		checkLines(t, tb)
	}
}

// TestExactRemade: what removals leave behind is bounded, lists too, and a table that
// has become empty is small again.
func TestExactRemade(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 23))
	tables := newTables(Options{})
	tb := tables.exact[SHA256]
	empty := tables.Bytes()
	values := fast(8000, func() []byte { return randomValue(r) })
	for round := range 6 {
		var batch []Entry
		for i, v := range values {
			for id := range ID(1 + i%3) {
				batch = append(batch, Entry{SHA256, v, id<<32 | ID(i)})
			}
		}
		must(t, tables.AddBatch(batch))
		full := tables.Bytes()
		if min, max := int64(len(values)*16), int64(len(values)*24+len(values)*2/3*200); full < min || full > empty+max {
			t.Fatalf("round %d: got %d bytes, want %d to %d", round, full, min, max)
		}
		switch round % 3 {
		case 0:
			must(t, tables.RemoveAll(0, maxID))
		case 1:
			for _, e := range batch {
				must(t, tables.Remove(SHA256, e.Value, e.ID))
			}
		case 2:
			for id := range ID(3) {
				must(t, tables.RemoveAll(id<<32, (id+1)<<32))
				tables.settle()
				checkLines(t, tb)
			}
		}
		tables.settle()
		checkLines(t, tb)
		if n := tables.Bytes(); tables.Len(SHA256) != 0 || n > empty+64<<10 {
			t.Fatalf("round %d: got %d values and %d bytes after all were removed, %d at first", round, tables.Len(SHA256), n, empty)
		}
	}
}

// TestHolds compares with lookups, for numbers of values around a block's.
func TestHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 24))
	tables := newTables(Options{})
	for _, alg := range []Alg{MD5, SHA1, SHA256} {
		var values []byte
		for n := range 3*holdsBlock + 2 {
			dst, err := tables.Holds([]bool{true}, alg, values)
			if err != nil || len(dst) != 1+n || !dst[0] {
				t.Fatalf("kind %d, %d values: got %v, %v", alg, n, dst, err)
			}
			for i, held := range dst[1:] {
				if want := i%3 == 0; held != want {
					t.Fatalf("kind %d: value %d of %d: got %v, want %v", alg, i, n, held, want)
				}
			}
			v := randomValue(r)[:alg.Size()]
			if values = append(values, v...); n%3 == 0 {
				must(t, tables.Add(alg, v, ID(n)))
			}
		}
		if _, err := tables.Holds(nil, alg, values[1:]); err == nil {
			t.Errorf("kind %d: got no error for a part of a value", alg)
		}
	}
	for _, alg := range []Alg{0, PDQ, PhotoDNA, 7, 255} {
		if _, err := tables.Holds(nil, alg, nil); err == nil {
			t.Errorf("kind %d: got no error", alg)
		}
	}
}
