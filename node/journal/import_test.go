package journal

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hashfeed/crypto"
	"hashfeed/node/policy"
)

// anImport is one of a run.
func anImport(run string) Import {
	return Import{Run: run, Began: time.Date(2026, 11, 29, 1, 59, 0, 0, time.UTC), Source: "iwf", Format: "csv", Feed: "a.example/known/1",
		File: strings.Repeat("ab", 32), MaxVerdict: "baseline", Permission: `contract "7", §3 of <x>`, Rows: 9, Added: 3, Revised: 1, Retracted: 2,
		Unchanged: 1, Skipped: 1, Refused: 1, Overrides: map[string]int{"legal": 1}, Initial: true, Done: true}
}

func (d *desk) takes(run string) string {
	d.Helper()
	id, err := d.Imported(d.Context(), anImport(run))
	d.must(err)
	return id
}

// TestImport: an import's line says all that it was told, stands in the chain, and is no decision to anybody who asks for decisions.
func TestImport(t *testing.T) {
	d := newDesk(t)
	blocked := d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	before := d.Counts()
	id := d.takes("one")
	review := d.decide(policy.OutcomeReview, "a.example/known/1#1")
	if !ValidID(id) || id <= blocked || review <= id {
		t.Errorf("ids %s, %s, %s don't rise", blocked, id, review)
	}
	d.reopen()
	l, err := d.Import(d.Context(), id)
	d.must(err)
	want := anImport("one")
	if got := *l.Import; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || l.ID != id || l.Seq != 2 || !l.Time.Equal(d.clock) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	d.verify()

	for _, other := range []string{blocked, strings.Repeat("0", idLength)} {
		if _, err := d.Import(d.Context(), other); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", other, err)
		}
	}
	if _, err := d.Import(d.Context(), "x"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("an id that is none: got %v", err)
	}
	if _, err := d.Find(d.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("it is found as a decision: %v", err)
	}
	counts := d.Counts()
	if h := counts.Harms["csam"]; h != (Tally{Review: 1, Block: 1}) || counts.Allow != before.Allow || counts.Test != 0 || len(counts.Harms) != 1 {
		t.Errorf("it is counted: %+v", counts)
	}
	hours, err := d.Hours(d.Context(), time.Time{}, time.Time{})
	d.must(err)
	if len(hours) != 1 || hours[0].Harms["csam"].Decisions() != 2 {
		t.Errorf("it is counted: %+v", hours)
	}
	open, _, err := d.Open(d.Context(), 0)
	d.must(err)
	affected, uploads, _, err := d.Affected(d.Context(), []string{"a.example/known/1#1", "a.example/known/1"}, []string{"md5:00112233445566778899aabbccddeeff"})
	d.must(err)
	decisions, _, err := d.Decisions(d.Context(), Query{})
	d.must(err)
	var each []string
	d.must(d.Each(d.Context(), time.Time{}, func(e Entry) { each = append(each, e.ID) }))
	if len(open) != 1 || len(affected) != 2 || len(uploads) != 0 || len(decisions) != 2 || !slices.Equal(each, []string{review, blocked}) {
		t.Errorf("got %d open, %d and %d affected, %d decisions, %v replayed", len(open), len(affected), len(uploads), len(decisions), each)
	}
	// A receipt is of a decision: what the key signs of an import is none.
	key := crypto.NewKeyFromSeed("a.example/journal", crypto.TypeSignature, [32]byte{1})
	data, err := os.ReadFile(filepath.Join(d.dir, fileName(1)))
	d.must(err)
	lines, _ := splitLines(data)
	receipt, err := SignReceipt(lines[1], nil, key.Sign)
	d.must(err)
	if _, err := OpenReceipt(receipt, key.Public(), nil); !errors.Is(err, errReceipt) {
		t.Errorf("a receipt of an import: got %v", err)
	}
}

// TestImportBytes: no byte of an import's line can be changed unseen: each digit of its counts, and each letter of its permission.
func TestImportBytes(t *testing.T) {
	d := newDesk(t)
	d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	d.takes("one")
	d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	d.must(d.Journal.Close())
	path := filepath.Join(d.dir, fileName(1))
	data, err := os.ReadFile(path)
	d.must(err)
	from := len(data) - len(data[strings.Index(string(data), "\n")+1:])
	to := from + strings.Index(string(data[from:]), "\n")
	for i := from; i < to; i++ {
		changed := slices.Clone(data)
		changed[i] ^= 1
		d.must(os.WriteFile(path, changed, 0o600))
		if r := verified(t, d.dir, &d.key); len(r.Problems) == 0 || r.Problems[0].Seq != 2 && r.Problems[0].Seq != 1 {
			t.Fatalf("byte %d (%q): got %+v", i-from, changed[from:to], r)
		}
	}
	d.must(os.WriteFile(path, data, 0o600))
	if r := verified(t, d.dir, &d.key); len(r.Problems) != 0 {
		t.Errorf("got %+v", r)
	}
}

