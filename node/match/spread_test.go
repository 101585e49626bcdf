package match

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func spreadBytes(v []byte) []byte {
	var w []byte
	for _, x := range load256(v).spread() {
		w = binary.LittleEndian.AppendUint64(w, x)
	}
	return w
}

// TestSpread compares with the rule, bit by bit: each bit moves, none is lost.
func TestSpread(t *testing.T) {
	bit := func(v *bits256, i int) uint64 { return v[i>>6] >> (i & 63) & 1 }
	r := rand.New(rand.NewPCG(25, 25))
	for range 1000 {
		v := bits256{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}
		s := v.spread()
		for row := range 16 {
			for column := range 16 {
				if got, want := bit(&s, row<<4|column), bit(&v, (row+turns[column])&15<<4|column); got != want {
					t.Fatalf("row %d, column %d: got %d, want %d", row, column, got, want)
				}
			}
		}
		w := bits256{r.Uint64(), v[1], r.Uint64(), v[3]}
		if u := w.spread(); s.distance(&u) != v.distance(&w) || s.weight() != v.weight() {
			t.Fatalf("%x and %x: distance or weight is another when spread", v, w)
		}
	}
}

// TestTurns: no two pairs of columns are turned against each other alike and as far apart.
func TestTurns(t *testing.T) {
	seen := map[[2]int]bool{}
	for a := range turns {
		for b := a + 1; b < len(turns); b++ {
			step := [2]int{b - a, turns[b] - turns[a]}
			if seen[step] || step[1] == 0 {
				t.Errorf("columns %d and %d: turned against each other by %d rows as others are", a, b, step[1])
			}
			seen[step] = true
		}
	}
}

// TestSpreadNatural: few natural values share a key, nearly as few as if they were random;
// without spreading, many times as many. They are what a query's candidates are.
func TestSpreadNatural(t *testing.T) {
	const n = 20_000
	values := make([]byte, n*32)
	naturalInto(values, 0)
	shared := func(of func(v []byte) bits256) (pairs int) {
		chunks, _ := newChunks(chunksFor(n))
		for _, c := range chunks {
			count := make([]int, 1<<c.width)
			for i := 0; i < len(values); i += 32 {
				v := of(values[i:])
				k := c.key(&v)
				pairs += count[k] // with each that came before
				count[k]++
			}
		}
		return pairs
	}
	raw := shared(load256)
	spread := shared(func(v []byte) bits256 { return load256(v).spread() })
	random := 0.
	chunks, _ := newChunks(chunksFor(n))
	for _, c := range chunks {
		random += float64(n) * float64(n) / 2 / float64(uint64(1)<<c.width)
	}
	if float64(raw) < 4*random || float64(spread) > 1.5*random {
		t.Errorf("%d values: %d pairs share a key, %d if spread, %.0f of random ones; want 4 times as many and less than 1.5 times", n, raw, spread, random)
	}
}
