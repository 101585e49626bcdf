package feed

import "testing"

func FuzzParseAnchor(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAnchor(s); err == nil && a.String() != s {
			t.Errorf("ParseAnchor(%q): got %s", s, a)
		}
	})
}

func FuzzParseHarm(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := ParseHarm(s); err == nil && string(h) != s {
			t.Errorf("ParseHarm(%q): got %q", s, h)
		}
	})
}

func FuzzParseTerm(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		term, err := ParseTerm(s)
		if err == nil && (term.String() != s || term.Duration() <= 0) {
			t.Errorf("ParseTerm(%q): got %s of %v", s, term, term.Duration())
		}
	})
}
