package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"hashfeed/crypto"
)

// A PendingBatch is a batch that waits for its signers: what [Sign] makes at once where one signer is enough, in steps where the charter wants
// more. What it lists is fixed, down to the last salt, so that all of them sign one text; only the stamp is made when it is published. It is
// immutable.
type PendingBatch struct {
	last  Checkpoint
	batch *Batch // without a checkpoint
	text  []byte
}

var (
	errPending  = errors.New("proposal")
	errNoSigner = errors.New("by no signer of the newest charter")
	errNothing  = errors.New("nothing is proposed: a stamp alone needs no signer")
)

// Propose makes the proposal of what [Sign] would sign with the same arguments: the records, or, where last is the zero Checkpoint, the
// opening of the log.
func Propose(chain *Chain, tree Tree, last Checkpoint, records []Record) (*PendingBatch, error) {
	fail := func(err error) (*PendingBatch, error) {
		return nil, fmt.Errorf("%w for %s: %w", errPending, chain.newest().Origin(), err)
	}
	for i, r := range records {
		if err := checkSigned(r); err != nil {
			return fail(fmt.Errorf("record %d: %w", tree.Size()+uint64(i), err))
		}
	}
	if len(records) == 0 && !last.IsZero() {
		return fail(errNothing)
	}
	b, err := newBatch(chain, tree, last, records)
	if err != nil {
		return fail(err)
	}
	return &PendingBatch{last: last, batch: b, text: checkpointText(b.origin, b.after.Size(), b.after.Root())}, nil
}

// Origin returns the log.
func (p *PendingBatch) Origin() Origin { return p.batch.origin }

// Text returns what its signers sign: the text of the checkpoint, with origin, size and root.
func (p *PendingBatch) Text() []byte { return slices.Clone(p.text) }

// ID names the proposal by what is signed: the first 8 bytes of the SHA-256 of its text, in hex.
func (p *PendingBatch) ID() string { return batchID(p.text) }

// BatchID names the batch that a checkpoint was signed for, by what was signed, as [PendingBatch.ID] does.
func (cp Checkpoint) BatchID() string { return batchID(checkpointText(cp.Origin, cp.Size, cp.Root)) }

func batchID(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Last returns the checkpoint that it goes on from; the zero Checkpoint if it opens the log.
func (p *PendingBatch) Last() Checkpoint { return p.last }

// From returns the size of the log before it.
func (p *PendingBatch) From() uint64 { return p.batch.From() }

// Head returns the size and root that are signed.
func (p *PendingBatch) Head() Pledge { return Pledge{p.batch.after.Size(), p.batch.after.Root()} }

// Records returns a copy of the records, From's first.
func (p *PendingBatch) Records() []Record { return p.batch.Records() }

// Signer returns which signer of the newest charter has signed the proposal in a line. Any other line is an error.
func (p *PendingBatch) Signer(line crypto.Line) (crypto.PublicKey, error) {
	by, err := crypto.Note{Text: p.text, Lines: []crypto.Line{line}}.Check(p.batch.chain.newest().Signer.Keys...)
	if err == nil && len(by) == 0 {
		err = errNoSigner
	}
	if err != nil {
		return crypto.PublicKey{}, fmt.Errorf("%w for %s: %w", errPending, p.batch.origin, err)
	}
	return by[0].Key, nil
}

// Batch makes the verified batch once k signers have signed. The stamp is as [Sign] has it. A proposal has one root, so to make its batch
// twice is no fork.
func (p *PendingBatch) Batch(lines []crypto.Line, stamp *crypto.PrivateKey, now int64) (*Batch, error) {
	fail := func(err error) (*Batch, error) { return nil, fmt.Errorf("%w of %s: %w", errSign, p.batch.origin, err) }
	if stamp == nil || stamp.Public() != p.batch.chain.newest().Stamp {
		return fail(errOtherStamp)
	}
	stamped, err := stamp.Cosign(p.text, uint64(nextStamp(p.last, len(p.batch.records), now)))
	if err != nil {
		return fail(err)
	}
	b := *p.batch
	b.checkpoint, err = b.chain.openCheckpoint(crypto.Note{Text: p.text, Lines: append(slices.Clone(lines), stamped)})
	if err != nil {
		return fail(err)
	}
	return &b, nil
}
