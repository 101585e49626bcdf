package match

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// Kinds of data: each returns n distinct values.
var datasets = map[string]func(*rand.Rand, int) [][]byte{
	"uniform":     func(r *rand.Rand, n int) [][]byte { return distinct(n, func() []byte { return randomValue(r) }) },
	"even weight": func(r *rand.Rand, n int) [][]byte { return distinct(n, func() []byte { return balanced(r) }) },
	"clustered":   clustered,
	"natural":     natural,
	"one cluster": func(r *rand.Rand, n int) [][]byte {
		c := balanced(r)
		return distinct(n, func() []byte { return swapped(r, c, 1+r.IntN(8)) })
	},
}

func distinct(n int, next func() []byte) [][]byte {
	seen := map[string]bool{}
	var vs [][]byte
	for len(vs) < n {
		if v := next(); !seen[string(v)] {
			seen[string(v)] = true
			vs = append(vs, v)
		}
	}
	return vs
}

func randomValue(r *rand.Rand) []byte {
	v := make([]byte, 32)
	for i := range v {
		v[i] = byte(r.Uint32())
	}
	return v
}

// balanced returns a value of weight 128, as PDQ makes them.
func balanced(r *rand.Rand) []byte {
	v := randomValue(r)
	for w := load256(v); w.weight() != 128; w = load256(v) {
		if i := r.IntN(256); (v[i/8]>>(i%8)&1 == 1) == (w.weight() > 128) {
			v[i/8] ^= 1 << (i % 8)
		}
	}
	return v
}

// swapped returns v with n ones and n zeros exchanged: 2n bits away, same weight.
func swapped(r *rand.Rand, v []byte, n int) []byte {
	w := slices.Clone(v)
	for ones, zeros := n, n; ones+zeros > 0; {
		i := r.IntN(256)
		if w[i/8]>>(i%8)&1 != v[i/8]>>(i%8)&1 {
			continue
		}
		left := &zeros
		if w[i/8]>>(i%8)&1 == 1 {
			left = &ones
		}
		if *left > 0 {
			w[i/8] ^= 1 << (i % 8)
			*left--
		}
	}
	return w
}

func flipped(r *rand.Rand, v []byte, n int) []byte {
	w := slices.Clone(v)
	for _, i := range r.Perm(256)[:n] {
		w[i/8] ^= 1 << (i % 8)
	}
	return w
}

// clustered has groups of near-duplicates, few large ones and many small ones.
func clustered(r *rand.Rand, n int) [][]byte {
	z := rand.NewZipf(r, 1.2, 4, 5000)
	var centre []byte
	left := uint64(0)
	return distinct(n, func() []byte {
		if left == 0 {
			centre, left = balanced(r), z.Uint64()+1
		}
		left--
		return swapped(r, centre, r.IntN(16))
	})
}

// natural has neighbouring bits that go together in half of the hash, the low
// frequencies, so that some keys are far more common than others; and 1 in 100
// has an odd weight.
func natural(r *rand.Rand, n int) [][]byte {
	return distinct(n, func() []byte {
		v := balanced(r)
		for i := 0; i < 16; i++ {
			if r.IntN(3) > 0 {
				v[i] = byte(-int(r.Uint32() & 1))
			}
		}
		if w := load256(v); w.weight()&1 == 1 && r.IntN(100) > 0 {
			v[31] ^= 1
		}
		return v
	})
}

func naive(values [][]byte, q []byte, d int) []uint64 {
	var keys []uint64
	for id, v := range values {
		n := 0
		for i := 0; i < 32; i += 8 {
			n += bits.OnesCount64(binary.BigEndian.Uint64(v[i:]) ^ binary.BigEndian.Uint64(q[i:]))
		}
		if n <= d {
			keys = append(keys, uint64(n)<<distanceShift|uint64(id))
		}
	}
	slices.Sort(keys)
	return keys
}

