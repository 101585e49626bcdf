package api

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestEvents: what a listener reads, from the first event that it has missed to the last sign of life.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next, stopped, asked := make(chan EventLine, 1), 0, ""
		s := NewServer(&fakeNode{}, Options{Tokens: tokensByScope, Limits: Limits{Requests: 1}, Events: func(after string) (EventStream, error) {
			asked = after
			return EventStream{Past: []EventLine{{ID: "2", Kind: "block", JSON: []byte(`{"id":"2"}`)}}, Gap: after == "gone", Next: next, Stop: func() { stopped++ }}, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil)
			r.Host = "localhost"
			r.Header.Set("Authorization", "Bearer read")
			r.Header.Set("Last-Event-ID", "gone")
			s.TCP().Handler.ServeHTTP(w, r)
		}()
		synctest.Wait()
		// It takes none of the places for requests.
		if other := call(s, "GET", "/v1/status", "", "read", ""); other.Code != 200 {
			t.Errorf("beside a listener: got %d %s", other.Code, other.Body)
		}
		next <- EventLine{ID: "3", Kind: "alarm", JSON: []byte(`{"id":"3"}`)}
		synctest.Wait()
		time.Sleep(2*beatEvery + time.Second)
		cancel()
		<-done
		want := "event: gap\ndata: {}\n\nid: 2\nevent: block\ndata: {\"id\":\"2\"}\n\nid: 3\nevent: alarm\ndata: {\"id\":\"3\"}\n\n" + strings.Repeat(": still here\n\n", 2)
		if got := w.Body.String(); got != want || asked != "gone" || stopped != 1 || w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("got %d, %q\nwant %q; asked after %q, stopped %d times", w.Code, got, want, asked, stopped)
		}
	})
}

// TestEventsRefused: what can't be told is said before the stream begins; one that is cut off ends.
func TestEventsRefused(t *testing.T) {
	for _, c := range []struct {
		after  string
		events func(string) (EventStream, error)
		want   int
	}{
		{"", testEvents, 200},
		{strings.Repeat("x", maxEventID), testEvents, 200},
		{strings.Repeat("x", maxEventID+1), testEvents, 400},
		{"", nil, 503},
		{"", func(string) (EventStream, error) { return EventStream{}, errorf(429, CodeBusy, "too many listen") }, 429},
		{"", func(string) (EventStream, error) { return EventStream{}, fmt.Errorf("no") }, 500},
	} {
		s := NewServer(&fakeNode{}, Options{Tokens: tokensByScope, Events: c.events})
		r := httptest.NewRequest("GET", "/v1/events", nil)
		r.Host = "localhost"
		r.Header.Set("Authorization", "Bearer read")
		r.Header.Set("Last-Event-ID", c.after)
		w := httptest.NewRecorder()
		s.TCP().Handler.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("after %.10q: got %d %s, want %d", c.after, w.Code, w.Body, c.want)
		}
	}
}
