package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// shared is a node with a feed that two of three must sign: the node, bob and carol.
type shared struct {
	*Node
	t          *testing.T
	dir        string
	now        time.Time
	bob, carol *crypto.PrivateKey
}

const sharedName = feed.Name("hotline.example/shared")

func newShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{t: t, dir: filepath.Join(t.TempDir(), "node"), now: time.Unix(1_795_424_400, 0)}
	if _, err := Init(s.dir, InitOptions{Name: "hotline.example", Role: RoleHotline, Harm: "csam", Now: s.now}); err != nil {
		t.Fatal(err)
	}
	s.open()
	s.bob, s.carol = s.key(1), s.key(2)
	_, err := s.CreateFeed(context.Background(), api.CreateFeed{Name: "shared", Signers: 2,
		SignerKeys: []string{s.bob.Public().String(), s.carol.Public().String()}})
	s.must(err)
	s.approve(s.bob, s.pending().ID)
	return s
}

func (s *shared) key(n byte) *crypto.PrivateKey {
	return crypto.NewKeyFromSeed(string(sharedName)+"/1", crypto.TypeSignature, [32]byte{n})
}

func (s *shared) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// open opens the node, a second time after closing it.
func (s *shared) open() {
	s.t.Helper()
	if s.Node != nil {
		s.must(s.Close())
	}
	n, err := Open(s.dir, Options{Now: func() time.Time { return s.now }})
	s.must(err)
	if s.Node == nil {
		s.t.Cleanup(func() { s.Close() })
	}
	s.Node = n
}

// pending is the one batch that awaits approval.
func (s *shared) pending() api.Batch {
	s.t.Helper()
	list, err := s.Batches(context.Background())
	s.must(err)
	if len(list) != 1 {
		s.t.Fatalf("got %d batches that await approval, want 1", len(list))
	}
	return list[0]
}

// record is where a signer remembers what it has signed.
func (s *shared) record(key *crypto.PrivateKey) string {
	return filepath.Join(filepath.Dir(s.dir), key.Public().String()[len(sharedName)+2:][:9]+".signed")
}

// tryApprove reviews and signs a batch as the command line does.
func (s *shared) tryApprove(key *crypto.PrivateKey, id string) (api.Approved, error) {
	r, err := ReviewBatch(context.Background(), s.Node, id)
	if err != nil {
		return api.Approved{}, err
	}
	return r.Approve(context.Background(), s.Node, key, s.record(key), s.now)
}

func (s *shared) approve(key *crypto.PrivateKey, id string) {
	s.t.Helper()
	a, err := s.tryApprove(key, id)
	if err != nil || !a.Published {
		s.t.Fatalf("approve %s: got %+v, %v, want it published", id, a, err)
	}
}

const (
	md5A = "md5:0123456789abcdef0123456789abcdef"
	md5B = "md5:1123456789abcdef0123456789abcdef"
)

func (s *shared) tryPublish(hash string) (api.Published, error) {
	list, err := s.Publish(context.Background(), api.Publish{Feed: "shared", Items: []api.Item{{Hashes: []string{hash}, Verdict: "national", Media: "image"}}})
	if err != nil {
		return api.Published{}, err
	}
	return list[0], nil
}

// propose proposes to list a hash.
func (s *shared) propose(hash string) api.Published {
	s.t.Helper()
	p, err := s.tryPublish(hash)
	if err != nil || p.Batch == "" || p.Ref == "" {
		s.t.Fatalf("publish: got %+v, %v, want a batch", p, err)
	}
	return p
}

// list lists a hash, with both signatures.
func (s *shared) list(hash string) feed.Ref {
	s.t.Helper()
	p := s.propose(hash)
	s.approve(s.bob, p.Batch)
	ref, err := feed.ParseRef(p.Ref)
	s.must(err)
	return ref
}

func (s *shared) verdict(hash string) (policy.Outcome, string) {
	s.t.Helper()
	h, err := feed.ParseHash(hash)
	s.must(err)
	v, err := s.Match(context.Background(), []feed.Hash{h}, false)
	s.must(err)
	if len(v[0].Matches) == 0 {
		return v[0].Verdict, ""
	}
	return v[0].Verdict, string(v[0].Matches[0].State)
}

func (s *shared) wantVerdict(hash string, verdict policy.Outcome, state string) {
	s.t.Helper()
	if got, of := s.verdict(hash); got != verdict || of != state {
		s.t.Errorf("%s: got %s %q, want %s %q", hash, got, of, verdict, state)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *api.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got error %v, want one of code %s", err, code)
	}
}

