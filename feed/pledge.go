package feed

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/crypto"
)

// A Pledge is a head of a log that a signer has put its name to. From then on it signs no head but those whose tree goes on from this
// one: that is what keeps a feed from forking though k signers are enough and others are left (2k > n, WIRE §1). The zero Pledge is that of a
// signer that has signed nothing.
type Pledge struct {
	Size uint64
	Root Digest
}

// ErrPledged says that a signer has signed a head that can't be true together with the one proposed.
var ErrPledged = errors.New("this signer has signed another head, from which this one doesn't go on")

// Earlier shows what a log was at a size below that which a proposal goes on from: its root there, and the consistency proof (RFC 6962) from
// there to From. It isn't believed, it is checked.
type Earlier struct {
	Root  Digest
	Proof []Digest
}

// rootAt returns the root of the proposal's tree at a size of 1 to To. Up to From it takes what is shown of the log.
func (p *PendingBatch) rootAt(size uint64, shown Earlier) (Digest, error) {
	tree := p.batch.before
	if size >= tree.Size() {
		for _, leaf := range p.batch.leaves[:size-tree.Size()] {
			tree.Append(leaf)
		}
		return tree.Root(), nil
	}
	if len(shown.Proof) > maxConsistencyHashes {
		return Digest{}, fmt.Errorf("%w for %s: a consistency proof of %d hashes", errProposal, p.batch.origin, len(shown.Proof))
	}
	proof := make(tlog.TreeProof, len(shown.Proof))
	for i, h := range shown.Proof {
		proof[i] = tlog.Hash(h)
	}
	if err := tlog.CheckTree(proof, int64(tree.Size()), tlog.Hash(tree.Root()), int64(size), tlog.Hash(shown.Root)); err != nil {
		return Digest{}, fmt.Errorf("%w for %s: what it was at size %d isn't proved: %w", errProposal, p.batch.origin, size, err)
	}
	return shown.Root, nil
}

// Keeps says whether a signer that has given a pledge may sign the proposal: ErrPledged if not. Where the log has gone on since, without this
// signer, shown tells what it was at the pledge's size.
func (p *PendingBatch) Keeps(pledge Pledge, shown Earlier) error {
	fail := fmt.Errorf("%w: its own is of size %d, the proposed of size %d", ErrPledged, pledge.Size, p.batch.To())
	switch {
	case pledge.Size == 0:
		return nil // nothing was signed, or the empty tree, which is a part of every tree
	case pledge.Size > p.batch.To():
		return fail
	}
	root, err := p.rootAt(pledge.Size, shown)
	if err == nil && root != pledge.Root {
		return fail
	}
	return err
}

// Overtakes says whether a pledge that the proposal doesn't keep is over, because k other signers have decided otherwise: the checkpoint that
// the proposal goes on from is of the pledge's size or a later one, has another root there, and doesn't bear this signer's name. Those k
// keep to what they signed, so at most n - k, which is less than k, are left for what this signer had signed: it never comes about.
func (p *PendingBatch) Overtakes(pledge Pledge, by crypto.PublicKey, shown Earlier) bool {
	if pledge.Size == 0 || pledge.Size > p.batch.From() || p.last.IsZero() {
		return false
	}
	signed, err := p.last.note.Check(by)
	if err != nil || len(signed) > 0 {
		return false
	}
	root, err := p.rootAt(pledge.Size, shown)
	return err == nil && root != pledge.Root
}

// A Word is something that a signer has given its word on, in one log.
type Word struct {
	Kind WordKind
	Head Pledge
}

// WordKind says what of.
type WordKind string

// The kinds of words. They stand in files that outlive a version: none ever changes its meaning.
const (
	WordSigned   WordKind = "signed"   // that this head is the log's: it has put its name to it
	WordNever    WordKind = "never"    // that it never puts its name to this head: it has withdrawn the proposal
	WordReleased WordKind = "released" // no longer on this head, which it has signed: it can't come about
)

// Words is all that a signer has given its word on in one log, the oldest first. Whoever signs adds to it what Sign and Withdraw return, durably,
// before the signature leaves. The zero value is that of a signer that has signed nothing.
type Words []Word

// Pledge returns the newest head that was signed and not released.
func (w Words) Pledge() Pledge {
	for i, o := range slices.Backward(w) {
		if o.Kind == WordSigned && !slices.Contains(w[i+1:], Word{WordReleased, o.Head}) {
			return o.Head
		}
	}
	return Pledge{}
}

// Sign says whether a signer may sign a proposal, ErrPledged if that would break its word, and what it gives its word on in doing so. A pledge that stands against it
// and can't come about is released: because a withdrawal settles that, or because the proposal overtakes it. shown is asked what the log was at
// a size below From.
func (w Words) Sign(p *PendingBatch, by crypto.PublicKey, shown func(size uint64) (Earlier, error), withdrawals []Withdrawal) (more Words, err error) {
	if slices.Contains(w, Word{WordNever, p.Head()}) {
		return nil, fmt.Errorf("this signer has withdrawn batch %s: it never signs it", p.ID())
	}
	all := slices.Clone(w)
	for {
		pledge, was := all.Pledge(), Earlier{}
		if pledge.Size > 0 && pledge.Size < p.From() {
			if was, err = shown(pledge.Size); err != nil {
				return nil, err
			}
		}
		err := p.Keeps(pledge, was)
		if err == nil {
			break
		}
		settled := slices.ContainsFunc(withdrawals, func(o Withdrawal) bool { return o.Settles(pledge, by) })
		if !settled && !p.Overtakes(pledge, by, was) {
			return nil, err
		}
		all = append(all, Word{WordReleased, pledge})
	}
	if all.Pledge() != p.Head() {
		all = append(all, Word{WordSigned, p.Head()})
	}
	return all[len(w):], nil
}

// Withdraw says whether a signer may give its word never to sign a proposal, and returns that word. Who has signed it can't.
func (w Words) Withdraw(p *PendingBatch) (more Words, err error) {
	switch {
	case slices.Contains(w, Word{WordSigned, p.Head()}):
		return nil, fmt.Errorf("this signer has signed batch %s: it can't withdraw it", p.ID())
	case slices.Contains(w, Word{WordNever, p.Head()}):
		return nil, nil
	}
	return Words{{WordNever, p.Head()}}, nil
}
