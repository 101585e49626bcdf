package api

import (
	"context"
	"net/http"
	"time"

	"hashfeed/node/policy"
)

// PolicyTest asks what would have been answered under another policy: the one in force, with what is said here in its stead, or Config's.
type PolicyTest struct {
	// Config is the text of a hashfeed.toml, or of its [policy], [own] and [[follow]] alone: the whole policy. It stands alone, but for Since.
	Config string `json:"config,omitempty"`

	Feed string `json:"feed,omitempty"` // a followed feed or its origin, whose rule is changed; "": all that are followed
	Actions
	MaxDistance   *int      `json:"max_distance,omitempty"`
	Verdicts      []string  `json:"verdicts,omitempty"`
	MinPublishers *int      `json:"min_publishers,omitempty"` // of the policy, for all feeds
	Since         time.Time `json:"since,omitzero"`           // decisions from then on; absent: all
}

// Actions are what is done with a feed's matches: log, review or block; "" as it is.
type Actions struct {
	Action string `json:"action,omitempty"`      // of an exact match
	Near   string `json:"action_near,omitempty"` // of a pdq or photodna neighbour
	Weak   string `json:"action_weak,omitempty"` // of md5 or sha1 alone
}

// PolicyTested is what would have been answered otherwise. Test records are counted nowhere.
type PolicyTested struct {
	Feed      string         `json:"feed,omitempty"`
	Since     time.Time      `json:"since,omitzero"`
	Decisions int            `json:"decisions"` // that were replayed
	Skipped   int            `json:"skipped"`   // that the journal doesn't tell enough of
	Held      int            `json:"held"`      // with a match that is held: that one never blocks
	Block     PolicyShift    `json:"block"`
	Review    PolicyShift    `json:"review"`
	Samples   []PolicySample `json:"samples"`  // of the decisions that would be others, the newest first
	Note      string         `json:"note"`     // what a replay can't know
	Warnings  []string       `json:"warnings"` // what is hardly meant by the policy, as of config check; what is so already only for a Config
}

// PolicyShift is how many uploads more and fewer an action would meet.
type PolicyShift struct {
	Was       int `json:"was"`
	Would     int `json:"would"`
	More      int `json:"more"`       // of those that it would meet, didn't meet it
	Fewer     int `json:"fewer"`      // met it, and wouldn't
	KnownGood int `json:"known_good"` // of More: a known-good list has the file
	False     int `json:"false"`      // of More: people said that it isn't what the record says
}

// PolicySample is a decision that would be another.
type PolicySample struct {
	Decision string         `json:"decision"`
	Time     time.Time      `json:"time"`
	Was      policy.Outcome `json:"was"`
	Would    policy.Outcome `json:"would"`
}

// Promote switches the actions of a followed feed.
type Promote struct {
	Feed string `json:"feed"` // or its origin
	Actions
}

// Promoted is how a followed feed's matches are acted upon now.
type Promoted struct {
	Feed string `json:"feed"`
	Actions
	Warnings []string `json:"warnings"` // what is hardly meant, as of config check
}

func (s *Server) policyRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/policy/test", scope: ScopeRead, summary: "What the journal's decisions would have been under another policy",
			cap: maxPolicyTest, takes: []content{jsonOf[PolicyTest]()}, gives: ok[PolicyTested](), handle: s.policyTest},
		{method: http.MethodPost, path: "/v1/policy/promote", scope: ScopeAdmin, summary: "Switch the actions of a followed feed",
			cap: maxSmall, takes: []content{jsonOf[Promote]()}, gives: ok[Promoted](), handle: s.policyPromote},
	}
}

func (s *Server) policyTest(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var body PolicyTest
	if err := readJSON(r, &body); err != nil {
		return err
	}
	t, err := s.verbs.PolicyTest(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, t)
}

func (s *Server) policyPromote(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var body Promote
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if body.Feed == "" || body.Actions == (Actions{}) {
		return errorf(http.StatusUnprocessableEntity, CodeIncomplete, "name a feed and at least one action")
	}
	p, err := s.verbs.Promote(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, p)
}

// PolicyTest is Verbs.PolicyTest.
func (c *Client) PolicyTest(ctx context.Context, r PolicyTest) (t PolicyTested, err error) {
	return t, c.ask(ctx, http.MethodPost, "/v1/policy/test", r, &t)
}

// Promote is Verbs.Promote.
func (c *Client) Promote(ctx context.Context, r Promote) (p Promoted, err error) {
	return p, c.ask(ctx, http.MethodPost, "/v1/policy/promote", r, &p)
}
