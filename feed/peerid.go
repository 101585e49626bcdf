package feed

import (
	"bytes"
	"errors"
	"math/big"
)

// Peer ids are libp2p's, of Ed25519 keys alone: the identity multihash of the public key in protobuf, 38 bytes, whose text in base58 with
// Bitcoin's alphabet is 52 characters, "12D3KooW…". Feed verifies rosters and invites without libp2p, so it reads these few bytes
// itself (libp2p peer-ids specification).

// PeerIDSize is the length of a peer id in bytes.
const PeerIDSize = 38

const (
	base58      = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	peerIDChars = 52
)

// peerIDPrefix is identity multihash, 36 bytes; protobuf: field 1 = 1 (Ed25519), field 2 of 32 bytes.
var peerIDPrefix = []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

var errPeerID = errors.New("peer id: not that of an Ed25519 key")

// ParsePeerID reads the text of an Ed25519 peer id into its 38 bytes.
func ParsePeerID(s string) ([]byte, error) {
	// The first byte is 0, which base58 writes as a leading 1; the second isn't. So the length is always the same, and with the prefix
	// checked each id has one text.
	if len(s) != peerIDChars || s[0] != base58[0] {
		return nil, errPeerID
	}
	n, radix := new(big.Int), big.NewInt(int64(len(base58)))
	for _, c := range []byte(s[1:]) {
		i := bytes.IndexByte([]byte(base58), c)
		if i < 0 {
			return nil, errPeerID
		}
		n.Add(n.Mul(n, radix), big.NewInt(int64(i)))
	}
	id := n.FillBytes(make([]byte, PeerIDSize)) // 51 digits of base 58 have at most 299 bits: they fit
	if !bytes.HasPrefix(id, peerIDPrefix) {
		return nil, errPeerID
	}
	return id, nil
}

// FormatPeerID writes the text of an Ed25519 peer id.
func FormatPeerID(id []byte) (string, error) {
	if len(id) != PeerIDSize || !bytes.HasPrefix(id, peerIDPrefix) {
		return "", errPeerID
	}
	n, radix, digit := new(big.Int).SetBytes(id), big.NewInt(int64(len(base58))), new(big.Int)
	var s [peerIDChars]byte
	for i := len(s) - 1; i >= 0; i-- { // what is left at the front is the leading 1, a zero digit
		n.DivMod(n, radix, digit)
		s[i] = base58[digit.Int64()]
	}
	return string(s[:]), nil
}

// PeerIDOf returns the peer id of an Ed25519 public key.
func PeerIDOf(public [32]byte) []byte { return append(bytes.Clone(peerIDPrefix), public[:]...) }
