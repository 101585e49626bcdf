package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/journal"
	"hashfeed/node/policy"
)

// samples has a good request for each route. A route without one fails the tests, so that none goes without its checks.
var samples = map[string]struct{ path, contentType, body string }{
	"POST /v1/match":   {"/v1/match", "application/json", `{"hashes":[]}`},
	"POST /v1/scan":    {"/v1/scan", "", "file"},
	"POST /v1/records": {"/v1/records", "application/json", `{"hashes":["md5:00"]}`},
	"POST /v1/records/{pub}/{feed}/{log}/{index}/retract": {"/v1/records/a/b/1/7/retract", "application/json", `{"reason":"false-positive"}`},
	"POST /v1/records/{pub}/{feed}/{log}/{index}/revise":  {"/v1/records/a/b/1/7/revise", "application/json", `{}`},
	"POST /v1/records/{pub}/{feed}/{log}/{index}/dispute": {"/v1/records/a/b/1/7/dispute", "application/json", `{"reason":"collision"}`},
	"POST /v1/records/{pub}/{feed}/{log}/{index}/endorse": {"/v1/records/a/b/1/7/endorse", "", ""},
	"POST /v1/records/{pub}/{feed}/{log}/{index}/resolve": {"/v1/records/a/b/1/7/resolve", "application/json", `{"uphold":true}`},
	"POST /v1/records/{pub}/{feed}/{log}/{index}/suspend": {"/v1/records/a/b/1/7/suspend", "application/json", `{"refs":["a/b/1#8"]}`},
	"GET /v1/batches":                                     {"/v1/batches", "", ""},
	"GET /v1/batches/{batch}":                             {"/v1/batches/0123456789abcdef?pledged=3", "", ""},
	"POST /v1/batches/{batch}/approve":                    {"/v1/batches/0123456789abcdef/approve", "application/json", `{"line":"x"}`},
	"POST /v1/batches/{batch}/withdraw":                   {"/v1/batches/0123456789abcdef/withdraw", "", ""},
	"GET /v1/identity":                                    {"/v1/identity", "", ""},
	"GET /v1/status":                                      {"/v1/status", "", ""},
	"GET /v1/peers":                                       {"/v1/peers", "", ""},
	"POST /v1/peers":                                      {"/v1/peers", "application/json", `{"peer_id":"12D3"}`},
	"DELETE /v1/peers/{peer}":                             {"/v1/peers/12D3", "", ""},
	"GET /v1/members":                                     {"/v1/members", "", ""},
	"POST /v1/members":                                    {"/v1/members", "application/json", `{"peer_id":"12D3","name":"b.example"}`},
	"DELETE /v1/members/{peer}":                           {"/v1/members/12D3?feed=known", "", ""},
	"POST /v1/follow":                                     {"/v1/follow", "application/json", `{"invite":"hashfeed1x"}`},
	"DELETE /v1/follow/{pub}/{feed}":                      {"/v1/follow/b.example/known", "", ""},
	"GET /v1/feeds":                                       {"/v1/feeds", "", ""},
	"GET /v1/feed":                                        {"/v1/feed?name=known", "", ""},
	"POST /v1/feeds":                                      {"/v1/feeds", "application/json", `{"name":"x"}`},
	"GET /v1/feeds/{pub}/{feed}/{log}":                    {"/v1/feeds/a/b/1", "", ""},
	"GET /v1/feeds/{pub}/{feed}/{log}/log":                {"/v1/feeds/a/b/1/log?from=1&n=2", "", ""},
	"GET /v1/feeds/{pub}/{feed}/{log}/mirror":             {"/v1/feeds/a/b/1/mirror", "", ""},
	"GET /v1/records/{pub}/{feed}/{log}/{index}":          {"/v1/records/a/b/1/7", "", ""},
	"GET /v1/records/{pub}/{feed}/{log}/{index}/proof":    {"/v1/records/a/b/1/7/proof?body=false", "", ""},
	"GET /v1/charter":                                     {"/v1/charter?name=known", "", ""},
	"POST /v1/charter/propose":                            {"/v1/charter/propose", "application/json", `{"days":30}`},
	"POST /v1/charter/publish":                            {"/v1/charter/publish", "application/json", `{"file":"text"}`},
	"GET /v1/feeds/{pub}/{feed}/{log}/receipts":           {"/v1/feeds/a/b/1/receipts?pending=true", "", ""},
	"POST /v1/feeds/{pub}/{feed}/{log}/recover":           {"/v1/feeds/a/b/1/recover", "", ""},
	"GET /v1/feeds/{pub}/{feed}/{log}/counts":             {"/v1/feeds/a/b/1/counts", "", ""},
	"GET /v1/feeds/{pub}/{feed}/{log}/shared":             {"/v1/feeds/a/b/1/shared", "", ""},
	"POST /v1/explain":                                    {"/v1/explain", "application/json", `{"ref":"a.example/known/1#7"}`},
	"POST /v1/policy/test":                                {"/v1/policy/test", "application/json", `{"feed":"a.example/known","action":"block"}`},
	"POST /v1/policy/promote":                             {"/v1/policy/promote", "application/json", `{"feed":"a.example/known","action":"block"}`},
	"POST /v1/retractions":                                {"/v1/retractions", "application/json", `{"since":"2026-11-23T08:00:00Z","reason":"duplicate"}`},
	"GET /v1/events":                                      {"/v1/events", "", ""},
	"POST /v1/selftest":                                   {"/v1/selftest", "", ""},
	"GET /v1/tokens":                                      {"/v1/tokens", "", ""},
	"POST /v1/tokens":                                     {"/v1/tokens", "application/json", `{"scopes":["read"]}`},
	"DELETE /v1/tokens/{name}":                            {"/v1/tokens/t", "", ""},
	"GET /v1/knowngood":                                   {"/v1/knowngood", "", ""},
	"POST /v1/knowngood":                                  {"/v1/knowngood", "application/json", `{"files":[{"name":"logo.png","hashes":["md5:00"]}]}`},
	"DELETE /v1/knowngood/{hash}":                         {"/v1/knowngood/md5:00", "", ""},
	"GET /feed/{pub}/{feed}/{log}/checkpoint":             {"/feed/a.example/known/1/checkpoint", "", ""},
	"GET /feed/{pub}/{feed}/{log}/tile/{path...}":         {"/feed/a.example/known/1/tile/0/000", "", ""},
	"GET /livez":                                          {"/livez", "", ""},
	"GET /readyz":                                         {"/readyz", "", ""},
	"GET /metrics":                                        {"/metrics", "", ""},
	"GET /openapi.json":                                   {"/openapi.json", "", ""},
	"GET /v1/journal":                                     {"/v1/journal?verdict=block&limit=2", "", ""},
	"GET /v1/journal/stats":                               {"/v1/journal/stats?since=2026-11-29T02:00:00Z", "", ""},
	"GET /v1/journal/{id}":                                {"/v1/journal/01KB", "", ""},
	"GET /v1/journal/{id}/receipt":                        {"/v1/journal/01KB/receipt", "", ""},
	"POST /v1/journal/{id}/act":                           {"/v1/journal/01KB/act", "application/json", `{"done":["removed"]}`},
	"GET /v1/records/{pub}/{feed}/{log}/{index}/affected": {"/v1/records/a/b/1/7/affected", "", ""},
}

