package api

import (
	"context"
	"net/http"
	"net/url"
)

// KnownGood is what a node knows to be harmless: `hashfeed knowngood list --json`.
type KnownGood struct {
	Sources []KnownSource `json:"sources"`
	Files   []KnownFile   `json:"files"` // the operator's own
}

// KnownSource is one list that files are compared with.
type KnownSource struct {
	Kind     string `json:"kind"` // own, builtin or bloom
	Path     string `json:"path,omitempty"`
	Files    uint64 `json:"files"`
	Pictures uint64 `json:"pictures,omitempty"` // that are also found by their look
	Problem  string `json:"problem,omitempty"`
}

// The kinds of KnownSource.
const (
	KnownOwn     = "own"
	KnownBuiltin = "builtin"
	KnownBloom   = "bloom"
)

// KnownFile is a file that the operator calls known good.
type KnownFile struct {
	Name   string   `json:"name"`            // what the operator calls it; it never leaves the node
	Hashes []string `json:"hashes"`          // alg:hex, pdq kinds with their quality
	Added  string   `json:"added,omitempty"` // UTC, RFC 3339; the node's
}

// KnownChange is what came of an addition or a removal.
type KnownChange struct {
	Added   int `json:"added,omitempty"`
	Known   int `json:"known,omitempty"` // of those that were to be added: the own list had them
	Removed int `json:"removed,omitempty"`
	Files   int `json:"files"` // in the own list now
}

// addKnownBody is the body of POST /v1/knowngood.
type addKnownBody struct {
	Files []KnownFile `json:"files"`
}

// knownRoutes are the calls about known-good files. To call something known good takes the scope of the operator: it keeps
// anything that looks like it from being blocked.
func (s *Server) knownRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/v1/knowngood", scope: ScopeRead, summary: "The lists of known-good files, and the operator's own files",
			gives: ok[KnownGood](), handle: s.knownGood},
		{method: http.MethodPost, path: "/v1/knowngood", scope: ScopeAdmin, summary: "Call files known good: nobody lists them here, and nothing blocks them",
			cap: maxPublish, takes: []content{jsonOf[addKnownBody]()}, gives: ok[KnownChange](), handle: s.addKnownGood},
		{method: http.MethodDelete, path: "/v1/knowngood/{hash}", scope: ScopeAdmin, summary: "Take the files with a hash (alg:hex) off the own list",
			gives: ok[KnownChange](), handle: s.removeKnownGood},
	}
}

func (s *Server) knownGood(w http.ResponseWriter, r *http.Request) error {
	k, err := s.verbs.KnownGood(r.Context())
	if err != nil {
		return err
	}
	k.Sources, k.Files = append([]KnownSource{}, k.Sources...), append([]KnownFile{}, k.Files...)
	return writeJSON(w, http.StatusOK, k)
}

func (s *Server) addKnownGood(w http.ResponseWriter, r *http.Request) error {
	var body addKnownBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	switch {
	case len(body.Files) == 0:
		return errorf(http.StatusUnprocessableEntity, CodeIncomplete, "files are missing")
	case len(body.Files) > MaxItems:
		return errorf(http.StatusRequestEntityTooLarge, CodeTooLarge, "more than %d files", MaxItems)
	}
	c, err := s.verbs.AddKnownGood(r.Context(), body.Files)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, c)
}

func (s *Server) removeKnownGood(w http.ResponseWriter, r *http.Request) error {
	c, err := s.verbs.RemoveKnownGood(r.Context(), r.PathValue("hash"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, c)
}

func (c *Client) KnownGood(ctx context.Context) (k KnownGood, err error) {
	return k, c.ask(ctx, http.MethodGet, "/v1/knowngood", nil, &k)
}

func (c *Client) AddKnownGood(ctx context.Context, files []KnownFile) (k KnownChange, err error) {
	return k, c.ask(ctx, http.MethodPost, "/v1/knowngood", addKnownBody{files}, &k)
}

func (c *Client) RemoveKnownGood(ctx context.Context, hash string) (k KnownChange, err error) {
	return k, c.ask(ctx, http.MethodDelete, "/v1/knowngood/"+url.PathEscape(hash), nil, &k)
}
