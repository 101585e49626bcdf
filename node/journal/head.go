package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// head is what the file head says: the newest line that is on disk, and the counts of the hour so far. The file has two places of slotSize bytes
// that are written in turn, so that a torn write leaves the one before. A head never names a line that isn't on disk; it may be a few behind.
type head struct {
	N      uint64 `json:"n"` // which of the two is newer
	Seq    uint64 `json:"seq"`
	Hash   string `json:"hash"` // of that line, hex; 64 zeros before the first
	Counts Counts `json:"counts"`
	MAC    string `json:"mac"`
}

// headFile comes before the lines in the order of names: whoever copies the folder in that order has a head that its lines reach.
const headFile = "head"

// bytes is the head as it is written, MAC included.
func (h head) bytes(key Key) ([]byte, error) {
	h.MAC = ""
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	h.MAC = key.macOf("head", text)
	if text, err = json.Marshal(h); err != nil {
		return nil, err
	}
	if len(text) >= slotSize {
		return nil, fmt.Errorf("head of %d bytes", len(text))
	}
	out := bytes.Repeat([]byte{' '}, slotSize)
	copy(out, text)
	out[slotSize-1] = '\n'
	return out, nil
}

// parseHead reads one place; key nil: the MAC isn't checked.
func parseHead(slot []byte, key *Key) (h head, err error) {
	if len(slot) != slotSize || slot[slotSize-1] != '\n' {
		return h, errors.New("cut off")
	}
	d := json.NewDecoder(bytes.NewReader(slot))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return h, err
	}
	if key == nil {
		return h, nil
	}
	again, err := h.bytes(*key)
	if err != nil || !bytes.Equal(again, slot) {
		return h, errors.New("its MAC isn't the node's")
	}
	return h, nil
}

// readHead reads the newer of the two that are whole; found is false where there is no head file.
func readHead(dir string, key *Key) (h head, found bool, err error) {
	data, err := readCapped(filepath.Join(dir, headFile), 2*slotSize)
	if errors.Is(err, fs.ErrNotExist) {
		return h, false, nil
	}
	if err != nil {
		return h, false, err
	}
	ok := false
	for i := range 2 {
		if slot := data[min(i*slotSize, len(data)):min((i+1)*slotSize, len(data))]; len(slot) > 0 {
			other, slotErr := parseHead(slot, key)
			if slotErr == nil && (!ok || other.N > h.N) {
				h, ok = other, true
			} else if slotErr != nil {
				err = slotErr
			}
		}
	}
	if !ok {
		if err == nil {
			err = errors.New("it is empty")
		}
		return h, true, fmt.Errorf("read %s: %w", headFile, err)
	}
	return h, true, nil
}

// saveHead writes the head; the caller holds writing. durable: it is on disk, too, when this returns.
func (j *Journal) saveHead(h head, durable bool) error {
	j.heads++
	h.N = j.heads
	text, err := h.bytes(j.o.Key)
	if err != nil {
		return err
	}
	if j.headFile == nil {
		if err := os.MkdirAll(j.o.Dir, 0o700); err != nil {
			return err
		}
		if j.headFile, err = os.OpenFile(filepath.Join(j.o.Dir, headFile), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			return err
		}
	}
	if _, err := j.headFile.WriteAt(text, int64(h.N%2)*slotSize); err != nil {
		return err
	}
	if !durable {
		return nil
	}
	return j.headFile.Sync()
}