// TestScopes asks every route with every token: what it wants, nothing less, and admin for all.
func TestScopes(t *testing.T) {
	s := newTestServer(&fakeNode{results: []Published{{Ref: "a/b/1#0"}}})
	for _, route := range s.routes {
		name := route.method + " " + route.path
		sample, ok := samples[name]
		if !ok {
			t.Errorf("%s has no sample request here", name)
			continue
		}
		open := name == "GET /livez" || name == "GET /readyz"
		if (route.scope == scopeNone) != open {
			t.Errorf("%s: scope %q; only /livez and /readyz go without", name, route.scope)
		}
		if !open && route.scope != scopeAny && !ValidScope(route.scope) {
			t.Errorf("%s: %q is no scope", name, route.scope)
		}
		for _, token := range append(Scopes(), "", "unknown") {
			w := call(s, route.method, sample.path, sample.contentType, token, sample.body)
			var want string
			switch {
			case open, route.scope == scopeAny && ValidScope(token), token == route.scope, token == ScopeAdmin:
				want = "2xx"
			case ValidScope(token):
				want = "403"
			default:
				want = "401"
			}
			got := fmt.Sprint(w.Code)
			if w.Code/100 == 2 {
				got = "2xx"
			}
			if got != want {
				t.Errorf("%s with token %q: got %d %s, want %s", name, token, w.Code, w.Body, want)
			}
		}
	}
	if got, want := len(samples), len(s.routes); got != want {
		t.Errorf("got %d samples for %d routes", got, want)
	}
	// A token is asked for before it is told what there is.
	if w := call(s, "GET", "/v1/nothing", "", "", ""); w.Code != 401 {
		t.Errorf("unknown path without a token: got %d, want 401", w.Code)
	}
}

