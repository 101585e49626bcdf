package api

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// lineForm is how hashes that come a line each are answered.
type lineForm struct {
	gives  string                                                          // Content-Type
	quoted bool                                                            // a line may be a JSON string
	append func(b []byte, a *policy.Answers, from, to int) ([]byte, error) // a line to each of the hashes from … to-1
	failed func(b []byte, err error) []byte                                // a line to what is no hash
}

var (
	// wordForm answers a word.
	wordForm = lineForm{gives: "text/plain; charset=utf-8", append: appendOutcomes,
		failed: func(b []byte, _ error) []byte { return append(append(b, policy.OutcomeError...), '\n') },
	}
	// verdictForm answers the verdict.
	verdictForm = lineForm{gives: ndjsonType, quoted: true, append: appendVerdicts,
		failed: func(b []byte, err error) []byte {
			b, _ = unreadable(err).AppendJSON(b) // without a match it can't fail
			return append(b, '\n')
		},
	}
)

func appendVerdicts(b []byte, a *policy.Answers, from, to int) (_ []byte, err error) {
	for i := from; i < to; i++ {
		if b, err = a.AppendJSON(b, i); err != nil {
			return nil, err
		}
		b = append(b, '\n')
	}
	return b, nil
}

const allowLine = string(policy.OutcomeAllow) + "\n"

// allowLines are nearly all answers to a chunk.
var allowLines = bytes.Repeat([]byte(allowLine), matchChunk)

func appendOutcomes(b []byte, a *policy.Answers, from, to int) ([]byte, error) {
	for {
		matched := min(a.Matched(from), to)
		b = append(b, allowLines[:(matched-from)*len(allowLine)]...)
		if matched == to {
			return b, nil
		}
		b = append(append(b, a.Outcome(matched)...), '\n')
		from = matched + 1
	}
}

// lineWork is what it takes to answer lines.
type lineWork struct {
	in     *bufio.Reader
	chunk  lineChunk
	answer []byte
}

var lineWorks = sync.Pool{New: func() any { return &lineWork{in: bufio.NewReaderSize(nil, matchBuffer)} }}

func (l *lineWork) free() {
	l.in.Reset(nil)
	if cap(l.answer) <= maxMatchKept {
		lineWorks.Put(l)
	}
}

// matchLines answers a line of hash with a line of verdict, while the question still comes. It keeps a chunk of hashes, not the question.
func (s *Server) matchLines(w http.ResponseWriter, r *http.Request, form lineForm) error {
	if _, err := query(r); err != nil {
		return err
	}
	control := http.NewResponseController(w)
	control.EnableFullDuplex() // HTTP/2 always is; a transport that can't reads the whole question first
	w.Header().Set("Content-Type", form.gives)
	l := lineWorks.Get().(*lineWork)
	defer l.free()
	l.in.Reset(r.Body)
	l.answer = l.answer[:0]
	// Who doesn't say how long the question is may be still making it up: it is answered line by line, if it comes line by line.
	live := r.ContentLength < 0
	begun := false
	for more := true; more; {
		var err error
		if more, err = l.chunk.read(l.in, form.quoted, live); err != nil {
			return err
		}
		answers, err := s.answers(r.Context(), &l.chunk.hashes)
		if err != nil {
			return err
		}
		next := 0
		for k, bad := range l.chunk.bad { // each has k before it
			if l.answer, err = form.append(l.answer, &answers, next, bad.line-k); err != nil {
				return err
			}
			l.answer, next = form.failed(l.answer, bad.err), bad.line-k
		}
		if l.answer, err = form.append(l.answer, &answers, next, answers.Len()); err != nil {
			return err
		}
		waits := more && live && !lineWaits(l.in)
		if len(l.answer) < matchBuffer && more && !waits {
			continue
		}
		if !more && !begun {
			w.Header().Set("Content-Length", strconv.Itoa(len(l.answer)))
		}
		begun = true
		if _, err := w.Write(l.answer); err != nil {
			return err
		}
		l.answer = l.answer[:0]
		if waits {
			control.Flush()
		}
	}
	return nil
}

// lineChunk is some lines of a question: the hashes of the good ones, and why the others are none.
type lineChunk struct {
	hashes feed.Hashes
	bad    []badLine
}

// badLine is a line of a chunk, from 0, that is no hash.
type badLine struct {
	line int
	err  error
}

func (c *lineChunk) lines() int { return c.hashes.Len() + len(c.bad) }

func (c *lineChunk) add(line []byte, quoted bool) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if quoted {
		line = unquoted(line)
	}
	if err := c.hashes.Parse(line); err != nil {
		c.bad = append(c.bad, badLine{c.lines(), err})
	}
}

// read reads lines until the chunk is full or, if live, no more is there at the moment; more is false at the end.
func (c *lineChunk) read(in *bufio.Reader, quoted, live bool) (more bool, err error) {
	c.hashes.Clear()
	c.bad = c.bad[:0]
	for {
		there, _ := in.Peek(in.Buffered())
		taken := 0
		for c.lines() < matchChunk {
			n := bytes.IndexByte(there[taken:], '\n')
			if n < 0 {
				break
			}
			c.add(there[taken:taken+n], quoted)
			taken += n + 1
		}
		in.Discard(taken)
		if c.lines() == matchChunk || live && c.lines() > 0 {
			return true, nil
		}
		line, err := readLine(in) // it has come in part, or not at all
		if err == io.EOF && line == nil {
			return false, nil
		}
		if err != nil && err != io.EOF {
			return false, err
		}
		c.add(line, quoted)
		if err == io.EOF {
			return false, nil
		}
	}
}

// lineWaits tells whether a whole line can be read without waiting for its sender.
func lineWaits(in *bufio.Reader) bool {
	there, _ := in.Peek(in.Buffered())
	return bytes.IndexByte(there, '\n') >= 0
}

// unquoted returns the text of a line that is a JSON string, and any other line as it is.
func unquoted(line []byte) []byte {
	text := bytes.Trim(line, " \t")
	if len(text) < 2 || text[0] != '"' {
		return line
	}
	p := jsonScanner{rest: text}
	if s := p.text(); p.err == nil && len(p.rest) == 0 {
		return s
	}
	return line
}

// tooLong stands for a line that is longer than any hash: it is no hash either.
var tooLong = bytes.Repeat([]byte("?"), maxHashText+1)

// readLine returns the next line without its end, until the next is read; nil and io.EOF at the end. It keeps no more than the reader's buffer
// of a line.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		for err == bufio.ErrBufferFull {
			_, err = in.ReadSlice('\n')
		}
		return tooLong, err
	}
	if err == io.EOF && len(line) == 0 {
		return nil, io.EOF
	}
	return bytes.TrimSuffix(line, []byte("\n")), err
}
