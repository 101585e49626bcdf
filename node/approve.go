package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
)

// Where a charter wants k > 1 signers, whatever this node would sign is proposed instead, and published by the last signature
// that is needed. The signatures that come are those of others; this node's own is made last, in one go with the commit:
// so while a batch can still be withdrawn there are never k signatures of it, here or anywhere.

// ownPending finds the batch that awaits approval by its id. The caller holds n.signing.
func (n *Node) ownPending(id string) (*pending, error) {
	for _, v := range *n.views.Load() {
		if v == nil || !v.own {
			continue
		}
		p, err := n.pendingOf(v)
		if err != nil {
			return nil, err
		}
		if p != nil && p.file.ID == id {
			return p, nil
		}
	}
	return nil, notFound("no batch %.40q awaits approval: it was published or withdrawn, or never proposed here", id)
}

// Batches lists the batches of own feeds that await approval.
func (n *Node) Batches(ctx context.Context) ([]api.Batch, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	list := []api.Batch{}
	for _, v := range *n.views.Load() {
		if v == nil || !v.own {
			continue
		}
		p, err := n.pendingOf(v)
		if err != nil {
			return nil, err
		}
		if p != nil {
			list = append(list, n.batchInfo(p))
		}
	}
	return list, nil
}

// Batch tells all that a signer needs to check a batch. pledged is the size of the newest head that this signer has signed.
func (n *Node) Batch(ctx context.Context, id string, pledged uint64) (api.BatchText, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	p, err := n.ownPending(id)
	if err != nil {
		return api.BatchText{}, err
	}
	chain := p.v.reading.Load().chain
	t := api.BatchText{Batch: n.batchInfo(p), Anchor: chain.Anchor().String(), Tree: [][]byte{}, Records: p.file.Records}
	for _, note := range chain.Notes() {
		t.Charters = append(t.Charters, string(note))
	}
	if last := p.proposal.Last(); !last.IsZero() {
		t.Head = string(last.Bytes())
	}
	tree, _ := n.store.Tree(p.proposal.Origin())
	for _, h := range tree.Hashes() {
		t.Tree = append(t.Tree, h[:])
	}
	if pledged > 0 && pledged < p.proposal.From() {
		shown, err := n.earlier(p.proposal, pledged)
		if err != nil {
			return api.BatchText{}, err
		}
		t.Earlier = shown.Root[:]
		for _, h := range shown.Proof {
			t.Proof = append(t.Proof, h[:])
		}
	}
	withdrawn, err := n.readWithdrawn(p.proposal.Origin())
	for _, w := range withdrawn {
		t.Withdrawn = append(t.Withdrawn, w.Note)
	}
	return t, err
}

// earlier shows what a log was at a size below the one that a proposal goes on from.
func (n *Node) earlier(p *feed.PendingBatch, size uint64) (e feed.Earlier, err error) {
	reader, err := n.store.HashReader(p.Origin())
	if err != nil {
		return e, err
	}
	if e.Root, err = n.store.RootAt(p.Origin(), size); err != nil {
		return e, err
	}
	proof, err := tlog.ProveTree(int64(p.From()), int64(size), reader)
	if err != nil {
		return e, fmt.Errorf("prove that %s goes on from size %d: %w", p.Origin(), size, err)
	}
	for _, h := range proof {
		e.Proof = append(e.Proof, feed.Digest(h))
	}
	return e, nil
}

// ownSigner is the public key of this node's own signer of a feed, nil where it has none.
func (n *Node) ownSigner(v *view) *crypto.PublicKey {
	charter := v.reading.Load().chain.Newest()
	signer, err := n.keys.signer(charter)
	if err != nil || !slices.Contains(charter.Signer.Keys, signer.Public()) {
		return nil
	}
	public := signer.Public()
	return &public
}

