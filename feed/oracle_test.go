package feed

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
)

// oracleScript asks the oracle, an independent reading of the format in Python, what it thinks of records and worlds.
const oracleScript = `
import json, sys
from types import SimpleNamespace as NS
sys.path.insert(0, sys.argv[1])
import hfwire as w

def head(raw):
    p = w.promised(raw)
    try: op = str(w.parse_head(raw)[0])
    except w.Void as e: op = e.code
    return [op, p.hex() if p else ""]

def body(q):
    raw, before = (bytes.fromhex(q[k]) for k in ("raw", "before"))
    try:
        m = w.judge_body(raw, "review" if q["review"] else "match", w.parse_body_of(before) if before else None, not before)
        return ["", [w.hash_text(h) for h in m.get(2)]]
    except w.Refused as e: return [e.code, []]

def world(q):
    logs = {i + 1: [bytes.fromhex(h) for h, _ in log] for i, log in enumerate(q["logs"])}
    bodies = {i + 1: [bytes.fromhex(b) for _, b in log] for i, log in enumerate(q["logs"])}
    c = NS(closed=[(n, b"") for n in q["cuts"]], log=q["log"], use="review" if q["review"] else "match")
    r = w.Replay(c, logs, bodies)
    notes = [w.Suspension(n["time"], bytes.fromhex(n["sum"]), set(n["signers"]), [tuple(p) for p in n["items"]]) for n in q["notes"]]
    opened = {int(k): v for k, v in q["opened"].items()}
    at = lambda ps: ["%d#%d" % p for p in sorted(ps)]
    codes = lambda d: {c: at(p for p in d if d[p] == c) for c in set(d.values())}
    asked = []
    for limit, now in q["asks"]:
        states = r.states(limit, now, w.suspended(notes, now, r.owner), opened)
        asked.append([[s, [w.hash_text(h) for h in m.get(2)] if m else []] for s, m in states.values()])
    return {"records": {w.OPS[o] if o < 7 else str(o): n for o, n in r.ops.items()}, "void": codes(r.voids), "refused": codes(r.refused),
            "skipped": at(r.skipped), "stopped": "%d#%d" % r.stopped if r.stopped else "", "unjudged": len(r.unjudged), "missing": at(r.missing),
            "erased": len(r.erased), "items": [it.recs and "%d#%d" % it.recs[0] for it in r.items.values()], "asked": asked}

q = json.load(sys.stdin)
json.dump({"heads": [head(bytes.fromhex(h)) for h in q["heads"] or []], "bodies": [body(b) for b in q["bodies"] or []],
           "worlds": [world(x) for x in q["worlds"] or []]}, sys.stdout)
`

type oracleBody struct {
	Raw    string `json:"raw"`
	Before string `json:"before"`
	Review bool   `json:"review"`
}

type oracleNote struct {
	Time    int64       `json:"time"`
	Sum     string      `json:"sum"`
	Signers []string    `json:"signers"`
	Items   [][2]uint64 `json:"items"`
}

type oracleWorld struct {
	Cuts   []uint64         `json:"cuts"`
	Log    int              `json:"log"`
	Review bool             `json:"review"`
	Logs   [][][2]string    `json:"logs"`
	Notes  []oracleNote     `json:"notes"`
	Opened map[string]int64 `json:"opened"`
	Asks   [][2]int64       `json:"asks"` // limit, now
}

type oracleQuestion struct {
	Heads  []string      `json:"heads"`
	Bodies []oracleBody  `json:"bodies"`
	Worlds []oracleWorld `json:"worlds"`
}

// oracleState is what the oracle says of a world.
type oracleState struct {
	Records  map[string]uint64   `json:"records"`
	Void     map[string][]string `json:"void"`
	Refused  map[string][]string `json:"refused"`
	Skipped  []string            `json:"skipped"`
	Stopped  string              `json:"stopped"`
	Unjudged uint64              `json:"unjudged"`
	Missing  []string            `json:"missing"`
	Erased   uint64              `json:"erased"`
	Items    []string            `json:"items"`
	Asked    [][][2]any          `json:"asked"` // for each ask, for each item: status, hashes in force
}

