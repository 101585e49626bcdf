package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"hashfeed/feed"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// JournalVerbs are what a node's journal can be asked.
type JournalVerbs interface {
	// Journal is decisions and imports, the newest first; or the one that ID names; or, with Open, the reviews that nobody has acted on, the oldest first.
	Journal(ctx context.Context, q JournalQuery) (JournalPage, error)
	Decision(ctx context.Context, id string) (JournalEntry, error)
	// DecisionReceipt is a file by which a third party checks a decision offline. It discloses the hashes of the records that matched.
	DecisionReceipt(ctx context.Context, id string) ([]byte, error)
	// Act records what people did about a decision.
	Act(ctx context.Context, id string, r JournalAct) (JournalEntry, error)
	// Affected are the decisions that the item of a record had a part in.
	Affected(ctx context.Context, ref feed.Ref) (JournalAffected, error)
	// JournalStats are the counts of the hours from since on and before until; zero times are no bounds.
	JournalStats(ctx context.Context, since, until time.Time) (JournalStats, error)
}

// JournalQuery says which decisions and imports are wanted; what is empty doesn't matter.
type JournalQuery struct {
	ID      string // of one: then nothing else counts
	Kind    string // JournalDecisions or JournalImports; "": both
	Open    bool   // only reviews that nobody has acted on, the oldest first; then only Limit counts
	Verdict string // log, review or block; an import has none, no Ref and no Hash
	Ref     string // the caller's own
	Hash    string // alg:hex
	Since   time.Time
	Until   time.Time
	Before  uint64 // lines below this number: the next page
	Limit   int    // of both together; at most journal.MaxPage, which is the default
}

// JournalPage is a part of the journal.
type JournalPage struct {
	Entries []JournalEntry  `json:"entries"`        // decisions
	Imports []JournalImport `json:"imports"`        // lists that were taken into own feeds, in the same order
	More    bool            `json:"more"`           // there are others
	Next    uint64          `json:"next,omitempty"` // ask with before = this number for them
}

// JournalEntry is a decision as the journal has it: `hashfeed journal show --json`. What it shares with a verdict has a verdict's names.
type JournalEntry struct {
	Decision      string                   `json:"decision"` // its id
	Seq           uint64                   `json:"seq"`      // of its line
	Time          time.Time                `json:"time"`
	Ref           string                   `json:"ref,omitempty"` // the caller's own
	Keyed         []string                 `json:"keyed"`         // the hashes that were asked, under the node's key
	Verdict       policy.Outcome           `json:"verdict"`
	Harm          string                   `json:"harm,omitempty"` // of the match that decided
	Test          bool                     `json:"test,omitempty"`
	Checked       []string                 `json:"checked"`
	Unchecked     []string                 `json:"unchecked"`
	Matches       []journal.Matched        `json:"matches"`
	Heads         []policy.Head            `json:"heads"`
	Rules         map[string]*journal.Rule `json:"rules"` // in force then, by feed
	MinPublishers int                      `json:"min_publishers,omitempty"`
	Note          string                   `json:"note,omitempty"`
	Truncated     bool                     `json:"truncated,omitempty"`
	Acts          []JournalDone            `json:"acts"`
}

// JournalDone is what people did about a decision.
type JournalDone struct {
	Time   time.Time `json:"time"`
	Done   []string  `json:"done"`
	Report string    `json:"report,omitempty"`
}

// EntryOf is an entry as it is told.
func EntryOf(e journal.Entry) JournalEntry {
	d := e.Decision
	entry := JournalEntry{Decision: e.ID, Seq: e.Seq, Time: e.Time, Ref: d.Ref, Keyed: d.Hashes, Verdict: d.Verdict, Harm: d.Harm, Test: d.Test,
		Checked: d.Checked, Unchecked: d.Unchecked, Matches: d.Matches, Heads: d.Heads, Rules: d.Rules, MinPublishers: d.MinPublishers,
		Note: d.Note, Truncated: d.Truncated, Acts: []JournalDone{}}
	for _, a := range e.Acts {
		entry.Acts = append(entry.Acts, JournalDone{Time: a.Time, Done: a.Act.Done, Report: a.Act.Report})
	}
	return entry
}

// JournalAct is what people did about a decision.
type JournalAct struct {
	Done   []string `json:"done"`             // removed, refused, preserved, reported, false
	Report string   `json:"report,omitempty"` // the report's number, the caller's own; with reported
}

