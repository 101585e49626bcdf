package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
)

// A logState is what is known of one log in memory: the right edge of its tree and its newest bundle. It is immutable, and
// whoever holds one sees one size, whatever is committed meanwhile.
type logState struct {
	origin     feed.Origin
	feed       uint32
	log        uint16
	generation uint32

	size uint64
	root feed.Digest
	// edge[l] are the hashes of the last tile of level l that isn't full: size>>(8*l) % 256 of them. With them any
	// partial tile, the root and the frontier are computed without reading.
	edge [][]tlog.Hash
	// heads and bodies of the newest bundle, size % 256 of them. At most 1.1 MB a log, some 50 KB as feeds are.
	heads, bodies [][]byte
	// chunks tell where those lie in Badger, in order and without a gap.
	chunks []chunk

	head    feed.Checkpoint // the newest adopted; valid if hasHead
	hasHead bool
	opened  feed.Checkpoint // the kept one of the smallest size; valid if hasHead

	// owed is what the head file promises of a log that has lost its end, until that was fetched again; nil: nothing.
	owed *headFile
}

// A chunk is the part of the newest bundle that one commit brought.
type chunk struct {
	first   uint64 // index of its first record
	n       int
	edition uint32 // of its bodies
}

// key is the key of a value of this log.
func (l *logState) key(k kind, level uint8, number uint64, edition uint32) key {
	return key{feed: l.feed, log: l.log, kind: k, generation: l.generation, level: level, number: number, edition: edition}
}

// full is how many bundles are complete.
func (l *logState) full() uint64 { return l.size / width }

func emptyLog(id uint32, origin feed.Origin, generation uint32) *logState {
	return &logState{origin: origin, feed: id, log: uint16(origin.Log()), generation: generation, root: emptyRoot}
}

// emptyRoot is the root of a tree without records (RFC 6962 §2.1).
var emptyRoot = feed.Digest(sha256.Sum256(nil))

// A fullTile is a tile that a commit completed.
type fullTile struct {
	level  uint8
	number uint64
	hashes []tlog.Hash
}

// grow appends leaf hashes to l's tree and returns the tiles that became full. Only size, root and edge change; the edges of
// older states, which share memory, never see what lies past their own lengths.
func (l *logState) grow(leaves []tlog.Hash) []fullTile {
	var tiles []fullTile
	l.edge = slices.Clone(l.edge)
	for _, h := range leaves {
		for level := 0; ; level++ {
			if level == len(l.edge) {
				l.edge = append(l.edge, make([]tlog.Hash, 0, width))
			}
			l.edge[level] = append(l.edge[level], h)
			if len(l.edge[level]) < width {
				break
			}
			number := l.size >> (8 * (level + 1))
			tiles = append(tiles, fullTile{uint8(level), number, l.edge[level]})
			h = perfectRoot(l.edge[level])
			l.edge[level] = make([]tlog.Hash, 0, width)
		}
		l.size++
	}
	l.root = edgeRoot(l.edge)
	return tiles
}

// perfectRoot is the root over a power of two of hashes of one level.
func perfectRoot(hashes []tlog.Hash) tlog.Hash {
	level := slices.Clone(hashes)
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// frontier is the roots of the perfect subtrees that a tree consists of, from right to left, smallest first.
func frontier(edge [][]tlog.Hash) []tlog.Hash {
	var f []tlog.Hash
	for _, hashes := range edge {
		end := len(hashes)
		for bit := 1; bit <= end; bit <<= 1 {
			if len(hashes)&bit != 0 {
				f = append(f, perfectRoot(hashes[end-bit:end]))
				end -= bit
			}
		}
	}
	return f
}

// edgeRoot is the root of the tree (RFC 6962 §2.1).
func edgeRoot(edge [][]tlog.Hash) feed.Digest {
	f := frontier(edge)
	if len(f) == 0 {
		return emptyRoot
	}
	root := f[0]
	for _, left := range f[1:] {
		root = tlog.NodeHash(left, root)
	}
	return feed.Digest(root)
}

// tree is the log's frontier as package feed knows it.
func (l *logState) tree() feed.Tree {
	f := frontier(l.edge)
	slices.Reverse(f)
	hashes := make([]feed.Digest, len(f))
	for i, h := range f {
		hashes[i] = feed.Digest(h)
	}
	t, err := feed.NewTree(l.size, hashes)
	if err != nil {
		panic(err) // a frontier has as many hashes as its size has ones, by construction
	}
	return t
}

// A commitRecord is what makes a commit count: it is written in the commit's last transaction.
type commitRecord struct {
	from uint64 // size before
	to   uint64 // size after: the number of its key
	root feed.Digest
}

func (c commitRecord) bytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, c.from), c.root[:]...)
}

