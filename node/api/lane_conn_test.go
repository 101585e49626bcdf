package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// lanePlains are plain questions of each form.
func lanePlains() []string {
	return []string{lanePost("application/json", laneBody), lanePost("text/plain", laneGood+"\n"), lanePost("?alg=md5 application/octet-stream", "0123456789abcde\xff")}
}

const (
	laneStatus = "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer read\r\n\r\n"
	laneRefuse = "POST /v1/match HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer nobody\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc"
)

// TestLaneConn sends several requests over a connection.
func TestLaneConn(t *testing.T) {
	n := &laneNode{}
	quick, slow := openLaneDoor(t, n, true, nil), openLaneDoor(t, n, false, nil)
	plain := strings.Join(lanePlains(), "")
	large := lanePost("application/json", laneBody+strings.Repeat(" ", 3*laneBuffer))
	bad := lanePost("text/plain", "zz\n")
	largeBad := lanePost("application/json", laneBody+strings.Repeat(" ", 3*laneBuffer)+"x")
	for _, c := range []struct {
		name     string
		requests string
		n        int
		lane     bool // all are answered in the lane
	}{
		{"plain ones", plain, 3, true},
		{"many, of which the buffer cuts some", strings.Repeat(plain, 100), 300, true},
		{"a large one between", plain + large + plain + large + large, 9, true},
		{"another between", plain + laneStatus + plain, 7, false},
		{"others before", laneStatus + laneStatus + plain, 5, false},
		{"a bad one between", plain + bad + plain, 7, false},
		{"a large bad one between", plain + largeBad + plain, 7, false},
		{"one that is refused between", plain + laneRefuse + plain, 7, false},
		{"the end of a line after", plain + "\r\n" + plain, 6, false},
		{"two ends of lines after", plain + "\r\n\r\n" + plain, 6, false},
		{"two ends of lines before another", plain + "\n\n" + laneStatus, 4, false},
		{"too many ends of lines", plain + "\r\n\r\n\n" + plain, 4, false},
		{"ends of lines after net/http", laneStatus + plain + "\r\n" + plain, 7, false},
		{"a length too small", plain + strings.Replace(plain, "Content-Length: 51", "Content-Length: 50", 1), 4, false},
		{"a length too large", plain + strings.Replace(plain, "Content-Length: 51", "Content-Length: 52", 1), 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := quick.handed.Load()
			got, want := exchange(t, quick, c.n, c.requests), exchange(t, slow, c.n, c.requests)
			if got != want {
				t.Errorf("got %.3000q\nnet/http answers %.3000q", got, want)
			}
			if lane := quick.handed.Load() == before; lane != c.lane {
				t.Errorf("answered in the lane: got %v, want %v", lane, c.lane)
			}
			if got, want := exchange(t, quick, -1, c.requests), exchange(t, slow, -1, c.requests); got != want {
				t.Errorf("to the end: got %.3000q\nnet/http answers %.3000q", got, want)
			}
		})
	}
	// Where the connection goes over.
	c, err := quick.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, step := range []struct {
		request string
		handed  int64
	}{{plain, 0}, {plain, 0}, {laneStatus, 1}, {plain, 1}, {laneStatus, 1}} {
		before := quick.handed.Load()
		if i > 2 {
			before--
		}
		io.WriteString(c, step.request)
		readAnswers(t, c, strings.Count(step.request, " HTTP/1.1\r\n"))
		if got := quick.handed.Load() - before; got != step.handed {
			t.Errorf("step %d: %d connections handed over, want %d", i, got, step.handed)
		}
	}
}

// TestLaneCut sends requests in two pieces, cut at each byte, and the first piece alone.
func TestLaneCut(t *testing.T) {
	n := &laneNode{}
	quick, slow := openLaneDoor(t, n, true, nil), openLaneDoor(t, n, false, nil)
	requests := append(lanePlains(), lanePlains()[1]+lanePlains()[2])
	for _, r := range requests {
		count := strings.Count(r, "POST")
		want := exchange(t, slow, count, r)
		before := quick.handed.Load()
		for i := range len(r) {
			if got := exchange(t, quick, count, r[:i], r[i:]); got != want {
				t.Fatalf("cut at %d: got %q, want %q", i, got, want)
			}
		}
		if quick.handed.Load() != before {
			t.Errorf("%q: cut, it was handed over", r)
		}
		if got := exchange(t, quick, count, strings.Split(r, "")...); got != want {
			t.Errorf("byte by byte: got %q, want %q", got, want)
		}
	}
	for _, r := range append(requests, lanePlains()[0]+laneStatus, laneRefuse, "\r\n\r\n") {
		for i := range len(r) + 1 {
			if got, want := exchange(t, quick, -1, r[:i]), exchange(t, slow, -1, r[:i]); got != want {
				t.Fatalf("%q and the end: got %q, want %q", r[:i], got, want)
			}
		}
	}
}

