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

// outcomeByte is the answer of the binary form.
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
	answers := make([]byte, 0, matchChunk)
	for {
		hashes, err := digests.read()
		if err != nil {
			return err
		}
		if len(hashes) == 0 {
			break
		}
		verdicts, err := s.answers(r, hashes)
		if err != nil {
			return err
		}
		for i := range verdicts.Len() {
			b, ok := outcomeByte(verdicts.Outcome(i))
			if !ok {
				return fmt.Errorf("match: unknown outcome %q", verdicts.Outcome(i))
			}
			answers = append(answers, b)
		}
	}
	w.Header().Set("Content-Type", octetType)
	w.Header().Set("Content-Length", strconv.Itoa(len(answers)))
	_, err = w.Write(answers)
	return err
}

// digestReader splits a body into digests of one kind.
type digestReader struct {
	body   io.Reader
	alg    feed.Alg
	buf    []byte
	hashes []feed.Hash
}

var digestReaders = sync.Pool{New: func() any { return new(digestReader) }}

// free lets another body have the memory.
func (d *digestReader) free() {
	d.body = nil
	digestReaders.Put(d)
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
func (d *digestReader) read() ([]feed.Hash, error) {
	n, err := io.ReadFull(d.body, d.buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if n%d.alg.Size() != 0 {
		return nil, ragged(d.alg)
	}
	quality := uint8(0)
	if d.alg.Graded() {
		quality = 100 // a query without its quality, as where one is typed
	}
	d.hashes = d.hashes[:0]
	for b := string(d.buf[:n]); len(b) > 0; b = b[d.alg.Size():] {
		d.hashes = append(d.hashes, feed.Hash{Alg: d.alg, Value: b[:d.alg.Size()], Quality: quality})
	}
	return d.hashes, nil
}
