package journal

import (
	"context"
	"slices"
	"testing"
	"time"

	"hashfeed/node/policy"
)

// TestEach: every decision since a time, more than a page of them, the newest first, with what was done about it.
func TestEach(t *testing.T) {
	d := newDesk(t)
	var ids []string
	for range MaxPage + 2 {
		id, _ := d.Decided(Decision{Verdict: policy.OutcomeLog})
		ids = append(ids, id)
		d.clock = d.clock.Add(time.Second)
	}
	_, err := d.Acted(context.Background(), Act{Of: ids[1], Done: []string{False}, Tells: False})
	d.must(err)
	slices.Reverse(ids)
	each := func(since time.Time) (got []string, acts int) {
		d.must(d.Each(context.Background(), since, func(e Entry) {
			got, acts = append(got, e.ID), acts+len(e.Acts)
		}))
		return got, acts
	}
	if got, acts := each(time.Time{}); !slices.Equal(got, ids) || acts != 1 {
		t.Errorf("got %d decisions and %d acts, want %d and 1", len(got), acts, len(ids))
	}
	if got, acts := each(d.clock.Add(-3 * time.Second)); !slices.Equal(got, ids[:3]) || acts != 0 {
		t.Errorf("of three seconds got %d decisions and %d acts", len(got), acts)
	}
}
