package gossip

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"hashfeed/feed"
)

var errNobody = errors.New("no peer hands out what is missing")

// A haul fetches a log up to a checkpoint, each part from whoever has it. Nothing in it is trusted: package feed checks the tiles above the
// leaves against the signed root, then each bundle by itself, so that who sent a false one is known.
type haul struct {
	c      *carrier
	chain  *feed.Chain
	cp     feed.Checkpoint
	e      *feed.Extension
	ctx    context.Context
	failed map[peer.ID]bool // who didn't have it, didn't answer, or lied; not asked again by this haul

	mu    sync.Mutex
	got   map[uint64]feed.Bundle // checked, not yet committed
	bytes int                    // of them
	next  uint64                 // the bundle that the next commit begins with
	queue []uint64
}

// fetch takes a log to cp. What was committed stays, whatever fails then.
func (c *carrier) fetch(chain *feed.Chain, cp feed.Checkpoint) error {
	for {
		tree, tail, ok := c.n.o.Store.Position(cp.Origin)
		if !ok {
			return fmt.Errorf("fetch %s: it isn't held", cp.Origin)
		}
		if tree.Size() > cp.Size {
			return nil
		}
		e, err := feed.NewExtension(chain, tree, tail, cp)
		switch {
		case errors.Is(err, feed.ErrCut), errors.Is(err, feed.ErrInconsistent) && isEnd(cp):
			return c.otherLog(chain, cp, err)
		case errors.Is(err, feed.ErrInconsistent):
			c.contradicted(nil, chain, cp)
			return err
		case err != nil:
			return err
		}
		h := &haul{c: c, chain: chain, cp: cp, e: e, ctx: c.ctx, failed: map[peer.ID]bool{}, got: map[uint64]feed.Bundle{}}
		err = h.outline()
		if err == nil {
			err = h.bundles()
		}
		if errors.Is(err, feed.ErrCut) || errors.Is(err, feed.ErrInconsistent) && isEnd(cp) {
			return c.otherLog(chain, cp, err)
		}
		if err != nil {
			return err
		}
		if tree, _, _ := c.n.o.Store.Position(cp.Origin); tree.Size() >= cp.Size {
			c.reached(chain, cp.Origin, cp.Size)
			return nil
		}
	}
}

// sources are the peers that say they have a log up to a size, the quickest first.
func (h *haul) sources() []*link {
	type source struct {
		l       *link
		latency time.Duration
	}
	var all []source
	for _, l := range h.c.n.everyLink() {
		m, ok := l.claimed(h.cp.Origin)
		if !ok || m.Size < h.cp.Size || h.failed[l.peer] || !h.c.n.vetted(l.peer) || isEnd(h.cp) && !hasEnd(h.chain, h.cp, m) ||
			m.Size == h.cp.Size && m.Root != h.cp.Root { // it says itself that it has another tree: no liar for handing that out
			continue
		}
		_, latency := l.standing()
		all = append(all, source{l, latency})
	}
	slices.SortStableFunc(all, func(a, b source) int { return cmp.Compare(a.latency, b.latency) })
	links := make([]*link, len(all))
	for i, s := range all {
		links[i] = s.l
	}
	return links
}

