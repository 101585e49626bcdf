package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/match"
)

// derived is all that a node derives from its store, as text: where it comes from the snapshot or from a replay must make no difference.
func derived(t testing.TB, n *Node) string {
	t.Helper()
	var b strings.Builder
	said := n.said.all()
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil {
			continue
		}
		fmt.Fprintf(&b, "%s: listed", v.name)
		for i := range v.listed {
			fmt.Fprintf(&b, " %d", v.listed[i].Load())
		}
		stopped, stops := v.state.Stopped()
		fmt.Fprintf(&b, ", stopped %v %v\n", stopped, stops)
		limit := v.reading.Load().limit
		for i := range v.state.Items() {
			it := v.state.Item(i)
			number, ok := v.state.ItemByID(it.ID())
			fmt.Fprintf(&b, "%d %v %v: %x %v rev %d %v %+v\n", i, number, ok, it.ID(), it.Records(), it.Rev(), it.Retracted(), v.state.At(i, limit, n.unix()))
		}
		for log := 1; log <= v.reading.Load().chain.Newest().Log; log++ {
			fmt.Fprintf(&b, "log %d: %d\n", log, v.state.Size(log))
			for i := range v.state.Size(log) {
				p := feed.Position{Log: log, Index: i}
				item, ok := v.state.ItemAt(p)
				void, refused := v.state.Codes(p)
				if fmt.Fprintf(&b, "%d: %d %v %s %s\n", i, item, ok, void, refused); !ok {
					continue
				}
				r, err := n.store.Record(v.name.Log(log), i)
				if err != nil {
					t.Fatal(err)
				}
				body, err := feed.ParseBody(r.Body)
				if err != nil {
					continue
				}
				for _, h := range body.Hashes {
					hits, _, err := n.tables.Lookup(nil, match.Alg(h.Alg), h.Bytes(), 0)
					if err != nil {
						t.Fatal(err)
					}
					var found []string
					for _, hit := range hits {
						if w := n.viewOf(hit.ID); w != nil && w.state != nil {
							found = append(found, fmt.Sprint(w.name, " ", uint32(hit.ID)))
						} else {
							t.Errorf("a hit of nobody's: %+v", hit)
						}
					}
					slices.Sort(found)
					fmt.Fprintln(&b, h.Alg, found)
				}
			}
		}
		statements := said[v.name]
		for _, s := range statements.of {
			fmt.Fprintf(&b, "%v of %v: %v %x %v %v\n", s.op, s.subject, s.at, s.leaf, s.reason, s.own)
		}
		resolved := []string{}
		for _, r := range statements.resolved {
			resolved = append(resolved, r.String())
		}
		slices.Sort(resolved)
		fmt.Fprintln(&b, resolved)
	}
	for a := feed.MD5; a <= feed.VPDQ; a++ {
		if matchable(a) {
			fmt.Fprintln(&b, a, n.tables.Len(match.Alg(a)))
		}
	}
	return b.String()
}

// reopened is a node on a directory; it wants the tables to come from there.
func reopened(t testing.TB, dir, source string, o Options) *Node {
	t.Helper()
	o.Now = usedClock
	n, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if n.index.start.Source != source {
		t.Errorf("the tables come from %+v, want %s", n.index.start, source)
	}
	n.alone.Store(true)
	return n
}

