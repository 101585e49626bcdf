package knowngood

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hashfeed/feed"
)

// wordpress are the hashes of the pictures of the 2021 incident.
func wordpress(t testing.TB) (rows [][]feed.Hash) {
	t.Helper()
	f, err := os.Open("testdata/wordpress.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines[1:] {
		var row []feed.Hash
		for i, alg := range []feed.Alg{feed.MD5, feed.SHA1, feed.SHA256, feed.PDQ} {
			value, err := hex.DecodeString(l[3+i])
			if err != nil {
				t.Fatal(err)
			}
			if len(value) == 0 {
				continue
			}
			h := feed.Hash{Alg: alg, Value: string(value)}
			if alg == feed.PDQ {
				quality, err := strconv.Atoi(l[7])
				if err != nil {
					t.Fatal(err)
				}
				h.Quality = uint8(quality)
			}
			row = append(row, h)
		}
		rows = append(rows, row)
	}
	if len(rows) < 170 {
		t.Fatalf("got %d rows of wordpress.csv", len(rows))
	}
	return rows
}

// TestWordpress wants every hash of the incident's pictures, each by itself: equal ones, but for a PDQ of a JPEG, which decoders differ in.
func TestWordpress(t *testing.T) {
	near := 0
	for _, row := range wordpress(t) {
		for _, h := range row {
			source, ok := Builtin().Find(h, 0)
			if !ok && h.Alg.Graded() {
				near++
				source, ok = Builtin().Find(h, 10)
			}
			flat := h.Alg.Graded() && h.Quality < minQuality // has the look of any other
			if !ok || !flat && !strings.HasPrefix(source, "Debian's wordpress") {
				t.Errorf("%s: got %q, %v", h.Short(), source, ok)
			}
		}
	}
	if near > 3 {
		t.Errorf("%d pdqs are only near ones in the list", near)
	}
}

// TestBuiltin checks the embedded file as whoever reads it relies on it.
func TestBuiltin(t *testing.T) {
	l := Builtin()
	if len(builtinFile) > 3<<20 {
		t.Errorf("the file has %d bytes: the program carries at most 3 MiB of it", len(builtinFile))
	}
	files, pictures := l.Len()
	if files < 30_000 || pictures < 10_000 {
		t.Errorf("got %d files and %d pictures", files, pictures)
	}
	used := make([]bool, len(l.sources))
	inOrder := func(entries []byte, size, key, source int) {
		for i := 0; i < len(entries); i += size {
			if i > 0 && string(entries[i-size:i-size+key]) >= string(entries[i:i+key]) {
				t.Fatalf("entry %d isn't above the one before", i/size)
			}
			n := int(entries[i+source])<<8 | int(entries[i+source+1])
			if n >= len(used) {
				t.Fatalf("entry %d is of source %d of %d", i/size, n, len(used))
			}
			used[n] = true
		}
	}
	for _, entries := range l.exact {
		inOrder(entries, exactEntry, prefixBytes, prefixBytes)
	}
	inOrder(l.pdqs, pdqEntry, 32, 33)
	for n, ok := range used {
		if !ok {
			t.Logf("%s: each of its files is named for an earlier package", l.sources[n])
		}
	}
}

// TestPlain finds what is nothing in particular.
func TestPlain(t *testing.T) {
	pixel := func(text string) []byte {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{nil, "the empty file"},
		{pixel("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"), "a tracking pixel"},
		{pixel("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="), "a tracking pixel"},
	} {
		for _, h := range exactHashes(c.data) {
			if got, ok := Builtin().Find(h, 0); !ok || got != c.want {
				t.Errorf("%d bytes by their %s: got %q, %v, want %q", len(c.data), h.Alg, got, ok, c.want)
			}
		}
	}
}

// TestPlainPictures draws pictures of one colour as the generator does.
func TestPlainPictures(t *testing.T) {
	for _, side := range []int{1, 16, 100, 512} {
		for _, c := range []color.NRGBA{{255, 255, 255, 255}, {0, 0, 0, 255}, {}} {
			img := image.NewNRGBA(image.Rect(0, 0, side, side))
			draw.Draw(img, img.Rect, image.NewUniform(c), image.Point{}, draw.Src)
			var b bytes.Buffer
			if err := png.Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			if got, ok := Builtin().Find(exactHashes(b.Bytes())[2], 0); !ok || got != "a picture of one colour" {
				t.Errorf("%d × %d of %v: got %q, %v", side, side, c, got, ok)
			}
		}
	}
}

