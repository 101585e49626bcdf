package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"hashfeed/feed"
)

func recordAt(n int) feed.Ref {
	return feed.Ref{Origin: feed.Origin("a.example/known/1"), Index: uint64(n)}
}

// TestBreakerCounts: up to maxSampled the count is that of the different uploads within the last hour, in whatever order they come and how
// often each does.
func TestBreakerCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Breaker
		last := map[uint64]int64{}
		now := int64(1_000_000)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			now += rapid.SampledFrom([]int64{0, 0, 0, 1, 60, 1800, 3599, 3600}).Draw(t, "later")
			hash := rapid.Uint64Range(0, 200).Draw(t, "upload") << rapid.IntRange(0, 2).Draw(t, "zeros")
			last[hash] = now
			want := 0
			for h, at := range last {
				if now-at < 3600 {
					want++
				} else {
					delete(last, h)
				}
			}
			got := b.Count(recordAt(1), hash, now)
			if want <= maxSampled && got != want {
				t.Fatalf("got %d, want %d", got, want)
			}
		}
	})
}

// TestBreakerEstimates: beyond that it is off by little, and keeps no more.
func TestBreakerEstimates(t *testing.T) {
	for _, want := range []int{256, 257, 1000, 10_000, 100_000} {
		t.Run(fmt.Sprint(want), func(t *testing.T) {
			worst := 0.0
			for seed := range uint64(20) {
				var b Breaker
				random, got := rand.New(rand.NewPCG(seed, 7)), 0
				for i := range want {
					got = b.Count(recordAt(1), random.Uint64(), int64(1_000_000+i/100))
				}
				if kept := len(b.of[recordAt(1)].uploads); kept > maxSampled {
					t.Fatalf("keeps %d", kept)
				}
				off := float64(got)/float64(want) - 1
				worst = max(worst, off, -off)
			}
			if worst > 0.35 || want <= maxSampled && worst > 0 {
				t.Errorf("off by %.2f", worst)
			}
		})
	}
}

// TestBreakerBounds: it counts so many records and no more, forgets old ones first, and doesn't trip over a clock that jumps.
func TestBreakerBounds(t *testing.T) {
	var b Breaker
	for i := range uint64(50) {
		b.Count(recordAt(0), i, 1000)
	}
	for n := range 3 * maxCounted {
		b.Count(recordAt(n+1), 1, 1000)
	}
	if len(b.of) > maxCounted {
		t.Errorf("counts %d records", len(b.of))
	}
	if got := b.Count(recordAt(0), 50, 1000); got != 51 {
		t.Errorf("a record with many uploads was forgotten for others with one: got %d", got)
	}
	b.Count(recordAt(99_999), 1, 1000+3600)
	if got := b.Count(recordAt(0), 0, 1000+3600); got != 1 {
		t.Errorf("an hour later: got %d", got)
	}
	if got := b.Count(recordAt(0), 1, 10); got != 1 { // what is ahead isn't within the last hour
		t.Errorf("the clock jumped back: got %d", got)
	}
	b.Forget(recordAt(0))
	if got := b.Count(recordAt(0), 7, 10); got != 1 {
		t.Errorf("forgotten: got %d", got)
	}
}
