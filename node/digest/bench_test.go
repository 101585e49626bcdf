package digest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// benchmarkFile measures a file from bytes to all its hashes.
func benchmarkFile(b *testing.B, file []byte) {
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		sum, err := Read(ctx, bytes.NewReader(file), Limits{})
		if err != nil || sum.PDQ == nil {
			b.Fatalf("%v, note %q", err, sum.Note)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hashes/s")
}

// A photograph of 1600×1004 pixels, 360 KB, by its luma, and decoded by image/jpeg.
func BenchmarkFileJPEG(b *testing.B) {
	file, err := os.ReadFile(filepath.Join(shared(b, "pdq"), "reference", "bridge-mods", "aaa-orig.jpg"))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("luma", func(b *testing.B) { benchmarkFile(b, file) })
	b.Run("standard", func(b *testing.B) {
		luma := decoders["jpeg"]
		decoders["jpeg"] = anyJPEG
		defer func() { decoders["jpeg"] = luma }()
		benchmarkFile(b, file)
	})
}

// A drawing of 1600×1004 pixels.
func BenchmarkFilePNG(b *testing.B) { benchmarkFile(b, pngOf(b, 1600, 1004)) }
