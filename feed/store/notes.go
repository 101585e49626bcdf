package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"hashfeed/feed"
)

// Notes are stored twice: as files, and sealed in Badger. Either alone can lose one without a sign (a file is deleted, the
// write-ahead log is cut off), and a suspension or a roster that is lost un-holds an innocent or lets a removed member in.
// The file is written first; what only the file has is taken over at Open, what only Badger has is damage.

// A noteFile is a note of a feed as its file has it.
type noteFile struct {
	what    string // "charter", "roster", "suspension"
	version uint64 // of the first two
	name    string
	data    []byte
}

// noteFiles reads the folder of a feed's notes, in order of version. Files that aren't notes are ignored.
func (s *Store) noteFiles(name feed.Name) ([]noteFile, error) {
	entries, err := os.ReadDir(s.notePath(name, ""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(entries) > maxNoteFiles {
		return nil, fmt.Errorf("%s has %d files, at most %d are read", s.notePath(name, ""), len(entries), maxNoteFiles)
	}
	var files []noteFile
	for _, e := range entries {
		what, rest, _ := strings.Cut(e.Name(), "-")
		f := noteFile{what: what, name: e.Name()}
		switch what {
		case "charter", "roster":
			if f.version, err = strconv.ParseUint(rest, 10, 32); err != nil || versionFile(what, f.version) != e.Name() {
				continue
			}
		case "suspension":
		default:
			continue
		}
		if f.data, err = readCapped(s.notePath(name, e.Name()), maxNoteFile); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b noteFile) int { return int(int64(a.version) - int64(b.version)) })
	return files, nil
}

// loadNotes fills in the chain, suspensions and roster of a feed. The chain stays nil if even Badger's charters are no chain.
func (s *Store) loadNotes(h *heldFeed, anchor feed.Anchor) error {
	files, err := s.noteFiles(h.name)
	if err != nil {
		return err
	}
	if err := s.loadCharters(h, anchor, files); err != nil || h.chain == nil {
		return err
	}
	if err := s.loadSuspensions(h, files); err != nil {
		return err
	}
	return s.loadRoster(h, files)
}

// stored reads the notes of one kind from Badger, in order of their numbers.
func (s *Store) stored(h *heldFeed, k kind) (keys []key, notes [][]byte, err error) {
	keys, err = s.keys(key{feed: h.id, kind: k}, upToKind)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range keys {
		note, err := s.get(k, ownerText(h.name))
		if err != nil {
			return nil, nil, err
		}
		notes = append(notes, note)
	}
	return keys, notes, nil
}

// sameFile notes damage unless the file is there and has exactly the note.
func (s *Store) sameFile(h *heldFeed, files []noteFile, name string, note []byte) {
	i := slices.IndexFunc(files, func(f noteFile) bool { return f.name == name })
	if i < 0 {
		s.damaged(h, 0, fmt.Errorf("the file of its %s is missing", name), remedyNotes)
	} else if !bytes.Equal(files[i].data, note) {
		s.damaged(h, 0, fmt.Errorf("the file of its %s was changed", name), remedyNotes)
	}
}

// takeOver stores what only a file has: the crash came between file and database.
func (s *Store) takeOver(h *heldFeed, k key, note []byte) error {
	w := s.newWrite()
	defer w.discard()
	if err := w.put(k, ownerText(h.name), note); err != nil {
		return err
	}
	return w.commit()
}

func (s *Store) loadCharters(h *heldFeed, anchor feed.Anchor, files []noteFile) error {
	keys, notes, err := s.stored(h, kindCharter)
	if err != nil {
		return err
	}
	if h.chain, err = feed.OpenChain(anchor, notes); err != nil {
		h.chain = nil
		s.damaged(h, 0, fmt.Errorf("its stored charters: %w", err), remedyNotes)
		return nil
	}
	for i, k := range keys {
		s.sameFile(h, files, versionFile("charter", k.number), notes[i])
	}
	for _, f := range files {
		if f.what != "charter" || f.version <= uint64(h.chain.Newest().Version) {
			continue
		}
		longer, err := h.chain.Extend(f.data)
		if err != nil {
			s.damaged(h, 0, fmt.Errorf("file %s: %w", f.name, err), remedyNotes)
			return nil
		}
		if err := s.takeOver(h, key{feed: h.id, kind: kindCharter, number: f.version}, f.data); err != nil {
			return err
		}
		h.chain = longer
	}
	return nil
}

func suspensionFile(n feed.Suspension) string { return fmt.Sprintf("suspension-%x", n.Sum) }

func (s *Store) loadSuspensions(h *heldFeed, files []noteFile) error {
	_, notes, err := s.stored(h, kindSuspension)
	if err != nil {
		return err
	}
	stored := map[string][]byte{} // by file; of a note that came again with more lines the newest value counts
	for _, note := range notes {
		n, err := h.chain.OpenSuspension(note)
		if err != nil {
			s.damaged(h, 0, fmt.Errorf("a stored suspension: %w", err), remedyNotes)
			continue
		}
		stored[suspensionFile(n)] = note
		h.suspensions = withSuspension(h.suspensions, n)
	}
	for _, f := range files {
		if f.what != "suspension" || bytes.Equal(stored[f.name], f.data) {
			continue
		}
		n, err := h.chain.OpenSuspension(f.data)
		if err != nil || suspensionFile(n) != f.name {
			s.damaged(h, 0, fmt.Errorf("file %s isn't the suspension it was: %v", f.name, err), remedyNotes)
			continue
		}
		if old, ok := stored[f.name]; ok && !s.hasMore(h, old, f.data) {
			continue // sameFile says so
		}
		k, err := s.nextSuspension(h)
		if err != nil {
			return err
		}
		if err := s.takeOver(h, k, f.data); err != nil {
			return err
		}
		stored[f.name] = f.data
		h.suspensions = withSuspension(h.suspensions, n)
	}
	for _, n := range h.suspensions {
		s.sameFile(h, files, suspensionFile(n), stored[suspensionFile(n)])
	}
	return nil
}

// hasMore reports whether a suspension's file is what is stored with more signatures: the crash came between file and database.
func (s *Store) hasMore(h *heldFeed, stored, file []byte) bool {
	a, err := h.chain.OpenSuspension(stored)
	if err != nil {
		return false
	}
	b, err := h.chain.OpenSuspension(file)
	if err != nil {
		return false
	}
	both, err := h.chain.MergeSuspensions(a, b)
	return err == nil && bytes.Equal(both.Bytes(), file)
}

// withSuspension returns a list with n, in the place of the note of its text if there is one.
func withSuspension(list []feed.Suspension, n feed.Suspension) []feed.Suspension {
	list = slices.Clone(list)
	if i := slices.IndexFunc(list, func(o feed.Suspension) bool { return o.Sum == n.Sum }); i >= 0 {
		list[i] = n
		return list
	}
	return append(list, n)
}

func (s *Store) loadRoster(h *heldFeed, files []noteFile) error {
	keys, notes, err := s.stored(h, kindRoster)
	if err != nil {
		return err
	}
	var version uint64
	var note []byte
	if n := len(keys); n > 0 {
		version, note = keys[n-1].number, notes[n-1]
	}
	for _, f := range files {
		if f.what != "roster" || f.version <= version {
			continue
		}
		r, err := h.chain.OpenRoster(f.data)
		if err != nil || uint64(r.Version) != f.version {
			s.damaged(h, 0, fmt.Errorf("file %s isn't the roster it was: %v", f.name, err), remedyNotes)
			continue
		}
		if err := s.takeOver(h, key{feed: h.id, kind: kindRoster, number: f.version}, f.data); err != nil {
			return err
		}
		version, note = f.version, f.data
	}
	if note == nil {
		return nil
	}
	s.sameFile(h, files, versionFile("roster", version), note)
	r, err := h.chain.OpenRoster(note)
	if err != nil {
		// Both copies agree, or the damage is noted: a newer charter has another roster key, and this roster is void.
		s.log.Info("roster is void under the newest charter", "feed", string(h.name), "version", version)
		return nil
	}
	h.roster = &r
	return nil
}

// nextSuspension is a key that no suspension of the feed has had.
func (s *Store) nextSuspension(h *heldFeed) (key, error) {
	k := key{feed: h.id, kind: kindSuspension}
	last, ok, err := s.last(k, upToKind)
	if ok {
		k.number = last.number + 1
	}
	return k, err
}

// Suspend stores a suspension for as long as the feed is held. One that is held already is no error; if it has signatures that the one held
// lacks, they are added: with a new log its new signers sign what is in force. Damaged feeds take them too.
func (s *Store) Suspend(n feed.Suspension) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return fmt.Errorf("store suspension of %s: %w", n.Feed, err)
	}
	if err := s.suspend(n); err != nil {
		return wrap(err, "store suspension of %s", n.Feed)
	}
	return nil
}

