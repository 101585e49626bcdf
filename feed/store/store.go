package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// Options are how a store is opened.
type Options struct {
	// Key seals every value. Without it nothing that was stored can be read.
	Key crypto.SealKey
	// Reserve is how many bytes of the disk stay free; 0 means DefaultReserve, less than 0 that nothing is checked.
	Reserve int64
	// Free says how many bytes of the file system that a path is on may still be used; nil asks the file system.
	Free func(path string) (uint64, error)
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer takes the metrics; nil: they are kept, but shown nowhere.
	Registerer prometheus.Registerer
	// Now is the clock of the commit-seconds metric; nil means time.Now. Nothing that is stored depends on it.
	Now func() time.Time
}

// A Store holds feeds. Any number of goroutines may read; what writes takes turns. Whatever a method returns without an
// error after writing is on the disk.
type Store struct {
	dir     string
	sealer  *crypto.Sealer
	reserve int64
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	disk    disk
	free    func(path string) (uint64, error)
	onPut   func(key, []byte) // a test's

	lock *os.File // of the directory, until Close

	writes writeCount // under mu
	lost   uint64     // writes that were missing at Open

	// closing is held for reading by whoever uses db, and for writing by Close.
	closing sync.RWMutex
	closed  bool
	db      *badger.DB

	// mu is the commit lock. Whoever writes holds it, from the first check to the last follower; it guards the fields
	// below it.
	mu        sync.Mutex
	nextFeed  uint32
	manifest  manifestRecord
	followers []Follower

	// held is everything readers see: an immutable map of immutable values, replaced as a whole when a write is durable.
	held atomic.Pointer[map[feed.Name]*heldFeed]
	// editions: key with edition 0 -> highest edition written, if above 0.
	editions sync.Map
	// sick is the first write that failed, as an error of ErrUnwell; nil: none.
	sick atomic.Pointer[error]
}

// A heldFeed is a feed as readers see it. It is immutable.
type heldFeed struct {
	id          uint32
	name        feed.Name
	chain       *feed.Chain
	logs        []*logState // log n at n-1; all that the newest charter knows
	suspensions []feed.Suspension
	roster      *feed.Roster
	damages     []*DamagedError
}

func (h *heldFeed) state(n int) (*logState, bool) {
	if h == nil || n < 1 || n > len(h.logs) {
		return nil, false
	}
	return h.logs[n-1], true
}

// damaged is nil, or the first thing that is wrong with the feed.
func (h *heldFeed) damaged() error {
	if len(h.damages) == 0 {
		return nil
	}
	return h.damages[0]
}

// with returns a copy in which a log is replaced.
func (h *heldFeed) with(l *logState) *heldFeed {
	c := *h
	c.logs = slices.Clone(h.logs)
	c.logs[l.log-1] = l
	return &c
}

// Create makes an empty store under dir, which is created too, and opens it. A store that is there already is fs.ErrExist.
func Create(dir string, o Options) (*Store, error) { return open(dir, o, realDisk{}, true) }

// Open opens the store under dir: ErrLocked, ErrNewer, ErrEmptied and fs.ErrNotExist say what must not be opened. A feed
// that isn't what was acknowledged doesn't stop it: Damage tells, and its commits are refused.
func Open(dir string, o Options) (*Store, error) { return open(dir, o, realDisk{}, false) }

