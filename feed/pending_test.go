package feed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"hashfeed/crypto"
)

// openSigned is a log of the third test charter, 2 of 3 signers, opened with a stamped checkpoint of size 0.
func openSigned(t testing.TB) *memoryFeed {
	t.Helper()
	f := newMemoryFeed(testChain(t, 3))
	f.publish(t, testNow)
	return f
}

// proposed is a proposal for the current log of f.
func (f *memoryFeed) proposed(t testing.TB, records ...Record) *PendingBatch {
	t.Helper()
	l := f.log(f.chain.Newest().Origin())
	p, err := Propose(f.chain, l.tree, l.head, records)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// signatures are the lines of signers of log 2 over a text.
func signatures(t testing.TB, text []byte, ns ...int) (lines []crypto.Line) {
	t.Helper()
	for _, n := range ns {
		lines = append(lines, lineOf(t, signerKey(2, n), string(text), testNow))
	}
	return lines
}

// TestProposal: what k signers have signed one by one is what Sign signs at once, and less than k sign nothing.
func TestProposal(t *testing.T) {
	f := openSigned(t)
	l := f.log(f.chain.Newest().Origin())
	records := []Record{signedRecord(t, 0), signedRecord(t, 1)}
	p := f.proposed(t, records...)
	want, err := Sign(testSigning(f.chain), l.tree, l.head, records, testNow+9)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records { // what is proposed is no longer the caller's
		clear(r.Head)
		clear(r.Body)
	}
	b, err := p.Batch(signatures(t, p.Text(), 1, 2), stampKey(2), testNow+9)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := b.Checkpoint()
	wanted, _ := want.Checkpoint()
	if !bytes.Equal(got.Bytes(), wanted.Bytes()) {
		t.Errorf("got checkpoint %s, want %s", got.Bytes(), wanted.Bytes())
	}
	if p.From() != 0 || p.Head() != (Pledge{2, wanted.Root}) || p.Origin() != wanted.Origin || p.Last().Stamp != l.head.Stamp {
		t.Errorf("got proposal of %s from %d to %+v", p.Origin(), p.From(), p.Head())
	}
	if sum := sha256.Sum256(wanted.Text()); p.ID() != fmt.Sprintf("%x", sum[:8]) {
		t.Errorf("got id %s, want that of the text", p.ID())
	}
	f.commit(t, b)
	if st := l.head; st.Size != 2 {
		t.Errorf("got size %d, want 2", st.Size)
	}

	next := f.proposed(t, signedRecord(t, 2))
	text := next.Text()
	other := signatures(t, p.Text(), 3)
	for _, tt := range []struct {
		what  string
		lines []crypto.Line
		stamp *crypto.PrivateKey
		want  string
	}{
		{"two", signatures(t, text, 3, 1), stampKey(2), ""},
		{"three", signatures(t, text, 3, 1, 2), stampKey(2), ""},
		{"none", nil, stampKey(2), "too few signers"},
		{"one", signatures(t, text, 1), stampKey(2), "too few signers"},
		{"one twice", signatures(t, text, 1, 1), stampKey(2), "two lines of one known key"},
		{"one and a stranger", signatures(t, text, 1, 9), stampKey(2), "too few signers"},
		{"one and another text", append(signatures(t, text, 1), other...), stampKey(2), "doesn't verify"},
		{"the stamp as second", append(signatures(t, text, 1), lineOf(t, stampKey(2), string(text), testNow)), stampKey(2), "two lines of one known key"},
		{"no stamp", signatures(t, text, 1, 2), nil, "stamp key"},
		{"another stamp", signatures(t, text, 1, 2), stampKey(1), "stamp key"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			b, err := next.Batch(tt.lines, tt.stamp, testNow)
			if wantError(t, err, tt.want); (b != nil) != (tt.want == "") {
				t.Errorf("got batch %v, want one only without an error", b)
			}
		})
	}
	if key, err := next.Signer(signatures(t, text, 3)[0]); err != nil || key != signerKey(2, 3).Public() {
		t.Errorf("got signer %v, %v, want the third", key, err)
	}
	for what, line := range map[string]crypto.Line{"stranger": signatures(t, text, 9)[0], "other text": other[0], "stamp": lineOf(t, stampKey(2), string(text), testNow)} {
		if key, err := next.Signer(line); err == nil {
			t.Errorf("%s: got signer %v, want an error", what, key)
		}
	}
}

