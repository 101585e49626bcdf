package jpeg

import (
	"math/rand/v2"
	"testing"
)

// plainTransform is jidctint.c's arithmetic for one block, as its author describes it: every
// coefficient takes part, one number at a time.
func plainTransform(c [64]int) (samples [64]byte) {
	line := func(x *[64]int, at, step, down int) {
		in := func(i int) int { return x[at+i*step] }
		z := (in(2) + in(6)) * 4433
		t2, t3 := z-in(6)*15137, z+in(2)*6270
		t0, t1 := (in(0)+in(4))<<13, (in(0)-in(4))<<13
		a := [4]int{t0 + t3, t1 + t2, t1 - t2, t0 - t3}
		z1, z2, z3, z4 := in(7)+in(1), in(5)+in(3), in(7)+in(3), in(5)+in(1)
		z5 := (z3 + z4) * 9633
		z1, z2, z3, z4 = -z1*7373, -z2*20995, z5-z3*16069, z5-z4*3196
		o := [4]int{in(1)*12299 + z1 + z4, in(3)*25172 + z2 + z3, in(5)*16819 + z2 + z4, in(7)*2446 + z1 + z3}
		for i := range 4 {
			x[at+i*step] = (a[i] + o[i] + 1<<(down-1)) >> down
			x[at+(7-i)*step] = (a[i] - o[i] + 1<<(down-1)) >> down
		}
	}
	for x := range 8 {
		line(&c, x, 8, 11)
	}
	for y := range 8 {
		line(&c, 8*y, 1, 18)
	}
	for i, v := range c {
		samples[i] = byte(max(0, min(255, v+128)))
	}
	return samples
}

// Blocks with coefficients at each one, two and many places give the samples of
// the plain transform, and are cleared.
func TestTransform(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var out [80]byte
	check := func(c [64]int) {
		t.Helper()
		var b [32]pair
		nonzero := uint64(1)
		for i, v := range c {
			b[i/2] += pair(v) << (i % 2 * 32)
			if v != 0 {
				nonzero |= 1 << i
			}
		}
		transform(&b, nonzero, out[:], 10)
		want := plainTransform(c)
		for i, w := range want {
			if got := out[i/8*10+i%8]; got != w {
				t.Fatalf("coefficients %v: sample %d: got %d, want %d", c, i, got, w)
			}
		}
		if b != [32]pair{} {
			t.Fatalf("coefficients %v: not cleared", c)
		}
	}
	for i := range 64 {
		for j := range 64 {
			var c [64]int
			c[i] = rng.IntN(2047) - 1023
			c[j] = rng.IntN(2047) - 1023
			check(c)
		}
	}
	for n := range 20000 {
		var c [64]int
		for range n % 40 {
			c[rng.IntN(64)] = rng.IntN(400) - 200
		}
		c[0] = rng.IntN(2400) - 1200
		check(c)
	}
}
