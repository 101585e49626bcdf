package crypto

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
)

// A Note is a text and signature lines (C2SP signed-note). One that ParseNote returned has the right form; who signed it
// only Check tells. Whoever adds lines to it, such as cosignatures that came beside it, keeps to 100 lines in all.
type Note struct {
	Text  []byte // ends in a newline; exactly the bytes that were signed
	Lines []Line
}

// A Signature is a line that Check has verified.
type Signature struct {
	Key  PublicKey
	Time uint64 // Unix seconds of a TypeCosignature, as its key chose to sign it, even above 2^63 - 1; 0 for TypeSignature
	Line Line
}

var (
	errNote      = errors.New("malformed note")
	errTwice     = errors.New("two lines of one known key")
	errAmbiguous = errors.New("two known keys have one name and id")
	errSignature = errors.New("signature of a known key doesn't verify")
)

// ParseNote reads a note of at most 1,000,000 bytes and 1 to 100 signature lines. It checks no signature.
// What it accepts, Bytes writes again byte for byte. The Note shares data's memory.
func ParseNote(data []byte) (Note, error) {
	if len(data) > maxNote {
		return Note{}, fmt.Errorf("parse note: %w: longer than %d bytes", errNote, maxNote)
	}
	if err := checkCharacters(data); err != nil {
		return Note{}, fmt.Errorf("parse note: %w", err)
	}
	// SPEC: the last blank line ends the text, which may itself have blank lines.
	cut := bytes.LastIndex(data, []byte("\n\n"))
	if cut < 0 {
		return Note{}, fmt.Errorf("parse note: %w: no blank line before the signatures", errNote)
	}
	text, block := data[:cut+1:cut+1], data[cut+2:]
	if len(block) == 0 || block[len(block)-1] != '\n' {
		return Note{}, fmt.Errorf("parse note: %w: no newline at its end", errNote)
	}
	if n := bytes.Count(block, []byte("\n")); n > maxLines {
		return Note{}, fmt.Errorf("parse note: %w: %d signature lines, want at most %d", errNote, n, maxLines)
	}
	n := Note{Text: text}
	for line := range bytes.SplitSeq(block[:len(block)-1], []byte("\n")) {
		l, err := parseLine(string(line))
		if err != nil {
			return Note{}, fmt.Errorf("parse note: line %d: %w", len(n.Lines)+1, err)
		}
		n.Lines = append(n.Lines, l)
	}
	return n, nil
}

// Bytes returns the note as it is sent and stored: text, blank line, signature lines.
func (n Note) Bytes() []byte {
	b := append(make([]byte, 0, len(n.Text)+1+len(n.Lines)*256), n.Text...)
	b = append(b, '\n')
	for _, l := range n.Lines {
		b = l.append(b)
	}
	return b
}

// Check returns the signatures of the given keys, in the order of their lines. Lines of other keys are ignored, and if none
// of the keys has signed the answer is empty, without an error: the caller counts. A line of a given key that doesn't
// verify, or a second line of one, is an error, whatever else the note has, since a note that lies in one line is believed in none.
// Ed25519 is verified as Go's standard library does it, without the cofactor, like any other C2SP tool in Go.
func (n Note) Check(keys ...PublicKey) ([]Signature, error) {
	type nameID struct {
		name string
		id   uint32
	}
	known := make(map[nameID]PublicKey, len(keys))
	for _, k := range keys {
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("check note: %w", err)
		}
		at := nameID{k.Name, k.ID()}
		if other, ok := known[at]; ok && other != k {
			// Somebody searched for a collision of ids: it can't be told whose line is whose.
			return nil, fmt.Errorf("check note: %w: %q+%08x", errAmbiguous, at.name, at.id)
		}
		known[at] = k
	}
	// Doubles are looked for before any signature is verified, so that a note costs one verification a key at most.
	var found []Signature
	seen := make(map[nameID]bool)
	for _, l := range n.Lines {
		at := nameID{l.Name, l.ID}
		k, ok := known[at]
		if !ok {
			continue
		}
		if seen[at] {
			return nil, fmt.Errorf("check note: %w: %q+%08x", errTwice, at.name, at.id)
		}
		seen[at] = true
		found = append(found, Signature{Key: k, Line: l})
	}
	for i := range found {
		s := &found[i]
		t, ok := s.Key.verify(n.Text, s.Line)
		if !ok {
			return nil, fmt.Errorf("check note: %w: %q+%08x", errSignature, s.Line.Name, s.Line.ID)
		}
		s.Time = t
	}
	return found, nil
}

// verify checks one line over the text, and returns the time of a cosignature.
func (k PublicKey) verify(text []byte, l Line) (unix uint64, ok bool) {
	switch k.Type {
	case TypeSignature:
		return 0, ed25519.Verify(k.Key[:], text, l.Signature)
	case TypeCosignature:
		unix, ok := l.Time()
		if !ok {
			return 0, false
		}
		return unix, ed25519.Verify(k.Key[:], cosignedMessage(text, unix), l.Signature[timeSize:])
	}
	return 0, false
}
