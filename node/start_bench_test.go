package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"hashfeed/node/api"
)

// BenchmarkStart is how long it takes to open a node of many records (HASHFEED_BENCH_RECORDS, default 100,000), each with a sha256 and a pdq:
// by the log, and by the snapshot. Run with -benchtime 1x or 5x.
func BenchmarkStart(b *testing.B) {
	records := 100_000
	if n, err := strconv.Atoi(os.Getenv("HASHFEED_BENCH_RECORDS")); err == nil {
		records = n
	}
	dir := filepath.Join(b.TempDir(), "node")
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
	t, err := n.takeSnapshot()
	if err != nil {
		b.Fatal(err)
	}
	size, err := t.write(n)
	if err != nil {
		b.Fatal(err)
	}
	if err := n.close(); err != nil {
		b.Fatal(err)
	}
	for source, o := range map[string]Options{api.IndexLog: {Rebuild: true}, api.IndexSnapshot: {}} {
		b.Run(source, func(b *testing.B) {
			for b.Loop() {
				n := reopened(b, dir, source, o)
				b.StopTimer()
				if err := n.close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	n = reopened(b, dir, api.IndexSnapshot, Options{})
	defer n.close()
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := n.SaveIndex(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(t.pause.Microseconds())/1000, "pause-ms")
		b.ReportMetric(float64(size)/float64(records), "B/record")
	})
}