func parseCommitRecord(to uint64, data []byte) (commitRecord, error) {
	c := commitRecord{to: to}
	if len(data) != 8+len(c.root) {
		return c, fmt.Errorf("commit record of size %d has %d bytes", to, len(data))
	}
	c.from = binary.BigEndian.Uint64(data)
	copy(c.root[:], data[8:])
	if c.from > to {
		return c, fmt.Errorf("commit record of size %d goes backwards", to)
	}
	return c, nil
}

// loadLog rebuilds the state of a log's newest generation from Badger: the newest commit's record, the hashes of the tiles
// on the right edge, the chunks. What it finds is checked against the root of that record, so a state without an error
// is the one that was committed. On an error the state is empty but for its place.
func (s *Store) loadLog(id uint32, origin feed.Origin, chain *feed.Chain) (*logState, commitRecord, error) {
	l := emptyLog(id, origin, 0)
	if k, ok, err := s.last(l.key(kindGeneration, 0, 0, 0), upToKind); err != nil {
		return l, commitRecord{}, err
	} else if ok {
		l.generation = k.generation
	}
	bare := *l
	last, err := s.loadTree(l)
	if err == nil {
		err = s.loadHead(l, chain)
	}
	if err != nil {
		return &bare, commitRecord{}, err
	}
	return l, last, nil
}

func (s *Store) loadTree(l *logState) (commitRecord, error) {
	last := commitRecord{root: emptyRoot}
	k, ok, err := s.last(l.key(kindCommit, 0, 0, 0), upToGeneration)
	if err != nil || !ok {
		return last, err
	}
	data, err := s.get(k, string(l.origin))
	if err != nil {
		return last, err
	}
	if last, err = parseCommitRecord(k.number, data); err != nil {
		return last, err
	}
	l.size, l.root = last.to, last.root
	if err := s.loadChunks(l); err != nil {
		return last, err
	}
	leaves := make([]tlog.Hash, 0, width)
	for _, h := range l.heads {
		leaves = append(leaves, tlog.Hash(feed.LeafHash(h)))
	}
	l.edge = [][]tlog.Hash{leaves}
	for level := 1; l.size>>(8*level) > 0; level++ {
		count := l.size >> (8 * level)
		hashes := make([]tlog.Hash, 0, width)
		for n := count &^ (width - 1); n < count; n++ {
			tile, err := s.fullTile(l, uint8(level-1), n)
			if err != nil {
				return last, err
			}
			hashes = append(hashes, perfectRoot(tile))
		}
		l.edge = append(l.edge, hashes)
	}
	if got := edgeRoot(l.edge); got != last.root {
		return last, fmt.Errorf("the stored tiles give the root %x at size %d, the commit's record says %x", got, l.size, last.root)
	}
	return last, nil
}

// loadChunks reads the newest bundle.
func (s *Store) loadChunks(l *logState) error {
	next := l.size &^ (width - 1)
	keys, err := s.keys(l.key(kindHeadsPart, 0, next, 0), upToGeneration)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.number != next {
			return fmt.Errorf("chunk of heads at %d where %d is next", k.number, next)
		}
		heads, err := s.items(k, l.origin)
		if err != nil {
			return err
		}
		bodyKey, ok, err := s.last(l.key(kindBodiesPart, 0, k.number, 0), upToNumber)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("the bodies of the chunk at %d are missing", k.number)
		}
		bodies, err := s.items(bodyKey, l.origin)
		if err != nil {
			return err
		}
		if len(bodies) != len(heads) || len(heads) == 0 || len(l.heads)+len(heads) >= width {
			return fmt.Errorf("chunk at %d has %d heads and %d bodies", k.number, len(heads), len(bodies))
		}
		l.chunks = append(l.chunks, chunk{k.number, len(heads), bodyKey.edition})
		l.heads = append(l.heads, heads...)
		l.bodies = append(l.bodies, bodies...)
		next += uint64(len(heads))
	}
	if next != l.size {
		return fmt.Errorf("chunks end at %d, the commit's record at %d", next, l.size)
	}
	return nil
}

// loadHead finds the newest adopted checkpoint and the earliest stamp.
func (s *Store) loadHead(l *logState, chain *feed.Chain) error {
	k, ok, err := s.last(l.key(kindCheckpoint, 0, 0, 0), upToGeneration)
	if err != nil || !ok {
		return err
	}
	if l.head, err = s.checkpoint(k, l.origin, chain); err != nil {
		return err
	}
	if l.head.Size > l.size {
		return fmt.Errorf("a checkpoint of size %d was adopted, %d records are stored", l.head.Size, l.size)
	}
	l.hasHead = true
	k, _, err = s.first(l.key(kindCheckpoint, 0, 0, 0), upToGeneration)
	if err != nil {
		return err
	}
	l.opened, err = s.checkpoint(k, l.origin, chain)
	return err
}
