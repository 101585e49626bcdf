package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
)

// Import asks to bring a list into an own feed.
type Import struct {
	Format     string `json:"format"`
	Verdict    string `json:"verdict"`               // of rows that say none
	MaxVerdict string `json:"max_verdict,omitempty"` // the gravest that a row may carry; default Verdict
	Media      string `json:"media,omitempty"`       // of rows that say none
	VerifiedBy int    `json:"verified_by,omitempty"` // of rows that say nothing of it
	Source     string `json:"source,omitempty"`      // whose list it is, 1 to 16 of a-z, 0-9 and "-"; default the format's name
	Map        string `json:"map,omitempty"`         // what the source's codes mean (hashlist.Mapping), as text
	Feed       string `json:"feed,omitempty"`        // as Verbs.Feed; default the own feed private, which is made
	Harm       string `json:"harm,omitempty"`        // if given, must be the feed's
	Permission string `json:"permission,omitempty"`  // by which the list may be passed on; needed where others read the feed
	DryRun     bool   `json:"dry_run,omitempty"`     // change nothing, only say what would be done
	Partial    bool   `json:"partial,omitempty"`     // take what is good of a list that isn't all good
	Initial    bool   `json:"initial,omitempty"`     // the source's first load: more than a day's additions may come. Once a source
	Complete   bool   `json:"complete,omitempty"`    // the list is all that the source lists: retract what isn't in it
	MaxRetract int    `json:"max_retract,omitempty"` // how many percent of the source's items may be retracted so; default 10
}

// Imported is what came of a list: `hashfeed import --json`.
type Imported struct {
	Feed       string         `json:"feed"` // origin
	Source     string         `json:"source"`
	Permission string         `json:"permission,omitempty"`
	MaxVerdict string         `json:"max_verdict"`
	DryRun     bool           `json:"dry_run,omitempty"`
	Done       bool           `json:"done"`          // all that should be taken was; of a dry run, would be
	Why        string         `json:"why,omitempty"` // not done
	Rows       int            `json:"rows"`          // that the list has, wrong ones too
	Added      int            `json:"added"`
	Revised    int            `json:"revised"`
	Retracted  int            `json:"retracted"`
	Unchanged  int            `json:"unchanged"`
	Skipped    int            `json:"skipped"` // passed over, which is no error
	Refused    int            `json:"refused"` // wrong, or a guard doesn't let them in
	Waiting    int            `json:"waiting"` // additions and changes that wait: for the batch before them, or because they are held
	Held       string         `json:"held,omitempty"`
	Batch      string         `json:"batch,omitempty"`   // it awaits approval
	Journal    string         `json:"journal,omitempty"` // the id of its line in the journal; absent where nothing came of it, and with Warning
	Warning    string         `json:"warning,omitempty"`
	Facts      map[string]int `json:"facts"`  // rows to be listed, by verdict and media: "national image"
	Kinds      map[string]int `json:"kinds"`  // their hashes by kind
	Notes      []RowNote      `json:"notes"`  // of the first rows that were skipped or refused
	Sample     []SampleRow    `json:"sample"` // some additions, drawn by lot, for somebody to look at
	Seconds    float64        `json:"seconds"`
}

// RowNote says why a row was not taken.
type RowNote struct {
	Line    int    `json:"line"`
	Refused bool   `json:"refused"` // else skipped
	Text    string `json:"text"`
}

// SampleRow is a row that is added, without a full hash.
type SampleRow struct {
	Line     int        `json:"line"`
	ID       string     `json:"id,omitempty"`
	Category string     `json:"category,omitempty"`
	Hashes   []string   `json:"hashes"` // shortened
	Facts    *FactsInfo `json:"facts"`
}

// ImportProgress is how far an import has come.
type ImportProgress struct {
	Stage string `json:"stage"` // one of the Import constants
	Rows  int    `json:"rows"`  // done in this stage
	Of    int    `json:"of"`    // 0: not known
}

// The stages of an import.
const (
	ImportChecks = "check" // all rows are read and judged, nothing is changed
	ImportTakes  = "take"
)

// HeldImport is an import whose additions wait for somebody to let them through.
type HeldImport struct {
	ID     string `json:"id"`
	Since  string `json:"since"`
	Import Import `json:"import"` // without its map
}

