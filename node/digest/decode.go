package digest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	stdjpeg "image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	"hashfeed/node/digest/jpeg"
	"hashfeed/node/digest/pdq"
)

// A decoder reads one format. config reads no further than the header; decode
// returns no picture larger than that; cost is a generous estimate of the bytes it needs.
type decoder struct {
	config func(io.Reader) (image.Config, error)
	decode func(file []byte, c image.Config) (decoded, error)
	cost   func(file []byte, c image.Config) int64

	// instead, if there is one, is asked where decode returns jpeg.ErrVariant.
	instead *decoder
}

// A decoded is what a decoder returns. Whoever has used it calls free, which is
// never nil, and doesn't touch it again.
type decoded struct {
	image.Image
	free func()
}

// The formats that are decoded. The packages register themselves with
// image.Decode as well; it isn't asked, for it would try what the sniffed
// format isn't.
var decoders = map[string]decoder{
	"jpeg": {stdjpeg.DecodeConfig, decodeLuma, lumaCost, &anyJPEG},
	"png":  {png.DecodeConfig, reading(png.Decode), depthCost, nil},
	"gif":  {gif.DecodeConfig, decoding(decodeGIF), perPixel(2), nil},
	"webp": {webp.DecodeConfig, decoding(decodeWebP), perPixel(10), nil},
	"bmp":  {bmp.DecodeConfig, reading(bmp.Decode), perPixel(4), nil},
	"tiff": {tiff.DecodeConfig, reading(tiff.Decode), depthCost, nil},
}

// anyJPEG decodes what has no luma, or is odd.
var anyJPEG = decoder{stdjpeg.DecodeConfig, reading(stdjpeg.Decode), jpegCost, nil}

// decoding makes a decoder of one that returns an image.
func decoding(decode func(file []byte) (image.Image, error)) func([]byte, image.Config) (decoded, error) {
	return func(file []byte, _ image.Config) (decoded, error) {
		img, err := decode(file)
		return decoded{img, func() {}}, err
	}
}

// reading makes a decoder of one that reads.
func reading(decode func(io.Reader) (image.Image, error)) func([]byte, image.Config) (decoded, error) {
	return decoding(func(file []byte) (image.Image, error) { return decode(bytes.NewReader(file)) })
}

// decodeLuma decodes what a JPEG has of luma. Computed from it, PDQ differs from that of red, green and
// blue, which are rounded, and clamped where they exceed 0 to 255: by 0 to 2 bits mostly, by 8 where
// a tenth of the pixels is clamped. See lumaQuality.
func decodeLuma(file []byte, c image.Config) (decoded, error) {
	p, err := jpeg.Luma(file, int64(c.Width)*int64(c.Height))
	if err != nil {
		return decoded{}, err
	}
	return decoded{&p.Gray, p.Free}, nil
}

// decodeWebP says what YCbCr means in WebP.
func decodeWebP(file []byte) (image.Image, error) {
	img, err := webp.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	switch m := img.(type) {
	case *image.YCbCr:
		return pdq.Studio{YCbCr: m}, nil
	case *image.NYCbCrA:
		return pdq.Studio{YCbCr: &m.YCbCr}, nil
	}
	return img, nil
}

// pixels returns how many pixels a picture has.
func pixels(c image.Config) int64 { return int64(c.Width) * int64(c.Height) }

// perPixel is the cost of that many bytes a pixel.
func perPixel(bytes int64) func([]byte, image.Config) int64 {
	return func(_ []byte, c image.Config) int64 { return bytes * pixels(c) }
}

// depthCost is that of formats whose samples have 8 or 16 bits, with as much
// again for the passes of an interlaced picture or the buffer of a strip.
func depthCost(_ []byte, c image.Config) int64 {
	switch c.ColorModel {
	case color.GrayModel:
		return 2 * pixels(c)
	case color.RGBA64Model, color.NRGBA64Model:
		return 16 * pixels(c)
	}
	return 8 * pixels(c)
}

// lumaCost: a byte for each pixel, and two for its coefficient in a progressive picture.
func lumaCost(file []byte, c image.Config) int64 {
	return jpeg.Cost(c.Width, c.Height, isProgressive(file))
}

// jpegCost: with all its components, a baseline picture is four planes of bytes at most; a
// progressive one keeps its coefficients, 4 bytes each, until the last scan.
func jpegCost(file []byte, c image.Config) int64 {
	planes := int64(3)
	switch c.ColorModel {
	case color.GrayModel:
		planes = 1
	case color.CMYKModel:
		planes = 4
	}
	if isProgressive(file) {
		return planes * 5 * pixels(c)
	}
	return planes * 2 * pixels(c)
}

// isProgressive reports whether any marker in file is the frame header of a progressive
// picture. Bytes of a thumbnail may look so, and then merely cost more.
func isProgressive(file []byte) bool { return bytes.Contains(file, []byte{0xff, 0xc2}) }

// scans returns how many scans the JPEG file has, at most: in compressed data 0xff is
// always followed by 0, so that what looks like a scan's marker is one, or is in
// a comment or thumbnail.
func scans(file []byte) int64 { return int64(bytes.Count(file, []byte{0xff, 0xda})) }

// A refusal is why a picture that may be good has no PDQ, in the words of the note.
type refusal string

func (r refusal) Error() string { return string(r) }