func TestProposeRefuses(t *testing.T) {
	f := openSigned(t)
	l := f.log(f.chain.Newest().Origin())
	good := signedRecord(t, 0)
	for _, tt := range []struct {
		what    string
		last    Checkpoint
		records []Record
		want    string
	}{
		{"a good one", l.head, []Record{good}, ""},
		{"the opening", Checkpoint{}, nil, ""},
		{"nothing", l.head, nil, "nothing is proposed"},
		{"an opening with records", Checkpoint{}, []Record{good}, "opens with a checkpoint of size 0"},
		{"no head", l.head, []Record{{}}, "record 0"},
		{"a body missing", l.head, []Record{{Head: good.Head}}, errNoBody.Error()},
		{"another's body", l.head, []Record{{good.Head, signedRecord(t, 1).Body}}, errBodyOther.Error()},
		{"an op of a later version", l.head, []Record{{Head: []byte{0xa2, 1, 1, 2, 7}}}, errUnknownOp.Error()},
	} {
		t.Run(tt.what, func(t *testing.T) {
			p, err := Propose(f.chain, l.tree, tt.last, tt.records)
			if wantError(t, err, tt.want); (p != nil) != (tt.want == "") {
				t.Errorf("got %v, want a proposal only without an error", p)
			}
		})
	}
}

// TestRestampAlone: an hourly stamp takes the stamp key alone, and keeps the lines of all signers and witnesses.
func TestRestampAlone(t *testing.T) {
	f := openSigned(t)
	f.publish(t, testNow, signedRecord(t, 0))
	f.cosign(t, testNow+1, witnessKey(1))
	l := f.log(f.chain.Newest().Origin())
	old := l.head
	for _, now := range []int64{testNow, testNow + 3600, testNow + 3600, testNow} { // the clock may stand still or go back
		before := l.head
		b, err := Restamp(f.chain, l.tree, before, stampKey(2), now)
		if err != nil {
			t.Fatal(err)
		}
		f.commit(t, b)
		if want := max(now, before.Stamp+1); l.head.Stamp != want || b.From() != b.To() {
			t.Errorf("got stamp %d, want %d", l.head.Stamp, want)
		}
		if _, err := f.chain.OpenCheckpoint(l.head.Bytes()); err != nil {
			t.Errorf("a follower doesn't accept it: %v", err)
		}
	}
	if n := len(l.head.Lines()); n != len(old.Lines()) || len(l.head.Cosigned) != 1 {
		t.Errorf("got %d lines, %d of witnesses, want %d and 1", n, len(l.head.Cosigned), len(old.Lines()))
	}
	for what, try := range map[string]func() (*Batch, error){
		"another tree": func() (*Batch, error) { return Restamp(f.chain, Tree{}, l.head, stampKey(2), testNow) },
		"no head":      func() (*Batch, error) { return Restamp(f.chain, Tree{}, Checkpoint{}, stampKey(2), testNow) },
		"no key":       func() (*Batch, error) { return Restamp(f.chain, l.tree, l.head, nil, testNow) },
		"a signer":     func() (*Batch, error) { return Restamp(f.chain, l.tree, l.head, signerKey(2, 1), testNow) },
	} {
		if b, err := try(); err == nil {
			t.Errorf("%s: got %v, want an error", what, b)
		}
	}
}

// shownOf shows what a log was at a size, truly.
func (f *memoryFeed) shownOf(t testing.TB, p *PendingBatch) func(size uint64) (Earlier, error) {
	l := f.log(p.Origin())
	return func(size uint64) (e Earlier, err error) {
		proof, err := tlog.ProveTree(int64(p.From()), int64(size), &l.testTree)
		for _, h := range proof {
			e.Proof = append(e.Proof, Digest(h))
		}
		e.Root = l.root(t, int(size))
		return e, err
	}
}

