package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// matchRequest is the JSON question.
type matchRequest struct {
	Hashes  []string `json:"hashes"`
	Partial bool     `json:"partial,omitempty"`  // a hash that can't be read is answered "error", the others nevertheless
	OneFile bool     `json:"one_file,omitempty"` // the hashes are of one file: one verdict over them together
	Ref     string   `json:"ref,omitempty"`      // the caller's own, opaque; only with one_file
}

type matchAnswer struct {
	Results []policy.Verdict `json:"results"`
}

// match answers POST /v1/match in the form that the question is in.
func (s *Server) match(w http.ResponseWriter, r *http.Request) error {
	switch mediaType(r) {
	case textType:
		return s.matchLines(w, r, wordForm)
	case ndjsonType:
		return s.matchLines(w, r, verdictForm)
	case octetType:
		return s.matchOctets(w, r)
	}
	return s.matchJSON(w, r)
}

// matchWork is what it takes to answer a JSON question, and any in the lane. It is used again, since there may be a hundred thousand questions a
// second.
type matchWork struct {
	body     []byte
	question question
	hashes   feed.Hashes
	digests  feed.Hashes // of octets: they stand in the body, so that none may be added
	answer   []byte
}

var matchWorks = sync.Pool{New: func() any { return new(matchWork) }}

func (m *matchWork) free() {
	if cap(m.body)+cap(m.answer) <= maxMatchKept {
		matchWorks.Put(m)
	}
}

func (s *Server) matchJSON(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	m := matchWorks.Get().(*matchWork)
	defer m.free()
	var err error
	if m.body, err = readAll(m.body[:0], r, maxMatchJSON); err != nil {
		return err
	}
	m.answer = m.answer[:0]
	if err := s.answerJSON(r.Context(), m, m.body); err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Content-Length", strconv.Itoa(len(m.answer)))
	_, err = w.Write(m.answer)
	return err
}

// answerJSON appends the answer to a JSON question.
func (s *Server) answerJSON(ctx context.Context, m *matchWork, body []byte) error {
	if err := m.question.parse(body); err != nil {
		return err
	}
	m.hashes.Clear()
	failed, err := m.question.read(&m.hashes)
	if err != nil {
		return err
	}
	m.answer = append(m.answer, `{"results":[`...)
	if m.question.oneFile {
		err = s.answerFile(ctx, m)
	} else {
		err = s.answerHashes(ctx, m, failed)
	}
	if err == nil {
		m.answer = append(m.answer, "]}\n"...)
	}
	return err
}

// answerFile appends the verdict over all hashes.
func (s *Server) answerFile(ctx context.Context, m *matchWork) error {
	verdicts, err := s.verbs.Match(WithRef(ctx, m.question.ref), m.hashes.List(), true)
	if err != nil {
		return err
	}
	if len(verdicts) != 1 {
		return fmt.Errorf("match: %d verdicts for one file", len(verdicts))
	}
	m.answer, err = verdicts[0].AppendJSON(m.answer)
	return err
}

// answerHashes appends the verdict on each hash, and between them those on what is none.
func (s *Server) answerHashes(ctx context.Context, m *matchWork, failed map[int]error) error {
	answers, err := s.answers(ctx, &m.hashes)
	if err != nil {
		return err
	}
	next := 0
	for i := range m.question.hashes {
		if i > 0 {
			m.answer = append(m.answer, ',')
		}
		if bad := failed[i]; bad != nil {
			m.answer, err = unreadable(bad).AppendJSON(m.answer)
		} else {
			m.answer, err = answers.AppendJSON(m.answer, next)
			next++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// answers asks for hashes one by one.
func (s *Server) answers(ctx context.Context, hashes *feed.Hashes) (policy.Answers, error) {
	answers, err := s.verbs.Answers(ctx, hashes)
	if err == nil && answers.Len() != hashes.Len() {
		err = fmt.Errorf("match: %d verdicts for %d hashes", answers.Len(), hashes.Len())
	}
	return answers, err
}

// unreadable is the answer to what is no hash.
func unreadable(err error) *policy.Verdict {
	return &policy.Verdict{Verdict: policy.OutcomeError, Checked: []string{}, Unchecked: []string{}, Matches: []policy.Match{}, Heads: []policy.Head{},
		Note: err.Error()}
}

// read reads the question's hashes into list; failed says why some can't be read, by index.
func (q *question) read(list *feed.Hashes) (failed map[int]error, err error) {
	if q.oneFile && q.partial {
		return nil, malformed("one_file and partial exclude each other: a verdict over some of a file's hashes would pass for one over all")
	}
	if len(q.ref) > maxRef {
		return nil, malformed("ref: longer than %d bytes", maxRef)
	}
	if q.ref != "" && !q.oneFile {
		return nil, malformed("ref is of one file: it wants one_file")
	}
	if q.oneFile && len(q.hashes) == 0 {
		return nil, malformed("one_file wants at least one hash")
	}
	for i, text := range q.hashes {
		err := list.Parse(text)
		switch {
		case err == nil:
		case q.partial:
			if failed == nil {
				failed = map[int]error{}
			}
			failed[i] = err
		default:
			return nil, badHash(i, err)
		}
	}
	return failed, nil
}

func badHash(i int, err error) *Error {
	e := errorf(http.StatusBadRequest, CodeBadHash, "hash %d: %v", i, err)
	e.Index = i
	return e
}

// readAll appends a body of at most limit bytes to b.
func readAll(b []byte, r *http.Request, limit int64) ([]byte, error) {
	for {
		if int64(len(b)) > limit {
			return b, &http.MaxBytesError{Limit: limit}
		}
		if len(b) == cap(b) {
			room := int64(512)
			if len(b) == 0 && r.ContentLength > 0 {
				room = min(r.ContentLength, limit) + 1 // the last byte is for the end
			}
			b = slices.Grow(b, int(room))
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			if int64(len(b)) > limit {
				return b, &http.MaxBytesError{Limit: limit}
			}
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
