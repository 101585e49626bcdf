package match

import "encoding/binary"

// The rows of PDQ values have their bits in another order. Distances are the same in any,
// but the index cuts a value into runs of some 25 bits, and in the order in which PDQ
// writes them a run is one frequency from top to bottom and its neighbours: of pictures of
// a kind the low ones go together, so that some keys are far more common than others, and
// a query of such a picture had up to fifty times as many candidates as another.
//
// The 256 bits are a square, a row for each vertical frequency and a column for each
// horizontal one. Each column is turned by a number of rows of its own, turns[column].
// So a run has bits of all frequencies in both directions. The turns are a Costas array
// (Welch's, of the powers of 3 modulo 17): no two bits in a run stand to each other as
// another two do, whatever pattern the pictures have.

// turns[b] is how many rows column b is turned by: 3^b mod 17, less 1.
var turns = func() (t [16]int) {
	power := 1
	for b := range t {
		t[b] = power - 1
		power = power * 3 % 17
	}
	return t
}()

// turned[k] has the bits of a word, four rows, whose column turns by 2^k rows among others.
var turned = func() (m [4]uint64) {
	for b, turn := range turns {
		for k := range m {
			m[k] |= uint64(turn>>k&1) * 0x0001_0001_0001_0001 << b
		}
	}
	return m
}()

// spread returns a value with its columns turned: bit b of row i is what was bit b of row
// i+turns[b], counted round.
func (v bits256) spread() bits256 {
	m := turned[0]
	v = bits256{
		v[0] ^ (v[0]^(v[0]>>16|v[1]<<48))&m, v[1] ^ (v[1]^(v[1]>>16|v[2]<<48))&m,
		v[2] ^ (v[2]^(v[2]>>16|v[3]<<48))&m, v[3] ^ (v[3]^(v[3]>>16|v[0]<<48))&m,
	}
	m = turned[1]
	v = bits256{
		v[0] ^ (v[0]^(v[0]>>32|v[1]<<32))&m, v[1] ^ (v[1]^(v[1]>>32|v[2]<<32))&m,
		v[2] ^ (v[2]^(v[2]>>32|v[3]<<32))&m, v[3] ^ (v[3]^(v[3]>>32|v[0]<<32))&m,
	}
	m = turned[2]
	v = bits256{v[0] ^ (v[0]^v[1])&m, v[1] ^ (v[1]^v[2])&m, v[2] ^ (v[2]^v[3])&m, v[3] ^ (v[3]^v[0])&m}
	m = turned[3]
	return bits256{v[0] ^ (v[0]^v[2])&m, v[1] ^ (v[1]^v[3])&m, v[2] ^ (v[2]^v[0])&m, v[3] ^ (v[3]^v[1])&m}
}

// stored returns a value as the rows have it, in buf if that isn't as it came.
func (t *table) stored(value []byte, buf *[32]byte) []byte {
	if !t.alg.near() {
		return value
	}
	for i, w := range load256(value).spread() {
		binary.LittleEndian.PutUint64(buf[8*i:], w)
	}
	return buf[:]
}
