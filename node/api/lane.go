package api

import (
	"context"
	"errors"
	"log"
	"net"
	"sync"
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

	// ctx is of all answers. Unlike net/http's it doesn't end when the one who asked goes away: a question is small, and its answer is written down
	// in any case.
	ctx     context.Context
	cancel  context.CancelFunc
	closing chan struct{} // closed with the lane

	mu      sync.Mutex // guards conns, and that none is added once the lane is closed
	conns   map[*laneConn]struct{}
	running sync.WaitGroup // goroutines
}

// accepted is what net/http's Accept gets.
type accepted struct {
	conn net.Conn
	err  error
}

func (l *lane) Accept() (net.Conn, error) {
	l.begin.Do(func() { l.running.Go(l.acceptAll) })
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

func (l *lane) isClosing() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}

func (l *lane) acceptAll() {
	for {
		conn, err := l.Listener.Accept()
		if err == nil {
			l.add(conn)
		} else if !l.hand(nil, err) { // net/http waits a little if there are no more files, and then accepts again
			return
		}
	}
}

func (l *lane) add(conn net.Conn) {
	c := &laneConn{Conn: conn, lane: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isClosing() {
		conn.Close()
		return
	}
	l.conns[c] = struct{}{}
	l.running.Go(c.serve)
}

func (l *lane) remove(c *laneConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// hand gives net/http what it accepts; false: nothing any more.
func (l *lane) hand(conn net.Conn, err error) bool {
	select {
	case l.handed <- accepted{conn, err}:
		return true
	case <-l.closing:
		return false
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
