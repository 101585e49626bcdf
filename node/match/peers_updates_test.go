package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// insertRate is how many values a second are added while others are looked up.
const insertRate = 10_000

// updates writes the tables of lookups while all levels are filled and values are added,
// and of how soon a change is visible.
func (h *harness) updates(t *testing.T, n int, section *strings.Builder) {
	r := rand.New(rand.NewPCG(uint64(n), 8))
	values, queries := newSet(r, n, sets[0].make)
	calm, want, _ := h.ourNear(t, values, queries)
	tables, _, _ := h.filled(t, values)
	// A level is less than a sixteenth of the one before it, so that it isn't merged with it.
	var levels []string
	id := n
	for size := n / (segmentRatio + 1); size > tables.opts.DeltaRows; size /= segmentRatio + 1 {
		id += h.level(t, tables, r, size, id)
		tables.settle()
		levels = append(levels, thousands(float64(size)))
	}
	id += h.level(t, tables, r, tables.opts.DeltaRows-1, id)
	if got := len(tables.tables[PDQ].cur.Load().segments); got != len(levels)+1 {
		t.Fatalf("got %d segments, want %d", got, len(levels)+1)
	}
	levels = append(levels, fmt.Sprintf("%d not yet indexed", tables.opts.DeltaRows-1))

	full := &peer{name: "and all levels filled: " + strings.Join(levels, ", ")}
	// What was added is random, and so no query's answer.
	full.turn = (&watched{tables, queries}).turn
	h.compete(t, []*peer{calm, full}, want)

	calmThen := &peer{turn: calm.turn}
	busy := &peer{}
	go tables.merger()
	defer tables.Close()
	w := &writer{tables: tables, r: rand.New(rand.NewPCG(uint64(n), 9)), id: ID(id)}
	busy.turn = func(first int, budget time.Duration) (rs []reply, err error) {
		w.during(func() { rs, err = full.turn(first, budget) })
		return rs, err
	}
	h.compete(t, []*peer{calmThen, busy}, want)
	if w.err != nil {
		t.Fatal(w.err)
	}
	busy.name = fmt.Sprintf("and %s added a second", thousands(float64(w.added)/w.time.Seconds()))

	fmt.Fprintf(section, "\nPDQ within 31 bits, one segment of %s uniform values:\n\n| | queries/s | p50 | p99 | time |\n|---|---|---|---|---|\n", thousands(float64(n)))
	calm.name = "nothing else"
	for _, p := range []*peer{calm, full, busy} {
		base := calm
		if p == busy {
			base = calmThen
		}
		row := fmt.Sprintf("| %s | %s | %s | %s | %s× |\n", p.name, thousands(p.median(rate)), duration(p.median(p50)), duration(p.median(p99)), figure(base.times(p)))
		h.tell(t, "%s", row)
		section.WriteString(row)
	}
	h.visible(t, w, full, section)
	w, calm, full, calmThen, busy = nil, nil, nil, nil, nil
	tables.Close()
	free()
}

// level adds size random values, and returns how many.
func (h *harness) level(t *testing.T, tables *Tables, r *rand.Rand, size, first int) int {
	enter(t, tables, uniformValues(r, size), first)
	return size
}

// watched is a turn of lookups in tables that may change.
type watched struct {
	tables  *Tables
	queries []byte
}

func (w *watched) turn(first int, budget time.Duration) ([]reply, error) {
	var hits []Hit
	dst := make([]Hit, 0, maxHits)
	return asked(queryCount, func(query int) time.Duration {
		began := time.Now()
		hits, _, _ = w.tables.Lookup(dst, PDQ, w.queries[query*32:][:32], 31)
		return time.Since(began)
	}, func(a *answer) {
		for _, hit := range hits {
			a.add(hit.ID, hit.Distance)
		}
	})(first, budget)
}

// A writer adds random values at the insertRate, one a call.
type writer struct {
	tables *Tables
	r      *rand.Rand
	id     ID
	added  int
	time   time.Duration
	err    error
}

// during writes while f runs.
func (w *writer) during(f func()) {
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		began, added := time.Now(), 0
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-stop:
				w.time += time.Since(began)
				w.added += added
				tick.Stop()
				return
			case <-tick.C:
			}
			for due := int(time.Since(began).Seconds() * insertRate); added < due && w.err == nil; added++ {
				w.id++
				w.err = w.tables.Add(PDQ, balanced(w.r), w.id)
			}
		}
	})
	f()
	close(stop)
	wait.Wait()
}

// visible writes how long it takes from the call of Add, or Remove, until a lookup within 31
// bits has been answered accordingly, while the writer writes and another goroutine looks
// up without a pause.
func (h *harness) visible(t *testing.T, w *writer, reader *peer, section *strings.Builder) {
	r := rand.New(rand.NewPCG(30, 31))
	took := map[string][]time.Duration{}
	count := 500
	if !h.full {
		count = 20
	}
	await := func(name string, id ID, query []byte, want bool, change func() error) {
		began := time.Now()
		must(t, change())
		for {
			hits, _, err := w.tables.Lookup(nil, PDQ, query, 31)
			must(t, err)
			if slices.ContainsFunc(hits, func(h Hit) bool { return h.ID == id }) == want {
				break
			}
			if time.Since(began) > 10*time.Second {
				t.Fatalf("%s isn't visible after 10 s", name)
			}
		}
		took[name] = append(took[name], time.Since(began))
	}
	w.during(func() {
		stop := make(chan struct{})
		var wait sync.WaitGroup
		wait.Go(func() {
			for first := 0; ; first++ {
				select {
				case <-stop:
					return
				default:
					reader.turn(first%queryCount, 0)
				}
			}
		})
		for i := range count {
			id, v := ID(1<<39+i), balanced(r)
			near := swapped(r, v, 10)
			await("adding", id, near, true, func() error { return w.tables.Add(PDQ, v, id) })
			await("removing", id, near, false, func() error { return w.tables.Remove(PDQ, v, id) })
			if h.full {
				time.Sleep(2 * time.Millisecond)
			}
		}
		close(stop)
		wait.Wait()
	})
	if w.err != nil {
		t.Fatal(w.err)
	}
	fmt.Fprintf(section, "\n| from the call until a lookup's answer has it, all of that going on | p50 | p99 | longest |\n|---|---|---|---|\n")
	for _, name := range []string{"adding", "removing"} {
		f := newRound(took[name], 1)
		row := fmt.Sprintf("| %s | %s | %s | %s |\n", name, duration(f.p50), duration(f.p99), duration(float64(took[name][count-1])))
		h.tell(t, "%s", row)
		section.WriteString(row)
	}
}
