package pdq

import (
	"image"
	"image/color"
)

// This file converts YCbCr to the luma of the red, green and blue that the
// decoders compute by which other implementations of PDQ are fed: libjpeg for
// JPEG, libwebp for WebP. Luma is nearly Y, but for the rounding and clamping
// of red, green and blue, which on flat or saturated pictures is worth some bits.

// Studio is a picture whose Y runs from 16 to 235 and whose Cb and Cr from 16
// to 240, as in WebP: image.YCbCr always means the full range of JPEG, and
// golang.org/x/image/webp returns one nevertheless.
type Studio struct{ *image.YCbCr }

// At returns the colour of a pixel.
func (s Studio) At(x, y int) color.Color {
	c := s.YCbCrAt(x, y)
	r, g, b := studioRGB(c.Y, c.Cb, c.Cr)
	return color.RGBA{R: r, G: g, B: b, A: 0xff}
}

// ColorModel returns color.RGBAModel.
func (s Studio) ColorModel() color.Model { return color.RGBAModel }

// studioRGB is libwebp's conversion (src/dsp/yuv.h): products lose their low 8
// bits before they are summed, 6 bits of fraction remain.
func studioRGB(y, cb, cr uint8) (r, g, b uint8) {
	high := func(v uint8, factor int32) int32 { return int32(v) * factor >> 8 }
	light := high(y, 19077)
	return clamp((light + high(cr, 26149) - 14234) >> 6),
		clamp((light - high(cb, 6419) - high(cr, 13320) + 8708) >> 6),
		clamp((light + high(cb, 33050) - 17685) >> 6)
}

func clamp(v int32) uint8 { return uint8(max(0, min(v, 255))) }

// What chroma adds to Y in libjpeg's conversion (jdcolor.c), in 2^-16. Half is
// there to round; green's is in greenCb.
var redCr, greenCb, greenCr, blueCb = func() (redCr, greenCb, greenCr, blueCb [256]int32) {
	const half = 1 << 15
	for i := range 256 {
		x := int32(i) - 128
		redCr[i] = (91881*x + half) >> 16
		greenCb[i] = -22554*x + half
		greenCr[i] = -46802 * x
		blueCb[i] = (116130*x + half) >> 16
	}
	return redCr, greenCb, greenCr, blueCb
}()

// The products of lumaOf for a component that is yet to be clamped: v is at index
// v + headroom. Y plus chroma is within -227 and 480.
const (
	headroom  = 256
	unclamped = 4 * headroom
)

var unclampedRed, unclampedGreen, unclampedBlue = func() (r, g, b [unclamped]float32) {
	for i := range unclamped {
		v := clamp(int32(i - headroom))
		r[i], g[i], b[i] = lumaRed[v], lumaGreen[v], lumaBlue[v]
	}
	return r, g, b
}()

// lumaOfYCbCr writes the luma of pixels of the full range to row.
func lumaOfYCbCr(light, cb, cr []byte, row []float32) {
	light, cb, cr = light[:len(row)], cb[:len(row)], cr[:len(row)]
	for x := range row {
		y, u, v := int32(light[x])+headroom, cb[x], cr[x]
		row[x] = float32(unclampedRed[(y+redCr[v])&(unclamped-1)]+
			unclampedGreen[(y+(greenCb[u]+greenCr[v])>>16)&(unclamped-1)]) +
			unclampedBlue[(y+blueCb[u])&(unclamped-1)]
	}
}

// lumaOfStudio writes the luma of pixels of the studio range to row.
func lumaOfStudio(light, cb, cr []byte, row []float32) {
	for x := range row {
		row[x] = lumaOf(studioRGB(light[x], cb[x], cr[x]))
	}
}

// ycbcrSource returns the picture m, whose pixels convert turns into luma.
func ycbcrSource(m *image.YCbCr, convert func(light, cb, cr []byte, row []float32)) source {
	b := m.Bounds()
	c := newChroma(m)
	return source{w: b.Dx(), h: b.Dy(), luma: func(y int, row []float32) {
		cb, cr := c.row(y)
		convert(m.Y[m.YOffset(b.Min.X, b.Min.Y+y):], cb, cr, row)
	}}
}
