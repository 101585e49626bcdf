package jpeg

import "bytes"

// The markers, each behind a byte 0xff.
const (
	startSequential  = 0xc0 // frame headers
	startExtended    = 0xc1
	startProgressive = 0xc2
	defineHuffman    = 0xc4
	restart0         = 0xd0
	restart7         = 0xd7
	startOfImage     = 0xd8
	endOfImage       = 0xd9
	startOfScan      = 0xda
	defineQuantizer  = 0xdb
	defineRestart    = 0xdd
	app0             = 0xe0
	app14            = 0xee
	app15            = 0xef
	comment          = 0xfe
)

// A component is what the frame header says of one.
type component struct {
	id        byte
	h, v      int // blocks in an MCU, across and down
	quantizer byte
}

// A decoder decodes one file. Its zero value needs begin.
type decoder struct {
	rest   []byte // of the file
	pixels int64  // of the largest picture that is decoded

	framed, baseline, progressive bool
	jfif, adobe, adobeRGB         bool
	width, height                 int
	components                    []component
	componentsArray               [3]component
	interval                      int // MCUs between restart markers, or 0

	huffmen    [2][4]huffman // DC, AC
	quantizers [4][64]int32  // in zigzag order; all zeros until defined, as image/jpeg has it

	// Of luma: blocks in a row of MCUs, and their rows.
	across, down int
	plane        *buffer[byte] // nil until the first scan
	stride       int
	coefficients *buffer[[64]int16] // of a progressive picture, in zigzag order
	masks        *buffer[uint64]    // bit i is set if coefficient i isn't 0

	bits            bitReader
	endRun          int      // blocks that end at once, a progressive scan's
	sequentialSteps [64]pair // for the scan at hand
	block           [32]pair
	unread          bool // a scan of chroma only was passed over
	uncommon        bool // a restart interval counts blocks that aren't MCUs of the frame
}

func (d *decoder) begin(file []byte, pixels int64) {
	d.rest, d.pixels = file, pixels
	d.framed, d.baseline, d.progressive = false, false, false
	d.jfif, d.adobe, d.adobeRGB = false, false, false
	d.components = nil
	d.interval, d.endRun = 0, 0
	for class := range d.huffmen {
		for i := range d.huffmen[class] {
			d.huffmen[class][i].defined = false
		}
	}
	d.quantizers = [4][64]int32{}
	d.block = [32]pair{}
	d.unread, d.uncommon = false, false
}

// release gives all memory back to the pools, d's too.
func (d *decoder) release() {
	d.plane.free()
	d.coefficients.free()
	d.masks.free()
	d.plane, d.coefficients, d.masks = nil, nil, nil
	d.rest, d.bits.src = nil, nil
	decoders.Put(d)
}

// segments reads the file from marker to marker.
func (d *decoder) segments() error {
	if !bytes.HasPrefix(d.rest, []byte{0xff, startOfImage}) {
		return damaged("no start of image")
	}
	d.rest = d.rest[2:]
	for {
		marker, err := d.nextMarker()
		if err != nil {
			return err
		}
		if marker == endOfImage {
			break
		}
		if restart0 <= marker && marker <= restart7 {
			continue // one too many behind a scan is harmless
		}
		if len(d.rest) < 2 {
			return errShort
		}
		n := int(d.rest[0])<<8 | int(d.rest[1])
		if n < 2 {
			return damaged("a marker segment of %d bytes", n)
		}
		if n > len(d.rest) {
			return errShort
		}
		body := d.rest[2:n]
		d.rest = d.rest[n:]
		if err := d.segment(marker, body); err != nil {
			return err
		}
	}
	if d.plane == nil {
		return damaged("no scan")
	}
	return d.checkColours()
}

// nextMarker passes over what isn't a marker, which libjpeg and image/jpeg do as well.
func (d *decoder) nextMarker() (byte, error) {
	for {
		at := bytes.IndexByte(d.rest, 0xff)
		if at < 0 || at+1 >= len(d.rest) {
			return 0, errShort
		}
		filled := at
		for d.rest[at+1] == 0xff {
			if at++; at+1 >= len(d.rest) {
				return 0, errShort
			}
		}
		marker := d.rest[at+1]
		d.rest = d.rest[at+2:]
		if marker != 0 {
			return marker, nil
		}
		if at > filled {
			return 0, damaged("fill bytes without a marker")
		}
	}
}

