package hashlist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"hashfeed/feed"
)

const (
	md5Text    = "0123456789abcdef0123456789abcdef"
	sha256Text = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// readAll reads a list to its end: the rows, the wrong rows, and what ended it.
func readAll(format string, list io.Reader) (rows []Row, wrong []*RowError, err error) {
	f, _ := Find(format)
	r, err := f.Read(list)
	if err != nil {
		return nil, nil, err
	}
	for {
		row, err := r.Read()
		var bad *RowError
		switch {
		case err == io.EOF:
			return rows, wrong, nil
		case errors.As(err, &bad):
			wrong = append(wrong, bad)
		case err != nil:
			return rows, wrong, err
		default:
			rows = append(rows, row)
		}
	}
}

// TestSpreadsheets: what spreadsheets make of the template is read as it was meant.
func TestSpreadsheets(t *testing.T) {
	plain := "id,md5,verdict,media\r\n7," + md5Text + ",national,image\r\n"
	utf16Of := func(order binary.ByteOrder, mark string) string {
		b := []byte(mark)
		for _, u := range utf16.Encode([]rune(strings.ReplaceAll(plain, ",", "\t"))) {
			b = order.(binary.AppendByteOrder).AppendUint16(b, u)
		}
		return string(b)
	}
	for name, text := range map[string]string{
		"plain":                 plain,
		"line feeds":            strings.ReplaceAll(plain, "\r", ""),
		"no last line end":      strings.TrimSuffix(plain, "\r\n"),
		"byte order mark":       "\ufeff" + plain,
		"semicolons":            strings.ReplaceAll(plain, ",", ";"),
		"tabs":                  strings.ReplaceAll(plain, ",", "\t"),
		"sep line":              "sep=;\r\n" + strings.ReplaceAll(plain, ",", ";"),
		"sep line, tab":         "sep=\t\r\n" + strings.ReplaceAll(plain, ",", "\t"),
		"UTF-16 little":         utf16Of(binary.LittleEndian, "\xff\xfe"),
		"UTF-16 big":            utf16Of(binary.BigEndian, "\xfe\xff"),
		"quotes":                strings.ReplaceAll(plain, "national", `"national"`),
		"apostrophe":            strings.ReplaceAll(plain, md5Text, "'"+md5Text),
		"formula":               strings.ReplaceAll(plain, md5Text, `"=""`+md5Text+`"""`),
		"blanks":                strings.ReplaceAll(plain, "national", " national\u00a0"),
		"upper case":            strings.ReplaceAll(strings.ToUpper(plain), "\r\n", "\n"),
		"empty columns":         strings.ReplaceAll(plain, "\r\n", ",,\r\n"),
		"empty rows":            plain + ",,,\r\n\r\n",
		"column with blank":     strings.ReplaceAll(plain, "id,md5", "id,md5,Verified By"),
		"fewer fields than all": "id,md5,verdict,media,size,source\r\n7," + md5Text + ",national,image\r\n",
	} {
		if name == "column with blank" {
			text = strings.ReplaceAll(text, md5Text, md5Text+",")
		}
		rows, wrong, err := readAll("csv", strings.NewReader(text))
		if err != nil || len(wrong) > 0 || len(rows) != 1 {
			t.Errorf("%s: got %d rows, wrong %v, %v, want one row", name, len(rows), wrong, err)
			continue
		}
		r := rows[0]
		if r.ID != "7" || len(r.Hashes) != 1 || r.Hashes[0].String() != "md5:"+md5Text || r.Facts.Verdict != feed.National || r.Facts.Media != feed.Image {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// TestHostileTables: each is refused with its line, and without the hash.
func TestHostileTables(t *testing.T) {
	good := md5Text + ",national\n"
	for _, c := range []struct{ name, text, line, says string }{
		{"empty", "", "", "is empty"},
		{"no hash column", "verdict,media\n", "line 1", "no column of hashes"},
		{"unknown column", "md5,verdict,file\n", "line 1", `unknown column "file"`},
		{"column twice", "md5,verdict,MD5\n", "line 1", "twice"},
		{"strange sep", "sep=|\nmd5|verdict\n", "line 1", "sep="},
		{"many columns", "md5" + strings.Repeat(",", 300) + "\n", "line 1", "columns"},
		{"huge field", "md5,verdict\n" + good + strings.Repeat("a", 100_000), "line 3", "longer than"},
		{"huge quoted", "md5,verdict\n" + good + `"` + strings.Repeat("a\n", 100_000), "line 3", "longer than"},
		{"open quote", "md5,verdict\n" + good + `"` + good, "line 3", "cut off"},
		{"no text", "md5,verdict\n" + good + "\x00\x01\n", "line 3", "zero byte"},
		{"Latin-1", "md5,verdict\n" + good + "caf\xe9,national\n", "line 3", "UTF-8"},
		{"CR only", "md5,verdict\r" + md5Text + ",national\r", "line 1", "unknown column"},
		{"half UTF-16", "\xff\xfem\x00d\x005\x00\n", "line 1", "cut off"},
		{"mixed UTF-16", "\xff\xfem\x00d\x005\x00\n\x00" + "a\xdc\n\x00", "line 2", "half a character"},
	} {
		_, wrong, err := readAll("csv", strings.NewReader(c.text))
		if err == nil || len(wrong) > 0 || !strings.Contains(err.Error(), c.line) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, wrong %v, want an error with %q and %q", c.name, err, wrong, c.line, c.says)
		}
	}
}

// TestWrongRows: each is told with its line; those before and after are read.
func TestWrongRows(t *testing.T) {
	head := "id,md5,sha256,pdq,verdict,media,severity,age_band,virtual,size,verified_by,not_before,state,reason,category,photodna,vpdq,harm\n"
	good := "x," + md5Text + "\n"
	for _, c := range []struct{ row, says string }{
		{"1,,,", "no hash"},
		{",,,,,,,,,,,,retracted", "neither a hash nor an id"},
		{"1," + md5Text[:31], "31 digits, want 32"},
		{"1,1234567890123456789012345678901", "zeros in front"},
		{"1,1.23457E+31", "text before"},
		{"1,\"1,23457E+31\"", "text before"},
		{"1," + md5Text[:31] + "x", "not hex"},
		{"1,," + md5Text, "32 digits, want 64"},
		{"1,,,pdq", "quality is missing"},
		{"1,,," + sha256Text, "quality is missing"},
		{"1,,," + sha256Text + ":101", "quality"},
		{"1," + md5Text + " " + md5Text, "two hashes of kind md5"},
		{"1," + md5Text + ",,,illegal", "verdict"},
		{"1," + md5Text + ",,,,picture", "media"},
		{"1," + md5Text + ",,,,,5", "severity"},
		{"1," + md5Text + ",,,,,,old", "age_band"},
		{"1," + md5Text + ",,,,,,,maybe", "virtual"},
		{"1," + md5Text + ",,,,,,,,1.2E+06", "size"},
		{"1," + md5Text + ",,,,,,,,-1", "size"},
		{"1," + md5Text + ",,,,,,,,,256", "verified_by"},
		{"1," + md5Text + ",,,,,,,,,,23-11-2026", "not_before"},
		{"1," + md5Text + ",,,,,,,,,,,gone", "state"},
		{"1," + md5Text + ",,,,,,,,,,,,false-positive", "a reason"},
		{"1," + md5Text + ",,,,,,,,,,,retracted,upheld", "reason"},
		{"1," + md5Text + ",,,,,,,,,,,,," + strings.Repeat("c", 65), "category"},
		{"1," + md5Text + ",,,,,,,,,,,,,,abcd", "photodna"},
		{"1," + md5Text + ",,,,,,,,,,,,,,,0:00:50", "not frames"},
		{"1," + md5Text + ",,,,,,,,,,,,,,,,other", "harm"},
		{strings.Repeat("i", 129) + "," + md5Text, "id"},
		{"1," + md5Text + strings.Repeat(",", 17) + "more", "no column"},
		{`1,"` + md5Text + `"x`, "quote"},
		{`1,0"0"`, "quote"},
	} {
		rows, wrong, err := readAll("csv", strings.NewReader(head+good+c.row+"\n"+strings.ReplaceAll(good, "x", "y")))
		if err != nil || len(rows) != 2 || len(wrong) != 1 {
			t.Errorf("%q: got %d rows, wrong %v, %v, want two and one wrong", c.row, len(rows), wrong, err)
			continue
		}
		if text := wrong[0].Error(); wrong[0].Line != 3 || !strings.Contains(text, c.says) || strings.Contains(text, md5Text[:20]) {
			t.Errorf("%q: got %q, want line 3, %q, and no hash", c.row, text, c.says)
		}
	}
	if _, wrong, err := readAll("csv", strings.NewReader("md5,verdict\n"+md5Text)); err != nil || len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "cut off") {
		t.Errorf("a last line that was cut off: got %v %v", wrong, err)
	}
}

func TestWrongObjects(t *testing.T) {
	for _, c := range []struct{ line, says string }{
		{`[]`, "not a JSON object"},
		{`{"hashes":["md5:` + md5Text + `"]`, "not a JSON object"},
		{`{"hashes":["md5:` + md5Text + `"]} {}`, "follows"},
		{`{"hashes":["md5:` + md5Text + `"],"file":"x"}`, `unknown key "file"`},
		{`{"hashes":["md5:` + md5Text + `"],"Verdict":"national"}`, `unknown key "Verdict"`},
		{`{"hashes":["md5:` + md5Text + `"],"hashes":[]}`, "twice"},
		{`{"hashes":"md5:` + md5Text + `"}`, "not a list"},
		{`{"hashes":[7]}`, "hash 0: not a text"},
		{`{"hashes":["` + md5Text + `"]}`, "without its kind"},
		{`{"hashes":["crc:00"]}`, "unknown kind"},
		{`{"hashes":[]}`, "no hash"},
		{`{"hashes":null}`, "no hash"},
		{`{"hashes":["md5:` + md5Text + `"],"virtual":{}}`, "neither"},
		{`{"hashes":["md5:` + md5Text + `"],"severity":1.5}`, "severity"},
		{`{"hashes":["md5:` + md5Text + `"],"severity":true}`, "severity"},
		{`{"hashes":[` + strings.Repeat(`"pdq:`+sha256Text+`:100",`, 32) + `"md5:` + md5Text + `"]}`, "more than 32"},
	} {
		rows, wrong, err := readAll("jsonl", strings.NewReader("\n"+c.line+"\n"+`{"id":"1","hashes":["md5:`+md5Text+`"],"severity":2,"virtual":true,"media":null}`))
		if err != nil || len(rows) != 1 || rows[0].Facts.Severity != 2 || !rows[0].Facts.Virtual || len(wrong) != 1 || wrong[0].Line != 2 || !strings.Contains(wrong[0].Error(), c.says) {
			t.Errorf("%s: got %v, wrong %v, %v, want one row, and line 2: %q", c.line, rows, wrong, err, c.says)
		}
	}
	if _, _, err := readAll("jsonl", strings.NewReader("{}\n"+strings.Repeat("a", 100_000))); err == nil || !strings.Contains(err.Error(), "line 2: longer") {
		t.Errorf("a huge line: got %v", err)
	}
	if _, wrong, err := readAll("jsonl", strings.NewReader(`{"hashes":["md5:`)); err != nil || len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "cut off") {
		t.Errorf("a line that was cut off: got %v %v", wrong, err)
	}
}

// drawRow draws a row as a feed has it.
func drawRow(t *rapid.T) Row {
	hashes := []feed.Hash{}
	add := func(alg feed.Alg) {
		h, err := feed.NewHash(alg, rapid.SliceOfN(rapid.Byte(), alg.Size(), alg.Size()).Draw(t, "value"), rapid.IntRange(50, 100).Draw(t, "quality"))
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, h)
	}
	for _, alg := range []feed.Alg{feed.MD5, feed.SHA1, feed.SHA256} {
		if rapid.Bool().Draw(t, "exact") {
			add(alg)
		}
	}
	for _, alg := range []feed.Alg{feed.PDQ, feed.PDQFull, feed.PhotoDNA} {
		for range rapid.IntRange(0, 2).Draw(t, "look") {
			add(alg)
		}
	}
	if n := rapid.IntRange(0, 3).Draw(t, "frames"); n > 0 || len(hashes) == 0 {
		var frames []feed.Frame
		for range max(n, 1) {
			frames = append(frames, feed.Frame{Milliseconds: rapid.Uint32().Draw(t, "ms"), Quality: 50 + uint8(rapid.IntRange(0, 50).Draw(t, "quality")),
				PDQ: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "pdq"))})
		}
		h, err := feed.NewVPDQ(frames)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, h)
	}
	text := rapid.StringOf(rapid.SampledFrom([]rune("aZ0 =+-@'\",;é#/.")))
	word := func(most int) string { // as it is after the blanks around it are gone
		s := strings.TrimSpace(text.Draw(t, "text"))
		for len(s) > most {
			s = strings.TrimSpace(s[:most-1])
			s = strings.ToValidUTF8(s, "")
		}
		return s
	}
	r := Row{Hashes: hashes, ID: word(maxID), Category: word(maxCategory), State: Active, Harm: rapid.SampledFrom([]feed.Harm{"", feed.CSAM, feed.TVEC}).Draw(t, "harm"),
		Facts: feed.Facts{Verdict: feed.Verdict(rapid.IntRange(0, 4).Draw(t, "verdict")), Media: feed.Media(rapid.IntRange(0, 2).Draw(t, "media")),
			Severity: uint8(rapid.IntRange(0, 4).Draw(t, "severity")), AgeBand: uint8(rapid.IntRange(0, 5).Draw(t, "band")), Virtual: rapid.Bool().Draw(t, "virtual"),
			Size: rapid.Uint64Range(0, 1<<40).Draw(t, "size"), VerifiedBy: rapid.Uint8().Draw(t, "verified"), NotBefore: int64(rapid.Uint32().Draw(t, "before"))}}
	if r.ID != "" && rapid.Bool().Draw(t, "retracted") {
		r.State, r.Reason, r.Hashes = Retracted, feed.Reason(rapid.IntRange(0, 6).Draw(t, "reason")), nil
	}
	return r
}

