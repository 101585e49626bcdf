package crypto

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// handmadeCosignature signs with whatever time, as somebody's own program could.
func handmadeCosignature(k *PrivateKey, text string, unix uint64) Line {
	payload := binary.BigEndian.AppendUint64(nil, unix)
	payload = append(payload, ed25519.Sign(k.Ed25519(), cosignedMessage([]byte(text), unix))...)
	return Line{Name: k.Public().Name, ID: k.Public().ID(), Signature: payload}
}

func TestParseLine(t *testing.T) {
	for _, want := range []Line{
		{"a", 0, []byte{1}},
		{"host.example/witness", 0x01020304, bytes.Repeat([]byte{7}, 72)},
		{"—", 0xffffffff, bytes.Repeat([]byte{0xff}, 2428)},
	} {
		got, err := ParseLine(want.String())
		if err != nil || got.Name != want.Name || got.ID != want.ID || !bytes.Equal(got.Signature, want.Signature) {
			t.Errorf("ParseLine(%q): got %v, %v, want %v", want.String(), got, err, want)
		}
	}
	const want = "— a AQIDBAc=\n"
	if got := (Line{"a", 0x01020304, []byte{7}}).String(); got != want {
		t.Errorf("String: got %q, want %q", got, want)
	}
}

func TestParseLineRejects(t *testing.T) {
	for _, s := range []string{
		"", "\n", "— a AQIDBAc=", "— a AQIDBAc=\n\n", "— a AQIDBAc=\r\n", "— a AQIDBAc=\n— a AQIDBAc=\n", " — a AQIDBAc=\n",
		"— a AQIDBA==\n", "— a\n", "— a \n", "—  AQIDBAc=\n", "— a+ AQIDBAc=\n", "— a\x00 AQIDBAc=\n", "— a\x1f AQIDBAc=\n",
		"— \xff AQIDBAc=\n", "— a AQID\nBAc=\n", "— a AQID\rBAc=\n", "— a AQIDBAc=\x00\n", "— a AQIDBAd=\n", "- a AQIDBAc=\n",
		"— " + strings.Repeat("a", maxNote) + " AQIDBAc=\n",
	} {
		if l, err := ParseLine(s); !errors.Is(err, errLine) {
			t.Errorf("ParseLine(%.80q): got %v, %v, want %q", s, l, err, errLine)
		}
	}
}

// Errors quote what strangers sent in ASCII, and not at length: they end in logs and on terminals.
func TestLineErrorsAreSafeToShow(t *testing.T) {
	_, err := ParseLine("— \u009b31m" + strings.Repeat("é", 5000) + "+ AQIDBAc=\n")
	if err == nil {
		t.Fatal("got no error")
	}
	if len(err.Error()) > 2000 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		t.Errorf("got %d bytes: %q", len(err.Error()), err)
	}
}

func TestLineTime(t *testing.T) {
	for _, n := range []int{1, 64, 71, 73, 2428} {
		if u, ok := (Line{Signature: make([]byte, n)}).Time(); ok {
			t.Errorf("%d bytes: got %d, want no time", n, u)
		}
	}
	if u, ok := handmadeCosignature(testKey("w", TypeCosignature, 1), "a\n", 1<<40+3).Time(); !ok || u != 1<<40+3 {
		t.Errorf("got %d, %v, want 2^40 + 3", u, ok)
	}
}

// What parses re-encodes to the same bytes, and stands in a note as it stands alone.
func FuzzParseLine(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLine(s)
		n, noteErr := ParseNote([]byte("a\n\n" + s))
		if alone := noteErr == nil && len(n.Lines) == 1 && string(n.Text) == "a\n"; alone != (err == nil) {
			t.Errorf("ParseLine: %v, but in a note: %v, %v", err, n, noteErr)
		}
		if err == nil && l.String() != s {
			t.Errorf("got %q, want %q", l.String(), s)
		}
	})
}
