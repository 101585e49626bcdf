package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// twoNodes are a hotline and a host that follows it, two processes on loopback.
func twoNodes(b *testing.B) *story {
	b.Helper()
	dir, err := os.MkdirTemp("", "hf")
	if err != nil {
		b.Fatal(err)
	}
	e := &env{stdin: nil, stdout: io.Discard, stderr: io.Discard}
	s := &story{env: e, dir: dir, self: buildProgram(b)}
	b.Cleanup(s.cleanUp)
	ctx := context.Background()
	for _, a := range []struct {
		actor      **actor
		name, role string
	}{{&s.hotline, "hotline.example", "hotline"}, {&s.host, "host.example", "host"}} {
		if *a.actor, err = s.newActor(ctx, a.name, a.role); err != nil {
			b.Fatal(err)
		}
		if err := s.start(ctx, *a.actor); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func (s *story) pairTwo(b *testing.B) {
	b.Helper()
	ctx := context.Background()
	id, err := s.hotline.door.Identity(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.hotline.door.AddMember(ctx, api.AddMember{PeerID: s.host.peer, Name: s.host.name}); err != nil {
		b.Fatal(err)
	}
	if _, err := s.host.door.Follow(ctx, api.Follow{Invite: id.Invite, Verdicts: []string{"national"}, Action: "block", Near: "block", Weak: "block"}); err != nil {
		b.Fatal(err)
	}
}

func benchHash(i int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(i)))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// BenchmarkReach is how long it takes from the call of publish, or retract, until the other process answers accordingly:
// signed, synced to disk, pushed, fetched, verified, synced there, matched. Run with -benchtime 1000x.
func BenchmarkReach(b *testing.B) {
	s := twoNodes(b)
	s.pairTwo(b)
	ctx := context.Background()
	var refs []feed.Ref
	var hashes []string
	b.Run("publish", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			hash := benchHash(len(hashes))
			began := time.Now()
			p, err := s.hotline.door.Publish(ctx, api.Publish{Items: []api.Item{{Verdict: "national", Media: "image", Hashes: []string{hash}}}})
			if err != nil || p[0].Ref == "" {
				b.Fatalf("publish: %+v, %v", p, err)
			}
			s.host.answers(b, hash, policy.OutcomeBlock)
			took = append(took, time.Since(began))
			ref, err := feed.ParseRef(p[0].Ref)
			if err != nil {
				b.Fatal(err)
			}
			refs, hashes = append(refs, ref), append(hashes, hash)
		}
		reportTimes(b, took)
	})
	b.Run("retract", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			if len(took) == len(refs) {
				b.Fatalf("only %d records to retract: use -benchtime %dx", len(refs), len(refs))
			}
			i := len(took)
			began := time.Now()
			if _, err := s.hotline.door.Retract(ctx, refs[i], feed.FalsePositive); err != nil {
				b.Fatal(err)
			}
			s.host.answers(b, hashes[i], policy.OutcomeAllow)
			took = append(took, time.Since(began))
		}
		reportTimes(b, took)
	})
}

// answers asks until the outcome is the wanted one.
func (a *actor) answers(b *testing.B, hash string, want policy.Outcome) {
	b.Helper()
	h, err := feed.ParseHash(hash)
	if err != nil {
		b.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		v, err := a.door.Match(context.Background(), []feed.Hash{h}, false)
		if err != nil {
			b.Fatal(err)
		}
		if v[0].Verdict == want {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s answers %s, not %s", a.name, v[0].Verdict, want)
		}
	}
}

func reportTimes(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkBootstrap is a host that begins to follow a feed of many records (HASHFEED_BENCH_RECORDS, default 100,000), each with four
// hashes: how many a second, and what they cost. Run with -benchtime 1x.
func BenchmarkBootstrap(b *testing.B) {
	records := 100_000
	if n, err := strconv.Atoi(os.Getenv("HASHFEED_BENCH_RECORDS")); err == nil {
		records = n
	}
	s := twoNodes(b)
	ctx := context.Background()
	const chunk = 5000
	began := time.Now()
	for from := 0; from < records; from += chunk {
		var r api.Publish
		for i := from; i < min(from+chunk, records); i++ {
			sum, second := sha256.Sum256([]byte(strconv.Itoa(i))), sha256.Sum256([]byte("pdq"+strconv.Itoa(i)))
			r.Items = append(r.Items, api.Item{Verdict: "national", Media: "image", Hashes: []string{
				fmt.Sprintf("md5:%x", sum[:16]), fmt.Sprintf("sha1:%x", second[:20]), fmt.Sprintf("sha256:%x", sum), fmt.Sprintf("pdq:%x:100", second)}})
		}
		if _, err := s.hotline.door.Publish(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(records)/time.Since(began).Seconds(), "published/s")
	for b.Loop() {
		began := time.Now()
		s.pairTwo(b)
		if _, err := s.host.has(ctx, string(knownFeed), uint64(records)); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(records)/time.Since(began).Seconds(), "records/s")
	}
	b.ReportMetric(s.host.counter(b, "hashfeed_gossip_fetched_bytes_total")/float64(records), "wire-B/record")
	b.ReportMetric(float64(s.host.peakMemory(b))/(1<<20), "peak-MiB")
	s.host.end()
	b.ReportMetric(float64(sizeOf(b, filepath.Join(s.host.dir, "store")))/float64(records), "disk-B/record")
}

// counter reads a metric of a daemon.
func (a *actor) counter(b *testing.B, name string) float64 {
	b.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", a.socket)
	}}}
	resp, err := client.Get("http://hashfeed/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + `(?:\{[^}]*\})? (\S+)$`).FindSubmatch(text)
	if found == nil {
		b.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// peakMemory is the most that a daemon had resident, in bytes.
func (a *actor) peakMemory(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		b.Fatal("no VmHWM")
	}
	n, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n << 10
}

// sizeOf is what a folder takes on disk, holes in files not counted.
func sizeOf(b *testing.B, dir string) (size int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		blocks, err := diskBlocks(path)
		size += blocks
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return size
}
