package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Batch is a batch of an own feed that awaits approval: nobody but those who may publish sees it, and nothing of it
// counts. The lists of counts are by word.
type Batch struct {
	ID        string         `json:"batch"` // hex: it names origin, size and root
	Origin    string         `json:"origin"`
	From      uint64         `json:"from"` // the index of its first record
	Size      uint64         `json:"size"` // of the log with it
	Root      string         `json:"root"` // hex
	Proposed  string         `json:"proposed"`
	Opening   bool           `json:"opening,omitempty"` // it opens the log, without records
	Signers   []BatchSigner  `json:"signers"`
	Signed    int            `json:"signed"` // signers who stand by it, the node's own included
	Needs     int            `json:"needs"`
	Ops       map[string]int `json:"ops"` // records by operation
	Verdicts  map[string]int `json:"verdicts"`
	Media     map[string]int `json:"media"`
	Kinds     map[string]int `json:"kinds"`      // hashes by kind
	KnownGood int            `json:"known_good"` // records with a hash that a known-good list has
	Overrides int            `json:"overrides"`  // records that say to list what is known good
	Sample    []BatchSample  `json:"sample"`
}

// BatchSigner is one of the feed's signers.
type BatchSigner struct {
	VKey   string `json:"vkey"`
	Own    bool   `json:"own,omitempty"` // the node's: it signs last, when the others have
	Signed bool   `json:"signed"`
}

// BatchSample is a record of a batch, with its hashes shortened.
type BatchSample struct {
	Ref     string   `json:"ref"`
	Op      string   `json:"op"`
	Reason  string   `json:"reason,omitempty"`
	Subject string   `json:"subject,omitempty"` // the item's add, or the record that is spoken of
	Verdict string   `json:"verdict,omitempty"`
	Media   string   `json:"media,omitempty"`
	Hashes  []string `json:"hashes,omitempty"`

	KnownGood string `json:"known_good,omitempty"` // which list has it, in words
}

// BatchText is all that an approver needs to find out what is signed, without believing the node.
type BatchText struct {
	Batch
	Anchor    string        `json:"anchor"`   // hex
	Charters  []string      `json:"charters"` // the notes, from the anchor's to the newest
	Head      string        `json:"head"`     // the checkpoint that it goes on from; empty for an opening
	Tree      [][]byte      `json:"tree"`     // the frontier of the log of size from, the largest subtree first
	Records   []BatchRecord `json:"records"`
	Earlier   []byte        `json:"earlier,omitempty"`   // the root of the log at the size that was asked for
	Proof     [][]byte      `json:"proof,omitempty"`     // from there to the size from
	Withdrawn []string      `json:"withdrawn,omitempty"` // the notes by which signers have withdrawn batches of this log
}

// BatchRecord is a record as it will stand in the log.
type BatchRecord struct {
	Head []byte `json:"head"`
	Body []byte `json:"body,omitempty"`
}

// Approved is what came of an approval.
type Approved struct {
	ID        string `json:"batch"`
	Origin    string `json:"origin"`
	From      uint64 `json:"from"`
	Size      uint64 `json:"size"`
	Signed    int    `json:"signed"`
	Needs     int    `json:"needs"`
	Published bool   `json:"published"`
}

type batchesAnswer struct {
	Batches []Batch `json:"batches"`
}

// lineBody is the body of approve and withdraw.
type lineBody struct {
	Line string `json:"line,omitempty"` // a signature line of a note, as C2SP signed-note has it, with its newline
}

// batchRoutes are the calls about batches that await approval. They tell what nobody may know yet, so they take the scope
// of those who may propose one; that a batch counts takes the signatures of others still.
func (s *Server) batchRoutes() []route {
	const one = "/v1/batches/{batch}"
	return []route{
		{method: http.MethodGet, path: "/v1/batches", scope: ScopePublish, summary: "The batches that await approval",
			gives: ok[batchesAnswer](), handle: s.batches},
		{method: http.MethodGet, path: one, scope: ScopePublish, summary: "A batch with all that its signers sign, to be checked by them",
			params: []param{{"pledged", "the size of the newest head that the asking signer has signed"}}, gives: ok[BatchText](), handle: s.batch},
		{method: http.MethodPost, path: one + "/approve", scope: ScopePublish, summary: "Add a signer's signature; the last that is needed publishes the batch",
			cap: maxSmall, takes: []content{jsonOf[lineBody]()}, bodyOptional: true, gives: ok[Approved](), handle: s.approve},
		{method: http.MethodPost, path: one + "/withdraw", scope: ScopePublish, summary: "Drop a batch",
			cap: maxSmall, takes: []content{jsonOf[lineBody]()}, bodyOptional: true, gives: []outcome{{http.StatusNoContent, content{}}}, handle: s.withdraw},
	}
}

func (s *Server) batches(w http.ResponseWriter, r *http.Request) error {
	list, err := s.verbs.Batches(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, batchesAnswer{append([]Batch{}, list...)})
}

func (s *Server) batch(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "pledged")
	if err != nil {
		return err
	}
	pledged, err := number("pledged", get("pledged"))
	if err != nil {
		return err
	}
	b, err := s.verbs.Batch(r.Context(), r.PathValue("batch"), pledged)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, b)
}

func (s *Server) approve(w http.ResponseWriter, r *http.Request) error {
	var body lineBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	a, err := s.verbs.Approve(r.Context(), r.PathValue("batch"), body.Line)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, a)
}

func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) error {
	var body lineBody
	if err := readJSON(r, &body); err != nil {
		return err
	}
	return noContent(w, s.verbs.Withdraw(r.Context(), r.PathValue("batch"), body.Line))
}

func (c *Client) Batches(ctx context.Context) ([]Batch, error) {
	var a batchesAnswer
	err := c.ask(ctx, http.MethodGet, "/v1/batches", nil, &a)
	return a.Batches, err
}

func (c *Client) Batch(ctx context.Context, id string, pledged uint64) (b BatchText, err error) {
	return b, c.ask(ctx, http.MethodGet, "/v1/batches/"+url.PathEscape(id)+"?pledged="+strconv.FormatUint(pledged, 10), nil, &b)
}

func (c *Client) Approve(ctx context.Context, id, line string) (a Approved, err error) {
	return a, c.ask(ctx, http.MethodPost, "/v1/batches/"+url.PathEscape(id)+"/approve", lineBody{line}, &a)
}

func (c *Client) Withdraw(ctx context.Context, id, line string) error {
	return c.ask(ctx, http.MethodPost, "/v1/batches/"+url.PathEscape(id)+"/withdraw", lineBody{line}, nil)
}
