package feed

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"
)

// made returns n bytes that look like a digest of kind seed: distinct, half of their bits ones.
func made(seed byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*37) ^ seed*0x35 ^ 0x5a
	}
	return b
}

func TestParseHash(t *testing.T) {
	md5, sha1, sha256, dna := hex.EncodeToString(made(1, 16)), hex.EncodeToString(made(2, 20)), hex.EncodeToString(made(3, 32)), made(4, 144)
	for text, want := range map[string]Hash{
		md5:                                   {MD5, string(made(1, 16)), 0},
		sha1:                                  {SHA1, string(made(2, 20)), 0},
		sha256:                                {SHA256, string(made(3, 32)), 0},
		strings.ToUpper(md5):                  {MD5, string(made(1, 16)), 0},
		"md5:" + md5:                          {MD5, string(made(1, 16)), 0},
		"md5:" + strings.ToUpper(md5):         {MD5, string(made(1, 16)), 0},
		"sha1:" + sha1:                        {SHA1, string(made(2, 20)), 0},
		"sha256:" + sha256:                    {SHA256, string(made(3, 32)), 0},
		"pdq:" + sha256:                       {PDQ, string(made(3, 32)), 100},
		"pdq:" + sha256 + ":0":                {PDQ, string(made(3, 32)), 0},
		"pdq:" + sha256 + ":49":               {PDQ, string(made(3, 32)), 49},
		"pdq_full:" + sha256 + ":100":         {PDQFull, string(made(3, 32)), 100},
		"photodna:" + hex.EncodeToString(dna): {PhotoDNA, string(dna), 0},
		"photodna:" + base64.StdEncoding.EncodeToString(dna): {PhotoDNA, string(dna), 0},
	} {
		got, err := ParseHash(text)
		if got != want || err != nil {
			t.Errorf("ParseHash(%q): got %v, %v, want %v", text, got, err, want)
			continue
		}
		if again, err := ParseHash(got.Text()); again != got || err != nil {
			t.Errorf("ParseHash(%q), its own text: got %v, %v", got.Text(), again, err)
		}
	}
	b64 := base64.StdEncoding.EncodeToString(dna)
	for _, text := range []string{"", ":", "md5:", md5 + "0", md5[1:], sha256 + ":50", "md5:" + sha1, "sha1:" + md5, "MD5:" + md5, "md5:" + md5 + ":50",
		"pdq:" + sha256 + ":101", "pdq:" + sha256 + ":050", "pdq:" + sha256 + ":", "pdq:" + sha256 + ":+1", "pdq:" + sha256 + ":1:1", "pdq:" + md5,
		"md5:" + strings.Repeat("g", 32), strings.Repeat("g", 32), " " + md5, md5 + "\n", "vpdq:81", "sha512:" + sha256 + sha256, "photodna:" + b64[:191] + "!",
		"photodna:" + b64[:188] + "\n\n\n\n", "photodna:" + b64[:190] + "==", "photodna:" + hex.EncodeToString(dna)[2:], strings.Repeat("a", 1<<16)} {
		got, err := ParseHash(text)
		if err == nil {
			t.Errorf("ParseHash(%q): got %v, want an error", text, got)
		} else if len(text) > 8 && strings.Contains(err.Error(), text[:8]) {
			t.Errorf("the error for %q repeats it: %v", text, err)
		}
	}
}

