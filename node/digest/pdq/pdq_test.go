package pdq

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/color"
	"image/color/palette"
	"image/draw"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// picture returns a picture of w×h pixels with structure at several scales.
func picture(w, h, seed int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w), float64(y)/float64(h)
			f := func(a, b float64) uint8 {
				return uint8(127.5 + 60*math.Sin(a*u+b*v*v+float64(seed)) + 60*math.Cos(b*u*v-a*v))
			}
			m.SetNRGBA(x, y, color.NRGBA{f(7, 23), f(11, 3), f(31, 5), 0xff})
		}
	}
	return m
}

// lumaPlane returns the luma of m by the formula, pixel by pixel.
func lumaPlane(m image.Image) []float32 {
	b := m.Bounds()
	var p []float32
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			red, green, blue := float32(0.299*float32(c.R)), float32(0.587*float32(c.G)), float32(0.114*float32(c.B))
			p = append(p, float32(red+green)+blue)
		}
	}
	return p
}

// nearest brings m to 512×512 as the C++ file tool does.
func nearest(m *image.NRGBA) *image.NRGBA {
	s := image.NewNRGBA(image.Rect(0, 0, 512, 512))
	for y := range 512 {
		for x := range 512 {
			s.SetNRGBA(x, y, m.NRGBAAt(x*m.Rect.Dx()/512, y*m.Rect.Dy()/512))
		}
	}
	return s
}

// Every pair of sides up to 9, then each count of rows and columns that the
// filter's blocks of eight and its windows can meet, against the oracle.
func TestSides(t *testing.T) {
	check := func(w, h int) {
		t.Helper()
		m := picture(w, h, w+h)
		_, full := FromImage(m)
		if want := oracle(lumaPlane(m), w, h, true); full != want {
			t.Errorf("%d×%d: got %v, want %v", w, h, full, want)
		}
	}
	for w := 1; w <= 9; w++ {
		for h := 1; h <= 9; h++ {
			check(w, h)
		}
	}
	for n := 10; n <= 80; n++ {
		check(n, 11)
		check(13, n)
	}
	for _, n := range []int{63, 64, 65, 127, 128, 129, 255, 256, 257, 384, 385, 500, 512} {
		check(n, 64)
		check(64, n)
		check(n, n)
	}
}

// Windows of every size from 1 to 20, at the sides where the size changes: every
// sample is the oracle's to the last bit, which a hash alone wouldn't show.
func TestWindows(t *testing.T) {
	check := func(w, h int) {
		t.Helper()
		m := picture(w, h, w)
		walk(imageSource(m), func(_, full *grid) {
			if want := oracleGrid(lumaPlane(m), w, h, false); *full != want {
				t.Errorf("%d×%d: the filtered picture differs", w, h)
			}
		})
	}
	for size := 1; size <= 20; size++ {
		for _, n := range []int{128 * size, 128*size + 1} {
			check(n, 12)
			check(12, n)
		}
	}
}

// The small path is the full path of the picture brought to 512×512, also where
// a side is stretched.
func TestSmallPath(t *testing.T) {
	for _, side := range [][2]int{{513, 512}, {512, 513}, {513, 5}, {5, 600}, {1000, 700}, {1600, 200}, {300, 900}} {
		m := picture(side[0], side[1], 3)
		small, _ := FromImage(m)
		if _, want := FromImage(nearest(m)); small != want {
			t.Errorf("%v: got %v, want %v", side, small, want)
		}
	}
	m := picture(512, 512, 1)
	if small, full := FromImage(m); small != full {
		t.Errorf("512×512: the paths differ: %v, %v", small, full)
	}
}

