package crypto

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Type says what the signatures of a key are made over (C2SP signed-note, "Signature types").
// The two numbers stand in every vkey and key id ever published: they never change meaning.
type Type byte

const (
	// TypeSignature is plain Ed25519 over the text of a note.
	TypeSignature Type = 0x01

	// TypeCosignature is timestamped Ed25519, cosignature/v1: over the time and the text (C2SP tlog-cosignature).
	TypeCosignature Type = 0x04
)

// String returns "signature", "cosignature", or the number of a type that is neither.
func (t Type) String() string {
	switch t {
	case TypeSignature:
		return "signature"
	case TypeCosignature:
		return "cosignature"
	}
	return fmt.Sprintf("type 0x%02x", byte(t))
}

func (t Type) valid() bool { return t == TypeSignature || t == TypeCosignature }

// A PublicKey is the key that checks signatures: what a C2SP vkey says. Two are equal (==) if they are the same key with
// the same name and type. Thresholds that count persons compare Key alone: one key under two names is one signer.
//
// Any 32 bytes are taken as Key, as other C2SP implementations do. Whoever publishes a weak point as their own key lets
// others sign in their name, nobody else's.
type PublicKey struct {
	Name string
	Type Type
	Key  [32]byte // Ed25519 (RFC 8032)
}

var (
	errVKey    = errors.New("malformed vkey")
	errVKeyID  = errors.New("key id is not that of name, type and key")
	errVKeyAlg = errors.New("key type is neither 0x01 nor 0x04")
	errName    = errors.New("malformed key name")
)

// ParsePublicKey reads a vkey: name, "+", key id as 8 lower-case hex digits, "+", base64 of type and key (C2SP
// signed-note, "Verifier keys"). Only the one spelling that String writes is accepted.
func ParsePublicKey(vkey string) (PublicKey, error) {
	if len(vkey) > maxVKey {
		return PublicKey{}, fmt.Errorf("parse vkey: %w: longer than %d bytes", errVKey, maxVKey)
	}
	name, rest, ok1 := strings.Cut(vkey, "+")
	id, key64, ok2 := strings.Cut(rest, "+")
	if !ok1 || !ok2 {
		return PublicKey{}, fmt.Errorf("parse vkey: %w: want name+id+key", errVKey)
	}
	if err := checkName(name); err != nil {
		return PublicKey{}, fmt.Errorf("parse vkey: %w", err)
	}
	raw, err := decodeBase64(key64)
	if err != nil {
		return PublicKey{}, fmt.Errorf("parse vkey %q: %w: %w", name, errVKey, err)
	}
	if len(raw) == 0 || !Type(raw[0]).valid() {
		return PublicKey{}, fmt.Errorf("parse vkey %q: %w", name, errVKeyAlg)
	}
	if len(raw) != 1+ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("parse vkey %q: %w: key has %d bytes, want %d", name, errVKey, len(raw)-1, ed25519.PublicKeySize)
	}
	k := PublicKey{Name: name, Type: Type(raw[0]), Key: [32]byte(raw[1:])}
	if id != k.hexID() {
		return PublicKey{}, fmt.Errorf("parse vkey %q: %w", name, errVKeyID)
	}
	return k, nil
}

// String returns the vkey, without a newline.
func (k PublicKey) String() string {
	return k.Name + "+" + k.hexID() + "+" + base64.StdEncoding.EncodeToString(k.typed())
}

// ID returns the key id: the first four bytes, big-endian, of SHA-256(name || 0x0A || type || key). It finds the key of a
// signature line and proves nothing: 2^32 tries make another key of the same name and id.
func (k PublicKey) ID() uint32 {
	h := sha256.New()
	h.Write([]byte(k.Name))
	h.Write([]byte{'\n'})
	h.Write(k.typed())
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func (k PublicKey) hexID() string { return fmt.Sprintf("%08x", k.ID()) }

// typed is what a vkey has in base64: type || key.
func (k PublicKey) typed() []byte { return append([]byte{byte(k.Type)}, k.Key[:]...) }

// check says whether a key put together by hand could have been parsed.
func (k PublicKey) check() error {
	if !k.Type.valid() {
		return fmt.Errorf("key %q: %w", k.Name, errVKeyAlg)
	}
	return checkName(k.Name)
}

// checkName says whether name may be the name of a key. It is stricter than validName by the length, and by DEL and the
// C1 control characters, which can drive a terminal.
func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("%w: longer than %d bytes", errName, maxName)
	case !validName(name) || strings.IndexFunc(name, unicode.IsControl) >= 0:
		return fmt.Errorf("%w %s: want at least one character, and no space, plus or control character",
			errName, strconv.QuoteToASCII(name))
	}
	return nil
}

// validName says whether name may stand in a signature line, that of an unknown key included.
// SPEC: names are non-empty, without Unicode spaces or plus.
func validName(name string) bool {
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool {
		return r < 0x20 || r == '+' || unicode.IsSpace(r)
	}) < 0
}

var errBase64 = errors.New("base64 is not canonical")

// decodeBase64 decodes standard base64 with padding, in its one canonical spelling. It encodes again and compares, for
// even the strict decoder of the standard library skips newlines.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, errBase64
	}
	return b, nil
}
