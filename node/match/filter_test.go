package match

import (
	"math/bits"
	"math/rand/v2"
	"testing"
)

// TestFilter: what was added passes, always. Of what wasn't few pass, in filters of two lines
// a word and of four, in tables that have just grown and that are about to.
func TestFilter(t *testing.T) {
	r := rand.New(rand.NewPCG(26, 26))
	const narrow = filterCache / 8 * 2 / regions // the longest region with two lines a word
	for _, c := range []struct {
		region int
		share  float64
		pass   [2]float64 // of the identities that weren't added: from, to
	}{
		{1, emptyShare, [2]float64{0, 0.06}},
		{64, emptyShare, [2]float64{0.02, 0.04}},
		{64, fullShare, [2]float64{0.04, 0.07}},
		{narrow, fullShare, [2]float64{0.04, 0.07}},
		{narrow + 1, emptyShare, [2]float64{0.07, 0.11}},
		{narrow + 1, fullShare, [2]float64{0.14, 0.19}},
	} {
		l := &lines{memory: newMemory(), region: c.region}
		l.filter = newFilter(l.memory, regions*c.region)
		if n := len(l.filter.words) * 8; n > regions*c.region*64/16 {
			t.Errorf("regions of %d lines: %d bytes, more than a sixteenth of the lines", c.region, n)
		}
		draw := func() (id identity, home int) {
			id = identityOf(r.Uint64())
			return id, l.home(id)
		}
		added := make([]identity, int(c.share*lineEntries*regions*float64(c.region)))
		for i := range added {
			var home int
			added[i], home = draw()
			l.filter.add(added[i], home)
		}
		for _, id := range added {
			if l.filter.lacks(id, l.home(id)) {
				t.Fatalf("regions of %d lines: identity %x was added and doesn't pass", c.region, uint64(id))
			}
		}
		const others = 200_000
		passed := 0
		for range others {
			if id, home := draw(); !l.filter.lacks(id, home) {
				passed++
			}
		}
		if got := float64(passed) / others; got < c.pass[0] || got > c.pass[1] {
			t.Errorf("regions of %d lines, %.2f taken: %.3f pass, want %.2f to %.2f", c.region, c.share, got, c.pass[0], c.pass[1])
		}
	}
}

// TestFilterFresh: the filter of tables that come from a snapshot is as good as that of
// tables to which nothing but what is in them was ever added.
func TestFilterFresh(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 27))
	tables := newTables(Options{})
	values := fast(20_000, func() []byte { return randomValue(r) })
	for id, v := range values {
		must(t, tables.Add(SHA256, v, ID(id)))
	}
	for id, v := range values[:5000] { // too few to be made anew for
		must(t, tables.Remove(SHA256, v, ID(id)))
	}
	before := tables.exact[SHA256]
	checkLines(t, before)
	tables = restarted(t, tables)
	tb := tables.exact[SHA256]
	checkLines(t, tb)
	if old, now := filterBits(before.cur.Load()), filterBits(tb.cur.Load()); now == 0 || now >= old {
		t.Errorf("got %d bits set after a restart, %d before it", now, old)
	}
	for id, v := range values {
		hits, _, err := tables.Lookup(nil, SHA256, v, 0)
		if want := id >= 5000; err != nil || (len(hits) == 1) != want {
			t.Fatalf("value %d: got %v, %v, want it listed: %v", id, hits, err, want)
		}
	}
}

// filterBits is how many bits the filter has set.
func filterBits(l *lines) (n int) {
	for i := range l.filter.words {
		n += bits.OnesCount64(l.filter.words[i].Load())
	}
	return n
}
