package digest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"hashfeed/node/digest/pdq"
)

// picture returns a harmless picture of w×h pixels with some structure.
func picture(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w), float64(y)/float64(h)
			f := func(a, b float64) uint8 { return uint8(127.5 + 60*math.Sin(a*u+b*v*v) + 60*math.Cos(b*u*v-a*v)) }
			m.SetNRGBA(x, y, color.NRGBA{f(7, 23), f(11, 3), f(31, 5), 0xff})
		}
	}
	return m
}

func pngOf(tb testing.TB, w, h int) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, picture(w, h)); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(tb testing.TB, w, h int) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(w, h), &jpeg.Options{Quality: 95}); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// bombPNG returns a PNG header that claims w×h pixels, and nothing behind it.
func bombPNG(w, h uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	b = binary.BigEndian.AppendUint32(b, w)
	b = binary.BigEndian.AppendUint32(b, h)
	b = append(b, 8, 2, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[12:]))
}

// Every format that keeps the pixels gives the hash of the pixels; JPEG is near.
func TestFormats(t *testing.T) {
	m := picture(600, 420)
	small, full := pdq.FromImage(m)
	for name, encode := range map[string]func(*bytes.Buffer) error{
		"png":  func(b *bytes.Buffer) error { return png.Encode(b, m) },
		"bmp":  func(b *bytes.Buffer) error { return bmp.Encode(b, m) },
		"tiff": func(b *bytes.Buffer) error { return tiff.Encode(b, m, &tiff.Options{Compression: tiff.Deflate}) },
		"jpeg": func(b *bytes.Buffer) error { return jpeg.Encode(b, m, &jpeg.Options{Quality: 95}) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Fatal(err)
		}
		sum, err := Read(ctx, &b, Limits{})
		if err != nil || sum.Format != name || sum.Media != Image || sum.PDQ == nil || sum.Width != 600 || sum.Height != 420 {
			t.Fatalf("%s: got %+v, %v", name, sum, err)
		}
		tolerance := 0
		if name == "jpeg" {
			tolerance = 10
		}
		if d := max(sum.PDQ.Hash.Distance(small.Hash), sum.PDQFull.Hash.Distance(full.Hash)); d > tolerance {
			t.Errorf("%s: got distance %d, want at most %d", name, d, tolerance)
		}
	}
}