type oracleAnswer struct {
	Heads  [][2]string   `json:"heads"`  // op or void code; digest promised
	Bodies [][2]any      `json:"bodies"` // refuse code or ""; hashes
	Worlds []oracleState `json:"worlds"`
}

// recordOracle returns the folder of the oracle beside the repository, and skips the test where it or its Python isn't there.
func recordOracle(t *testing.T) string {
	t.Helper()
	dir, err := oracleFolder()
	if err == nil {
		err = exec.Command("python3", "-c", "import cryptography").Run()
	}
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("the oracle in ../shared or its Python is missing: %v", err)
	case err != nil:
		t.Skipf("the oracle in ../shared or its Python is missing: %v", err)
	}
	return dir
}

func askOracle(t *testing.T, q oracleQuestion) (a oracleAnswer) {
	t.Helper()
	in, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-B", "-c", oracleScript, recordOracle(t))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask the oracle: %v", err)
	}
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Heads) != len(q.Heads) || len(a.Bodies) != len(q.Bodies) || len(a.Worlds) != len(q.Worlds) {
		t.Fatalf("the oracle answers %d, %d, %d of %d, %d, %d", len(a.Heads), len(a.Bodies), len(a.Worlds), len(q.Heads), len(q.Bodies), len(q.Worlds))
	}
	return a
}

// everyShape returns encodings of all values at and beyond all bounds, and some of them mangled.
func everyShape(bounds []bound) (all [][]byte) {
	shapes := shapes(bounds)
	for _, s := range shapes {
		all = append(all, s.raw)
	}
	raw := shapes[0].raw
	for i := range raw {
		for c := 0; c < 256; c += 7 + i%5 {
			changed := bytes.Clone(raw)
			changed[i] = byte(c)
			all = append(all, changed)
		}
	}
	return all
}

func TestOracleHeads(t *testing.T) {
	var q oracleQuestion
	for _, op := range []Op{OpAdd, OpRevise, OpRetract, OpEndorse, OpDispute, OpResolve} {
		for _, raw := range everyShape(heads()[op]) {
			q.Heads = append(q.Heads, hex.EncodeToString(raw))
		}
	}
	for _, n := range []int{1100, 1180, 1187, 1188, 1189, 1190, 1191, 1192, 1193, 1194, 1195, 1300} {
		q.Heads = append(q.Heads, hex.EncodeToString(encodeAny([]pair{{1, 1}, {2, 9}, {64, make([]byte, n)}})))
	}
	counts := map[bool]int{}
	for i, want := range askOracle(t, q).Heads {
		raw, _ := hex.DecodeString(q.Heads[i])
		got := [2]string{}
		h, err := ParseHead(raw)
		var void VoidError
		if errors.As(err, &void) {
			got[0] = string(void.Code)
		} else {
			got[0] = strconv.FormatUint(uint64(h.Op), 10)
		}
		if d, ok := PromisedBody(raw); ok {
			got[1] = hex.EncodeToString(d[:])
		}
		if got != want {
			t.Errorf("head %s: got %v, the oracle says %v", q.Heads[i], got, want)
		}
		counts[err == nil]++
	}
	if counts[true] < 500 || counts[false] < 500 {
		t.Errorf("heads that are good and void: %v, want 500 of each", counts)
	}
}

func TestOracleBodies(t *testing.T) {
	var q oracleQuestion
	for _, raw := range everyShape(bodyBounds()) {
		q.Bodies = append(q.Bodies, oracleBody{Raw: hex.EncodeToString(raw)})
	}
	r := rand.New(rand.NewPCG(3, 4))
	g := &teller{pick: r.IntN}
	before := ""
	for range 3000 {
		raw := hex.EncodeToString(g.body(1 + r.IntN(5)))
		b := oracleBody{raw, before, r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			b.Before = ""
		}
		q.Bodies = append(q.Bodies, b)
		if x, _ := hex.DecodeString(raw); len(x) > 0 {
			if _, err := ParseBody(x); err == nil {
				before = raw
			}
		}
	}
	counts := map[string]int{}
	for i, want := range askOracle(t, q).Bodies {
		raw, _ := hex.DecodeString(q.Bodies[i].Raw)
		var before *Body
		if x, _ := hex.DecodeString(q.Bodies[i].Before); len(x) > 0 {
			b, err := ParseBody(x)
			if err != nil {
				t.Fatal(err)
			}
			before = &b
		}
		b, err := ParseBody(raw)
		if err == nil {
			err = b.Judge(before, q.Bodies[i].Review)
		}
		code, texts := "", []any{}
		var refused RefusedError
		if errors.As(err, &refused) {
			code = string(refused.Code)
		} else {
			for _, h := range b.Hashes {
				texts = append(texts, h.Text())
			}
		}
		if got := fmt.Sprint(code, texts); got != fmt.Sprint(want[0], want[1]) {
			t.Errorf("body %+v: got %s, the oracle says %v", q.Bodies[i], got, want)
		}
		counts[code]++
	}
	for _, code := range append(slices.Clone(refuseCodes[:]), "") {
		if counts[string(code)] < 50 {
			t.Errorf("bodies by code: %v, want 50 or more of %q", counts, code)
		}
	}
}

