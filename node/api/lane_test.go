package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// laneNode blocks hashes that end in ff. It may be asked from many connections.
type laneNode struct {
	Verbs
	before func(context.Context) error // an answer
}

func (n *laneNode) Match(ctx context.Context, hashes []feed.Hash, oneFile bool) ([]policy.Verdict, error) {
	if n.before != nil {
		if err := n.before(ctx); err != nil {
			return nil, err
		}
	}
	var verdicts []policy.Verdict
	for _, h := range hashes {
		v := policy.Verdict{Query: h.Text(), Verdict: policy.OutcomeAllow, Checked: []string{h.Alg.String()}, Note: RefOf(ctx)}
		if strings.HasSuffix(h.Value, "\xff") {
			v.Verdict = policy.OutcomeBlock
		}
		verdicts = append(verdicts, v)
	}
	if oneFile {
		verdicts = verdicts[:1]
	}
	return verdicts, nil
}

func (n *laneNode) Answers(ctx context.Context, hashes *feed.Hashes) (policy.Answers, error) {
	verdicts, err := n.Match(ctx, hashes.List(), false)
	return policy.AnswersOf(verdicts), err
}

func (n *laneNode) Status(context.Context) (Status, error) { return Status{Name: "a.example"}, nil }

// laneDoor is a TCP door with the lane or without.
type laneDoor struct {
	*Server
	http   *http.Server
	dial   func() (net.Conn, error)
	handed atomic.Int64 // connections that net/http got
	served chan error
	log    syncBuffer
}

// counting counts what net/http accepts.
type counting struct {
	net.Listener
	n *atomic.Int64
}

func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// fataler is a test, or one of rapid's.
type fataler interface {
	Helper()
	Fatal(...any)
	Errorf(string, ...any)
}

func openLaneDoor(t *testing.T, n *laneNode, quick bool, l net.Listener) *laneDoor {
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	d := &laneDoor{served: make(chan error, 1), dial: func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }}
	if p, ok := l.(*pipeListener); ok {
		d.dial = p.dial
	}
	d.Server = NewServer(n, Options{Tokens: tokensByScope, Hosts: []string{"api.example"}, Limits: Limits{Requests: 4},
		Logger: slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	d.http = d.TCP()
	if quick {
		l = d.Listen(l)
	}
	go func() { d.served <- d.http.Serve(counting{l, &d.handed}) }()
	t.Cleanup(func() {
		d.http.Close()
		<-d.served
	})
	return d
}

var laneDate = regexp.MustCompile(`\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n`)

// readAnswers reads n answers, or all there are, byte by byte but for their dates.
func readAnswers(t fataler, c net.Conn, n int) string {
	t.Helper()
	var all bytes.Buffer
	in := bufio.NewReader(io.TeeReader(c, &all))
	for i := 0; i != n; i++ {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			if n >= 0 && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("answer %d: %v", i, err)
			}
			break
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Errorf("answer %d: %v", i, err)
		}
		if r.StatusCode == http.StatusContinue {
			i--
		}
	}
	return laneDate.ReplaceAllString(all.String()[:all.Len()-in.Buffered()], "\r\nDate: \r\n")
}

// exchange sends pieces and returns what n answers are, or with n < 0, after the end of what is sent, all there are.
func exchange(t fataler, d *laneDoor, n int, pieces ...string) string {
	t.Helper()
	c, err := d.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	for i, p := range pieces {
		if i > 0 {
			time.Sleep(time.Millisecond)
		}
		if _, err := io.WriteString(c, p); err != nil {
			break // it was refused already
		}
	}
	if n < 0 {
		c.(*net.TCPConn).CloseWrite()
	}
	return readAnswers(t, c, n)
}

const (
	laneGood = "00112233445566778899aabbccddeeff" // it is blocked
	laneBody = `{"hashes":["md5:` + laneGood + `"]}`
)

