package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// Salvage makes a database open again that Open refuses because files of it are damaged or missing, and says what it did, a sentence
// each. Nothing is deleted: what is damaged is renamed to <file>.damaged. What was in it is lost to the database, and only missing: keys are
// written once, so no older value takes its place. Head files and roots then tell which feeds it was of, and Mend, PutPart and peers bring
// it back. A store that opens it leaves alone.
func Salvage(dir string, o Options) (done []string, err error) {
	s, err := Open(dir, o)
	if err == nil {
		return nil, s.Close()
	}
	if errors.Is(err, ErrLocked) || errors.Is(err, ErrNewer) || errors.Is(err, ErrNoSpace) {
		return nil, err
	}
	v := salvaging{s: newStore(dir, o, realDisk{})}
	if err := v.run(); err != nil {
		return v.done, fmt.Errorf("salvage store in %s: %w", dir, err)
	}
	return v.done, nil
}

type salvaging struct {
	s    *Store
	done []string
}

func (v *salvaging) say(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	v.done = append(v.done, text)
	v.s.log.Warn("salvaged", "what", text)
}

func (v *salvaging) run() error {
	dir := v.s.badgerDir()
	if err := mkdir(dir); err != nil {
		return err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	tables, err := v.tables()
	if err != nil {
		return err
	}
	if err := v.manifest(tables); err != nil {
		return err
	}
	if err := v.trial(); err == nil {
		return nil
	}
	// Files that hold nothing of ours, and which Badger makes anew: values are never so large that they go to the value log.
	if err := v.aside("*.vlog", "DISCARD", "KEYREGISTRY"); err != nil {
		return err
	}
	if err := v.trial(); err == nil {
		return nil
	}
	// The write-ahead logs: what they held is lost, and the head files tell of it.
	if err := v.aside("*.mem"); err != nil {
		return err
	}
	return v.trial()
}

// tables sets the tables aside that are damaged, and returns the numbers of the others.
func (v *salvaging) tables() (good []uint64, err error) {
	var checker tableChecker
	err = eachTable(v.s.badgerDir(), func(path string, id uint64) error {
		problem := checker.check(path, id)
		if problem == nil {
			good = append(good, id)
			return nil
		}
		v.say("table %s is damaged, and is called %s.damaged now: %v", filepath.Base(path), filepath.Base(path), problem)
		return v.rename(path)
	})
	slices.Sort(good)
	return good, err
}

// manifest makes MANIFEST list exactly the tables that are here. All go to level 0, where tables may overlap and the newest version of a key
// counts; compaction sorts them.
func (v *salvaging) manifest(tables []uint64) error {
	path := filepath.Join(v.s.badgerDir(), badger.ManifestFilename)
	if v.listed(path, tables) {
		return v.s.disk.removeAll(v.s.manifestPath()) // its record may be what is wrong
	}
	if _, err := os.Stat(path); err == nil {
		if err := v.rename(path); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := v.s.writeFile(path, manifestOf(tables)); err != nil {
		return err
	}
	v.say("MANIFEST is written anew, with the %d tables that are whole", len(tables))
	return v.s.disk.removeAll(v.s.manifestPath())
}

// listed says whether a MANIFEST is whole and lists these tables and no others.
func (v *salvaging) listed(path string, tables []uint64) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	m, whole, err := badger.ReplayManifestFile(f, schema, badgerOptions(v.s.badgerDir(), v.s.log))
	if info, statErr := f.Stat(); err != nil || statErr != nil || info.Size() != whole {
		return false
	}
	for id := range m.Tables {
		if !slices.Contains(tables, id) {
			return false
		}
	}
	return len(m.Tables) == len(tables)
}

// manifestOf is a MANIFEST as Badger writes it (manifest.go, version 8): its magic and ours, and one set of changes, length and CRC-32C
// before it, that creates each table. As protocol buffers leave out what is zero (create, level 0, no key, no compression), only the number
// of the table stands there.
func manifestOf(tables []uint64) []byte {
	var changes []byte
	for _, id := range tables {
		change := binary.AppendUvarint([]byte{0x08}, id)
		changes = append(binary.AppendUvarint(append(changes, 0x0a), uint64(len(change))), change...)
	}
	b := binary.BigEndian.AppendUint16([]byte("Bdgr"), schema)
	b = binary.BigEndian.AppendUint16(b, 8)
	b = binary.BigEndian.AppendUint32(b, uint32(len(changes)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(changes, crc32.MakeTable(crc32.Castagnoli)))
	return append(b, changes...)
}

// trial opens the database and closes it again.
func (v *salvaging) trial() error {
	db, err := openBadger(badgerOptions(v.s.badgerDir(), v.s.log))
	if err != nil {
		return err
	}
	return db.Close()
}

// aside renames the files of these patterns.
func (v *salvaging) aside(patterns ...string) error {
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(v.s.badgerDir(), pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := v.rename(path); err != nil {
				return err
			}
			v.say("%s is called %s.damaged now", filepath.Base(path), filepath.Base(path))
		}
	}
	return nil
}

// rename gives a damaged file another name, one that no earlier one has.
func (v *salvaging) rename(path string) error {
	to := path + ".damaged"
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		to = fmt.Sprintf("%s.damaged-%d", path, n)
	}
	if err := os.Rename(path, to); err != nil {
		return err
	}
	return v.s.disk.syncDir(filepath.Dir(path))
}
