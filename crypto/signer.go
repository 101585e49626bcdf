package crypto

import (
	"errors"
	"fmt"
)

// A Signer signs texts of notes with a key of TypeSignature, wherever that key is kept: a PrivateKey here, or an agent that
// never gives it away. Sign may take as long as a person needs to agree. Whoever makes a line elsewhere makes it
// by PublicKey.Line, so that what is returned is never a line that doesn't verify.
type Signer interface {
	Public() PublicKey
	Sign(text []byte) (Line, error)
}

var _ Signer = (*PrivateKey)(nil)

var errElsewhere = errors.New("the signature made elsewhere doesn't verify")

// Line returns the signature line of a plain Ed25519 signature over the text of a note, of 64 bytes, that was made outside
// of this package. It wants of key and text what PrivateKey.Sign wants, and checks the signature.
func (k PublicKey) Line(text, signature []byte) (Line, error) {
	if err := k.ready(TypeSignature, text); err != nil {
		return Line{}, fmt.Errorf("sign: %w", err)
	}
	l := Line{Name: k.Name, ID: k.ID(), Signature: append([]byte(nil), signature...)}
	if _, ok := k.verify(text, l); !ok {
		return Line{}, fmt.Errorf("sign as %q: %w", k.Name, errElsewhere)
	}
	return l, nil
}
