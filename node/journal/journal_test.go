package journal

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" { // this process is TestKilled's
		fmt.Fprintln(os.Stderr, writeUntilKilled(dir))
		os.Exit(2)
	}
	goleak.VerifyTestMain(m)
}

// desk is a journal in a folder, and a clock.
type desk struct {
	*testing.T
	*Journal
	dir   string
	key   Key
	clock time.Time
	room  error
}

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, dir: filepath.Join(t.TempDir(), "journal"), key: Key{1, 2, 3}, clock: time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)}
	d.open()
	t.Cleanup(func() { d.Journal.Close() })
	return d
}

func (d *desk) open() {
	d.Helper()
	var err error
	d.Journal, err = Open(Options{Dir: d.dir, Key: d.key, Now: func() time.Time { return d.clock }, Room: func() error { return d.room }})
	d.must(err)
}

func (d *desk) reopen() {
	d.Helper()
	d.must(d.Journal.Close())
	d.open()
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// decide records a decision about a record.
func (d *desk) decide(verdict policy.Outcome, ref string) string {
	d.Helper()
	id, _ := d.Decided(decision(verdict, ref))
	if id == "" {
		d.Fatalf("not recorded: %+v", d.State())
	}
	d.Flush()
	return id
}

func decision(verdict policy.Outcome, ref string) Decision {
	return Decision{Ref: "upload-1", Hashes: []string{"md5:00112233445566778899aabbccddeeff"}, Verdict: verdict, Harm: "csam", Checked: []string{"md5"},
		Unchecked: []string{}, Heads: []policy.Head{}, Rules: map[string]*Rule{},
		Matches: []Matched{{Match: policy.Match{Ref: ref, Alg: "md5", Harm: "csam", State: policy.Active, EndorsedBy: []string{}, Action: policy.Action(verdict)},
			Strength: "weak", Age: "fresh"}}}
}

// verify wants exactly these problems: "what from" or "what from-to".
func (d *desk) verify(want ...string) Report {
	d.Helper()
	d.Flush()
	r := verified(d.T, d.dir, &d.key)
	if got := problems(r); !slices.Equal(got, want) {
		d.Fatalf("got problems %q, want %q\n%+v", got, want, r)
	}
	return r
}

func verified(t *testing.T, dir string, key *Key) Report {
	t.Helper()
	r, err := Verify(context.Background(), dir, key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func problems(r Report) (said []string) {
	for _, p := range r.Problems {
		text := fmt.Sprintf("%s %d", p.What, p.Seq)
		if p.To != p.Seq {
			text += fmt.Sprintf("-%d", p.To)
		}
		said = append(said, text)
	}
	return said
}

func (d *desk) files() []string {
	d.Helper()
	names, err := listFiles(d.dir)
	d.must(err)
	return names
}

func TestJournal(t *testing.T) {
	d := newDesk(t)
	d.verify()
	first := d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	d.clock = d.clock.Add(time.Second)
	second := d.decide(policy.OutcomeReview, "a.example/known/1#2")
	if !ValidID(first) || !ValidID(second) || first >= second {
		t.Errorf("ids %s and %s don't rise", first, second)
	}
	d.Allowed(d.clock, 3)
	d.reopen()
	third := d.decide(policy.OutcomeLog, "a.example/known/1#1")
	d.Allowed(d.clock, 4)
	r := d.verify()
	if r.Lines != 3 {
		t.Errorf("got %d lines, want 3", r.Lines)
	}

	found, more, err := d.Decisions(d.Context(), Query{Limit: 2})
	d.must(err)
	if len(found) != 2 || !more || found[0].ID != third || found[1].ID != second {
		t.Errorf("got %+v, more %v", found, more)
	}
	found, more, err = d.Decisions(d.Context(), Query{Before: found[1].Seq})
	d.must(err)
	if len(found) != 1 || more || found[0].ID != first {
		t.Errorf("got %+v, more %v", found, more)
	}
	for _, q := range []Query{{Verdict: policy.OutcomeReview}, {Since: d.clock, Until: d.clock.Add(1), Before: 3}} {
		if found, _, err := d.Decisions(d.Context(), q); err != nil || len(found) != 1 || found[0].ID != second {
			t.Errorf("%+v: got %+v, %v", q, found, err)
		}
	}

	open, _, err := d.Open(d.Context(), 0)
	d.must(err)
	if len(open) != 1 || open[0].ID != second {
		t.Errorf("open: got %+v", open)
	}
	if _, err := d.Acted(d.Context(), Act{Of: second, Done: []string{False}, Tells: TellsOf([]string{False}, nil), Harm: "csam"}); err != nil {
		t.Fatal(err)
	}
	if open, _, err = d.Open(d.Context(), 0); err != nil || len(open) != 0 {
		t.Errorf("open after an act: got %+v, %v", open, err)
	}
	e, err := d.Find(d.Context(), second)
	d.must(err)
	if len(e.Acts) != 1 || e.Acts[0].Act.Done[0] != False || e.Decision.Verdict != policy.OutcomeReview {
		t.Errorf("got %+v", e)
	}
	if _, err := d.Find(d.Context(), strings.Repeat("0", idLength)); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	affected, _, _, err := d.Affected(d.Context(), []string{"a.example/known/1#1"}, nil)
	d.must(err)
	if len(affected) != 2 || affected[0].ID != third || affected[1].ID != first {
		t.Errorf("affected: got %+v", affected)
	}

	d.clock = d.clock.Add(time.Hour)
	d.Allowed(d.clock, 1)
	d.reopen()
	hours, err := d.Hours(d.Context(), time.Time{}, time.Time{})
	d.must(err)
	want := Tally{Log: 1, Review: 1, Block: 1, False: 1}
	if len(hours) != 2 || hours[0].Allow != 7 || hours[0].Harms["csam"] != want || hours[1].Allow != 1 {
		t.Errorf("hours: got %+v", hours)
	}
	if days := Days(hours); len(days) != 1 || days[0].Allow != 8 || days[0].Harms["csam"].Decisions() != 3 {
		t.Errorf("days: got %+v", days)
	}
	d.verify()
}

// filled is the lines of a journal that was closed, and its folder.
func filled(t *testing.T, n int) (dir string, key Key, lines [][]byte) {
	d := newDesk(t)
	for i := range n {
		d.decide(policy.OutcomeBlock, fmt.Sprintf("a.example/known/1#%d", i))
	}
	d.must(d.Journal.Close())
	data, err := os.ReadFile(filepath.Join(d.dir, fileName(1)))
	d.must(err)
	lines, rest := splitLines(data)
	if len(lines) != n || len(rest) != 0 {
		t.Fatalf("%d lines, and %d bytes", len(lines), len(rest))
	}
	return d.dir, d.key, lines
}

// TestVerify harms each line of a small journal in each way, and wants the line to be named.
func TestVerify(t *testing.T) {
	const n = 6
	dir, key, lines := filled(t, n)
	path := filepath.Join(dir, fileName(1))
	try := func(what string, changed [][]byte, want ...string) {
		t.Helper()
		if err := os.WriteFile(path, append(bytes.Join(changed, []byte("\n")), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := problems(verified(t, dir, &key)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	try("as it was", lines)
	for i := range n {
		seq := i + 1
		// Each byte of the line, changed: the line is named, as changed or as no line.
		for at := range lines[i] {
			for _, mask := range []byte{1, 0x80} {
				line := bytes.Clone(lines[i])
				line[at] ^= mask
				if i%2 == 1 || mask == 0x80 && at%8 > 0 {
					continue
				}
				changed := slices.Clone(lines)
				changed[i] = line
				if bytes.IndexByte(line, '\n') >= 0 {
					continue
				}
				os.WriteFile(path, append(bytes.Join(changed, []byte("\n")), '\n'), 0o600)
				got := problems(verified(t, dir, &key))
				named := []string{fmt.Sprintf("%s %d", Edited, seq), fmt.Sprintf("%s %d", Damaged, seq)}
				if len(got) == 0 || !slices.Contains(named, got[0]) {
					t.Fatalf("line %d, byte %d (%q), mask %#x: got %q", seq, at, lines[i][max(0, at-8):at+1], mask, got)
				}
			}
		}
		dropped := slices.Delete(slices.Clone(lines), i, i+1)
		if i < n-1 {
			try(fmt.Sprintf("without %d", seq), dropped, fmt.Sprintf("dropped %d", seq))
		} else {
			try(fmt.Sprintf("without %d", seq), dropped, fmt.Sprintf("cut %d", seq))
		}
		try(fmt.Sprintf("%d twice", seq), slices.Insert(slices.Clone(lines), i, lines[i]), fmt.Sprintf("moved %d", seq))
		if i+1 < n-1 {
			swapped := slices.Clone(lines)
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			try(fmt.Sprintf("%d and the next", seq), swapped, fmt.Sprintf("moved %d", seq))
		}
		if i > 0 && i < n-1 {
			want := fmt.Sprintf("cut %d-%d", seq+1, n)
			if seq+1 == n {
				want = fmt.Sprintf("cut %d", n)
			}
			try(fmt.Sprintf("cut behind %d", seq), lines[:i+1], want)
		}
	}
	// A chain that was computed anew from a changed line on is another than the head's.
	var again [][]byte
	var last digest
	for i, line := range lines {
		l, err := ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			l.Decision.Verdict = policy.OutcomeLog
		}
		rest, _ := tail(&l)
		text := appendLine(nil, l.Seq, last, l.ID, rest)
		text = text[:len(text)-1]
		last = digestOf(text)
		again = append(again, text)
	}
	if !bytes.Equal(again[1], lines[1]) {
		t.Errorf("a line that is written again is another:\n%s\n%s", again[1], lines[1])
	}
	try("written anew", again, fmt.Sprintf("edited %d", n))
	if err := os.Remove(filepath.Join(dir, headFile)); err != nil {
		t.Fatal(err)
	}
	try("without the head", lines, fmt.Sprintf("head %d", n))
}

func digestOf(text []byte) digest {
	_, _, err := parsePrefix(text)
	if err != nil {
		panic(err)
	}
	l := verifier{unsure: true}
	l.line("", text)
	return l.hash
}

// TestTorn cuts a journal off at each byte behind its head, as a kill does: what isn't whole is set aside, and the chain goes on.
func TestTorn(t *testing.T) {
	d := newDesk(t)
	d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	d.must(d.Journal.Close())
	head, err := os.ReadFile(filepath.Join(d.dir, headFile))
	d.must(err)
	d.open()
	d.decide(policy.OutcomeBlock, "a.example/known/1#2")
	d.must(d.Journal.Close())
	path := filepath.Join(d.dir, fileName(1))
	data, err := os.ReadFile(path)
	d.must(err)
	lines, _ := splitLines(data)
	for size := len(lines[0]) + 1; size <= len(data); size++ {
		d.must(os.WriteFile(path, data[:size], 0o600))
		d.must(os.WriteFile(filepath.Join(d.dir, headFile), head, 0o600))
		d.open()
		torn := size - len(lines[0]) - 1
		if torn == len(lines[1])+1 {
			torn = 0
		}
		if s := d.State(); s.Torn != torn || s.Damage != "" {
			t.Fatalf("cut at %d: got %+v, want %d torn", size, s, torn)
		}
		d.decide(policy.OutcomeReview, "a.example/known/1#3")
		want := uint64(3)
		if torn > 0 {
			want = 3 // the first, the note, and the new one
		} else if size < len(data) {
			want = 2
		}
		if r := d.verify(); r.Lines != want {
			t.Fatalf("cut at %d: got %d lines, want %d", size, r.Lines, want)
		}
		d.must(d.Journal.Close())
		asides, err := filepath.Glob(filepath.Join(d.dir, tornPrefix+"*"))
		d.must(err)
		if torn > 0 {
			kept, err := os.ReadFile(asides[0])
			if err != nil || !bytes.Equal(kept, data[len(lines[0])+1:size]) {
				t.Fatalf("cut at %d: kept %d bytes, %v", size, len(kept), err)
			}
		}
		for _, f := range asides {
			d.must(os.Remove(f))
		}
	}
}

// TestDamagedEnd harms the end of a journal beyond what a crash can do: it opens, says so, goes on, and Verify goes on saying where.
func TestDamagedEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(dir string, lines [][]byte) error
		want []string
	}{
		{"cut", func(dir string, lines [][]byte) error {
			return os.WriteFile(filepath.Join(dir, fileName(1)), append(bytes.Join(lines[:2], []byte("\n")), '\n'), 0o600)
		}, []string{"dropped 3-4"}},
		{"emptied", func(dir string, lines [][]byte) error { return os.Truncate(filepath.Join(dir, fileName(1)), 0) }, []string{"dropped 1-4"}},
		{"missing", func(dir string, lines [][]byte) error { return os.Remove(filepath.Join(dir, fileName(1))) }, []string{"dropped 1-4"}},
		{"an older copy", func(dir string, lines [][]byte) error {
			return os.WriteFile(filepath.Join(dir, fileName(1)), append(lines[0], '\n'), 0o600)
		}, []string{"dropped 2-4"}},
		{"changed", func(dir string, lines [][]byte) error {
			text := append(bytes.Join(lines, []byte("\n")), '\n')
			return os.WriteFile(filepath.Join(dir, fileName(1)), bytes.Replace(text, []byte("known/1#2"), []byte("known/1#7"), 1), 0o600)
		}, []string{"edited 3"}},
		{"no head", func(dir string, lines [][]byte) error { return os.Remove(filepath.Join(dir, headFile)) }, nil},
		{"no whole head", func(dir string, lines [][]byte) error { return os.Truncate(filepath.Join(dir, headFile), 100) }, nil},
		{"an empty head", func(dir string, lines [][]byte) error { return os.Truncate(filepath.Join(dir, headFile), 0) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, key, lines := filled(t, 4)
			if err := c.do(dir, lines); err != nil {
				t.Fatal(err)
			}
			if got := problems(verified(t, dir, &key)); len(got) == 0 {
				t.Fatal("Verify finds nothing")
			}
			d := &desk{T: t, dir: dir, key: key, clock: time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)}
			d.open()
			defer func() { d.Journal.Close() }()
			if d.State().Damage == "" {
				t.Error("nothing was said when it was opened")
			}
			id := d.decide(policy.OutcomeBlock, "a.example/known/1#9")
			d.reopen() // which writes the head
			d.verify(c.want...)
			if _, err := d.Find(d.Context(), id); err != nil {
				t.Error(err)
			}
			d.decide(policy.OutcomeBlock, "a.example/known/1#10")
			d.verify(c.want...)
		})
	}
}

func TestPurge(t *testing.T) {
	const day = 24 * time.Hour
	d := newDesk(t)
	keep := Keep{Block: 100 * day, Review: 50 * day, Log: 10 * day, Uploads: 5 * day}
	var ids []string
	for i := range 20 {
		verdict := []policy.Outcome{policy.OutcomeLog, policy.OutcomeReview, policy.OutcomeLog, policy.OutcomeBlock}[i%4]
		ids = append(ids, d.decide(verdict, "a.example/known/1#1"))
		d.Uploaded(Upload{Hashes: []string{"md5:00112233445566778899aabbccddeeff"}})
		d.Allowed(d.clock, 1)
		d.clock = d.clock.Add(2 * day)
	}
	before := d.verify()
	purge := func() int {
		n, err := d.Purge(d.Context(), keep)
		d.must(err)
		return n
	}
	if n := purge(); n == 0 {
		t.Fatal("nothing was purged")
	}
	after := d.verify()
	if after.Lines != before.Lines || after.Last != before.Last || after.Purged == 0 {
		t.Errorf("got %+v, before %+v", after, before)
	}
	if n := purge(); n != 0 {
		t.Errorf("purged %d lines again", n)
	}
	for i, id := range ids {
		age := d.clock.Sub(time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)) - time.Duration(i)*2*day
		term := []time.Duration{keep.Log, keep.Review, keep.Log, keep.Block}[i%4]
		_, err := d.Find(d.Context(), id)
		if gone := errors.Is(err, ErrNotFound); gone != (age > term) {
			t.Errorf("decision %d, %v old of %v: %v", i, age, term, err)
		}
	}
	d.clock = d.clock.Add(40 * day)
	purge()
	d.verify()
	d.reopen()
	id := d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	d.clock = d.clock.Add(200 * day)
	d.Allowed(d.clock, 1)
	purge()
	d.reopen()
	if _, err := d.Find(d.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	r := d.verify()
	if r.Purged < 40 {
		t.Errorf("%d lines are purged, want 41", r.Purged)
	}
	hours, err := d.Hours(d.Context(), time.Time{}, time.Time{})
	d.must(err)
	sum := Counts{}
	for _, h := range hours {
		sum.Add(h)
	}
	if sum.Allow != 21 || sum.Harms["csam"].Decisions() != 21 {
		t.Errorf("counts after purges: %+v", sum)
	}

	// Who hasn't the key can't make a stub of a line.
	d.must(d.Journal.Close())
	for _, name := range d.files() {
		path := filepath.Join(d.dir, name)
		data, err := os.ReadFile(path)
		d.must(err)
		at := bytes.Index(data, []byte(`"mac":"`))
		if at < 0 {
			continue
		}
		forged := bytes.Clone(data)
		forged[at+7] ^= 1
		d.must(os.WriteFile(path, forged, 0o600))
		if got := problems(verified(t, d.dir, &d.key)); len(got) == 0 || !strings.HasPrefix(got[0], Edited) {
			t.Errorf("a forged stub: got %q", got)
		}
		// A purge doesn't make it good.
		d.open()
		d.clock = d.clock.Add(1000 * day)
		purge()
		d.must(d.Journal.Close())
		if got := problems(verified(t, d.dir, &d.key)); len(got) == 0 {
			t.Error("a purge has made a forged stub good")
		}
		return
	}
	t.Error("there is no stub")
}

// TestFull fills the disk: no answer waits, decisions wait in memory, then are missed and counted, and a note tells when there is room again.
func TestFull(t *testing.T) {
	d := newDesk(t)
	d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	d.writing.Lock()
	d.room = errors.New("the disk is full")
	d.writing.Unlock()
	id, seq := d.Decided(decision(policy.OutcomeBlock, "a.example/known/1#2"))
	if id == "" {
		t.Fatal("the first decision on a full disk wasn't taken")
	}
	began := time.Now()
	d.Wait(d.Context(), seq)
	if took := time.Since(began); took > 2*MaxWait {
		t.Errorf("an answer waited %v", took)
	}
	if s := d.State(); s.Err == nil || s.Late == 0 {
		t.Errorf("got %+v", s)
	}
	big := decision(policy.OutcomeReview, "a.example/known/1#3")
	big.Checked = []string{strings.Repeat("x", 200<<10)}
	began = time.Now()
	missed := 0
	for range 2*maxBacklog/(200<<10) + 1 {
		if id, _ := d.Decided(big); id == "" {
			missed++
		}
	}
	if took := time.Since(began); missed < 10 || took > 20*time.Second {
		t.Errorf("%d missed in %v", missed, took)
	}
	if s := d.State(); s.Missed != uint64(missed) {
		t.Errorf("got %d missed, want %d", s.Missed, missed)
	}
	d.writing.Lock()
	d.room = nil
	d.writing.Unlock()
	for range 200 {
		if d.State().Err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.decide(policy.OutcomeBlock, "a.example/known/1#4")
	d.verify()
	if _, err := d.Find(d.Context(), id); err != nil {
		t.Error(err)
	}
	told := false
	d.must(walk(d.Context(), d.dir, false, []string{kindMark(KindNote)}, func(line []byte) bool {
		l, err := ParseLine(line)
		told = told || err == nil && l.Note.What == NoteMissed && l.Note.Count == uint64(missed)
		return true
	}))
	if !told {
		t.Error("no note tells how many were missed")
	}
}

// TestRotate: files end at their size and with the month, and the chain goes over them.
func TestRotate(t *testing.T) {
	d := newDesk(t)
	big := decision(policy.OutcomeReview, "a.example/known/1#3")
	big.Checked = []string{strings.Repeat("x", 200<<10)}
	for range maxFile / (200 << 10) * 5 / 2 {
		if id, _ := d.Decided(big); id == "" {
			t.Fatal("missed")
		}
		d.Flush()
	}
	if n := len(d.files()); n != 3 {
		t.Errorf("got %d files, want 3", n)
	}
	d.clock = d.clock.AddDate(0, 1, 0)
	d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	if n := len(d.files()); n != 4 {
		t.Errorf("got %d files after a month, want 4", n)
	}
	d.verify()
	d.reopen()
	d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	if n := len(d.files()); n != 4 {
		t.Errorf("got %d files when opened again, want 4", n)
	}
	d.must(d.Journal.Close())
	// A file that was begun and got no line.
	d.must(os.WriteFile(filepath.Join(d.dir, fileName(999)), nil, 0o600))
	d.open()
	d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	d.verify()
	d.must(d.Journal.Close())
	names := d.files()
	d.must(os.Remove(filepath.Join(d.dir, names[1])))
	first, _ := fileNumber(names[1])
	next, _ := fileNumber(names[2])
	if got, want := problems(verified(t, d.dir, &d.key)), fmt.Sprintf("dropped %d-%d", first, next-1); len(got) != 1 || got[0] != want {
		t.Errorf("without a file: got %q, want %q", got, want)
	}
}

// TestManyWriters records from many goroutines; the race detector and the chain look on.
func TestManyWriters(t *testing.T) {
	d := newDesk(t)
	const writers, each = 8, 50
	done := make(chan string)
	for w := range writers {
		go func() {
			for i := range each {
				id, seq := d.Decided(decision([]policy.Outcome{policy.OutcomeLog, policy.OutcomeBlock}[i%2], fmt.Sprintf("a.example/known/1#%d", w)))
				if i%2 == 1 {
					d.Wait(context.Background(), seq)
				}
				d.Allowed(d.clock, 2)
				done <- id
			}
		}()
	}
	ids := map[string]bool{}
	for range writers * each {
		ids[<-done] = true
	}
	if len(ids) != writers*each || ids[""] {
		t.Errorf("got %d ids", len(ids))
	}
	if c := d.Counts(); c.Allow != 2*writers*each || c.Harms["csam"].Decisions() != writers*each {
		t.Errorf("got %+v", c)
	}
	if r := d.verify(); r.Lines != writers*each {
		t.Errorf("got %d lines", r.Lines)
	}
}

func TestKeyed(t *testing.T) {
	h, err := feed.ParseHash("md5:0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	a, err := DeriveKey([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := DeriveKey([]byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Hash(h) == b.Hash(h) || strings.Contains(a.Hash(h), "0123456789abcdef") {
		t.Errorf("got %s and %s", a.Hash(h), b.Hash(h))
	}
	if many := feed.HashesOf([]feed.Hash{{Alg: feed.SHA1, Value: strings.Repeat("x", 20)}, h}); a.HashOf(many, 1) != a.Hash(h) {
		t.Errorf("got %s of many, %s alone", a.HashOf(many, 1), a.Hash(h))
	}
	if strings.Contains(fmt.Sprint(a), fmt.Sprint(a[0], a[1])) || fmt.Sprintf("%v", a) != "journal key" {
		t.Errorf("a key prints as %v", a)
	}
}

// TestFirstLine: a journal is whole from its first line on, before anything is durable; so it is after a kill in its first second.
func TestFirstLine(t *testing.T) {
	d := newDesk(t)
	d.decide(policy.OutcomeLog, "a.example/known/1#0")
	d.verify()
	left := filepath.Join(t.TempDir(), "journal") // what a kill leaves
	d.must(os.CopyFS(left, os.DirFS(d.dir)))
	j, err := Open(Options{Dir: left, Key: d.key, Now: func() time.Time { return d.clock }})
	d.must(err)
	defer j.Close()
	if s := j.State(); s.Damage != "" {
		t.Errorf("after a kill: %s", s.Damage)
	}
}

// TestKeyHash: what stands in the journal is an HMAC as crypto/hmac makes it.
func TestKeyHash(t *testing.T) {
	key, err := DeriveKey([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for alg := feed.MD5; alg <= feed.VPDQ; alg++ {
		for _, n := range []int{0, 16, 32, 61, 62, 63, 144, 1000} {
			value := strings.Repeat("x", n)
			m := hmac.New(sha256.New, key[:])
			m.Write([]byte{'h', byte(alg)})
			m.Write([]byte(value))
			want := alg.String() + ":" + hex.EncodeToString(m.Sum(nil)[:16])
			if got := key.Hash(feed.Hash{Alg: alg, Value: value}); got != want {
				t.Errorf("%s of %d bytes: got %s, want %s", alg, n, got, want)
			}
		}
	}
}
