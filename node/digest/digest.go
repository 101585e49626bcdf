// Package digest computes the hashes of a file.
//
// One pass over the bytes gives MD5, SHA-1 and SHA-256; what begins like an
// image is kept meanwhile and decoded afterwards for PDQ (package pdq). Every
// file has the exact hashes. PDQ is absent, and a note says why, if the file
// isn't an image that can be decoded here: a video, a HEIC or AVIF picture, one
// that is damaged, or so big that it exceeds the limits.
//
// The words:
//
//   - format: what the first bytes say the file is, such as "jpeg"; file names and
//     declared types are never asked.
//   - media: image, video, or unknown.
//   - note: why PDQ is absent, in a few words for a person. It tells nothing of
//     the content and may be logged.
//   - budget: how much memory all decoders of a process may use together.
//
// JPEG, PNG, GIF (first frame), WebP (not animated), BMP and TIFF (first
// picture) are decoded. EXIF rotation isn't applied, and alpha is ignored, as the reference of
// PDQ has it.
//
//	sum, err := digest.File(ctx, "upload.jpg", digest.Limits{})
//	if err != nil {
//		return err
//	}
//	if sum.PDQ == nil {
//		fmt.Println("no PDQ:", sum.Note)
//	}
//
// Bytes come from strangers, so nothing is allocated on the word of a header
// before it is held against the limits, a panic of a decoder becomes a note, and
// nothing is ever written to disk. The package computes no hash of videos but
// the exact ones, no PhotoDNA, and executes no other program.
package digest

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"

	"hashfeed/node/digest/pdq"
)

// A Sum is what is known of a file.
type Sum struct {
	MD5    [md5.Size]byte
	SHA1   [sha1.Size]byte
	SHA256 [sha256.Size]byte
	Size   int64 // bytes

	Format string // "jpeg", "mp4" and so on, see Sniff; "" if unknown
	Media  Media

	// Width and Height are the picture's sides in pixels, 0 if it told none.
	Width, Height int

	// PDQ and PDQFull are the hashes of the two paths, small and full, of
	// package pdq. Both are nil, or none. A quality below 50 means that they say
	// little; the caller decides.
	PDQ, PDQFull *pdq.Result

	// Dihedral and DihedralFull are those of all eight orientations, if
	// Limits.Dihedral asked for them and PDQ is there.
	Dihedral, DihedralFull *[8]pdq.Result

	// Note says why PDQ is nil, and is empty otherwise.
	Note string
}

// ErrTooLong is returned, wrapped, for a stream of more than Limits.HashBytes.
var ErrTooLong = errors.New("longer than the limit for hashing")

// Read computes the hashes of the stream r, to its end. It returns an error
// only if the exact hashes can't be had: r fails, or is longer than lim allows
// ([ErrTooLong]), or ctx ends while r is read or while memory for decoding is
// waited for. Then there is no Sum.
//
// A file that isn't an image is never held in memory; of an image up to
// lim.DecodeBytes are, so a caller that serves strangers bounds how many
// Reads run at a time.
func Read(ctx context.Context, r io.Reader, lim Limits) (Sum, error) {
	return read(ctx, r, 0, lim.orDefault())
}

// File computes the hashes of a file. It doesn't apply lim.HashBytes: a file
// named on the command line may be as long as it likes. The limits on decoding hold.
func File(ctx context.Context, path string, lim Limits) (Sum, error) {
	f, err := os.Open(path)
	if err != nil {
		return Sum{}, err // names the path
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Sum{}, err
	}
	lim = lim.orDefault()
	lim.HashBytes = math.MaxInt64
	sum, err := read(ctx, f, info.Size(), lim)
	if err != nil {
		return Sum{}, fmt.Errorf("%s: %w", path, err)
	}
	return sum, nil
}

// read is Read with limits complete; size is how long r may turn out to be, or 0.
func read(ctx context.Context, r io.Reader, size int64, lim Limits) (Sum, error) {
	var (
		sum   Sum
		exact = [...]hash.Hash{md5.New(), sha1.New(), sha256.New()}
		chunk = make([]byte, chunkBytes)
		kept  []byte
		keep  = true // until the format is known not to be decoded, or is too long
		done  bool
	)
	for !done {
		if err := ctx.Err(); err != nil {
			return Sum{}, fmt.Errorf("hashing after %d bytes: %w", sum.Size, err)
		}
		// Chunks are filled, so that the first holds all of the file's head.
		n, err := io.ReadFull(r, chunk)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			done = true
		case err != nil:
			return Sum{}, fmt.Errorf("reading after %d bytes: %w", sum.Size+int64(n), err)
		}
		if int64(n) > lim.HashBytes-sum.Size {
			return Sum{}, fmt.Errorf("hashing a stream: %w of %d bytes", ErrTooLong, lim.HashBytes)
		}
		if sum.Size == 0 {
			sum.Format, sum.Media = Sniff(chunk[:n])
			keep = decoders[sum.Format].decode != nil
			if keep {
				kept = make([]byte, 0, max(int64(n), min(size, lim.DecodeBytes)))
			}
		}
		sum.Size += int64(n)
		for _, h := range exact {
			h.Write(chunk[:n])
		}
		if keep && sum.Size > lim.DecodeBytes {
			keep, kept = false, nil
		}
		if keep {
			kept = append(kept, chunk[:n]...)
		}
	}
	exact[0].Sum(sum.MD5[:0])
	exact[1].Sum(sum.SHA1[:0])
	exact[2].Sum(sum.SHA256[:0])

	switch {
	case sum.Size == 0:
		sum.Note = "empty"
	case sum.Format == "":
		sum.Note = "not an image"
	case sum.Media != Image:
		sum.Note = fmt.Sprintf("not an image: %s", sum.Format)
	case decoders[sum.Format].decode == nil:
		sum.Note = fmt.Sprintf("%s can't be decoded here", sum.Format)
	case !keep:
		sum.Note = fmt.Sprintf("%s: more than %d bytes, not decoded", sum.Format, lim.DecodeBytes)
	default:
		if err := look(ctx, &sum, kept, lim); err != nil {
			return Sum{}, err
		}
	}
	return sum, nil
}
