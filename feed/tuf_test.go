package feed

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"hashfeed/crypto"
)

// The attacks that TUF's client workflow (specification 1.0, §5.3 to §5.5) is made against, one by one, on what we have in the place of its
// metadata: charters are its root role, checkpoints its timestamp, snapshot and targets. Between real nodes they are played in package
// gossip (closed_test.go) and in cmd/hashfeed/testdata/charter.txt.

// visitor is a follower that comes by from time to time and takes the charters that are new to it, in the order in which they are handed out.
type visitor struct {
	t     *testing.T
	chain *Chain
}

func newVisitor(t *testing.T) *visitor { return &visitor{t, testChain(t, 1)} }

// takes wants every charter to be taken.
func (v *visitor) takes(notes ...[]byte) {
	v.t.Helper()
	for _, note := range notes {
		next, err := v.chain.Extend(note)
		if err != nil {
			v.t.Fatalf("got %v, want version %d to be taken", err, v.chain.Newest().Version+1)
		}
		v.chain = next
	}
}

// refuses wants a charter to be refused, with the reason, and nothing to change.
func (v *visitor) refuses(note []byte, why string) {
	v.t.Helper()
	before := v.chain.String()
	next, err := v.chain.Extend(note)
	if err == nil || !strings.Contains(err.Error(), why) || next != nil {
		v.t.Errorf("got %v, %v, want an error with %q", next, err, why)
	}
	if v.chain.String() != before {
		v.t.Errorf("got %v, want %s as before", v.chain, before)
	}
}

// then is the next charter with a change.
func then(c Charter, change func(*Charter)) Charter {
	c = nextCharter(c)
	change(&c)
	return c
}

// §5.3.5, rollback: "the version number of the new root metadata MUST be exactly the version in the trusted root metadata incremented by 1".
func TestTUFRollback(t *testing.T) {
	v, notes := newVisitor(t), testNotes(t)
	v.takes(notes[1], notes[2])
	v.takes(notes[1], notes[0]) // what we hold, handed out again, is nothing new and no offence
	if got := v.chain.Newest().Version; got != 3 {
		t.Fatalf("got version %d, want 3", got)
	}
	// An older law that was never in force here, signed by the right keys.
	other := testCharters(t)[1]
	other.Contact = "another"
	_, err := v.chain.Extend(signed(t, other, 1, 2))
	if _, ok := errors.AsType[*ForkError](err); !ok {
		t.Errorf("another text of version 2: got %v, want evidence", err)
	}
	// Who has pinned version 2 doesn't go back to version 1.
	late, err := OpenChain(testCharters(t)[1].Anchor(), notes[1:2])
	if err != nil {
		t.Fatal(err)
	}
	(&visitor{t, late}).refuses(notes[0], "version isn't the last + 1")
}

// §5.3.5 and fast-forward, §5.3.11: a version that isn't the next one is not believed, however well it is signed.
func TestTUFSkippedVersion(t *testing.T) {
	v, notes := newVisitor(t), testNotes(t)
	v.refuses(notes[2], "version isn't the last + 1")
	for _, version := range []int{3, 4, MaxCharters} {
		v.refuses(signed(t, then(firstCharter(), func(c *Charter) { c.Version = version }), 1, 2, 3), "version isn't the last + 1")
	}
	v.takes(notes[1], notes[2])
}

// §5.3.4, arbitrary software: "signed by a threshold of keys specified in the trusted root metadata file and a threshold of keys specified in the
// new root metadata file".
func TestTUFBelowThreshold(t *testing.T) {
	v := newVisitor(t)
	c2 := testCharters(t)[1]
	v.refuses(signed(t, c2, 1), "too few of its own roots")
	v.refuses(signed(t, c2, 3), "too few of its own roots")
	twice := signedText(t, c2.text(), rootKey(1), rootKey(1))
	v.refuses(twice, "two lines of one known key") // one person twice is one person
	renamed := testKey(string(testFeed)+"/root", crypto.TypeSignature, 4)
	v.refuses(signedText(t, c2.text(), rootKey(1), renamed), "too few of its own roots")
	v.takes(signed(t, c2, 1, 3))
	// A threshold can't be lowered by less than the threshold that holds.
	lower := then(c2, func(c *Charter) { c.Root = KeyGroup{1, publicKeys(rootKey(1))} })
	v.refuses(signed(t, lower, 1), "too few of the last version's roots")
	v.takes(signed(t, lower, 1, 2))
}

