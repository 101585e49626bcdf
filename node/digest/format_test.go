package digest

import (
	"bytes"
	"testing"
)

func TestSniff(t *testing.T) {
	packet := append([]byte{0x47}, make([]byte, 187)...)
	box := func(size byte, kind string) string { return "\x00\x00\x00" + string(size) + kind + "\x00\x00\x02\x00" }
	for _, c := range []struct {
		head, format string
		media        Media
	}{
		{"", "", Unknown},
		{"hello, world, hello, world", "", Unknown},
		{"\xff\xd8\xff\xe0", "jpeg", Image},
		{"\x89PNG\r\n\x1a\n", "png", Image},
		{"\x89PNG\n", "", Unknown},
		{"GIF89a", "gif", Image},
		{"GIF87a", "gif", Image},
		{"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp", Image},
		{"RIFF\x00\x00\x00\x00AVI LIST", "avi", Video},
		{"RIFF\x00\x00\x00\x00WAVEfmt ", "", Unknown},
		{"BM\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x28\x00\x00\x00", "bmp", Image},
		{"BMW is a maker of cars, of course", "", Unknown},
		{"II*\x00", "tiff", Image},
		{"MM\x00*", "tiff", Image},
		{"\xff\x0a", "jxl", Image},
		{"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl", Image},
		{"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2", Image},
		{box(24, "ftyp")[:8] + "heic", "heic", Image},
		{box(24, "ftyp")[:8] + "avif", "avif", Image},
		{box(24, "ftyp")[:8] + "crx ", "cr3", Image},
		{box(24, "ftyp")[:8] + "isom", "mp4", Video},
		{box(24, "ftyp")[:8] + "mp42", "mp4", Video},
		{box(24, "ftyp")[:8] + "3gp5", "mp4", Video},
		{box(24, "ftyp")[:8] + "qt  ", "mov", Video},
		{box(24, "ftyp")[:8] + "M4A ", "m4a", Unknown},
		{box(24, "ftyp")[:8], "", Unknown},
		{box(8, "wide"), "mov", Video},
		{box(0, "mdat"), "mov", Video},
		{box(7, "moov"), "", Unknown},
		{box(8, "oov "), "", Unknown},
		{"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "webm", Video},
		{"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska", "mkv", Video},
		{"FLV\x01\x05", "flv", Video},
		{"\x00\x00\x01\xba\x44", "mpeg", Video},
		{"\x00\x00\x01\xb3\x14", "mpeg", Video},
		{"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf", Video},
		{string(bytes.Repeat(packet, 3)), "mpegts", Video},
		{string(bytes.Repeat(packet, 2)), "", Unknown},
		{"G is a letter" + string(make([]byte, 500)), "", Unknown},
	} {
		format, media := Sniff([]byte(c.head))
		if format != c.format || media != c.media {
			t.Errorf("%.24q: got %q, %q, want %q, %q", c.head, format, media, c.format, c.media)
		}
		// Nothing beyond what it says it looks at changes the answer, or is needed.
		long := append([]byte(c.head), make([]byte, 2*sniffBytes)...)
		Sniff(long)
		for n := range len(c.head) {
			Sniff([]byte(c.head[:n]))
		}
	}
}
