//go:build !unix

package knowngood

import (
	"io"
	"os"
)

// mapping is a file in memory. Where files can't be mapped it is read.
type mapping struct{ data []byte }

func mapFile(f *os.File, size int64) (*mapping, error) {
	data := make([]byte, size)
	_, err := io.ReadFull(io.NewSectionReader(f, 0, size), data)
	return &mapping{data}, err
}

func (m *mapping) close() { m.data = nil }