// TestSegmentRecall compares the index alone, with neither a budget nor the choice
// to scan, with reading everything: every distance, data of every kind.
func TestSegmentRecall(t *testing.T) {
	n := map[bool]int{false: 9000, true: 3000}[raceEnabled]
	for name, make := range datasets {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			values := make(r, n)
			rows := newRows(32)
			for id, v := range values {
				rows.append(spreadBytes(v), uint64(id)+1)
			}
			seg := buildSegment(rows, 0, uint32(n), 1, func() bool { return false })
			indexed := 0
			for _, p := range seg.parts {
				if p != nil && p.chunks != nil {
					indexed += p.n
				}
			}
			if indexed != n {
				t.Fatalf("got %d indexed values, want %d", indexed, n)
			}
			sc := new(scratch)
			hits := 0
			for d := 0; d <= MaxDistance; d++ {
				for _, query := range [][]byte{
					randomValue(r), balanced(r),
					values[r.IntN(n)],
					flipped(r, values[r.IntN(n)], d),
					flipped(r, values[r.IntN(n)], max(d-1, 0)),
					flipped(r, values[r.IntN(n)], d+1),
				} {
					q := query256(rows, query, d)
					sc.hits.reset(n)
					sc.budget = 1 << 30
					for parity, p := range seg.parts {
						if p != nil && q.within(parity) >= 0 && !p.search(&q, q.within(parity), sc) {
							t.Fatalf("distance %d: budget used up", d)
						}
					}
					got := len(sc.hits.keys)
					sc.hits.prune()
					if got != len(sc.hits.keys) {
						t.Errorf("distance %d: got %d hits, of %d values", d, got, len(sc.hits.keys))
					}
					if want := naive(values, query, d); !slices.Equal(sc.hits.keys, want) {
						t.Fatalf("distance %d: got %d hits, want %d", d, len(sc.hits.keys), len(want))
					}
					hits += got
				}
			}
			if hits == 0 {
				t.Error("no query hit anything")
			}
		})
	}
}

// query256 is a query for a value among rows that a table has, which has spread them.
func query256(rows *rows, value []byte, d int) query {
	q := query{bits: load256(value).spread(), distance: d, rows: rows, pages: *rows.pages.Load()}
	q.parity = q.bits.weight() & 1
	return q
}

// recallValues is the size of TestRecall; the race detector makes it slow, and has
// nothing to find in a test without goroutines.
var recallValues = map[bool]int{false: 60_000, true: 12_000}[raceEnabled]

// TestRecall compares the tables as they are used, some values in segments and
// some in the delta, with reading everything.
func TestRecall(t *testing.T) {
	for name, make := range datasets {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 6))
			values := make(r, recallValues)
			tables := newTables(Options{DeltaRows: 100})
			// A large segment, one too small to be merged with it, and a delta.
			lo := 0
			for _, hi := range []int{len(values) * 96 / 100, len(values) - 60, len(values)} {
				var batch []Entry
				for id := lo; id < hi; id++ {
					batch = append(batch, Entry{PDQ, values[id], ID(id)})
				}
				if err := tables.AddBatch(batch); err != nil {
					t.Fatal(err)
				}
				tables.settle()
				lo = hi
			}
			s := tables.tables[PDQ].cur.Load()
			if got, want := len(values)-int(s.indexed), 60; len(s.segments) != 2 || got != want {
				t.Fatalf("got %d segments and a delta of %d, want 2 and %d", len(s.segments), got, want)
			}
			for d := 0; d <= MaxDistance; d++ {
				for _, query := range [][]byte{randomValue(r), flipped(r, values[r.IntN(len(values))], d)} {
					want := naive(values, query, d)
					hits, truncated, err := tables.Lookup(nil, PDQ, query, d)
					if err != nil {
						t.Fatal(err)
					}
					if truncated != (len(want) > maxHits) {
						t.Fatalf("distance %d: got truncated %v with %d to find", d, truncated, len(want))
					}
					want = want[:min(len(want), maxHits)]
					if len(hits) != len(want) {
						t.Fatalf("distance %d: got %d hits, want %d", d, len(hits), len(want))
					}
					for i, h := range hits {
						if uint64(h.Distance)<<distanceShift|uint64(h.ID) != want[i] {
							t.Fatalf("distance %d: hit %d: got %+v, want %x", d, i, h, want[i])
						}
					}
				}
			}
		})
	}
}