// open decodes file once budget has what that costs, which the picture's free gives
// back. An error of ctx is returned as it is.
func (d *decoder) open(ctx context.Context, file []byte, c image.Config, budget *Budget) (decoded, error) {
	give, ok, err := budget.take(ctx, d.cost(file, c))
	if err != nil {
		return decoded{}, err
	}
	if !ok {
		return decoded{}, refusal(fmt.Sprintf("%d×%d pixels, more memory than the budget for decoding, not decoded", c.Width, c.Height))
	}
	img, err := guard(func() (decoded, error) { return d.decode(file, c) })
	if err != nil {
		give()
		return decoded{}, err
	}
	free := img.free
	img.free = func() { free(); give() }
	return img, nil
}

// hash decodes file and puts its PDQ in sum, which it leaves as it was if there is an error.
func (d *decoder) hash(ctx context.Context, sum *Sum, file []byte, c image.Config, lim Limits) error {
	img, err := d.open(ctx, file, c, lim.Budget)
	if err != nil {
		return err
	}
	defer img.free()
	// A GIF's frame may be smaller than its screen. No decoder may return more
	// than its header promised, for that is what the budget was asked for.
	b := img.Bounds()
	if b.Dx() > c.Width || b.Dy() > c.Height {
		return refusal("has more pixels than its header says")
	}
	if b.Dx() < pdq.MinSide || b.Dy() < pdq.MinSide {
		return refusal(fmt.Sprintf("%d×%d pixels, too few for PDQ", b.Dx(), b.Dy()))
	}
	hashed, err := guard(func() (Sum, error) { return hashImage(*sum, img.Image, lim.Dihedral), nil })
	if err != nil {
		return err
	}
	hashed.Width, hashed.Height = b.Dx(), b.Dy()
	*sum = hashed
	return nil
}

// hashImage returns sum with the hashes of img.
func hashImage(sum Sum, img image.Image, dihedral bool) Sum {
	if dihedral {
		small, full := pdq.FromImageDihedral(img)
		sum.Dihedral, sum.DihedralFull = &small, &full
	}
	small, full := pdq.FromImage(img)
	sum.PDQ, sum.PDQFull = &small, &full
	return sum
}

// look decodes file and puts PDQ, or the note why not, in sum. An error is that
// of ctx.
func look(ctx context.Context, sum *Sum, file []byte, lim Limits) error {
	d := decoders[sum.Format]
	note := func(format string, args ...any) error {
		sum.Note = sum.Format + ": " + fmt.Sprintf(format, args...)
		return nil
	}
	c, err := guard(func() (image.Config, error) { return d.config(bytes.NewReader(file)) })
	if err != nil {
		return note("%s", reason(err))
	}
	if c.Width < 1 || c.Height < 1 {
		return note("no pixels")
	}
	sum.Width, sum.Height = c.Width, c.Height
	// Sides first: their product doesn't overflow then.
	if c.Width > maxSide || c.Height > maxSide {
		return note("%d×%d pixels, a side over %d, not decoded", c.Width, c.Height, maxSide)
	}
	if pixels(c) > lim.Pixels {
		return note("%d×%d pixels, more than %d in all, not decoded", c.Width, c.Height, lim.Pixels)
	}
	if c.Width < pdq.MinSide || c.Height < pdq.MinSide {
		return note("%d×%d pixels, too few for PDQ", c.Width, c.Height)
	}
	if sum.Format == "jpeg" {
		if n := scans(file); n > maxScans && n*pixels(c) > maxScans*lim.Pixels {
			return note("%d scans of %d×%d pixels, not decoded", n, c.Width, c.Height)
		}
	}
	err = d.hash(ctx, sum, file, c, lim)
	if d.instead != nil && errors.Is(err, jpeg.ErrVariant) {
		err = d.instead.hash(ctx, sum, file, c, lim)
	} else if d.instead != nil && err == nil && min(sum.PDQ.Quality, sum.PDQFull.Quality) < lumaQuality {
		if err = d.instead.hash(ctx, sum, file, c, lim); !isDone(err) {
			err = nil // the hashes of luma stand
		}
	}
	var refused refusal
	switch {
	case err == nil:
		return nil
	case isDone(err):
		return fmt.Errorf("waiting to decode a %s of %d×%d pixels: %w", sum.Format, c.Width, c.Height, err)
	case errors.As(err, &refused):
		return note("%s", refused)
	}
	return note("%s", reason(err))
}

// isDone reports whether err is that of a context.
func isDone(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// errPanicked is a decoder's panic. What it said is not told on: it may hold
// the attacker's bytes.
var errPanicked = errors.New("the decoder panicked")

// guard calls f, which runs a decoder on a stranger's bytes, and makes its
// panic an error.
func guard[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if recover() != nil {
			err = errPanicked
		}
	}()
	return f()
}

// reason puts a decoder's error in words for a note.
func reason(err error) string {
	var (
		unsupportedJPEG stdjpeg.UnsupportedError
		unsupportedPNG  png.UnsupportedError
		unsupportedTIFF tiff.UnsupportedError
	)
	switch {
	case errors.Is(err, errPanicked):
		return "damaged, the decoder gave up"
	case errors.As(err, &unsupportedJPEG), errors.As(err, &unsupportedPNG), errors.As(err, &unsupportedTIFF), errors.Is(err, bmp.ErrUnsupported):
		return "a variant that can't be decoded here"
	}
	return "damaged, cut off or of a variant that can't be decoded here"
}
