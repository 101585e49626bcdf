package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/feed"
)

// A Finding is one thing that isn't as it must be.
type Finding struct {
	Feed feed.Name
	Log  int // 0: of the feed as a whole
	// Kind is "feed", "charter", "suspension", "roster", "head", "tile", "heads", "bodies", "body", "checkpoint", "root", "receipt", "chunk" (of
	// the newest bundle), or "record" (of commits, erasures and the like).
	Kind   string
	Number uint64 // of a bundle or tile, an index or a size; see Kind
	Err    error
}

func (f Finding) String() string {
	where := string(f.Feed)
	if f.Log != 0 {
		where = string(f.Feed.Log(f.Log))
	}
	return fmt.Sprintf("%s: %s %d: %v", where, f.Kind, f.Number, f.Err)
}

// Fsck reads everything that is stored and checks it against everything else: each bundle against its tile, each tile against those
// above, the root against each kept checkpoint, whose signatures are verified again, each body against its head, each note
// against the anchor and its file, each log against its head file. It calls report for each finding and returns an error only
// if it couldn't finish. Missing bodies are no findings: peers may not have had them, and erased ones are meant to be gone.
//
// It works on the logs as they are when it begins, beside commits, holds two bundles and one tile of each level in memory, and
// changes nothing. Compaction, and what Badger itself lost unnoticed, it sees as missing values.
func (s *Store) Fsck(ctx context.Context, report func(Finding)) error {
	return s.Scrub(ctx, nil, report)
}

// Scrub is Fsck for the background: pace is called with the number of bytes that were read since the last time, and waits as long as it
// likes; its error ends the walk. nil: no waiting.
func (s *Store) Scrub(ctx context.Context, pace func(bytes int) error, report func(Finding)) error {
	for _, name := range s.Feeds() {
		h := (*s.held.Load())[name]
		if h == nil {
			continue
		}
		if err := s.fsckFeed(ctx, h, pace, report); err != nil {
			return fmt.Errorf("check %s: %w", name, err)
		}
	}
	return nil
}

// FsckFeed is Fsck of one feed.
func (s *Store) FsckFeed(ctx context.Context, name feed.Name, report func(Finding)) error {
	h, err := s.feed(name)
	if err == nil {
		err = s.fsckFeed(ctx, h, nil, report)
	}
	if err != nil {
		return fmt.Errorf("check %s: %w", name, err)
	}
	return nil
}

