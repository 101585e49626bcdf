package digest

import (
	"bytes"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"os"
	"testing"

	"hashfeed/node/digest/jpeg"
	"hashfeed/node/digest/pdq"
)

// colours returns the hashes of a JPEG with its colours, as image/jpeg decodes it.
func colours(t *testing.T, file []byte) (small, full pdq.Result) {
	t.Helper()
	img, err := stdjpeg.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return pdq.FromImage(img)
}

// A JPEG is hashed by its luma, which is near the hash of its colours; a flat one, whose hash
// is what rounding made of it, and one without luma have that of the colours.
func TestLuma(t *testing.T) {
	lively, err := os.ReadFile("pdq/testdata/img/plasma-progressive.jpg")
	if err != nil {
		t.Fatal(err)
	}
	faint := picture(300, 200)
	for i := range faint.Pix {
		if i%4 != 3 {
			faint.Pix[i] = 120 + faint.Pix[i]/32
		}
	}
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, faint, nil); err != nil {
		t.Fatal(err)
	}
	// The same bytes, said to be red, green and blue.
	rgb := append([]byte("\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"), jpegOf(t, 90, 70)[2:]...)
	for _, c := range []struct {
		name      string
		file      []byte
		byColours bool
	}{{"lively", lively, false}, {"faint", b.Bytes(), true}, {"red, green, blue", rgb, true}} {
		sum, err := Read(ctx, bytes.NewReader(c.file), Limits{})
		if err != nil || sum.PDQ == nil {
			t.Fatalf("%s: %v, note %q", c.name, err, sum.Note)
		}
		small, full := colours(t, c.file)
		distance := max(sum.PDQ.Hash.Distance(small.Hash), sum.PDQFull.Hash.Distance(full.Hash))
		if distance > 8 || c.byColours && (*sum.PDQ != small || *sum.PDQFull != full) {
			t.Errorf("%s: got distance %d from the hash of the colours", c.name, distance)
		}
		if c.name == "faint" && full.Quality >= lumaQuality {
			t.Errorf("faint: got quality %d, want a picture below %d", full.Quality, lumaQuality)
		}
	}
	// Below, the budget is enough for luma only.
	c := image.Config{ColorModel: color.YCbCrModel, Width: 640, Height: 480}
	lim := Limits{Budget: NewBudget(jpeg.Cost(c.Width, c.Height, true))}
	if cost := anyJPEG.cost(lively, c); cost <= lim.Budget.bytes {
		t.Fatalf("all components cost %d bytes, luma %d", cost, lim.Budget.bytes)
	}
	if sum, err := Read(ctx, bytes.NewReader(lively), lim); err != nil || sum.PDQ == nil {
		t.Errorf("budget for luma: got %v, note %q, want PDQ", err, sum.Note)
	}
}