func TestPledge(t *testing.T) {
	f := openSigned(t)
	for i := range 5 {
		f.publish(t, testNow, signedRecord(t, i))
	}
	l := f.log(f.chain.Newest().Origin())
	p := f.proposed(t, signedRecord(t, 10), signedRecord(t, 11))
	shown := f.shownOf(t, p)
	other := f.proposed(t, signedRecord(t, 10), signedRecord(t, 12))
	first := f.proposed(t, signedRecord(t, 10))
	third := signerKey(2, 3).Public()
	never := Words{{WordNever, p.Head()}}
	signedBy := func(heads ...Pledge) (w Words) {
		for _, h := range heads {
			w = append(w, Word{WordSigned, h})
		}
		return w
	}
	at := func(size int) Pledge { return Pledge{uint64(size), l.root(t, size)} }
	for _, tt := range []struct {
		what string
		by   int
		has  Words
		want string
		adds int // words
	}{
		{"nothing signed yet", 3, nil, "", 1},
		{"the opening", 3, signedBy(at(0)), "", 1},
		{"an earlier head", 3, signedBy(at(2)), "", 1},
		{"the newest head", 3, signedBy(at(2), at(5)), "", 1},
		{"the very one", 3, signedBy(at(5), p.Head()), "", 0},
		{"one that it goes on from", 3, signedBy(first.Head()), "", 1},
		{"another of its size", 3, signedBy(other.Head()), "another head", 0},
		{"another, and long before this log's", 3, signedBy(at(2), other.Head()), "another head", 0},
		{"a larger one", 3, signedBy(Pledge{9, Digest{1}}), "another head", 0},
		// The log has gone on with other roots, signed by the first two: whoever isn't one of them is free.
		{"another where the log is", 3, signedBy(at(1), Pledge{5, Digest{1}}), "", 2},
		{"another where the log was", 3, signedBy(at(1), Pledge{3, Digest{1}}), "", 2},
		{"two others where the log was", 3, signedBy(Pledge{3, Digest{1}}, Pledge{4, Digest{2}}), "", 3},
		{"another where the log is, but it signed that too", 2, signedBy(at(1), Pledge{5, Digest{1}}), "another head", 0},
		{"withdrawn", 3, never, "has withdrawn", 0},
		{"another withdrawn", 3, Words{{WordNever, other.Head()}}, "", 1},
	} {
		t.Run(tt.what, func(t *testing.T) {
			more, err := tt.has.Sign(p, signerKey(2, tt.by).Public(), shown, nil)
			if wantError(t, err, tt.want); err == nil && (len(more) != tt.adds || append(tt.has, more...).Pledge() != p.Head()) {
				t.Errorf("got words %v, want %d, the last on the proposal", more, tt.adds)
			}
		})
	}

	// What the node shows is not believed.
	for what, lie := range map[string]func(Earlier) Earlier{
		"another root": func(e Earlier) Earlier { e.Root[0] ^= 1; return e },
		"no proof":     func(e Earlier) Earlier { return Earlier{Root: e.Root} },
		"proof changed": func(e Earlier) Earlier {
			e.Proof = slices.Clone(e.Proof)
			e.Proof[0][0] ^= 1
			return e
		},
		"much": func(e Earlier) Earlier { return Earlier{e.Root, make([]Digest, maxConsistencyHashes+1)} },
	} {
		lying := func(size uint64) (Earlier, error) {
			e, err := shown(size)
			return lie(e), err
		}
		for _, has := range []Words{signedBy(at(3)), signedBy(Pledge{3, Digest{1}})} {
			if more, err := has.Sign(p, third, lying, nil); err == nil {
				t.Errorf("%s: got words %v, want an error", what, more)
			}
		}
	}

	if more, err := (Words{}).Withdraw(p); err != nil || !slices.Equal(more, never) {
		t.Errorf("withdraw: got %v, %v, want %v", more, err, never)
	}
	if more, err := never.Withdraw(p); err != nil || len(more) != 0 {
		t.Errorf("withdraw again: got %v, %v, want nothing", more, err)
	}
	if more, err := append(signedBy(p.Head()), Word{WordReleased, p.Head()}).Withdraw(p); err == nil {
		t.Errorf("withdraw what was signed: got %v, want an error", more)
	}
}

// withdrawn is the withdrawal of a proposal by signers of log 2.
func withdrawn(t testing.TB, p *PendingBatch, ns ...int) []byte {
	n := crypto.Note{Text: p.WithdrawalText(), Lines: signatures(t, p.WithdrawalText(), ns...)}
	return n.Bytes()
}

