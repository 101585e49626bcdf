package policy

import "testing"

func FuzzParseAction(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAction(s); err == nil && string(a) != s {
			t.Errorf("ParseAction(%q): got %q", s, a)
		}
	})
}
