package api

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"net/http"
)

// question is a matchRequest that was read, and may be read into again. Its texts are parts of the body.
type question struct {
	hashes           [][]byte
	partial, oneFile bool
	ref              string
}

// parse reads a JSON question. It is encoding/json's answer for matchRequest, except that a key twice, or in other case, is refused, that
// it stops at MaxHashes before it has kept more, and that it is many times as quick: this is the hot path.
func (q *question) parse(body []byte) error {
	*q = question{hashes: q.hashes[:0]}
	p := jsonScanner{rest: body}
	var hashes, partial, oneFile, ref, twice bool // that this key was seen; that one was again
	see := func(key *bool) { twice, *key = twice || *key, true }
	p.want('{')
	for first := true; p.err == nil && !p.peek('}'); first = false {
		if !first {
			p.want(',')
		}
		key := p.text()
		p.want(':')
		if p.err != nil {
			break
		}
		switch string(key) {
		case "hashes":
			see(&hashes)
			q.hashes = p.texts(q.hashes[:0], MaxHashes)
		case "partial":
			see(&partial)
			q.partial = p.bool()
		case "one_file":
			see(&oneFile)
			q.oneFile = p.bool()
		case "ref":
			see(&ref)
			q.ref = string(p.text())
		default:
			return malformed("read the body: unknown key %.40q", key)
		}
		if twice && p.err == nil {
			return malformed("read the body: %.40q stands there twice", key)
		}
	}
	p.want('}')
	if p.space(); p.err == nil && len(p.rest) > 0 {
		p.fail("it goes on after its JSON value")
	}
	if p.err != nil {
		return p.err
	}
	if !hashes {
		return malformed("read the body: hashes are missing")
	}
	return nil
}

// jsonScanner reads a little JSON (RFC 8259) from the front of rest. After an error it reads nothing more.
type jsonScanner struct {
	rest []byte
	err  *Error
}

func (p *jsonScanner) fail(text string) {
	if p.err == nil {
		p.err = malformed("read the body: %s", text)
	}
	p.rest = nil
}

func (p *jsonScanner) space() {
	for len(p.rest) > 0 && (p.rest[0] == ' ' || p.rest[0] == '\t' || p.rest[0] == '\n' || p.rest[0] == '\r') {
		p.rest = p.rest[1:]
	}
}

func (p *jsonScanner) peek(c byte) bool {
	p.space()
	return len(p.rest) > 0 && p.rest[0] == c
}

func (p *jsonScanner) want(c byte) {
	if !p.peek(c) {
		p.fail(fmt.Sprintf("it isn't the JSON that was asked for: %q is missing", c))
		return
	}
	p.rest = p.rest[1:]
}

func (p *jsonScanner) bool() bool {
	p.space()
	for _, word := range []string{"true", "false"} {
		if bytes.HasPrefix(p.rest, []byte(word)) {
			p.rest = p.rest[len(word):]
			return word == "true"
		}
	}
	p.fail("true or false is missing")
	return false
}

// text reads a string. What it returns may be a part of the body.
func (p *jsonScanner) text() []byte {
	if !p.peek('"') {
		p.fail("a string is missing")
		return nil
	}
	i := 1
	for ; len(p.rest)-i >= 8; i += 8 {
		if n := plain(binary.LittleEndian.Uint64(p.rest[i:])); n < 8 {
			i += n
			break
		}
	}
	for ; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			s := p.rest[1:i]
			p.rest = p.rest[i+1:]
			return s
		case c == '\\' || c < ' ' || c >= 0x80: // no hash has one of these
			return p.textWithEscapes()
		}
	}
	p.fail("a string doesn't end")
	return nil
}

// plain tells how many of eight bytes, the lowest first, come before one that ends a string or needs a closer look: a quote, a backslash, a control
// character or one that isn't ASCII. A byte is less than n if subtracting n borrows, and equal to n if their xor is less than 1; below the first
// borrow no byte lends another.
func plain(w uint64) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	less := func(w, n uint64) uint64 { return (w - ones*n) & ^w }
	return bits.TrailingZeros64((less(w, ' ')|less(w^ones*'"', 1)|less(w^ones*'\\', 1)|w)&highs) / 8
}

// textWithEscapes reads a string that encoding/json should look at.
func (p *jsonScanner) textWithEscapes() []byte {
	end := 1
	for end < len(p.rest) && p.rest[end] != '"' {
		if p.rest[end] == '\\' {
			end++
		}
		end++
	}
	var s string
	if end >= len(p.rest) || json.Unmarshal(p.rest[:end+1], &s) != nil {
		p.fail("a string can't be read")
		return nil
	}
	p.rest = p.rest[end+1:]
	return []byte(s)
}

// texts reads an array of at most limit strings, the hashes.
func (p *jsonScanner) texts(texts [][]byte, limit int) [][]byte {
	p.want('[')
	for first := true; p.err == nil && !p.peek(']'); first = false {
		if !first {
			p.want(',')
		}
		switch {
		case p.err != nil:
		case len(texts) == limit:
			p.err = errorf(http.StatusRequestEntityTooLarge, CodeTooLarge, "more than %d hashes; text/plain and application/x-ndjson take any number", limit)
		case len(p.rest) > 0 && !p.peek('"'):
			p.err = badHash(len(texts), errNoText)
		default:
			texts = append(texts, p.text())
		}
	}
	p.want(']')
	return texts
}

var errNoText = errors.New("not a string")
