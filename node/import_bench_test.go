package node

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"hashfeed/node/api"
)

// benchList writes a list, each row with an id, an md5, sha1, sha256 and pdq, and a size.
func benchList(b *testing.B, format string, rows int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "list."+format)
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	line := `{"id":"%d","hashes":["md5:%x","sha1:%x","sha256:%x","pdq:%x:100"],"size":%d}` + "\n"
	if format == "csv" {
		w.WriteString("id,md5,sha1,sha256,pdq,size\n")
		line = "%d,%x,%x,%x,%x:100,%d\n"
	}
	for k := range rows {
		name := strconv.Itoa(k)
		first, second, third := sha1.Sum([]byte(name)), sha256.Sum256([]byte(name)), sha256.Sum256([]byte("pdq"+name))
		fmt.Fprintf(w, line, k, first[:16], first, second, third, k+1)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkImport takes a list of HASHFEED_BENCH_RECORDS rows (default 20,000) into a new feed, and then once more, which appends nothing. peak-MB is the
// most memory that the process had meanwhile, mapped files and the match tables included. Run with -benchtime 1x for many rows.
func BenchmarkImport(b *testing.B) {
	rows := benchRecords(20_000)
	for _, format := range []string{"csv", "jsonl"} {
		b.Run(format, func(b *testing.B) {
			list, nodes := benchList(b, format, rows), b.TempDir()
			made := 0
			dir := func() string { return filepath.Join(nodes, strconv.Itoa(made)) }
			// take imports the list and wants so many records added.
			take := func(b *testing.B, i *importer, initial bool, added int) {
				b.Helper()
				f, err := os.Open(list)
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				done, err := i.Import(context.Background(), api.Import{Format: format, Verdict: "national", Media: "image", Source: "s", Initial: initial}, f, nil)
				if err != nil || done.Added != added || done.Added+done.Unchanged != rows || i.size() != uint64(rows) {
					b.Fatalf("%+v %v: the feed has %d records", done, err, i.size())
				}
			}
			b.Run("new", func(b *testing.B) {
				var peak int64
				var cpu time.Duration
				for b.Loop() {
					b.StopTimer()
					made++
					i := newImporter(b, dir(), "")
					forgetPeak(b)
					began := cpuTime()
					b.StartTimer()
					take(b, i, true, rows)
					b.StopTimer()
					cpu += cpuTime() - began
					peak = max(peak, peakMemory(b))
					i.Close()
					b.StartTimer()
				}
				reportImport(b, rows, cpu, peak)
			})
			b.Run("again", func(b *testing.B) {
				if made == 0 {
					made++
					i := newImporter(b, dir(), "")
					take(b, i, true, rows)
					i.Close()
				}
				i := &importer{t: b, dir: dir(), now: time.Unix(1_795_424_400, 0)}
				i.open()
				defer func() { i.Close() }()
				forgetPeak(b)
				began := cpuTime()
				for b.Loop() {
					take(b, i, false, 0)
				}
				reportImport(b, rows, cpuTime()-began, peakMemory(b))
			})
		})
	}
}

func reportImport(b *testing.B, rows int, cpu time.Duration, peak int64) {
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(peak)/1e6, "peak-MB")
}
