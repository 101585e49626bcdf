package store

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
)

// Tree returns the tree of what is fetched of a log, the start of the next batch.
func (s *Store) Tree(origin feed.Origin) (feed.Tree, bool) {
	l, err := s.state(origin)
	if err != nil {
		return feed.Tree{}, false
	}
	return l.tree(), true
}

// Tail returns the heads of the newest bundle while it isn't full, which the next [feed.Extension] wants. They are for reading.
func (s *Store) Tail(origin feed.Origin) [][]byte {
	l, err := s.state(origin)
	if err != nil {
		return nil
	}
	return l.heads
}

// Position returns Tree and Tail of one moment.
func (s *Store) Position(origin feed.Origin) (tree feed.Tree, tail [][]byte, ok bool) {
	l, err := s.state(origin)
	if err != nil {
		return feed.Tree{}, nil, false
	}
	return l.tree(), l.heads, true
}

// Size returns how many records of a log are fetched.
func (s *Store) Size(origin feed.Origin) uint64 {
	l, err := s.state(origin)
	if err != nil {
		return 0
	}
	return l.size
}

// Generation returns which copy of the log this is: 0, and one more for each time that it was set aside. What was derived
// from an older one must be made anew.
func (s *Store) Generation(origin feed.Origin) uint32 {
	l, err := s.state(origin)
	if err != nil {
		return 0
	}
	return l.generation
}

// fullTile reads a tile of 256 hashes.
func (s *Store) fullTile(l *logState, level uint8, n uint64) ([]tlog.Hash, error) {
	data, err := s.get(l.key(kindTile, level, n, 0), string(l.origin))
	if err != nil {
		return nil, err
	}
	if len(data) != width*tlog.HashSize {
		return nil, fmt.Errorf("tile %d/%d has %d bytes", level, n, len(data))
	}
	hashes := make([]tlog.Hash, width)
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	return hashes, nil
}

// tile returns the first w hashes of a tile of l's tree; fs.ErrNotExist if it has fewer.
func (s *Store) tile(l *logState, level int, n uint64, w int) ([]tlog.Hash, error) {
	have := l.size >> (8 * level)
	switch {
	case n > have/width || n*width+uint64(w) > have:
		return nil, fs.ErrNotExist
	case n < have/width:
		hashes, err := s.fullTile(l, uint8(level), n)
		if err != nil {
			return nil, err
		}
		return hashes[:w], nil
	}
	return l.edge[level][:w], nil
}

// bundle returns the first w heads or bodies of a bundle of l; fs.ErrNotExist if there are fewer.
func (s *Store) bundle(l *logState, k kind, n uint64, w int) ([][]byte, error) {
	if n > l.full() || n*width+uint64(w) > l.size {
		return nil, fs.ErrNotExist
	}
	if n == l.full() {
		if k == kindHeads {
			return l.heads[:w], nil
		}
		return l.bodies[:w], nil
	}
	at := l.key(k, 0, n, 0)
	at.edition = s.newestEdition(at)
	data, err := s.get(at, string(l.origin))
	for errors.Is(err, badger.ErrKeyNotFound) { // unless it is lost, an erasure came between
		newer, ok, lastErr := s.last(at, upToNumber)
		if lastErr != nil || !ok || newer.edition <= at.edition {
			break
		}
		at = newer
		data, err = s.get(at, string(l.origin))
	}
	if err != nil {
		return nil, err
	}
	items, err := feed.SplitBundle(data, width)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", at, err)
	}
	return items[:w], nil
}

// Part returns a tile, entry bundle or body bundle of a log as C2SP tlog-tiles lays it out, byte for byte, by its path below
// the log ("tile/0/000", "tile/entries/x001/234.p/17", "body/000"), of the tree of that size or of any smaller one, however much
// is held now. What that tree doesn't have, or isn't held, is fs.ErrNotExist; an error of parsing the path also is one.
func (s *Store) Part(origin feed.Origin, path string, size uint64) ([]byte, error) {
	data, err := s.part(origin, path, size)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", path, origin, err)
	}
	return data, nil
}

