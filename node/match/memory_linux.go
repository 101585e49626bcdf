package match

import "syscall"

// mapped returns size zero bytes of anonymous memory, in huge pages if they are
// wanted and the system has them; nil if there is none.
func mapped(size int, huge bool) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	if huge {
		syscall.Madvise(b, syscall.MADV_HUGEPAGE) // advice only
	}
	return b
}

// populate lets the system give the memory that a mapping has not been given yet, the end
// first, while somebody else fills it from the beginning: to clear it takes longer than to
// fill it, and so two processors do.
func populate(b []byte) {
	const step, populateWrite = 8 << 20, 23 // MADV_POPULATE_WRITE, since Linux 5.14
	for len(b) > 0 {
		from := (len(b) - 1) / step * step
		syscall.Madvise(b[from:], populateWrite) // else it is given when it is written to
		b = b[:from]
	}
}

func unmap(b []byte) { syscall.Munmap(b) }