// outline gets the tiles above the leaves. Where there is little to fetch the bundles come along, in one round trip.
func (h *haul) outline() error {
	paths := h.e.Outline()
	first, last := h.e.Bundles()
	ask := slices.Clone(paths)
	if uint64(len(paths))+2*(last-first) <= maxPaths {
		for n := first; n < last; n++ {
			entries, bodies := h.e.Parts(n)
			ask = append(ask, entries.Path(), bodies.Path())
		}
	}
	if len(ask) == 0 {
		return h.e.SetOutline(nil)
	}
	for {
		sources := h.sources()
		if len(sources) == 0 {
			return fmt.Errorf("fetch %s from size %d to %d: %w", h.cp.Origin, first*feed.TileWidth, h.cp.Size, errNobody)
		}
		l := sources[0]
		parts := map[string][]byte{}
		size := 0
		var err error
		for chunk := range slices.Chunk(ask, maxPaths) {
			if err = l.parts(h.ctx, h.cp.Origin, h.cp.Size, chunk, func(i int, data []byte) error {
				if size += len(data); size > maxOutline+maxAhead {
					return errors.New("too much at once")
				}
				parts[chunk[i]] = data
				return nil
			}); err != nil {
				break
			}
		}
		if err == nil {
			err = h.e.SetOutline(func(path string) ([]byte, error) {
				if data := parts[path]; data != nil {
					return data, nil
				}
				return nil, fs.ErrNotExist
			})
		}
		var lie *feed.PartError
		switch {
		case err == nil:
			if len(ask) > len(paths) {
				for n := first; n < last; n++ {
					entries, bodies := h.e.Parts(n)
					if err := h.check(l, n, parts[entries.Path()], parts[bodies.Path()]); err != nil {
						break // the next round asks others
					}
				}
			}
			return nil
		case h.ctx.Err() != nil:
			return h.ctx.Err()
		case errors.Is(err, feed.ErrInconsistent):
			if !isEnd(h.cp) {
				h.c.contradicted(l, h.chain, h.cp)
			}
			return err
		case errors.As(err, &lie):
			h.c.n.lied(l.peer, h.c.name, err)
		default:
			h.gaveUp(l, err)
		}
		h.failed[l.peer] = true
	}
}

// gaveUp: a peer didn't hand out what it said it has, or broke the format.
func (h *haul) gaveUp(l *link, err error) {
	if errors.Is(err, errRule) {
		h.c.n.broke(l.peer, err)
	}
	h.c.n.log.Info("fetch from another peer", "log", string(h.cp.Origin), "not", l.peer.String(), "name", l.name(), "err", err)
}

