package feed

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// vector is a line of testdata/vectors/records.jsonl, of one of three kinds: a head, a body, or a feed. Other implementations run them:
// heads and bodies are in hex, and everything not said is absent.
type vector struct {
	Name string `json:"name"`

	Head     *string `json:"head,omitempty"`
	Op       string  `json:"op,omitempty"`       // of a head that is not void: "add" …, or the number of another op
	Promises string  `json:"promises,omitempty"` // SHA-256 of the body that must lie beside it
	Void     string  `json:"void,omitempty"`     // of a head: "form"

	Body    *string  `json:"body,omitempty"`
	Before  string   `json:"before,omitempty"` // the body in force until now; absent: none, or the record reinstates
	Review  bool     `json:"review,omitempty"` // the charter says "use review"; of feeds too
	Refused string   `json:"refused,omitempty"`
	Hashes  []string `json:"hashes,omitempty"` // of a body that is not refused

	Feed *feedVector `json:"feed,omitempty"`
}

// feedVector is a whole feed, and what its records come to.
type feedVector struct {
	Cuts        []uint64                `json:"cuts"` // sizes of the closed logs
	Log         int                     `json:"log"`  // the current one
	Logs        [][][2]string           `json:"logs"` // of each log the records: head, body
	Suspensions []suspensionVector      `json:"suspensions,omitempty"`
	Opened      map[int]int64           `json:"opened,omitempty"` // of a log, the earliest stamp held
	Records     map[string]uint64       `json:"records"`
	Void        map[VoidCode][]string   `json:"void"`
	RefusedAt   map[RefuseCode][]string `json:"refused"`
	Skipped     []string                `json:"skipped"`
	Stopped     string                  `json:"stopped,omitempty"`
	Missing     []string                `json:"missing"`
	Erased      uint64                  `json:"erased"`
	At          []standingVector        `json:"at"`
}

type suspensionVector struct {
	Time    int64    `json:"time"`
	Sum     string   `json:"sum"`     // SHA-256 of the note's text
	Signers []string `json:"signers"` // those of the newest charter
	Items   []string `json:"items"`
}

// standingVector says what each item is worth, by the position of its add, at a limit of the current log and a time.
type standingVector struct {
	Limit uint64            `json:"limit"`
	Now   int64             `json:"now"`
	Items map[string]string `json:"items"` // "active 1#3": by the body at 1#3
}

// recordVectors makes the heads and bodies of the kit: one of each kind, each code, each bound, and mangled ones. Whether each is good,
// the tables of records_test.go say, not the code under test.
func recordVectors(t *testing.T) (all []vector) {
	text := func(raw []byte) *string { s := hex.EncodeToString(raw); return &s }
	head := func(name string, raw []byte, good bool) {
		v := vector{Name: name, Head: text(raw), Void: "form"}
		if good {
			h, err := ParseHead(raw)
			if err != nil {
				t.Fatalf("vector %q: %v", name, err)
			}
			v.Void, v.Op = "", h.Op.String()
		}
		if d, ok := PromisedBody(raw); ok {
			v.Promises = hex.EncodeToString(d[:])
		}
		all = append(all, v)
	}
	for _, op := range []Op{OpAdd, OpRevise, OpRetract, OpEndorse, OpDispute, OpResolve} {
		for _, b := range shapes(heads()[op]) {
			head(op.String()+", "+b.name, b.raw, b.good)
		}
	}
	head("op 7, anything", encodeAny([]pair{{0, 1}, {1, 1}, {2, 7}, {3, "x"}, {63, 1}, {-1, 1}, {"a", []pair{{"b", true}}}}), true)
	head("op 127", encodeAny([]pair{{1, 1}, {2, 127}, {6, made(1, 32)}}), true)
	head("op 128", encodeAny([]pair{{1, 1}, {2, 128}}), true)
	head("op 2^64-1", encodeAny([]pair{{1, 1}, {2, uint64(1<<64 - 1)}}), true)
	head("op 7, format 2", encodeAny([]pair{{1, 2}, {2, 7}}), false)
	head("op 0", encodeAny([]pair{{1, 1}, {2, 0}}), false)
	head("nothing", nil, false)
	for n, want := range map[int]bool{1200: true, 1201: false} {
		head(fmt.Sprint(n, " bytes"), encodeAny([]pair{{1, 1}, {2, 7}, {64, make([]byte, n-10)}}), want)
	}
	for name, raw := range notCBOR() {
		head("op 7 with "+name, slices.Concat([]byte{0xa3, 1, 1, 2, 7, 3}, raw), false)
	}
	body := func(name string, raw []byte, before []byte, review bool, code RefuseCode) {
		v := vector{Name: name, Body: text(raw), Before: hex.EncodeToString(before), Review: review, Refused: string(code)}
		if code == "" {
			b, err := ParseBody(raw)
			if err != nil {
				t.Fatalf("vector %q: %v", name, err)
			}
			for _, h := range b.Hashes {
				v.Hashes = append(v.Hashes, h.Text())
			}
		}
		all = append(all, v)
	}
	for _, b := range shapes(bodyBounds()) {
		if !b.good {
			body("body, "+b.name, b.raw, nil, false, RefusedForm)
		}
	}
	for _, c := range judgements() {
		raw, err := c.b.Bytes()
		if err != nil {
			t.Fatalf("vector %q: %v", c.name, err)
		}
		var before []byte
		if c.before != nil {
			if before, err = c.before.Bytes(); err != nil {
				t.Fatalf("vector %q: %v", c.name, err)
			}
		}
		body("body, "+c.name, raw, before, c.review, c.want)
	}
	slices.SortStableFunc(all, func(a, b vector) int { return strings.Compare(a.Name, b.Name) }) // maps have no order
	return all
}

