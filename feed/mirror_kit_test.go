package feed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The kit has mirrors, too: testdata/vectors/mirrors/<name>/, each with an expected.json (docs/format.md says how to run them). They are written by
//
//	go test ./feed -run MirrorKit -update
const kitFolder = "testdata/vectors/mirrors"

// kitExpected is an expected.json: with this anchor, at this time, "feed verify --json" prints report and exits with this code.
type kitExpected struct {
	About  string          `json:"about"`
	Anchor string          `json:"anchor"`
	Now    int64           `json:"now"`
	Exit   int             `json:"exit"`   // 0 valid, 2 valid as far as could be checked, 3 invalid
	Report json.RawMessage `json:"report"` // the words of a problem are an implementation's own
}

// kitMirrors are goldenFeed's mirror, and what must be refused.
func kitMirrors(t testing.TB) (anchor Anchor, all map[string]map[string][]byte, about map[string]string) {
	t.Helper()
	f := goldenFeed(t)
	good := mirrorOf(t, f)
	all, about = map[string]map[string][]byte{}, map[string]string{}
	add := func(name, what string, change func(m map[string][]byte)) {
		m := maps.Clone(good)
		change(m)
		all[name], about[name] = m, what
	}
	drop := func(part string) func(map[string][]byte) {
		return func(m map[string][]byte) { mirrorFiles{files: m}.drop(part) }
	}
	entries := func(m map[string][]byte, path string, width int) [][]byte {
		items, err := SplitBundle(m[path], width)
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	pack := func(items [][]byte) []byte {
		data, err := AppendBundle(nil, items)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	add("good", "two logs, one closed; something of every kind", func(map[string][]byte) {})
	add("nobodies", "without bodies: all but the hashes can be checked", drop("/body/"))
	add("noentries", "without entries: the records can't be checked", drop("/entries/"))
	add("forged", "a head of log 2 and its tile are another's, and the checkpoint is signed by keys that the charter doesn't name", func(m map[string][]byte) {
		heads := entries(m, "2/tile/entries/000.p/2", 2)
		heads[1] = addOf(9, listing(8)).Head
		var tree Tree
		var tile []byte
		for _, head := range heads {
			leaf := LeafHash(head)
			tree.Append(leaf)
			tile = append(tile, leaf[:]...)
		}
		m["2/tile/entries/000.p/2"], m["2/tile/0/000.p/2"] = pack(heads), tile
		text := string(checkpointText(testFeed.Log(2), 2, tree.Root()))
		m["2/checkpoint"] = signedText(t, text, signerKey(2, 8), signerKey(2, 9), stampKey(9))
	})
	add("truncated", "a bundle of heads of log 1 ends within its last one", func(m map[string][]byte) {
		path := "1/tile/entries/000.p/9"
		m[path] = m[path][:len(m[path])-1]
	})
	add("replayed", "log 2's checkpoint is an older one, smaller than a kept one", func(m map[string][]byte) { m["2/checkpoint"] = m["2/seen/1"] })
	add("reordered", "two heads of log 1 have changed places, with their bodies and leaf hashes", func(m map[string][]byte) {
		for _, path := range []string{"1/tile/entries/000.p/9", "1/body/000.p/9"} {
			items := entries(m, path, 9)
			items[4], items[5] = items[5], items[4]
			m[path] = pack(items)
		}
		tile := slices.Clone(m["1/tile/0/000.p/9"])
		copy(tile[4*hashSize:], m["1/tile/0/000.p/9"][5*hashSize:6*hashSize])
		copy(tile[5*hashSize:], m["1/tile/0/000.p/9"][4*hashSize:5*hashSize])
		m["1/tile/0/000.p/9"] = tile
	})
	add("oversized", "a bundle of heads of log 2 has one more than its size", func(m map[string][]byte) {
		path := "2/tile/entries/000.p/2"
		m[path] = pack(append(entries(m, path, 2), []byte("x")))
	})
	add("newerseen", "a kept checkpoint of log 2 has a later stamp than the newest one, of the same size", func(m map[string][]byte) {
		later, err := signCheckpoint(f.chain, testFeed.Log(2), 2, f.log(testFeed.Log(2)).tree.Root(), testSigning(f.chain).Signers, stampKey(2), goldenNow)
		if err != nil {
			t.Fatal(err)
		}
		m["2/seen/2"] = later.Bytes()
	})
	add("otherbody", "a body of log 1 is not the one that its head promises", func(m map[string][]byte) {
		items := entries(m, "1/body/000.p/9", 9)
		items[0] = listing(200)
		m["1/body/000.p/9"] = pack(items)
	})
	return f.chain.Anchor(), all, about
}

// kitReport is what VerifyMirror says, as it stands in an expected.json.
func kitReport(t testing.TB, dir string, anchor Anchor, now int64) (exit int, report []byte) {
	t.Helper()
	r, err := VerifyMirror(os.DirFS(dir), anchor, now)
	if err != nil {
		t.Fatal(err)
	}
	if exit = 3; r.Valid {
		if exit = 0; !r.Entries {
			exit = 2
		}
	}
	report, err = json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return exit, report
}

func TestMirrorKit(t *testing.T) {
	anchor, all, about := kitMirrors(t)
	if *update {
		if err := os.RemoveAll(kitFolder); err != nil {
			t.Fatal(err)
		}
		for name, m := range all {
			dir := filepath.Join(kitFolder, name)
			writeFiles(t, dir, m)
			exit, report := kitReport(t, dir, anchor, goldenNow)
			data, err := json.MarshalIndent(kitExpected{about[name], anchor.String(), goldenNow, exit, report}, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			writeFiles(t, dir, map[string][]byte{"expected.json": append(data, '\n')})
		}
	}
	var questions []mirrorQuestion
	for _, name := range slices.Sorted(maps.Keys(all)) {
		dir := filepath.Join(kitFolder, name)
		got := files(t, dir)
		data := got["expected.json"]
		delete(got, "expected.json")
		if !maps.EqualFunc(got, all[name], bytes.Equal) {
			t.Errorf("%s: the files are not those that are made here", dir)
		}
		var want kitExpected
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		var line bytes.Buffer
		if err := json.Compact(&line, want.Report); err != nil {
			t.Fatal(err)
		}
		exit, report := kitReport(t, dir, anchor, want.Now)
		if exit != want.Exit || !bytes.Equal(report, line.Bytes()) {
			t.Errorf("%s: got exit %d and\n%s\nwant %d and\n%s", name, exit, report, want.Exit, &line)
		}
		bad := !slices.Contains([]string{"good", "nobodies", "noentries"}, name)
		if bad != (exit == 3) {
			t.Errorf("%s: got exit %d", name, exit)
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			t.Fatal(err)
		}
		questions = append(questions, mirrorQuestion{name, abs, anchor, want.Now})
	}
	t.Run("oracle", func(t *testing.T) {
		for i, answer := range askMirrorOracle(t, questions) {
			compareMirror(t, questions[i], answer)
		}
	})
}

// TestLogCorpora: the fuzz targets of tiles, bundles and mirrors begin with files.
func TestLogCorpora(t *testing.T) {
	_, all, _ := kitMirrors(t)
	corpora := map[string][]string{}
	add := func(target, format string, args ...any) {
		corpora[target] = append(corpora[target], "go test fuzz v1\n"+fmt.Sprintf(format, args...)+"\n")
	}
	for _, path := range slices.Sorted(maps.Keys(all["good"])) {
		if p, err := ParsePartPath(path[min(2, len(path)):]); err == nil {
			add("FuzzParsePartPath", "string(%q)", p.Path())
			if p.Kind != PartTile {
				add("FuzzSplitBundle", "[]byte(%q)\nint(%d)", all["good"][path], p.Width)
			}
		}
	}
	for _, path := range []string{"tile/1/x001/x234/067", "tile/entries/x004/x294/x967/295", "body/000.p/255", "tile/5/000.p/1", "tile/0/x000/001", "tile/0/000.p/256", "body/../x"} {
		add("FuzzParsePartPath", "string(%q)", path)
	}
	add("FuzzSplitBundle", "[]byte(%q)\nint(%d)", "\x00\x01a\x00\x00\x01", 3)
	add("FuzzSplitBundle", "[]byte(%q)\nint(%d)", bytes.Repeat([]byte{0}, 512), 256)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, path := range slices.Sorted(maps.Keys(all[name])) {
			if data := all[name][path]; name == "good" || !bytes.Equal(data, all["good"][path]) {
				add("FuzzVerifyMirror", "string(%q)\n[]byte(%q)\nint64(%d)", path, data, goldenNow)
			}
		}
	}
	for target, seeds := range corpora {
		dir := filepath.Join("testdata/fuzz", target)
		if *update {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		for i, seed := range seeds {
			name := fmt.Sprintf("seed%02d", i)
			if *update {
				writeFiles(t, dir, map[string][]byte{name: []byte(seed)})
			}
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != seed {
				t.Errorf("%s/%s: got %q, %v, want %q", dir, name, got, err, seed)
			}
		}
	}
}

// FuzzVerifyMirror puts a file into the good mirror, or takes one away: the mirror is invalid, or what is active was active before, for only the
// publisher can make an item active.
func FuzzVerifyMirror(f *testing.F) {
	anchor, all, _ := kitMirrors(f)
	good := all["good"]
	f.Fuzz(func(t *testing.T, path string, data []byte, now int64) {
		if len(path) == 0 || len(path) > 100 {
			return
		}
		m := mapFS(good)
		delete(m, path)
		if len(data) > 0 {
			m[path] = mapFS(map[string][]byte{path: data})[path]
		}
		r, err := VerifyMirror(m, anchor, now)
		if err != nil || !r.Valid || r.Report == nil {
			return
		}
		active := map[Ref]bool{{testFeed.Log(1), 0}: true, {testFeed.Log(1), 5}: true, {testFeed.Log(1), 4}: true}
		for _, it := range r.Items {
			if !active[it.Ref] {
				t.Errorf("%s of %d bytes makes %v active", path, len(data), it.Ref)
			}
		}
	})
}