func TestWithdrawal(t *testing.T) {
	f := openSigned(t)
	p := f.proposed(t, signedRecord(t, 0))
	q := f.proposed(t, signedRecord(t, 1))
	third := signerKey(2, 3).Public()
	has := Words{{WordSigned, p.Head()}}
	for _, tt := range []struct {
		what string
		note []byte
		want string // of opening it
		free bool
	}{
		{"two of three", withdrawn(t, p, 1, 2), "", true},
		{"one", withdrawn(t, p, 1), "", false},
		{"one, and the signer that it should free", withdrawn(t, p, 1, 3), "", false},
		{"one and a stranger", withdrawn(t, p, 1, 9), "", false},
		{"nobody we know", withdrawn(t, p, 9), "", false},
		{"of another proposal", withdrawn(t, q, 1, 2), "", false},
		{"one twice", withdrawn(t, p, 1, 1), "two lines of one known key", false},
		{"the checkpoint itself", signedText(t, string(p.Text()), signerKey(2, 1), signerKey(2, 2)), "not the line that stands here", false},
		{"a line more", signedText(t, string(p.WithdrawalText())+"x\n", signerKey(2, 1), signerKey(2, 2)), "withdrawal", false},
		{"of the log before", signedText(t, withdrawalMagic+string(checkpointText("eokm.example/known/1", 1, Digest{1})), signerKey(2, 1), signerKey(2, 2)), "no log", false},
		{"not a note", p.WithdrawalText(), "malformed note", false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			w, err := f.chain.OpenWithdrawal(tt.note)
			if wantError(t, err, tt.want); err != nil {
				return
			}
			more, err := has.Sign(q, third, nil, []Withdrawal{w})
			if tt.free && (err != nil || !slices.Equal(more, Words{{WordReleased, p.Head()}, {WordSigned, q.Head()}})) {
				t.Errorf("got %v, %v, want the signer free", more, err)
			}
			if !tt.free && !errors.Is(err, ErrPledged) {
				t.Errorf("got %v, %v, want the signer bound", more, err)
			}
		})
	}
}

func FuzzOpenWithdrawal(f *testing.F) {
	c := testChain(f, 3)
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := c.OpenWithdrawal(data)
		if err != nil {
			return
		}
		text := append([]byte(withdrawalMagic), checkpointText(w.Origin, w.Pledge.Size, w.Pledge.Root)...)
		if !bytes.HasPrefix(data, append(text, '\n')) {
			t.Fatalf("%q written again as %q", data, text)
		}
	})
}

