package node

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hashfeed/crypto"
	"hashfeed/node/api"
)

// A list is read twice: once to judge all of it, once to take it. So it is kept in a file of DIR meanwhile, sealed as the store is; one that is held
// stays there. The file is an id of 16 random bytes, and pieces of at most spoolPiece bytes: uint32 length, sealed piece. The associated data
// of a piece is the id, its number, and whether it is the last, so that none can be changed, moved, left out or taken from another file. What
// is sealed is a line of JSON, spoolHead, and then the list as it came.

const spoolPiece = 64 << 10

// spoolHead is what a list is kept with.
type spoolHead struct {
	Time    int64      `json:"time"`
	Request api.Import `json:"request"`
}

type spoolWriter struct {
	out    *bufio.Writer
	sealer *crypto.Sealer
	id     [16]byte
	number uint64
	piece  []byte
	box    []byte
}

func spoolData(id [16]byte, number uint64, last bool) []byte {
	b := append([]byte("import\n"), id[:]...)
	b = binary.BigEndian.AppendUint64(b, number)
	if last {
		return append(b, 1)
	}
	return append(b, 0)
}

func (w *spoolWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if len(w.piece) == spoolPiece {
			if err := w.flush(false); err != nil {
				return n, err
			}
		}
		took := min(len(p), spoolPiece-len(w.piece))
		w.piece = append(w.piece, p[:took]...)
		p, n = p[took:], n+took
	}
	return n, nil
}

func (w *spoolWriter) flush(last bool) error {
	w.box = w.sealer.AppendSeal(w.box[:0], w.piece, spoolData(w.id, w.number, last))
	w.number++
	w.piece = w.piece[:0]
	w.out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(w.box))))
	_, err := w.out.Write(w.box)
	if err == nil && last {
		err = w.out.Flush()
	}
	return err
}

type spoolReader struct {
	in     *bufio.Reader
	sealer *crypto.Sealer
	id     [16]byte
	number uint64
	rest   []byte
	plain  []byte
	last   bool
}

var errSpool = errors.New("the list that is kept is damaged")

func (r *spoolReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.last {
			return 0, io.EOF
		}
		var size [4]byte
		if _, err := io.ReadFull(r.in, size[:]); err != nil {
			return 0, errSpool
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > spoolPiece+crypto.SealOverhead {
			return 0, errSpool
		}
		box := make([]byte, n)
		if _, err := io.ReadFull(r.in, box); err != nil {
			return 0, errSpool
		}
		_, end := r.in.Peek(1)
		r.last = end == io.EOF
		var err error
		if r.plain, err = r.sealer.AppendOpen(r.plain[:0], box, spoolData(r.id, r.number, r.last)); err != nil {
			return 0, errSpool
		}
		r.rest = r.plain
		r.number++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// spool is a list that is kept.
type spool struct {
	path string
	head spoolHead
	sum  string // SHA-256 of the list, hex; "" of one that was opened again
}

// keep keeps a list.
func (n *Node) keep(head spoolHead, list io.Reader) (s *spool, err error) {
	if err := os.MkdirAll(n.dir.imports(), 0o700); err != nil {
		return nil, err
	}
	// What a crash has left; there is one import at a time.
	if old, err := filepath.Glob(filepath.Join(n.dir.imports(), "list-*")); err == nil {
		for _, path := range old {
			os.Remove(path)
		}
	}
	f, err := os.CreateTemp(n.dir.imports(), "list-*") // 0600
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	w := &spoolWriter{out: bufio.NewWriterSize(f, 1<<20), sealer: n.seal, piece: make([]byte, 0, spoolPiece)}
	rand.Read(w.id[:])
	line, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	w.out.Write(w.id[:])
	w.Write(append(line, '\n'))
	sum := sha256.New()
	if err := n.copyList(w, sum, list); err != nil {
		return nil, err
	}
	if err := w.flush(true); err != nil {
		return nil, err
	}
	return &spool{path: f.Name(), head: head, sum: hex.EncodeToString(sum.Sum(nil))}, f.Sync()
}

// copyList copies a list of at most maxListFile bytes, as long as the disk has room.
func (n *Node) copyList(w io.Writer, sum hash.Hash, list io.Reader) error {
	buffer := make([]byte, 256<<10)
	total, checked := int64(0), int64(-1)
	for {
		if total-checked >= 64<<20 || checked < 0 {
			if err := n.store.RoomFor(64 << 20); err != nil {
				return explainWrite(err)
			}
			checked = total
		}
		k, err := list.Read(buffer)
		if total += int64(k); total > maxListFile {
			return &api.Error{Status: 413, Code: api.CodeTooLarge, Text: fmt.Sprintf("the list is larger than %d bytes", int64(maxListFile))}
		}
		sum.Write(buffer[:k])
		if _, werr := w.Write(buffer[:k]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the list: %w", err)
		}
	}
}

// open reads the head of a kept list; the reader goes on with the list.
func (n *Node) openSpool(path string) (spoolHead, *bufio.Reader, *os.File, error) {
	fail := func(f *os.File, err error) (spoolHead, *bufio.Reader, *os.File, error) {
		if f != nil {
			f.Close()
		}
		return spoolHead{}, nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return fail(nil, err)
	}
	r := &spoolReader{in: bufio.NewReaderSize(f, 1<<20), sealer: n.seal}
	if _, err := io.ReadFull(r.in, r.id[:]); err != nil {
		return fail(f, errSpool)
	}
	in := bufio.NewReaderSize(r, maxSpoolHead)
	line, err := in.ReadSlice('\n')
	if err != nil {
		return fail(f, errSpool)
	}
	head, err := parseSpoolHead(line)
	if err != nil {
		return fail(f, err)
	}
	return head, in, f, nil
}

func parseSpoolHead(line []byte) (head spoolHead, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&head); err != nil {
		return head, errSpool
	}
	return head, nil
}

// heldName is the file of an import that is held.
func heldName(id string) string { return "held-" + id }

func heldID(name string) (id string, ok bool) {
	id, ok = strings.CutPrefix(name, "held-")
	return id, ok && validHeld(id)
}

func validHeld(id string) bool {
	return len(id) == 8 && strings.Trim(id, "0123456789abcdef") == ""
}
