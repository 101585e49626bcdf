package node

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
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

	"hashfeed/feed"
	"hashfeed/feed/hashlist"
	"hashfeed/node/api"
)

// importer is a node that imports lists.
type importer struct {
	*Node
	t   rapid.TB
	dir string
	now time.Time
}

func newImporter(t rapid.TB, dir, config string) *importer {
	t.Helper()
	i := &importer{t: t, dir: dir, now: time.Unix(1_795_424_400, 0)}
	if _, err := Init(dir, InitOptions{Name: "hotline.example", Role: RoleHotline, Harm: "csam", Now: i.now}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "hashfeed.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, config)
	f.Close()
	i.open()
	return i
}

func (i *importer) open() {
	i.t.Helper()
	var err error
	if i.Node, err = Open(i.dir, Options{Now: func() time.Time { return i.now }}); err != nil {
		i.t.Fatal(err)
	}
}

// imports imports a list of source s; change changes what is asked.
func (i *importer) imports(list string, change func(*api.Import)) (api.Imported, error) {
	r := api.Import{Format: "csv", Verdict: "national", Media: "image", Source: "s"}
	if change != nil {
		change(&r)
	}
	return i.Import(context.Background(), r, strings.NewReader(list), nil)
}

// want imports a list and wants these counts: added, revised, retracted, unchanged, skipped, refused.
func (i *importer) want(list string, change func(*api.Import), counts ...int) api.Imported {
	i.t.Helper()
	done, err := i.imports(list, change)
	if err != nil {
		i.t.Fatal(err)
	}
	if got := []int{done.Added, done.Revised, done.Retracted, done.Unchanged, done.Skipped, done.Refused}; !slices.Equal(got, counts) {
		i.t.Fatalf("got %v (added, revised, retracted, unchanged, skipped, refused), want %v: %s %v", got, counts, done.Why, done.Notes)
	}
	return done
}

// fails imports a list and wants an error with these words, and a feed that is as before.
func (i *importer) fails(list string, change func(*api.Import), status int, says string) {
	i.t.Helper()
	before := i.size()
	done, err := i.imports(list, change)
	text, got := done.Why, 0
	var e *api.Error
	if errors.As(err, &e) {
		text, got = e.Text, e.Status
	}
	if got != status || !strings.Contains(text, says) || done.Done {
		i.t.Errorf("got %d %q (%v), want %d with %q", got, text, err, status, says)
	}
	if i.size() != before {
		i.t.Errorf("%q: the feed has grown by %d", text, i.size()-before)
	}
}

// size is how many records the feed private has.
func (i *importer) size() uint64 { return i.store.Size("hotline.example/private/1") }

// hashesOf are columns md5 and sha256 of something that has a name.
func hashesOf(name string) string {
	m, s := md5.Sum([]byte(name)), sha256.Sum256([]byte(name))
	return fmt.Sprintf("%x,%x", m, s)
}

const head = "id,md5,sha256,verdict,severity,state,reason,category,harm\n"

func complete(r *api.Import) { r.Complete, r.MaxRetract = true, 100 }

// TestImportFollowsItsList: adds, changes, tombstones, what is gone; the same list again appends nothing.
func TestImportFollowsItsList(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "")
	defer i.Close()
	list := head + "1," + hashesOf("a") + "\n2," + hashesOf("b") + "\n3," + hashesOf("c") + "\n"
	i.want(list, func(r *api.Import) { r.DryRun = true }, 3, 0, 0, 0, 0, 0)
	if i.viewNamed("hotline.example/private") != nil {
		t.Fatal("a dry run has made the feed")
	}
	i.want(list, nil, 3, 0, 0, 0, 0, 0)
	if c := i.viewNamed("hotline.example/private").reading.Load().charter; len(c.Audience) > 0 || c.Roster != nil {
		t.Errorf("the feed private is for %v", c.Audience)
	}
	size := i.size()
	i.want(list, complete, 0, 0, 0, 3, 0, 0)
	i.Close()
	i.open()
	i.want(list, complete, 0, 0, 0, 3, 0, 0)
	i.want(strings.ReplaceAll(list, "\n", "\r\n"), nil, 0, 0, 0, 3, 0, 0)
	if i.size() != size {
		t.Fatalf("the same list appended %d records", i.size()-size)
	}
	// Facts and a graver verdict are revisions, another hash or a lower verdict a retraction and an addition.
	graver := func(r *api.Import) { r.MaxVerdict, r.VerifiedBy = "baseline", 2 }
	list = head + "1," + hashesOf("a") + ",baseline,2\n2," + hashesOf("B") + "\n3," + hashesOf("c") + ",,4\n"
	i.want(list, graver, 1, 2, 1, 0, 0, 0)
	i.want(list, graver, 0, 0, 0, 3, 0, 0)
	i.want(head+"1,"+hashesOf("a")+"\n", nil, 1, 0, 1, 0, 0, 0)
	i.want(head+"1,"+hashesOf("a")+"\n", nil, 0, 0, 0, 1, 0, 0)
	// A tombstone, by id and by hash, again, and of what never was here.
	i.want(head+"1,,,,,retracted,false-positive\n,"+hashesOf("c")+",,,withdrawn\n9,,,,,retracted\n", nil, 0, 0, 2, 0, 1, 0)
	i.want(head+"1,,,,,retracted,false-positive\n", nil, 0, 0, 0, 1, 0, 0)
	// What a list retracted it may list again; what a person has retracted only a person.
	i.want(head+"1,"+hashesOf("a")+"\n", nil, 1, 0, 0, 0, 0, 0)
	i.want("md5,sha256\n"+hashesOf("p")+"\n", nil, 1, 0, 0, 0, 0, 0)
	for last := i.size() - 1; last < i.size() && i.size() < 100; last-- {
		if record, err := i.Record(context.Background(), feed.Ref{Origin: "hotline.example/private/1", Index: last}); err != nil || record.Op != "add" {
			break
		}
		if _, err := i.Retract(context.Background(), feed.Ref{Origin: "hotline.example/private/1", Index: last}, feed.FalsePositive); err != nil {
			t.Fatal(err)
		}
	}
	for _, again := range []string{head + "1," + hashesOf("a") + "\n", "md5,sha256\n" + hashesOf("p") + "\n"} {
		done := i.want(again, nil, 0, 0, 0, 0, 1, 0)
		if !strings.Contains(done.Notes[0].Text, "reinstate") || done.Notes[0].Line != 2 {
			t.Errorf("got %+v", done.Notes)
		}
	}
	// What is gone from a complete list. The list's other rows are unchanged.
	list = head + "2," + hashesOf("B") + "\n4," + hashesOf("d") + "\n5," + hashesOf("e") + "\n"
	i.want(list, complete, 2, 0, 0, 1, 0, 0)
	i.want(head+"2,"+hashesOf("B")+"\n5,"+hashesOf("e")+"\n", nil, 0, 0, 0, 2, 0, 0)
	i.want(head+"2,"+hashesOf("B")+"\n5,"+hashesOf("e")+"\n", complete, 0, 0, 1, 2, 0, 0)
	// Another source's list retracts nothing of this one, and what is listed already is not listed again.
	i.want(head+"x,"+hashesOf("e")+"\ny,"+hashesOf("f")+"\n", func(r *api.Import) { complete(r); r.Source = "other" }, 1, 0, 0, 0, 1, 0)
	// A row that comes twice, by id and by hash.
	i.want(head+"6,"+hashesOf("g")+"\n6,"+hashesOf("h")+"\n7,"+hashesOf("g")+"\n", nil, 1, 0, 0, 0, 2, 0)
	// Rows without ids are known by their strongest hash.
	i.want("sha256,severity\n"+hashesOf("n")[33:]+",\n", nil, 1, 0, 0, 0, 0, 0)
	i.want("sha256,severity\n"+hashesOf("n")[33:]+",3\n", nil, 0, 1, 0, 0, 0, 0)
	i.want("sha256,severity\n"+hashesOf("n")[33:]+",3\n", nil, 0, 0, 0, 1, 0, 0)
}

