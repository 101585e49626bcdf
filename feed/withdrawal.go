package feed

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"hashfeed/crypto"
)

// A Withdrawal is the word of signers that they have not signed a proposal and never will: a note with the text of the checkpoint below
// a first line of its own.
//
//	hashfeed-withdraw/v1
//	eokm.example/known/1
//	2048
//	nIR0nDKXNUYhs7PLBB8WUcX6c5N1dRWpGOeyaoF3SpY=
//
// It goes from a publisher's node to its signers and no further; followers know nothing of it. Only Chain.OpenWithdrawal makes one.
type Withdrawal struct {
	Origin  Origin
	Pledge  Pledge             // the head that is never signed
	Signers []crypto.PublicKey // of the newest charter, in its order

	least int // how many make sure of it
}

const withdrawalMagic = "hashfeed-withdraw/v1\n"

var errWithdrawal = errors.New("withdrawal")

// WithdrawalText returns the text by which a signer withdraws the proposal.
func (p *PendingBatch) WithdrawalText() []byte { return append([]byte(withdrawalMagic), p.text...) }

// OpenWithdrawal verifies a withdrawal of a proposal for the newest charter's log. One without lines of signers is no error, and settles nothing.
func (c *Chain) OpenWithdrawal(data []byte) (w Withdrawal, err error) {
	fail := func(err error) (Withdrawal, error) { return Withdrawal{}, fmt.Errorf("%w: %w", errWithdrawal, err) }
	note, err := crypto.ParseNote(data)
	if err != nil {
		return fail(err)
	}
	text, ok := bytes.CutPrefix(note.Text, []byte(withdrawalMagic))
	if !ok {
		return fail(errLine)
	}
	if w.Origin, w.Pledge.Size, w.Pledge.Root, err = parseCheckpointBody(text); err != nil {
		return fail(err)
	}
	newest := c.newest()
	if w.Origin != newest.Origin() {
		return fail(errNoLog)
	}
	by, err := note.Check(newest.Signer.Keys...)
	if err != nil {
		return fail(err)
	}
	for _, k := range newest.Signer.Keys {
		if slices.ContainsFunc(by, func(s crypto.Signature) bool { return s.Key == k }) {
			w.Signers = append(w.Signers, k)
		}
	}
	w.least = len(newest.Signer.Keys) - newest.Signer.K + 1
	return w, nil
}

// Settles says whether the withdrawal frees a signer from its pledge: n - k + 1 others never sign that head, so it never has k signatures.
func (w Withdrawal) Settles(pledge Pledge, by crypto.PublicKey) bool {
	return w.Pledge == pledge && !slices.Contains(w.Signers, by) && len(w.Signers) >= w.least
}
