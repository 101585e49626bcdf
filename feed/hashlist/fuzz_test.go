package hashlist

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// fuzzReader reads anything: no panic, every error with its line, every good row in bounds and the same after it was written and read again.
func fuzzReader(t *testing.T, f Format, text []byte) {
	r, err := f.Read(bytes.NewReader(text))
	if err != nil {
		return
	}
	last := 0
	for {
		row, err := r.Read()
		var bad *RowError
		switch {
		case err == io.EOF:
			return
		case errors.As(err, &bad):
			if bad.Line <= last {
				t.Fatalf("line %d after line %d: %v", bad.Line, last, err)
			}
			last = bad.Line
			continue
		case err != nil:
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Fatalf("an error without a line: %v", err)
			}
			return
		}
		if row.Line <= last || len(row.Hashes) > maxHashes || len(row.Hashes) == 0 && row.State == Active || len(row.ID) > maxID {
			t.Fatalf("after line %d: %+v", last, row)
		}
		last = row.Line
		var again bytes.Buffer
		w := f.Write(&again)
		if err := errors.Join(w.Write(row), w.Close()); err != nil {
			t.Fatalf("write line %d: %v", last, err)
		}
		rows, wrong, err := readAll(f.Name, &again)
		if err != nil || len(wrong) > 0 || len(rows) != 1 {
			t.Fatalf("line %d is not read again: %v %v", last, wrong, err)
		}
		rows[0].Line, row.Line = 0, 0
		if len(rows[0].Hashes) != len(row.Hashes) { // their order is the columns'
			t.Fatalf("line %d: got %+v, want %+v", last, rows[0], row)
		}
		rows[0].Hashes, row.Hashes = nil, nil
		if !reflect.DeepEqual(rows[0], row) {
			t.Fatalf("line %d: got %+v, want %+v", last, rows[0], row)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("id;md5;verdict;media\r\n1;" + md5Text + ";national;image\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) { format, _ := Find("csv"); fuzzReader(t, format, text) })
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte(`{"id":"1","hashes":["md5:` + md5Text + `"],"severity":2}`))
	f.Fuzz(func(t *testing.T, text []byte) { format, _ := Find("jsonl"); fuzzReader(t, format, text) })
}

func FuzzParseMapping(f *testing.F) {
	f.Add([]byte("code,verdict,harm\nA1,baseline,csam\nother,skip\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMapping(bytes.NewReader(text))
		if err != nil {
			return
		}
		for code, meaning := range m {
			row := Row{Category: code}
			skip, err := m.Apply(&row)
			if code == "" || err != nil || skip != meaning.Skip || !skip && (row.Facts.Verdict == 0 || row.Harm == "") {
				t.Fatalf("code %q: %v %v %+v", code, skip, err, row)
			}
		}
	})
}
