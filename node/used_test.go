package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	p2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
)

// usedNow is the time in the stories of used nodes.
var usedNow = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func usedClock() time.Time { return usedNow }

// usedSize is how many items a used node's first feed has.
const usedSize = 2000

// usedNode makes the directory of a hotline that has been used, as a crash leaves it: two own feeds and one that it follows, some
// thousand records, revised, retracted, disputed, suspended and erased ones among them, members, tokens, receipts and evidence; tables
// that were flushed, and a live write-ahead log.
func usedNode(t testing.TB) (dir string) {
	t.Helper()
	work := fastDir(t)
	dir = filepath.Join(work, "hotline")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	start := func(dir string) *Node {
		t.Helper()
		n, err := Open(dir, Options{Now: usedClock})
		check(err)
		return n
	}
	ctx := context.Background()
	for name, role := range map[string]string{"hotline.example": RoleHotline, "liaison.example": RoleLiaison} {
		_, err := Init(filepath.Join(work, role), InitOptions{Name: name, Role: role, Harm: "csam", Now: usedNow})
		check(err)
	}
	n, other := start(dir), start(filepath.Join(work, RoleLiaison))
	publish := func(n *Node, name string, from, count int) (refs []feed.Ref) {
		t.Helper()
		r := api.Publish{Feed: name, Items: usedItems(from, count)}
		made, err := n.Publish(ctx, r)
		check(err)
		for _, p := range made {
			ref, err := feed.ParseRef(p.Ref)
			if err != nil {
				t.Fatalf("%+v: %v", p, err)
			}
			refs = append(refs, ref)
		}
		return refs
	}
	_, err := n.CreateFeed(ctx, api.CreateFeed{Name: "urgent"})
	check(err)
	refs := publish(n, "known", 0, usedSize)
	publish(n, "urgent", 10_000, 300)
	theirs := publish(other, "", 20_000, 700)
	for i, ref := range refs[:60] {
		switch i % 3 {
		case 0:
			_, err = n.Retract(ctx, ref, feed.FalsePositive)
		case 1:
			_, err = n.Revise(ctx, ref, api.Revision{Severity: 2})
		case 2:
			_, err = n.Dispute(ctx, ref, feed.FalsePositive)
		}
		check(err)
	}
	check(n.store.Erase(refs[0].Origin, refs[0].Index, refs[3].Index, refs[6].Index))
	_, err = other.Retract(ctx, theirs[5], feed.FalsePositive)
	check(err)

	// Followed, and fetched as a peer would.
	id, err := other.Identity(ctx)
	check(err)
	_, err = n.Follow(ctx, api.Follow{Invite: id.Invite, Action: "block"})
	check(err)
	src, ok := other.store.Chain("liaison.example/known")
	if !ok {
		t.Fatal("no chain")
	}
	check(n.store.AddFeed(src))
	origin := src.Newest().Origin()
	head, _ := other.store.Head(origin)
	tree, tail, _ := n.store.Position(origin)
	for b, err := range feed.Verify(src, tree, tail, head, func(path string) ([]byte, error) { return other.store.Part(origin, path, head.Size) }) {
		check(err)
		check(n.store.Commit(b))
	}
	_, err = n.Endorse(ctx, theirs[7])
	check(err)

	for i := range 20 {
		key, err := crypto.GenerateKey("x/node", crypto.TypeSignature)
		check(err)
		_, err = n.AddMember(ctx, api.AddMember{PeerID: peerIDOf(t, key), Name: fmt.Sprintf("host%d.example", i), Contact: "noc@host.example"})
		check(err)
	}
	for _, scope := range []string{"match", "read", "admin"} {
		_, err = n.CreateToken(ctx, api.CreateToken{Name: scope + "-token", Scopes: []string{scope}})
		check(err)
	}
	cosign := func() {
		t.Helper()
		head, _ := n.store.Head(refs[0].Origin)
		for i := range 3 {
			key, err := crypto.GenerateKey(fmt.Sprintf("host%d.example/witness", i), crypto.TypeCosignature)
			check(err)
			line, err := head.Cosign(key, usedNow.Unix())
			check(err)
			check(n.store.PutReceipt(refs[0].Origin, head.Size, line))
		}
	}
	n.alone.Store(true)
	cosign()
	keepFork(t, other, n)
	check(n.Close()) // the memory table is written out
	n = start(dir)
	n.alone.Store(true)
	publish(n, "known", 30_000, 400)
	check(n.Close())
	n = start(dir)
	n.alone.Store(true)
	_, err = n.Suspend(ctx, []feed.Ref{refs[100], refs[101]})
	check(err)
	_, _, err = n.SaveIndex() // what follows is its tail
	check(err)
	late := publish(n, "known", 40_000, 150)
	_, err = n.Retract(ctx, late[0], feed.FalsePositive)
	check(err)
	check(n.store.Erase(late[0].Origin, late[0].Index))
	cosign()
	n.keepConfig()
	crashed := filepath.Join(work, "crashed")
	used, err := readFiles(dir)
	check(err)
	check(used.write(crashed))
	check(n.Close())
	check(other.Close())
	return crashed
}

// keepFork has n keep evidence that a feed of other's has said two things.
func keepFork(t testing.TB, other, n *Node) {
	t.Helper()
	chain, _ := other.store.Chain("liaison.example/known")
	keys, err := other.keys.signing(chain)
	if err != nil {
		t.Fatal(err)
	}
	origin := chain.Newest().Origin()
	head, _ := other.store.Head(origin)
	opened, _ := other.store.Seen(origin, 0)
	var records []feed.Record
	for i := range int(head.Size) {
		d, err := newDraft(usedItems(50_000+i, 1)[0])
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.record(usedNow.Unix())
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	b, err := feed.Sign(keys, feed.Tree{}, opened, records, usedNow.Unix())
	if err != nil {
		t.Fatal(err)
	}
	fork, _ := b.Checkpoint()
	e, err := feed.NewHeadEvidence(chain, head, fork, feed.Digest{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	n.keepEvidence(e)
	if files, err := os.ReadDir(n.dir.evidence()); err != nil || len(files) != 1 {
		t.Fatalf("evidence: got %v %v, want one file", files, err)
	}
}

// fastDir is a temporary folder in memory, if there is room: what is tested isn't whether anything was synced.
func fastDir(t testing.TB) string {
	var st syscall.Statfs_t
	const memory = "/dev/shm"
	if err := syscall.Statfs(memory, &st); err != nil || uint64(st.Bavail)*uint64(st.Bsize) < 2<<30 {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "hashfeed-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// usedItems are items that depend on their numbers alone.
func usedItems(from, count int) (items []api.Item) {
	for i := from; i < from+count; i++ {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		random := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			return b
		}
		sum := sha256.Sum256(random(8))
		items = append(items, api.Item{Verdict: "baseline", Media: "image", VerifiedBy: 2, Hashes: []string{
			fmt.Sprintf("md5:%x", random(16)), fmt.Sprintf("sha1:%x", random(20)), fmt.Sprintf("sha256:%x", sum), fmt.Sprintf("pdq:%x:90", random(32))}})
	}
	return items
}

func peerIDOf(t testing.TB, key *crypto.PrivateKey) string {
	t.Helper()
	private, err := p2pcrypto.UnmarshalEd25519PrivateKey(key.Ed25519())
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}