// TestImportRefuses: what a guard doesn't let in changes nothing, unless the others may be taken.
func TestImportRefuses(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "[[source]]\nname = \"small\"\nmax_verdict = \"national\"\n")
	defer i.Close()
	good := head + "1," + hashesOf("a") + "\n"
	for _, c := range []struct {
		list   string
		change func(*api.Import)
		status int
		says   string
	}{
		{good, func(r *api.Import) { r.Verdict = "" }, 422, "verdict is missing"},
		{good, func(r *api.Import) { r.Format = "xls" }, 400, "csv"},
		{good, func(r *api.Import) { r.Media = "" }, 422, "line 2: its media type is missing"},
		{good, func(r *api.Import) { r.Feed = "known" }, 422, "permission"},
		{good, func(r *api.Import) { r.Feed = "other" }, 404, "no feed"},
		{good, func(r *api.Import) { r.Permission = "a\nb" }, 400, "permission"},
		{good, func(r *api.Import) { r.Source = "Big" }, 400, "source"},
		{good, func(r *api.Import) { r.Source, r.MaxVerdict = "small", "baseline" }, 422, "at most national"},
		{good, func(r *api.Import) { r.Source, r.Complete = "", true }, 422, "source is missing"},
		{good, func(r *api.Import) { r.Verdict, r.MaxVerdict = "national", "doubtful" }, 400, "graver"},
		{good, func(r *api.Import) { r.Map = "code,meaning\n" }, 400, "map: line 1"},
		{good, func(r *api.Import) { r.Map = "code,verdict,harm\nA,national,csam\n" }, 0, "line 2: no category"},
		{"file,md5\n", nil, 400, "line 1: unknown column"},
		{good + "2," + hashesOf("b") + ",baseline\n", nil, 0, "line 3: it says baseline"},
		{good + "2," + hashesOf("b") + ",,,,,other\n", nil, 0, `line 3: category "other": nothing says`},
		{good + "2," + hashesOf("b") + ",,,,,,ncii\n", nil, 0, "line 3: its harm is ncii"},
		{good + "2," + hashesOf("b") + ",,,,,X\n", func(r *api.Import) { r.Map = "code,verdict,harm\nA,national,csam\n" }, 0, "line 2"},
		{good + "2," + hashesOf("b") + ",,,,,X\n", func(r *api.Import) { r.Map = "code,verdict,harm\nX,national,tvec\n" }, 0, "line 2"},
		{good + "2," + hashesOf("b")[:20] + "\n", nil, 0, "line 3: md5: 20 digits"},
		{good + "2," + hashesOf("b") + ",doubtful\n", nil, 0, "use review"},
		{good, func(r *api.Import) { r.Verdict = "baseline" }, 0, "line 2: baseline needs at least two"},
		{head + "1,d41d8cd98f00b204e9800998ecf8427e\n", nil, 0, "nothing in particular"},
		{good + "\"" + hashesOf("b"), nil, 400, "line 3"},
		{good + "caf\xe9\n", nil, 400, "UTF-8"},
	} {
		i.fails(c.list, c.change, c.status, c.says)
	}
	if i.viewNamed("hotline.example/private") != nil {
		t.Error("a list that was refused has made the feed")
	}
	partial := func(r *api.Import) { r.Partial = true }
	done := i.want(good+"2,"+hashesOf("b")+",baseline\n3,"+hashesOf("c")+"\n\"", partial, 2, 0, 0, 0, 0, 2)
	if len(done.Notes) != 2 || !done.Done {
		t.Errorf("got %+v", done)
	}
	// A complete list that wasn't read to its end retracts nothing.
	i.want(good+"\"", func(r *api.Import) { complete(r); r.Partial = true }, 0, 0, 0, 1, 0, 1)
	// A list that lacks much is rather cut off.
	var list strings.Builder
	list.WriteString(head)
	for k := range 20 {
		fmt.Fprintf(&list, "k%d,%s\n", k, hashesOf(fmt.Sprint(k)))
	}
	i.want(list.String(), nil, 20, 0, 0, 0, 0, 0)
	lines := strings.SplitAfter(good+strings.TrimPrefix(list.String(), head)+"3,"+hashesOf("c")+"\n", "\n")
	i.fails(strings.Join(lines[:18], ""), func(r *api.Import) { r.Complete = true }, 422, "lacks 5 of the 22")
	i.fails(head, func(r *api.Import) { complete(r); r.MaxRetract = 99 }, 422, "lacks 22 of the 22")
	i.want(strings.Join(lines[:21], ""), func(r *api.Import) { r.Complete = true }, 0, 0, 2, 20, 0, 0)
}

