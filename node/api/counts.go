package api

import (
	"context"
	"net/http"
	"time"
)

// CountVerbs are what is told of the counts that members share with publishers.
type CountVerbs interface {
	// FeedCounts is what members have shared of an own feed: sums over all of them.
	FeedCounts(ctx context.Context, name string) (FeedCounts, error)
	// SharedCounts is what this node shares with the publisher of a followed feed, or would share.
	SharedCounts(ctx context.Context, name string) (SharedCounts, error)
}

// FeedCounts is what members have shared of an own feed in the last year: `hashfeed feed counts --json`.
type FeedCounts struct {
	Feed   string       `json:"feed"`
	Take   bool         `json:"take_counts"` // [own] take_counts
	Fewest uint64       `json:"fewest"`      // no member tells a smaller number
	Weeks  []WeekCounts `json:"weeks"`       // the newest first
}

// WeekCounts is what came of a week's matches of a feed. A number that isn't there is below Fewest, or none. Each upload is in one number of Matches.
type WeekCounts struct {
	Week     string         `json:"week"` // by ISO 8601: 2026-W48
	Since    time.Time      `json:"since"`
	Until    time.Time      `json:"until"`
	Members  int            `json:"members,omitempty"` // that have shared; of a sum
	Matches  []MatchCount   `json:"matches"`
	Outcomes []OutcomeCount `json:"outcomes"`
}

// MatchCount is how many uploads matched in one way.
type MatchCount struct {
	Verdict string `json:"verdict"` // the record's: baseline, national or doubtful
	Kind    string `json:"kind"`    // exact, near or weak
	Action  string `json:"action"`  // block, review or log
	Count   uint64 `json:"count"`
	Members int    `json:"members,omitempty"` // whose numbers are in it; of a sum
}

// OutcomeCount is about how many uploads that matched people said this, in that week.
type OutcomeCount struct {
	Outcome string `json:"outcome"` // removed, refused, preserved, reported, false
	Count   uint64 `json:"count"`
	Members int    `json:"members,omitempty"` // whose numbers are in it; of a sum
}

// SharedCounts is what is shared with the publisher of a followed feed: `hashfeed journal stats --shared FEED --json`.
type SharedCounts struct {
	Feed   string       `json:"feed"`
	Share  bool         `json:"share_counts"`    // of its [[follow]]
	First  *time.Time   `json:"first,omitempty"` // when the first week begins that is shared
	Note   string       `json:"note,omitempty"`  // why the last attempt to send failed
	Fewest uint64       `json:"fewest"`          // smaller numbers are left out
	Weeks  []SharedWeek `json:"weeks"`           // the newest first
}

// What a SharedWeek is.
const (
	ShareRunning = "running" // this week so far: what would be shared of it
	SharePreview = "preview" // the last week, of which nothing is shared: what would be
	ShareWaiting = "waiting" // for its publisher to take it
	ShareSent    = "sent"
	ShareMissed  = "missed" // its publisher didn't take it in time
)

// SharedWeek is a week as it is shared.
type SharedWeek struct {
	WeekCounts
	State  string `json:"state"`
	Sent   string `json:"sent,omitempty"`   // when its publisher took it
	Hidden int    `json:"hidden,omitempty"` // of running and preview: how many numbers are left out because they are below Fewest; never shared
}

func (s *Server) countRoutes() []route {
	const oneFeed = "/v1/feeds/{pub}/{feed}/{log}"
	return []route{
		{method: http.MethodGet, path: oneFeed + "/counts", scope: ScopeRead, summary: "What members have shared of matches of an own feed, by week",
			gives: ok[FeedCounts](), handle: s.feedCounts},
		{method: http.MethodGet, path: oneFeed + "/shared", scope: ScopeRead, summary: "What is, or would be, shared with the publisher of a followed feed",
			gives: ok[SharedCounts](), handle: s.sharedCounts},
	}
}

func (s *Server) feedCounts(w http.ResponseWriter, r *http.Request) error {
	origin, err := pathOrigin(r)
	if err != nil {
		return err
	}
	counts, err := s.verbs.FeedCounts(r.Context(), string(origin))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, counts)
}

func (s *Server) sharedCounts(w http.ResponseWriter, r *http.Request) error {
	origin, err := pathOrigin(r)
	if err != nil {
		return err
	}
	counts, err := s.verbs.SharedCounts(r.Context(), string(origin))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, counts)
}

func (c *Client) FeedCounts(ctx context.Context, name string) (f FeedCounts, err error) {
	path, err := c.feedPath(ctx, name)
	if err != nil {
		return f, err
	}
	return f, c.ask(ctx, http.MethodGet, path+"/counts", nil, &f)
}

func (c *Client) SharedCounts(ctx context.Context, name string) (s SharedCounts, err error) {
	path, err := c.feedPath(ctx, name)
	if err != nil {
		return s, err
	}
	return s, c.ask(ctx, http.MethodGet, path+"/shared", nil, &s)
}
