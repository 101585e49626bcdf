package api

import (
	"context"
	"net/http"
	"strconv"
)

// Receipts is who has stored an own feed's current log, and up to where: `hashfeed feed receipts --json`. A receipt is a member's
// cosignature: everything below its size is verified and durably stored there, and every retraction in it has acted.
type Receipts struct {
	Origin  string    `json:"origin"`
	Size    uint64    `json:"size"`    // of the newest head
	Members []Receipt `json:"members"` // whoever is furthest behind first
}

// Receipt is the newest that one member has sent.
type Receipt struct {
	Name       string `json:"name"`
	PeerID     string `json:"peer_id,omitempty"` // "": not known to be a member, as after it was removed
	Witness    bool   `json:"witness,omitempty"` // the charter's quorum names its key
	State      string `json:"state"`             // current, behind, never, former
	Size       uint64 `json:"size"`              // 0: it has never sent any
	Time       string `json:"time,omitempty"`    // when it was signed, by the member's clock
	LagRecords uint64 `json:"lag_records"`
	LagS       int64  `json:"lag_s"` // since the oldest record that it lacks was published, in seconds
	// PendingRetractions are the retracts that it hasn't acknowledged, the oldest first; Pending is how many there are, also
	// where they are too many to be listed. Both only where they were asked for.
	PendingRetractions []string `json:"pending_retractions,omitempty"`
	Pending            int      `json:"pending,omitempty"`
}

// Recovered is what came back of an own feed: `hashfeed feed recover --json`.
type Recovered struct {
	Origin string `json:"origin"`
	Had    uint64 `json:"had"`  // records that this directory had when the node started
	Size   uint64 `json:"size"` // and has now
	From   string `json:"from"` // the member whose head says so: peer id
}

func (s *Server) receiptRoutes() []route {
	const oneFeed = "/v1/feeds/{pub}/{feed}/{log}"
	return []route{
		{method: http.MethodGet, path: oneFeed + "/receipts", scope: ScopeRead, summary: "Which members have stored an own feed, and up to where",
			gives: ok[Receipts](), params: []param{{"pending", "true: list the retracts that each member hasn't acknowledged"}}, handle: s.receipts},
		{method: http.MethodPost, path: oneFeed + "/recover", scope: ScopeAdmin, bodyOptional: true, cap: maxSmall,
			summary: "Fetch from members what this copy of an own feed lacks, and sign again", takes: []content{jsonOf[struct{}]()},
			gives: ok[Recovered](), handle: s.recover},
	}
}

func (s *Server) receipts(w http.ResponseWriter, r *http.Request) error {
	origin, err := pathOrigin(r)
	if err != nil {
		return err
	}
	get, err := query(r, "pending")
	if err != nil {
		return err
	}
	pending, err := strconv.ParseBool(orDefault(get("pending"), "false"))
	if err != nil {
		return malformed("pending %.20q: want true or false", get("pending"))
	}
	receipts, err := s.verbs.Receipts(r.Context(), string(origin), pending)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, receipts)
}

func (s *Server) recover(w http.ResponseWriter, r *http.Request) error {
	origin, err := pathOrigin(r)
	if err != nil {
		return err
	}
	recovered, err := s.verbs.Recover(r.Context(), string(origin))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, recovered)
}

func (c *Client) Receipts(ctx context.Context, name string, pending bool) (r Receipts, err error) {
	path, err := c.feedPath(ctx, name)
	if err != nil {
		return r, err
	}
	return r, c.ask(ctx, http.MethodGet, path+"/receipts?pending="+strconv.FormatBool(pending), nil, &r)
}

func (c *Client) Recover(ctx context.Context, name string) (r Recovered, err error) {
	path, err := c.feedPath(ctx, name)
	if err != nil {
		return r, err
	}
	return r, c.ask(ctx, http.MethodPost, path+"/recover", nil, &r)
}
