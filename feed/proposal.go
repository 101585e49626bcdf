package feed

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hashfeed/crypto"
)

// A Proposal is the next charter of a feed on its way: from the node that wrote it past the holders of the root keys, who may sit at machines
// without a network, back to the node that publishes it. It is a file to be carried, no part of the feed, and trusted by nobody: what makes
// the charter valid is the signatures alone.
//
// The file is the charter's text, with the lines of the roots that have signed it below, as in any note. Then may follow, after a blank
// line and the word "opening", the first checkpoint of a new log with the lines of its signers (where more than one must sign, the node
// that publishes can't open the log alone); and after a blank line and the word "before", the signed charter that this one is to follow, so
// that a machine that holds nothing but a key can show what changes:
//
//	hashfeed-charter/v1
//	feed eokm.example/known
//	version 3
//	…
//	quorum none
//
//	— eokm.example/known/root 3cRHGh…
//
//	opening
//	eokm.example/known/2
//	0
//	47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
//
//	— eokm.example/known/2 UH1Gwg…
//
//	before
//	hashfeed-charter/v1
//	…
//
// Neither word is a line of a charter, of a checkpoint or of signatures. A signed charter by itself is a Proposal too. The zero value is none:
// NewProposal and ParseProposal make one; it is immutable.
type Proposal struct {
	charter Charter
	note    crypto.Note // of the charter; perhaps without lines
	opening []crypto.Line
	before  []byte  // the signed charter before; nil: the file doesn't say
	prior   Charter // what it says
}

const (
	openingWord = "\nopening\n"
	beforeWord  = "\nbefore\n"
)

var (
	errProposal    = errors.New("proposal")
	errProposalKey = errors.New("neither a root key of this charter or of the one before, nor a signer's of its log")
	errNotBefore   = errors.New("the charter that it brings along isn't the one before")
	errOpening     = errors.New("the opening isn't the first checkpoint of the charter's log")
)

// NewProposal proposes next to follow the newest charter of a chain. It fails, with the reason, where no signatures could make it valid.
func NewProposal(c *Chain, next Charter) (Proposal, error) {
	text, err := next.Text()
	if err != nil {
		return Proposal{}, fmt.Errorf("propose %w", err)
	}
	if err := c.mayFollow(&next); err != nil {
		return Proposal{}, fmt.Errorf("propose %w of %s, version %d: %w", errCharter, next.Feed, next.Version, err)
	}
	return Proposal{charter: next.clone(), note: crypto.Note{Text: text}, before: slices.Clone(c.links[len(c.links)-1].note), prior: c.Newest()}, nil
}

// ParseProposal reads a proposal. What it accepts, Bytes writes again byte for byte. No signature is checked.
func ParseProposal(data []byte) (Proposal, error) {
	if len(data) > MaxProposal {
		return Proposal{}, fmt.Errorf("%w: longer than %d bytes", errProposal, MaxProposal)
	}
	p, err := parseProposal(string(data))
	if err == nil && !bytes.Equal(p.Bytes(), data) {
		err = errors.New("not in its one spelling")
	}
	if err != nil {
		return Proposal{}, fmt.Errorf("%w: %w", errProposal, err)
	}
	return p, nil
}

func parseProposal(data string) (p Proposal, err error) {
	data, before, hasBefore := strings.Cut(data, beforeWord)
	data, opening, hasOpening := strings.Cut(data, openingWord)
	p.note.Text = []byte(data)
	if strings.Contains(data, "\n\n") {
		if p.note, err = crypto.ParseNote([]byte(data)); err != nil {
			return p, err
		}
	}
	if p.charter, err = ParseCharter(p.note.Text); err != nil {
		return p, err
	}
	if hasOpening {
		note, err := crypto.ParseNote([]byte(opening))
		if err != nil {
			return p, fmt.Errorf("opening: %w", err)
		}
		if !bytes.Equal(note.Text, p.charter.openingText()) {
			return p, errOpening
		}
		p.opening = note.Lines
	}
	if hasBefore {
		p.before = []byte(before)
		if _, p.prior, err = parseCharterNote(p.before); err != nil {
			return p, fmt.Errorf("before: %w", err)
		}
		if p.prior.Feed != p.charter.Feed || p.prior.Version != p.charter.Version-1 {
			return p, errNotBefore
		}
	}
	return p, nil
}

// openingText is what the checkpoint that opens the charter's log says.
func (c *Charter) openingText() []byte { return checkpointText(c.Origin(), 0, emptyRoot) }

