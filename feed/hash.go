package feed

import (
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"strconv"
	"strings"
)

// Alg is a kind of hash.
type Alg uint8

// The kinds of hash, by their number on the wire.
const (
	MD5      Alg = 1
	SHA1     Alg = 2
	SHA256   Alg = 3
	PDQ      Alg = 4 // of the picture shrunk to 512 pixels first, as the C++ reference does
	PDQFull  Alg = 5 // of the whole picture, as pdqhash for Python does
	PhotoDNA Alg = 6 // opaque: carried and compared, never computed
	VPDQ     Alg = 7 // a PDQ for each of some frames of a video
)

var (
	algNames = [...]string{MD5: "md5", SHA1: "sha1", SHA256: "sha256", PDQ: "pdq", PDQFull: "pdq_full", PhotoDNA: "photodna", VPDQ: "vpdq"}
	algSizes = [...]int{MD5: 16, SHA1: 20, SHA256: 32, PDQ: 32, PDQFull: 32, PhotoDNA: 144, VPDQ: 0}
)

// String returns the word that ParseAlg reads.
func (a Alg) String() string { return nameOf(algNames[:], int(a), "alg") }

// Size returns the length of a hash of this kind in bytes; 0 for vpdq, whose length varies, and for what is no kind.
func (a Alg) Size() int {
	if int(a) < len(algSizes) {
		return algSizes[a]
	}
	return 0
}

// Exact reports whether equal hashes of this kind mean equal files: md5, sha1 and sha256.
func (a Alg) Exact() bool { return MD5 <= a && a <= SHA256 }

// Graded reports whether a hash of this kind has a quality: pdq and pdq_full.
func (a Alg) Graded() bool { return a == PDQ || a == PDQFull }

// ParseAlg parses the name of a kind of hash.
func ParseAlg(s string) (Alg, error) {
	n, ok := numberOf(algNames[:], s)
	if !ok {
		return 0, errAlg
	}
	return Alg(n), nil
}

// Hash is one fingerprint of a file. It is comparable and immutable. A body lists it by kind and value: the quality does not make it
// another hash.
type Hash struct {
	Alg     Alg
	Value   string // the bytes themselves; of a vpdq its frames, as encoded in a body
	Quality uint8  // of pdq and pdq_full 0..100, in a body 50..100; else 0
}

// Frame is one frame of a vPDQ hash.
type Frame struct {
	Milliseconds uint32 // from the beginning of the video
	PDQ          [32]byte
	Quality      uint8 // 50..100
}

var (
	errAlg       = errors.New("hash: unknown kind: not md5, sha1, sha256, pdq, pdq_full, photodna or vpdq")
	errHashText  = errors.New(`hash: not "alg:hex" nor a bare md5, sha1 or sha256 in hex`)
	errHashSize  = errors.New("hash: wrong length for its kind")
	errHashHex   = errors.New("hash: not hex")
	errHashB64   = errors.New("hash: not base64")
	errQuality   = errors.New("hash: quality is not 0 to 100")
	errUngraded  = errors.New("hash: only pdq and pdq_full have a quality")
	errNoFrames  = errors.New("hash: not 1 to 64 frames of quality 50 to 100")
	errVPDQTyped = errors.New("hash: a vpdq can't be typed")
	errNotVPDQ   = errors.New("hash: not a vpdq")
)

// NewHash makes a hash from its bytes. quality counts for pdq and pdq_full only, 0..100. For vpdq see [NewVPDQ].
func NewHash(alg Alg, value []byte, quality int) (Hash, error) {
	if alg.Size() == 0 {
		return Hash{}, errAlg
	}
	if len(value) != alg.Size() {
		return Hash{}, errHashSize
	}
	if !alg.Graded() {
		return Hash{Alg: alg, Value: string(value)}, nil
	}
	if quality < 0 || quality > maxQuality {
		return Hash{}, errQuality
	}
	return Hash{alg, string(value), uint8(quality)}, nil
}

