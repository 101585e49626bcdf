package node

import (
	"slices"

	"hashfeed/feed"
)

// stamps tells since when records of a feed stand there. Nothing in a log says so but the word of each head, and a stolen signer may date back
// or ahead what it signs. But the stamps of the checkpoints that were kept only go on: a record is younger than those without it, and older than
// those with it.
type stamps struct {
	n     *Node
	name  feed.Name
	sizes map[int][]uint64 // by log, of the checkpoints that are kept, ascending
	known map[feed.Position]int64
}

func (n *Node) stampsOf(name feed.Name) *stamps {
	return &stamps{n: n, name: name, sizes: map[int][]uint64{}, known: map[feed.Position]int64{}}
}

// since is since when a record stands in its log, Unix seconds: what its head says, as far as the stamps around it bear that out.
func (s *stamps) since(p feed.Position) int64 {
	at := s.n.unix()
	if record, err := s.n.store.Record(s.name.Log(p.Log), p.Index); err == nil {
		if head, err := feed.ParseHead(record.Head); err == nil {
			at = head.Time
		}
	}
	sizes, ok := s.sizes[p.Log]
	if !ok {
		sizes = s.n.store.SeenSizes(s.name.Log(p.Log))
		s.sizes[p.Log] = sizes
	}
	i, _ := slices.BinarySearch(sizes, p.Index+1)
	if i < len(sizes) {
		if stamp := s.stamp(p.Log, sizes[i]); stamp != 0 {
			at = min(at, stamp)
		}
	}
	if i > 0 {
		at = max(at, s.stamp(p.Log, sizes[i-1]))
	}
	return at
}

// shown is since when a record is known to stand in its log, whatever its head says: the stamp of the first checkpoint here that has it.
func (s *stamps) shown(p feed.Position) int64 {
	if cp, ok := s.n.store.Covering(s.name.Log(p.Log), p.Index); ok {
		return cp.Stamp
	}
	return s.since(p)
}

// stamp is that of the checkpoint of a size that is kept, 0 if it can't be read.
func (s *stamps) stamp(log int, size uint64) int64 {
	key := feed.Position{Log: log, Index: size}
	stamp, ok := s.known[key]
	if !ok {
		cp, _ := s.n.store.Seen(s.name.Log(log), size)
		stamp = cp.Stamp
		s.known[key] = stamp
	}
	return stamp
}
