package jpeg

import "encoding/binary"

// The constants of Loeffler, Ligtenberg and Moschytz ("Practical fast 1-D DCT
// algorithms with 11 multiplications", 1989) in 13 bits behind the point, as libjpeg rounds
// them: cosines and sines of multiples of π/16 and their sums.
const (
	scaleBits = 13
	keptBits  = 2 // what the first pass keeps behind the point for the second

	c0_298 = 2446
	c0_390 = 3196
	c0_541 = 4433
	c0_765 = 6270
	c0_899 = 7373
	c1_175 = 9633
	c1_501 = 12299
	c1_847 = 15137
	c1_961 = 16069
	c2_053 = 16819
	c2_562 = 20995
	c3_072 = 25172
)

// A pair is two numbers that are calculated with at once, as one integer of 64 bits: the
// first plus 2³² times the second. Sums of pairs, and products of a pair with a number, are
// those of both as long as each fits in 32 bits. Only to round, they must be taken apart.
type pair int64

func (p pair) split() (first, second int) {
	low := pair(int32(p))
	return int(low), int(p-low) >> 32
}

func pairOf(first, second int) pair { return pair(first) + pair(second)<<32 }

const both = 1 + 1<<32 // times a number is the pair of it twice

// steps returns what the coefficients of luma are to be multiplied by, in zigzag order: the
// quantizer, as the half of a pair where the coefficient belongs.
func (d *decoder) steps() (steps [64]pair) {
	for i, q := range d.quantizers[d.components[0].quantizer] {
		steps[i] = pair(q) << (natural[i] & 1 << 5)
	}
	return steps
}

// transform turns the coefficients in b, two neighbours in a row to a pair, into 8 rows of 8
// samples at the front of dst, and clears b. Only coefficients whose bits are set in
// nonzero may be other than 0.
//
// The result is that of libjpeg's jidctint.c bit for bit: a pass down columns and one along
// rows, each exact in integers until it is rounded once. Where coefficients are 0, which most
// are, the sums they have no part in are left out; that changes no result.
func transform(b *[32]pair, nonzero uint64, dst []byte, stride int) {
	if nonzero == 1 {
		v := sample((int(int32(b[0]))<<keptBits + halfSample>>scaleBits) >> (keptBits + 3))
		row := uint64(v) * 0x0101010101010101
		for range 8 {
			binary.LittleEndian.PutUint64(dst, row)
			dst = dst[min(stride, len(dst)):]
		}
		b[0] = 0
		return
	}

	var half [32]pair // the first pass's result: pairs of two rows, eight columns of each
	for c := range 4 {
		set := nonzero >> (2 * c) & 0x0303030303030303
		if set == 0 {
			continue
		}
		if set <= 3 {
			v0, v1 := b[c].split()
			for y := range 4 {
				half[8*y+2*c] = pair(v0<<keptBits) * both
				half[8*y+2*c+1] = pair(v1<<keptBits) * both
			}
			continue
		}
		x := (*[29]pair)(b[c:])
		var a0, a1, a2, a3, o0, o1, o2, o3 pair
		const round = both << (scaleBits - keptBits - 1)
		if set>>32 == 0 {
			a0, a1, a2, a3 = evenHalf(x[0], x[8], round)
			o0, o1, o2, o3 = oddHalf(x[4], x[12])
		} else {
			a0, a1, a2, a3 = even(x[0], x[8], x[16], x[24], round)
			o0, o1, o2, o3 = odd(x[4], x[12], x[20], x[28])
		}
		turn(&half, 2*c, a0+o0, a1+o1)
		turn(&half, 8+2*c, a2+o2, a3+o3)
		turn(&half, 16+2*c, a3-o3, a2-o2)
		turn(&half, 24+2*c, a1-o1, a0-o0)
	}
	*b = [32]pair{}

	for y := range 4 {
		x := (*[8]pair)(half[8*y:])
		var a0, a1, a2, a3, o0, o1, o2, o3 pair
		if nonzero&0xf0f0f0f0f0f0f0f0 == 0 {
			a0, a1, a2, a3 = evenHalf(x[0], x[2], both*halfSample)
			o0, o1, o2, o3 = oddHalf(x[1], x[3])
		} else {
			a0, a1, a2, a3 = even(x[0], x[2], x[4], x[6], both*halfSample)
			o0, o1, o2, o3 = odd(x[1], x[3], x[5], x[7])
		}
		upper := (*[8]byte)(dst[2*y*stride:])
		lower := (*[8]byte)(dst[(2*y+1)*stride:])
		upper[0], lower[0] = samples(a0 + o0)
		upper[1], lower[1] = samples(a1 + o1)
		upper[2], lower[2] = samples(a2 + o2)
		upper[3], lower[3] = samples(a3 + o3)
		upper[4], lower[4] = samples(a3 - o3)
		upper[5], lower[5] = samples(a2 - o2)
		upper[6], lower[6] = samples(a1 - o1)
		upper[7], lower[7] = samples(a0 - o0)
	}
}