func (s *Store) suspend(n feed.Suspension) error {
	h, err := s.feed(n.Feed)
	if err != nil {
		return err
	}
	if h.chain == nil {
		return h.damaged()
	}
	// Under the charters held here, whatever the note was opened with.
	if n, err = h.chain.OpenSuspension(n.Bytes()); err != nil {
		return err
	}
	if i := slices.IndexFunc(h.suspensions, func(o feed.Suspension) bool { return o.Sum == n.Sum }); i >= 0 {
		held := h.suspensions[i]
		if n, err = h.chain.MergeSuspensions(held, n); err != nil {
			return err
		}
		if bytes.Equal(n.Bytes(), held.Bytes()) {
			return nil
		}
	} else if len(h.suspensions) >= maxSuspensions {
		return fmt.Errorf("%d are held, at most that many are", maxSuspensions)
	}
	k, err := s.nextSuspension(h)
	if err != nil {
		return err
	}
	if err := s.putNote(h, suspensionFile(n), k, n.Bytes()); err != nil {
		return err
	}
	next := *h
	next.suspensions = withSuspension(h.suspensions, n)
	s.show(n.Feed, &next)
	return s.tell(Event{Feed: n.Feed, Suspension: &n})
}

// putNote writes a note's file, then its value.
func (s *Store) putNote(h *heldFeed, file string, k key, note []byte) error {
	if err := s.roomFor(uint64(len(note))); err != nil {
		return err
	}
	if err := s.writeFile(s.notePath(h.name, file), note); err != nil {
		return err
	}
	return s.takeOver(h, k, note)
}

