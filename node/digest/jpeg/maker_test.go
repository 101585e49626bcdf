package jpeg

import (
	"fmt"
	"math/rand/v2"
)

// A shape is how a JPEG is laid out. maker writes files of any shape, with random
// coefficients: what an encoder of pictures would do with them doesn't matter here.
type shape struct {
	width, height int
	factors       []byte // sampling factors of the components, as in the frame header
	progressive   bool
	apart         bool // each component in scans of its own
	interval      int
}

func (s shape) String() string {
	return fmt.Sprintf("%d×%d factors %x progressive %v apart %v interval %d", s.width, s.height, s.factors, s.progressive, s.apart, s.interval)
}

// A maker writes the file of a shape.
type maker struct {
	shape
	rng    *rand.Rand
	out    []byte
	acc    uint32
	n      int
	blocks [][][64]int // of each component, with those that pad the last MCUs
}

// make returns a file of shape s, the same for the same seed.
func makeFile(s shape, seed uint64) []byte {
	m := &maker{shape: s, rng: rand.New(rand.NewPCG(seed, seed))}
	m.out = append(m.out, 0xff, startOfImage)
	m.segment(app0, []byte("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"))
	for id := range byte(2) {
		q := []byte{id}
		for range 64 {
			q = append(q, byte(1+m.rng.IntN(9)))
		}
		m.segment(defineQuantizer, q)
	}
	frame := []byte{8, byte(s.height >> 8), byte(s.height), byte(s.width >> 8), byte(s.width), byte(len(s.factors))}
	for i, f := range s.factors {
		frame = append(frame, byte(i+1), f, byte(min(i, 1)))
	}
	kind := byte(startExtended) // which may use any table
	if s.progressive {
		kind = startProgressive
	}
	m.segment(kind, frame)
	for class := range byte(2) {
		counts, values := makerCodes()
		m.segment(defineHuffman, append(append([]byte{class << 4}, counts[:]...), values...))
	}
	if s.interval > 0 {
		m.segment(defineRestart, []byte{byte(s.interval >> 8), byte(s.interval)})
	}
	for i := range s.factors {
		w, h := m.size(i)
		m.blocks = append(m.blocks, make([][64]int, w*h))
		for j := range m.blocks[i] {
			b := &m.blocks[i][j]
			b[0] = m.rng.IntN(400) - 200
			for range m.rng.IntN(1 + m.rng.IntN(20)) {
				b[1+m.rng.IntN(1+m.rng.IntN(63))] = m.rng.IntN(9) - 4
			}
			if m.rng.IntN(10) == 0 {
				b[1+m.rng.IntN(63)] = m.rng.IntN(240) - 120
			}
		}
	}
	all := make([]int, len(s.factors))
	for i := range all {
		all[i] = i
	}
	switch {
	case s.progressive:
		m.scans(all, s.apart, 0, 0, 0, 1)
		for i := range all {
			m.scan([]int{i}, 1, 5, 0, 2)
			m.scan([]int{i}, 6, 63, 0, 2)
			m.scan([]int{i}, 1, 63, 2, 1)
		}
		m.scans(all, s.apart, 0, 0, 1, 0)
		for i := range all {
			m.scan([]int{i}, 1, 63, 1, 0)
		}
	default:
		m.scans(all, s.apart, 0, 63, 0, 0)
	}
	return append(m.out, 0xff, endOfImage)
}

// makerCodes returns a table that has a code for each byte: a few short ones, and others
// of the lengths around lookBits, and of 16 bits.
func makerCodes() (counts [16]byte, values []byte) {
	for i := range 8 {
		counts[1+i] = 1 // lengths 2 to 9
	}
	counts[9], counts[10], counts[11], counts[15] = 40, 60, 48, 100
	values = []byte{0x01, 0x00, 0x02, 0x11, 0x03, 0x21, 0xf0, 0x05}
	for v := range 256 {
		used := false
		for _, u := range values[:8] {
			used = used || int(u) == v
		}
		if !used {
			values = append(values, byte(v))
		}
	}
	return counts, values
}

var makerCode, makerLength = func() (code [256]uint32, length [256]int) {
	counts, values := makerCodes()
	c := uint32(0)
	for i, n := range counts {
		c <<= 1
		for range n {
			code[values[0]], length[values[0]] = c, i+1
			values = values[1:]
			c++
		}
	}
	return code, length
}()

func (m *maker) segment(marker byte, body []byte) {
	n := len(body) + 2
	m.out = append(append(m.out, 0xff, marker, byte(n>>8), byte(n)), body...)
}

func (m *maker) mcus() (across, down, h, v int) {
	h, v = int(m.factors[0]>>4), int(m.factors[0]&0xf)
	if len(m.factors) == 1 {
		h, v = 1, 1
	}
	return (m.width + 8*h - 1) / (8 * h), (m.height + 8*v - 1) / (8 * v), h, v
}

// size returns how many blocks component i has across and down.
func (m *maker) size(i int) (w, h int) {
	across, down, h0, v0 := m.mcus()
	if i == 0 {
		return across * h0, down * v0
	}
	return across * int(m.factors[i]>>4), down * int(m.factors[i]&0xf)
}

func (m *maker) scans(components []int, apart bool, first, last, high, low int) {
	if !apart {
		m.scan(components, first, last, high, low)
		return
	}
	for _, i := range components {
		m.scan([]int{i}, first, last, high, low)
	}
}