// TestLaneMany asks over many connections at once, among which memory goes round: large questions, some of which go over.
func TestLaneMany(t *testing.T) {
	d := openLaneDoor(t, &laneNode{}, true, nil)
	var asking sync.WaitGroup
	for i := range cap(d.slots) {
		asking.Go(func() {
			for k := range 100 {
				ref := fmt.Sprint(i, "-", k)
				body := `{"hashes":["` + laneGood + `"],` + strings.Repeat(" ", 20_000) + `"one_file":true,"ref":"` + ref + `"}`
				want := `"note":"` + ref + `"`
				if (i+k)%2 == 0 {
					body, want = strings.Replace(body, `"ref":`, `"x`+ref+`":`, 1), `unknown key \"x`+ref+`\"`
				}
				if got := exchange(t, d, 1, lanePost("application/json", body)); !strings.Contains(got, want) {
					t.Errorf("got %q, want %s", got, want)
				}
			}
		})
	}
	asking.Wait()
}

// TestLaneSame asks at random.
func TestLaneSame(t *testing.T) {
	n := &laneNode{}
	quick, slow := openLaneDoor(t, n, true, nil), openLaneDoor(t, n, false, nil)
	pieces := append(lanePlains(), laneStatus, laneRefuse, "\r\n", "\n", "\r", " ", ":", "POST /v1/match HTTP/1.1\r\n", "Host: localhost\r\n", "Content-Length: 5\r\n",
		"Transfer-Encoding: chunked\r\n", "GET /livez HTTP/1.1\r\n", "5\r\nabcde\r\n0\r\n\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n", "\x00", "ü")
	rapid.Check(t, func(t *rapid.T) {
		all := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 8).Draw(t, "pieces"), "")
		for range rapid.IntRange(0, 2).Draw(t, "edits") {
			at := rapid.IntRange(0, len(all)).Draw(t, "at")
			to := min(len(all), at+rapid.IntRange(0, 2).Draw(t, "length"))
			all = all[:at] + rapid.OneOf(rapid.SampledFrom(pieces), rapid.StringN(0, 2, 8)).Draw(t, "new") + all[to:]
		}
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		if got, want := exchange(t, quick, -1, all[:cut], all[cut:]), exchange(t, slow, -1, all); got != want {
			t.Fatalf("%q: got %q, net/http answers %q", all, got, want)
		}
	})
}

// pipeListener accepts connections in memory, for doors in a bubble.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial() (net.Conn, error) {
	client, server := net.Pipe()
	l.conns <- server
	return client, nil
}

// inBubble runs a test at a door with the lane and at one without, in time that passes at once. No goroutine may be left.
func inBubble(t *testing.T, n *laneNode, test func(t *testing.T, d *laneDoor)) {
	for _, quick := range []bool{true, false} {
		name := "without"
		if quick {
			name = "lane"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := openLaneDoor(t, n, quick, newPipeListener())
				test(t, d)
			})
		})
	}
}