// feedVectors makes whole feeds. What they come to, the naive model says.
func feedVectors() (all []vector) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		w := tell(r.IntN)
		m := compute(w)
		f := &feedVector{Cuts: append([]uint64{}, w.rules.Cuts...), Log: w.rules.Log, Logs: [][][2]string{}, Opened: w.opened, Records: map[string]uint64{},
			Void: map[VoidCode][]string{}, RefusedAt: map[RefuseCode][]string{}, Missing: []string{}, Skipped: []string{}}
		for _, log := range w.logs {
			records := [][2]string{}
			for _, r := range log {
				records = append(records, [2]string{hex.EncodeToString(r.Head), hex.EncodeToString(r.Body)})
			}
			f.Logs = append(f.Logs, records)
		}
		for _, n := range w.notes {
			if len(n.Items) > 100 {
				n.Items = n.Items[:100] // the budget is tested elsewhere; a kit should be small
			}
			s := suspensionVector{Time: n.Time, Sum: hex.EncodeToString(n.Sum[:]), Signers: []string{}}
			for _, k := range n.Signers {
				s.Signers = append(s.Signers, hex.EncodeToString(k[:]))
			}
			for _, p := range n.Items {
				s.Items = append(s.Items, p.String())
			}
			f.Suspensions = append(f.Suspensions, s)
		}
		w.notes = nil
		for _, s := range f.Suspensions {
			w.notes = append(w.notes, s.suspending())
		}
		m.suspensions(w.notes)
		report := m.report(w, 0, 0)
		f.Records, f.Skipped, f.Missing, f.Erased = report.Records, places(report.Skipped), places(report.Missing), report.Counts.Erased
		for code, refs := range report.Void {
			f.Void[code] = places(refs)
		}
		for code, refs := range report.Refused {
			f.RefusedAt[code] = places(refs)
		}
		if m.stopped != nil {
			f.Stopped = m.stopped.String()
		}
		clocks := w.clocks()
		for i := range 6 {
			v := standingVector{Limit: uint64(i * 3), Now: clocks[r.IntN(len(clocks)-1)], Items: map[string]string{}} // the last one is no number of JSON
			for _, id := range m.order {
				v.Items[m.items[id].records[0].String()] = standingText(m.at(w, id, v.Limit, v.Now))
			}
			f.At = append(f.At, v)
		}
		all = append(all, vector{Name: fmt.Sprint("feed ", seed), Review: w.rules.Review, Feed: f})
	}
	return all
}

func standingText(st Standing) string {
	s := st.Status.String()
	if st.Body != (Position{}) {
		s += " " + st.Body.String()
	}
	return s
}

