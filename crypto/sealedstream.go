package crypto

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A sealed stream is a file of any length under a passphrase, a backup, say:
//
//	hashfeed-sealed/v1
//	sealed argon2id 3 65536 4 <salt in base64>
//	check <nothing, sealed, in base64>
//	sum <SHA-256 of the lines before, in hex>
//	<pieces>
//
// The key is Argon2id's of the passphrase, as in key files. Each piece is nonce(24) || XChaCha20-Poly1305 of 64 KiB, the last one of less,
// maybe of nothing; associated data = the lines above || piece number (uint64, big-endian) || 1 if it is the last, else 0. So no piece can be
// changed, left out, repeated or moved, and a file that was cut off anywhere has no last piece. The check tells a wrong passphrase
// from damage before anything is read.

const (
	streamMagic = "hashfeed-sealed/v1\n"
	streamPiece = 64 << 10
)

var (
	errStream = errors.New("sealed file")
	// ErrSealDamaged means that a sealed file was changed, or cut off. The passphrase is the right one.
	ErrSealDamaged = fmt.Errorf("%w is damaged or cut off", errStream)
	// ErrNotSealed means that it isn't a sealed file at all.
	ErrNotSealed = fmt.Errorf("it isn't a %w of this program", errStream)
)

// SealWriter seals what is written to it. Without Close, which writes the last piece, the file is as good as cut off.
type SealWriter struct {
	out    io.Writer
	sealer *Sealer
	head   []byte
	piece  []byte
	number uint64
	err    error
}

// NewSealWriter writes the head of a sealed stream to out. The passphrase can't be empty.
func NewSealWriter(out io.Writer, passphrase []byte) (*SealWriter, error) {
	if len(passphrase) == 0 {
		return nil, ErrPassphraseNeeded
	}
	f := keyFile{sealed: true, cost: sealCost, salt: make([]byte, saltSize)}
	rand.Read(f.salt)
	sealer := f.passphraseKey(passphrase).Sealer()
	head := fmt.Appendf(nil, "%ssealed argon2id %d %d %d %s\n", streamMagic, f.cost.time, f.cost.memory, f.cost.threads,
		base64.StdEncoding.EncodeToString(f.salt))
	head = fmt.Appendf(head, "check %s\n", base64.StdEncoding.EncodeToString(sealer.AppendSeal(nil, nil, head)))
	head = fmt.Appendf(head, "sum %x\n", sha256.Sum256(head))
	if _, err := out.Write(head); err != nil {
		return nil, err
	}
	return &SealWriter{out: out, sealer: sealer, head: head, piece: make([]byte, 0, streamPiece)}, nil
}

// Write seals each piece that is full. A full one goes out with the next byte, when it is known not to be the last.
func (w *SealWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		if len(w.piece) == streamPiece {
			w.flush(false)
		}
		took := min(len(p), streamPiece-len(w.piece))
		w.piece = append(w.piece, p[:took]...)
		p, n = p[took:], n+took
	}
	return n, w.err
}

// Close writes the last piece. It doesn't close out.
func (w *SealWriter) Close() error {
	if w.err == nil {
		w.flush(true)
	}
	if w.err != nil {
		return w.err
	}
	w.err = errors.New("write to a closed sealed file")
	return nil
}

func (w *SealWriter) flush(last bool) {
	_, w.err = w.out.Write(w.sealer.AppendSeal(nil, w.piece, pieceData(w.head, w.number, last)))
	w.piece = w.piece[:0]
	w.number++
}

func pieceData(head []byte, number uint64, last bool) []byte {
	b := binary.BigEndian.AppendUint64(bytes.Clone(head), number)
	if last {
		return append(b, 1)
	}
	return append(b, 0)
}

// OpenSealed returns a reader of what was sealed. ErrNotSealed, ErrPassphraseNeeded, ErrPassphraseWrong and ErrSealDamaged say what is wrong. Its
// reader returns io.EOF only after the last piece: what was read before is genuine, but may not be all.
func OpenSealed(in io.Reader, passphrase []byte) (io.Reader, error) {
	r := &sealReader{in: bufio.NewReaderSize(in, streamPiece+SealOverhead)}
	sealed, check, err := r.readHead()
	if err != nil {
		return nil, err
	}
	f := keyFile{}
	if f.cost, f.salt, err = parseSealed(sealed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSealDamaged, err)
	}
	if len(passphrase) == 0 {
		return nil, ErrPassphraseNeeded
	}
	r.sealer = f.passphraseKey(passphrase).Sealer()
	nothing, err := base64.StdEncoding.Strict().DecodeString(check)
	if err != nil {
		return nil, fmt.Errorf("%w: its check isn't base64", ErrSealDamaged)
	}
	if _, err := r.sealer.AppendOpen(nil, nothing, []byte(streamMagic+"sealed "+sealed+"\n")); err != nil {
		return nil, ErrPassphraseWrong // the sum has shown that it isn't damage
	}
	return r, nil
}

type sealReader struct {
	in     *bufio.Reader
	sealer *Sealer
	head   []byte
	plain  []byte // of the piece at hand, not yet read
	number uint64
	done   bool
	err    error
}

// readHead reads the four lines, and compares their sum before anything else in them is believed.
func (r *sealReader) readHead() (sealed, check string, err error) {
	magic := make([]byte, len(streamMagic))
	if _, err := io.ReadFull(r.in, magic); err != nil || string(magic) != streamMagic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return "", "", err
		}
		return "", "", ErrNotSealed
	}
	r.head = magic
	var values [3]string
	for i, label := range []string{"sealed ", "check ", "sum "} {
		before := len(r.head)
		line, err := r.in.ReadSlice('\n')
		value, ok := strings.CutPrefix(string(line), label)
		if err != nil || !ok || len(line) > maxStreamLine {
			return "", "", fmt.Errorf("%w: its head", ErrSealDamaged)
		}
		values[i] = strings.TrimSuffix(value, "\n")
		r.head = append(r.head, line...)
		if label != "sum " {
			continue
		}
		if sum := sha256.Sum256(r.head[:before]); values[i] != hex.EncodeToString(sum[:]) {
			return "", "", fmt.Errorf("%w: its head", ErrSealDamaged)
		}
	}
	return values[0], values[1], nil
}

func (r *sealReader) Read(p []byte) (int, error) {
	for len(r.plain) == 0 && r.err == nil {
		if r.done {
			r.err = io.EOF
			break
		}
		r.next()
	}
	if len(r.plain) == 0 {
		return 0, r.err
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// next opens a piece. A shorter one is the last; a full one is, if nothing follows.
func (r *sealReader) next() {
	piece := make([]byte, streamPiece+SealOverhead)
	n, err := io.ReadFull(r.in, piece)
	switch {
	case err == nil:
		_, err = r.in.Peek(1)
		r.done = errors.Is(err, io.EOF)
		if err != nil && !r.done {
			r.err = err
			return
		}
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		r.done = true
	default:
		r.err = err
		return
	}
	plain, err := r.sealer.AppendOpen(nil, piece[:n], pieceData(r.head, r.number, r.done))
	if err != nil {
		r.err = fmt.Errorf("%w: piece %d", ErrSealDamaged, r.number)
		return
	}
	r.plain = plain
	r.number++
}
