package feed

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

var nameForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$`)

func nameByABNF(s string) bool { return nameForm.MatchString(s) && !strings.Contains(s, "..") }

// TestValidName compares with the ABNF for every string of up to five of the characters that matter, and at the length's bound.
func TestValidName(t *testing.T) {
	alphabet := []byte("az09.-A_/\n\x00\xc3")
	var walk func(s []byte)
	walk = func(s []byte) {
		if got, want := ValidName(string(s)), nameByABNF(string(s)) && !strings.HasSuffix(string(s), "\n"); got != want {
			t.Errorf("ValidName(%q): got %v, want %v", s, got, want)
		}
		if len(s) == 5 {
			return
		}
		for _, c := range alphabet {
			walk(append(s, c))
		}
	}
	walk(nil)
	for n := 1; n <= 70; n++ {
		if got, want := ValidName(strings.Repeat("a", n)), n <= 64; got != want {
			t.Errorf("name of %d letters: got %v, want %v", n, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, c := range []struct {
		text             string
		name, origin, at bool // what accepts it
	}{
		{"eokm.example/known", true, false, false},
		{"a/b", true, false, false},
		{long + "/" + long, true, false, false},
		{long + "x/b", false, false, false},
		{"hashfeed-test/selftest", false, false, false},
		{"hashfeed-x/known", false, false, false},
		{"hashfeed/known", true, false, false},
		{"hashfeedx/known", true, false, false},
		{"known", false, false, false},
		{"/known", false, false, false},
		{"eokm.example/", false, false, false},
		{"Eokm.example/known", false, false, false},
		{"eokm..example/known", false, false, false},
		{"eokm.example/known/1", false, true, false},
		{"eokm.example/known/9999", false, true, false},
		{"eokm.example/known/10000", false, false, false},
		{"eokm.example/known/0", false, false, false},
		{"eokm.example/known/01", false, false, false},
		{"eokm.example/known/+1", false, false, false},
		{"eokm.example/known/1/1", false, false, false},
		{long + "/" + long + "/9999", false, true, false},
		{"hashfeed-test/selftest/1", false, true, false},
		{"hashfeed-test/other/1", false, false, false},
		{"eokm.example/known/1#0", false, false, true},
		{"eokm.example/known/1#1099511627775", false, false, true},
		{"eokm.example/known/1#1099511627776", false, false, false},
		{"eokm.example/known/1#017", false, false, false},
		{"eokm.example/known/1#", false, false, false},
		{"eokm.example/known/1#-1", false, false, false},
		{"eokm.example/known/1#1#1", false, false, false},
		{"hashfeed-test/selftest/1#0", false, false, true},
		{long + "/" + long + "/9999#1099511627775", false, false, true},
		{"", false, false, false},
	} {
		if n, err := ParseName(c.text); (err == nil) != c.name || err == nil && n.Publisher()+"/"+n.Short() != c.text {
			t.Errorf("ParseName(%q): got %q, %v, want accepted %v", c.text, n, err, c.name)
		}
		if o, err := ParseOrigin(c.text); (err == nil) != c.origin || err == nil && (o.Name().Log(o.Log()) != o || o.Publisher() != o.Name().Publisher()) {
			t.Errorf("ParseOrigin(%q): got %q, %v, want accepted %v", c.text, o, err, c.origin)
		}
		if r, err := ParseRef(c.text); (err == nil) != c.at || err == nil && (r.String() != c.text || r.Origin.Name().Ref(r.Position()) != r) {
			t.Errorf("ParseRef(%q): got %q, %v, want accepted %v", c.text, r, err, c.at)
		}
	}
	for _, o := range []Origin{"", "x", "a/b", "a/b/0", "a/b/x", "a/b/10000"} {
		if got := o.Log(); got != 0 {
			t.Errorf("log of %q: got %d, want 0", o, got)
		}
	}
}

func TestPosition(t *testing.T) {
	ordered := []Position{{1, 0}, {1, 1}, {1, MaxSize - 1}, {2, 0}, {2, 5}, {MaxLog, MaxSize - 1}}
	for i, p := range ordered {
		if q, err := ParsePosition(p.String()); q != p || err != nil {
			t.Errorf("ParsePosition(%q): got %v, %v", p, q, err)
		}
		if got := placeOf(p).position(); got != p {
			t.Errorf("place of %v: got %v", p, got)
		}
		for j, q := range ordered {
			want := min(max(i-j, -1), 1)
			if got := p.Compare(q); got != want || p.Less(q) != (want < 0) || (placeOf(p) < placeOf(q)) != (want < 0) {
				t.Errorf("compare %v with %v: got %d, less %v, want %d", p, q, got, p.Less(q), want)
			}
		}
	}
	for _, s := range []string{"", "1", "#1", "1#", "0#1", "10000#0", "1#1099511627776", "1#01", "01#1", "1 #1"} {
		if p, err := ParsePosition(s); err == nil {
			t.Errorf("ParsePosition(%q): got %v, want an error", s, p)
		}
	}
}

func TestRefJSON(t *testing.T) {
	want := Ref{"eokm.example/known/1", 17}
	raw, err := json.Marshal(map[string]Ref{"ref": want})
	if err != nil || string(raw) != `{"ref":"eokm.example/known/1#17"}` {
		t.Fatalf("got %s, %v", raw, err)
	}
	var got map[string]Ref
	if err := json.Unmarshal(raw, &got); err != nil || got["ref"] != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"ref":"eokm.example/known/1"}`), &got); err == nil {
		t.Error("a reference without index is read from JSON")
	}
}

func FuzzParseName(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		pub, short, _ := strings.Cut(s, "/")
		want := nameByABNF(pub) && nameByABNF(short) && !strings.HasPrefix(s, "hashfeed-") && !strings.Contains(s, "\n")
		if (err == nil) != want || err == nil && string(n) != s {
			t.Errorf("ParseName(%q): got %q, %v, want accepted %v", s, n, err, want)
		}
	})
}

func FuzzParseOrigin(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := ParseOrigin(s); err == nil && (string(o) != s || o.Name().Log(o.Log()) != o || len(s) > maxSubject) {
			t.Errorf("ParseOrigin(%q): got %q of %q, log %d", s, o, o.Name(), o.Log())
		}
	})
}

func FuzzParseRef(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseRef(s); err == nil && (r.String() != s || r.Index >= MaxSize) {
			t.Errorf("ParseRef(%q): got %q", s, r)
		}
	})
}

func FuzzParsePosition(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePosition(s); err == nil && (p.String() != s || p.Log < 1 || p.Log > MaxLog || p.Index >= MaxSize) {
			t.Errorf("ParsePosition(%q): got %v", s, p)
		}
	})
}
