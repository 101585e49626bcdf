package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
)

// Mending puts values back that are lost or don't open any more. A value that is put back is verified to be the one that was there (a
// tile by its records, a note by its signatures, a bundle by the root), so its key still never has two: whichever of the two versions of
// the key a bug of the database shows, it is right, or refused by its seal.

// MendOptions say how far Mend may go.
type MendOptions struct {
	// Adopt: where a log's head file is lost or older than the log, the log, verified, is taken for all that was acknowledged, and the file
	// is written again. Of an own log that is the operator's word to give: a log that lost its end would be signed twice.
	Adopt bool
	// Refetch: a log of which too little is left is set aside, to be fetched from the start.
	Refetch bool
	// Shorter: a log that has lost its end is taken as it is, since nobody has the rest. Without it, it stays damaged until the rest was
	// fetched.
	Shorter bool
	// Anchor is by which a feed's charter files are believed where the database has lost even that it holds the feed; zero: they aren't.
	Anchor feed.Anchor
}

// Mend sets right what can be set right of a feed from what is here, and says what it did, a sentence each. What it can't it leaves as it
// is, and Damage and Fsck tell. A feed of which no charter is left it can't mend: RemoveFeed, AddFeed.
func (s *Store) Mend(name feed.Name, o MendOptions) (done []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return nil, fmt.Errorf("mend %s: %w", name, err)
	}
	h, err := s.feed(name)
	if err != nil {
		return nil, fmt.Errorf("mend: %w", err)
	}
	m := mending{s: s, o: o, h: &heldFeed{id: h.id, name: name}}
	if h.id == 0 {
		if ok, err := m.enter(); err != nil || !ok {
			return nil, err
		}
	}
	if err := m.chunks(h); err != nil {
		return m.done, fmt.Errorf("mend %s: %w", name, err)
	}
	if err := m.run(); err != nil {
		return m.done, fmt.Errorf("mend %s: %w", name, err)
	}
	s.show(name, m.h)
	return m.done, nil
}

// mending is one Mend: it makes both copies of everything right, and loads the feed anew.
type mending struct {
	s    *Store
	o    MendOptions
	h    *heldFeed // as it will be
	done []string
}

func (m *mending) say(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	m.done = append(m.done, text)
	m.s.log.Warn("mended", "feed", string(m.h.name), "what", text)
}

// chunks writes the newest bundles again from memory, where they are whole, if their values are lost.
func (m *mending) chunks(old *heldFeed) error {
	for _, l := range old.logs {
		for _, c := range l.chunks {
			at := c.first % width
			for _, part := range []struct {
				kind    kind
				edition uint32
				items   [][]byte
			}{{kindHeadsPart, 0, l.heads}, {kindBodiesPart, c.edition, l.bodies}} {
				items := part.items[at : at+uint64(c.n)]
				k := l.key(part.kind, 0, c.first, part.edition)
				if got, err := m.s.items(k, l.origin); err == nil && slices.EqualFunc(got, items, bytes.Equal) {
					continue
				} else if errors.Is(err, ErrClosed) {
					return err
				}
				data, err := feed.AppendBundle(nil, items)
				if err != nil {
					return err
				}
				if err := m.put(k, string(l.origin), data); err != nil {
					return err
				}
				m.say("records %d to %d of %s are stored again from memory", c.first, c.first+uint64(c.n)-1, l.origin)
			}
		}
	}
	return nil
}

func (m *mending) run() error {
	entry, err := m.s.get(key{feed: m.h.id, kind: kindFeed}, "")
	if err != nil {
		return err // without its anchor nothing of it can be believed
	}
	var anchor feed.Anchor
	if copy(anchor[:], entry) != len(anchor) {
		return fmt.Errorf("its entry has %d bytes", len(entry))
	}
	if err := m.notes(anchor); err != nil {
		return err
	}
	if err := m.s.loadNotes(m.h, anchor); err != nil {
		return err
	}
	if m.h.chain == nil {
		return nil
	}
	for n := 1; n <= m.h.chain.Newest().Log; n++ {
		l, err := m.log(n)
		if err != nil {
			return err
		}
		m.h.logs = append(m.h.logs, l)
	}
	return nil
}

