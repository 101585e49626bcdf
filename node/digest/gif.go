package digest

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
)

// decodeGIF decodes the first frame, and gives its transparent pixels their
// colour back: alpha is ignored, but image/gif makes the transparent entry of
// the palette black.
func decodeGIF(file []byte) (image.Image, error) {
	img, err := gif.Decode(bytes.NewReader(file)) // reads one frame and stops
	if err != nil {
		return nil, err
	}
	if m, ok := img.(*image.Paletted); ok {
		if table := gifColours(file); len(table) >= 3*len(m.Palette) {
			for i := range m.Palette {
				m.Palette[i] = color.RGBA{R: table[3*i], G: table[3*i+1], B: table[3*i+2], A: 0xff}
			}
		}
	}
	return img, nil
}

// gifColours returns the table of colours that holds for the first frame of a GIF, 3 bytes
// each (GIF89a specification, sections 18 to 23), or nil if there is none.
func gifColours(file []byte) []byte {
	const screenEnd = 13 // of signature and logical screen descriptor
	if len(file) < screenEnd {
		return nil
	}
	// table returns the table that flags announce at the front of b, and the rest.
	table := func(flags byte, b []byte) (colours, rest []byte) {
		if flags&0x80 == 0 {
			return nil, b
		}
		n := min(3<<(flags&7+1), len(b))
		return b[:n], b[n:]
	}
	global, b := table(file[10], file[screenEnd:])
	for len(b) > 0 {
		switch b[0] {
		case 0x21: // an extension: label, then blocks up to one of length 0
			b = b[min(2, len(b)):]
			for len(b) > 0 && b[0] != 0 {
				b = b[min(1+int(b[0]), len(b)):]
			}
			b = b[min(1, len(b)):]
		case 0x2c: // the first frame's descriptor
			const descriptorEnd = 10
			if len(b) < descriptorEnd {
				return nil
			}
			if local, _ := table(b[descriptorEnd-1], b[descriptorEnd:]); local != nil {
				return local
			}
			return global
		default:
			return nil
		}
	}
	return nil
}