// TestRoundTrip: what is written is read again, in each format.
func TestRoundTrip(t *testing.T) {
	for _, f := range Formats {
		if f.Read == nil || f.Write == nil {
			continue
		}
		t.Run(f.Name, rapid.MakeCheck(func(t *rapid.T) {
			var want []Row
			var list bytes.Buffer
			w := f.Write(&list)
			for range rapid.IntRange(0, 5).Draw(t, "rows") {
				r := drawRow(t)
				want = append(want, r)
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			text := list.String()
			got, wrong, err := readAll(f.Name, strings.NewReader(text))
			if err != nil || len(wrong) > 0 || len(got) != len(want) {
				t.Fatalf("got %d rows, wrong %v, %v, want %d of\n%s", len(got), wrong, err, len(want), text)
			}
			for i := range want {
				got[i].Line = 0
				slices.SortStableFunc(want[i].Hashes, func(a, b feed.Hash) int { return int(a.Alg) - int(b.Alg) })
				slices.SortStableFunc(got[i].Hashes, func(a, b feed.Hash) int { return int(a.Alg) - int(b.Alg) })
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Fatalf("row %d: got\n%+v, want\n%+v, of\n%s", i, got[i], want[i], text)
				}
			}
		}))
	}
}

// TestMemory: a list of any length takes the memory of a row.
func TestMemory(t *testing.T) {
	const rows = 50_000 // some 4 MB
	for _, format := range []string{"csv", "jsonl"} {
		r, w := io.Pipe()
		go func() {
			if format == "csv" {
				io.WriteString(w, "id,md5,verdict,media\n")
			}
			for i := range rows {
				if format == "csv" {
					fmt.Fprintf(w, "%d,%032x,national,image\n", i, i)
				} else {
					fmt.Fprintf(w, `{"id":"%d","hashes":["md5:%032x"],"verdict":"national","media":"image"}`+"\n", i, i)
				}
			}
			w.Close()
		}()
		f, _ := Find(format)
		in, err := f.Read(r)
		if err != nil {
			t.Fatal(err)
		}
		heap := func() int64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before, n := heap(), 0
		for ; ; n++ {
			if _, err := in.Read(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if grown := heap() - before; n != rows || grown > 1<<20 {
			t.Errorf("%s: %d rows, and the heap has grown by %d bytes, want %d and less than 1 MiB", format, n, grown, rows)
		}
		runtime.KeepAlive(in)
	}
}

func TestMapping(t *testing.T) {
	m, err := ParseMapping(strings.NewReader("\ufeffCode;Verdict;Harm;Media;Severity\nA1;baseline;csam;;1\nB2;national;csam;video;\nother;skip\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		row  Row
		skip bool
		says string
		want feed.Facts
	}{
		{row: Row{Category: "A1"}, want: feed.Facts{Verdict: feed.Baseline, Severity: 1}},
		{row: Row{Category: "B2"}, want: feed.Facts{Verdict: feed.National, Media: feed.Video}},
		{row: Row{Category: "A1", Facts: feed.Facts{Severity: 3}}, want: feed.Facts{Verdict: feed.Baseline, Severity: 3}},
		{row: Row{Category: "other"}, skip: true},
		{row: Row{Category: "Other"}, says: `category "Other" is not in the map`},
		{row: Row{}, says: "no category"},
		{row: Row{Category: "A1", Facts: feed.Facts{Verdict: feed.National}}, says: "the row says national"},
		{row: Row{Category: "B2", Facts: feed.Facts{Media: feed.Image}}, says: "the row says image"},
		{row: Row{Category: "B2", Harm: feed.NCII}, says: "the row says ncii"},
	} {
		skip, err := m.Apply(&c.row)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: got %v, want %q", c.row, err, c.says)
			}
			continue
		}
		if err != nil || skip != c.skip || !skip && (c.row.Facts != c.want || c.row.Harm != feed.CSAM) {
			t.Errorf("got %+v, %v, %v, want %+v", c.row, skip, err, c.want)
		}
	}
	for _, c := range []struct{ text, says string }{
		{"", "empty"}, {"code,verdict,harm\n", "no code"}, {"code,meaning\n", "unknown column"}, {"code,verdict,harm\nA,baseline\n", "harm is missing"},
		{"code,verdict,harm\nA,,csam\n", "verdict is missing"}, {"code,verdict,harm\n,baseline,csam\n", "code is missing"},
		{"code,verdict,harm\nA,skip\nA,skip\n", "line 3"}, {"code,verdict,harm\nA,illegal,csam\n", "line 2: verdict"}, {"code,verdict,harm\nA,national,other\n", "harm"},
	} {
		if _, err := ParseMapping(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: got %v, want %q", c.text, err, c.says)
		}
	}
}

// TestFormats: each format is documented and does something.
func TestFormats(t *testing.T) {
	for _, f := range Formats {
		if f.Name == "" || f.About == "" || len(f.Columns) == 0 || f.Read == nil && f.Write == nil {
			t.Errorf("format %q is not whole", f.Name)
		}
		if found, ok := Find(f.Name); !ok || found.About != f.About {
			t.Errorf("format %q is there twice", f.Name)
		}
	}
}