// A side below 5 makes both results zero, whatever the other.
func TestTooSmall(t *testing.T) {
	for _, side := range [][2]int{{0, 0}, {1, 1}, {4, 4}, {4, 600}, {600, 4}, {4, 64}} {
		small, full := FromImage(picture(side[0], side[1], 1))
		if small != (Result{}) || full != (Result{}) {
			t.Errorf("%v: got %v and %v, want zero", side, small, full)
		}
		all, _ := FromImageDihedral(picture(side[0], side[1], 1))
		if all != [8]Result{} {
			t.Errorf("%v: got orientations %v, want zero", side, all)
		}
	}
}

// The grid's own size is hashed without a filter, but not for orientations.
func TestGridSize(t *testing.T) {
	m := open(t, "testdata/img/tiny-64x64.png")
	plane := lumaPlane(m)
	_, full := FromImage(m)
	if want := oracle(plane, 64, 64, true); full != want {
		t.Errorf("got %v, want %v", full, want)
	}
	_, all := FromImageDihedral(m)
	if want := oracle(plane, 64, 64, false); all[0] != want {
		t.Errorf("orientation 0: got %v, want %v", all[0], want)
	}
}

// Orientations are near the hashes of the picture turned, and the first is the
// picture's own.
func TestDihedral(t *testing.T) {
	const w, h = 300, 200
	m := picture(w, h, 4)
	at := []func(x, y int) (int, int){
		func(x, y int) (int, int) { return x, y },
		func(x, y int) (int, int) { return y, w - 1 - x },
		func(x, y int) (int, int) { return w - 1 - x, h - 1 - y },
		func(x, y int) (int, int) { return h - 1 - y, x },
		func(x, y int) (int, int) { return x, h - 1 - y },
		func(x, y int) (int, int) { return w - 1 - x, y },
		func(x, y int) (int, int) { return y, x },
		func(x, y int) (int, int) { return h - 1 - y, w - 1 - x },
	}
	small, full := FromImageDihedral(m)
	if _, own := FromImage(m); full[0] != own || small != full {
		t.Errorf("got %v first, want %v; small and full must agree", full[0], own)
	}
	for i, to := range at {
		x, y := to(w-1, h-1)
		x0, y0 := to(0, 0)
		turned := image.NewNRGBA(image.Rect(0, 0, max(x, x0)+1, max(y, y0)+1))
		for y := range h {
			for x := range w {
				tx, ty := to(x, y)
				turned.SetNRGBA(tx, ty, m.NRGBAAt(x, y))
			}
		}
		_, want := FromImage(turned)
		if d := full[i].Hash.Distance(want.Hash); d > 24 {
			t.Errorf("orientation %d: got distance %d from the hash of the turned picture, want at most 24", i, d)
		}
		for j := range i {
			if d := full[i].Hash.Distance(full[j].Hash); d < 60 {
				t.Errorf("orientations %d and %d: got distance %d, want different pictures", i, j, d)
			}
		}
	}
}

// plain hides the type of an image, so that it is read through At.
type plain struct{ image.Image }

// Every type that is read fast gives the hash that At gives.
func TestImageTypes(t *testing.T) {
	src := picture(90, 70, 5)
	for i := range src.Pix {
		if i%4 == 3 {
			src.Pix[i] = uint8(i) | 1 // some alpha, never 0
		}
	}
	r := src.Bounds()
	images := map[string]draw.Image{
		"Gray": image.NewGray(r), "Gray16": image.NewGray16(r), "RGBA": image.NewRGBA(r), "NRGBA": image.NewNRGBA(r),
		"NRGBA64": image.NewNRGBA64(r), "CMYK": image.NewCMYK(r), "Paletted": image.NewPaletted(r, palette.Plan9),
		"RGBA64": image.NewRGBA64(r),
	}
	for name, m := range images {
		draw.Draw(m, r, src, image.Point{}, draw.Src)
		small, full := FromImage(m)
		if want, _ := FromImage(plain{m}); small != want || full != want {
			t.Errorf("%s: got %v, want %v", name, full, want)
		}
		part := m.(interface {
			SubImage(image.Rectangle) image.Image
		}).SubImage(image.Rect(7, 9, 80, 61))
		_, full = FromImage(part)
		if want, _ := FromImage(plain{part}); full != want {
			t.Errorf("%s, a part: got %v, want %v", name, full, want)
		}
	}
}