func (s *Store) part(origin feed.Origin, path string, size uint64) ([]byte, error) {
	l, err := s.state(origin)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	p, err := feed.ParsePartPath(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if p.N*width+uint64(p.Width) > min(size, l.size)>>(8*p.Level) {
		return nil, fs.ErrNotExist
	}
	if p.Kind == feed.PartTile {
		hashes, err := s.tile(l, p.Level, p.N, p.Width)
		if err != nil {
			return nil, err
		}
		return tileBytes(hashes), nil
	}
	k := kindHeads
	if p.Kind == feed.PartBody {
		k = kindBodies
	}
	items, err := s.bundle(l, k, p.N, p.Width)
	if err != nil {
		return nil, err
	}
	return feed.AppendBundle(nil, items)
}

// Record returns a record; its body is empty if it has none, or it is erased or missing. Past the end: fs.ErrNotExist.
func (s *Store) Record(origin feed.Origin, index uint64) (feed.Record, error) {
	for r, err := range s.Records(origin, index, 1) {
		return r.Record, err
	}
	return feed.Record{}, fmt.Errorf("read record %d of %s: %w", index, origin, fs.ErrNotExist)
}

// An Indexed is a record and where it stands in its log.
type Indexed struct {
	Index uint64
	feed.Record
}

// Records returns up to n records from an index on, in order, of the log as it is when the loop begins. After an error it ends.
func (s *Store) Records(origin feed.Origin, from, n uint64) iter.Seq2[Indexed, error] {
	return func(yield func(Indexed, error) bool) {
		l, err := s.state(origin)
		if err != nil {
			yield(Indexed{Index: from}, fmt.Errorf("read records: %w", err))
			return
		}
		if from >= l.size {
			return
		}
		for i, end := from, from+min(n, l.size-from); i < end; {
			b := i / width
			w := int(min((b+1)*width, end) - b*width)
			heads, err := s.bundle(l, kindHeads, b, w)
			var bodies [][]byte
			if err == nil {
				bodies, err = s.bundle(l, kindBodies, b, w)
			}
			if err != nil {
				yield(Indexed{Index: i}, fmt.Errorf("read record %d of %s: %w", i, origin, err))
				return
			}
			for ; i < b*width+uint64(w); i++ {
				if !yield(Indexed{i, feed.Record{Head: heads[i%width], Body: bodies[i%width]}}, nil) {
					return
				}
			}
		}
	}
}

// tileReader gives package tlog the tiles of one log, as it was when this was made.
type tileReader struct {
	s *Store
	l *logState
}

func (tileReader) Height() int { return 8 }

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		hashes, err := r.s.tile(r.l, t.L, uint64(t.N), t.W)
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", t.Path(), r.l.origin, err)
		}
		data[i] = tileBytes(hashes)
	}
	return data, nil
}

func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// HashReader returns the hashes of a log as [tlog.ProveRecord] and [tlog.ProveTree] want them, for the tree of what is fetched
// now and all smaller ones. Each is checked against the root before it is returned.
func (s *Store) HashReader(origin feed.Origin) (tlog.HashReader, error) {
	l, err := s.state(origin)
	if err != nil {
		return nil, err
	}
	return s.hashReader(l), nil
}

func (s *Store) hashReader(l *logState) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: int64(l.size), Hash: tlog.Hash(l.root)}, tileReader{s, l})
}

// RootAt returns the root that a log has at a size, at most what is fetched.
func (s *Store) RootAt(origin feed.Origin, size uint64) (feed.Digest, error) {
	l, err := s.state(origin)
	if err != nil {
		return feed.Digest{}, err
	}
	return s.rootAt(l, size)
}

func (s *Store) rootAt(l *logState, size uint64) (feed.Digest, error) {
	switch {
	case size > l.size:
		return feed.Digest{}, fmt.Errorf("root of %s at size %d: %w", l.origin, size, fs.ErrNotExist)
	case size == l.size:
		return l.root, nil
	case size == 0:
		return emptyRoot, nil
	}
	h, err := tlog.TreeHash(int64(size), s.hashReader(l))
	if err != nil {
		return feed.Digest{}, fmt.Errorf("root of %s at size %d: %w", l.origin, size, err)
	}
	return feed.Digest(h), nil
}
