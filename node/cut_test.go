package node

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// stranger is another node's feed as its own publisher, or a thief with its keys, signs it.
type stranger struct {
	t     *testing.T
	chain *feed.Chain
	keys  feed.Signing
	tree  feed.Tree
	last  feed.Checkpoint
	now   int64
	log1  []feed.Digest // roots by size
}

const strangeFeed feed.Name = "other.example/known"

func strangeKey(name string, kind crypto.Type) *crypto.PrivateKey {
	return crypto.NewKeyFromSeed(name, kind, sha256.Sum256(fmt.Appendf(nil, "%s %d", name, kind)))
}

func newStranger(t *testing.T, now time.Time) *stranger {
	s := &stranger{t: t, now: now.Unix(), log1: []feed.Digest{feed.Tree{}.Root()}}
	c := newCharter(strangeFeed, "csam", "", nil, now)
	c.Root = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{strangeKey(string(strangeFeed)+"/root", crypto.TypeSignature).Public()}}
	s.law(c)
	return s
}

// law signs a charter, which names fresh keys for its log.
func (s *stranger) law(c feed.Charter) {
	s.t.Helper()
	origin := string(c.Origin())
	signer, stamp := strangeKey(origin, crypto.TypeSignature), strangeKey(origin, crypto.TypeCosignature)
	c.Signer, c.Stamp = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{signer.Public()}}, stamp.Public()
	note, err := feed.SignCharter(c, strangeKey(string(strangeFeed)+"/root", crypto.TypeSignature))
	if err == nil && s.chain == nil {
		s.chain, err = feed.OpenChain(c.Anchor(), [][]byte{note})
	} else if err == nil {
		s.chain, err = s.chain.Extend(note)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.keys = feed.Signing{Chain: s.chain, Stamp: stamp}
	s.keys.Signers = append(s.keys.Signers, signer)
	s.tree, s.last = feed.Tree{}, feed.Checkpoint{}
}

// closes ends log 1 at a size.
func (s *stranger) closes(size int) {
	s.t.Helper()
	c := s.chain.Newest()
	c.Version++
	c.Closed, c.Log = append(c.Closed, feed.Cut{Size: uint64(size), Root: s.log1[size]}), c.Log+1
	s.law(c)
}