func (s *Store) fsckFeed(ctx context.Context, h *heldFeed, pace func(int) error, report func(Finding)) error {
	for _, d := range h.damages {
		report(Finding{Feed: h.name, Log: d.Log, Kind: "feed", Err: d})
	}
	if h.chain == nil {
		return nil
	}
	if err := s.fsckNotes(h, report); err != nil {
		return err
	}
	for _, l := range h.logs {
		c := logCheck{s: s, h: h, l: l, pace: pace, report: func(kind string, n uint64, err error) {
			report(Finding{Feed: h.name, Log: int(l.log), Kind: kind, Number: n, Err: err})
		}}
		if err := c.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fsckNotes loads the feed's notes once more from both places, as Open does, but without taking anything over.
func (s *Store) fsckNotes(h *heldFeed, report func(Finding)) error {
	files, err := s.noteFiles(h.name)
	if err != nil {
		return err
	}
	byName := map[string][]byte{}
	for _, f := range files {
		byName[f.name] = f.data
	}
	for _, of := range []struct {
		kind kind
		what string
	}{{kindCharter, "charter"}, {kindSuspension, "suspension"}, {kindRoster, "roster"}} {
		keys, err := s.keys(key{feed: h.id, kind: of.kind}, upToKind)
		if err != nil {
			return err
		}
		var notes [][]byte
		suspensions := map[string]func(){} // by file: the complaint about it, unless its newest value is in the file
		for i, k := range keys {
			find := func(err error) { report(Finding{Feed: h.name, Kind: of.what, Number: k.number, Err: err}) }
			note, err := s.get(k, ownerText(h.name))
			if errors.Is(err, ErrClosed) {
				return err
			}
			if err != nil {
				find(err)
				continue
			}
			notes = append(notes, note)
			file := versionFile(of.what, k.number)
			switch of.kind {
			case kindSuspension:
				n, err := h.chain.OpenSuspension(note)
				if err != nil {
					find(err)
					continue
				}
				file = suspensionFile(n)
			case kindRoster:
				if i < len(keys)-1 {
					continue // the file of an older one is gone
				}
			}
			complain := func() { find(fmt.Errorf("file %s is missing or was changed", file)) }
			if bytes.Equal(byName[file], note) {
				complain = func() {}
			}
			if of.kind == kindSuspension { // the value before one with more signatures stays
				suspensions[file] = complain
				continue
			}
			complain()
		}
		for _, file := range slices.Sorted(maps.Keys(suspensions)) {
			suspensions[file]()
		}
		if of.kind == kindCharter {
			if _, err := feed.OpenChain(h.chain.Anchor(), notes); err != nil {
				report(Finding{Feed: h.name, Kind: of.what, Err: err})
			}
		}
	}
	return nil
}

// A logCheck walks one log from its first leaf to its last.
type logCheck struct {
	s      *Store
	h      *heldFeed
	l      *logState
	report func(kind string, n uint64, err error)
	pace   func(bytes int) error // nil: no waiting

	tree feed.Tree
	// level[i] is what the bundles and tiles read so far say that the next tile of level i begins with.
	level [][]tlog.Hash
	seen  []uint64 // sizes of kept checkpoints that are still to be compared
}

func (c *logCheck) run(ctx context.Context) error {
	var err error
	if c.seen, err = c.s.sizes(c.l, kindCheckpoint); err != nil {
		return err
	}
	c.checkpointAt(0)
	for n := uint64(0); n*width < c.l.size; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		read, err := c.bundle(n, int(min(width, c.l.size-n*width)))
		if err != nil {
			return err
		}
		if c.pace != nil {
			if err := c.pace(read); err != nil {
				return err
			}
		}
	}
	if got := c.tree.Root(); got != c.l.root {
		c.report("root", c.l.size, fmt.Errorf("the records give the root %x, committed was %x", got, c.l.root))
	}
	if err := c.s.rightAtCut(c.h.chain, c.l); err != nil {
		c.report("root", c.l.size, err)
	}
	for _, size := range c.seen {
		c.report("checkpoint", size, fmt.Errorf("there are only %d records below it", c.l.size))
	}
	if err := c.headFile(); err != nil {
		return err
	}
	if _, err := c.s.AllReceipts(c.l.origin); err != nil {
		c.report("receipt", 0, err)
	}
	if err := c.inMemory(); err != nil {
		return err
	}
	return c.rest(ctx)
}

// rightAtCut is an error where a log, at the size at which a charter closed it, isn't the log that the charter closed.
func (s *Store) rightAtCut(chain *feed.Chain, l *logState) error {
	cut, closed := chain.Cut(int(l.log))
	if !closed || l.size < cut.Size {
		return nil
	}
	root, err := s.rootAt(l, cut.Size)
	if err == nil && root != cut.Root {
		err = fmt.Errorf("at size %d it isn't the log that the charter closed", cut.Size)
	}
	return err
}

// gaps are the commits whose records are missing or don't open though later ones say that there were some; each without its root.
func (s *Store) gaps(l *logState) (gaps []commitRecord, err error) {
	keys, err := s.keys(l.key(kindCommit, 0, 0, 0), upToGeneration)
	if err != nil {
		return nil, err
	}
	var at uint64
	for _, k := range keys {
		if k.number > l.size {
			break // committed since
		}
		data, err := s.get(k, string(l.origin))
		if errors.Is(err, ErrClosed) {
			return nil, err
		}
		if err != nil {
			continue
		}
		r, err := parseCommitRecord(k.number, data)
		if err != nil {
			continue
		}
		if r.from > at {
			gaps = append(gaps, commitRecord{from: at, to: r.from})
		}
		at = r.to
	}
	if at < l.size {
		gaps = append(gaps, commitRecord{from: at, to: l.size})
	}
	return gaps, nil
}

// inMemory compares the newest checkpoint and bundle, which are read from memory, with what the next Open will find.
func (c *logCheck) inMemory() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	l, err := c.s.state(c.l.origin)
	if err != nil || l.generation != c.l.generation {
		return nil
	}
	if l.hasHead {
		k, _, err := c.s.last(l.key(kindCheckpoint, 0, 0, 0), upToGeneration)
		if err != nil {
			return err
		}
		note, err := c.s.get(k, string(l.origin))
		if errors.Is(err, ErrClosed) {
			return err
		}
		if err == nil && !bytes.Equal(note, l.head.Bytes()) {
			err = errors.New("the newest isn't the one that was adopted")
		}
		if err != nil {
			c.report("checkpoint", l.head.Size, err)
		}
	}
	for _, part := range l.chunks {
		at := part.first % width
		for _, of := range []struct {
			kind    kind
			edition uint32
			want    [][]byte
		}{{kindHeadsPart, 0, l.heads}, {kindBodiesPart, part.edition, l.bodies}} {
			got, err := c.s.items(l.key(of.kind, 0, part.first, of.edition), l.origin)
			if errors.Is(err, ErrClosed) {
				return err
			}
			if err == nil && !slices.EqualFunc(got, of.want[at:at+uint64(part.n)], bytes.Equal) {
				err = errors.New("it isn't what was committed")
			}
			if err != nil {
				c.report("chunk", part.first, err)
			}
		}
	}
	return nil
}