// sent begins a connection and writes to it.
func sent(t *testing.T, d *laneDoor, pieces ...string) net.Conn {
	t.Helper()
	c, err := d.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for _, p := range pieces {
		if _, err := io.WriteString(c, p); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// TestLaneTimes leaves the doors alone with unfinished requests.
func TestLaneTimes(t *testing.T) {
	plain := lanePlains()[0]
	body := strings.Index(plain, "{")
	for _, c := range []struct {
		name     string
		first    string // answered
		then     string
		answer   string
		at, slip time.Duration
	}{
		{name: "nothing", at: headerTime},
		{name: "half a head", then: plain[:body-10], answer: "HTTP/1.1 400 ", at: headerTime},
		{name: "half a body", then: plain[:body+10], answer: "HTTP/1.1 408 ", at: stallTime},
		{name: "nothing more", first: plain, at: idleTime, slip: time.Second},
		{name: "half a head more", first: plain, then: plain[:body-10], answer: "HTTP/1.1 400 ", at: headerTime, slip: time.Second},
		{name: "half a body more", first: plain, then: plain[:body+10], answer: "HTTP/1.1 408 ", at: stallTime, slip: time.Second},
		{name: "a byte more", first: plain, then: plain[:1], at: headerTime, slip: idleTime - headerTime}, // of net/http's idle time
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, &laneNode{}, func(t *testing.T, d *laneDoor) {
				conn := sent(t, d)
				if c.first != "" {
					io.WriteString(conn, c.first)
					readAnswers(t, conn, 1)
				}
				start := time.Now()
				io.WriteString(conn, c.then)
				all, err := io.ReadAll(conn)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took < c.at-c.slip || took > c.at+c.slip {
					t.Errorf("closed after %v, want %v", took, c.at)
				}
				if !strings.HasPrefix(string(all), c.answer) || c.answer == "" && len(all) > 0 {
					t.Errorf("got %q, want %q", all, c.answer)
				}
			})
		})
	}
	t.Run("a slow body", func(t *testing.T) {
		inBubble(t, &laneNode{}, func(t *testing.T, d *laneDoor) {
			conn := sent(t, d, plain[:body])
			for _, b := range strings.Split(plain[body:], "") {
				time.Sleep(stallTime - time.Second)
				io.WriteString(conn, b)
			}
			if got := readAnswers(t, conn, 1); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("got %q", got)
			}
			if d.handed.Load() > 0 && strings.HasSuffix(t.Name(), "lane") {
				t.Errorf("it was handed over")
			}
		})
	})
	t.Run("one who doesn't read", func(t *testing.T) {
		inBubble(t, &laneNode{}, func(t *testing.T, d *laneDoor) {
			conn := sent(t, d, plain)
			time.Sleep(stallTime + time.Second)
			if all, _ := io.ReadAll(conn); len(all) > 0 {
				t.Errorf("got %q", all)
			}
		})
	})
	t.Run("another request after a while", func(t *testing.T) {
		inBubble(t, &laneNode{}, func(t *testing.T, d *laneDoor) {
			conn := sent(t, d, plain)
			readAnswers(t, conn, 1)
			time.Sleep(stallTime + time.Second)
			io.WriteString(conn, "GET /\n")
			if got := readAnswers(t, conn, 1); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("got %q", got)
			}
		})
	})
	t.Run("requests now and then", func(t *testing.T) {
		inBubble(t, &laneNode{}, func(t *testing.T, d *laneDoor) {
			conn := sent(t, d)
			for _, pause := range []time.Duration{0, time.Millisecond, stallTime, idleTime - 2*time.Second, headerTime, time.Second, idleTime - 2*time.Second} {
				time.Sleep(pause)
				io.WriteString(conn, plain)
				if got := readAnswers(t, conn, 1); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Fatalf("after %v: got %q", pause, got)
				}
			}
		})
	})
}

// TestLaneShutdown shuts doors down that have connections of every kind.
func TestLaneShutdown(t *testing.T) {
	plain := lanePlains()[0]
	gate := make(chan struct{})
	var asked atomic.Int32
	n := &laneNode{before: func(context.Context) error {
		if asked.Add(1) == 3 {
			<-gate
		}
		return nil
	}}
	inBubble(t, n, func(t *testing.T, d *laneDoor) {
		asked.Store(0)
		gate = make(chan struct{})
		fresh, half := sent(t, d), sent(t, d, plain[:30])
		idle, next := sent(t, d, plain), sent(t, d, plain)
		readAnswers(t, idle, 1)
		readAnswers(t, next, 1)
		io.WriteString(next, plain[:30])
		busy := sent(t, d, plain)
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- d.http.Shutdown(context.Background()) }()
		time.Sleep(time.Second)
		ended := []net.Conn{idle, next}
		if strings.HasSuffix(t.Name(), "lane") {
			ended = append(ended, fresh, half) // net/http gives them five seconds
		}
		for i, c := range ended {
			if all, err := io.ReadAll(c); len(all) > 0 || err != nil {
				t.Errorf("connection %d: got %q, %v", i, all, err)
			}
		}
		select {
		case err := <-down:
			t.Errorf("it shut down without the answer: %v", err)
		default:
		}
		close(gate)
		start := time.Now()
		got := readAnswers(t, busy, 1)
		if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "\r\nConnection: close\r\n") {
			t.Errorf("got %q", got)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 0 && strings.HasSuffix(t.Name(), "lane") {
			t.Errorf("it was down %v after the last answer", took)
		}
		if _, err := busy.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the last answer: got %v, want EOF", err)
		}
		if len(d.slots) > 0 {
			t.Errorf("%d places are held", len(d.slots))
		}
	})
}

