package match

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// together is how many lookups of exact kinds are timed together, and how many a pipeline
// and a batch have: one alone takes little longer than to look at the clock.
const together = 1000

// exactSet is SHA-256 values that are listed and as many that aren't, end to end in the
// order in which they are asked for, another than they are entered in.
type exactSet struct {
	n              int
	values, misses []byte
	order          []int // order[i] is the i-th that is entered
}

func newExactSet(n int) *exactSet {
	s := &exactSet{n: n, values: make([]byte, n*32), misses: make([]byte, n*32)}
	r := rand.NewChaCha8([32]byte{12})
	r.Read(s.values)
	r.Read(s.misses)
	s.order = rand.New(r).Perm(n)
	return s
}

func (s *exactSet) entered(i int) []byte { return s.values[s.order[i]*32:][:32] }

// An exactPeer tells how many of the keys that lie end to end it has, and how long that
// took it.
type exactPeer struct {
	name  string
	own   bool
	build time.Duration
	bytes int64
	count func(keys []byte) (found int, took time.Duration, err error)
}

// exactPeers writes the table of lookups among n SHA-256 values.
func (h *harness) exactPeers(t *testing.T, n int, section *strings.Builder) {
	s := newExactSet(n)
	kinds := append(s.ours(t), s.goMap())
	if redis, end := h.startRedis(t, s); redis != nil {
		defer end()
		kinds = append(kinds, *redis)
	}
	fmt.Fprintf(section, "\nSHA-256, %s values, times of %d lookups together:\n\n| asked for | index | lookups/s | p50 | p99 | bytes a hash | build | ours is |\n|---|---|---|---|---|---|---|---|\n",
		thousands(float64(n)), together)
	for _, asked := range []struct {
		name string
		keys []byte
		hits uint64
	}{{"values that are listed", s.values, together}, {"values that aren't", s.misses, 0}} {
		var peers []*peer
		for _, k := range kinds {
			peers = append(peers, k.peer(asked.keys))
		}
		want := make([]answer, n/together)
		for i := range want {
			want[i].hits = asked.hits
		}
		h.compete(t, peers, want)
		for i, p := range peers {
			for k := range p.rounds { // of one lookup
				r := &p.rounds[k]
				r.rate, r.p50, r.p99 = r.rate*together, r.p50/together, r.p99/together
			}
			name := ""
			if i == 0 {
				name = asked.name
			}
			row := fmt.Sprintf("| %s | %s\n", name, p.cells(peers[0], n))
			h.tell(t, "%s", row)
			section.WriteString(row)
		}
	}
}

// peer is an exactPeer that is asked for these keys.
func (k exactPeer) peer(keys []byte) *peer {
	const size = together * 32
	return &peer{name: k.name, own: k.own, build: k.build, bytes: k.bytes, turn: func(first int, budget time.Duration) (rs []reply, err error) {
		for end := time.Now().Add(budget); len(rs) == 0 || time.Now().Before(end); first++ {
			found, took, err := k.count(keys[first%(len(keys)/size)*size:][:size])
			if err != nil {
				return nil, err
			}
			rs = append(rs, reply{took, answer{hits: uint64(found)}})
		}
		return rs, nil
	}}
}

// ours is the tables, asked for one value at a time and for many.
func (s *exactSet) ours(t *testing.T) []exactPeer {
	began := time.Now()
	tables := newTables(Options{})
	batch := make([]Entry, 0, together)
	for i := range s.n {
		if batch = append(batch, Entry{SHA256, s.entered(i), ID(i)}); len(batch) == cap(batch) || i == s.n-1 {
			must(t, tables.AddBatch(batch))
			batch = batch[:0]
		}
	}
	tables.settle()
	build := time.Since(began)
	dst, holds := make([]Hit, 0, 1), make([]bool, 0, together)
	each := func(keys []byte) (found int, took time.Duration, err error) {
		began := time.Now()
		for i := 0; i < len(keys); i += 32 {
			hits, _, _ := tables.Lookup(dst, SHA256, keys[i:i+32], 0)
			found += len(hits)
		}
		return found, time.Since(began), nil
	}
	all := func(keys []byte) (found int, took time.Duration, err error) {
		began := time.Now()
		held, err := tables.Holds(holds, SHA256, keys)
		for _, h := range held {
			if h {
				found++
			}
		}
		return found, time.Since(began), err
	}
	return []exactPeer{
		{"**ours**, one at a time", true, build, tables.Bytes(), each},
		{fmt.Sprintf("ours, %d together: may they be listed?", together), true, build, tables.Bytes(), all},
	}
}

// goMap is Go's map from a value to its ID.
func (s *exactSet) goMap() exactPeer {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	m := make(map[[32]byte]ID)
	for i := range s.n {
		m[[32]byte(s.entered(i))] = ID(i)
	}
	build := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	return exactPeer{"Go's map", false, build, int64(after.HeapAlloc - before.HeapAlloc), func(keys []byte) (found int, took time.Duration, err error) {
		began := time.Now()
		for i := 0; i < len(keys); i += 32 {
			if _, ok := m[[32]byte(keys[i:])]; ok {
				found++
			}
		}
		return found, time.Since(began), nil
	}}
}