// lanePost is a plain question in a form.
func lanePost(contentType, body string) string {
	target := "/v1/match"
	if strings.HasPrefix(contentType, "?") {
		var query string
		query, contentType, _ = strings.Cut(contentType, " ")
		target += query
	}
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.14.1\r\nAuthorization: Bearer match\r\nContent-Type: %s\r\nContent-Length: %d\r\nAccept: */*\r\n\r\n%s",
		target, contentType, len(body), body)
}

// TestLane asks a door with the lane and one without, which answer the same; and it is known which questions stay in the lane.
func TestLane(t *testing.T) {
	n := &laneNode{}
	quick, slow := openLaneDoor(t, n, true, nil), openLaneDoor(t, n, false, nil)
	plain := lanePost("application/json", laneBody)
	edit := func(old, new string) string {
		if !strings.Contains(plain, old) {
			t.Fatalf("%q is not in the question", old)
		}
		return strings.Replace(plain, old, new, 1)
	}
	with := func(header string) string { return edit("Accept: */*\r\n", header) }
	host := func(text string) string { return edit("Host: localhost", "Host: "+text) }
	token := func(text string) string { return edit("Authorization: Bearer match", text) }
	length := func(text string) string { return edit("Content-Length: 51", text) }
	target := func(text string) string { return edit("POST /v1/match HTTP/1.1", text) }
	kind := func(text string) string { return edit("Content-Type: application/json", text) }
	many := func(n int, hash string) string { return strings.TrimSuffix(strings.Repeat(`"`+hash+`",`, n), ",") }
	longest := laneGood + "\n" + strings.Repeat(laneGood+"\n", maxLaneBody/33-1)
	for _, c := range []struct {
		name, request string
		lane          bool
	}{
		{"json", plain, true},
		{"a header less", with(""), true},
		{"curl", with("Accept: */*\r\nAccept-Encoding: deflate, gzip, br\r\n"), true},
		{"requests", with("Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"), true},
		{"node", with("connection: Keep-Alive\r\nkeep-alive: timeout=5\r\naccept-language: *\r\n"), true},
		{"a proxy", with("X-Real-IP: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.7\r\nx-forwarded-proto: https\r\nVIA: 1.1 p\r\n"), true},
		{"names in capitals", edit("Authorization", "AUTHORIZATION"), true},
		{"no space before a value", edit("Host: ", "Host:"), true},
		{"spaces around a value", edit("Host: localhost", "Host:  localhost "), true},
		{"an empty value", with("Accept:\r\n"), true},
		{"a colon in a value", with("User-Agent: a:b\r\n"), true},
		{"a long head", with("X-Request-Id: " + strings.Repeat("x", laneBuffer-len(plain)) + "\r\n"), true},
		{"a head that fills the lane's buffer", with("X-Request-Id: " + strings.Repeat("x", laneBuffer) + "\r\n"), false},
		{"a head too long for anybody", with("X-Request-Id: " + strings.Repeat("x", 2*maxHeader) + "\r\n"), false},
		{"an unknown header", with("X-Other: 1\r\n"), false},

		{"a tab before a value", edit("Host: localhost", "Host:\tlocalhost"), false},
		{"a tab in a value", with("Accept: a\tb\r\n"), false},
		{"not ASCII", with("Accept: ü\r\n"), false},
		{"a zero byte", with("Accept: \x00\r\n"), false},
		{"a DEL", with("Accept: \x7f\r\n"), false},
		{"a CR in a value", with("Accept: a\rb\r\n"), false},
		{"a line that ends in LF", with("Accept: */*\n"), false},
		{"all lines end in LF", strings.ReplaceAll(plain, "\r\n", "\n"), false},
		{"a last line that ends in LF", edit("\r\n\r\n", "\r\n\n"), false},
		{"a line that ends in CR CR LF", with("Accept: */*\r\r\n"), false},
		{"a folded line", with("Accept: a\r\n b\r\n"), false},
		{"a folded first line", edit("\r\nHost", "\r\n Accept: a\r\nHost"), false},
		{"a header without a colon", with("Accept\r\n"), false},
		{"a header without a name", with(": x\r\n"), false},
		{"a space before a colon", edit("Host:", "Host :"), false},
		{"a space before a name", edit("Host:", " Host:"), false},

		{"Host: an address", host("127.0.0.1:8480"), true},
		{"Host: an address of six", host("[::1]:8480"), true},
		{"Host: another name", host("API.example:443"), true},
		{"Host: another's name", host("evil.example"), false},
		{"Host: another's address", host("192.0.2.9"), false},
		{"Host: a zone", host("[::1%25x]"), false},
		{"Host: a zone with a quote", host("::1%\""), false},
		{"Host: a user", host("evil@localhost"), false},
		{"Host: two", host("localhost, localhost"), false},
		{"Host: twice", host("localhost\r\nHost: localhost"), false},
		{"Host: another's after ours", host("localhost\r\nHost: evil.example"), false},
		{"Host: none", edit("Host: localhost\r\n", ""), false},
		{"Host: empty", host(""), false},

		{"a token for all", token("Authorization: Bearer admin"), true},
		{"bearer", token("authorization: bearer match"), true},
		{"another scope's token", token("Authorization: Bearer read"), false},
		{"an unknown token", token("Authorization: Bearer nobody"), false},
		{"two spaces before a token", token("Authorization: Bearer  match"), false},
		{"no token", token("Accept: */*"), false},
		{"an empty token", token("Authorization: Bearer "), false},
		{"a password", token("Authorization: Basic match"), false},
		{"a token twice", token("Authorization: Bearer match\r\nAuthorization: Bearer match"), false},
		{"a good token after a bad one", token("Authorization: Bearer nobody\r\nAuthorization: Bearer match"), false},
		{"a long token", token("Authorization: Bearer " + strings.Repeat("x", maxToken+1)), false},

		{"a length with zeros", length("Content-Length: 051"), false},
		{"a length with a sign", length("Content-Length: +51"), false},
		{"a negative length", length("Content-Length: -51"), false},
		{"a length in hex", length("Content-Length: 0x33"), false},
		{"a length with a space behind", length("Content-Length: 51 "), true},
		{"a length twice", length("Content-Length: 51\r\nContent-Length: 51"), false},
		{"two lengths", length("Content-Length: 51\r\nContent-Length: 5"), false},
		{"two lengths in one", length("Content-Length: 51, 51"), false},
		{"a length of 0", lanePost("application/json", ""), false},
		{"a length of nothing", length("Content-Length: "), false},
		{"a length without end", length("Content-Length: " + strings.Repeat("9", 99)), false},
		{"a length twice, first 0", length("Content-Length: 0\r\nContent-Length: 51"), false},
		{"no length", edit("Content-Length: 51\r\n", ""), false},
		{"chunks", length("Transfer-Encoding: chunked") + "\r\n0\r\n\r\n", false},
		{"chunks and a length", length("Content-Length: 51\r\nTransfer-Encoding: chunked") + "\r\n", false},
		{"an unknown encoding", with("Transfer-Encoding: identity\r\n"), false},

		{"Expect", with("Expect: 100-continue\r\n"), false},
		{"another Expect", with("Expect: 200-ok\r\n"), false},
		{"Connection: close", with("Connection: close\r\n"), false},
		{"Connection: keep-alive, close", with("Connection: keep-alive, close\r\n"), false},
		{"Connection: keep-alive and close", with("Connection: keep-alive\r\nConnection: close\r\n"), false},
		{"Upgrade", with("Connection: Upgrade\r\nUpgrade: h2c\r\n"), false},
		{"our origin", with("Origin: http://localhost\r\n"), false},
		{"another origin", with("Origin: http://evil.example\r\n"), false},
		{"a page of ours", with("Sec-Fetch-Site: same-origin\r\n"), false},
		{"a page of another", with("Sec-Fetch-Site: cross-site\r\n"), false},
		{"a cookie", with("Cookie: a=b\r\n"), false},
		{"alone", with("Hashfeed-Alone: 1\r\n"), false},
		{"a trailer", with("Trailer: X\r\n"), false},
		{"an encoded body", with("Content-Encoding: gzip\r\n"), false},

		{"GET", target("GET /v1/match HTTP/1.1"), false},
		{"post", target("post /v1/match HTTP/1.1"), false},
		{"HTTP/1.0", target("POST /v1/match HTTP/1.0"), false},
		{"HTTP/1.2", target("POST /v1/match HTTP/1.2"), false},
		{"HTTP/2.0", target("POST /v1/match HTTP/2.0"), false},
		{"no version", target("POST /v1/match"), false},
		{"two spaces", target("POST  /v1/match HTTP/1.1"), false},
		{"two spaces behind", target("POST /v1/match  HTTP/1.1"), false},
		{"a slash", target("POST /v1/match/ HTTP/1.1"), false},
		{"two slashes", target("POST /v1//match HTTP/1.1"), false},
		{"an escape", target("POST /v1/m%61tch HTTP/1.1"), false},
		{"a fragment", target("POST /v1/match#x HTTP/1.1"), false},
		{"an empty query", target("POST /v1/match? HTTP/1.1"), false},
		{"a query", target("POST /v1/match?alg=md5 HTTP/1.1"), false},
		{"an absolute target", target("POST http://localhost/v1/match HTTP/1.1"), false},
		{"another call", target("POST /v1/matches HTTP/1.1"), false},
		{"a call that isn't", target("POST /v2/match HTTP/1.1"), false},
		{"something else", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\n", false},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false},
		{"an empty line first", "\r\n" + plain, false},

		{"a type with its characters", kind("Content-Type: application/json; charset=utf-8"), true},
		{"a type in capitals", kind("Content-Type: Application/JSON"), false},
		{"a type with something else", kind("Content-Type: application/json;charset=utf-8"), false},
		{"a type twice", kind("Content-Type: application/json\r\nContent-Type: text/plain"), false},
		{"a type twice, lines first", kind("Content-Type: text/plain\r\nContent-Type: application/json"), false},
		{"another type", kind("Content-Type: text/html"), false},
		{"a stream of JSON", lanePost("application/x-ndjson", laneGood+"\n"), false},
		{"no type", edit("Content-Type: application/json\r\n", ""), false},

		{"no hashes", lanePost("application/json", `{"hashes":[]}`), true},
		{"JSON in many words", lanePost("application/json", "{ \"hashes\" :\r\n [ \"\\u006dd5:"+laneGood+"\" ] }\n"), true},
		{"partial", lanePost("application/json", `{"hashes":["zz","`+laneGood+`"],"partial":true}`), true},
		{"one file", lanePost("application/json", `{"hashes":["`+laneGood+`"],"one_file":true,"ref":"upload 7"}`), true},
		{"a reference alone", lanePost("application/json", `{"hashes":["`+laneGood+`"],"ref":"upload 7"}`), false},
		{"a bad hash", lanePost("application/json", `{"hashes":["`+laneGood+`","zz"]}`), false},
		{"no JSON", lanePost("application/json", `{"hashes":["`+laneGood+`"`), false},
		{"JSON and more", lanePost("application/json", laneBody+"x"), false},
		{"an unknown key", lanePost("application/json", `{"hash":[]}`), false},
		{"a thousand hashes", lanePost("application/json", `{"hashes":[`+many(1000, "sha256:"+laneGood+laneGood)+`]}`), true},
		{"a bad one in a thousand", lanePost("application/json", `{"hashes":[`+many(1000, "sha256:"+laneGood+laneGood)+`,"zz"]}`), false},
		{"too many hashes for anybody", lanePost("application/json", `{"hashes":[`+many(MaxHashes+1, "")+`]}`), false},
		{"the largest body", lanePost("application/json", laneBody+strings.Repeat(" ", maxLaneBody-len(laneBody))), true},
		{"a larger body", lanePost("application/json", laneBody+strings.Repeat(" ", maxLaneBody-len(laneBody)+1)), false},

		{"a line", lanePost("text/plain", laneGood), true},
		{"lines", lanePost("text/plain; charset=utf-8", laneGood+"\nsha1:"+laneGood+"01234567\r\n"+laneGood+"\r"), true},
		{"an empty line", lanePost("text/plain", "\n"), false},
		{"an empty line between", lanePost("text/plain", laneGood+"\n\n"+laneGood+"\n"), false},
		{"a bad line", lanePost("text/plain", laneGood+"\nzz\n"), false},
		{"a long line", lanePost("text/plain", strings.Repeat(" ", 100_000)+laneGood+"\n"), false},
		{"a quoted line", lanePost("text/plain", `"`+laneGood+`"`), false},
		{"a chunk of lines", lanePost("text/plain", strings.Repeat(laneGood+"\n", matchChunk)), true},
		{"the most lines", lanePost("text/plain", longest), true},
		{"lines with a kind of digests", lanePost("?alg=md5 text/plain", laneGood), false},

		{"octets", lanePost("?alg=md5 application/octet-stream", "0123456789abcdef0123456789abcde\xff"), true},
		{"octets sha1", lanePost("?alg=sha1 application/octet-stream", "0123456789abcdef0123"), true},
		{"octets sha256", lanePost("?alg=sha256 application/octet-stream", strings.Repeat("\xff", 32*matchChunk+64)), true},
		{"octets pdq", lanePost("?alg=pdq application/octet-stream", strings.Repeat("p", 32)), true},
		{"octets pdq_full", lanePost("?alg=pdq_full application/octet-stream", strings.Repeat("p", 64)), true},
		{"octets photodna", lanePost("?alg=photodna application/octet-stream", strings.Repeat("p", 144)), true},
		{"octets vpdq", lanePost("?alg=vpdq application/octet-stream", strings.Repeat("p", 144)), false},
		{"ragged octets", lanePost("?alg=md5 application/octet-stream", "0123456789abcdefx"), false},
		{"octets of no kind", lanePost("application/octet-stream", "0123456789abcdef"), false},
		{"octets of an empty kind", lanePost("?alg= application/octet-stream", "0123456789abcdef"), false},
		{"octets of an unknown kind", lanePost("?alg=MD5 application/octet-stream", "0123456789abcdef"), false},
		{"octets of two kinds", lanePost("?alg=md5&alg=sha1 application/octet-stream", "0123456789abcdef"), false},
		{"octets and another parameter", lanePost("?alg=md5&x=1 application/octet-stream", "0123456789abcdef"), false},
		{"octets of an escaped kind", lanePost("?alg=m%645 application/octet-stream", "0123456789abcdef"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := quick.handed.Load()
			got, want := exchange(t, quick, 1, c.request), exchange(t, slow, 1, c.request)
			if got != want {
				t.Errorf("got %.600q, net/http answers %.600q", got, want)
			}
			if lane := quick.handed.Load() == before; lane != c.lane {
				t.Errorf("answered in the lane: got %v, want %v", lane, c.lane)
			}
			if c.lane && !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
				t.Errorf("the lane says %q", got)
			}
		})
	}
	counts := func(d *laneDoor) string {
		var b strings.Builder
		families, err := d.o.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.Metric {
				for _, label := range m.Label {
					fmt.Fprint(&b, label.GetValue(), " ")
				}
				fmt.Fprintln(&b, f.GetName(), m.GetCounter().GetValue(), m.GetHistogram().GetSampleCount())
			}
		}
		return b.String()
	}
	if got, want := counts(quick), counts(slow); got != want {
		t.Errorf("counted %s\nwithout the lane %s", got, want)
	}
	changes := regexp.MustCompile(`time=\S+|seconds=\S+|127\.0\.0\.1:\d+`)
	lines := func(d *laneDoor) []string { // of a large answer one is written when the next question may be there
		all := strings.SplitAfter(changes.ReplaceAllString(d.log.String(), ""), "\n")
		slices.Sort(all)
		return all
	}
	if got, want := lines(quick), lines(slow); !slices.Equal(got, want) {
		t.Errorf("logged %q\nwithout the lane %q", got, want)
	}
}
