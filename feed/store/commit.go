package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
)

// Commit appends a verified batch to its log, adopts its checkpoint, or both. When it returns nil, all of it is on the disk, is
// what readers see, and every follower has applied it. A batch that is held already, or partly, is no error.
//
// ErrGap: it begins past what is held. ErrFork: it was verified over another tree. ErrCharter: verified under other charters
// than those held. *DamagedError, ErrNoSpace: nothing was written. ErrUnwell: whether it was stored is unknown, and the
// next Open finds out. *FollowerError: it was stored.
func (s *Store) Commit(b *feed.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.now()
	if err := s.ready(); err != nil {
		return fmt.Errorf("commit to %s: %w", b.Origin(), err)
	}
	if err := s.commit(b); err != nil {
		s.metrics.failed.Inc()
		return wrap(err, "commit to %s", b.Origin())
	}
	s.metrics.seconds.Observe(s.now().Sub(begun).Seconds())
	return nil
}

func (s *Store) commit(b *feed.Batch) error {
	h, err := s.feed(b.Origin().Name())
	if err != nil {
		return err
	}
	if err := h.damaged(); err != nil && !h.owing() {
		return err // of a log that has lost its end, the end may come again
	}
	l, ok := h.state(b.Origin().Log())
	if !ok {
		return fmt.Errorf("%w: they don't have this log", ErrCharter)
	}
	if err := sameLaw(h.chain, b.Chain(), int(l.log)); err != nil {
		return err
	}
	news, err := s.news(l, b)
	if err != nil {
		return err
	}
	if len(news) > maxBatch {
		return fmt.Errorf("%d records at once, at most %d are taken", len(news), maxBatch)
	}
	next := *l
	w := s.newWrite()
	defer func() { w.discard() }()
	var editions []func()
	if len(news) > 0 {
		if w, editions, err = s.append(w, &next, news, b.Leaves()[len(b.Leaves())-len(news):]); err != nil {
			return err
		}
		if after := b.After(); next.root != after.Root() {
			return fmt.Errorf("%w: its records don't give its root at size %d", ErrFork, next.size)
		}
	}
	cp, adopt := b.Checkpoint()
	if adopt = adopt && len(cp.Lines()) > 0; adopt { // the end of a closed log has no signatures: its charter states it
		if adopt, err = s.adopt(w, h.chain, &next, cp); err != nil {
			return err
		}
	}
	if len(news) == 0 && !adopt {
		return nil // all of it is held
	}
	if next.owed != nil {
		if h, err = h.pay(l, &next, b.Leaves()[len(b.Leaves())-len(news):]); err != nil {
			return err
		}
	}
	if err := w.commit(); err != nil {
		return err
	}
	for _, done := range editions {
		done()
	}
	if next.owed == nil {
		if err := s.writeHead(&next); err != nil {
			return err
		}
	}
	s.recordManifest()
	s.show(h.name, h.with(&next))
	s.metrics.commits.Inc()
	s.metrics.records.Add(float64(len(news)))
	return s.tell(Event{Feed: h.name, Batch: b, First: b.To() - uint64(len(news))})
}

// pay sees whether a log that had lost its end has all of it again with these leaves, and ends the damage. Until then its head file stays: it
// is what was promised. What has come must be the same.
func (h *heldFeed) pay(l, next *logState, leaves []feed.Digest) (*heldFeed, error) {
	owed := next.owed
	if l.size < owed.Fetched && next.size >= owed.Fetched {
		tree := l.tree()
		for _, leaf := range leaves[:owed.Fetched-l.size] {
			tree.Append(leaf)
		}
		if tree.Root() != owed.Root {
			return nil, fmt.Errorf("%w; what has come of it again is another: %w", h.damaged(), ErrFork)
		}
	}
	if next.size < owed.Fetched || next.head.Size < owed.Size {
		return h, nil
	}
	next.owed = nil
	c := *h
	c.damages = slices.DeleteFunc(slices.Clone(h.damages), func(d *DamagedError) bool { return d.Log == int(next.log) })
	return &c, nil
}

