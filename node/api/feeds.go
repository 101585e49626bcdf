package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

type feedsAnswer struct {
	Feeds []FeedInfo `json:"feeds"`
}

type peersAnswer struct {
	Peers []Peer `json:"peers"`
}

func (s *Server) identity(w http.ResponseWriter, r *http.Request) error {
	id, err := s.verbs.Identity(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, id)
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	st, err := s.verbs.Status(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, st)
}

func (s *Server) feeds(w http.ResponseWriter, r *http.Request) error {
	feeds, err := s.verbs.Feeds(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, feedsAnswer{append([]FeedInfo{}, feeds...)})
}

// findFeed answers GET /v1/feed?name=…, which takes every form of a feed's name, and none for the first own feed.
func (s *Server) findFeed(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "name")
	if err != nil {
		return err
	}
	f, err := s.verbs.Feed(r.Context(), get("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, f)
}

func (s *Server) feed(w http.ResponseWriter, r *http.Request) error {
	origin, err := pathOrigin(r)
	if err != nil {
		return err
	}
	f, err := s.verbs.Feed(r.Context(), string(origin))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, f)
}

func (s *Server) createFeed(w http.ResponseWriter, r *http.Request) error {
	var body CreateFeed
	if err := readJSON(r, &body); err != nil {
		return err
	}
	f, err := s.verbs.CreateFeed(r.Context(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, f)
}

// streamEnd is the last line of a stream of records, so that one that was cut off isn't taken for all.
type streamEnd struct {
	End bool `json:"end"`
}

// readLog answers GET …/log?from=&n= with a record a line, and a last one that says that these were all.
func (s *Server) readLog(w http.ResponseWriter, r *http.Request) error {
	origin, err := pathOrigin(r)
	if err != nil {
		return err
	}
	get, err := query(r, "from", "n")
	if err != nil {
		return err
	}
	from, err := number("from", get("from"))
	if err != nil {
		return err
	}
	n, err := number("n", get("n"))
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	w.Header().Set("Content-Type", "application/x-ndjson")
	for record, err := range s.verbs.Log(r.Context(), string(origin), from, n) {
		if err != nil {
			return err // a problem while nothing of the buffer is out, else the connection breaks
		}
		if err := lines.Encode(record); err != nil {
			return err
		}
	}
	if err := lines.Encode(streamEnd{true}); err != nil {
		return err
	}
	return out.Flush()
}

func number(name, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, malformed("%s %.30q: want a number from 0", name, text)
	}
	return n, nil
}

func (s *Server) mirror(w http.ResponseWriter, r *http.Request) error {
	origin, err := pathOrigin(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	out := bufio.NewWriterSize(w, 64<<10)
	if err := s.verbs.Mirror(r.Context(), string(origin), out); err != nil {
		return err
	}
	return out.Flush()
}

func (s *Server) record(w http.ResponseWriter, r *http.Request) error {
	ref, err := pathRef(r)
	if err != nil {
		return err
	}
	record, err := s.verbs.Record(r.Context(), ref)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, record)
}

func (s *Server) proof(w http.ResponseWriter, r *http.Request) error {
	ref, err := pathRef(r)
	if err != nil {
		return err
	}
	get, err := query(r, "body")
	if err != nil {
		return err
	}
	withBody, err := strconv.ParseBool(orDefault(get("body"), "true"))
	if err != nil {
		return malformed("body %.20q: want true or false", get("body"))
	}
	proof, err := s.verbs.Prove(r.Context(), ref, withBody)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = w.Write(proof)
	return err
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// part answers the C2SP tlog-tiles read path. What it serves discloses no hash: it asks for nothing below body/.
func (s *Server) part(w http.ResponseWriter, r *http.Request) error {
	origin, err := pathOrigin(r)
	if err != nil {
		return err
	}
	path := "checkpoint"
	if tile := r.PathValue("path"); tile != "" {
		path = "tile/" + tile
	}
	if s.o.Part == nil {
		return errorf(http.StatusNotFound, CodeNotFound, "there is no %s here", path)
	}
	data, err := s.o.Part(origin, path)
	if errors.Is(err, fs.ErrNotExist) {
		return errorf(http.StatusNotFound, CodeNotFound, "there is no such part of %s", origin)
	}
	if err != nil {
		return err
	}
	if path == "checkpoint" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "private, max-age=604800, immutable") // a tile never changes; who may read it does
	}
	_, err = w.Write(data)
	return err
}

// scan answers POST /v1/scan.
func (s *Server) scan(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "ref")
	if err != nil {
		return err
	}
	ref := get("ref")
	if len(ref) > maxRef || strings.ContainsFunc(ref, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0xfffd }) {
		return malformed("ref: want at most %d bytes without control characters", maxRef)
	}
	v, err := s.verbs.Scan(r.Context(), r.Body, ref)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}
