package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	sst "github.com/dgraph-io/badger/v4/table"
)

// Badger checks the sums of its tables when it opens, but reads their indexes before, and dies of some that are damaged: it panics in a
// goroutine of its own, where nobody can catch it. So we read them first.

// eachTable calls do with each table of a database.
func eachTable(dir string, do func(path string, id uint64) error) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if id, ok := sst.ParseFileID(path); ok {
			if err := do(path, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// listedTables are the numbers of the tables that MANIFEST lists; none if there is no MANIFEST: a new database. What it doesn't list a
// crash has left, and Badger deletes it.
func listedTables(o badger.Options) ([]uint64, error) {
	f, err := os.Open(filepath.Join(o.Dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, schema, o)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return slices.Sorted(maps.Keys(m.Tables)), nil
}

// tablePath is where Badger has a table.
func tablePath(dir string, id uint64) string { return sst.NewFilename(id, dir) }

// checkTables is an error of ErrTable if a table is damaged that MANIFEST lists.
func checkTables(o badger.Options) error {
	tables, err := listedTables(o)
	if err != nil {
		return err
	}
	var checker tableChecker
	for _, id := range tables {
		path := tablePath(o.Dir, id)
		if err := checker.check(path, id); err != nil {
			return fmt.Errorf("%w: %s: %v", ErrTable, path, err)
		}
	}
	return nil
}

// tableChecker reads one table after the other into the same memory: gigabytes of new memory take longer than to read them.
type tableChecker struct{ data []byte }

// check compares all sums in a table.
func (c *tableChecker) check(path string, id uint64) (err error) {
	size, err := sizeCapped(path, maxTable)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c.data = slices.Grow(c.data[:0], size)[:size]
	if _, err := io.ReadFull(f, c.data); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its index can't be read")
		}
	}()
	t, err := sst.OpenInMemoryTable(c.data, id, &sst.Options{ChkMode: options.OnTableRead})
	if err != nil {
		return err
	}
	return t.VerifyChecksum()
}
