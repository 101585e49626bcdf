package node

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// handClock is a clock that a test sets, forwards and back.
type handClock struct{ unix atomic.Int64 }

func newHandClock() *handClock {
	c := &handClock{}
	c.unix.Store(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Unix())
	return c
}

func (c *handClock) now() time.Time           { return time.Unix(c.unix.Load(), 0) }
func (c *handClock) advance(by time.Duration) { c.unix.Add(int64(by / time.Second)) }

// handNode is a node whose feeds are carried by hand, without a network.
type handNode struct {
	*Node
	t     *testing.T
	dir   string
	clock *handClock
}

// newHandNode makes a node and opens it.
func newHandNode(t *testing.T, name, role string, clock *handClock) *handNode {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "node")
	if _, err := Init(dir, InitOptions{Name: name, Role: role, Harm: "csam", Now: clock.now()}); err != nil {
		t.Fatal(err)
	}
	h := &handNode{t: t, dir: dir, clock: clock}
	h.open()
	t.Cleanup(func() { h.close() })
	return h
}

func (h *handNode) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *handNode) open() {
	h.t.Helper()
	n, err := Open(h.dir, Options{Now: h.clock.now})
	h.must(err)
	h.Node = n
}

func (h *handNode) close() {
	if h.Node != nil {
		h.must(h.Node.Close())
		h.Node = nil
	}
}

func (h *handNode) reopen() {
	h.t.Helper()
	h.close()
	h.open()
}

// copied opens a copy of a node's directory.
func (h *handNode) copied() *handNode {
	h.t.Helper()
	h.close()
	dir := filepath.Join(h.t.TempDir(), "copy")
	h.must(os.CopyFS(dir, os.DirFS(h.dir)))
	h.must(filepath.WalkDir(filepath.Join(dir, "keys"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600) // which CopyFS forgets
		}
		return err
	}))
	h.open()
	c := &handNode{t: h.t, dir: dir, clock: h.clock}
	c.open()
	h.t.Cleanup(func() { c.close() })
	return c
}

// knownOf is the one feed that a node publishes.
func (h *handNode) known() feed.Name {
	h.t.Helper()
	v, err := h.findView("")
	h.must(err)
	return v.name
}

// follows has a node follow a publisher's feed, and trust it for everything.
func (h *handNode) follows(p *handNode, change func(*Follow)) {
	h.t.Helper()
	name := p.known()
	chain, _ := p.store.Chain(name)
	f := Follow{Feed: string(name), Anchor: chain.Anchor().String(), Verdicts: []string{"baseline", "national"},
		Action: policy.Block, ActionNear: policy.Block, ActionWeak: policy.Block}.withDefaults()
	if change != nil {
		change(&f)
	}
	h.must(AppendFollow(h.dir+"/hashfeed.toml", f))
	h.must(h.Reload())
	h.carry(p)
}

// carry brings a node's copy of p's feed to what p has.
func (h *handNode) carry(p *handNode) {
	h.t.Helper()
	h.must(carryFeed(p.store, h.store, p.known()))
}

func carryFeed(from, to *store.Store, name feed.Name) error {
	chain, ok := from.Chain(name)
	if !ok {
		return fmt.Errorf("no feed %s", name)
	}
	if err := to.AddFeed(chain); err != nil { // or go on to newer charters
		return err
	}
	for log := 1; log <= chain.Newest().Log; log++ {
		origin := name.Log(log)
		tree, tail, _ := to.Position(origin)
		head, ok := from.Head(origin)
		if _, closed := chain.Cut(log); !ok || closed {
			if head, ok = chain.ClosedHead(log); !ok || tree.Size() >= head.Size {
				continue
			}
		}
		for b, err := range feed.Verify(chain, tree, tail, head, func(path string) ([]byte, error) { return from.Part(origin, path, head.Size) }) {
			if err == nil {
				err = to.Commit(b)
			}
			if err != nil {
				return err
			}
		}
		if err := carryCosignatures(from, to, chain, origin); err != nil {
			return err
		}
	}
	for _, s := range from.Suspensions(name) {
		if err := to.Suspend(s); err != nil {
			return err
		}
	}
	return nil
}