// enter puts a feed back into the list of feeds that the database has lost from it, under its number, which its head files have.
func (m *mending) enter() (ok bool, err error) {
	if m.o.Anchor == (feed.Anchor{}) {
		return false, nil
	}
	files, err := m.s.noteFiles(m.h.name)
	if err != nil {
		return false, err
	}
	if i := slices.IndexFunc(files, func(f noteFile) bool { return f.what == "charter" }); i < 0 {
		return false, nil
	} else if _, err := feed.OpenChain(m.o.Anchor, [][]byte{files[i].data}); err != nil {
		return false, nil
	}
	for n := 1; m.h.id == 0; n++ {
		data, err := readCapped(m.s.headPath(m.h.name.Log(n)), maxHeadFile)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if file, err := parseHeadFile(data); err == nil && file.Origin.Name() == m.h.name {
			m.h.id = file.Feed
		}
	}
	entry := key{feed: m.h.id, kind: kindFeed}
	if taken, err := m.s.has(entry); err != nil || taken {
		return false, err
	}
	m.say("it stands in the list of feeds again, as feed %d", m.h.id)
	m.s.nextFeed = max(m.s.nextFeed, m.h.id+1)
	return true, m.put(entry, "", registration{name: m.h.name, anchor: m.o.Anchor}.bytes())
}

// put makes one value durable.
func (m *mending) put(k key, owner string, plain []byte) error {
	w := m.s.newWrite()
	defer w.discard()
	if err := w.put(k, owner, plain); err != nil {
		return err
	}
	return w.commit()
}

// drop deletes a value that doesn't open.
func (m *mending) drop(k key) error {
	w := m.s.newWrite()
	defer w.discard()
	if err := w.delete(k); err != nil {
		return err
	}
	return w.commit()
}