// lists signs adds of things by number; none: the opening.
func (s *stranger) lists(things ...int) *feed.Batch {
	s.t.Helper()
	var records []feed.Record
	for _, n := range things {
		sum := md5.Sum(fmt.Appendf(nil, "thing %d", n))
		h, err := feed.NewHash(feed.MD5, sum[:], 0)
		if err != nil {
			s.t.Fatal(err)
		}
		body := feed.NewBody(sum, []feed.Hash{h}, feed.Facts{Verdict: feed.Baseline, Media: feed.Image, VerifiedBy: 2}, nil)
		raw, err := body.Bytes()
		if err != nil {
			s.t.Fatal(err)
		}
		head, err := (feed.Head{Op: feed.OpAdd, Time: 1, Item: feed.ItemID(sum), Rev: 1, Body: sha256.Sum256(raw)}).Bytes()
		if err != nil {
			s.t.Fatal(err)
		}
		records = append(records, feed.Record{Head: head, Body: raw})
	}
	s.now++
	b, err := feed.Sign(s.keys, s.tree, s.last, records, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.tree = b.After()
	s.last, _ = b.Checkpoint()
	if s.chain.Newest().Log == 1 {
		tree := b.Before()
		for _, leaf := range b.Leaves() {
			tree.Append(leaf)
			s.log1 = append(s.log1, tree.Root())
		}
	}
	return b
}

// TestClosedBelow: a followed log is closed where ours differs, is longer, or has other records. What a thief listed matches no more, at once; what the
// charter closed matches when it has been fetched anew; and the next log's records wait for it.
func TestClosedBelow(t *testing.T) {
	for _, story := range []struct {
		name          string
		common        []int // what the publisher listed before the theft
		ours, honest  []int // what went on from there: here, and at the publisher
		cut           int
		aside, waited bool
	}{
		{"as long as the cut", []int{0}, []int{10, 11}, []int{1, 2}, 3, true, false},
		{"longer than the cut", []int{0}, []int{10, 11, 12}, []int{1, 2}, 3, true, false},
		{"ours, and more", []int{0, 1, 2}, []int{10}, nil, 3, false, false},
		{"found out after the next log has come", []int{0}, []int{10}, []int{1, 2}, 3, true, true},
	} {
		t.Run(story.name, func(t *testing.T) {
			d := newDesk(t)
			config, err := LoadConfig(d.Node.dir.config())
			d.must(err)
			s := newStranger(t, d.clock)
			config.Follow = append(config.Follow, Follow{Feed: string(strangeFeed), Anchor: s.chain.Anchor().String(), Verdicts: []string{"baseline"},
				Action: "block", ActionNear: "block", ActionWeak: "block"}.withDefaults())
			d.Node.config.Store(&config)
			d.must(d.store.AddFeed(s.chain))
			for _, b := range []*feed.Batch{s.lists(), s.lists(story.common...)} {
				d.must(d.store.Commit(b))
			}
			thief := *s
			thief.log1 = nil
			d.must(d.store.Commit(thief.lists(story.ours...)))
			d.want("before", map[int]string{0: "block active", 10: "block active"})
			if len(story.honest) > 0 {
				s.lists(story.honest...)
			}
			honest := append(story.common[:len(story.common):len(story.common)], story.honest...)
			s.closes(story.cut)
			d.must(d.store.SetChain(s.chain))
			if story.waited { // our copy is shorter than the cut: the network finds out when it fetches the rest
				d.must(d.store.SetAside(strangeFeed.Log(1)))
			}
			gone := map[int]string{10: "allow", 11: "allow", 12: "allow"}
			d.want("closed", gone)
			if got := d.store.Size(strangeFeed.Log(1)) == 0; got != story.aside {
				t.Errorf("set aside: %v, want %v", got, story.aside)
			}
			next := *s
			for _, b := range []*feed.Batch{next.lists(), next.lists(20)} {
				d.must(d.store.Commit(b))
			}
			if story.aside {
				d.want("while it is fetched", map[int]string{0: "allow", 20: "allow"})
				d.must(d.store.Commit(refetched(t, s.chain, honest)))
			}
			want := map[int]string{20: "block active"}
			for _, n := range honest {
				want[n] = "block active"
			}
			d.want("fetched", want)
			d.want("fetched", gone)
			if n := d.tables("md5"); n != len(honest)+1 {
				t.Errorf("got %d hashes in the table, want %d", n, len(honest)+1)
			}
			d.must(d.store.Commit(next.lists(21)))
			d.want("and on", map[int]string{21: "block active"})
			d.reopen()
			d.Node.config.Store(&config)
			d.decide()
			d.want("started again", want)
			d.want("started again", gone)
			if got := d.viewNamed(strangeFeed).state.Size(2); got != 2 {
				t.Errorf("got %d records of the next log, want 2", got)
			}
		})
	}
}

// refetched is a closed log as it comes from peers: verified against the cut alone.
func refetched(t *testing.T, chain *feed.Chain, things []int) *feed.Batch {
	t.Helper()
	s := newStranger(t, time.Unix(chain.First().Expires, 0).AddDate(-charterYears, 0, 0))
	first := s.lists()
	b := s.lists(things...)
	end, _ := chain.ClosedHead(1)
	e, err := feed.NewExtension(chain, first.After(), nil, end)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.SetOutline(func(path string) ([]byte, error) { // one partial tile of leaves
		var tile []byte
		for _, leaf := range b.Leaves() {
			tile = append(tile, leaf[:]...)
		}
		return tile, nil
	}); err != nil {
		t.Fatal(err)
	}
	var heads, bodies [][]byte
	for _, r := range b.Records() {
		heads, bodies = append(heads, r.Head), append(bodies, r.Body)
	}
	pack := func(items [][]byte) []byte {
		data, err := feed.AppendBundle(nil, items)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	bundle, err := e.Check(0, pack(heads), pack(bodies))
	if err != nil {
		t.Fatal(err)
	}
	batch, err := e.Batch(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}
