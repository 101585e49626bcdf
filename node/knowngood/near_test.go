package knowngood

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hashfeed/feed"
)

// distance is the slow way.
func distance(a, b string) (d int) {
	for i := range len(a) {
		d += bits.OnesCount8(a[i] ^ b[i])
	}
	return d
}

func randomValue(r *rand.Rand) string {
	b := make([]byte, 32)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// flipped is value with so many different bits changed.
func flipped(r *rand.Rand, value string, n int) string {
	b := []byte(value)
	for _, bit := range r.Perm(256)[:n] {
		b[bit/8] ^= 1 << (bit % 8)
	}
	return string(b)
}

// TestNear holds the index against a comparison with all, below and above the size at which it has buckets, at every distance.
func TestNear(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 7, fewValues - 1, fewValues, 5000} {
		var values []string
		var places []int
		for i := range size {
			values, places = append(values, randomValue(r)), append(places, 3*i)
		}
		n := newNear(values, places)
		for ask := range 300 {
			value := randomValue(r)
			if size > 0 && ask > 0 {
				value = flipped(r, values[r.IntN(size)], ask%40)
			}
			for _, within := range []int{0, 1, 15, 16, 30, 31, 99} {
				place, ok := n.find(value, within)
				within = min(within, MaxWithin)
				want := slices.ContainsFunc(values, func(v string) bool { return distance(v, value) <= within })
				if ok != want {
					t.Fatalf("%d values, within %d: found %v, want %v", size, within, ok, want)
				}
				if ok && (place%3 != 0 || distance(values[place/3], value) > within) {
					t.Fatalf("%d values, within %d: found place %d, which is %d away", size, within, place, distance(values[place/3], value))
				}
			}
		}
	}
}

// TestNearWorst spreads 31 bits so that as few parts as can be are alike: two in each but one, which has one.
func TestNearWorst(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var values []string
	var places []int
	for i := range 2 * fewValues {
		values, places = append(values, randomValue(r)), append(places, i)
	}
	n := newNear(values, places)
	for lone := range 16 {
		for bit := range 16 {
			b := []byte(values[lone])
			for part := range 16 {
				b[2*part] ^= 1 << (bit % 8)
				if part != lone {
					b[2*part+1] ^= 1 << (bit / 2)
				}
			}
			if d := distance(string(b), values[lone]); d != 31 {
				t.Fatalf("the test is wrong: %d bits", d)
			}
			if place, ok := n.find(string(b), 31); !ok || place != lone {
				t.Errorf("lone part %d, bit %d: got %d, %v", lone, bit, place, ok)
			}
		}
	}
}

func TestHasNeighbours(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	ones := func(n int) string { return flipped(r, string(make([]byte, 32)), n) }
	for _, c := range []struct {
		value   string
		quality uint8
		want    bool
	}{
		{ones(128), 50, true}, {ones(64), 100, true}, {ones(192), 100, true},
		{ones(128), 49, false}, {ones(63), 100, false}, {ones(193), 100, false}, {ones(0), 100, false}, {ones(256), 100, false},
		{"", 100, false}, {ones(128)[:31], 100, false},
	} {
		if got := hasNeighbours(c.value, c.quality); got != c.want {
			t.Errorf("%d bytes, quality %d: got %v, want %v", len(c.value), c.quality, got, c.want)
		}
	}
}

// TestOwn draws files and asks for their hashes, for neighbours, and for others.
func TestOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var names []string
		var hashes [][]feed.Hash
		for i := range rapid.IntRange(0, 5).Draw(t, "files") {
			names = append(names, fmt.Sprint("file ", i))
			list := exactHashes([]byte(names[i]))
			if rapid.Bool().Draw(t, "picture") {
				list = append(list, feed.Hash{Alg: feed.PDQ, Value: flipped(r, string(make([]byte, 32)), 128), Quality: rapid.SampledFrom([]uint8{0, 49, 50, 100}).Draw(t, "quality")})
			}
			hashes = append(hashes, list)
		}
		o := NewOwn(names, hashes)
		for i, list := range hashes {
			for _, h := range list {
				if name, ok := o.Find(h, 0); !ok || name != names[i] {
					t.Fatalf("%s: got %q, %v, want %q", h.Short(), name, ok, names[i])
				}
				if !h.Alg.Graded() {
					continue
				}
				full := h
				full.Alg, full.Quality = feed.PDQFull, 0
				if _, ok := o.Find(full, 0); !ok {
					t.Fatal("the other kind of an equal pdq isn't found")
				}
				close := feed.Hash{Alg: feed.PDQFull, Value: flipped(r, h.Value, 31), Quality: 50}
				if _, ok := o.Find(close, 31); ok != (h.Quality >= 50) {
					t.Fatalf("a neighbour of one of quality %d: found %v", h.Quality, ok)
				}
				if _, ok := o.Find(close, 30); ok {
					t.Fatal("a neighbour at 31 bits is found within 30")
				}
				close.Quality = 49
				if _, ok := o.Find(close, 31); ok {
					t.Fatal("a neighbour of low quality is found")
				}
			}
		}
		for _, h := range exactHashes([]byte("another")) {
			if name, ok := o.Find(h, 31); ok {
				t.Fatalf("%s is taken for %q", h.Short(), name)
			}
		}
	})
	var none *Own
	if _, ok := none.Find(exactHashes(nil)[0], 31); ok {
		t.Error("no list has something")
	}
}
