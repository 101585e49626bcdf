package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// How many values a second are added while others are looked up, and how many are looked
// up while it is measured how soon a change is visible.
const insertRate, lookupRate = 10_000, 10_000

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
		enter(t, tables, uniformValues(r, size), id)
		id += size
		tables.settle()
		levels = append(levels, thousands(float64(size)))
	}
	enter(t, tables, uniformValues(r, tables.opts.DeltaRows-1), id)
	id += tables.opts.DeltaRows - 1
	if got := len(tables.tables[PDQ].cur.Load().segments); got != len(levels)+1 {
		t.Fatalf("got %d segments, want %d", got, len(levels)+1)
	}
	levels = append(levels, fmt.Sprintf("%d not yet indexed", tables.opts.DeltaRows-1))

	full := &peer{name: "and all levels filled: " + strings.Join(levels, ", ")}
	// What was added is random, and so no query's answer.
	full.turn = (&watched{tables, queries, make([]Hit, 0, maxHits)}).turn
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
}

// watched is a turn of lookups in tables that may change.
type watched struct {
	tables  *Tables
	queries []byte
	room    []Hit
}

func (w *watched) turn(first int, budget time.Duration) ([]reply, error) {
	var hits []Hit
	return asked(queryCount, func(query int) time.Duration {
		began := time.Now()
		hits, _, _ = w.tables.Lookup(w.room, PDQ, w.queries[query*32:][:32], 31)
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
	end := paced(insertRate, func() {
		w.id++
		if err := w.tables.Add(PDQ, balanced(w.r), w.id); err != nil {
			w.err = err
		}
	})
	f()
	added, took := end()
	w.added += added
	w.time += took
}

// paced calls f so often a second, in another goroutine, until its end is called, which
// tells how often that was in what time.
func paced(rate float64, f func()) (end func() (calls int, took time.Duration)) {
	stop, done := make(chan struct{}), make(chan struct{})
	began, calls := time.Now(), 0
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for due := int(time.Since(began).Seconds() * rate); calls < due; calls++ {
				select {
				case <-stop: // also when f is too slow to keep up
					return
				default:
					f()
				}
			}
		}
	}()
	return func() (int, time.Duration) {
		close(stop)
		<-done
		return calls, time.Since(began)
	}
}

// visible writes how long it takes from the call of Add, or Remove, until a lookup within 31
// bits has been answered accordingly, while the writer writes and a reader looks up.
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
	looked := ""
	w.during(func() {
		first := 0
		end := paced(lookupRate, func() {
			reader.turn(first%queryCount, 0)
			first++
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
		n, took := end()
		looked = thousands(float64(n) / took.Seconds())
	})
	if w.err != nil {
		t.Fatal(w.err)
	}
	fmt.Fprintf(section, "\n| from the call until a lookup's answer has it, and %s looked up a second | p50 | p99 | longest |\n|---|---|---|---|\n", looked)
	for _, name := range []string{"adding", "removing"} {
		f := newRound(took[name], 1)
		row := fmt.Sprintf("| %s | %s | %s | %s |\n", name, duration(f.p50), duration(f.p99), duration(float64(took[name][count-1])))
		h.tell(t, "%s", row)
		section.WriteString(row)
	}
}
