package feed

import (
	"regexp"
	"strings"
	"testing"
)

// TestWords checks that every word of WIRE section 2 has its number, and that no other is known.
func TestWords(t *testing.T) {
	for n, word := range map[Verdict]string{1: "baseline", 2: "national", 3: "doubtful", 4: "test"} {
		if v, err := ParseVerdict(word); v != n || err != nil || n.String() != word {
			t.Errorf("verdict %q: got %d, %v, %q", word, v, err, n)
		}
	}
	for n, word := range map[Media]string{1: "image", 2: "video"} {
		if m, err := ParseMedia(word); m != n || err != nil || n.String() != word {
			t.Errorf("media %q: got %d, %v, %q", word, m, err, n)
		}
	}
	reasons := map[Reason]string{1: "false-positive", 2: "legal-order", 3: "duplicate", 4: "publisher-error", 5: "reclassified", 6: "withdrawn-by-subject",
		16: "known-good", 17: "runaway", 18: "collision", 19: "wrong-category", 32: "upheld", 33: "retracted"}
	for n, word := range reasons {
		if r, err := ParseReason(word); r != n || err != nil || n.String() != word {
			t.Errorf("reason %q: got %d, %v, %q", word, r, err, n)
		}
	}
	for n := range 256 {
		r := Reason(n)
		if _, known := reasons[r]; !known && r.String() != nameOf(nil, n, "reason") {
			t.Errorf("reason %d has the name %q", n, r)
		}
		for op, fits := range map[Op]bool{
			OpAdd: false, OpRevise: false, OpEndorse: false, 7: false,
			OpRetract: 1 <= n && n <= 6, OpDispute: 1 <= n && n <= 6 || 16 <= n && n <= 19, OpResolve: n == 32 || n == 33,
		} {
			if r.Fits(op) != fits {
				t.Errorf("reason %d fits %v: got %v, want %v", n, op, r.Fits(op), fits)
			}
		}
	}
	for n, word := range map[Alg]string{1: "md5", 2: "sha1", 3: "sha256", 4: "pdq", 5: "pdq_full", 6: "photodna", 7: "vpdq"} {
		if a, err := ParseAlg(word); a != n || err != nil || n.String() != word {
			t.Errorf("alg %q: got %d, %v, %q", word, a, err, n)
		}
	}
	for _, word := range []string{"", "Baseline", "baseline ", "verdict(0)", "false_positive", "md-5", "x"} {
		_, e1 := ParseVerdict(word)
		_, e2 := ParseMedia(word)
		_, e3 := ParseReason(word)
		_, e4 := ParseAlg(word)
		if e1 == nil || e2 == nil || e3 == nil || e4 == nil {
			t.Errorf("word %q is known: %v, %v, %v, %v", word, e1, e2, e3, e4)
		}
	}
	for got, want := range map[string]string{
		Verdict(0).String(): "verdict(0)", Verdict(9).String(): "verdict(9)", Alg(0).String(): "alg(0)", Alg(8).String(): "alg(8)",
		OpAdd.String(): "add", OpResolve.String(): "resolve", Op(0).String(): "0", Op(7).String(): "7", Op(1<<64 - 1).String(): "18446744073709551615",
		Pending.String(): "pending", Active.String(): "active", Held.String(): "held", Retracted.String(): "retracted",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestParseSource(t *testing.T) {
	for text, want := range map[string]Source{
		"ncmec:A2": {"ncmec", "A2"},
		"a-1:b:c":  {"a-1", "b:c"},
		strings.Repeat("a", 16) + ":" + strings.Repeat("~", 32): {strings.Repeat("a", 16), strings.Repeat("~", 32)},
	} {
		if got, err := ParseSource(text); got != want || err != nil || got.String() != text {
			t.Errorf("ParseSource(%q): got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "ncmec", ":A2", "ncmec:", "NCMEC:A2", "ncmec:A 2", "ncmec:A\x7f", "ncmec:é", "a_b:c",
		strings.Repeat("a", 17) + ":b", "a:" + strings.Repeat("b", 33)} {
		if got, err := ParseSource(text); err == nil {
			t.Errorf("ParseSource(%q): got %v, want an error", text, got)
		}
	}
}

func FuzzParseVerdict(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseVerdict(s); err == nil && v.String() != s {
			t.Errorf("ParseVerdict(%q): got %q", s, v)
		}
	})
}

func FuzzParseMedia(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := ParseMedia(s); err == nil && m.String() != s {
			t.Errorf("ParseMedia(%q): got %q", s, m)
		}
	})
}

func FuzzParseReason(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseReason(s); err == nil && r.String() != s {
			t.Errorf("ParseReason(%q): got %q", s, r)
		}
	})
}

func FuzzParseAlg(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAlg(s); err == nil && a.String() != s {
			t.Errorf("ParseAlg(%q): got %q", s, a)
		}
	})
}

var sourceForm = regexp.MustCompile(`\A[a-z0-9-]{1,16}:[!-~]{1,32}\z`)

func FuzzParseSource(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		src, err := ParseSource(s)
		if (err == nil) != sourceForm.MatchString(s) || err == nil && src.String() != s {
			t.Errorf("ParseSource(%q): got %q, %v", s, src, err)
		}
	})
}
