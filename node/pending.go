package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
)

// pending is a batch of an own feed that awaits approval. A log has at most one, in a sealed file: nothing of it is in the
// store, so nothing that reads the store (matching, peers, the API, mirrors) can see it. Its file is the truth; it is
// written before anybody is told of the batch, and removed after the commit.
type pending struct {
	v        *view
	proposal *feed.PendingBatch
	by       []crypto.PublicKey // who has signed, in the order of file.Lines
	file     pendingFile
}

// pendingFile is what is stored, as JSON. What the batch goes on from isn't: that is the log.
type pendingFile struct {
	ID       string            `json:"id"`
	From     uint64            `json:"from"`
	Proposed int64             `json:"proposed"` // Unix seconds
	Records  []api.BatchRecord `json:"records"`
	Lines    []string          `json:"lines"` // the signatures of other signers than this node's own, which signs last
}

// pendingOwner is the associated data of the seal: a file that was moved doesn't open there.
func pendingOwner(o feed.Origin) []byte { return []byte("pending\n" + string(o)) }

// pendingOf returns the batch of a feed's current log that awaits approval; nil if there is none. The caller holds n.signing.
func (n *Node) pendingOf(v *view) (*pending, error) {
	chain := v.reading.Load().chain
	origin := chain.Newest().Origin()
	path := n.dir.pending(origin)
	sealed, err := readSmall(path, maxPendingFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*pending, error) {
		return nil, &api.Error{Status: 500, Code: api.CodeDamaged, Text: fmt.Sprintf("read the batch that awaits approval, %s: %v", path, err),
			Hint: "remove the file and propose its records anew"}
	}
	data, err := n.seal.AppendOpen(nil, sealed, pendingOwner(origin))
	if err != nil {
		return fail(err)
	}
	p := &pending{v: v}
	if err := json.Unmarshal(data, &p.file); err != nil {
		return fail(err)
	}
	tree, ok := n.store.Tree(origin)
	if !ok {
		return nil, fmt.Errorf("read the batch that awaits approval for %s: its log can't be read", origin)
	}
	last, opened := n.store.Head(origin)
	if tree.Size() != p.file.From || opened && len(p.file.Records) == 0 {
		// The log has gone on: the crash came between the commit and the removal of this file.
		n.log.Info("batch that awaited approval is over", "log", string(origin), "batch", p.file.ID)
		return nil, n.removePending(v, origin)
	}
	if p.proposal, err = feed.Propose(chain, tree, last, recordsOf(p.file.Records)); err != nil {
		return fail(err)
	}
	if p.proposal.ID() != p.file.ID {
		return fail(fmt.Errorf("it is no longer batch %s: the log isn't what it was proposed on", p.file.ID))
	}
	for _, text := range p.file.Lines {
		line, err := crypto.ParseLine(text)
		if err != nil {
			return fail(err)
		}
		key, err := p.proposal.Signer(line)
		if err != nil {
			return fail(err)
		}
		p.by = append(p.by, key)
	}
	return p, nil
}

// storePending makes a batch wait, or what has changed about it durable.
func (n *Node) storePending(p *pending) error {
	path := n.dir.pending(p.proposal.Origin())
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(p.file)
	if err != nil {
		return err
	}
	sealed := n.seal.AppendSeal(nil, data, pendingOwner(p.proposal.Origin()))
	if len(sealed) > maxPendingFile {
		return refused("a batch of %d records is too large to await approval: propose fewer", len(p.file.Records))
	}
	if err := renameio.WriteFile(path, sealed, 0o600); err != nil {
		return fmt.Errorf("store the batch that awaits approval: %w", err)
	}
	p.v.awaits.Store(awaitingOf(p))
	return syncDir(filepath.Dir(path))
}

func (n *Node) removePending(v *view, o feed.Origin) error {
	path := n.dir.pending(o)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	v.awaits.Store(nil)
	return syncDir(filepath.Dir(path))
}

// awaiting is what this node lets act of a batch before it is approved: that it waits, which an operator should know, and
// the disputes in it, since a dispute of the operator's own holds here at once.
type awaiting struct {
	id    string
	since int64
	said  map[feed.Ref][]statement
	err   error // why the batch can't be read
}

func awaitingOf(p *pending) *awaiting {
	a := &awaiting{id: p.file.ID, since: p.file.Proposed, said: map[feed.Ref][]statement{}}
	for i, r := range p.proposal.Records() {
		h, err := feed.ParseHead(r.Head)
		if err != nil || h.Op != feed.OpDispute {
			continue
		}
		subject := feed.Ref{Origin: h.Subject.Origin, Index: h.Subject.Index}
		a.said[subject] = append(a.said[subject], statement{op: h.Op, by: p.v.name, own: true, leaf: h.Subject.Leaf, reason: h.Reason, ticket: h.Ticket, time: h.Time,
			at: feed.Ref{Origin: p.proposal.Origin(), Index: p.proposal.From() + uint64(i)}})
	}
	return a
}

// await finds the batch that awaited approval when the node was last closed, or when a charter came. What awaited it for a log
// that is closed is over.
func (n *Node) await(v *view) {
	for log := 1; log < v.reading.Load().chain.Newest().Log; log++ {
		if err := os.Remove(n.dir.pending(v.name.Log(log))); err == nil {
			n.log.Info("batch that awaited approval is over: its log is closed", "log", string(v.name.Log(log)))
		} else if !errors.Is(err, fs.ErrNotExist) {
			n.log.Error("remove a batch of a closed log", "err", err)
		}
	}
	switch p, err := n.pendingOf(v); {
	case err != nil:
		v.awaits.Store(&awaiting{since: n.unix(), err: err})
	case p != nil:
		v.awaits.Store(awaitingOf(p))
	default:
		v.awaits.Store(nil)
	}
}

