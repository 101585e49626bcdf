package node

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/match"
)

// The views and the match tables are derived from the log. So that a start needn't judge millions of records again, a snapshot of them is
// kept in DIR/index; what has come since is replayed. It may be deleted at any time.
//
// A snapshot is all or nothing. It counts only if each frame opens and every feed it tells of is, up to the size that it names, the one that
// the store has: the same root, the same generation, under charters that follow from those it knew. Else the log is replayed, as if there
// were none, and status says why. So no snapshot, be it damaged, another node's, an older one or one that is ahead of a store that was
// rolled back, changes an answer.
//
// In the file (snapshotfile.go) there are: the length of the head (uint32, big-endian) and the head, JSON; for each feed of it the state
// (feed.Snapshot) and the statements; the tables (match.Snapshot).

const (
	// snapshotSchema changes with what is in a snapshot, also where only its meaning does: with the rules by which records are judged.
	snapshotSchema = 1
	// snapshotFew is how many records a snapshot must be behind to be worth another: a start replays them in some tenths of a second.
	snapshotFew = 10_000
	// snapshotMany is how many records are replayed at most, but for those that come while a snapshot is being written.
	snapshotMany = 100_000
	// snapshotEvery is after what time a snapshot that is snapshotFew behind is replaced.
	snapshotEvery = time.Hour
	// snapshotLook is how often a running node looks whether one is due.
	snapshotLook = time.Minute
)

// indexing is what a node knows of its snapshot.
type indexing struct {
	writing sync.Mutex // held by whoever writes one

	mu      sync.Mutex
	start   api.Index // how the tables came to be at the start
	covered uint64    // how many records the newest snapshot tells of
	written time.Time // when it was made
	stale   bool      // the newest one can't be used any more
}

// snapshotHead says of what a snapshot tells.
type snapshotHead struct {
	Schema   int         `json:"schema"`
	Time     int64       `json:"time"`
	Records  uint64      `json:"records"`
	SelfTest string      `json:"selftest"` // SHA-256 of the test picture, whose hashes are in the tables
	Slots    int         `json:"slots"`
	Freed    []uint64    `json:"freed"`
	Feeds    []savedFeed `json:"feeds"`
}

// savedFeed is a view in a snapshot.
type savedFeed struct {
	Name    feed.Name  `json:"name"`
	Slot    uint64     `json:"slot"`
	Anchor  string     `json:"anchor"`
	Charter string     `json:"charter"` // SHA-256 of the newest one's text
	Frozen  string     `json:"frozen"`
	Listed  []int64    `json:"listed"`
	Items   uint32     `json:"items"`
	Logs    []savedLog `json:"logs"`
}

// savedLog binds a view to the records that it was made of.
type savedLog struct {
	Size       uint64            `json:"size"`
	Generation uint32            `json:"generation"`
	Root       string            `json:"root"`      // at Size
	Rewritten  map[uint64]uint32 `json:"rewritten"` // bundles of bodies, as store.Rewritten tells them
}

// taken is a snapshot that isn't written yet.
type taken struct {
	head   snapshotHead
	states []*feed.Snapshot
	said   []saidBy
	tables *match.Snapshot
	pause  time.Duration
}

var errSnapshotBusy = errors.New("a feed is just being opened or let go of")

// takeSnapshot copies what changes: readers don't notice, who commits waits, some tenths of a second with ten million records.
func (n *Node) takeSnapshot() (t *taken, err error) {
	n.freezing.Lock() // whoever freezes a feed has the state first and the store last
	defer n.freezing.Unlock()
	err = n.store.Still(func() error {
		begun := time.Now()
		n.showing.Lock() // no feed is let go of meanwhile
		defer n.showing.Unlock()
		views := *n.views.Load()
		t = &taken{head: snapshotHead{Schema: snapshotSchema, Time: n.unix(), SelfTest: selfTestSum(), Slots: len(views), Freed: slices.Clone(n.freed)}}
		said := n.said.all()
		for slot, v := range views[1:] {
			slot := uint64(slot) + 1
			if v == nil && !slices.Contains(n.freed, slot) {
				return errSnapshotBusy
			}
			if v == nil {
				continue
			}
			s := v.state.Snapshot()
			saved, err := n.saveFeed(v, s)
			if err != nil {
				return err
			}
			t.head.Feeds, t.states, t.said = append(t.head.Feeds, saved), append(t.states, s), append(t.said, said[v.name])
			for _, l := range saved.Logs {
				t.head.Records += l.Size
			}
		}
		t.tables = n.tables.Snapshot()
		t.pause = time.Since(begun)
		return nil
	})
	return t, err
}