func (n *Node) batchInfo(p *pending) api.Batch {
	b := summary(p.proposal)
	b.Proposed = timeText(p.file.Proposed)
	b.Needs = p.v.reading.Load().chain.Newest().Signer.K
	b.Signers, b.Signed = p.signers(n.ownSigner(p.v))
	for i, r := range p.proposal.Records() {
		body, err := feed.ParseBody(r.Body)
		if len(r.Body) == 0 || err != nil {
			continue
		}
		if alg, source, ok := n.findKnown(body.Hashes); ok {
			b.KnownGood++
			if i < len(b.Sample) {
				b.Sample[i].KnownGood = fmt.Sprintf("by its %s, %s", alg, source)
			}
		}
	}
	return b
}

// Approve adds a signer's signature to a batch, and publishes it once it has enough.
func (n *Node) Approve(ctx context.Context, id, text string) (api.Approved, error) {
	n.signing.Lock()
	defer n.signing.Unlock()
	p, err := n.ownPending(id)
	if err != nil {
		return api.Approved{}, err
	}
	if err := n.guardBatch(p); err != nil {
		return api.Approved{}, err
	}
	if text != "" {
		line, err := crypto.ParseLine(text)
		if err != nil {
			return api.Approved{}, badRequest(err)
		}
		key, err := p.proposal.Signer(line)
		if err != nil {
			return api.Approved{}, refused("%v", err)
		}
		if !slices.Contains(p.by, key) {
			p.by, p.file.Lines = append(p.by, key), append(p.file.Lines, line.String())
			if err := n.storePending(p); err != nil {
				return api.Approved{}, err
			}
			n.log.Info("batch approved", "feed", p.v.name, "batch", id, "signer", key.String())
		}
	}
	a := api.Approved{ID: id, Origin: string(p.proposal.Origin()), From: p.proposal.From(), Size: p.proposal.Head().Size,
		Needs: p.v.reading.Load().chain.Newest().Signer.K}
	own := n.ownSigner(p.v)
	if _, a.Signed = p.signers(own); a.Signed < a.Needs {
		return a, nil
	}
	if err := n.publishPending(ctx, p); err != nil {
		return a, fmt.Errorf("the signatures are kept, but the batch isn't published: %w", err)
	}
	a.Published = true
	return a, nil
}