// Export asks for a feed as a list.
type Export struct {
	Format string `json:"format"`
	Feed   string `json:"feed,omitempty"` // as Verbs.Feed
}

// ListVerbs are the verbs of lists.
type ListVerbs interface {
	// Import reads a list, judges every row, and takes it into an own feed in signed batches. tell, if not nil, hears how far it is. A list that isn't
	// all good changes nothing unless Partial is asked for; the answer then says so, and the error is nil.
	Import(ctx context.Context, r Import, list io.Reader, tell func(ImportProgress)) (Imported, error)
	// HeldImports are the imports that brought more than a source may bring in a day. ReleaseImport takes one; DropImport forgets it.
	HeldImports(ctx context.Context) ([]HeldImport, error)
	ReleaseImport(ctx context.Context, id string, dryRun bool, tell func(ImportProgress)) (Imported, error)
	DropImport(ctx context.Context, id string) error
	// Export writes a feed as a list, each item once, retracted ones as tombstones without a hash.
	Export(ctx context.Context, r Export, w io.Writer) error
}

const formType = "multipart/form-data"

type heldAnswer struct {
	Imports []HeldImport `json:"imports"`
}

// importLine is a line of the answer of an import; the last has either a result or a problem.
type importLine struct {
	Progress *ImportProgress `json:"progress,omitempty"`
	Result   *Imported       `json:"result,omitempty"`
	Problem  *Problem        `json:"problem,omitempty"`
}

// listRoutes are the calls about lists.
func (s *Server) listRoutes() []route {
	lines := []outcome{{http.StatusOK, content{mediaType: ndjsonType, of: reflect.TypeFor[importLine]()}}}
	return []route{
		{method: http.MethodPost, path: "/v1/imports", scope: ScopeAdmin, cap: maxList,
			summary: "Take a list into an own feed; progress a line, the last line has the result or a problem",
			takes:   []content{{mediaType: formType, about: "a part request, JSON as the schema Import, and after it a part list"}}, gives: lines, handle: s.importList},
		{method: http.MethodGet, path: "/v1/imports", scope: ScopeAdmin, summary: "The imports that are held", gives: ok[heldAnswer](), handle: s.heldImports},
		{method: http.MethodPost, path: "/v1/imports/{id}/release", scope: ScopeAdmin, summary: "Take an import that is held; answers as POST /v1/imports",
			params: []param{{"dry_run", "true: only say what would be done; default false"}}, gives: lines, handle: s.releaseImport},
		{method: http.MethodDelete, path: "/v1/imports/{id}", scope: ScopeAdmin, summary: "Forget an import that is held",
			gives: []outcome{{http.StatusNoContent, content{}}}, handle: s.dropImport},
		{method: http.MethodGet, path: "/v1/export", scope: ScopeRead, summary: "A feed as a list, hashes included", params: []param{
			{"feed", "an origin, pub/feed, or an own feed's short name; default the first own feed"}, {"format", "csv or jsonl"}},
			gives: bytesOf(octetType, "the list"), handle: s.exportList},
	}
}

func (s *Server) importList(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	form, err := r.MultipartReader()
	if err != nil {
		return malformed("read the body: %v", err)
	}
	part := func(name string) (*multipart.Part, error) {
		p, err := form.NextPart()
		if err != nil {
			return nil, jsonError(err)
		}
		if p.FormName() != name {
			return nil, malformed("part %.40q: want request, then list", p.FormName())
		}
		return p, nil
	}
	p, err := part("request")
	if err != nil {
		return err
	}
	var request Import
	d := json.NewDecoder(http.MaxBytesReader(nil, p, maxSmall))
	d.DisallowUnknownFields()
	if err := d.Decode(&request); err != nil {
		return jsonError(err)
	}
	list, err := part("list")
	if err != nil {
		return err
	}
	return streamImport(w, func(tell func(ImportProgress)) (Imported, error) {
		return s.verbs.Import(r.Context(), request, list, tell)
	})
}

