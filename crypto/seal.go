package crypto

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
)

// SealOverhead is by how many bytes a sealed value is longer than its plaintext: 24 of nonce, 16 of tag.
const SealOverhead = chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

// A SealKey seals what a node stores (WIRE §9): XChaCha20-Poly1305 with random nonces. Make one with GenerateSealKey or
// LoadSealKey; the zero value is no secret, and Save refuses it. fmt and slog don't show it.
type SealKey [32]byte

// GenerateSealKey makes a new key from the system's randomness.
func GenerateSealKey() (SealKey, error) {
	var k SealKey
	rand.Read(k[:]) // never fails: without randomness the program ends
	return k, nil
}

// Seal is Sealer.AppendSeal for one value.
func (k SealKey) Seal(plaintext, ad []byte) []byte { return k.Sealer().AppendSeal(nil, plaintext, ad) }

// Open is Sealer.AppendOpen for one value.
func (k SealKey) Open(sealed, ad []byte) ([]byte, error) {
	return k.Sealer().AppendOpen(nil, sealed, ad)
}

// Format writes two words, whatever the verb.
func (k SealKey) Format(f fmt.State, _ rune) { io.WriteString(f, shownSealKey) }

// LogValue is two words.
func (k SealKey) LogValue() slog.Value { return slog.StringValue(shownSealKey) }

const shownSealKey = "seal key"

// A Sealer seals and opens many values with one key. Several goroutines may use it at once.
type Sealer struct{ aead cipher.AEAD }

// Sealer prepares k for many values.
func (k SealKey) Sealer() *Sealer {
	aead, err := chacha20poly1305.NewX(k[:])
	if err != nil {
		panic(err) // only for a key that hasn't 32 bytes
	}
	return &Sealer{aead}
}

// AppendSeal appends to dst a random nonce (24 bytes) and the plaintext, encrypted and authenticated together with ad
// (XChaCha20-Poly1305), and returns the longer slice. The associated data isn't in the result: Open wants the same, so a
// value that an attacker moved to another place doesn't open there. 192 random bits of nonce may be drawn for ever
// without one coming twice. The plaintext must not share memory with dst's spare capacity.
func (s *Sealer) AppendSeal(dst, plaintext, ad []byte) []byte {
	dst = slices.Grow(dst, SealOverhead+len(plaintext))
	at := len(dst)
	dst = dst[:at+chacha20poly1305.NonceSizeX]
	nonce := dst[at:]
	rand.Read(nonce)
	return s.aead.Seal(dst, nonce, plaintext, ad)
}

var errOpen = errors.New("sealed value is damaged, was moved, or belongs to another key")

// AppendOpen checks and decrypts what AppendSeal made with the same key and associated data, and appends the plaintext to
// dst. On an error nothing of it is returned. The sealed value must not share memory with dst's spare capacity.
func (s *Sealer) AppendOpen(dst, sealed, ad []byte) ([]byte, error) {
	if len(sealed) < SealOverhead {
		return nil, errOpen
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	out, err := s.aead.Open(dst, nonce, box, ad)
	if err != nil {
		return nil, errOpen
	}
	return out, nil
}
