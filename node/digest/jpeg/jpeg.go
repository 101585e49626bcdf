// Package jpeg decodes the luma of JPEG pictures.
//
// A perceptual hash looks at brightness only, and of a JPEG that is one of its three
// components, stored apart from the others. Decoding the others, blowing them up and
// turning all into red, green and blue only to weigh it together again is most of what
// a general decoder does. This one reads past them.
//
// The words, as ITU-T T.81 has them:
//
//   - component: luma, or one of the two of chroma. Luma is the first.
//   - block: 8×8 samples of a component, kept as 64 coefficients of a cosine
//     transform, which are numbered in zigzag order, lowest frequencies first.
//   - MCU: the least group of blocks of all components that covers a
//     rectangle of the picture, 32×16 pixels at most.
//   - scan: one walk over all blocks of one component or of several. A sequential
//     picture has all of a block in one scan, a progressive one refines it from scan to scan.
//   - segment: the compressed bytes between two markers; a scan is one, or as many as its
//     restart markers make of it.
//
// Decoded are sequential and progressive pictures of 8 bits in Huffman coding: gray,
// or YCbCr with whatever chroma. The rest ends with [ErrVariant], and so does what a
// sound encoder never writes and decoders read differently; the caller may ask
// another decoder then. Samples are those of libjpeg's default transform
// ("islow") bit for bit, and at most 1 of 255 beside those of image/jpeg.
//
//	p, err := jpeg.Luma(file, 100e6)
//	if err != nil {
//		return err
//	}
//	defer p.Free()
//	fmt.Println(p.GrayAt(0, 0))
//
// A scan that has chroma only isn't read at all, so damage there goes unnoticed. Any
// other damage is an error, as is a file that ends before its end marker. EXIF,
// colour profiles and thumbnails are passed over.
package jpeg

import (
	"errors"
	"fmt"
	"image"
)

// ErrVariant is returned, wrapped, for a file that may be a good JPEG, but of a variant
// that isn't decoded here.
var ErrVariant = errors.New("a variant of JPEG that isn't decoded here")

// errDamaged is wrapped by the errors about files that no decoder should take.
var errDamaged = errors.New("damaged JPEG")

// errShort ends the decoding of a file, or of a segment, that is cut off.
var errShort = fmt.Errorf("%w: it ends early", errDamaged)

func variant(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrVariant, fmt.Sprintf(format, args...))
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

// A Picture is the luma of a JPEG.
type Picture struct {
	image.Gray
	plane *buffer[byte]
}

// Free gives the picture's memory to the next one. Neither p nor its pixels may be used afterwards.
func (p *Picture) Free() {
	p.plane.free()
	*p = Picture{}
}

// Luma decodes the luma of file. A picture of more than pixels pixels is an
// error, before anything is allocated for it. Memory is [Cost] at most.
func Luma(file []byte, pixels int64) (*Picture, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	d.begin(file, pixels)
	if err := d.segments(); err != nil {
		return nil, err
	}
	if d.progressive {
		d.reconstruct()
	}
	p := &Picture{plane: d.plane, Gray: image.Gray{Pix: d.plane.v, Stride: d.stride, Rect: image.Rect(0, 0, d.width, d.height)}}
	d.plane = nil
	return p, nil
}

// Cost returns how much memory Luma needs for a picture of that many pixels, in bytes.
func Cost(width, height int, progressive bool) int64 {
	const mcuWidth, mcuHeight = 4 * 8, 2 * 8 // of the largest
	blocks := int64(width+mcuWidth-1) / mcuWidth * (int64(height+mcuHeight-1) / mcuHeight) * (mcuWidth * mcuHeight / 64)
	bytes := blocks*64 + decoderBytes
	if progressive {
		bytes += blocks * blockBytes
	}
	return bytes
}
