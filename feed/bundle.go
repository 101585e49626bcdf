package feed

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errBundle = errors.New("malformed bundle")

// AppendBundle appends to dst items in the form of a bundle (C2SP tlog-tiles): each one's length, two bytes big-endian, then the item. Items
// are heads, or bodies, of which an empty one says that there is none. An item of more than 65,535 bytes is an error.
func AppendBundle(dst []byte, items [][]byte) ([]byte, error) {
	for i, item := range items {
		if len(item) > MaxItemBytes {
			return nil, fmt.Errorf("write bundle: item %d has %d bytes, a bundle holds at most %d", i, len(item), MaxItemBytes)
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(item)))
		dst = append(dst, item...)
	}
	return dst, nil
}

// SplitBundle returns the width items, 1 to 256, of a bundle. They share data's memory. Nothing may follow the last one. What is in the
// items is not looked at: a head of 0 bytes is a void head in a valid bundle.
func SplitBundle(data []byte, width int) ([][]byte, error) {
	if width < 1 || width > TileWidth {
		return nil, fmt.Errorf("split bundle: width %d, want 1 to %d", width, TileWidth)
	}
	items := make([][]byte, width)
	for i := range items {
		if len(data) < 2 {
			return nil, fmt.Errorf("split bundle: %w: ends before item %d of %d", errBundle, i, width)
		}
		n := int(binary.BigEndian.Uint16(data))
		data = data[2:]
		if len(data) < n {
			return nil, fmt.Errorf("split bundle: %w: ends within item %d of %d", errBundle, i, width)
		}
		items[i], data = data[:n:n], data[n:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("split bundle: %w: %d bytes after its %d items", errBundle, len(data), width)
	}
	return items, nil
}

// splitPart splits a bundle of width items, or a full one that serves for it (C2SP tlog-tiles: where a partial bundle is gone, the full one
// stands), and returns the first width items.
func splitPart(data []byte, width int) ([][]byte, error) {
	if len(data) > MaxBundle {
		return nil, fmt.Errorf("split bundle: %w: %d bytes", errBundle, len(data))
	}
	items, err := SplitBundle(data, width)
	if err == nil || width == TileWidth {
		return items, err
	}
	if full, fullErr := SplitBundle(data, TileWidth); fullErr == nil {
		return full[:width], nil
	}
	return nil, err
}

// splitTile returns the hashes of a tile of width, of which the full one may serve.
func splitTile(data []byte, width int) ([]Digest, error) {
	if len(data) != width*hashSize && len(data) != TileWidth*hashSize {
		return nil, fmt.Errorf("tile has %d bytes, want %d", len(data), width*hashSize)
	}
	hashes := make([]Digest, width)
	for i := range hashes {
		hashes[i] = Digest(data[i*hashSize:])
	}
	return hashes, nil
}
