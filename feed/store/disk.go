package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/google/renameio/v2"
)

// disk is every call that changes what is on the disk, or asks how full it is. A test puts one in between that fails.
// An error of commit or replace leaves it open whether the change was made.
type disk interface {
	// open opens the database in a folder that is locked and was checked.
	open(dir string, logger *slog.Logger) (*badger.DB, error)
	// commit makes a transaction durable, all of it or nothing.
	commit(txn *badger.Txn) error
	// replace writes a file beside, syncs it and renames it to path.
	replace(path string, data []byte) error
	// syncDir makes renames and removals in a folder durable.
	syncDir(path string) error
	// removeAll removes a file or folder; one that isn't there is no error.
	removeAll(path string) error
	// free is how many bytes of the file system that path is on may still be used.
	free(path string) (uint64, error)
}

// realDisk is the disk.
type realDisk struct{}

func (realDisk) open(dir string, logger *slog.Logger) (*badger.DB, error) {
	return openBadger(badgerOptions(dir, logger))
}

func (realDisk) commit(txn *badger.Txn) error { return txn.Commit() }

func (realDisk) replace(path string, data []byte) error {
	// The temporary file is made in the same folder (renameio would try $TMPDIR): one rename, one folder to sync.
	return renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
}

func (realDisk) syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (realDisk) removeAll(path string) error { return os.RemoveAll(path) }

func (realDisk) free(path string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("ask for the free space of %s: %w", path, err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}

// lockDir takes the lock of the store's folder before anything in it is read, so that what another process is just
// writing isn't taken for damage. The lock ends with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return f, nil
}

// badgerOptions are Badger's. Each line undoes a default that has lost somebody's data or memory.
func badgerOptions(dir string, logger *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(true).                              // a power cut otherwise loses 100,000 acknowledged entries
		WithChecksumVerificationMode(options.OnTableRead). // the default checks nothing; the other modes panic
		WithVerifyValueChecksum(true).
		WithCompression(options.None). // sealed bytes don't compress
		WithBlockCacheSize(0).         // uncompressed blocks are read from the mapped file
		WithIndexCacheSize(32 << 20).
		WithMemTableSize(memTable).
		WithNumMemtables(3).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(16 << 20).
		WithNumCompactors(2).
		WithDetectConflicts(false). // one writer, under the commit lock
		WithMetricsEnabled(false).  // they are global
		WithNumVersionsToKeep(1).
		WithExternalMagic(schema).
		WithLogger(badgerLog{logger})
}

// openBadger opens the database. After an error the handle that Badger returns must not be touched: its Close panics. So does Open, of some
// damaged files; of tables it would in another goroutine, which is why they are looked at first.
func openBadger(o badger.Options) (db *badger.DB, err error) {
	if err := checkTables(o); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("open the database: %v", p)
		}
	}()
	db, err = badger.Open(o)
	if err != nil {
		if strings.Contains(err.Error(), "Another process is using") {
			return nil, ErrLocked
		}
		return nil, err
	}
	return db, nil
}

// badgerLog passes what Badger says to our log: its errors and warnings as such, its talk at Debug.
type badgerLog struct{ *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any)   { l.Error("badger", "says", badgerText(f, a)) }
func (l badgerLog) Warningf(f string, a ...any) { l.Warn("badger", "says", badgerText(f, a)) }
func (l badgerLog) Infof(f string, a ...any)    { l.Debug("badger", "says", badgerText(f, a)) }
func (l badgerLog) Debugf(f string, a ...any)   { l.Debug("badger", "says", badgerText(f, a)) }

func badgerText(f string, a []any) string { return strings.TrimSpace(fmt.Sprintf(f, a...)) }

// readCapped reads a file of at most limit bytes.
func readCapped(path string, limit int64) ([]byte, error) {
	if _, err := sizeCapped(path, limit); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// sizeCapped is the size of a file, which is at most limit bytes.
func sizeCapped(path string, limit int64) (int, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return 0, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it isn't a file of at most %d bytes", limit)}
	}
	return int(info.Size()), nil
}
