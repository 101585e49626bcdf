package match

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Peers are other ways to look up the same values: reading them all, Go's map, FAISS and
// Redis. In each round all have a turn, one after another, each in one thread, with the
// same queries; every answer of every peer is compared with the tables', and one that
// differs fails the test, so that no time of a wrong answer is told.

// harness is how a run goes.
type harness struct {
	sizes   []int
	rounds  int
	turn    time.Duration // of one peer in a round
	full    bool          // peers in other processes too; tell what is going on
	photos  int           // PhotoDNA values
	opts    Options       // of the tables
	machine *machine
}

// newHarness is small, so that the harness is tested like all else, unless
// HASHFEED_BENCH_MATCH says which sizes to measure ("1000000 10000000").
func newHarness(t *testing.T) *harness {
	small := map[bool]int{false: 3000, true: 1000}[raceEnabled]
	h := &harness{sizes: []int{small}, rounds: 1, turn: 5 * time.Millisecond, photos: small, opts: Options{DeltaRows: 64}, machine: thisMachine()}
	sizes := os.Getenv("HASHFEED_BENCH_MATCH")
	if sizes == "" {
		return h
	}
	h.sizes, h.rounds, h.turn, h.full, h.photos, h.opts = nil, 5, 2*time.Second, true, 1_400_000, Options{}
	for _, s := range strings.Fields(sizes) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1000 || n > maxRows/2 {
			t.Fatalf("HASHFEED_BENCH_MATCH: size %q is no number from 1000 to %d", s, maxRows/2)
		}
		h.sizes = append(h.sizes, n)
	}
	if s := os.Getenv("HASHFEED_BENCH_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("HASHFEED_BENCH_ROUNDS: %q is no number from 1", s)
		}
		h.rounds = n
	}
	return h
}

// TestPeers measures the tables beside their peers: `make bench-match`.
func TestPeers(t *testing.T) {
	h := newHarness(t)
	for _, n := range h.sizes {
		var section strings.Builder
		h.nearPeers(t, n, &section)
		h.updates(t, n, &section)
		free()
		h.exactPeers(t, n, &section)
		free()
		h.print(t, "match-"+short(n), &section)
	}
	var section strings.Builder
	h.photoPeers(t, h.photos, &section)
	h.print(t, "match-photodna", &section)
}

// print prints a section of docs/benchmarks.md: between its markers if that page has them.
func (h *harness) print(t *testing.T, name string, section *strings.Builder) {
	if !h.full {
		return
	}
	page, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSpace(section.String()) + "\n\n" + h.machine.String() + "\n"
	if open := "<!-- " + name + " -->"; strings.Contains(string(page), open) {
		text = fmt.Sprintf("%s\n%s<!-- /%s -->\n", open, text, name)
	}
	fmt.Fprintf(t.Output(), "\n%s", text)
}

func (h *harness) tell(t *testing.T, format string, args ...any) {
	if h.full {
		t.Logf(format, args...)
	}
}

// An answer is what a lookup found, the hits' IDs and distances in sums: whoever finds
// the same has the same sums.
type answer struct{ hits, ids, distances, products uint64 }

func (a *answer) add(id ID, distance int) {
	a.hits++
	a.ids += uint64(id)
	a.distances += uint64(distance)
	a.products += uint64(id) * uint64(distance)
}

// A reply is one query's answer and the time it took.
type reply struct {
	took time.Duration
	answer
}

// A peer answers queries. Its turn asks those from first on, beginning again after the
// last, until the time is over.
type peer struct {
	name  string
	own   bool // the tables themselves
	build time.Duration
	bytes int64
	turn  func(first int, budget time.Duration) ([]reply, error)
	end   func() // nil: nothing to end

	next   int // query that its next turn begins with
	rounds []round
}

// A round is the figures of one turn. The p99 of fewer than 100 queries is the slowest.
type round struct{ rate, p50, p99 float64 } // queries a second, ns, ns

// newRound has the figures of queries that took so long; each of the times is of so many.
func newRound(took []time.Duration, each int) round {
	slices.Sort(took)
	sum := time.Duration(0)
	for _, d := range took {
		sum += d
	}
	n := len(took)
	scale := 1 / float64(each)
	return round{
		rate: float64(n*each) / sum.Seconds(),
		p50:  float64(took[n/2]) * scale,
		p99:  float64(took[min(n-1, n*99/100)]) * scale,
	}
}