// TestSignersNeverFork is the claim of the two-person rule: as long as signers keep their word, no two heads of k signatures each can
// contradict one another, whoever runs the nodes, collects the signatures and shows what to whom.
func TestSignersNeverFork(t *testing.T) {
	groups := [][2]int{{2, 2}, {2, 3}, {3, 3}, {3, 4}, {3, 5}, {4, 5}}
	chains := map[[2]int]*Chain{}
	for _, g := range groups {
		c := firstCharter()
		c.Quorum = nil
		c.Signer = KeyGroup{K: g[0]}
		for n := range g[1] {
			c.Signer.Keys = append(c.Signer.Keys, signerKey(1, n+1).Public())
		}
		chain, err := OpenChain(c.Anchor(), [][]byte{signed(t, c, 1, 2)})
		if err != nil {
			t.Fatal(err)
		}
		chains[g] = chain
	}
	records := []Record{signedRecord(t, 0), signedRecord(t, 1)}
	published, overtaken, settled := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		g := rapid.SampledFrom(groups).Draw(rt, "k of n")
		chain := chains[g]
		// A branch is a log as one node may have it. What one collects all have: signatures are anybody's.
		type branch struct {
			heads  []int // which record each is: 0 or 1
			tree   testTree
			top    Tree
			last   Checkpoint
			awaits *PendingBatch
			adds   []int
		}
		words := make([]Words, g[1])
		lines := map[string][]crypto.Line{}   // by text
		nevers := map[string][]crypto.Line{}  // by withdrawal text
		var all []Withdrawal                  // what they come to, and came to on the way
		grow := func(b *branch, adds []int) { // takes records into a branch
			for _, n := range adds {
				b.heads = append(b.heads, n)
				b.tree.append(t, records[n].Head, records[n].Body)
				b.top.Append(LeafHash(records[n].Head))
			}
		}
		opening, err := Propose(chain, Tree{}, Checkpoint{}, nil)
		if err != nil {
			rt.Fatal(err)
		}
		branches := []*branch{{}}
		var done [][]int // the logs of which k have signed the head
		commit := func(b *branch) {
			p := b.awaits
			batch, err := p.Batch(lines[string(p.Text())], stampKey(1), testNow)
			if err != nil {
				return
			}
			b.last, _ = batch.Checkpoint()
			grow(b, b.adds)
			b.awaits, b.adds = nil, nil
			done = append(done, slices.Clone(b.heads))
			published++
			for _, one := range done {
				short, long := one, b.heads
				if len(short) > len(long) {
					short, long = long, short
				}
				if !slices.Equal(short, long[:len(short)]) {
					rt.Fatalf("%d of %d signers have signed both %v and %v", g[0], g[1], one, b.heads)
				}
			}
		}
		for n := range g[1] { // the opening contradicts nothing
			lines[string(opening.Text())] = append(lines[string(opening.Text())], lineOf(t, signerKey(1, n+1), string(opening.Text()), testNow))
		}
		branches[0].awaits = opening
		commit(branches[0])
		actions := map[string]func(*rapid.T){
			"propose": func(rt *rapid.T) {
				b := branches[rapid.IntRange(0, len(branches)-1).Draw(rt, "branch")]
				var with []Record
				b.adds = nil
				for range rapid.IntRange(1, 2).Draw(rt, "records") {
					b.adds = append(b.adds, rapid.IntRange(0, 1).Draw(rt, "record"))
					with = append(with, records[b.adds[len(b.adds)-1]])
				}
				p, err := Propose(chain, b.top, b.last, with)
				if err != nil {
					rt.Fatal(err)
				}
				b.awaits = p // what it was before is dropped, without a word
			},
			"copy": func(rt *rapid.T) {
				if len(branches) == 4 {
					return
				}
				b := branches[rapid.IntRange(0, len(branches)-1).Draw(rt, "branch")]
				c := &branch{last: b.last, awaits: b.awaits, adds: b.adds}
				grow(c, b.heads)
				branches = append(branches, c)
			},
			"sign": func(rt *rapid.T) {
				b := branches[rapid.IntRange(0, len(branches)-1).Draw(rt, "branch")]
				if b.awaits == nil {
					return
				}
				shown := func(size uint64) (e Earlier, err error) {
					proof, err := tlog.ProveTree(int64(len(b.heads)), int64(size), &b.tree)
					for _, h := range proof {
						e.Proof = append(e.Proof, Digest(h))
					}
					e.Root = b.tree.root(t, int(size))
					return e, err
				}
				for n := range g[1] {
					if !rapid.Bool().Draw(rt, "asked") {
						continue
					}
					key := signerKey(1, n+1)
					more, err := words[n].Sign(b.awaits, key.Public(), shown, all)
					if err != nil {
						if !errors.Is(err, ErrPledged) && !slices.Contains(words[n], Word{WordNever, b.awaits.Head()}) {
							rt.Fatal(err)
						}
						continue
					}
					for _, w := range more {
						switch {
						case w.Kind != WordReleased:
						case slices.ContainsFunc(all, func(o Withdrawal) bool { return o.Settles(w.Head, key.Public()) }):
							settled++
						default:
							overtaken++
						}
					}
					words[n] = append(words[n], more...)
					text := string(b.awaits.Text())
					line := lineOf(t, key, text, testNow)
					if !slices.ContainsFunc(lines[text], func(o crypto.Line) bool { return o.ID == line.ID }) {
						lines[text] = append(lines[text], line)
					}
				}
				commit(b)
			},
			"publish": func(rt *rapid.T) { // with what others have collected
				if b := branches[rapid.IntRange(0, len(branches)-1).Draw(rt, "branch")]; b.awaits != nil {
					commit(b)
				}
			},
			"withdraw": func(rt *rapid.T) {
				b := branches[rapid.IntRange(0, len(branches)-1).Draw(rt, "branch")]
				if b.awaits == nil {
					return
				}
				for n := range g[1] {
					if !rapid.Bool().Draw(rt, "asked") {
						continue
					}
					more, err := words[n].Withdraw(b.awaits)
					if err != nil || len(more) == 0 {
						continue
					}
					words[n] = append(words[n], more...)
					text := string(b.awaits.WithdrawalText())
					nevers[text] = append(nevers[text], lineOf(t, signerKey(1, n+1), text, testNow))
				}
				text := b.awaits.WithdrawalText()
				if by := nevers[string(text)]; len(by) > 0 {
					w, err := chain.OpenWithdrawal(crypto.Note{Text: text, Lines: by}.Bytes())
					if err != nil {
						rt.Fatal(err)
					}
					all = append(all, w)
				}
			},
		}
		often := []string{"propose", "propose", "propose", "sign", "sign", "sign", "sign", "publish", "copy", "withdraw"}
		for range 40 {
			actions[rapid.SampledFrom(often).Draw(rt, "action")](rt)
		}
	})
	t.Logf("%d heads published, %d pledges overtaken, %d settled by withdrawals", published, overtaken, settled)
	if published == 0 || overtaken == 0 || settled == 0 {
		t.Error("not every way to be released was taken: the test is too short")
	}
}
