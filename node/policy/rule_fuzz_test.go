package policy

import "testing"

func FuzzParseAction(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAction(s); err == nil && string(a) != s {
			t.Errorf("ParseAction(%q): got %q", s, a)
		}
	})
}

func FuzzParseAge(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAge(s); err == nil && a.String() != s {
			t.Errorf("ParseAge(%q): got %q", s, a)
		}
	})
}
