package feed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A Proof shows that a record was listed at the time of a checkpoint, with the anchor alone and without a network. It is a C2SP tlog-proof@v1:
//
//	c2sp.org/tlog-proof@v1
//	extra pAFYh…
//	index 17
//	t/FpPpMF…=
//	…
//
//	eokm.example/known/1
//	2048
//	nIR0nDKX…=
//
//	— eokm.example/known/1 …
//
// extra is deterministic CBOR: {1: head, 2: [charter notes from the anchor's on], ? 3: body}. Only NewProof and OpenProof make one; the fields are
// for reading.
//
// It doesn't show that the record has effect: that a head isn't void by id, chain or many, nor a body refused by lowers, only the whole
// log can tell. Nor does it show that the record was not retracted. What it can show to be void or refused is no proof.
type Proof struct {
	Chain      *Chain // from the anchor's charter on
	Checkpoint Checkpoint
	Index      uint64
	HeadRaw    []byte // the leaf
	Head       Head   // the same, read; Op is 1 to 6
	BodyRaw    []byte // nil: the proof discloses no hash
	Body       *Body  // the same, read

	data []byte
}

var (
	errProof     = errors.New("proof")
	errInclusion = errors.New("the record isn't in the checkpoint's tree")
	errPastCut   = errors.New("record lies at or past the cut of its log")
	errLaterOp   = errors.New("op unknown to this version")
	errNotBody   = errors.New("body isn't the head's")
)

const proofMagic = "c2sp.org/tlog-proof@v1"

// NewProof makes the proof of the record at index: its head, its body or nil, the earliest checkpoint that is kept and covers it, and the
// audit path from the record to the checkpoint's root (RFC 6962 §2.1.1).
func NewProof(c *Chain, cp Checkpoint, index uint64, head, body []byte, path []Digest) (Proof, error) {
	pairs := 2
	if body != nil {
		pairs++
	}
	extra := appendCBORBytes(appendCBORUint(appendCBORMap(nil, pairs), 1), head)
	extra = appendCBORArray(appendCBORUint(extra, 2), len(c.links))
	for i := range c.links {
		extra = appendCBORBytes(extra, c.links[i].note)
	}
	if body != nil {
		extra = appendCBORBytes(appendCBORUint(extra, 3), body)
	}
	data := fmt.Appendf(nil, "%s\nextra %s\nindex %d\n", proofMagic, encodeBase64(extra), index)
	for _, h := range path {
		data = append(data, encodeBase64(h[:])+"\n"...)
	}
	data = append(data, '\n')
	data = append(data, cp.Bytes()...)
	p, err := OpenProof(data, c.anchor)
	if err != nil {
		return Proof{}, fmt.Errorf("make %w", err)
	}
	return p, nil
}

// OpenProof verifies a proof.
func OpenProof(data []byte, anchor Anchor) (Proof, error) {
	if len(data) > MaxProof {
		return Proof{}, fmt.Errorf("%w: longer than %d bytes", errProof, MaxProof)
	}
	p, err := openProof(data, anchor)
	if err != nil {
		return Proof{}, fmt.Errorf("%w: %w", errProof, err)
	}
	return p, nil
}

func openProof(data []byte, anchor Anchor) (p Proof, err error) {
	top, cp, ok := bytes.Cut(data, []byte("\n\n"))
	if !ok {
		return p, errors.New("no checkpoint")
	}
	if bytes.Count(top, []byte("\n")) > 2+maxProofHashes {
		return p, fmt.Errorf("more than %d hashes", maxProofHashes)
	}
	r := &lineReader{rest: string(top) + "\n"}
	r.must(r.next(proofMagic) == "", "first", errLine)
	extra := r.next("extra ")
	index, ok := parseNumber(r.next("index "), 0, MaxSize-1)
	r.must(ok, "index", errLine)
	var path tlog.RecordProof
	for r.err == nil && r.rest != "" {
		h, err := parseRoot(r.next(""))
		r.fail("hash", err)
		path = append(path, tlog.Hash(h))
	}
	if r.err != nil {
		return p, r.err
	}
	p.Index, p.data = index, slices.Clone(data)
	if err := p.openExtra(extra, anchor); err != nil {
		return p, fmt.Errorf("extra: %w", err)
	}
	if p.Checkpoint, err = p.Chain.OpenCheckpoint(cp); err != nil {
		return p, err
	}
	if cut, closed := p.Chain.Cut(p.Checkpoint.Origin.Log()); closed && index >= cut.Size {
		return p, errPastCut
	}
	// Sizes are at most 2^40: tlog's int64 holds them.
	if tlog.CheckRecord(path, int64(p.Checkpoint.Size), tlog.Hash(p.Checkpoint.Root), int64(index), tlog.Hash(LeafHash(p.HeadRaw))) != nil {
		return p, errInclusion
	}
	return p, p.judge()
}

// openExtra reads the extra line: head, charters, body.
func (p *Proof) openExtra(line string, anchor Anchor) error {
	if len(line) > (MaxExtra+2)/3*4 {
		return fmt.Errorf("longer than %d bytes", MaxExtra)
	}
	raw, err := decodeBase64(line)
	if err != nil {
		return err
	}
	if len(raw) > MaxExtra {
		return fmt.Errorf("longer than %d bytes", MaxExtra)
	}
	if err := checkCBOR(raw); err != nil {
		return err
	}
	malformed := errors.New("not a map of head, charters and body")
	f, ok := (&cborReader{raw}).fields()
	if !ok || !f.only(keyBits(1, 2), keyBits(3), false) {
		return malformed
	}
	if p.HeadRaw, ok = f.key(1).bytes(0, MaxHead); !ok {
		return malformed
	}
	in := f.key(2)
	n, ok := in.array(1, MaxCharters)
	if !ok {
		return malformed
	}
	notes := make([][]byte, n) // each has at least a byte of raw
	for i := range notes {
		if notes[i], ok = in.bytes(0, len(raw)); !ok {
			return malformed
		}
	}
	if f.has(3) {
		if p.BodyRaw, ok = f.key(3).bytes(0, MaxBody); !ok {
			return malformed
		}
	}
	p.Chain, err = OpenChain(anchor, notes)
	return err
}

// judge refuses what is void or refused without any history.
func (p *Proof) judge() (err error) {
	if p.Head, err = ParseHead(p.HeadRaw); err != nil {
		return err
	}
	if p.Head.Op >= opSkipped {
		return errLaterOp
	}
	if p.BodyRaw == nil {
		return nil
	}
	if p.Head.Op != OpAdd && p.Head.Op != OpRevise || p.Head.Body != Digest(sha256.Sum256(p.BodyRaw)) {
		return errNotBody
	}
	body, err := ParseBody(p.BodyRaw)
	if err != nil {
		return err
	}
	p.Body = &body
	return body.Judge(nil, p.Chain.newest().Use == UseReview)
}

// Ref names the record.
func (p Proof) Ref() Ref { return Ref{p.Checkpoint.Origin, p.Index} }

// Discloses reports whether the proof has the record's body and so the hashes themselves: whoever gets it, gets them.
func (p Proof) Discloses() bool { return p.Body != nil }

// Bytes returns the proof as a file.
func (p Proof) Bytes() []byte { return slices.Clone(p.data) }