// carryCosignatures carries the lines of named witnesses over sizes that are past, as heads that are pushed for them do.
func carryCosignatures(from, to *store.Store, chain *feed.Chain, origin feed.Origin) error {
	var tree feed.Tree
	for _, size := range from.SeenSizes(origin) {
		for r, err := range from.Records(origin, tree.Size(), size-tree.Size()) {
			if err != nil {
				return err
			}
			tree.Append(feed.LeafHash(r.Head))
		}
		cp, ok := from.Seen(origin, size)
		if !ok || len(cp.Cosigned) == 0 {
			continue
		}
		b, err := feed.AdoptCosignatures(chain, tree, cp, nil)
		if err == nil {
			err = to.Commit(b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lists publishes an item with the n'th MD5, and returns its reference.
func (h *handNode) lists(n int) feed.Ref {
	h.t.Helper()
	made, err := h.Publish(api.WithAlone(h.t.Context()), api.Publish{Items: []api.Item{{Hashes: []string{md5Of(n)}, Verdict: "baseline", VerifiedBy: 2, Media: "image"}}})
	h.must(err)
	ref, err := feed.ParseRef(made[0].Ref)
	h.must(err)
	return ref
}

func md5Of(n int) string { return fmt.Sprintf("md5:%032x", uint64(n)+0x0123456789abcdef) }

func (h *handNode) retracts(ref feed.Ref) {
	h.t.Helper()
	_, err := h.Retract(api.WithAlone(h.t.Context()), ref, feed.FalsePositive)
	h.must(err)
}

// matches asks a node what it says of the n'th MD5.
func (h *handNode) matches(n int) policy.Verdict {
	h.t.Helper()
	hash, err := feed.ParseHash(md5Of(n))
	h.must(err)
	v, err := h.Match(h.t.Context(), []feed.Hash{hash}, false)
	h.must(err)
	return v[0]
}

// wantVerdict compares what a node says of the n'th MD5; state "" where nothing matches.
func (h *handNode) wantVerdict(n int, verdict policy.Outcome, state policy.State) {
	h.t.Helper()
	v := h.matches(n)
	got := policy.State("")
	if len(v.Matches) > 0 {
		got = v.Matches[0].State
	}
	if v.Verdict != verdict || got != state {
		h.t.Errorf("hash %d: got %s, %q, want %s, %q", n, v.Verdict, got, verdict, state)
	}
}

// info is what a node says of p's feed.
func (h *handNode) info(p *handNode) api.FeedInfo {
	h.t.Helper()
	f, err := h.Feed(h.t.Context(), string(p.known()))
	h.must(err)
	return f
}

// signsCharter signs the next charter of a node's own feed, changed, and stores it.
func (h *handNode) signsCharter(change func(*feed.Charter)) []byte {
	h.t.Helper()
	note := h.nextCharter(change)
	chain, _ := h.store.Chain(h.known())
	longer, err := chain.Extend(note)
	h.must(err)
	h.must(h.store.SetChain(longer))
	return note
}

func (h *handNode) nextCharter(change func(*feed.Charter)) []byte {
	h.t.Helper()
	name := h.known()
	chain, _ := h.store.Chain(name)
	c := chain.Newest()
	c.Version++
	change(&c)
	root, err := h.keys.load(h.Node.dir.rootKey(name), string(name)+"/root")
	h.must(err)
	note, err := feed.SignCharter(c, root)
	h.must(err)
	return note
}

// cosigns adds a witness's cosignature to p's feed at a size, as a delivered one is.
func (h *handNode) cosigns(p *handNode, size uint64) {
	h.t.Helper()
	chain, _ := p.store.Chain(p.known())
	origin := chain.Newest().Origin()
	cp, ok := p.store.Seen(origin, size)
	if !ok {
		h.t.Fatalf("no checkpoint of size %d", size)
	}
	line, err := cp.Cosign(h.keys.witness, h.clock.now().Unix())
	h.must(err)
	h.must(p.store.PutReceipt(origin, size, line))
	var tree feed.Tree
	for r, err := range p.store.Records(origin, 0, size) {
		h.must(err)
		tree.Append(feed.LeafHash(r.Head))
	}
	b, err := feed.AdoptCosignatures(chain, tree, cp, []crypto.Line{line})
	h.must(err)
	h.must(p.store.Commit(b))
}
