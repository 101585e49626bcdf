package feed

import (
	"fmt"
	"slices"

	"hashfeed/crypto"
)

// OpenLog makes the batch that opens the newest charter's log: its checkpoint of size 0, stamped at now, Unix seconds. What counts is the keys of
// s and, of lines, those of other signers of the log, as a Proposal brings them; together they are at least the charter's threshold. The
// text of this one checkpoint is known beforehand, so that signers may sign it at other times and places.
func OpenLog(s Signing, lines []crypto.Line, now int64) (*Batch, error) {
	c := s.Chain.Newest()
	note := crypto.Note{Text: c.openingText()}
	wrap := func(err error) (*Batch, error) { return nil, fmt.Errorf("open log %s: %w", c.Origin(), err) }
	if s.Stamp == nil || s.Stamp.Public() != c.Stamp {
		return wrap(fmt.Errorf("%w: the stamp key is not the newest charter's", errSign))
	}
	for _, k := range s.Signers {
		line, err := k.Sign(note.Text)
		if err != nil {
			return wrap(err)
		}
		note.Lines = append(note.Lines, line)
	}
	others := crypto.Note{Text: note.Text, Lines: lines}
	for _, k := range c.Signer.Keys {
		here := slices.ContainsFunc(note.Lines, func(l crypto.Line) bool { return l.Name == k.Name && l.ID == k.ID() })
		if l, ok := goodLine(others, k); ok && !here {
			note.Lines = append(note.Lines, l)
		}
	}
	line, err := s.Stamp.Cosign(note.Text, uint64(max(now, 1)))
	if err != nil {
		return wrap(err)
	}
	note.Lines = append(note.Lines, line)
	cp, err := s.Chain.openCheckpoint(note)
	if err != nil {
		return wrap(err)
	}
	return &Batch{chain: s.Chain, origin: cp.Origin, checkpoint: cp, adopt: true}, nil
}

// Opening returns the lines of signers on the checkpoint that opens the proposal's log: what OpenLog takes.
func (p Proposal) Opening() []crypto.Line { return slices.Clone(p.opening) }
