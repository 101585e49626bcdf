package journal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// A decision receipt is a note that the node's journal key signs (WIRE §5):
//
//	hashfeed-receipt/v1
//	journal <the decision's line as it stands in the journal>
//	proof <base64 of a proof file>
//
// with a proof for each record that matched. Who has it, the journal's vkey and the feeds' anchors can check without a node and without a
// network what was decided and when, by which rule, and that each record was listed then, by whose signatures and cosignatures. Proofs disclose the
// records' hashes, so that the file that was refused can be compared with them; the journal's own hashes are keyed and disclose nothing.

const (
	receiptHead   = "hashfeed-receipt/v1\n"
	receiptLine   = "journal "
	receiptProof  = "proof "
	maxReceipt    = 1_000_000 // bytes: what a note may have (crypto)
	maxProofBytes = 800_000   // bytes of text that proofs may take of it
	clockSkew     = 300       // seconds that a node's clock may be behind a stamp
)

// IsReceipt tells whether data begins as a receipt does.
func IsReceipt(data []byte) bool { return bytes.HasPrefix(data, []byte(receiptHead)) }

// SignReceipt makes the receipt of a decision's line. Proofs that don't fit are left out, the last first: OpenReceipt says which are wanting.
func SignReceipt(line []byte, proofs [][]byte, sign func(text []byte) (crypto.Line, error)) ([]byte, error) {
	text := []byte(receiptHead)
	text = append(append(append(text, receiptLine...), line...), '\n')
	for _, p := range proofs {
		if len(text)+base64.StdEncoding.EncodedLen(len(p)) > maxProofBytes {
			break
		}
		text = base64.StdEncoding.AppendEncode(append(text, receiptProof...), p)
		text = append(text, '\n')
	}
	signature, err := sign(text)
	if err != nil {
		return nil, fmt.Errorf("sign receipt: %w", err)
	}
	return crypto.Note{Text: text, Lines: []crypto.Line{signature}}.Bytes(), nil
}

// Receipt is a receipt that was checked.
type Receipt struct {
	Line     Line // of a decision
	Proofs   []feed.Proof
	Unproved []string // references of matches without a proof
}

var errReceipt = errors.New("malformed receipt")

// OpenReceipt checks a receipt: the journal's signature, each proof against one of the anchors, and that the proofs say what the decision says.
func OpenReceipt(data []byte, journal crypto.PublicKey, anchors []feed.Anchor) (r Receipt, err error) {
	if len(data) > maxReceipt {
		return r, fmt.Errorf("%w: longer than %d bytes", errReceipt, maxReceipt)
	}
	note, err := crypto.ParseNote(data)
	if err != nil {
		return r, err
	}
	signed, err := note.Check(journal)
	if err != nil {
		return r, err
	}
	if len(signed) == 0 {
		return r, fmt.Errorf("%s has not signed it", journal.Name)
	}
	text, ok := bytes.CutPrefix(note.Text, []byte(receiptHead))
	if !ok {
		return r, errReceipt
	}
	lines, _ := splitLines(text)
	if len(lines) == 0 {
		return r, errReceipt
	}
	raw, ok := bytes.CutPrefix(lines[0], []byte(receiptLine))
	if !ok {
		return r, errReceipt
	}
	if r.Line, err = ParseLine(raw); err != nil {
		return r, err
	}
	if r.Line.Decision == nil || len(lines)-1 > maxMatches {
		return r, fmt.Errorf("%w: it is not of a decision", errReceipt)
	}
	proved := map[string]bool{}
	for _, line := range lines[1:] {
		coded, ok := bytes.CutPrefix(line, []byte(receiptProof))
		if !ok {
			return r, errReceipt
		}
		data, err := base64.StdEncoding.Strict().DecodeString(string(coded))
		if err != nil {
			return r, fmt.Errorf("%w: %w", errReceipt, err)
		}
		p, err := openProof(data, anchors)
		if err != nil {
			return r, err
		}
		ref := p.Ref().String()
		if proved[ref] {
			return r, fmt.Errorf("%s is proved twice", ref)
		}
		if err := r.agrees(ref, p); err != nil {
			return r, fmt.Errorf("proof of %s: %w", ref, err)
		}
		proved[ref] = true
		r.Proofs = append(r.Proofs, p)
	}
	for _, m := range r.Line.Decision.Matches {
		if !proved[m.Ref] && !slices.Contains(r.Unproved, m.Ref) {
			r.Unproved = append(r.Unproved, m.Ref)
		}
	}
	return r, nil
}

// openProof opens a proof under the anchor that it is of.
func openProof(data []byte, anchors []feed.Anchor) (p feed.Proof, err error) {
	err = errors.New("no anchor of a feed is given")
	for _, a := range anchors {
		if p, err = feed.OpenProof(data, a); err == nil {
			return p, nil
		}
	}
	if len(anchors) > 1 {
		err = fmt.Errorf("under none of the anchors: %w", err)
	}
	return p, fmt.Errorf("proof: %w", err)
}

// agrees wants a proof to be of a record that matched, as the decision describes it.
func (r *Receipt) agrees(ref string, p feed.Proof) error {
	matched := false
	for _, m := range r.Line.Decision.Matches {
		if m.Ref != ref {
			continue
		}
		matched = true
		switch {
		case p.Body != nil && p.Body.Facts.Verdict.String() != m.Verdict:
			return fmt.Errorf("the record's verdict is %s, the decision says %s", p.Body.Facts.Verdict, m.Verdict)
		case string(p.Chain.Newest().Harm) != m.Harm:
			return fmt.Errorf("the feed's harm is %s, the decision says %s", p.Chain.Newest().Harm, m.Harm)
		}
	}
	if !matched {
		return errors.New("the decision has no match of it")
	}
	if at := r.Line.Time.Unix(); p.Checkpoint.Stamp > at+clockSkew {
		return fmt.Errorf("it was first listed at %s, after the decision", time.Unix(p.Checkpoint.Stamp, 0).UTC().Format(time.RFC3339))
	}
	return nil
}
