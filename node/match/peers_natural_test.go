package match

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
)

// Natural-like values are PDQ hashes of pictures, as the algorithm makes them but for its
// first step, the shrinking to 64×64, which takes the means of areas here: of random crops
// of drawn pictures, half of them with what photographs have (light from one side, large
// shapes, texture at all sizes), half flat shapes with hard edges, in all eight
// orientations; crops of too little detail (quality below 50) are left out. What that
// brings, and random bits don't: crops that overlap are near-duplicates, and some keys are
// far more common than others.

// pictures is how many pictures the values come from, as long as that are 64 of each or
// more. The values of one picture are the closer together the more of them there are.
const pictures = 4000

// naturalInto fills values, of 32 bytes each, from pictures whose seeds are from first on.
// The same arguments give the same values.
func naturalInto(values []byte, first uint64) {
	n := len(values) / 32
	count := min(pictures, (n+63)/64)
	var wait sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := range next {
				from, to := n*i/count, n*(i+1)/count
				newDrawing(first + uint64(i)).hashes(values[from*32 : to*32])
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	wait.Wait()
}

// side is the length of a picture's sides.
const side = 256

// A drawing is a picture in grey, 0 to 255, from above by rows.
type drawing struct {
	r    *rand.Rand
	grey []float32
	sums []float64 // of the rectangle above and left of a point
}

func newDrawing(seed uint64) *drawing {
	d := &drawing{r: rand.New(rand.NewPCG(seed, 20)), grey: make([]float32, side*side)}
	if d.r.IntN(2) == 0 {
		d.landscape()
	} else {
		d.shapes(d.r.IntN(12)+4, nil)
	}
	d.sums = make([]float64, (side+1)*(side+1))
	for y := range side {
		row := 0.
		for x := range side {
			row += float64(max(0, min(255, d.grey[y*side+x])))
			d.sums[(y+1)*(side+1)+x+1] = d.sums[y*(side+1)+x+1] + row
		}
	}
	return d
}

func (d *drawing) tone() float32 { return 255 * d.r.Float32() }

// landscape draws texture, light and some shapes that have texture too.
func (d *drawing) landscape() {
	texture := cloud(d.r, 0.4+0.3*d.r.Float32())
	base, rough := d.tone(), 60+120*d.r.Float32()
	lightX, lightY := d.r.Float32()-0.5, d.r.Float32()-0.5
	for y := range side {
		for x := range side {
			light := (lightX*float32(x) + lightY*float32(y)) / side * 160
			d.grey[y*side+x] = base + light + rough*texture[y*(side+1)+x]
		}
	}
	d.shapes(d.r.IntN(5)+1, cloud(d.r, 0.5))
}

// shapes draws ellipses and boxes over each other, with texture or without.
func (d *drawing) shapes(n int, texture []float32) {
	if texture == nil {
		ground := d.tone()
		for i := range d.grey {
			d.grey[i] = ground
		}
	}
	for range n {
		cx, cy := d.r.IntN(side), d.r.IntN(side)
		w, h := 8+d.r.IntN(side/3), 8+d.r.IntN(side/3)
		tone, rough, ellipse := d.tone(), 100*d.r.Float32(), d.r.IntN(2) == 0
		for y := max(0, cy-h); y < min(side, cy+h); y++ {
			half := w
			if ellipse {
				v := float64(y-cy) / float64(h)
				half = int(float64(w) * math.Sqrt(max(0, 1-v*v)))
			}
			for x := max(0, cx-half); x < min(side, cx+half); x++ {
				d.grey[y*side+x] = tone
				if texture != nil {
					d.grey[y*side+x] += rough * texture[y*(side+1)+x]
				}
			}
		}
	}
}

// cloud is random texture of (side+1)² points about 0: midpoints are displaced at random,
// by less at each smaller scale.
func cloud(r *rand.Rand, smooth float32) []float32 {
	const w = side + 1
	c := make([]float32, w*w)
	amplitude := float32(1)
	for _, i := range []int{0, side, side * w, side*w + side} {
		c[i] = 2*r.Float32() - 1
	}
	for step := side; step > 1; step /= 2 {
		half := step / 2
		amplitude *= 1 - smooth
		move := func() float32 { return amplitude * (2*r.Float32() - 1) }
		for y := half; y < w; y += step {
			for x := half; x < w; x += step {
				c[y*w+x] = (c[(y-half)*w+x-half]+c[(y-half)*w+x+half]+c[(y+half)*w+x-half]+c[(y+half)*w+x+half])/4 + move()
			}
		}
		for y := 0; y < w; y += half {
			for x := (y/half + 1) % 2 * half; x < w; x += step {
				sum, n := float32(0), float32(0)
				for _, at := range [4][2]int{{x - half, y}, {x + half, y}, {x, y - half}, {x, y + half}} {
					if at[0] >= 0 && at[0] < w && at[1] >= 0 && at[1] < w {
						sum, n = sum+c[at[1]*w+at[0]], n+1
					}
				}
				c[y*w+x] = sum/n + move()
			}
		}
	}
	return c
}

// hashes fills values with the hashes of crops of the picture. A picture of so little
// detail that 20 crops one after another have too little gives way to the next.
func (d *drawing) hashes(values []byte) {
	var small [64][64]float32
	refused := 0
	for len(values) > 0 {
		if refused == 20 {
			*d = *newDrawing(d.r.Uint64())
			refused = 0
		}
		w := side/3 + d.r.IntN(side-side/3+1)
		h := max(side/3, min(side, w*3/4+d.r.IntN(w/2+1)))
		d.crop(&small, d.r.IntN(side-w+1), d.r.IntN(side-h+1), w, h)
		if quality(&small) < 50 {
			refused++
			continue
		}
		refused = 0
		values = values[orientations(values, transform(&small)):]
	}
}

// crop shrinks a part of the picture to 64×64.
func (d *drawing) crop(small *[64][64]float32, left, top, w, h int) {
	for i := range 64 {
		y0, y1 := top+i*h/64, top+(i+1)*h/64
		above, below := d.sums[y0*(side+1)+left:], d.sums[y1*(side+1)+left:]
		for j := range 64 {
			x0, x1 := j*w/64, (j+1)*w/64
			small[i][j] = float32(below[x1]-below[x0]-above[x1]+above[x0]) / float32((x1-x0)*(y1-y0))
		}
	}
}

// quality is PDQ's: how much neighbours differ.
func quality(small *[64][64]float32) int {
	sum := 0
	add := func(u, v float32) {
		n := int((u - v) * 100 / 255)
		sum += max(n, -n)
	}
	for i := range 64 {
		for j := range 63 {
			add(small[i][j], small[i][j+1])
			add(small[j][i], small[j+1][i])
		}
	}
	return min(100, sum/90)
}

// cosines[i] is the first half of the cosine wave of frequency i+1; the second half is its
// mirror image, with the sign changed if the frequency is odd.
var cosines = func() (c [16][32]float32) {
	for i := range c {
		for j := range c[i] {
			c[i][j] = float32(math.Cos(math.Pi / 128 * float64(i+1) * float64(2*j+1)))
		}
	}
	return c
}()

// waves is how much of each of the 16 frequencies is in v.
func waves(v *[64]float32) (w [16]float32) {
	var folded [2][32]float32 // for odd frequencies, for even ones
	for j := range 32 {
		folded[0][j], folded[1][j] = v[j]-v[63-j], v[j]+v[63-j]
	}
	for i := range w {
		f, c := &folded[i&1], &cosines[i]
		var a, b, s, t float32
		for j := 0; j < 32; j += 4 {
			a += f[j] * c[j]
			b += f[j+1] * c[j+1]
			s += f[j+2] * c[j+2]
			t += f[j+3] * c[j+3]
		}
		w[i] = a + b + s + t
	}
	return w
}

// transform is the cosine transform's part of low frequencies, the lowest left out.
func transform(small *[64][64]float32) (block [16][16]float32) {
	var rows [16][64]float32
	for i := range small {
		for j, x := range waves(&small[i]) {
			rows[j][i] = x
		}
	}
	for j := range rows {
		for i, x := range waves(&rows[j]) {
			block[i][j] = x
		}
	}
	return block
}

// orientations writes the hashes of a picture turned and mirrored in all ways, as long as
// there is room, and returns how many bytes it wrote. To mirror a picture changes the sign
// of its odd frequencies, which have even numbers here; to turn it, also rows for columns.
func orientations(values []byte, block [16][16]float32) (n int) {
	for signs := range 4 {
		var flat [256]float32
		for i := range 16 {
			for j := range 16 {
				x := block[i][j]
				if signs&1&^i != signs>>1&^j&1 {
					x = -x
				}
				flat[16*i+j] = x
			}
		}
		median := middle(flat)
		for turned := range 2 {
			if n == len(values) {
				return n
			}
			v := values[n : n+32]
			clear(v)
			for k, x := range flat {
				if turned == 1 {
					k = k&15<<4 | k>>4
				}
				if x > median {
					v[31-k/8] |= 1 << (k % 8)
				}
			}
			n += 32
		}
	}
	return n
}

// middle returns the 128th smallest.
func middle(v [256]float32) float32 {
	const want = 127
	lo, hi := 0, len(v)-1
	for lo < hi {
		pivot, i, j := v[(lo+hi)/2], lo, hi
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for v[j] > pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i, j = i+1, j-1
			}
		}
		if want <= j {
			hi = j
		} else if want >= i {
			lo = i
		} else {
			break
		}
	}
	return v[want]
}

// fullestKey is how often the most frequent run of so many bits is in the values that
// begins where a chunk would: a measure of how far from random they are.
func fullestKey(values []byte) int {
	width := min(bits.Len(uint(len(values)/32)), 23)
	most := uint32(0)
	for offset := 0; offset+width <= 256; offset += width {
		c := chunk{offset: uint8(offset), width: uint8(width)}
		count := make([]uint32, 1<<width)
		for i := 0; i < len(values); i += 32 {
			v := load256(values[i:])
			k := c.key(&v)
			count[k]++
			most = max(most, count[k])
		}
	}
	return int(most)
}
