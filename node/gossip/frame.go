package gossip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// A frame is a uint32, big-endian, of how many bytes follow, and a deterministic CBOR map (RFC 8949 §4.2.1). What is read is written again
// and compared, so that each message has one spelling.

// errRule is what every breach of the format by a peer is.
var errRule = errors.New("against the protocol")

var (
	encoder = func() cbor.EncMode {
		o := cbor.CoreDetEncOptions()
		o.NilContainers = cbor.NilContainerAsEmpty
		m, err := o.EncMode()
		if err != nil {
			panic(err) // constants
		}
		return m
	}()
	decoder = func() cbor.DecMode {
		m, err := cbor.DecOptions{
			DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
			UTF8: cbor.UTF8RejectInvalid, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
			MaxNestedLevels: 4, MaxArrayElements: 2048, MaxMapPairs: 16, // the smallest that our messages fit
		}.DecMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
)

// decode reads exactly one message into m, a pointer to its zero value.
func decode[M any](data []byte, m *M) error {
	if err := decoder.Unmarshal(data, m); err != nil {
		return fmt.Errorf("%w: %w", errRule, err)
	}
	again, err := encoder.Marshal(m)
	if err != nil || !bytes.Equal(again, data) {
		return fmt.Errorf("%w: not deterministic CBOR, or more than belongs there", errRule)
	}
	return nil
}

// encode writes a message with its length in front. It never makes what the other side must refuse.
func encode(m any, limit int) ([]byte, error) {
	data, err := encoder.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("encode %T: %d bytes, at most %d may be sent", m, len(data), limit)
	}
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data))), data...), nil
}

// conduit is what this package needs of a stream.
type conduit interface {
	io.Reader
	io.Writer
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// send writes one message.
func send(s conduit, m any, limit int) error {
	data, err := encode(m, limit)
	if err != nil {
		return err
	}
	s.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err = s.Write(data)
	return err
}

// receive reads one frame. It waits for it as long as `wait`; once its length is there the rest must follow within frameTimeout. limit
// gets the first bytes of the message, at most 4, and says how many it may have in all, before they are allocated; 0: there is no such
// message.
func receive(s conduit, wait time.Duration, limit func(begin []byte) int) ([]byte, error) {
	s.SetReadDeadline(time.Now().Add(wait))
	var head [8]byte
	if _, err := io.ReadFull(s, head[:4]); err != nil {
		return nil, err
	}
	s.SetReadDeadline(time.Now().Add(frameTimeout))
	size := binary.BigEndian.Uint32(head[:4])
	begin := head[4 : 4+min(4, size)]
	if _, err := io.ReadFull(s, begin); err != nil {
		return nil, cutShort(err)
	}
	if limit := limit(begin); size == 0 || int64(size) > int64(limit) {
		return nil, fmt.Errorf("%w: a frame of %d bytes, at most %d are accepted", errRule, size, limit)
	}
	data := make([]byte, size)
	n := copy(data, begin)
	if _, err := io.ReadFull(s, data[n:]); err != nil {
		return nil, cutShort(err)
	}
	return data, nil
}

// cutShort: a stream may end between frames, not within one.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// upTo is a limit that is the same for whatever begins.
func upTo(limit int) func([]byte) int { return func([]byte) int { return limit } }

// printable reports whether s is at most n characters of visible ASCII.
func printable(s string, n int) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(s) <= n
}