func TestStatuses(t *testing.T) {
	long := strings.Repeat(`"md5:00112233445566778899aabbccddeeff",`, MaxHashes)
	refs := strings.Repeat(`"a/b/1#1",`, MaxSuspended)
	for _, c := range []struct {
		name, method, path, contentType, body string
		verb                                  error
		published                             Published
		status                                int
		code, contains                        string
	}{
		{name: "unknown path", method: "GET", path: "/v1/nothing", status: 404, code: CodeNotFound},
		{name: "wrong method", method: "GET", path: "/v1/match", status: 405, code: CodeMethod},
		{name: "body of a feed", method: "GET", path: "/feed/a.example/known/1/body/000", status: 404, code: CodeNotFound},
		{name: "no such tile", method: "GET", path: "/feed/a.example/known/1/tile/7/000", status: 404, code: CodeNotFound},
		{name: "not JSON", method: "POST", path: "/v1/match", contentType: "application/json", body: "{", status: 400, code: CodeMalformed},
		{name: "unknown key", method: "POST", path: "/v1/match", contentType: "application/json", body: `{"hash":[]}`, status: 400, code: CodeMalformed},
		{name: "unknown parameter", method: "POST", path: "/v1/match?partial=1", contentType: "application/json", body: `{"hashes":[]}`, status: 400, code: CodeMalformed},
		{name: "form", method: "POST", path: "/v1/match", contentType: "application/x-www-form-urlencoded", body: "a", status: 415, code: CodeMediaType},
		{name: "no type", method: "POST", path: "/v1/match", body: "a", status: 415, code: CodeMediaType},
		{name: "bad hash", method: "POST", path: "/v1/match", contentType: "application/json",
			body: `{"hashes":["md5:00112233445566778899aabbccddeeff","md5:zz"]}`, status: 400, code: CodeBadHash, contains: `"index":1`},
		{name: "bad first hash", method: "POST", path: "/v1/match", contentType: "application/json", body: `{"hashes":[""]}`, status: 400, code: CodeBadHash, contains: `"index":0`},
		{name: "most hashes", method: "POST", path: "/v1/match", contentType: "application/json", body: `{"hashes":[` + long[:len(long)-1] + `]}`, status: 200},
		{name: "too many hashes", method: "POST", path: "/v1/match", contentType: "application/json", body: `{"hashes":[` + long + `"x"]}`, status: 413, code: CodeTooLarge},
		{name: "one file, partial", method: "POST", path: "/v1/match", contentType: "application/json", body: `{"hashes":["x"],"partial":true,"one_file":true}`, status: 400, code: CodeMalformed},
		{name: "octets, no alg", method: "POST", path: "/v1/match", contentType: "application/octet-stream", body: "x", status: 400, code: CodeMalformed},
		{name: "octets, vpdq", method: "POST", path: "/v1/match?alg=vpdq", contentType: "application/octet-stream", body: "x", status: 400, code: CodeMalformed},
		{name: "octets, ragged", method: "POST", path: "/v1/match?alg=md5", contentType: "application/octet-stream", body: strings.Repeat("x", 17), status: 400, code: CodeMalformed},
		{name: "scan", method: "POST", path: "/v1/scan?ref=upload-7", body: strings.Repeat("x", 1000), status: 200},
		{name: "scan, too large", method: "POST", path: "/v1/scan", body: strings.Repeat("x", 1001), status: 413, code: CodeTooLarge},
		{name: "scan, form", method: "POST", path: "/v1/scan", contentType: "multipart/form-data; boundary=x", body: "--x--", status: 415, code: CodeMediaType},
		{name: "scan, ref", method: "POST", path: "/v1/scan?ref=a%0ab", body: "x", status: 400, code: CodeMalformed},
		{name: "listed", method: "POST", path: "/v1/records", contentType: "application/json", body: `{}`, published: Published{Ref: "a/b/1#1"}, status: 201},
		{name: "awaits approval", method: "POST", path: "/v1/records", contentType: "application/json", body: `{}`, published: Published{Batch: "b"}, status: 202},
		{name: "duplicate", method: "POST", path: "/v1/records", contentType: "application/json", body: `{}`, published: Published{Duplicate: "a/b/1#1"}, status: 409,
			code: CodeDuplicate, contains: `"duplicate":"a/b/1#1"`},
		{name: "refused", method: "POST", path: "/v1/records", contentType: "application/json", body: `{}`, published: Published{Refused: "low quality"}, status: 422, code: CodeRefused, contains: "low quality"},
		{name: "incomplete", method: "POST", path: "/v1/records", contentType: "application/json", body: `{}`, status: 422, code: CodeIncomplete,
			verb: &Error{Status: 422, Code: CodeIncomplete, Text: "the verdict is missing"}, contains: "the verdict is missing"},
		{name: "unknown item key", method: "POST", path: "/v1/records", contentType: "application/json", body: `{"verdikt":"baseline"}`, status: 400, code: CodeMalformed},
		{name: "items and an item", method: "POST", path: "/v1/records", contentType: "application/json", body: `{"items":[],"media":"image"}`, status: 400, code: CodeMalformed},
		{name: "two values", method: "POST", path: "/v1/records", contentType: "application/json", body: `{} {}`, status: 400, code: CodeMalformed},
		{name: "value and brace", method: "POST", path: "/v1/records", contentType: "application/json", body: `{}}`, status: 400, code: CodeMalformed},
		{name: "many items", method: "POST", path: "/v1/records", contentType: "application/json", body: `{"items":[{"hashes":[]}]}`, published: Published{Duplicate: "a/b/1#1"}, status: 200,
			contains: `{"results":[{"duplicate":"a/b/1#1"}]}`},
		{name: "repeated retract", method: "POST", path: "/v1/records/a/b/1/7/retract", contentType: "application/json", body: `{"reason":"duplicate"}`,
			verb: &Error{Status: 409, Code: CodeConflict, Text: "already retracted"}, status: 409, code: CodeConflict, contains: "already retracted"},
		{name: "no reason", method: "POST", path: "/v1/records/a/b/1/7/retract", contentType: "application/json", body: `{}`, status: 422, code: CodeIncomplete},
		{name: "no such reason", method: "POST", path: "/v1/records/a/b/1/7/dispute", contentType: "application/json", body: `{"reason":"x"}`, status: 400, code: CodeMalformed},
		{name: "no such log", method: "POST", path: "/v1/records/a/b/0/7/endorse", status: 400, code: CodeMalformed},
		{name: "index with zeros", method: "GET", path: "/v1/records/a/b/1/07", status: 400, code: CodeMalformed},
		{name: "neither", method: "POST", path: "/v1/records/a/b/1/7/resolve", contentType: "application/json", body: `{}`, status: 422, code: CodeIncomplete},
		{name: "most suspended", method: "POST", path: "/v1/records/a/b/1/7/suspend", contentType: "application/json", body: `{"refs":[` + refs[10:len(refs)-1] + `]}`, status: 201},
		{name: "too many suspended", method: "POST", path: "/v1/records/a/b/1/7/suspend", contentType: "application/json", body: `{"refs":[` + refs[:len(refs)-1] + `]}`, status: 413, code: CodeTooLarge},
		{name: "busy node", method: "GET", path: "/v1/status", verb: &Error{Status: 503, Code: CodeNotReady, Text: "replaying"}, status: 503, code: CodeNotReady},
		{name: "inner error", method: "GET", path: "/v1/status", verb: errors.New("open /secret/path"), status: 500, code: CodeInternal},
		{name: "not found inside", method: "GET", path: "/v1/records/a/b/1/7", verb: fs.ErrNotExist, status: 404, code: CodeNotFound},
		{name: "wrapped", method: "GET", path: "/v1/records/a/b/1/7", verb: fmt.Errorf("find: %w", &Error{Status: 404, Code: CodeNotFound, Text: "gone"}), status: 404, code: CodeNotFound, contains: "find: gone"},
		{name: "bad scope", method: "POST", path: "/v1/tokens", contentType: "application/json", body: `{"scopes":["root"]}`, status: 400, code: CodeMalformed},
		{name: "no scope", method: "POST", path: "/v1/tokens", contentType: "application/json", body: `{}`, status: 422, code: CodeIncomplete},
		{name: "nothing known good", method: "POST", path: "/v1/knowngood", contentType: "application/json", body: `{"files":[]}`, status: 422, code: CodeIncomplete},
		{name: "too many known good", method: "POST", path: "/v1/knowngood", contentType: "application/json", body: `{"files":[` + strings.Repeat("{},", MaxItems) + `{}]}`, status: 413, code: CodeTooLarge},
		{name: "bad from", method: "GET", path: "/v1/feeds/a/b/1/log?from=-1", status: 400, code: CodeMalformed},
		{name: "large small body", method: "POST", path: "/v1/feeds", contentType: "application/json", body: `{"name":"` + strings.Repeat("x", maxSmall) + `"}`, status: 413, code: CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeNode{err: c.verb, published: Published{Ref: "a/b/1#9"}, results: []Published{c.published}}
			w := call(newTestServer(f), c.method, c.path, c.contentType, ScopeAdmin, c.body)
			if w.Code != c.status {
				t.Fatalf("got %d %.300s, want %d", w.Code, w.Body, c.status)
			}
			if !strings.Contains(w.Body.String(), c.contains) {
				t.Errorf("got %s, want it to contain %s", w.Body, c.contains)
			}
			if c.code == "" {
				return
			}
			if got := w.Header().Get("Content-Type"); got != problemType {
				t.Errorf("Content-Type: got %q, want %q", got, problemType)
			}
			var p Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
			if p.Code != c.code || p.Status != c.status || p.Title != http.StatusText(c.status) || p.Type != "about:blank" || p.Detail == "" {
				t.Errorf("got %+v, want code %s", p, c.code)
			}
			if strings.Contains(p.Detail, "/secret") {
				t.Errorf("the network is told of the inside: %s", p.Detail)
			}
			if (p.Index != nil) != (c.code == CodeBadHash) {
				t.Errorf("index: got %v for %s", p.Index, c.code)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	s := newTestServer(&fakeNode{})
	local := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 8480}
	for _, c := range []struct {
		host, origin, site string
		status             int
	}{
		{"localhost:8480", "", "", 200},
		{"LOCALHOST", "", "", 200},
		{"127.0.0.1:8480", "", "", 200},
		{"127.9.9.9", "", "", 200},
		{"[::1]:8480", "", "", 200},
		{"api.example", "", "", 200},
		{"api.example:443", "", "", 200},
		{"192.0.2.7:8480", "", "", 200},
		{"192.0.2.8:8480", "", "", 421},
		{"evil.example:8480", "", "", 421},
		{"localhost.evil.example", "", "", 421},
		{"127.0.0.1.evil.example", "", "", 421},
		{"", "", "", 421},
		{"localhost:8480", "http://localhost:8480", "same-origin", 200},
		{"localhost:8480", "http://evil.example", "cross-site", 403},
		{"localhost:8480", "http://evil.example", "", 403},
	} {
		r := httptest.NewRequest("POST", "/v1/match", strings.NewReader(`{"hashes":[]}`))
		r = r.WithContext(contextWithLocal(r, local))
		r.Host = c.host
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer match")
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := httptest.NewRecorder()
		s.TCP().Handler.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("host %q, origin %q: got %d %s, want %d", c.host, c.origin, w.Code, w.Body, c.status)
		}
	}
	// Health checks are no exception.
	r := httptest.NewRequest("GET", "http://evil.example/livez", nil)
	w := httptest.NewRecorder()
	s.TCP().Handler.ServeHTTP(w, r)
	if w.Code != 421 {
		t.Errorf("/livez: got %d, want 421", w.Code)
	}
}

func TestTokens(t *testing.T) {
	s := newTestServer(&fakeNode{})
	for header, want := range map[string]int{
		"":                                   401,
		"Bearer":                             401,
		"Bearer ":                            401,
		"Basic read":                         401,
		"bearer read":                        200,
		"Bearer read":                        200,
		"Bearer reads":                       401,
		"Bearer " + strings.Repeat("x", 999): 401,
	} {
		r := httptest.NewRequest("GET", "http://localhost/v1/status", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		s.TCP().Handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: got %d, want %d", header, w.Code, want)
		}
		if want == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%q: no WWW-Authenticate", header)
		}
	}
	// Options without tokens serve nobody.
	bare := NewServer(&fakeNode{}, Options{})
	if w := call(bare, "GET", "/v1/status", "", "admin", ""); w.Code != 401 {
		t.Errorf("no Tokens: got %d, want 401", w.Code)
	}
}

