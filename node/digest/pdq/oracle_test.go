package pdq

import (
	"math"
	"slices"
)

// oracle computes the hash of luma at full resolution in the plainest way, plane by
// plane, straight from the description of the reference's steps. It shares no code with
// the package but its types.
func oracle(luma []float32, w, h int, shortcut bool) Result {
	if w < 5 || h < 5 {
		return Result{}
	}
	g := oracleGrid(luma, w, h, shortcut)

	sum := 0
	percent := func(u, v float32) {
		d := int(float32((u-v)*100) / 255)
		sum += max(d, -d)
	}
	for i := range 63 {
		for j := range 64 {
			percent(g[i][j], g[i+1][j])
			percent(g[j][i], g[j][i+1])
		}
	}

	var all []float32
	for i := range 16 {
		var t [64]float32
		for j := range t {
			for k := range 64 {
				product := float32(oracleMatrix[i][k] * g[k][j])
				t[j] += product
			}
		}
		for j := range 16 {
			var s float32
			for k := range 64 {
				product := float32(t[k] * oracleMatrix[j][k])
				s += product
			}
			all = append(all, s)
		}
	}
	sorted := slices.Sorted(slices.Values(all))
	r := Result{Quality: min(sum/90, 100)}
	for k, v := range all {
		if v > sorted[127] {
			r.Hash[31-k/8] |= 1 << (k % 8)
		}
	}
	return r
}

// oracleGrid returns the samples of the filtered picture.
func oracleGrid(luma []float32, w, h int, shortcut bool) grid {
	p := slices.Clone(luma)
	if !(shortcut && w == 64 && h == 64) {
		for range 2 {
			for y := range h {
				oracleBox(p[y*w:], w, 1)
			}
			for x := range w {
				oracleBox(p[x:], h, w)
			}
		}
	}
	var g grid
	for i := range g {
		for j := range g[i] {
			y := int((float64(i) + 0.5) * float64(h) / 64)
			x := int((float64(j) + 0.5) * float64(w) / 64)
			g[i][j] = p[y*w+x]
		}
	}
	return g
}

var oracleMatrix = func() (m [16][64]float32) {
	scale := float32(math.Sqrt(2.0 / 64))
	for i := range m {
		for j := range m[i] {
			m[i][j] = float32(float64(scale) * math.Cos(math.Pi/2/64*float64(i+1)*float64(2*j+1)))
		}
	}
	return m
}()

// oracleBox filters n values that are stride apart.
func oracleBox(p []float32, n, stride int) {
	w := int(math.Ceil(float64(n) / 128))
	h := (w + 2) / 2
	in := make([]float32, n)
	for i := range in {
		in[i] = p[i*stride]
	}
	var sum float32
	entered, left := 0, 0
	for i := range n {
		for entered < n && entered <= i+h-1 {
			sum += in[entered]
			entered++
			if entered > w {
				sum -= in[left]
				left++
			}
		}
		for left < i-(w-h) {
			sum -= in[left]
			left++
		}
		p[i*stride] = sum / float32(entered-left)
	}
}
