package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"strconv"
)

// Finding is one thing that fsck or doctor found: `hashfeed fsck --json`, `hashfeed doctor --json`.
type Finding struct {
	Kind   string `json:"kind"`   // what it is about: config, key, tokens, members, evidence, store, charter, head, heads, bodies, tile, …
	Where  string `json:"where"`  // a file under DIR, or ORIGIN and the part of it
	Text   string `json:"text"`   // what is wrong
	Means  string `json:"means"`  // what that means for whoever relies on the node
	Remedy string `json:"remedy"` // the command that mends it
	State  string `json:"state"`  // damaged, repaired, unchecked (a key that is sealed, say), or warning (of doctor)
}

// The states of a finding.
const (
	FindingDamaged   = "damaged"
	FindingRepaired  = "repaired"
	FindingUnchecked = "unchecked"
	FindingWarning   = "warning"
)

// findingLine is a line of the answer of fsck; the last has End, so that one that was cut off isn't taken for all.
type findingLine struct {
	End bool `json:"end,omitempty"`
	Finding
	Problem *Problem `json:"problem,omitempty"` // why it couldn't be finished
}

// careRoutes are the calls by which an operator cares for a node.
func (s *Server) careRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/fsck", scope: ScopeAdmin, summary: "Check everything that is stored; a finding a line, the last line is {\"end\":true}",
			params: []param{{"repair", "true: mend what can be mended; default false"}},
			gives:  []outcome{{http.StatusOK, content{mediaType: ndjsonType, of: reflect.TypeFor[findingLine]()}}}, handle: s.fsck},
		{method: http.MethodGet, path: "/v1/doctor", scope: ScopeAdmin, summary: "What an operator should look at, and what mends it", gives: ok[findingsAnswer](), handle: s.doctor},
		{method: http.MethodPost, path: "/v1/backup", scope: ScopeAdmin, summary: "What the store holds, hashes included; hashfeed backup adds keys and config, and seals it",
			gives: bytesOf("application/x-tar", "an archive that ends with a mark"), handle: s.backup},
	}
}

type findingsAnswer struct {
	Findings []Finding `json:"findings"`
}

func (s *Server) doctor(w http.ResponseWriter, r *http.Request) error {
	found, err := s.verbs.Doctor(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, findingsAnswer{append([]Finding{}, found...)})
}

func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	var a findingsAnswer
	err := c.ask(ctx, http.MethodGet, "/v1/doctor", nil, &a)
	return a.Findings, err
}

func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/x-tar")
	out := bufio.NewWriterSize(w, 64<<10)
	if err := s.verbs.Backup(r.Context(), out); err != nil {
		return err
	}
	return out.Flush()
}

func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodPost, "/v1/backup", "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("copy backup: %w", err)
	}
	return nil
}

func (s *Server) fsck(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "repair")
	if err != nil {
		return err
	}
	repair, err := strconv.ParseBool(orDefault(get("repair"), "false"))
	if err != nil {
		return malformed("repair %.20q: want true or false", get("repair"))
	}
	w.Header().Set("Content-Type", ndjsonType)
	control := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	control.Flush() // a large store is read for longer than anybody waits for an answer to begin
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for f, err := range s.verbs.Fsck(r.Context(), repair) {
		if err != nil {
			p := asError(err).problem()
			return lines.Encode(findingLine{End: true, Problem: &p})
		}
		if err := lines.Encode(findingLine{Finding: f}); err != nil {
			return err
		}
		control.Flush()
	}
	return lines.Encode(findingLine{End: true})
}

func (c *Client) Fsck(ctx context.Context, repair bool) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // whoever stops early must not have to read the rest
		resp, err := c.send(ctx, http.MethodPost, "/v1/fsck?repair="+strconv.FormatBool(repair), "", nil)
		if err != nil {
			yield(Finding{}, err)
			return
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(make([]byte, 0, 4096), maxRecordLine)
		for lines.Scan() {
			var line findingLine
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				yield(Finding{}, fmt.Errorf("read the daemon's answer: %w", err))
				return
			}
			switch {
			case line.Problem != nil:
				yield(Finding{}, line.Problem.error())
				return
			case line.End:
				return
			}
			if !yield(line.Finding, nil) {
				return
			}
		}
		err = lines.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		yield(Finding{}, fmt.Errorf("read the daemon's answer: %w", err))
	}
}