// TestAwaiting: a batch acts on nothing before it is approved, and outlives the process.
func TestAwaiting(t *testing.T) {
	s := newShared(t)
	p := s.propose(md5A)
	s.wantVerdict(md5A, policy.OutcomeAllow, "")
	sealed, err := os.ReadFile(s.Node.dir.pending(sharedName.Log(1)))
	s.must(err)
	if strings.Contains(string(sealed), `"records"`) {
		t.Error("the batch lies open on the disk")
	}
	before := s.pending()
	s.open()
	if after := s.pending(); after.ID != before.ID || after.Root != before.Root || after.ID != p.Batch {
		t.Errorf("after a restart: got %+v, want %+v", after, before)
	}
	if before.Signed != 1 || before.Needs != 2 || before.Ops["add"] != 1 || before.Verdicts["national"] != 1 || before.Kinds["md5"] != 1 ||
		!slices.Equal(before.Sample[0].Hashes, []string{"md5:01234567…"}) {
		t.Errorf("got %+v", before)
	}
	for what, err := range map[string]error{
		"publish": func() error { _, err := s.tryPublish(md5B); return err }(),
		"retract": func() error {
			_, err := s.Retract(context.Background(), feed.Ref{Origin: sharedName.Log(1)}, feed.FalsePositive)
			return err
		}(),
	} {
		if err == nil {
			t.Errorf("%s while a batch waits: got no error", what)
		}
	}
	s.approve(s.carol, p.Batch)
	s.wantVerdict(md5A, policy.OutcomeBlock, "active")
	if list, err := s.Batches(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v, want nothing to await approval", list, err)
	}
	if _, err := os.Stat(s.Node.dir.pending(sharedName.Log(1))); err == nil {
		t.Error("the file of the batch is still there")
	}
	wantCode(t, func() error { _, err := s.tryApprove(s.bob, p.Batch); return err }(), api.CodeNotFound)
}

// TestApproveRefuses: lines that are no signatures of the batch add nothing to it.
func TestApproveRefuses(t *testing.T) {
	s := newShared(t)
	id := s.propose(md5A).Batch
	other := s.key(9)
	r, err := ReviewBatch(context.Background(), s.Node, id)
	s.must(err)
	sign := func(key *crypto.PrivateKey, text []byte) string {
		line, err := key.Sign(text)
		s.must(err)
		return line.String()
	}
	for what, line := range map[string]string{
		"a stranger's": sign(other, r.proposal.Text()), "another text": sign(s.bob, []byte("x\n")), "no line": "x\n",
		"a withdrawal": sign(s.bob, r.proposal.WithdrawalText()),
	} {
		if a, err := s.Approve(context.Background(), id, line); err == nil {
			t.Errorf("%s: got %+v, want an error", what, a)
		}
	}
	if a, err := s.Approve(context.Background(), id, ""); err != nil || a.Published || a.Signed != 1 {
		t.Errorf("without a line: got %+v, %v, want one signature", a, err)
	}
	if err := s.Withdraw(context.Background(), id, sign(s.bob, r.proposal.Text())); err == nil {
		t.Error("withdraw by an approval: got no error")
	}
	s.wantVerdict(md5A, policy.OutcomeAllow, "")
}

// TestReviewChecks: what the node says is not what a signer signs, unless it is true.
func TestReviewChecks(t *testing.T) {
	s := newShared(t)
	s.list(md5B)
	id := s.propose(md5A).Batch
	good, err := s.Batch(context.Background(), id, 0)
	s.must(err)
	if _, err := checkBatch(good); err != nil {
		t.Fatal(err)
	}
	flip := func(b []byte) []byte { b = slices.Clone(b); b[len(b)-1] ^= 1; return b }
	for what, lie := range map[string]func(*api.BatchText){
		"another body":      func(b *api.BatchText) { b.Records[0].Body = flip(b.Records[0].Body) },
		"a body hidden":     func(b *api.BatchText) { b.Records[0].Body = nil },
		"another head":      func(b *api.BatchText) { b.Records[0].Head = flip(b.Records[0].Head) },
		"another tree":      func(b *api.BatchText) { b.Tree[0] = flip(b.Tree[0]) },
		"a short tree":      func(b *api.BatchText) { b.Tree = nil },
		"a hash too short":  func(b *api.BatchText) { b.Tree[0] = b.Tree[0][1:] },
		"another anchor":    func(b *api.BatchText) { b.Anchor = strings.Repeat("0", 64) },
		"no charter":        func(b *api.BatchText) { b.Charters = nil },
		"a checkpoint less": func(b *api.BatchText) { b.Head = "" },
		"a forged checkpoint": func(b *api.BatchText) {
			b.Head = strings.Replace(b.Head, "\n1\n", "\n2\n", 1)
		},
	} {
		b := good
		b.Records, b.Tree = slices.Clone(good.Records), slices.Clone(good.Tree)
		lie(&b)
		if r, err := checkBatch(b); err == nil {
			t.Errorf("%s: got batch %s, want an error", what, r.Batch.ID)
		}
	}
	// A record more or less is another batch, and its id says so.
	more := lying{s.Node, func(b *api.BatchText) { b.Records = append(b.Records, b.Records[0]) }}
	if _, err := ReviewBatch(context.Background(), more, id); err == nil || !strings.Contains(err.Error(), "what the node gave is batch") {
		t.Errorf("a record more: got %v, want an error", err)
	}
	// Counts are those of the records, whatever is said.
	counted := lying{s.Node, func(b *api.BatchText) { b.Ops, b.Verdicts, b.Sample = map[string]int{"retract": 9}, nil, nil }}
	if r, err := ReviewBatch(context.Background(), counted, id); err != nil || r.Batch.Ops["add"] != 1 || r.Batch.Ops["retract"] != 0 || len(r.Batch.Sample) != 1 {
		t.Errorf("false counts: got %+v, %v, want those of the records", r, err)
	}
}

