package match

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Tables hold the hashes that a node's feeds list. Writers take turns; readers
// take no lock and never wait, neither for a writer nor for a merge.
type Tables struct {
	opts   Options
	mu     sync.Mutex        // writers, and whoever publishes a state
	tables [algs]*table      // of the kinds that are compared by distance
	exact  [algs]*exactTable // of the others

	closed atomic.Bool
	wake   chan struct{} // there may be something to merge
	done   chan struct{} // the merger has ended
}

// New returns empty tables and starts their merger, which Close ends.
func New(opts Options) *Tables {
	t := newTables(opts)
	go t.merger()
	return t
}

func newTables(opts Options) *Tables {
	if opts.DeltaRows <= 0 {
		opts.DeltaRows = 4096
	}
	if opts.CompactRows <= 0 {
		opts.CompactRows = 1 << 16
	}
	if opts.MaxHits <= 0 || opts.MaxHits > maxHits {
		opts.MaxHits = maxHits
	}
	t := &Tables{opts: opts, wake: make(chan struct{}, 1), done: make(chan struct{})}
	for a := MD5; a.Size() != 0; a++ {
		if a.exact() {
			t.exact[a] = newExactTable(a, opts)
		} else {
			t.tables[a] = newTable(a, opts)
		}
	}
	return t
}

// Close ends the merger and waits for it. Afterwards lookups still answer, and
// adding and removing are errors. Close may be called again.
func (t *Tables) Close() {
	t.mu.Lock()
	if !t.closed.Swap(true) {
		close(t.wake)
	}
	t.mu.Unlock()
	<-t.done
}

// Add makes id a holder of the hash; if it is one already, nothing changes. A
// lookup that starts after Add has returned finds it. The error is about a wrong
// argument, a full table or closed tables; nothing was changed then.
func (t *Tables) Add(alg Alg, value []byte, id ID) error {
	return t.AddBatch([]Entry{{alg, value, id}})
}

