package jpeg

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	stdjpeg "image/jpeg"
	"os"
	"path/filepath"
	"testing"
)

const manyPixels = 1 << 20

// standard returns the luma that image/jpeg decodes, or nil where it finds none in a good file.
func standard(file []byte) (*image.Gray, error) {
	img, err := stdjpeg.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	switch m := img.(type) {
	case *image.Gray:
		return m, nil
	case *image.YCbCr:
		return &image.Gray{Pix: m.Y, Stride: m.YStride, Rect: m.Rect}, nil
	}
	return nil, nil
}

// compare returns an error unless got is the picture that image/jpeg decodes: no sample more
// than 1 beside. Where clamped is set, blocks with black or white samples are
// left out: they may come of coefficients whose sums image/jpeg can't hold.
func compare(got, want *image.Gray, clamped bool) error {
	if got.Rect != want.Rect {
		return fmt.Errorf("got %v, want %v", got.Rect, want.Rect)
	}
	for y := range want.Rect.Dy() {
		for x := range want.Rect.Dx() {
			g, w := int(got.GrayAt(x, y).Y), int(want.GrayAt(x, y).Y)
			if max(g-w, w-g) > 1 && !(clamped && (extreme(got, x, y) || extreme(want, x, y))) {
				return fmt.Errorf("sample %d, %d: got %d, want %d", x, y, g, w)
			}
		}
	}
	return nil
}

// extreme says whether the block around x and y has a sample of 0 or 255, also beyond the picture's edge.
func extreme(m *image.Gray, x, y int) bool {
	for i := range 8 {
		row := m.Pix[(y&^7+i)*m.Stride+x&^7:][:8]
		if bytes.IndexByte(row, 0) >= 0 || bytes.IndexByte(row, 255) >= 0 {
			return true
		}
	}
	return false
}

// read reads a file with a fresh decoder, which is returned too.
func read(file []byte) (*image.Gray, *decoder, error) {
	d := new(decoder)
	d.begin(file, manyPixels)
	if err := d.segments(); err != nil {
		return nil, d, err
	}
	if d.progressive {
		d.reconstruct()
	}
	return &image.Gray{Pix: d.plane.v, Stride: d.stride, Rect: image.Rect(0, 0, d.width, d.height)}, d, nil
}

// shapes are all that a file can be laid out as.
func shapes() (all []shape) {
	for _, factors := range [][]byte{{0x11}, {0x22}, {0x11, 0x11, 0x11}, {0x21, 0x11, 0x11}, {0x12, 0x11, 0x11}, {0x22, 0x11, 0x11},
		{0x41, 0x11, 0x11}, {0x42, 0x11, 0x11}, {0x22, 0x21, 0x21}, {0x22, 0x12, 0x12}} {
		for _, size := range [][2]int{{1, 1}, {8, 8}, {9, 7}, {33, 17}, {50, 70}} {
			for _, progressive := range []bool{false, true} {
				for _, apart := range []bool{false, true} {
					all = append(all, shape{width: size[0], height: size[1], factors: factors, progressive: progressive, apart: apart})
				}
			}
		}
	}
	return all
}

// Whatever a file's layout, its luma is that of image/jpeg, and the same with
// restart markers. (Where those count other blocks than MCUs, image/jpeg counts wrongly.)
func TestShapes(t *testing.T) {
	for i, s := range shapes() {
		file := makeFile(s, uint64(i))
		want, err := standard(file)
		if err != nil {
			t.Fatalf("%v: image/jpeg: %v", s, err)
		}
		p, err := Luma(file, manyPixels)
		if err != nil {
			t.Fatalf("%v: %v", s, err)
		}
		if err := compare(&p.Gray, want, false); err != nil {
			t.Errorf("%v: %v", s, err)
		}
		for _, interval := range []int{1, 2, 9} {
			s.interval = interval
			q, err := Luma(makeFile(s, uint64(i)), manyPixels)
			if err != nil {
				t.Fatalf("%v: %v", s, err)
			}
			if !bytes.Equal(q.Pix, p.Pix) {
				t.Errorf("%v: other samples than without restart markers", s)
			}
			q.Free()
		}
		p.Free()
	}
}