// newStore is a store that isn't open yet.
func newStore(dir string, o Options, d disk) *Store {
	s := &Store{dir: dir, sealer: o.Key.Sealer(), reserve: o.Reserve, log: o.Logger, now: o.Now, disk: d, nextFeed: 1}
	if s.free = o.Free; s.free == nil {
		s.free = d.free
	}
	if s.reserve == 0 {
		s.reserve = DefaultReserve
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.held.Store(&map[feed.Name]*heldFeed{})
	return s
}

func open(dir string, o Options, d disk, create bool) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open store in %s: %w", dir, err)
		}
	}()
	s := newStore(dir, o, d)
	if create {
		for _, d := range []string{dir, s.badgerDir(), s.headDir(), s.noteDir()} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				return nil, err
			}
		}
	} else if _, err := os.Stat(s.badgerDir()); err != nil {
		return nil, err
	}
	if s.lock, err = lockDir(s.badgerDir()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.lock.Close()
		}
	}()
	known, err := s.headNames()
	if err != nil {
		return nil, err
	}
	if s.manifest, err = readManifestRecord(s.manifestPath()); err != nil {
		return nil, err
	}
	err = checkManifest(s.badgerDir(), s.manifest, len(known) > 0, s.log)
	switch {
	case create && err == nil:
		return nil, fs.ErrExist
	case create && errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	}
	if err := s.roomFor(2 * memTable); err != nil {
		return nil, err // opening writes, too, and would die of it
	}
	if err := s.clearLeftovers(o); err != nil {
		return nil, err
	}
	if s.db, err = d.open(s.badgerDir(), s.log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.db.Close())
		}
	}()
	if err := s.compareWrites(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.writes.f.Close()
		}
	}()
	if s.metrics, err = newMetrics(o.Registerer, s); err != nil {
		return nil, err
	}
	if err := s.load(known); err != nil {
		s.metrics.unregister()
		return nil, err
	}
	s.recordManifest()
	return s, nil
}

// closeTime is how long Close waits for the database: on a disk that fails Badger tries for ever to write its memory table out. A test
// makes it shorter.
var closeTime = 30 * time.Second

// Close ends reading and writing. Idempotent. On a disk that fails it may be unable to: then the directory stays locked until the process
// ends, and what was acknowledged is in the write-ahead log.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.metrics.unregister()
	closed := make(chan error, 1)
	go func() { closed <- s.db.Close() }() // writes the memory table out, so that MANIFEST grows
	var err error
	select {
	case err = <-closed:
	case <-time.After(closeTime):
		return fmt.Errorf("close store in %s: %w", s.dir, errClosing)
	}
	if err == nil {
		s.recordManifest()
	}
	return errors.Join(err, s.writes.f.Close(), s.lock.Close())
}

func (s *Store) badgerDir() string    { return filepath.Join(s.dir, "store") }
func (s *Store) headDir() string      { return filepath.Join(s.dir, "heads") }
func (s *Store) noteDir() string      { return filepath.Join(s.dir, "charters") }
func (s *Store) manifestPath() string { return filepath.Join(s.headDir(), "manifest") }
func (s *Store) headPath(o feed.Origin) string {
	return filepath.Join(s.headDir(), strings.ReplaceAll(string(o), "/", "_"))
}
func (s *Store) notePath(name feed.Name, file string) string {
	return filepath.Join(s.noteDir(), strings.ReplaceAll(string(name), "/", "_"), file)
}

// headNames lists the logs that have a head file. Temporary files of a crash are removed.
func (s *Store) headNames() ([]feed.Origin, error) {
	entries, err := os.ReadDir(s.headDir())
	if err != nil {
		return nil, err
	}
	var found []feed.Origin
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			if err := s.disk.removeAll(filepath.Join(s.headDir(), name)); err != nil {
				return nil, err
			}
			continue
		}
		if o, err := feed.ParseOrigin(strings.ReplaceAll(name, "_", "/")); err == nil {
			found = append(found, o)
		}
	}
	return found, nil
}

// ready is asked first by everything that writes, under the commit lock.
func (s *Store) ready() error {
	if s.closed {
		return ErrClosed
	}
	return s.Unwell()
}

// Unwell is an error of ErrUnwell once a write has failed, until the store is opened again.
func (s *Store) Unwell() error {
	if err := s.sick.Load(); err != nil {
		return *err
	}
	return nil
}

