//go:build unix

package knowngood

import (
	"os"
	"syscall"
)

// mapping is a file in memory, to be read only.
type mapping struct{ data []byte }

func mapFile(f *os.File, size int64) (*mapping, error) {
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &mapping{data}, nil
}

func (m *mapping) close() { syscall.Munmap(m.data) }
