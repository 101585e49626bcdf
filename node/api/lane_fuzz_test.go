package api

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// endReader remembers that somebody wanted more than there is.
type endReader struct {
	r     bytes.Reader
	wants bool
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.wants = e.wants || err != nil
	return n, err
}

// FuzzLane holds the lane to what net/http makes of the same bytes: no request is a different one to it, and none is longer or shorter.
func FuzzLane(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		var q laneQuestion
		sense := q.parse(b)
		in := &endReader{r: *bytes.NewReader(b)}
		rest := bufio.NewReaderSize(in, 16)
		r, err := http.ReadRequest(rest)
		switch sense {
		case laneUnusual:
			return // strict it may be
		case laneCut:
			// It waits for more only where net/http does too.
			if err == nil || !in.wants {
				t.Fatalf("waits for more than %q, net/http does not: %v", b, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", b[:q.head], err)
		}
		path := "/v1/match"
		if q.alg != 0 {
			path += "?alg=" + q.alg.String()
		}
		if r.Method != "POST" || r.RequestURI != path || r.URL.Path != "/v1/match" || r.URL.Query().Get("alg") != strings.TrimPrefix(path[len("/v1/match"):], "?alg=") || r.Proto != "HTTP/1.1" {
			t.Fatalf("net/http reads %s %s (%s) %s, want %s", r.Method, r.RequestURI, r.URL, r.Proto, path)
		}
		if r.Host != string(q.host) || r.Header.Get("Authorization") != string(q.authorization) || mediaType(r) != q.form || len(r.Header["Authorization"]) != 1 || len(r.Header["Content-Type"]) != 1 {
			t.Fatalf("got %q, %q, %q, net/http reads %q, %v", q.host, q.authorization, q.form, r.Host, r.Header)
		}
		if r.ContentLength != int64(q.body) || q.body <= 0 || q.body > maxLaneBody || len(r.TransferEncoding) > 0 || r.Close || len(r.Trailer) > 0 {
			t.Fatalf("got a body of %d, net/http has %+v", q.body, r)
		}
		for _, name := range []string{"Expect", "Origin", "Sec-Fetch-Site", "Cookie", "Upgrade", aloneHeader, "Content-Encoding", "Te"} {
			if r.Header.Get(name) != "" {
				t.Fatalf("%s is overlooked", name)
			}
		}
		if n := bytes.Index(b, []byte("\r\n\r\n")); n+4 != q.head {
			t.Fatalf("got a head of %d bytes, want %d", q.head, n+4)
		}
		body, err := io.ReadAll(r.Body)
		there := b[q.head:min(len(b), q.head+q.body)]
		if !bytes.Equal(body, there) || (err == nil) != (len(there) == q.body) {
			t.Fatalf("got the body %q, net/http has %q, %v", there, body, err)
		}
		if after, _ := io.ReadAll(rest); !bytes.Equal(after, b[q.head+len(there):]) {
			t.Fatalf("net/http leaves %q, the lane %q", after, b[q.head+len(there):])
		}
		// While it comes, it is waited for.
		for i := range q.head {
			if sense := new(laneQuestion).parse(b[:i]); sense != laneCut {
				t.Fatalf("%q: got %d, want it to wait", b[:i], sense)
			}
		}
	})
}