func TestOracleStates(t *testing.T) {
	var q oracleQuestion
	var worlds []*world
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := tell(r.IntN)
		worlds = append(worlds, w)
		o := oracleWorld{Cuts: w.rules.Cuts, Log: w.rules.Log, Review: w.rules.Review, Logs: [][][2]string{}, Notes: []oracleNote{}, Opened: map[string]int64{}}
		if o.Cuts == nil {
			o.Cuts = []uint64{}
		}
		for _, log := range w.logs {
			records := [][2]string{}
			for _, r := range log {
				records = append(records, [2]string{hex.EncodeToString(r.Head), hex.EncodeToString(r.Body)})
			}
			o.Logs = append(o.Logs, records)
		}
		for _, n := range w.notes {
			note := oracleNote{n.Time, hex.EncodeToString(n.Sum[:]), []string{}, nil}
			for _, s := range n.Signers {
				note.Signers = append(note.Signers, hex.EncodeToString(s[:]))
			}
			for _, p := range n.Items {
				note.Items = append(note.Items, [2]uint64{uint64(p.Log), p.Index})
			}
			o.Notes = append(o.Notes, note)
		}
		for l, stamp := range w.opened {
			o.Opened[strconv.Itoa(l)] = stamp
		}
		for _, now := range w.clocks() {
			if now < 1<<53 { // an exact number in JSON
				o.Asks = append(o.Asks, [2]int64{int64(r.IntN(16)), now})
			}
		}
		q.Worlds = append(q.Worlds, o)
	}
	for i, want := range askOracle(t, q).Worlds {
		w := worlds[i]
		bodies := func(p Position) ([]byte, error) { return w.logs[p.Log-1][p.Index].Body, nil }
		s := NewState(w.rules, bodies)
		for l, log := range w.logs {
			if _, err := s.Append(l+1, 0, log); err != nil {
				t.Fatal(err)
			}
		}
		for l, stamp := range w.opened {
			s.SetOpened(l, stamp)
		}
		s.SetSuspensions(w.notes)
		r, err := s.Report("a.example/b", 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := oracleState{Records: r.Records, Void: map[string][]string{}, Refused: map[string][]string{}, Skipped: places(r.Skipped), Unjudged: r.Unjudged,
			Missing: places(r.Missing), Erased: r.Counts.Erased, Items: []string{}}
		for code, refs := range r.Void {
			got.Void[string(code)] = places(refs)
		}
		for code, refs := range r.Refused {
			got.Refused[string(code)] = places(refs)
		}
		if r.Stopped != nil {
			got.Stopped = r.Stopped.Position().String()
		}
		for n := range s.Items() {
			got.Items = append(got.Items, s.Item(n).First().String())
		}
		for _, ask := range q.Worlds[i].Asks {
			items := [][2]any{}
			for n := range s.Items() {
				st := s.At(n, uint64(ask[0]), ask[1])
				texts := []any{}
				if st.Body != (Position{}) {
					raw, _ := bodies(st.Body)
					b, err := ParseBody(raw)
					if err != nil {
						t.Fatal(err)
					}
					for _, h := range b.Hashes {
						texts = append(texts, h.Text())
					}
				}
				items = append(items, [2]any{st.Status.String(), texts})
			}
			got.Asked = append(got.Asked, items)
		}
		if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); a != b {
			t.Fatalf("world %d:\ngot  %s\nwant %s", i, a, b)
		}
	}
}
