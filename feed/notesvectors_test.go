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
	"slices"
	"strconv"
	"strings"
	"testing"

	"hashfeed/crypto"
)

// The cases of the tests beside are a kit of vectors, too: testdata/vectors/charters.jsonl and notes.jsonl, one JSON object a line, written by
//
//	go test ./feed -run Notes -update
//
// A notesVector is one line. Its data is opened with anchor and charters, of which a good one gives want; why is a part of what our error
// says about a bad one.
type notesVector struct {
	Kind     string         `json:"kind"` // charters, checkpoint, suspension, roster, invite, proof, evidence; charter: a text alone
	Name     string         `json:"name"`
	Anchor   string         `json:"anchor,omitempty"`   // hex
	Charters [][]byte       `json:"charters,omitempty"` // notes from the anchor's on
	Chain    string         `json:"chain,omitempty"`    // in notes.jsonl: the name of an earlier line that has anchor and charters
	Data     []byte         `json:"data,omitempty"`     // base64; of an invite, its text
	Good     bool           `json:"good"`
	Want     map[string]any `json:"want,omitempty"`
	Why      string         `json:"why,omitempty"`
}

// vectorCap keeps the longest cases, which are about caps, out of the kit.
const vectorCap = 16 << 10

// open opens the case as its kind says, and returns what stands in Want.
func (v notesVector) open() (map[string]any, error) {
	if v.Kind == "charter" {
		c, err := ParseCharter(v.Data)
		return map[string]any{"anchor": c.Anchor().String(), "version": c.Version, "expires": c.Expires, "roots": len(c.Root.Keys), "closed": len(c.Closed)}, err
	}
	var anchor Anchor
	if v.Kind != "invite" {
		var err error
		if anchor, err = ParseAnchor(v.Anchor); err != nil {
			return nil, err
		}
	}
	var c *Chain
	switch v.Kind {
	case "charters", "checkpoint", "suspension", "roster":
		var err error
		if c, err = OpenChain(anchor, v.Charters); err != nil {
			return nil, err
		}
	}
	switch v.Kind {
	case "charters":
		return map[string]any{"version": c.newest().Version, "log": c.newest().Log}, nil
	case "checkpoint":
		cp, err := c.OpenCheckpoint(v.Data)
		return map[string]any{"size": cp.Size, "root": fmt.Sprintf("%x", cp.Root[:]), "stamp": cp.Stamp, "cosigned": len(cp.Cosigned)}, err
	case "suspension":
		s, err := c.OpenSuspension(v.Data)
		return map[string]any{"time": s.Time, "sum": fmt.Sprintf("%x", s.Sum[:]), "signers": len(s.Signers), "items": len(s.Items)}, err
	case "roster":
		r, err := c.OpenRoster(v.Data)
		return map[string]any{"version": r.Version, "expires": r.Expires, "members": len(r.Members)}, err
	case "invite":
		in, err := ParseInvite(string(v.Data))
		return map[string]any{"feed": in.Feed, "anchor": in.Anchor.String(), "addrs": len(in.Addrs)}, err
	case "proof":
		p, err := OpenProof(v.Data, anchor)
		return map[string]any{"origin": p.Checkpoint.Origin, "index": p.Index, "stamp": p.Checkpoint.Stamp, "discloses": p.Discloses()}, err
	case "evidence":
		e, err := OpenEvidence(v.Data, anchor)
		return map[string]any{"kind": e.Kind}, err
	}
	return nil, fmt.Errorf("kind %q", v.Kind)
}

// charterVectors and noteVectors are the cases as vectors, with their results.
func charterVectors(t testing.TB) (all []notesVector) {
	for _, tt := range chainCases(t) {
		all = append(all, notesVector{Kind: "charters", Name: tt.name, Anchor: tt.anchor.String(), Charters: tt.notes, Why: tt.why})
	}
	return answered(t, all)
}

