package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"hashfeed/crypto"
	"hashfeed/feed"
)

const (
	testName = feed.Name("eokm.example/known")
	testNow  = int64(1_795_424_400) // 2026-11-23T09:00:00Z
)

func testKey(name string, t crypto.Type, n int) *crypto.PrivateKey {
	return crypto.NewKeyFromSeed(name, t, sha256.Sum256(fmt.Appendf(nil, "store test %s %d %d", name, t, n)))
}

func rootKey(name feed.Name) *crypto.PrivateKey {
	return testKey(string(name)+"/root", crypto.TypeSignature, 1)
}
func signerKey(o feed.Origin) *crypto.PrivateKey { return testKey(string(o), crypto.TypeSignature, 1) }
func stampKey(o feed.Origin) *crypto.PrivateKey  { return testKey(string(o), crypto.TypeCosignature, 1) }
func rosterKey(name feed.Name) *crypto.PrivateKey {
	return testKey(string(name)+"/roster", crypto.TypeSignature, 1)
}
func witnessKey(n int) *crypto.PrivateKey {
	return testKey(fmt.Sprintf("w%d.example/witness", n), crypto.TypeCosignature, n)
}

func testCharter(name feed.Name) feed.Charter {
	roster := rosterKey(name).Public()
	return feed.Charter{
		Feed: name, Version: 1, Expires: testNow + 365*86400, Harm: feed.CSAM, Use: feed.UseMatch,
		Audience: []string{"police"}, Contact: "desk@eokm.example",
		Answer: feed.Term{N: 2, Unit: 'd'}, SoftAge: feed.Term{N: 6, Unit: 'h'}, HardAge: feed.Term{N: 72, Unit: 'h'},
		Root: feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{rootKey(name).Public()}},
		Log:  1, Signer: feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{signerKey(name.Log(1)).Public()}}, Stamp: stampKey(name.Log(1)).Public(),
		Roster: &roster,
		Quorum: &feed.KeyGroup{K: 2, Keys: []crypto.PublicKey{witnessKey(1).Public(), witnessKey(2).Public(), witnessKey(3).Public()}},
	}
}

