package hashlist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// records reads the records of a table: fields between delimiters, in quotes where they hold one.
type records struct {
	in     *lines
	delim  byte
	buffer []byte
	fields []string
}

// next returns the fields of the next record that isn't blank, and the line where it begins. cut is true for a last one without an end.
func (t *records) next() (fields []string, line int, cut bool, err error) {
	for {
		text, line, cut, err := t.record()
		if err != nil {
			return nil, line, false, err
		}
		if len(bytes.Trim(text, "\r\n")) == 0 {
			continue
		}
		fields, err := t.split(text)
		return fields, line, cut, err
	}
}

// record returns the text of a record: a line, or several where a line ends within quotes.
func (t *records) record() (text []byte, line int, cut bool, err error) {
	t.buffer = t.buffer[:0]
	for {
		part, whole, err := t.in.next()
		if len(t.buffer) == 0 {
			line = t.in.line
		}
		switch {
		case err == io.EOF && len(t.buffer) > 0:
			return nil, line, false, errOpenQuote
		case err != nil:
			return nil, line, false, err
		case len(t.buffer)+len(part) > maxRow:
			return nil, line, false, errLong
		}
		t.buffer = append(t.buffer, part...)
		if bytes.Count(t.buffer, []byte{'"'})%2 == 0 {
			return t.buffer, line, !whole, nil
		}
		if !whole {
			return nil, line, false, errOpenQuote
		}
	}
}

var errOpenQuote = errors.New("a quote that isn't closed: the file was cut off, or a field has one that stands for itself")

var errQuote = &fieldError{"a quote in the middle of a field"}

type fieldError struct{ text string }

func (e *fieldError) Error() string { return e.text }

// split parts a record into its fields.
func (t *records) split(text []byte) ([]string, error) {
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	t.fields = t.fields[:0]
	for {
		if len(t.fields) == maxColumns {
			return nil, &fieldError{fmt.Sprintf("more than %d columns", maxColumns)}
		}
		field, rest, more := text, []byte(nil), false
		if len(text) > 0 && text[0] == '"' {
			var quoted []byte
			i := 1
			for ; ; i++ {
				if i == len(text) {
					return nil, errQuote
				}
				if text[i] != '"' {
					quoted = append(quoted, text[i])
				} else if i+1 < len(text) && text[i+1] == '"' {
					quoted = append(quoted, '"')
					i++
				} else {
					break
				}
			}
			switch {
			case i+1 == len(text):
			case text[i+1] == t.delim:
				rest, more = text[i+2:], true
			default:
				return nil, errQuote
			}
			field = quoted
		} else {
			if i := bytes.IndexByte(text, t.delim); i >= 0 {
				field, rest, more = text[:i], text[i+1:], true
			}
			if bytes.IndexByte(field, '"') >= 0 {
				return nil, errQuote
			}
		}
		t.fields = append(t.fields, cell(string(field)))
		if !more {
			return t.fields, nil
		}
		text = rest
	}
}

// cell takes off what spreadsheets and people put around a value: blanks, the apostrophe that makes a text of it, the formula ="…".
func cell(text string) string {
	text = strings.TrimSpace(text) // no-break spaces too
	if inner, ok := strings.CutPrefix(text, `="`); ok && strings.HasSuffix(inner, `"`) {
		text = strings.TrimSuffix(inner, `"`)
	}
	return strings.TrimPrefix(text, "'")
}

// table opens a table and reads its header: the names of its columns, "" for an empty one.
func table(r io.Reader, what string, allowed []Column) (*records, []string, error) {
	t := &records{in: newLines(r)}
	head, line, _, err := t.record()
	if err == io.EOF {
		return nil, nil, fmt.Errorf("%s is empty: a line with the names of the columns is missing", what)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("line %d: %w", max(line, 1), err)
	}
	if word := strings.ToLower(strings.TrimSpace(string(head))); strings.HasPrefix(word, "sep=") { // a line that only Excel knows
		if t.delim = ','; len(word) == 5 {
			t.delim = word[4]
		}
		if len(word) == 4 {
			t.delim = '\t' // it was trimmed
		}
		if !bytes.ContainsRune([]byte(",;\t"), rune(t.delim)) {
			return nil, nil, fmt.Errorf("line 1: columns may be put apart by , or ; or a tab, not by what sep= says")
		}
		if head, line, _, err = t.record(); err != nil {
			return nil, nil, fmt.Errorf("line %d: the names of the columns: %w", line, err)
		}
	} else {
		t.delim = delimOf(head)
	}
	fields, err := t.split(head)
	if err != nil {
		return nil, nil, fmt.Errorf("line %d: %w", line, err)
	}
	names := make([]string, len(fields))
	seen := map[string]bool{}
	for i, f := range fields {
		name := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(f))
		switch {
		case name == "":
		case !known(allowed, name):
			return nil, nil, fmt.Errorf("line %d: unknown column %.*q: take it out; there are %s", line, maxShown, f, namesOf(allowed))
		case seen[name]:
			return nil, nil, fmt.Errorf("line %d: column %s is there twice", line, name)
		}
		seen[name], names[i] = true, name
	}
	return t, names, nil
}

