package journal

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hashfeed/node/policy"
)

// TestWithin plays a story of decisions and acts, and wants of every stretch of it what a reader of all of it finds: each decision made or acted on
// then, once, with its acts up to then.
func TestWithin(t *testing.T) {
	d := newDesk(t)
	random := rand.New(rand.NewPCG(7, 7))
	type said struct {
		at time.Time
		of string
	}
	made := map[string]time.Time{}
	var ids []string
	var acts []said
	begin := d.clock
	for range 200 {
		d.clock = d.clock.Add(time.Duration(random.IntN(90)) * time.Minute)
		if random.IntN(20) == 0 {
			d.clock = d.clock.Add(-10 * time.Minute) // somebody sets it
		}
		if len(ids) > 0 && random.IntN(3) == 0 {
			of := ids[random.IntN(len(ids))]
			_, err := d.Acted(context.Background(), Act{Of: of, Done: []string{Acts()[random.IntN(4)]}})
			d.must(err)
			acts = append(acts, said{d.clock, of})
			continue
		}
		id, _ := d.Decided(decision(policy.OutcomeReview, "hotline.example/known/1#1"))
		ids, made[id] = append(ids, id), d.clock
	}
	for since := begin; since.Before(d.clock); since = since.Add(7 * time.Hour) {
		for _, length := range []time.Duration{time.Minute, 24 * time.Hour, 7 * 24 * time.Hour} {
			until := since.Add(length)
			want := map[string]int{}
			for id, at := range made {
				if !at.Before(since) && at.Before(until) {
					want[id] = 0
				}
			}
			for _, a := range acts {
				if !a.at.Before(since) && a.at.Before(until) {
					want[a.of] = 0
				}
			}
			for _, a := range acts {
				if n, ok := want[a.of]; ok && a.at.Before(until) {
					want[a.of] = n + 1
				}
			}
			got := map[string]int{}
			d.must(d.Within(context.Background(), since, until, func(e Entry) {
				if _, twice := got[e.ID]; twice {
					t.Errorf("%s comes twice", e.ID)
				}
				got[e.ID] = len(e.Acts)
				if !slices.IsSortedFunc(e.Acts, func(a, b Line) int { return int(a.Seq) - int(b.Seq) }) {
					t.Errorf("%s: its acts are out of order", e.ID)
				}
			}))
			if !maps.Equal(got, want) {
				t.Errorf("%v and %v: got %d decisions, want %d: %s", since, length, len(got), len(want), fmt.Sprint(got, want))
			}
		}
	}
}