// log makes one log whole, as far as it goes.
func (m *mending) log(n int) (*logState, error) {
	s, origin := m.s, m.h.name.Log(n)
	if err := s.loadEditions(m.h.id, uint16(n)); err != nil {
		return nil, err
	}
	l := emptyLog(m.h.id, origin, 0)
	if k, ok, err := s.last(l.key(kindGeneration, 0, 0, 0), upToKind); err != nil {
		return nil, err
	} else if ok {
		l.generation = k.generation
	}
	data, err := readCapped(s.headPath(origin), maxHeadFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, fileErr := parseHeadFile(data)
	if fileErr == nil && (file.Origin != origin || file.Feed != m.h.id) {
		fileErr = errors.New("it is another log's")
	}
	last, err := m.tree(l)
	if err != nil {
		if errors.Is(err, ErrClosed) || errors.Is(err, ErrUnwell) || errors.Is(err, ErrNoSpace) {
			return nil, err
		}
		return m.anew(l, file.Generation, err)
	}
	if err := s.rightAtCut(m.h.chain, l); err != nil {
		return m.anew(l, file.Generation, err)
	}
	if err := m.checkpoints(l, file, fileErr == nil); err != nil {
		return nil, err
	}
	if err := m.records(l); err != nil {
		return nil, err
	}
	if fileErr != nil {
		if !m.o.Adopt {
			s.damaged(m.h, n, fmt.Errorf("head file %s: it is missing or damaged", s.headPath(origin)), remedyHead)
			return l, nil
		}
		m.say("the head file of %s was missing or damaged: written again from the stored log of size %d", origin, l.size)
		return l, s.writeHead(l)
	}
	forward, err := s.compare(m.h.chain, file, l, last)
	switch {
	case err == nil && forward:
		return l, s.writeHead(l)
	case err == nil:
		return l, nil
	case file.Generation != l.generation:
		return m.anew(l, file.Generation, err)
	case file.beyond(l):
		return m.behind(l, file, err)
	}
	// The log goes further than the file. Is it the same?
	root, rootErr := s.rootAt(l, file.Fetched)
	if rootErr != nil || root != file.Root {
		return m.anew(l, file.Generation, err)
	}
	if !m.o.Adopt {
		s.damaged(m.h, n, fmt.Errorf("head file %s is older than the log: %w", s.headPath(origin), err), remedyHead)
		return l, nil
	}
	m.say("the head file of %s was older than the log: written again at size %d", origin, l.size)
	return l, s.writeHead(l)
}

// anew sets a log aside that can't be used, if that is allowed. The next generation must be one that was never used: promised is the head
// file's, and the record of the newest one may be what is lost.
func (m *mending) anew(l *logState, promised uint32, why error) (*logState, error) {
	if !m.o.Refetch {
		m.s.damaged(m.h, int(l.log), why, remedyOwnLog)
		return emptyLog(l.feed, l.origin, l.generation), nil
	}
	used, _, err := m.s.last(l.key(kindCommit, 0, 0, 0), upToKind)
	if err != nil {
		return nil, err
	}
	next := emptyLog(l.feed, l.origin, max(l.generation, promised, used.generation)+1)
	if err := m.put(next.key(kindGeneration, 0, 0, 0), string(next.origin), nil); err != nil {
		return nil, err
	}
	m.say("%s is set aside, to be fetched from the start: %v", l.origin, why)
	return next, m.s.writeHead(next)
}

// behind leaves a log that has lost its end as Open does, or takes it for all there is.
func (m *mending) behind(l *logState, file headFile, why error) (*logState, error) {
	if m.o.Shorter {
		m.say("%s has lost its end: of %d acknowledged records %d are here, and it goes on from there", l.origin, file.Fetched, l.size)
		return l, m.s.writeHead(l)
	}
	l.owed = &file
	m.s.damaged(m.h, int(l.log), why, remedyBehind)
	return l, nil
}

// tree loads the tree of a log; where tiles are lost they are made again from the records.
func (m *mending) tree(l *logState) (commitRecord, error) {
	bare := *l
	last, err := m.s.loadTree(l)
	if err == nil {
		return last, m.tiles(l)
	}
	*l = bare
	k, ok, keyErr := m.s.last(l.key(kindCommit, 0, 0, 0), upToGeneration)
	if keyErr != nil || !ok {
		return last, err
	}
	data, getErr := m.s.get(k, string(l.origin))
	if getErr != nil {
		return last, err
	}
	if last, getErr = parseCommitRecord(k.number, data); getErr != nil {
		return last, err
	}
	whole := *l
	whole.size, whole.root = last.to, last.root
	if chunkErr := m.s.loadChunks(&whole); chunkErr != nil {
		return last, err
	}
	if tileErr := m.tiles(&whole); tileErr != nil {
		return last, err
	}
	return m.s.loadTree(l)
}

// tiles makes each tile of a log again that is lost, if the records give the root. l needs its size, root and newest bundle.
func (m *mending) tiles(l *logState) error {
	if root, err := m.walkTiles(l, nil); err != nil || root != l.root {
		if err == nil {
			err = fmt.Errorf("the records give another root at size %d", l.size)
		}
		return err
	}
	again := 0
	_, err := m.walkTiles(l, func(t fullTile) error {
		if old, err := m.s.fullTile(l, t.level, t.number); err == nil && slices.Equal(old, t.hashes) {
			return nil
		} else if errors.Is(err, ErrClosed) {
			return err
		}
		again++
		return m.put(l.key(kindTile, t.level, t.number, 0), string(l.origin), tileBytes(t.hashes))
	})
	if again > 0 {
		m.say("%d tiles of %s are made again from its records", again, l.origin)
	}
	return err
}

// walkTiles grows the tree of a log from its heads, or from the tiles where a bundle of heads is lost, and gives each full tile to do.
func (m *mending) walkTiles(l *logState, do func(fullTile) error) (root feed.Digest, err error) {
	t := emptyLog(l.feed, l.origin, l.generation)
	for n := range l.full() + 1 {
		heads, headErr := m.s.bundle(l, kindHeads, n, int(min(width, l.size-n*width)))
		leaves := make([]tlog.Hash, 0, width)
		for _, head := range heads {
			leaves = append(leaves, tlog.Hash(feed.LeafHash(head)))
		}
		if headErr != nil {
			if leaves, err = m.s.fullTile(l, 0, n); err != nil {
				return root, headErr
			}
		}
		for _, tile := range t.grow(leaves) {
			if do != nil {
				if err := do(tile); err != nil {
					return root, err
				}
			}
		}
	}
	return t.root, nil
}

// records closes the chain of commits where records of it are lost.
func (m *mending) records(l *logState) error {
	gaps, err := m.s.gaps(l)
	if err != nil {
		return err
	}
	for _, r := range gaps {
		if r.root, err = m.s.rootAt(l, r.to); err != nil {
			return nil // a tile is lost, too; the next time
		}
		if err := m.put(l.key(kindCommit, 0, r.to, 0), string(l.origin), r.bytes()); err != nil {
			return err
		}
		m.say("what was kept of %s between size %d and %d is lost but for its records: since when they are listed is proved by a later checkpoint", l.origin, r.from, r.to)
	}
	for _, k := range []kind{kindGeneration, kindWitnessed, kindEdition, kindErased} { // that there is such a value is all that it says
		keys, err := m.s.keys(key{feed: l.feed, log: l.log, kind: k}, upToKind)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if _, err := m.s.get(k, string(l.origin)); errors.Is(err, ErrClosed) {
				return err
			} else if err != nil {
				if err := m.put(k, string(l.origin), nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkpoints drops those that don't open any more, and takes the newest back from the head file.
func (m *mending) checkpoints(l *logState, file headFile, haveFile bool) error {
	keys, err := m.s.keys(l.key(kindCheckpoint, 0, 0, 0), upToGeneration)
	if err != nil {
		return err
	}
	lost := map[uint64]bool{}
	for _, k := range keys {
		cp, err := m.s.checkpoint(k, l.origin, m.h.chain)
		if errors.Is(err, ErrClosed) {
			return err
		}
		if err == nil && cp.Size <= l.size {
			var root feed.Digest
			if root, err = m.s.rootAt(l, cp.Size); err == nil && root != cp.Root {
				err = fmt.Errorf("its root isn't that of the records")
			}
		}
		if err != nil || cp.Size > l.size {
			lost[k.number] = true
		}
	}
	for _, k := range keys {
		if lost[k.number] {
			if err := m.drop(k); err != nil {
				return err
			}
		}
	}
	for size := range lost {
		m.say("the checkpoint of size %d of %s is lost: that its records were listed then can't be proved any more", size, l.origin)
	}
	if err := m.s.loadHead(l, m.h.chain); err != nil || !haveFile || file.Generation != l.generation || len(file.Note) == 0 {
		return err
	}
	promised, err := m.h.chain.OpenCheckpoint(file.Note)
	if err != nil || promised.Origin != l.origin || promised.Size > l.size || l.hasHead && !promised.Newer(l.head) {
		return nil
	}
	if root, err := m.s.rootAt(l, promised.Size); err != nil || root != promised.Root {
		return nil
	}
	k, ok, err := m.s.last(l.key(kindCheckpoint, 0, promised.Size, 0), upToNumber)
	if err != nil {
		return err
	}
	if ok {
		k.edition++
	} else {
		k = l.key(kindCheckpoint, 0, promised.Size, 0)
	}
	if err := m.put(k, string(l.origin), promised.Bytes()); err != nil {
		return err
	}
	m.say("the newest checkpoint of %s is stored again from the head file", l.origin)
	return m.s.loadHead(l, m.h.chain)
}
