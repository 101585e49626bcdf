package pdq

import (
	"math"
	"slices"
)

const (
	gridSide   = 64 // samples of the filtered picture, each way
	blockSide  = 16 // frequencies kept, each way
	hashBits   = blockSide * blockSide
	maxQuality = 100
)

// A grid is the filtered picture, sampled.
type grid [gridSide][gridSide]float32

// result returns hash and quality of the picture whose grid g is.
func (g *grid) result() Result {
	b := g.transform()
	return Result{Hash: b.hash(), Quality: g.quality()}
}

// dihedral returns the eight orientations' hashes, see [FromImageDihedral].
func (g *grid) dihedral() (all [8]Result) {
	b := g.transform()
	quality := g.quality()
	for i := range all {
		turned := b.turn(i)
		all[i] = Result{Hash: turned.hash(), Quality: quality}
	}
	return all
}

// quality sums the steps between neighbours, each in percent of full scale and
// truncated to an integer first: noise below one percent counts nothing.
func (g *grid) quality() int {
	sum := 0
	for i := range gridSide {
		for j := range gridSide {
			if i+1 < gridSide {
				sum += step(g[i][j], g[i+1][j])
			}
			if j+1 < gridSide {
				sum += step(g[i][j], g[i][j+1])
			}
		}
	}
	return min(sum/90, maxQuality)
}

func step(u, v float32) int {
	d := int(float32((u-v)*100) / 255)
	if d < 0 {
		return -d
	}
	return d
}

// A block holds the coefficients of frequencies 1 to 16 each way; the first
// index is that of vertical frequencies.
type block [blockSide][blockSide]float32

// dct holds rows 1 to 16 of the 64-point DCT-II. The scale is rounded to
// float32 before it is multiplied, the cosine is not: so does the reference.
var dct = func() (d [blockSide][gridSide]float32) {
	scale := float64(float32(math.Sqrt(2.0 / gridSide)))
	for i := range d {
		for j := range d[i] {
			angle := (math.Pi / 2 / gridSide) * float64(i+1) * float64(2*j+1)
			d[i][j] = float32(scale * math.Cos(angle))
		}
	}
	return d
}()

// transform returns D·g·Dᵀ, D being dct. Every sum runs in the order of the
// reference, in float32, and each product is rounded before it is added: the
// conversions forbid the compiler to fuse them (Go spec, "Floating-point operators").
func (g *grid) transform() block {
	var half [blockSide][gridSide]float32
	for i := range half {
		d, out := &dct[i], &half[i]
		// Four sums side by side, so that none waits for another.
		for j := 0; j < gridSide; j += 4 {
			var s0, s1, s2, s3 float32
			for k := range gridSide {
				a := (*[4]float32)(g[k][j : j+4])
				f := d[k]
				s0 += float32(f * a[0])
				s1 += float32(f * a[1])
				s2 += float32(f * a[2])
				s3 += float32(f * a[3])
			}
			out[j], out[j+1], out[j+2], out[j+3] = s0, s1, s2, s3
		}
	}
	var b block
	for i := range b {
		a := &half[i]
		for j := 0; j < blockSide; j += 4 {
			d0, d1, d2, d3 := &dct[j], &dct[j+1], &dct[j+2], &dct[j+3]
			var s0, s1, s2, s3 float32
			for k := range gridSide {
				f := a[k]
				s0 += float32(f * d0[k])
				s1 += float32(f * d1[k])
				s2 += float32(f * d2[k])
				s3 += float32(f * d3[k])
			}
			b[i][j], b[i][j+1], b[i][j+2], b[i][j+3] = s0, s1, s2, s3
		}
	}
	return b
}

// hash sets bit 16 i + j where coefficient i, j is above the lower median, and
// writes bit 255 first.
func (b *block) hash() (h Hash) {
	var sorted [hashBits]float32
	for i := range b {
		copy(sorted[i*blockSide:], b[i][:])
	}
	slices.Sort(sorted[:])
	median := sorted[hashBits/2-1]
	for i := range b {
		for j, v := range b[i] {
			if v > median {
				bit := i*blockSide + j
				h[len(h)-1-bit/8] |= 1 << (bit % 8)
			}
		}
	}
	return h
}

// turn returns the coefficients of the picture in one of its eight orientations.
// To turn a picture is to transpose its coefficients and to negate those of odd
// frequencies along one axis or both; row i holds frequency i + 1.
func (b *block) turn(orientation int) (t block) {
	for i := range b {
		for j, v := range b[i] {
			oddRow, oddColumn := i%2 == 0, j%2 == 0
			switch orientation {
			case 0:
				t[i][j] = v
			case 1: // 90°
				t[j][i] = negateIf(oddColumn, v)
			case 2: // 180°
				t[i][j] = negateIf(oddRow != oddColumn, v)
			case 3: // 270°
				t[j][i] = negateIf(oddRow, v)
			case 4: // about the horizontal axis
				t[i][j] = negateIf(oddRow, v)
			case 5: // about the vertical axis
				t[i][j] = negateIf(oddColumn, v)
			case 6: // about the falling diagonal
				t[j][i] = v
			case 7: // about the rising diagonal
				t[j][i] = negateIf(oddRow != oddColumn, v)
			}
		}
	}
	return t
}

func negateIf(negate bool, v float32) float32 {
	if negate {
		return -v
	}
	return v
}
