package match

// The merger is the one goroutine that publishes states. Without it everything
// is found all the same, only slower.

// segmentRatio: a new segment swallows the one before it until that is more than
// 16 times as large. So there are about log16(rows/DeltaRows) segments, and a
// value is indexed again some 8 times for each.
const segmentRatio = 16

// nudge wakes the merger. The caller holds mu, and t isn't closed.
func (t *Tables) nudge() {
	select {
	case t.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (t *Tables) merger() {
	defer close(t.done)
	for range t.wake {
		t.settle()
	}
}

// settle merges and compacts until there is nothing left to do, or t is closed.
func (t *Tables) settle() {
	for again := true; again; {
		again = false
		for _, tb := range t.tables {
			if tb == nil || t.closed.Load() {
				continue
			}
			again = t.compact(tb) || t.merge(tb) || again
		}
		for _, tb := range t.exact {
			if tb != nil && !t.closed.Load() {
				again = t.tend(tb) || again
			}
		}
	}
}

// tend goes on with a table that is being made anew, also when no change comes to do so.
func (t *Tables) tend(tb *exactTable) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return tb.tend(mergerLines)
}

// mergerLines is how many lines the merger copies while writers wait: some 0.1 ms.
const mergerLines = 1024

// merge indexes the delta of a table, if it has grown large, together with the
// segments before it that are small in comparison.
func (t *Tables) merge(tb *table) bool {
	s := tb.cur.Load()
	hi := s.rows.n.Load()
	if !tb.alg.near() || int(hi-s.indexed) < t.opts.DeltaRows {
		return false
	}
	lo, keep := s.indexed, len(s.segments)
	for keep > 0 && s.segments[keep-1].hi-s.segments[keep-1].lo <= segmentRatio*(hi-lo) {
		keep--
		lo = s.segments[keep].lo
	}
	seg := buildSegment(s.rows, lo, hi, t.smallPart(), t.closed.Load)
	if seg == nil {
		return false
	}
	tb.cur.Store(s.with(s.segments[:keep], seg))
	return true
}

// smallPart lets tests with a small delta have an index too.
func (t *Tables) smallPart() int { return min(smallPart, t.opts.DeltaRows) }

// with returns s with other segments, the last of them being seg.
func (s *state) with(segments []*segment, seg *segment) *state {
	return &state{
		rows:     s.rows,
		slots:    s.slots,
		segments: append(append([]*segment(nil), segments...), seg),
		indexed:  seg.hi,
	}
}

// compact rebuilds a table without its dead rows, if there are many.
func (t *Tables) compact(tb *table) bool {
	t.mu.Lock()
	if n := int(tb.cur.Load().rows.n.Load()); tb.dead < t.opts.CompactRows || tb.dead < n/4 {
		t.mu.Unlock()
		return false
	}
	c := startCompaction(tb)
	t.mu.Unlock()

	c.copy(t.smallPart(), t.closed.Load)

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed.Load() {
		return false
	}
	c.finish()
	return true
}

// A compaction copies the rows that have a holder into a new state. It copies
// beside the writer; what the writer changes meanwhile is noted, and copied again
// at the end, when the writer waits.
type compaction struct {
	tb    *table
	old   *state
	next  *state
	moved []uint32 // old row to new row + 1, 0 for none; of the rows at the start
}

// startCompaction has the writer note its changes from now on. The caller holds
// Tables.mu.
func startCompaction(tb *table) *compaction {
	old := tb.cur.Load()
	tb.tracking = true
	return &compaction{
		tb:    tb,
		old:   old,
		next:  &state{rows: newRows(old.rows.size), slots: new(slots)},
		moved: make([]uint32, old.rows.n.Load()),
	}
}

// copy does the long part, without a lock, unless stop turns true.
func (c *compaction) copy(smallPart int, stop func() bool) {
	for row := range c.moved {
		if stop() {
			return
		}
		c.moved[row] = c.next.copyRow(c.old.rows, uint32(row))
	}
	if n := c.next.rows.n.Load(); c.tb.alg.near() && int(n) >= c.tb.opts.DeltaRows {
		if seg := buildSegment(c.next.rows, 0, n, smallPart, stop); seg != nil {
			c.next = c.next.with(nil, seg)
		}
	}
}

// finish catches up with the writer and publishes the new state. The caller holds
// Tables.mu, and copy was not stopped.
func (c *compaction) finish() {
	start := uint32(len(c.moved))
	for _, row := range c.tb.dirty {
		switch {
		case row >= start: // copied below, as it is now
		case c.moved[row] == 0:
			c.moved[row] = c.next.copyRow(c.old.rows, row)
		default:
			c.next.syncRow(c.moved[row]-1, c.old.rows, row)
		}
	}
	for row := start; row < c.old.rows.n.Load(); row++ {
		c.next.copyRow(c.old.rows, row)
	}
	c.tb.tracking, c.tb.dirty = false, nil
	c.tb.dead = int(c.next.rows.n.Load()) - int(c.tb.live.Load())
	c.tb.cur.Store(c.next)
}

// copyRow copies a row that has a holder. It returns the new row + 1, or 0.
func (s *state) copyRow(from *rows, row uint32) uint32 {
	to := uint32(0)
	from.each(row, func(id ID) {
		if to == 0 {
			value := from.value(row)
			to = s.rows.append(value, uint64(id)+1) + 1
			s.slots.insert(s.rows, hashOf(value), to-1)
			return
		}
		s.rows.hold(to-1, id)
	})
	return to
}

// syncRow gives row to of s the holders that row has now.
func (s *state) syncRow(to uint32, from *rows, row uint32) {
	var now, had []ID
	from.each(row, func(id ID) { now = append(now, id) })
	s.rows.each(to, func(id ID) { had = append(had, id) })
	for _, id := range had {
		s.rows.release(to, id)
	}
	for _, id := range now {
		s.rows.hold(to, id)
	}
}
