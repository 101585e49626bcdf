package feed

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// A MirrorReport is what VerifyMirror found, and in JSON what "feed verify --json" prints. Of an invalid mirror there is nothing but the problem.
type MirrorReport struct {
	Valid   bool        `json:"valid"`
	Problem Problem     `json:"problem"`
	Logs    []MirrorLog `json:"logs"`
	Entries bool        `json:"entries"` // the bundles of heads are there; without them the records can't be checked, and there is no Report
	Bodies  bool        `json:"bodies"`  // the bundles of bodies are there; without them no item is active, and Missing is empty
	*Report
}

// A Problem says in words what is wrong with a mirror; in JSON it is null if there is none.
type Problem string

// MarshalJSON writes a string or null.
func (p Problem) MarshalJSON() ([]byte, error) {
	if p == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(p))
}

// A MirrorLog is the newest checkpoint of a log.
type MirrorLog struct {
	Origin Origin `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`  // hex
	AgeS   *int64 `json:"age_s"` // seconds since its stamp; null where none counts: more than 300 s ahead, or the log was closed before the anchor
}

// VerifyMirror checks a feed kept as plain files with nothing but the anchor: charters, checkpoints, every tile, head and body, and says what
// the records come to at now, Unix seconds. What breaks a rule makes the report invalid; the error is that of a file or folder that
// couldn't be read, so that nothing is known. Its memory is that of a [State], whatever the size of the files.
func VerifyMirror(fsys fs.FS, anchor Anchor, now int64) (MirrorReport, error) {
	m, err := ReadMirror(fsys, anchor)
	if err != nil {
		return invalid(err)
	}
	v := mirrorCheck{Mirror: m, report: MirrorReport{Valid: true, Entries: true, Bodies: true}}
	newest := m.chain.newest()
	rules := Rules{Review: newest.Use == UseReview, Log: newest.Log}
	for _, cut := range newest.Closed {
		rules.Cuts = append(rules.Cuts, cut.Size)
	}
	v.state = NewState(rules, v.body)
	var last *mirrorLog
	for log := 1; log <= newest.Log; log++ {
		if last, err = v.log(log, now); err != nil {
			return invalid(err)
		}
	}
	notes, err := m.Suspensions()
	if err != nil {
		return invalid(err)
	}
	if !v.report.Entries {
		v.report.Bodies = false
		return v.report, nil
	}
	v.state.SetSuspensions(suspending(notes))
	heads := append(last.seen, last.head)
	limit := last.head.Size
	if witnessed, quorum := Witnessed(m.chain, heads); quorum {
		limit = min(limit, witnessed)
	}
	limit = min(limit, m.chain.AdditionLimit(heads, now))
	report, err := v.state.Report(m.chain.Feed(), limit, now)
	if err != nil {
		return invalid(err)
	}
	if !v.report.Bodies { // not each of them is missing: the folder is
		report.Missing = []Ref{}
	}
	v.report.Report = &report
	return v.report, nil
}

func invalid(err error) (MirrorReport, error) {
	if isUnreadable(err) {
		return MirrorReport{}, err
	}
	return MirrorReport{Problem: Problem(err.Error()), Logs: []MirrorLog{}}, nil
}

// suspending is what a State needs of suspensions.
func suspending(notes []Suspension) []Suspending {
	all := make([]Suspending, len(notes))
	for i, n := range notes {
		all[i] = Suspending{Time: n.Time, Sum: n.Sum, Items: n.Items}
		for _, k := range n.Signers {
			all[i].Signers = append(all[i].Signers, k.Key)
		}
	}
	return all
}

// mirrorCheck is one VerifyMirror.
type mirrorCheck struct {
	*Mirror
	state  *State
	report MirrorReport
	logs   []*mirrorLog

	// The bundle that body read last: a report asks for bodies in order.
	bundle struct {
		log    int
		n      uint64
		bodies [][]byte
	}
}

