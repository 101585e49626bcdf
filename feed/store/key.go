package store

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// A kind says what a value is.
type kind byte

const (
	kindFeed       kind = 'f' // number 0: a feed's name and anchor; 1: it was removed
	kindCharter    kind = 'c' // number: version
	kindSuspension kind = 's' // number: count from 0
	kindRoster     kind = 'r' // number: version
	kindGeneration kind = 'g' // of a log, from 1 on; 0 needs no record
	kindHeads      kind = 'h' // number: bundle
	kindBodies     kind = 'b' // number: bundle
	kindHeadsPart  kind = 'H' // number: index of the first record of the chunk
	kindBodiesPart kind = 'B' // number: same
	kindTile       kind = 't' // level, number: tile; full ones only
	kindCommit     kind = 'm' // number: size after it
	kindCheckpoint kind = 'k' // number: size; edition 0: the first adopted, later: newer stamps, more cosignatures
	kindWitnessed  kind = 'y' // number: size of which a kept checkpoint has cosignatures of named witnesses
	kindEdition    kind = 'e' // level: kind, number, edition: of that bundle an edition above 0 was written
	kindErased     kind = 'x' // number: index of a record whose body was erased
	kindReceipt    kind = 'q' // number: size; edition: from the line
	kindCosigned   kind = 'w' // number: size that this node has cosigned
	kindCursor     kind = 'u' // number: from the name; edition: counts up
)

// A key names a value: everything is fixed-width and big-endian, so that keys sort by feed, log, kind, generation, level,
// number, edition, and a prefix of the fields is a prefix of the bytes.
type key struct {
	feed       uint32 // number of the feed's life in this store, from 1; 0: of no feed
	log        uint16 // 0: of the feed as a whole
	kind       kind
	generation uint32 // of the log
	level      uint8
	number     uint64
	edition    uint32
}

const keySize = 1 + 4 + 2 + 1 + 4 + 1 + 8 + 4

// lengths of prefixes: up to and with the field named.
const (
	upToFeed       = 1 + 4
	upToKind       = upToFeed + 2 + 1
	upToGeneration = upToKind + 4
	upToNumber     = upToGeneration + 1 + 8
)

func (k key) bytes() []byte {
	b := make([]byte, 0, keySize)
	b = append(b, schema)
	b = binary.BigEndian.AppendUint32(b, k.feed)
	b = binary.BigEndian.AppendUint16(b, k.log)
	b = append(b, byte(k.kind))
	b = binary.BigEndian.AppendUint32(b, k.generation)
	b = append(b, k.level)
	b = binary.BigEndian.AppendUint64(b, k.number)
	return binary.BigEndian.AppendUint32(b, k.edition)
}

func parseKey(b []byte) (key, error) {
	if len(b) != keySize || b[0] != schema {
		return key{}, fmt.Errorf("key %x isn't of schema %d", b, schema)
	}
	return key{
		feed:       binary.BigEndian.Uint32(b[1:]),
		log:        binary.BigEndian.Uint16(b[5:]),
		kind:       kind(b[7]),
		generation: binary.BigEndian.Uint32(b[8:]),
		level:      b[12],
		number:     binary.BigEndian.Uint64(b[13:]),
		edition:    binary.BigEndian.Uint32(b[21:]),
	}, nil
}

// associated is the data that a value's seal is bound to: its whole place. Every field but owner is a number or one letter,
// and owner (an origin, a feed's name, or nothing) has no newline, so no two places give the same bytes.
func (k key) associated(owner string) []byte {
	b := make([]byte, 0, len(owner)+64)
	b = append(b, owner...)
	b = append(b, '\n')
	b = strconv.AppendUint(b, uint64(k.feed), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(k.generation), 10)
	b = append(b, '\n', byte(k.kind), '\n')
	b = strconv.AppendUint(b, uint64(k.level), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, k.number, 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(k.edition), 10)
}

func (k key) String() string {
	return fmt.Sprintf("feed %d log %d %c generation %d level %d number %d edition %d",
		k.feed, k.log, k.kind, k.generation, k.level, k.number, k.edition)
}