// TestImportList: page by page, of any length, each line that is asked for comes once, in order.
func TestImportList(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		now := time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)
		j, err := Open(Options{Dir: dir, Now: func() time.Time { return now }})
		if err != nil {
			r.Fatal(err)
		}
		defer j.Close()
		kinds := map[string]Kind{}
		var all []string
		for i := range rapid.IntRange(0, 9).Draw(r, "lines") {
			now = now.Add(time.Second)
			var id string
			switch rapid.IntRange(0, 3).Draw(r, "kind") {
			case 0:
				if id, err = j.Imported(t.Context(), anImport(fmt.Sprint(i))); err != nil {
					r.Fatal(err)
				}
				kinds[id] = KindImport
			case 1:
				j.Uploaded(Upload{Hashes: []string{"md5:00"}})
				continue
			default:
				id, _ = j.Decided(decision(policy.OutcomeReview, "a.example/known/1#1"))
				kinds[id] = KindDecision
			}
			all = append(all, id)
		}
		slices.Reverse(all)
		q := Query{Limit: rapid.IntRange(1, 4).Draw(r, "limit"), Kind: rapid.SampledFrom([]Kind{"", KindDecision, KindImport}).Draw(r, "asked")}
		want := slices.DeleteFunc(all, func(id string) bool { return q.Kind != "" && kinds[id] != q.Kind })
		var got []string
		for more := true; more; {
			decisions, imports, m, err := j.List(t.Context(), q)
			if err != nil || len(decisions)+len(imports) > q.Limit || m && len(decisions)+len(imports) < q.Limit {
				r.Fatalf("got %d and %d, more %v, %v", len(decisions), len(imports), m, err)
			}
			page := map[uint64]string{}
			for _, e := range decisions {
				page[e.Seq] = e.ID
			}
			for _, l := range imports {
				page[l.Seq] = l.ID
			}
			seqs := slices.SortedFunc(maps.Keys(page), func(a, b uint64) int { return cmp.Compare(b, a) })
			for _, s := range seqs {
				got = append(got, page[s])
			}
			if more = m; more {
				q.Before = seqs[len(seqs)-1]
			}
		}
		if !slices.Equal(got, want) {
			r.Fatalf("got %v, want %v", got, want)
		}
	})
	d := newDesk(t)
	d.takes("one")
	for _, q := range []Query{{Verdict: policy.OutcomeReview}, {Ref: "x"}, {Hash: "md5:00"}, {Until: d.clock}, {Since: d.clock.Add(1)}, {Before: 1}, {Kind: KindDecision}} {
		if _, imports, _, err := d.List(d.Context(), q); err != nil || len(imports) != 0 {
			t.Errorf("%+v: got %+v, %v", q, imports, err)
		}
	}
}

// TestImportKept: an import outlives every decision around it, and the chain stays whole.
func TestImportKept(t *testing.T) {
	d := newDesk(t)
	d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	id := d.takes("one")
	d.decide(policy.OutcomeReview, "a.example/known/1#1")
	day := 24 * time.Hour
	for _, years := range []int{1, 10, 50} {
		d.clock = d.clock.AddDate(years, 0, 0)
		d.decide(policy.OutcomeReview, "a.example/known/1#1")
		gone, err := d.Purge(d.Context(), Keep{Block: day, Review: day, Log: day, Uploads: day})
		d.must(err)
		if gone == 0 {
			t.Errorf("nothing was purged after %d years", years)
		}
		if l, err := d.Import(d.Context(), id); err != nil || l.Import.Permission != anImport("").Permission {
			t.Errorf("after %d years: got %+v, %v", years, l, err)
		}
		d.verify()
	}
	d.reopen()
	d.verify()
}

