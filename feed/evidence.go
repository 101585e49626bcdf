package feed

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"hashfeed/crypto"
)

// Evidence shows that a feed said two things that can't both be true, to anybody who has the anchor:
//
//	hashfeed-evidence/v1
//	kind head
//	charter aGFzaGZlZWQt…
//	a ZW9rbS5leGFt…
//	b ZW9rbS5leGFt…
//	root-at-a mPk1…=
//	proof 2Jx7…
//
// Of kind head, a and b are checkpoints of one log with k signatures each: of one size with two roots, or b, the larger, of a tree that at
// a's size has another root than a says, which root-at-a and proof (RFC 6962 §2.1.2) show. Of kind charter they are two texts of one
// version, each of which is valid after the charters before it. Only signer, or root, lines stand on them. Only NewHeadEvidence,
// NewCharterEvidence and OpenEvidence make one; the fields are for reading.
type Evidence struct {
	Kind    EvidenceKind
	Feed    Name
	Origin  Origin // head: the log
	Version int    // charter: the version that there are two of
	A, B    []byte // the two notes

	chain *Chain // head: to a charter that names the log; charter: to version - 1, or the anchor's alone for its own version
	data  []byte
}

// An EvidenceKind says what there are two of.
type EvidenceKind string

// The kinds.
const (
	HeadEvidence    EvidenceKind = "head"
	CharterEvidence EvidenceKind = "charter"
)

var (
	errEvidence   = errors.New("evidence")
	errOtherLine  = errors.New("a line that doesn't count stands on a note")
	errConsistent = errors.New("the two can both be true")
	errOneText    = errors.New("the two are one text")
	errLaterLog   = errors.New("the charters don't end with one that names this log")
	errBefore     = errors.New("the charters don't end with the version before")
	errNeither    = errors.New("neither is the anchor's charter")
	errWrongOrder = errors.New("a isn't the smaller")
	errProofNeed  = errors.New("root-at-a and proof stand where the sizes differ, and only there")
)

const evidenceMagic = "hashfeed-evidence/v1"

// NewHeadEvidence makes evidence of two checkpoints of one log, in any order. For unequal sizes rootAt is the root that the larger's tree has at
// the smaller's size, and proof shows it (RFC 6962 §2.1.2); else both are left out. It fails where the two can both be true.
func NewHeadEvidence(c *Chain, a, b Checkpoint, rootAt Digest, proof []Digest) (Evidence, error) {
	if a.Size > b.Size {
		a, b = b, a
	}
	n := slices.IndexFunc(c.links, func(l link) bool { return l.charter.Origin() == a.Origin })
	if n < 0 {
		return Evidence{}, fmt.Errorf("make %w: %w", errEvidence, errLaterLog)
	}
	signers := c.links[n].charter.Signer.Keys
	e := Evidence{Kind: HeadEvidence, A: onlyLines(a.note, signers), B: onlyLines(b.note, signers), chain: c.upTo(n + 1)}
	var tail []byte
	if a.Size != b.Size {
		var hashes []byte
		for _, h := range proof {
			hashes = append(hashes, h[:]...)
		}
		tail = fmt.Appendf(nil, "root-at-a %s\nproof %s\n", encodeBase64(rootAt[:]), encodeBase64(hashes))
	}
	return e.make(tail)
}

// NewCharterEvidence makes evidence of another charter note of a version that c holds. It fails where they have one text, or the other isn't valid.
func NewCharterEvidence(c *Chain, other []byte) (Evidence, error) {
	note, charter, err := parseCharterNote(other)
	if err != nil {
		return Evidence{}, fmt.Errorf("make %w: %w", errEvidence, err)
	}
	i := charter.Version - c.links[0].charter.Version
	if i < 0 || i >= len(c.links) {
		return Evidence{}, fmt.Errorf("make %w: %w", errEvidence, errBefore)
	}
	base := c.upTo(max(i, 1))
	held, err := crypto.ParseNote(c.links[i].note)
	if err != nil {
		return Evidence{}, fmt.Errorf("make %w: %w", errEvidence, err)
	}
	last := base.newest().Root.Keys
	e := Evidence{
		Kind:  CharterEvidence,
		A:     onlyLines(held, slices.Concat(c.links[i].charter.Root.Keys, last)),
		B:     onlyLines(note, slices.Concat(charter.Root.Keys, last)),
		chain: base,
	}
	return e.make(nil)
}

// onlyLines returns a note with no other lines than those of keys.
func onlyLines(note crypto.Note, keys []crypto.PublicKey) []byte {
	note.Lines = slices.DeleteFunc(slices.Clone(note.Lines), func(l crypto.Line) bool { return !claims(l, keys) })
	return note.Bytes()
}

// claims reports whether a line says that it is one of the keys'.
func claims(l crypto.Line, keys []crypto.PublicKey) bool {
	return slices.ContainsFunc(keys, func(k crypto.PublicKey) bool { return k.Name == l.Name && k.ID() == l.ID })
}

