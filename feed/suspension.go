package feed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hashfeed/crypto"
)

// A Suspension holds items for up to 72 h at the word of one signer alone:
//
//	hashfeed-suspend/v1
//	feed eokm.example/known
//	time 1795424400
//	item 1 17
//
// An item line names any record of the item: its non-void adds, revises, retracts. What of it counts, and until when, the state of the
// feed decides, which has all notes (WIRE §5). Only Chain.OpenSuspension makes one; the fields are for reading.
type Suspension struct {
	Feed    Name
	Time    int64              // Unix seconds, 0 to 2^32-1
	Sum     Digest             // SHA-256 of the text; the note's name
	Signers []crypto.PublicKey // those of the newest charter that have signed, in its order; empty: without effect, but kept
	Items   []Position         // 1 to MaxSuspended, ascending

	former int // signers of earlier charters that have signed
	note   crypto.Note
}

var (
	errSuspension   = errors.New("suspension")
	errOtherFeed    = errors.New("of another feed")
	errNotAscending = errors.New("not ascending")
	errTime         = errors.New("time: not a number of 0 to 2^32-1")
	errItems        = errors.New("want 1 to 1,000 item lines")
)

const suspensionMagic = "hashfeed-suspend/v1"

// OpenSuspension verifies a suspension of the feed. A note without a line of one of the newest charter's signers is no error: it has no effect, but
// it is kept, and may have had one, or get one, under another charter.
func (c *Chain) OpenSuspension(data []byte) (Suspension, error) {
	note, err := crypto.ParseNote(data)
	if err != nil {
		return Suspension{}, fmt.Errorf("%w: %w", errSuspension, err)
	}
	s, err := parseSuspension(note.Text)
	if err != nil {
		return Suspension{}, fmt.Errorf("%w: %w", errSuspension, err)
	}
	if s.Feed != c.Feed() {
		return Suspension{}, fmt.Errorf("%w: %w: %s", errSuspension, errOtherFeed, s.Feed)
	}
	newest := c.newest()
	by, err := note.Check(newest.Signer.Keys...)
	if err != nil {
		return Suspension{}, fmt.Errorf("%w of %s: %w", errSuspension, s.Feed, err)
	}
	for _, k := range newest.Signer.Keys {
		if i := slices.IndexFunc(by, func(b crypto.Signature) bool { return b.Key == k }); i >= 0 {
			s.Signers = append(s.Signers, k)
			s.note.Lines = append(s.note.Lines, by[i].Line)
		}
	}
	// Lines of former signers stay where they are good. A bad one is a stranger's by now: it is dropped, not held against the note.
	for log := newest.Log - 1; log >= 1; log-- {
		charter := c.forLog(log)
		if charter == nil {
			break // closed before the anchor, like all earlier ones
		}
		for _, k := range charter.Signer.Keys {
			if l, ok := goodLine(note, k); ok {
				s.former++
				s.note.Lines = append(s.note.Lines, l)
			}
		}
	}
	s.note.Text = slices.Clone(note.Text)
	if len(s.note.Lines) == 0 {
		s.note.Lines = note.Lines[:1:1] // a note has at least one
	}
	return s, nil
}

// goodLine returns the one good line of a key, if it has one.
func goodLine(note crypto.Note, k crypto.PublicKey) (crypto.Line, bool) {
	for _, l := range note.Lines {
		if l.Name != k.Name || l.ID != k.ID() {
			continue
		}
		if by, err := (crypto.Note{Text: note.Text, Lines: []crypto.Line{l}}).Check(k); err == nil && len(by) == 1 {
			return l, true
		}
	}
	return crypto.Line{}, false
}

// Vouched reports whether a signer of this or an earlier charter has signed the note. What nobody has vouched for anybody may have written: it
// may stand in a mirror, but nobody needs to keep it or pass it on.
func (s Suspension) Vouched() bool { return len(s.Signers) > 0 || s.former > 0 }

