package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// goldenFeed is a small feed with two logs and something of everything. Log 1: 0 an item that is revised by 1 and active, 2 one that 3 retracts and
// whose body was erased, 4 one that waits for its not_before, 5 one that is suspended, 6 a refused one, 7 a void head; then the cut, and
// past it 8, the thief's. Log 2: 9 a dispute, an item beyond the quorum.
func goldenFeed(t testing.TB) *memoryFeed {
	t.Helper()
	c1 := firstCharter()
	f := newMemoryFeed(mustExtend(t, nil, c1))
	f.publish(t, testNow)
	f.publish(t, testNow+60, addOf(1, listing(1)), reviseOf(1, 2, Position{1, 0}, false, listing(1, 2)))
	f.publish(t, testNow+120, addOf(2, listing(3)))
	f.publish(t, testNow+180, retractOf(2, 2, Position{1, 2}), addOf(3, notBefore(4, testNow+30*86400)), addOf(4, listing(5)),
		addOf(5, hollow()), addOf(1, listing(6)))
	f.cosign(t, testNow+190, witnessKey(1), witnessKey(2))
	l := f.log(testFeed.Log(1))
	l.bodies[2] = nil // erased
	cut := Cut{8, l.root(t, 8)}
	f.publish(t, testNow+240, retractOf(4, 2, Position{1, 5}))
	f.chain = mustExtend(t, f.chain, closingCharter(c1, cut))
	f.publish(t, testNow+300)
	f.publish(t, testNow+360, record(Head{Op: OpDispute, Time: testNow, Subject: Subject{"a.example/b/1", 3, Digest{1}}, Reason: KnownGood}, nil))
	f.cosign(t, testNow+361, witnessKey(2), witnessKey(3))
	f.publish(t, testNow+420, addOf(9, listing(7)))
	s, err := SignSuspension(f.chain, []Position{{1, 5}}, testNow+430, signerKey(2, 3))
	if err != nil {
		t.Fatal(err)
	}
	f.suspensions = []Suspension{s}
	return f
}

