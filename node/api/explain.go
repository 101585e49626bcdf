package api

import (
	"context"
	"net/http"

	"hashfeed/node/policy"
)

// Explain asks why an upload is answered as it is: by hashes, all of one file, or by the record that it would be an exact copy of.
type Explain struct {
	Hashes []string `json:"hashes,omitempty"` // alg:hex
	Ref    string   `json:"ref,omitempty"`    // ORIGIN#INDEX, instead
}

func (s *Server) explainRoutes() []route {
	return []route{{method: http.MethodPost, path: "/v1/explain", scope: ScopeMatch, summary: "Why an upload is answered as it is: the rules that apply to each match",
		cap: maxSmall, takes: []content{jsonOf[Explain]()}, gives: ok[policy.Explained](), handle: s.explain}}
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	var body Explain
	if err := readJSON(r, &body); err != nil {
		return err
	}
	if (len(body.Hashes) == 0) == (body.Ref == "") {
		return errorf(http.StatusUnprocessableEntity, CodeIncomplete, "either hashes or a ref")
	}
	e, err := s.verbs.Explain(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, e)
}

// Explain is Verbs.Explain.
func (c *Client) Explain(ctx context.Context, r Explain) (e policy.Explained, err error) {
	return e, c.ask(ctx, http.MethodPost, "/v1/explain", r, &e)
}