// lying is a node that changes what it tells of a batch.
type lying struct {
	api.Verbs
	lie func(*api.BatchText)
}

func (l lying) Batch(ctx context.Context, id string, pledged uint64) (api.BatchText, error) {
	b, err := l.Verbs.Batch(ctx, id, pledged)
	b.Records = slices.Clone(b.Records)
	l.lie(&b)
	return b, err
}

// TestSecondHead: a signer that has signed a batch signs no other in its place, until that can do no harm.
func TestSecondHead(t *testing.T) {
	s := newShared(t)
	s.list(md5B)
	first := s.propose(md5A)
	r, err := ReviewBatch(context.Background(), s.Node, first.Batch)
	s.must(err)
	// Bob signs, and the signature is lost on its way.
	if a, err := r.Approve(context.Background(), lost{s.Node}, s.bob, s.record(s.bob), s.now); err == nil {
		t.Fatalf("got %+v, want the signature lost", a)
	}
	s.must(s.Withdraw(context.Background(), first.Batch, ""))
	second := s.propose(md5A)
	if _, err := s.tryApprove(s.bob, second.Batch); !errors.As(err, new(*api.Error)) || !strings.Contains(err.Error(), feed.ErrPledged.Error()) {
		t.Errorf("second head: got %v, want %v", err, feed.ErrPledged)
	}
	// The node itself is bound by its word: what was withdrawn is dead.
	if own, err := os.ReadFile(s.Node.dir.signed(sharedName, 1)); err != nil || strings.Count(string(own), " never ") != 1 {
		t.Errorf("the node's own record: got %q, %v, want one withdrawal", own, err)
	}
	// Carol signs. From here on it takes two of three to sign what Bob has signed, and two have signed otherwise.
	s.approve(s.carol, second.Batch)
	s.list("md5:2123456789abcdef0123456789abcdef")
	if own, err := os.ReadFile(s.record(s.bob)); err != nil || strings.Count(string(own), " released ") != 1 {
		t.Errorf("Bob's record: got %q, %v, want one release", own, err)
	}
}

// lost is a node that no signature reaches.
type lost struct{ api.Verbs }

func (lost) Approve(context.Context, string, string) (api.Approved, error) {
	return api.Approved{}, errors.New("the line is cut")
}

// TestWithdrawalFrees: where all must sign, the node's word never to sign the first batch frees the second signer.
func TestWithdrawalFrees(t *testing.T) {
	s := newShared(t)
	pair := crypto.NewKeyFromSeed("hotline.example/pair/1", crypto.TypeSignature, [32]byte{7})
	record := filepath.Join(t.TempDir(), "pair.signed")
	_, err := s.CreateFeed(context.Background(), api.CreateFeed{Name: "pair", Signers: 2, SignerKeys: []string{pair.Public().String()}})
	s.must(err)
	approve := func(door api.Verbs) error {
		r, err := ReviewBatch(context.Background(), s.Node, s.pending().ID)
		s.must(err)
		_, err = r.Approve(context.Background(), door, pair, record, s.now)
		return err
	}
	publish := func() string {
		list, err := s.Publish(context.Background(), api.Publish{Feed: "pair", Items: []api.Item{{Hashes: []string{md5A}, Verdict: "national", Media: "image"}}})
		s.must(err)
		return list[0].Batch
	}
	s.must(approve(s.Node))
	first := publish()
	if approve(lost{s.Node}) == nil {
		t.Fatal("want the signature lost")
	}
	s.must(s.Withdraw(context.Background(), first, ""))
	publish()
	hidden := lying{s.Node, func(b *api.BatchText) { b.Withdrawn = nil }}
	r, err := ReviewBatch(context.Background(), hidden, s.pending().ID)
	s.must(err)
	if _, err := r.Approve(context.Background(), hidden, pair, record, s.now); err == nil {
		t.Fatal("without the withdrawal: got no error")
	}
	s.must(approve(s.Node))
	s.wantVerdict(md5A, policy.OutcomeBlock, "active")
}