func mustExtend(t testing.TB, chain *Chain, c Charter) *Chain {
	t.Helper()
	note := signed(t, c, 1, 2)
	var err error
	if chain == nil {
		chain, err = OpenChain(c.Anchor(), [][]byte{note})
	} else {
		chain, err = chain.Extend(note)
	}
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// notBefore is a body that has no effect until then.
func notBefore(seed byte, when int64) []byte {
	b, err := ParseBody(listing(seed))
	if err != nil {
		panic(err)
	}
	b.Facts.NotBefore = when
	raw, err := b.Bytes()
	if err != nil {
		panic(err)
	}
	return raw
}

const goldenNow = testNow + 3600

// mapFS is files in memory.
func mapFS(all map[string][]byte) fstest.MapFS {
	m := fstest.MapFS{}
	for path, data := range all {
		m[path] = &fstest.MapFile{Data: data}
	}
	return m
}

func mirrorOf(t testing.TB, f *memoryFeed) map[string][]byte {
	t.Helper()
	dir := memoryDir(t)
	if err := WriteMirror(dir, testFeed, f); err != nil {
		t.Fatal(err)
	}
	return files(t, dir)
}

func TestMirror(t *testing.T) {
	f := goldenFeed(t)
	all := mirrorOf(t, f)
	r, err := VerifyMirror(mapFS(all), f.chain.Anchor(), goldenNow)
	if err != nil || !r.Valid || r.Problem != "" || !r.Entries || !r.Bodies {
		t.Fatalf("got %+v, %v, want a valid mirror", r, err)
	}
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	root := func(log int) string { d := f.log(testFeed.Log(log)).tree.Root(); return fmt.Sprintf("%x", d[:]) }
	hashes := strings.Join([]string{string(must(json.Marshal(Hash{MD5, string(made(1, 16)), 0}.Text()))), string(must(json.Marshal(Hash{PDQ, string(made(2, 32)), 90}.Text())))}, ",")
	want := `{"valid":true,"problem":null,"logs":[` +
		`{"origin":"eokm.example/known/1","size":9,"root":"` + root(1) + `","age_s":3360},` +
		`{"origin":"eokm.example/known/2","size":2,"root":"` + root(2) + `","age_s":3180}],"entries":true,"bodies":true,` +
		`"records":{"add":7,"dispute":1,"retract":2,"revise":1},` +
		`"void":{"cut":["eokm.example/known/1#8"],"id":["eokm.example/known/1#7"]},` +
		`"refused":{"digest":["eokm.example/known/1#6"]},` +
		`"counts":{"active":1,"held":1,"pending":3,"retracted":1,"erased":1},"missing":[],` +
		`"items":[{"ref":"eokm.example/known/1#0","hashes":[` + hashes + `]}],"skipped":[],"unjudged":0}`
	var g, w any
	if err := errors.Join(json.Unmarshal(got, &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatal(err)
	}
	delete(g.(map[string]any), "stopped") // null or absent: there is none
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for path := range all {
		if info := must(fs.Stat(mapFS(all), path)); info.IsDir() {
			t.Errorf("%s is a folder", path)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestMirrorLoad takes a mirror in from every size on: the same records, checkpoints and suspensions come out as went in.
func TestMirrorLoad(t *testing.T) {
	f := goldenFeed(t)
	all := mirrorOf(t, f)
	m, err := ReadMirror(mapFS(all), f.chain.Anchor())
	if err != nil {
		t.Fatal(err)
	}
	for stop := range 15 { // batches taken before the load is broken off
		loaded := newMemoryFeed(m.Chain())
		if loaded.suspensions, err = m.Suspensions(); err != nil {
			t.Fatal(err)
		}
		taken := 0
		load := func(upTo int) {
			for log := 1; log <= m.Chain().Newest().Log; log++ {
				l := loaded.log(testFeed.Log(log))
				for b, err := range m.Batches(log, l.tree, l.tail()) {
					if err != nil {
						t.Fatal(err)
					}
					if taken == upTo {
						return
					}
					loaded.commit(t, b)
					taken++
				}
			}
		}
		load(stop)
		load(-1)
		again := mirrorOf(t, loaded)
		if !maps.EqualFunc(again, all, bytes.Equal) {
			t.Errorf("broken off after %d: got the files %v, want those of the mirror", stop, slices.Sorted(maps.Keys(again)))
		}
	}
	// What is newer than the mirror stays.
	l := f.log(testFeed.Log(2))
	f.publish(t, testNow+500, addOf(20, listing(8)))
	for b, err := range m.Batches(2, l.tree, l.tail()) {
		t.Errorf("from a larger size: got %v, %v, want nothing", b, err)
	}
	for b, err := range m.Batches(3, Tree{}, nil) {
		if err == nil || b != nil {
			t.Errorf("a log that isn't there: got %v, %v, want an error", b, err)
		}
	}
}

// TestMirrorAnchors: with a later anchor the earlier charters are unneeded, and of a log closed before it exactly the cut is held.
func TestMirrorAnchors(t *testing.T) {
	f := goldenFeed(t)
	all := mirrorOf(t, f)
	later := f.chain.All()[1].Anchor()
	whole, err := VerifyMirror(mapFS(all), later, goldenNow)
	if err != nil || !whole.Valid || len(whole.Logs) != 2 || whole.Logs[0].AgeS != nil || whole.Logs[0].Size != 8 || whole.Void["cut"] != nil {
		t.Errorf("got %+v, %v, want log 1 to its cut, without age", whole, err)
	}
	f.chain = mustChain(t, later, f.chain.Notes()[1:])
	few := mirrorOf(t, f)
	if few["1/checkpoint"] != nil || few["1/tile/entries/000.p/8"] == nil || few["charter/1"] != nil {
		t.Errorf("a mirror from the later anchor has %v", slices.Sorted(maps.Keys(few)))
	}
	r, err := VerifyMirror(mapFS(few), later, goldenNow)
	if err != nil || !reflect.DeepEqual(r, whole) {
		t.Errorf("a mirror from the later anchor: got %+v, %v, want %+v", r, err, whole)
	}
	m, err := ReadMirror(mapFS(few), later)
	if err != nil {
		t.Fatal(err)
	}
	loaded := newMemoryFeed(m.Chain())
	for b, err := range m.Batches(1, Tree{}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		loaded.commit(t, b)
	}
	if got := len(loaded.log(testFeed.Log(1)).heads); got != 8 {
		t.Errorf("loaded %d records of the closed log, want 8", got)
	}
	if r, err := VerifyMirror(mapFS(all), Anchor{1}, goldenNow); err != nil || r.Valid || !strings.Contains(string(r.Problem), "anchor") {
		t.Errorf("a wrong anchor: got %+v, %v, want an invalid mirror", r, err)
	}
}

// TestMirrorDamage changes each byte of each file, cuts each file, and takes each away: the mirror is invalid, or it says what it said, for
// what was changed isn't needed. Nothing in between.
func TestMirrorDamage(t *testing.T) {
	f := goldenFeed(t)
	all := mirrorOf(t, f)
	want, err := VerifyMirror(mapFS(all), f.chain.Anchor(), goldenNow)
	if err != nil {
		t.Fatal(err)
	}
	harmless := 0
	check := func(path, what string, data []byte) {
		t.Helper()
		fsys := mapFS(all)
		if fsys[path] = (&fstest.MapFile{Data: data}); data == nil {
			delete(fsys, path)
		}
		got, err := VerifyMirror(fsys, f.chain.Anchor(), goldenNow)
		switch {
		case err != nil:
			t.Errorf("%s, %s: %v", path, what, err)
		case !got.Valid && got.Problem == "":
			t.Errorf("%s, %s: invalid without a problem", path, what)
		case got.Valid && reflect.DeepEqual(got, want):
			harmless++
		case got.Valid && data == nil && (strings.HasPrefix(path, "suspension/") || strings.Contains(path, "/seen/") || strings.Contains(path, "/body/") || strings.Contains(path, "entries") || path == "charter/2"):
			// Taking such a file away makes another feed, an older or a poorer one, not a damaged one.
		case got.Valid && strings.HasPrefix(path, "suspension/"):
			// A line that doesn't name a signer any more is a stranger's: the note is without effect.
		case got.Valid && (path == "2/checkpoint" || strings.HasPrefix(path, "2/seen/")) && got.Counts.Active <= want.Counts.Active:
			// So has a witness's line, which no addition gains from.
		case got.Valid:
			t.Errorf("%s, %s: valid, but says something else: %+v", path, what, got.Report)
		}
	}
	tried := 0
	for _, path := range slices.Sorted(maps.Keys(all)) {
		data := all[path]
		step := 1 + len(data)/50
		for i := 0; i < len(data); i += step {
			changed := slices.Clone(data)
			changed[i] ^= 1 << (i % 8)
			check(path, fmt.Sprintf("byte %d changed", i), changed)
			tried++
		}
		check(path, "cut", data[:len(data)/2])
		check(path, "emptied", []byte{})
		check(path, "doubled", slices.Concat(data, data))
		check(path, "gone", nil)
	}
	t.Logf("%d changes, %d without effect", tried, harmless)
	if harmless > tried/4 {
		t.Errorf("%d of %d changes are without effect: what is checked?", harmless, tried)
	}
}

// countingSource panics at a call.
type countingSource struct {
	MirrorSource
	left int
}

type stopped struct{}

func (c *countingSource) tick() {
	if c.left--; c.left < 0 {
		panic(stopped{})
	}
}

func (c *countingSource) Head(o Origin) (Checkpoint, bool) { c.tick(); return c.MirrorSource.Head(o) }
func (c *countingSource) Suspensions(n Name) []Suspension {
	c.tick()
	return c.MirrorSource.Suspensions(n)
}
func (c *countingSource) Seen(o Origin, s uint64) (Checkpoint, bool) {
	c.tick()
	return c.MirrorSource.Seen(o, s)
}
func (c *countingSource) Part(o Origin, p string, s uint64) ([]byte, error) {
	c.tick()
	return c.MirrorSource.Part(o, p, s)
}

// TestMirrorBrokenOff breaks the second writing of a mirror off at each call of the source, after the feed has grown, another log was closed
// and a body erased: the folder is valid each time, and a third run finishes it.
func TestMirrorBrokenOff(t *testing.T) {
	c1 := firstCharter()
	c1.Quorum = nil
	f := newMemoryFeed(mustExtend(t, nil, c1))
	f.publish(t, testNow)
	for i := range 3 {
		f.publish(t, testNow+int64(i), smallRecords(100*i, 99)...)
	}
	f.publish(t, testNow+10, addOf(1, listing(1)))
	old := mirrorOf(t, f)
	l := f.log(testFeed.Log(1))
	f.publish(t, testNow+20, smallRecords(300, 300)...)
	l.bodies[297] = nil
	f.chain = mustExtend(t, f.chain, closingCharter(c1, Cut{500, l.root(t, 500)}))
	f.publish(t, testNow+300)
	f.publish(t, testNow+360, addOf(9, listing(7)))
	s, err := SignSuspension(f.chain, []Position{{2, 0}}, testNow+430, signerKey(2, 3))
	if err != nil {
		t.Fatal(err)
	}
	f.suspensions = []Suspension{s}
	want := mirrorOf(t, f)
	top := memoryDir(t)
	done, states := false, map[string]bool{}
	for n := 0; !done; n++ {
		dir := filepath.Join(top, fmt.Sprint(n))
		writeFiles(t, dir, old)
		func() {
			defer func() {
				if r := recover(); r != nil && r != (stopped{}) {
					panic(r)
				}
			}()
			if err := WriteMirror(dir, testFeed, &countingSource{f, n}); err != nil {
				t.Fatal(err)
			}
			done = true
		}()
		r, err := VerifyMirror(os.DirFS(dir), f.chain.Anchor(), goldenNow)
		if err != nil || !r.Valid {
			t.Fatalf("broken off at %d: got %v, %v, want a valid mirror", n, r.Problem, err)
		}
		states[fmt.Sprint(len(r.Logs), r.Logs[0].Size, r.Counts)] = true
		if err := WriteMirror(dir, testFeed, f); err != nil {
			t.Fatal(err)
		}
		got := files(t, dir)
		for path, data := range want {
			if !bytes.Equal(got[path], data) {
				t.Fatalf("broken off at %d, then finished: %s differs", n, path)
			}
		}
		for path, data := range got {
			if strings.Contains(path, "/body/") && bytes.Contains(data, listing(1)) {
				t.Fatalf("broken off at %d, then finished: the erased body stands in %s", n, path)
			}
		}
	}
	if len(states) < 3 {
		t.Errorf("got the states %v, want an older, one between and the newest", states)
	}
}

func TestWriteMirrorRefuses(t *testing.T) {
	f := goldenFeed(t)
	dir := t.TempDir()
	if err := WriteMirror(dir, "eokm.example/other", f); err == nil {
		t.Error("another feed's name: got no error, want one")
	}
	if err := WriteMirror(dir, testFeed, f); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	// A log of another generation.
	other := goldenFeed(t)
	l := other.log(testFeed.Log(2))
	l.heads[0] = addOf(30, listing(9)).Head
	if err := WriteMirror(dir, testFeed, other); err == nil || !strings.Contains(err.Error(), "another content") {
		t.Errorf("another generation: got %v, want an error", err)
	}
	// Another feed of that name.
	c := firstCharter()
	c.Contact = "somebody else"
	impostor := newMemoryFeed(mustExtend(t, nil, c))
	impostor.publish(t, testNow)
	if err := WriteMirror(dir, testFeed, impostor); err == nil || !strings.Contains(err.Error(), "another feed's") {
		t.Errorf("another feed: got %v, want an error", err)
	}
	if after := files(t, dir); !maps.EqualFunc(before, after, bytes.Equal) {
		t.Error("what was refused has changed the folder")
	}
	// A log that isn't complete to its cut, and one without a head.
	closed := other.log(testFeed.Log(1))
	closed.head = closed.seen[3]
	for _, what := range []string{"short of its cut", "without a head"} {
		if err := WriteMirror(t.TempDir(), testFeed, other); err == nil || !strings.Contains(err.Error(), "isn't complete") {
			t.Errorf("a log %s: got %v, want an error", what, err)
		}
		closed.head = Checkpoint{}
	}
	info, err := os.Stat(filepath.Join(dir, "1/body"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of bodies has mode %v, %v, want 0700", info.Mode(), err)
	}
	if info, err = os.Stat(filepath.Join(dir, "1/checkpoint")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file has mode %v, %v, want 0600", info.Mode(), err)
	}
}

// brokenFS can't read one file.
type brokenFS struct {
	fstest.MapFS
	path string
}

var errDisk = errors.New("input/output error")

func (b brokenFS) Open(path string) (fs.File, error) {
	if path == b.path {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errDisk}
	}
	return b.MapFS.Open(path)
}

func (b brokenFS) Stat(path string) (fs.FileInfo, error) {
	if path == b.path {
		return nil, errDisk
	}
	return b.MapFS.Stat(path)
}

func (b brokenFS) ReadDir(path string) ([]fs.DirEntry, error) {
	if path == b.path {
		return nil, errDisk
	}
	return b.MapFS.ReadDir(path)
}

// TestMirrorUnreadable: what can't be read is not called untrue.
func TestMirrorUnreadable(t *testing.T) {
	f := goldenFeed(t)
	all := mirrorOf(t, f)
	for _, path := range append(slices.Collect(maps.Keys(all)), ".", "charter", "suspension", "1/seen", "1/tile/entries", "2/body") {
		if strings.HasPrefix(path, "1/") && strings.HasSuffix(path, ".p/8") {
			continue // of the cut: only a later anchor needs it
		}
		if r, err := VerifyMirror(brokenFS{mapFS(all), path}, f.chain.Anchor(), goldenNow); !errors.Is(err, errDisk) {
			t.Errorf("%s unreadable: got %+v, %v, want the disk's error", path, r, err)
		}
	}
	if _, err := VerifyMirror(os.DirFS(filepath.Join(t.TempDir(), "absent")), f.chain.Anchor(), goldenNow); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: got %v, want that it doesn't exist", err)
	}
}

// TestMirrorLarge: a log of several tiles a level, whose heads and bodies don't all fit where they would have to.
func TestMirrorLarge(t *testing.T) {
	c := firstCharter()
	c.Quorum = nil
	f := newMemoryFeed(mustExtend(t, nil, c))
	f.publish(t, testNow)
	f.publish(t, testNow+1, smallRecords(0, MaxBatch)...)
	f.publish(t, testNow+2, smallRecords(MaxBatch, 70_000-MaxBatch)...)
	top := memoryDir(t)
	if err := WriteMirror(top, testFeed, f); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"1/tile/0/272", "1/tile/0/273.p/112", "1/tile/1/000", "1/tile/1/001.p/17", "1/tile/2/000.p/1", "1/seen/65536"} {
		if _, err := os.Stat(filepath.Join(top, path)); err != nil {
			t.Error(err)
		}
	}
	r, err := VerifyMirror(os.DirFS(top), c.Anchor(), goldenNow)
	if err != nil || !r.Valid || len(r.Void["form"]) != 70_000 {
		t.Fatalf("got %v, %v, want a valid mirror with 70,000 void heads", r.Problem, err)
	}
	for _, path := range []string{"1/tile/1/000", "1/tile/1/001.p/17", "1/tile/2/000.p/1", "1/tile/0/100", "1/tile/entries/100"} {
		data := must(os.ReadFile(filepath.Join(top, path)))
		data[len(data)-1] ^= 1
		writeFiles(t, top, map[string][]byte{path: data})
		var named *PartError
		m, err := ReadMirror(os.DirFS(top), c.Anchor())
		if err != nil {
			t.Fatal(err)
		}
		if r, err = VerifyMirror(os.DirFS(top), c.Anchor(), goldenNow); err != nil || r.Valid || !strings.Contains(string(r.Problem), path[2:]) {
			t.Errorf("%s changed: got %v, %v, want a problem that names it", path, r.Problem, err)
		}
		for _, err := range m.Batches(1, Tree{}, nil) {
			errors.As(err, &named)
		}
		if named == nil && path != "1/tile/0/100" { // which a load doesn't need
			t.Errorf("%s changed: it is loaded without an error", path)
		}
		data[len(data)-1] ^= 1
		writeFiles(t, top, map[string][]byte{path: data})
	}
}
