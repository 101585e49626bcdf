package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"hashfeed/feed"
)

// A registration is a feed's entry in the list of feeds: it is written when the feed is added, and a second value when it is
// removed. Neither is ever deleted, so a number is never given twice.
type registration struct {
	id      uint32
	name    feed.Name
	anchor  feed.Anchor
	removed bool
}

func (r registration) bytes() []byte { return append(slices.Clone(r.anchor[:]), r.name...) }

// loadRegistry reads the list: the newest life of each name. It sets nextFeed.
func (s *Store) loadRegistry() (map[feed.Name]registration, error) {
	greatest, ok, err := s.last(key{}, 1)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, nil
	}
	s.nextFeed = greatest.feed + 1
	all := map[feed.Name]registration{}
	for id := uint32(1); id <= greatest.feed; id++ {
		data, err := s.get(key{feed: id, kind: kindFeed}, "")
		if errors.Is(err, badger.ErrKeyNotFound) {
			continue // numbers are taken before the write that might fail
		}
		if err != nil {
			return nil, err
		}
		r := registration{id: id}
		if len(data) < len(r.anchor) {
			return nil, fmt.Errorf("entry of feed %d has %d bytes", id, len(data))
		}
		copy(r.anchor[:], data)
		if r.name, err = feed.ParseName(string(data[len(r.anchor):])); err != nil {
			return nil, fmt.Errorf("entry of feed %d: %w", id, err)
		}
		if r.removed, err = s.has(key{feed: id, kind: kindFeed, number: 1}); err != nil {
			return nil, err
		}
		if old, ok := all[r.name]; ok && !old.removed {
			return nil, fmt.Errorf("%s is listed twice, as feed %d and %d", r.name, old.id, id)
		}
		all[r.name] = r
	}
	return all, nil
}

// AddFeed begins to hold a feed: its logs are empty. A feed that is held already gets the chain as SetChain does.
func (s *Store) AddFeed(chain *feed.Chain) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return fmt.Errorf("add feed %s: %w", chain.Feed(), err)
	}
	err := s.addFeed(chain)
	if err != nil {
		return wrap(err, "add feed %s", chain.Feed())
	}
	return nil
}

func (s *Store) addFeed(chain *feed.Chain) error {
	name := chain.Feed()
	if (*s.held.Load())[name] != nil {
		return s.setChain(chain)
	}
	h := &heldFeed{id: s.nextFeed, name: name, chain: chain}
	s.nextFeed++
	// The head files first: that a folder of charters has none is then always damage (see loadStrangers).
	for n := 1; n <= chain.Newest().Log; n++ {
		l := emptyLog(h.id, name.Log(n), 0)
		if err := s.writeHead(l); err != nil {
			return err
		}
		h.logs = append(h.logs, l)
	}
	w := s.newWrite()
	defer w.discard()
	if err := w.put(key{feed: h.id, kind: kindFeed}, "", registration{name: name, anchor: chain.Anchor()}.bytes()); err != nil {
		return err
	}
	if err := s.putCharters(w, h, chain, 0); err != nil {
		return err
	}
	if err := w.commit(); err != nil {
		return err
	}
	s.recordManifest()
	s.show(name, h)
	return s.tell(Event{Feed: name, Chain: chain})
}

// putCharters writes the charters of chain from the held-th on: the files now, the values with w.
func (s *Store) putCharters(w *write, h *heldFeed, chain *feed.Chain, held int) error {
	if err := os.MkdirAll(s.notePath(h.name, ""), 0o700); err != nil {
		return err
	}
	notes, texts := chain.Notes(), chain.All()
	for i := held; i < len(notes); i++ {
		version := uint64(texts[i].Version)
		if err := s.writeFile(s.notePath(h.name, versionFile("charter", version)), notes[i]); err != nil {
			return err
		}
		if err := w.put(key{feed: h.id, kind: kindCharter, number: version}, ownerText(h.name), notes[i]); err != nil {
			return err
		}
	}
	return s.syncNotes(h.name)
}

// syncNotes makes a new folder of notes itself durable.
func (s *Store) syncNotes(name feed.Name) error {
	if err := s.disk.syncDir(s.noteDir()); err != nil {
		return s.unwell(err)
	}
	return nil
}

// SetChain takes newer charters, which must extend those held (ErrCharter; ErrAnchor if they begin elsewhere). A log that a
// new charter closes at a root which isn't ours is set aside, to be fetched again.
func (s *Store) SetChain(chain *feed.Chain) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return fmt.Errorf("store charters of %s: %w", chain.Feed(), err)
	}
	if err := s.setChain(chain); err != nil {
		return wrap(err, "store charters of %s", chain.Feed())
	}
	return nil
}