// Bytes returns the file.
func (p Proposal) Bytes() []byte {
	b := p.Note()
	if len(p.opening) > 0 {
		b = append(b, openingWord...)
		b = append(b, crypto.Note{Text: p.charter.openingText(), Lines: p.opening}.Bytes()...)
	}
	if p.before != nil {
		b = append(b, beforeWord...)
		b = append(b, p.before...)
	}
	return b
}

// Charter returns what is proposed.
func (p Proposal) Charter() Charter { return p.charter.clone() }

// Text returns the charter's text, which is what the roots sign.
func (p Proposal) Text() []byte { return slices.Clone(p.note.Text) }

// Note returns the charter with the lines of the roots that have signed it: once they are enough, what Chain.Extend takes. Without any it is the
// bare text, which is no note.
func (p Proposal) Note() []byte {
	if len(p.note.Lines) == 0 {
		return slices.Clone(p.note.Text)
	}
	return p.note.Bytes()
}

// Before returns the charter that the file says is the one before, and whether it says so. Whoever must not be deceived about it asks Known, or
// compares it with the chain.
func (p Proposal) Before() (Charter, bool) { return p.prior.clone(), p.before != nil }

// Known reports whether the charter before, which the file brings along, bears a good signature of one of the keys: then whoever holds that key
// has signed it, and the file doesn't hide a change by showing another one.
func (p Proposal) Known(keys ...crypto.PublicKey) bool {
	if p.before == nil {
		return false
	}
	note, err := crypto.ParseNote(p.before)
	if err != nil {
		return false
	}
	by, err := note.Check(keys...)
	return err == nil && len(by) > 0
}

// Sign adds a key's signature: a root key signs the charter, a signer of its log the checkpoint that opens the log. A key that has signed
// already signs anew. Other keys are refused, so that nobody takes home a file that isn't signed.
func (p Proposal) Sign(key *crypto.PrivateKey) (Proposal, error) {
	public := key.Public()
	sign := func(text []byte, lines []crypto.Line) ([]crypto.Line, error) {
		line, err := key.Sign(text)
		if err != nil {
			return nil, err
		}
		return append(slices.DeleteFunc(slices.Clone(lines), func(l crypto.Line) bool { return l.Name == line.Name && l.ID == line.ID }), line), nil
	}
	var err error
	switch {
	case slices.Contains(p.charter.Root.Keys, public), slices.Contains(p.prior.Root.Keys, public),
		p.before == nil && public.Name == p.charter.rootName(): // then we can't tell
		p.note.Lines, err = sign(p.note.Text, p.note.Lines)
	case slices.Contains(p.charter.Signer.Keys, public):
		p.opening, err = sign(p.charter.openingText(), p.opening)
	default:
		err = fmt.Errorf("%w: %s", errProposalKey, public)
	}
	if err != nil {
		return Proposal{}, fmt.Errorf("sign %w: %w", errProposal, err)
	}
	if _, err := ParseProposal(p.Bytes()); err != nil { // over 100 lines
		return Proposal{}, fmt.Errorf("sign %w", err)
	}
	return p, nil
}

// A Quota is a group of keys that must sign, and how far that has come.
type Quota struct {
	Of   string             // whose signatures, in words
	Need int                // how many
	Have []crypto.PublicKey // who has signed
	Open []crypto.PublicKey // who hasn't
}

// Met reports whether enough have signed.
func (q Quota) Met() bool { return len(q.Have) >= q.Need }

// Quotas tells who must sign the proposal so that it can follow before: its own roots, those of the charter before, and, where it closes a log, the
// signers of the new one.
func (p Proposal) Quotas(before Charter) []Quota {
	quotas := []Quota{quotaOf(p.note, fmt.Sprintf("roots of version %d", p.charter.Version), p.charter.Root)}
	if before.Root.String() != p.charter.Root.String() {
		quotas = append(quotas, quotaOf(p.note, fmt.Sprintf("roots of version %d", before.Version), before.Root))
	}
	if p.charter.Log != before.Log {
		opening := crypto.Note{Text: p.charter.openingText(), Lines: p.opening}
		quotas = append(quotas, quotaOf(opening, fmt.Sprintf("signers of log %d", p.charter.Log), p.charter.Signer))
	}
	return quotas
}

func quotaOf(note crypto.Note, of string, g KeyGroup) Quota {
	q := Quota{Of: of, Need: g.K}
	for _, k := range g.Keys {
		if _, ok := goodLine(note, k); ok {
			q.Have = append(q.Have, k)
		} else {
			q.Open = append(q.Open, k)
		}
	}
	return q
}