// Alpha is ignored: a picture made transparent keeps its hash, in a palette too.
func TestAlpha(t *testing.T) {
	opaque := picture(80, 80, 6)
	_, want := FromImage(opaque)
	transparent := picture(80, 80, 6)
	for i := 3; i < len(transparent.Pix); i += 4 {
		transparent.Pix[i] = 0
	}
	if _, got := FromImage(transparent); got != want {
		t.Errorf("transparent: got %v, want %v", got, want)
	}

	colours := make(color.Palette, 256)
	for i := range colours {
		colours[i] = color.NRGBA{uint8(i), uint8(i), uint8(i), 0}
	}
	grey := &image.Gray{Pix: noise(80 * 80), Stride: 80, Rect: image.Rect(0, 0, 80, 80)}
	_, got := FromImage(&image.Paletted{Pix: grey.Pix, Stride: 80, Rect: grey.Rect, Palette: colours})
	rgb := image.NewNRGBA(grey.Rect)
	draw.Draw(rgb, rgb.Rect, grey, image.Point{}, draw.Src)
	if _, want := FromImage(rgb); got != want {
		t.Errorf("transparent palette: got %v, want %v", got, want)
	}
	// An index that the palette lacks is no panic.
	FromImage(&image.Paletted{Pix: grey.Pix, Stride: 80, Rect: grey.Rect, Palette: colours[:3]})
}

// YCbCr in every subsampling: near the RGB hash of the same picture, and a part
// that begins between samples is read without panic.
func TestYCbCr(t *testing.T) {
	src := picture(99, 71, 7)
	_, want := FromImage(src)
	for ratio := image.YCbCrSubsampleRatio444; ratio <= image.YCbCrSubsampleRatio410; ratio++ {
		m := image.NewYCbCr(src.Rect, ratio)
		for y := range 71 {
			for x := range 99 {
				c := src.NRGBAAt(x, y)
				yy, cb, cr := color.RGBToYCbCr(c.R, c.G, c.B)
				m.Y[m.YOffset(x, y)] = yy
				m.Cb[m.COffset(x, y)] = cb
				m.Cr[m.COffset(x, y)] = cr
			}
		}
		_, got := FromImage(m)
		if d := got.Hash.Distance(want.Hash); d > 10 {
			t.Errorf("%v: got distance %d from the RGB picture, want at most 10", ratio, d)
		}
		_, got = FromImage(&image.NYCbCrA{YCbCr: *m, A: make([]byte, 99*71), AStride: 99})
		if d := got.Hash.Distance(want.Hash); d > 10 {
			t.Errorf("%v with alpha: got distance %d, want at most 10", ratio, d)
		}
		for x := range 5 {
			part := m.SubImage(image.Rect(x, x, 99-x, 70)).(*image.YCbCr)
			_, got := FromImage(part)
			_, want := FromImage(plain{part})
			if d := got.Hash.Distance(want.Hash); d > 16 {
				t.Errorf("%v from %d: got distance %d, want at most 16", ratio, x, d)
			}
		}
	}
}

// Interpolation of chroma, by the numbers.
func TestInterpolate(t *testing.T) {
	out := make([]byte, 6)
	interpolate(out, []byte{0, 100, 255})
	if want := [6]byte{0, 25, 75, 139, 216, 255}; [6]byte(out) != want {
		t.Errorf("along a row: got %v, want %v", out, want)
	}
	interpolateRows(out, []byte{0, 100, 255}, []byte{200, 100, 0})
	// Columns weigh 3·near + far: 200, 400, 765.
	if want := [6]byte{50, 62, 88, 123, 168, 191}; [6]byte(out) != want {
		t.Errorf("in rows: got %v, want %v", out, want)
	}
	// Halves go down on the right edge, up on the left.
	interpolateRows(out[:2], []byte{0}, []byte{2})
	if want := [2]byte{1, 0}; [2]byte(out) != want {
		t.Errorf("at the edges: got %v, want %v", out[:2], want)
	}
}

