package node

import (
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
	"sync"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/match"
)

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