func (s *Store) setChain(chain *feed.Chain) error {
	name := chain.Feed()
	h, err := s.feed(name)
	if err != nil {
		return err
	}
	if h.chain == nil {
		return h.damaged()
	}
	if h.chain.Anchor() != chain.Anchor() {
		return ErrAnchor
	}
	have, want := h.chain.All(), chain.All()
	for i := range min(len(have), len(want)) {
		if have[i].Anchor() != want[i].Anchor() {
			return fmt.Errorf("%w: there are two of version %d", ErrCharter, have[i].Version)
		}
	}
	if len(want) <= len(have) {
		return nil // nothing new
	}
	next := *h
	next.chain, next.logs = chain, slices.Clone(h.logs)
	for n := len(h.logs) + 1; n <= chain.Newest().Log; n++ {
		l := emptyLog(h.id, name.Log(n), 0)
		if err := s.writeHead(l); err != nil {
			return err
		}
		next.logs = append(next.logs, l)
	}
	// Who has signed a note, and whose cosignatures count, is told by the newest charter.
	for i, l := range next.logs {
		if l.hasHead {
			c := *l
			if err := s.loadHead(&c, chain); err != nil {
				return err
			}
			next.logs[i] = &c
		}
	}
	if next.suspensions, err = reopened(chain, h.suspensions); err != nil {
		return err
	}
	if h.roster != nil {
		next.roster = nil // unless the key is still the same
		if r, err := chain.OpenRoster(h.roster.Bytes()); err == nil {
			next.roster = &r
		}
	}
	w := s.newWrite()
	defer w.discard()
	if err := s.putCharters(w, h, chain, len(have)); err != nil {
		return err
	}
	if err := w.commit(); err != nil {
		return err
	}
	s.show(name, &next)
	if err := s.setAsideForked(&next); err != nil {
		return err
	}
	s.recordManifest()
	return s.tell(Event{Feed: name, Chain: chain})
}

func reopened(chain *feed.Chain, old []feed.Suspension) ([]feed.Suspension, error) {
	notes := make([]feed.Suspension, 0, len(old))
	for _, o := range old {
		n, err := chain.OpenSuspension(o.Bytes())
		if err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return notes, nil
}

// setAsideForked sets the logs aside that the newest charter closes at another root than ours.
func (s *Store) setAsideForked(h *heldFeed) error {
	for i, cut := range h.chain.Newest().Closed {
		l := h.logs[i]
		if l.size < cut.Size {
			continue // whoever fetches the rest will see
		}
		root, err := s.rootAt(l, cut.Size)
		if err == nil && root == cut.Root {
			continue
		}
		s.log.Warn("log differs at the cut: set aside", "log", string(l.origin), "size", cut.Size)
		if err := s.setAside(h.name, i+1); err != nil {
			return err
		}
	}
	return nil
}

// SetAside begins the next generation of a log: empty, to be fetched from the start. It is what mends a damaged log, and what
// happens to one that differs at a cut. A publisher must not sign on an own log after it until it has fetched what members hold.
// Followers are told by an Event with the charters: what they applied of the log is gone.
func (s *Store) SetAside(origin feed.Origin) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return fmt.Errorf("set %s aside: %w", origin, err)
	}
	if err := s.setAside(origin.Name(), origin.Log()); err != nil {
		return wrap(err, "set %s aside", origin)
	}
	return s.tell(Event{Feed: origin.Name(), Chain: (*s.held.Load())[origin.Name()].chain})
}

func (s *Store) setAside(name feed.Name, n int) error {
	h, err := s.feed(name)
	if err != nil {
		return err
	}
	old, ok := h.state(n)
	if !ok || h.id == 0 || h.chain == nil {
		if err := h.damaged(); err != nil {
			return err
		}
		return fmt.Errorf("%w: no log %d", ErrUnknownFeed, n)
	}
	l := emptyLog(h.id, old.origin, old.generation+1)
	w := s.newWrite()
	defer w.discard()
	if err := w.put(l.key(kindGeneration, 0, 0, 0), string(l.origin), nil); err != nil {
		return err
	}
	if err := w.commit(); err != nil {
		return err
	}
	if err := s.writeHead(l); err != nil {
		return err
	}
	next := h.with(l)
	next.damages = slices.DeleteFunc(slices.Clone(h.damages), func(d *DamagedError) bool { return d.Log == n })
	s.show(name, next)
	return nil
}