// Studio range: black is 16, white 235, and what lies beyond is clamped.
func TestStudio(t *testing.T) {
	for _, c := range []struct{ y, cb, cr, r, g, b uint8 }{
		{16, 128, 128, 0, 0, 0}, {235, 128, 128, 255, 255, 255}, {0, 128, 128, 0, 0, 0}, {255, 128, 128, 255, 255, 255},
		{81, 90, 240, 254, 0, 0}, {145, 54, 34, 0, 255, 1}, {41, 240, 110, 0, 0, 255},
	} {
		r, g, b := studioRGB(c.y, c.cb, c.cr)
		if r != c.r || g != c.g || b != c.b {
			t.Errorf("Y %d, Cb %d, Cr %d: got %d %d %d, want %d %d %d", c.y, c.cb, c.cr, r, g, b, c.r, c.g, c.b)
		}
	}
	m := image.NewYCbCr(image.Rect(0, 0, 70, 70), image.YCbCrSubsampleRatio444)
	copy(m.Y, noise(len(m.Y)))
	copy(m.Cb, noise(len(m.Cb)))
	_, got := FromImage(Studio{m})
	if _, want := FromImage(plain{Studio{m}}); got != want {
		t.Errorf("got %v, want %v as read pixel by pixel", got, want)
	}
}

// libjpeg's conversion to red, green and blue, at every Y and a grid of chroma.
func TestLumaOfYCbCr(t *testing.T) {
	row := make([]float32, 1)
	for y := range 256 {
		for cb := 0; cb < 256; cb += 5 {
			for cr := 0; cr < 256; cr += 5 {
				fixed := func(v float64) int { return int(math.Floor(v*65536 + 0.5)) }
				u, v := cb-128, cr-128
				lim := func(v int) uint8 { return uint8(max(0, min(255, v))) }
				r := lim(y + (fixed(1.402)*v+1<<15)>>16)
				g := lim(y + (-fixed(0.34414)*u-fixed(0.71414)*v+1<<15)>>16)
				b := lim(y + (fixed(1.772)*u+1<<15)>>16)
				lumaOfYCbCr([]byte{byte(y)}, []byte{byte(cb)}, []byte{byte(cr)}, row)
				if want := lumaOf(r, g, b); row[0] != want {
					t.Fatalf("Y %d, Cb %d, Cr %d: got %v, want %v", y, cb, cr, row[0], want)
				}
			}
		}
	}
}

// The three ways to hand over pixels agree with images.
func TestPixels(t *testing.T) {
	m := picture(520, 90, 8)
	var rgb []byte
	for i := 0; i < len(m.Pix); i += 4 {
		rgb = append(rgb, m.Pix[i:i+3]...)
	}
	wantSmall, wantFull := FromImage(m)
	small, full, err := FromRGB(rgb, 520, 90)
	if err != nil || small != wantSmall || full != wantFull {
		t.Errorf("RGB: got %v, %v, %v, want %v, %v", small, full, err, wantSmall, wantFull)
	}
	small, full, err = FromLuma(lumaPlane(m), 520, 90)
	if err != nil || small != wantSmall || full != wantFull {
		t.Errorf("luma: got %v, %v, %v, want %v, %v", small, full, err, wantSmall, wantFull)
	}
	grey := &image.Gray{Pix: noise(520 * 90), Stride: 520, Rect: image.Rect(0, 0, 520, 90)}
	wantSmall, wantFull = FromImage(grey)
	small, full, err = FromGray(grey.Pix, 520, 90)
	if err != nil || small != wantSmall || full != wantFull {
		t.Errorf("grey: got %v, %v, %v, want %v, %v", small, full, err, wantSmall, wantFull)
	}
}