// TestSnapshotHistories: at any moment of a random history the tables from the snapshot and the log's tail are those of a replay, and those that
// were there before the restart.
func TestSnapshotHistories(t *testing.T) {
	steps := 120
	if raceEnabled {
		steps = 50
	}
	seed := harmSeed(t)
	r := rand.New(rand.NewPCG(seed, 3))
	ctx := context.Background()
	dir := filepath.Join(fastDir(t), "hotline")
	if _, err := Init(dir, InitOptions{Name: "hotline.example", Role: RoleHotline, Harm: "csam", Now: usedNow}); err != nil {
		t.Fatal(err)
	}
	source := api.IndexLog
	n := reopened(t, dir, source, Options{})
	defer func() { n.Close() }()
	if _, err := n.CreateFeed(ctx, api.CreateFeed{Name: "urgent"}); err != nil {
		t.Fatal(err)
	}
	var refs []feed.Ref
	done := map[string]int{}
	for step := range steps {
		what, err := "nothing", error(nil)
		ref := feed.Ref{}
		if len(refs) > 0 {
			ref = refs[r.IntN(len(refs))]
		}
		k := r.IntN(12)
		if first := []int{0, 1, 2, 4, 5, 6, 7, 8, 10, 3}; step < len(first) { // each at least once
			k = first[step]
		}
		switch {
		case k < 3 || len(refs) == 0:
			what = "publish"
			// Some items have the hashes of another: published again, in this feed or the other.
			p := api.Publish{Feed: []string{"known", "urgent"}[r.IntN(2)], Items: usedItems(r.IntN(40), 1+r.IntN(4)), Again: true}
			made, failed := n.Publish(ctx, p)
			err = failed
			for _, m := range made {
				if ref, parsed := feed.ParseRef(m.Ref); parsed == nil {
					refs = append(refs, ref)
				}
			}
		case k == 3:
			what = "retract"
			_, err = n.Retract(ctx, ref, feed.FalsePositive)
		case k == 4:
			what = "revise"
			_, err = n.Revise(ctx, ref, api.Revision{Severity: 1 + r.IntN(4)})
		case k == 5:
			what = "suspend"
			_, err = n.Suspend(ctx, []feed.Ref{ref})
		case k == 6:
			what = "dispute"
			_, err = n.Dispute(ctx, ref, feed.FalsePositive)
		case k == 7:
			what = "endorse"
			_, err = n.Endorse(ctx, ref)
		case k < 10:
			what = "save"
			_, _, err = n.SaveIndex()
			source = api.IndexSnapshot
		default:
			what = "restart"
			live := derived(t, n)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			n = reopened(t, dir, source, Options{})
			resumed := derived(t, n)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			n = reopened(t, dir, api.IndexLog, Options{Rebuild: true})
			if replayed := derived(t, n); resumed != replayed || live != replayed {
				t.Fatalf("step %d: resumed and replayed: %s\nlive and replayed: %s", step, difference(resumed, replayed), difference(live, replayed))
			}
			if err := n.Close(); err != nil { // goes on from the snapshot, so that errors would add up
				t.Fatal(err)
			}
			n = reopened(t, dir, source, Options{})
		}
		if err == nil {
			done[what]++
		}
	}
	for _, what := range []string{"publish", "retract", "revise", "suspend", "save", "restart"} {
		if done[what] == 0 {
			t.Errorf("there was no %s: %v", what, done)
		}
	}
}