// rest opens what nothing else reads: the records of commits and generations, and what says of a bundle that there is more to know of it. The
// records of commits are a chain, by which a table is noticed of which nothing else is missed.
func (c *logCheck) rest(ctx context.Context) error {
	gaps, err := c.s.gaps(c.l)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		c.report("record", g.to, errors.New("the record of a commit is missing, and with it perhaps the checkpoint that was kept of its size"))
	}
	for _, k := range []kind{kindGeneration, kindCommit, kindWitnessed, kindEdition, kindErased, kindCosigned} {
		keys, err := c.s.keys(key{feed: c.l.feed, log: c.l.log, kind: k}, upToKind)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := c.s.get(k, string(c.l.origin)); errors.Is(err, ErrClosed) {
				return err
			} else if err != nil {
				c.report("record", k.number, err)
			}
		}
	}
	return nil
}

// bundle checks the heads and bodies with one number, and the tiles that end with it. It returns how many bytes it read.
func (c *logCheck) bundle(n uint64, w int) (read int, err error) {
	heads, err := c.s.bundle(c.l, kindHeads, n, w)
	if errors.Is(err, ErrClosed) {
		return 0, err
	}
	if err != nil {
		c.report("heads", n, err)
		heads = nil
	}
	bodies, err := c.s.bundle(c.l, kindBodies, n, w)
	if errors.Is(err, ErrClosed) {
		return 0, err
	}
	if err != nil {
		c.report("bodies", n, err)
		bodies = nil
	}
	leaves := make([]tlog.Hash, 0, width)
	for i, head := range heads {
		leaves = append(leaves, tlog.Hash(feed.LeafHash(head)))
		read += len(head)
		if bodies == nil || len(bodies[i]) == 0 {
			continue
		}
		read += len(bodies[i])
		if want, ok := feed.PromisedBody(head); !ok || want != sha256.Sum256(bodies[i]) {
			c.report("body", n*width+uint64(i), errors.New("it isn't the body that the head promises"))
		}
	}
	if len(leaves) == 0 && n < c.l.full() { // go on from the tile, so that one broken bundle isn't a finding everywhere
		if leaves, err = c.s.fullTile(c.l, 0, n); err != nil {
			c.report("tile", n, err)
			return read, nil
		}
	}
	for _, leaf := range leaves {
		c.tree.Append(feed.Digest(leaf))
		c.checkpointAt(c.tree.Size())
	}
	if len(leaves) == width {
		return read + width*tlog.HashSize, c.tile(0, n, leaves)
	}
	return read, nil
}

// tile compares a full tile with the hashes it should have, and those above that end with it.
func (c *logCheck) tile(level int, n uint64, want []tlog.Hash) error {
	got, err := c.s.fullTile(c.l, uint8(level), n)
	if errors.Is(err, ErrClosed) {
		return err
	}
	if err != nil {
		c.report("tile", n, fmt.Errorf("level %d: %w", level, err))
	} else if !slices.Equal(got, want) {
		c.report("tile", n, fmt.Errorf("level %d: its hashes aren't those of the records", level))
	}
	if level == len(c.level) {
		c.level = append(c.level, nil)
	}
	c.level[level] = append(c.level[level], perfectRoot(want))
	if len(c.level[level]) < width {
		return nil
	}
	above := c.level[level]
	c.level[level] = nil
	return c.tile(level+1, n/width, above)
}

// checkpointAt compares the kept checkpoint of a size, if there is one, with the tree.
func (c *logCheck) checkpointAt(size uint64) {
	if len(c.seen) == 0 || c.seen[0] != size {
		return
	}
	c.seen = c.seen[1:]
	cp, err := c.s.seen(c.h.chain, c.l, size)
	if err == nil && cp.Root != c.tree.Root() {
		err = fmt.Errorf("its root %x isn't that of the records, %x", cp.Root, c.tree.Root())
	}
	if err != nil {
		c.report("checkpoint", size, err)
	}
}

// headFile compares the log with its head file, under the commit lock so that the two belong together.
func (c *logCheck) headFile() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if len(c.h.damages) > 0 || c.s.Unwell() != nil {
		return nil // said already, or to be settled by the next Open
	}
	h := (*c.s.held.Load())[c.h.name]
	l, ok := h.state(int(c.l.log))
	if !ok {
		return nil // removed meanwhile
	}
	data, err := readCapped(c.s.headPath(l.origin), maxHeadFile)
	if err != nil {
		c.report("head", l.size, err)
		return nil
	}
	file, err := parseHeadFile(data)
	if err != nil {
		c.report("head", l.size, err)
		return nil
	}
	ahead, err := c.s.compare(h.chain, file, l, commitRecord{})
	if err == nil && ahead {
		err = errors.New("the log has moved on without it")
	}
	if err != nil {
		c.report("head", l.size, err)
	}
	return nil
}
