package feed

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hashfeed/crypto"
)

// mirrorScript has the oracle check one mirror a line: [folder, anchor, now].
const mirrorScript = `
import json, sys
sys.path.insert(0, sys.argv[1])
import hfwire as w, verify_mirror as v
for line in sys.stdin:
    top, anchor, now = json.loads(line)
    try: out = v.verify(top, bytes.fromhex(anchor), now)
    except w.Bad as e: out = {"valid": False, "problem": f"{type(e).__name__}: {e}"}
    print(json.dumps(out))
`

// mirrorQuestion is a mirror to be checked by the oracle and by us.
type mirrorQuestion struct {
	what   string
	dir    string
	anchor Anchor
	now    int64
}

// mirrorOracle finds a Python that has what the oracle needs, and the oracle beside the repository.
func mirrorOracle(t *testing.T) (python, folder string) {
	t.Helper()
	folder, err := filepath.Abs("../../shared/oracle") // beside the folder of go.mod
	if err == nil {
		_, err = os.Stat(filepath.Join(folder, "verify_mirror.py"))
	}
	for _, python = range []string{"/usr/bin/python3", "python3"} {
		if err != nil {
			break
		}
		if exec.Command(python, "-c", "import cryptography").Run() == nil {
			return python, folder
		}
	}
	if err == nil {
		err = errors.New("no python3 that has the package cryptography")
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("the oracle can't be asked: %v", err)
	}
	t.Skipf("the oracle can't be asked: %v", err)
	return "", ""
}

// askMirrorOracle has all of them checked by one Python, for it starts slowly.
func askMirrorOracle(t *testing.T, questions []mirrorQuestion) []map[string]any {
	t.Helper()
	python, folder := mirrorOracle(t)
	in := &bytes.Buffer{}
	for _, q := range questions {
		if err := json.NewEncoder(in).Encode([]any{q.dir, q.anchor.String(), q.now}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, "-B", "-c", mirrorScript, folder)
	cmd.Stdin, cmd.Stderr = in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask the oracle: %v", err)
	}
	var answers []map[string]any
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var a map[string]any
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(questions) {
		t.Fatalf("the oracle answers %d of %d", len(answers), len(questions))
	}
	return answers
}

// compareMirror compares what we say of a mirror with what the oracle says.
func compareMirror(t *testing.T, q mirrorQuestion, want map[string]any) MirrorReport {
	t.Helper()
	report, err := VerifyMirror(os.DirFS(q.dir), q.anchor, q.now)
	if err != nil {
		t.Fatalf("%s: %v", q.what, err)
	}
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if want["valid"] == true && strings.Contains(string(report.Problem), "has a later stamp than the checkpoint") {
		return report // WIRE §10 says that it is invalid, which the oracle doesn't check
	}
	if got["valid"] != want["valid"] || (got["problem"] == nil) != (want["problem"] == nil) {
		t.Errorf("%s (%s at %d): got valid %v (%v), the oracle says %v (%v)", q.what, q.dir, q.now, got["valid"], got["problem"], want["valid"], want["problem"])
		return report
	}
	if !report.Valid {
		return report
	}
	logs := func(m map[string]any) (all []any) {
		for _, l := range m["logs"].([]any) {
			l := l.(map[string]any)
			all = append(all, []any{l["origin"], l["size"], l["root"], l["age_s"]})
		}
		return all
	}
	if g, w := logs(got), logs(want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s: logs: got %v, the oracle says %v", q.what, g, w)
	}
	for _, field := range []string{"records", "void", "refused", "counts", "missing", "items", "entries", "bodies", "skipped", "stopped", "unjudged"} {
		if !reflect.DeepEqual(got[field], want[field]) {
			t.Errorf("%s (%s at %d): %s: got %v, the oracle says %v", q.what, q.dir, q.now, field, got[field], want[field])
		}
	}
	return report
}