func (n *Node) saveFeed(v *view, s *feed.Snapshot) (savedFeed, error) {
	chain := v.reading.Load().chain
	f := savedFeed{Name: v.name, Slot: v.slot, Anchor: chain.Anchor().String(), Charter: chain.Newest().Anchor().String(), Frozen: v.frozenText(),
		Items: s.Items()}
	for i := range v.listed {
		f.Listed = append(f.Listed, v.listed[i].Load())
	}
	for i, size := range s.Sizes() {
		origin := v.name.Log(i + 1)
		root, err := n.store.RootAt(origin, size)
		if err != nil {
			return f, err
		}
		f.Logs = append(f.Logs, savedLog{Size: size, Generation: n.store.Generation(origin), Root: hex.EncodeToString(root[:]), Rewritten: n.store.Rewritten(origin)})
	}
	return f, nil
}

// frozenText is what froze a feed, as a snapshot has it.
func (v *view) frozenText() string {
	if f := v.frozen.Load(); f != nil {
		return fmt.Sprintf("%s %d %d", f.File, f.Log, f.Limit)
	}
	return ""
}

func selfTestSum() string {
	sum := sha256.Sum256(testPicture)
	return hex.EncodeToString(sum[:])
}

// write writes the snapshot into a file that replaces the one before.
func (t *taken) write(n *Node) (size int64, err error) {
	if err := os.MkdirAll(n.dir.index(), 0o700); err != nil {
		return 0, err
	}
	file, err := renameio.NewPendingFile(n.dir.snapshot(), renameio.WithTempDir(n.dir.index()), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return 0, err
	}
	defer file.Cleanup()
	w := newFrameWriter(file, n.seal, n.config.Load().Name, func() error { return n.store.RoomFor(uint64(sealedFrame())) })
	head, err := json.Marshal(t.head)
	if err != nil {
		return 0, err
	}
	if len(head) > maxSnapshotHead {
		return 0, fmt.Errorf("its head has %d bytes, at most %d are written", len(head), maxSnapshotHead)
	}
	if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(head))), head...)); err != nil {
		return 0, err
	}
	for i, s := range t.states {
		if err := s.Write(w); err != nil {
			return 0, err
		}
		if err := t.said[i].write(w); err != nil {
			return 0, err
		}
	}
	if err := t.tables.Write(w); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return 0, err
	}
	return w.size, syncDir(n.dir.index())
}

// SaveIndex writes a snapshot of the tables now, and returns of how many records it tells, and its size.
func (n *Node) SaveIndex() (records uint64, size int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the snapshot of the tables: %w", explainWrite(err))
		}
	}()
	n.index.writing.Lock()
	defer n.index.writing.Unlock()
	if err := n.store.Unwell(); err != nil {
		return 0, 0, err
	}
	if err := n.store.RoomFor(uint64(n.tables.Bytes())); err != nil { // before anything is copied; the file is smaller
		return 0, 0, err
	}
	begun := time.Now()
	t, err := n.takeSnapshot()
	if err != nil {
		return 0, 0, err
	}
	if size, err = t.write(n); err != nil {
		return 0, 0, err
	}
	n.index.mu.Lock()
	n.index.covered, n.index.written, n.index.stale = t.head.Records, n.now(), false
	n.index.mu.Unlock()
	n.log.Info("snapshot of the tables written", "records", t.head.Records, "bytes", size, "pause_ms", t.pause.Milliseconds(),
		"seconds", time.Since(begun).Seconds())
	return t.head.Records, size, nil
}

