package digest

import (
	"bytes"
	"encoding/binary"
)

// Media says what kind of thing a file is, in the words of records.
type Media string

// The kinds of media. Unknown is also what is neither, such as sound or text.
const (
	Unknown Media = ""
	Image   Media = "image"
	Video   Media = "video"
)

// sniffBytes is how much of a file Sniff looks at: three packets of an MPEG
// transport stream need 377.
const sniffBytes = 512

// Sniff tells format and media by the first bytes of a file, of which it needs 512 if
// there are that many. It returns "" and Unknown for what it doesn't know.
// Formats: jpeg png gif webp bmp tiff, heic avif jxl jp2 cr3 (images that
// aren't decoded here); mp4 mov webm mkv avi mpegts mpeg flv asf (videos);
// m4a, which is sound.
func Sniff(head []byte) (format string, media Media) {
	head = head[:min(len(head), sniffBytes)]
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.prefix)) {
			return m.format, m.media
		}
	}
	switch {
	case isBMP(head):
		return "bmp", Image
	case len(head) >= 12 && string(head[:4]) == "RIFF":
		switch string(head[8:12]) {
		case "WEBP":
			return "webp", Image
		case "AVI ":
			return "avi", Video
		}
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		return brand(string(head[8:12]))
	case isQuickTime(head):
		return "mov", Video
	case bytes.HasPrefix(head, []byte("\x1a\x45\xdf\xa3")): // EBML, whose DocType tells
		if bytes.Contains(head, []byte("webm")) {
			return "webm", Video
		}
		return "mkv", Video
	case isTransportStream(head):
		return "mpegts", Video
	}
	return "", Unknown
}

var magics = []struct {
	prefix, format string
	media          Media
}{
	{"\xff\xd8\xff", "jpeg", Image},
	{"\x89PNG\r\n\x1a\n", "png", Image},
	{"GIF87a", "gif", Image},
	{"GIF89a", "gif", Image},
	{"II*\x00", "tiff", Image},
	{"MM\x00*", "tiff", Image},
	{"\xff\x0a", "jxl", Image},
	{"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl", Image},
	{"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2", Image},
	{"FLV\x01", "flv", Video},
	{"\x00\x00\x01\xba", "mpeg", Video}, // program stream
	{"\x00\x00\x01\xb3", "mpeg", Video}, // video sequence
	{"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf", Video},
}

// isBMP looks beyond the two letters, with which many a text begins: at the
// size of the header that follows.
func isBMP(head []byte) bool {
	if len(head) < 18 || head[0] != 'B' || head[1] != 'M' {
		return false
	}
	switch binary.LittleEndian.Uint32(head[14:]) {
	case 12, 40, 52, 56, 64, 108, 124:
		return true
	}
	return false
}

// brand tells the format of an ISO base media file (ISO/IEC 14496-12) by its
// major brand.
func brand(major string) (format string, media Media) {
	switch major {
	case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1":
		return "heic", Image
	case "avif", "avis":
		return "avif", Image
	case "crx ":
		return "cr3", Image // a camera's raw picture
	case "qt  ":
		return "mov", Video
	case "M4A ", "M4B ", "M4P ", "F4A ", "F4B ":
		return "m4a", Unknown // sound
	}
	return "mp4", Video
}

// isQuickTime recognises the files of before there were brands: head begins with a
// box of a kind that stood there. Its length is 0 (to the end of the file), 1 (64
// bits follow) or has room for its own header.
func isQuickTime(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	n := binary.BigEndian.Uint32(head)
	if n > 1 && n < 8 {
		return false
	}
	switch string(head[4:8]) {
	case "moov", "mdat", "wide", "pnot":
		return true
	}
	return false
}

// isTransportStream reports whether three packets of 188 bytes begin as they must.
func isTransportStream(head []byte) bool {
	const packet, sync = 188, 0x47
	return len(head) > 2*packet && head[0] == sync && head[packet] == sync && head[2*packet] == sync
}