// Check says what is wrong with it.
func (a JournalAct) Check() error {
	switch {
	case len(a.Done) == 0:
		return errorf(http.StatusUnprocessableEntity, CodeIncomplete, "say what was done: %v", journal.Acts())
	case len(a.Done) > len(journal.Acts()):
		return malformed("done: %d acts, there are %d", len(a.Done), len(journal.Acts()))
	case len(a.Report) > maxRef:
		return malformed("report: longer than %d bytes", maxRef)
	case slices.Contains(a.Done, journal.Reported) != (a.Report != ""):
		return errorf(http.StatusUnprocessableEntity, CodeIncomplete, "what was reported has the report's number, and nothing else has")
	}
	for i, d := range a.Done {
		if !slices.Contains(journal.Acts(), d) || slices.Contains(a.Done[:i], d) {
			return malformed("done %.20q: want each of %v once at most", d, journal.Acts())
		}
	}
	return nil
}

// JournalAffected are the uploads that an item had a part in.
type JournalAffected struct {
	Ref     string          `json:"ref"`
	Entries []JournalEntry  `json:"entries"` // decisions, the newest first
	Uploads []JournalUpload `json:"uploads"` // that were allowed and have a hash of the item; only where the journal keeps them
	More    bool            `json:"more"`
}

// JournalUpload is an upload that was allowed.
type JournalUpload struct {
	Upload string    `json:"upload"` // its id
	Time   time.Time `json:"time"`
	Ref    string    `json:"ref,omitempty"`
}

// JournalStats are counts: `hashfeed journal stats --json`. Test records are counted under test and nowhere else.
type JournalStats struct {
	Since  time.Time              `json:"since"`
	Until  time.Time              `json:"until"`
	Allow  uint64                 `json:"allow"`
	Test   uint64                 `json:"test"`
	Missed uint64                 `json:"missed"` // decisions since the start that aren't in the journal
	Harms  map[string]JournalHarm `json:"harms"`
	Days   []journal.Counts       `json:"days"`
	Hours  []journal.Counts       `json:"hours"`
}

// JournalHarm is what came of matches of one harm.
type JournalHarm struct {
	journal.Tally
	// ErrorRate is how many of the decisions that people acted on were false; absent while they acted on none.
	ErrorRate *float64 `json:"error_rate,omitempty"`
}

// HarmOf adds the rate.
func HarmOf(t journal.Tally) JournalHarm {
	h := JournalHarm{Tally: t}
	if acted := t.Right + t.False; acted > 0 {
		rate := float64(t.False) / float64(acted)
		h.ErrorRate = &rate
	}
	return h
}

func (s *Server) journalRoutes() []route {
	const oneDecision = "/v1/journal/{id}"
	get := func(path, summary string, gives []outcome, handle func(http.ResponseWriter, *http.Request) error, params ...param) route {
		return route{method: http.MethodGet, path: path, scope: ScopeRead, summary: summary, gives: gives, handle: handle, params: params}
	}
	times := []param{{"since", "RFC 3339: from this time on"}, {"until", "RFC 3339: before this time"}}
	return []route{
		get("/v1/journal", "Decisions other than allow, and imports, the newest first", ok[JournalPage](), s.journal, append([]param{
			{"id", "only the decision or import of this id"}, {"kind", "decision or import; default both"},
			{"open", "true: only reviews that nobody has acted on, the oldest first; then only limit counts"},
			{"verdict", "log, review or block"}, {"ref", "the caller's own reference"}, {"hash", "alg:hex, of what was asked"},
			{"before", "only lines below this seq: the next page"}, {"limit", "how many, at most and by default 1000"}}, times...)...),
		get("/v1/journal/stats", "Counts of decisions and of what was allowed, by hour, day and harm", ok[JournalStats](), s.journalStats, times...),
		get(oneDecision, "One decision, with what people did about it", ok[JournalEntry](), s.decision),
		get(oneDecision+"/receipt", "A decision receipt, which a third party checks offline; it discloses the records' hashes",
			bytesOf(textType, "a signed note"), s.decisionReceipt),
		{method: http.MethodPost, path: oneDecision + "/act", scope: ScopeAdmin, summary: "Record what people did about a decision", cap: maxSmall,
			takes: []content{jsonOf[JournalAct]()}, gives: ok[JournalEntry](), handle: s.act},
		get("/v1/records/{pub}/{feed}/{log}/{index}/affected", "The decisions that the record's item had a part in", ok[JournalAffected](), s.affected),
	}
}