// mirrorWorld makes a feed of what tell makes up, with the keys, checkpoints and charters that a feed has: as many charters as logs, in each
// of which a quorum may or may not be named, and from any of which one may have begun to follow.
type mirrorWorld struct {
	*memoryFeed
	*rand.Rand
	t     *testing.T
	notes [][]byte
	all   []Charter
}

func newMirrorWorld(t *testing.T, seed uint64) *mirrorWorld {
	r := rand.New(rand.NewPCG(seed, 5))
	w := tell(r.IntN)
	m := &mirrorWorld{Rand: r, t: t}
	c := firstCharter()
	if w.rules.Review {
		c.Use = UseReview
	}
	m.setTerms(&c)
	m.extend(c)
	for i, records := range w.logs {
		log := i + 1
		if log > 1 {
			l := m.log(testFeed.Log(log - 1))
			cut := w.rules.Cuts[log-2]
			c = closingCharter(c, Cut{cut, l.root(t, int(cut))})
			m.setTerms(&c)
			m.extend(c)
		}
		m.fill(records)
	}
	for _, n := range w.notes {
		m.suspend(n)
	}
	first := r.IntN(len(m.notes))
	if first > 0 {
		m.chain = mustChain(t, m.all[first].Anchor(), m.notes[first:])
	}
	return m
}

