package match

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// photoPeers writes the table of PhotoDNA lookups among n values within IPED's distance.
// Half of the queries are values with every byte nudged, half unrelated.
func (h *harness) photoPeers(t *testing.T, n int, section *strings.Builder) {
	const distance, count = 40_000, 200
	r := rand.New(rand.NewPCG(16, 17))
	values := make([]byte, 0, n*144)
	for range n {
		values = append(values, gradients(r)...)
	}
	queries := make([]byte, 0, count*144)
	for i := range count {
		q := gradients(r)
		if i&1 == 0 {
			q = nudged(r, values[r.IntN(n)*144:][:144], 20)
		}
		queries = append(queries, q...)
	}
	began := time.Now()
	tables := newTables(Options{})
	for i := range n {
		must(t, tables.Add(PhotoDNA, values[i*144:][:144], ID(i)))
	}
	build := time.Since(began)
	var hits []Hit
	dst := make([]Hit, 0, maxHits)
	lookup := func(query int) time.Duration {
		began := time.Now()
		hits, _, _ = tables.Lookup(dst, PhotoDNA, queries[query*144:][:144], distance)
		return time.Since(began)
	}
	found := func(a *answer) {
		for _, hit := range hits {
			a.add(hit.ID, hit.Distance)
		}
	}
	want := make([]answer, count)
	for i := range want {
		lookup(i)
		found(&want[i])
	}
	var f truth
	scan := func(query int) time.Duration {
		began := time.Now()
		f.hits = f.hits[:0]
		q := queries[query*144:][:144]
		for i := range n {
			d := 0
			for k, b := range values[i*144:][:144] {
				x := int(b) - int(q[k])
				d += x * x
			}
			if d <= distance {
				f.add(ID(i), d)
			}
		}
		return time.Since(began)
	}
	ours := &peer{name: "**ours**", own: true, build: build, bytes: tables.Bytes(), turn: asked(count, lookup, found)}
	peers := []*peer{ours, {name: "reading all, Go", bytes: int64(len(values)), turn: asked(count, scan, f.found)}}
	h.compete(t, peers, want)
	fmt.Fprintf(section, "PhotoDNA within a squared distance of 40,000, %s values:\n\n| index | queries/s | p50 | p99 | bytes a hash | build | ours is |\n|---|---|---|---|---|---|---|\n", thousands(float64(n)))
	for _, p := range peers {
		fmt.Fprintf(section, "| %s\n", p.cells(ours, n))
	}
}