func noteVectors(t testing.TB) (all []notesVector) {
	add := func(kind string, cases []noteCase) {
		for _, tt := range cases {
			all = append(all, notesVector{Kind: kind, Name: tt.name, Anchor: tt.chain.Anchor().String(), Charters: tt.chain.Notes(), Data: tt.data, Why: tt.why})
		}
	}
	add("checkpoint", checkpointCases(t))
	add("suspension", suspensionCases(t))
	add("roster", rosterCases(t))
	for _, tt := range inviteCases(t) {
		all = append(all, notesVector{Kind: "invite", Name: tt.name, Data: []byte(tt.text), Why: tt.why})
	}
	for _, tt := range proofCases(t) {
		all = append(all, notesVector{Kind: "proof", Name: tt.name, Anchor: tt.anchor.String(), Data: tt.data, Why: tt.why})
	}
	for _, tt := range evidenceCases(t) {
		all = append(all, notesVector{Kind: "evidence", Name: tt.name, Anchor: tt.anchor.String(), Data: tt.data, Why: tt.why})
	}
	return answered(t, all)
}

func answered(t testing.TB, all []notesVector) []notesVector {
	t.Helper()
	for i := range all {
		v := &all[i]
		v.Good = v.Why == ""
		want, err := v.open()
		if (err == nil) != v.Good {
			t.Fatalf("%s %q: got %v", v.Kind, v.Name, err)
		}
		if v.Good {
			v.Want = want
		}
	}
	return all
}

// encodeVectors writes the lines of a file. Charters that several share stand in a line of kind charters once.
func encodeVectors(t testing.TB, all []notesVector) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	put := func(v notesVector) {
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	chains := map[string]string{}
	for _, v := range all {
		if len(v.Data) > vectorCap {
			continue
		}
		if v.Kind != "charters" && v.Charters != nil {
			key := v.Anchor + string(bytes.Join(v.Charters, nil))
			if chains[key] == "" {
				chains[key] = fmt.Sprintf("chain %d", len(chains)+1)
				c := notesVector{Kind: "charters", Name: chains[key], Anchor: v.Anchor, Charters: v.Charters, Good: true}
				c.Want, _ = c.open()
				put(c)
			}
			v.Chain, v.Anchor, v.Charters = chains[key], "", nil
		}
		put(v)
	}
	return b.Bytes()
}

func TestNotesVectors(t *testing.T) {
	for name, all := range map[string][]notesVector{"charters.jsonl": charterVectors(t), "notes.jsonl": noteVectors(t)} {
		path := filepath.Join("testdata", "vectors", name)
		want := encodeVectors(t, all)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s isn't what the cases give: look why, then write it with -update", name)
		}
		// What a stranger's program would do with the file.
		chains := map[string]notesVector{}
		good, bad := 0, 0
		for line := range bytes.Lines(got) {
			var v notesVector
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			if v.Kind == "charters" {
				chains[v.Name] = v
			}
			if v.Chain != "" {
				v.Anchor, v.Charters = chains[v.Chain].Anchor, chains[v.Chain].Charters
			}
			answer, err := v.open()
			switch {
			case (err == nil) != v.Good:
				t.Errorf("%s, %s %q: got error %v, want good: %v", name, v.Kind, v.Name, err, v.Good)
			case v.Good:
				if a, b := toJSON(t, answer), toJSON(t, v.Want); a != b {
					t.Errorf("%s, %s %q: got %s, want %s", name, v.Kind, v.Name, a, b)
				}
				good++
			default:
				bad++
			}
		}
		if good < 15 || bad < 30 {
			t.Errorf("%s has %d good and %d bad cases", name, good, bad)
		}
	}
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// mutations makes n inputs out of some, by changes of a byte, a line or a token, or with a part of another.
func mutations(r *rand.Rand, inputs [][]byte, n int) (out [][]byte) {
	for range n {
		m := bytes.Clone(inputs[r.IntN(len(inputs))])
		for range 1 + r.IntN(2) {
			if len(m) == 0 {
				break
			}
			i := r.IntN(len(m))
			lines := bytes.SplitAfter(m, []byte("\n"))
			l := r.IntN(len(lines))
			switch r.IntN(7) {
			case 0:
				m[i] ^= 1 << r.IntN(8)
			case 1:
				m = append(m[:i], m[i+1:]...)
			case 2:
				m = append(m[:i:i], append([]byte{m[i]}, m[i:]...)...)
			case 3: // a line left out
				m = bytes.Join(append(lines[:l:l], lines[l+1:]...), nil)
			case 4: // a line twice
				m = bytes.Join(append(lines[:l+1:l+1], lines[l:]...), nil)
			case 5: // lines exchanged
				k := r.IntN(len(lines))
				lines[l], lines[k] = lines[k], lines[l]
				m = bytes.Join(lines, nil)
			case 6: // a line of another input
				other := bytes.SplitAfter(inputs[r.IntN(len(inputs))], []byte("\n"))
				lines[l] = other[r.IntN(len(other))]
				m = bytes.Join(lines, nil)
			}
		}
		out = append(out, m)
	}
	return out
}

