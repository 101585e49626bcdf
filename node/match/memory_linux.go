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

func unmap(b []byte) { syscall.Munmap(b) }