// make writes the evidence and opens it as anybody would.
func (e Evidence) make(tail []byte) (Evidence, error) {
	b := fmt.Appendf(nil, "%s\nkind %s\n", evidenceMagic, e.Kind)
	for i := range e.chain.links {
		b = fmt.Appendf(b, "charter %s\n", encodeBase64(e.chain.links[i].note))
	}
	b = fmt.Appendf(b, "a %s\nb %s\n%s", encodeBase64(e.A), encodeBase64(e.B), tail)
	e, err := OpenEvidence(b, e.chain.anchor)
	if err != nil {
		return Evidence{}, fmt.Errorf("make %w", err)
	}
	return e, nil
}

// OpenEvidence verifies a piece of evidence against the feed of an anchor.
func OpenEvidence(data []byte, anchor Anchor) (Evidence, error) {
	most := MaxEvidence
	if bytes.Count(data[:min(len(data), MaxEvidence)], []byte("\ncharter ")) <= 1 {
		most = MaxEvidenceOne
	}
	if len(data) > most {
		return Evidence{}, fmt.Errorf("%w: longer than %d bytes", errEvidence, most)
	}
	e, err := openEvidence(data, anchor)
	if err != nil {
		return Evidence{}, fmt.Errorf("%w: %w", errEvidence, err)
	}
	return e, nil
}

// ErrOtherAnchor says that evidence rests on charters from before a chain's anchor, or newer than it has: whether it is true can't be told.
var ErrOtherAnchor = errors.New("evidence rests on a charter that isn't held")

// OpenEvidence verifies a piece of evidence against a chain: whoever made it may have pinned another charter of it.
func (c *Chain) OpenEvidence(data []byte) (Evidence, error) {
	anchor := c.anchor
	for line := range bytes.Lines(data[:min(len(data), MaxEvidence)]) {
		text, ok := bytes.CutPrefix(line, []byte("charter "))
		if !ok {
			continue
		}
		note, err := decodeBase64(string(bytes.TrimSuffix(text, []byte("\n"))))
		if err != nil {
			break // OpenEvidence says so
		}
		_, charter, err := parseCharterNote(note)
		if err != nil {
			break
		}
		anchor = charter.Anchor()
		if !slices.ContainsFunc(c.links, func(l link) bool { return l.charter.Anchor() == anchor }) {
			return Evidence{}, ErrOtherAnchor
		}
		break
	}
	return OpenEvidence(data, anchor)
}

func openEvidence(data []byte, anchor Anchor) (e Evidence, err error) {
	r := &lineReader{rest: string(data)}
	blob := func(line string) []byte {
		b, err := decodeBase64(r.next(line + " "))
		r.fail(line, err)
		return b
	}
	r.must(r.next(evidenceMagic) == "", "first", errLine)
	e.Kind = EvidenceKind(r.next("kind "))
	r.must(e.Kind == HeadEvidence || e.Kind == CharterEvidence, "kind", errLine)
	var notes [][]byte
	for r.peek("charter ") {
		notes = append(notes, blob("charter"))
	}
	e.A, e.B = blob("a"), blob("b")
	proven := r.peek("root-at-a ")
	var rootAt Digest
	var hashes []byte
	if proven {
		rootAt, err = parseRoot(r.next("root-at-a "))
		r.fail("root-at-a", err)
		hashes = blob("proof")
	}
	r.end()
	if r.err != nil {
		return e, r.err
	}
	if e.chain, err = OpenChain(anchor, notes); err != nil {
		return e, err
	}
	e.Feed, e.data = e.chain.Feed(), slices.Clone(data)
	a, err := crypto.ParseNote(e.A)
	if err != nil {
		return e, fmt.Errorf("a: %w", err)
	}
	b, err := crypto.ParseNote(e.B)
	if err != nil {
		return e, fmt.Errorf("b: %w", err)
	}
	if e.Kind == CharterEvidence {
		if proven {
			return e, errProofNeed
		}
		e.Version, err = checkCharters(e.chain, a, b)
		return e, err
	}
	e.Origin, err = checkHeads(e.chain.newest(), a, b, proven, rootAt, hashes)
	return e, err
}

