package api

import (
	"encoding/binary"
	"errors"
	"slices"

	"hashfeed/feed"
)

// typedHashes reads hashes as they are typed, many at once: what feed.ParseHash makes of each, the exact kinds in a tenth of the time and
// without memory of their own. The zero typedHashes have none.
type typedHashes struct {
	hashes []feed.Hash
	values []byte // end to end, of those hashes that have no Value yet
}

func (t *typedHashes) clear() { t.hashes, t.values = t.hashes[:0], t.values[:0] }

// add reads one more, or says why it can't be looked up. It doesn't keep text.
func (t *typedHashes) add(text []byte) error {
	if alg, digits := exactKind(text); alg != 0 {
		if values, ok := appendUnhexed(t.values, digits); ok {
			t.values = values
			t.hashes = append(t.hashes, feed.Hash{Alg: alg})
			return nil
		}
	}
	if len(text) > maxHashText {
		return errTooLong
	}
	h, err := feed.ParseHash(string(text))
	if err == nil {
		t.hashes = append(t.hashes, h)
	}
	return err
}

var errTooLong = errors.New("hash: too long")

// list returns the hashes, until clear.
func (t *typedHashes) list() []feed.Hash {
	values := string(t.values) // the one copy of all
	for i := range t.hashes {
		if h := &t.hashes[i]; h.Value == "" {
			h.Value, values = values[:h.Alg.Size()], values[h.Alg.Size():]
		}
	}
	t.values = t.values[:0]
	return t.hashes
}

// exactKind tells md5, sha1 and sha256 in hex, bare or behind the kind's name, by their length; else 0.
func exactKind(text []byte) (alg feed.Alg, digits []byte) {
	switch len(text) {
	case 64:
		return feed.SHA256, text
	case 40:
		return feed.SHA1, text
	case 32:
		return feed.MD5, text
	case len("sha256:") + 64:
		if string(text[:len("sha256:")]) == "sha256:" {
			return feed.SHA256, text[len("sha256:"):]
		}
	case len("sha1:") + 40:
		if string(text[:len("sha1:")]) == "sha1:" {
			return feed.SHA1, text[len("sha1:"):]
		}
	case len("md5:") + 32:
		if string(text[:len("md5:")]) == "md5:" {
			return feed.MD5, text[len("md5:"):]
		}
	}
	return 0, nil
}

// appendUnhexed appends what hex digits, a multiple of eight, stand for: of md5, sha1 and sha256. It looks only at the end whether all were digits,
// since nearly always they are.
func appendUnhexed(b, digits []byte) (_ []byte, ok bool) {
	n := len(digits) / 2
	b = slices.Grow(b, n)[:len(b)+n]
	bad := uint64(0)
	for out := b[len(b)-n:]; len(digits) >= 8 && len(out) >= 4; digits, out = digits[8:], out[4:] {
		v, odd := unhex8(binary.LittleEndian.Uint64(digits))
		binary.LittleEndian.PutUint32(out, v)
		bad |= odd
	}
	return b, bad == 0
}

// unhex8 returns what eight hex digits stand for, the first of both lowest; bad isn't 0 if one of them is none. All eight are worked on at once, a
// byte each: no step below carries from one to the next.
func unhex8(w uint64) (v uint32, bad uint64) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	letter := w >> 6 & ones                                        // 1: "A" to "F" or "a" to "f", if anything
	above := (w | letter<<5 | highs) - ones*'0' - letter*('a'-'0') // how far from "0" or "a"; the high bit goes if it is less
	far := above &^ highs
	within := ones*(0x80+9) - letter*4 - far // the high bit goes if it is past "9" or "f"
	n := far + letter*10
	n = (n<<4 | n>>8) & 0x00ff00ff00ff00ff
	n = (n | n>>8) & 0x0000ffff0000ffff
	return uint32(n | n>>16), (w | ^(above & within)) & highs
}