// asked is a turn of a peer in this process, whose lookup says what it found.
func asked(count int, lookup func(query int) time.Duration, found func(*answer)) func(int, time.Duration) ([]reply, error) {
	return func(first int, budget time.Duration) (rs []reply, err error) {
		for end := time.Now().Add(budget); len(rs) == 0 || time.Now().Before(end); first++ {
			r := reply{took: lookup(first % count)}
			found(&r.answer)
			rs = append(rs, r)
		}
		return rs, nil
	}
}

// compete gives each peer its turn in each round, and checks every answer.
func (h *harness) compete(t *testing.T, peers []*peer, want []answer) {
	for range h.rounds {
		for _, p := range peers {
			rs, err := p.turn(p.next, h.turn)
			if err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			took := make([]time.Duration, len(rs))
			for i, r := range rs {
				query := (p.next + i) % len(want)
				if r.answer != want[query] {
					t.Fatalf("query %d: %s found %+v, the tables %+v", query, p.name, r.answer, want[query])
				}
				took[i] = r.took
			}
			p.next = (p.next + len(rs)) % len(want)
			p.rounds = append(p.rounds, newRound(took, 1))
		}
	}
}

// median is of a figure of all rounds.
func (p *peer) median(figure func(round) float64) float64 { return median(p.rounds, figure) }

func median[T any](list []T, figure func(T) float64) float64 {
	figures := make([]float64, len(list))
	for i, x := range list {
		figures[i] = figure(x)
	}
	slices.Sort(figures)
	return (figures[(len(figures)-1)/2] + figures[len(figures)/2]) / 2
}

func rate(r round) float64 { return r.rate }
func p50(r round) float64  { return r.p50 }
func p99(r round) float64  { return r.p99 }

// times returns how many times as fast as q p is: the median of the rounds.
func (p *peer) times(q *peer) float64 {
	ratios := make([]float64, len(p.rounds))
	for i := range p.rounds {
		ratios[i] = p.rounds[i].rate / q.rounds[i].rate
	}
	return median(ratios, func(x float64) float64 { return x })
}

// cells are a peer's figures in a table; the last is how many times as fast ours is.
func (p *peer) cells(ours *peer, n int) string {
	ratio := ""
	if !p.own {
		ratio = figure(ours.times(p)) + "×"
	}
	build := "none"
	if p.build > 0 {
		build = duration(float64(p.build))
	}
	return fmt.Sprintf("%s | %s | %s | %s | %s | %s | %s |", p.name, thousands(p.median(rate)), duration(p.median(p50)), duration(p.median(p99)),
		figure(float64(p.bytes)/float64(n)), build, ratio)
}

// figure writes a number with two or three digits that count.
func figure(x float64) string {
	switch {
	case x < 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return thousands(x)
}

// thousands writes a number, from 1000 on in whole with commas and three digits that count.
func thousands(x float64) string {
	switch {
	case x < 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x < 1000:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	n := int64(x + 0.5)
	unit := int64(1)
	for n/unit >= 1000 {
		unit *= 10
	}
	s := strconv.FormatInt((n+unit/2)/unit*unit, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// duration writes nanoseconds.
func duration(ns float64) string {
	for _, u := range []struct {
		ns   float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= u.ns {
			return figure(ns/u.ns) + " " + u.name
		}
	}
	return figure(ns) + " ns"
}

// short writes a size as names have it: 1m, 100k.
func short(n int) string {
	switch {
	case n%million == 0:
		return strconv.Itoa(n/million) + "m"
	case n%1000 == 0:
		return strconv.Itoa(n/1000) + "k"
	}
	return strconv.Itoa(n)
}

// A truth keeps the hits of one lookup as the tables tell them: the nearest maxHits, then
// by ID.
type truth struct{ hits []Hit }

func (f *truth) add(id ID, distance int) { f.hits = append(f.hits, Hit{ID: id, Distance: distance}) }

func (f *truth) found(a *answer) {
	if len(f.hits) > maxHits {
		slices.SortFunc(f.hits, func(a, b Hit) int {
			return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.ID, b.ID))
		})
		f.hits = f.hits[:maxHits]
	}
	for _, hit := range f.hits {
		a.add(hit.ID, hit.Distance)
	}
}
