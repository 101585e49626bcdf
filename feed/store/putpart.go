package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
)

var errNotThePart = errors.New("it isn't the one that the root promises")

// PutPart puts back a full bundle of heads or of bodies that was lost, by its path below the log, as a peer has it. Nobody need trust the
// peer: heads must have the hash that the held tree has there, bodies the digests that their heads promise. Bodies that are here or were erased
// stay as they are. One that is whole already is no error.
func (s *Store) PutPart(origin feed.Origin, path string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.putPart(origin, path, data); err != nil {
		return fmt.Errorf("put back %s of %s: %w", path, origin, err)
	}
	return nil
}

func (s *Store) putPart(origin feed.Origin, path string, data []byte) error {
	if err := s.ready(); err != nil {
		return err
	}
	l, err := s.state(origin)
	if err != nil {
		return err
	}
	p, err := feed.ParsePartPath(path)
	if err != nil {
		return err
	}
	if p.Kind == feed.PartTile || p.Width != width || p.N >= l.full() {
		return fmt.Errorf("only full bundles are put back: %w", fs.ErrNotExist)
	}
	items, err := feed.SplitBundle(data, width)
	if err != nil {
		return err
	}
	if p.Kind == feed.PartBody {
		return s.putBodies(l, p.N, items)
	}
	return s.putHeads(l, p.N, items, data)
}

func (s *Store) putHeads(l *logState, n uint64, heads [][]byte, data []byte) error {
	leaves := make([]tlog.Hash, width)
	for i, head := range heads {
		leaves[i] = tlog.Hash(feed.LeafHash(head))
	}
	want, err := s.hashReader(l).ReadHashes([]int64{tlog.StoredHashIndex(8, int64(n))}) // checked against the root
	if err != nil {
		return err
	}
	if perfectRoot(leaves) != want[0] {
		return errNotThePart
	}
	at := l.key(kindHeads, 0, n, 0)
	at.edition = s.newestEdition(at)
	w := s.newWrite()
	defer w.discard()
	if err := w.put(at, string(l.origin), data); err != nil {
		return err
	}
	if err := w.put(l.key(kindTile, 0, n, 0), string(l.origin), tileBytes(leaves)); err != nil {
		return err
	}
	return w.commit()
}

func (s *Store) putBodies(l *logState, n uint64, bodies [][]byte) error {
	heads, err := s.bundle(l, kindHeads, n, width)
	if err != nil {
		return err
	}
	ours, err := s.bundle(l, kindBodies, n, width)
	if errors.Is(err, ErrClosed) {
		return err
	}
	whole := err == nil
	merged := make([][]byte, width)
	for i, body := range bodies {
		want, promised := feed.PromisedBody(heads[i])
		if len(body) > 0 && (!promised || want != sha256.Sum256(body)) {
			return fmt.Errorf("body %d: %w", n*width+uint64(i), errNotThePart)
		}
		if whole && len(ours[i]) > 0 && promised && want == sha256.Sum256(ours[i]) {
			merged[i] = ours[i]
			continue
		}
		if whole && len(ours[i]) > 0 {
			whole = false // ours is false: anything is better
		}
		gone, err := s.has(l.key(kindErased, 0, n*width+uint64(i), 0))
		if err != nil {
			return err
		}
		if !gone {
			merged[i] = body
			whole = whole && len(body) == 0
		}
	}
	if whole {
		return nil
	}
	data, err := feed.AppendBundle(nil, merged)
	if err != nil {
		return err
	}
	at := l.key(kindBodies, 0, n, 0)
	at.edition = s.newestEdition(at) + 1
	w := s.newWrite()
	defer w.discard()
	done, err := w.putEdition(at, string(l.origin), data)
	if err != nil {
		return err
	}
	if err := w.commit(); err != nil {
		return err
	}
	done()
	return nil
}

func mkdir(path string) error { return os.MkdirAll(path, 0o700) }
