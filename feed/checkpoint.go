package feed

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"hashfeed/crypto"
)

// A Checkpoint is a signed head of a log (C2SP tlog-checkpoint): three lines, without extension lines,
//
//	eokm.example/known/1
//	2048
//	nIR0nDKXNUYhs7PLBB8WUcX6c5N1dRWpGOeyaoF3SpY=
//
// under which stand k lines of signers, one of the stamp, which says when, and those of the charter's named witnesses that have cosigned.
// Only Chain.OpenCheckpoint and signing make one; the fields are for reading.
type Checkpoint struct {
	Origin   Origin
	Size     uint64 // records
	Root     Digest // RFC 6962 root of the tree of that size
	Stamp    int64  // Unix seconds: when the publisher stood by it last
	Cosigned []Cosignature

	note crypto.Note // lines: signers, stamp, witnesses, each in the charter's order; no others
}

// A Cosignature is a named witness's word that everything below a checkpoint's size is verified and durably stored there, and every
// retraction in it has acted.
type Cosignature struct {
	Key  crypto.PublicKey
	Time int64 // Unix seconds, as the witness says
}

var (
	errHead       = errors.New("checkpoint")
	errHeadBody   = errors.New("not origin, size and root, a line each")
	errEmptyRoot  = errors.New("root of size 0 isn't that of the empty tree")
	errNoLog      = errors.New("origin is no log of this feed that its charters name")
	errFewSigners = errors.New("too few signers")
	errNoStamp    = errors.New("no stamp")
	errOtherText  = errors.New("not of the same origin, size and root")
)

// emptyRoot is the root of a tree of size 0 (RFC 6962 §2.1).
var emptyRoot = Digest(sha256.Sum256(nil))

// ParseCheckpointBody parses the text of a checkpoint. Extension lines are refused.
func ParseCheckpointBody(text []byte) (Origin, uint64, Digest, error) {
	origin, size, root, err := parseCheckpointBody(text)
	if err != nil {
		return "", 0, Digest{}, fmt.Errorf("%w: %w", errHead, err)
	}
	return origin, size, root, nil
}

func parseCheckpointBody(text []byte) (origin Origin, size uint64, root Digest, err error) {
	if len(text) > maxCheckpoint {
		return "", 0, Digest{}, errHeadBody
	}
	f := strings.Split(string(text), "\n")
	if len(f) != 4 || f[3] != "" {
		return "", 0, Digest{}, errHeadBody
	}
	if origin, err = ParseOrigin(f[0]); err != nil {
		return "", 0, Digest{}, err
	}
	size, ok := parseNumber(f[1], 0, MaxSize)
	if !ok {
		return "", 0, Digest{}, errHeadBody
	}
	if root, err = parseRoot(f[2]); err != nil {
		return "", 0, Digest{}, err
	}
	if size == 0 && root != emptyRoot {
		return "", 0, Digest{}, errEmptyRoot
	}
	return origin, size, root, nil
}

// checkpointText is the text that parseCheckpointBody reads.
func checkpointText(origin Origin, size uint64, root Digest) []byte {
	return []byte(string(origin) + "\n" + strconv.FormatUint(size, 10) + "\n" + encodeBase64(root[:]) + "\n")
}

// OpenCheckpoint verifies a checkpoint of one of the feed's logs: k signers and the stamp of the charter that names the log. The witnesses are
// those of the newest charter that names it. Lines of others are dropped; a bad line of one of these makes all of it bad.
// A checkpoint without a stamp has no age and no place in the order: it is refused.
func (c *Chain) OpenCheckpoint(data []byte) (Checkpoint, error) {
	note, err := crypto.ParseNote(data)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", errHead, err)
	}
	return c.openCheckpoint(note)
}

func (c *Chain) openCheckpoint(note crypto.Note) (cp Checkpoint, err error) {
	if cp.Origin, cp.Size, cp.Root, err = ParseCheckpointBody(note.Text); err != nil {
		return Checkpoint{}, err
	}
	charter := c.forLog(cp.Origin.Log())
	if cp.Origin.Name() != c.Feed() || charter == nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", errHead, errNoLog)
	}
	keys := slices.Concat(charter.Signer.Keys, []crypto.PublicKey{charter.Stamp})
	if charter.Quorum != nil {
		keys = append(keys, charter.Quorum.Keys...)
	}
	by, err := note.Check(keys...)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w of %s: %w", errHead, cp.Origin, err)
	}
	if !charter.Signer.met(by) {
		return Checkpoint{}, fmt.Errorf("%w of %s: %w", errHead, cp.Origin, errFewSigners)
	}
	slices.SortFunc(by, func(a, b crypto.Signature) int {
		return cmp.Compare(slices.Index(keys, a.Key), slices.Index(keys, b.Key))
	})
	cp.note = crypto.Note{Text: slices.Clone(note.Text), Lines: lines(by)}
	stamped := false
	for _, s := range by {
		switch {
		case s.Key == charter.Stamp:
			cp.Stamp, stamped = unixTime(s.Time), true
		case s.Key.Type == crypto.TypeCosignature:
			cp.Cosigned = append(cp.Cosigned, Cosignature{s.Key, unixTime(s.Time)})
		}
	}
	if !stamped {
		return Checkpoint{}, fmt.Errorf("%w of %s: %w", errHead, cp.Origin, errNoStamp)
	}
	return cp, nil
}