// TestImportMaps: a map's codes become verdicts, media and the records' source.
func TestImportMaps(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "")
	defer i.Close()
	list := head + "1," + hashesOf("a") + ",,,,,A1\n2," + hashesOf("b") + ",,,,,other\n3," + hashesOf("c") + ",,,,,B2\n"
	i.want(list, func(r *api.Import) {
		r.Verdict, r.VerifiedBy, r.Map = "baseline", 3, "code,verdict,harm,media,severity\nA1,baseline,csam,,1\nB2,national,csam,video,\nother,skip\n"
	}, 2, 0, 0, 0, 1, 0)
	record, err := i.Record(context.Background(), feed.Ref{Origin: "hotline.example/private/1", Index: 0})
	if err != nil || record.Source != "s:A1" || record.Facts.Verdict != "baseline" || record.Facts.Severity != 1 || record.Facts.VerifiedBy != 3 {
		t.Errorf("got %+v %v", record, err)
	}
	record, err = i.Record(context.Background(), feed.Ref{Origin: "hotline.example/private/1", Index: 1})
	if err != nil || record.Source != "s:B2" || record.Facts.Verdict != "national" || record.Facts.Media != "video" {
		t.Errorf("got %+v %v", record, err)
	}
}

// TestImportBurst: more than a day's additions are held, retractions aren't.
func TestImportBurst(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "[[source]]\nname = \"s\"\nmax_adds_per_day = 2\n")
	defer i.Close()
	ctx := context.Background()
	rows := func(names ...string) string {
		list := head
		for _, n := range names {
			list += n + "," + hashesOf(n) + "\n"
		}
		return list
	}
	initial := func(r *api.Import) { r.Initial = true }
	i.want(rows("a", "b", "c", "d"), initial, 4, 0, 0, 0, 0, 0)
	i.fails(rows("e"), initial, 422, "first load")
	i.want(rows("e"), nil, 1, 0, 0, 0, 0, 0)
	// Two more are one too many; a tombstone acts all the same.
	burst := rows("f", "g") + "a,,,,,retracted\n"
	done := i.want(burst, nil, 0, 0, 1, 0, 0, 0)
	if done.Done || done.Waiting != 2 || done.Held == "" {
		t.Fatalf("got %+v", done)
	}
	again := i.want(burst, nil, 0, 0, 0, 1, 0, 0)
	held, err := i.HeldImports(ctx)
	if err != nil || len(held) != 1 || held[0].ID != done.Held || again.Held != done.Held || held[0].Import.Source != "s" {
		t.Fatalf("got %+v %v, want one, %s", held, err, done.Held)
	}
	if _, err := i.ReleaseImport(ctx, "00000000", false, nil); statusOf(err) != 404 {
		t.Errorf("got %v, want 404", err)
	}
	if _, err := i.ReleaseImport(ctx, "../../keys", false, nil); statusOf(err) != 404 {
		t.Errorf("got %v, want 404", err)
	}
	dry, err := i.ReleaseImport(ctx, done.Held, true, nil)
	if err != nil || dry.Added != 2 || len(dry.Sample) != 2 || !dry.DryRun {
		t.Fatalf("got %+v %v", dry, err)
	}
	released, err := i.ReleaseImport(ctx, done.Held, false, nil)
	if err != nil || !released.Done || released.Added != 2 {
		t.Fatalf("got %+v %v", released, err)
	}
	if held, err := i.HeldImports(ctx); err != nil || len(held) != 0 {
		t.Errorf("got %+v %v", held, err)
	}
	i.want(burst, nil, 0, 0, 0, 3, 0, 0)
	// What was released doesn't count as the day's; a day later it is another day's anyway.
	i.want(rows("h"), nil, 1, 0, 0, 0, 0, 0)
	if done := i.want(rows("i"), nil, 0, 0, 0, 0, 0, 0); done.Held == "" {
		t.Error("a third addition of a day isn't held")
	} else if err := i.DropImport(ctx, done.Held); err != nil {
		t.Error(err)
	}
	i.now = i.now.Add(25 * time.Hour)
	i.want(rows("i"), nil, 1, 0, 0, 0, 0, 0)
	// Changes count too: a source that calls all it has graver is as wrong as one that adds.
	graver := func(r *api.Import) { r.MaxVerdict, r.VerifiedBy = "baseline", 2 }
	done = i.want(head+"b,"+hashesOf("b")+",baseline\nc,"+hashesOf("c")+",baseline\n", graver, 0, 0, 0, 0, 0, 0)
	if done.Waiting != 2 || done.Held == "" {
		t.Errorf("got %+v", done)
	}
}

