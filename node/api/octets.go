package api

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// outcomeByte is the answer of the binary form. To allow it is 0.
func outcomeByte(o policy.Outcome) (b byte, ok bool) {
	switch o {
	case policy.OutcomeAllow:
		return 0, true
	case policy.OutcomeLog:
		return 1, true
	case policy.OutcomeReview:
		return 2, true
	case policy.OutcomeBlock:
		return 3, true
	}
	return 0, false
}

// matchOctets answers digests, end to end, with a byte each.
func (s *Server) matchOctets(w http.ResponseWriter, r *http.Request) error {
	get, err := query(r, "alg")
	if err != nil {
		return err
	}
	if r.ContentLength > maxMatchOctets {
		return &http.MaxBytesError{Limit: maxMatchOctets}
	}
	digests, err := newDigestReader(http.MaxBytesReader(w, r.Body, maxMatchOctets), get("alg"), r.ContentLength)
	if err != nil {
		return err
	}
	defer digests.free()
	for {
		hashes, err := digests.read()
		if err != nil {
			return err
		}
		if hashes.Len() == 0 {
			break
		}
		answers, err := s.answers(r.Context(), hashes)
		if err != nil {
			return err
		}
		if digests.answer, err = appendOutcomeBytes(digests.answer, &answers); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", octetType)
	w.Header().Set("Content-Length", strconv.Itoa(len(digests.answer)))
	_, err = w.Write(digests.answer)
	return err
}

func appendOutcomeBytes(b []byte, a *policy.Answers) ([]byte, error) {
	n := a.Len()
	b = slices.Grow(b, n)[:len(b)+n]
	bytes := b[len(b)-n:]
	clear(bytes)
	for i := a.Matched(0); i < n; i = a.Matched(i + 1) {
		var ok bool
		if bytes[i], ok = outcomeByte(a.Outcome(i)); !ok {
			return b, fmt.Errorf("match: unknown outcome %q", a.Outcome(i))
		}
	}
	return b, nil
}

// digestReader splits a body into digests of one kind. It has a place for the answer to them.
type digestReader struct {
	body   io.Reader
	alg    feed.Alg
	buf    []byte
	hashes feed.Hashes
	answer []byte
}

var digestReaders = sync.Pool{New: func() any { return new(digestReader) }}

// free lets another body have the memory.
func (d *digestReader) free() {
	d.body, d.answer = nil, d.answer[:0]
	if cap(d.answer) <= maxMatchKept {
		digestReaders.Put(d)
	}
}

// newDigestReader takes the name of a kind whose values are of one size, and the length of the body, negative if it isn't known yet.
func newDigestReader(body io.Reader, name string, length int64) (*digestReader, error) {
	alg, err := feed.ParseAlg(name)
	if err != nil || alg.Size() == 0 {
		return nil, malformed("alg %.20q: want md5, sha1, sha256, pdq, pdq_full or photodna", name)
	}
	if length > 0 && length%int64(alg.Size()) != 0 {
		return nil, ragged(alg)
	}
	d := digestReaders.Get().(*digestReader)
	d.body, d.alg = body, alg
	d.buf = slices.Grow(d.buf[:0], matchChunk*alg.Size())[:matchChunk*alg.Size()]
	return d, nil
}

func ragged(alg feed.Alg) error {
	return malformed("the body's length is no multiple of %d bytes, the size of %s", alg.Size(), alg)
}

// read returns the next chunk of digests, until the next read; none at the end.
func (d *digestReader) read() (*feed.Hashes, error) {
	n, err := io.ReadFull(d.body, d.buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if n%d.alg.Size() != 0 {
		return nil, ragged(d.alg)
	}
	fillDigests(&d.hashes, d.alg, d.buf[:n])
	return &d.hashes, nil
}

// fillDigests makes hashes those that stand end to end in values.
func fillDigests(hashes *feed.Hashes, alg feed.Alg, values []byte) {
	quality := uint8(0)
	if alg.Graded() {
		quality = 100 // a query without its quality, as where one is typed
	}
	hashes.Fill(alg, quality, values)
}
