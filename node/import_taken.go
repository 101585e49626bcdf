package node

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"hashfeed/feed"
)

// What a person has retracted, no import lists again; what an import has retracted, because its list no longer had it, comes back when the list has
// it again. Which is which stands in a file of 16 bytes an item: log and index of its add, and a keyed sum of them, so that a changed byte makes the
// item a person's. It is written after the retraction is signed: what a crash leaves out is taken for a person's too, and so is what several have
// approved.

const takenSize = 16

func (n *Node) takenEntry(name feed.Name, p feed.Position) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.Log)<<40|p.Index)
	mac := hmac.New(sha256.New, n.listKey[:])
	fmt.Fprintf(mac, "taken\n%s\n", name)
	mac.Write(b)
	return append(b, mac.Sum(nil)[:takenSize-8]...)
}

// noteTaken notes that an import has retracted items.
func (n *Node) noteTaken(name feed.Name, items []*feed.Item) error {
	if len(items) == 0 {
		return nil
	}
	f, err := os.OpenFile(n.dir.taken(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	var b []byte
	if info, err := f.Stat(); err == nil && info.Size()%takenSize != 0 { // a crash has cut an entry off
		b = make([]byte, takenSize-info.Size()%takenSize)
	}
	for _, it := range items {
		b = append(b, n.takenEntry(name, it.First())...)
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// readTaken returns the adds of the items that imports have retracted.
func (n *Node) readTaken(name feed.Name) (map[feed.Position]bool, error) {
	data, err := readSmall(n.dir.taken(name), maxTakenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	taken := make(map[feed.Position]bool, len(data)/takenSize)
	for ; len(data) >= takenSize; data = data[takenSize:] {
		at := binary.BigEndian.Uint64(data)
		p := feed.Position{Log: int(at >> 40), Index: at & (1<<40 - 1)}
		if hmac.Equal(n.takenEntry(name, p), data[:takenSize]) {
			taken[p] = true
		}
	}
	return taken, nil
}
