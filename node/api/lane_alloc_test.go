//go:build !race

package api

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// repeated is a connection on which a question comes n times.
type repeated struct {
	net.Conn
	question string
	n        int
	wrote    int
}

func (c *repeated) Read(p []byte) (int, error) {
	if c.n--; c.n < 0 {
		return 0, io.EOF
	}
	return copy(p, c.question), nil
}

func (c *repeated) Write(p []byte) (int, error) {
	c.wrote++
	return len(p), nil
}

func (c *repeated) SetReadDeadline(time.Time) error  { return nil }
func (c *repeated) SetWriteDeadline(time.Time) error { return nil }
func (c *repeated) LocalAddr() net.Addr              { return nil }

// sameAnswers answers every question alike.
type sameAnswers struct {
	Verbs
	answers policy.Answers
}

func (n sameAnswers) Answers(context.Context, *feed.Hashes) (policy.Answers, error) {
	return n.answers, nil
}

// TestLaneAllocations counts what the lane itself takes for a question: the token's text.
func TestLaneAllocations(t *testing.T) {
	const questions = 1000
	s := NewServer(sameAnswers{answers: policy.AnswersOf([]policy.Verdict{{Verdict: policy.OutcomeBlock}})}, Options{Tokens: tokensOnce(), Hosts: []string{"localhost"}})
	l := s.Listen(newPipeListener()).(*lane)
	for i, question := range lanePlains()[1:] {
		c := &repeated{}
		got := testing.AllocsPerRun(5, func() {
			*c = repeated{question: question, n: questions}
			if rest, err := (&laneConn{Conn: c, lane: l}).run(); rest != nil || err != io.EOF {
				t.Fatalf("got %q, %v", rest, err)
			}
		})
		if got/questions > 1.1 || c.wrote != questions {
			t.Errorf("question %d: %d answers with %.2f allocations each, want 1", i, c.wrote, got/questions)
		}
	}
}

// tokensOnce knows the token match, and takes no memory to say so.
func tokensOnce() func(string) ([]string, bool) {
	scopes := []string{ScopeMatch}
	return func(token string) ([]string, bool) { return scopes, token == ScopeMatch }
}

// TestLaneClosed asks when the lane has just closed the connection: that isn't answered, since nobody would hear it.
func TestLaneClosed(t *testing.T) {
	s := NewServer(&laneNode{}, Options{Tokens: tokensByScope})
	c := &repeated{question: lanePlains()[0], n: 1}
	lc := &laneConn{Conn: c, lane: s.Listen(newPipeListener()).(*lane)}
	lc.state.Store(laneClosed)
	if rest, err := lc.run(); rest != nil || err != net.ErrClosed || c.wrote > 0 {
		t.Errorf("got %q, %v, and %d answers", rest, err, c.wrote)
	}
}