// sameLaw makes sure that a batch was verified under the charters held here. An older chain will do as long as it says the same of
// the log: a log's keys never change, but a log may have been closed since.
func sameLaw(held, batch *feed.Chain, log int) error {
	if held.Anchor() != batch.Anchor() {
		return ErrAnchor
	}
	mine, theirs := held.Newest(), batch.Newest()
	if theirs.Version > mine.Version {
		return fmt.Errorf("%w: version %d isn't stored yet", ErrCharter, theirs.Version)
	}
	if same := held.All()[len(batch.All())-1]; same.Anchor() != theirs.Anchor() {
		return fmt.Errorf("%w: there are two of version %d", ErrCharter, theirs.Version)
	}
	if theirs.Version != mine.Version && log <= len(mine.Closed) {
		return fmt.Errorf("%w: version %d has closed the log, or may have", ErrCharter, mine.Version)
	}
	return nil
}

// news compares a batch with what is held and returns the records that aren't. This is the compare of compare-and-swap: what a
// batch was verified over must be our tree, record for record.
func (s *Store) news(l *logState, b *feed.Batch) ([]feed.Record, error) {
	from, to := b.From(), b.To()
	if from > l.size {
		return nil, fmt.Errorf("%w: it begins at %d, %d are held", ErrGap, from, l.size)
	}
	if to <= l.size {
		root, err := s.rootAt(l, to)
		if err != nil {
			return nil, err
		}
		if after := b.After(); after.Root() != root {
			return nil, fmt.Errorf("%w at size %d", ErrFork, to)
		}
		return nil, nil
	}
	root, err := s.rootAt(l, from)
	if err != nil {
		return nil, err
	}
	tree := b.Before()
	if tree.Root() != root {
		return nil, fmt.Errorf("%w at size %d", ErrFork, from)
	}
	records := b.Records()
	known := l.size - from
	for _, leaf := range b.Leaves()[:known] {
		tree.Append(leaf)
	}
	if tree.Root() != l.root {
		return nil, fmt.Errorf("%w between %d and %d", ErrFork, from, l.size)
	}
	return records[known:], nil
}

// append puts records into a write and moves next on. Full bundles that don't fit into one transaction are made durable before: no
// commit record speaks of them, so that they are never read unless the last transaction, which w is in the end, is durable.
func (s *Store) append(w *write, next *logState, news []feed.Record, hashes []feed.Digest) (_ *write, editions []func(), err error) {
	from := next.size
	heads, bodies := slices.Clone(next.heads), slices.Clone(next.bodies)
	leaves := make([]tlog.Hash, len(hashes))
	var total uint64
	for i, r := range news {
		heads, bodies = append(heads, r.Head), append(bodies, r.Body)
		leaves[i] = tlog.Hash(hashes[i])
		total += uint64(len(r.Head) + len(r.Body))
	}
	if err := s.roomFor(total); err != nil {
		return w, nil, err
	}
	n, full := next.full(), len(heads)/width
	for ; len(heads) >= width; n++ {
		for _, part := range []struct {
			kind  kind
			items [][]byte
		}{{kindHeads, heads[:width]}, {kindBodies, bodies[:width]}} {
			done, err := s.putBundle(w, next, part.kind, n, part.items)
			if errors.Is(err, badger.ErrTxnTooBig) {
				if w, editions, err = s.nextWrite(w, editions); err != nil {
					return w, nil, err
				}
				done, err = s.putBundle(w, next, part.kind, n, part.items)
			}
			if err != nil {
				return w, nil, err
			}
			editions = append(editions, done...)
		}
		heads, bodies = heads[width:], bodies[width:]
	}
	if full > 2 { // the tiles of many bundles want a transaction for themselves
		if w, editions, err = s.nextWrite(w, editions); err != nil {
			return w, nil, err
		}
	}
	if full > 0 { // the chunks' records are in a bundle now
		for _, c := range next.chunks {
			if err := s.dropChunk(w, next, c); err != nil {
				return w, nil, err
			}
		}
		next.chunks = nil
	}
	tiles := next.grow(leaves)
	for _, t := range tiles {
		if err := w.put(next.key(kindTile, t.level, t.number, 0), string(next.origin), tileBytes(t.hashes)); err != nil {
			return w, nil, err
		}
	}
	rest := min(len(heads), len(news))
	at := len(heads) - rest
	next.heads, next.bodies = cloneFrom(heads, at), cloneFrom(bodies, at)
	if rest > 0 {
		c := chunk{first: next.size - uint64(rest), n: rest}
		if err := s.putChunk(w, next, kindHeadsPart, c, heads[at:]); err != nil {
			return w, nil, err
		}
		if err := s.putChunk(w, next, kindBodiesPart, c, bodies[at:]); err != nil {
			return w, nil, err
		}
		next.chunks = append(slices.Clone(next.chunks), c)
	}
	record := commitRecord{from: from, to: next.size, root: next.root}
	return w, editions, w.put(next.key(kindCommit, 0, record.to, 0), string(next.origin), record.bytes())
}

