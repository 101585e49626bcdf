package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

func TestParseMatch(t *testing.T) {
	for _, c := range []struct {
		body string
		want []string
	}{
		{`{"hashes":[]}`, []string{}},
		{" {\t\"hashes\" :\n[ \"a\" , \"b\" ] \r\n} ", []string{"a", "b"}},
		{`{"partial":true,"hashes":["a"],"one_file":false}`, []string{"a"}},
		{`{"h\u0061shes":["\u0061\"\\é"]}`, []string{`a"\é`}},
	} {
		var q question
		err := q.parse([]byte(c.body))
		if err != nil || !slices.EqualFunc(q.hashes, c.want, func(got []byte, want string) bool { return string(got) == want }) {
			t.Errorf("%s: got %q, %v, want %q", c.body, q.hashes, err, c.want)
		}
	}
	for _, body := range []string{
		"", "null", "[]", `"a"`, `{`, `{}`, `{"partial":true}`, `{"hashes":null}`, `{"hashes":{}}`, `{"hashes":[1]}`, `{"hashes":[null]}`,
		`{"hashes":["a"]`, `{"hashes":["a",]}`, `{"hashes":[,"a"]}`, `{"hashes":["a" "b"]}`, `{"hashes":["a"],}`, `{"hashes":["a"]}}`, `{"hashes":["a"]}1`,
		`{"hashes":[],"hashes":[]}`, `{"Hashes":[]}`, `{"hashes":[],"partial":1}`, `{"hashes":[],"partial":"true"}`, `{"hashes":[],"x":1}`,
		`{"hashes":["\x"]}`, "{\"hashes\":[\"a\nb\"]}", `{"hashes":["a]}`, `{"hashes":["a\"]}`, `{"hashes" ["a"]}`, `{hashes:[]}`,
	} {
		var q question
		err := q.parse([]byte(body))
		var e *Error
		if !errors.As(err, &e) || e.Status != http.StatusBadRequest {
			t.Errorf("%s: got %+v, %v, want a 400", body, q, err)
		}
	}
}

// TestMatchCap: the scanner stops at the cap and keeps no more.
func TestMatchCap(t *testing.T) {
	body := []byte(`{"hashes":[` + strings.Repeat(`"",`, 1_000_000) + `""]}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := new(question).parse(body)
	runtime.ReadMemStats(&after)
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusRequestEntityTooLarge {
		t.Fatalf("got %v, want a 413", err)
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	if allocated > 2<<20 {
		t.Errorf("got %d bytes allocated for a million hashes, want less than 2 MiB", allocated)
	}
}

func BenchmarkParseMatch(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"hashes":[`)
	for i := range 1000 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `"sha256:%064x"`, i)
	}
	body.WriteString(`]}`)
	text := []byte(body.String())
	b.SetBytes(int64(len(text)))
	var q question
	var list feed.Hashes
	for b.Loop() {
		if err := q.parse(text); err != nil {
			b.Fatal(err)
		}
		list.Clear()
		if _, err := q.read(&list); err != nil {
			b.Fatal(err)
		}
	}
}

// A pdq and what is no hash, though it looks like one: what can't be looked up is told, and never taken for something else.
const somePDQ = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"