func TestReady(t *testing.T) {
	var reason error
	s := NewServer(&fakeNode{}, Options{Ready: func() error { return reason }})
	if w := call(s, "GET", "/readyz", "", "", ""); w.Code != 200 {
		t.Errorf("got %d, want 200", w.Code)
	}
	reason = errors.New("feed a/b is past maxage")
	if w := call(s, "GET", "/readyz", "", "", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "past maxage") {
		t.Errorf("got %d %s, want 503 with the reason", w.Code, w.Body)
	}
	if w := call(s, "GET", "/livez", "", "", ""); w.Code != 200 {
		t.Errorf("livez: got %d, want 200", w.Code)
	}
}

// TestBusy fills the places for requests: the next one is told to come back, health checks are answered.
func TestBusy(t *testing.T) {
	s := NewServer(&fakeNode{}, Options{Tokens: tokensByScope, Limits: Limits{Requests: 1}})
	s.slots <- struct{}{}
	w := call(s, "GET", "/v1/status", "", "read", "")
	if w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v, want 429 with Retry-After", w.Code, w.Header())
	}
	if w := call(s, "GET", "/livez", "", "", ""); w.Code != 200 {
		t.Errorf("livez: got %d, want 200", w.Code)
	}
	go func() { time.Sleep(10 * time.Millisecond); <-s.slots }()
	if w := call(s, "GET", "/v1/status", "", "read", ""); w.Code != 200 {
		t.Errorf("after a place is free: got %d, want 200", w.Code)
	}
	if len(s.slots) != 0 {
		t.Errorf("%d places are still held", len(s.slots))
	}
}

func TestMatchForms(t *testing.T) {
	const good, bad = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
	f := &fakeNode{block: bad}
	s := newTestServer(f)

	w := call(s, "POST", "/v1/match", "application/json; charset=utf-8", "match", `{"hashes":["md5:`+good+`","zz","`+bad+`"],"partial":true}`)
	var answer matchAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, v := range answer.Results {
		words = append(words, string(v.Verdict))
	}
	if want := []string{"allow", "error", "block"}; !slices.Equal(words, want) {
		t.Errorf("partial: got %v, want %v", words, want)
	}
	if w := call(s, "POST", "/v1/match", "application/json", "match", `{"hashes":[]}`); w.Body.String() != "{\"results\":[]}\n" {
		t.Errorf("no hashes: got %s", w.Body)
	}

	text := good + "\nmd5:" + bad + "\r\n\nzz\n" + strings.Repeat("a", 100_000) + "\n" + bad
	w = call(s, "POST", "/v1/match", "text/plain", "match", text)
	if got, want := w.Body.String(), "allow\nblock\nerror\nerror\nerror\nblock\n"; got != want {
		t.Errorf("lines: got %q, want %q", got, want)
	}
	for n, want := range map[int]int{0: 0, 1: 1, matchChunk - 1: matchChunk - 1, matchChunk: matchChunk, matchChunk + 1: matchChunk + 1, 25_000: 25_000} {
		w = call(s, "POST", "/v1/match", "text/plain", "match", strings.Repeat(good+"\n", n))
		if got := strings.Count(w.Body.String(), "allow\n"); got != want || len(w.Body.String()) != 6*want {
			t.Errorf("%d lines: got %d answers", n, got)
		}
	}

	octets := "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff" + "\xff\xee\xdd\xcc\xbb\xaa\x99\x88\x77\x66\x55\x44\x33\x22\x11\x00"
	w = call(s, "POST", "/v1/match?alg=md5", "application/octet-stream", "match", strings.Repeat(octets, matchChunk))
	if got, want := w.Body.String(), strings.Repeat("\x00\x03", matchChunk); got != want {
		t.Errorf("octets: got %d bytes %x…, want %d", len(got), got[:min(8, len(got))], len(want))
	}
}

