// Package pdq computes PDQ, a perceptual hash of images.
//
// PDQ (https://github.com/facebook/ThreatExchange/tree/main/pdq) turns a
// picture into 256 bits such that copies of it that were shrunk, recompressed
// or slightly edited differ in few bits. Two hashes are compared by [Hash.Distance];
// 31 is the distance up to which the authors call two pictures the same.
//
// The words:
//
//   - luma: the brightness of a pixel, 0.299 R + 0.587 G + 0.114 B, 0 to 255.
//   - full: the hash of the picture as it is; what pdqhash-python, and so HMA,
//     computes.
//   - small: the hash after the picture was brought to 512×512 pixels (nearest
//     neighbour, proportions not kept), which the C++ file tool does when
//     either side is over 512. Otherwise small and full are the same. On
//     ordinary pictures the two differ by 6 bits in the median and by up to 66,
//     so whoever wants to find what others have listed needs both.
//   - quality: 0 to 100, how much structure the picture has. A hash of quality
//     below 50 says little: it should neither be listed nor matched by distance.
//   - orientation: one of the eight rotations and flips of a picture. Their
//     hashes follow from one another almost for free, see [FromImageDihedral].
//
// The steps, each of which must be kept to the last bit: luma in float32; two
// passes of a box filter whose window is a 128th of the side, rounded up; 64×64
// samples of the result; quality; the lowest 16×16 coefficients of their DCT
// without the constant row and column; a bit for every coefficient above the
// median. Hence a hash has 128 ones, unless coefficients are equal.
//
// Pixels are read as red, green and blue of 8 bits: alpha is ignored, not
// composited; deeper samples lose their low bits; an EXIF rotation is not
// applied. Given the same pixels as the reference implementation, hash and
// quality are the same to the last bit.
//
//	img, _, err := image.Decode(f)
//	if err != nil {
//		return err
//	}
//	small, full := pdq.FromImage(img)
//	fmt.Println(small.Hash, small.Quality, full.Hash.Distance(small.Hash))
//
// The package decodes no files, does no I/O and starts no goroutine. It sets no
// limit: it is given pixels that are in memory already. Beyond them it needs a
// 128th of the picture as float32, 200 bytes for each pixel of its width and 2 of
// its height.
package pdq

import (
	"encoding/hex"
	"fmt"
	"image"
	"math/bits"
)

// A Hash is a PDQ hash, its bytes in the order of the hexadecimal form: bit 0,
// that of the lowest frequencies, is the lowest bit of the last byte.
type Hash [32]byte

// String returns h as 64 lower-case hexadecimal digits. It is meant for
// answers and files; hashes are not logged.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Distance returns the Hamming distance of h and other, 0 to 256 bits.
func (h Hash) Distance(other Hash) int {
	n := 0
	for i := range h {
		n += bits.OnesCount8(h[i] ^ other[i])
	}
	return n
}

// Weight returns the number of ones in h: 128, or a little less in pictures
// with symmetries. A hash far from it was not computed from a photograph.
func (h Hash) Weight() int { return h.Distance(Hash{}) }

// A Result is the hash of a picture and its quality, 0 to 100. The zero Result
// is that of a picture with a side below [MinSide].
type Result struct {
	Hash    Hash
	Quality int
}

const (
	// MinSide is the least side, in pixels, of a picture that has a hash. Both
	// results of a smaller one are zero.
	MinSide = 5

	// SmallSide is the side, in pixels, of the square to which the small path
	// brings pictures that exceed it in either direction.
	SmallSide = 512
)

// FromImage returns both hashes of img. Concrete types of the standard library
// and [Studio] are read fast, any other through its At method.
func FromImage(img image.Image) (small, full Result) {
	return fromSource(imageSource(img))
}

// FromImageDihedral returns the hashes of the eight orientations of img, in
// the order of the reference: as it is, rotated by 90°, 180°, 270° against the
// clock, flipped about the horizontal axis, about the vertical axis, about the
// diagonal that falls, about the one that rises. They are derived from one transform, so
// hashes of pictures actually turned may differ in a few bits. Quality is that
// of img in all.
//
// As in the reference, element 0 is what [FromImage] returns except for a
// picture of exactly 64×64 pixels, which only FromImage takes without filter.
func FromImageDihedral(img image.Image) (small, full [8]Result) {
	return fromSourceDihedral(imageSource(img))
}

// FromRGB is [FromImage] for hosts that have pixels at hand: pix holds height
// rows of width pixels of 3 bytes, red, green, blue, without gaps. If another
// program has brought the picture to 512×512 pixels, by whatever filter, both
// results are the hash of that: near to the small path, not equal.
func FromRGB(pix []byte, width, height int) (small, full Result, err error) {
	if err := checkPixels(len(pix), width, height, 3); err != nil {
		return Result{}, Result{}, err
	}
	small, full = fromSource(rgbSource(pix, width, height))
	return small, full, nil
}

// FromGray is [FromRGB] for pixels of one byte.
func FromGray(pix []byte, width, height int) (small, full Result, err error) {
	if err := checkPixels(len(pix), width, height, 1); err != nil {
		return Result{}, Result{}, err
	}
	small, full = fromSource(graySource(pix, width, width, height))
	return small, full, nil
}

// FromLuma is [FromRGB] for pixels whose luma the caller has computed, 0 to
// 255 each, which must be finite.
func FromLuma(luma []float32, width, height int) (small, full Result, err error) {
	if err := checkPixels(len(luma), width, height, 1); err != nil {
		return Result{}, Result{}, err
	}
	small, full = fromSource(source{w: width, h: height, luma: func(y int, row []float32) {
		copy(row, luma[y*width:])
	}})
	return small, full, nil
}

// checkPixels returns an error unless n samples are exactly a picture of the
// given sides. It multiplies nothing that could overflow.
func checkPixels(n, width, height, samples int) error {
	if width < 1 || height < 1 || n/samples/width < height || n != width*height*samples {
		return fmt.Errorf("pixels: %d samples are not a picture of %d×%d pixels of %d", n, width, height, samples)
	}
	return nil
}
