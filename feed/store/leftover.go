package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// What a failed call to the disk leaves of Badger's files can keep Badger from ever opening them again, though nothing is lost: an
// empty log, where one was made or removed by halves, and a table that MANIFEST lists and that isn't there, where MANIFEST was written
// but not synced (Badger then removes the table, and writes its contents out as another).

// clearEmpty removes logs of Badger's that are empty.
func clearEmpty(dir string, d disk) error {
	for _, kind := range []string{"*.mem", "*.vlog"} {
		logs, err := filepath.Glob(filepath.Join(dir, kind))
		if err != nil {
			return err
		}
		for _, path := range logs {
			if info, err := os.Stat(path); err != nil {
				return err
			} else if info.Size() > 0 {
				continue
			}
			if err := d.removeAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// missingTables are those that MANIFEST lists and that aren't there.
func missingTables(o badger.Options) (missing []uint64, err error) {
	tables, err := listedTables(o)
	if err != nil {
		return nil, err
	}
	for _, id := range tables {
		if _, err := os.Stat(tablePath(o.Dir, id)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, id)
		} else if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// clearLeftovers makes the database's folder one that Badger opens, if nothing is lost by it. Tables that are missing are taken off MANIFEST
// only if a copy without them turns out whole: who is still copying a directory must not have the rest of it deleted. Receipts and erasures
// that were in them aren't found missing so: Lost tells.
func (s *Store) clearLeftovers(o Options) error {
	if err := clearEmpty(s.badgerDir(), s.disk); err != nil {
		return err
	}
	missing, err := missingTables(badgerOptions(s.badgerDir(), s.log))
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := s.tryWithout(missing, o); err != nil {
		return fmt.Errorf("%w: MANIFEST lists %s, which doesn't exist, and without it: %w", ErrTable, tablePath(s.badgerDir(), missing[0]), err)
	}
	s.log.Error("MANIFEST listed tables that don't exist; the store is whole without them", "tables", missing)
	s.lost = uint64(len(missing))
	return unlist(filepath.Join(s.badgerDir(), badger.ManifestFilename), missing)
}

// tryWithout opens a copy of the store without some tables, and wants it to be whole.
func (s *Store) tryWithout(missing []uint64, o Options) (err error) {
	trial := filepath.Join(s.dir, ".trial") // beside, for the links; a crash may have left one
	if err := errors.Join(os.RemoveAll(trial), os.Mkdir(trial, 0o700)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(trial)) }()
	for _, dir := range []string{s.headDir(), s.noteDir()} {
		if err := os.CopyFS(filepath.Join(trial, filepath.Base(dir)), os.DirFS(dir)); err != nil {
			return err
		}
	}
	into := filepath.Join(trial, filepath.Base(s.badgerDir()))
	if err := os.Mkdir(into, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.badgerDir())
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(s.badgerDir(), e.Name()), filepath.Join(into, e.Name())
		if filepath.Ext(from) == ".sst" { // these are never written to
			err = os.Link(from, to)
		} else {
			err = copyFile(from, to)
		}
		if err != nil {
			return err
		}
	}
	if err := unlist(filepath.Join(into, badger.ManifestFilename), missing); err != nil {
		return err
	}
	o.Registerer = nil
	c, err := Open(trial, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var first error
	err = c.Fsck(context.Background(), func(f Finding) {
		if first == nil {
			first = errors.New(f.String())
		}
	})
	return errors.Join(first, err)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// unlist adds to a MANIFEST that tables are gone: length, CRC-32C, and a protobuf message of changes {1: {1: number, 2: 1, "deleted"}}.
func unlist(path string, tables []uint64) error {
	var changes []byte
	for _, id := range tables {
		change := append(binary.AppendUvarint([]byte{1 << 3}, id), 2<<3, 1)
		changes = append(append(changes, 1<<3|2, byte(len(change))), change...)
	}
	record := binary.BigEndian.AppendUint32(nil, uint32(len(changes)))
	record = binary.BigEndian.AppendUint32(record, crc32.Checksum(changes, crc32.MakeTable(crc32.Castagnoli)))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(append(record, changes...))
	return errors.Join(err, f.Sync(), f.Close())
}
