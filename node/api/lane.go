package api

import (
	"bytes"
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Listen puts the quick lane before the TCP door: what it returns is to be served by the server that TCP returns.
//
// A question of one hash costs net/http twice what it costs the node and the system together. So a connection's requests are first looked at here.
// As long as they are the plainest questions of POST /v1/match, and good ones, they are answered here. With the first that is anything else the connection
// goes over to net/http for good, and so does all that was read of it and not answered. The lane says nothing but 200, whatever is wrong net/http says: none of what
// is looked at before an answer changes anything, so that it can be looked at twice.
//
// To close the lane closes its connections, those with a question when it is answered; Accept, and with it Shutdown, waits for that, for at most laneEnd.
func (s *Server) Listen(l net.Listener) net.Listener {
	ctx, cancel := context.WithCancel(context.Background())
	return &lane{Listener: l, server: s, counted: s.metrics.route("/v1/match"), log: s.errorLog(), handed: make(chan accepted),
		ctx: ctx, cancel: cancel, closing: make(chan struct{}), conns: map[*laneConn]struct{}{}}
}

type lane struct {
	net.Listener
	server  *Server
	counted *routeMetrics
	log     *log.Logger
	begin   sync.Once
	handed  chan accepted

	// ctx is of all answers. Unlike net/http's it doesn't end when the one who asked goes away: a question is small, and its answer is kept in the
	// journal by then.
	ctx     context.Context
	cancel  context.CancelFunc
	closing chan struct{} // closed with the lane

	mu      sync.Mutex // guards conns and the beginning of what running counts
	conns   map[*laneConn]struct{}
	running sync.WaitGroup
}

// accepted is what net/http's Accept gets.
type accepted struct {
	conn net.Conn
	err  error
}

func (l *lane) Accept() (net.Conn, error) {
	l.begin.Do(func() {
		if l.adds(nil) {
			go l.acceptAll()
		}
	})
	select {
	case a := <-l.handed:
		return a.conn, a.err
	case <-l.closing:
		l.running.Wait()
		l.cancel()
		return nil, net.ErrClosed
	}
}

func (l *lane) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosing() {
		return net.ErrClosed
	}
	close(l.closing)
	for c := range l.conns {
		if c.state.CompareAndSwap(laneIdle, laneClosed) {
			c.Conn.Close()
		}
	}
	time.AfterFunc(laneEnd, func() {
		l.cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.conns {
			c.Conn.Close()
		}
	})
	return l.Listener.Close()
}

// adds tells of what begins to run, a connection or something else; false: the lane is closed.
func (l *lane) adds(c *laneConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosing() {
		return false
	}
	l.running.Add(1)
	if c != nil {
		l.conns[c] = struct{}{}
	}
	return true
}

func (l *lane) isClosing() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}

// hand gives net/http a connection or an error, which then takes its time if the system has no more files.
func (l *lane) hand(a accepted) bool {
	select {
	case l.handed <- a:
		return true
	case <-l.closing:
		return false
	}
}

func (l *lane) acceptAll() {
	defer l.running.Done()
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			if !l.hand(accepted{nil, err}) {
				return
			}
			continue
		}
		c := &laneConn{Conn: conn, lane: l}
		if !l.adds(c) {
			conn.Close()
			return
		}
		go l.serve(c)
	}
}

func (l *lane) serve(c *laneConn) {
	given := false
	defer func() {
		if p := recover(); p != nil {
			l.log.Printf("http: panic serving %v: %v\n%s", c.RemoteAddr(), p, debug.Stack())
		}
		if !given {
			c.Conn.Close()
		}
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
		l.running.Done()
	}()
	if rest, err := c.run(); rest != nil {
		c.SetDeadline(time.Time{})
		given = l.hand(accepted{conn: &handedConn{c.Conn, rest, err}})
	}
}

// handedConn is a connection of which something was read: that, then perhaps how it ended, then the rest.
type handedConn struct {
	net.Conn
	rest []byte
	err  error
}

func (c *handedConn) Read(p []byte) (int, error) {
	switch {
	case len(c.rest) > 0:
		n := copy(p, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	case c.err != nil:
		return 0, c.err
	}
	return c.Conn.Read(p)
}

// CloseWrite is what net/http does to a connection before it leaves one who still sends.
func (c *handedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

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

	buf      [laneBuffer]byte
	from, to int       // what was read and isn't answered yet
	answered bool      // a question was
	hurried  bool      // the deadline of a head is set
	now      time.Time // of the last answer

	readBy, writeBy time.Time // the deadlines
	host            string    // the last good one
	date            []byte    // as HTTP has it, of the second dateOf
	dateOf          int64
}

// run answers plain questions. It returns what was read and not answered, to be handed over, and how reading ended, if it did; nil if the connection is over.
func (c *laneConn) run() (rest []byte, err error) {
	c.readWithin(headerTime, time.Now())
	c.hurried = true
	for {
		var q laneQuestion
		sense := laneCut
		if n := c.to - c.from; n > 0 && (!c.answered || n >= lineEnds) {
			sense = q.parse(c.buf[c.from:c.to])
		}
		if sense == laneUnusual || sense == laneCut && c.to-c.from == len(c.buf) {
			return c.unread(), nil
		}
		if sense == laneCut {
			if err := c.more(); err != nil {
				if c.to == 0 || c.answered && c.to < lineEnds {
					return nil, err // nothing was asked
				}
				return c.unread(), err
			}
			continue
		}
		if !c.state.CompareAndSwap(laneIdle, laneBusy) {
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

// lineEnds is how many ends of lines net/http overlooks after a question, which old clients send.
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
	c.to = copy(c.buf[:], c.buf[c.from:c.to])
	c.from = 0
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
	body := c.buf[c.from+q.head : c.to]
	whole := len(body) >= q.body
	if whole {
		body = body[:q.body]
	} else if body, err = c.readBody(m, body, q.body); err != nil {
		return slices.Concat(c.buf[c.from:c.from+q.head], body), err
	}
	m.answer = append(m.answer[:0], laneRoom[:]...)
	gives, err := s.answerPlain(c.lane.ctx, q, m, body)
	if err != nil && whole {
		return c.unread(), nil
	}
	if err != nil {
		return slices.Concat(c.buf[c.from:c.from+q.head], body), nil
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
	if c.from += q.head + q.body; !whole {
		c.from, c.to = 0, 0
	}
	return nil, nil
}

// readBody reads the rest of a body, and no more.
func (c *laneConn) readBody(m *matchWork, begun []byte, size int) ([]byte, error) {
	m.body = append(slices.Grow(m.body[:0], size), begun...)
	for len(m.body) < size {
		c.readWithin(stallTime, time.Now())
		n, err := c.Read(m.body[len(m.body):size])
		m.body = m.body[:len(m.body)+n]
		if err != nil {
			return m.body, err
		}
	}
	return m.body, nil
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
	if second := c.now.Unix(); second != c.dateOf || c.date == nil {
		c.date, c.dateOf = c.now.UTC().AppendFormat(c.date[:0], http.TimeFormat), second
	}
	var room [len(laneRoom)]byte
	head := append(room[:0], "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: "...)
	head = strconv.AppendInt(head, int64(len(answer)-len(laneRoom)), 10)
	head = append(append(head, "\r\nContent-Type: "...), gives...)
	head = append(append(head, "\r\nX-Content-Type-Options: nosniff\r\nDate: "...), c.date...)
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