func lines(by []crypto.Signature) []crypto.Line {
	out := make([]crypto.Line, len(by))
	for i, s := range by {
		out[i] = s.Line
	}
	return out
}

// unixTime takes a signed time into an int64. A key may sign any 64 bits; what is beyond is as far in the future as the last that isn't.
func unixTime(t uint64) int64 { return int64(min(t, math.MaxInt64)) }

// Bytes returns the checkpoint as a note: the lines of signers, stamp and named witnesses, nobody else's.
func (cp Checkpoint) Bytes() []byte { return cp.note.Bytes() }

// Text returns what is signed: origin, size and root.
func (cp Checkpoint) Text() []byte { return slices.Clone(cp.note.Text) }

// Lines returns the signature lines: of signers, stamp and named witnesses.
func (cp Checkpoint) Lines() []crypto.Line { return slices.Clone(cp.note.Lines) }

// IsZero reports whether cp is the zero Checkpoint, which is none.
func (cp Checkpoint) IsZero() bool { return cp.Origin == "" }

// Newer reports whether cp comes after b in the order of heads: by size, then by stamp.
func (cp Checkpoint) Newer(b Checkpoint) bool {
	return cmp.Or(cmp.Compare(cp.Size, b.Size), cmp.Compare(cp.Stamp, b.Stamp)) > 0
}

// Cosign makes the cosignature line of a witness's key over a checkpoint, at now in Unix seconds. The caller keeps to WIRE §3: never for a
// smaller size than before, and not before everything below it is durably stored.
func (cp Checkpoint) Cosign(witness *crypto.PrivateKey, now int64) (crypto.Line, error) {
	line, err := witness.Cosign(cp.note.Text, uint64(now))
	if err != nil {
		return crypto.Line{}, fmt.Errorf("cosign %s: %w", cp.Origin, err)
	}
	return line, nil
}

// MergeCosignatures adds lines that came beside a checkpoint, or in another note of the same text, in any order: of a named witness, and
// of the stamp, the newest line counts. Lines of others, and bad ones, are dropped: who sent them, not the checkpoint, is to be blamed.
func (c *Chain) MergeCosignatures(cp Checkpoint, more ...crypto.Line) (Checkpoint, error) {
	charter := c.forLog(cp.Origin.Log())
	if charter == nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", errHead, errNoLog)
	}
	keys := slices.Concat(charter.Signer.Keys, []crypto.PublicKey{charter.Stamp})
	if charter.Quorum != nil {
		keys = append(keys, charter.Quorum.Keys...)
	}
	var good []crypto.Line
	for _, l := range slices.Concat(cp.note.Lines, more) {
		if by, err := (crypto.Note{Text: cp.note.Text, Lines: []crypto.Line{l}}).Check(keys...); err == nil && len(by) == 1 {
			good = append(good, l)
		}
	}
	return c.openCheckpoint(crypto.Note{Text: cp.note.Text, Lines: crypto.MergeCosignatures(good)})
}

// Merge returns one checkpoint with the newest stamp and cosignatures of two of one text. Both are verified against c again.
func (c *Chain) Merge(a, b Checkpoint) (Checkpoint, error) {
	if string(a.note.Text) != string(b.note.Text) {
		return Checkpoint{}, fmt.Errorf("merge %w of %s and %s: %w", errHead, a.Origin, b.Origin, errOtherText)
	}
	return c.MergeCosignatures(a, b.note.Lines...)
}

// signCheckpoint signs a head and opens it again: what it returns every follower accepts. signers are at least k of the charter's.
func signCheckpoint(c *Chain, origin Origin, size uint64, root Digest, signers []crypto.Signer, stamp *crypto.PrivateKey, now int64) (Checkpoint, error) {
	note := crypto.Note{Text: checkpointText(origin, size, root)}
	for _, k := range signers {
		line, err := k.Sign(note.Text)
		if err != nil {
			return Checkpoint{}, fmt.Errorf("sign %w of %s: %w", errHead, origin, err)
		}
		note.Lines = append(note.Lines, line)
	}
	line, err := stamp.Cosign(note.Text, uint64(now))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("stamp %w of %s: %w", errHead, origin, err)
	}
	note.Lines = append(note.Lines, line)
	cp, err := c.openCheckpoint(note)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("sign %w", err)
	}
	return cp, nil
}

// Witnessed returns the k-th largest size that distinct named witnesses of the newest charter have cosigned, and whether the charter has a
// quorum at all: without, everything counts as witnessed. heads are checkpoints of the current log whose roots are those that our
// own tree has at their sizes, which the caller has made sure of; those of other logs are passed over.
func Witnessed(c *Chain, heads []Checkpoint) (size uint64, quorum bool) {
	charter := c.newest()
	if charter.Quorum == nil {
		return 0, false
	}
	best := make(map[crypto.PublicKey]uint64)
	for _, h := range heads {
		if h.Origin != charter.Origin() {
			continue
		}
		for _, by := range h.Cosigned {
			// A checkpoint that was opened before this charter came may name witnesses that it doesn't.
			if slices.Contains(charter.Quorum.Keys, by.Key) {
				best[by.Key] = max(best[by.Key], h.Size)
			}
		}
	}
	if len(best) < charter.Quorum.K {
		return 0, true
	}
	sizes := make([]uint64, 0, len(best))
	for _, s := range best {
		sizes = append(sizes, s)
	}
	slices.SortFunc(sizes, func(a, b uint64) int { return cmp.Compare(b, a) })
	return sizes[charter.Quorum.K-1], true
}
