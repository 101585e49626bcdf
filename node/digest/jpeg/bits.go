package jpeg

import (
	"bytes"
	"encoding/binary"
)

// A bitReader reads the bits of one segment. In a segment the byte 0xff is followed by a
// stuffed 0, so that markers stand out; the reader takes the stuffing out a window at
// a time, after which eight bytes can be loaded as they are.
type bitReader struct {
	src []byte // the file from the bytes on that aren't in the window yet

	// window[:end] are bytes of the segment; behind them are slackBytes more, which
	// are zeros if last is set: then the segment ends at end. Whoever reads a block makes
	// sure that next is at most ample, by calling more otherwise.
	window    [windowBytes + slackBytes]byte
	next, end int
	ample     int
	last      bool

	// acc has the next n bits at its top. Below them may be more of the same.
	acc uint64
	n   uint
}

// begin starts with the segment at the front of src.
func (r *bitReader) begin(src []byte) {
	r.src = src
	r.next, r.end, r.ample, r.last = 0, 0, -1, false
	r.acc, r.n = 0, 0
}

// short reports whether more bits were taken from the segment than it has.
func (r *bitReader) short() bool { return r.last && 8*r.next-int(r.n) > 8*r.end }

// more fills the window, and returns an error if more bits were taken from the
// segment than it has.
func (r *bitReader) more() error {
	if r.short() {
		return errShort
	}
	if r.last {
		return nil
	}
	r.end = copy(r.window[:], r.window[min(r.next, r.end):r.end])
	r.next = 0
	for r.end < windowBytes && !r.last {
		room := r.window[r.end:windowBytes]
		plain := bytes.IndexByte(r.src[:min(len(r.src), len(room))], 0xff)
		if plain < 0 {
			n := copy(room, r.src)
			r.end += n
			r.src = r.src[n:]
			r.last = len(r.src) == 0
			continue
		}
		copy(room, r.src[:plain])
		r.end += plain
		r.src = r.src[plain:]
		if len(r.src) < 2 || r.src[1] != 0 {
			r.last = true
			continue
		}
		r.window[r.end] = 0xff
		r.end++
		r.src = r.src[2:]
	}
	r.ample = r.end - slackBytes
	if r.last {
		clear(r.window[r.end:])
		r.ample = r.end
	}
	return nil
}

// finish returns the file from the marker on that ends the segment, or an error if more
// bits were taken from the segment than it has. What is left of it is nobody's.
func (r *bitReader) finish() ([]byte, error) {
	for !r.last {
		r.next, r.n = r.end, 0
		if err := r.more(); err != nil {
			return nil, err
		}
	}
	return r.src, r.more()
}

// fill makes sure of 56 bits, unless the window's slack is used up.
func (r *bitReader) fill() {
	r.acc |= binary.BigEndian.Uint64(r.window[r.next:]) >> (r.n & 63)
	r.next += int(63-r.n) >> 3
	r.n |= 56
}

// take returns the next k bits, at most 32, after a fill that left as many.
func (r *bitReader) take(k uint) uint64 {
	v := r.acc >> 1 >> ((63 - k) & 63)
	r.acc <<= k & 63
	r.n -= k
	return v
}
