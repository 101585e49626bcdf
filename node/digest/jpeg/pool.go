package jpeg

import (
	"sync"
	"unsafe"
)

// decoders holds decoders that were used, with their tables and windows.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

// A buffer is memory for a picture that goes back to its pool.
type buffer[T any] struct {
	v    []T
	pool *sync.Pool
}

var (
	planes       sync.Pool // of *buffer[byte]
	coefficients sync.Pool // of *buffer[[64]int16]
	masks        sync.Pool // of *buffer[uint64]
)

// zeros returns a buffer of n zeros.
func zeros[T any](pool *sync.Pool, n int) *buffer[T] {
	b, _ := pool.Get().(*buffer[T])
	if b == nil {
		b = &buffer[T]{pool: pool}
	}
	if cap(b.v) < n {
		b.v = make([]T, n)
		return b
	}
	b.v = b.v[:n]
	clear(b.v)
	return b
}

// free gives b back unless it is too large to wait. A nil b is none.
func (b *buffer[T]) free() {
	if b == nil {
		return
	}
	var of T
	if cap(b.v)*int(unsafe.Sizeof(of)) <= pooledBytes {
		b.pool.Put(b)
	}
}
