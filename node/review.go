package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
)

// Review is a batch as one of its signers has checked it: what it says was read from the very records that are signed, and
// of what the node said of it nothing was believed but what no signature is about: known-good hits, who else has signed.
type Review struct {
	Batch  api.Batch
	Anchor feed.Anchor // of the charters that the checking rests on: a signer compares its digits once
	chain  *feed.Chain
	asked
}

// ReviewBatch fetches a batch and checks it: the charters from their anchor on, the checkpoint that the batch goes on from,
// the tree below it, each record; and computes from these what is to be signed.
func ReviewBatch(ctx context.Context, door api.Verbs, id string) (*Review, error) {
	t, err := door.Batch(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	r, err := checkBatch(t)
	if err != nil {
		return nil, fmt.Errorf("check batch %.40q: %w", id, err)
	}
	if r.proposal.ID() != id {
		return nil, fmt.Errorf("check batch %.40q: what the node gave is batch %s", id, r.proposal.ID())
	}
	return r, nil
}

func checkBatch(t api.BatchText) (*Review, error) {
	anchor, err := feed.ParseAnchor(t.Anchor)
	if err != nil {
		return nil, err
	}
	var notes [][]byte
	for _, note := range t.Charters {
		notes = append(notes, []byte(note))
	}
	chain, err := feed.OpenChain(anchor, notes)
	if err != nil {
		return nil, err
	}
	var last feed.Checkpoint
	if t.Head != "" {
		if last, err = chain.OpenCheckpoint([]byte(t.Head)); err != nil {
			return nil, err
		}
	}
	hashes, err := digests(t.Tree)
	if err != nil {
		return nil, err
	}
	tree, err := feed.NewTree(last.Size, hashes)
	if err != nil {
		return nil, err
	}
	proposal, err := feed.Propose(chain, tree, last, recordsOf(t.Records))
	if err != nil {
		return nil, err
	}
	b := summary(proposal)
	b.Proposed, b.KnownGood, b.Needs = t.Proposed, t.KnownGood, chain.Newest().Signer.K
	b.Signers, b.Signed = t.Signers, t.Signed
	for i := range min(len(b.Sample), len(t.Sample)) {
		b.Sample[i].KnownGood = t.Sample[i].KnownGood
	}
	r := &Review{Batch: b, Anchor: anchor, chain: chain, asked: asked{proposal: proposal}}
	for _, note := range t.Withdrawn {
		if w, err := chain.OpenWithdrawal([]byte(note)); err == nil { // one that isn't good frees nobody
			r.withdrawals = append(r.withdrawals, w)
		}
	}
	return r, nil
}

func digests(list [][]byte) ([]feed.Digest, error) {
	all := make([]feed.Digest, len(list))
	for i, h := range list {
		if len(h) != len(all[i]) {
			return nil, errors.New("a hash hasn't 32 bytes")
		}
		all[i] = feed.Digest(h)
	}
	return all, nil
}

// Signers are the keys that may sign the batch.
func (r *Review) Signers() []crypto.PublicKey { return r.chain.Newest().Signer.Keys }

// Approve signs the batch and hands in the signature. record is the file of what this signer has signed.
func (r *Review) Approve(ctx context.Context, door api.Verbs, signer crypto.Signer, record string, now time.Time) (api.Approved, error) {
	signed, err := openSigned(record, signer.Public(), r.Anchor)
	if err != nil {
		return api.Approved{}, err
	}
	defer signed.Close()
	// Where the log has gone on without this signer, the node has to prove what it was then.
	r.shown = func(size uint64) (e feed.Earlier, err error) {
		t, err := door.Batch(ctx, r.proposal.ID(), size)
		if err != nil {
			return e, err
		}
		root, err := digests([][]byte{t.Earlier})
		if err != nil {
			return e, err
		}
		e.Root = root[0]
		e.Proof, err = digests(t.Proof)
		return e, err
	}
	line, err := signed.sign(signer, r.asked, now.Unix())
	if errors.Is(err, feed.ErrPledged) {
		err = &api.Error{Status: 409, Code: api.CodeConflict, Text: err.Error(), Hint: pledgedHint}
	}
	if err != nil {
		return api.Approved{}, err
	}
	return door.Approve(ctx, r.proposal.ID(), line.String())
}

// Withdraw has the batch dropped, with this signer's word never to sign it.
func (r *Review) Withdraw(ctx context.Context, door api.Verbs, signer crypto.Signer, record string, now time.Time) error {
	signed, err := openSigned(record, signer.Public(), r.Anchor)
	if err != nil {
		return err
	}
	defer signed.Close()
	line, err := signed.withdraw(signer, r.proposal, now.Unix())
	if err != nil {
		return err
	}
	return door.Withdraw(ctx, r.proposal.ID(), line.String())
}

// summary says what a proposal's records are, from the records.
func summary(p *feed.PendingBatch) api.Batch {
	head := p.Head()
	b := api.Batch{ID: p.ID(), Origin: string(p.Origin()), From: p.From(), Size: head.Size, Root: hex.EncodeToString(head.Root[:]),
		Opening: p.Last().IsZero(), Ops: map[string]int{}, Verdicts: map[string]int{}, Media: map[string]int{}, Kinds: map[string]int{},
		Sample: []api.BatchSample{}}
	for i, r := range p.Records() {
		at := feed.Ref{Origin: p.Origin(), Index: p.From() + uint64(i)}
		h, err := feed.ParseHead(r.Head)
		if err != nil {
			continue // feed.Propose takes none
		}
		b.Ops[h.Op.String()]++
		s := api.BatchSample{Ref: at.String(), Op: h.Op.String()}
		if h.Reason != 0 {
			s.Reason = h.Reason.String()
		}
		switch {
		case len(h.Targets) > 0:
			s.Subject = p.Origin().Name().Ref(h.Targets[0]).String()
		case h.Op == feed.OpRevise:
			s.Subject = p.Origin().Name().Ref(h.Target).String()
		case h.Subject.Origin != "":
			s.Subject = feed.Ref{Origin: h.Subject.Origin, Index: h.Subject.Index}.String()
		}
		if body, err := feed.ParseBody(r.Body); err == nil && len(r.Body) > 0 {
			s.Verdict, s.Media = body.Facts.Verdict.String(), body.Facts.Media.String()
			b.Verdicts[s.Verdict]++
			b.Media[s.Media]++
			if body.Facts.Override != 0 {
				b.Overrides++
			}
			for _, hash := range body.Hashes {
				b.Kinds[hash.Alg.String()]++
				s.Hashes = append(s.Hashes, shortHash(hash))
			}
		}
		if len(b.Sample) < maxSample {
			b.Sample = append(b.Sample, s)
		}
	}
	return b
}

// shortHash is enough of a hash to compare it with one's own list, and too little to find the file by.
func shortHash(h feed.Hash) string {
	v := h.Bytes()
	return fmt.Sprintf("%s:%x…", h.Alg, v[:min(4, len(v))])
}
