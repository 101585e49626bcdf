package node

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// thing is the hash of the n'th thing.
func thing(t *testing.T, n int) feed.Hash {
	t.Helper()
	h, err := feed.ParseHash(hashOf(n))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// verifyJournal wants the journal of a node to be whole.
func (d *desk) verifyJournal() journal.Report {
	d.Helper()
	d.Node.journal.Flush()
	r, err := VerifyJournal(d.Context(), d.dir, nil)
	d.must(err)
	if len(r.Problems) != 0 || r.Note != "" {
		d.Fatalf("journal: %+v", r)
	}
	return r
}

func (d *desk) entries(q api.JournalQuery) []api.JournalEntry {
	d.Helper()
	page, err := d.Journal(d.Context(), q)
	d.must(err)
	return page.Entries
}

// setKeeping changes [journal] of a node that is open.
func (d *desk) setKeeping(change func(*Keeping)) {
	config := *d.config.Load()
	change(&config.Journal)
	d.config.Store(&config)
}

// TestDecided asks through each verb: what isn't allowed has an id, and the journal has what judging it again takes; what is allowed is counted.
func TestDecided(t *testing.T) {
	d := newDesk(t)
	refs := d.list(0, 1)
	ctx := t.Context()

	one, err := d.Match(ctx, []feed.Hash{thing(t, 0), thing(t, 9), thing(t, 1)}, false)
	d.must(err)
	file, err := d.Match(api.WithRef(ctx, "upload 8"), []feed.Hash{thing(t, 0), thing(t, 1)}, true)
	d.must(err)
	scanned, err := d.Scan(ctx, strings.NewReader("thing 1"), "upload 9") // whose md5 is hashOf(1)
	d.must(err)
	innocent, err := d.Scan(ctx, strings.NewReader("nothing"), "upload 10")
	d.must(err)
	answers, err := d.Answers(ctx, feed.HashesOf([]feed.Hash{thing(t, 7), thing(t, 1), thing(t, 8)}))
	d.must(err)

	ids := []string{one[0].Decision, one[2].Decision, file[0].Decision, scanned.Decision, answers.Verdict(1).Decision}
	for i, id := range ids {
		if !journal.ValidID(id) || i > 0 && id <= ids[i-1] {
			t.Errorf("decision %d: id %q", i, id)
		}
	}
	if one[1].Decision != "" || innocent.Decision != "" || answers.Verdict(0).Decision != "" || innocent.Verdict != policy.OutcomeAllow {
		t.Errorf("what is allowed has an id: %+v %+v", one[1], innocent)
	}
	entries := d.entries(api.JournalQuery{})
	var got []string
	for _, e := range entries {
		got = append(got, e.Decision)
	}
	slices.Reverse(got)
	if !slices.Equal(got, ids) {
		t.Fatalf("the journal has %v, want %v", got, ids)
	}
	e, err := d.Decision(ctx, scanned.Decision)
	d.must(err)
	m := e.Matches[0]
	if e.Ref != "upload 9" || e.Verdict != policy.OutcomeBlock || e.Harm != "csam" || e.Test || m.Ref != refs[1] || m.Strength != "weak" || m.Age != "fresh" ||
		m.Verdict != "national" || m.Action != policy.Block || e.Heads[0].Size != 2 || !e.Rules["hotline.example/known"].Own || len(e.Keyed) != 3 {
		t.Errorf("got %+v", e)
	}
	if e := d.entries(api.JournalQuery{Ref: "upload 8"}); len(e) != 1 || e[0].Decision != file[0].Decision || len(e[0].Matches) != 2 {
		t.Errorf("of upload 8: got %+v", e)
	}
	if e := d.entries(api.JournalQuery{Hash: hashOf(0)}); len(e) != 2 {
		t.Errorf("of thing 0: got %d entries", len(e))
	}
	// Two md5 of one file: one of the two is a forgery.
	if e := d.entries(api.JournalQuery{Verdict: "review"}); len(e) != 1 || !slices.Equal(e[0].Matches[0].Holds, []string{"collision"}) {
		t.Errorf("reviews: got %+v", e)
	}
	for _, q := range []api.JournalQuery{{Verdict: "allow"}, {Hash: "md5:0"}} {
		if _, err := d.Journal(ctx, q); err == nil {
			t.Errorf("%+v: got no error", q)
		}
	}
	s, err := d.JournalStats(ctx, time.Time{}, time.Time{})
	d.must(err)
	if h := s.Harms["csam"]; s.Allow != 4 || h.Block != 4 || h.Review != 1 || h.Decisions() != 5 || h.ErrorRate != nil || s.Test != 0 {
		t.Errorf("got %+v", s)
	}

	// No hash is in the files in a form that a list would find.
	d.Node.journal.Flush()
	files, err := filepath.Glob(filepath.Join(d.dir, "journal", "*"))
	d.must(err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		d.must(err)
		for n := range 10 {
			if hash := strings.TrimPrefix(hashOf(n), "md5:"); bytes.Contains(bytes.ToLower(text), []byte(hash[:16])) {
				t.Errorf("%s holds a hash", path)
			}
		}
	}
	d.verifyJournal()
	d.reopen()
	if n := len(d.entries(api.JournalQuery{})); n != len(ids) {
		t.Errorf("started again: %d entries, want %d", n, len(ids))
	}
	d.verifyJournal()
}

// TestTestCountsApart: matches of test records are decisions, marked, and counted apart.
func TestTestCountsApart(t *testing.T) {
	d := newDesk(t)
	selfTest := (*d.views.Load())[0]
	v, err := d.Match(t.Context(), []feed.Hash{selfTest.picture[0]}, false)
	d.must(err)
	if len(v[0].Matches) == 0 || v[0].Verdict != policy.OutcomeBlock {
		t.Fatalf("the test picture: got %+v", v)
	}
	e, err := d.Decision(t.Context(), v[0].Decision)
	d.must(err)
	s, err := d.JournalStats(t.Context(), time.Time{}, time.Time{})
	d.must(err)
	if !e.Test || e.Harm != "" || s.Test != 1 || len(s.Harms) != 0 || s.Allow != 0 {
		t.Errorf("got %+v, %+v", e, s)
	}
}

// TestActed: a review is open until somebody acts on it; the error rate is of those that were acted on.
func TestActed(t *testing.T) {
	d := newDesk(t)
	d.list(0, 1, 2)
	config := *d.config.Load()
	config.Own.ActionWeak = policy.Review
	d.config.Store(&config)
	d.decide()
	var ids []string
	for n := range 3 {
		v, err := d.Match(t.Context(), []feed.Hash{thing(t, n)}, false)
		d.must(err)
		ids = append(ids, v[0].Decision)
	}
	open := func(want ...string) {
		t.Helper()
		var got []string
		for _, e := range d.entries(api.JournalQuery{Open: true}) {
			got = append(got, e.Decision)
		}
		if !slices.Equal(got, want) {
			t.Errorf("open: got %v, want %v", got, want)
		}
	}
	open(ids...)
	for _, bad := range []api.JournalAct{{}, {Done: []string{"burnt"}}, {Done: []string{"removed", "removed"}}, {Done: []string{"reported"}},
		{Done: []string{"removed"}, Report: "7"}, {Done: []string{"reported"}, Report: strings.Repeat("x", 300)}} {
		if _, err := d.Act(t.Context(), ids[0], bad); err == nil {
			t.Errorf("%+v: got no error", bad)
		}
	}
	act := func(id string, a api.JournalAct) {
		t.Helper()
		if e, err := d.Act(t.Context(), id, a); err != nil || !slices.Equal(e.Acts[len(e.Acts)-1].Done, a.Done) {
			t.Fatalf("got %+v, %v", e, err)
		}
	}
	act(ids[1], api.JournalAct{Done: []string{"removed", "preserved", "reported"}, Report: "NCMEC 7"})
	open(ids[0], ids[2])
	act(ids[0], api.JournalAct{Done: []string{"false"}})
	act(ids[0], api.JournalAct{Done: []string{"false"}}) // again tells nothing new
	open(ids[2])
	act(ids[2], api.JournalAct{Done: []string{"refused"}})
	act(ids[1], api.JournalAct{Done: []string{"refused"}})
	open()
	s, err := d.JournalStats(t.Context(), time.Time{}, time.Time{})
	d.must(err)
	h := s.Harms["csam"]
	if h.Review != 3 || h.Removed != 1 || h.Reported != 1 || h.Preserved != 1 || h.Refused != 2 || h.Right != 2 || h.False != 1 || *h.ErrorRate != 1.0/3 {
		t.Errorf("got %+v", h)
	}
	if _, err := d.Act(t.Context(), strings.Repeat("0", 26), api.JournalAct{Done: []string{"false"}}); statusOf(err) != 404 {
		t.Errorf("of no decision: got %v", err)
	}
	d.verifyJournal()
}

func statusOf(err error) int {
	if e, ok := err.(*api.Error); ok {
		return e.Status
	}
	return 0
}

// TestAffected: what a record had a part in is found by any record of its item; what was let in before it was listed only where such is kept.
func TestAffected(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	d.setKeeping(func(k *Keeping) { k.OldUploads = true })
	early, err := d.Scan(ctx, strings.NewReader("thing 5"), "early")
	d.must(err)
	_, err = d.Match(ctx, []feed.Hash{thing(t, 3), thing(t, 5)}, false)
	d.must(err)
	if early.Verdict != policy.OutcomeAllow {
		t.Fatalf("got %+v", early)
	}
	d.setKeeping(func(k *Keeping) { k.OldUploads = false })
	_, err = d.Scan(ctx, strings.NewReader("thing 5"), "early too")
	d.must(err)
	ref, err := feed.ParseRef(d.list(5)[0])
	d.must(err)
	late, err := d.Scan(ctx, strings.NewReader("thing 5"), "late")
	d.must(err)
	revised, err := d.Revise(ctx, ref, api.Revision{Severity: 2})
	d.must(err)
	again, err := d.Scan(ctx, strings.NewReader("thing 5"), "again")
	d.must(err)
	d.retract(ref.String())
	for _, r := range []string{ref.String(), revised.Ref, "hotline.example/known/1#2"} { // the last is the retract
		ref, err := feed.ParseRef(r)
		d.must(err)
		a, err := d.Affected(ctx, ref)
		d.must(err)
		if len(a.Entries) != 2 || a.Entries[0].Decision != again.Decision || a.Entries[1].Decision != late.Decision || a.Entries[1].Ref != "late" {
			t.Errorf("%s: got %+v", r, a.Entries)
		}
		if len(a.Uploads) != 2 || a.Uploads[1].Ref != "early" || a.Uploads[0].Ref != "" {
			t.Errorf("%s: got uploads %+v", r, a.Uploads)
		}
	}
	if _, err := d.Affected(ctx, feed.Ref{Origin: ref.Origin, Index: 99}); err == nil {
		t.Error("of no record: got no error")
	}
	stranger := feed.Ref{Origin: "gone.example/known/1", Index: 1}
	if a, err := d.Affected(ctx, stranger); err != nil || len(a.Entries) != 0 {
		t.Errorf("of a feed that isn't here: got %+v, %v", a, err)
	}
}

// TestDecisionReceipt: a third party checks it with the journal's key and the anchor alone; whatever is changed in it, it doesn't hold.
func TestDecisionReceipt(t *testing.T) {
	d := newDesk(t)
	d.list(0, 1)
	v, err := d.Match(t.Context(), []feed.Hash{thing(t, 0), thing(t, 1)}, true)
	d.must(err)
	receipt, err := d.DecisionReceipt(t.Context(), v[0].Decision)
	d.must(err)
	id, err := d.Identity(t.Context())
	d.must(err)
	key, err := crypto.ParsePublicKey(id.JournalVKey)
	d.must(err)
	anchor, err := feed.ParseAnchor(id.Anchor)
	d.must(err)
	r, err := journal.OpenReceipt(receipt, key, []feed.Anchor{{1}, anchor})
	d.must(err)
	if r.Line.ID != v[0].Decision || len(r.Proofs) != 2 || len(r.Unproved) != 0 || r.Proofs[0].Body == nil {
		t.Errorf("got %+v", r)
	}
	for i := 0; i < len(receipt); i += 1 + len(receipt)/500 {
		changed := bytes.Clone(receipt)
		changed[i] ^= 1
		if _, err := journal.OpenReceipt(changed, key, []feed.Anchor{anchor}); err == nil {
			t.Fatalf("byte %d changed: it holds", i)
		}
	}
	other, err := crypto.GenerateKey("hotline.example/journal", crypto.TypeSignature)
	d.must(err)
	for name, try := range map[string]func() error{
		"another journal": func() error {
			_, err := journal.OpenReceipt(receipt, other.Public(), []feed.Anchor{anchor})
			return err
		},
		"another anchor": func() error { _, err := journal.OpenReceipt(receipt, key, []feed.Anchor{{1}}); return err },
		"no anchor":      func() error { _, err := journal.OpenReceipt(receipt, key, nil); return err },
	} {
		if try() == nil {
			t.Errorf("%s: it holds", name)
		}
	}

	// A node that signs what isn't so is found out by the proofs.
	e, err := d.findDecision(t.Context(), v[0].Decision)
	d.must(err)
	proof, err := d.Prove(t.Context(), feed.Ref{Origin: "hotline.example/known/1", Index: 0}, true)
	d.must(err)
	lie := func(name string, line []byte, proofs ...[]byte) {
		t.Helper()
		receipt, err := journal.SignReceipt(line, proofs, d.keys.journal.Sign)
		d.must(err)
		if _, err := journal.OpenReceipt(receipt, key, []feed.Anchor{anchor}); err == nil {
			t.Errorf("%s: it holds", name)
		}
	}
	lie("another verdict", bytes.Replace(e.Raw, []byte(`"verdict":"national"`), []byte(`"verdict":"baseline"`), 1), proof)
	lie("another harm", bytes.Replace(e.Raw, []byte(`"harm":"csam","media"`), []byte(`"harm":"tvec","media"`), 1), proof)
	lie("another record", bytes.ReplaceAll(e.Raw, []byte("known/1#0"), []byte("known/1#7")), proof)
	lie("twice", e.Raw, proof, proof)
	lie("before it was listed", bytes.Replace(e.Raw, []byte(`"time":"2026-`), []byte(`"time":"2025-`), 1), proof)
	if receipt, err = journal.SignReceipt(e.Raw, [][]byte{proof}, d.keys.journal.Sign); err != nil {
		t.Fatal(err)
	}
	if r, err = journal.OpenReceipt(receipt, key, []feed.Anchor{anchor}); err != nil || len(r.Unproved) != 1 {
		t.Errorf("with one proof of two: got %+v, %v", r, err)
	}
	// A body that was erased since can't be shown any more; that it was listed can.
	d.retract("hotline.example/known/1#0")
	if _, err = d.DecisionReceipt(t.Context(), v[0].Decision); err != nil {
		t.Error(err)
	}
}

// TestJournalFullDisk: answers go on while the disk is full, an alarm tells, and it ends by itself.
func TestJournalFullDisk(t *testing.T) {
	free := atomic.Uint64{}
	free.Store(1 << 40)
	d := newDesk(t)
	d.list(0)
	d.must(d.Close())
	var err error
	d.Node, err = Open(d.dir, Options{Now: func() time.Time { return d.clock }, Free: func(string) (uint64, error) { return free.Load(), nil }})
	d.must(err)
	free.Store(1 << 20)
	ask := func() policy.Verdict {
		t.Helper()
		began := time.Now()
		v, err := d.Match(t.Context(), []feed.Hash{thing(t, 0)}, false)
		d.must(err)
		if took := time.Since(began); v[0].Verdict != policy.OutcomeBlock || took > 10*time.Second {
			t.Fatalf("got %+v after %v", v[0], took)
		}
		return v[0]
	}
	alarm := func() (text string) {
		t.Helper()
		s, err := d.Status(t.Context())
		d.must(err)
		for _, a := range s.Alarms {
			if a.Code == alarmJournal {
				text += a.Text
			}
		}
		return text
	}
	id := ask().Decision
	for range 100 {
		if alarm() != "" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if text := alarm(); !strings.Contains(text, "free") {
		t.Fatalf("alarm: %q", text)
	}
	ask()
	free.Store(1 << 40)
	for range 300 {
		if alarm() == "" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if text := alarm(); text != "" {
		t.Fatalf("alarm with room: %q", text)
	}
	if _, err := d.Decision(t.Context(), id); err != nil {
		t.Error(err)
	}
	d.verifyJournal()
}

// TestJournalCare: fsck names a line that was changed; doctor what a crash has set aside; a backup has the journal, and a restored node goes on.
func TestJournalCare(t *testing.T) {
	d := newDesk(t)
	d.list(0)
	for range 3 {
		d.want("listed", map[int]string{0: "block active"})
	}
	var archive bytes.Buffer
	_, err := WriteBackup(t.Context(), d.dir, d.Node, &archive, []byte("a passphrase"))
	d.must(err)
	found := func() (text []string) {
		t.Helper()
		for f, err := range d.Fsck(context.Background(), false) {
			d.must(err)
			text = append(text, f.Kind+" "+f.Where+": "+f.Text)
		}
		return text
	}
	if got := found(); len(got) != 0 {
		t.Fatalf("fsck: %v", got)
	}
	d.must(d.Close())
	files, err := filepath.Glob(filepath.Join(d.dir, "journal", "lines-*"))
	d.must(err)
	text, err := os.ReadFile(files[0])
	d.must(err)
	d.must(os.WriteFile(files[0], bytes.Replace(text, []byte(`"verdict":"block"`), []byte(`"verdict":"log"`), 1), 0o600))
	d.must(os.WriteFile(filepath.Join(d.dir, "journal", "torn-0000000000001-7"), []byte("{"), 0o600))
	d.open()
	got := found()
	if len(got) != 2 || !strings.Contains(got[1], "line 1 was changed") || !strings.Contains(got[0], "set aside") {
		t.Errorf("fsck: %q", got)
	}
	advice, err := d.Doctor(t.Context())
	d.must(err)
	if !slices.ContainsFunc(advice, func(f api.Finding) bool { return f.Kind == "journal" }) {
		t.Errorf("doctor: %+v", advice)
	}

	dir := filepath.Join(t.TempDir(), "restored")
	_, err = Restore(t.Context(), dir, &archive, RestoreOptions{Backup: []byte("a passphrase"), Now: func() time.Time { return d.clock }})
	d.must(err)
	again := &desk{T: t, dir: dir, clock: d.clock}
	again.open()
	defer again.Close()
	if n := len(again.entries(api.JournalQuery{})); n != 3 {
		t.Errorf("restored: %d decisions, want 3", n)
	}
	again.want("restored", map[int]string{0: "block active"})
	again.verifyJournal()
}

// TestJournalPurged: the daemon's daily purge goes by [journal].
func TestJournalPurged(t *testing.T) {
	d := newDesk(t)
	d.list(0)
	d.want("listed", map[int]string{0: "block active"})
	d.setKeeping(func(k *Keeping) { k.Block = 10 })
	d.clock = d.clock.AddDate(0, 0, 9)
	for _, want := range []int{1, 0} {
		_, err := d.Node.journal.Purge(t.Context(), d.config.Load().Journal.terms())
		d.must(err)
		if n := len(d.entries(api.JournalQuery{})); n != want {
			t.Errorf("got %d decisions, want %d", n, want)
		}
		d.clock = d.clock.AddDate(0, 0, 2)
	}
	if r := d.verifyJournal(); r.Purged != 1 {
		t.Errorf("got %+v", r)
	}
}
