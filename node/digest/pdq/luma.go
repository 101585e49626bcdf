package pdq

import (
	"image"
	"image/color"
	"sync"
)

// A source is a picture as rows of luma. luma writes row y, from the top, to
// row, whose length is w. If there is lanes, it writes the rows from y to y+7, side by side.
type source struct {
	w, h  int
	luma  func(y int, row []float32)
	lanes func(y int, columns []lane)
}

// lumaOf returns the luma of a colour: products and sums rounded to float32 one
// by one, in this order. The conversions forbid fused multiply-add, which would
// round once less on arm64 and on amd64 from v3.
func lumaOf(r, g, b uint8) float32 {
	return float32(lumaRed[r]+lumaGreen[g]) + lumaBlue[b]
}

// lumaGray is the luma of pixels of one byte: a load is less work than a conversion.
var lumaGray = func() (v [256]float32) {
	for i := range v {
		v[i] = float32(i)
	}
	return v
}()

// The products of lumaOf.
var lumaRed, lumaGreen, lumaBlue = func() (r, g, b [256]float32) {
	for i := range 256 {
		r[i] = float32(0.299 * float32(i))
		g[i] = float32(0.587 * float32(i))
		b[i] = float32(0.114 * float32(i))
	}
	return r, g, b
}()

// rgbSource returns pixels of 3 bytes without gaps.
func rgbSource(pix []byte, w, h int) source {
	return source{w: w, h: h, luma: func(y int, row []float32) { lumaOfRGB(pix[y*w*3:], row) }}
}

// lumaOfRGB writes the luma of the pixels at the front of pix to row. It has a
// name of its own so that the compiler spends its inlining budget on lumaOf.
func lumaOfRGB(pix []byte, row []float32) {
	for x := range row {
		row[x] = lumaOf(pix[3*x], pix[3*x+1], pix[3*x+2])
	}
}

// graySource returns pixels of one byte, whose luma is their value.
func graySource(pix []byte, stride, w, h int) source {
	return source{w: w, h: h, luma: func(y int, row []float32) {
		p := pix[y*stride:][:w]
		for x := range row {
			row[x] = float32(p[x])
		}
	}, lanes: func(y int, columns []lane) { grayLanes(pix[y*stride:], stride, columns) }}
}

// grayLanes writes the pixels at the front of eight rows.
func grayLanes(pix []byte, stride int, columns []lane) {
	n := len(columns)
	r0, r1, r2, r3 := pix[:n], pix[stride:][:n], pix[2*stride:][:n], pix[3*stride:][:n]
	r4, r5, r6, r7 := pix[4*stride:][:n], pix[5*stride:][:n], pix[6*stride:][:n], pix[7*stride:][:n]
	for x := range columns {
		c := &columns[x]
		c[0], c[1], c[2], c[3] = lumaGray[r0[x]], lumaGray[r1[x]], lumaGray[r2[x]], lumaGray[r3[x]]
		c[4], c[5], c[6], c[7] = lumaGray[r4[x]], lumaGray[r5[x]], lumaGray[r6[x]], lumaGray[r7[x]]
	}
}

// imageSource returns the picture of img.
func imageSource(img image.Image) source {
	b := img.Bounds()
	s := source{w: b.Dx(), h: b.Dy()}
	switch m := img.(type) {
	case *image.Gray:
		return graySource(m.Pix, m.Stride, s.w, s.h)
	case *image.Gray16:
		s.luma = func(y int, row []float32) {
			p := m.Pix[y*m.Stride:][:2*s.w]
			for x := range row {
				row[x] = float32(p[2*x]) // the high byte
			}
		}
	case *image.RGBA:
		s.luma = func(y int, row []float32) {
			p := m.Pix[y*m.Stride:][:4*s.w]
			for x := range row {
				q := (*[4]byte)(p[4*x:])
				if q[3] == 0xff {
					row[x] = lumaOf(q[0], q[1], q[2])
				} else {
					row[x] = lumaOfColor(color.RGBA{R: q[0], G: q[1], B: q[2], A: q[3]})
				}
			}
		}
	case *image.NRGBA:
		s.luma = func(y int, row []float32) {
			p := m.Pix[y*m.Stride:][:4*s.w]
			for x := range row {
				q := (*[4]byte)(p[4*x:])
				row[x] = lumaOf(q[0], q[1], q[2])
			}
		}
	case *image.NRGBA64:
		s.luma = func(y int, row []float32) {
			p := m.Pix[y*m.Stride:][:8*s.w]
			for x := range row {
				q := (*[8]byte)(p[8*x:])
				row[x] = lumaOf(q[0], q[2], q[4]) // the high bytes
			}
		}
	case *image.CMYK:
		s.luma = func(y int, row []float32) {
			p := m.Pix[y*m.Stride:][:4*s.w]
			for x := range row {
				q := (*[4]byte)(p[4*x:])
				row[x] = lumaOf(color.CMYKToRGB(q[0], q[1], q[2], q[3]))
			}
		}
	case *image.Paletted:
		// An index without a colour is black, as libpng has it.
		var palette [256]float32
		for i, c := range m.Palette[:min(len(m.Palette), 256)] {
			palette[i] = lumaOfColor(c)
		}
		s.luma = func(y int, row []float32) {
			p := m.Pix[y*m.Stride:][:s.w]
			for x := range row {
				row[x] = palette[p[x]]
			}
		}
	case *image.YCbCr:
		return ycbcrSource(m, lumaOfYCbCr)
	case *image.NYCbCrA:
		return ycbcrSource(&m.YCbCr, lumaOfYCbCr)
	case Studio:
		return ycbcrSource(m.YCbCr, lumaOfStudio)
	default:
		s.luma = func(y int, row []float32) {
			for x := range row {
				row[x] = lumaOfColor(img.At(b.Min.X+x, b.Min.Y+y))
			}
		}
	}
	return s
}

// lumaOfColor returns the luma of c without its alpha: what is premultiplied is
// divided again, so that a transparent photograph keeps its hash.
func lumaOfColor(c color.Color) float32 {
	switch c := c.(type) {
	case color.NRGBA:
		return lumaOf(c.R, c.G, c.B)
	case color.NRGBA64:
		return lumaOf(uint8(c.R>>8), uint8(c.G>>8), uint8(c.B>>8))
	case color.NYCbCrA:
		return lumaOf(color.YCbCrToRGB(c.Y, c.Cb, c.Cr))
	}
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return lumaOf(n.R, n.G, n.B)
}

// A pooledRow is a row of luma from the pool.
type pooledRow struct{ v []float32 }

var rowPool = sync.Pool{New: func() any { return new(pooledRow) }}

// floats returns a row of n values that may hold anything.
func floats(n int) *pooledRow {
	r := rowPool.Get().(*pooledRow)
	if cap(r.v) < n {
		r.v = make([]float32, n)
	}
	r.v = r.v[:n]
	return r
}

func (r *pooledRow) free() {
	if len(r.v) <= pooledWidth {
		rowPool.Put(r)
	}
}
