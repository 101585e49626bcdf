package pdq

import (
	"image"
	"math/rand/v2"
	"testing"
)

// noise returns n bytes that are the same in every run.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hashes/s")
}

// The hash of 512×512 pixels in red, green, blue: luma, filter, transform, bits.
func BenchmarkHash512(b *testing.B) {
	pix := noise(512 * 512 * 3)
	for b.Loop() {
		if _, _, err := FromRGB(pix, 512, 512); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b)
}

// Both hashes of a photograph's size, from the pixels that image/jpeg returns.
func BenchmarkFull1600x1004(b *testing.B) {
	m := image.NewYCbCr(image.Rect(0, 0, 1600, 1004), image.YCbCrSubsampleRatio420)
	copy(m.Y, noise(len(m.Y)))
	copy(m.Cb, noise(len(m.Cb)))
	copy(m.Cr, noise(len(m.Cr)))
	for b.Loop() {
		FromImage(m)
	}
	perSecond(b)
}

// The same from red, green, blue.
func BenchmarkFull1600x1004RGB(b *testing.B) {
	pix := noise(1600 * 1004 * 3)
	for b.Loop() {
		if _, _, err := FromRGB(pix, 1600, 1004); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b)
}

// What the seven further orientations cost beyond BenchmarkHash512.
func BenchmarkDihedral512(b *testing.B) {
	m := &image.Gray{Pix: noise(512 * 512), Stride: 512, Rect: image.Rect(0, 0, 512, 512)}
	for b.Loop() {
		FromImageDihedral(m)
	}
	perSecond(b)
}
