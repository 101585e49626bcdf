package node

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"hashfeed/crypto"
)

// A snapshot's file:
//
//	"hashfeed-index/v1\n"   18 bytes
//	owner                    8 bytes, the first of the SHA-256 of the node's name
//	id                      16 bytes, random
//	sum                      8 bytes, the first of the SHA-256 of what stands before them
//	frames
//
// A frame is nonce(24) || XChaCha20-Poly1305 of 1 MiB, the last one of less, with the key of the store; associated data = the 50 bytes above ||
// the frame's number (uint64, big-endian) || 1 if it is the last, else 0. So no frame can be changed, left out, repeated, moved, or taken from
// another snapshot, also an older one of this node, and of a file that was cut off anywhere the last frame doesn't open.

const (
	snapshotMagic    = "hashfeed-index/v1\n"
	snapshotHeadSize = len(snapshotMagic) + 8 + 16 + 8
	// snapshotAhead is how many frames are read and opened ahead: one for each processor that there may be to spare, and some for the disk.
	snapshotAhead = 6
)

// snapshotFrame is how many bytes a full frame seals. A test makes it smaller.
var snapshotFrame = 1 << 20

func sealedFrame() int { return snapshotFrame + crypto.SealOverhead }

var (
	errSnapshotVersion = errors.New("it is of another version of this program")
	errSnapshotOwner   = errors.New("it is another node's")
	errSnapshotDamaged = errors.New("it is damaged, cut off, or sealed with another key")
)

func newSnapshotHead(name string) []byte {
	owner, id := sha256.Sum256([]byte(name)), make([]byte, 16)
	rand.Read(id)
	head := append([]byte(snapshotMagic), owner[:8]...)
	head = append(head, id...)
	sum := sha256.Sum256(head)
	return append(head, sum[:8]...)
}

// checkSnapshotHead says why a head isn't one of the node of that name.
func checkSnapshotHead(head []byte, name string) error {
	sum, owner := sha256.Sum256(head[:snapshotHeadSize-8]), sha256.Sum256([]byte(name))
	switch {
	case !bytes.Equal(sum[:8], head[snapshotHeadSize-8:]):
		return fmt.Errorf("%w: its head", errSnapshotDamaged)
	case string(head[:len(snapshotMagic)]) != snapshotMagic:
		return errSnapshotVersion
	case !bytes.Equal(owner[:8], head[len(snapshotMagic):][:8]):
		return errSnapshotOwner
	}
	return nil
}

func frameData(head []byte, number uint64, last bool) []byte {
	b := binary.BigEndian.AppendUint64(bytes.Clone(head), number)
	if last {
		return append(b, 1)
	}
	return append(b, 0)
}

// frameWriter seals what is written to it. Without Close, which writes the last frame, the file is as good as cut off.
type frameWriter struct {
	out    io.Writer
	sealer *crypto.Sealer
	room   func() error // asked before each frame: whether the disk has room for it
	head   []byte
	plain  []byte
	sealed []byte
	number uint64
	size   int64 // of what went out
	err    error
}

func newFrameWriter(out io.Writer, sealer *crypto.Sealer, name string, room func() error) *frameWriter {
	w := &frameWriter{out: out, sealer: sealer, room: room, head: newSnapshotHead(name), plain: make([]byte, 0, snapshotFrame)}
	w.put(w.head)
	return w
}

func (w *frameWriter) put(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
		w.size += int64(len(b))
	}
}

// Write seals each frame that is full. A full one goes out with the next byte, when it is known not to be the last.
func (w *frameWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		if len(w.plain) == snapshotFrame {
			w.flush(false)
		}
		took := min(len(p), snapshotFrame-len(w.plain))
		w.plain = append(w.plain, p[:took]...)
		p, n = p[took:], n+took
	}
	return n, w.err
}

// Close writes the last frame. It doesn't close out.
func (w *frameWriter) Close() error {
	w.flush(true)
	return w.err
}

