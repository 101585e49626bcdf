package feed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"hashfeed/crypto"
)

// A Batch is verified records of one log, those from From to To. It is what both publishing and receiving end in, and all that a store takes:
// only [Sign], and [Extension.Batch] after every hash was compared, make one. It is immutable, and so is what its methods return or they
// return copies.
type Batch struct {
	chain         *Chain
	origin        Origin
	before, after Tree
	records       []Record
	leaves        []Digest
	tail          [][]byte
	checkpoint    Checkpoint
	adopt         bool
}

// Chain returns the charters that the batch was verified with.
func (b *Batch) Chain() *Chain { return b.chain }

// Origin returns the log.
func (b *Batch) Origin() Origin { return b.origin }

// From returns the index of the first record, which is the size of the log before the batch.
func (b *Batch) From() uint64 { return b.before.Size() }

// To returns the size of the log after the batch. It equals From in a batch without records: a new stamp, or more cosignatures.
func (b *Batch) To() uint64 { return b.after.Size() }

// Before returns the tree that the batch goes on from.
func (b *Batch) Before() Tree { return b.before }

// After returns the tree with the batch's records.
func (b *Batch) After() Tree { return b.after }

// Records returns a copy of the records, heads and bodies, From's first. A body is empty where none was promised, it was erased, or the
// sender didn't have it; else it is the one that the head promises.
func (b *Batch) Records() []Record {
	n := 0
	for _, r := range b.records {
		n += len(r.Head) + len(r.Body)
	}
	all, room := make([]Record, len(b.records)), make([]byte, 0, n)
	keep := func(raw []byte) []byte {
		room = append(room, raw...)
		return room[len(room)-len(raw) : len(room) : len(room)]
	}
	for i, r := range b.records {
		all[i] = Record{Head: keep(r.Head), Body: keep(r.Body)}
	}
	return all
}

// Leaves returns a copy of the records' leaf hashes, the hashes of level 0 that the batch adds to the tiles.
func (b *Batch) Leaves() []Digest { return slices.Clone(b.leaves) }

// Checkpoint returns the checkpoint that the batch was verified against. ok tells that its size is To: the log is complete up to it, so it is
// to be adopted as the log's head. A batch from the middle of a long extension has none to adopt.
func (b *Batch) Checkpoint() (cp Checkpoint, ok bool) {
	if !b.adopt {
		return Checkpoint{}, false
	}
	return b.checkpoint, true
}

// Signing is what signs a feed's checkpoints: at least the k signers of the newest charter's threshold, wherever their keys are, and its
// stamp key.
type Signing struct {
	Chain   *Chain
	Signers []crypto.Signer
	Stamp   *crypto.PrivateKey
}

var (
	errSign       = errors.New("sign checkpoint")
	errOtherStamp = errors.New("the stamp key is not the newest charter's")
)

// Sign makes the publisher's next batch of the newest charter's log: tree with the records, under a checkpoint that is signed and stamped.
// last is the newest checkpoint of that log, of tree's size; the zero Checkpoint for a log without any, whose first checkpoint is of size 0
// and without records. Without records the same size is stamped anew.
//
// There are at most MaxBatch records. Each head has the form of an add, revise, retract, endorse, dispute or resolve, and its body is there
// exactly if it promises one, and is that one. Whether the record has an effect and may be listed is [State.Check]'s to say, before.
//
// The stamp is now, Unix seconds, but never before last's, nor at it where the size is the same: of two checkpoints the order, by size and then
// by stamp, is always plain. (Were it one second later each time, a publisher of many batches a second would run ahead of the clock, and more
// than 300 s ahead nothing is fresh.) Sign keeps no state, so it is the caller who must never sign twice from one tree: two batches from there would be a fork, and evidence.
func Sign(s Signing, tree Tree, last Checkpoint, records []Record, now int64) (*Batch, error) {
	for i, r := range records {
		if err := checkSigned(r); err != nil {
			return nil, fmt.Errorf("%w: record %d: %w", errSign, tree.Size()+uint64(i), err)
		}
	}
	return s.sign(tree, last, records, now)
}

// checkSigned says whether a publisher may put its name to r, as far as r alone tells.
func checkSigned(r Record) error {
	h, err := ParseHead(r.Head)
	if err != nil {
		return err
	}
	if h.Op > OpResolve {
		return errUnknownOp
	}
	if _, promised := PromisedBody(r.Head); promised && len(r.Body) == 0 {
		return errNoBody
	}
	return nil
}

// sign is Sign for heads of any form: what a publisher with other software, or a hostile one, may well sign.
func (s Signing) sign(tree Tree, last Checkpoint, records []Record, now int64) (*Batch, error) {
	charter := s.Chain.Newest()
	origin := charter.Origin()
	if err := s.check(charter); err != nil {
		return nil, fmt.Errorf("%w of %s: %w", errSign, origin, err)
	}
	b, err := newBatch(s.Chain, tree, last, records)
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", errSign, origin, err)
	}
	b.checkpoint, err = signCheckpoint(s.Chain, origin, b.after.Size(), b.after.Root(), s.Signers, s.Stamp, nextStamp(last, len(records), now))
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", errSign, origin, err)
	}
	return b, nil
}