// even returns the sums of the even coefficients for samples 0 to 3, each with round added.
func even(x0, x2, x4, x6, round pair) (a0, a1, a2, a3 pair) {
	z := (x2 + x6) * c0_541
	t2, t3 := z-x6*c1_847, z+x2*c0_765
	t0, t1 := (x0+x4)<<scaleBits+round, (x0-x4)<<scaleBits+round
	return t0 + t3, t1 + t2, t1 - t2, t0 - t3
}

// odd returns those of the odd coefficients.
func odd(x1, x3, x5, x7 pair) (o0, o1, o2, o3 pair) {
	z5 := (x1 + x3 + x5 + x7) * c1_175
	z3 := z5 - (x7+x3)*c1_961
	z4 := z5 - (x5+x1)*c0_390
	z1 := (x7 + x1) * c0_899
	z2 := (x5 + x3) * c2_562
	return x1*c1_501 - z1 + z4, x3*c3_072 - z2 + z3, x5*c2_053 - z2 + z4, x7*c0_298 - z1 + z3
}

// evenHalf is even where coefficients 4 and 6 are 0.
func evenHalf(x0, x2, round pair) (a0, a1, a2, a3 pair) {
	t0 := x0<<scaleBits + round
	t2, t3 := x2*c0_541, x2*(c0_541+c0_765)
	return t0 + t3, t0 + t2, t0 - t2, t0 - t3
}

// oddHalf is odd where coefficients 5 and 7 are 0.
func oddHalf(x1, x3 pair) (o0, o1, o2, o3 pair) {
	return x1*(c1_501-c0_899-c0_390+c1_175) + x3*c1_175,
		x1*c1_175 + x3*(c3_072-c2_562-c1_961+c1_175),
		x1*(c1_175-c0_390) - x3*(c2_562-c1_175),
		x1*(c1_175-c0_899) - x3*(c1_961-c1_175)
}

// turn rounds the sums of a row's two columns, and of those of the row below, and makes
// them pairs of two rows.
func turn(half *[32]pair, at int, upper, lower pair) {
	const down = scaleBits - keptBits
	u0, u1 := upper.split()
	l0, l1 := lower.split()
	half[at&31] = pairOf(u0>>down, l0>>down)
	half[(at+1)&31] = pairOf(u1>>down, l1>>down)
}

// halfSample rounds the last sums, and makes them samples, which are around 128.
const halfSample = 1<<(scaleBits+keptBits+2) + 128<<(scaleBits+keptBits+3)

// samples rounds the last sums of two rows.
func samples(p pair) (upper, lower byte) {
	const down = scaleBits + keptBits + 3
	u, l := p.split()
	return sample(u >> down), sample(l >> down)
}

// sample clamps a sample.
func sample(v int) byte {
	if uint(v) > 255 {
		return byte(^v >> 63)
	}
	return byte(v)
}