func (d *decoder) segment(marker byte, body []byte) error {
	switch marker {
	case startSequential, startExtended, startProgressive:
		if d.framed {
			return damaged("two frame headers")
		}
		d.framed = true
		d.baseline, d.progressive = marker == startSequential, marker == startProgressive
		return d.frame(body)
	case defineHuffman:
		return d.defineHuffman(body)
	case defineQuantizer:
		return d.defineQuantizer(body)
	case defineRestart:
		if len(body) != 2 {
			return damaged("a restart interval of %d bytes", len(body))
		}
		d.interval = int(body[0])<<8 | int(body[1])
		return nil
	case startOfScan:
		return d.scan(body)
	case app0:
		if len(body) >= 5 {
			d.jfif = string(body[:5]) == "JFIF\x00"
		}
		return nil
	case app14:
		if len(body) >= 12 && string(body[:5]) == "Adobe" {
			d.adobe, d.adobeRGB = true, body[11] == 0
		}
		return nil
	}
	if app0 <= marker && marker <= app15 || marker == comment {
		return nil
	}
	return variant("marker %#x", marker)
}

// frame reads the frame header.
func (d *decoder) frame(body []byte) error {
	if len(body) < 6 {
		return variant("a frame header of %d bytes", len(body))
	}
	n := int(body[5])
	switch {
	case body[0] != 8:
		return variant("samples of %d bits", body[0])
	case n != 1 && n != 3:
		return variant("%d components", n)
	case len(body) != 6+3*n:
		return damaged("a frame header of %d bytes for %d components", len(body), n)
	}
	d.height = int(body[1])<<8 | int(body[2])
	d.width = int(body[3])<<8 | int(body[4])
	if d.width == 0 || d.height == 0 {
		return variant("a picture of %d×%d pixels", d.width, d.height)
	}
	if int64(d.width)*int64(d.height) > d.pixels {
		return damaged("%d×%d pixels, more than %d", d.width, d.height, d.pixels)
	}
	d.components = d.componentsArray[:n]
	for i := range d.components {
		c := &d.components[i]
		b := body[6+3*i:]
		*c = component{id: b[0], h: int(b[1] >> 4), v: int(b[1] & 0xf), quantizer: b[2]}
		for _, other := range d.components[:i] {
			if other.id == c.id {
				return damaged("two components %d", c.id)
			}
		}
		if c.quantizer > 3 {
			return damaged("quantizer %d", c.quantizer)
		}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return damaged("sampling factors %d and %d", c.h, c.v)
		}
	}
	luma := &d.components[0]
	if n == 1 {
		if luma.h == 3 || luma.v == 3 {
			return variant("sampling factors %d and %d", luma.h, luma.v)
		}
		luma.h, luma.v = 1, 1 // a lone component's blocks aren't grouped
	} else {
		// Luma has a sample for each pixel and chroma one for 1, 2 or 4, the same in both:
		// so it is in all files but curiosities, and in all that image/jpeg takes.
		cb, cr := d.components[1], d.components[2]
		if luma.h == 3 || luma.v > 2 || luma.h%cb.h != 0 || luma.v%cb.v != 0 || cb.h != cr.h || cb.v != cr.v {
			return variant("sampling factors %d and %d with %d and %d", luma.h, luma.v, cb.h, cb.v)
		}
	}
	d.across = (d.width + 8*luma.h - 1) / (8 * luma.h)
	d.down = (d.height + 8*luma.v - 1) / (8 * luma.v)
	d.stride = d.across * luma.h * 8
	return nil
}

// checkColours returns an error if the first component isn't luma, by the rules of image/jpeg.
func (d *decoder) checkColours() error {
	if len(d.components) != 3 || d.jfif {
		return nil
	}
	c := d.components
	if d.adobe && d.adobeRGB || c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B' {
		return variant("red, green and blue")
	}
	return nil
}

func (d *decoder) defineQuantizer(body []byte) error {
	for len(body) > 0 {
		precision, id := body[0]>>4, body[0]&0xf
		size := 64 * (1 + int(precision))
		if precision <= 1 && id <= 3 && len(body) == 1 {
			return variant("a quantizer that is only announced")
		}
		if precision > 1 || id > 3 || len(body) < 1+size {
			return damaged("quantizer %d of precision %d in %d bytes", id, precision, len(body))
		}
		q := &d.quantizers[id]
		for i := range q {
			if precision == 0 {
				q[i] = int32(body[1+i])
			} else {
				q[i] = int32(body[1+2*i])<<8 | int32(body[2+2*i])
			}
		}
		body = body[1+size:]
	}
	return nil
}

func (d *decoder) defineHuffman(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return damaged("a Huffman table of %d bytes", len(body))
		}
		class, id := body[0]>>4, body[0]&0xf
		if class > 1 || id > 3 || d.baseline && id > 1 {
			return damaged("Huffman table %d of class %d", id, class)
		}
		counts := (*[16]byte)(body[1:17])
		n := 0
		for _, c := range counts {
			n += int(c)
		}
		if n == 0 || n > 256 || len(body) < 17+n {
			return damaged("a Huffman table of %d codes in %d bytes", n, len(body))
		}
		if err := d.huffmen[class][id].define(counts, body[17:17+n], class == 0); err != nil {
			return err
		}
		body = body[17+n:]
	}
	return nil
}