// TestList makes lists of drawn files and finds each again, and nothing else.
func TestList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var files []File
		for i := range rapid.IntRange(0, 40).Draw(t, "files") {
			f := File{Source: uint16(i % 3), Hashes: exactHashes([]byte{byte(i)})}
			if rapid.Bool().Draw(t, "picture") {
				f.Hashes = append(f.Hashes, feed.Hash{Alg: feed.PDQFull, Value: flipped(r, string(make([]byte, 32)), 128), Quality: uint8(r.IntN(101))})
			}
			files = append(files, f)
		}
		l, err := ParseList(AppendList(nil, append(files, files...)), "made\tx\t1\t0\ndeb\tb\t2\t0\nnpm\tc\t3\t0\n")
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := l.Len(); n != len(files) {
			t.Fatalf("got %d files, want %d", n, len(files))
		}
		for _, f := range files {
			want := []string{"x", "Debian's b 2", "npm's c 3"}[f.Source]
			for _, h := range f.Hashes {
				if got, ok := l.Find(h, 0); !ok || got != want {
					t.Fatalf("%s: got %q, %v, want %q", h.Short(), got, ok, want)
				}
				if !h.Alg.Graded() {
					other := h
					other.Value = h.Value[:prefixBytes-1] + string(h.Value[prefixBytes-1]^1) + h.Value[prefixBytes:]
					if _, ok := l.Find(other, 0); ok {
						t.Fatalf("%s is found by other bits", h.Alg)
					}
					continue
				}
				h.Value = flipped(r, h.Value, 1+r.IntN(31))
				if _, ok := l.Find(h, 0); ok {
					t.Fatal("a neighbour is found within 0 bits")
				}
				_, ok := l.Find(feed.Hash{Alg: feed.PDQ, Value: h.Value, Quality: 100}, 31)
				if want := h.Quality >= minQuality; ok != want {
					t.Fatalf("a neighbour of one of quality %d: found %v", h.Quality, ok)
				}
			}
		}
		for _, h := range []feed.Hash{exactHashes([]byte("other"))[0], {Alg: feed.MD5, Value: "short"}, {}, {Alg: feed.PhotoDNA, Value: strings.Repeat("x", 144)}} {
			if _, ok := l.Find(h, 31); ok {
				t.Fatalf("%s is found", h.Short())
			}
		}
	})
}

// TestListQuality keeps the better one of two pictures that look alike.
func TestListQuality(t *testing.T) {
	value := flipped(rand.New(rand.NewPCG(1, 1)), string(make([]byte, 32)), 128)
	for _, order := range [][2]uint8{{10, 90}, {90, 10}} {
		var files []File
		for _, q := range order {
			files = append(files, File{Hashes: []feed.Hash{{Alg: feed.PDQ, Value: value, Quality: q}}})
		}
		l, err := ParseList(AppendList(nil, files), "made\tx\t1\t0\n")
		if err != nil {
			t.Fatal(err)
		}
		if _, quality, _ := l.pdqAt(0); l.pdqCount() != 1 || quality != 90 {
			t.Errorf("got %d pictures, the first of quality %d, want one of 90", l.pdqCount(), quality)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte, sources string) {
		l, err := ParseList(data, sources)
		if err != nil {
			return
		}
		for _, h := range append(exactHashes(data), feed.Hash{Alg: feed.PDQ, Value: strings.Repeat("\x0f", 32), Quality: 80}) {
			l.Find(h, 31) // mustn't leave the bytes
		}
	})
}

func exactHashes(data []byte) []feed.Hash {
	m, s, h := md5.Sum(data), sha1.Sum(data), sha256.Sum256(data)
	return []feed.Hash{{Alg: feed.MD5, Value: string(m[:])}, {Alg: feed.SHA1, Value: string(s[:])}, {Alg: feed.SHA256, Value: string(h[:])}}
}

// BenchmarkFind is what a hash costs that matches a record; one that matches none is never asked for.
func BenchmarkFind(b *testing.B) {
	bloom, err := OpenBloom("testdata/hashlookup.bloom")
	if err != nil {
		b.Fatal(err)
	}
	value := flipped(rand.New(rand.NewPCG(1, 1)), string(make([]byte, 32)), 128)
	unknown := exactHashes([]byte("unknown"))
	for _, c := range []struct {
		name string
		set  Set
		hash feed.Hash
	}{
		{"sha256", Set{Builtin: Builtin(), Within: 31}, unknown[2]},
		{"pdq", Set{Builtin: Builtin(), Within: 31}, feed.Hash{Alg: feed.PDQ, Value: value, Quality: 100}},
		{"bloom", Set{Blooms: []*Bloom{bloom}}, unknown[1]},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			c.set.Find(c.hash)
			for b.Loop() {
				if _, ok := c.set.Find(c.hash); ok {
					b.Fatal("known good")
				}
			}
		})
	}
}