// extend adds a charter to a chain; nil begins one.
func extend(t testing.TB, chain *feed.Chain, c feed.Charter) *feed.Chain {
	t.Helper()
	note, err := feed.SignCharter(c, rootKey(c.Feed))
	if err != nil {
		t.Fatal(err)
	}
	if chain == nil {
		chain, err = feed.OpenChain(c.Anchor(), [][]byte{note})
	} else {
		chain, err = chain.Extend(note)
	}
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// A publisher is a log in memory: the model that a store is compared with.
type publisher struct {
	t       testing.TB
	chain   *feed.Chain
	tree    feed.Tree
	last    feed.Checkpoint
	records []feed.Record
	roots   []feed.Digest // by size
	now     int64
	salt    uint64
}

func newPublisher(t testing.TB, name feed.Name) *publisher {
	p := &publisher{t: t, chain: extend(t, nil, testCharter(name)), now: testNow}
	p.roots = []feed.Digest{p.tree.Root()}
	return p
}

func (p *publisher) origin() feed.Origin { return p.chain.Newest().Origin() }

// make returns n records: three adds, then a dispute, which has no body, and so on. Item ids and salts count up.
func (p *publisher) make(n int) []feed.Record {
	p.t.Helper()
	records := make([]feed.Record, n)
	for i := range records {
		p.salt++
		var id [16]byte
		binary.BigEndian.PutUint64(id[:], p.salt)
		var body feed.Body
		h := feed.Head{Time: testNow, Op: feed.OpAdd, Item: feed.ItemID(id), Rev: 1}
		if p.salt%4 == 0 {
			h = feed.Head{Time: testNow, Op: feed.OpDispute, Reason: 1, Subject: feed.Subject{Origin: "other.example/known/1", Index: p.salt, Leaf: feed.Digest{1}}}
		} else {
			sum := sha256.Sum256(id[:])
			body = feed.NewBody(id, []feed.Hash{{Alg: feed.SHA256, Value: string(sum[:])}},
				feed.Facts{Verdict: feed.Baseline, Media: feed.Image, VerifiedBy: 2}, nil)
			raw, err := body.Bytes()
			if err != nil {
				p.t.Fatal(err)
			}
			records[i].Body = raw
			h.Body = sha256.Sum256(raw)
		}
		raw, err := h.Bytes()
		if err != nil {
			p.t.Fatal(err)
		}
		records[i].Head = raw
	}
	return records
}

// publish signs n more records; the first batch of a log has none.
func (p *publisher) publish(n int) *feed.Batch {
	p.t.Helper()
	p.now += 10
	o := p.origin()
	records := p.make(n)
	b, err := feed.Sign(feed.Signing{Chain: p.chain, Signers: []crypto.Signer{signerKey(o)}, Stamp: stampKey(o)}, p.tree, p.last, records, p.now)
	if err != nil {
		p.t.Fatal(err)
	}
	p.take(b)
	return b
}

func (p *publisher) take(b *feed.Batch) {
	p.records = append(p.records, b.Records()...)
	tree := b.Before()
	for _, leaf := range b.Leaves() {
		tree.Append(leaf)
		p.roots = append(p.roots, tree.Root())
	}
	p.tree = b.After()
	old := p.last
	p.last, _ = b.Checkpoint()
	if old.Size == p.last.Size && !old.IsZero() { // stamped anew: cosignatures that came stay
		merged, err := p.chain.Merge(old, p.last)
		if err != nil {
			p.t.Fatal(err)
		}
		p.last = merged
	}
}

// cosign returns a batch that adds cosignatures to the last checkpoint.
func (p *publisher) cosign(witnesses ...int) *feed.Batch {
	p.t.Helper()
	var lines []crypto.Line
	for _, n := range witnesses {
		l, err := p.last.Cosign(witnessKey(n), p.now)
		if err != nil {
			p.t.Fatal(err)
		}
		lines = append(lines, l)
	}
	b, err := feed.AdoptCosignatures(p.chain, p.tree, p.last, lines)
	if err != nil {
		p.t.Fatal(err)
	}
	p.last, _ = b.Checkpoint()
	return b
}

// part is what a peer that has everything answers, computed in the most stupid way.
func (p *publisher) part(path string, size uint64) ([]byte, error) {
	part, err := feed.ParsePartPath(path)
	if err != nil {
		return nil, err
	}
	first := part.N * width
	switch part.Kind {
	case feed.PartTile:
		leaves := make([]feed.Digest, 0, size)
		for _, r := range p.records[:size] {
			leaves = append(leaves, feed.LeafHash(r.Head))
		}
		var data []byte
		span := uint64(1) << (8 * part.Level)
		for i := first; i < first+uint64(part.Width); i++ {
			var t feed.Tree
			for _, leaf := range leaves[i*span : (i+1)*span] {
				t.Append(leaf)
			}
			root := t.Root()
			if span == 1 {
				root = leaves[i]
			}
			data = append(data, root[:]...)
		}
		return data, nil
	case feed.PartEntries:
		var items [][]byte
		for _, r := range p.records[first : first+uint64(part.Width)] {
			items = append(items, r.Head)
		}
		return feed.AppendBundle(nil, items)
	}
	var items [][]byte
	for _, r := range p.records[first : first+uint64(part.Width)] {
		items = append(items, r.Body)
	}
	return feed.AppendBundle(nil, items)
}

var testOptions = Options{Key: crypto.SealKey{1, 2, 3}, Reserve: -1}

func create(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Create(dir, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func reopen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func findings(t testing.TB, s *Store) []Finding {
	t.Helper()
	var all []Finding
	if err := s.Fsck(t.Context(), func(f Finding) { all = append(all, f) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func mustBeWhole(t testing.TB, s *Store) {
	t.Helper()
	for _, f := range findings(t, s) {
		t.Errorf("fsck: %s", f)
	}
}

// mustHold compares everything that readers see of the publisher's current log with the publisher.
func mustHold(t testing.TB, s *Store, p *publisher) {
	t.Helper()
	o := p.origin()
	size := uint64(len(p.records))
	tree, ok := s.Tree(o)
	if !ok || tree != p.tree {
		t.Fatalf("tree: got size %d root %x, want size %d root %x", tree.Size(), tree.Root(), p.tree.Size(), p.tree.Root())
	}
	if got := s.Size(o); got != size {
		t.Fatalf("size: got %d, want %d", got, size)
	}
	head, ok := s.Head(o)
	if ok == p.last.IsZero() || string(head.Bytes()) != string(p.last.Bytes()) {
		t.Fatalf("head: got %q, want %q", head.Bytes(), p.last.Bytes())
	}
	var n uint64
	for r, err := range s.Records(o, 0, size+10) {
		if err != nil {
			t.Fatal(err)
		}
		want := p.records[n]
		if r.Index != n || string(r.Head) != string(want.Head) || string(r.Body) != string(want.Body) {
			t.Fatalf("record %d: got %d %x %x, want %x %x", n, r.Index, r.Head, r.Body, want.Head, want.Body)
		}
		n++
	}
	if n != size {
		t.Fatalf("records: got %d, want %d", n, size)
	}
	tail := s.Tail(o)
	if len(tail) != int(size%width) {
		t.Fatalf("tail: got %d heads, want %d", len(tail), size%width)
	}
	for i, head := range tail {
		if want := p.records[size-size%width+uint64(i)].Head; !slices.Equal(head, want) {
			t.Fatalf("tail %d: got %x, want %x", i, head, want)
		}
	}
}