// §5.3.4: new roots alone can't take a feed over.
func TestTUFNotSignedByPreviousRoot(t *testing.T) {
	v := newVisitor(t)
	taken := then(firstCharter(), func(c *Charter) { c.Root = KeyGroup{2, publicKeys(rootKey(7), rootKey(8), rootKey(9))} })
	v.refuses(signed(t, taken, 7, 8, 9), "too few of the last version's roots")
	v.refuses(signed(t, taken, 1, 7, 8), "too few of the last version's roots")
	v.refuses(signed(t, taken, 1, 2), "too few of its own roots")
	v.refuses(signed(t, taken, 1, 2, 7), "too few of its own roots")
	v.takes(signed(t, taken, 1, 2, 7, 9))
	// And from then on the old ones can't take it back.
	v.refuses(signed(t, then(taken, func(c *Charter) { c.Root = firstCharter().Root }), 1, 2, 3), "too few of the last version's roots")
}

// §5.3.2 to §5.3.9: who was away while the roots were rotated twice follows each step, and can't leave one out.
func TestTUFRootRotationTwiceBetweenVisits(t *testing.T) {
	second := then(firstCharter(), func(c *Charter) { c.Root = KeyGroup{1, publicKeys(rootKey(4))} })
	third := then(second, func(c *Charter) { c.Root = KeyGroup{2, publicKeys(rootKey(5), rootKey(6))} })
	last := then(third, func(c *Charter) { c.Contact = "after both" })
	notes := [][]byte{signed(t, second, 1, 2, 4), signed(t, third, 4, 5, 6), signed(t, last, 5, 6)}
	v := newVisitor(t)
	v.refuses(notes[1], "too few of the last version's roots")
	v.refuses(notes[2], "too few of the last version's roots")
	forged := signed(t, third, 1, 2, 3, 5, 6)
	v.refuses(forged, "version isn't the last + 1")
	v.takes(notes[0])
	v.refuses(forged, "too few of the last version's roots") // the anchor's roots don't speak for version 2's
	v.takes(notes[1:]...)
	if got := v.chain.Newest().Contact; got != "after both" {
		t.Errorf("got contact %q", got)
	}
	again, err := OpenChain(firstCharter().Anchor(), v.chain.Notes())
	if err != nil || again.String() != v.chain.String() {
		t.Errorf("opened from what was kept: got %v, %v", again, err)
	}
}

// §5.3.10, freeze: an expired charter verifies its successor ("the expiration of the new (intermediate) root metadata file does not matter yet"), but
// additions under it don't count.
func TestTUFExpired(t *testing.T) {
	v := newVisitor(t)
	expired := then(firstCharter(), func(c *Charter) { c.Expires = testNow - 86400 })
	v.takes(signed(t, expired, 1, 2))
	heads := []Checkpoint{{Origin: testFeed.Log(1), Size: 7, Stamp: testNow - 2*86400}, {Origin: testFeed.Log(1), Size: 9, Stamp: testNow}}
	if got := v.chain.AdditionLimit(heads, testNow); got != 7 {
		t.Errorf("expired: %d records count for additions, want the 7 that were stamped in time", got)
	}
	// A retraction acts nevertheless: the limit is on additions alone.
	s := newStory(t, v.chain.Newest().Rules())
	s.put(1, addOf(1, listing(1)), addOf(2, listing(2)), retractOf(1, 2, Position{1, 0}))
	for item, want := range map[uint32]Status{0: Retracted, 1: Active} {
		if got := s.At(item, 2, testNow).Status; got != want {
			t.Errorf("item %d: got %v, want %v", item, got, want)
		}
	}
	v.takes(signed(t, then(expired, func(c *Charter) { c.Expires = testNow + 86400 }), 1, 2))
	if got := v.chain.AdditionLimit(heads, testNow); got != math.MaxUint64 {
		t.Errorf("renewed: %d records count for additions, want all", got)
	}
}

// §5.3.4, arbitrary software: what the right keys have signed is only taken as what it says it is.
func TestTUFArbitraryText(t *testing.T) {
	v := newVisitor(t)
	c2 := testCharters(t)[1]
	for _, text := range []string{
		"anything at all\n",
		"hashfeed-charter/v1\n",
		"hashfeed-charter/v2\n" + strings.TrimPrefix(c2.text(), "hashfeed-charter/v1\n"),
		c2.text() + "x-late\n",
		strings.Replace(c2.text(), "use match\n", "use match\nuse review\n", 1),
		strings.Replace(c2.text(), "version 2", "version  2", 1),
		string(checkpointText(testFeed.Log(1), 5, Digest{1})),
		string(suspensionText(testFeed, testNow, []Position{{1, 1}})),
	} {
		v.refuses(signedText(t, text, rootKey(1), rootKey(2), rootKey(3)), "")
	}
	// A single byte of what was signed, changed: another text, which nobody has signed.
	good := signed(t, c2, 1, 2)
	for i := range c2.text() {
		m := bytes.Clone(good)
		m[i] ^= 1
		if next, err := v.chain.Extend(m); err == nil {
			t.Errorf("byte %d changed: got %v, want an error", i, next)
		}
	}
	v.takes(good)
}

