package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Message is what is delivered.
type Message struct {
	ID     string          `json:"id"`   // of the event: a receiver knows a second delivery by it
	Kind   string          `json:"kind"` // which targets want it
	Time   time.Time       `json:"time"`
	Urgent bool            `json:"urgent,omitempty"` // may take the last of a queue's room
	Body   json.RawMessage `json:"body"`             // one line of JSON
}

// check says why m can't be kept.
func (m Message) check() error {
	switch {
	case !plain(m.ID) || len(m.ID) > 64:
		return errors.New("message: the id is not 1 to 64 letters, digits, - or _")
	case !plain(m.Kind) || len(m.Kind) > 32:
		return errors.New("message: the kind is not 1 to 32 letters, digits, - or _")
	case len(m.Body) > maxBody:
		return fmt.Errorf("message: longer than %d bytes", maxBody)
	case strings.ContainsAny(string(m.Body), "\r\n") || !json.Valid(m.Body):
		return errors.New("message: the body is not a line of JSON")
	case m.Time.Year() < 0 || m.Time.Year() > 9999:
		return errors.New("message: the time has no form")
	}
	return nil
}

// plain says whether s may stand in a header, a line and a file's name.
func plain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}