// NewVPDQ makes a vpdq hash of 1 to MaxFrames frames.
func NewVPDQ(frames []Frame) (Hash, error) {
	if len(frames) < 1 || len(frames) > MaxFrames {
		return Hash{}, errNoFrames
	}
	b := appendCBORArray(nil, len(frames))
	for _, f := range frames {
		if f.Quality < minQuality || f.Quality > maxQuality {
			return Hash{}, errNoFrames
		}
		b = appendCBORArray(b, 3)
		b = appendCBORUint(b, uint64(f.Milliseconds))
		b = appendCBORBytes(b, f.PDQ[:])
		b = appendCBORUint(b, uint64(f.Quality))
	}
	return Hash{Alg: VPDQ, Value: string(b)}, nil
}

// ParseHash parses a hash as people and tools type it: "alg:hex"; a bare hex of 32, 40 or 64 digits, which is md5, sha1 or sha256; a pdq
// or pdq_full with its quality of 0 to 100 behind a colon, else 100; a photodna also in base64. Upper-case hex is accepted. Errors never
// repeat the input: it ends up in logs, and a mistyped hash is still a hash.
func ParseHash(s string) (Hash, error) {
	if len(s) > maxHashText {
		return Hash{}, errHashText
	}
	name, text, typed := strings.Cut(s, ":")
	if !typed {
		text = s
		switch len(s) {
		case 2 * md5.Size:
			name = "md5"
		case 2 * sha1.Size:
			name = "sha1"
		case 2 * sha256.Size:
			name = "sha256"
		default:
			return Hash{}, errHashText
		}
	}
	alg, err := ParseAlg(name)
	if err != nil {
		return Hash{}, err
	}
	if alg == VPDQ {
		return Hash{}, errVPDQTyped
	}
	quality := 0
	if digits, q, graded := strings.Cut(text, ":"); graded {
		if !alg.Graded() {
			return Hash{}, errUngraded
		}
		n, ok := parseNumber(q, 0, maxQuality)
		if !ok {
			return Hash{}, errQuality
		}
		text, quality = digits, int(n)
	} else if alg.Graded() {
		quality = maxQuality
	}
	var value []byte
	switch {
	case alg == PhotoDNA && len(text) == base64.StdEncoding.EncodedLen(alg.Size()):
		// DecodeString skips line breaks, and so gives too few bytes for NewHash where there are any.
		if value, err = base64.StdEncoding.Strict().DecodeString(text); err != nil {
			return Hash{}, errHashB64
		}
	case len(text) != 2*alg.Size():
		return Hash{}, errHashSize
	default:
		if value, err = hex.DecodeString(text); err != nil {
			return Hash{}, errHashHex
		}
	}
	return NewHash(alg, value, quality)
}

// Bytes returns a copy of the value.
func (h Hash) Bytes() []byte { return []byte(h.Value) }

// String returns the hash in full, "md5:…", a pdq without its quality: what people type. Never log it: see [Hash.Short].
func (h Hash) String() string { return h.Alg.String() + ":" + hex.EncodeToString([]byte(h.Value)) }

// Text returns the hash in full as a body lists it: String, with the quality of a pdq or pdq_full: "pdq_full:HEX:QUALITY".
func (h Hash) Text() string {
	if h.Alg.Graded() {
		return h.String() + ":" + strconv.Itoa(int(h.Quality))
	}
	return h.String()
}

// Short returns the kind and the first two bytes, "md5:ab12…": enough to tell two apart in a log, too little to match anything.
func (h Hash) Short() string {
	return h.Alg.String() + ":" + hex.EncodeToString([]byte(h.Value[:min(2, len(h.Value))])) + "…"
}

// LogValue makes slog write the short form: a log is read by people who may not have the list.
func (h Hash) LogValue() slog.Value { return slog.StringValue(h.Short()) }

// Frames returns the frames of a vpdq.
func (h Hash) Frames() ([]Frame, error) {
	if h.Alg != VPDQ {
		return nil, errNotVPDQ
	}
	raw := []byte(h.Value)
	if len(raw) > MaxBody {
		return nil, errNoFrames
	}
	if err := checkCBOR(raw); err != nil {
		return nil, fmt.Errorf("hash: frames: %w", err)
	}
	r := &cborReader{raw}
	n, ok := r.array(1, MaxFrames)
	if !ok {
		return nil, errNoFrames
	}
	frames := make([]Frame, 0, n)
	for range n {
		f, ok := readFrame(r)
		if !ok {
			return nil, errNoFrames
		}
		frames = append(frames, f)
	}
	return frames, nil
}

