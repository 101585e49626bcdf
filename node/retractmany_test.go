package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// TestRetractMany: what is taken off is what fits all selectors, in one batch; a dry run says the same and does nothing.
func TestRetractMany(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  api.RetractMany
		want string // numbers of items
	}{
		{"a source", api.RetractMany{Source: "ncmec:A1"}, "0 2 5"},
		{"all codes of a source", api.RetractMany{Source: "ncmec"}, "0 1 2 5"},
		{"a source of no items", api.RetractMany{Source: "nc"}, ""},
		{"since", api.RetractMany{Since: "2026-11-23T09:00:00Z"}, "4 5 6"},
		{"since, to the second", api.RetractMany{Since: "2026-11-23T09:00:01Z"}, ""},
		{"since, with another offset", api.RetractMany{Since: "2026-11-23T10:00:00+01:00"}, "4 5 6"},
		{"a batch by a record", api.RetractMany{Batch: "hotline.example/known/1#1"}, "0 1 2"},
		{"the next", api.RetractMany{Batch: "hotline.example/known/1#3"}, ""}, // the retraction of 3's
		{"two selectors", api.RetractMany{Source: "ncmec", Since: "2026-11-23T09:00:00Z"}, "5"},
		{"three", api.RetractMany{Source: "ncmec:A2", Batch: "hotline.example/known/1#0", Since: "2026-11-23T08:00:00Z"}, "1"},
		{"another feed", api.RetractMany{Feed: "other", Since: "2026-01-01T00:00:00Z"}, ""},
		{"a batch by its id", api.RetractMany{Batch: "ID"}, "4 5 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := newHandClock()
			p := newHandNode(t, "hotline.example", RoleHotline, clock)
			ctx := t.Context()
			_, err := p.CreateFeed(ctx, api.CreateFeed{Name: "other"})
			p.must(err)
			publish := func(from int, sources ...string) {
				var items []api.Item
				for i, s := range sources {
					items = append(items, api.Item{Hashes: []string{md5Of(from + i)}, Verdict: "national", Media: "image", Source: s})
				}
				_, err := p.Publish(ctx, api.Publish{Items: items})
				p.must(err)
			}
			publish(0, "ncmec:A1", "ncmec:A2", "ncmec:A1")
			publish(3, "ncmec:A1")
			p.retracts(feed.Ref{Origin: "hotline.example/known/1", Index: 3})
			clock.advance(time.Hour)
			publish(4, "", "ncmec:A1", "x:y")
			if c.ask.Batch == "ID" {
				head, _ := p.store.Head("hotline.example/known/1")
				c.ask.Batch = head.BatchID()
			}
			if c.name == "the next" {
				c.ask.Batch = "hotline.example/known/1#4"
			}
			var want []string
			places := map[string]int{"0": 0, "1": 1, "2": 2, "4": 5, "5": 6, "6": 7}
			for _, n := range strings.Fields(c.want) {
				want = append(want, fmt.Sprintf("hotline.example/known/1#%d", places[n]))
			}
			c.ask.Reason, c.ask.DryRun = "publisher-error", true
			before, _ := p.store.Head("hotline.example/known/1")
			dry, err := p.RetractMany(ctx, c.ask)
			p.must(err)
			if after, _ := p.store.Head("hotline.example/known/1"); after.Size != before.Size || !slices.Equal(dry.Refs, want) || dry.Items != len(want) || !dry.DryRun {
				t.Fatalf("dry run: got %+v, want %v", dry, want)
			}
			c.ask.DryRun = false
			done, err := p.RetractMany(ctx, c.ask)
			p.must(err)
			if !slices.Equal(done.Refs, want) || done.Batch != "" || done.DryRun {
				t.Errorf("got %+v, want %v", done, want)
			}
			for n := range 7 {
				outcome, state := policy.OutcomeBlock, policy.Active
				if n == 3 || strings.Contains(c.want, fmt.Sprint(n)) {
					outcome, state = policy.OutcomeAllow, ""
				}
				p.wantVerdict(n, outcome, state)
			}
			if after, _ := p.store.Head("hotline.example/known/1"); after.Size != before.Size+uint64(len(want)) {
				t.Errorf("the log grew from %d to %d", before.Size, after.Size)
			}
			again, err := p.RetractMany(ctx, c.ask)
			p.must(err)
			if again.Items != 0 {
				t.Errorf("again: got %+v", again)
			}
		})
	}
}

func TestRetractManyRefuses(t *testing.T) {
	p := newHandNode(t, "hotline.example", RoleHotline, newHandClock())
	p.lists(0)
	for _, c := range []struct {
		ask  api.RetractMany
		code string
	}{
		{api.RetractMany{Reason: "duplicate"}, api.CodeIncomplete},
		{api.RetractMany{Source: "ncmec"}, api.CodeIncomplete},
		{api.RetractMany{Source: "ncmec", Reason: "upheld"}, api.CodeRefused},
		{api.RetractMany{Source: "ncmec", Reason: "because"}, api.CodeRefused},
		{api.RetractMany{Source: "NCMEC A1", Reason: "duplicate"}, api.CodeMalformed},
		{api.RetractMany{Since: "yesterday", Reason: "duplicate"}, api.CodeMalformed},
		{api.RetractMany{Batch: "0123456789abcdef", Reason: "duplicate"}, api.CodeNotFound},
		{api.RetractMany{Batch: "hotline.example/known/1#1", Reason: "duplicate"}, api.CodeNotFound},
		{api.RetractMany{Batch: "b.example/known/1#0", Reason: "duplicate"}, api.CodeNotFound},
		{api.RetractMany{Feed: "none", Source: "ncmec", Reason: "duplicate"}, api.CodeNotFound},
	} {
		_, err := p.RetractMany(t.Context(), c.ask)
		wantCode(t, err, c.code)
	}
	p.wantVerdict(0, policy.OutcomeBlock, policy.Active)
}

// TestRetractManyApproval: where two must sign, all are held at once, and one batch retracts them.
func TestRetractManyApproval(t *testing.T) {
	s := newShared(t)
	s.list(md5A)
	s.list(md5B)
	ctx := context.Background()
	done, err := s.RetractMany(ctx, api.RetractMany{Feed: "shared", Since: "2026-01-01T00:00:00Z", Reason: "publisher-error"})
	s.must(err)
	if done.Items != 2 || done.Held != 2 || done.Until == "" || done.Batch == "" {
		t.Fatalf("got %+v", done)
	}
	for _, hash := range []string{md5A, md5B} {
		s.wantVerdict(hash, policy.OutcomeReview, "suspended")
	}
	_, err = s.RetractMany(ctx, api.RetractMany{Feed: "shared", Since: "2026-01-01T00:00:00Z", Reason: "publisher-error"})
	wantCode(t, err, api.CodeConflict)
	if b := s.pending(); b.Ops["retract"] != 2 || b.ID != done.Batch {
		t.Errorf("got %+v", b)
	}
	s.approve(s.carol, done.Batch)
	for _, hash := range []string{md5A, md5B} {
		s.wantVerdict(hash, policy.OutcomeAllow, "")
	}

	// A batch is named by the id under which it was approved.
	p := s.propose("md5:2123456789abcdef0123456789abcdef")
	s.approve(s.bob, p.Batch)
	dry, err := s.RetractMany(ctx, api.RetractMany{Feed: "shared", Batch: p.Batch, Reason: "duplicate", DryRun: true})
	s.must(err)
	if !slices.Equal(dry.Refs, []string{p.Ref}) {
		t.Errorf("got %+v, want %s", dry, p.Ref)
	}
}