var (
	goodHashes = []string{
		"00112233445566778899aabbccddeeff", "md5:00112233445566778899AABBCCDDEEFF", "sha1:" + somePDQ[:40], "sha256:" + somePDQ, somePDQ,
		"pdq:" + somePDQ, "pdq:" + somePDQ + ":0", "pdq:" + somePDQ + ":100", "pdq_full:" + somePDQ + ":50", "photodna:" + strings.Repeat("0a", 144),
	}
	badHashes = []string{
		"", " ", ":", "md5", "md5:", "nonsense", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeffff", "md5:00112233445566778899aabbccddeef",
		"md5:00112233445566778899aabbccddeegg", "md5: 0112233445566778899aabbccddeeff", "md5:00112233445566778899aabbccddeef\x00", "md5:" + somePDQ, "sha256:" + somePDQ[:62],
		"sha1:" + somePDQ, "sha512:" + somePDQ + somePDQ, "MD5:00112233445566778899aabbccddeeff", "sha256:sha256:" + somePDQ, "sha256:" + somePDQ + ":50",
		"pdq:NaN", "pdq:" + somePDQ + ":NaN", "pdq:" + somePDQ + ":1e2", "pdq:" + somePDQ + ":-1", "pdq:" + somePDQ + ":+1", "pdq:" + somePDQ + ":101", "pdq:" + somePDQ + ":",
		"pdq:" + somePDQ + ":050", "pdq:" + somePDQ + ":50.0", "pdq:" + somePDQ + ":50:50", "pdq:" + somePDQ + ":Inf", "pdq:0x" + somePDQ[:62], "pdq:" + somePDQ + ":99999999999999999999",
		"vpdq:" + somePDQ, "photodna:" + strings.Repeat("0a", 143), "photodna:" + strings.Repeat("A", 191) + "!", "\u00e9", "\xff\xfe", "sha256:" + somePDQ[:62] + "\u00e9",
		strings.Repeat("a", maxHashText), strings.Repeat("a", maxHashText+1), "sha256:" + strings.Repeat("0", 1<<20), somePDQ + "\n",
	}
)

// TestBadHashes puts each between two good ones, in every form: it is told by its index, its text is repeated nowhere, and the others are answered
// only if that was asked for, or where a form promises an answer to each line.
func TestBadHashes(t *testing.T) {
	const first, last = "md5:00112233445566778899aabbccddeeff", "md5:ffeeddccbbaa99887766554433221100"
	s := newTestServer(&fakeNode{block: "ffeeddccbbaa99887766554433221100"})
	bad := func(text string) []byte {
		quoted, err := json.Marshal([]string{first, text, last})
		if err != nil {
			t.Fatal(err)
		}
		return quoted
	}
	outcomes := func(verdicts []policy.Verdict) (words []string) {
		for _, v := range verdicts {
			words = append(words, string(v.Verdict))
		}
		return words
	}
	for _, text := range badHashes {
		name := fmt.Sprintf("%.80q", text)
		w := call(s, "POST", "/v1/match", jsonType, "match", fmt.Sprintf(`{"hashes":%s}`, bad(text)))
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusBadRequest || p.Code != CodeBadHash || p.Index == nil || *p.Index != 1 {
			t.Errorf("%s: got %d %.200s, want a 400 about hash 1", name, w.Code, w.Body)
		}
		if len(text) > 10 && strings.Contains(w.Body.String(), text) {
			t.Errorf("%s is repeated in %s", name, w.Body)
		}

		w = call(s, "POST", "/v1/match", jsonType, "match", fmt.Sprintf(`{"partial":true,"hashes":%s}`, bad(text)))
		var answer matchAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || !slices.Equal(outcomes(answer.Results), []string{"allow", "error", "block"}) || answer.Results[1].Note == "" {
			t.Errorf("%s, partial: got %d %.300s", name, w.Code, w.Body)
		}

		w = call(s, "POST", "/v1/match", ndjsonType, "match", fmt.Sprintf("%q\n%s\n%s\n", first, bad(text)[len(first)+4:len(bad(text))-len(last)-4], last))
		var verdicts []policy.Verdict
		for line := range strings.Lines(w.Body.String()) {
			var v policy.Verdict
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%s, ndjson: got %q: %v", name, line, err)
			}
			verdicts = append(verdicts, v)
		}
		if w.Code != http.StatusOK || !slices.Equal(outcomes(verdicts), []string{"allow", "error", "block"}) || w.Header().Get("Content-Type") != ndjsonType {
			t.Errorf("%s, ndjson: got %d %.300s", name, w.Code, w.Body)
		}

		if strings.Contains(text, "\n") {
			continue
		}
		w = call(s, "POST", "/v1/match", textType, "match", first+"\n"+text+"\n"+last)
		if w.Code != http.StatusOK || w.Body.String() != "allow\nerror\nblock\n" {
			t.Errorf("%s, lines: got %d %.300s", name, w.Code, w.Body)
		}
	}
	for _, text := range goodHashes {
		w := call(s, "POST", "/v1/match", jsonType, "match", fmt.Sprintf(`{"hashes":[%q]}`, text))
		if w.Code != http.StatusOK {
			t.Errorf("%.80q: got %d %s, want 200", text, w.Code, w.Body)
		}
	}
}