// unwell stops all writing because of err, and returns it as an error of ErrUnwell.
func (s *Store) unwell(err error) error {
	err = fmt.Errorf("%w: %w", ErrUnwell, err)
	if s.sick.CompareAndSwap(nil, &err) {
		s.log.Error("store stops writing", "err", err)
	}
	return err
}

// writeFile replaces a file durably.
func (s *Store) writeFile(path string, data []byte) error {
	if err := s.disk.replace(path, data); err != nil {
		return s.unwell(err)
	}
	if err := s.disk.syncDir(filepath.Dir(path)); err != nil {
		return s.unwell(err)
	}
	return nil
}

// feed is a held feed.
func (s *Store) feed(name feed.Name) (*heldFeed, error) {
	if h := (*s.held.Load())[name]; h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("%w %s", ErrUnknownFeed, name)
}

// log is the state of a log as it is now.
func (s *Store) state(o feed.Origin) (*logState, error) {
	h, err := s.feed(o.Name())
	if err != nil {
		return nil, err
	}
	l, ok := h.state(o.Log())
	if !ok {
		return nil, fmt.Errorf("%w: no log %s", ErrUnknownFeed, o)
	}
	return l, nil
}

// show lets readers see a feed as it is now; nil removes it.
func (s *Store) show(name feed.Name, h *heldFeed) {
	all := maps.Clone(*s.held.Load())
	if h == nil {
		delete(all, name)
	} else {
		all[name] = h
	}
	s.held.Store(&all)
}

// Feeds lists the feeds held, in the order in which they came.
func (s *Store) Feeds() []feed.Name {
	all := *s.held.Load()
	return slices.SortedFunc(maps.Keys(all), func(a, b feed.Name) int {
		return cmp.Or(cmp.Compare(all[a].id, all[b].id), cmp.Compare(a, b))
	})
}

// Chain returns a feed's verified charters. A damaged feed may have none: nil and false.
func (s *Store) Chain(name feed.Name) (*feed.Chain, bool) {
	h := (*s.held.Load())[name]
	if h == nil || h.chain == nil {
		return nil, false
	}
	return h.chain, true
}

// Damage is nil, or the first thing that is wrong with a feed; see DamagedError.
func (s *Store) Damage(name feed.Name) *DamagedError {
	if h := (*s.held.Load())[name]; h != nil && len(h.damages) > 0 {
		return h.damages[0]
	}
	return nil
}

// load reads what is held when the store is opened.
func (s *Store) load(heads []feed.Origin) error {
	registered, err := s.loadRegistry()
	if err != nil {
		return err
	}
	for name, r := range registered {
		if r.removed {
			delete(registered, name)
			later, err := s.laterLife(r, heads)
			if err != nil {
				return err
			}
			if !later {
				if err := s.sweep(r.id, name); err != nil {
					return err
				}
				heads = slices.DeleteFunc(heads, func(o feed.Origin) bool { return o.Name() == name })
			}
			continue
		}
		h, err := s.loadFeed(r, heads)
		if err != nil {
			return err
		}
		s.show(name, h)
	}
	return s.loadStrangers(registered, heads)
}

// loadFeed reads a feed and compares what Badger has with the files beside it.
func (s *Store) loadFeed(r registration, heads []feed.Origin) (*heldFeed, error) {
	h := &heldFeed{id: r.id, name: r.name}
	if err := s.loadNotes(h, r.anchor); err != nil {
		return nil, err
	}
	if h.chain == nil {
		return h, nil
	}
	for n := 1; n <= h.chain.Newest().Log; n++ {
		l, err := s.openLog(h, n)
		if err != nil {
			return nil, err
		}
		h.logs = append(h.logs, l)
	}
	return h, nil
}

