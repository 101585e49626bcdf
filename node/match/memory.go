package match

import (
	"runtime"
	"unsafe"
)

// memory owns large arrays, outside the Go heap: the garbage collector neither
// reads them nor lets the heap grow to twice their size before it looks for
// something to free, and in huge pages a read at random costs one miss, not two.
// It is given back to the system when the memory's owner is collected; so whoever
// reads an array keeps its owner alive (runtime.KeepAlive), and arrays hold no
// pointers. One writer.
type memory struct {
	regions *[][]byte
}

func newMemory() *memory {
	m := &memory{regions: new([][]byte)}
	runtime.AddCleanup(m, func(regions *[][]byte) {
		for _, r := range *regions {
			unmap(r)
		}
	}, m.regions)
	return m
}

const (
	// smallArray is the size in bytes below which an array is left to the heap.
	smallArray = 256 << 10
	// hugePage is the size from which huge pages are asked for. They are whole:
	// a byte touched in one takes all of it.
	hugePage = 2 << 20
)

// newArray returns n zeros that live as long as m does. T has no pointers.
func newArray[T any](m *memory, n int) []T { return array[T](m, n, true) }

// newSmallPages is newArray in pages of the usual size: what isn't touched takes no
// memory.
func newSmallPages[T any](m *memory, n int) []T { return array[T](m, n, false) }

func array[T any](m *memory, n int, huge bool) []T {
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	if size < smallArray {
		return make([]T, n)
	}
	region := mapped(size, huge && size >= hugePage)
	if region == nil { // the system gives none: the heap ends in the same way, or has some left
		return make([]T, n)
	}
	*m.regions = append(*m.regions, region)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(region))), n)
}
