package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// Badger numbers its writes. When a byte of its write-ahead log is damaged it drops the rest of the log without a word. Head
// files tell if records are lost; that anything else is (a receipt, an erasure) is told by the number of the newest write, which
// DIR/heads/writes has. It is written after each write, and not synced: a power cut may leave an older number, which tells less, but
// never one of a write that isn't on the disk.
//
//	hashfeed-writes/v1 <number, 20 digits> <the first 16 hex digits of the SHA-256 of what stands before them>

const writesHead = "hashfeed-writes/v1 "

// A writeCount is that file, open.
type writeCount struct{ f *os.File }

func writeCountText(n uint64) []byte {
	b := fmt.Appendf(nil, "%s%020d ", writesHead, n)
	sum := sha256.Sum256(b)
	return fmt.Appendf(b, "%x\n", sum[:8])
}

// openWriteCount opens the file, and makes it if it isn't there. known is false if it didn't say a number, as after a crash or a damage:
// then nothing is known.
func openWriteCount(path string) (c writeCount, n uint64, known bool, err error) {
	data, err := readCapped(path, maxHeadFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, 0, false, err
	}
	if c.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return c, 0, false, err
	}
	_, err = fmt.Sscanf(string(data), writesHead+"%d", &n)
	return c, n, err == nil && bytes.Equal(data, writeCountText(n)), nil
}

func (c writeCount) set(n uint64) error {
	_, err := c.f.WriteAt(writeCountText(n), 0)
	return err
}

// countPath is where the number is.
func (s *Store) countPath() string { return filepath.Join(s.headDir(), "writes") }

// newestWrite is the number of Badger's newest write.
func newestWrite(db *badger.DB) uint64 {
	txn := db.NewTransaction(false)
	defer txn.Discard()
	return txn.ReadTs()
}

// compareWrites finds out at Open whether the database has lost its newest writes.
func (s *Store) compareWrites() error {
	c, promised, known, err := openWriteCount(s.countPath())
	if err != nil {
		return err
	}
	s.writes = c
	if newest := newestWrite(s.db); known && newest < promised {
		s.lost += promised - newest
		s.log.Error("the database has lost its newest writes: what isn't named as damaged were receipts and erasures", "writes", s.lost)
	}
	return s.countWrites()
}

// countWrites notes the number of the newest write.
func (s *Store) countWrites() error { return s.writes.set(newestWrite(s.db)) }

// Lost is how many acknowledged writes Open found missing at the end of the database's log. If no feed is damaged these were receipts,
// which members send again, cursors, which are only behind, and erasures, which are to be done again.
func (s *Store) Lost() uint64 { return s.lost }
