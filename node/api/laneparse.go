package api

import (
	"bytes"

	"hashfeed/feed"
)

// laneQuestion is a request that the lane may answer. Its texts are parts of what was read.
type laneQuestion struct {
	host, authorization []byte
	form                string // of the body: jsonType, textType or octetType
	alg                 feed.Alg
	head, body          int // bytes
}

// laneSense is what the lane makes of the bytes that a connection brings.
type laneSense int

const (
	laneCut     laneSense = iota // plain so far: there must be more to come, as net/http thinks too
	lanePlain                    // a laneQuestion, of which the head is there
	laneUnusual                  // whatever else: net/http's
)

// parse reads a request's head from the front of b. It is strict, since a request of whose length the lane and net/http (or a proxy before them) think
// differently lets its sender ask in another's name: what net/http might read in another way is unusual, and so is a header that isn't known to change nothing.
func (q *laneQuestion) parse(b []byte) laneSense {
	*q = laneQuestion{}
	line, rest, sense := laneLine(b)
	if sense != lanePlain {
		return sense
	}
	target, method := bytes.CutPrefix(line, []byte("POST /v1/match"))
	target, version := bytes.CutSuffix(target, []byte(" HTTP/1.1"))
	if !method || !version {
		return laneUnusual
	}
	if len(target) > 0 {
		name, query := bytes.CutPrefix(target, []byte("?alg="))
		if q.alg = laneAlg(name); !query || q.alg == 0 {
			return laneUnusual
		}
	}
	for {
		if line, rest, sense = laneLine(rest); sense != lanePlain {
			return sense
		}
		if len(line) == 0 {
			break
		}
		if !q.header(line) {
			return laneUnusual
		}
	}
	// Each form of body, and it alone, has its own parameters.
	if q.host == nil || q.authorization == nil || q.body == 0 || q.form == "" || (q.form == octetType) != (q.alg != 0) {
		return laneUnusual
	}
	q.head = len(b) - len(rest)
	return lanePlain
}

// laneLine cuts off the first line. A line may end in CR LF only, and hold nothing but ASCII that can be seen, and spaces.
func laneLine(b []byte) (line, rest []byte, _ laneSense) {
	for i, c := range b {
		if ' ' <= c && c <= '~' {
			continue
		}
		switch {
		case c != '\r', i+1 < len(b) && b[i+1] != '\n':
			return nil, nil, laneUnusual
		case i+1 == len(b):
			return nil, nil, laneCut
		}
		return b[:i], b[i+2:], lanePlain
	}
	return nil, nil, laneCut
}

// header reads a line of the head; false: it is unusual.
func (q *laneQuestion) header(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	var name [len("access-control-request-method")]byte // longer than any here
	if colon < 0 || colon > len(name) {
		return false
	}
	for i, c := range line[:colon] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		name[i] = c
	}
	value := bytes.Trim(line[colon+1:], " ")
	switch string(name[:colon]) {
	case "host":
		for _, c := range value { // net/http refuses some of the others, which an address may have behind %
			if letter := c | ' '; (letter < 'a' || letter > 'z') && (c < '-' || c > ':' || c == '/') && c != '[' && c != ']' {
				return false
			}
		}
		return laneOnce(&q.host, value)
	case "authorization":
		return laneOnce(&q.authorization, value)
	case "content-length":
		if q.body != 0 || len(value) > len("999999") || len(value) == 0 || value[0] == '0' {
			return false
		}
		for _, c := range value {
			if c < '0' || c > '9' {
				return false
			}
			q.body = 10*q.body + int(c-'0')
		}
		return q.body <= maxLaneBody
	case "content-type":
		if q.form != "" {
			return false
		}
		switch string(value) {
		case jsonType, "application/json; charset=utf-8":
			q.form = jsonType
		case textType, "text/plain; charset=utf-8":
			q.form = textType
		case octetType:
			q.form = octetType
		}
		return q.form != ""
	case "connection":
		return string(value) == "keep-alive" || string(value) == "Keep-Alive"
	case "accept", "accept-encoding", "accept-language", "user-agent", "cache-control", "pragma", "keep-alive", "forwarded", "via", "x-forwarded-for",
		"x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip", "x-request-id", "traceparent", "tracestate":
		return true // nobody here reads these
	}
	return false
}

// laneOnce sets a header that may stand there once, and not empty.
func laneOnce(header *[]byte, value []byte) bool {
	if *header != nil || len(value) == 0 {
		return false
	}
	*header = value
	return true
}

// laneAlg is the kind of digests that has this name, of those that have a size; else 0.
func laneAlg(name []byte) feed.Alg {
	for alg := feed.MD5; alg < feed.VPDQ; alg++ {
		if alg.Size() > 0 && string(name) == alg.String() {
			return alg
		}
	}
	return 0
}