// TestBadMatches has the questions that are wrong as a whole.
func TestBadMatches(t *testing.T) {
	good := `"00112233445566778899aabbccddeeff"`
	many := strings.Repeat(good+",", MaxHashes)
	s := newTestServer(&fakeNode{})
	for _, c := range []struct {
		name, body string
		status     int
		code       string
		index      int // of CodeBadHash
	}{
		{"a number", `{"hashes":[` + good + `,1]}`, 400, CodeBadHash, 1},
		{"NaN", `{"hashes":[NaN]}`, 400, CodeBadHash, 0},
		{"null", `{"hashes":[` + good + `,` + good + `,null],"partial":true}`, 400, CodeBadHash, 2},
		{"an object", `{"hashes":[{"hash":` + good + `}]}`, 400, CodeBadHash, 0},
		{"a list", `{"hashes":[[` + good + `]]}`, 400, CodeBadHash, 0},
		{"10,001 hashes", `{"hashes":[` + many + good + `]}`, 413, CodeTooLarge, 0},
		{"10,001 hashes, the first of them bad", `{"hashes":["x",` + many + `]}`, 413, CodeTooLarge, 0},
		{"hashes twice", `{"hashes":[` + good + `],"hashes":[]}`, 400, CodeMalformed, 0},
		{"hashes twice, once escaped", `{"hashes":[` + good + `],"h\u0061shes":[]}`, 400, CodeMalformed, 0},
		{"partial twice", `{"partial":true,"partial":false,"hashes":[]}`, 400, CodeMalformed, 0},
		{"invalid UTF-8 in a key", "{\"hashes\xff\":[]}", 400, CodeMalformed, 0},
		{"invalid UTF-8 in a hash", "{\"hashes\":[" + good + ",\"\xff\"]}", 400, CodeBadHash, 1},
		{"invalid UTF-8 behind", "{\"hashes\":[]}\xff", 400, CodeMalformed, 0},
		{"garbage behind", `{"hashes":[]} x`, 400, CodeMalformed, 0},
		{"another value behind", `{"hashes":[]}{"hashes":[]}`, 400, CodeMalformed, 0},
		{"a lone surrogate", `{"hashes":["\ud800"]}`, 400, CodeBadHash, 0},
		{"a NUL", "{\"hashes\":[\"\x00\"]}", 400, CodeMalformed, 0},
		{"a threshold, which the operator's policy has", `{"hashes":[` + good + `],"distance":31}`, 400, CodeMalformed, 0},
		{"deep nesting", strings.Repeat(`{"hashes":[`, 100_000), 400, CodeBadHash, 0},
		{"a huge string", `{"hashes":["` + strings.Repeat("a", maxMatchJSON) + `"]}`, 413, CodeTooLarge, 0},
		{"one file, no hash", `{"hashes":[],"one_file":true}`, 400, CodeMalformed, 0},
	} {
		w := call(s, "POST", "/v1/match", jsonType, "match", c.body)
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != c.status || p.Code != c.code {
			t.Errorf("%s: got %d %.300s, want %d %s", c.name, w.Code, w.Body, c.status, c.code)
		} else if c.code == CodeBadHash && (p.Index == nil || *p.Index != c.index) {
			t.Errorf("%s: got %s, want index %d", c.name, w.Body, c.index)
		}
	}
	for form, want := range map[string]string{jsonType: "{\"results\":[]}\n", textType: "", ndjsonType: "", octetType + "?alg=md5": ""} {
		mediaType, query, _ := strings.Cut(form, "?")
		body := ""
		if form == jsonType {
			body = `{"hashes":[]}`
		}
		if w := call(s, "POST", "/v1/match?"+query, mediaType, "match", body); w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("no hashes as %s: got %d %q, want %q", form, w.Code, w.Body, want)
		}
	}
}
