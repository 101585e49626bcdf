package feed

import (
	"crypto/sha256"
	"slices"
	"testing"

	"hashfeed/crypto"
)

// signedRecord is an add that Sign takes.
func signedRecord(t testing.TB, n int) Record {
	head, body := testRecord(t, n, baselineFacts)
	return Record{head, body}
}

func TestSign(t *testing.T) {
	chain := testChain(t, 1)
	s := testSigning(chain)
	opening, err := Sign(s, Tree{}, Checkpoint{}, nil, testNow)
	if err != nil {
		t.Fatal(err)
	}
	last, ok := opening.Checkpoint()
	if !ok || last.Size != 0 || last.Root != sha256.Sum256(nil) || last.Stamp != testNow || opening.From() != 0 || opening.To() != 0 {
		t.Fatalf("opening: got %+v, want size 0 stamped now", last)
	}
	f := newMemoryFeed(chain)
	f.commit(t, opening)
	for i, n := range []int{1, 0, 255, 1, 300} {
		var records []Record
		for j := range n {
			records = append(records, signedRecord(t, 1000*i+j))
		}
		l := f.log(last.Origin)
		b, err := Sign(s, l.tree, last, records, testNow) // the clock stands still
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records { // what is signed is no longer the caller's
			clear(r.Head)
			clear(r.Body)
		}
		f.commit(t, b)
		cp, _ := b.Checkpoint()
		// The size puts a batch of records after the last; only a stamp of the same size needs a later time.
		want := last.Stamp
		if n == 0 {
			want++
		}
		if cp.Stamp != want || !cp.Newer(last) {
			t.Errorf("batch %d of %d records: got stamp %d, want %d and a newer checkpoint", i, n, cp.Stamp, want)
		}
		again, err := chain.OpenCheckpoint(cp.Bytes())
		if err != nil || again.Root != l.root(t, len(l.heads)) {
			t.Errorf("batch %d: a follower doesn't accept it: %v", i, err)
		}
		last = cp
	}
	if b, err := Sign(s, f.log(last.Origin).tree, last, nil, testNow+100); err != nil {
		t.Error(err)
	} else if cp, _ := b.Checkpoint(); cp.Stamp != testNow+100 {
		t.Errorf("re-stamp: got stamp %d, want now", cp.Stamp)
	}
}

// A publisher that signs many batches a second doesn't run ahead of the clock: from 300 s on its followers would no longer count it as fresh.
func TestSignManyASecond(t *testing.T) {
	s := testSigning(testChain(t, 1))
	b, err := Sign(s, Tree{}, Checkpoint{}, nil, testNow)
	for i := range 400 {
		if err != nil {
			t.Fatal(err)
		}
		last, _ := b.Checkpoint()
		b, err = Sign(s, b.After(), last, []Record{signedRecord(t, i)}, testNow)
	}
	if last, _ := b.Checkpoint(); last.Size != 400 || last.Stamp != testNow {
		t.Errorf("got stamp %d at size %d, want now, %d, at size 400", last.Stamp, last.Size, int64(testNow))
	}
}

func TestSignThreshold(t *testing.T) {
	f := newMemoryFeed(testChain(t, 3)) // log 2: 2 of 3 signers
	chain := f.chain
	keys := func(ns ...int) (all []crypto.Signer) {
		for _, n := range ns {
			all = append(all, signerKey(2, n))
		}
		return all
	}
	for _, tt := range []struct {
		what string
		s    Signing
		want string
	}{
		{"two", Signing{chain, keys(3, 1), stampKey(2)}, ""},
		{"all", Signing{chain, keys(1, 2, 3), stampKey(2)}, ""},
		{"none", Signing{chain, nil, stampKey(2)}, "0 signers, the charter wants 2"},
		{"one", Signing{chain, keys(1), stampKey(2)}, "1 signers, the charter wants 2"},
		{"one twice", Signing{chain, keys(1, 1), stampKey(2)}, "twice"},
		{"a stranger", Signing{chain, keys(1, 2, 9), stampKey(2)}, "no signer"},
		{"the old log's signer", Signing{chain, append(keys(1, 2), signerKey(1, 1)), stampKey(2)}, "no signer"},
		{"a nil signer", Signing{chain, append(keys(1, 2), nil), stampKey(2)}, "no signer"},
		{"one key under another name", Signing{chain, append(keys(1), renamed(signerKey(2, 2), "eokm.example/known/1", 1)), stampKey(2)}, "no signer"},
		{"the root", Signing{chain, append(keys(1, 2), rootKey(1)), stampKey(2)}, "no signer"},
		{"no stamp", Signing{chain, keys(1, 2), nil}, "stamp key"},
		{"the old log's stamp", Signing{chain, keys(1, 2), stampKey(1)}, "stamp key"},
		{"a signer as stamp", Signing{chain, keys(1, 2), signerKey(2, 3)}, "stamp key"},
	} {
		b, err := Sign(tt.s, Tree{}, Checkpoint{}, nil, testNow)
		if t.Run(tt.what, func(t *testing.T) { wantError(t, err, tt.want) }); (b != nil) != (tt.want == "") {
			t.Errorf("%s: got batch %v, want one only without an error", tt.what, b)
		}
	}
}