// log checks one log, and applies its records.
func (v *mirrorCheck) log(log int, now int64) (*mirrorLog, error) {
	l, err := v.Mirror.log(log)
	if err != nil {
		return nil, err
	}
	v.logs = append(v.logs, l)
	entry := MirrorLog{Origin: l.head.Origin, Size: l.head.Size, Root: hex.EncodeToString(l.head.Root[:])}
	if _, named := v.chain.ForLog(log); named {
		if l.head.Stamp <= now+clockSkew {
			age := max(0, now-l.head.Stamp)
			entry.AgeS = &age
		}
		opened := l.head.Stamp
		for _, cp := range l.seen {
			opened = min(opened, cp.Stamp)
		}
		v.state.SetOpened(log, opened)
	}
	v.report.Logs = append(v.report.Logs, entry)
	w := treeWalk{mirrorLog: l, roots: map[uint64][]Checkpoint{}}
	for _, cp := range append(slices.Clone(l.seen), l.head) {
		w.expect(cp)
	}
	if cut, ok := v.chain.ClosedHead(log); ok {
		if cut.Size > l.head.Size {
			return nil, fmt.Errorf("%w: %scheckpoint is of a smaller size than the charter's cut", errMirror, l.dir)
		}
		w.expect(cut)
	}
	return l, v.walk(&w, log)
}

// walk goes over the bundles and tiles of a log.
func (v *mirrorCheck) walk(w *treeWalk, log int) error {
	entries, bodies := true, true
	if w.head.Size > 0 {
		var err error
		if entries, err = v.has(w.dir + "tile/entries"); err != nil {
			return err
		}
		if bodies, err = v.has(w.dir + "body"); err != nil {
			return err
		}
	}
	v.report.Entries = v.report.Entries && entries
	v.report.Bodies = v.report.Bodies && bodies
	if err := w.check(); err != nil { // of size 0
		return err
	}
	for n := range Bundles(w.head.Size) {
		leaves, err := w.leaves(n)
		if err != nil {
			return err
		}
		if entries {
			records, err := w.records(n, leaves, bodies)
			if err != nil {
				return err
			}
			if v.report.Entries { // else records of an earlier log lack, and their effect isn't known
				if _, err := v.state.Append(log, n*TileWidth, records); err != nil {
					return err
				}
			}
		}
		if err := w.add(n, leaves); err != nil {
			return err
		}
	}
	return w.end()
}

// body returns an earlier body for the State. It was checked when it was applied, and is again: the files may have changed since.
func (v *mirrorCheck) body(p Position) ([]byte, error) {
	n := p.Index / TileWidth
	if v.bundle.bodies == nil || v.bundle.log != p.Log || v.bundle.n != n {
		if p.Log < 1 || p.Log > len(v.logs) {
			return nil, nil
		}
		w := treeWalk{mirrorLog: v.logs[p.Log-1]}
		bodies, err := v.has(w.dir + "body")
		if err != nil {
			return nil, err
		}
		leaves, err := w.leaves(n)
		if err != nil {
			return nil, err
		}
		records, err := w.records(n, leaves, bodies)
		if err != nil {
			return nil, err
		}
		v.bundle.log, v.bundle.n, v.bundle.bodies = p.Log, n, make([][]byte, len(records))
		for i, r := range records {
			v.bundle.bodies[i] = r.Body
		}
	}
	return v.bundle.bodies[p.Index%TileWidth], nil
}

// treeWalk grows the tree of a log, bundle by bundle, and compares each tile as it fills, and each root that somebody has signed.
type treeWalk struct {
	*mirrorLog
	tree  Tree
	edge  [maxLevels][]Digest // hashes of the tile of each level that isn't full yet; [0] is unused
	roots map[uint64][]Checkpoint
}

// expect says that the tree has cp's root at cp's size.
func (w *treeWalk) expect(cp Checkpoint) { w.roots[cp.Size] = append(w.roots[cp.Size], cp) }

