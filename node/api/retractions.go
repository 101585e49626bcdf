package api

import (
	"context"
	"net/http"
)

// RetractMany asks to retract all items of an own feed that every selector given fits; at least one is.
type RetractMany struct {
	Feed   string `json:"feed,omitempty"`   // as Verbs.Feed
	Batch  string `json:"batch,omitempty"`  // added by this batch: its id, or the reference of any record in it
	Source string `json:"source,omitempty"` // of this source: SCHEME:CODE, or SCHEME for all its codes
	Since  string `json:"since,omitempty"`  // added at this time or later, RFC 3339
	Reason string `json:"reason"`           // by name, as of a retraction
	DryRun bool   `json:"dry_run,omitempty"`
}

// RetractedMany is what came of it.
type RetractedMany struct {
	Feed   string   `json:"feed"`
	Items  int      `json:"items"`             // that are retracted, or would be
	Refs   []string `json:"refs"`              // of their adds, the first MaxRefs
	DryRun bool     `json:"dry_run,omitempty"` // nothing was done
	Batch  string   `json:"batch,omitempty"`   // they await approval
	Held   int      `json:"held,omitempty"`    // of them meanwhile, by a suspension: one signer may suspend so many
	Until  string   `json:"until,omitempty"`   // of that
}

// MaxRefs is how many references an answer about many items has.
const MaxRefs = 1000

func (s *Server) retractionRoutes() []route {
	return []route{{method: http.MethodPost, path: "/v1/retractions", scope: ScopePublish, summary: "Retract all items of an own feed that fit: of a batch, of a source, since a time",
		cap: maxSmall, takes: []content{jsonOf[RetractMany]()},
		gives:  []outcome{{http.StatusOK, jsonOf[RetractedMany]()}, {http.StatusCreated, jsonOf[RetractedMany]()}, {http.StatusAccepted, jsonOf[RetractedMany]()}},
		handle: s.retractMany}}
}

func (s *Server) retractMany(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var body RetractMany
	if err := readJSON(r, &body); err != nil {
		return err
	}
	done, err := s.verbs.RetractMany(r.Context(), body)
	if err != nil {
		return err
	}
	switch {
	case done.DryRun:
		return writeJSON(w, http.StatusOK, done)
	case done.Batch != "":
		return writeJSON(w, http.StatusAccepted, done)
	}
	return writeJSON(w, http.StatusCreated, done)
}

// RetractMany is Verbs.RetractMany.
func (c *Client) RetractMany(ctx context.Context, r RetractMany) (done RetractedMany, err error) {
	return done, c.ask(ctx, http.MethodPost, "/v1/retractions", r, &done)
}
