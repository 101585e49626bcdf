package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/marcopolo/simnet"

	"hashfeed/feed"
	"hashfeed/node/gossip"
)

// simNode is a whole node of a simulation: its directory, which outlasts it, and the Node while it runs.
type simNode struct {
	w    *simWorld
	name string
	ip   string
	dir  string
	runs int
	skew time.Duration
	node *Node // nil while it is down
	net  *network

	mu       sync.Mutex
	evidence map[feed.Name]bool       // of which this run holds evidence
	seen     map[feed.Name]mark       // the newest of each feed that was ever seen here
	frozen   map[feed.Name]*stillness // what stood when its evidence was first seen
	obeyed   map[feed.Ref]uint64      // by item: the index of the retraction that was seen to act here
}

// mark is how far a node is with a feed.
type mark struct {
	size            uint64
	stamp           int64
	charter, roster int
}

func (m mark) behind(o mark) bool {
	return m.size < o.size || m.size == o.size && m.stamp < o.stamp || m.charter < o.charter || m.roster < o.roster
}

// simEpoch is when every bubble's clock starts.
var simEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// simRoot is where the directories of simulated nodes lie: in memory where there is such a place, since nothing here is about power
// cuts. New nodes are copies of directories made once: making keys and stores takes longer.
type simRoot struct {
	dir  string
	mu   sync.Mutex
	made map[string]simTemplate
}

type simTemplate struct {
	Made
	dir string
}

// simRoom is the free space that memory must have: some hundred nodes at 200 KiB, and the reserve that each demands.
const simRoom = 1 << 30

func newSimRoot() (*simRoot, error) {
	parent := "/dev/shm"
	var st syscall.Statfs_t
	if err := syscall.Statfs(parent, &st); err != nil || st.Bavail*uint64(st.Bsize) < simRoom {
		parent = "" // what $TMPDIR says
	}
	dir, err := os.MkdirTemp(parent, "hashfeed-simulation-")
	return &simRoot{dir: dir, made: map[string]simTemplate{}}, err
}

// template returns the directory of a new node, to be copied. label tells nodes of one name apart.
func (r *simRoot) template(label, name, role string) (simTemplate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	label += "-" + role
	made, ok := r.made[label]
	if !ok {
		var err error
		made.dir = filepath.Join(r.dir, "template-"+label)
		if made.Made, err = Init(made.dir, InitOptions{Name: name, Role: role, Harm: "csam", Now: simEpoch}); err != nil {
			return simTemplate{}, err
		}
		r.made[label] = made
	}
	return made, nil
}

// start opens the node and joins the network.
func (n *simNode) start() error {
	if err := n.open(); err != nil {
		return err
	}
	return n.join()
}

func (n *simNode) open() (err error) {
	n.node, err = Open(n.dir, Options{Now: n.now, Logger: n.w.logger(n), network: n.network})
	if err == nil && n.w.bug.derived != nil {
		n.w.bug.derived(n.node)
	}
	return err
}

func (n *simNode) join() (err error) {
	n.net, err = n.node.join([]string{"/ip4/" + n.ip + "/udp/4480/quic-v1"})
	return err
}

func (n *simNode) now() time.Time { return time.Now().Add(n.skew) }

// network puts the simulated network, and a bug, into what the node makes its network of.
func (n *simNode) network(o *gossip.Options) {
	o.Libp2p = append(o.Libp2p, n.w.net.host())
	if n.w.bug.network != nil {
		n.w.bug.network(n, o)
	}
	keep := o.OnEvidence
	o.OnEvidence = func(e feed.Evidence) {
		n.mu.Lock()
		n.evidence[e.Feed] = true
		n.mu.Unlock()
		keep(e)
	}
}

// leave takes the node off the network.
func (n *simNode) leave() error {
	if n.net == nil {
		return nil
	}
	n.node.network.Store(nil)
	err := n.net.Close()
	n.net = nil
	return err
}

// stop ends the node in order.
func (n *simNode) stop() error {
	if n.node == nil {
		return nil
	}
	err := n.leave()
	err = errors.Join(err, n.node.Close())
	n.node = nil
	return err
}

// crash ends the node as SIGKILL does: what it comes up with again is what was on the disk at that moment.
func (n *simNode) crash() error {
	if n.node == nil {
		return nil
	}
	synctest.Wait() // nobody is in the middle of a write; that is the harness of the store's part
	n.runs++
	left := fmt.Sprintf("%s.%d", n.dir, n.runs)
	from := n.dir
	if n.w.bug.disk != nil {
		from = n.w.bug.disk(n)
	}
	if err := copyDir(left, from); err != nil {
		return err
	}
	err := n.stop()
	err = errors.Join(err, os.RemoveAll(n.dir))
	n.dir = left
	return err
}

// head is how far the node is with a feed; ok is false where it has nothing of it.
func (n *simNode) head(name feed.Name) (m mark, ok bool) {
	v := n.node.viewNamed(name)
	if v == nil {
		return m, false
	}
	r := v.reading.Load()
	m = mark{size: r.head.Size, stamp: r.head.Stamp, charter: r.chain.Newest().Version}
	if roster, ok := n.node.store.Roster(name); ok {
		m.roster = roster.Version
	}
	return m, true
}

// copyDir copies a folder; holes in files stay holes.
func copyDir(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copyFile(target, path)
	})
}

// Where data and holes begin (lseek).
const (
	seekData = 3
	seekHole = 4
)

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		begin, err := in.Seek(at, seekData)
		if err != nil {
			return nil // ENXIO: a hole up to the end
		}
		end, err := in.Seek(begin, seekHole)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(out, begin), io.NewSectionReader(in, begin, end-begin)); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// logger discards what the node says unless HASHFEED_SIMLOG asks for it.
func (w *simWorld) logger(n *simNode) *slog.Logger {
	if os.Getenv("HASHFEED_SIMLOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", n.name)
}

// simNode is a node that isn't started, at the i'th address.
func (w *simWorld) simNode(name string, i int, dir string) *simNode {
	return &simNode{w: w, name: name, ip: simnet.IntToPublicIPv4(i).String(), dir: filepath.Join(w.dir, dir), evidence: map[feed.Name]bool{},
		seen: map[feed.Name]mark{}, frozen: map[feed.Name]*stillness{}, obeyed: map[feed.Ref]uint64{}}
}

// newSimNode makes a node's directory.
func (w *simWorld) newSimNode(t *testing.T, i int, role string) *simNode {
	t.Helper()
	name := simName(i)
	made, err := w.root.template(name, name, role)
	if err != nil {
		t.Fatal(err)
	}
	n := w.simNode(name, i, name)
	if err := copyDir(n.dir, made.dir); err != nil {
		t.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	return n
}

func simName(i int) string { return fmt.Sprintf("n%d.example", i) }