// check compares the root with what was expected of this size.
func (w *treeWalk) check() error {
	expected := w.roots[w.tree.Size()]
	if len(expected) == 0 {
		return nil
	}
	root := w.tree.Root()
	for _, cp := range expected {
		if cp.Root != root {
			what := "the checkpoint"
			if len(cp.note.Text) == 0 {
				what = "the charter's cut"
			}
			return fmt.Errorf("%w: %s: root at size %d isn't that of %s", errMirror, w.head.Origin, cp.Size, what)
		}
	}
	return nil
}

// leaves reads the tile of level 0 of a number.
func (w *treeWalk) leaves(n uint64) ([]Digest, error) {
	p := Part{PartTile, 0, n, partWidth(w.head.Size, 0, n)}
	data, err := w.part(p)
	if err != nil {
		return nil, err
	}
	return splitTile(data, p.Width)
}

// records reads the heads and bodies of a bundle, and compares them with the leaves and each other.
func (w *treeWalk) records(n uint64, leaves []Digest, withBodies bool) ([]Record, error) {
	heads := Part{PartEntries, 0, n, len(leaves)}
	data, err := w.part(heads)
	if err != nil {
		return nil, err
	}
	raw, err := SplitBundle(data, heads.Width)
	if err != nil {
		return nil, err
	}
	records := make([]Record, len(raw))
	for i, head := range raw {
		if LeafHash(head) != leaves[i] {
			tile := Part{PartTile, 0, n, len(leaves)}
			return nil, &PartError{[]Part{heads, tile}, fmt.Errorf("head %d isn't the tile's", n*TileWidth+uint64(i))}
		}
		records[i].Head = head
	}
	if !withBodies {
		return records, nil
	}
	other := Part{PartBody, 0, n, len(leaves)}
	data, err = w.part(other)
	if errors.Is(err, fs.ErrNotExist) {
		return records, nil // as good as 256 absent bodies
	}
	if err != nil {
		return nil, err
	}
	bodies, err := SplitBundle(data, other.Width)
	if err != nil {
		return nil, err
	}
	for i, body := range bodies {
		if err := checkBody(raw[i], body); err != nil {
			return nil, &PartError{[]Part{other}, fmt.Errorf("body %d: %w", n*TileWidth+uint64(i), err)}
		}
		records[i].Body = body
	}
	return records, nil
}

// add appends the leaves of bundle n, and compares the tiles above that it fills.
func (w *treeWalk) add(n uint64, leaves []Digest) error {
	for _, leaf := range leaves {
		w.tree.Append(leaf)
		if err := w.check(); err != nil {
			return err
		}
	}
	if len(leaves) < TileWidth {
		return nil
	}
	h := subtreeHash(slices.Clone(leaves))
	for level := 1; level < maxLevels; level++ {
		w.edge[level] = append(w.edge[level], h)
		if len(w.edge[level]) < TileWidth {
			return nil
		}
		if err := w.compare(level, n>>(tileBits*level)); err != nil {
			return err
		}
		h = subtreeHash(w.edge[level])
		w.edge[level] = w.edge[level][:0]
	}
	return nil
}

// end compares the partial tiles.
func (w *treeWalk) end() error {
	for level := 1; level < maxLevels; level++ {
		if len(w.edge[level]) > 0 {
			if err := w.compare(level, w.head.Size>>(tileBits*(level+1))); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare compares the tile of a level with its file.
func (w *treeWalk) compare(level int, n uint64) error {
	p := Part{PartTile, level, n, len(w.edge[level])}
	data, err := w.part(p)
	if err != nil {
		return err
	}
	hashes, err := splitTile(data, p.Width)
	if err != nil {
		return err
	}
	if !slices.Equal(hashes, w.edge[level]) {
		return &PartError{[]Part{p}, errors.New("not the hashes of the tiles below")}
	}
	return nil
}
