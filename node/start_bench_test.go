package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"hashfeed/node/api"
)

// benchRecords is how many records or rows a benchmark has: HASHFEED_BENCH_RECORDS, or as many as usual.
func benchRecords(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("HASHFEED_BENCH_RECORDS")); err == nil {
		return n
	}
	return usual
}

// startDir is the directory of a node that has been closed, and lists that many records, each with a sha256 and a pdq. With HASHFEED_BENCH_DIR it
// is kept.
func startDir(b *testing.B, records int) string {
	dir := os.Getenv("HASHFEED_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	dir = filepath.Join(dir, fmt.Sprintf("start-%d", records))
	if _, err := os.Stat(filepath.Join(dir, "index", "snapshot")); err == nil {
		return dir
	}
	if _, err := Init(dir, InitOptions{Name: "hotline.example", Role: RoleHotline, Harm: "csam", Now: usedNow}); err != nil {
		b.Fatal(err)
	}
	n := reopened(b, dir, api.IndexLog, Options{})
	for from := 0; from < records; from += maxPublishItems {
		var r api.Publish
		for i := from; i < min(from+maxPublishItems, records); i++ {
			sum, second := sha256.Sum256([]byte(strconv.Itoa(i))), sha256.Sum256([]byte("pdq"+strconv.Itoa(i)))
			r.Items = append(r.Items, api.Item{Verdict: "national", Media: "image", Hashes: []string{fmt.Sprintf("sha256:%x", sum), fmt.Sprintf("pdq:%x:100", second)}})
		}
		if _, err := n.Publish(context.Background(), r); err != nil {
			b.Fatal(err)
		}
	}
	if _, _, err := n.SaveIndex(); err != nil {
		b.Fatal(err)
	}
	if err := n.close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkStart is how long it takes to open a node of many records (HASHFEED_BENCH_RECORDS, default 100,000), each with a sha256 and a pdq:
// by the snapshot, and by the log. Run with -benchtime 1x or 5x. The first start of a process takes longer than others: only it has no memory yet.
func BenchmarkStart(b *testing.B) {
	records := benchRecords(100_000)
	dir := startDir(b, records)
	for _, c := range []struct {
		source  string
		options Options
	}{{api.IndexSnapshot, Options{}}, {api.IndexLog, Options{Rebuild: true}}} {
		b.Run(c.source, func(b *testing.B) {
			for b.Loop() {
				n := reopened(b, dir, c.source, c.options)
				b.StopTimer()
				if err := n.close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	b.Run("save", func(b *testing.B) {
		n := reopened(b, dir, api.IndexSnapshot, Options{})
		defer n.close()
		var pause time.Duration
		var size int64
		for b.Loop() {
			t, err := n.takeSnapshot()
			if err != nil {
				b.Fatal(err)
			}
			if size, err = t.write(n); err != nil {
				b.Fatal(err)
			}
			pause += t.pause
		}
		b.ReportMetric(float64(pause.Microseconds())/1000/float64(b.N), "pause-ms")
		b.ReportMetric(float64(size)/float64(records), "B/record")
	})
}