// Suspensions returns all that are held, in the order in which they came; who has signed them is told by the newest charter.
func (s *Store) Suspensions(name feed.Name) []feed.Suspension {
	if h := (*s.held.Load())[name]; h != nil {
		return slices.Clone(h.suspensions)
	}
	return nil
}

// SetRoster stores a newer roster. The one that is held is no error, an older one is ignored: never back.
func (s *Store) SetRoster(r feed.Roster) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return fmt.Errorf("store roster of %s: %w", r.Feed, err)
	}
	if err := s.setRoster(r); err != nil {
		return wrap(err, "store roster of %s", r.Feed)
	}
	return nil
}

func (s *Store) setRoster(r feed.Roster) error {
	h, err := s.feed(r.Feed)
	if err != nil {
		return err
	}
	if h.chain == nil {
		return h.damaged()
	}
	newest, ok, err := s.last(key{feed: h.id, kind: kindRoster}, upToKind)
	if err != nil {
		return err
	}
	if ok && uint64(r.Version) <= newest.number {
		return nil
	}
	if r, err = h.chain.OpenRoster(r.Bytes()); err != nil {
		return err
	}
	k := key{feed: h.id, kind: kindRoster, number: uint64(r.Version)}
	if err := s.putNote(h, versionFile("roster", k.number), k, r.Bytes()); err != nil {
		return err
	}
	if ok { // the file of a roster that no longer counts; if it stays it is ignored
		if err := s.disk.removeAll(s.notePath(h.name, versionFile("roster", newest.number))); err != nil {
			s.log.Warn("remove the roster before", "err", err)
		}
	}
	next := *h
	next.roster = &r
	s.show(r.Feed, &next)
	return s.tell(Event{Feed: r.Feed, Roster: &r})
}

// Roster returns the newest roster, if there is one that the newest charter's roster key has signed.
func (s *Store) Roster(name feed.Name) (feed.Roster, bool) {
	if h := (*s.held.Load())[name]; h != nil && h.roster != nil {
		return *h.roster, true
	}
	return feed.Roster{}, false
}