// scan writes a scan of some components.
func (m *maker) scan(components []int, first, last, high, low int) {
	head := []byte{byte(len(components))}
	for _, i := range components {
		head = append(head, byte(i+1), 0)
	}
	m.segment(startOfScan, append(head, byte(first), byte(last), byte(high<<4|low)))
	e := &scanMaker{maker: m, first: first, last: last, high: high, low: low, before: make([]int, len(m.factors))}
	across, down, h0, v0 := m.mcus()
	units := across * down
	var unit func(i int)
	if len(components) == 1 {
		c := components[0]
		w, _ := m.size(c)
		fh, fv := w/across, 0
		_, h := m.size(c)
		fv = h / down
		// The blocks that the picture has, without those that only pad it.
		cols := (m.width*fh + 8*h0 - 1) / (8 * h0)
		rows := (m.height*fv + 8*v0 - 1) / (8 * v0)
		units = cols * rows
		unit = func(i int) { e.block(c, i/cols*w+i%cols) }
	} else {
		unit = func(i int) {
			for _, c := range components {
				w, h := m.size(c)
				fh, fv := w/across, h/down
				for y := range fv {
					for x := range fh {
						e.block(c, (i/across*fv+y)*w+i%across*fh+x)
					}
				}
			}
		}
	}
	for i := range units {
		if m.interval > 0 && i > 0 && i%m.interval == 0 {
			e.endRun()
			m.flush()
			m.out = append(m.out, 0xff, byte(restart0+(i/m.interval-1)%8))
			clear(e.before)
		}
		unit(i)
	}
	e.endRun()
	m.flush()
}

func (m *maker) bits(v uint32, n int) {
	for n--; n >= 0; n-- {
		m.acc = m.acc<<1 | v>>n&1
		if m.n++; m.n == 8 {
			m.out = append(m.out, byte(m.acc))
			if byte(m.acc) == 0xff {
				m.out = append(m.out, 0)
			}
			m.acc, m.n = 0, 0
		}
	}
}

// flush fills the last byte with ones.
func (m *maker) flush() {
	for m.n != 0 {
		m.bits(1, 1)
	}
}

func (m *maker) symbol(v byte) { m.bits(makerCode[v], makerLength[v]) }

// value writes a symbol of so many zeros and a value, and the value.
func (m *maker) value(zeros, v int) {
	size, bits := 0, v
	for u := max(v, -v); u > 0; u >>= 1 {
		size++
	}
	if v < 0 {
		bits += 1<<size - 1
	}
	m.symbol(byte(zeros<<4 | size))
	m.bits(uint32(bits), size)
}

// A scanMaker writes the blocks of a scan.
type scanMaker struct {
	*maker
	first, last, high, low int
	before                 []int
	run                    int      // blocks that ended, unwritten
	pending                []uint32 // bits that refine coefficients of those blocks
}

// endRun writes the run of ended blocks.
func (e *scanMaker) endRun() {
	if e.run > 0 {
		size := 0
		for e.run>>(size+1) > 0 {
			size++
		}
		e.symbol(byte(size << 4))
		e.bits(uint32(e.run)&(1<<size-1), size)
		e.run = 0
	}
	for _, b := range e.pending {
		e.bits(b, 1)
	}
	e.pending = nil
}

// shift is how AC coefficients lose their low bits: towards 0.
func shift(v, low int) int {
	if v < 0 {
		return -(-v >> low)
	}
	return v >> low
}

// block writes a block's part of the scan.
func (e *scanMaker) block(component, i int) {
	b := &e.blocks[component][i]
	first := e.first
	if first == 0 {
		if e.high > 0 {
			e.bits(uint32(b[0]>>e.low)&1, 1)
			return
		}
		v := b[0] >> e.low
		e.value(0, v-e.before[component])
		e.before[component] = v
		first = 1
	}
	if e.last == 0 {
		return
	}
	end := 0 // behind the last coefficient that is new
	for k := first; k <= e.last; k++ {
		v := shift(b[k], e.low)
		if v != 0 && (e.high == 0 || v == 1 || v == -1) {
			end = k + 1
		}
	}
	zeros := 0
	var refined []uint32
	for k := first; k < end; k++ {
		v := shift(b[k], e.low)
		if e.high > 0 && (v > 1 || v < -1) {
			refined = append(refined, uint32(max(v, -v))&1)
			continue
		}
		if v == 0 {
			if zeros++; zeros == 16 {
				e.endRun()
				e.symbol(0xf0)
				for _, r := range refined {
					e.bits(r, 1)
				}
				zeros, refined = 0, nil
			}
			continue
		}
		e.endRun()
		if e.high == 0 {
			e.value(zeros, v)
		} else {
			e.symbol(byte(zeros<<4 | 1))
			e.bits(uint32(v+1)/2, 1)
			for _, r := range refined {
				e.bits(r, 1)
			}
		}
		zeros, refined = 0, nil
	}
	if end > e.last {
		return
	}
	// Refining bits behind the last new coefficient belong to the end of the block.
	for k := max(end, first); k <= e.last; k++ {
		if v := shift(b[k], e.low); e.high > 0 && (v > 1 || v < -1) {
			refined = append(refined, uint32(max(v, -v))&1)
		}
	}
	if !e.progressive {
		e.symbol(0)
		return
	}
	e.run++
	e.pending = append(e.pending, refined...)
	if e.run == 0x7fff || len(e.pending) > 900 {
		e.endRun()
	}
}