func (s *Server) releaseImport(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "dry_run")
	if err != nil {
		return err
	}
	dryRun, err := strconv.ParseBool(orDefault(get("dry_run"), "false"))
	if err != nil {
		return malformed("dry_run %.20q: want true or false", get("dry_run"))
	}
	return streamImport(w, func(tell func(ImportProgress)) (Imported, error) {
		return s.verbs.ReleaseImport(r.Context(), r.PathValue("id"), dryRun, tell)
	})
}

// streamImport answers with progress. As long as none was told an error is the whole answer, with its status. Nothing is told while the list still
// comes: HTTP/1 answers after the question.
func streamImport(w http.ResponseWriter, do func(tell func(ImportProgress)) (Imported, error)) error {
	control := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	begun := false
	write := func(l importLine) error {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", ndjsonType)
		}
		err := lines.Encode(l)
		control.Flush()
		return err
	}
	result, err := do(func(p ImportProgress) {
		if p.Stage == ImportChecks && p.Of == 0 {
			return
		}
		write(importLine{Progress: &p}) // who has gone away is found out by the context
	})
	switch {
	case err == nil:
		return write(importLine{Result: &result})
	case begun:
		p := asError(err).problem()
		return write(importLine{Problem: &p})
	}
	return err
}

func (s *Server) heldImports(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	held, err := s.verbs.HeldImports(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, heldAnswer{append([]HeldImport{}, held...)})
}

func (s *Server) dropImport(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	if err := s.verbs.DropImport(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) exportList(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "feed", "format")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", octetType)
	out := bufio.NewWriterSize(w, 64<<10)
	if err := s.verbs.Export(r.Context(), Export{Feed: get("feed"), Format: get("format")}, out); err != nil {
		return err
	}
	return out.Flush()
}

func (c *Client) Import(ctx context.Context, r Import, list io.Reader, tell func(ImportProgress)) (Imported, error) {
	body, out := io.Pipe()
	form := multipart.NewWriter(out)
	go func() { // ends when the request does: send closes the body
		out.CloseWithError(func() error {
			part, err := form.CreateFormField("request")
			if err == nil {
				err = json.NewEncoder(part).Encode(r)
			}
			if err == nil {
				part, err = form.CreateFormFile("list", "list")
			}
			if err == nil {
				_, err = io.Copy(part, list)
			}
			if err != nil {
				return err // without its end the form is none: a list that broke off isn't taken for whole
			}
			return form.Close()
		}())
	}()
	defer body.Close()
	return c.imported(ctx, "/v1/imports", form.FormDataContentType(), body, tell)
}

func (c *Client) ReleaseImport(ctx context.Context, id string, dryRun bool, tell func(ImportProgress)) (Imported, error) {
	return c.imported(ctx, "/v1/imports/"+url.PathEscape(id)+"/release?dry_run="+strconv.FormatBool(dryRun), "", nil, tell)
}

// imported reads the answer that streamImport gives.
func (c *Client) imported(ctx context.Context, path, contentType string, body io.Reader, tell func(ImportProgress)) (done Imported, err error) {
	resp, err := c.send(ctx, http.MethodPost, path, contentType, body)
	if err != nil {
		return done, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 4096), maxImported)
	for lines.Scan() {
		var line importLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return done, fmt.Errorf("read the daemon's answer: %w", err)
		}
		switch {
		case line.Problem != nil:
			return done, line.Problem.error()
		case line.Result != nil:
			return *line.Result, nil
		case line.Progress != nil && tell != nil:
			tell(*line.Progress)
		}
	}
	if err = lines.Err(); err == nil {
		err = io.ErrUnexpectedEOF
	}
	return done, fmt.Errorf("read the daemon's answer: %w", err)
}

func (c *Client) HeldImports(ctx context.Context) ([]HeldImport, error) {
	var a heldAnswer
	err := c.ask(ctx, http.MethodGet, "/v1/imports", nil, &a)
	return a.Imports, err
}

func (c *Client) DropImport(ctx context.Context, id string) error {
	return c.ask(ctx, http.MethodDelete, "/v1/imports/"+url.PathEscape(id), nil, nil)
}

func (c *Client) Export(ctx context.Context, r Export, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, "/v1/export?feed="+url.QueryEscape(r.Feed)+"&format="+url.QueryEscape(r.Format), "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("copy list: %w", err)
	}
	return nil
}
