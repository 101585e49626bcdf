package journal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"hashfeed/feed"
)

// Key is the node's secret for its journal: hashes are written under it, and the head and purged lines are.
type Key [32]byte

// DeriveKey makes the key of a node's secret that is nobody else's, such as the seed of its journal's signing key.
func DeriveKey(secret []byte) (k Key, err error) {
	b, err := hkdf.Key(sha256.New, secret, nil, "hashfeed journal: hashes and heads", len(k))
	return Key(b), err
}

// String keeps the key out of logs.
func (Key) String() string { return "journal key" }

// Hash is how a hash stands in the journal: its kind, and half of an HMAC-SHA-256 in hex. The quality of a pdq isn't in it.
func (k Key) Hash(h feed.Hash) string { return keyed(k, h.Alg, h.Value) }

// HashOf is Hash of hash i of many.
func (k Key) HashOf(hashes *feed.Hashes, i int) string {
	return keyed(k, hashes.Alg(i), hashes.Value(i))
}

// keyed is the hash under a key. Each match of each upload passes here, so it is the HMAC as RFC 2104 defines it, for which crypto/hmac takes eight
// pieces of memory.
func keyed[T string | []byte](k Key, alg feed.Alg, value T) string {
	var inner, outer [2 * sha256.BlockSize]byte
	pad(&inner, 0x36, k)
	pad(&outer, 0x5c, k)
	text := append(append(inner[:sha256.BlockSize], 'h', byte(alg)), value...)
	sum := sha256.Sum256(text)
	sum = sha256.Sum256(append(outer[:sha256.BlockSize], sum[:]...))
	var out [48]byte
	return string(hex.AppendEncode(append(append(out[:0], alg.String()...), ':'), sum[:16]))
}

// pad makes a block of a key that is shorter than one.
func pad(block *[2 * sha256.BlockSize]byte, with byte, k Key) {
	for i := range sha256.BlockSize {
		block[i] = with
	}
	for i, b := range k {
		block[i] ^= b
	}
}

// macOf authenticates what only the node may write.
func (k Key) macOf(what string, parts ...[]byte) string {
	m := hmac.New(sha256.New, k[:])
	fmt.Fprintf(m, "%s\n", what)
	for _, p := range parts {
		m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		m.Write(p)
	}
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// purgedMAC is the MAC of a purged line.
func (k Key) purgedMAC(from uint64, prev string, p *Purged) string {
	return k.macOf("purged", []byte(prev), binary.BigEndian.AppendUint64(nil, from), binary.BigEndian.AppendUint64(nil, p.To), []byte(p.Hash))
}