// TestStreams asks a real TCP door while the question is still being sent.
func TestStreams(t *testing.T) {
	f := &fakeNode{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newTestServer(f).TCP()
	go server.Serve(l)
	defer server.Close()
	ask := func(path, contentType string, body io.Reader) *http.Response {
		r, err := http.NewRequest("POST", "http://"+l.Addr().String()+path, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer match")
		r.Header.Set("Content-Type", contentType)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	questions, send := io.Pipe()
	go io.WriteString(send, "00112233445566778899aabbccddeeff\n")
	resp := ask("/v1/match", "text/plain", questions)
	line := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, line); err != nil || string(line) != "allow\n" {
		t.Errorf("first answer while the question is open: got %q, %v", line, err)
	}
	go func() { io.WriteString(send, "zz\n"); send.Close() }()
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "error\n" {
		t.Errorf("rest: got %q, %v", rest, err)
	}
	// Verdicts stream in the same way, before the line that follows has ended.
	questions, send = io.Pipe()
	go io.WriteString(send, "\"md5:00112233445566778899aabbccddeeff\"\n00112233")
	resp = ask("/v1/match", "application/x-ndjson", questions)
	verdicts := json.NewDecoder(resp.Body)
	for i, want := range []string{"md5:00112233445566778899aabbccddeeff", "md5:00112233445566778899aabbccddee00", ""} {
		var v policy.Verdict
		if err := verdicts.Decode(&v); err != nil || v.Query != want || (v.Verdict == policy.OutcomeError) != (want == "") {
			t.Errorf("verdict %d: got %+v, %v, want one on %q", i, v, err, want)
		}
		if i == 0 {
			go func() { io.WriteString(send, "445566778899aabbccddee00\nzz"); send.Close() }()
		}
	}
	if _, err := verdicts.Token(); err != io.EOF {
		t.Errorf("after the last verdict: got %v, want the end", err)
	}
	// A chunked body tells its length only by ending.
	resp = ask("/v1/match?alg=md5", "application/octet-stream", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 33))})
	if resp.StatusCode != 400 {
		t.Errorf("ragged chunked body: got %d, want 400", resp.StatusCode)
	}
	resp = ask("/v1/match?alg=photodna", "application/octet-stream", io.LimitReader(zeros{}, maxMatchOctets/144*144+144))
	if resp.StatusCode != 413 {
		t.Errorf("more octets than may be: got %d, want 413", resp.StatusCode)
	}
	resp = ask("/v1/scan", "image/png", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 1001))})
	if resp.StatusCode != 413 {
		t.Errorf("large chunked body: got %d, want 413", resp.StatusCode)
	}
	resp = ask("/v1/scan", "image/png", struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 1000))})
	if resp.StatusCode != 200 {
		t.Errorf("chunked body: got %d, want 200", resp.StatusCode)
	}
}

func TestReadPath(t *testing.T) {
	s := newTestServer(&fakeNode{})
	for path, want := range map[string]string{
		"checkpoint": "checkpoint", "tile/0/000": "tile/0/000", "tile/entries/x001/234.p/7": "tile/entries/x001/234.p/7",
	} {
		w := call(s, "GET", "/feed/a.example/known/1/"+path, "", "read", "")
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: got %d %q, want %q", path, w.Code, w.Body, want)
		}
		if immutable := strings.Contains(w.Header().Get("Cache-Control"), "immutable"); immutable == (path == "checkpoint") {
			t.Errorf("%s: Cache-Control %q", path, w.Header().Get("Cache-Control"))
		}
	}
}