// TestSnapshotDamage: whatever is done to a snapshot, the answers are those of a replay, and the node says why the snapshot was not used.
func TestSnapshotDamage(t *testing.T) {
	smallFrames(t, 4096)
	ctx := context.Background()
	work := fastDir(t)
	dir := filepath.Join(work, "hotline")
	for _, name := range []string{"hotline", "another"} {
		if _, err := Init(filepath.Join(work, name), InitOptions{Name: name + ".example", Role: RoleHotline, Harm: "csam", Now: usedNow}); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(n *Node, from, count int) {
		t.Helper()
		if _, err := n.Publish(ctx, api.Publish{Items: usedItems(from, count)}); err != nil {
			t.Fatal(err)
		}
	}
	save := func(n *Node, dir string) []byte {
		t.Helper()
		if _, _, err := n.SaveIndex(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(layout(dir).snapshot())
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	// Two nodes went apart after 300 records: one directory, copied.
	n := reopened(t, dir, api.IndexLog, Options{})
	publish(n, 0, 300)
	older := save(n, dir)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := readFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	apart := filepath.Join(work, "apart")
	if err := files.write(apart); err != nil {
		t.Fatal(err)
	}
	n = reopened(t, apart, api.IndexSnapshot, Options{})
	publish(n, 1000, 100)
	fork := save(n, apart)
	n.Close()
	n = reopened(t, filepath.Join(work, "another"), api.IndexLog, Options{})
	publish(n, 0, 300)
	another := save(n, filepath.Join(work, "another"))
	n.Close()
	n = reopened(t, dir, api.IndexSnapshot, Options{})
	publish(n, 300, 100)
	newest := save(n, dir)
	publish(n, 400, 30)
	if _, err := n.Retract(ctx, feed.Ref{Origin: "hotline.example/known/1", Index: 310}, feed.FalsePositive); err != nil {
		t.Fatal(err)
	}
	n.Close()
	n = reopened(t, dir, api.IndexLog, Options{Rebuild: true})
	want := derived(t, n)
	n.Close()

	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(newest)) }
	frame := func(b []byte, n int) []byte { return b[snapshotHeadSize+n*sealedFrame():][:sealedFrame()] }
	cases := map[string]struct {
		snapshot []byte
		note     string // "": it is used
	}{
		"whole":           {newest, ""},
		"older":           {older, ""},
		"another log's":   {fork, "another log"},
		"another node's":  {another, "another node's"},
		"empty":           {[]byte{}, "damaged"},
		"cut in its head": {newest[:snapshotHeadSize-1], "damaged"},
		"cut by a byte":   {newest[:len(newest)-1], "damaged"},
		"cut by a frame":  {newest[:snapshotHeadSize+3*sealedFrame()], "damaged"},
		"two frames swapped": {edit(func(b []byte) []byte {
			copy(frame(b, 1), frame(newest, 2))
			copy(frame(b, 2), frame(newest, 1))
			return b
		}), "damaged"},
		"a frame of the older one": {edit(func(b []byte) []byte {
			copy(frame(b, 1), frame(older, 1))
			return b
		}), "damaged"},
		"another version": {append([]byte("hashfeed-index/v2\n"), newest[len(snapshotMagic):]...), "damaged"},
	}
	for i := range 12 { // in each region
		at := len(newest) * i / 12
		cases[fmt.Sprintf("flipped at %d", at)] = struct {
			snapshot []byte
			note     string
		}{edit(func(b []byte) []byte { b[at] ^= 4; return b }), "damaged"}
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		if err := os.WriteFile(layout(dir).snapshot(), c.snapshot, 0o600); err != nil {
			t.Fatal(err)
		}
		source := api.IndexLog
		if c.note == "" {
			source = api.IndexSnapshot
		}
		n := reopened(t, dir, source, Options{})
		if note := n.index.start.Note; !strings.Contains(note, c.note) || (note == "") != (c.note == "") {
			t.Errorf("%s: got note %q, want %q", name, note, c.note)
		}
		if got := derived(t, n); got != want {
			t.Errorf("%s: %s", name, difference(got, want))
		}
		if c.note == "damaged" {
			found := 0
			for f, err := range n.Fsck(ctx, false) {
				if err != nil || f.Kind != "index" || f.State != api.FindingWarning {
					t.Errorf("%s: fsck: %+v, %v", name, f, err)
				}
				found++
			}
			if found != 1 {
				t.Errorf("%s: fsck found %d, want 1", name, found)
			}
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	// The store was rolled back: a snapshot of what isn't there any more.
	back := filepath.Join(work, "back")
	if err := files.write(back); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(layout(back).snapshot(), newest, 0o600); err != nil {
		t.Fatal(err)
	}
	n = reopened(t, back, api.IndexLog, Options{})
	if note := n.index.start.Note; !strings.Contains(note, "ahead of the store") {
		t.Errorf("rolled back: got %q", note)
	}
	if n.records() != 300 {
		t.Errorf("rolled back: got %d records, want 300", n.records())
	}
	n.Close()
}

// TestSnapshotWhen: one is written at the end if enough has come, none on a full disk, and nothing of a crash is left.
func TestSnapshotWhen(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(fastDir(t), "host")
	if _, err := Init(dir, InitOptions{Name: "host.example", Role: RoleHotline, Harm: "csam", Now: usedNow}); err != nil {
		t.Fatal(err)
	}
	full := false
	o := Options{snapshotFew: 50, Free: func(string) (uint64, error) {
		if full {
			return 1 << 20, nil
		}
		return 1 << 40, nil
	}}
	covered := func() uint64 {
		t.Helper()
		n := reopened(t, dir, api.IndexSnapshot, Options{})
		defer n.Close()
		return n.index.covered
	}
	publish := func(n *Node, from, count int) {
		t.Helper()
		if _, err := n.Publish(ctx, api.Publish{Items: usedItems(from, count)}); err != nil {
			t.Fatal(err)
		}
	}
	n := reopened(t, dir, api.IndexLog, o)
	publish(n, 0, 49)
	n.Close()
	if _, err := os.Stat(layout(dir).snapshot()); err == nil {
		t.Error("49 records: a snapshot was written")
	}
	n = reopened(t, dir, api.IndexLog, o)
	publish(n, 49, 1)
	if !n.snapshotDue() {
		t.Error("50 records: no snapshot is due")
	}
	n.Close()
	if got := covered(); got != 50 {
		t.Errorf("the snapshot has %d records, want 50", got)
	}
	left := filepath.Join(dir, "index", ".snapshot123")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n = reopened(t, dir, api.IndexSnapshot, o)
	if _, err := os.Stat(left); err == nil {
		t.Error("what a crash left is there still")
	}
	publish(n, 100, 60)
	if n.snapshotDue() {
		t.Error("60 records within the hour: a snapshot is due")
	}
	full = true
	if _, _, err := n.SaveIndex(); err == nil || !strings.Contains(err.Error(), "free") {
		t.Errorf("on a full disk: got %v", err)
	}
	n.Close()
	full = false
	if got := covered(); got != 50 {
		t.Errorf("after a full disk the snapshot has %d records, want 50 still", got)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "index")); err != nil || len(entries) != 1 {
		t.Errorf("in index/ there is %v, %v", entries, err)
	}
}

// TestSnapshotBodies: bodies that come or are erased after the snapshot was taken, while nobody looks, are not in the log; a start finds them.
func TestSnapshotBodies(t *testing.T) {
	ctx := context.Background()
	work := fastDir(t)
	for name, role := range map[string]string{"hotline.example": RoleHotline, "host.example": RoleHost} {
		if _, err := Init(filepath.Join(work, role), InitOptions{Name: name, Role: role, Harm: "csam", Now: usedNow}); err != nil {
			t.Fatal(err)
		}
	}
	theirs, dir := reopened(t, filepath.Join(work, RoleHotline), api.IndexLog, Options{}), filepath.Join(work, RoleHost)
	defer theirs.Close()
	if _, err := theirs.Publish(ctx, api.Publish{Items: usedItems(0, 700)}); err != nil {
		t.Fatal(err)
	}
	for _, index := range []uint64{300, 650} {
		if _, err := theirs.Retract(ctx, feed.Ref{Origin: "hotline.example/known/1", Index: index}, feed.FalsePositive); err != nil {
			t.Fatal(err)
		}
	}
	n := reopened(t, dir, api.IndexLog, Options{})
	id, err := theirs.Identity(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Follow(ctx, api.Follow{Invite: id.Invite, Verdicts: []string{"baseline"}, Action: "block"}); err != nil {
		t.Fatal(err)
	}
	chain, _ := theirs.store.Chain("hotline.example/known")
	if err := n.store.AddFeed(chain); err != nil {
		t.Fatal(err)
	}
	origin := chain.Newest().Origin()
	head, _ := theirs.store.Head(origin)
	tree, tail, _ := n.store.Position(origin)
	for b, err := range feed.Verify(chain, tree, tail, head, func(path string) ([]byte, error) {
		if strings.HasPrefix(path, "body/") {
			return nil, fs.ErrNotExist
		}
		return theirs.store.Part(origin, path, head.Size)
	}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := n.store.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	body := func(index uint64) []byte {
		t.Helper()
		r, err := theirs.store.Record(origin, index)
		if err != nil {
			t.Fatal(err)
		}
		return r.Body
	}
	came := func(index uint64) {
		t.Helper()
		if err := n.store.SetBody(origin, index, body(index)); err != nil {
			t.Fatal(err)
		}
	}
	for _, index := range []uint64{3, 300, 650} {
		came(index)
		n.bodyCame(feed.Ref{Origin: origin, Index: index}, body(index))
	}
	if _, _, err := n.SaveIndex(); err != nil {
		t.Fatal(err)
	}
	came(4)
	came(301)
	came(651)
	if err := n.store.Erase(origin, 300, 650); err != nil {
		t.Fatal(err)
	}
	n.Close()
	n = reopened(t, dir, api.IndexLog, Options{Rebuild: true})
	want := derived(t, n)
	n.Close()
	n = reopened(t, dir, api.IndexSnapshot, Options{})
	defer n.Close()
	v := n.viewNamed("hotline.example/known")
	for index, active := range map[uint64]bool{3: true, 4: true, 300: false, 301: true, 650: false, 651: true, 5: false} {
		item, _ := v.state.ItemAt(feed.Position{Log: 1, Index: index})
		if got := v.state.At(item, head.Size, usedNow.Unix()).Status; (got == feed.Active) != active {
			t.Errorf("record %d is %v, want active %v", index, got, active)
		}
	}
	if got := derived(t, n); got != want {
		t.Error(difference(got, want))
	}
}

// TestSnapshotFeeds: feeds that came or went since, and slots that were given back.
func TestSnapshotFeeds(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(fastDir(t), "hotline")
	if _, err := Init(dir, InitOptions{Name: "hotline.example", Role: RoleHotline, Harm: "csam", Now: usedNow}); err != nil {
		t.Fatal(err)
	}
	n := reopened(t, dir, api.IndexLog, Options{})
	publish := func(name string, from int) {
		t.Helper()
		if _, err := n.Publish(ctx, api.Publish{Feed: name, Items: usedItems(from, 20)}); err != nil {
			t.Fatal(err)
		}
	}
	publish("known", 0)
	if _, err := n.CreateFeed(ctx, api.CreateFeed{Name: "urgent"}); err != nil {
		t.Fatal(err)
	}
	publish("urgent", 100)
	// A view that is made anew takes another slot and gives its own back.
	if err := n.store.Still(func() error { return n.rebuild(n.viewNamed("hotline.example/known")) }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.SaveIndex(); err != nil {
		t.Fatal(err)
	}
	slots, freed := len(*n.views.Load()), slices.Clone(n.freed)
	if len(freed) != 1 {
		t.Fatalf("freed: %v", freed)
	}
	if _, err := n.CreateFeed(ctx, api.CreateFeed{Name: "third"}); err != nil {
		t.Fatal(err)
	}
	publish("third", 200)
	live := derived(t, n)
	n.Close()
	n = reopened(t, dir, api.IndexSnapshot, Options{})
	defer n.Close()
	if got := derived(t, n); sortedLines(got) != sortedLines(live) {
		t.Error(difference(sortedLines(got), sortedLines(live)))
	}
	if len(*n.views.Load()) != slots+1 || !slices.Equal(n.freed, freed) {
		t.Errorf("%d slots, freed %v; want %d, %v", len(*n.views.Load()), n.freed, slots+1, freed)
	}
}

func sortedLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// FuzzSnapshotHead: no bytes break the parsers of what a snapshot has beside states and tables.
func FuzzSnapshotHead(f *testing.F) {
	head, err := json.Marshal(snapshotHead{Schema: snapshotSchema, Slots: 3, Freed: []uint64{1}, Feeds: []savedFeed{{Name: "a/b", Slot: 2, Listed: make([]int64, 8)}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte{0, 0, 0, byte(len(head))}, head...))
	var said bytes.Buffer
	ticket := feed.Ticket{1}
	if err := (saidBy{of: []saidOf{{feed.Ref{Origin: "a/b/1", Index: 1}, statement{op: feed.OpDispute, at: feed.Ref{Origin: "c/d/1"}, ticket: &ticket}}},
		resolved: []feed.Ref{{Origin: "a/b/1", Index: 2}}}).write(&said); err != nil {
		f.Fatal(err)
	}
	f.Add(said.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := readSnapshotHead(bytes.NewReader(data)); err == nil && h.Slots > maxFeeds {
			t.Errorf("%d slots", h.Slots)
		}
		b, err := readSaid(bytes.NewReader(data))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := b.write(&out); err != nil {
			t.Fatal(err)
		}
		if again, err := readSaid(&out); err != nil || len(again.of) != len(b.of) || len(again.resolved) != len(b.resolved) {
			t.Errorf("read again: %v", err)
		}
	})
}
