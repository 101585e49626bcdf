package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"hashfeed/feed"
)

// A headFile is what a log must at least hold, written after each commit outside of the database that it watches:
//
//	hashfeed-head/v1
//	origin eokm.example/known/1
//	feed 1
//	generation 0
//	size 2048
//	fetched 2100
//	root <base64 of the root of the fetched tree>
//	note <length in bytes>
//	<the newest adopted checkpoint, as it is stored; nothing if there is none>
//	sum <SHA-256 of all bytes before this line, in hex>
//
// The sum is against accidents. Whoever can write the file can make one, but not the signatures of the checkpoint.
type headFile struct {
	Origin     feed.Origin
	Feed       uint32 // number of the feed's life in this store
	Generation uint32
	Size       uint64 // of the newest adopted checkpoint
	Fetched    uint64 // records in the tree whose root is Root; what was fetched may be ahead of Size
	Root       feed.Digest
	Note       []byte // the newest adopted checkpoint; empty: none yet
}

const headFileHead = "hashfeed-head/v1\n"

var errHeadFile = errors.New("malformed head file")

// beyond says whether the file promises more than a log has that is otherwise what it promises, as far as can be seen from here: the log has
// lost its end, as it does when Badger drops the rest of its write-ahead log.
func (h headFile) beyond(l *logState) bool {
	same := h.Origin == l.origin && h.Feed == l.feed && h.Generation == l.generation
	headless := len(h.Note) > 0 && (!l.hasHead || l.head.Size < h.Size)
	return same && (l.size < h.Fetched || l.size == h.Fetched && l.root == h.Root && headless)
}

func (h headFile) bytes() []byte {
	b := append(make([]byte, 0, 512+len(h.Note)), headFileHead...)
	b = fmt.Appendf(b, "origin %s\nfeed %d\ngeneration %d\nsize %d\nfetched %d\nroot %s\nnote %d\n",
		h.Origin, h.Feed, h.Generation, h.Size, h.Fetched, base64.StdEncoding.EncodeToString(h.Root[:]), len(h.Note))
	b = append(b, h.Note...)
	sum := sha256.Sum256(b)
	return fmt.Appendf(b, "sum %x\n", sum)
}

// parseHeadFile reads what bytes wrote and nothing else: a file that would be written in another way is damaged.
func parseHeadFile(data []byte) (headFile, error) {
	bad := func(what string) (headFile, error) {
		return headFile{}, fmt.Errorf("%w: %s", errHeadFile, what)
	}
	if len(data) > maxHeadFile {
		return bad(fmt.Sprintf("more than %d bytes", maxHeadFile))
	}
	const sumLine = len("sum ") + 2*sha256.Size + len("\n")
	if len(data) < len(headFileHead)+sumLine || !bytes.HasPrefix(data, []byte(headFileHead)) {
		return bad("its first line is missing, or it was cut off")
	}
	body, last := data[:len(data)-sumLine], data[len(data)-sumLine:]
	sum := sha256.Sum256(body)
	if want := append(hex.AppendEncode([]byte("sum "), sum[:]), '\n'); !bytes.Equal(last, want) {
		return bad("its sum is wrong: a byte was changed, or it was cut off")
	}
	var h headFile
	rest := body[len(headFileHead):]
	line := func(label string) string {
		text, after, ok := bytes.Cut(rest, []byte("\n"))
		value, ok2 := bytes.CutPrefix(text, []byte(label+" "))
		if !ok || !ok2 {
			return ""
		}
		rest = after
		return string(value)
	}
	var err error
	if h.Origin, err = feed.ParseOrigin(line("origin")); err != nil {
		return bad("origin")
	}
	id, err := strconv.ParseUint(line("feed"), 10, 32)
	if err != nil {
		return bad("feed")
	}
	h.Feed = uint32(id)
	g, err := strconv.ParseUint(line("generation"), 10, 32)
	if err != nil {
		return bad("generation")
	}
	h.Generation = uint32(g)
	if h.Size, err = strconv.ParseUint(line("size"), 10, 64); err != nil || h.Size > feed.MaxSize {
		return bad("size")
	}
	if h.Fetched, err = strconv.ParseUint(line("fetched"), 10, 64); err != nil || h.Fetched > feed.MaxSize || h.Fetched < h.Size {
		return bad("fetched")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(line("root"))
	if err != nil || len(root) != len(h.Root) {
		return bad("root")
	}
	copy(h.Root[:], root)
	n, err := strconv.ParseUint(line("note"), 10, 32)
	if err != nil || n != uint64(len(rest)) || n == 0 && h.Size != 0 {
		return bad("note")
	}
	if n > 0 {
		h.Note = bytes.Clone(rest)
	}
	if !bytes.Equal(h.bytes(), data) {
		return bad("it isn't written as this program writes it")
	}
	return h, nil
}