// TestWithdrawnAgain: what is withdrawn and proposed again within the second is the same batch, which nobody would sign: it is refused at once, and a second
// later it is another.
func TestWithdrawnAgain(t *testing.T) {
	s := newShared(t)
	a := s.list(md5A)
	first, err := s.Retract(context.Background(), a, feed.FalsePositive)
	s.must(err)
	s.must(s.Withdraw(context.Background(), first.Batch, ""))
	_, err = s.Retract(context.Background(), a, feed.FalsePositive)
	wantCode(t, err, api.CodeConflict)
	s.now = s.now.Add(time.Second)
	again, err := s.Retract(context.Background(), a, feed.FalsePositive)
	s.must(err)
	s.approve(s.bob, again.Batch)
	s.wantVerdict(md5A, policy.OutcomeAllow, "")
}

// TestRetractHolds: who is listed wrongly doesn't wait for the second signer, nor behind a batch that nobody approves.
func TestRetractHolds(t *testing.T) {
	s := newShared(t)
	a, b := s.list(md5A), s.list(md5B)
	p, err := s.Retract(context.Background(), a, feed.FalsePositive)
	s.must(err)
	if p.Batch == "" || p.Until != timeText(s.now.Unix()+72*3600) {
		t.Errorf("got %+v, want a batch, and the item held for 72 h", p)
	}
	s.wantVerdict(md5A, policy.OutcomeReview, "suspended")
	_, err = s.Retract(context.Background(), b, feed.FalsePositive)
	wantCode(t, err, api.CodeConflict)
	if err == nil || !strings.Contains(err.Error(), "held meanwhile") {
		t.Errorf("got %v, want to be told that the item is held", err)
	}
	s.wantVerdict(md5B, policy.OutcomeReview, "suspended")
	s.now = s.now.Add(72*time.Hour - time.Second)
	s.wantVerdict(md5A, policy.OutcomeReview, "suspended")
	s.approve(s.bob, p.Batch)
	s.wantVerdict(md5A, policy.OutcomeAllow, "")
	s.now = s.now.Add(time.Second) // it lapses, and the same signer can't renew it
	s.wantVerdict(md5B, policy.OutcomeBlock, "active")
	_, err = s.Suspend(context.Background(), []feed.Ref{b})
	wantCode(t, err, api.CodeConflict)
	s.wantVerdict(md5B, policy.OutcomeBlock, "active")
}

// TestPendingDamaged: a batch whose file was changed, moved or is from another time is never signed, and stops nothing else.
func TestPendingDamaged(t *testing.T) {
	s := newShared(t)
	ref := s.list(md5B)
	s.propose(md5A)
	path := s.Node.dir.pending(sharedName.Log(1))
	good, err := os.ReadFile(path)
	s.must(err)
	bad := slices.Clone(good)
	bad[len(bad)/2] ^= 1
	s.must(os.WriteFile(path, bad, 0o600))
	s.open()
	_, err = s.Batches(context.Background())
	wantCode(t, err, api.CodeDamaged)
	_, err = s.tryPublish(md5A)
	wantCode(t, err, api.CodeDamaged)
	_, err = s.Suspend(context.Background(), []feed.Ref{ref}) // needs no batch
	s.must(err)
	status, err := s.Status(context.Background())
	s.must(err)
	if !slices.ContainsFunc(status.Alarms, func(a api.Alarm) bool { return a.Code == "pending" }) {
		t.Errorf("got alarms %+v, want one of the damaged batch", status.Alarms)
	}
	s.must(os.Remove(path))
	id := s.propose(md5A).Batch
	s.approve(s.carol, id)
	// The old file comes back: the log has gone on.
	s.must(os.WriteFile(path, good, 0o600))
	s.open()
	if list, err := s.Batches(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("an old batch: got %v, %v, want it dropped", list, err)
	}
	s.now = s.now.Add(5 * time.Hour)
	s.propose("md5:2123456789abcdef0123456789abcdef")
	s.now = s.now.Add(5 * time.Hour)
	status, err = s.Status(context.Background())
	s.must(err)
	if !slices.ContainsFunc(status.Alarms, func(a api.Alarm) bool { return a.Code == "approval" }) {
		t.Errorf("got alarms %+v, want one of the batch that waits", status.Alarms)
	}
}

