package match

import (
	"math/bits"
	"sync"
)

// Masks are the numbers of a given width that have a given number of bits set: what
// to flip in the number of a bitmap's word to reach all at that distance.

const (
	maskBlock    = 512 // masks are used in blocks of at most so many
	maxMaskWidth = 23  // of a chunk of 29 bits
	maxMaskOnes  = 4   // of those that are tabled: 8,855 numbers at most
)

// maskTables()[width][ones] are the masks in ascending order.
var maskTables = sync.OnceValue(func() *[maxMaskWidth + 1][maxMaskOnes + 1][]uint32 {
	var t [maxMaskWidth + 1][maxMaskOnes + 1][]uint32
	for width := range t {
		for ones := range min(width, maxMaskOnes) + 1 {
			mask := uint32(1)<<ones - 1
			for range int(binomial(width, ones)) {
				t[width][ones] = append(t[width][ones], mask)
				mask = nextMask(mask)
			}
		}
	}
	return &t
})

// nextMask returns the next larger number with as many bits set (Gosper); 0 for 0.
func nextMask(x uint32) uint32 {
	low := x & -x
	r := x + low
	return (r^x)>>2>>(bits.TrailingZeros32(low)&31) | r
}

// A maskList gives out masks in blocks.
type maskList struct {
	table []uint32 // what is left, if they are tabled
	next  uint32   // else the next one, below limit
	limit uint32
}

func masksOf(width, ones int) maskList {
	if ones <= maxMaskOnes {
		return maskList{table: maskTables()[width][ones]}
	}
	return maskList{next: 1<<ones - 1, limit: 1 << width}
}

// block returns the next masks, none at the end. They may be in buf.
func (l *maskList) block(buf *[maskBlock]uint32) []uint32 {
	if l.limit == 0 {
		n := min(len(l.table), maskBlock)
		b := l.table[:n]
		l.table = l.table[n:]
		return b
	}
	n := 0
	for ; n < maskBlock && l.next < l.limit; n++ {
		buf[n] = l.next
		l.next = nextMask(l.next)
	}
	return buf[:n]
}
