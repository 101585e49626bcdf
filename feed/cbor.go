package feed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The subset of CBOR that heads, bodies, invites and proofs are written in: deterministic (RFC 8949, section 4.2.1), integers, byte and
// text strings, arrays, maps, true and false; map keys integers or text; nesting up to MaxCBORDepth. Text is UTF-8.
//
// Our own reader, not a library's: what is void must be the same for every implementation and for ever, so that no option, default or
// bug fix of a library may move the line; and every byte has only one reading here, so that "decoders re-encode and compare" holds by
// construction (each token is accepted in its shortest form alone, each map in one order) without the second pass. Tests compare it with
// fxamacker/cbor set as strictly as it can be.
//
// Reading is two steps. checkCBOR walks the whole input once and accepts or rejects it; cborReader then reads typed values out of bytes
// that have passed, and can only find that a value has another type than expected.

var errCBOR = errors.New("not deterministic CBOR")

const (
	cborUint  = 0
	cborNeg   = 1
	cborBytes = 2
	cborText  = 3
	cborArray = 4
	cborMap   = 5
	cborTag   = 6

	cborFalse = 0xf4
	cborTrue  = 0xf5
)

// checkCBOR reports whether b is exactly one value of the subset. The caller has bounded len(b).
func checkCBOR(b []byte) error {
	end, why := skimCBOR(b, 0, 1)
	if why == "" && end != len(b) {
		why = "trailing bytes"
	}
	if why != "" {
		return fmt.Errorf("%w: at byte %d: %s", errCBOR, end, why)
	}
	return nil
}

// skimCBOR walks the value at b[at:] and returns where it ends, or where and why it is bad. depth is that of an array or map found here.
// It allocates nothing: counts are compared with what is left of b first.
func skimCBOR(b []byte, at, depth int) (end int, why string) {
	start := at
	if at >= len(b) {
		return at, "truncated"
	}
	major, info := b[at]>>5, b[at]&31
	at++
	switch {
	case b[start] == cborFalse || b[start] == cborTrue:
		return at, ""
	case major > cborMap:
		return start, "tag, float, null or other simple value"
	case info > 27:
		return start, "indefinite or reserved length"
	}
	n := uint64(info)
	if info >= 24 {
		size := 1 << (info - 24)
		if len(b)-at < size {
			return start, "truncated"
		}
		n = 0
		for _, c := range b[at : at+size] {
			n = n<<8 | uint64(c)
		}
		at += size
		if size == 1 && n < 24 || size > 1 && n>>(4*size) == 0 {
			return start, "integer not in its shortest form"
		}
	}
	if major <= cborNeg {
		return at, ""
	}
	if n > uint64(len(b)-at) {
		return start, "truncated"
	}
	switch major {
	case cborBytes:
		return at + int(n), ""
	case cborText:
		if !utf8.Valid(b[at : at+int(n)]) {
			return start, "text is not UTF-8"
		}
		return at + int(n), ""
	}
	if depth > MaxCBORDepth {
		return start, "nested too deep"
	}
	var last []byte
	for range n {
		if major == cborMap {
			key := at
			if at, why = skimCBOR(b, at, depth+1); why != "" {
				return at, why
			}
			switch b[key] >> 5 {
			case cborUint, cborNeg, cborText:
			default:
				return key, "map key is neither integer nor text"
			}
			if last != nil && bytes.Compare(last, b[key:at]) >= 0 {
				return key, "map keys unsorted or repeated"
			}
			last = b[key:at]
		}
		if at, why = skimCBOR(b, at, depth+1); why != "" {
			return at, why
		}
	}
	return at, ""
}

// cborReader reads values in order from bytes that checkCBOR has accepted. After a method has said false the reader is of no use.
type cborReader struct{ rest []byte }

// argument reads the head of the next value: its major type and number. Of true and false it is 7 and 20 or 21.
func (r *cborReader) argument() (major byte, n uint64, ok bool) {
	b := r.rest
	if len(b) == 0 {
		return 0, 0, false
	}
	major, n = b[0]>>5, uint64(b[0]&31)
	switch b = b[1:]; {
	case n < 24:
	case n == 24 && len(b) >= 1:
		n, b = uint64(b[0]), b[1:]
	case n == 25 && len(b) >= 2:
		n, b = uint64(binary.BigEndian.Uint16(b)), b[2:]
	case n == 26 && len(b) >= 4:
		n, b = uint64(binary.BigEndian.Uint32(b)), b[4:]
	case n == 27 && len(b) >= 8:
		n, b = binary.BigEndian.Uint64(b), b[8:]
	default:
		return 0, 0, false
	}
	r.rest = b
	return major, n, true
}

