package gossip

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// memStore is a Store in memory. It takes what the real one takes, and tells its follower in line. What it holds outlives the network of a node, so
// that a restart can be played.
type memStore struct {
	mu      sync.Mutex
	follow  func(feed.Name, *feed.Batch)
	feeds   map[feed.Name]*memFeed
	logs    map[feed.Origin]*memLog
	cursors map[string][]byte
	full    bool  // every write fails
	mutiny  error // what is stored in spite of it
	commits int
	aside   []feed.Origin // logs that were given up
}

type memFeed struct {
	chain       *feed.Chain
	roster      *feed.Roster
	suspensions []feed.Suspension
}

type memLog struct {
	records  []feed.Record
	stored   []tlog.Hash
	tree     feed.Tree
	head     feed.Checkpoint
	seen     map[uint64]feed.Checkpoint
	receipts map[uint64][]crypto.Line
	cosigned uint64
	lastRoot feed.Digest
}

var errFullDisk = errors.New("no space left on device")

func newMemStore() *memStore {
	return &memStore{follow: func(feed.Name, *feed.Batch) {}, feeds: map[feed.Name]*memFeed{}, logs: map[feed.Origin]*memLog{}, cursors: map[string][]byte{}}
}

func (l *memLog) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n >= int64(len(l.stored)) {
			return nil, fmt.Errorf("hash %d isn't stored", n)
		}
		out[i] = l.stored[n]
	}
	return out, nil
}

func (s *memStore) Chain(name feed.Name) (*feed.Chain, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.feeds[name]
	if !ok {
		return nil, false
	}
	return f.chain, true
}

// write runs f under the lock and tells the follower if it returned nil.
func (s *memStore) write(name feed.Name, b *feed.Batch, f func() error) error {
	s.mu.Lock()
	err := f()
	if s.full {
		err = errFullDisk
	}
	follow, mutiny := s.follow, s.mutiny
	s.mu.Unlock()
	if errors.Is(err, errHeld) {
		return nil
	}
	if err == nil {
		follow(name, b)
		return mutiny
	}
	return err
}

// mutinies makes every later write end in err, although it was done.
func (s *memStore) mutinies(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mutiny = err
}

// committed is how many batches were stored.
func (s *memStore) committed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// givenUp are the logs that were set aside.
func (s *memStore) givenUp() []feed.Origin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.aside)
}

var errHeld = errors.New("held")

func (s *memStore) AddFeed(chain *feed.Chain) error {
	return s.write(chain.Feed(), nil, func() error {
		if s.full || s.feeds[chain.Feed()] != nil {
			return errHeld
		}
		s.feeds[chain.Feed()] = &memFeed{chain: chain}
		s.open(chain)
		return nil
	})
}

func (s *memStore) open(chain *feed.Chain) {
	for log := 1; log <= chain.Newest().Log; log++ {
		if o := chain.Feed().Log(log); s.logs[o] == nil {
			s.logs[o] = &memLog{seen: map[uint64]feed.Checkpoint{}, receipts: map[uint64][]crypto.Line{}}
		}
	}
}

func (s *memStore) SetChain(chain *feed.Chain) error {
	return s.write(chain.Feed(), nil, func() error {
		f := s.feeds[chain.Feed()]
		if f == nil {
			return errors.New("unknown feed")
		}
		if chain.Len() <= f.chain.Len() {
			return errHeld
		}
		f.chain = chain
		for i, n := range f.suspensions {
			if again, err := chain.OpenSuspension(n.Bytes()); err == nil {
				f.suspensions[i] = again
			}
		}
		s.open(chain)
		for i, cut := range chain.Newest().Closed {
			origin := chain.Feed().Log(i + 1)
			if l := s.logs[origin]; uint64(len(l.records)) >= cut.Size {
				if root, err := l.root(cut.Size); err != nil || root != cut.Root {
					s.setAside(origin)
				}
			}
		}
		if f.roster != nil { // of another key it is void
			r, err := chain.OpenRoster(f.roster.Bytes())
			if f.roster = &r; err != nil {
				f.roster = nil
			}
		}
		return nil
	})
}

func (s *memStore) SetAside(origin feed.Origin) error {
	return s.write(origin.Name(), nil, func() error {
		s.setAside(origin)
		return nil
	})
}

