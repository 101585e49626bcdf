package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
)

// The codes of errors: a closed list, so that programs can tell what to do about one.
const (
	CodeMalformed   = "malformed"    // 400: what was asked can't be read
	CodeBadHash     = "bad-hash"     // 400: a hash can't be read; index says which, from 0
	CodeToken       = "token"        // 401: no token, or none that is known
	CodeScope       = "scope"        // 403: the token may not do this
	CodeCrossOrigin = "cross-origin" // 403: a web page of another origin asked
	CodeNotFound    = "not-found"    // 404
	CodeMethod      = "method"       // 405
	CodeTimeout     = "timeout"      // 408: the body came too slowly
	CodeDuplicate   = "duplicate"    // 409: an active item of the feed has an equal exact hash; duplicate is its reference
	CodeConflict    = "conflict"     // 409: it is so already, or somebody else was faster
	CodeTooLarge    = "too-large"    // 413
	CodeMediaType   = "media-type"   // 415
	CodeMisdirected = "misdirected"  // 421: asked under a name that isn't this node's
	CodeRefused     = "refused"      // 422: a guard refuses it
	CodeIncomplete  = "incomplete"   // 422: something is missing that must be said, such as a verdict
	CodeBusy        = "busy"         // 429: come back later
	CodeInternal    = "internal"     // 500
	CodeDamaged     = "damaged"      // 500: what is stored was checked and found damaged
	CodeNotReady    = "not-ready"    // 503
	CodeLocked      = "locked"       // 503: another process has the node's directory open
)

// Error is why a verb wasn't done. It is the same whether the node was asked in this process, over its socket or over TCP.
type Error struct {
	Status    int    // HTTP status, RFC 9110
	Code      string // one of the constants Code…
	Text      string // what was being done to what, and what is wrong; no full hash
	Duplicate string // reference of the item that is listed already, of CodeDuplicate
	Index     int    // which hash or item, from 0, of CodeBadHash
	Hint      string // the command or setting that mends it, if there is one
}

func (e *Error) Error() string { return e.Text }

// errorf returns an Error; its text is formatted.
func errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Text: fmt.Sprintf(format, args...)}
}

func malformed(format string, args ...any) *Error {
	return errorf(http.StatusBadRequest, CodeMalformed, format, args...)
}

// Problem is an Error as it is sent: problem details of RFC 9457.
type Problem struct {
	Type      string `json:"type"` // about:blank: title is the status's
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Duplicate string `json:"duplicate,omitempty"`
	Index     *int   `json:"index,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

const problemType = "application/problem+json"

func (e *Error) problem() Problem {
	p := Problem{Type: "about:blank", Title: http.StatusText(e.Status), Status: e.Status, Detail: e.Text, Code: e.Code, Duplicate: e.Duplicate, Hint: e.Hint}
	if e.Code == CodeBadHash {
		p.Index = &e.Index
	}
	return p
}

func (p Problem) error() *Error {
	e := &Error{Status: p.Status, Code: p.Code, Text: p.Detail, Duplicate: p.Duplicate, Hint: p.Hint}
	if p.Index != nil {
		e.Index = *p.Index
	}
	return e
}

// asError finds or makes the Error that stands for err. Whatever no verb gave a status is internal.
func asError(err error) *Error {
	var known *Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		if text := err.Error(); text != known.Text { // what it was wrapped in says more
			wrapped := *known
			wrapped.Text = text
			return &wrapped
		}
		return known
	case errors.As(err, &large):
		return errorf(http.StatusRequestEntityTooLarge, CodeTooLarge, "the body is larger than %d bytes", large.Limit)
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Status: http.StatusNotFound, Code: CodeNotFound, Text: err.Error()}
	case isTimeout(err):
		return errorf(http.StatusRequestTimeout, CodeTimeout, "the body came too slowly")
	}
	return &Error{Status: http.StatusInternalServerError, Code: CodeInternal, Text: err.Error()}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout() && !errors.Is(err, context.DeadlineExceeded)
}

// writeProblem answers with an error.
func writeProblem(w http.ResponseWriter, e *Error) {
	h := w.Header()
	h.Set("Content-Type", problemType)
	switch e.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="hashfeed"`)
	case http.StatusTooManyRequests:
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(e.Status)
	json.NewEncoder(w).Encode(e.problem())
}
