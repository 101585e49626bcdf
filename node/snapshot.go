package node

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/renameio/v2"

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