// TestLaneEnds closes doors whose answers don't come, and whose askers don't read.
func TestLaneEnds(t *testing.T) {
	hangs := &laneNode{before: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	for name, n := range map[string]*laneNode{"answer": hangs, "asker": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := openLaneDoor(t, n, true, newPipeListener())
				c := sent(t, d, lanePlains()[0])
				synctest.Wait()
				start := time.Now()
				d.http.Close()
				if took := time.Since(start); took != laneEnd {
					t.Errorf("closed after %v, want %v", took, laneEnd)
				}
				if _, err := c.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("got %v, want EOF", err)
				}
			})
		})
	}
	// Closed, it accepts nothing, and nothing waits.
	synctest.Test(t, func(t *testing.T) {
		l := newTestServer(&fakeNode{}).Listen(newPipeListener())
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed twice: got %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: got %v", err)
		}
		client, late := net.Pipe()
		l.(*lane).add(late)
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("late: got %v, want EOF", err)
		}
	})
}

// TestLaneTrouble meets an error, a panic and a full house.
func TestLaneTrouble(t *testing.T) {
	plain := lanePlains()[0]
	var trouble error
	n := &laneNode{before: func(context.Context) error {
		if trouble == nil {
			panic("in a test")
		}
		return trouble
	}}
	inBubble(t, n, func(t *testing.T, d *laneDoor) {
		trouble = &Error{Status: 503, Code: CodeNotReady, Text: "replaying"}
		if got := readAnswers(t, sent(t, d, plain), 1); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "replaying") {
			t.Errorf("got %q", got)
		}
		trouble = nil
		if all, err := io.ReadAll(sent(t, d, plain)); len(all) > 0 || err != nil {
			t.Errorf("panic: got %q, %v", all, err)
		}
		if log := d.log.String(); !strings.Contains(log, "http: panic serving pipe: in a test") || !strings.Contains(log, "lane_conn_test.go") {
			t.Errorf("the log has no panic: %s", log)
		}
		if len(d.slots) > 0 {
			t.Errorf("%d places are held", len(d.slots))
		}
		for range cap(d.slots) {
			d.slots <- struct{}{}
		}
		start := time.Now()
		if got := readAnswers(t, sent(t, d, plain), 1); !strings.HasPrefix(got, "HTTP/1.1 429 ") || time.Since(start) != queueTime {
			t.Errorf("after %v: got %q", time.Since(start), got)
		}
	})
}

// failing is a listener that has no more files at first.
type failing struct {
	net.Listener
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, err
	}
	return f.Listener.Accept()
}

type noFiles struct{ error }

func (noFiles) Timeout() bool   { return false }
func (noFiles) Temporary() bool { return true }

// TestLaneAccept passes net/http the errors of a listener, which it knows to wait for.
func TestLaneAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		d := openLaneDoor(t, &laneNode{}, true, &failing{l, slices.Repeat([]error{noFiles{errors.New("no files")}}, 3)})
		d.dial = l.dial
		start := time.Now()
		if got := readAnswers(t, sent(t, d, lanePlains()[0]), 1); !strings.HasPrefix(got, "HTTP/1.1 200 ") || time.Since(start) < 10*time.Millisecond {
			t.Errorf("after %v: got %q", time.Since(start), got)
		}
	})
	d := openLaneDoor(t, &laneNode{}, true, &failing{newPipeListener(), []error{errors.New("gone")}})
	if err := <-d.served; err == nil || err.Error() != "gone" {
		t.Errorf("got %v", err)
	}
	d.served <- http.ErrServerClosed
}
