package store

import (
	"fmt"
	"slices"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// checkpoint reads one and verifies it again, under the charters held now.
func (s *Store) checkpoint(k key, origin feed.Origin, chain *feed.Chain) (feed.Checkpoint, error) {
	data, err := s.get(k, string(origin))
	if err != nil {
		return feed.Checkpoint{}, err
	}
	cp, err := chain.OpenCheckpoint(data)
	if err != nil {
		return feed.Checkpoint{}, fmt.Errorf("stored checkpoint of size %d: %w", k.number, err)
	}
	if cp.Origin != origin || cp.Size != k.number {
		return feed.Checkpoint{}, fmt.Errorf("stored checkpoint of size %d of %s is one of %d of %s", k.number, origin, cp.Size, cp.Origin)
	}
	return cp, nil
}

// law is the chain and the state of a log, of one moment.
func (s *Store) law(origin feed.Origin) (*feed.Chain, *logState, bool) {
	h := (*s.held.Load())[origin.Name()]
	l, ok := h.state(origin.Log())
	if !ok || h.chain == nil {
		return nil, nil, false
	}
	return h.chain, l, true
}

// Head returns the newest adopted checkpoint of a log: of all stamps of its size the newest, with all cosignatures of named
// witnesses that came. What is fetched (Size) may be ahead of it.
func (s *Store) Head(origin feed.Origin) (feed.Checkpoint, bool) {
	l, err := s.state(origin)
	if err != nil || !l.hasHead {
		return feed.Checkpoint{}, false
	}
	return l.head, true
}

// Opened returns the earliest stamp held of a log, Unix seconds.
func (s *Store) Opened(origin feed.Origin) (stamp int64, ok bool) {
	l, err := s.state(origin)
	if err != nil || !l.hasHead {
		return 0, false
	}
	return l.opened.Stamp, true
}

// Seen returns the first stamped checkpoint of a size, which proves that the records below it were listed at its time, with
// the cosignatures of named witnesses that came later.
func (s *Store) Seen(origin feed.Origin, size uint64) (feed.Checkpoint, bool) {
	chain, l, ok := s.law(origin)
	if !ok {
		return feed.Checkpoint{}, false
	}
	cp, err := s.seen(chain, l, size)
	if err != nil {
		s.log.Error("read checkpoint", "log", string(origin), "size", size, "err", err)
		return feed.Checkpoint{}, false
	}
	return cp, !cp.IsZero()
}

// seen returns the zero Checkpoint if there is none of that size.
func (s *Store) seen(chain *feed.Chain, l *logState, size uint64) (feed.Checkpoint, error) {
	k := l.key(kindCheckpoint, 0, size, 0)
	newest, ok, err := s.last(k, upToNumber)
	if err != nil || !ok {
		return feed.Checkpoint{}, err
	}
	first, err := s.checkpoint(k, l.origin, chain)
	if err != nil || newest.edition == 0 {
		return first, err
	}
	latest, err := s.checkpoint(newest, l.origin, chain)
	if err != nil {
		return feed.Checkpoint{}, err
	}
	var cosignatures []crypto.Line
	for _, line := range latest.Lines() {
		if slices.ContainsFunc(latest.Cosigned, func(c feed.Cosignature) bool { return c.Key.Name == line.Name && c.Key.ID() == line.ID }) {
			cosignatures = append(cosignatures, line)
		}
	}
	return chain.MergeCosignatures(first, cosignatures...)
}

// SeenSizes lists the sizes of which a checkpoint is kept, ascending.
func (s *Store) SeenSizes(origin feed.Origin) []uint64 {
	l, err := s.state(origin)
	if err != nil {
		return nil
	}
	sizes, err := s.sizes(l, kindCheckpoint)
	if err != nil {
		s.log.Error("list checkpoints", "log", string(origin), "err", err)
	}
	return sizes
}

func (s *Store) sizes(l *logState, k kind) (sizes []uint64, err error) {
	err = s.scan(l.key(k, 0, 0, 0), upToGeneration, func(k key) bool {
		if n := len(sizes); n == 0 || sizes[n-1] != k.number {
			sizes = append(sizes, k.number)
		}
		return true
	})
	return sizes, err
}

// Covering returns the earliest kept checkpoint of more than index records: the one that a proof of that record ends in.
func (s *Store) Covering(origin feed.Origin, index uint64) (feed.Checkpoint, bool) {
	chain, l, ok := s.law(origin)
	if !ok {
		return feed.Checkpoint{}, false
	}
	k, ok, err := s.first(l.key(kindCheckpoint, 0, index+1, 0), upToGeneration)
	if err != nil || !ok {
		return feed.Checkpoint{}, false
	}
	cp, err := s.seen(chain, l, k.number)
	if err != nil {
		s.log.Error("read checkpoint", "log", string(origin), "size", k.number, "err", err)
		return feed.Checkpoint{}, false
	}
	return cp, true
}

// Witnesses returns for each named witness of the newest charter the largest size of a log that it has cosigned, 0 where it is none of the
// newest maxWitnessed that any has cosigned.
func (s *Store) Witnesses(origin feed.Origin) ([]uint64, error) {
	chain, l, ok := s.law(origin)
	if !ok {
		return nil, fmt.Errorf("%w: no log %s", ErrUnknownFeed, origin)
	}
	quorum := chain.Newest().Quorum
	if quorum == nil {
		return nil, nil
	}
	sizes, err := s.sizes(l, kindWitnessed)
	if err != nil {
		return nil, err
	}
	best := make([]uint64, len(quorum.Keys))
	for _, size := range slices.Backward(sizes[max(0, len(sizes)-maxWitnessed):]) {
		if !slices.Contains(best, 0) {
			break
		}
		cp, err := s.seen(chain, l, size)
		if err != nil {
			return nil, err
		}
		for _, c := range cp.Cosigned {
			if i := slices.Index(quorum.Keys, c.Key); i >= 0 {
				best[i] = max(best[i], size)
			}
		}
	}
	return best, nil
}

// Witnessed returns below which size the additions of a log may count: the k-th largest size that named witnesses of the newest
// charter have cosigned, or that of the newest checkpoint where the charter has no quorum, or the cut of a closed log.
func (s *Store) Witnessed(origin feed.Origin) (uint64, error) {
	chain, l, ok := s.law(origin)
	if !ok {
		return 0, fmt.Errorf("%w: no log %s", ErrUnknownFeed, origin)
	}
	if cut, closed := chain.Cut(int(l.log)); closed {
		return cut.Size, nil
	}
	quorum := chain.Newest().Quorum
	if quorum == nil {
		return l.head.Size, nil
	}
	sizes, err := s.sizes(l, kindWitnessed)
	if err != nil {
		return 0, err
	}
	// From the largest on, a witness is first met at its best size, so that k of them are enough.
	var heads []feed.Checkpoint
	met := map[crypto.PublicKey]bool{}
	for _, size := range slices.Backward(sizes) {
		cp, err := s.seen(chain, l, size)
		if err != nil {
			return 0, err
		}
		heads = append(heads, cp)
		for _, c := range cp.Cosigned {
			if slices.Contains(quorum.Keys, c.Key) {
				met[c.Key] = true
			}
		}
		if len(met) >= quorum.K {
			break
		}
	}
	size, _ := feed.Witnessed(chain, heads)
	return size, nil
}
