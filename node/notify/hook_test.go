package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func hookTo(t *testing.T, url string) *hook {
	t.Helper()
	h, err := newHook(Target{Name: "a", URL: url, Secrets: [][]byte{make([]byte, 32)}}, slog.New(slog.DiscardHandler),
		func() time.Time { return time.Unix(1732867200, 0) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

// TestHook: what a receiver sees, and what becomes of what it answers.
func TestHook(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	var status int
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"n":7}` || r.Method != http.MethodPost || r.URL.Path != "/hook" || r.URL.RawQuery != "key=hunter2" {
			t.Errorf("got %s %s, %q, %v", r.Method, r.URL, body, err)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "hashfeed", "webhook-id": "id7", "webhook-timestamp": "1732867200",
			"webhook-signature": signature([][]byte{make([]byte, 32)}, "id7", time.Unix(1732867200, 0), body),
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("x", 3*maxAnswer)) // more than is read
	}))
	defer server.Close()
	h := hookTo(t, server.URL+"/hook?key=hunter2")
	for _, c := range []struct {
		status  int
		header  http.Header
		want    string // in the error; "" is delivery
		refused bool
		after   time.Duration
	}{
		{200, nil, "", false, 0},
		{202, nil, "", false, 0},
		{301, http.Header{"Location": {other.URL}}, "redirects aren't followed", false, 0},
		{302, http.Header{"Location": {other.URL}}, "redirects aren't followed", false, 0},
		{307, http.Header{"Location": {other.URL}}, "redirects aren't followed", false, 0},
		{308, http.Header{"Location": {other.URL}}, "redirects aren't followed", false, 0},
		{400, nil, "answers 400", true, 0},
		{401, nil, "answers 401", false, 0},
		{404, nil, "answers 404", false, 0},
		{410, nil, "answers 410", false, 0},
		{413, nil, "answers 413", true, 0},
		{422, nil, "answers 422", true, 0},
		{429, http.Header{"Retry-After": {"120"}}, "answers 429", false, 2 * time.Minute},
		{429, http.Header{"Retry-After": {"Sun, 29 Nov 2026 02:00:00 GMT"}}, "answers 429", false, 0},
		{500, http.Header{"Retry-After": {"120"}}, "answers 500", false, 0},
		{503, http.Header{"Retry-After": {"999999"}}, "answers 503", false, longestWait},
		{503, http.Header{"Retry-After": {"-1"}}, "answers 503", false, 0},
		{503, http.Header{"X-Large": {strings.Repeat("x", 2*maxAnswer)}}, "server response headers exceeded", false, 0},
	} {
		status, header = c.status, c.header
		err := h.send(t.Context(), message(7))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d: got %v, want %q", c.status, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d: the error tells the secret: %v", c.status, err)
		}
		a, _ := err.(*attempt)
		if a == nil {
			a = &attempt{}
		}
		if a.refused != c.refused || a.after != c.after {
			t.Errorf("%d: refused %v, after %s, want %v, %s", c.status, a.refused, a.after, c.refused, c.after)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// TestHookIsSlow: a receiver that never answers, or never ends its answer, doesn't hold the others for longer than hookTime.
func TestHookIsSlow(t *testing.T) {
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/answer" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}
		<-end
	}))
	defer server.Close()
	defer close(end)
	for path, wantErr := range map[string]bool{"/never": true, "/answer": false} { // the status is what counts
		h := hookTo(t, server.URL+path)
		h.time = 100 * time.Millisecond
		begun := time.Now()
		if err := h.send(t.Context(), message(1)); (err != nil) != wantErr || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: got %v after %s", path, err, time.Since(begun))
		}
	}
}

// TestHookTLS: who isn't who the URL says gets nothing.
func TestHookTLS(t *testing.T) {
	asked := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++ }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.StartTLS()
	defer server.Close()
	h := hookTo(t, server.URL)
	if err := h.send(t.Context(), message(1)); err == nil || !strings.Contains(err.Error(), "certificate") || asked != 0 {
		t.Errorf("unknown: got %v, %d asked", err, asked)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	h = hookTo(t, server.URL)
	h.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	if err := h.send(t.Context(), message(1)); err != nil || asked != 1 {
		t.Errorf("known: got %v, %d asked", err, asked)
	}
}

// TestHookDials: a name of plain http that leads elsewhere than to this machine isn't dialled; one that leads into a local network is warned about,
// once.
func TestHookDials(t *testing.T) {
	var log strings.Builder
	target := Target{Name: "a", URL: "http://localhost:1/", Secrets: [][]byte{make([]byte, 32)}}
	h, err := newHook(target, slog.New(slog.NewTextHandler(&log, nil)), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	dial := h.client.Transport.(*http.Transport).DialContext
	if _, err := dial(t.Context(), "tcp", "192.0.2.1:80"); err == nil || !strings.Contains(err.Error(), "plain http goes to this machine only") {
		t.Errorf("plain http to another machine: got %v", err)
	}
	target.URL = "https://desk.example/"
	if h, err = newHook(target, slog.New(slog.NewTextHandler(&log, nil)), time.Now); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if conn, err := h.client.Transport.(*http.Transport).DialContext(ctx, "tcp", "10.255.255.1:1"); err == nil {
			conn.Close()
		}
		cancel()
	}
	if got := log.String(); strings.Count(got, "local network") != 1 || !strings.Contains(got, "10.255.255.1") {
		t.Errorf("a local network: got log %q", got)
	}
	target.Secrets = nil
	if _, err := newHook(target, nil, time.Now); err == nil {
		t.Error("took a hook without a secret")
	}
}
