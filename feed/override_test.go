package feed

import "testing"

func TestParseOverride(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint8
	}{{"reviewed", 1}, {"legal", 2}, {"test", 3}} {
		if got, err := ParseOverride(c.text); err != nil || got != c.want {
			t.Errorf("ParseOverride(%q): got %d, %v, want %d", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "Reviewed", "reviewed ", "1", "other", "tests"} {
		if got, err := ParseOverride(text); err == nil {
			t.Errorf("ParseOverride(%q): got %d, want an error", text, got)
		}
	}
}

func FuzzParseOverride(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := ParseOverride(s); err == nil && (o < 1 || o > 3 || overrideNames[o] != s) {
			t.Errorf("ParseOverride(%q): got %d", s, o)
		}
	})
}