// publishPending makes the signatures of a batch complete with this node's own, and publishes it.
func (n *Node) publishPending(ctx context.Context, p *pending) error {
	if err := n.maySign(ctx, p.v); err != nil {
		return err
	}
	if err := n.guardBatch(p); err != nil {
		return err
	}
	chain := p.v.reading.Load().chain
	if err := n.unexpired(p.v, p.proposal.Records()); err != nil {
		return err
	}
	stamp, err := n.keys.stamp(chain.Newest())
	if err != nil {
		return err
	}
	var lines []crypto.Line
	for _, text := range p.file.Lines {
		line, err := crypto.ParseLine(text)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	if len(lines) < chain.Newest().Signer.K {
		line, err := n.signPending(p)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	batch, err := p.proposal.Batch(lines, stamp, n.unix())
	if err != nil {
		return err
	}
	if err := n.store.Commit(batch); err != nil {
		return explainWrite(err)
	}
	n.log.Info("batch published", "feed", p.v.name, "batch", p.file.ID)
	return n.removePending(p.v, p.proposal.Origin())
}

// signPending makes this node's own signature of a batch.
func (n *Node) signPending(p *pending) (crypto.Line, error) {
	chain := p.v.reading.Load().chain
	signer, err := n.keys.signer(chain.Newest())
	if err != nil {
		return crypto.Line{}, err
	}
	signed, err := n.openSigned(p.v, signer)
	if err != nil {
		return crypto.Line{}, err
	}
	defer signed.Close()
	withdrawn, err := n.readWithdrawn(p.proposal.Origin())
	if err != nil {
		return crypto.Line{}, err
	}
	a := asked{proposal: p.proposal, shown: func(size uint64) (feed.Earlier, error) { return n.earlier(p.proposal, size) }}
	for _, w := range withdrawn {
		if o, err := chain.OpenWithdrawal([]byte(w.Note)); err == nil { // else of an earlier log
			a.withdrawals = append(a.withdrawals, o)
		}
	}
	line, err := signed.sign(signer, a, n.unix())
	if errors.Is(err, feed.ErrPledged) {
		return line, &api.Error{Status: 409, Code: api.CodeConflict, Text: err.Error(), Hint: pledgedHint}
	}
	return line, err
}

// pledgedHint is the way on for a signer that is bound to a batch that was withdrawn.
const pledgedHint = "other signers can sign; once they have, so can this one again. Else close the log: feed charter"

// openSigned opens what this node's own signer has signed.
func (n *Node) openSigned(v *view, signer crypto.Signer) (*signedFile, error) {
	chain := v.reading.Load().chain
	return openSigned(n.dir.signed(v.name, chain.Newest().Log), signer.Public(), chain.Anchor())
}

// Withdraw drops a batch that awaits approval. This node's own signer, which has not signed it, gives its word never to; text
// is the line by which another signer does, if one does.
func (n *Node) Withdraw(ctx context.Context, id, text string) error {
	n.signing.Lock()
	defer n.signing.Unlock()
	p, err := n.ownPending(id)
	if err != nil {
		return err
	}
	chain := p.v.reading.Load().chain
	note := crypto.Note{Text: p.proposal.WithdrawalText()}
	if text != "" {
		line, err := crypto.ParseLine(text)
		if err != nil {
			return badRequest(err)
		}
		note.Lines = append(note.Lines, line)
		if w, err := chain.OpenWithdrawal(note.Bytes()); err != nil || len(w.Signers) != 1 {
			return refused("the line is no signer's withdrawal of batch %s", id)
		} else if slices.Contains(p.by, w.Signers[0]) {
			return conflict("%s has signed batch %s", w.Signers[0], id)
		}
	}
	if signer, err := n.keys.signer(chain.Newest()); err == nil {
		signed, err := n.openSigned(p.v, signer)
		if err != nil {
			return err
		}
		defer signed.Close()
		if signed.has(feed.WordSigned, p.proposal.Head()) {
			return conflict("batch %s has all its signatures: it can't be withdrawn, only published (hashfeed approve %s)", id, id)
		}
		line, err := signed.withdraw(signer, p.proposal, n.unix())
		switch {
		case err == nil:
			note.Lines = append(note.Lines, line)
		case !signed.has(feed.WordNever, p.proposal.Head()):
			return err
		default:
			// An agent that is away keeps nobody from withdrawing: only the others can't be shown the word that was given.
			n.log.Warn("withdrawal not signed", "feed", p.v.name, "batch", id, "err", err)
		}
	}
	if len(note.Lines) > 0 {
		if err := n.keepWithdrawn(p.proposal.Origin(), note); err != nil {
			return err
		}
	}
	n.log.Info("batch withdrawn", "feed", p.v.name, "batch", id)
	return n.removePending(p.v, p.proposal.Origin())
}

// carryOn does for an own feed that several must sign what was left undone: it proposes the opening of its log, and reports
// that no batch took along; and publishes a batch that has all its signatures, where a crash came between or no member
// could be heard.
func (n *Node) carryOn(ctx context.Context, v *view) error {
	if v.reading.Load().chain.Newest().Signer.K == 1 {
		return nil
	}
	n.signing.Lock()
	defer n.signing.Unlock()
	if err := n.proposeOpening(v); err != nil {
		return err
	}
	p, err := n.pendingOf(v)
	if err != nil {
		return err
	}
	if p == nil {
		return n.proposeReports(v)
	}
	k := v.reading.Load().chain.Newest().Signer.K
	if len(p.by)+1 < k {
		return nil // whether or not our own signer is here, which takes a passphrase's work to find out
	}
	if _, signed := p.signers(n.ownSigner(v)); signed < k {
		return nil
	}
	return n.publishPending(ctx, p)
}