// records is how many records are in the views.
func (n *Node) records() (records uint64) {
	for _, v := range *n.views.Load() {
		if v != nil && v.state != nil {
			for log := 1; log <= v.reading.Load().chain.Newest().Log; log++ {
				records += v.state.Size(log)
			}
		}
	}
	return records
}

// behind is how many records the newest snapshot doesn't tell of.
func (n *Node) behind() uint64 {
	records := n.records()
	n.index.mu.Lock()
	defer n.index.mu.Unlock()
	if n.index.stale || records < n.index.covered {
		return records
	}
	return records - n.index.covered
}

// snapshotDue says whether a running node should write a snapshot.
func (n *Node) snapshotDue() bool {
	n.index.mu.Lock()
	written := n.index.written
	n.index.mu.Unlock()
	behind := n.behind()
	return behind >= snapshotMany || behind >= n.snapshotFew && n.now().Sub(written) >= snapshotEvery
}

// snapshots writes one whenever it is due, until ctx ends.
func (n *Node) snapshots(ctx context.Context) {
	tick := time.NewTicker(snapshotLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n.snapshotDue() {
			n.trySave()
		}
	}
}

// trySave writes a snapshot. If it can't there is none, or the one before: a start takes longer then, and nothing else.
func (n *Node) trySave() {
	if _, _, err := n.SaveIndex(); err != nil {
		n.log.Warn("no snapshot of the tables: the next start takes longer", "err", err)
	}
}

// saveAtEnd writes a snapshot before the node is closed, if a start would gain by it.
func (n *Node) saveAtEnd() {
	if n.behind() >= n.snapshotFew && n.store.Unwell() == nil {
		n.trySave()
	}
}

// dropSnapshot says that the snapshot there is can't be used any more.
func (n *Node) dropSnapshot() {
	n.index.mu.Lock()
	defer n.index.mu.Unlock()
	n.index.stale = true
}

// resumed is a snapshot that was loaded.
type resumed struct {
	head   snapshotHead
	views  map[feed.Name]*view // not shown yet
	said   map[feed.Name]saidBy
	tables *match.Tables
}

// loading is a snapshot that is being loaded, beside the store that is being opened.
type loading struct {
	done chan struct{}
	r    *resumed
	err  error
}

// collecting is held by whoever has switched the garbage collector off.
var collecting sync.Mutex

// loadSnapshot begins to load the snapshot.
func (n *Node) loadSnapshot() *loading {
	l := &loading{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.r, l.err = n.readSnapshotFile()
	}()
	return l
}

// drop lets go of what was loaded, if anything was. The receiver may be nil.
func (l *loading) drop() {
	if l == nil {
		return
	}
	if <-l.done; l.r != nil {
		l.r.tables.Close()
	}
}

// openResumed is openView from the snapshot, where that tells of the feed.
func (n *Node) openResumed(r *resumed, name feed.Name, chain *feed.Chain) error {
	if r == nil || r.views[name] == nil {
		return n.openView(name)
	}
	v := r.views[name]
	n.said.restore(v, r.said[name])
	return n.openFrom(v, chain)
}

// resume takes over the snapshot that was loaded, if it is one of what the store has. nil: there is none that can be used, and nothing of it
// is in the node.
func (n *Node) resume(l *loading) *resumed {
	n.clearTemporary()
	if l == nil {
		return nil
	}
	<-l.done
	err := l.err
	if err == nil {
		n.tables = l.r.tables
		if err = n.adopt(l.r); err == nil {
			n.index.covered, n.index.written = l.r.head.Records, time.Unix(l.r.head.Time, 0)
			return l.r
		}
		n.tables.Close()
		n.tables = nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		n.index.start.Note = fmt.Sprintf("the snapshot was not used: %v", err)
		n.log.Warn("the snapshot of the tables can't be used: the log is replayed", "err", err)
	}
	return nil
}

