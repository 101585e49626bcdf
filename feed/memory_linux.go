package feed

import (
	"syscall"
	"unsafe"
)

// hugePage is the size of one on most machines. A heap of millions of items that is new takes the system longer to give in small pages than they
// take to be read.
const hugePage = 2 << 20

// inHugePages asks for huge pages in what is not touched yet of a list, and returns it.
func inHugePages[T any](list []T) []T {
	var zero T
	size := uintptr(len(list)) * unsafe.Sizeof(zero)
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(list)))
	skip := -begin % hugePage // to the first whole one
	if size < skip+hugePage {
		return list
	}
	whole := (size - skip) / hugePage * hugePage
	memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(list))), size)
	syscall.Madvise(memory[skip:skip+whole], syscall.MADV_HUGEPAGE) // advice only
	return list
}