// check takes a bundle from a peer.
func (h *haul) check(l *link, n uint64, entries, bodies []byte) error {
	if entries == nil {
		return fmt.Errorf("bundle %d: %w", n, fs.ErrNotExist)
	}
	b, err := h.e.Check(n, entries, bodies)
	if err != nil {
		var lie *feed.PartError
		if errors.As(err, &lie) {
			h.c.n.lied(l.peer, h.c.name, err)
		}
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got[n] = b
	h.bytes += len(entries) + len(bodies)
	return nil
}

// bundles fetches all bundles and commits them in order, fetching the next while it commits.
func (h *haul) bundles() (err error) {
	first, last := h.e.Bundles()
	h.next = first
	committing := make(chan error, 1)
	busy := false
	wait := func() error {
		if !busy {
			return nil
		}
		busy = false
		return <-committing
	}
	defer func() { err = errors.Join(err, wait()) }()
	for h.next < last || first == last {
		if err := h.collect(min(h.next+maxWindow, last)); err != nil {
			return err
		}
		var run []feed.Bundle
		h.mu.Lock()
		for b, ok := h.got[h.next]; ok; b, ok = h.got[h.next] {
			run = append(run, b)
			delete(h.got, h.next)
			h.next++
		}
		if len(h.got) == 0 {
			h.bytes = 0
		}
		h.mu.Unlock()
		if len(run) == 0 && first != last {
			return fmt.Errorf("fetch %s to size %d: bundle %d: %w", h.cp.Origin, h.cp.Size, h.next, errNobody)
		}
		batch, err := h.e.Batch(run...)
		if err != nil {
			return err
		}
		if err := wait(); err != nil {
			return err
		}
		busy = true
		go func() { committing <- h.commit(batch) }()
		if first == last {
			return nil
		}
	}
	return nil
}

func (h *haul) commit(b *feed.Batch) error {
	if err := h.c.commit(b); err != nil {
		return err
	}
	h.c.n.metrics.records.Add(float64(b.To() - b.From()))
	h.c.look(b)
	return nil
}

// collect fetches what is missing of the bundles before end, from several peers at once, until all are here or nobody is left to ask. It may
// stop early, with the next one here, where what is ahead has become too much for the memory.
func (h *haul) collect(end uint64) error {
	for {
		h.mu.Lock()
		h.queue = h.queue[:0]
		for n := h.next; n < end; n++ {
			if _, ok := h.got[n]; !ok {
				h.queue = append(h.queue, n)
			}
		}
		_, ready := h.got[h.next]
		done := len(h.queue) == 0 || ready && h.bytes >= maxAhead
		h.mu.Unlock()
		if done || h.ctx.Err() != nil {
			return h.ctx.Err()
		}
		sources := h.sources()
		if len(sources) == 0 {
			if ready {
				return nil
			}
			return fmt.Errorf("fetch %s to size %d: bundle %d: %w", h.cp.Origin, h.cp.Size, h.next, errNobody)
		}
		sources = sources[:min(len(sources), maxSources)]
		errs := make([]error, len(sources))
		var wg sync.WaitGroup
		for i, l := range sources {
			wg.Go(func() { errs[i] = h.work(l) })
		}
		wg.Wait()
		for i, l := range sources {
			if errs[i] != nil {
				h.failed[l.peer] = true
				h.gaveUp(l, errs[i])
			}
		}
	}
}

// work fetches from one peer as long as there is something to do.
func (h *haul) work(l *link) error {
	for {
		h.mu.Lock()
		job := slices.Clone(h.queue[:min(len(h.queue), jobBundles)])
		h.queue = h.queue[len(job):]
		h.mu.Unlock()
		if len(job) == 0 {
			return nil
		}
		var paths []string
		for _, n := range job {
			entries, bodies := h.e.Parts(n)
			paths = append(paths, entries.Path(), bodies.Path())
		}
		var entries []byte
		full := false
		err := l.parts(h.ctx, h.cp.Origin, h.cp.Size, paths, func(i int, data []byte) error {
			if i%2 == 0 {
				entries = data
				return nil
			}
			if err := h.check(l, job[i/2], entries, data); err != nil {
				return err
			}
			h.mu.Lock()
			full = h.bytes >= maxAhead
			h.mu.Unlock()
			if full && i+1 < len(paths) {
				return errFull
			}
			return nil
		})
		if errors.Is(err, errFull) || err == nil && full {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errFull ends a download because of us.
var errFull = errors.New("enough is ahead")

// parts downloads parts of a log, of the tree of a size, and gives them to take in order; nil for an absent one. An error of take ends it.
func (l *link) parts(ctx context.Context, origin feed.Origin, size uint64, paths []string, take func(i int, data []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(l.ctx, cancel)
	defer stop()
	opening, opened := context.WithTimeout(ctx, partTimeout)
	defer opened()
	s, end, err := l.n.question(opening, l.peer, tilesProtocol, &tilesAsk{Origin: origin, Size: size, Paths: paths}, maxAsk)
	if err != nil {
		return err
	}
	defer end()
	// From here on each part has its own time.
	closing := context.AfterFunc(ctx, end)
	defer closing()
	for i, path := range paths {
		data, err := readPart(s, path)
		if err != nil {
			return fmt.Errorf("download %s: %w", path, err)
		}
		l.n.metrics.fetched.Add(float64(len(data)))
		if err := take(i, data); err != nil {
			return err
		}
	}
	return nil
}

// readPart reads one part; nil where it is absent. The memory it takes grows with what came, not with what was announced.
func readPart(s conduit, path string) ([]byte, error) {
	limit := feed.MaxBundle
	if part, err := feed.ParsePartPath(path); err == nil && part.Kind == feed.PartTile {
		limit = maxTile
	}
	s.SetReadDeadline(time.Now().Add(partTimeout))
	var head [4]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return nil, cutShort(err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == absent {
		return nil, nil
	}
	if int64(size) > int64(limit) {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are accepted", errRule, size, limit)
	}
	s.SetReadDeadline(time.Now().Add(partTimeout + time.Duration(size/minRate)*time.Second))
	var data bytes.Buffer
	data.Grow(int(min(size, 64<<10)))
	if _, err := io.CopyN(&data, s, int64(size)); err != nil {
		return nil, cutShort(err)
	}
	if size == 0 {
		return []byte{}, nil
	}
	return data.Bytes(), nil
}