// checkHeads verifies two checkpoints of the charter's log that can't both be true.
func checkHeads(c *Charter, a, b crypto.Note, proven bool, rootAt Digest, hashes []byte) (Origin, error) {
	sizeA, rootA, err := openUnstamped(c, a)
	if err != nil {
		return "", fmt.Errorf("a: %w", err)
	}
	sizeB, rootB, err := openUnstamped(c, b)
	if err != nil {
		return "", fmt.Errorf("b: %w", err)
	}
	switch {
	case proven != (sizeA != sizeB):
		return "", errProofNeed
	case sizeA > sizeB:
		return "", errWrongOrder
	case sizeA == sizeB && rootA == rootB:
		return "", errConsistent
	case sizeA == sizeB:
		return c.Origin(), nil
	}
	if len(hashes)%len(tlog.Hash{}) != 0 || len(hashes) > maxConsistencyHashes*len(tlog.Hash{}) {
		return "", fmt.Errorf("proof: %d bytes", len(hashes))
	}
	var proof tlog.TreeProof
	for h := range slices.Chunk(hashes, len(tlog.Hash{})) {
		proof = append(proof, tlog.Hash(h))
	}
	// Size 0 proves nothing, being a part of every tree: CheckTree refuses it.
	if err := tlog.CheckTree(proof, int64(sizeB), tlog.Hash(rootB), int64(sizeA), tlog.Hash(rootAt)); err != nil {
		return "", fmt.Errorf("proof: root-at-a isn't shown to be b's: %w", err)
	}
	if rootAt == rootA {
		return "", errConsistent
	}
	return c.Origin(), nil
}

// openUnstamped verifies a checkpoint with k signers of the charter and no other line at all, not even the stamp.
func openUnstamped(c *Charter, note crypto.Note) (size uint64, root Digest, err error) {
	origin, size, root, err := ParseCheckpointBody(note.Text)
	if err != nil {
		return 0, Digest{}, err
	}
	if origin != c.Origin() {
		return 0, Digest{}, errLaterLog
	}
	by, err := onlyBy(note, c.Signer.Keys)
	if err != nil {
		return 0, Digest{}, err
	}
	if !c.Signer.met(by) {
		return 0, Digest{}, errFewSigners
	}
	return size, root, nil
}

// onlyBy verifies a note on which nobody but keys may have a line.
func onlyBy(note crypto.Note, keys []crypto.PublicKey) ([]crypto.Signature, error) {
	if slices.ContainsFunc(note.Lines, func(l crypto.Line) bool { return !claims(l, keys) }) {
		return nil, errOtherLine
	}
	return note.Check(keys...)
}

// checkCharters verifies two charters of one version after the last of c, or of its own version where c is the anchor's alone.
func checkCharters(c *Chain, a, b crypto.Note) (version int, err error) {
	ca, err := ParseCharter(a.Text)
	if err != nil {
		return 0, fmt.Errorf("a: %w", err)
	}
	cb, err := ParseCharter(b.Text)
	if err != nil {
		return 0, fmt.Errorf("b: %w", err)
	}
	last := c.newest()
	switch {
	case ca.Version != cb.Version, ca.Version != last.Version+1 && (len(c.links) > 1 || ca.Version != last.Version):
		return 0, errBefore
	case ca.Feed != last.Feed || cb.Feed != last.Feed:
		return 0, errConstant
	case bytes.Equal(a.Text, b.Text):
		return 0, errOneText
	}
	for _, x := range []struct {
		note crypto.Note
		Charter
	}{{a, ca}, {b, cb}} {
		if _, err := onlyBy(x.note, slices.Concat(x.Root.Keys, last.Root.Keys)); err != nil {
			return 0, fmt.Errorf("version %d: %w", x.Version, err)
		}
		if x.Version > last.Version {
			_, err = c.openNext(x.note.Bytes())
		} else {
			// At the anchor's own version nothing says what came before: k of the roots that the anchor names must stand behind both.
			err = checkRoots(x.note, x.Charter, last)
		}
		if err != nil {
			return 0, err
		}
	}
	if ca.Version == last.Version && ca.Anchor() != c.anchor && cb.Anchor() != c.anchor {
		return 0, errNeither
	}
	return ca.Version, nil
}

// Ended reports whether the feed of chain c has come out of it (WIRE §6): of two heads, if their log has been closed; of two charters, if c
// goes on from one of them with a charter that is valid after the other, too.
func (e Evidence) Ended(c *Chain) bool {
	if c.Feed() != e.Feed {
		return false
	}
	if e.Kind == HeadEvidence {
		_, closed := c.Cut(e.Origin.Log())
		return closed
	}
	next, ok := c.Note(e.Version + 1)
	if !ok {
		return false
	}
	for _, data := range [][]byte{e.A, e.B} {
		_, charter, err := parseCharterNote(data)
		if err != nil {
			return false
		}
		before := slices.DeleteFunc(slices.Clone(e.chain.links), func(l link) bool { return l.charter.Version >= e.Version })
		branch := &Chain{e.chain.anchor, append(before, link{charter, data})}
		if _, err := branch.openNext(next); err != nil {
			return false
		}
	}
	return true
}

// Ref says what the evidence is about, for people: the log, or feed and version.
func (e Evidence) Ref() string {
	if e.Kind == HeadEvidence {
		return string(e.Origin)
	}
	return fmt.Sprintf("%s version %d", e.Feed, e.Version)
}

// Bytes returns the evidence as a file.
func (e Evidence) Bytes() []byte { return slices.Clone(e.data) }
