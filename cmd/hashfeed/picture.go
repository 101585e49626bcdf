package main

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"

	"golang.org/x/image/draw"
)

// drawPicture draws a harmless picture that has what photographs have: light from one side, large shapes, texture at all
// sizes. The same seed draws the same picture.
func drawPicture(seed uint64, width, height int) *image.RGBA {
	rng := rand.New(rand.NewPCG(seed, seed))
	ground, light := newNoise(rng), newNoise(rng)
	horizon := 0.35 + 0.3*rng.Float64()
	sunX, sunY := 0.15+0.7*rng.Float64(), horizon*rng.Float64()*0.8
	hue := rng.Float64()
	type hill struct{ x, width, height, shade float64 }
	hills := make([]hill, 3+rng.IntN(4))
	for i := range hills {
		hills[i] = hill{rng.Float64(), 0.1 + 0.3*rng.Float64(), 0.1 + 0.35*rng.Float64(), 0.25 + 0.5*rng.Float64()}
	}
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for py := range height {
		for px := range width {
			x, y := float64(px)/float64(width), float64(py)/float64(height)
			sky := 0.9 - 0.5*y + 0.25*(light.at(3*x, 5*y)-0.5)
			glow := math.Exp(-12 * ((x-sunX)*(x-sunX) + (y-sunY)*(y-sunY)))
			r, g, b := sky*(0.55+0.4*hue)+glow, sky*0.75+0.8*glow, sky*(1-0.3*hue)+0.3*glow
			for _, h := range hills {
				top := horizon + 0.25 - h.height*math.Exp(-(x-h.x)*(x-h.x)/(h.width*h.width)) + 0.05*(ground.at(12*x, 7*h.x)-0.5)
				if y > top {
					shade := h.shade * (0.6 + 0.8*ground.at(14*x, 14*y)) * (1.2 - (y - top))
					r, g, b = shade*(0.4+0.5*hue), shade*0.8, shade*(0.7-0.4*hue)
				}
			}
			m.SetRGBA(px, py, color.RGBA{tone(r), tone(g), tone(b), 255})
		}
	}
	return m
}

func tone(v float64) uint8 { return uint8(255 * max(0, min(1, v))) }

// noise is fractal value noise: five octaves of smoothed random grids.
type noise [256]float64

func newNoise(rng *rand.Rand) *noise {
	var n noise
	for i := range n {
		n[i] = rng.Float64()
	}
	return &n
}

func (n *noise) at(x, y float64) float64 {
	sum, weight := 0.0, 0.5
	for range 5 {
		sum += weight * n.smooth(x, y)
		x, y, weight = 2.03*x+17, 2.03*y+5, weight/2
	}
	return sum
}

func (n *noise) smooth(x, y float64) float64 {
	ix, iy := math.Floor(x), math.Floor(y)
	fx, fy := x-ix, y-iy
	fx, fy = fx*fx*(3-2*fx), fy*fy*(3-2*fy)
	corner := func(dx, dy int) float64 {
		return n[uint8((int(ix)+dx)*73^(int(iy)+dy)*151)]
	}
	top := corner(0, 0)*(1-fx) + corner(1, 0)*fx
	bottom := corner(0, 1)*(1-fx) + corner(1, 1)*fx
	return top*(1-fy) + bottom*fy
}

// resized scales a picture by a factor, as upload pipelines do.
func resized(m image.Image, factor float64) image.Image {
	b := m.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, int(float64(b.Dx())*factor), int(float64(b.Dy())*factor)))
	draw.CatmullRom.Scale(out, out.Bounds(), m, b, draw.Src, nil)
	return out
}

// cropped cuts a part of the width and height off each side.
func cropped(m image.Image, part float64) image.Image {
	b := m.Bounds()
	dx, dy := int(part*float64(b.Dx())), int(part*float64(b.Dy()))
	inner := image.Rect(b.Min.X+dx, b.Min.Y+dy, b.Max.X-dx, b.Max.Y-dy)
	out := image.NewRGBA(image.Rect(0, 0, inner.Dx(), inner.Dy()))
	draw.Draw(out, out.Bounds(), m, inner.Min, draw.Src)
	return out
}

func jpegOf(m image.Image, quality int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		panic(err) // only a writer's error, and a buffer has none; or a picture of 65,536 pixels a side
	}
	return b.Bytes()
}

func pngOf(m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err) // as above
	}
	return b.Bytes()
}
