package match

import (
	"math/rand/v2"
	"sync"
	"testing"
)

const million = 1_000_000

// benchData is built once a process: values, and queries of which half are values
// with up to 31 bits changed, weight kept, and half are unrelated.
type benchData struct {
	once    sync.Once
	make    func(*rand.Rand, int) [][]byte
	tables  *Tables
	values  [][]byte
	queries [][]byte
}

var (
	benchUniform   = &benchData{make: func(r *rand.Rand, n int) [][]byte { return fast(n, func() []byte { return balanced(r) }) }}
	benchClustered = &benchData{make: clustered}
	benchNatural   = &benchData{make: func(r *rand.Rand, n int) (list [][]byte) {
		vs := make([]byte, n*32)
		naturalInto(vs, 0)
		for _, i := range r.Perm(n) {
			list = append(list, vs[i*32:][:32])
		}
		return list
	}}
)

func fast(n int, next func() []byte) [][]byte {
	vs := make([][]byte, n)
	for i := range vs {
		vs[i] = next()
	}
	return vs
}

func (d *benchData) get(b *testing.B) *benchData {
	b.Helper()
	d.once.Do(func() {
		r := rand.New(rand.NewPCG(10, 11))
		d.values = d.make(r, million)
		d.tables = newTables(Options{})
		for lo := 0; lo < len(d.values); lo += 10_000 {
			var batch []Entry
			for id := lo; id < lo+10_000; id++ {
				batch = append(batch, Entry{PDQ, d.values[id], ID(id)})
			}
			if err := d.tables.AddBatch(batch); err != nil {
				b.Fatal(err)
			}
		}
		d.tables.settle()
		for i := range 2000 {
			q := balanced(r)
			if i&1 == 0 {
				q = swapped(r, d.values[r.IntN(million)], r.IntN(16))
			}
			d.queries = append(d.queries, q)
		}
	})
	return d
}

func BenchmarkLookupPDQ(b *testing.B) {
	for name, data := range map[string]*benchData{"1M-uniform": benchUniform, "1M-natural": benchNatural, "1M-clustered": benchClustered} {
		for _, distance := range []int{0, 16, 31, 47, 63} {
			b.Run(name+"/r="+itoa(distance), func(b *testing.B) {
				d := data.get(b)
				dst := make([]Hit, 0, maxHits)
				hits := 0
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					h, _, err := d.tables.Lookup(dst, PDQ, d.queries[i%len(d.queries)], distance)
					if err != nil {
						b.Fatal(err)
					}
					hits += len(h)
				}
				b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
				b.ReportMetric(float64(d.tables.Bytes())/million, "B/hash")
			})
		}
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// BenchmarkScanPDQ is the lookup without an index, of the same values.
func BenchmarkScanPDQ(b *testing.B) {
	d := benchUniform.get(b)
	rows := d.tables.tables[PDQ].cur.Load().rows
	sc := getScratch(maxHits)
	for i := 0; b.Loop(); i++ {
		q := query256(rows, d.queries[i%len(d.queries)], 31)
		sc.hits.reset(maxHits)
		q.scan(0, million, &sc.hits)
	}
}

// exactData is a table and Go's map of the same values, which stand end to end in the
// order in which they are asked for, another than they were entered in.
type exactData struct {
	n              int
	once           sync.Once
	tables         *Tables
	m              map[[32]byte]ID
	values, misses []byte
}

var exact1M, exact10M = &exactData{n: million}, &exactData{n: 10 * million}

func (d *exactData) get(b *testing.B) *exactData {
	b.Helper()
	d.once.Do(func() {
		d.tables, d.m = newTables(Options{}), make(map[[32]byte]ID)
		r := rand.NewChaCha8([32]byte{12})
		d.values, d.misses = make([]byte, d.n*32), make([]byte, d.n*32)
		r.Read(d.values)
		r.Read(d.misses)
		for i, k := range rand.New(r).Perm(d.n) {
			v := d.values[k*32:][:32]
			if err := d.tables.Add(SHA256, v, ID(i)); err != nil {
				b.Fatal(err)
			}
			d.m[[32]byte(v)] = ID(i)
		}
	})
	return d
}

// BenchmarkLookupExact compares with Go's map, one lookup a time and 1000 together.
func BenchmarkLookupExact(b *testing.B) {
	for _, data := range []*exactData{exact1M, exact10M} {
		size := itoa(data.n/million) + "M"
		for name, want := range map[string]int{"hit": 1, "miss": 0} {
			values := func(d *exactData) []byte {
				if want == 1 {
					return d.values
				}
				return d.misses
			}
			b.Run(size+"/"+name+"/tables", func(b *testing.B) {
				d := data.get(b)
				queries, dst := values(d), make([]Hit, 0, 1)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if h, _, _ := d.tables.Lookup(dst, SHA256, queries[i%d.n*32:][:32], 0); len(h) != want {
						b.Fatalf("got %d hits, want %d", len(h), want)
					}
				}
				b.ReportMetric(float64(d.tables.Bytes())/float64(d.n), "B/hash")
			})
			b.Run(size+"/"+name+"/holds", func(b *testing.B) {
				d := data.get(b)
				queries, dst := values(d), make([]bool, 0, 1000)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ { // one value each: 1000 at a time
					if i%1000 != 0 {
						continue
					}
					h, err := d.tables.Holds(dst, SHA256, queries[i%d.n*32:][:32000])
					if err != nil || h[999] != (want == 1) {
						b.Fatalf("got %v, %v, want %v", h[999], err, want == 1)
					}
				}
			})
			b.Run(size+"/"+name+"/map", func(b *testing.B) {
				d := data.get(b)
				queries := values(d)
				for i := 0; b.Loop(); i++ {
					if _, ok := d.m[[32]byte(queries[i%d.n*32:][:32])]; ok != (want == 1) {
						b.Fatalf("got %v, want %v", ok, want == 1)
					}
				}
			})
		}
	}
}