// Suspending returns what the state of a feed needs of a suspension, opened with the newest charter.
func (s Suspension) Suspending() Suspending {
	keys := make([][32]byte, len(s.Signers))
	for i, k := range s.Signers {
		keys[i] = k.Key
	}
	return Suspending{Time: s.Time, Sum: s.Sum, Signers: keys, Items: slices.Clone(s.Items)}
}

// Bytes returns the note, with the lines of signers of this and earlier charters.
func (s Suspension) Bytes() []byte { return s.note.Bytes() }

// MergeSuspensions returns one note with the lines of two of one text, so that a copy with fewer lines never displaces one with more.
func (c *Chain) MergeSuspensions(a, b Suspension) (Suspension, error) {
	if a.Sum != b.Sum {
		return Suspension{}, fmt.Errorf("merge %w: other texts", errSuspension)
	}
	if !b.Vouched() {
		return a, nil
	}
	if !a.Vouched() {
		return b, nil
	}
	both := crypto.MergeCosignatures(a.note.Lines, b.note.Lines) // all of them good
	return c.OpenSuspension(crypto.Note{Text: a.note.Text, Lines: both}.Bytes())
}

func parseSuspension(text []byte) (s Suspension, err error) {
	if len(text) > maxSuspension {
		return s, fmt.Errorf("longer than %d bytes", maxSuspension)
	}
	r := &lineReader{rest: string(text)}
	r.must(r.next(suspensionMagic) == "", "first", errLine)
	s.Feed, err = ParseName(r.next("feed "))
	r.fail("feed", err)
	t, ok := parseNumber(r.next("time "), 0, maxSecs)
	r.must(ok, "time", errTime)
	s.Time = int64(t)
	for r.peek("item ") {
		log, index, _ := strings.Cut(r.next("item "), " ")
		p, err := ParsePosition(log + "#" + index)
		r.fail("item", err)
		if n := len(s.Items); n > 0 && !s.Items[n-1].Less(p) {
			r.fail("item", errNotAscending)
		}
		s.Items = append(s.Items, p)
	}
	r.end()
	if r.err != nil {
		return Suspension{}, r.err
	}
	if len(s.Items) < 1 || len(s.Items) > MaxSuspended {
		return Suspension{}, errItems
	}
	s.Sum = sha256.Sum256(text)
	return s, nil
}

func suspensionText(feed Name, time int64, items []Position) []byte {
	b := fmt.Appendf(nil, "%s\nfeed %s\ntime %d\n", suspensionMagic, feed, time)
	for _, p := range items {
		b = append(b, "item "...)
		b = strconv.AppendInt(b, int64(p.Log), 10)
		b = append(b, ' ')
		b = strconv.AppendUint(b, p.Index, 10)
		b = append(b, '\n')
	}
	return b
}

// SignSuspension signs a suspension of items, given in any order, at now in Unix seconds. One of the newest charter's signers is enough.
func SignSuspension(c *Chain, items []Position, now int64, signers ...crypto.Signer) (Suspension, error) {
	items = slices.Clone(items)
	slices.SortFunc(items, Position.Compare)
	note := crypto.Note{Text: suspensionText(c.Feed(), now, slices.Compact(items))}
	for _, k := range signers {
		if !slices.Contains(c.newest().Signer.Keys, k.Public()) {
			return Suspension{}, fmt.Errorf("sign %w of %s: %w: %q", errSuspension, c.Feed(), errRole, k.Public().Name)
		}
		line, err := k.Sign(note.Text)
		if err != nil {
			return Suspension{}, fmt.Errorf("sign %w of %s: %w", errSuspension, c.Feed(), err)
		}
		note.Lines = append(note.Lines, line)
	}
	if len(signers) == 0 {
		return Suspension{}, fmt.Errorf("sign %w of %s: %w", errSuspension, c.Feed(), errNoKey)
	}
	s, err := c.OpenSuspension(note.Bytes())
	if err != nil {
		return Suspension{}, fmt.Errorf("sign %w", err)
	}
	return s, nil
}