// renamed is a key with the same seed under another name.
func renamed(k *crypto.PrivateKey, name string, n int) *crypto.PrivateKey {
	return testKey(name, k.Public().Type, n)
}

func TestSignRefuses(t *testing.T) {
	chain := testChain(t, 1)
	s := testSigning(chain)
	f := newMemoryFeed(chain)
	f.publish(t, testNow)
	f.publish(t, testNow, signedRecord(t, 0), signedRecord(t, 1))
	l := f.log("eokm.example/known/1")
	good := signedRecord(t, 2)
	otherBody := signedRecord(t, 3).Body
	retract, err := Head{Op: OpRetract, Time: testNow, Item: ItemID{1}, Rev: 2, Targets: []Position{{1, 0}}, Reason: 1}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	other := l.tree
	other.Append(Digest{})
	wrongRoot := l.head
	wrongRoot.Root[0] ^= 1
	wrongOrigin := l.head
	wrongOrigin.Origin = "eokm.example/known/2"
	for _, tt := range []struct {
		what    string
		tree    Tree
		last    Checkpoint
		records []Record
		want    string
	}{
		{"a good one", l.tree, l.head, []Record{good}, ""},
		{"a retract", l.tree, l.head, []Record{{Head: retract}}, ""},
		{"no last checkpoint", l.tree, Checkpoint{}, []Record{good}, "opens with a checkpoint of size 0"},
		{"an opening with records", Tree{}, Checkpoint{}, []Record{good}, "opens with a checkpoint of size 0"},
		{"another tree", other, l.head, []Record{good}, "isn't of this tree"},
		{"the empty tree", Tree{}, l.head, []Record{good}, "isn't of this tree"},
		{"another root", l.tree, wrongRoot, []Record{good}, "isn't of this tree"},
		{"another log", l.tree, wrongOrigin, []Record{good}, "the last checkpoint is of eokm.example/known/2"},
		{"no head", l.tree, l.head, []Record{good, {}}, "record 3"},
		{"a head of no form", l.tree, l.head, smallRecords(1, 1), "void head: form"},
		{"an op of a later version", l.tree, l.head, []Record{{Head: []byte{0xa2, 1, 1, 2, 7}}}, errUnknownOp.Error()},
		{"a body missing", l.tree, l.head, []Record{{Head: good.Head}}, errNoBody.Error()},
		{"another's body", l.tree, l.head, []Record{{good.Head, otherBody}}, errBodyOther.Error()},
		{"a body to a retract", l.tree, l.head, []Record{{retract, otherBody}}, errBodyOther.Error()},
		{"too many", l.tree, l.head, slices.Repeat([]Record{{Head: retract}}, MaxBatch+1), "65537 records"},
	} {
		b, err := Sign(s, tt.tree, tt.last, tt.records, testNow)
		if t.Run(tt.what, func(t *testing.T) { wantError(t, err, tt.want) }); (b != nil) != (tt.want == "") {
			t.Errorf("%s: got batch %v, want one only without an error", tt.what, b)
		}
	}
	if b, err := Sign(s, l.tree, l.head, slices.Repeat([]Record{{Head: retract}}, MaxBatch), testNow); err != nil || b.To()-b.From() != MaxBatch {
		t.Errorf("%d records: got %v, want a batch", MaxBatch, err)
	}
	full, err := NewTree(MaxSize, make([]Digest, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(s, full, testHead(t, chain, MaxSize, full.Root(), testNow), []Record{good}, testNow); err == nil {
		t.Error("a record beyond 2^40: got no error, want one")
	}
}

func TestAdoptCosignatures(t *testing.T) {
	chain := testChain(t, 1)
	f := newMemoryFeed(chain)
	f.publish(t, testNow)
	f.publish(t, testNow, signedRecord(t, 0))
	l := f.log("eokm.example/known/1")
	line := func(k *crypto.PrivateKey, now int64) crypto.Line {
		t.Helper()
		line, err := l.head.Cosign(k, now)
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	bad := line(witnessKey(2), testNow)
	bad.Signature[20] ^= 1
	b, err := AdoptCosignatures(chain, l.tree, l.head, []crypto.Line{line(witnessKey(1), testNow+1), bad, line(witnessKey(8), testNow)})
	if err != nil {
		t.Fatal(err)
	}
	cp, ok := b.Checkpoint()
	if !ok || b.From() != 1 || b.To() != 1 || len(cp.Cosigned) != 1 || cp.Cosigned[0].Key != witnessKey(1).Public() {
		t.Errorf("got %+v, want the one good line of a named witness", cp.Cosigned)
	}
	if _, err := AdoptCosignatures(chain, Tree{}, l.head, nil); err == nil {
		t.Error("another tree: got no error, want one")
	}
	forged := l.head
	forged.Size, forged.Root = 0, sha256.Sum256(nil)
	if _, err := AdoptCosignatures(chain, Tree{}, forged, nil); err == nil {
		t.Error("fields changed by hand: got no error, want one")
	}
}