func (v suspensionVector) suspending() (s Suspending) {
	s.Time = v.Time
	copy(s.Sum[:], unhex(v.Sum))
	for _, k := range v.Signers {
		s.Signers = append(s.Signers, [32]byte(unhex(k)))
	}
	for _, text := range v.Items {
		p, err := ParsePosition(text)
		if err != nil {
			panic(err)
		}
		s.Items = append(s.Items, p)
	}
	return s
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

var recordsFile = filepath.Join("testdata", "vectors", "records.jsonl")

// TestRecordVectors runs the kit, and compares it with what it is made of.
func TestRecordVectors(t *testing.T) {
	made := append(recordVectors(t), feedVectors()...)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for _, v := range made {
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(recordsFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(recordsFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(recordsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, out.Bytes()) {
		t.Errorf("%s is not what the tests make: run with -update, and see what changed", recordsFile)
	}
	seen := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(file))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		switch {
		case v.Head != nil:
			v.runHead(t)
			seen["op "+v.Op]++
			seen["void "+v.Void]++
		case v.Body != nil:
			v.runBody(t)
			seen["refused "+v.Refused]++
		default:
			v.runFeed(t)
			for code := range v.Feed.Void {
				seen["void "+string(code)]++
			}
		}
	}
	for _, want := range []string{"op add", "op revise", "op retract", "op endorse", "op dispute", "op resolve", "op 7", "op 128", "void form", "void cut", "void id",
		"void chain", "void many", "refused ", "refused form", "refused order", "refused digest", "refused lowers", "refused baseline", "refused doubtful"} {
		if seen[want] == 0 {
			t.Errorf("the kit has no %q", want)
		}
	}
}

func (v vector) runHead(t *testing.T) {
	raw := unhex(*v.Head)
	got := vector{Name: v.Name, Head: v.Head}
	h, err := ParseHead(raw)
	var void VoidError
	if errors.As(err, &void) {
		got.Void = string(void.Code)
	} else {
		got.Op = h.Op.String()
	}
	if d, ok := PromisedBody(raw); ok {
		got.Promises = hex.EncodeToString(d[:])
	}
	if !reflect.DeepEqual(got, v) {
		t.Errorf("%s: got %+v, want %+v", v.Name, got, v)
	}
}

func (v vector) runBody(t *testing.T) {
	var before *Body
	if v.Before != "" {
		b, err := ParseBody(unhex(v.Before))
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		before = &b
	}
	b, err := ParseBody(unhex(*v.Body))
	if err == nil {
		err = b.Judge(before, v.Review)
	}
	got := v
	got.Refused, got.Hashes = "", nil
	var refused RefusedError
	if errors.As(err, &refused) {
		got.Refused = string(refused.Code)
	} else {
		for _, h := range b.Hashes {
			got.Hashes = append(got.Hashes, h.Text())
		}
	}
	if !reflect.DeepEqual(got, v) {
		t.Errorf("%s: got %+v, want %+v", v.Name, got, v)
	}
}

func (v vector) runFeed(t *testing.T) {
	f := v.Feed
	bodies := map[Position][]byte{}
	s := NewState(Rules{Cuts: f.Cuts, Log: f.Log, Review: v.Review}, func(p Position) ([]byte, error) { return bodies[p], nil })
	for l, log := range f.Logs {
		var records []Record
		for i, r := range log {
			records = append(records, Record{unhex(r[0]), unhex(r[1])})
			bodies[Position{l + 1, uint64(i)}] = records[i].Body
		}
		if _, err := s.Append(l+1, 0, records); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
	}
	var notes []Suspending
	for _, n := range f.Suspensions {
		notes = append(notes, n.suspending())
	}
	s.SetSuspensions(notes)
	for l, stamp := range f.Opened {
		s.SetOpened(l, stamp)
	}
	r, err := s.Report("a.example/b", 0, 0)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	got := feedVector{Cuts: f.Cuts, Log: f.Log, Logs: f.Logs, Suspensions: f.Suspensions, Opened: f.Opened, Records: r.Records, Void: map[VoidCode][]string{},
		RefusedAt: map[RefuseCode][]string{}, Skipped: places(r.Skipped), Missing: places(r.Missing), Erased: r.Counts.Erased}
	for code, refs := range r.Void {
		got.Void[code] = places(refs)
	}
	for code, refs := range r.Refused {
		got.RefusedAt[code] = places(refs)
	}
	if r.Stopped != nil {
		got.Stopped = r.Stopped.Position().String()
	}
	for _, at := range f.At {
		items := map[string]string{}
		for n := range s.Items() {
			items[s.Item(n).First().String()] = standingText(s.At(n, at.Limit, at.Now))
		}
		got.At = append(got.At, standingVector{at.Limit, at.Now, items})
	}
	if !reflect.DeepEqual(got, *f) {
		t.Errorf("%s: got %+v, want %+v", v.Name, got, *f)
	}
}

// corpora are the seeds of this file's fuzz targets, by target and name.
func corpora(t *testing.T) map[string]map[string]any {
	all := map[string]map[string]any{}
	seed := func(target, name string, value any) {
		if all[target] == nil {
			all[target] = map[string]any{}
		}
		all[target][name] = value
	}
	for _, v := range recordVectors(t) {
		raw := v.Head
		target := "FuzzParseHead"
		if raw == nil {
			raw, target = v.Body, "FuzzParseBody"
		}
		sum := sha256.Sum256([]byte(*raw))
		if sum[0] < 12 || v.Op != "" && strings.HasSuffix(v.Name, "base") || v.Refused != "" && v.Refused != "form" {
			seed(target, hex.EncodeToString(sum[:6]), unhex(*raw))
		}
	}
	for name, raw := range notCBOR() {
		seed("FuzzCBOR", strings.ReplaceAll(name, " ", "-"), raw)
	}
	seed("FuzzCBOR", "good", encodeAny([]pair{{1, []any{true, false, -1, uint64(1<<64 - 1)}}, {"é", made(1, 30)}}))
	for n := range uint64(12) {
		r := rand.New(rand.NewPCG(n, 4))
		b := make([]byte, 600)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		seed("FuzzState", fmt.Sprint("world-", n), b)
	}
	for target, texts := range map[string][]string{
		"FuzzParseName":     {"eokm.example/known", "a/b", "hashfeed-test/selftest", "a..b/c", "-a/b", "a/b/1", ""},
		"FuzzParseOrigin":   {"eokm.example/known/1", "a/b/9999", "hashfeed-test/selftest/1", "a/b/10000", "a/b/01", "a/b", ""},
		"FuzzParseRef":      {"eokm.example/known/1#17", "a/b/1#1099511627775", "a/b/1#1099511627776", "a/b/1#", "#1", ""},
		"FuzzParsePosition": {"1#17", "9999#1099511627775", "0#1", "1#01", "#", ""},
		"FuzzParseHash": {hex.EncodeToString(made(1, 16)), "md5:" + hex.EncodeToString(made(1, 16)), "SHA1:" + hex.EncodeToString(made(2, 20)),
			strings.ToUpper(hex.EncodeToString(made(3, 32))), "pdq:" + hex.EncodeToString(made(3, 32)) + ":100", "pdq_full:" + hex.EncodeToString(made(3, 32)) + ":0",
			"photodna:" + hex.EncodeToString(made(4, 144)), "photodna:" + strings.Repeat("QUJD", 48), "vpdq:81", "md5:", ""},
		"FuzzParseVerdict":  {"baseline", "national", "doubtful", "test", "Test", ""},
		"FuzzParseMedia":    {"image", "video", "audio", ""},
		"FuzzParseReason":   {"false-positive", "withdrawn-by-subject", "known-good", "upheld", "retracted", "reason", ""},
		"FuzzParseOverride": {"reviewed", "legal", "test", "Legal", ""},
		"FuzzParseAlg":      {"md5", "sha1", "sha256", "pdq", "pdq_full", "photodna", "vpdq", "sha512", ""},
		"FuzzParseSource":   {"ncmec:A2", "a:b:c", ":", "A:b", ""},
	} {
		for i, s := range texts {
			seed(target, fmt.Sprint("seed-", i), s)
		}
	}
	return all
}

// TestCorpora compares the committed corpora with what they are made of; further files, found by fuzzing, may lie beside them.
func TestCorpora(t *testing.T) {
	for target, seeds := range corpora(t) {
		dir := filepath.Join("testdata", "fuzz", target)
		if *update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, value := range seeds {
			text := fmt.Appendf(nil, "go test fuzz v1\nstring(%q)\n", value)
			if b, ok := value.([]byte); ok {
				text = fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", b)
			}
			path := filepath.Join(dir, name)
			if *update {
				if err := os.WriteFile(path, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) {
				t.Errorf("corpus file %s: %v, or other than made: run with -update", path, err)
			}
		}
	}
}