// newBatch is the batch of the newest charter's log that goes on from last with records, without a checkpoint yet.
func newBatch(chain *Chain, tree Tree, last Checkpoint, records []Record) (*Batch, error) {
	origin := chain.newest().Origin()
	if err := goesOn(origin, tree, last, len(records)); err != nil {
		return nil, err
	}
	if len(records) > MaxBatch {
		return nil, fmt.Errorf("%d records, want at most %d", len(records), MaxBatch)
	}
	if uint64(len(records)) > MaxSize-tree.Size() {
		return nil, fmt.Errorf("the log would have more than %d records", MaxSize)
	}
	b := &Batch{chain: chain, origin: origin, before: tree, after: tree, adopt: true}
	for i, r := range records {
		index := tree.Size() + uint64(i)
		if len(r.Head) > MaxItemBytes || len(r.Body) > MaxItemBytes {
			return nil, fmt.Errorf("record %d: more than %d bytes", index, MaxItemBytes)
		}
		if err := checkBody(r.Head, r.Body); err != nil {
			return nil, fmt.Errorf("record %d: %w", index, err)
		}
		b.add(Record{bytes.Clone(r.Head), bytes.Clone(r.Body)}, LeafHash(r.Head))
	}
	return b, nil
}

// Restamp makes the batch that stamps last anew, the newest checkpoint of tree's size: with the stamp key alone, for the signers' lines
// stand as they are. It is what an idle publisher does hourly; the stamp's time is as [Sign] has it.
func Restamp(chain *Chain, tree Tree, last Checkpoint, stamp *crypto.PrivateKey, now int64) (*Batch, error) {
	origin := chain.newest().Origin()
	fail := func(err error) (*Batch, error) { return nil, fmt.Errorf("%w of %s: %w", errSign, origin, err) }
	if last.IsZero() {
		return fail(errors.New("the log is not open"))
	}
	b, err := newBatch(chain, tree, last, nil)
	if err != nil {
		return fail(err)
	}
	if stamp == nil || stamp.Public() != chain.newest().Stamp {
		return fail(errOtherStamp)
	}
	line, err := stamp.Cosign(last.note.Text, uint64(nextStamp(last, 0, now)))
	if err != nil {
		return fail(err)
	}
	if b.checkpoint, err = chain.MergeCosignatures(last, line); err != nil {
		return fail(err)
	}
	return b, nil
}

// add appends a record to the batch.
func (b *Batch) add(r Record, leaf Digest) {
	b.records = append(b.records, r)
	b.leaves = append(b.leaves, leaf)
	b.after.Append(leaf)
}

// check says whether these keys may sign for the charter.
func (s Signing) check(c Charter) error {
	var seen []crypto.PublicKey
	for _, k := range s.Signers {
		if k == nil || !slices.Contains(c.Signer.Keys, k.Public()) {
			return errors.New("a key that is no signer of the newest charter")
		}
		if slices.Contains(seen, k.Public()) {
			return fmt.Errorf("signer %08x is there twice", k.Public().ID())
		}
		seen = append(seen, k.Public())
	}
	if len(seen) < c.Signer.K {
		return fmt.Errorf("%d signers, the charter wants %d", len(seen), c.Signer.K)
	}
	if s.Stamp == nil || s.Stamp.Public() != c.Stamp {
		return errOtherStamp
	}
	return nil
}

// goesOn says whether a batch of so many records may follow last, which is compared with the tree.
func goesOn(origin Origin, tree Tree, last Checkpoint, records int) error {
	switch {
	case last.IsZero() && (tree.Size() != 0 || records != 0):
		return errors.New("a log opens with a checkpoint of size 0")
	case last.IsZero():
	case last.Origin != origin:
		return fmt.Errorf("the last checkpoint is of %s", last.Origin)
	case last.Size != tree.Size() || last.Root != tree.Root():
		return fmt.Errorf("the last checkpoint, of size %d, isn't of this tree of size %d", last.Size, tree.Size())
	}
	return nil
}

// nextStamp returns the time of the checkpoint after last, with so many records between.
func nextStamp(last Checkpoint, records int, now int64) int64 {
	switch {
	case last.IsZero():
		return max(now, 1)
	case records > 0:
		return max(now, last.Stamp)
	}
	return max(now, last.Stamp+1)
}

// checkBody says whether body may lie beside head: none, or the very one that the head promises.
func checkBody(head, body []byte) error {
	if len(body) == 0 {
		return nil
	}
	digest, ok := PromisedBody(head)
	if !ok || sha256.Sum256(body) != digest {
		return errBodyOther
	}
	return nil
}

// AdoptCosignatures returns a batch without records that adds lines to cp, the newest checkpoint held, of tree's size. Lines that don't count,
// and bad ones, are dropped, as [Chain.MergeCosignatures] does.
func AdoptCosignatures(chain *Chain, tree Tree, cp Checkpoint, lines []crypto.Line) (*Batch, error) {
	more, err := chain.MergeCosignatures(cp, lines...)
	if err != nil {
		return nil, fmt.Errorf("adopt cosignatures: %w", err)
	}
	if more.Size != tree.Size() || more.Root != tree.Root() {
		return nil, fmt.Errorf("adopt cosignatures of %s: the checkpoint of size %d isn't of this tree of size %d", cp.Origin, more.Size, tree.Size())
	}
	return &Batch{chain: chain, origin: more.Origin, before: tree, after: tree, checkpoint: more, adopt: true}, nil
}

func cloneItems(items [][]byte) [][]byte {
	all := make([][]byte, len(items))
	for i, item := range items {
		all[i] = bytes.Clone(item)
	}
	return all
}