func TestWrongPixelCount(t *testing.T) {
	for _, c := range []struct{ n, w, h int }{
		{0, 0, 0}, {0, 1, 1}, {74, 5, 5}, {76, 5, 5}, {75, -5, -5}, {75, 5, -5}, {25, 5, 5}, {6, math.MaxInt/3 + 1, 3},
	} {
		if _, _, err := FromRGB(make([]byte, c.n), c.w, c.h); err == nil || !strings.HasPrefix(err.Error(), "pixels: ") {
			t.Errorf("%d bytes as %d×%d: got error %v, want one", c.n, c.w, c.h, err)
		}
	}
	if _, _, err := FromGray(make([]byte, 26), 5, 5); err == nil {
		t.Error("26 grey bytes as 5×5: got no error, want one")
	}
	if _, _, err := FromLuma(make([]float32, 24), 5, 5); err == nil {
		t.Error("24 values as 5×5: got no error, want one")
	}
}

func TestHash(t *testing.T) {
	var h Hash
	h[31] = 1 // bit 0
	if got, want := h.String(), strings.Repeat("0", 63)+"1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := h.Weight(); got != 1 {
		t.Errorf("weight: got %d, want 1", got)
	}
	var ones Hash
	for i := range ones {
		ones[i] = 0xff
	}
	if got := h.Distance(ones); got != 255 {
		t.Errorf("distance: got %d, want 255", got)
	}
	// Any picture without equal coefficients has 128 ones.
	if _, full := FromImage(picture(200, 100, 9)); full.Hash.Weight() != 128 {
		t.Errorf("weight of a picture: got %d, want 128", full.Hash.Weight())
	}
}

// The coefficients must be the same bits on every architecture: this is their
// SHA-256 as big-endian float32.
func TestCoefficients(t *testing.T) {
	var b []byte
	for _, row := range dct {
		for _, v := range row {
			b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	sum := sha256.Sum256(b)
	if got, want := hex.EncodeToString(sum[:]), "8866dd18c490fa3fcaf192554d0864ee946ea8394e23d262a6b2dad7e1e51dd7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Any luma of any sides gives what the oracle gives, on both paths.
func TestLumaProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 300).Draw(t, "width"), rapid.IntRange(1, 300).Draw(t, "height")
		scale := rapid.SampledFrom([]float32{0, 1, 255, 1e-3}).Draw(t, "scale")
		luma := make([]float32, w*h)
		x := rapid.Uint32().Draw(t, "seed")
		for i := range luma {
			x = x*1664525 + 1013904223
			luma[i] = float32(x>>8) / (1 << 24) * scale
		}
		small, full, err := FromLuma(luma, w, h)
		if want := oracle(luma, w, h, true); err != nil || small != want || full != want {
			t.Fatalf("%d×%d: got %v and %v, %v, want %v", w, h, small, full, err, want)
		}
	})
}

// FuzzFromRGB takes the first two bytes as sides and repeats the rest as pixels.
func FuzzFromRGB(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 3 {
			return
		}
		w, h := int(data[0])*3+1, int(data[1])*3+1
		pix := make([]byte, w*h*3)
		luma := make([]float32, w*h)
		for i := range pix {
			pix[i] = data[2+i%(len(data)-2)]
		}
		for i := range luma {
			luma[i] = lumaOf(pix[3*i], pix[3*i+1], pix[3*i+2])
		}
		small, full, err := FromRGB(pix, w, h)
		if err != nil {
			t.Fatal(err)
		}
		if want := oracle(luma, w, h, true); full != want {
			t.Errorf("%d×%d: got %v, want %v", w, h, full, want)
		}
		if w <= SmallSide && h <= SmallSide && small != full {
			t.Errorf("%d×%d: the paths differ", w, h)
		}
	})
}