// awaited is what batches that await approval say of a record.
func (n *Node) awaited(ref feed.Ref) []statement {
	var all []statement
	for _, v := range *n.views.Load() {
		if v == nil || !v.own {
			continue
		}
		if a := v.awaits.Load(); a != nil {
			all = append(all, a.said[ref]...)
		}
	}
	return all
}

// propose makes records, or the opening of the log, wait for approval. The caller holds n.signing.
func (n *Node) propose(v *view, records []feed.Record) (*pending, error) {
	if p, err := n.pendingOf(v); err != nil {
		return nil, err
	} else if p != nil {
		return nil, n.waits(p)
	}
	chain := v.reading.Load().chain
	origin := chain.Newest().Origin()
	tree, ok := n.store.Tree(origin)
	if !ok {
		return nil, fmt.Errorf("propose for %s: its log can't be read", origin)
	}
	last, opened := n.store.Head(origin)
	if !opened && len(records) > 0 {
		return nil, conflict("the log %s is not open yet: its opening awaits approval", origin)
	}
	if opened {
		queued, err := n.queuedDisputes(v, records)
		if err != nil {
			return nil, err
		}
		records = append(records[:len(records):len(records)], queued...)
	}
	proposal, err := feed.Propose(chain, tree, last, records)
	if err != nil {
		return nil, err
	}
	if opened {
		if err := n.notWithdrawn(chain, proposal); err != nil {
			return nil, err
		}
	}
	p := &pending{v: v, proposal: proposal, file: pendingFile{ID: proposal.ID(), From: proposal.From(), Proposed: n.unix(), Lines: []string{}}}
	for _, r := range records {
		p.file.Records = append(p.file.Records, api.BatchRecord{Head: r.Head, Body: r.Body})
	}
	return p, n.storePending(p)
}

// notWithdrawn refuses a batch that was withdrawn, since who withdrew it has given its word never to sign it. What is proposed again within the second
// may be the same to the last bit.
func (n *Node) notWithdrawn(chain *feed.Chain, p *feed.PendingBatch) error {
	list, err := n.readWithdrawn(p.Origin())
	if err != nil {
		return err
	}
	for _, l := range list {
		if w, err := chain.OpenWithdrawal([]byte(l.Note)); err == nil && w.Pledge == p.Head() {
			return conflict("this very batch, %s, was withdrawn, and is never signed; made a second later, or with more records, it is another", p.ID())
		}
	}
	return nil
}

// proposeOpening makes the opening of a log wait for approval: the checkpoint of size 0, which takes k signers like any
// other. A log that is open, or that its one signer opens, needs none. The caller holds n.signing.
func (n *Node) proposeOpening(v *view) error {
	charter := v.reading.Load().chain.Newest()
	if _, opened := n.store.Head(charter.Origin()); opened || charter.Signer.K == 1 {
		return nil
	}
	if p, err := n.pendingOf(v); err != nil || p != nil {
		return err
	}
	_, err := n.propose(v, nil)
	return err
}

// waits is the answer to whoever wants to propose a second batch. A log has one head of each size: which batch comes first
// must be settled before there is another.
func (n *Node) waits(p *pending) error {
	return &api.Error{Status: 409, Code: api.CodeConflict,
		Text: fmt.Sprintf("batch %s of %s awaits approval: there is one at a time", p.file.ID, p.v.name),
		Hint: fmt.Sprintf("hashfeed approve %s, or hashfeed approve --withdraw %s; hashfeed suspend holds an item at once", p.file.ID, p.file.ID)}
}

func recordsOf(list []api.BatchRecord) []feed.Record {
	records := make([]feed.Record, len(list))
	for i, r := range list {
		records[i] = feed.Record{Head: r.Head, Body: r.Body}
	}
	return records
}

// signers says who stands by the batch: those who have signed, and this node's own signer, which signs last.
func (p *pending) signers(own *crypto.PublicKey) (list []api.BatchSigner, signed int) {
	for _, k := range p.v.reading.Load().chain.Newest().Signer.Keys {
		s := api.BatchSigner{VKey: k.String(), Own: own != nil && *own == k, Signed: slices.Contains(p.by, k)}
		if s.Own || s.Signed {
			signed++
		}
		list = append(list, s)
	}
	return list, signed
}

// withdrawn is a batch that was withdrawn, as a line of a file: the note by which signers gave their word never to sign it.
// It frees those who have.
type withdrawn struct {
	Note string `json:"note"`
}

func (w withdrawn) check() error {
	_, err := crypto.ParseNote([]byte(w.Note))
	return err
}

func (n *Node) readWithdrawn(o feed.Origin) ([]withdrawn, error) {
	return readJSONLines(n.dir.withdrawn(o), maxWithdrawnFile, withdrawn.check)
}

// keepWithdrawn keeps a withdrawal, and those before it that still may free somebody.
func (n *Node) keepWithdrawn(o feed.Origin, note crypto.Note) error {
	list, err := n.readWithdrawn(o)
	if err != nil {
		return err
	}
	list = append(list[max(0, len(list)+1-maxWithdrawn):], withdrawn{string(note.Bytes())})
	return writeJSONLines(n.dir.withdrawn(o), list)
}