// AddBatch is Add for each entry, in less time. On an error about an argument
// nothing was added; when a table is full, the entries before that one were.
func (t *Tables) AddBatch(entries []Entry) error {
	for _, e := range entries {
		if err := check(e.Alg, e.Value); err != nil {
			return err
		}
		if e.ID > maxID {
			return fmt.Errorf("match: add to kind %d: %w", e.Alg, errID)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed.Load() {
		return fmt.Errorf("match: add: %w", errClosed)
	}
	defer t.nudge()
	for _, e := range entries {
		if err := t.add(e); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tables) add(e Entry) error {
	if e.Alg.exact() {
		return t.exact[e.Alg].add(e.Value, e.ID)
	}
	return t.tables[e.Alg].add(e.Value, e.ID)
}

// Remove ends id's hold of the hash; if there is none, nothing changes. A lookup
// that starts after Remove has returned no longer finds it.
//
// Of MD5, SHA1 and SHA256 two hashes that one item holds are taken for one with a
// probability of 2^-52; then the item holds neither once one of them is removed. Holds
// of other items are never touched.
func (t *Tables) Remove(alg Alg, value []byte, id ID) error {
	if err := check(alg, value); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed.Load() {
		return fmt.Errorf("match: remove: %w", errClosed)
	}
	if alg.exact() {
		t.exact[alg].remove(value, id)
	} else {
		t.tables[alg].remove(value, id)
	}
	t.nudge()
	return nil
}

// RemoveAll ends every hold of the IDs from lo to hi-1, whatever the hash: those
// of a feed that was let go of. It reads all rows, some 10 ms for a million;
// other writers wait meanwhile, readers don't.
func (t *Tables) RemoveAll(lo, hi ID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed.Load() {
		return fmt.Errorf("match: remove: %w", errClosed)
	}
	for a := MD5; a.Size() != 0; a++ {
		if a.exact() {
			t.exact[a].removeAll(lo, hi)
		} else {
			t.tables[a].removeAll(lo, hi)
		}
	}
	t.nudge()
	return nil
}

// Lookup appends to dst the items that hold a hash near enough to value: one hit an
// item, nearest first, then by ID. For PDQ and PDQFull distance is in bits, 0 to
// MaxDistance; for PhotoDNA it is the sum of the squares of the differences of the bytes,
// 0 to MaxSquare. For MD5, SHA1 and SHA256 it is ignored.
//
// Every item within the distance is found. Only when there are more than 4096 are
// the farthest left out, and truncated is true. PhotoDNA values of little entropy are
// found at distance 0 only, whatever distance is.
//
// Of MD5, SHA1 and SHA256 a hit is a candidate, to be confirmed against the record: the
// tables know 52 bits of a keyed hash of each value, and not the value. No holder is
// missed for it, but one of n values listed is taken for value with a probability of
// n/2^52, at ten million in one of 450 million lookups.
//
// If dst has room, Lookup allocates nothing.
func (t *Tables) Lookup(dst []Hit, alg Alg, value []byte, distance int) (hits []Hit, truncated bool, err error) {
	if int(alg) < algs && t.exact[alg] != nil && len(value) == algSizes[alg] {
		// Here, for calls cost: see exactTable.
		e := t.exact[alg]
		l := e.cur.Load()
		id := identityOf(e.key.sum(value) & e.mask)
		home := l.home(id)
		if l.filter.lacks(id, home) {
			runtime.KeepAlive(l)
			return dst, false, nil
		}
		w := l.find(id, home)
		runtime.KeepAlive(l)
		switch {
		case w == 0:
			return dst, false, nil
		case w&listed == 0:
			return append(dst, Hit{ID: ID(w & maxID), Alg: alg}), false, nil
		default:
			hits, truncated = e.several(dst, l.list(w), t.opts.MaxHits)
			return hits, truncated, nil
		}
	}
	return t.lookupNear(dst, alg, value, distance)
}

// lookupNear is Lookup for the kinds that are compared by distance.
func (t *Tables) lookupNear(dst []Hit, alg Alg, value []byte, distance int) (hits []Hit, truncated bool, err error) {
	if err := check(alg, value); err != nil {
		return dst, false, err
	}
	most := MaxDistance
	if alg == PhotoDNA {
		most = MaxSquare
	}
	if distance < 0 || distance > most {
		return dst, false, fmt.Errorf("match: kind %d at distance %d: %w", alg, distance, errDistance)
	}
	switch {
	case distance == 0:
		hits, truncated = t.tables[alg].exact(dst, value, t.opts.MaxHits)
	case alg == PhotoDNA:
		hits, truncated = t.tables[alg].photo(dst, value, distance, t.opts.MaxHits)
	default:
		hits, truncated = t.tables[alg].near(dst, value, distance, t.opts.MaxHits)
	}
	return hits, truncated, nil
}

// Holds appends to dst, for each of the values that stand end to end, whether it may
// be held: false is certain, and true is worth a Lookup. It is for many values at once
// of an exact kind, of which few are held: much faster than as many lookups, since
// their cache misses overlap.
func (t *Tables) Holds(dst []bool, alg Alg, values []byte) ([]bool, error) {
	if !alg.exact() || alg.Size() == 0 {
		return dst, fmt.Errorf("match: kind %d: %w", alg, errAlg)
	}
	if len(values)%alg.Size() != 0 {
		return dst, fmt.Errorf("match: kind %d: values of %d bytes together, want a multiple of %d", alg, len(values), alg.Size())
	}
	return t.exact[alg].holds(dst, values), nil
}

// Len returns how many distinct values of this kind have a holder.
func (t *Tables) Len(alg Alg) int {
	if alg.Size() == 0 {
		return 0
	}
	if alg.exact() {
		return int(t.exact[alg].live.Load())
	}
	return int(t.tables[alg].live.Load())
}

// Bytes returns the memory that the tables take, within some percent.
func (t *Tables) Bytes() int64 {
	n := int64(0)
	for a := MD5; a.Size() != 0; a++ {
		if a.exact() {
			n += t.exact[a].size.Load()
		} else {
			n += t.tables[a].bytes()
		}
	}
	return n
}