// delimOf is what puts the columns of a header apart: the one of the three that is there most.
func delimOf(head []byte) byte {
	best := byte(',')
	for _, c := range []byte(";\t") {
		if bytes.Count(head, []byte{c}) > bytes.Count(head, []byte{best}) {
			best = c
		}
	}
	return best
}

// row gives each field of a record to set, by the name of its column.
func (t *records) row(names, fields []string, cut bool, set func(name, text string) error) error {
	if cut && len(fields) < len(names) {
		return errors.New("fewer fields than columns, and no line end: the file was cut off")
	}
	for i, text := range fields { // a spreadsheet may leave out empty ones at the end
		name := ""
		if i < len(names) {
			name = names[i]
		}
		if text == "" {
			continue
		}
		if name == "" {
			return fmt.Errorf("field %d has no column", i+1)
		}
		if err := set(name, text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

type csvReader struct {
	t     *records
	names []string
}

func newCSVReader(r io.Reader) (Reader, error) {
	t, names, err := table(r, "the list", columns)
	if err != nil {
		return nil, err
	}
	for _, c := range append([]Column{{Name: "id"}}, hashColumns...) {
		for _, name := range names {
			if name == c.Name {
				return &csvReader{t, names}, nil
			}
		}
	}
	return nil, fmt.Errorf("line %d: no column of hashes: %s", t.in.line, namesOf(hashColumns))
}

func (c *csvReader) Read() (Row, error) {
	for {
		fields, line, cut, err := c.t.next()
		if err != nil {
			var bad *fieldError
			switch {
			case err == io.EOF:
				return Row{}, err
			case errors.As(err, &bad):
				return Row{}, &RowError{line, err}
			}
			return Row{}, fmt.Errorf("line %d: %w", max(line, c.t.in.line), err)
		}
		if strings.Join(fields, "") == "" {
			continue // a spreadsheet's empty row
		}
		row := Row{Line: line}
		if err = c.t.row(c.names, fields, cut, row.set); err == nil {
			err = row.check()
		}
		if err != nil {
			return Row{}, &RowError{line, err}
		}
		return row, nil
	}
}

type csvWriter struct {
	out     io.Writer
	started bool
	line    []byte
}

func newCSVWriter(w io.Writer) Writer { return &csvWriter{out: w} }

func (c *csvWriter) start() {
	if c.line = c.line[:0]; !c.started {
		c.started = true
		for i, col := range columns {
			if i > 0 {
				c.line = append(c.line, ',')
			}
			c.line = append(c.line, col.Name...)
		}
		c.line = append(c.line, "\r\n"...)
	}
}

func (c *csvWriter) Write(r Row) error {
	c.start()
	for i, col := range columns {
		if i > 0 {
			c.line = append(c.line, ',')
		}
		text := r.text(col.Name)
		if known(hashColumns, col.Name) {
			for _, h := range r.Hashes {
				if h.Alg.String() != col.Name {
					continue
				}
				one, err := textOf(h)
				if err != nil {
					return err
				}
				text = strings.TrimLeft(text+" "+one, " ")
			}
		}
		c.line = appendField(c.line, text)
	}
	c.line = append(c.line, "\r\n"...)
	_, err := c.out.Write(c.line)
	return err
}

func (c *csvWriter) Close() error {
	if c.started {
		return nil
	}
	c.start()
	_, err := c.out.Write(c.line)
	return err
}

// appendField writes a field so that no spreadsheet takes it for a formula, and so that cell reads it again.
func appendField(b []byte, text string) []byte {
	if text != "" && strings.IndexByte("=+-@'\t", text[0]) >= 0 {
		text = "'" + text
	}
	if !strings.ContainsAny(text, "\",;\t\r\n") {
		return append(b, text...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(text, `"`, `""`)...)
	return append(b, '"')
}