// Of a GIF the first frame counts, and what follows may be damaged; the
// transparent colour is a colour.
func TestGIF(t *testing.T) {
	const w, h = 90, 60
	m := picture(w, h)
	var opaque, clear color.Palette
	for i := range 256 {
		c := color.RGBA{uint8(i), uint8(255 - i), uint8(i / 2), 0xff}
		opaque = append(opaque, c)
		clear = append(clear, c)
	}
	clear[200] = color.RGBA{}
	frame := func(p color.Palette) *image.Paletted {
		f := image.NewPaletted(image.Rect(0, 0, w, h), p)
		for i := range f.Pix {
			f.Pix[i] = m.Pix[4*i] // any index
			if i%7 == 0 {
				f.Pix[i] = 200
			}
		}
		return f
	}
	_, want := pdq.FromImage(frame(opaque))
	second := image.NewPaletted(image.Rect(0, 0, w, h), opaque)
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{frame(clear), second}, Delay: []int{1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	// The encoder wrote black for the transparent entry: write the colour there.
	file := b.Bytes()
	table := gifColours(file)
	if len(table) != 3*256 {
		t.Fatalf("got a table of %d bytes, want 768", len(table))
	}
	copy(table[3*200:], []byte{200, 55, 100})
	for _, f := range [][]byte{file, file[:len(file)-10]} {
		sum, err := Read(ctx, bytes.NewReader(f), Limits{})
		if err != nil || sum.PDQ == nil || *sum.PDQFull != want {
			t.Errorf("got %v, %v, note %q, want %v", sum.PDQFull, err, sum.Note, want)
		}
	}

	// The table is found or absent, and never a panic, wherever the file is cut.
	for n := range len(file) {
		if got := gifColours(file[:n]); len(got) > 768 {
			t.Fatalf("cut at %d: got a table of %d bytes", n, len(got))
		}
	}
}

// A progressive JPEG whose scans draw a large picture again and again is refused; one
// with the usual ten is not.
func TestScans(t *testing.T) {
	file, err := os.ReadFile("pdq/testdata/img/plasma-progressive.jpg")
	if err != nil {
		t.Fatal(err)
	}
	if n := scans(file); n < 5 || n > maxScans {
		t.Errorf("got %d scans, want some ten", n)
	}
	if !isProgressive(file) {
		t.Error("got baseline, want progressive")
	}
	bomb := append(bytes.Clone(file), bytes.Repeat([]byte{0xff, 0xda}, 1000)...)
	lim := Limits{Pixels: 640 * 480}
	sum, err := Read(ctx, bytes.NewReader(bomb), lim)
	if err != nil || sum.PDQ != nil || !strings.Contains(sum.Note, "scans of 640×480 pixels, not decoded") {
		t.Errorf("got %v, note %q, want it refused", err, sum.Note)
	}
	if sum, err := Read(ctx, bytes.NewReader(file), lim); err != nil || sum.PDQ == nil {
		t.Errorf("ten scans: got %v, note %q, want PDQ", err, sum.Note)
	}
}

// What a decoder may cost is at least what the picture it returns occupies.
func TestCost(t *testing.T) {
	files, err := filepath.Glob("pdq/testdata/img/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		format, _ := Sniff(file)
		d := decoders[format]
		c, err := d.config(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		cost := d.cost(file, c)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := d.decode(file, c); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if n := int64(after.TotalAlloc - before.TotalAlloc); n > cost+1<<20 {
			t.Errorf("%s: decoding allocated %d bytes, want at most the %d it was budgeted, and 1 MB", path, n, cost)
		}
	}
}

// moduleData returns the folder of test pictures of golang.org/x/image, which
// is where the build found the package.
func moduleData(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/image").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "testdata")
	if _, statErr := os.Stat(dir); err != nil || statErr != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("test pictures of golang.org/x/image: %v, %v", err, statErr)
		}
		tb.Skipf("the test pictures of golang.org/x/image are not in the module cache: %v, %v", err, statErr)
	}
	return dir
}

// WebP, lossless and lossy with and without alpha, against the same pictures as PNG.
func TestWebP(t *testing.T) {
	dir := moduleData(t)
	hash := func(name string) *pdq.Result {
		sum, err := File(ctx, filepath.Join(dir, name), Limits{})
		if err != nil || sum.PDQ == nil {
			t.Fatalf("%s: %v, note %q", name, err, sum.Note)
		}
		return sum.PDQFull
	}
	for _, c := range []struct {
		webp, png string
		distance  int
	}{
		{"blue-purple-pink.lossless.webp", "blue-purple-pink.png", 0},
		{"yellow_rose.lossless.webp", "yellow_rose.png", 0},
		{"video-001.lossy.webp", "video-001.png", 16},
		{"yellow_rose.lossy-with-alpha.webp", "yellow_rose.png", 16},
	} {
		got, want := hash(c.webp), hash(c.png)
		d := got.Hash.Distance(want.Hash)
		t.Logf("%s: distance %d, quality %d and %d", c.webp, d, got.Quality, want.Quality)
		if d > c.distance {
			t.Errorf("%s: got distance %d from %s, want at most %d", c.webp, d, c.png, c.distance)
		}
		file, err := os.ReadFile(filepath.Join(dir, c.webp))
		if err != nil {
			t.Fatal(err)
		}
		img, err := decodeWebP(file)
		if _, studio := img.(pdq.Studio); err != nil || studio != strings.Contains(c.webp, "lossy") {
			t.Errorf("%s: got a %T, %v, want studio range in lossy files only", c.webp, img, err)
		}
	}
}