func TestOpenAPI(t *testing.T) {
	s := newTestServer(&fakeNode{})
	w := call(s, "GET", "/openapi.json", "", "propose", "")
	var doc struct {
		OpenAPI string
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			OperationID string
			Security    []map[string][]string
			Parameters  []struct{ Name, In string }
			Responses   map[string]struct {
				Description string
				Content     map[string]any
			}
			RequestBody *struct{ Content map[string]any }
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Title == "" || doc.Info.Version == "" {
		t.Errorf("got %q %+v", doc.OpenAPI, doc.Info)
	}
	n := 0
	ids := map[string]bool{}
	for path, calls := range doc.Paths {
		for method, op := range calls {
			n++
			if ids[op.OperationID] || op.OperationID == "" {
				t.Errorf("%s %s: operationId %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
			for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
				if !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == m[1] && p.In == "path" }) {
					t.Errorf("%s %s: path parameter %s is not described", method, path, m[1])
				}
			}
			if strings.Contains(path, "...") {
				t.Errorf("%s is no OpenAPI path", path)
			}
		}
	}
	if n != len(s.routes) {
		t.Errorf("got %d calls, want %d", n, len(s.routes))
	}
	for _, r := range s.routes {
		op, ok := doc.Paths[pathParam.ReplaceAllString(r.path, "{$1}")][strings.ToLower(r.method)]
		if !ok {
			t.Errorf("%s %s is missing", r.method, r.path)
			continue
		}
		if (len(op.Security) > 0) != (r.scope != scopeNone) {
			t.Errorf("%s %s: security %v", r.method, r.path, op.Security)
		}
		if (op.RequestBody != nil) != (len(r.takes) > 0) || len(op.Responses) < 2 {
			t.Errorf("%s %s: body %v, responses %v", r.method, r.path, op.RequestBody, op.Responses)
		}
	}
	// Every reference leads somewhere.
	for _, part := range strings.Split(w.Body.String(), `"$ref":"`)[1:] {
		name, found := strings.CutPrefix(part[:strings.IndexByte(part, '"')], "#/components/schemas/")
		if _, ok := doc.Components.Schemas[name]; !ok || !found {
			t.Errorf("reference to %s leads nowhere", name)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := newTestServer(&fakeNode{})
	call(s, "GET", "/v1/status", "", "read", "")
	call(s, "GET", "/v1/status", "", "match", "")
	call(s, "GET", "/v1/nothing/secret", "", "read", "")
	got := call(s, "GET", "/metrics", "", "read", "").Body.String()
	for _, want := range []string{
		`hashfeed_api_requests_total{route="/v1/status",status="200"} 1`,
		`hashfeed_api_requests_total{route="/v1/status",status="403"} 1`,
		`hashfeed_api_requests_total{route="none",status="404"} 1`,
		`hashfeed_api_request_seconds_count{route="/v1/status"} 2`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(got, "secret") {
		t.Errorf("/metrics has a path that somebody made up")
	}
}

// TestBrokenStream breaks answers off in the middle: the reader must be able to tell.
func TestBrokenStream(t *testing.T) {
	f := &fakeNode{records: []Record{{Ref: "a/b/1#0"}}, logErr: errors.New("disk")}
	c := dialTest(t, f)
	var got []error
	for _, err := range c.Log(t.Context(), "a/b/1", 0, 0) {
		got = append(got, err)
	}
	if len(got) == 0 || got[len(got)-1] == nil {
		t.Errorf("Log: got %v, want an error at the end", got)
	}
	f.mirrorErr = errors.New("disk")
	var b bytes.Buffer
	if err := c.Mirror(t.Context(), "a/b/1", &b); err == nil {
		t.Errorf("Mirror: got no error after %d bytes", b.Len())
	}
}

func TestListen(t *testing.T) {
	path := t.TempDir() + "/s"
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("no socket: got %v, want ErrNoDaemon", err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
	go func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}(l)
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("second daemon: got %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as a crash leaves it
	l.Close()
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("left behind: got %v, want ErrNoDaemon", err)
	}
	l, err = Listen(path)
	if err != nil {
		t.Fatalf("left behind: %v", err)
	}
	l.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("a file of that name was replaced")
	}
}

// TestErrorRoundTrip: an error is the same through both doors.
func TestErrorRoundTrip(t *testing.T) {
	f := &fakeNode{}
	c := dialTest(t, f)
	for _, want := range []*Error{
		{Status: 409, Code: CodeDuplicate, Text: "listed", Duplicate: "a/b/1#3", Hint: "--again"},
		{Status: 400, Code: CodeBadHash, Text: "hash 4: x", Index: 4},
		{Status: 422, Code: CodeIncomplete, Text: "the verdict is missing"},
		{Status: 500, Code: CodeDamaged, Text: "tile/0/000 is damaged"},
		{Status: 500, Code: CodeInternal, Text: "open /a/b: no such thing"}, // this user's own machine: told in full
	} {
		f.err = want
		_, err := c.Status(t.Context())
		var got *Error
		if !errors.As(err, &got) || *got != *want {
			t.Errorf("got %#v, want %#v", err, want)
		}
	}
}

// TestVerbs calls each verb through client and server.
func TestVerbs(t *testing.T) {
	f := &fakeNode{published: Published{Ref: "a.example/known/1#9", Ticket: "t"}, results: []Published{{Ref: "r"}, {Duplicate: "d"}},
		records: []Record{{Ref: "a/b/1#0", Op: "add"}, {Ref: "a/b/1#1", Op: "retract"}}}
	c := dialTest(t, f)
	ctx := t.Context()
	ref := feed.Ref{Origin: "a.example/known/1", Index: 7}
	md5, err := feed.ParseHash("00112233445566778899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	pdq, err := feed.ParseHash("pdq:" + strings.Repeat("0f", 32) + ":40")
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	equal := func(got, want any) {
		t.Helper()
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	var asked []string
	did := func(want string) {
		t.Helper()
		if len(f.asked) == 0 || f.asked[len(f.asked)-1] != want {
			t.Errorf("asked %q, want %q last", f.asked, want)
		}
		asked = append(asked, strings.Fields(want)[0])
		f.asked = nil
	}

	id, err := c.Identity(ctx)
	must(err)
	equal(id, Identity{Name: "a.example", RootVKeys: []string{"k"}, Addresses: []string{}})
	did("Identity")
	st, err := c.Status(ctx)
	must(err)
	equal(st.Tables, map[string]int{"md5": 3})
	did("Status")
	feeds, err := c.Feeds(ctx)
	must(err)
	equal(len(feeds), 1)
	did("Feeds")
	info, err := c.Feed(ctx, "")
	must(err)
	equal(info.Size, 7)
	did("Feed")
	_, err = c.Feed(ctx, "b.example/known")
	must(err)
	did("Feed b.example/known")
	made, err := c.CreateFeed(ctx, CreateFeed{Name: "x", Harm: "csam", Signers: 2, SignerKeys: []string{"v", "w"}, OwnSigner: "u"})
	must(err)
	equal(made.Origin, "a.example/x/1")
	did("CreateFeed {x csam  2 [v w] u}")
	law, err := c.Charter(ctx, "known")
	must(err)
	equal(law.Versions, []CharterVersion{{Version: 3}})
	did("Charter known")
	at := uint64(0)
	proposed, err := c.ProposeCharter(ctx, ProposeCharter{Feed: "known", Days: 30, Audience: []string{"none"}, Close: true, At: &at, Quorum: &KeyGroup{}, Signers: &KeyGroup{2, []string{"k", "l"}}})
	must(err)
	equal(proposed.Wants, []Quota{{Of: "roots"}})
	did(`ProposeCharter {"feed":"known","days":30,"audience":["none"],"quorum":{"k":0},"close":true,"at":0,"signers":{"k":2,"vkeys":["k","l"]}}`)
	inForce, err := c.PublishCharter(ctx, PublishCharter{File: "text", Repeat: []string{"all"}})
	must(err)
	equal(inForce.Version, 4)
	did("PublishCharter text [all]")
	var refs []string
	for r, err := range c.Log(ctx, "known", 3, 2) {
		must(err)
		refs = append(refs, r.Ref)
	}
	equal(refs, []string{"a/b/1#0", "a/b/1#1"})
	did("Log a.example/known/1 3 2")
	for range c.Log(ctx, "a.example/known/1", 0, 0) {
		break // early
	}
	did("Log a.example/known/1 0 0")
	r, err := c.Record(ctx, ref)
	must(err)
	equal(r.Ref, ref)
	did("Record a.example/known/1#7")
	proof, err := c.Prove(ctx, ref, false)
	must(err)
	equal(string(proof), "proof\n")
	did("Prove a.example/known/1#7 false")
	var b bytes.Buffer
	must(c.Mirror(ctx, "", &b))
	equal(b.String(), "12345678")
	did("Mirror a.example/known/1")
	request := Publish{Feed: "known", Harm: "csam", Again: true, Items: []Item{{Hashes: []string{"md5:x"}, Verdict: "baseline", Media: "image", VerifiedBy: 2,
		Severity: 3, AgeBand: "infant", Virtual: true, Size: 9, NotBefore: "n", Source: "ncmec:A2"}, {}}}
	out, err := c.Publish(ctx, request)
	must(err)
	equal(out, f.results)
	did(fmt.Sprintf("Publish %+v", request))
	_, err = c.Publish(ctx, Publish{})
	must(err)
	did(fmt.Sprintf("Publish %+v", Publish{Items: []Item{}}))
	for _, s := range []struct {
		do   func() (Published, error)
		want string
	}{
		{func() (Published, error) { return c.Retract(ctx, ref, feed.FalsePositive) }, "Retract a.example/known/1#7 false-positive"},
		{func() (Published, error) { return c.Dispute(ctx, ref, feed.Collision) }, "Dispute a.example/known/1#7 collision"},
		{func() (Published, error) { return c.Endorse(ctx, ref) }, "Endorse a.example/known/1#7"},
		{func() (Published, error) { return c.Resolve(ctx, ref, Resolution{Retract: true, Reason: "duplicate"}) }, "Resolve a.example/known/1#7 {false true duplicate}"},
		{func() (Published, error) { return c.Suspend(ctx, []feed.Ref{ref, {Origin: ref.Origin, Index: 8}}) }, "Suspend [a.example/known/1#7 a.example/known/1#8]"},
		{func() (Published, error) { return c.Revise(ctx, ref, Revision{Severity: 2, Reinstate: true}) },
			fmt.Sprintf("Revise a.example/known/1#7 %+v", Revision{Severity: 2, Reinstate: true})},
	} {
		p, err := s.do()
		must(err)
		equal(p, f.published)
		did(s.want)
	}
	if _, err := c.Suspend(ctx, nil); err == nil {
		t.Error("Suspend of nothing: got no error")
	}
	for _, r := range []RetractMany{{Since: "2026-11-23T08:00:00Z", Reason: "duplicate", DryRun: true}, {Feed: "known", Batch: "0123456789abcdef", Source: "ncmec", Reason: "duplicate"}} {
		retracted, err := c.RetractMany(ctx, r)
		must(err)
		equal(retracted, RetractedMany{Feed: "a.example/known", Items: 2, Refs: []string{"a.example/known/1#7"}, DryRun: r.DryRun, Batch: r.Batch})
		did(fmt.Sprintf("RetractMany %+v", r))
	}
	explained, err := c.Explain(ctx, Explain{Ref: "a.example/known/1#7"})
	must(err)
	equal(explained.Text, "log")
	did("Explain {[] a.example/known/1#7}")
	for _, r := range []Explain{{}, {Hashes: []string{"md5:x"}, Ref: "a.example/known/1#7"}} {
		if _, err := c.Explain(ctx, r); err == nil {
			t.Errorf("Explain %+v: got no error", r)
		}
	}
	distance := 7
	replayed, err := c.PolicyTest(ctx, PolicyTest{Feed: "a.example/known", Actions: Actions{Action: "block"}, MaxDistance: &distance})
	must(err)
	equal(replayed, PolicyTested{Feed: "a.example/known", Decisions: 3, Block: PolicyShift{More: 2}, Samples: []PolicySample{}})
	did(`PolicyTest {"feed":"a.example/known","action":"block","max_distance":7}`)
	large := strings.Repeat("\"<\n", 200_000) // a config of 600 kB, with what JSON escapes
	_, err = c.PolicyTest(ctx, PolicyTest{Config: large})
	must(err)
	did("PolicyTest " + asJSON(PolicyTest{Config: large}))
	promoted, err := c.Promote(ctx, Promote{Feed: "a.example/known", Actions: Actions{Near: "review"}})
	must(err)
	equal(promoted, Promoted{Feed: "a.example/known", Actions: Actions{Near: "review"}, Warnings: []string{}})
	did(`Promote {"feed":"a.example/known","action_near":"review"}`)
	for _, r := range []Promote{{Feed: "a.example/known"}, {Actions: Actions{Action: "block"}}} {
		if _, err := c.Promote(ctx, r); err == nil {
			t.Errorf("Promote %+v: got no error", r)
		}
	}
	batches, err := c.Batches(ctx)
	must(err)
	equal(batches[0].ID, "0123456789abcdef")
	did("Batches")
	batch, err := c.Batch(ctx, "0123456789abcdef", 3)
	must(err)
	equal(batch, BatchText{Batch: Batch{ID: "0123456789abcdef"}, Tree: [][]byte{{1}}, Records: []BatchRecord{{Head: []byte{2}}}})
	did("Batch 0123456789abcdef 3")
	approved, err := c.Approve(ctx, "0123456789abcdef", "line\n")
	must(err)
	equal(approved.Published, true)
	did(`Approve 0123456789abcdef "line\n"`)
	must(c.Withdraw(ctx, "0123456789abcdef", ""))
	did(`Withdraw 0123456789abcdef ""`)
	verdicts, err := c.Match(ctx, []feed.Hash{md5, pdq}, false)
	must(err)
	equal([]string{verdicts[0].Query, verdicts[1].Query}, []string{md5.Text(), pdq.Text()}) // the quality arrives
	did("Answers 2")
	answers, err := c.Answers(ctx, feed.HashesOf([]feed.Hash{md5, pdq}))
	must(err)
	equal([]string{answers.Verdict(0).Query, answers.Verdict(1).Query}, []string{md5.Text(), pdq.Text()})
	did("Answers 2")
	verdicts, err = c.Match(ctx, []feed.Hash{md5, pdq}, true)
	must(err)
	equal(len(verdicts), 1)
	did("Match 2 true")
	many, err := c.Match(ctx, slices.Repeat([]feed.Hash{md5}, 2*clientChunk+1), false)
	must(err)
	equal(len(many), 2*clientChunk+1)
	did("Answers 1")
	none, err := c.Match(ctx, nil, false)
	must(err)
	equal(len(none), 0)
	v, err := c.Scan(ctx, strings.NewReader("0123456789"), "upload 7/ü")
	must(err)
	equal(v.Verdict, "review")
	did("Scan 10 upload 7/ü")
	_, err = c.Scan(ctx, strings.NewReader(strings.Repeat("x", 1001)), "")
	var e *Error
	if !errors.As(err, &e) || e.Status != 413 {
		t.Errorf("large scan: got %v, want 413", err)
	}
	token, err := c.CreateToken(ctx, CreateToken{Name: "n", Scopes: []string{"read", "match"}})
	must(err)
	equal(token, NewToken{Token: "secret", Name: "n", Scopes: []string{"read", "match"}})
	did("CreateToken {n [read match]}")
	tokens, err := c.Tokens(ctx)
	must(err)
	equal(len(tokens), 1)
	did("Tokens")
	must(c.RevokeToken(ctx, "a/b c"))
	did("RevokeToken a/b c")

	known, err := c.KnownGood(ctx)
	must(err)
	equal(known.Files[0].Name, "logo.png")
	did("KnownGood")
	change, err := c.AddKnownGood(ctx, []KnownFile{{Name: "a/b", Hashes: []string{"md5:00"}}})
	must(err)
	equal(change, KnownChange{Added: 1, Files: 9})
	did(`AddKnownGood [{"name":"a/b","hashes":["md5:00"]}]`)
	change, err = c.RemoveKnownGood(ctx, "md5:00")
	must(err)
	equal(change, KnownChange{Removed: 1})
	did("RemoveKnownGood md5:00")

	followed, err := c.Follow(ctx, Follow{Invite: "hashfeed1x", Action: "block"})
	must(err)
	equal(followed.Digits, "00000")
	did("Follow hashfeed1x block")
	must(c.Unfollow(ctx, "b.example/known/1"))
	did("Unfollow b.example/known")
	members, err := c.Members(ctx)
	must(err)
	equal(len(members), 1)
	did("Members")
	member, err := c.AddMember(ctx, AddMember{PeerID: "12D3", Name: "b.example"})
	must(err)
	equal(member.Name, "b.example")
	did("AddMember 12D3 b.example")
	must(c.RemoveMember(ctx, "known", "12D3"))
	did("RemoveMember known 12D3")
	peers, err := c.Peers(ctx)
	must(err)
	equal(len(peers), 1)
	did("Peers")
	must(c.AddPeer(ctx, AddPeer{PeerID: "12D3", Address: "/ip4/127.0.0.1/tcp/1"}))
	did("AddPeer 12D3 /ip4/127.0.0.1/tcp/1")
	must(c.RemovePeer(ctx, "12D3"))
	did("RemovePeer 12D3")

	var kinds []string
	for found, err := range c.Fsck(ctx, true) {
		must(err)
		kinds = append(kinds, found.Kind)
	}
	equal(kinds, []string{"key", "tile"})
	did("Fsck true")
	for range c.Fsck(ctx, false) {
		break // early
	}
	did("Fsck false")
	f.logErr = &Error{Status: 500, Code: CodeDamaged, Text: "broken off"}
	for _, err = range c.Fsck(ctx, false) {
	}
	if err == nil || err.Error() != "broken off" {
		t.Errorf("fsck that can't finish: got %v, want its error", err)
	}
	f.logErr = nil
	receipts, err := c.Receipts(ctx, "known", true)
	must(err)
	equal(receipts.Members[0].Name, "b.example")
	did("Receipts a.example/known/1 true")
	counts, err := c.FeedCounts(ctx, "known")
	must(err)
	equal(counts.Weeks, []WeekCounts{{Week: "2026-W48", Members: 3}})
	did("FeedCounts a.example/known/1")
	shared, err := c.SharedCounts(ctx, "b.example/known/1")
	must(err)
	equal(shared.Weeks[0].State, ShareSent)
	did("SharedCounts b.example/known/1")
	recovered, err := c.Recover(ctx, "a.example/known/1")
	must(err)
	equal(recovered.Size, 3)
	did("Recover a.example/known/1")

	advice, err := c.Doctor(ctx)
	must(err)
	equal(advice, []Finding{{Kind: "backup", State: FindingWarning}})
	did("Doctor")
	tested, err := c.SelfTest(ctx)
	must(err)
	equal(tested, SelfTest{Passed: true, Doors: []DoorTested{{Door: "api scan", OK: true}}})
	did("SelfTest")
	b.Reset()
	must(c.Backup(ctx, &b))
	equal(b.String(), "archive")
	did("Backup")

	tryLists(t, c, f, did)
	when := time.Date(2026, 11, 29, 2, 0, 0, 5e8, time.UTC)
	for _, q := range []JournalQuery{{}, {Open: true, Limit: 3}, {ID: "01KB"}, {Kind: "import"}, {Verdict: "block", Ref: "a&b ü", Hash: md5.Text(), Since: when, Until: when, Before: 9, Limit: 2}} {
		page, err := c.Journal(ctx, q)
		must(err)
		equal(page, JournalPage{Entries: []JournalEntry{{Decision: "01A", Seq: 7}}, More: true, Next: 5, Imports: []JournalImport{{ID: "01B", Seq: 5,
			Import: journal.Import{Run: "R", Source: "s", Permission: "contract 7", Added: 3, Overrides: map[string]int{"legal": 1}, Done: true}}}})
		did("Journal " + asJSON(q))
	}
	decision, err := c.Decision(ctx, "01KB")
	must(err)
	equal(decision.Decision, "01KB")
	did("Decision 01KB")
	receipt, err := c.DecisionReceipt(ctx, "01KB")
	must(err)
	equal(string(receipt), "receipt of 01KB")
	did("DecisionReceipt 01KB")
	act := JournalAct{Done: []string{"removed", "reported"}, Report: "r/1"}
	decision, err = c.Act(ctx, "01KB", act)
	must(err)
	equal(decision.Acts[0].Done, act.Done)
	did("Act 01KB " + asJSON(act))
	affected, err := c.Affected(ctx, ref)
	must(err)
	equal(affected.Ref, ref.String())
	did("Affected a.example/known/1#7")
	stats, err := c.JournalStats(ctx, when, time.Time{})
	must(err)
	equal(stats.Allow, uint64(5))
	did("JournalStats 2026-11-29T02:00:00.5Z 0001-01-01T00:00:00Z")
	verdicts, err = c.Match(WithRef(ctx, "upload 8"), []feed.Hash{md5, pdq}, true)
	must(err)
	equal(len(verdicts), 1)
	did("Match 2 true upload 8")

	// Each method of Verbs was called.
	for _, verb := range verbNames() {
		if !slices.Contains(asked, verb) {
			t.Errorf("%s is not tested", verb)
		}
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