// TestPlans checks the pigeonhole principle itself, for every number of chunks.
func TestPlans(t *testing.T) {
	for _, n := range []int{2048, 20_000, 200_000, 2_000_000, 20_000_000, 200_000_000} {
		p := &part{n: n}
		count := chunksFor(n)
		at := 0
		for i := range count {
			from, to := 256*i/count, 256*(i+1)/count
			if from != at || to-from < 6 || to-from > 29 {
				t.Fatalf("%d values: chunk %d: got bits %d to %d", n, i, from, to)
			}
			at = to
			// Only the number of its slots matters to the plan.
			p.chunks = append(p.chunks, chunk{offset: uint8(from), width: uint8(to - from), keys: 1000})
		}
		if at != 256 {
			t.Fatalf("%d values: got %d bits in chunks, want 256", n, at)
		}
		p.plan()
		for d, pl := range p.plans {
			sum := 0
			for _, r := range pl.radius {
				if r < -1 || r > maxRadius {
					t.Fatalf("%d values, distance %d: got radius %d", n, d, r)
				}
				sum += int(r) + 1
			}
			if sum != d+1 {
				t.Errorf("%d values, distance %d: got a sum of %d, want %d", n, d, sum, d+1)
			}
			if d > 0 && pl.cost < p.plans[d-1].cost {
				t.Errorf("%d values: got distance %d cheaper than %d", n, d, d-1)
			}
		}
	}
}

// TestMasks counts every number of up to 13 bits once, tabled or not.
func TestMasks(t *testing.T) {
	for width := 0; width <= 13; width++ {
		for ones := 0; ones <= width; ones++ {
			var got []uint32
			var buf [maskBlock]uint32
			list := masksOf(width, ones)
			for block := list.block(&buf); len(block) > 0; block = list.block(&buf) {
				if len(block) > maskBlock {
					t.Fatalf("%d of %d bits: got a block of %d", ones, width, len(block))
				}
				got = append(got, block...)
			}
			var want []uint32
			for m := range uint32(1) << width {
				if bits.OnesCount32(m) == ones {
					want = append(want, m)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d of %d bits: got %d masks, want %d", ones, width, len(got), len(want))
			}
		}
	}
	for ones := range maxMaskOnes + 1 {
		if got, want := len(maskTables()[maxMaskWidth][ones]), int(binomial(maxMaskWidth, ones)); got != want {
			t.Errorf("%d of %d bits: got %d masks, want %d", ones, maxMaskWidth, got, want)
		}
	}
}

// TestSegmentsStayFew adds in small steps: the number of segments is logarithmic.
func TestSegmentsStayFew(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	tables := newTables(Options{DeltaRows: 16})
	for i := range 4000 {
		if err := tables.Add(PDQ, randomValue(r), ID(i)); err != nil {
			t.Fatal(err)
		}
		if i%16 == 15 {
			tables.settle()
		}
		s := tables.tables[PDQ].cur.Load()
		if len(s.segments) > 3 { // log16(4000/16) = 2
			t.Fatalf("%d values: got %d segments", i+1, len(s.segments))
		}
		at := uint32(0)
		for _, seg := range s.segments {
			if seg.lo != at {
				t.Fatalf("%d values: got a segment from row %d, want %d", i+1, seg.lo, at)
			}
			at = seg.hi
		}
		if at != s.indexed {
			t.Fatalf("%d values: got %d indexed, want %d", i+1, s.indexed, at)
		}
	}
}
