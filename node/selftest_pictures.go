package node

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
)

// testCases are the test picture as it is, as a JPEG of it, and a picture that nobody can have listed.
func testCases() ([]testCase, error) {
	picture, err := png.Decode(bytes.NewReader(testPicture))
	if err != nil {
		return nil, fmt.Errorf("decode the test picture: %w", err)
	}
	var again, innocent bytes.Buffer
	if err := jpeg.Encode(&again, picture, &jpeg.Options{Quality: 80}); err != nil {
		return nil, fmt.Errorf("encode the test picture: %w", err)
	}
	if err := png.Encode(&innocent, drawInnocent()); err != nil {
		return nil, fmt.Errorf("encode a picture: %w", err)
	}
	return []testCase{
		{"test picture", testPicture, true},
		{"test picture as JPEG", again.Bytes(), true},
		{"innocent picture", innocent.Bytes(), false},
	}, nil
}

// drawInnocent draws waves of random lengths and directions: a picture with something to see at all sizes, and each time another one, so that no
// list can have it and no cache either.
func drawInnocent() image.Image {
	const size = 256
	type wave struct{ x, y, phase, height float64 }
	waves := make([]wave, 24)
	for i := range waves {
		angle, pitch := 2*math.Pi*rand.Float64(), 0.02+0.3*rand.Float64()*rand.Float64()
		waves[i] = wave{pitch * math.Cos(angle), pitch * math.Sin(angle), 2 * math.Pi * rand.Float64(), 1 / (1 + 20*pitch)}
	}
	m := image.NewGray(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			sum := 0.0
			for _, w := range waves {
				sum += w.height * math.Sin(w.x*float64(x)+w.y*float64(y)+w.phase)
			}
			m.SetGray(x, y, color.Gray{Y: uint8(255 / (1 + math.Exp(-sum)))})
		}
	}
	return m
}