// resigned makes cases of which no signature or checksum keeps the parsers from seeing the change: texts of charters alone, notes signed again
// after the change, invites with a new checksum.
func resigned(t testing.TB, r *rand.Rand, base []notesVector) (all []notesVector) {
	var texts [][]byte
	for _, tt := range lineCases(t) {
		texts = append(texts, []byte(tt.text))
		all = append(all, notesVector{Kind: "charter", Name: "one line", Data: []byte(tt.text)})
	}
	for _, c := range testCharters(t) {
		for range 100 {
			texts = append(texts, []byte(c.text()))
		}
	}
	for _, m := range mutations(r, texts, 3000) {
		all = append(all, notesVector{Kind: "charter", Name: "changed", Data: m})
	}
	keys := []*crypto.PrivateKey{signerKey(1, 1), stampKey(1), signerKey(2, 1), signerKey(2, 2), stampKey(2), witnessKey(1), rosterKey()}
	for _, v := range base {
		switch {
		case len(v.Data) > vectorCap || !v.Good:
		case v.Kind == "checkpoint" || v.Kind == "suspension":
			n, err := crypto.ParseNote(v.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range mutations(r, [][]byte{n.Text}, 60) {
				if _, err := keys[0].Sign(m); err != nil {
					continue // no note can carry it
				}
				w := v
				w.Name += ", changed and signed again"
				w.Data = signedText(t, string(m), keys...)
				all = append(all, w)
			}
		case v.Kind == "invite":
			raw, err := inviteBase32.DecodeString(string(v.Data[len(invitePrefix):]))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range mutations(r, [][]byte{raw[:len(raw)-inviteCheck]}, 300) {
				w := v
				w.Name += ", changed and sealed again"
				w.Data = []byte(invitePrefix + inviteBase32.EncodeToString(append(m, inviteSum(m)...)))
				all = append(all, w)
			}
		}
	}
	return all
}

// TestNotesOracle compares with an independent reading of the formats in Python: all cases, and many that are made out of them.
func TestNotesOracle(t *testing.T) {
	python := "/usr/bin/python3"
	folder, err := oracleFolder()
	if err == nil {
		err = exec.Command(python, "-c", "import cryptography").Run()
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the oracle in Python is missing: %v", err)
		}
		t.Skipf("the oracle in Python (with the package cryptography) is missing: %v", err)
	}
	const seed = 20261123
	r := rand.New(rand.NewPCG(seed, seed))
	base := append(charterVectors(t), noteVectors(t)...)
	var all []notesVector
	byKind := map[string][][]byte{}
	for _, v := range base {
		// The oracle has no rosters, and no cap on an invite.
		if v.Kind == "roster" || v.Kind == "invite" && len(v.Data) > MaxInvite {
			continue
		}
		all = append(all, v)
		if len(v.Data) <= vectorCap {
			byKind[v.Kind] = append(byKind[v.Kind], v.Data)
		}
	}
	for _, v := range base {
		if v.Kind == "roster" || len(v.Data) > vectorCap || !v.Good {
			continue
		}
		v.Name += ", changed"
		if v.Kind == "charters" {
			for _, m := range mutations(r, v.Charters, 40) {
				w := v
				w.Charters = slices.Clone(v.Charters)
				w.Charters[r.IntN(len(w.Charters))] = m
				all = append(all, w)
			}
			continue
		}
		for _, m := range mutations(r, append(byKind[v.Kind], v.Data, v.Data, v.Data), 40) {
			w := v
			w.Data = m
			all = append(all, w)
		}
	}
	all = append(all, resigned(t, r, base)...)
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, v := range all {
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(python, filepath.Join("testdata", "notes_oracle.py"), folder)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	good := 0
	for i, v := range all {
		if !lines.Scan() {
			t.Fatalf("the oracle answered %d of %d cases", i, len(all))
		}
		theirs := lines.Text()
		ours := "bad"
		answer, err := v.open()
		if err == nil {
			ours = "good " + toJSON(t, answer)
			good++
		}
		if err == nil && theirs != ours || err != nil && !strings.HasPrefix(theirs, "bad") {
			t.Errorf("%s %q (seed %d, case %d): got %s %v, the oracle says %s\n%q", v.Kind, v.Name, seed, i, ours, err, theirs, v.Data)
		}
	}
	t.Logf("%d cases, %d of them good", len(all), good)
}

// oracleFolder finds ../shared/oracle beside the repository.
func oracleFolder() (string, error) {
	dir, err := filepath.Abs(".")
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return "", errors.New("no go.mod above the test")
	}
	folder := filepath.Join(dir, "..", "shared", "oracle")
	_, err = os.Stat(filepath.Join(folder, "hfwire.py"))
	return folder, err
}