// TestImportOfSeveral: where two must sign, an import proposes one batch, and goes on when that is approved.
func TestImportOfSeveral(t *testing.T) {
	s := newShared(t)
	i := &importer{Node: s.Node, t: t, now: s.now}
	into := func(r *api.Import) { r.Feed, r.Permission = "shared", "contract 7" }
	list := head + "1," + hashesOf("a") + "\n2," + hashesOf("b") + "\n"
	done := i.want(list, into, 2, 0, 0, 0, 0, 0)
	if !done.Done || done.Batch == "" || done.Permission != "contract 7" {
		t.Fatalf("got %+v", done)
	}
	if _, err := i.imports(list, into); statusOf(err) != 409 {
		t.Errorf("a second batch: got %v, want 409", err)
	}
	s.approve(s.bob, done.Batch)
	i.want(list, into, 0, 0, 0, 2, 0, 0)
	done = i.want(head+"1,,,,,retracted\n3,"+hashesOf("c")+"\n", into, 1, 0, 1, 0, 0, 0)
	v := i.viewNamed(sharedName)
	k, ok := v.state.ItemAt(feed.Position{Log: 1, Index: 0})
	if st := v.state.At(k, 99, s.now.Unix()); !ok || st.Status != feed.Held {
		t.Errorf("an item whose retraction awaits approval is %v, want held", st.Status)
	}
	s.approve(s.bob, done.Batch)
	past, err := i.pastImports()
	if err != nil || len(past) != 2 || past[0].Permission != "contract 7" || !past[1].Approved || !past[1].Done {
		t.Errorf("got %+v %v", past, err)
	}
}

