package feed

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// An Anchor is the SHA-256 of one charter's text. It is what an invite carries and a follower pins: all trust in a feed follows from it.
type Anchor [32]byte

var errAnchor = errors.New("anchor: not 64 lower-case hex digits")

// ParseAnchor parses 64 lower-case hex digits.
func ParseAnchor(s string) (Anchor, error) {
	var a Anchor
	if len(s) != 2*len(a) || s != strings.ToLower(s) {
		return Anchor{}, errAnchor
	}
	if _, err := hex.Decode(a[:], []byte(s)); err != nil {
		return Anchor{}, errAnchor
	}
	return a, nil
}

// String returns the form that ParseAnchor reads.
func (a Anchor) String() string { return hex.EncodeToString(a[:]) }

// Digits returns the anchor as it is compared by telephone: 30 decimal digits in fives, "01234 56789 …", which are a, read as a
// big-endian integer, mod 10^30. To make another charter with the same digits takes some 2^99 tries.
func (a Anchor) Digits() string {
	n := new(big.Int).SetBytes(a[:])
	n.Mod(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil))
	s := fmt.Sprintf("%030d", n)
	fives := make([]string, 0, 6)
	for ; s != ""; s = s[5:] {
		fives = append(fives, s[:5])
	}
	return strings.Join(fives, " ")
}

// MarshalText makes an Anchor a string in JSON and in configuration.
func (a Anchor) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (a *Anchor) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAnchor(string(text))
	return err
}