// timeOf reads a time of a query; "" is the zero time.
func timeOf(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, malformed("%s %.40q: want a time such as 2026-11-29T02:00:00Z", name, text)
	}
	return t, nil
}

func (s *Server) journal(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "id", "kind", "open", "verdict", "ref", "hash", "since", "until", "before", "limit")
	if err != nil {
		return err
	}
	q := JournalQuery{ID: get("id"), Kind: get("kind"), Verdict: get("verdict"), Ref: get("ref"), Hash: get("hash")}
	if q.Open, err = strconv.ParseBool(orDefault(get("open"), "false")); err != nil {
		return malformed("open %.20q: want true or false", get("open"))
	}
	if q.Since, err = timeOf("since", get("since")); err != nil {
		return err
	}
	if q.Until, err = timeOf("until", get("until")); err != nil {
		return err
	}
	if q.Before, err = number("before", get("before")); err != nil {
		return err
	}
	limit, err := number("limit", get("limit"))
	if err != nil {
		return err
	}
	q.Limit = int(min(limit, journal.MaxPage))
	page, err := s.verbs.Journal(r.Context(), q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, page)
}

func (s *Server) journalStats(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "since", "until")
	if err != nil {
		return err
	}
	since, err := timeOf("since", get("since"))
	if err != nil {
		return err
	}
	until, err := timeOf("until", get("until"))
	if err != nil {
		return err
	}
	stats, err := s.verbs.JournalStats(r.Context(), since, until)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, stats)
}

func (s *Server) decision(w http.ResponseWriter, r *http.Request) error {
	e, err := s.verbs.Decision(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, e)
}

func (s *Server) decisionReceipt(w http.ResponseWriter, r *http.Request) error {
	receipt, err := s.verbs.DecisionReceipt(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", textType)
	_, err = w.Write(receipt)
	return err
}

func (s *Server) act(w http.ResponseWriter, r *http.Request) error {
	var body JournalAct
	if err := readJSON(r, &body); err != nil {
		return err
	}
	e, err := s.verbs.Act(r.Context(), r.PathValue("id"), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, e)
}

func (s *Server) affected(w http.ResponseWriter, r *http.Request) error {
	ref, err := pathRef(r)
	if err != nil {
		return err
	}
	a, err := s.verbs.Affected(r.Context(), ref)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, a)
}

func (c *Client) Journal(ctx context.Context, q JournalQuery) (page JournalPage, err error) {
	values := timesQuery(q.Since, q.Until)
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("id", q.ID)
	set("kind", q.Kind)
	set("verdict", q.Verdict)
	set("ref", q.Ref)
	set("hash", q.Hash)
	if q.Open {
		set("open", "true")
	}
	if q.Before > 0 {
		set("before", strconv.FormatUint(q.Before, 10))
	}
	if q.Limit > 0 {
		set("limit", strconv.Itoa(q.Limit))
	}
	return page, c.ask(ctx, http.MethodGet, "/v1/journal?"+values.Encode(), nil, &page)
}

func timesQuery(since, until time.Time) url.Values {
	values := url.Values{}
	if !since.IsZero() {
		values.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	if !until.IsZero() {
		values.Set("until", until.UTC().Format(time.RFC3339Nano))
	}
	return values
}

func (c *Client) Decision(ctx context.Context, id string) (e JournalEntry, err error) {
	return e, c.ask(ctx, http.MethodGet, "/v1/journal/"+url.PathEscape(id), nil, &e)
}

func (c *Client) DecisionReceipt(ctx context.Context, id string) ([]byte, error) {
	resp, err := c.send(ctx, http.MethodGet, "/v1/journal/"+url.PathEscape(id)+"/receipt", "", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

func (c *Client) Act(ctx context.Context, id string, r JournalAct) (e JournalEntry, err error) {
	return e, c.ask(ctx, http.MethodPost, "/v1/journal/"+url.PathEscape(id)+"/act", r, &e)
}

func (c *Client) Affected(ctx context.Context, ref feed.Ref) (a JournalAffected, err error) {
	return a, c.ask(ctx, http.MethodGet, recordPath(ref, "/affected"), nil, &a)
}

func (c *Client) JournalStats(ctx context.Context, since, until time.Time) (s JournalStats, err error) {
	return s, c.ask(ctx, http.MethodGet, "/v1/journal/stats?"+timesQuery(since, until).Encode(), nil, &s)
}