func TestHashTexts(t *testing.T) {
	h := Hash{PDQFull, string(made(3, 32)), 77}
	if want := "pdq_full:" + hex.EncodeToString(made(3, 32)); h.String() != want || h.Text() != want+":77" {
		t.Errorf("got %q, %q, want %q with and without :77", h.String(), h.Text(), want)
	}
	if want := "pdq_full:" + hex.EncodeToString(made(3, 2)) + "…"; h.Short() != want {
		t.Errorf("got %q, want %q", h.Short(), want)
	}
	if got := (Hash{}).Short(); got != "alg(0):…" {
		t.Errorf("short text of no hash: got %q", got)
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("seen", "hash", h)
	if strings.Contains(out.String(), h.String()) || !strings.Contains(out.String(), h.Short()) {
		t.Errorf("a log shows a full hash, or none: %s", out.String())
	}
	if b := h.Bytes(); !bytes.Equal(b, made(3, 32)) {
		t.Errorf("bytes: got %x", b)
	}
}

func TestNewHash(t *testing.T) {
	for a := range 9 {
		alg := Alg(a)
		size := map[Alg]int{1: 16, 2: 20, 3: 32, 4: 32, 5: 32, 6: 144}[alg]
		if alg.Size() != size || alg.Exact() != (1 <= a && a <= 3) || alg.Graded() != (a == 4 || a == 5) {
			t.Errorf("alg %v: size %d, exact %v, graded %v", alg, alg.Size(), alg.Exact(), alg.Graded())
		}
		for n := range 146 {
			_, err := NewHash(alg, make([]byte, n), 50)
			if (err == nil) != (size > 0 && n == size) {
				t.Errorf("NewHash(%v, %d bytes): %v", alg, n, err)
			}
		}
	}
	for _, q := range []int{-1, 0, 100, 101} {
		if _, err := NewHash(PDQ, made(1, 32), q); (err == nil) != (0 <= q && q <= 100) {
			t.Errorf("pdq of quality %d: %v", q, err)
		}
		if h, err := NewHash(MD5, made(1, 16), q); err != nil || h.Quality != 0 {
			t.Errorf("md5 of quality %d: got %v, %v, want it ignored", q, h, err)
		}
	}
}

func TestVPDQ(t *testing.T) {
	frame := Frame{1<<32 - 1, [32]byte(made(1, 32)), 50}
	for n := range MaxFrames + 2 {
		frames := make([]Frame, n)
		for i := range frames {
			frames[i] = frame
		}
		h, err := NewVPDQ(frames)
		if (err == nil) != (1 <= n && n <= MaxFrames) {
			t.Errorf("vpdq of %d frames: %v", n, err)
		}
		if err != nil {
			continue
		}
		if got, err := h.Frames(); err != nil || len(got) != n || got[n-1] != frame {
			t.Errorf("frames of a vpdq of %d: got %d, %v", n, len(got), err)
		}
	}
	for _, q := range []uint8{0, 49, 101} {
		if _, err := NewVPDQ([]Frame{{Quality: q}}); err == nil {
			t.Errorf("a frame of quality %d is accepted", q)
		}
	}
	good := encodeAny([]any{[]any{0, made(1, 32), 50}})
	for _, raw := range [][]byte{nil, good[1:], good[:len(good)-1], append(bytes.Clone(good), 0), encodeAny([]any{}), encodeAny([]any{[]any{0, made(1, 32), 49}}),
		encodeAny([]any{[]any{0, made(1, 31), 50}}), encodeAny([]any{[]any{0, made(1, 32), 50, 1}}), encodeAny([]any{1}), make([]byte, MaxBody+1)} {
		if f, err := (Hash{Alg: VPDQ, Value: string(raw)}).Frames(); err == nil {
			t.Errorf("frames of %x: got %v, want an error", raw, f)
		}
	}
	if _, err := (Hash{Alg: PDQ, Value: string(good)}).Frames(); err == nil {
		t.Error("a pdq has frames")
	}
}

// TestHollow tries each rule for hashes of nothing in particular at its bound.
func TestHollow(t *testing.T) {
	ones := func(n int) string {
		b := make([]byte, 32)
		for i := range n {
			b[i/8] |= 1 << (i % 8)
		}
		return string(b)
	}
	distinct := func(n, size int) string {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(i % n)
		}
		return string(b)
	}
	frames := func(pdq ...string) string {
		var all []any
		for _, p := range pdq {
			all = append(all, []any{0, []byte(p), 50})
		}
		return string(encodeAny(all))
	}
	unhex := func(s string) string {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, c := range []struct {
		h      Hash
		hollow bool
	}{
		{Hash{MD5, distinct(5, 16), 0}, true},
		{Hash{MD5, distinct(6, 16), 0}, false},
		{Hash{SHA1, distinct(5, 20), 0}, true},
		{Hash{SHA1, distinct(6, 20), 0}, false},
		{Hash{SHA256, distinct(5, 32), 0}, true},
		{Hash{SHA256, distinct(6, 32), 0}, false},
		{Hash{MD5, unhex("d41d8cd98f00b204e9800998ecf8427e"), 0}, true},
		{Hash{SHA1, unhex("da39a3ee5e6b4b0d3255bfef95601890afd80709"), 0}, true},
		{Hash{SHA256, unhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), 0}, true},
		{Hash{PhotoDNA, distinct(1, 144), 0}, true},
		{Hash{PhotoDNA, distinct(1, 143) + "\x01", 0}, false},
		{Hash{PDQ, ones(63), 50}, true},
		{Hash{PDQ, ones(64), 50}, false},
		{Hash{PDQ, ones(192), 50}, false},
		{Hash{PDQ, ones(193), 50}, true},
		{Hash{PDQFull, ones(63), 50}, true},
		{Hash{PDQFull, ones(64), 50}, false},
		{Hash{PDQFull, ones(192), 50}, false},
		{Hash{PDQFull, ones(193), 50}, true},
		{Hash{VPDQ, frames(ones(64), ones(192)), 0}, false},
		{Hash{VPDQ, frames(ones(64), ones(63)), 0}, true},
		{Hash{VPDQ, frames(ones(193), ones(64)), 0}, true},
		{Hash{VPDQ, "", 0}, true},
	} {
		if got := c.h.hollow(); (got != "") != c.hollow {
			t.Errorf("%v: got %q, want hollow %v", c.h, got, c.hollow)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHash(s)
		if err != nil {
			return
		}
		if len(h.Value) != h.Alg.Size() || h.Quality > 100 || h.Quality != 0 && !h.Alg.Graded() {
			t.Errorf("ParseHash(%q): got %d bytes of %v, quality %d", s, len(h.Value), h.Alg, h.Quality)
		}
		if again, err := ParseHash(h.Text()); again != h || err != nil {
			t.Errorf("ParseHash(%q) = %v; its text is read as %v, %v", s, h, again, err)
		}
	})
}
