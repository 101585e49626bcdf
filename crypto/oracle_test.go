package crypto

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// oracle asks the independent Python reading of the wire formats: for each case the vkey or the note with keys, and
// answers null for "refused", else who signed and when.
const oracle = `
import base64, json, sys
sys.path.insert(0, sys.argv[1])
import hfwire
def answer(c):
    try:
        if c["keys"] is None:
            k = hfwire.VKey.parse(base64.b64decode(c["data"]).decode())
            return [[k.name, int.from_bytes(k.id, "big"), k.type]]
        text, got = hfwire.open_note(base64.b64decode(c["data"]), [hfwire.VKey.parse(k) for k in c["keys"]])
        return [["", 0, len(text)]] + sorted([k.name, int.from_bytes(k.id, "big"), t or 0] for k, t in got.items())
    except (hfwire.Bad, UnicodeDecodeError):
        return None
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))
`

type oracleCase struct {
	Data []byte   `json:"data"`
	Keys []string `json:"keys"` // nil: data is a vkey
}

// answer is what the oracle should say.
func (c oracleCase) answer() [][]any {
	if c.Keys == nil {
		k, err := ParsePublicKey(string(c.Data))
		if err != nil {
			return nil
		}
		return [][]any{{k.Name, float64(k.ID()), float64(k.Type)}}
	}
	n, err := ParseNote(c.Data)
	if err != nil {
		return nil
	}
	var keys []PublicKey
	for _, s := range c.Keys {
		k, err := ParsePublicKey(s)
		if err != nil {
			return nil
		}
		keys = append(keys, k)
	}
	sigs, err := n.Check(keys...)
	if err != nil {
		return nil
	}
	answers := [][]any{{"", 0.0, float64(len(n.Text))}}
	for _, s := range sigs {
		answers = append(answers, []any{s.Key.Name, float64(s.Key.ID()), float64(s.Time)})
	}
	slices.SortFunc(answers, func(a, b []any) int {
		if c := strings.Compare(a[0].(string), b[0].(string)); c != 0 {
			return c
		}
		return int(a[1].(float64) - b[1].(float64))
	})
	return answers
}

// Our reading and the Python one agree on every case: notes and keys, whole, mangled and at each edge.
func TestAgainstOracle(t *testing.T) {
	missing := t.Skip
	if os.Getenv("CI") == "true" {
		missing = t.Fatal
	}
	dir, err := filepath.Abs("../../shared/oracle")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "hfwire.py")); err != nil {
		missing("no oracle beside the repository: ", err)
	}
	if out, err := exec.Command("python3", "-c", "import cryptography").CombinedOutput(); err != nil {
		missing("no Python with package cryptography: ", err, string(out))
	}

	cases := oracleCases(t)
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, c := range cases {
		if err := enc.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("python3", "-c", oracle, dir)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	accepted := 0
	for _, c := range cases {
		var want [][]any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if want != nil {
			accepted++
		}
		got := c.answer()
		if !slices.EqualFunc(got, want, slices.Equal) || (got == nil) != (want == nil) {
			t.Errorf("%q with keys %v: got %v, the oracle says %v", c.Data, c.Keys, got, want)
		}
	}
	if accepted < 100 || len(cases)-accepted < 100 {
		t.Errorf("oracle accepted %d of %d cases, want some hundred of each kind", accepted, len(cases))
	}
}

func oracleCases(t *testing.T) (cases []oracleCase) {
	p := newParties()
	var keys []string
	for _, k := range p.public() {
		keys = append(keys, k.String())
	}
	add := func(data string) { cases = append(cases, oracleCase{[]byte(data), keys}) }
	vkey := func(s string) { cases = append(cases, oracleCase{[]byte(s), nil}) }

	const text = "hashfeed-suspend/v1\nfeed eokm.example/known\ntime 1795424400\nitem 1 17\n"
	a, b := signed(t, p.signer, text).String(), signed(t, p.second, text).String()
	stamp, witness := signed(t, p.stamp, text).String(), signed(t, p.witness, text).String()
	stranger := signed(t, p.stranger, text).String()
	lines := []string{a, b, stamp, witness, stranger, line}
	// All choices of up to three lines, in every order, repetitions too.
	for i := range lines {
		add(text + "\n" + lines[i])
		for j := range lines {
			add(text + "\n" + lines[i] + lines[j])
			for k := range lines {
				add(text + "\n" + lines[i] + lines[j] + lines[k])
			}
		}
	}
	whole := text + "\n" + a + stamp
	for i := range len(whole) {
		for bit := range 8 {
			m := []byte(whole)
			m[i] ^= 1 << bit
			add(string(m))
		}
		add(whole[:i])
		add(whole[:i] + whole[i+1:])
		add(whole[:i] + whole[i:i+1] + whole[i:])
		add(whole[:i] + "\n" + whole[i:])
		add(whole[:i] + " " + whole[i:])
		add(whole[:i] + "\u2028" + whole[i:])
	}
	for _, n := range []int{1, 99, 100, 101} {
		add(text + "\n" + strings.Repeat(line, n))
	}
	for r := range rune(0x3100) { // every control character and space, in text and name
		add("a" + string(r) + "\n\n— a" + " AAAAAAE=\n")
		add("a\n\n— a" + string(r) + "b AAAAAAE=\n")
	}
	for _, s := range []string{"\ufeff", "\ufffd", "\xff", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\U0010ffff"} {
		add(s + text + "\n" + line)
		add("a\n\n— a" + s + " AAAAAAE=\n")
	}
	for _, s := range []string{"", "=", "AAAAAA==", "AAAAAAE", "AAAAAAE==", "AAAAAAF=", "AAAAAAEA", "AAAAAAEAAA==", "AAAA=AAE", "AAAAAA-_", "AAAAAA+/", "=AAAAAAE", "AAAAAAE=AAAA", "ÄAAAAAE="} {
		add("a\n\n— a " + s + "\n")
	}
	for _, unix := range []uint64{0, 1, 1<<32 - 1, 1 << 32, 1<<53 - 1} {
		add("a\n\n" + handmadeCosignature(p.stamp, "a\n", unix).String())
	}
	for _, v := range vectors(t) {
		cases = append(cases, oracleCase{[]byte(v.Note), []string{v.VKey}})
		vkey(v.VKey)
	}

	for _, whole := range []string{keys[0], keys[3], peter, sumdb} {
		for i := range len(whole) {
			for _, c := range []byte("+ =-_/AZaz09\n\r\x00.") {
				vkey(whole[:i] + string([]byte{c}) + whole[i+1:])
				vkey(whole[:i] + string([]byte{c}) + whole[i:])
			}
			vkey(whole[:i])
		}
		vkey(whole)
	}
	for typ := range 256 {
		vkey(vkeyOf("a", append([]byte{byte(typ)}, make([]byte, 32)...)))
	}
	for n := range 70 {
		vkey(vkeyOf("a", append([]byte{1}, make([]byte, n)...)))
	}
	return cases
}
