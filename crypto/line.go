package crypto

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Line is one signature line of a note, of any type and by anybody: nothing about it has been checked but its form.
// Name and ID say whose it claims to be.
type Line struct {
	Name      string
	ID        uint32
	Signature []byte // 64 bytes for type 0x01, 72 for 0x04; of other types, at least one
}

const (
	linePrefix = "\u2014 " // em dash, space
	idSize     = 4
	timeSize   = 8
)

var errLine = errors.New("malformed signature line")

// String returns the line as it stands in a note: em dash, space, name, space, base64 of (id as 4 bytes, big-endian ||
// signature), newline.
func (l Line) String() string { return string(l.append(nil)) }

func (l Line) append(dst []byte) []byte {
	raw := binary.BigEndian.AppendUint32(make([]byte, 0, idSize+len(l.Signature)), l.ID)
	raw = append(raw, l.Signature...)
	dst = append(dst, linePrefix...)
	dst = append(dst, l.Name...)
	dst = append(dst, ' ')
	dst = base64.StdEncoding.AppendEncode(dst, raw)
	return append(dst, '\n')
}

// ParseLine reads one line exactly as String writes it, the newline at its end included.
func ParseLine(s string) (Line, error) {
	if len(s) > maxNote {
		return Line{}, fmt.Errorf("parse signature line: %w: longer than %d bytes", errLine, maxNote)
	}
	body, ok := strings.CutSuffix(s, "\n")
	if !ok {
		return Line{}, fmt.Errorf("parse signature line: %w: no newline at its end", errLine)
	}
	l, err := parseLine(body)
	if err != nil {
		return Line{}, fmt.Errorf("parse signature line: %w", err)
	}
	return l, nil
}

// parseLine reads a line without its newline.
func parseLine(s string) (Line, error) {
	body, ok := strings.CutPrefix(s, linePrefix)
	if !ok {
		return Line{}, fmt.Errorf("%w: doesn't begin with an em dash and a space", errLine)
	}
	name, b64, ok := strings.Cut(body, " ")
	if !ok || !validName(name) {
		return Line{}, fmt.Errorf("%w: key name %s", errLine, quote(name))
	}
	raw, err := decodeBase64(b64)
	if err != nil {
		return Line{}, fmt.Errorf("%w: signature of %s: %w", errLine, quote(name), err)
	}
	if len(raw) <= idSize {
		return Line{}, fmt.Errorf("%w: signature of %s too short", errLine, quote(name))
	}
	return Line{Name: name, ID: binary.BigEndian.Uint32(raw), Signature: raw[idSize:]}, nil
}

// quote shows the name of a stranger in an error: in ASCII, and not more of it than a key name can have.
func quote(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	return strconv.QuoteToASCII(name)
}

// Time returns the time of a cosignature, in Unix seconds, and whether the line can be one, which its length tells. It is
// what the line claims: only a Signature returned by Note.Check has a time that its key has signed.
func (l Line) Time() (uint64, bool) {
	if len(l.Signature) != timeSize+ed25519.SignatureSize {
		return 0, false
	}
	return binary.BigEndian.Uint64(l.Signature), true
}

// checkText says whether text can be that of a note.
// SPEC: UTF-8, no control characters but newline (below U+0020), non-empty, ends in a newline.
func checkText(text []byte) error {
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return fmt.Errorf("%w: text doesn't end in a newline", errNote)
	}
	return checkCharacters(text)
}

func checkCharacters(b []byte) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("%w: not UTF-8", errNote)
	}
	for _, c := range b { // in UTF-8 a byte below 0x20 is that character
		if c < 0x20 && c != '\n' {
			return fmt.Errorf("%w: control character 0x%02x", errNote, c)
		}
	}
	return nil
}