func (w *frameWriter) flush(last bool) {
	if w.err == nil {
		w.err = w.room()
	}
	if w.err != nil {
		return
	}
	w.sealed = w.sealer.AppendSeal(w.sealed[:0], w.plain, frameData(w.head, w.number, last))
	w.put(w.sealed)
	w.plain = w.plain[:0]
	w.number++
}

// frameReader reads what frameWriter wrote. Frames are opened ahead, several at once; a reader sees them in order, and io.EOF only after the
// last one. Its errors of a file that can't be one are errSnapshot….
type frameReader struct {
	in    io.ReaderAt
	size  int64           // of the file, and so the most that is in it
	queue chan *openFrame // in their order; some may be open already
	free  chan *openFrame
	stop  chan struct{}

	cur  *openFrame
	rest []byte
	err  error
}

// openFrame is one frame on its way.
type openFrame struct {
	sealed, plain []byte
	err           error
	done          chan struct{}
}

func newFrameReader(in io.ReaderAt, size int64, sealer *crypto.Sealer, name string) (*frameReader, error) {
	head := make([]byte, snapshotHeadSize)
	body := size - int64(snapshotHeadSize)
	if body < crypto.SealOverhead {
		return nil, errSnapshotDamaged
	}
	if _, err := in.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if err := checkSnapshotHead(head, name); err != nil {
		return nil, err
	}
	r := &frameReader{in: in, size: size, queue: make(chan *openFrame, snapshotAhead), free: make(chan *openFrame, snapshotAhead+2), stop: make(chan struct{})}
	for range cap(r.free) {
		r.free <- &openFrame{}
	}
	go r.readAhead(head, body, sealer)
	return r, nil
}

// readAhead has all frames opened, each in a goroutine, as many at once as there are buffers.
func (r *frameReader) readAhead(head []byte, body int64, sealer *crypto.Sealer) {
	defer close(r.queue)
	frames := (body + int64(sealedFrame()) - 1) / int64(sealedFrame())
	for number := range frames {
		var f *openFrame
		select {
		case f = <-r.free:
		case <-r.stop:
			return
		}
		f.done = make(chan struct{})
		size := min(body-number*int64(sealedFrame()), int64(sealedFrame()))
		go func() {
			defer close(f.done)
			if cap(f.sealed) == 0 {
				f.sealed, f.plain = make([]byte, sealedFrame()), make([]byte, 0, snapshotFrame)
			}
			if _, f.err = r.in.ReadAt(f.sealed[:size], int64(snapshotHeadSize)+number*int64(sealedFrame())); f.err != nil {
				return
			}
			if f.plain, f.err = sealer.AppendOpen(f.plain[:0], f.sealed[:size], frameData(head, uint64(number), number == frames-1)); f.err != nil {
				f.err = fmt.Errorf("%w: frame %d", errSnapshotDamaged, number)
			}
		}()
		r.queue <- f
	}
}

// fill makes rest what is next, if it is empty.
func (r *frameReader) fill() error {
	for len(r.rest) == 0 && r.err == nil {
		if r.cur != nil {
			r.free <- r.cur
			r.cur = nil
		}
		f, ok := <-r.queue
		if !ok {
			r.err = io.EOF
			break
		}
		<-f.done
		r.cur, r.rest, r.err = f, f.plain, f.err
		if r.err != nil {
			r.rest = nil
		}
	}
	if len(r.rest) == 0 {
		return r.err
	}
	return nil
}

func (r *frameReader) Read(p []byte) (int, error) {
	if err := r.fill(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// ReadByte makes it an io.ByteReader.
func (r *frameReader) ReadByte() (byte, error) {
	if err := r.fill(); err != nil {
		return 0, err
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b, nil
}

// Close ends the reading ahead and waits for it, so that in may be closed.
func (r *frameReader) Close() error {
	close(r.stop)
	for f := range r.queue {
		<-f.done
	}
	return nil
}