// openLog loads one log and compares it with its head file, which must be there. An error is a disk's; what was found wrong is
// in h.damages.
func (s *Store) openLog(h *heldFeed, n int) (*logState, error) {
	origin := h.name.Log(n)
	if err := s.loadEditions(h.id, uint16(n)); err != nil {
		return nil, err
	}
	l, last, err := s.loadLog(h.id, origin, h.chain)
	if err != nil {
		s.damaged(h, n, err, remedyRefetch)
		return l, nil
	}
	data, err := readCapped(s.headPath(origin), maxHeadFile)
	if errors.Is(err, fs.ErrNotExist) {
		s.damaged(h, n, fmt.Errorf("head file %s is missing", s.headPath(origin)), remedyRefetch)
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	file, err := parseHeadFile(data)
	if err != nil {
		s.damaged(h, n, fmt.Errorf("head file %s: %w", s.headPath(origin), err), remedyRefetch)
		return l, nil
	}
	forward, err := s.compare(h.chain, file, l, last)
	if err != nil && file.beyond(l) {
		l.owed = &file
		s.damaged(h, n, err, remedyBehind)
		return l, nil
	}
	if err != nil {
		s.damaged(h, n, err, remedyRefetch)
		return l, nil
	}
	if forward {
		s.log.Info("a commit was interrupted after it was stored: head file written again", "log", string(origin), "size", l.size)
		if err := s.writeHead(l); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// compare says whether a log is what its head file promises (false), is that and exactly the one step further that a crash
// between commit and head file leaves (true), or something else (an error).
func (s *Store) compare(chain *feed.Chain, file headFile, l *logState, last commitRecord) (forward bool, err error) {
	if file.Origin != l.origin || file.Feed != l.feed {
		return false, fmt.Errorf("the head file of %s (feed %d) is one of %s (feed %d)", l.origin, l.feed, file.Origin, file.Feed)
	}
	var promised feed.Checkpoint
	if len(file.Note) > 0 {
		if promised, err = chain.OpenCheckpoint(file.Note); err != nil {
			return false, fmt.Errorf("the checkpoint in the head file: %w", err)
		}
		if promised.Origin != l.origin || promised.Size != file.Size {
			return false, fmt.Errorf("the checkpoint in the head file is of size %d, the file says %d", promised.Size, file.Size)
		}
	}
	if uint64(file.Generation)+1 == uint64(l.generation) && l.size == 0 && !l.hasHead {
		return true, nil // set aside
	}
	if file.Generation != l.generation {
		return false, fmt.Errorf("generation %d is stored, the head file is of generation %d", l.generation, file.Generation)
	}
	if l.size < file.Fetched {
		return false, fmt.Errorf("%d of %d acknowledged records are stored", l.size, file.Fetched)
	}
	root := l.root
	if l.size > file.Fetched {
		if last.from != file.Fetched {
			return false, fmt.Errorf("%d records are stored, %d were acknowledged, and the commit between is one from %d", l.size, file.Fetched, last.from)
		}
		forward = true
		if root, err = s.rootAt(l, file.Fetched); err != nil {
			return false, err
		}
	}
	if root != file.Root {
		return false, fmt.Errorf("the stored log's root at size %d isn't the acknowledged one", file.Fetched)
	}
	switch {
	case len(file.Note) == 0 && !l.hasHead:
	case len(file.Note) == 0:
		forward = true
	case !l.hasHead || promised.Newer(l.head):
		return false, fmt.Errorf("the acknowledged checkpoint of size %d isn't stored", promised.Size)
	case string(l.head.Bytes()) != string(promised.Bytes()): // both as the newest charter sees them
		forward = true
	}
	return forward, nil
}

// writeHead writes a log's head file.
func (s *Store) writeHead(l *logState) error {
	file := headFile{Origin: l.origin, Feed: l.feed, Generation: l.generation, Fetched: l.size, Root: l.root}
	if l.hasHead {
		file.Size, file.Note = l.head.Size, l.head.Bytes()
	}
	return s.writeFile(s.headPath(l.origin), file.bytes())
}

// ownerText is what a value of no log, or of a feed as a whole, is sealed to.
func ownerText(name feed.Name) string { return string(name) }

func versionFile(what string, n uint64) string { return what + "-" + strconv.FormatUint(n, 10) }
