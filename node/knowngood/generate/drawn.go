package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"

	"golang.org/x/image/bmp"

	"hashfeed/node/digest"
	"hashfeed/node/knowngood"
)

// madeFiles are files that no package has.
type madeFiles struct {
	name  string // in words that say what they are
	files []knowngood.File
}

func drawn(ctx context.Context) ([]madeFiles, error) {
	empty, err := hashed(ctx, nil)
	if err != nil {
		return nil, err
	}
	blank := madeFiles{name: "a picture of one colour"}
	for _, data := range blanksOf(sizes()) {
		f, err := hashed(ctx, data)
		if err != nil {
			return nil, err
		}
		blank.files = append(blank.files, f)
	}
	pixels := madeFiles{name: "a tracking pixel"}
	for _, text := range trackers {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("tracking pixel %.20s: %w", text, err)
		}
		c, _, err := image.DecodeConfig(bytes.NewReader(data))
		if err != nil || c.Width != 1 || c.Height != 1 {
			return nil, fmt.Errorf("tracking pixel %.20s: no picture of one pixel: %v", text, err)
		}
		f, err := hashed(ctx, data)
		if err != nil {
			return nil, err
		}
		pixels.files = append(pixels.files, f)
	}
	return []madeFiles{{"the empty file", []knowngood.File{empty}}, blank, pixels}, nil
}

func hashed(ctx context.Context, data []byte) (knowngood.File, error) {
	sum, err := digest.Read(ctx, bytes.NewReader(data), digest.Limits{})
	return knowngood.File{Hashes: hashesOf(sum)}, err
}

// trackers are the pictures of one pixel that counters, mail and page layouts have used for decades, as they stand in many programs.
var trackers = []string{
	"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
	"R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==",
	"R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==",
	"R0lGODlhAQABAIAAAAAAAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==",
	"R0lGODlhAQABAIAAAP///////yH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==",
	"R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=",
	"R0lGODlhAQABAIAAAP///wAAACH5BAUUAAAALAAAAAABAAEAAAICRAEAOw==",
	"R0lGODlhAQABAPAAAAAAAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==",
	"R0lGODlhAQABAIAAAMLCwgAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==",
	"R0lGODlhAQABAJAAAP8AAAAAACH5BAUQAAAALAAAAAABAAEAAAICBAEAOw==",
	"R0lGODlhAQABAIABAP///wAAACwAAAAAAQABAAACAkQBADs=",
	"R0lGODlhAQABAIAAAP7//wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==",
	"R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==",
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=",
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=",
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=",
}

// sizes are those of icons, thumbnails, avatars, banners and screens.
func sizes() (sizes []image.Point) {
	sides := []int{1, 2, 8, 10, 16, 24, 32, 48, 50, 64, 72, 80, 96, 100, 120, 128, 144, 150, 180, 192, 200, 240, 250, 256, 300, 320, 400, 480, 500, 512,
		600, 640, 720, 800, 1000, 1024}
	for _, s := range sides {
		sizes = append(sizes, image.Pt(s, s))
	}
	return append(sizes, image.Pt(88, 31), image.Pt(468, 60), image.Pt(728, 90), image.Pt(160, 600), image.Pt(300, 250), image.Pt(320, 240), image.Pt(640, 480),
		image.Pt(800, 600), image.Pt(1024, 768), image.Pt(1280, 720), image.Pt(1200, 630), image.Pt(1366, 768), image.Pt(1280, 1024), image.Pt(1600, 900),
		image.Pt(1920, 1080), image.Pt(1080, 1920), image.Pt(1080, 1080), image.Pt(1080, 1350), image.Pt(2560, 1440), image.Pt(3840, 2160))
}

// blanksOf are pictures of one colour, as Go's encoders write them.
func blanksOf(sizes []image.Point) (list [][]byte) {
	colours := []color.NRGBA{{255, 255, 255, 255}, {0, 0, 0, 255}, {0, 0, 0, 0}, {255, 255, 255, 0}, {128, 128, 128, 255}, {192, 192, 192, 255},
		{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {255, 255, 0, 255}, {0, 255, 255, 255}, {255, 0, 255, 255}}
	for _, size := range sizes {
		for _, c := range colours {
			list = append(list, encoded(size, c)...)
		}
	}
	return list
}

func encoded(size image.Point, c color.NRGBA) (list [][]byte) {
	r := image.Rectangle{Max: size}
	rgba, palette := image.NewNRGBA(r), image.NewPaletted(r, color.Palette{c})
	draw.Draw(rgba, r, image.NewUniform(c), image.Point{}, draw.Src)
	write := func(err error, b *bytes.Buffer) {
		if err == nil && b.Len() > 0 {
			list = append(list, slices.Clone(b.Bytes()))
		}
	}
	var b bytes.Buffer
	write(png.Encode(&b, rgba), &b)
	b.Reset()
	write(png.Encode(&b, palette), &b)
	b.Reset()
	write(gif.Encode(&b, palette, nil), &b)
	if c.A == 255 {
		for _, quality := range []int{75, 90, 100} {
			b.Reset()
			write(jpeg.Encode(&b, rgba, &jpeg.Options{Quality: quality}), &b)
		}
		b.Reset()
		write(bmp.Encode(&b, rgba), &b)
	}
	return list
}
