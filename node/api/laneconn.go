package api

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// A laneConn is idle until a plain question's head is there. To close the lane is to close those that are idle.
const (
	laneIdle int32 = iota
	laneBusy
	laneClosed
)

// laneConn is a connection in the lane.
type laneConn struct {
	net.Conn
	lane  *lane
	state atomic.Int32

	own      [laneBuffer]byte
	buf      []byte    // own, or for a question that doesn't fit there a matchWork's body
	from, to int       // what was read into buf and isn't answered yet
	answered bool      // a question was
	hurried  bool      // the deadline of a head is set
	now      time.Time // of the last answer

	readBy, writeBy time.Time // the deadlines
	host            string    // the last good one
}

// serve answers plain questions, and hands the connection over if another comes.
func (c *laneConn) serve() {
	given := false
	defer func() {
		if p := recover(); p != nil {
			c.lane.log.Printf("http: panic serving %v: %v\n%s", c.RemoteAddr(), p, debug.Stack())
		}
		c.lane.remove(c)
		if !given {
			c.Close()
		}
	}()
	rest, err := c.run()
	if rest == nil {
		return
	}
	c.lane.remove(c) // first: what is net/http's the lane doesn't close
	c.SetDeadline(time.Time{})
	given = c.lane.hand(&handedConn{c.Conn, rest, err}, nil)
}

// run returns what was read and not answered, and how reading ended, if it did; nil if the connection is over.
func (c *laneConn) run() (rest []byte, err error) {
	c.buf = c.own[:]
	c.readWithin(headerTime, time.Now())
	c.hurried = true
	for {
		var q laneQuestion
		sense := laneCut
		if n := c.to - c.from; n > 0 && (!c.answered || n >= lineEnds) {
			sense = q.parse(c.buf[c.from:c.to])
		}
		switch {
		case sense == laneUnusual || sense == laneCut && c.to-c.from == len(c.buf):
			return c.unread(), nil
		case sense == laneCut:
			if err := c.more(); err != nil {
				if c.to == 0 || c.answered && c.to < lineEnds {
					return nil, err // nothing was asked
				}
				return c.unread(), err
			}
			continue
		case !c.state.CompareAndSwap(laneIdle, laneBusy):
			return nil, net.ErrClosed
		}
		if rest, err := c.answer(&q); rest != nil || err != nil {
			return rest, err
		}
		c.state.Store(laneIdle)
		if c.lane.isClosing() {
			return nil, net.ErrClosed
		}
	}
}

// lineEnds is how many bytes of ends of lines net/http overlooks after a question, which old clients send.
const lineEnds = 4

// unread is what was read and not answered.
func (c *laneConn) unread() []byte {
	rest := c.buf[c.from:c.to]
	for i := 0; c.answered && i < lineEnds && len(rest) > 0 && (rest[0] == '\r' || rest[0] == '\n'); i++ {
		rest = rest[1:]
	}
	return rest
}

// more reads more of a head.
func (c *laneConn) more() error {
	c.from, c.to = 0, copy(c.buf, c.buf[c.from:c.to])
	if c.to == 0 && c.answered {
		c.readWithin(idleTime, c.now)
	} else if !c.hurried {
		c.readWithin(headerTime, time.Now())
		c.hurried = true
	}
	n, err := c.Read(c.buf[c.to:])
	c.to += n
	return err
}

