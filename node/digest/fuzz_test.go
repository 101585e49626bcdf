package digest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"testing"
)

// FuzzRead: any bytes have their exact hashes, no decoder's panic comes
// through, no picture over the limit is decoded, and PDQ is there or a note says why.
func FuzzRead(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte) {
		lim := Limits{HashBytes: 1 << 20, DecodeBytes: 1 << 19, Pixels: 1 << 16, Budget: NewBudget(4 << 20), Dihedral: true}
		sum, err := Read(ctx, bytes.NewReader(file), lim)
		if len(file) > 1<<20 {
			if !errors.Is(err, ErrTooLong) {
				t.Fatalf("got %v, want ErrTooLong", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if sum.MD5 != md5.Sum(file) || sum.SHA1 != sha1.Sum(file) || sum.SHA256 != sha256.Sum256(file) || sum.Size != int64(len(file)) {
			t.Error("wrong exact hash or size")
		}
		if (sum.PDQ == nil) != (sum.Note != "") || (sum.PDQ == nil) != (sum.PDQFull == nil) ||
			(sum.PDQ == nil) != (sum.Dihedral == nil) || (sum.PDQ == nil) != (sum.DihedralFull == nil) {
			t.Errorf("got PDQ %v, full %v with note %q", sum.PDQ, sum.PDQFull, sum.Note)
		}
		if sum.PDQ != nil && (sum.Media != Image || int64(sum.Width)*int64(sum.Height) > lim.Pixels) {
			t.Errorf("decoded %q of %d×%d pixels", sum.Media, sum.Width, sum.Height)
		}
		if format, media := Sniff(file); format != sum.Format || media != sum.Media {
			t.Errorf("got %q, %q, but of the whole file %q, %q", sum.Format, sum.Media, format, media)
		}
	})
}
