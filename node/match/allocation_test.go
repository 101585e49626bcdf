//go:build !race

package match

// Under the race detector sync.Pool drops values at random: what is counted here would not be ours.

import (
	"math/rand/v2"
	"testing"
)

// TestNoAllocation: a lookup into a slice with room allocates nothing.
func TestNoAllocation(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	tables := newTables(Options{})
	values := clustered(r, 20_000)
	for id, v := range values {
		for _, alg := range []Alg{PDQ, SHA256} {
			for copies := range 1 + id&1 {
				if err := tables.Add(alg, v, ID(id+copies*len(values))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if id == 15_000 {
			tables.settle()
		}
	}
	photo := gradients(r)
	must(t, tables.Add(PhotoDNA, photo, 1))
	dst, held := make([]Hit, 0, maxHits), make([]bool, 0, 100)
	digests := make([]byte, 100*32)
	for name, f := range map[string]func() error{
		"exact":    func() error { _, _, err := tables.Lookup(dst, SHA256, values[r.IntN(len(values))], 0); return err },
		"holds":    func() error { _, err := tables.Holds(held, SHA256, digests); return err },
		"photo":    func() error { _, _, err := tables.Lookup(dst, PhotoDNA, photo, 40_000); return err },
		"near":     func() error { _, _, err := tables.Lookup(dst, PDQ, values[r.IntN(len(values))], 31); return err },
		"far":      func() error { _, _, err := tables.Lookup(dst, PDQ, values[r.IntN(len(values))], 63); return err },
		"identity": func() error { _, _, err := tables.Lookup(dst, PDQ, values[r.IntN(len(values))], 0); return err },
	} {
		if n := testing.AllocsPerRun(300, func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: got %v allocations a lookup, want 0", name, n)
		}
	}
}
