package match

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// queryCount is how many queries a set of values has: half are values with up to 31 bits
// changed, their weight kept, half unrelated.
const queryCount = 2000

// sets are the kinds of values, and how to make n of them and as many unrelated ones.
var sets = []struct {
	name string
	make func(r *rand.Rand, n, others int) (values, unrelated []byte)
}{
	{"uniform", func(r *rand.Rand, n, others int) (values, unrelated []byte) {
		return uniformValues(r, n), uniformValues(r, others)
	}},
	{"natural", func(_ *rand.Rand, n, others int) (values, unrelated []byte) {
		values, unrelated = make([]byte, n*32), make([]byte, others*32)
		naturalInto(values, 0)
		naturalInto(unrelated, pictures) // of other pictures
		return values, unrelated
	}},
	{"clustered", func(r *rand.Rand, n, others int) (values, unrelated []byte) {
		return clusteredValues(r, n), uniformValues(r, others)
	}},
}

func uniformValues(r *rand.Rand, n int) []byte {
	vs := make([]byte, n*32)
	for i := range n {
		copy(vs[i*32:], balanced(r))
	}
	return vs
}

// clusteredValues are up to 30 bits from the centre of their cluster, of 1 to 5000 values.
func clusteredValues(r *rand.Rand, n int) []byte {
	vs := make([]byte, n*32)
	z := rand.NewZipf(r, 1.2, 4, 4999)
	for i := 0; i < n; {
		centre := balanced(r)
		for left := z.Uint64() + 1; left > 0 && i < n; left-- {
			copy(vs[i*32:], swapped(r, centre, r.IntN(16)))
			i++
		}
	}
	return vs
}

// newSet makes values, in no order, and queries.
func newSet(r *rand.Rand, n int, values func(*rand.Rand, int, int) ([]byte, []byte)) (vs, queries []byte) {
	vs, unrelated := values(r, n, queryCount/2)
	r.Shuffle(n, func(i, j int) {
		a, b := [32]byte(vs[i*32:]), [32]byte(vs[j*32:])
		copy(vs[i*32:], b[:])
		copy(vs[j*32:], a[:])
	})
	for i := range queryCount / 2 {
		k := r.IntN(n)
		queries = append(queries, swapped(r, vs[k*32:][:32], r.IntN(16))...)
		queries = append(queries, unrelated[i*32:][:32]...)
	}
	return vs, queries
}

// nearPeers writes the table of PDQ lookups among n values.
func (h *harness) nearPeers(t *testing.T, n int, section *strings.Builder) {
	fmt.Fprintf(section, "PDQ within 31 bits, %s values:\n\n| values | index | queries/s | p50 | p99 | bytes a hash | build | ours is |\n|---|---|---|---|---|---|---|---|\n",
		thousands(float64(n)))
	var indexed []string
	for _, set := range sets {
		began := time.Now()
		values, queries := newSet(rand.New(rand.NewPCG(uint64(n), 7)), n, set.make)
		h.tell(t, "%d %s values made in %.1f s; the fullest key has %d", n, set.name, time.Since(began).Seconds(), fullestKey(values))
		ours, want, took := h.ourNear(t, values, queries)
		peers := append([]*peer{ours, readAll(values, queries)}, h.faissPeers(t, values, queries)...)
		h.compete(t, peers, want)
		hits := uint64(0)
		for _, a := range want {
			hits += a.hits
		}
		for i, p := range peers {
			name := ""
			if i == 0 {
				name = fmt.Sprintf("%s, %s hits a query", set.name, figure(float64(hits)/queryCount))
			}
			row := fmt.Sprintf("| %s | %s\n", name, p.cells(ours, n))
			h.tell(t, "%s", row)
			section.WriteString(row)
			if p.end != nil {
				p.end()
			}
		}
		indexed = append(indexed, duration(float64(took)))
		free()
	}
	fmt.Fprintf(section, "\nOf our build the index takes %s; the rest is entering the values.\n", strings.Join(indexed, ", "))
}

// ourNear is the tables, what they answer, and how long their index took.
func (h *harness) ourNear(t *testing.T, values, queries []byte) (*peer, []answer, time.Duration) {
	tables, build, index := h.filled(t, values)
	var hits []Hit
	dst := make([]Hit, 0, maxHits)
	lookup := func(query int) time.Duration {
		began := time.Now()
		hits, _, _ = tables.Lookup(dst, PDQ, queries[query*32:][:32], 31)
		return time.Since(began)
	}
	found := func(a *answer) {
		for _, hit := range hits {
			a.add(hit.ID, hit.Distance)
		}
	}
	want := make([]answer, queryCount)
	for i := range want {
		lookup(i)
		found(&want[i])
	}
	return &peer{name: "**ours**", own: true, build: build, bytes: tables.Bytes(), turn: asked(queryCount, lookup, found)}, want, index
}

// filled are tables of PDQ values, numbered in their order; how long that took in all, and
// the index alone.
func (h *harness) filled(t *testing.T, values []byte) (tables *Tables, all, index time.Duration) {
	began := time.Now()
	tables = newTables(h.opts)
	enter(t, tables, values, 0)
	entered := time.Now()
	tables.settle()
	return tables, time.Since(began), time.Since(entered)
}

// enter adds values whose IDs are from first on.
func enter(t *testing.T, tables *Tables, values []byte, first int) {
	batch := make([]Entry, 0, 10_000)
	for i := 0; i < len(values); i += 32 {
		batch = append(batch, Entry{PDQ, values[i : i+32], ID(first + i/32)})
		if len(batch) == cap(batch) || i+32 == len(values) {
			must(t, tables.AddBatch(batch))
			batch = batch[:0]
		}
	}
}

// readAll is the peer that compares every value. It shares nothing with the tables.
func readAll(values, queries []byte) *peer {
	words := make([]bits256, len(values)/32)
	for i := range words {
		words[i] = load256(values[i*32:])
	}
	var f truth
	lookup := func(query int) time.Duration {
		began := time.Now()
		f.hits = f.hits[:0]
		q := load256(queries[query*32:])
		for i := range words {
			w := &words[i]
			d := bits.OnesCount64(w[0]^q[0]) + bits.OnesCount64(w[1]^q[1])
			if d > 31 {
				continue
			}
			d += bits.OnesCount64(w[2]^q[2]) + bits.OnesCount64(w[3]^q[3])
			if d <= 31 {
				f.add(ID(i), d)
			}
		}
		return time.Since(began)
	}
	return &peer{name: "reading all, Go", bytes: int64(len(values)), turn: asked(queryCount, lookup, f.found)}
}

// files writes values and queries where other processes find them.
func files(t *testing.T, values, queries []byte) (string, string) {
	dir := t.TempDir()
	v, q := filepath.Join(dir, "values"), filepath.Join(dir, "queries")
	must(t, os.WriteFile(v, values, 0o600))
	must(t, os.WriteFile(q, queries, 0o600))
	return v, q
}

// free gives back what nobody refers to any longer, also what is mapped.
func free() {
	for range 3 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond) // cleanups run beside us
	}
	debug.FreeOSMemory()
}
