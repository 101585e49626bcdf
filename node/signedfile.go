package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// A signedFile is what a signer remembers of one log: each head that it has put its name to, a line each, written and
// synced before the signature leaves. It lies beside the key and goes where the key goes. In a feed that several must
// sign, nothing else keeps a signer from two heads that can't both be true:
//
//	hashfeed-signed/v1
//	signer eokm.example/known/1+…
//	anchor ca2756a3…
//	1795424400 signed 10 nIR0nDKXNUYh…= 5f0d7c1a9e3b2468
//
// The last word of an entry is the first 8 bytes, in hex, of the SHA-256 of all before it: a changed byte is found. Entries
// that are missing at the end are not: who sets this file back, sets back what the signer knows.
type signedFile struct {
	f     *os.File // locked: two commands with one key take turns
	data  []byte   // as it is on the disk
	words feed.Words
}

// signedEntry is one line.
type signedEntry struct {
	time int64 // Unix seconds
	word feed.Word
}

const signedMagic = "hashfeed-signed/v1\n"

func signedHeader(key crypto.PublicKey, anchor feed.Anchor) string {
	return signedMagic + "signer " + key.String() + "\nanchor " + anchor.String() + "\n"
}

var errSignedFile = errors.New("malformed record of what was signed")

// openSigned opens a signer's record, or begins it. It waits for nobody: another command that has it open is an error.
func openSigned(path string, key crypto.PublicKey, anchor feed.Anchor) (_ *signedFile, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock %s: %w: another command signs with this key", path, err)
	}
	s := &signedFile{f: f}
	if s.data, err = io.ReadAll(io.LimitReader(f, maxSignedFile+1)); err != nil {
		return nil, err
	}
	header := signedHeader(key, anchor)
	// A line that a crash cut off belongs to a signature that never left. Of a header it is all there is.
	whole := s.data[:bytes.LastIndexByte(s.data, '\n')+1]
	if len(whole) < len(header) && strings.HasPrefix(header, string(s.data)) {
		whole = nil
	}
	if len(whole) < len(s.data) {
		if err := f.Truncate(int64(len(whole))); err != nil {
			return nil, err
		}
		s.data = whole
	}
	if len(s.data) == 0 {
		if err := s.write(header); err != nil {
			return nil, err
		}
		return s, syncDir(filepath.Dir(path))
	}
	rest, ok := bytes.CutPrefix(s.data, []byte(header))
	if !ok {
		return nil, fmt.Errorf("read %s: it is the record of another key, or of another feed: it begins otherwise than %q", path, header)
	}
	entries, err := parseSigned(s.data, len(s.data)-len(rest))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for _, e := range entries {
		s.words = append(s.words, e.word)
	}
	return s, nil
}

// Close lets go of the record.
func (s *signedFile) Close() error { return s.f.Close() }

// parseSigned reads the entries of a record from an offset on, which is where a line begins.
func parseSigned(data []byte, at int) ([]signedEntry, error) {
	if len(data) > maxSignedFile {
		return nil, fmt.Errorf("%w: longer than %d bytes", errSignedFile, maxSignedFile)
	}
	var entries []signedEntry
	h := sha256.New()
	h.Write(data[:at])
	for at < len(data) {
		end := bytes.IndexByte(data[at:], '\n')
		if end < 0 {
			return nil, fmt.Errorf("%w: it ends within a line", errSignedFile)
		}
		line := string(data[at : at+end])
		cut := strings.LastIndexByte(line, ' ') + 1
		h.Write([]byte(line[:cut]))
		e, err := parseSignedEntry(line[:cut])
		if err != nil || line[cut:] != hex.EncodeToString(h.Sum(nil)[:8]) {
			return nil, fmt.Errorf("%w: entry %d isn't what was written", errSignedFile, len(entries)+1)
		}
		h.Write([]byte(line[cut:] + "\n"))
		entries = append(entries, e)
		at += end + 1
	}
	return entries, nil
}

// text is an entry without its sum, with the space before that.
func (e signedEntry) text() string {
	return fmt.Sprintf("%d %s %d %s ", e.time, e.word.Kind, e.word.Head.Size, base64.StdEncoding.EncodeToString(e.word.Head.Root[:]))
}

func parseSignedEntry(text string) (e signedEntry, err error) {
	f := strings.Split(text, " ")
	if len(f) != 5 {
		return e, errSignedFile
	}
	if e.time, err = strconv.ParseInt(f[0], 10, 64); err != nil {
		return e, err
	}
	e.word.Kind = feed.WordKind(f[1])
	if e.word.Kind != feed.WordSigned && e.word.Kind != feed.WordNever && e.word.Kind != feed.WordReleased {
		return e, errSignedFile
	}
	if e.word.Head.Size, err = strconv.ParseUint(f[2], 10, 64); err != nil {
		return e, err
	}
	root, err := base64.StdEncoding.DecodeString(f[3])
	if err != nil || len(root) != len(e.word.Head.Root) {
		return e, errSignedFile
	}
	e.word.Head.Root = feed.Digest(root)
	if e.text() != text {
		return e, errSignedFile
	}
	return e, nil
}

// line is an entry as it stands after what the file has.
func (s *signedFile) line(e signedEntry) string {
	h := sha256.New()
	h.Write(s.data)
	h.Write([]byte(e.text()))
	return e.text() + hex.EncodeToString(h.Sum(nil)[:8]) + "\n"
}

// add writes words, durably, one after the other.
func (s *signedFile) add(words feed.Words, now int64) error {
	for _, w := range words {
		if err := s.write(s.line(signedEntry{now, w})); err != nil {
			return fmt.Errorf("remember what is signed: %w", err)
		}
		s.words = append(s.words, w)
	}
	return nil
}

func (s *signedFile) write(text string) error {
	if len(s.data)+len(text) > maxSignedFile {
		return fmt.Errorf("write %s: it would be longer than %d bytes", s.f.Name(), maxSignedFile)
	}
	if _, err := s.f.WriteAt([]byte(text), int64(len(s.data))); err != nil {
		return err
	}
	if err := s.f.Sync(); err != nil {
		return err
	}
	s.data = append(s.data, text...)
	return nil
}

// has says whether the signer has given a word.
func (s *signedFile) has(kind feed.WordKind, head feed.Pledge) bool {
	return slices.Contains(s.words, feed.Word{Kind: kind, Head: head})
}

// asked is what a signer is asked to sign, with what it wants to see of the log before it does.
type asked struct {
	proposal    *feed.PendingBatch
	shown       func(size uint64) (feed.Earlier, error)
	withdrawals []feed.Withdrawal
}

// sign puts a signer's name to a proposal, if that keeps its word, and remembers it first.
func (s *signedFile) sign(signer crypto.Signer, a asked, now int64) (crypto.Line, error) {
	words, err := s.words.Sign(a.proposal, signer.Public(), a.shown, a.withdrawals)
	if err != nil {
		return crypto.Line{}, err
	}
	if err := s.add(words, now); err != nil {
		return crypto.Line{}, err
	}
	return signer.Sign(a.proposal.Text())
}

// withdraw gives a signer's word never to sign a proposal, and remembers it first.
func (s *signedFile) withdraw(signer crypto.Signer, p *feed.PendingBatch, now int64) (crypto.Line, error) {
	words, err := s.words.Withdraw(p)
	if err != nil {
		return crypto.Line{}, err
	}
	if err := s.add(words, now); err != nil {
		return crypto.Line{}, err
	}
	return signer.Sign(p.WithdrawalText())
}