// TestImportInterrupted: an import that ends after any batch goes on without a duplicate, and is done as if it had never ended.
func TestImportInterrupted(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "[[source]]\nname = \"s\"\nmax_adds_per_day = 20000\n")
	const rows = 2*importBatch + 100
	var list strings.Builder
	list.WriteString("id,md5\n")
	for k := range rows {
		fmt.Fprintf(&list, "%d,%s\n", k, hashesOf(fmt.Sprint(k))[:32])
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := api.Import{Format: "csv", Verdict: "national", Media: "image", Source: "s"}
	_, err := i.Import(ctx, r, strings.NewReader(list.String()), func(p api.ImportProgress) {
		if p.Stage == api.ImportTakes {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || i.size() != importBatch {
		t.Fatalf("got %v and %d records, want a canceled context and %d", err, i.size(), importBatch)
	}
	i.Close()
	i.open()
	defer func() { i.Close() }()
	done := i.want(list.String(), nil, rows-importBatch, 0, 0, importBatch, 0, 0)
	if i.size() != rows || !done.Done {
		t.Errorf("got %d records, want %d", i.size(), rows)
	}
	files, err := os.ReadDir(filepath.Join(i.dir, "imports"))
	if err != nil || len(files) != 1 || files[0].Name() != "past" {
		t.Errorf("left behind: %v %v", files, err)
	}
}

// TestImportAsksAnew: what becomes known good while a list is taken isn't listed, though the guard let its row pass when the list was judged.
func TestImportAsksAnew(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "")
	defer func() { i.Close() }()
	const rows = importBatch + 10
	var list strings.Builder
	list.WriteString("id,md5\n")
	for k := range rows {
		fmt.Fprintf(&list, "%d,%s\n", k, hashesOf(fmt.Sprint(k))[:32])
	}
	ctx := context.Background()
	r := api.Import{Format: "csv", Verdict: "national", Media: "image", Source: "s"}
	done, err := i.Import(ctx, r, strings.NewReader(list.String()), func(p api.ImportProgress) {
		if p.Stage != api.ImportTakes || p.Rows != importBatch {
			return
		}
		last := "md5:" + hashesOf(fmt.Sprint(rows - 1))[:32]
		if _, err := i.AddKnownGood(ctx, []api.KnownFile{{Name: "logo.png", Hashes: []string{last}}}); err != nil {
			t.Error(err)
		}
	})
	if err != nil || done.Added != rows-1 || done.Refused != 1 || i.size() != rows-1 || !strings.Contains(done.Notes[0].Text, "known good") {
		t.Errorf("got %+v %v, and %d records", done, err, i.size())
	}
}

// TestSpoolBytes: no byte of a list that is kept can be changed, left out or added.
func TestSpoolBytes(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "")
	defer i.Close()
	text := strings.Repeat("a list\n", 100)
	s, err := i.keep(spoolHead{Time: 1, Request: api.Import{Format: "csv"}}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("a list")) {
		t.Error("the list is kept in clear")
	}
	read := func(data []byte) (string, error) {
		if err := os.WriteFile(s.path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, in, f, err := i.openSpool(s.path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		var out bytes.Buffer
		_, err = out.ReadFrom(in)
		return out.String(), err
	}
	if got, err := read(data); err != nil || got != text {
		t.Fatalf("got %d bytes %v", len(got), err)
	}
	for k := range data {
		c := bytes.Clone(data)
		c[k] ^= 1
		if _, err := read(c); err == nil {
			t.Fatalf("byte %d was changed, and it is read", k)
		}
		if _, err := read(data[:k]); err == nil {
			t.Fatalf("cut off at %d, and it is read", k)
		}
	}
	if _, err := read(append(bytes.Clone(data), 0)); err == nil {
		t.Fatal("a byte more, and it is read")
	}
}

// TestImportModel: after a complete list the feed's active items are the list's, whatever lists came before.
func TestImportModel(t *testing.T) {
	i := newImporter(t, filepath.Join(t.TempDir(), "node"), "[limits]\n")
	defer i.Close()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		name := fmt.Sprint("f", n%200)
		if _, err := i.CreateFeed(context.Background(), api.CreateFeed{Name: name}); err != nil && statusOf(err) != 409 {
			t.Fatal(err)
		}
		ids := rapid.Bool().Draw(t, "ids")
		for range rapid.IntRange(1, 4).Draw(t, "lists") {
			want := map[string]string{} // hashes -> severity
			list := head
			used := map[string]bool{}
			for k := range rapid.IntRange(1, 6).Draw(t, "rows") {
				name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}).Draw(t, "file")
				if used[name] {
					continue
				}
				used[name] = true
				id := ""
				if ids {
					id = fmt.Sprint(k)
				}
				severity := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "severity")
				list += id + "," + hashesOf(name) + ",," + severity + "\n"
				want[hashesOf(name)] = severity
			}
			for pass := 0; ; pass++ { // the second time nothing is left to do

				done, err := i.imports(list, func(r *api.Import) { complete(r); r.Feed, r.Permission = name, "p" })
				if err != nil || !done.Done {
					t.Fatalf("%+v %v", done, err)
				}
				if done.Added+done.Revised+done.Retracted == 0 {
					break
				}
				if pass == 1 {
					t.Fatalf("the list again still changes: %+v\n%s", done, list)
				}
			}
			var out bytes.Buffer
			if err := i.Export(context.Background(), api.Export{Format: "csv", Feed: name}, &out); err != nil {
				t.Fatal(err)
			}
			f, _ := hashlist.Find("csv")
			in, err := f.Read(&out)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for {
				row, err := in.Read()
				if err != nil {
					break
				}
				if row.State == hashlist.Active {
					got[fmt.Sprintf("%x,%x", row.Hashes[0].Value, row.Hashes[1].Value)] = fmt.Sprint(row.Facts.Severity)
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("got %d active items, want the list's %d:\n%s", len(got), len(want), list)
			}
		}
	})
}