func mustChain(t testing.TB, anchor Anchor, notes [][]byte) *Chain {
	t.Helper()
	chain, err := OpenChain(anchor, notes)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func (m *mirrorWorld) setTerms(c *Charter) {
	c.Expires = testNow + int64(m.IntN(12)-2)*86400
	switch m.IntN(3) {
	case 0:
		c.Quorum = nil
	case 1:
		c.Quorum = &KeyGroup{1, publicKeys(witnessKey(1))}
	case 2:
		c.Quorum = &KeyGroup{2, publicKeys(witnessKey(1), witnessKey(2), witnessKey(3))}
	}
}

func (m *mirrorWorld) extend(c Charter) {
	m.t.Helper()
	m.all, m.notes = append(m.all, c), append(m.notes, signed(m.t, c, 1, 2))
	chain := mustChain(m.t, m.all[0].Anchor(), m.notes)
	if m.memoryFeed == nil {
		m.memoryFeed = newMemoryFeed(chain)
	}
	m.chain = chain
}

// fill publishes records in some batches, at some times, with some cosignatures.
func (m *mirrorWorld) fill(records []Record) {
	now := testNow + int64(m.IntN(6))*86400
	m.publish(m.t, now)
	for len(records) > 0 {
		n := 1 + m.IntN(len(records))
		now += int64(m.IntN(3)) * 43200
		m.publish(m.t, now, records[:n]...)
		records = records[n:]
		if m.IntN(3) == 0 {
			now += 3600
			m.publish(m.t, now)
		}
		var by []*crypto.PrivateKey
		for n := range 3 {
			if m.IntN(2) == 0 {
				by = append(by, witnessKey(n+1))
			}
		}
		m.cosign(m.t, now+1, by...)
	}
}

// suspend signs a note with the keys of the newest log that stand for n's signers, or else with ones that don't count.
func (m *mirrorWorld) suspend(n Suspending) {
	m.t.Helper()
	newest := m.chain.Newest()
	var keys []*crypto.PrivateKey
	for _, s := range n.Signers {
		if i := int(s[0]); i < len(newest.Signer.Keys) {
			keys = append(keys, signerKey(newest.Log, i+1))
		}
	}
	if len(keys) == 0 {
		keys = append(keys, signerKey(newest.Log, 9))
	}
	note := signedText(m.t, string(suspensionText(testFeed, n.Time, n.Items)), keys...)
	s, err := m.chain.OpenSuspension(note)
	if err != nil {
		m.t.Fatal(err)
	}
	m.suspensions = append(m.suspensions, s)
}

// moments are times at which something may change.
func (m *mirrorWorld) moments() (all []int64) {
	all = append(all, testNow, m.chain.Newest().Expires, m.chain.Newest().Expires+1)
	for _, l := range m.logs {
		for _, cp := range l.seen {
			all = append(all, cp.Stamp-301, cp.Stamp-300, cp.Stamp, cp.Stamp+7*86400, cp.Stamp+7*86400-1)
		}
	}
	for _, s := range m.suspensions {
		all = append(all, s.Time-300, s.Time-301, s.Time+72*3600, s.Time+72*3600-1)
	}
	return all
}

// memoryDir is a folder in memory where there is such a thing, for some thousand small files that are each synced.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "feed")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// files returns the files of a folder by their paths in it.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all[filepath.ToSlash(rel)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func writeFiles(t testing.TB, dir string, all map[string][]byte) {
	t.Helper()
	for path, data := range all {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMirrorOracle writes mirrors of feeds of every kind of record, and compares what we and the oracle say of them: as they were written,
// without some of their files, and falsified.
func TestMirrorOracle(t *testing.T) {
	mirrorOracle(t) // skips early
	const worlds = 48
	top := memoryDir(t)
	var questions []mirrorQuestion
	for seed := range uint64(worlds) {
		m := newMirrorWorld(t, seed)
		dir := filepath.Join(top, fmt.Sprint(seed), "good")
		if err := WriteMirror(dir, testFeed, m.memoryFeed); err != nil {
			t.Fatal(err)
		}
		moments := m.moments()
		ask := func(what, dir string) {
			// Who began to follow the feed later has another anchor.
			charters := m.chain.All()
			anchor := charters[m.IntN(len(charters))].Anchor()
			q := mirrorQuestion{fmt.Sprintf("world %d, %s", seed, what), dir, anchor, moments[m.IntN(len(moments))]}
			questions = append(questions, q)
		}
		for range 3 {
			ask("as written", dir)
		}
		good := files(t, dir)
		for i, change := range mirrorChanges {
			if (int(seed)+i)%4 > 0 { // each of them with every fourth world
				continue
			}
			changed := mirrorFiles{files: map[string][]byte{}, Rand: m.Rand}
			for path, data := range good {
				changed.files[path] = slices.Clone(data)
			}
			change.apply(changed)
			where := filepath.Join(filepath.Dir(dir), fmt.Sprint("changed", i))
			writeFiles(t, where, changed.files)
			ask(change.what, where)
		}
	}
	codes, counts, invalid := map[string]int{}, Counts{}, 0
	for i, want := range askMirrorOracle(t, questions) {
		r := compareMirror(t, questions[i], want)
		if !r.Valid {
			invalid++
		}
		if r.Report == nil {
			continue
		}
		for code, refs := range r.Void {
			codes["void "+string(code)] += len(refs)
		}
		for code, refs := range r.Refused {
			codes["refused "+string(code)] += len(refs)
		}
		for op, n := range r.Records {
			codes["op "+op] += int(n)
		}
		counts.Active += r.Counts.Active
		counts.Held += r.Counts.Held
		counts.Pending += r.Counts.Pending
		counts.Retracted += r.Counts.Retracted
		counts.Erased += r.Counts.Erased
		codes["missing"] += len(r.Missing)
		codes["unjudged"] += int(r.Unjudged)
	}
	t.Logf("%d mirrors, %d of them invalid, %v, %+v", len(questions), invalid, codes, counts)
	// What never came up was not compared.
	for _, code := range []string{"void cut", "void form", "void id", "void chain", "void many", "refused form", "refused order", "refused digest", "refused lowers",
		"refused baseline", "refused doubtful", "op add", "op revise", "op retract", "op endorse", "op dispute", "op resolve", "op 7", "op 128", "missing", "unjudged"} {
		if codes[code] == 0 {
			t.Errorf("no mirror had %s", code)
		}
	}
	if counts.Active == 0 || counts.Held == 0 || counts.Pending == 0 || counts.Retracted == 0 || counts.Erased == 0 || invalid < 30 {
		t.Errorf("got %+v and %d invalid mirrors, want some of all", counts, invalid)
	}
}

// mirrorFiles is a mirror that is being falsified.
type mirrorFiles struct {
	files map[string][]byte
	*rand.Rand
}

// pick returns one of the paths with a part of its name, or "".
func (m mirrorFiles) pick(part string) string {
	var all []string
	for path := range m.files {
		if strings.Contains(path, part) {
			all = append(all, path)
		}
	}
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return all[m.IntN(len(all))]
}

func (m mirrorFiles) drop(part string) {
	for path := range m.files {
		if strings.Contains(path, part) {
			delete(m.files, path)
		}
	}
}

func (m mirrorFiles) set(path string, data []byte) {
	if path != "" {
		m.files[path] = data
	}
}

var mirrorChanges = []struct {
	what  string
	apply func(mirrorFiles)
}{
	{"without bodies", func(m mirrorFiles) { m.drop("body/") }},
	{"without the bodies of one bundle", func(m mirrorFiles) { delete(m.files, m.pick("body/")); m.set("1/body/note", nil) }},
	{"without entries", func(m mirrorFiles) { m.drop("tile/entries/") }},
	{"with unneeded files", func(m mirrorFiles) {
		m.set("charter/readme", []byte("x"))
		m.set("charter/0", []byte("x"))
		m.set("suspension/readme", nil)
		m.set("1/seen/x", nil)
		m.set("1/seen/007", nil)
		m.set("1/tile/0/999", []byte("x"))
		m.set("99/checkpoint", nil)
	}},
	{"without one file", func(m mirrorFiles) { delete(m.files, m.pick("")) }},
	{"without a checkpoint", func(m mirrorFiles) { delete(m.files, m.pick("checkpoint")) }},
	{"without a charter", func(m mirrorFiles) { delete(m.files, m.pick("charter/")) }},
	{"without seen", func(m mirrorFiles) { m.drop("/seen/") }},
	{"a bit changed", func(m mirrorFiles) {
		if path := m.pick(""); len(m.files[path]) > 0 {
			m.files[path][m.IntN(len(m.files[path]))] ^= 1 << m.IntN(8)
		}
	}},
	{"a tile's bit changed", func(m mirrorFiles) {
		if path := m.pick("tile/"); len(m.files[path]) > 0 {
			m.files[path][m.IntN(len(m.files[path]))] ^= 1 << m.IntN(8)
		}
	}},
	{"a file cut", func(m mirrorFiles) {
		if path := m.pick(""); len(m.files[path]) > 0 {
			m.files[path] = m.files[path][:m.IntN(len(m.files[path]))]
		}
	}},
	{"a byte behind a file", func(m mirrorFiles) { path := m.pick(""); m.set(path, append(m.files[path], '\n')) }},
	{"two files interchanged", func(m mirrorFiles) {
		a, b := m.pick(""), m.pick("")
		m.files[a], m.files[b] = m.files[b], m.files[a]
	}},
	{"an older checkpoint", func(m mirrorFiles) {
		if path := m.pick("/seen/"); path != "" {
			m.files[path[:1]+"/checkpoint"] = m.files[path]
		}
	}},
	{"a seen under another size", func(m mirrorFiles) {
		if path := m.pick("/seen/"); path != "" {
			m.files[path[:1]+"/seen/1099511627776"] = m.files[path]
		}
	}},
	{"full files for partial ones", func(m mirrorFiles) {
		for path, data := range m.files {
			p, err := ParsePartPath(path[2:])
			if err != nil || p.Width == TileWidth {
				continue
			}
			delete(m.files, path)
			grow := (TileWidth - p.Width) * hashSize
			if p.Kind != PartTile {
				grow = (TileWidth - p.Width) * 2
			}
			p.Width = TileWidth
			m.files[path[:2]+p.Path()] = append(data, make([]byte, grow)...)
		}
	}},
	{"full content in partial files", func(m mirrorFiles) {
		if path := m.pick(".p/"); path != "" {
			p, _ := ParsePartPath(path[2:])
			grow := (TileWidth - p.Width) * hashSize
			if p.Kind != PartTile {
				grow = (TileWidth - p.Width) * 2
			}
			m.files[path] = append(m.files[path], make([]byte, grow)...)
		}
	}},
}
