package digest

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"hashfeed/node/digest/pdq"
)

// ctx is the background of tests that cancel nothing.
var ctx = context.Background()

// shared returns a folder of the shared test vectors, or skips the test where
// it is missing, which in CI it must not be.
func shared(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			tb.Fatal("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
	vectors := filepath.Join(dir, "..", "shared", "vectors", name)
	if _, err := os.Stat(vectors); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("vectors: %v", err)
		}
		tb.Skipf("the shared vectors are not beside the repository: %v", err)
	}
	return vectors
}

// checkList compares the Sum of each file that a list of vectors names with it.
func checkList(t *testing.T, list string) {
	f, err := os.Open(list)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows[1:] {
		t.Run(filepath.Base(r[0]), func(t *testing.T) {
			sum, err := File(ctx, filepath.Join(filepath.Dir(list), r[0]), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range [][]byte{sum.MD5[:], sum.SHA1[:], sum.SHA256[:]} {
				if want := r[1+i]; hex.EncodeToString(got) != want {
					t.Errorf("%s: got %x, want %s", rows[0][1+i], got, want)
				}
			}
			if sum.Media != Image || sum.Note != "" || sum.PDQ == nil || sum.PDQFull == nil {
				t.Fatalf("got media %q, note %q, PDQ %v, want an image with PDQ", sum.Media, sum.Note, sum.PDQ)
			}
			tolerance := 0
			if sum.Format == "jpeg" {
				tolerance = 10
			}
			for i, got := range []*pdq.Result{sum.PDQ, sum.PDQFull} {
				var want pdq.Hash
				hex.Decode(want[:], []byte(r[4+2*i]))
				if d := got.Hash.Distance(want); d > tolerance {
					t.Errorf("%s: got %v, want %v, or at most %d bits off", rows[0][4+2*i], got.Hash, want, tolerance)
				}
				if q := fmt.Sprint(got.Quality); tolerance == 0 && q != r[5+2*i] {
					t.Errorf("%s: got %s, want %s", rows[0][5+2*i], q, r[5+2*i])
				}
			}
		})
	}
}

func TestVectors(t *testing.T) { checkList(t, "pdq/testdata/made.csv") }

func TestSharedVectors(t *testing.T) {
	dir := shared(t, "pdq")
	checkList(t, filepath.Join(dir, "made.csv"))
	checkList(t, filepath.Join(dir, "reference.csv"))
}

// The exact hashes don't depend on how the stream comes, or on what it is.
func TestExact(t *testing.T) {
	img := pngOf(t, 70, 50)
	for _, b := range [][]byte{nil, []byte("x"), img, bytes.Repeat([]byte("0123456789"), 20000), img[:len(img)/2], append(bytes.Clone(img), "tail"...)} {
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(b), "bytes": iotest.OneByteReader(bytes.NewReader(b)), "with EOF": iotest.DataErrReader(bytes.NewReader(b)),
		} {
			sum, err := Read(ctx, r, Limits{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if sum.MD5 != md5.Sum(b) || sum.SHA1 != sha1.Sum(b) || sum.SHA256 != sha256.Sum256(b) || sum.Size != int64(len(b)) {
				t.Errorf("%s: wrong hash or size of %d bytes", name, len(b))
			}
			if (sum.PDQ == nil) != (sum.Note != "") || (sum.PDQ == nil) != (sum.PDQFull == nil) {
				t.Errorf("%s: got PDQ %v, full %v with note %q", name, sum.PDQ, sum.PDQFull, sum.Note)
			}
		}
	}
}

// The length limit is exact, is an error of its own, and doesn't hold for files.
func TestTooLong(t *testing.T) {
	const limit = chunkBytes + 10
	for _, n := range []int{limit, limit + 1, 3 * limit} {
		b := make([]byte, n)
		_, err := Read(ctx, bytes.NewReader(b), Limits{HashBytes: limit})
		if got, want := errors.Is(err, ErrTooLong), n > limit; got != want {
			t.Errorf("%d bytes of %d: got error %v, want one: %v", n, limit, err, want)
		}
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if sum, err := File(ctx, path, Limits{HashBytes: limit}); err != nil || sum.SHA256 != sha256.Sum256(b) {
			t.Errorf("file of %d bytes: got error %v, want its hashes", n, err)
		}
	}
	// A stream without end is left at the limit.
	if _, err := Read(ctx, zeros{}, Limits{HashBytes: 1 << 20}); !errors.Is(err, ErrTooLong) {
		t.Errorf("endless stream: got %v, want ErrTooLong", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestReadError(t *testing.T) {
	broken := errors.New("line is dead")
	r := io.MultiReader(bytes.NewReader(make([]byte, 100)), iotest.ErrReader(broken))
	if sum, err := Read(ctx, r, Limits{}); !errors.Is(err, broken) || sum != (Sum{}) {
		t.Errorf("got %v, want the reader's error and no sum", err)
	}
	dead, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Read(dead, zeros{}, Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want context.Canceled", err)
	}
	if _, err := File(ctx, filepath.Join(t.TempDir(), "absent"), Limits{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: got %v, want os.ErrNotExist", err)
	}
	if _, err := File(ctx, t.TempDir(), Limits{}); err == nil {
		t.Error("folder: got no error, want one")
	}
}

// What isn't decoded has its exact hashes and a note that says why.
func TestNotes(t *testing.T) {
	img := pngOf(t, 70, 50)
	jpg := jpegOf(t, 70, 50)
	flat := func(w, h uint32) []byte { return bombPNG(w, h) }
	for _, c := range []struct {
		name, want string
		file       []byte
		lim        Limits
	}{
		{"empty", "empty", nil, Limits{}},
		{"text", "not an image", []byte("hello"), Limits{}},
		{"video", "not an image: mp4", []byte("\x00\x00\x00\x18ftypisom\x00\x00\x00\x00"), Limits{}},
		{"heic", "heic can't be decoded here", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), Limits{}},
		{"cut", "png: damaged, cut off or of a variant that can't be decoded here", img[:len(img)-40], Limits{}},
		{"cut JPEG", "jpeg: damaged, cut off or of a variant that can't be decoded here", jpg[:len(jpg)-40], Limits{}},
		{"header only", "jpeg: damaged, cut off or of a variant that can't be decoded here", jpg[:4], Limits{}},
		{"damaged", "png: damaged, cut off or of a variant that can't be decoded here", append(bytes.Clone(img[:60]), bytes.Repeat([]byte{7}, 200)...), Limits{}},
		{"long", "png: more than 100 bytes, not decoded", img, Limits{DecodeBytes: 100}},
		{"many pixels", "png: 70×50 pixels, more than 3499 in all, not decoded", img, Limits{Pixels: 3499}},
		{"bomb", "png: 50000×50000 pixels, more than 100000000 in all, not decoded", flat(50000, 50000), Limits{}},
		{"wide", "png: 65536×1 pixels, a side over 65535, not decoded", flat(65536, 1), Limits{}},
		{"overflow", "png: a variant that can't be decoded here", flat(1<<31-1, 1<<31-1), Limits{}},
		{"no budget", "png: 70×50 pixels, more memory than the budget for decoding, not decoded", img, Limits{Budget: NewBudget(1000)}},
		{"tiny", "png: 4×90 pixels, too few for PDQ", pngOf(t, 4, 90), Limits{}},
	} {
		sum, err := Read(ctx, bytes.NewReader(c.file), c.lim)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if sum.Note != c.want || sum.PDQ != nil || sum.PDQFull != nil || sum.Dihedral != nil {
			t.Errorf("%s: got note %q, PDQ %v, want %q and none", c.name, sum.Note, sum.PDQ, c.want)
		}
		if sum.SHA256 != sha256.Sum256(c.file) {
			t.Errorf("%s: wrong SHA-256", c.name)
		}
	}
}

// A limit of exactly the picture's size lets it pass.
func TestLimitsAreExact(t *testing.T) {
	img := pngOf(t, 70, 50)
	sum, err := Read(ctx, bytes.NewReader(img), Limits{HashBytes: int64(len(img)), DecodeBytes: int64(len(img)), Pixels: 3500})
	if err != nil || sum.PDQ == nil || sum.Width != 70 || sum.Height != 50 {
		t.Errorf("got %v, note %q, %d×%d, want PDQ of 70×50 pixels", err, sum.Note, sum.Width, sum.Height)
	}
}

// The eight orientations come only when asked for; the first is the picture's.
func TestDihedral(t *testing.T) {
	img := pngOf(t, 600, 400)
	plain, err := Read(ctx, bytes.NewReader(img), Limits{})
	if err != nil || plain.Dihedral != nil || plain.DihedralFull != nil {
		t.Fatalf("unasked: got %v and %v, error %v", plain.Dihedral, plain.DihedralFull, err)
	}
	sum, err := Read(ctx, bytes.NewReader(img), Limits{Dihedral: true})
	if err != nil || sum.Dihedral == nil || sum.DihedralFull == nil {
		t.Fatalf("got none, error %v, note %q", err, sum.Note)
	}
	if sum.Dihedral[0] != *plain.PDQ || sum.DihedralFull[0] != *plain.PDQFull || *sum.PDQ != *plain.PDQ {
		t.Errorf("got %v first, want %v", sum.Dihedral[0], *plain.PDQ)
	}
	if sum.Dihedral[1] == sum.Dihedral[0] {
		t.Error("the orientations are all the same")
	}
}

// A decoder's panic, and one of the hash, is a note; the exact hashes stand.
func TestPanic(t *testing.T) {
	_, err := guard(func() (int, error) { panic("attacker's words") })
	if !errors.Is(err, errPanicked) || strings.Contains(err.Error(), "attacker") {
		t.Errorf("got %v, want errPanicked", err)
	}
	if got, want := reason(err), "damaged, the decoder gave up"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A decoder that waits for the budget ends with its context, and goes on when
// another gives its share back.
func TestBudget(t *testing.T) {
	img := pngOf(t, 70, 50)
	b := NewBudget(70 * 50 * 8)
	give, ok, err := b.take(ctx, 1)
	if !ok || err != nil {
		t.Fatalf("got %v, %v, want the first byte", ok, err)
	}
	waiting, cancel := context.WithCancel(ctx)
	done := make(chan error)
	go func() {
		_, err := Read(waiting, bytes.NewReader(img), Limits{Budget: b})
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want context.Canceled", err)
	}
	sums := make(chan Sum)
	for range 4 { // of which one fits at a time
		go func() {
			sum, _ := Read(ctx, bytes.NewReader(img), Limits{Budget: b})
			sums <- sum
		}()
	}
	give()
	for range 4 {
		if sum := <-sums; sum.PDQ == nil {
			t.Errorf("got note %q, want PDQ", sum.Note)
		}
	}
}
