package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"hashfeed/feed"
)

// view runs f on a snapshot of the database, unless the store is closed. Closing waits for it: Badger's tables are mapped
// memory, and reading them after they were unmapped kills the process.
func (s *Store) view(f func(txn *badger.Txn) error) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return ErrClosed
	}
	return s.db.View(f)
}

// get reads and opens a value. owner is the text that its seal is bound to besides the key: the origin of a log, the name
// of a feed, or nothing. A value that isn't there is badger.ErrKeyNotFound.
func (s *Store) get(k key, owner string) (plain []byte, err error) {
	err = s.view(func(txn *badger.Txn) error {
		item, err := txn.Get(k.bytes())
		if err != nil {
			return err
		}
		return item.Value(func(sealed []byte) error {
			plain, err = s.sealer.AppendOpen(nil, sealed, k.associated(owner))
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k, err)
	}
	return plain, nil
}

// has says whether there is a value.
func (s *Store) has(k key) (bool, error) {
	err := s.view(func(txn *badger.Txn) error {
		_, err := txn.Get(k.bytes())
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

// items reads a bundle or a chunk, of as many items as it has.
func (s *Store) items(k key, origin feed.Origin) ([][]byte, error) {
	data, err := s.get(k, string(origin))
	if err != nil {
		return nil, err
	}
	n := 0
	for rest := data; len(rest) >= 2; n++ {
		size := 2 + int(rest[0])<<8 + int(rest[1])
		rest = rest[min(size, len(rest)):]
	}
	items, err := feed.SplitBundle(data, n)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", k, err)
	}
	return items, nil
}

// scan calls f with each key, from `from` on, that shares its first n bytes, until f returns false. Values aren't read.
func (s *Store) scan(from key, n int, f func(key) bool) error {
	return s.view(func(txn *badger.Txn) error {
		start := from.bytes()
		it := txn.NewIterator(badger.IteratorOptions{Prefix: start[:n]})
		defer it.Close()
		for it.Seek(start); it.Valid(); it.Next() {
			k, err := parseKey(it.Item().Key())
			if err != nil {
				return err
			}
			if !f(k) {
				return nil
			}
		}
		return nil
	})
}

// keys returns what scan finds.
func (s *Store) keys(from key, n int) (found []key, err error) {
	err = s.scan(from, n, func(k key) bool {
		found = append(found, k)
		return true
	})
	return found, err
}

// first returns the first key, from `from` on, that shares its first n bytes.
func (s *Store) first(from key, n int) (found key, ok bool, err error) {
	err = s.scan(from, n, func(k key) bool {
		found, ok = k, true
		return false
	})
	return found, ok, err
}

// last returns the greatest key that shares k's first n bytes.
func (s *Store) last(k key, n int) (found key, ok bool, err error) {
	err = s.view(func(txn *badger.Txn) error {
		prefix := k.bytes()[:n]
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true})
		defer it.Close()
		it.Seek(append(bytes.Clone(prefix), bytes.Repeat([]byte{0xff}, keySize-n+1)...))
		if !it.Valid() {
			return nil
		}
		found, err = parseKey(it.Item().Key())
		ok = err == nil
		return err
	})
	return found, ok, err
}

// A write is one transaction being filled. Only the holder of the commit lock makes one, and must end it with commit or
// discard.
type write struct {
	s     *Store
	txn   *badger.Txn
	bytes uint64
	puts  []func() // what a test wants to see, when it is durable
}

func (s *Store) newWrite() *write { return &write{s: s, txn: s.db.NewTransaction(true)} }

// put seals a value under a key that must be new.
func (w *write) put(k key, owner string, plain []byte) error {
	sealed := w.s.sealer.AppendSeal(nil, plain, k.associated(owner))
	if err := w.txn.Set(k.bytes(), sealed); err != nil {
		return err
	}
	w.bytes += uint64(keySize + len(sealed))
	if w.s.onPut != nil {
		w.puts = append(w.puts, func() { w.s.onPut(k, plain) })
	}
	return nil
}

// delete drops a value that another has replaced. Nothing relies on its being gone.
func (w *write) delete(k key) error { return w.txn.Delete(k.bytes()) }

func (w *write) discard() { w.txn.Discard() }

// commit makes the transaction durable. After an error nobody knows whether it was, so the store stops writing.
func (w *write) commit() error {
	if err := w.s.roomFor(w.bytes); err != nil {
		w.discard()
		return err
	}
	if err := w.s.disk.commit(w.txn); err != nil {
		return w.s.unwell(fmt.Errorf("write to Badger: %w", err))
	}
	if w.bytes > 0 { // what only deletes may vanish altogether when Badger compacts
		if err := w.s.countWrites(); err != nil {
			return w.s.unwell(err)
		}
	}
	for _, seen := range w.puts {
		seen()
	}
	w.s.metrics.bytes.Add(float64(w.bytes))
	return nil
}

// roomFor refuses to write n bytes if that, and what Badger will write for them in turn (log, table), went below the reserve.
func (s *Store) roomFor(n uint64) error {
	if s.reserve < 0 {
		return nil
	}
	free, err := s.free(s.dir)
	if err != nil {
		return err
	}
	if want := uint64(s.reserve) + 2*n; free < want {
		return fmt.Errorf("%w: %s has %d bytes free, writing needs %d", ErrNoSpace, s.dir, free, want)
	}
	return nil
}

// FreeSpace is how many bytes of the store's file system may still be used, the reserve included.
func (s *Store) FreeSpace() (uint64, error) { return s.free(s.dir) }

// RoomFor is ErrNoSpace where n more bytes, of a file beside the database, went below the reserve.
func (s *Store) RoomFor(n uint64) error { return s.roomFor((n + 1) / 2) }

// Room is ErrNoSpace while a write would be refused because the disk is nearly full; reading goes on, and writing does when there is room.
func (s *Store) Room() error { return s.roomFor(1) }

// newestEdition is the highest edition of a bundle, 0 if it was written once.
func (s *Store) newestEdition(k key) uint32 {
	k.edition = 0
	if e, ok := s.editions.Load(k); ok {
		return e.(uint32)
	}
	return 0
}

// putEdition writes a bundle under its next edition and says so. The caller calls the returned func when the transaction
// is durable.
func (w *write) putEdition(k key, owner string, plain []byte) (done func(), err error) {
	if err := w.put(k, owner, plain); err != nil {
		return nil, err
	}
	note := k
	note.kind, note.level = kindEdition, byte(k.kind)
	if err := w.put(note, owner, nil); err != nil {
		return nil, err
	}
	at := k
	at.edition = 0
	return func() { w.s.editions.Store(at, k.edition) }, nil
}

// loadEditions finds the bundles of a log that were written more than once.
func (s *Store) loadEditions(id uint32, log uint16) error {
	notes, err := s.keys(key{feed: id, log: log, kind: kindEdition}, upToKind)
	if err != nil {
		return err
	}
	for _, at := range notes {
		edition := at.edition
		at.kind, at.level, at.edition = kind(at.level), 0, 0
		if edition > s.newestEdition(at) {
			s.editions.Store(at, edition)
		}
	}
	return nil
}
