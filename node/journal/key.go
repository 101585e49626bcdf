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

// Hash is how a hash stands in the journal. The quality of a pdq isn't in it.
func (k Key) Hash(h feed.Hash) string {
	m := hmac.New(sha256.New, k[:])
	m.Write([]byte{'h', byte(h.Alg)})
	m.Write([]byte(h.Value))
	return h.Alg.String() + ":" + hex.EncodeToString(m.Sum(nil)[:16])
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
