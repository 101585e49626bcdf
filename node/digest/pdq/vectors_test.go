package pdq

import (
	"encoding/csv"
	"encoding/hex"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// shared returns the folder of the shared test vectors, or skips the test where
// they are missing, which in CI they must not be.
func shared(tb testing.TB) string {
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
	vectors := filepath.Join(dir, "..", "shared", "vectors", "pdq")
	if _, err := os.Stat(vectors); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("vectors: %v", err)
		}
		tb.Skipf("the shared vectors are not beside the repository: %v", err)
	}
	return vectors
}

// A vector is what the reference implementation printed for a file.
type vector struct {
	path        string
	small, full Result
}

// vectors reads a list of files and hashes, whose paths are relative to it.
func vectors(tb testing.TB, path string) []vector {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	if want := "file,md5,sha1,sha256,pdq,quality,pdq_full,quality_full"; strings.Join(rows[0], ",") != want {
		tb.Fatalf("%s: got columns %v, want %s", path, rows[0], want)
	}
	var all []vector
	for _, r := range rows[1:] {
		all = append(all, vector{
			path:  filepath.Join(filepath.Dir(path), r[0]),
			small: result(tb, r[4], r[5]),
			full:  result(tb, r[6], r[7]),
		})
	}
	return all
}

func result(tb testing.TB, hash, quality string) (r Result) {
	tb.Helper()
	if n, err := hex.Decode(r.Hash[:], []byte(hash)); err != nil || n != len(r.Hash) {
		tb.Fatalf("hash %q: %d bytes, %v", hash, n, err)
	}
	q, err := strconv.Atoi(quality)
	if err != nil {
		tb.Fatal(err)
	}
	r.Quality = q
	return r
}

func open(tb testing.TB, path string) image.Image {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return img
}

// What the difference of two JPEG decoders may do: the reference allows
// implementations 10 bits.
const (
	lossyDistance = 10
	lossyQuality  = 2
)

func checkVectors(t *testing.T, list string) {
	for _, v := range vectors(t, list) {
		t.Run(filepath.Base(v.path), func(t *testing.T) {
			small, full := FromImage(open(t, v.path))
			if strings.HasSuffix(v.path, ".png") {
				if small != v.small {
					t.Errorf("small: got %v, want %v", small, v.small)
				}
				if full != v.full {
					t.Errorf("full: got %v, want %v", full, v.full)
				}
				return
			}
			ds, df := small.Hash.Distance(v.small.Hash), full.Hash.Distance(v.full.Hash)
			qs, qf := small.Quality-v.small.Quality, full.Quality-v.full.Quality
			t.Logf("distance %d and %d, quality %+d and %+d", ds, df, qs, qf)
			if max(ds, df) > lossyDistance {
				t.Errorf("got distances %d and %d from the reference, want at most %d", ds, df, lossyDistance)
			}
			if max(qs, -qs, qf, -qf) > lossyQuality {
				t.Errorf("got quality %d and %d, want %d and %d", small.Quality, full.Quality, v.small.Quality, v.full.Quality)
			}
		})
	}
}

func TestVectors(t *testing.T) { checkVectors(t, filepath.Join("testdata", "made.csv")) }

func TestSharedVectors(t *testing.T) {
	dir := shared(t)
	checkVectors(t, filepath.Join(dir, "made.csv"))
	checkVectors(t, filepath.Join(dir, "reference.csv"))
}

// The reference's file tool printed the eight orientations of two pictures, in
// the order of FromImageDihedral, on the small path.
func TestSharedDihedral(t *testing.T) {
	dir := shared(t)
	text, err := os.ReadFile(filepath.Join(dir, "dihedral.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 16 {
		t.Fatalf("got %d lines, want 16", len(lines))
	}
	for i := 0; i < len(lines); i += 8 {
		name := strings.Split(lines[i], ",")[2]
		small, _ := FromImageDihedral(open(t, filepath.Join(dir, name)))
		for j, got := range small {
			f := strings.Split(lines[i+j], ",")
			if want := result(t, f[0], f[1]); got != want || f[2] != name {
				t.Errorf("%s, orientation %d: got %v, want %v", name, j, got, want)
			}
		}
	}
}