// uint reads a number of low..high.
func (r *cborReader) uint(low, high uint64) (uint64, bool) {
	major, n, ok := r.argument()
	return n, ok && major == cborUint && low <= n && n <= high
}

func (r *cborReader) string(want byte) ([]byte, bool) {
	major, n, ok := r.argument()
	if !ok || major != want || n > uint64(len(r.rest)) {
		return nil, false
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s, true
}

// bytes reads a byte string of low..high bytes. The result is part of the input.
func (r *cborReader) bytes(low, high int) ([]byte, bool) {
	s, ok := r.string(cborBytes)
	return s, ok && low <= len(s) && len(s) <= high
}

// text reads a text string of low..high bytes. The result is part of the input.
func (r *cborReader) text(low, high int) ([]byte, bool) {
	s, ok := r.string(cborText)
	return s, ok && low <= len(s) && len(s) <= high
}

// array reads the head of an array of low..high elements; the elements come next.
func (r *cborReader) array(low, high int) (int, bool) {
	major, n, ok := r.argument()
	if !ok || major != cborArray || n < uint64(low) || n > uint64(high) {
		return 0, false
	}
	return int(n), true
}

// isTrue reads true.
func (r *cborReader) isTrue() bool {
	if len(r.rest) == 0 || r.rest[0] != cborTrue {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// value reads any value and returns its encoding, part of the input.
func (r *cborReader) value() ([]byte, bool) {
	end, why := skimCBOR(r.rest, 0, 1)
	if why != "" {
		return nil, false
	}
	v := r.rest[:end]
	r.rest = r.rest[end:]
	return v, true
}

// cborFields is a map with small integer keys, its values still encoded.
type cborFields struct {
	value   [16][]byte // by key
	present uint16     // a bit for each key of 0..15
	ext     bool       // keys of 64..127 stand there, which our formats ignore
	unknown bool       // any other key stands there
}

// fields reads a map.
func (r *cborReader) fields() (f cborFields, ok bool) {
	major, n, ok := r.argument()
	if !ok || major != cborMap {
		return f, false
	}
	for range n {
		k, key, ok := r.argument()
		if !ok {
			return f, false
		}
		if k == cborText {
			if key > uint64(len(r.rest)) {
				return f, false
			}
			r.rest = r.rest[key:]
		}
		v, ok := r.value()
		switch {
		case !ok:
			return f, false
		case k == cborUint && key < 16:
			f.value[key] = v
			f.present |= 1 << key
		case k == cborUint && 64 <= key && key <= 127:
			f.ext = true
		default:
			f.unknown = true
		}
	}
	return f, true
}

// key returns a reader of one value. A missing key's reader says false to everything.
func (f *cborFields) key(k int) *cborReader { return &cborReader{f.value[k]} }

// has reports whether key k stands there.
func (f *cborFields) has(k int) bool { return f.present>>k&1 == 1 }

// only reports whether all of required and none but required and optional (bits by key) stand there; keys 64..127 only if ext.
func (f *cborFields) only(required, optional uint16, ext bool) bool {
	return f.present&required == required && f.present&^(required|optional) == 0 && !f.unknown && (ext || !f.ext)
}

// keyBits makes a set for cborFields.only.
func keyBits(keys ...int) (set uint16) {
	for _, k := range keys {
		set |= 1 << k
	}
	return set
}

// The writers append one value's encoding, or the head of an array or map whose elements the caller appends, keys in order.

func appendCBOR(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendCBORUint(b []byte, n uint64) []byte { return appendCBOR(b, cborUint, n) }

func appendCBORBytes[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(appendCBOR(b, cborBytes, uint64(len(s))), s...)
}

func appendCBORText(b []byte, s string) []byte {
	return append(appendCBOR(b, cborText, uint64(len(s))), s...)
}

func appendCBORArray(b []byte, n int) []byte { return appendCBOR(b, cborArray, uint64(n)) }

func appendCBORMap(b []byte, pairs int) []byte { return appendCBOR(b, cborMap, uint64(pairs)) }