// TestImportOwed: what the disk doesn't take is told to the caller, who asks before it writes the line again; it counts as no missed decision.
func TestImportOwed(t *testing.T) {
	d := newDesk(t)
	if id, err := d.ImportRun(d.Context(), "one"); id != "" || err != nil {
		t.Errorf("got %q, %v of an empty journal", id, err)
	}
	d.room = errors.New("no room")
	id, err := d.Imported(d.Context(), anImport("one"))
	if id == "" || err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("got %q, %v", id, err)
	}
	if again, err := d.ImportRun(d.Context(), "one"); again != "" || err != nil {
		t.Errorf("a line that isn't written is found: %q, %v", again, err)
	}
	d.room = nil
	d.Flush()
	for range 100 { // the writer, whose disk has room again, settles
		if d.State().Err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if again, err := d.ImportRun(d.Context(), "one"); again != id || err != nil {
		t.Errorf("got %q, %v, want %s", again, err, id)
	}
	if again, err := d.ImportRun(d.Context(), "two"); again != "" || err != nil {
		t.Errorf("got %q, %v of a run that wasn't", again, err)
	}
	if s := d.State(); s.Missed != 0 || s.Late != 0 {
		t.Errorf("it is counted among decisions: %+v", s)
	}
	d.must(d.Journal.Close())
	if id, err := d.Imported(d.Context(), anImport("three")); id != "" || err == nil {
		t.Errorf("a journal that is closed took it: %q, %v", id, err)
	}
	if s := d.State(); s.Missed != 0 {
		t.Errorf("it is counted among decisions: %+v", s)
	}
	d.open()
	d.verify()
}

// TestImportCheck: a line that no import of ours makes is none.
func TestImportCheck(t *testing.T) {
	line := func(i Import) []byte {
		rest, err := tail(&Line{Time: time.Unix(1, 0).UTC(), Kind: KindImport, Import: &i})
		if err != nil {
			t.Fatal(err)
		}
		l := appendLine(nil, 1, digest{}, strings.Repeat("0", idLength), rest)
		return l[:len(l)-1]
	}
	if _, err := ParseLine(line(anImport("one"))); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Import){
		"no run": func(i *Import) { i.Run = "" }, "no source": func(i *Import) { i.Source = "" }, "no feed": func(i *Import) { i.Feed = "" },
		"digest cut": func(i *Import) { i.File = i.File[2:] }, "digest not hex": func(i *Import) { i.File = "x" + i.File[1:] },
		"long permission": func(i *Import) { i.Permission = strings.Repeat("p", maxPermission+1) },
		"less than none":  func(i *Import) { i.Added = -1 }, "less than none waits": func(i *Import) { i.Waiting = -1 },
		"less than none overrides": func(i *Import) { i.Overrides = map[string]int{"legal": -1} },
	} {
		i := anImport("one")
		change(&i)
		if _, err := ParseLine(line(i)); !errors.Is(err, errLine) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	two := anImport("one")
	rest, err := tail(&Line{Time: time.Unix(1, 0).UTC(), Kind: KindAct, Import: &two, Act: &Act{Done: []string{Removed}}})
	if err != nil {
		t.Fatal(err)
	}
	l := appendLine(nil, 1, digest{}, "", rest)
	if _, err := ParseLine(l[:len(l)-1]); !errors.Is(err, errLine) {
		t.Errorf("an act that is an import: got %v", err)
	}
}

// TestUnknownKind: a line of a kind that a later version writes is called damaged, stays, and the chain goes on behind it.
func TestUnknownKind(t *testing.T) {
	d := newDesk(t)
	d.takes("one")
	d.must(d.Journal.Close())
	path := filepath.Join(d.dir, fileName(1))
	data, err := os.ReadFile(path)
	d.must(err)
	later := strings.Replace(strings.Replace(string(data), `"kind":"import"`, `"kind":"import2"`, 1), `"import":{`, `"import2":{`, 1)
	d.must(os.WriteFile(path, []byte(later), 0o600))
	d.must(os.Remove(filepath.Join(d.dir, headFile))) // it has the hash of ours
	d.open()
	id := d.decide(policy.OutcomeBlock, "a.example/known/1#1")
	if _, err := d.Find(d.Context(), id); err != nil {
		t.Error(err)
	}
	r := d.verify("damaged 1")
	if r.Lines == 0 {
		t.Errorf("got %+v", r)
	}
	d.clock = d.clock.AddDate(1, 0, 0)
	if _, err := d.Purge(d.Context(), Keep{Block: 1, Review: 1, Log: 1, Uploads: 1}); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(after), later) {
		t.Errorf("it didn't stay: %q, %v", after, err)
	}
}
