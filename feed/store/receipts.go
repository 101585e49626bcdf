package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// A Receipt is a member's cosignature line: its word that it has stored a log up to a size.
type Receipt struct {
	Size uint64
	Line crypto.Line // of type 0x04; Time tells when
}

// PutReceipt keeps a cosignature line of a member over the checkpoint of a size, for as long as the feed is held. The caller has
// verified it. One that is held already is no error.
func (s *Store) PutReceipt(origin feed.Origin, size uint64, line crypto.Line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.putReceipt(origin, size, line); err != nil {
		return fmt.Errorf("store receipt of %s for %s: %w", line.Name, origin, err)
	}
	return nil
}

func (s *Store) putReceipt(origin feed.Origin, size uint64, line crypto.Line) error {
	if err := s.ready(); err != nil {
		return err
	}
	l, err := s.state(origin)
	if err != nil {
		return err
	}
	text := line.String()
	if len(text) > maxLine {
		return fmt.Errorf("its line has more than %d bytes", maxLine)
	}
	if _, ok := line.Time(); !ok {
		return fmt.Errorf("its line has no time")
	}
	sum := sha256.Sum256([]byte(text))
	k := key{feed: l.feed, log: l.log, kind: kindReceipt, number: size, edition: binary.BigEndian.Uint32(sum[:])}
	for ; ; k.edition++ { // two lines may share 32 bits of a hash
		ok, err := s.has(k)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		old, err := s.get(k, string(origin))
		if err != nil {
			return err
		}
		if string(old) == text {
			return nil
		}
	}
	w := s.newWrite()
	defer w.discard()
	if err := w.put(k, string(origin), []byte(text)); err != nil {
		return err
	}
	return w.commit()
}

// Receipts returns the newest receipt of each member for a log, of the largest size and then the latest time, by key name and id.
func (s *Store) Receipts(origin feed.Origin) ([]Receipt, error) {
	all, err := s.AllReceipts(origin)
	if err != nil {
		return nil, err
	}
	type member struct {
		name string
		id   uint32
	}
	newest := map[member]Receipt{}
	for _, r := range all {
		at := member{r.Line.Name, r.Line.ID}
		old, ok := newest[at]
		then, _ := old.Line.Time()
		now, _ := r.Line.Time()
		if !ok || r.Size > old.Size || r.Size == old.Size && now > then {
			newest[at] = r
		}
	}
	list := make([]Receipt, 0, len(newest))
	for _, r := range newest {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Receipt) int {
		if a.Line.Name != b.Line.Name {
			if a.Line.Name < b.Line.Name {
				return -1
			}
			return 1
		}
		return int(int64(a.Line.ID) - int64(b.Line.ID))
	})
	return list, nil
}

// AllReceipts returns every receipt for a log, by size.
func (s *Store) AllReceipts(origin feed.Origin) ([]Receipt, error) {
	l, err := s.state(origin)
	if err != nil {
		return nil, err
	}
	keys, err := s.keys(key{feed: l.feed, log: l.log, kind: kindReceipt}, upToKind)
	if err != nil {
		return nil, err
	}
	all := make([]Receipt, 0, len(keys))
	for _, k := range keys {
		text, err := s.get(k, string(origin))
		if err != nil {
			return nil, err
		}
		line, err := crypto.ParseLine(string(text))
		if err != nil {
			return nil, fmt.Errorf("receipt of size %d for %s: %w", k.number, origin, err)
		}
		all = append(all, Receipt{k.number, line})
	}
	return all, nil
}

// A Cosigned is what this node has cosigned of a log.
type Cosigned struct {
	Size uint64
	Root feed.Digest
	Time int64 // Unix seconds, as in the cosignature
}

// SetCosigned notes what this node is about to cosign; only after it returned nil may the line leave the house. It refuses a
// smaller size than before, and another root for the same size, in whatever generation: a witness never takes a word back.
func (s *Store) SetCosigned(origin feed.Origin, c Cosigned) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.setCosigned(origin, c); err != nil {
		return fmt.Errorf("note the cosignature of %s at size %d: %w", origin, c.Size, err)
	}
	return nil
}

func (s *Store) setCosigned(origin feed.Origin, c Cosigned) error {
	if err := s.ready(); err != nil {
		return err
	}
	l, err := s.state(origin)
	if err != nil {
		return err
	}
	if c.Size > l.size {
		return fmt.Errorf("only %d records are stored", l.size)
	}
	last, ok, err := s.lastCosigned(l)
	if err != nil {
		return err
	}
	k := key{feed: l.feed, log: l.log, kind: kindCosigned, number: c.Size}
	switch {
	case ok && c.Size < last.Size:
		return fmt.Errorf("size %d was cosigned before", last.Size)
	case ok && c.Size == last.Size && c.Root != last.Root:
		return fmt.Errorf("another root was cosigned before")
	case ok && c.Size == last.Size:
		return nil // the first time stands
	}
	w := s.newWrite()
	defer w.discard()
	if err := w.put(k, string(origin), append(binary.BigEndian.AppendUint64(nil, uint64(c.Time)), c.Root[:]...)); err != nil {
		return err
	}
	return w.commit()
}

// LastCosigned returns the newest that SetCosigned noted.
func (s *Store) LastCosigned(origin feed.Origin) (Cosigned, bool, error) {
	l, err := s.state(origin)
	if err != nil {
		return Cosigned{}, false, err
	}
	return s.lastCosigned(l)
}

func (s *Store) lastCosigned(l *logState) (c Cosigned, ok bool, err error) {
	k, ok, err := s.last(key{feed: l.feed, log: l.log, kind: kindCosigned}, upToKind)
	if err != nil || !ok {
		return c, false, err
	}
	data, err := s.get(k, string(l.origin))
	if err != nil {
		return c, false, err
	}
	if len(data) != 8+len(c.Root) {
		return c, false, fmt.Errorf("%s has %d bytes", k, len(data))
	}
	c = Cosigned{Size: k.number, Time: int64(binary.BigEndian.Uint64(data)), Root: feed.Digest(data[8:])}
	return c, true, nil
}