// answer answers a question, or returns what is to be handed over.
func (c *laneConn) answer(q *laneQuestion) (rest []byte, err error) {
	start := time.Now()
	s := c.lane.server
	if string(q.host) != c.host {
		if !s.known(string(q.host), c.LocalAddr()) {
			return c.unread(), nil
		}
		c.host = string(q.host)
	}
	if s.allowed(string(q.authorization), ScopeMatch) != nil {
		return c.unread(), nil
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return c.unread(), nil
	}
	m := matchWorks.Get().(*matchWork)
	defer m.free()
	size := q.head + q.body
	if err := c.readAll(m, size); err != nil {
		m.body = nil // it goes over too
		return c.unread(), err
	}
	m.answer = append(m.answer[:0], laneRoom[:]...)
	gives, err := s.answerPlain(c.lane.ctx, q, m, c.buf[c.from+q.head:c.from+size])
	if err != nil {
		m.body = nil
		return c.unread(), nil
	}
	c.now = time.Now()
	s.answered(c.lane.counted, http.StatusOK, c.now.Sub(start))
	if by := c.now.Add(stallTime); moves(&c.writeBy, by) {
		c.SetWriteDeadline(by)
	}
	if _, err := c.Write(c.withHead(m.answer, gives)); err != nil {
		return nil, err
	}
	c.answered, c.hurried = true, false
	if c.from += size; c.from == c.to {
		c.buf, c.from, c.to = c.own[:], 0, 0
	}
	return nil, nil
}

// readAll reads what is still missing of a question, and no more where it needs a larger buffer.
func (c *laneConn) readAll(m *matchWork, size int) error {
	if c.from+size > len(c.buf) {
		m.body = slices.Grow(m.body[:0], size)[:size]
		c.to = copy(m.body, c.buf[c.from:c.to])
		c.buf, c.from = m.body, 0
	}
	for c.to < c.from+size {
		c.readWithin(stallTime, time.Now())
		n, err := c.Read(c.buf[c.to:])
		c.to += n
		if err != nil {
			return err
		}
	}
	return nil
}

// answerPlain appends the answer to m.answer, and returns its Content-Type.
func (s *Server) answerPlain(ctx context.Context, q *laneQuestion, m *matchWork, body []byte) (gives string, err error) {
	switch q.form {
	case jsonType:
		return jsonType, s.answerJSON(ctx, m, body)
	case textType:
		m.hashes.Clear()
		for more := true; more && len(body) > 0; {
			var line []byte
			line, body, more = bytes.Cut(body, []byte("\n"))
			if err := m.hashes.Parse(bytes.TrimSuffix(line, []byte("\r"))); err != nil {
				return "", err
			}
		}
		answers, err := s.answers(ctx, &m.hashes)
		for from := 0; err == nil && from < answers.Len(); from += matchChunk {
			m.answer, err = appendOutcomes(m.answer, &answers, from, min(from+matchChunk, answers.Len()))
		}
		return wordForm.gives, err
	}
	if len(body)%q.alg.Size() != 0 {
		return "", ragged(q.alg)
	}
	fillDigests(&m.digests, q.alg, body)
	answers, err := s.answers(ctx, &m.digests)
	if err == nil {
		m.answer, err = appendOutcomeBytes(m.answer, &answers)
	}
	return octetType, err
}

// laneRoom is where an answer's head goes, right before its body, so that both are written at once.
var laneRoom [256]byte

// withHead puts a head into the room before an answer, as net/http writes it.
func (c *laneConn) withHead(answer []byte, gives string) []byte {
	var room [len(laneRoom)]byte
	head := append(room[:0], "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: "...)
	head = strconv.AppendInt(head, int64(len(answer)-len(laneRoom)), 10)
	head = append(append(head, "\r\nContent-Type: "...), gives...)
	head = append(head, "\r\nX-Content-Type-Options: nosniff\r\nDate: "...)
	head = c.now.UTC().AppendFormat(head, http.TimeFormat)
	if c.lane.isClosing() {
		head = append(head, "\r\nConnection: close"...)
	}
	head = append(head, "\r\n\r\n"...)
	from := len(laneRoom) - len(head)
	copy(answer[from:], head)
	return answer[from:]
}

func (c *laneConn) readWithin(d time.Duration, now time.Time) {
	if by := now.Add(d); moves(&c.readBy, by) {
		c.SetReadDeadline(by)
	}
}

// moves tells whether a deadline must be set anew. It may be a second early, so that it isn't set at each request.
func moves(deadline *time.Time, by time.Time) bool {
	if early := by.Sub(*deadline); 0 <= early && early < time.Second {
		return false
	}
	*deadline = by
	return true
}