// §5.5.5, mix and match: parts that were signed for another feed, or another log, are not taken for this one's, not even with the same bare keys.
func TestTUFMixAndMatch(t *testing.T) {
	const otherFeed Name = "other.example/known"
	under := func(k *crypto.PrivateKey, name string) *crypto.PrivateKey {
		return crypto.NewKeyFromSeed(name, k.Public().Type, [32]byte(k.Ed25519().Seed()))
	}
	rename := func(c Charter) Charter {
		c = c.clone()
		c.Feed = otherFeed
		for i, k := range c.Root.Keys {
			k.Name = string(otherFeed) + "/root"
			c.Root.Keys[i] = k
		}
		for i, k := range c.Signer.Keys {
			k.Name = string(otherFeed.Log(1))
			c.Signer.Keys[i] = k
		}
		c.Stamp.Name, c.Roster.Name = string(otherFeed.Log(1)), string(otherFeed)+"/roster"
		return c
	}
	var roots []*crypto.PrivateKey
	for n := range 3 {
		roots = append(roots, under(rootKey(n+1), string(otherFeed)+"/root"))
	}
	theirs, err := SignCharter(rename(testCharters(t)[1]), roots...)
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t)
	v.refuses(theirs, "too few of the last version's roots")
	// With lines of our roots' names on it, too: they are on another text's.
	note, err := crypto.ParseNote(theirs)
	if err != nil {
		t.Fatal(err)
	}
	note.Lines = append(note.Lines, lineOf(t, rootKey(1), string(note.Text), 0), lineOf(t, rootKey(2), string(note.Text), 0))
	v.refuses(note.Bytes(), "feed, harm or use changed")

	// A head of the other feed, by the same bare keys.
	first, err := SignCharter(rename(firstCharter()), roots...)
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenChain(rename(firstCharter()).Anchor(), [][]byte{first})
	if err != nil {
		t.Fatal(err)
	}
	head, err := signCheckpoint(other, otherFeed.Log(1), 3, Digest{1}, []crypto.Signer{under(signerKey(1, 1), string(otherFeed.Log(1)))},
		under(stampKey(1), string(otherFeed.Log(1))), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if cp, err := v.chain.OpenCheckpoint(head.Bytes()); err == nil {
		t.Errorf("a head of %s was taken for %v", otherFeed, cp)
	}
	// Log 1's signatures say nothing of log 2.
	v.takes(testNotes(t)[1:]...)
	old := testHead(t, testChain(t, 2), 5, testLog(t, 5, 0).root(t, 5), testNow)
	if cp, err := v.chain.OpenCheckpoint(old.Bytes()); err != nil || cp.Origin != testFeed.Log(1) {
		t.Errorf("log 1's own head: got %v, %v", cp.Origin, err)
	}
	moved, err := crypto.ParseNote(old.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	moved.Text = bytes.Replace(moved.Text, []byte("/known/1\n"), []byte("/known/2\n"), 1)
	if cp, err := v.chain.OpenCheckpoint(moved.Bytes()); err == nil {
		t.Errorf("log 1's head under the name of log 2: got %v", cp)
	}
}

// §5.3.3, endless data: "up to some W number of bytes". The caps come before any work.
func TestTUFEndlessData(t *testing.T) {
	v := newVisitor(t)
	c2 := testCharters(t)[1]
	v.refuses(bytes.Repeat([]byte("hashfeed-charter/v1\n"), 1<<16), "longer than")
	long := c2.text() + strings.Repeat("x-a "+strings.Repeat("b", maxExtraValue)+"\n", MaxCharter/maxExtraValue)
	v.refuses(signedText(t, long, rootKey(1), rootKey(2)), fmt.Sprintf("longer than %d bytes", MaxCharter))
	note, err := crypto.ParseNote(signed(t, c2, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 99 {
		note.Lines = append(note.Lines, crypto.Line{Name: "x.example", ID: uint32(i), Signature: make([]byte, 64)})
	}
	v.refuses(note.Bytes(), "at most 100")
	note.Lines = note.Lines[:100] // 98 strangers
	v.takes(note.Bytes())
	if n := len(v.chain.Notes()[1]); n > len(signed(t, c2, 1, 2)) {
		t.Errorf("the strangers' lines are kept: %d bytes", n)
	}
	if _, err := OpenChain(c2.Anchor(), make([][]byte, MaxCharters+1)); err == nil {
		t.Error("endless charters: got no error")
	}
}

// §5.3.11, recovery from a stolen online key: the log is closed, its keys never come back, and a state goes on from the cut without what the thief has
// added, while what may be an honest retraction holds its item for 7 days.
func TestTUFStolenSigner(t *testing.T) {
	v := newVisitor(t)
	s := newStory(t, v.chain.Newest().Rules())
	s.put(1, addOf(1, listing(1)), addOf(2, listing(2)), addOf(3, listing(3)))
	cut := uint64(3)
	// Past the cut: the thief lists a picture of its own, revises one of ours and retracts another.
	stolen := []Record{addOf(9, listing(9)), reviseOf(1, 2, Position{1, 0}, false, listing(1, 8)), retractOf(2, 2, Position{1, 1})}
	closing := then(firstCharter(), func(c *Charter) {
		c.Closed, c.Log = []Cut{{cut, Digest{1}}}, 2
		c.Signer, c.Stamp = KeyGroup{1, publicKeys(signerKey(2, 1))}, stampKey(2).Public()
	})
	for _, key := range []crypto.PublicKey{signerKey(1, 1).Public(), stampKey(1).Public(), rosterKey().Public(), rootKey(2).Public()} {
		again := closing.clone()
		again.Signer.Keys = []crypto.PublicKey{{Name: string(testFeed.Log(2)), Type: crypto.TypeSignature, Key: key.Key}}
		// (By its text, since SignCharter refuses a key of two jobs.)
		if next, err := v.chain.Extend(signedText(t, again.text(), rootKey(1), rootKey(2))); err == nil {
			t.Errorf("a key that was used before signs the new log: got %v", next)
		}
	}
	v.takes(signed(t, closing, 1, 3))
	if err := s.SetRules(v.chain.Newest().Rules()); err != nil {
		t.Fatal(err)
	}
	s.put(1, stolen...)
	opened := testNow
	status := func(item uint32, now int64) (Status, string) {
		st := s.At(item, 0, now)
		return st.Status, st.Why
	}
	want := func(what string, now int64, statuses ...Status) {
		t.Helper()
		for item, w := range statuses {
			if got, why := status(uint32(item), now); got != w {
				t.Errorf("%s: item %d: got %v (%s), want %v", what, item, got, why, w)
			}
		}
	}
	if n := s.Items(); n != 3 {
		t.Errorf("got %d items, want 3: the thief's is void", n)
	}
	want("before the next log is open", opened, Active, Held, Active)
	s.SetOpened(2, opened)
	want("open", opened, Active, Held, Active)
	want("a second before 7 days", opened+7*86400-1, Active, Held, Active)
	want("after 7 days", opened+7*86400, Active, Active, Active)
	// The next log goes on with the state at the cut: a retract in it names records of log 1.
	s.put(2, retractOf(1, 2, Position{1, 0}), addOf(4, listing(4)))
	want("retracted in the next log", opened, Retracted, Held, Active)
	// A state that has applied what the cut makes void can't be mended: it is made anew.
	ahead := newStory(t, firstCharter().Rules())
	ahead.put(1, addOf(1, listing(1)), addOf(2, listing(2)), addOf(3, listing(3)))
	ahead.put(1, stolen...)
	if err := ahead.SetRules(v.chain.Newest().Rules()); !errors.Is(err, ErrRebuild) {
		t.Errorf("a follower that had gone further: got %v, want ErrRebuild", err)
	}
	// A thief who goes on signing log 1 is heard by nobody: its charter is no longer the newest.
	if _, err := v.chain.OpenCheckpoint(testHead(t, testChain(t, 1), 0, emptyRoot, testNow).Bytes()); err != nil {
		t.Errorf("a head of log 1 is still one of log 1: %v", err)
	}
	if got := v.chain.AdditionLimit([]Checkpoint{{Origin: testFeed.Log(1), Size: 99, Stamp: testNow}}, closing.Expires+1); got != 0 {
		t.Errorf("log 1's heads count for log 2: %d", got)
	}
}

// Lost root keys: nothing that others sign goes on from the chain; who pins the new anchor begins anew (follow --replace).
func TestTUFLostRoot(t *testing.T) {
	v := newVisitor(t)
	fresh := then(firstCharter(), func(c *Charter) { c.Root = KeyGroup{1, publicKeys(rootKey(7))} })
	v.refuses(signed(t, fresh, 7), "too few of the last version's roots")
	fresh.Version = 1
	_, err := v.chain.Extend(signed(t, fresh, 7))
	if _, ok := errors.AsType[*ForkError](err); ok || err == nil {
		t.Errorf("a first charter by other roots: got %v, want an error, and no evidence against the feed", err)
	}
	if _, err := OpenChain(v.chain.Anchor(), [][]byte{signed(t, fresh, 7)}); err == nil {
		t.Error("the old anchor takes the new feed")
	}
	replaced, err := OpenChain(fresh.Anchor(), [][]byte{signed(t, fresh, 7)})
	if err != nil || replaced.Newest().Root.Keys[0] != rootKey(7).Public() {
		t.Errorf("the new anchor: got %v, %v", replaced, err)
	}
}
