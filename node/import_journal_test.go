package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/journal"
)

// lines are the imports that the journal has, the oldest first.
func (i *importer) lines() (list []api.JournalImport) {
	i.t.Helper()
	page, err := i.Journal(context.Background(), api.JournalQuery{Kind: api.JournalImports})
	if err != nil || len(page.Entries) != 0 {
		i.t.Fatal(page.Entries, err)
	}
	for _, l := range page.Imports {
		list = append([]api.JournalImport{l}, list...)
	}
	return list
}

// wantLines wants the journal to have these imports: source, permission, added, revised, retracted, waiting, done.
func (i *importer) wantLines(want ...string) {
	i.t.Helper()
	var got []string
	for _, l := range i.lines() {
		got = append(got, fmt.Sprintf("%s %q %d %d %d %d %v", l.Source, l.Permission, l.Added, l.Revised, l.Retracted, l.Waiting, l.Done))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		i.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	r, err := VerifyJournal(context.Background(), i.dir, nil)
	if err != nil || len(r.Problems) != 0 {
		i.t.Errorf("journal: %+v, %v", r, err)
	}
	past, err := i.pastImports()
	for _, p := range past {
		if p.Owed != nil {
			i.t.Errorf("the journal is owed %+v", p)
		}
	}
	if err != nil || i.owed.Load() != 0 {
		i.t.Errorf("%d owed, %v", i.owed.Load(), err)
	}
}

// TestImportIsJournalled: each import that came to something has one line, with what it was told and what came of it; others have none.
func TestImportIsJournalled(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "[[source]]\nname = \"s\"\nmax_adds_per_day = 3\n")
	defer i.Close()
	list := head + "1," + hashesOf("a") + "\n2," + hashesOf("b") + "\n"
	known := func(permission string) func(*api.Import) {
		return func(r *api.Import) { r.Feed, r.Permission = "known", permission }
	}
	i.want(list, func(r *api.Import) { known("contract 7")(r); r.DryRun = true }, 2, 0, 0, 0, 0, 0)
	i.fails(list+"3,x\n", known("contract 7"), 0, "nothing was taken")
	i.fails(list, known(""), 422, "permission")
	i.wantLines()

	done := i.want(list, known("contract 7"), 2, 0, 0, 0, 0, 0)
	i.wantLines(`s "contract 7" 2 0 0 0 true`)
	page, err := i.Journal(context.Background(), api.JournalQuery{ID: done.Journal})
	if err != nil || len(page.Imports) != 1 || page.Imports[0].ID != done.Journal || done.Warning != "" {
		t.Fatalf("%q: got %+v, %v", done.Journal, page, err)
	}
	l := page.Imports[0]
	sum, err := sumOf(strings.NewReader(list))
	if l.File != sum || err != nil || l.Feed != "hotline.example/known/1" || l.Format != "csv" || l.MaxVerdict != "national" || l.Rows != 2 || l.Batch != "" ||
		l.Initial || l.Complete || l.Partial || l.Released || l.Lost || !l.Began.Equal(i.now) || !l.Time.Equal(i.now) {
		t.Errorf("got %+v", l)
	}
	// The same again changes nothing, and was asked for by another permission.
	i.want(list, known("contract 8"), 0, 0, 0, 2, 0, 0)
	// A row is gone, one is wrong, one is held as it is too much for a day.
	i.want(head+"2,"+hashesOf("b")+",,2\nx,x\n", func(r *api.Import) { complete(r); known("contract 8")(r); r.Partial = true }, 0, 1, 0, 0, 0, 1)
	done = i.want(head+"2,"+hashesOf("b")+",,2\n3,"+hashesOf("c")+"\n", func(r *api.Import) { complete(r); known("contract 8")(r) }, 0, 0, 1, 1, 0, 0)
	one, two, three := `s "contract 7" 2 0 0 0 true`, `s "contract 8" 0 0 0 0 true`, `s "contract 8" 0 1 0 0 true`
	i.wantLines(one, two, three, `s "contract 8" 0 0 1 1 false`)
	if l := i.lines(); !l[2].Partial || l[2].Refused != 1 || !l[3].Complete || l[3].Partial {
		t.Errorf("got %+v", l[2:])
	}
	// Held once more: nothing comes of it, so nothing is to be said.
	i.want(head+"2,"+hashesOf("b")+",,2\n3,"+hashesOf("c")+"\n", func(r *api.Import) { complete(r); known("contract 8")(r) }, 0, 0, 0, 1, 0, 0)
	i.wantLines(one, two, three, `s "contract 8" 0 0 1 1 false`)
	released, err := i.ReleaseImport(context.Background(), done.Held, false, nil)
	if err != nil || released.Journal == "" {
		t.Fatal(released, err)
	}
	i.wantLines(one, two, three, `s "contract 8" 0 0 1 1 false`, `s "contract 8" 1 0 0 0 true`)
	if l := i.lines(); !l[4].Released || l[4].ID != released.Journal || l[4].File != l[3].File || l[4].Run == l[3].Run {
		t.Errorf("got %+v", l[4])
	}
	// What nobody else reads has a line, too; a list that changes nothing in a feed that isn't there has none.
	i.want(head, nil, 0, 0, 0, 0, 0, 0)
	i.want(head+"9,"+hashesOf("z")+"\n", func(r *api.Import) { r.Source, r.Initial = "t", true }, 1, 0, 0, 0, 0, 0)
	if l := i.lines(); len(l) != 6 || !l[5].Initial || l[5].Permission != "" || l[5].Feed != "hotline.example/private/1" {
		t.Errorf("got %+v", l)
	}

	// No decision has come of all that.
	s, err := i.JournalStats(context.Background(), time.Time{}, time.Time{})
	if err != nil || len(s.Harms) != 0 || s.Allow != 0 || s.Test != 0 || s.Missed != 0 {
		t.Errorf("got %+v, %v", s, err)
	}
	tested, err := i.PolicyTest(context.Background(), api.PolicyTest{})
	if err != nil || tested.Decisions != 0 || tested.Skipped != 0 {
		t.Errorf("replayed: %+v, %v", tested, err)
	}
	if _, err := i.Act(context.Background(), done.Journal, api.JournalAct{Done: []string{journal.Removed}}); statusOf(err) != 404 {
		t.Errorf("an act about an import: got %v", err)
	}
	for _, q := range []api.JournalQuery{{ID: strings.Repeat("0", 26)}, {ID: "x"}, {Kind: "upload"}} {
		if _, err := i.Journal(context.Background(), q); statusOf(err) != 404 && statusOf(err) != 400 {
			t.Errorf("%+v: got %v", q, err)
		}
	}
}

