package crypto

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
)

// A PrivateKey signs: an Ed25519 seed with the name and type of its public key. The zero value signs nothing.
// Formatted by fmt or logged by slog it shows its vkey, never the seed. It is never changed after it was made, so that
// several goroutines may sign with it.
type PrivateKey struct {
	public PublicKey
	key    ed25519.PrivateKey // seed || public key
}

// GenerateKey makes a new key from the system's randomness. Its name must be one that ParsePublicKey accepts.
func GenerateKey(name string, t Type) (*PrivateKey, error) {
	if err := (PublicKey{Name: name, Type: t}).check(); err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	var seed [32]byte
	rand.Read(seed[:]) // never fails: without randomness the program ends
	return NewKeyFromSeed(name, t, seed), nil
}

// NewKeyFromSeed makes the key of a seed (RFC 8032 §5.1.5), for test vectors and for keys kept elsewhere. A name or type
// that no vkey can have is refused later, by Sign, Cosign and Save.
func NewKeyFromSeed(name string, t Type, seed [32]byte) *PrivateKey {
	k := &PrivateKey{public: PublicKey{Name: name, Type: t}, key: ed25519.NewKeyFromSeed(seed[:])}
	copy(k.public.Key[:], k.key[32:])
	return k
}

// Public returns the key that checks what k signs.
func (k *PrivateKey) Public() PublicKey { return k.public }

// Ed25519 returns a copy of the bare key: 64 bytes, seed || public key. It is meant for the one key that a library must
// hold, the node's libp2p identity. Whoever has it can sign anything in any format: give it to nothing else, and
// never use a key of this package both here and for Sign or Cosign, since each key has one job (WIRE §1).
func (k *PrivateKey) Ed25519() ed25519.PrivateKey { return append(ed25519.PrivateKey(nil), k.key...) }

var errWrongJob = errors.New("wrong key for the job")

// Sign signs the text of a note with a key of TypeSignature. The text ends in a newline, is UTF-8 and has no control
// character but newlines; other texts, which no note could carry, are refused.
func (k *PrivateKey) Sign(text []byte) (Line, error) {
	if err := k.public.ready(TypeSignature, text); err != nil {
		return Line{}, fmt.Errorf("sign: %w", err)
	}
	return Line{Name: k.public.Name, ID: k.public.ID(), Signature: ed25519.Sign(k.key, text)}, nil
}

// Cosign signs the text of a note and the time, in Unix seconds, with a key of TypeCosignature. The payload of the line is
// the time as 8 bytes, big-endian, followed by the 64 of the signature.
func (k *PrivateKey) Cosign(text []byte, unix uint64) (Line, error) {
	// SPEC: the timestamp MUST NOT exceed 2^63 - 1.
	if unix > math.MaxInt64 {
		return Line{}, fmt.Errorf("cosign: time %d is above 2^63 - 1", unix)
	}
	if err := k.public.ready(TypeCosignature, text); err != nil {
		return Line{}, fmt.Errorf("cosign: %w", err)
	}
	payload := binary.BigEndian.AppendUint64(make([]byte, 0, timeSize+ed25519.SignatureSize), unix)
	payload = append(payload, ed25519.Sign(k.key, cosignedMessage(text, unix))...)
	return Line{Name: k.public.Name, ID: k.public.ID(), Signature: payload}, nil
}

// ready says whether a key may sign the text of a note in the way of t.
func (k PublicKey) ready(t Type, text []byte) error {
	if err := k.check(); err != nil {
		return err
	}
	if k.Type != t {
		return fmt.Errorf("%w: key %q is of type %s, want %s", errWrongJob, k.Name, k.Type, t)
	}
	if len(text) > maxText {
		return fmt.Errorf("%w: text longer than %d bytes", errNote, maxText)
	}
	return checkText(text)
}

// Format writes the vkey, whatever the verb: no verb may print the seed.
func (k PrivateKey) Format(f fmt.State, _ rune) { io.WriteString(f, k.shown()) }

// LogValue is the vkey.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.shown()) }

func (k PrivateKey) shown() string { return "private key of " + k.public.String() }