// RemoveFeed forgets a feed, its records, notes and receipts. Nobody is told. What is on the disk is gone at the database's
// next compaction. Whether the feed is one's own, and may be forgotten at all, the caller decides.
func (s *Store) RemoveFeed(name feed.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return fmt.Errorf("remove feed %s: %w", name, err)
	}
	h, err := s.feed(name)
	if err != nil {
		return fmt.Errorf("remove feed: %w", err)
	}
	if h.id != 0 {
		w := s.newWrite()
		defer w.discard()
		if err := w.put(key{feed: h.id, kind: kindFeed, number: 1}, "", nil); err != nil {
			return fmt.Errorf("remove feed %s: %w", name, err)
		}
		if err := w.commit(); err != nil {
			return fmt.Errorf("remove feed %s: %w", name, err)
		}
	}
	s.show(name, nil)
	if err := s.sweep(h.id, name); err != nil {
		return fmt.Errorf("remove feed %s: %w", name, s.unwell(err))
	}
	return nil
}

// sweep deletes the files of a removed feed and its values but for the registration. After a crash the next Open does it again.
func (s *Store) sweep(id uint32, name feed.Name) error {
	logs, err := filepath.Glob(s.headPath(feed.Origin(name)) + "_*")
	if err != nil {
		return err
	}
	for _, path := range logs {
		if err := s.disk.removeAll(path); err != nil {
			return err
		}
	}
	if len(logs) > 0 {
		if err := s.disk.syncDir(s.headDir()); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.notePath(name, "")); err == nil {
		if err := s.disk.removeAll(s.notePath(name, "")); err != nil {
			return err
		}
		if err := s.disk.syncDir(s.noteDir()); err != nil {
			return err
		}
	}
	if id == 0 {
		return nil
	}
	for {
		var some []key
		err := s.scan(key{feed: id}, upToFeed, func(k key) bool {
			if k.kind != kindFeed {
				some = append(some, k)
			}
			return len(some) < 10_000
		})
		if err != nil || len(some) == 0 {
			return err
		}
		w := s.newWrite()
		for _, k := range some {
			if err := w.delete(k); err != nil {
				w.discard()
				return err
			}
		}
		if err := w.commit(); err != nil {
			return err
		}
	}
}

// laterLife says whether a removed feed has head files of a later life that held something: the database has lost that.
func (s *Store) laterLife(r registration, heads []feed.Origin) (bool, error) {
	for _, o := range heads {
		if o.Name() != r.name {
			continue
		}
		data, err := readCapped(s.headPath(o), maxHeadFile)
		if err != nil {
			return false, err
		}
		file, err := parseHeadFile(data)
		if err != nil || file.Feed != r.id && (file.Fetched > 0 || len(file.Note) > 0) {
			return true, nil
		}
	}
	return false, nil
}

// loadStrangers looks at files of feeds that Badger doesn't list. A crash in AddFeed leaves head files of empty logs, which
// go; a crash in RemoveFeed left files of a removed feed, which load has swept. All others say that Badger lost a whole feed.
func (s *Store) loadStrangers(registered map[feed.Name]registration, heads []feed.Origin) error {
	empty := map[feed.Name]bool{}
	for _, o := range heads {
		if _, ok := registered[o.Name()]; ok {
			continue
		}
		data, err := readCapped(s.headPath(o), maxHeadFile)
		if err != nil {
			return err
		}
		file, err := parseHeadFile(data)
		s.nextFeed = max(s.nextFeed, file.Feed+1) // its number isn't given twice, though the database has lost it
		was, known := empty[o.Name()]
		empty[o.Name()] = err == nil && file.Fetched == 0 && len(file.Note) == 0 && (was || !known)
	}
	folders, err := os.ReadDir(s.noteDir())
	if err != nil {
		return err
	}
	for _, f := range folders {
		name, err := feed.ParseName(strings.ReplaceAll(f.Name(), "_", "/"))
		if err != nil {
			continue
		}
		if _, ok := registered[name]; ok {
			continue
		}
		if _, ok := empty[name]; !ok {
			empty[name] = false
		}
	}
	for name, unused := range empty {
		if unused {
			if err := s.sweep(0, name); err != nil {
				return err
			}
			continue
		}
		h := &heldFeed{name: name}
		s.damaged(h, 0, errors.New("there are files of it, but the database has lost it"), remedyNotes)
		s.show(name, h)
	}
	return nil
}

// wrap says what was being done, but leaves alone what stands beside a commit that succeeded.
func wrap(err error, format string, a ...any) error {
	var follower *FollowerError
	if errors.As(err, &follower) {
		return err
	}
	return fmt.Errorf(format+": %w", append(a, err)...)
}
