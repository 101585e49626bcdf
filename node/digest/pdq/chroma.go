package pdq

import "image"

// A chroma returns the chroma of a picture at the resolution of its Y.
//
// Where two pixels share a sample along a row, and in JPEG's most frequent form
// along a column too, samples are interpolated as libjpeg ("fancy upsampling",
// jdsample.c) and libwebp do by default: a sample lies in the middle of its
// pixels, and a pixel takes 3/4 of the nearer and 1/4 of the farther, each way.
// In any other form a sample stands for all its pixels.
type chroma struct {
	m      *image.YCbCr
	shared bool // whether two pixels share a sample along a row
	cb, cr []byte
}

func newChroma(m *image.YCbCr) *chroma {
	c := &chroma{m: m}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		// Decoders return pictures that begin at 0; libjpeg doesn't interpolate
		// lines of one or two samples.
		c.shared = m.Rect.Min == image.Point{} && m.Rect.Dx() > 4
	}
	if c.shared || m.SubsampleRatio != image.YCbCrSubsampleRatio444 {
		n := m.Rect.Dx() + 1 // interpolation writes pairs
		both := make([]byte, 2*n)
		c.cb, c.cr = both[:n], both[n:]
	}
	return c
}

// row returns the chroma of the pixels in row y from the top, valid until the
// next call.
func (c *chroma) row(y int) (cb, cr []byte) {
	m := c.m
	if c.cb == nil {
		at := m.COffset(m.Rect.Min.X, m.Rect.Min.Y+y)
		return m.Cb[at:], m.Cr[at:]
	}
	if !c.shared {
		for x := range m.Rect.Dx() {
			at := m.COffset(m.Rect.Min.X+x, m.Rect.Min.Y+y)
			c.cb[x], c.cr[x] = m.Cb[at], m.Cr[at]
		}
		return c.cb, c.cr
	}
	n := (m.Rect.Dx() + 1) / 2
	if m.SubsampleRatio == image.YCbCrSubsampleRatio422 {
		interpolate(c.cb, m.Cb[y*m.CStride:][:n])
		interpolate(c.cr, m.Cr[y*m.CStride:][:n])
		return c.cb, c.cr
	}
	near, far := y/2, y/2-1
	if y%2 == 1 {
		far = y/2 + 1
	}
	far = max(0, min(far, (m.Rect.Dy()-1)/2))
	interpolateRows(c.cb, m.Cb[near*m.CStride:][:n], m.Cb[far*m.CStride:][:n])
	interpolateRows(c.cr, m.Cr[near*m.CStride:][:n], m.Cr[far*m.CStride:][:n])
	return c.cb, c.cr
}

// interpolate writes two pixels for each sample of in. Halves are rounded down on
// the left and up on the right, so that no drift adds up.
func interpolate(out, in []byte) {
	last := int(in[0])
	for i, v := range in {
		this, next := int(v), int(v)
		if i+1 < len(in) {
			next = int(in[i+1])
		}
		pair := out[2*i:][:2]
		pair[0] = byte((3*this + last + 1) >> 2)
		pair[1] = byte((3*this + next + 2) >> 2)
		last = this
	}
}

// interpolateRows does so from two rows of samples, of which near is the
// nearer. The first and last pixel have no farther sample but their own.
func interpolateRows(out, near, far []byte) {
	far = far[:len(near)]
	this := 3*int(near[0]) + int(far[0])
	last := this
	for i := 1; i < len(near); i++ {
		next := 3*int(near[i]) + int(far[i])
		pair := out[2*i-2:][:2]
		pair[0] = byte((3*this + last + 8) >> 4)
		pair[1] = byte((3*this + next + 7) >> 4)
		last, this = this, next
	}
	pair := out[2*len(near)-2:][:2]
	pair[0] = byte((3*this + last + 8) >> 4)
	pair[1] = byte((4*this + 7) >> 4)
}
