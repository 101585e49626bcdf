package match

import "sync/atomic"

// A filter tells of most identities that nobody holds that they aren't there, and of none
// that somebody does. It takes a tenth of the lines' memory or less, so that the processor's
// caches keep it where they don't keep the lines: who asks for one value waits for a cache
// and not for memory.
//
// It is a Bloom filter in words: identities that begin to be searched for in lines that
// adjoin share a word, in which each sets two bits. They are set before the entry is
// published, and stay: what was removed passes until the table is made anew. One writer, any
// number of readers.
type filter struct {
	words []atomic.Uint64
	shift uint8 // log2 of the lines of a word
}

// filterCache is how many bytes a filter may have and still be thought to stay in a cache,
// with two lines a word: then one of 18 to 36 identities that aren't there passes. A larger
// one has four lines a word, and one of six to eleven passes. With eight it would be one of
// three, and the second read is what the filter is there to save.
const filterCache = 4 << 20

// newFilter returns one for so many lines, a multiple of four.
func newFilter(m *memory, lines int) filter {
	shift := uint8(1)
	if lines>>1*8 > filterCache {
		shift = 2
	}
	return filter{newArray[atomic.Uint64](m, lines>>shift), shift}
}

// filterBits are the two bits of an identity: of its lowest, of which home takes none.
func (id identity) filterBits() uint64 { return 1<<(id&63) | 1<<(id>>6&63) }

// lacks tells that nobody holds an identity, whose home is that line.
func (f *filter) lacks(id identity, home int) bool {
	b := id.filterBits()
	return f.words[home>>(f.shift&63)].Load()&b != b
}

// add lets an identity pass, whose home is that line.
func (f *filter) add(id identity, home int) {
	w := &f.words[home>>(f.shift&63)]
	w.Store(w.Load() | id.filterBits())
}
