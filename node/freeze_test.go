package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/policy"
)

// forked is a publisher that runs twice, and a follower of each, who have three items in common: 0, 1 and 2. Then the first lists 3, and
// the second retracts 0.
func forked(t *testing.T, clock *handClock) (p, twin, x, y *handNode) {
	p = newHandNode(t, "hotline.example", RoleHotline, clock)
	x, y = newHandNode(t, "x.example", RoleHost, clock), newHandNode(t, "y.example", RoleHost, clock)
	for n := range 3 {
		p.lists(n)
	}
	twin = p.copied()
	p.lists(3)
	ref, err := feed.ParseRef("hotline.example/known/1#0")
	p.must(err)
	twin.retracts(ref)
	x.follows(p, nil)
	y.follows(twin, nil)
	return p, twin, x, y
}

// evidenceOf is the evidence that two nodes' heads make.
func evidenceOf(t *testing.T, a, b *handNode, name feed.Name) feed.Evidence {
	t.Helper()
	chain, _ := a.store.Chain(name)
	ours, _ := a.store.Head(chain.Newest().Origin())
	theirs, _ := b.store.Head(chain.Newest().Origin())
	ev, err := feed.NewHeadEvidence(chain, ours, theirs, feed.Digest{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if size := len(ev.Bytes()); size > feed.MaxEvidenceOne {
		t.Errorf("evidence of %d bytes", size)
	}
	return ev
}

func itemAt(t *testing.T, h *handNode, name feed.Name, index uint64) feed.ItemID {
	t.Helper()
	r, err := h.store.Record(name.Log(1), index)
	if err != nil {
		t.Fatal(err)
	}
	head, err := feed.ParseHead(r.Head)
	if err != nil {
		t.Fatal(err)
	}
	return head.Item
}

// TestFreeze: a frozen feed adds nothing, matches on, holds what either branch retracts, stays frozen, and thaws by a charter that
// closes the log.
func TestFreeze(t *testing.T) {
	clock := newHandClock()
	p, twin, x, y := forked(t, clock)
	name := p.known()
	ev := evidenceOf(t, x, y, name)
	x.keepEvidence(ev)
	x.branchSeen(name.Log(1), []feed.ItemID{itemAt(t, twin, name, 0), {1, 2, 3}})
	frozen := func(h *handNode) {
		t.Helper()
		f := h.info(p)
		files, err := os.ReadDir(h.Node.dir.evidence())
		if err != nil || len(files) != 1 {
			t.Fatalf("got %v, %v, want one file of evidence", files, err)
		}
		if f.State != "frozen" || !strings.Contains(f.StateText, filepath.Join(h.Node.dir.evidence(), files[0].Name())) {
			t.Errorf("got %s: %s", f.State, f.StateText)
		}
		s, err := h.Status(t.Context())
		h.must(err)
		if len(s.Alarms) != 1 || s.Alarms[0].Code != "evidence" || s.Alarms[0].Feed != string(name) {
			t.Errorf("got alarms %+v", s.Alarms)
		}
		if heads := h.matches(1).Heads; heads[len(heads)-1].State != "frozen" {
			t.Errorf("got heads %+v", heads)
		}
		h.wantVerdict(0, policy.OutcomeReview, policy.Held)
		h.wantVerdict(1, policy.OutcomeBlock, policy.Active)
		h.wantVerdict(3, policy.OutcomeBlock, policy.Active)
	}
	frozen(x)

	// What was on its way when it froze: its additions don't count, its retractions do.
	p.lists(4)
	ref, err := feed.ParseRef("hotline.example/known/1#2")
	p.must(err)
	p.retracts(ref)
	x.carry(p)
	x.wantVerdict(4, policy.OutcomeAllow, "")
	x.wantVerdict(2, policy.OutcomeAllow, "")
	frozen(x)
	x.reopen()
	frozen(x)
	x.wantVerdict(4, policy.OutcomeAllow, "")

	// A second piece changes nothing.
	chain, _ := x.store.Chain(name)
	more, err := feed.NewCharterEvidence(chain, p.nextCharter(func(c *feed.Charter) { c.Version, c.Contact = 1, "somebody else" }))
	p.must(err)
	x.keepEvidence(more)
	frozen(x)

	// A suspension acts.
	if _, err := p.Suspend(t.Context(), []feed.Ref{name.Ref(feed.Position{Log: 1, Index: 1})}); err != nil {
		t.Fatal(err)
	}
	x.carry(p)
	x.wantVerdict(1, policy.OutcomeReview, policy.Suspended)

	// Its publisher signs neither records nor stamps.
	p.keepEvidence(ev)
	clock.advance(2 * time.Hour)
	before, _ := p.store.Head(name.Log(1))
	p.stampDue(t.Context())
	if after, _ := p.store.Head(name.Log(1)); after.Stamp != before.Stamp {
		t.Error("a frozen feed was stamped")
	}
	if _, err := p.Retract(t.Context(), name.Ref(feed.Position{Log: 1, Index: 1}), feed.FalsePositive); err == nil || !strings.Contains(err.Error(), "is frozen: two heads") {
		t.Errorf("got %v, want that it is frozen", err)
	}

	// The file is gone, and it stays frozen.
	kept := x.Node.dir.evidence() + ".kept"
	x.must(os.Rename(x.Node.dir.evidence(), kept))
	x.reopen()
	if f := x.info(p); f.State != "frozen" || !strings.Contains(f.StateText, "is gone") {
		t.Errorf("without the file: got %s: %s", f.State, f.StateText)
	}
	x.must(os.Rename(kept, x.Node.dir.evidence()))

	// The way back: the next charter closes the log.
	closeLog(t, p)
	x.carry(p)
	y.keepEvidence(ev)
	if f := x.info(p); f.State == "frozen" || f.Origin != "hotline.example/known/2" {
		t.Errorf("with the charter that closes the log: got %s, %s: %s", f.Origin, f.State, f.StateText)
	}
	thawed := func(zero policy.Outcome, state policy.State) {
		t.Helper()
		x.wantVerdict(0, zero, state)
		x.wantVerdict(2, policy.OutcomeAllow, "")
		x.wantVerdict(3, policy.OutcomeBlock, policy.Active)
		x.wantVerdict(4, policy.OutcomeBlock, policy.Active)
	}
	thawed(policy.OutcomeReview, policy.Held) // what the other branch retracted is held for 7 days from the next log's opening
	x.reopen()
	thawed(policy.OutcomeReview, policy.Held)
	clock.advance(7*24*time.Hour - time.Second)
	thawed(policy.OutcomeReview, policy.Held)
	clock.advance(time.Second)
	thawed(policy.OutcomeBlock, policy.Active)
	if s, err := x.Status(t.Context()); err != nil || len(s.Alarms) != 1 || s.Alarms[0].Code != "stale" {
		t.Errorf("got alarms %+v, %v; want only that it is stale", s.Alarms, err)
	}

	// Unfollowed and followed anew it is not frozen: the charters say that it is over.
	x.must(x.Unfollow(t.Context(), string(name)))
	x.follows(p, nil)
	if f := x.info(p); f.State == "frozen" {
		t.Errorf("followed anew: got %s: %s", f.State, f.StateText)
	}
}

// closeLog signs the charter that closes a publisher's log where it is, and opens the next.
func closeLog(t *testing.T, p *handNode) {
	t.Helper()
	name := p.known()
	head, _ := p.store.Head(name.Log(1))
	signer, err := crypto.GenerateKey(string(name.Log(2)), crypto.TypeSignature)
	p.must(err)
	stamp, err := crypto.GenerateKey(string(name.Log(2)), crypto.TypeCosignature)
	p.must(err)
	p.signsCharter(func(c *feed.Charter) {
		c.Closed = append(c.Closed, feed.Cut{Size: head.Size, Root: head.Root})
		c.Log, c.Stamp = 2, stamp.Public()
		c.Signer = feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{signer.Public()}}
	})
	chain, _ := p.store.Chain(name)
	b, err := feed.Sign(feed.Signing{Chain: chain, Signers: []crypto.Signer{signer}, Stamp: stamp}, feed.Tree{}, feed.Checkpoint{}, nil, p.clock.now().Unix())
	p.must(err)
	p.must(p.store.Commit(b))
}

// TestFreezeOtherBranch: whoever has the branch that the next charter doesn't go on with fetches the log anew, and is not held any more.
func TestFreezeOtherBranch(t *testing.T) {
	clock := newHandClock()
	p, _, x, y := forked(t, clock)
	y.keepEvidence(evidenceOf(t, x, y, p.known()))
	y.wantVerdict(0, policy.OutcomeAllow, "") // its own branch retracted it
	y.wantVerdict(3, policy.OutcomeAllow, "")
	closeLog(t, p)
	y.carry(p)
	if f := y.info(p); f.State != "ok" {
		t.Errorf("got %s: %s", f.State, f.StateText)
	}
	y.wantVerdict(0, policy.OutcomeBlock, policy.Active)
	y.wantVerdict(3, policy.OutcomeBlock, policy.Active)
}

// TestFreezeByFileAlone: evidence that came with a restored directory, or that a crash left without the store's note, freezes too; a file
// that proves nothing doesn't.
func TestFreezeByFileAlone(t *testing.T) {
	clock := newHandClock()
	p, _, x, y := forked(t, clock)
	name := p.known()
	ev := evidenceOf(t, x, y, name)
	x.must(os.MkdirAll(x.Node.dir.evidence(), 0o700))
	bad := ev.Bytes()
	bad[len(bad)/2] ^= 1
	for file, data := range map[string][]byte{"hotline.example_known-bad": bad, "other.example_known-0": ev.Bytes()} {
		x.must(os.WriteFile(filepath.Join(x.Node.dir.evidence(), file), data, 0o600))
	}
	x.reopen()
	if f := x.info(p); f.State != "ok" {
		t.Errorf("a bad file: got %s: %s", f.State, f.StateText)
	}
	x.must(os.WriteFile(filepath.Join(x.Node.dir.evidence(), "hotline.example_known-good"), ev.Bytes(), 0o600))
	x.reopen()
	if f := x.info(p); f.State != "frozen" || !strings.Contains(f.StateText, "known-good") {
		t.Errorf("a good file: got %s: %s", f.State, f.StateText)
	}
	x.wantVerdict(3, policy.OutcomeBlock, policy.Active)
}

// TestFreezeByCharters: two charters of one version freeze likewise; the next one that is valid after both ends it.
func TestFreezeByCharters(t *testing.T) {
	clock := newHandClock()
	p, x := newHandNode(t, "hotline.example", RoleHotline, clock), newHandNode(t, "x.example", RoleHost, clock)
	name := p.known()
	p.lists(0)
	other := p.nextCharter(func(c *feed.Charter) { c.Contact = "somebody else" })
	p.signsCharter(func(c *feed.Charter) { c.Contact = "desk" })
	x.follows(p, nil)
	chain, _ := x.store.Chain(name)
	ev, err := feed.NewCharterEvidence(chain, other)
	p.must(err)
	x.keepEvidence(ev)
	for range 2 {
		if f := x.info(p); f.State != "frozen" || !strings.Contains(f.StateText, "two charters of hotline.example/known version 2") {
			t.Errorf("got %s: %s", f.State, f.StateText)
		}
		x.wantVerdict(0, policy.OutcomeBlock, policy.Active)
		x.reopen()
	}
	x.branchSeen(name.Log(1), []feed.ItemID{itemAt(t, p, name, 0)}) // a retract under the newest head, which isn't taken in
	x.wantVerdict(0, policy.OutcomeReview, policy.Held)
	p.signsCharter(func(c *feed.Charter) { c.Contact = "desk again" })
	x.carry(p)
	for range 2 {
		if f := x.info(p); f.State != "ok" {
			t.Errorf("with the next charter: got %s: %s", f.State, f.StateText)
		}
		x.wantVerdict(0, policy.OutcomeBlock, policy.Active)
		x.reopen()
	}
}

// TestManyHeld: more items are held than one value of the store takes.
func TestManyHeld(t *testing.T) {
	clock := newHandClock()
	p := newHandNode(t, "hotline.example", RoleHotline, clock)
	origin := p.known().Log(1)
	var ids []feed.ItemID
	for n := range heldChunk + 10 {
		ids = append(ids, feed.ItemID{byte(n), byte(n >> 8)})
	}
	for chunk, some := range [][]feed.ItemID{ids[:heldChunk], ids[heldChunk:]} {
		p.must(p.store.PutCursor(heldCursor(origin, chunk), packHeld(some)))
	}
	got, err := p.readHeld(origin)
	if err != nil || len(got) != len(ids) || got[len(got)-1] != ids[len(ids)-1] {
		t.Errorf("got %d, %v, want %d", len(got), err, len(ids))
	}
	v := p.viewNamed(p.known())
	p.must(p.forgetFreeze(v, v.reading.Load().chain))
	if got, err := p.readHeld(origin); err != nil || len(got) != 0 {
		t.Errorf("forgotten: got %d, %v", len(got), err)
	}
}