// clearTemporary removes what a crash left of a snapshot that was being written.
func (n *Node) clearTemporary() {
	left, err := filepath.Glob(filepath.Join(n.dir.index(), ".snapshot*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		n.log.Warn("remove what is left of a snapshot", "err", err)
	}
}

// readSnapshotFile reads the snapshot. Nothing of it is compared with the store yet.
func (n *Node) readSnapshotFile() (_ *resumed, err error) {
	file, frames, err := openFrames(n.dir.snapshot(), n.seal, n.config.Load().Name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	defer frames.Close()
	// What is read stays, so that there is nothing to collect, and millions of items to look through for it.
	collecting.Lock()
	defer collecting.Unlock()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	r := &resumed{views: map[feed.Name]*view{}, said: map[feed.Name]saidBy{}}
	if r.head, err = readSnapshotHead(frames); err != nil {
		return nil, err
	}
	items := make([]uint32, r.head.Slots)
	items[0] = 1 // the test picture
	for _, f := range r.head.Feeds {
		v, err := n.readView(f, frames)
		if err == nil {
			r.said[f.Name], err = readSaid(frames)
		}
		if err != nil {
			return nil, fmt.Errorf("feed %.140q: %w", f.Name, err)
		}
		r.views[f.Name], items[f.Slot] = v, v.state.Items()
	}
	r.tables, err = match.Load(frames, frames.size, match.Options{}, func(id match.ID) bool {
		slot := uint64(id) >> slotBits
		return slot < uint64(len(items)) && uint32(id) < items[slot]
	})
	if err != nil {
		return nil, err
	}
	if _, err := frames.ReadByte(); err != io.EOF {
		r.tables.Close()
		if err == nil {
			err = errors.New("there is more after its end")
		}
		return nil, err
	}
	return r, nil
}

// readView reads a view as it was.
func (n *Node) readView(f savedFeed, in *frameReader) (*view, error) {
	v := n.newView(f.Name)
	v.slot = f.Slot
	sizes := make([]uint64, len(f.Logs))
	for i, l := range f.Logs {
		sizes[i] = l.Size
	}
	var err error
	if v.state, err = feed.LoadState(in, n.bodyOf(f.Name), sizes); err != nil {
		return nil, err
	}
	for i, size := range sizes {
		if v.state.Size(i+1) != size {
			return nil, errors.New("its state is of another size")
		}
	}
	for i, count := range f.Listed {
		v.listed[i].Store(count)
	}
	return v, nil
}

// adopt makes of a snapshot one of what the store has, or says why it isn't.
func (n *Node) adopt(r *resumed) error {
	if err := n.compareSnapshot(r.head); err != nil {
		return err
	}
	for _, f := range r.head.Feeds {
		v := r.views[f.Name]
		chain, _ := n.store.Chain(f.Name)
		if err := n.loadFreeze(v, chain); err != nil {
			return err
		}
		if f.Frozen != "" && f.Frozen != v.frozenText() { // what was held because of it is in the state
			return fmt.Errorf("%s was frozen, and isn't any more, or for another reason", f.Name)
		}
		if err := v.state.SetRules(chain.Newest().Rules()); err != nil {
			return fmt.Errorf("feed %s: %w", f.Name, err)
		}
	}
	return n.recheck(r)
}

// openFrames opens a snapshot's file. sealer and name are the node's.
func openFrames(path string, sealer *crypto.Sealer, name string) (*os.File, *frameReader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s isn't a file", path)
	}
	var frames *frameReader
	if err == nil {
		frames, err = newFrameReader(file, info.Size(), sealer, name)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, frames, nil
}

func readSnapshotHead(in io.Reader) (head snapshotHead, err error) {
	var size [4]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return head, err
	}
	length := binary.BigEndian.Uint32(size[:])
	if length > maxSnapshotHead {
		return head, fmt.Errorf("its head is larger than %d bytes", maxSnapshotHead)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(in, text); err != nil {
		return head, err
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return head, fmt.Errorf("read its head: %w", err)
	}
	if head.Schema != snapshotSchema {
		return head, errSnapshotVersion
	}
	return head, head.check()
}

// check says what of a head can't be.
func (h *snapshotHead) check() error {
	taken := make([]bool, maxFeeds)
	slots := make([]uint64, 0, len(h.Feeds)+len(h.Freed))
	for _, f := range h.Feeds {
		slots = append(slots, f.Slot)
		if len(f.Logs) > feed.MaxLog || len(f.Listed) != len((&view{}).listed) {
			return fmt.Errorf("its head: feed %.140q", f.Name)
		}
	}
	slots = append(slots, h.Freed...)
	if h.Slots < 1 || h.Slots > maxFeeds || len(slots) != h.Slots-1 {
		return errors.New("its head: another number of slots")
	}
	for _, slot := range slots {
		if slot < 1 || slot >= uint64(h.Slots) || taken[slot] {
			return errors.New("its head: a slot twice, or none")
		}
		taken[slot] = true
	}
	return nil
}

// compareSnapshot says why a snapshot isn't one of what the store has.
func (n *Node) compareSnapshot(h snapshotHead) error {
	if h.SelfTest != selfTestSum() {
		return errSnapshotVersion
	}
	for _, f := range h.Feeds {
		chain, ok := n.store.Chain(f.Name)
		if !ok {
			return fmt.Errorf("it tells of %s, which isn't here", f.Name)
		}
		if !slices.ContainsFunc(chain.All(), func(c feed.Charter) bool { return c.Anchor().String() == f.Charter }) || chain.Anchor().String() != f.Anchor {
			return fmt.Errorf("it tells of %s under other charters", f.Name)
		}
		for i, l := range f.Logs {
			origin := f.Name.Log(i + 1)
			if l.Size > n.store.Size(origin) {
				return fmt.Errorf("it is ahead of the store: it tells of %d records of %s, and there are %d", l.Size, origin, n.store.Size(origin))
			}
			root, err := n.store.RootAt(origin, l.Size)
			if err != nil {
				return err
			}
			if l.Generation != n.store.Generation(origin) || l.Root != hex.EncodeToString(root[:]) {
				return fmt.Errorf("it tells of another log %s", origin)
			}
		}
	}
	return nil
}

// recheck looks at the bodies that came or went since the snapshot was taken. That isn't in the log.
func (n *Node) recheck(r *resumed) error {
	for _, f := range r.head.Feeds {
		v := r.views[f.Name]
		for i, l := range f.Logs {
			origin := f.Name.Log(i + 1)
			for bundle, edition := range n.store.Rewritten(origin) {
				if l.Rewritten[bundle] != edition {
					if err := n.recheckBodies(v, i+1, bundle*feed.TileWidth, min((bundle+1)*feed.TileWidth, l.Size)); err != nil {
						return err
					}
				}
			}
			// The newest bundle wasn't full yet, and isn't told of.
			if err := n.recheckBodies(v, i+1, l.Size&^(feed.TileWidth-1), l.Size); err != nil {
				return err
			}
		}
		for _, p := range v.state.Absent() {
			if err := n.recheckBodies(v, p.Log, p.Index, p.Index+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) recheckBodies(v *view, log int, from, to uint64) error {
	if from >= to {
		return nil
	}
	for r, err := range n.store.Records(v.name.Log(log), from, to-from) {
		if err != nil {
			return err
		}
		p := feed.Position{Log: log, Index: r.Index}
		if _, promised := feed.PromisedBody(r.Head); !promised {
			continue
		}
		if _, ok := v.state.ItemAt(p); !ok {
			continue // void
		}
		changes, err := v.state.SetBody(p, r.Body)
		if err == nil {
			err = n.enter(v, changes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkSnapshot reports a snapshot of which not each frame opens, and removes it if repair is set. Whether it is one of what the store has the
// next start finds out.
func checkSnapshot(path string, sealer *crypto.Sealer, name string, repair bool, report func(api.Finding)) {
	err := readSnapshot(path, sealer, name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	f := api.Finding{Kind: "index", Where: filepath.Join("index", filepath.Base(path)), Text: "snapshot of the tables: " + err.Error(),
		Means: "it is derived from the log, which is replayed at the next start: that takes longer, and nothing else", Remedy: remedyRepair + ", or hashfeed index rebuild",
		State: api.FindingWarning}
	if repair {
		if err := os.Remove(path); err != nil {
			f.Text = err.Error()
		} else {
			f.Text, f.Means, f.State = f.Text+": removed", "mended: it is made anew from the log", api.FindingRepaired
		}
	}
	report(f)
}

func readSnapshot(path string, sealer *crypto.Sealer, name string) error {
	file, frames, err := openFrames(path, sealer, name)
	if err != nil {
		return err
	}
	defer file.Close()
	defer frames.Close()
	if _, err := readSnapshotHead(frames); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, frames)
	return err
}

// saidBy is what one feed says of records.
type saidBy struct {
	of       []saidOf
	resolved []feed.Ref
}

type saidOf struct {
	subject feed.Ref
	statement
}

// all is what is said, by feed, in the order of the feeds' records.
func (s *statements) all() map[feed.Name]saidBy {
	by := map[feed.Name]saidBy{}
	s.of.Range(func(key, value any) bool {
		for _, t := range value.([]statement) {
			b := by[t.by]
			b.of = append(b.of, saidOf{key.(feed.Ref), t})
			by[t.by] = b
		}
		return true
	})
	s.resolved.Range(func(key, value any) bool {
		for _, name := range value.([]feed.Name) {
			b := by[name]
			b.resolved = append(b.resolved, key.(feed.Ref))
			by[name] = b
		}
		return true
	})
	for name, b := range by {
		slices.SortFunc(b.of, func(a, b saidOf) int { return a.at.Position().Compare(b.at.Position()) })
		by[name] = b
	}
	return by
}

// restore takes in what a view's feed said.
func (s *statements) restore(v *view, said saidBy) {
	for _, t := range said.of {
		t.by, t.own = v.name, v.own
		add(&s.mu, &s.of, t.subject, t.statement)
	}
	for _, dispute := range said.resolved {
		add(&s.mu, &s.resolved, dispute, v.name)
	}
}

// write writes them: two numbers, and as many lines of JSON.
func (b saidBy) write(out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "%d %d\n", len(b.of), len(b.resolved))
	enc := json.NewEncoder(w)
	for _, t := range b.of {
		line := saidLine{Op: t.op, At: t.at.String(), Subject: t.subject.String(), Leaf: t.leaf[:], Reason: t.reason}
		if t.ticket != nil {
			line.Ticket = t.ticket[:]
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	for _, dispute := range b.resolved {
		if err := enc.Encode(saidLine{Subject: dispute.String()}); err != nil {
			return err
		}
	}
	return w.Flush()
}

type saidLine struct {
	Op      feed.Op     `json:"op,omitempty"`
	At      string      `json:"at,omitempty"`
	Subject string      `json:"subject"`
	Leaf    []byte      `json:"leaf,omitempty"`
	Reason  feed.Reason `json:"reason,omitempty"`
	Ticket  []byte      `json:"ticket,omitempty"`
}

// readSaid reads what write wrote.
func readSaid(in io.ByteReader) (b saidBy, err error) {
	bad := errors.New("statements that can't be")
	text, err := readSaidLine(in)
	if err != nil {
		return b, err
	}
	var of, resolved uint64
	if _, err := fmt.Sscanf(text, "%d %d\n", &of, &resolved); err != nil {
		return b, bad
	}
	for i := uint64(0); i < of+resolved; i++ {
		if text, err = readSaidLine(in); err != nil {
			return b, err
		}
		var l saidLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return b, bad
		}
		subject, err := feed.ParseRef(l.Subject)
		if err != nil {
			return b, bad
		}
		if i >= of {
			b.resolved = append(b.resolved, subject)
			continue
		}
		t := saidOf{subject, statement{op: l.Op, reason: l.Reason}}
		if t.at, err = feed.ParseRef(l.At); err != nil || len(l.Leaf) != len(t.leaf) || len(l.Ticket) != 0 && len(l.Ticket) != len(feed.Ticket{}) {
			return b, bad
		}
		t.leaf = feed.Digest(l.Leaf)
		if len(l.Ticket) > 0 {
			ticket := feed.Ticket(l.Ticket)
			t.ticket = &ticket
		}
		b.of = append(b.of, t)
	}
	return b, nil
}

func readSaidLine(in io.ByteReader) (string, error) {
	var line strings.Builder
	for line.Len() < maxSaidLine {
		c, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		line.WriteByte(c)
		if c == '\n' {
			return line.String(), nil
		}
	}
	return "", errors.New("a statement that is too long")
}
