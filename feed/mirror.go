package feed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strconv"
)

// A Mirror is a feed kept as plain files, on a stick or behind a web server:
//
//	charter/<version>            the notes, from the anchor's to the newest
//	suspension/<sha256 of text>
//	<log>/checkpoint             the newest
//	<log>/seen/<size>            the first stamped checkpoint of each size
//	<log>/tile/…, <log>/body/…   as Part.Path says
//
// ReadMirror makes one. Nothing in the folder is trusted: everything is compared with the charters, and they with the anchor.
type Mirror struct {
	fsys  fs.FS
	chain *Chain
}

// unreadable is an error of the file system: it says nothing about what the files would have held.
type unreadable struct{ err error }

func (e *unreadable) Error() string { return e.err.Error() }
func (e *unreadable) Unwrap() error { return e.err }

var errMirror = errors.New("mirror")

// ReadMirror reads the charters of a mirror, from the one with the anchor's text to the newest. Those before it are ignored.
func ReadMirror(fsys fs.FS, anchor Anchor) (*Mirror, error) {
	m := &Mirror{fsys: fsys}
	if _, err := fs.ReadDir(fsys, "."); err != nil {
		return nil, fmt.Errorf("read %w: %w", errMirror, &unreadable{err})
	}
	versions, err := m.numbers("charter", 1, MaxCharters)
	if err != nil {
		return nil, err
	}
	var notes [][]byte
	for _, version := range versions {
		note, err := m.read("charter/"+strconv.FormatUint(version, 10), maxNoteFile)
		if err != nil {
			return nil, err
		}
		if len(notes) > 0 || noteSum(note) == Digest(anchor) {
			notes = append(notes, note)
		}
	}
	if len(notes) == 0 {
		return nil, fmt.Errorf("%w: the anchor's charter is not here", errMirror)
	}
	if m.chain, err = OpenChain(anchor, notes); err != nil {
		return nil, err
	}
	// A chain has no gaps, so only the names can be wrong: a charter may stand nowhere but under its version.
	for i, version := range versions[len(versions)-len(notes):] {
		if int(version) != m.chain.First().Version+i {
			return nil, fmt.Errorf("%w: charter/%d holds version %d", errMirror, version, m.chain.First().Version+i)
		}
	}
	return m, nil
}

// noteSum is the SHA-256 of a note's text, found without looking at the lines.
func noteSum(note []byte) Digest {
	cut := bytes.LastIndex(note, []byte("\n\n"))
	return sha256.Sum256(note[:cut+1])
}

// Chain returns the charters.
func (m *Mirror) Chain() *Chain { return m.chain }

// Suspensions returns the suspensions, in the order of their sums.
func (m *Mirror) Suspensions() ([]Suspension, error) {
	names, err := m.list("suspension")
	if err != nil {
		return nil, err
	}
	var all []Suspension
	for _, name := range names {
		if _, err := ParseAnchor(name); err != nil { // 64 hex digits
			continue
		}
		note, err := m.read("suspension/"+name, maxNoteFile)
		if err != nil {
			return nil, err
		}
		s, err := m.chain.OpenSuspension(note)
		if err != nil {
			return nil, fmt.Errorf("%w: suspension/%s: %w", errMirror, name, err)
		}
		if Anchor(s.Sum).String() != name {
			return nil, fmt.Errorf("%w: suspension/%s: the name isn't the SHA-256 of the text", errMirror, name)
		}
		all = append(all, s)
	}
	return all, nil
}