// BenchmarkLookupPhotoDNA scans 1.4 million values within IPED's distance.
func BenchmarkLookupPhotoDNA(b *testing.B) {
	const n = 1_400_000
	r := rand.New(rand.NewPCG(16, 17))
	tables := newTables(Options{})
	for id := range n {
		if err := tables.Add(PhotoDNA, gradients(r), ID(id)); err != nil {
			b.Fatal(err)
		}
	}
	queries, dst := fast(100, func() []byte { return gradients(r) }), make([]Hit, 0, maxHits)
	b.ReportAllocs()
	hits := 0
	for i := 0; b.Loop(); i++ {
		h, _, err := tables.Lookup(dst, PhotoDNA, queries[i%len(queries)], 40_000)
		if err != nil {
			b.Fatal(err)
		}
		hits += len(h)
	}
	b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
	b.ReportMetric(float64(tables.tables[PhotoDNA].bytes())/n, "B/hash")
}

// BenchmarkAdd is one value a call, with the merger at work.
func BenchmarkAdd(b *testing.B) {
	for name, alg := range map[string]Alg{"SHA256": SHA256, "PDQ": PDQ} {
		b.Run(name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(14, 15))
			tables := New(Options{})
			defer tables.Close()
			v := randomValue(r)
			for i := 0; b.Loop(); i++ {
				v[0], v[7], v[13], v[29] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24)
				if err := tables.Add(alg, v, ID(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRemove removes a value that is listed and adds it again, with the merger at work.
func BenchmarkRemove(b *testing.B) {
	for name, alg := range map[string]Alg{"SHA256": SHA256, "PDQ": PDQ} {
		b.Run(name, func(b *testing.B) {
			const n = 100_000
			r := rand.New(rand.NewPCG(18, 19))
			tables := New(Options{})
			defer tables.Close()
			values := uniformValues(r, n)
			for i := range n {
				must(b, tables.Add(alg, values[i*32:][:32], ID(i)))
			}
			for i := 0; b.Loop(); i++ {
				id := i % n
				v := values[id*32:][:32]
				if tables.Remove(alg, v, ID(id)) != nil || tables.Add(alg, v, ID(id)) != nil {
					b.Fatal("got an error")
				}
			}
		})
	}
}

// BenchmarkSettle indexes a million values at once.
func BenchmarkSettle(b *testing.B) {
	d := benchUniform.get(b)
	rows := d.tables.tables[PDQ].cur.Load().rows
	for b.Loop() {
		buildSegment(rows, 0, million, smallPart, func() bool { return false })
	}
}
