package policy

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// byEncodingJSON is what AppendJSON is held to.
func byEncodingJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

func checkJSON(t *testing.T, v *Verdict) {
	t.Helper()
	want, wantErr := byEncodingJSON(v)
	got, err := v.AppendJSON([]byte("x"))
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%+v: got error %v, encoding/json has %v", v, err, wantErr)
	}
	if err == nil && string(got) != "x"+want {
		t.Fatalf("got\n%s, encoding/json has\nx%s", got, want)
	}
}

// texts are what strings may hold: names, and whatever a feed's or a file's name could smuggle in.
var texts = []string{"", "a", "sha256", "eokm.example/known/1", `"`, `\`, "a\nb", "\x00", "\x7f", "<&>", "é", "\u2028", "\xff", "a\xed\xa0\x80", "日本"}

// random fills whatever a verdict is made of, each field by its type: one that is added later is filled too.
func random(r *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(1<<32), r.Int64N(2)*r.Int64N(1e9)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.IntN(64))
	case reflect.Uint64:
		v.SetUint(r.Uint64() >> r.IntN(64))
	case reflect.Slice:
		if n := r.IntN(4); n > 0 { // else nil, or none
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
			for i := range n - 1 {
				random(r, v.Index(i))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				random(r, v.Field(i))
			}
		}
	default:
		panic("a verdict has a " + v.Type().String())
	}
}

func TestAppendJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 5))
	for range 2000 {
		var v Verdict
		random(r, reflect.ValueOf(&v).Elem())
		checkJSON(t, &v)
	}
	checkJSON(t, &Verdict{})
	for _, year := range []int{-1, 0, 9999, 10_000} { // JSON has no words for some
		checkJSON(t, &Verdict{Matches: []Match{{Listed: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)}}})
	}
	for _, zone := range []int{3600, 59, 24 * 3600} {
		checkJSON(t, &Verdict{Matches: []Match{{Listed: now.In(time.FixedZone("", zone))}}})
	}
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("sha256:00", "allow", int64(0), uint64(1), false)
	f.Add("\x00\xff\u2028", "<\"\\>", int64(-1), uint64(1<<63), true)
	f.Fuzz(func(t *testing.T, a, b string, n int64, size uint64, is bool) {
		checkJSON(t, &Verdict{
			File: b, Query: a, Hashes: []string{a, b}, Verdict: Outcome(b), Checked: []string{a}, Unchecked: []string{}, Note: a, Truncated: is, Decision: b,
			Matches: []Match{{Origin: a, Index: size, Ref: b, Alg: a, Distance: int(n), Verdict: b, Harm: a, Media: b, Listed: time.Unix(n, n).UTC(),
				State: State(a), Stale: is, EndorsedBy: []string{b}, DisputedBy: []string{a}, Test: is, Action: Action(b)}},
			Heads: []Head{{Origin: a, Size: size, AgeS: n, State: b}},
		})
	})
}
