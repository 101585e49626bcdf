package hashlist

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// errLong is a row that can't be one.
var errLong = fmt.Errorf("longer than %d bytes: a quote that isn't closed, line ends that are none, or no list at all", maxRow)

// lines reads the lines of a text in UTF-8, or in UTF-16 with a byte order mark, as UTF-8.
type lines struct {
	in   *bufio.Reader
	line int // of the newest, from 1
}

func newLines(r io.Reader) *lines {
	in := bufio.NewReaderSize(r, maxRow)
	mark, _ := in.Peek(3) // fewer at the end of the text
	switch {
	case len(mark) == 3 && string(mark) == "\xef\xbb\xbf":
		in.Discard(3)
	case len(mark) >= 2 && mark[0] == 0xff && mark[1] == 0xfe:
		in.Discard(2)
		in = bufio.NewReaderSize(&utf16Reader{in: in, order: binary.LittleEndian}, maxRow)
	case len(mark) >= 2 && mark[0] == 0xfe && mark[1] == 0xff:
		in.Discard(2)
		in = bufio.NewReaderSize(&utf16Reader{in: in, order: binary.BigEndian}, maxRow)
	}
	return &lines{in: in}
}

// next returns a line with its end, until the next is read; whole is false for a last line that has none.
func (l *lines) next() (text []byte, whole bool, err error) {
	text, err = l.in.ReadSlice('\n')
	if len(text) > 0 || err != io.EOF {
		l.line++
	}
	switch {
	case err == nil:
		return text, true, checkText(text)
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, false, errLong
	case err == io.EOF && len(text) > 0:
		return text, false, checkText(text)
	}
	return nil, false, err
}

func checkText(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8: save the list as \"CSV UTF-8\"")
	}
	for _, c := range text {
		if c == 0 {
			return errors.New("a zero byte: not a text, or UTF-16 without its mark; save the list as \"CSV UTF-8\"")
		}
	}
	return nil
}

// utf16Reader turns UTF-16 into UTF-8.
type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	rest  []byte // of a character that didn't fit
}

func (r *utf16Reader) unit() (uint16, error) {
	var b [2]byte
	if _, err := io.ReadFull(r.in, b[:]); err != nil {
		if err == io.ErrUnexpectedEOF {
			return 0, errors.New("UTF-16 that ends in the middle of a character: the file was cut off")
		}
		return 0, err
	}
	return r.order.Uint16(b[:]), nil
}

func (r *utf16Reader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.rest) > 0 {
			took := copy(p[n:], r.rest)
			r.rest, n = r.rest[took:], n+took
			continue
		}
		u, err := r.unit()
		if err != nil {
			return n, err
		}
		c := rune(u)
		if utf16.IsSurrogate(c) {
			low, err := r.unit()
			if err == nil {
				c = utf16.DecodeRune(c, rune(low))
			}
			if err != nil || c == utf8.RuneError {
				return n, errors.New("UTF-16 with half a character: two encodings in one file, or it was cut off")
			}
		}
		r.rest = utf8.AppendRune(r.rest[:0], c)
	}
	return n, nil
}
