package match

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"runtime"
	"sync/atomic"
)

// A table holds the values of one kind. Readers load cur and see a consistent
// whole; everything they reach from it is immutable, append-only, or one atomic
// word.
type table struct {
	alg  Alg
	opts Options
	cur  atomic.Pointer[state]
	live atomic.Int64 // values with a holder

	// The writer's, guarded by Tables.mu.
	dead     int      // rows without a holder
	tracking bool     // a compaction is running: note what changes
	dirty    []uint32 // rows that changed while tracking
}

// A state is one published version of a table. Segments index the rows below
// indexed; the rest are the delta, which every lookup scans.
type state struct {
	rows     *rows
	slots    *slots
	segments []*segment // of adjoining rows, from row 0 on
	indexed  uint32
}

func newTable(alg Alg, opts Options) *table {
	t := &table{alg: alg, opts: opts}
	t.cur.Store(&state{rows: newRows(alg.Size()), slots: new(slots)})
	return t
}

// add makes id a holder of value.
func (t *table) add(value []byte, id ID) error {
	s := t.cur.Load()
	var buf [32]byte
	value = t.stored(value, &buf)
	h := hashOf(value)
	row, ok := s.slots.find(s.rows, value, h)
	if !ok {
		if s.rows.n.Load() >= maxRows {
			return fmt.Errorf("match: add to kind %d: %w", t.alg, errFull)
		}
		s.slots.insert(s.rows, h, s.rows.append(value, uint64(id)+1))
		t.live.Add(1)
		return nil
	}
	changed, revived := s.rows.hold(row, id)
	if revived {
		t.live.Add(1)
		t.dead--
	}
	t.note(row, changed)
	return nil
}

// remove ends id's hold of value.
func (t *table) remove(value []byte, id ID) {
	s := t.cur.Load()
	var buf [32]byte
	value = t.stored(value, &buf)
	row, ok := s.slots.find(s.rows, value, hashOf(value))
	if !ok {
		return
	}
	t.release(s.rows, row, id)
}

// removeAll ends the holds of the IDs from lo to hi-1.
func (t *table) removeAll(lo, hi ID) {
	rows := t.cur.Load().rows
	var held []ID
	for row := range rows.n.Load() {
		held = held[:0]
		rows.each(row, func(id ID) {
			if lo <= id && id < hi {
				held = append(held, id)
			}
		})
		for _, id := range held {
			t.release(rows, row, id)
		}
	}
}

// release ends id's hold of a row.
func (t *table) release(rows *rows, row uint32, id ID) {
	changed, died := rows.release(row, id)
	if died {
		t.live.Add(-1)
		t.dead++
	}
	t.note(row, changed)
}

func (t *table) note(row uint32, changed bool) {
	if changed && t.tracking {
		t.dirty = append(t.dirty, row)
	}
}

// exact appends the holders of value.
func (t *table) exact(dst []Hit, value []byte, max int) ([]Hit, bool) {
	s := t.cur.Load()
	defer runtime.KeepAlive(s) // and what is mapped for it
	var buf [32]byte
	value = t.stored(value, &buf)
	row, ok := s.slots.find(s.rows, value, hashOf(value))
	if !ok {
		return dst, false
	}
	w := s.rows.word(row).Load()
	switch {
	case w == 0:
		return dst, false
	case w&many == 0:
		return append(dst, Hit{ID: ID(w - 1), Alg: t.alg}), false
	}
	sc := getScratch(max)
	defer putScratch(sc)
	sc.hits.row(s.rows, row, 0)
	dst = sc.hits.appendTo(dst, t.alg)
	return dst, sc.hits.truncated
}

// near appends the holders of every value within distance bits of value.
func (t *table) near(dst []Hit, value []byte, distance, max int) ([]Hit, bool) {
	s := t.cur.Load()
	defer runtime.KeepAlive(s) // and what is mapped for it
	n := s.rows.n.Load()       // after s: no segment goes beyond it
	q := query{bits: load256(value).spread(), distance: distance, rows: s.rows, pages: *s.rows.pages.Load()}
	q.parity = q.bits.weight() & 1
	sc := getScratch(max)
	defer putScratch(sc)
	sc.budget = budget(n)
	from := s.indexed
	for _, seg := range s.segments {
		if !seg.search(&q, sc) {
			from = 0 // what was found already is found again, and counts once
			break
		}
	}
	q.scan(from, n, &sc.hits)
	dst = sc.hits.appendTo(dst, t.alg)
	return dst, sc.hits.truncated
}

// bytes is the memory of the table.
func (t *table) bytes() int64 {
	s := t.cur.Load()
	n := s.rows.bytes() + s.slots.bytes()
	for _, seg := range s.segments {
		n += seg.bytes()
	}
	return n
}

// A query is what a near lookup is about.
type query struct {
	bits     bits256
	parity   int // of the number of bits set
	distance int
	rows     *rows
	pages    []page
}

// value returns a row as four words.
func (q *query) value(row uint32) bits256 {
	return load256(q.pages[row>>pageBits].values[row&(pageRows-1)*32:])
}

// scan reads the rows lo … hi-1, one after another.
func (q *query) scan(lo, hi uint32, hits *collector) {
	q0, q1, q2, q3, d := q.bits[0], q.bits[1], q.bits[2], q.bits[3], q.distance
	// Half of an unrelated value is 64 ± 6 bits away: mostly too much already. For a
	// large distance that is anybody's guess, a processor's too, and isn't asked.
	half := d
	if half > 44 {
		half = 128
	}
	for lo < hi {
		end := min(hi, lo|(pageRows-1)+1)
		values := q.pages[lo>>pageBits].values[lo&(pageRows-1)*32:][:(end-lo)*32]
		for i := 0; i+32 <= len(values); i += 32 {
			b := values[i : i+32 : i+32]
			n := bits.OnesCount64(binary.LittleEndian.Uint64(b)^q0) + bits.OnesCount64(binary.LittleEndian.Uint64(b[8:])^q1)
			if n > half {
				continue
			}
			n += bits.OnesCount64(binary.LittleEndian.Uint64(b[16:])^q2) + bits.OnesCount64(binary.LittleEndian.Uint64(b[24:])^q3)
			if n <= d {
				hits.row(q.rows, lo+uint32(i/32), n)
			}
		}
		lo = end
	}
}

func (b *bits256) weight() int {
	return bits.OnesCount64(b[0]) + bits.OnesCount64(b[1]) + bits.OnesCount64(b[2]) + bits.OnesCount64(b[3])
}

func (b *bits256) distance(c *bits256) int {
	return bits.OnesCount64(b[0]^c[0]) + bits.OnesCount64(b[1]^c[1]) + bits.OnesCount64(b[2]^c[2]) + bits.OnesCount64(b[3]^c[3])
}
