package store

import (
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"hashfeed/feed"
)

// BenchmarkCommitOne publishes one record a commit, fsyncs and head file included.
func BenchmarkCommitOne(b *testing.B) {
	p := newPublisher(b, testName)
	s := create(b, b.TempDir())
	if err := s.AddFeed(p.chain); err != nil {
		b.Fatal(err)
	}
	batches := make([]*feed.Batch, b.N+1)
	for i := range batches {
		batches[i] = p.publish(min(i, 1))
	}
	if err := s.Commit(batches[0]); err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for _, batch := range batches[1:] {
		begun := time.Now()
		if err := s.Commit(batch); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
}

// BenchmarkCommit65536 takes in the largest checkpoint at once, and reports records a second and bytes on disk a record.
func BenchmarkCommit65536(b *testing.B) {
	const n = 65_536
	dir := b.TempDir()
	p := newPublisher(b, testName)
	s := create(b, dir)
	if err := s.AddFeed(p.chain); err != nil {
		b.Fatal(err)
	}
	if err := s.Commit(p.publish(0)); err != nil {
		b.Fatal(err)
	}
	var plain int
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		batch := p.publish(n)
		for _, r := range batch.Records() {
			plain += len(r.Head) + len(r.Body)
		}
		b.StartTimer()
		if err := s.Commit(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(plain)/n/float64(b.N), "plain-B/record")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(onDisk(b, filepath.Join(dir, "store")))/n/float64(b.N), "disk-B/record")
}

func onDisk(b *testing.B, dir string) (total int64) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}

// BenchmarkRecord reads single records, as the state does that looks up an earlier body.
func BenchmarkRecord(b *testing.B) {
	p := newPublisher(b, testName)
	s := create(b, b.TempDir())
	if err := s.AddFeed(p.chain); err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{0, 20_000} {
		if err := s.Commit(p.publish(n)); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		if _, err := s.Record(p.origin(), uint64(i*7919%20_000)); err != nil {
			b.Fatal(err)
		}
	}
}
