package api

import (
	"fmt"
	"net/http"
	"reflect"
	"time"

	"hashfeed/node/policy"
)

// Event is something that happened here and that somebody may want to act on: GET /v1/events, and what [[notify]] sends. It has no hash in it,
// and nothing about whoever uploads but the reference that the caller of scan gave.
type Event struct {
	ID   string `json:"id"`   // sorts by time; the same event has the same id wherever and however often it is told
	Time string `json:"time"` // UTC, RFC 3339
	Kind string `json:"kind"` // one of the Event constants
	Text string `json:"text"` // what happened and what is asked of the reader, in plain words

	Ref      string         `json:"ref,omitempty"`      // what it is about: of a verdict the caller's own reference, else the record, ORIGIN#INDEX
	Origin   string         `json:"origin,omitempty"`   // the feed that says so, or that an alarm is about
	Records  []string       `json:"records,omitempty"`  // references of the records that matched, or that are retracted or disputed
	Decision string         `json:"decision,omitempty"` // the journal's id of a verdict
	Verdict  policy.Outcome `json:"verdict,omitempty"`
	Reason   string         `json:"reason,omitempty"` // of a retraction or dispute, by name
	Code     string         `json:"code,omitempty"`   // of an alarm
	Remedy   string         `json:"remedy,omitempty"` // of an alarm: the command that mends it
	Ended    bool           `json:"ended,omitempty"`  // the alarm is over
	Test     bool           `json:"test,omitempty"`   // nothing but test records are concerned: do nothing about it
}

// The kinds of events.
const (
	EventBlock      = "block"      // a verdict: don't accept this upload; nothing more
	EventReview     = "review"     // a verdict: let a person look
	EventRetraction = "retraction" // a record doesn't match any more
	EventDispute    = "dispute"    // somebody says that a record is wrong
	EventAlarm      = "alarm"      // of status: it appeared, or it ended
	EventTest       = "test"       // something that concerns test records only
)

// EventKinds are the kinds of events.
func EventKinds() []string {
	return []string{EventBlock, EventReview, EventRetraction, EventDispute, EventAlarm, EventTest}
}

// EventLine is an event as it is sent.
type EventLine struct {
	ID, Kind string
	JSON     []byte // one line, without its end
}

// EventStream is what one listener hears.
type EventStream struct {
	Past []EventLine      // what is kept since the last event that it has seen
	Gap  bool             // that one isn't kept any more: there may have been others in between
	Next <-chan EventLine // closed when the node stops, or when the listener is too slow
	Stop func()           // lets go of it; to be called once
}

func (s *Server) eventRoutes() []route {
	return []route{{method: http.MethodGet, path: "/v1/events", scope: ScopeRead, lasting: true,
		summary: "What happens here, as server-sent events, from now on or after Last-Event-ID",
		gives: []outcome{{http.StatusOK, content{mediaType: eventType, of: reflect.TypeFor[Event](),
			about: "the data of each event; one of the type gap says that what Last-Event-ID names isn't kept any more"}}},
		handle: s.events}}
}

const eventType = "text/event-stream"

// events tells what happens until somebody ends it. A listener that doesn't keep up is cut off; it asks again with the last id that it has.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	after := r.Header.Get("Last-Event-ID")
	if len(after) > maxEventID {
		return malformed("Last-Event-ID: longer than %d bytes", maxEventID)
	}
	if s.o.Events == nil {
		return errorf(http.StatusServiceUnavailable, CodeNotReady, "no events are told here")
	}
	stream, err := s.o.Events(after)
	if err != nil {
		return err
	}
	defer stream.Stop()
	w.Header().Set("Content-Type", eventType)
	control := http.NewResponseController(w)
	if stream.Gap {
		if _, err := fmt.Fprint(w, "event: gap\ndata: {}\n\n"); err != nil {
			return err
		}
	}
	for _, e := range stream.Past {
		if err := writeEvent(w, e); err != nil {
			return err
		}
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		if err := control.Flush(); err != nil {
			return err
		}
		select {
		case e, more := <-stream.Next:
			if !more {
				return nil
			}
			if err := writeEvent(w, e); err != nil {
				return err
			}
		case <-beat.C: // so that whoever is between knows that it lives, and we know whether somebody listens
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil {
				return err
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

func writeEvent(w http.ResponseWriter, e EventLine) error {
	_, err := fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, e.JSON)
	return err
}