func (s *memStore) setAside(origin feed.Origin) {
	s.logs[origin] = &memLog{seen: map[uint64]feed.Checkpoint{}, receipts: map[uint64][]crypto.Line{}}
	s.aside = append(s.aside, origin)
}

func (s *memStore) log(origin feed.Origin) (*memLog, bool) {
	l, ok := s.logs[origin]
	return l, ok
}

func (s *memStore) Position(origin feed.Origin) (feed.Tree, [][]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.log(origin)
	if !ok {
		return feed.Tree{}, nil, false
	}
	var tail [][]byte
	for _, r := range l.records[len(l.records)/feed.TileWidth*feed.TileWidth:] {
		tail = append(tail, r.Head)
	}
	return l.tree, tail, true
}

func (s *memStore) RootAt(origin feed.Origin, size uint64) (feed.Digest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.log(origin)
	if !ok || size > uint64(len(l.records)) {
		return feed.Digest{}, errors.New("not held")
	}
	return l.root(size)
}

func (l *memLog) root(size uint64) (feed.Digest, error) {
	if size == 0 {
		return feed.Tree{}.Root(), nil
	}
	h, err := tlog.TreeHash(int64(size), l)
	return feed.Digest(h), err
}

func (s *memStore) HashReader(origin feed.Origin) (tlog.HashReader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.log(origin)
	if !ok {
		return nil, errors.New("not held")
	}
	return &memLog{stored: slices.Clone(l.stored)}, nil
}

func (s *memStore) Commit(b *feed.Batch) error {
	return s.write(b.Origin().Name(), b, func() error {
		l, ok := s.log(b.Origin())
		f := s.feeds[b.Origin().Name()]
		if !ok || f == nil {
			return errors.New("unknown log")
		}
		if s.full {
			return errFullDisk
		}
		have := uint64(len(l.records))
		if b.From() > have {
			return errors.New("a gap")
		}
		to := min(b.To(), have)
		root, err := l.root(to)
		if err != nil {
			return err
		}
		tree := b.Before()
		for _, leaf := range b.Leaves()[:to-b.From()] {
			tree.Append(leaf)
		}
		if tree.Root() != root {
			return errors.New("a fork")
		}
		for _, r := range b.Records()[to-b.From():] {
			more, err := tlog.StoredHashes(int64(len(l.records)), r.Head, l)
			if err != nil {
				return err
			}
			l.stored = append(l.stored, more...)
			l.records = append(l.records, r)
			l.tree.Append(feed.LeafHash(r.Head))
		}
		s.commits++
		cp, adopt := b.Checkpoint()
		if !adopt || len(cp.Lines()) == 0 {
			return nil
		}
		if old, ok := l.seen[cp.Size]; ok {
			if cp, err = f.chain.Merge(old, cp); err != nil {
				return err
			}
		}
		l.seen[cp.Size] = cp
		if l.head.IsZero() || cp.Size >= l.head.Size {
			l.head = cp
		}
		return nil
	})
}

func (s *memStore) Head(origin feed.Origin) (feed.Checkpoint, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.log(origin)
	if !ok || l.head.IsZero() {
		return feed.Checkpoint{}, false
	}
	return l.head, true
}

func (s *memStore) Seen(origin feed.Origin, size uint64) (feed.Checkpoint, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.log(origin)
	if !ok {
		return feed.Checkpoint{}, false
	}
	cp, ok := l.seen[size]
	return cp, ok
}

func (s *memStore) Part(origin feed.Origin, path string, size uint64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	part, err := feed.ParsePartPath(path)
	if err != nil {
		return nil, err
	}
	l, ok := s.log(origin)
	if !ok || size > uint64(len(l.records)) {
		return nil, fs.ErrNotExist
	}
	first := part.N * feed.TileWidth
	if part.Kind == feed.PartTile {
		var data []byte
		for i := range uint64(part.Width) {
			level := 8 * part.Level
			if (first+i+1)<<level > size {
				return nil, fs.ErrNotExist
			}
			h := l.stored[tlog.StoredHashIndex(level, int64(first+i))]
			data = append(data, h[:]...)
		}
		return data, nil
	}
	if first+uint64(part.Width) > size {
		return nil, fs.ErrNotExist
	}
	var items [][]byte
	for _, r := range l.records[first : first+uint64(part.Width)] {
		if part.Kind == feed.PartEntries {
			items = append(items, r.Head)
		} else {
			items = append(items, r.Body)
		}
	}
	return feed.AppendBundle(nil, items)
}

