package hashlist

import (
	"fmt"
	"io"
	"strings"

	"hashfeed/feed"
)

// Mapping says what each code of a source means. It is a table, as csv is read:
//
//	code;verdict;media;harm;severity
//	A1;baseline;image;csam;1
//	B2;national;image;csam;2
//	other;skip
//
// A code that isn't in it is refused: in 2021 a category "other", taken for illegal by default, made default images of a popular program so.
type Mapping map[string]Meaning

// Meaning is what a code means. What it doesn't say, the row or the import does.
type Meaning struct {
	Skip  bool // rows with this code are passed over
	Harm  feed.Harm
	Facts feed.Facts // Verdict always, and what else is said
}

var mapColumns = []Column{
	{"code", "of the source"},
	{"verdict", "baseline, national, doubtful, test; or skip: rows with this code are passed over"},
	{"harm", "csam, ncii or tvec; needed unless skip"},
	{"media", "image or video"}, {"severity", "1 to 4"}, {"age_band", ""}, {"virtual", "yes or no"},
}

// ParseMapping reads a mapping.
func ParseMapping(r io.Reader) (Mapping, error) {
	t, names, err := table(r, "the map", mapColumns)
	if err != nil {
		return nil, err
	}
	m := Mapping{}
	for {
		fields, line, cut, err := t.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		code, meaning, row := "", Meaning{}, Row{}
		err = t.row(names, fields, cut, func(name, text string) error {
			switch {
			case name == "code":
				if code = text; len(code) > maxCategory || !printable(code) {
					return fmt.Errorf("longer than %d bytes, or not printable", maxCategory)
				}
				return nil
			case name == "verdict" && strings.EqualFold(text, "skip"):
				meaning.Skip = true
				return nil
			}
			return row.set(name, text)
		})
		switch _, twice := m[code]; {
		case err != nil:
		case code == "":
			err = fmt.Errorf("the code is missing")
		case twice:
			err = fmt.Errorf("code %q is there twice", code)
		case !meaning.Skip && row.Facts.Verdict == 0:
			err = fmt.Errorf("code %q: its verdict is missing, or skip", code)
		case !meaning.Skip && row.Harm == "":
			err = fmt.Errorf("code %q: its harm is missing", code)
		case len(m) == maxCodes:
			err = fmt.Errorf("more than %d codes", maxCodes)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		meaning.Harm, meaning.Facts = row.Harm, row.Facts
		m[code] = meaning
	}
	if len(m) == 0 {
		return nil, fmt.Errorf("the map is empty: it has no code")
	}
	return m, nil
}

// Apply puts what the row's code means into the row; skip says that it is passed over. A row that contradicts its code is refused.
func (m Mapping) Apply(r *Row) (skip bool, err error) {
	if r.Category == "" {
		return false, fmt.Errorf("no category: the map says what each means, and none is taken for granted")
	}
	meaning, ok := m[r.Category]
	if !ok {
		return false, fmt.Errorf("category %q is not in the map", r.Category)
	}
	if meaning.Skip {
		return true, nil
	}
	f, of := &r.Facts, meaning.Facts
	switch {
	case f.Verdict != 0 && f.Verdict != of.Verdict:
		return false, fmt.Errorf("category %q means %s, and the row says %s", r.Category, of.Verdict, f.Verdict)
	case f.Media != 0 && of.Media != 0 && f.Media != of.Media:
		return false, fmt.Errorf("category %q means %s, and the row says %s", r.Category, of.Media, f.Media)
	case r.Harm != "" && r.Harm != meaning.Harm:
		return false, fmt.Errorf("category %q means %s, and the row says %s", r.Category, meaning.Harm, r.Harm)
	}
	f.Verdict, r.Harm = of.Verdict, meaning.Harm
	if of.Media != 0 {
		f.Media = of.Media
	}
	if f.Severity == 0 {
		f.Severity = of.Severity
	}
	if f.AgeBand == 0 {
		f.AgeBand = of.AgeBand
	}
	f.Virtual = f.Virtual || of.Virtual
	return false, nil
}
