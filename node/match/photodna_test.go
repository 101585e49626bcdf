package match

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// gradients returns a value as PhotoDNA's are: few large sums, many small ones.
func gradients(r *rand.Rand) []byte {
	v := make([]byte, 144)
	for i := range v {
		v[i] = byte(min(255, 40*r.ExpFloat64()))
	}
	return v
}

// nudged returns a value whose bytes are up to n larger or smaller.
func nudged(r *rand.Rand, v []byte, n int) []byte {
	w := bytes.Clone(v)
	for i := range w {
		w[i] = byte(max(0, min(255, int(w[i])+r.IntN(2*n+1)-n)))
	}
	return w
}

// TestSketch: the distance of sketches is that of every third byte, also at the ends of
// the range, and so never more than that of all.
func TestSketch(t *testing.T) {
	r := rand.New(rand.NewPCG(30, 30))
	values := [][]byte{make([]byte, 144), bytes.Repeat([]byte{255}, 144), bytes.Repeat([]byte{0, 255, 255}, 48), bytes.Repeat([]byte{255, 0}, 72)}
	for range 200 {
		values = append(values, gradients(r))
	}
	for i, a := range values {
		sk := newSketch(a)
		for j, b := range values {
			want, third := 0, 0
			for k := range a {
				d := int(a[k]) - int(b[k])
				want += d * d
				if k%3 == 0 {
					third += d * d
				}
			}
			q := newPhotoQuery(b, 0)
			if got := int(sk.square) + int(q.square) - 2*int(sk.dot(&q.pairs)); got != third {
				t.Fatalf("values %d and %d: got %d for a third of the bytes, want %d", i, j, got, third)
			}
			if got := squareDistance(a, b); got != want {
				t.Fatalf("values %d and %d: got distance %d, want %d", i, j, got, want)
			}
		}
	}
}

// TestPhotoRecall compares with the distances of all values, on the edge of what is
// near too, over several pages.
func TestPhotoRecall(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 31))
	tables := newTables(Options{CompactRows: 1000})
	values := make([][]byte, sketchRows+100)
	var batch []Entry
	for i := range values {
		if values[i] = gradients(r); i%50 != 0 {
			values[i] = nudged(r, values[i/50*50], 1+r.IntN(40)) // clusters of 50
		}
		batch = append(batch, Entry{PhotoDNA, values[i], ID(i)})
	}
	must(t, tables.AddBatch(batch))
	check := func() {
		t.Helper()
		for range 8 {
			query := nudged(r, values[r.IntN(len(values)/2)*2+1], 5)
			distance := squareDistance(query, values[r.IntN(len(values)/2)*2+1]) / (1 + r.IntN(20))
			if r.IntN(2) == 0 {
				distance = squareDistance(query, values[r.IntN(25)*2+1])
			}
			var want []uint64
			for i, v := range values {
				if d := squareDistance(v, query); v != nil && d <= distance {
					want = append(want, uint64(d)<<distanceShift|uint64(i))
				}
			}
			slices.Sort(want)
			hits, truncated, err := tables.Lookup(nil, PhotoDNA, query, distance)
			if err != nil || truncated != (len(want) > maxHits) || len(hits) != min(len(want), maxHits) {
				t.Fatalf("within %d: got %d hits, truncated %v, %v, want %d", distance, len(hits), truncated, err, len(want))
			}
			for i, h := range hits {
				if uint64(h.Distance)<<distanceShift|uint64(h.ID) != want[i] {
					t.Fatalf("within %d: hit %d: got %+v, want %x", distance, i, h, want[i])
				}
			}
		}
	}
	check()
	for i := 0; i < len(values); i += 2 {
		must(t, tables.Remove(PhotoDNA, values[i], ID(i)))
		values[i] = nil
	}
	check()
	tables.settle()
	if n := int(tables.tables[PhotoDNA].cur.Load().rows.n.Load()); n != tables.Len(PhotoDNA) {
		t.Errorf("%d rows of %d values: not compacted", n, tables.Len(PhotoDNA))
	}
	check()
}

// TestFlat: a value that says little is found by an equal one only, and finds no other.
func TestFlat(t *testing.T) {
	r := rand.New(rand.NewPCG(32, 32))
	tables := newTables(Options{})
	grey, dark, photo := make([]byte, 144), bytes.Repeat([]byte{1, 2, 3}, 48), gradients(r)
	grey[0] = 1
	for id, v := range [][]byte{grey, dark, photo} {
		if flat(v) != (id < 2) {
			t.Errorf("value %d: flat %v", id, flat(v))
		}
		must(t, tables.Add(PhotoDNA, v, ID(id)))
	}
	for _, c := range []struct {
		query []byte
		want  []Hit
	}{
		{grey, []Hit{{0, PhotoDNA, 0}}},
		{dark, []Hit{{1, PhotoDNA, 0}}},
		{photo, []Hit{{2, PhotoDNA, 0}}},
		{nudged(r, grey, 1), nil},
	} {
		if hits, _, err := tables.Lookup(nil, PhotoDNA, c.query, MaxSquare); err != nil || !slices.Equal(hits, c.want) {
			t.Errorf("got %v, %v, want %v", hits, err, c.want)
		}
	}
}