// TestStampAlone: an idle feed is stamped without its signers.
func TestStampAlone(t *testing.T) {
	s := newShared(t)
	s.list(md5A)
	v := s.viewNamed(sharedName)
	s.must(os.Remove(s.Node.dir.signerKey(sharedName, 1)))
	s.now = s.now.Add(time.Hour)
	s.must(s.stamp(context.Background(), v))
	if got := v.reading.Load().head; got.Stamp != s.now.Unix() || len(got.Lines()) != 3 {
		t.Errorf("got stamp %d with %d lines, want now, and two signers' and the stamp's", got.Stamp, len(got.Lines()))
	}
}

// TestCrashAfterLastSignature: once the node's own signer has signed, the batch can't be withdrawn; it is published.
func TestCrashAfterLastSignature(t *testing.T) {
	s := newShared(t)
	id := s.propose(md5A).Batch
	p, err := s.ownPending(id)
	s.must(err)
	if _, err := s.signPending(p); err != nil { // and the crash comes before the commit
		t.Fatal(err)
	}
	s.open()
	wantCode(t, s.Withdraw(context.Background(), id, ""), api.CodeConflict)
	s.approve(s.bob, id)

	// Both signatures, and the crash: it is published when the node runs again.
	id = s.propose(md5B).Batch
	r, err := ReviewBatch(context.Background(), s.Node, id)
	s.must(err)
	line, err := s.bob.Sign(r.proposal.Text())
	s.must(err)
	if p, err = s.ownPending(id); err != nil {
		t.Fatal(err)
	}
	p.file.Lines = []string{line.String()}
	s.must(s.storePending(p))
	s.open()
	s.must(s.carryOn(context.Background(), s.viewNamed(sharedName)))
	s.wantVerdict(md5B, policy.OutcomeBlock, "active")
}

// TestPendingOfClosedLog: when a charter closes the log, what awaited approval for it is over, and the opening of the next log
// awaits the new signers.
func TestPendingOfClosedLog(t *testing.T) {
	s := newShared(t)
	s.list(md5A)
	id := s.propose(md5B).Batch
	v := s.viewNamed(sharedName)
	chain := v.reading.Load().chain
	root, err := s.keys.load(s.Node.dir.rootKey(sharedName), string(sharedName)+"/root")
	s.must(err)
	head, _ := s.store.Head(sharedName.Log(1))
	s.must(os.MkdirAll(s.Node.dir.logKeys(sharedName, 2), 0o700))
	made, err := makeKeys(nil, keyPlan{s.Node.dir.signerKey(sharedName, 2), string(sharedName) + "/2", crypto.TypeSignature},
		keyPlan{s.Node.dir.stampKey(sharedName, 2), string(sharedName) + "/2", crypto.TypeCosignature})
	s.must(err)
	dave := crypto.NewKeyFromSeed(string(sharedName)+"/2", crypto.TypeSignature, [32]byte{4})
	next := chain.Newest()
	next.Version, next.Log, next.Closed = 2, 2, []feed.Cut{{Size: head.Size, Root: head.Root}}
	next.Signer = feed.KeyGroup{K: 2, Keys: []crypto.PublicKey{made[0].Public(), dave.Public()}}
	next.Stamp = made[1].Public()
	note, err := feed.SignCharter(next, root)
	s.must(err)
	longer, err := chain.Extend(note)
	s.must(err)
	s.must(s.store.SetChain(longer))
	wantCode(t, func() error { _, err := s.tryApprove(s.bob, id); return err }(), api.CodeNotFound)
	if _, err := os.Stat(s.Node.dir.pending(sharedName.Log(1))); err == nil {
		t.Error("the batch of the closed log is still there")
	}
	v = s.viewNamed(sharedName)
	s.must(s.carryOn(context.Background(), v))
	opening := s.pending()
	if !opening.Opening || opening.Origin != string(sharedName)+"/2" {
		t.Errorf("got %+v, want the opening of the next log", opening)
	}
	s.approve(dave, opening.ID)
	p := s.propose(md5B)
	s.approve(dave, p.Batch)
	s.wantVerdict(md5A, policy.OutcomeBlock, "active")
	s.wantVerdict(md5B, policy.OutcomeBlock, "active")
	if p.Ref != string(sharedName)+"/2#0" {
		t.Errorf("got %s, want the first record of the next log", p.Ref)
	}
}