// TestNotesCorpora: each fuzz target begins with the cases of its kind, in files.
func TestNotesCorpora(t *testing.T) {
	corpora := map[string][]string{}
	add := func(target string, data []byte, text bool) {
		if len(data) > 1<<12 {
			return
		}
		typ := "[]byte"
		if text {
			typ = "string"
		}
		corpora[target] = append(corpora[target], fmt.Sprintf("go test fuzz v1\n%s(%s)\n", typ, strconv.Quote(string(data))))
	}
	for _, v := range noteVectors(t) {
		target := map[string]string{"checkpoint": "FuzzOpenCheckpoint", "suspension": "FuzzOpenSuspension", "roster": "FuzzOpenRoster",
			"invite": "FuzzParseInvite", "proof": "FuzzOpenProof", "evidence": "FuzzOpenEvidence"}[v.Kind]
		// A few bad ones are enough: a fuzzer changes good ones itself.
		if v.Good || len(corpora[target])%3 == 0 {
			add(target, v.Data, v.Kind == "invite")
		}
	}
	for _, c := range testCharters(t) {
		add("FuzzParseCharter", []byte(c.text()), false)
	}
	for _, data := range proposalFiles(t) {
		corpora["FuzzParseProposal"] = append(corpora["FuzzParseProposal"], fmt.Sprintf("go test fuzz v1\n[]byte(%s)\n", strconv.Quote(string(data))))
	}
	for _, id := range []string{memberID(t, 1), memberID(t, 2), strings.Repeat("1", 52), "1" + strings.Repeat("z", 51)} {
		add("FuzzParsePeerID", []byte(id), true)
	}
	for target, files := range corpora {
		dir := filepath.Join("testdata", "fuzz", target)
		if *update {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range files {
			path := filepath.Join(dir, fmt.Sprintf("case-%02d", i+1))
			if *update {
				if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) || err == nil && string(got) != want {
				t.Errorf("%s isn't the case: write it with -update", path)
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}