// readFrame reads the CDDL's frame.
func readFrame(r *cborReader) (f Frame, ok bool) {
	_, ok0 := r.array(3, 3)
	ms, ok1 := r.uint(0, maxSecs)
	pdq, ok2 := r.bytes(32, 32)
	q, ok3 := r.uint(minQuality, maxQuality)
	if !ok0 || !ok1 || !ok2 || !ok3 {
		return f, false
	}
	return Frame{uint32(ms), [32]byte(pdq), uint8(q)}, true
}

// readHash reads the CDDL's hash. all is the text of the bytes that r reads from, so that the value needs no allocation of its own.
func readHash(r *cborReader, all string) (h Hash, ok bool) {
	n, ok0 := r.array(2, 3)
	a, ok1 := r.uint(uint64(MD5), uint64(VPDQ))
	if !ok0 || !ok1 || Alg(a).Graded() != (n == 3) {
		return h, false
	}
	h.Alg = Alg(a)
	if h.Alg == VPDQ {
		begin := len(all) - len(r.rest)
		frames, ok := r.array(1, MaxFrames)
		if !ok {
			return h, false
		}
		for range frames {
			if _, ok := readFrame(r); !ok {
				return h, false
			}
		}
		h.Value = all[begin : len(all)-len(r.rest)]
		return h, true
	}
	value, ok := r.bytes(h.Alg.Size(), h.Alg.Size())
	if !ok {
		return h, false
	}
	end := len(all) - len(r.rest)
	h.Value = all[end-len(value) : end]
	if h.Alg.Graded() {
		q, ok := r.uint(minQuality, maxQuality)
		if !ok {
			return h, false
		}
		h.Quality = uint8(q)
	}
	return h, true
}

// appendHash is the inverse of readHash, which rejects what comes of a hash that no body may hold.
func appendHash(b []byte, h Hash) []byte {
	if h.Alg.Graded() {
		b = appendCBORUint(appendCBORArray(b, 3), uint64(h.Alg))
		return appendCBORUint(appendCBORBytes(b, h.Value), uint64(h.Quality))
	}
	b = appendCBORUint(appendCBORArray(b, 2), uint64(h.Alg))
	if h.Alg == VPDQ {
		return append(b, h.Value...)
	}
	return appendCBORBytes(b, h.Value)
}

// compareKeys orders hashes by kind and value, as a body lists them; 0 means that they are one hash, whatever their qualities.
func (h Hash) compareKeys(o Hash) int {
	if c := cmp.Compare(h.Alg, o.Alg); c != 0 {
		return c
	}
	return cmp.Compare(h.Value, o.Value)
}

// emptyFile holds the digests of no bytes: every pipeline that hashes a failed download makes them.
var emptyFile = func() map[string]bool {
	m, s1, s256 := md5.Sum(nil), sha1.Sum(nil), sha256.Sum256(nil)
	return map[string]bool{string(m[:]): true, string(s1[:]): true, string(s256[:]): true}
}()

// hollow says why a hash is of nothing in particular and would match what it must not, or "".
func (h Hash) hollow() string {
	switch {
	case h.Alg.Exact():
		var seen [256]bool
		distinct := 0
		for i := range len(h.Value) {
			if !seen[h.Value[i]] {
				seen[h.Value[i]] = true
				distinct++
			}
		}
		if distinct < minDistinctBytes {
			return "fewer than 6 distinct bytes"
		}
		if emptyFile[h.Value] {
			return "of the empty file"
		}
	case h.Alg == PhotoDNA:
		if strings.Trim(h.Value, "\x00") == "" {
			return "all zero"
		}
	case h.Alg.Graded():
		if flatPDQ(h.Value) {
			return "of a flat picture"
		}
	case h.Alg == VPDQ:
		frames, err := h.Frames()
		if err != nil {
			return "not frames"
		}
		for _, f := range frames {
			if flatPDQ(string(f.PDQ[:])) {
				return "a frame of a flat picture"
			}
		}
	}
	return ""
}

// flatPDQ reports whether a PDQ has too few or too many ones.
func flatPDQ(value string) bool {
	ones := 0
	for i := range len(value) {
		ones += bits.OnesCount8(value[i])
	}
	return ones < minPDQOnes || ones > maxPDQOnes
}
