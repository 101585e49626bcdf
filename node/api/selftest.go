package api

import (
	"context"
	"net/http"
)

// SelfTest is what came of sending pictures through every door: `hashfeed selftest --json`.
type SelfTest struct {
	Passed bool         `json:"passed"` // every door is ok
	Time   string       `json:"time"`   // UTC, RFC 3339
	Doors  []DoorTested `json:"doors"`
}

// DoorTested is one way into the node, or out of it.
type DoorTested struct {
	Door    string  `json:"door"` // such as "api scan", or "notify desk"
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Text    string  `json:"text,omitempty"` // what is wrong
}

func (s *Server) selfTestRoutes() []route {
	return []route{{method: http.MethodPost, path: "/v1/selftest", scope: ScopeAdmin, lasting: true, // it asks calls of its own
		summary: "Send the test picture, a copy of it and an innocent one through every door, and a test event to every [[notify]]",
		gives:   ok[SelfTest](), handle: s.selfTest}}
}

func (s *Server) selfTest(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	t, err := s.verbs.SelfTest(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, t)
}

func (c *Client) SelfTest(ctx context.Context) (t SelfTest, err error) {
	return t, c.ask(ctx, http.MethodPost, "/v1/selftest", nil, &t)
}

// DialOwn asks the node of this very process at the address of its TCP door. What is said doesn't leave the machine, so it needs no TLS.
func DialOwn(address, token string) *Client { return newClient("http://"+address, token) }
