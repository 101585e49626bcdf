package feed

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// Body is what an add or revise lists: hashes of one item and the facts. It lies beside the log, bound by the digest in the head.
// Extension keys (64 to 127) are ignored in reading and never written.
type Body struct {
	Salt   [16]byte // random, so that the digest can't be tested against a list of hashes
	Hashes []Hash   // 1..32, ascending by kind and value
	Facts  Facts
	Source *Source // nil: not said
}

// RefuseCode says why a body is refused: its record counts, and lists nothing.
type RefuseCode string

// The refuse codes; of several that apply a body has the first.
const (
	RefusedForm     RefuseCode = "form"     // not the CDDL, not deterministic CBOR, not 1 to 3,200 bytes
	RefusedOrder    RefuseCode = "order"    // hashes unsorted or repeated, or two of one exact kind
	RefusedDigest   RefuseCode = "digest"   // a hash of nothing in particular: placeholder, empty file, flat picture
	RefusedLowers   RefuseCode = "lowers"   // a revise that drops a hash or lowers the verdict: that takes a retract
	RefusedBaseline RefuseCode = "baseline" // baseline, assessed by fewer than two
	RefusedDoubtful RefuseCode = "doubtful" // doubtful, in a feed whose charter doesn't say "use review"
)

// RefusedError is the error of a body that is refused.
type RefusedError struct {
	Code RefuseCode
	Why  string // for people; discloses no hash
}

func (e RefusedError) Error() string { return "refused body: " + string(e.Code) + ": " + e.Why }

var (
	bodyRequired = keyBits(1, 2, 3)
	bodyOptional = keyBits(4)
)

// NewBody makes a body of a random salt and the hashes, which it sorts (a copy of them). Whether it is good, [Body.Bytes] and [Body.Judge] say.
func NewBody(salt [16]byte, hashes []Hash, facts Facts, source *Source) Body {
	hashes = slices.Clone(hashes)
	slices.SortFunc(hashes, Hash.compareKeys)
	return Body{salt, hashes, facts, source}
}

// ParseBody reads a body. The error is a [RefusedError] of code form; all other codes come of [Body.Judge].
func ParseBody(raw []byte) (Body, error) {
	refuse := func(why string) (Body, error) { return Body{}, RefusedError{RefusedForm, why} }
	if len(raw) < 1 || len(raw) > MaxBody {
		return refuse("not 1 to 3,200 bytes")
	}
	if err := checkCBOR(raw); err != nil {
		return refuse(err.Error())
	}
	f, ok := (&cborReader{raw}).fields()
	if !ok || !f.only(bodyRequired, bodyOptional, true) {
		return refuse("not a map, or a key is missing or unknown")
	}
	salt, ok := f.key(1).bytes(16, 16)
	if !ok {
		return refuse("salt")
	}
	b := Body{Salt: [16]byte(salt)}
	all := string(f.value[2])
	r := f.key(2)
	n, ok := r.array(1, MaxHashes)
	if !ok {
		return refuse("not 1 to 32 hashes")
	}
	b.Hashes = make([]Hash, n)
	for i := range b.Hashes {
		if b.Hashes[i], ok = readHash(r, all); !ok {
			return refuse(fmt.Sprintf("hash %d of %d", i+1, n))
		}
	}
	if b.Facts, ok = readFacts(f.key(3)); !ok {
		return refuse("facts")
	}
	if f.has(4) {
		r := f.key(4)
		_, ok0 := r.array(2, 2)
		scheme, ok1 := r.text(1, maxScheme)
		code, ok2 := r.text(1, maxCode)
		b.Source = &Source{string(scheme), string(code)}
		if !ok0 || !ok1 || !ok2 || !b.Source.valid() {
			return refuse("source")
		}
	}
	return b, nil
}

// Bytes returns the body's encoding. It fails where the body is not of the CDDL or too long; it doesn't judge.
func (b Body) Bytes() ([]byte, error) {
	pairs := 3
	if b.Source != nil {
		pairs = 4
	}
	raw := appendCBORMap(make([]byte, 0, 256), pairs)
	raw = appendCBORBytes(append(raw, 1), b.Salt[:])
	raw = appendCBORArray(append(raw, 2), len(b.Hashes))
	for _, h := range b.Hashes {
		raw = appendHash(raw, h)
	}
	raw = appendFacts(append(raw, 3), b.Facts)
	if b.Source != nil {
		raw = appendCBORText(appendCBORText(append(raw, 4, 0x82), b.Source.Scheme), b.Source.Code)
	}
	// What is out of bounds would be refused when read back: the reader is the one place that knows the bounds.
	if _, err := ParseBody(raw); err != nil {
		return nil, fmt.Errorf("encode body: %w", err)
	}
	return raw, nil
}

// Digest returns the SHA-256 of the body's encoding, which its head bears. It is of a body that Bytes accepts.
func (b Body) Digest() (Digest, error) {
	raw, err := b.Bytes()
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(raw), nil
}

// Judge says whether the body may list its hashes: nil, or a [RefusedError] with the first code that applies. before is the body in force
// until now, nil where there is none or the record reinstates its item, in which case nothing is lowered. review: the charter says "use review".
func (b Body) Judge(before *Body, review bool) error {
	refuse := func(code RefuseCode, why string) error { return RefusedError{code, why} }
	for i, h := range b.Hashes {
		if i == 0 {
			continue
		}
		if last := b.Hashes[i-1]; last.compareKeys(h) >= 0 {
			return refuse(RefusedOrder, "hashes are unsorted or repeated")
		} else if h.Alg.Exact() && last.Alg == h.Alg {
			return refuse(RefusedOrder, "two hashes of kind "+h.Alg.String())
		}
	}
	for _, h := range b.Hashes {
		if why := h.hollow(); why != "" {
			return refuse(RefusedDigest, h.Alg.String()+": "+why)
		}
	}
	if before != nil {
		if len(subtract(before.Hashes, b.Hashes)) > 0 {
			return refuse(RefusedLowers, "drops a hash")
		}
		if was, is := before.Facts.Verdict, b.Facts.Verdict; is > was || was == Test && is != Test {
			return refuse(RefusedLowers, fmt.Sprintf("verdict from %v to %v", was, is))
		}
	}
	if b.Facts.Verdict == Baseline && b.Facts.VerifiedBy < minVerifiedBy {
		return refuse(RefusedBaseline, "assessed by fewer than two")
	}
	if b.Facts.Verdict == Doubtful && !review {
		return refuse(RefusedDoubtful, `the charter doesn't say "use review"`)
	}
	return nil
}

// subtract returns the hashes of a that are not in b, by kind and value. b is sorted.
func subtract(a, b []Hash) (rest []Hash) {
	for _, h := range a {
		if _, found := slices.BinarySearchFunc(b, h, Hash.compareKeys); !found {
			rest = append(rest, h)
		}
	}
	return rest
}
