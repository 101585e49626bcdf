package feed

import (
	"syscall"
	"unsafe"
)

// hugePage is the size of one on most machines. A heap of millions of items that is new takes the system longer to give in small pages than they
// take to be read.
const hugePage = 2 << 20

// wholePages is the huge pages that a list takes whole.
func wholePages[T any](list []T) []byte {
	var zero T
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), uintptr(len(list))*unsafe.Sizeof(zero))
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(memory))) % hugePage) // to the first one
	if len(memory) < skip+hugePage {
		return nil
	}
	return memory[skip : skip+(len(memory)-skip)/hugePage*hugePage]
}

// inHugePages asks for huge pages in a list that nobody has touched yet, and returns it.
func inHugePages[T any](list []T) []T {
	if pages := wholePages(list); pages != nil {
		syscall.Madvise(pages, syscall.MADV_HUGEPAGE) // advice only
	}
	return list
}

// populate lets the system give what it has not given yet of the huge pages of a list, the last first, while somebody else fills it from the
// beginning: to clear them takes longer than to fill them, and so two processors do.
func populate[T any](list []T) {
	const step, populateWrite = 4 * hugePage, 23 // MADV_POPULATE_WRITE, since Linux 5.14
	for pages := wholePages(list); len(pages) > 0; {
		from := (len(pages) - 1) / step * step
		syscall.Madvise(pages[from:], populateWrite) // else they are given when they are written to
		pages = pages[:from]
	}
}