func (s *memStore) Record(origin feed.Origin, index uint64) (feed.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.log(origin)
	if !ok || index >= uint64(len(l.records)) {
		return feed.Record{}, fs.ErrNotExist
	}
	return l.records[index], nil
}

func (s *memStore) SetBody(origin feed.Origin, index uint64, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.log(origin)
	if !ok || index >= uint64(len(l.records)) {
		return fs.ErrNotExist
	}
	l.records[index].Body = body
	return nil
}

func (s *memStore) Suspend(n feed.Suspension) error {
	return s.write(n.Feed, nil, func() error {
		f := s.feeds[n.Feed]
		for i, o := range f.suspensions {
			if o.Sum != n.Sum {
				continue
			}
			both, err := f.chain.MergeSuspensions(o, n)
			if err != nil {
				return err
			}
			if string(both.Bytes()) == string(o.Bytes()) {
				return errHeld
			}
			f.suspensions[i] = both
			return nil
		}
		f.suspensions = append(f.suspensions, n)
		return nil
	})
}

func (s *memStore) Suspensions(name feed.Name) []feed.Suspension {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.feeds[name]; f != nil {
		return slices.Clone(f.suspensions)
	}
	return nil
}

func (s *memStore) SetRoster(r feed.Roster) error {
	return s.write(r.Feed, nil, func() error {
		f := s.feeds[r.Feed]
		if f == nil {
			return errors.New("unknown feed")
		}
		if f.roster != nil && f.roster.Version >= r.Version {
			return errHeld
		}
		f.roster = &r
		return nil
	})
}

func (s *memStore) Roster(name feed.Name) (feed.Roster, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.feeds[name]; f != nil && f.roster != nil {
		return *f.roster, true
	}
	return feed.Roster{}, false
}

func (s *memStore) PutReceipt(origin feed.Origin, size uint64, line crypto.Line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[origin]
	l.receipts[size] = append(l.receipts[size], line)
	return nil
}

// receipts are the names of the keys that have cosigned a size.
func (s *memStore) receipts(origin feed.Origin, size uint64) (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.logs[origin].receipts[size] {
		names = append(names, line.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// cosignatures is how many lines were stored for a size.
func (s *memStore) cosignatures(origin feed.Origin, size uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.logs[origin].receipts[size])
}

func (s *memStore) NoteCosigned(origin feed.Origin, size uint64, root feed.Digest, _ int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[origin]
	if size < l.cosigned || size == l.cosigned && root != l.lastRoot {
		return errors.New("a witness takes no word back")
	}
	l.cosigned, l.lastRoot = size, root
	return nil
}

func (s *memStore) Cursor(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[name], nil
}

func (s *memStore) PutCursor(name string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursors[name] = data
	return nil
}

// snapshot is what tells whether two nodes have the same of a feed.
func (s *memStore) snapshot(name feed.Name) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feeds[name]
	if f == nil {
		return "nothing"
	}
	out := fmt.Sprintf("charter %d", f.chain.Newest().Version)
	if f.roster != nil {
		out += fmt.Sprintf(", roster %d", f.roster.Version)
	}
	for log := 1; log <= f.chain.Newest().Log; log++ {
		l := s.logs[name.Log(log)]
		bodies := 0
		for _, r := range l.records {
			if len(r.Body) > 0 {
				bodies++
			}
		}
		out += fmt.Sprintf(", log %d: %d records, %d bodies, head %d at %d", log, len(l.records), bodies, l.head.Size, l.head.Stamp)
	}
	sums := []string{}
	for _, n := range f.suspensions {
		sums = append(sums, fmt.Sprintf("%x by %d", n.Sum[:4], len(n.Signers)))
	}
	slices.Sort(sums)
	return out + fmt.Sprintf(", suspensions %v", sums)
}

func (s *memStore) size(origin feed.Origin) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logs[origin]; l != nil {
		return l.tree.Size()
	}
	return 0
}

func (s *memStore) setFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}