// The samples of pictures that libjpeg wrote are those that it reads: djpeg -grayscale
// (libjpeg-turbo 2.1.5) printed pixels of these SHA-256.
func TestLibjpeg(t *testing.T) {
	for name, want := range map[string]string{
		"plasma-gray.jpg":        "3ba77c88ef3bc7752bc7e86409d5cd70437b2c0d1a34b4d8193384b9b8fd2315",
		"plasma-progressive.jpg": "f817a1b2756e328f85b660151fd2dd731ab40f5395f79c84404c3e3f6f49d6ec",
		"plasma-q40-420.jpg":     "0ecfe8a2a95e00c9a1e3e2d72c2758a4c7660297bb53991e384a1449594a8f72",
		"plasma-q85.jpg":         "7f5299d1c4fc98117e24dda9a04a98003738872c4a588c7d640078dbcfb29952",
	} {
		file, err := os.ReadFile(filepath.Join("..", "pdq", "testdata", "img", name))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Luma(file, manyPixels)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		h := sha256.New()
		for y := range p.Rect.Dy() {
			h.Write(p.Pix[y*p.Stride:][:p.Rect.Dx()])
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
			t.Errorf("%s: got samples of SHA-256 %s, want %s", name, got, want)
		}
		m, err := standard(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := compare(&p.Gray, m, false); err != nil {
			t.Errorf("%s: image/jpeg: %v", name, err)
		}
		p.Free()
	}
}

// A file that is cut off anywhere is an error, and no variant.
func TestCut(t *testing.T) {
	for i, s := range []shape{
		{width: 20, height: 12, factors: []byte{0x22, 0x11, 0x11}, interval: 1},
		{width: 20, height: 12, factors: []byte{0x21, 0x11, 0x11}, progressive: true},
		{width: 9, height: 9, factors: []byte{0x11}, progressive: true, interval: 2},
	} {
		file := makeFile(s, uint64(i))
		for n := range file {
			if _, err := Luma(file[:n], manyPixels); !errors.Is(err, errDamaged) {
				t.Fatalf("%v, cut at %d of %d: got %v, want damage", s, n, len(file), err)
			}
		}
		// Nor does it matter what comes behind the end marker.
		if p, err := Luma(append(file, "tail"...), manyPixels); err != nil {
			t.Errorf("%v, with a tail: %v", s, err)
		} else {
			p.Free()
		}
	}
}

// behind returns file with something inserted behind the n-th byte.
func behind(file []byte, n int, more ...byte) []byte {
	return append(append(bytes.Clone(file[:n]), more...), file[n:]...)
}

// What isn't decoded here says so, and what nobody should decode says that.
func TestVariants(t *testing.T) {
	colour := makeFile(shape{width: 20, height: 12, factors: []byte{0x22, 0x11, 0x11}}, 1)
	frame := bytes.Index(colour, []byte{0xff, startExtended})
	table := bytes.Index(colour, []byte{0xff, defineHuffman})
	scan := bytes.Index(colour, []byte{0xff, startOfScan})
	changed := func(at int, to ...byte) []byte {
		c := bytes.Clone(colour)
		copy(c[at:], to)
		return c
	}
	without := func(from, to int) []byte { return append(bytes.Clone(colour[:from]), colour[to:]...) }
	adobe := append([]byte{0xff, app14, 0, 14}, "Adobe\x00\x64\x00\x00\x00\x00\x00"...)
	for _, c := range []struct {
		name string
		file []byte
		want error
	}{
		{"red, green, blue by Adobe's word", append(behind(without(2, 20), 2, adobe...), 0), ErrVariant},
		{"red, green, blue by name", func() []byte {
			c := without(2, 20)
			at := bytes.Index(c, []byte{0xff, startExtended})
			c[at+10], c[at+13], c[at+16] = 'R', 'G', 'B'
			at = bytes.Index(c, []byte{0xff, startOfScan})
			c[at+5], c[at+7], c[at+9] = 'R', 'G', 'B'
			return c
		}(), ErrVariant},
		{"four components", changed(frame+9, 4), ErrVariant},
		{"12 bits", changed(frame+4, 12), ErrVariant},
		{"arithmetic coding", changed(frame+1, 0xc9), ErrVariant},
		{"lossless", changed(frame+1, 0xc3), ErrVariant},
		{"luma that isn't the finest", changed(frame+11, 0x11, 0, 2, 0x21), ErrVariant},
		{"no height", changed(frame+5, 0, 0), ErrVariant},
		{"a table of too many codes", changed(table+5, 2, 1, 1, 1, 1, 1, 1, 1, 1, 40, 60, 48, 0, 0, 0, 98), ErrVariant},
		{"no start", colour[1:], errDamaged},
		{"two frames", behind(colour, scan, colour[frame:table]...), errDamaged},
		{"no frame", without(frame, table), errDamaged},
		{"no tables", without(table, scan), errDamaged},
		{"no scan", append(bytes.Clone(colour[:scan]), 0xff, endOfImage), errDamaged},
		{"a scan of what isn't there", changed(scan+5, 9), errDamaged},
		{"a scan of luma twice", changed(scan+7, 1), errDamaged},
		{"a lone code", behind(colour, scan, 0xff, defineHuffman, 0, 3, 0), errDamaged},
		{"a quantizer of three bytes", behind(colour, scan, 0xff, defineQuantizer, 0, 5, 0, 1, 2), errDamaged},
		{"an interval of one byte", behind(colour, scan, 0xff, defineRestart, 0, 3, 1), errDamaged},
		{"a segment of one byte", behind(colour, scan, 0xff, comment, 0, 1), errDamaged},
		{"factors of nothing", changed(frame+11, 0), errDamaged},
	} {
		_, err := Luma(c.file, manyPixels)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if m, err := standard(c.file); c.want == errDamaged && err == nil {
			t.Errorf("%s: image/jpeg decodes %v", c.name, m.Rect)
		}
	}
	if p, err := Luma(behind(colour, 2, adobe...), manyPixels); err != nil {
		t.Errorf("JFIF in spite of Adobe's word: %v", err)
	} else {
		p.Free()
	}
}

// The limit is exact, and comes before any memory.
func TestPixels(t *testing.T) {
	file := makeFile(shape{width: 20, height: 12, factors: []byte{0x11}}, 1)
	if _, err := Luma(file, 239); !errors.Is(err, errDamaged) {
		t.Errorf("240 pixels of 239: got %v, want an error", err)
	}
	p, err := Luma(file, 240)
	if err != nil {
		t.Fatal(err)
	}
	p.Free()
	bomb := bytes.Clone(file[:bytes.Index(file, []byte{0xff, startOfScan})])
	frame := bytes.Index(bomb, []byte{0xff, startExtended})
	copy(bomb[frame+5:], []byte{0xff, 0xff, 0xff, 0xff})
	if n := testing.AllocsPerRun(1, func() { Luma(bomb, 100e6) }); n > 100 {
		t.Errorf("a bomb: got %v allocations", n)
	}
}

// Damage in a scan of chroma alone costs nobody the luma.
func TestChromaDamage(t *testing.T) {
	file := makeFile(shape{width: 50, height: 40, factors: []byte{0x22, 0x11, 0x11}, apart: true}, 3)
	want, _, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(file, []byte{0xff, startOfScan})
	for i := at + 10; i < len(file)-2; i++ {
		file[i] = 0xaa
	}
	got, _, err := read(file)
	if err != nil || !bytes.Equal(got.Pix, want.Pix) {
		t.Errorf("got %v, want the same luma", err)
	}
	if _, err := standard(file); err == nil {
		t.Error("image/jpeg finds no damage")
	}
}

func benchmark(b *testing.B, decode func(file []byte) error) {
	file := makeFile(shape{width: 1600, height: 1000, factors: []byte{0x22, 0x11, 0x11}}, 1)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if err := decode(file); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLuma(b *testing.B) {
	benchmark(b, func(file []byte) error {
		p, err := Luma(file, 100e6)
		if err == nil {
			p.Free()
		}
		return err
	})
}

// What image/jpeg needs for all components of the same file.
func BenchmarkStandard(b *testing.B) {
	benchmark(b, func(file []byte) error {
		_, err := standard(file)
		return err
	})
}