// TestImportOverrides: what an import revises though it is known good stands there, by reason.
func TestImportOverrides(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "")
	defer i.Close()
	into := func(r *api.Import) { r.Feed, r.Permission = "known", "7" }
	i.want(head+"1,"+hashesOf("a")+",,3\n2,"+hashesOf("b")+"\n", into, 2, 0, 0, 0, 0, 0)
	_, err := i.Revise(context.Background(), feed.Ref{Origin: "hotline.example/known/1"}, api.Revision{OverrideKnownGood: "legal"})
	if err != nil {
		t.Fatal(err)
	}
	i.want(head+"1,"+hashesOf("a")+",,2\n2,"+hashesOf("b")+",,2\n", into, 0, 2, 0, 0, 0, 0)
	if l := i.lines(); len(l) != 2 || len(l[0].Overrides) != 0 || len(l[1].Overrides) != 1 || l[1].Overrides["legal"] != 1 {
		t.Errorf("got %+v", l)
	}
}

// TestImportUnfinished: an import that ends in between has a line of what it came to, and who goes on with it one of the rest.
func TestImportUnfinished(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "[[source]]\nname = \"s\"\nmax_adds_per_day = 20000\n")
	defer i.Close()
	var list strings.Builder
	list.WriteString("id,md5\n")
	for k := range importBatch + 10 {
		fmt.Fprintf(&list, "%d,%s\n", k, hashesOf(fmt.Sprint(k))[:32])
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := api.Import{Format: "csv", Verdict: "national", Media: "image", Source: "s", Feed: "known", Permission: "contract 7"}
	var planned []pastImport
	_, err := i.Import(ctx, r, strings.NewReader(list.String()), func(p api.ImportProgress) {
		if p.Stage == api.ImportTakes {
			planned, _ = i.pastImports()
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	first := fmt.Sprintf(`s "contract 7" %d 0 0 0 false`, importBatch)
	i.wantLines(first)
	if len(planned) != 1 || planned[0].Owed == nil || !planned[0].Owed.Lost || planned[0].Owed.Added != importBatch+10 || planned[0].Owed.Permission != "contract 7" {
		t.Errorf("while it was taken the journal was owed %+v", planned)
	}
	i.want(list.String(), func(o *api.Import) { *o = r }, 10, 0, 0, importBatch, 0, 0)
	i.wantLines(first, `s "contract 7" 10 0 0 0 true`)
}

// TestImportOwed: a journal that takes nothing stops no import, and loses no permission: at the next start, or the next import, the line is written,
// once; so it is where the node dies before the line was written, or just after.
func TestImportOwed(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "")
	defer func() { i.Close() }()
	known := func(r *api.Import) { r.Feed, r.Permission = "known", "contract 7" }
	if err := i.journal.Close(); err != nil {
		t.Fatal(err)
	}
	done := i.want(head+"1,"+hashesOf("a")+"\n", known, 1, 0, 0, 0, 0, 0)
	if done.Journal != "" || !strings.Contains(done.Warning, "it is kept") || !done.Done || i.owed.Load() != 1 {
		t.Errorf("got %+v, %d owed", done, i.owed.Load())
	}
	alarmed := false
	i.journalAlarms(func(code, _, text, _ string, _ time.Time) {
		alarmed = alarmed || code == alarmJournal && strings.Contains(text, "1 imports")
	})
	if !alarmed {
		t.Error("no alarm tells of it")
	}
	// A list that changes nothing passes nothing on: there is nothing to be kept.
	if again := i.want(head+"1,"+hashesOf("a")+"\n", known, 0, 0, 0, 1, 0, 0); again.Warning == "" || i.owed.Load() != 1 {
		t.Errorf("got %+v, %d owed", again, i.owed.Load())
	}
	i.Close()
	i.open()
	want := []string{`s "contract 7" 1 0 0 0 true`}
	i.wantLines(want...)

	// The power went before the import was finished: what it was to bring is what is known.
	lost := i.lines()[0].Import
	lost.Run, lost.Added, lost.Done, lost.Lost, lost.Permission = "other", 9, false, true, "contract 8"
	put := func(line journal.Import) {
		t.Helper()
		if err := i.remember(pastImport{Time: i.unix(), Source: "s", Feed: "hotline.example/known", File: line.File, Run: line.Run, Adds: line.Added,
			Permission: line.Permission, Done: line.Done, Owed: &line}); err != nil {
			t.Fatal(err)
		}
		i.Close()
		i.open()
	}
	put(lost)
	want = append(want, `s "contract 8" 9 0 0 0 false`)
	i.wantLines(want...)
	if l := i.lines(); !l[1].Lost {
		t.Errorf("got %+v", l[1])
	}
	// It went between the journal's line and ours: the line is there already.
	put(lost)
	i.wantLines(want...)

	// An unfinished one that is owed isn't put aside by who goes on with it.
	lost.Run, lost.Permission = "third", "contract 9"
	if err := i.remember(pastImport{Time: i.unix(), Source: "s", Feed: "hotline.example/known", File: lost.File, Run: lost.Run, Owed: &lost}); err != nil {
		t.Fatal(err)
	}
	if err := i.remember(pastImport{Time: i.unix(), Source: "s", Feed: "hotline.example/known", File: lost.File, Run: "fourth", Done: true}); err != nil {
		t.Fatal(err)
	}
	i.want(head+"2,"+hashesOf("b")+"\n", known, 1, 0, 0, 0, 0, 0)
	i.wantLines(append(want, `s "contract 9" 9 0 0 0 false`, `s "contract 7" 1 0 0 0 true`)...)
}
