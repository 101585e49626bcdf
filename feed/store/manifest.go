package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// Badger lists its tables in MANIFEST. When that file is gone or cut off, Badger opens without a word and deletes the
// tables that aren't listed: the whole database. So before Badger sees the folder we look at it ourselves.

const manifestHead = "hashfeed-manifest/v1\n"

// manifestRecord is what MANIFEST was when it was last looked at: its length, and the SHA-256 of its bytes. It only ever grows, until Badger
// writes it anew. One that doesn't begin with what it was is an older copy, or was cut off, or Badger wrote it anew just before a crash.
type manifestRecord struct {
	size int64 // 0: never recorded
	sum  [sha256.Size]byte
}

func (r manifestRecord) String() string {
	return fmt.Sprintf("%ssize %d\nsum %x\n", manifestHead, r.size, r.sum)
}

// begins says whether a MANIFEST begins with what was recorded.
func (r manifestRecord) begins(data []byte) bool {
	return int64(len(data)) >= r.size && sha256.Sum256(data[:r.size]) == r.sum
}

// checkManifest refuses a folder that Badger would empty. recorded is what recordManifest wrote, 0 if it never did; known
// says that head files exist, hence that there was a database.
func checkManifest(dir string, recorded manifestRecord, known bool, logger *slog.Logger) error {
	path := filepath.Join(dir, badger.ManifestFilename)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if known || recorded.size > 0 {
			return fmt.Errorf("%w: %s doesn't exist", ErrEmptied, path)
		}
		return fmt.Errorf("there is no store: %w", err)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var start [8]byte // "Bdgr", external magic, version
	if _, err := f.ReadAt(start[:], 0); err != nil {
		return fmt.Errorf("%w: %s: %v", ErrEmptied, path, err)
	}
	if !bytes.Equal(start[:4], []byte("Bdgr")) {
		return fmt.Errorf("%s isn't a MANIFEST of Badger: it is damaged, or not ours", path)
	}
	if magic := binary.BigEndian.Uint16(start[4:]); magic > schema {
		return fmt.Errorf("%w: schema %d, this one knows %d", ErrNewer, magic, schema)
	} else if magic < schema {
		return fmt.Errorf("%s belongs to another program's Badger (magic %d)", path, magic)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxManifest {
		return fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), maxManifest)
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if recorded.size == 0 && !known || recorded.size > 0 && recorded.begins(data) {
		return nil
	}
	// Not what it was: Badger rewrote it, which is well if it is whole and lists every table, or somebody cut it off or put back an older one.
	m, whole, err := badger.ReplayManifestFile(f, schema, badgerOptions(dir, logger))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if whole != info.Size() {
		return fmt.Errorf("%w: %s has %d bytes, it had %d", ErrEmptied, path, info.Size(), recorded.size)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	for _, t := range tables {
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(t), ".sst"), 10, 64)
		if err != nil {
			continue
		}
		if _, ok := m.Tables[id]; !ok {
			return fmt.Errorf("%w: %s isn't the one it was, and doesn't list %s", ErrEmptied, path, filepath.Base(t))
		}
	}
	return nil
}

// readManifestRecord returns the record, a zero one if there is none.
func readManifestRecord(path string) (r manifestRecord, err error) {
	data, err := readCapped(path, maxHeadFile)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	var sum []byte
	if n, err := fmt.Sscanf(string(data), manifestHead+"size %d\nsum %x\n", &r.size, &sum); err == nil && n == 2 && len(sum) == len(r.sum) {
		copy(r.sum[:], sum)
		if r.size >= 0 && r.String() == string(data) {
			return r, nil
		}
	}
	return manifestRecord{}, fmt.Errorf("%w: %s", ErrManifestRecord, path)
}

// recordManifest writes down what MANIFEST is, if that changed. It isn't worth failing a commit for.
func (s *Store) recordManifest() {
	path := filepath.Join(s.badgerDir(), badger.ManifestFilename)
	info, err := os.Stat(path)
	if err == nil && info.Size() == s.manifest.size {
		return
	}
	var data []byte
	if err == nil {
		data, err = readCapped(path, maxManifest)
	}
	r := manifestRecord{int64(len(data)), sha256.Sum256(data)}
	if err == nil {
		err = s.disk.replace(s.manifestPath(), []byte(r.String()))
	}
	if err != nil {
		s.log.Warn("record what the manifest is", "err", err)
		return
	}
	s.manifest = r
}