// nextWrite makes a write durable, with the editions that it wrote, and begins another.
func (s *Store) nextWrite(w *write, editions []func()) (*write, []func(), error) {
	if err := w.commit(); err != nil {
		return w, nil, err
	}
	for _, done := range editions {
		done()
	}
	return s.newWrite(), nil, nil
}

// cloneFrom copies a list and its items from `at` on, which are parts of a batch's buffers, so that the newest bundle keeps
// nothing else alive.
func cloneFrom(items [][]byte, at int) [][]byte {
	c := append(make([][]byte, 0, width), items...)
	for i := at; i < len(c); i++ {
		c[i] = bytes.Clone(c[i])
	}
	return c
}

func tileBytes(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// putBundle writes a full bundle. Where a commit that never counted has left another one, the next edition is written.
func (s *Store) putBundle(w *write, l *logState, k kind, n uint64, items [][]byte) (done []func(), err error) {
	data, err := feed.AppendBundle(nil, items)
	if err != nil {
		return nil, err
	}
	at := l.key(k, 0, n, 0)
	at.edition = s.newestEdition(at)
	old, err := s.get(at, string(l.origin))
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return nil, w.put(at, string(l.origin), data)
	case err == nil && bytes.Equal(old, data):
		return nil, nil
	}
	at.edition++
	f, err := w.putEdition(at, string(l.origin), data)
	return []func(){f}, err
}

func (s *Store) putChunk(w *write, l *logState, k kind, c chunk, items [][]byte) error {
	data, err := feed.AppendBundle(nil, items)
	if err != nil {
		return err
	}
	return w.put(l.key(k, 0, c.first, c.edition), string(l.origin), data)
}

// dropChunk deletes a chunk's values, all editions of them. That it may come back does no harm: chunks are looked for only past
// the last full bundle.
func (s *Store) dropChunk(w *write, l *logState, c chunk) error {
	if err := w.delete(l.key(kindHeadsPart, 0, c.first, 0)); err != nil {
		return err
	}
	for e := range c.edition + 1 {
		if err := w.delete(l.key(kindBodiesPart, 0, c.first, e)); err != nil {
			return err
		}
	}
	return nil
}

// adopt puts a checkpoint into w and next, and says whether there was anything new in it. The first of a size is kept for
// ever, as edition 0; of newer stamps and of cosignatures, merged, only the newest edition is.
func (s *Store) adopt(w *write, chain *feed.Chain, next *logState, cp feed.Checkpoint) (bool, error) {
	root := next.root
	if cp.Size != next.size { // of a size that is past
		var err error
		if root, err = s.rootAt(next, cp.Size); err != nil {
			return false, err
		}
	}
	if cp.Root != root {
		return false, fmt.Errorf("%w: its checkpoint has another root at size %d", ErrFork, cp.Size)
	}
	k, ok, err := s.last(next.key(kindCheckpoint, 0, cp.Size, 0), upToNumber)
	if err != nil {
		return false, err
	}
	if ok {
		old, err := s.checkpoint(k, next.origin, chain)
		if err != nil {
			return false, err
		}
		if cp, err = chain.Merge(old, cp); err != nil {
			return false, err
		}
		if bytes.Equal(cp.Bytes(), old.Bytes()) {
			return false, nil
		}
		if k.edition > 0 {
			if err := w.delete(k); err != nil {
				return false, err
			}
		}
		k.edition++
	} else {
		k = next.key(kindCheckpoint, 0, cp.Size, 0)
	}
	if err := w.put(k, string(next.origin), cp.Bytes()); err != nil {
		return false, err
	}
	if len(cp.Cosigned) > 0 {
		note := next.key(kindWitnessed, 0, cp.Size, 0)
		if ok, err := s.has(note); err != nil {
			return false, err
		} else if !ok {
			if err := w.put(note, string(next.origin), nil); err != nil {
				return false, err
			}
		}
	}
	if !next.hasHead || cp.Size < next.opened.Size {
		next.opened = cp
	}
	if !next.hasHead || cp.Size >= next.head.Size {
		next.head = cp
	}
	next.hasHead = true
	return true, nil
}