// Batches yields what the mirror has of a log beyond the tree held, as verified batches in order, each kept checkpoint with the batch that
// ends at its size. tail is as in [NewExtension]. The first error ends it; what was yielded before stands. A mirror that is
// behind the tree yields nothing.
func (m *Mirror) Batches(log int, have Tree, tail [][]byte) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		l, err := m.log(log)
		if err != nil {
			yield(nil, err)
			return
		}
		tree, tail := have, tail
		for _, cp := range append(l.seen, l.head) {
			if cp.Size < tree.Size() {
				continue
			}
			for b, err := range Verify(m.chain, tree, tail, cp, l.get) {
				if err != nil {
					yield(nil, fmt.Errorf("%w: %w", errMirror, err))
					return
				}
				tree, tail = b.after, b.tail
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// mirrorLog is one log of a mirror: its checkpoint and the kept ones, whose signatures are verified, but not compared with the tree.
type mirrorLog struct {
	*Mirror
	dir  string
	head Checkpoint
	seen []Checkpoint // by size
}

// log reads the checkpoints of a log. Of one that was closed before the anchor there are none that could be checked: the charter's cut is
// its head.
func (m *Mirror) log(log int) (*mirrorLog, error) {
	l := &mirrorLog{Mirror: m, dir: strconv.Itoa(log) + "/"}
	if _, ok := m.chain.ForLog(log); !ok {
		if l.head, ok = m.chain.ClosedHead(log); !ok {
			return nil, fmt.Errorf("%w: the charters name no log %d", errMirror, log)
		}
		return l, nil
	}
	origin := m.chain.Feed().Log(log)
	var err error
	if l.head, err = l.checkpoint("checkpoint", origin); err != nil {
		return nil, err
	}
	sizes, err := m.numbers(l.dir+"seen", 0, MaxSize)
	if err != nil {
		return nil, err
	}
	for _, size := range sizes {
		path := "seen/" + strconv.FormatUint(size, 10)
		cp, err := l.checkpoint(path, origin)
		if err != nil {
			return nil, err
		}
		// SPEC: a seen size above the checkpoint's, or of its size with a later stamp, is invalid.
		switch {
		case cp.Size != size || cp.Size > l.head.Size:
			return nil, fmt.Errorf("%w: %s%s is of another size, or of one above the checkpoint's", errMirror, l.dir, path)
		case cp.Size == l.head.Size && cp.Stamp > l.head.Stamp:
			return nil, fmt.Errorf("%w: %s%s has a later stamp than the checkpoint", errMirror, l.dir, path)
		}
		l.seen = append(l.seen, cp)
	}
	return l, nil
}

func (l *mirrorLog) checkpoint(path string, origin Origin) (Checkpoint, error) {
	note, err := l.read(l.dir+path, maxNoteFile)
	if err != nil {
		return Checkpoint{}, err
	}
	cp, err := l.chain.OpenCheckpoint(note)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %s%s: %w", errMirror, l.dir, path, err)
	}
	if cp.Origin != origin {
		return Checkpoint{}, fmt.Errorf("%w: %s%s is of %s", errMirror, l.dir, path, cp.Origin)
	}
	return cp, nil
}

// get returns a part of the tree of the head's size or of a smaller one, as [Verify] asks for it. The files are those of the head's size: a
// part of a smaller tree is the beginning of one.
func (l *mirrorLog) get(path string) ([]byte, error) {
	p, err := ParsePartPath(path)
	if err != nil {
		return nil, err
	}
	whole := p
	whole.Width = partWidth(l.head.Size, p.Level, p.N)
	data, err := l.part(whole)
	if err != nil || p.Width >= whole.Width {
		return data, err
	}
	return narrow(whole, data, p.Width)
}

// part reads a part of the tree of the head's size: from its file or, where that is gone, from the full one. Its form is checked, that of the
// file that was read: 256 records in the file of a partial bundle are false.
func (l *mirrorLog) part(p Part) ([]byte, error) {
	limit := MaxBundle
	if p.Kind == PartTile {
		limit = TileWidth * hashSize
	}
	data, err := l.read(l.dir+p.Path(), limit)
	if p.Width < TileWidth && errors.Is(err, fs.ErrNotExist) {
		full := p
		full.Width = TileWidth
		if data, err = l.read(l.dir+full.Path(), limit); err == nil {
			return narrow(full, data, p.Width)
		}
	}
	if err != nil {
		return nil, err
	}
	return narrow(p, data, p.Width)
}

// narrow returns the first width hashes or records of a part, all of whose form it checks.
func narrow(p Part, data []byte, width int) ([]byte, error) {
	if p.Kind == PartTile {
		if len(data) != p.Width*hashSize {
			return nil, &PartError{[]Part{p}, fmt.Errorf("%d bytes, want %d", len(data), p.Width*hashSize)}
		}
		return data[:width*hashSize], nil
	}
	items, err := SplitBundle(data, p.Width)
	if err != nil {
		return nil, &PartError{[]Part{p}, err}
	}
	size := 0
	for _, item := range items[:width] {
		size += 2 + len(item)
	}
	return data[:size], nil
}

// has says whether there is a folder of that name.
func (m *Mirror) has(dir string) (bool, error) {
	info, err := fs.Stat(m.fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &unreadable{err}
	}
	return info.IsDir(), nil
}

// read reads a file of at most limit bytes.
func (m *Mirror) read(path string, limit int) ([]byte, error) {
	f, err := m.fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errMirror, err)
	}
	if err != nil {
		return nil, &unreadable{err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, &unreadable{fmt.Errorf("read %s: %w", path, err)}
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", errMirror, path, limit)
	}
	return data, nil
}

// list returns the names in a folder, in order; none if there is no such folder.
func (m *Mirror) list(dir string) ([]string, error) {
	entries, err := fs.ReadDir(m.fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &unreadable{err}
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// numbers returns the names in a folder that are numbers from low to high in their one spelling, ascending. Others are unneeded files.
func (m *Mirror) numbers(dir string, low, high uint64) ([]uint64, error) {
	names, err := m.list(dir)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, name := range names {
		if n, ok := parseNumber(name, low, high); ok {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// isUnreadable says whether err is the file system's, so that nothing is known of the mirror.
func isUnreadable(err error) bool {
	var u *unreadable
	return errors.As(err, &u)
}
