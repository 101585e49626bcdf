package feed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"hashfeed/crypto"
)

// A Claim is what one of the two notes of an Evidence says.
type Claim struct {
	Size uint64 // of a head
	Root Digest
	Text []byte // of the note, without signatures
}

// Claims returns what a and b say.
func (e Evidence) Claims() (a, b Claim) { return claimOf(e.A), claimOf(e.B) }

// claimOf reads a note that was verified.
func claimOf(data []byte) (c Claim) {
	note, err := crypto.ParseNote(data)
	if err != nil {
		return c
	}
	c.Text = note.Text
	if _, size, root, err := ParseCheckpointBody(note.Text); err == nil {
		c.Size, c.Root = size, root
	}
	return c
}

// Explain says in plain words what the evidence shows, a line each.
func (e Evidence) Explain() []string {
	a, b := e.Claims()
	if e.Kind == HeadEvidence {
		lines := []string{
			fmt.Sprintf("a says: %s has %d records, with the root %s", e.Origin, a.Size, hex.EncodeToString(a.Root[:])),
			fmt.Sprintf("b says: %s has %d records, with the root %s", e.Origin, b.Size, hex.EncodeToString(b.Root[:])),
			"both are signed by the signers that the feed's charter names",
		}
		if a.Size == b.Size {
			return append(lines, "one number of records can't have two roots: two logs were shown under one name")
		}
		return append(lines, fmt.Sprintf("the first %d records of b's log have another root than a's: two logs were shown under one name", a.Size))
	}
	return []string{
		fmt.Sprintf("a is charter %d of %s with the SHA-256 %s", e.Version, e.Feed, Anchor(sha256.Sum256(a.Text))),
		fmt.Sprintf("b is charter %d of %s with the SHA-256 %s", e.Version, e.Feed, Anchor(sha256.Sum256(b.Text))),
		"both are signed by the root keys, and each is valid after the charters before",
		"they differ in: " + strings.Join(differing(a.Text, b.Text), ", "),
	}
}

// differing returns the first words of the lines that stand in one text only.
func differing(a, b []byte) (words []string) {
	for _, pair := range [][2][]byte{{a, b}, {b, a}} {
		other := bytes.Split(pair[1], []byte("\n"))
		for line := range bytes.SplitSeq(pair[0], []byte("\n")) {
			if slices.ContainsFunc(other, func(l []byte) bool { return bytes.Equal(l, line) }) {
				continue
			}
			if word, _, _ := strings.Cut(string(line), " "); !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
	}
	return words
}
