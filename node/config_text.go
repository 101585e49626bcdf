package node

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// configLine is a line of the config's text on which something begins.
type configLine struct {
	number int      // from 1
	end    int      // the line on which it ends: the same, but for values over several lines
	table  []string // the table that the line opens or stands in
	array  bool     // of a header: [[table]]
	key    []string // of a key line; nil for a header
}

// header tells whether the line opens a table.
func (l configLine) header() bool { return l.key == nil }

// scanConfig finds the headers and keys of a text that is valid TOML. It knows as much of TOML as it takes not to mistake the inside of a
// multi-line string or array for a header: the parser that decides is toml's.
func scanConfig(text string) []configLine {
	var found []configLine
	var table []string
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			array := strings.HasPrefix(line, "[[")
			table, _ = splitKey(strings.TrimLeft(line, "["))
			found = append(found, configLine{number: i + 1, end: i + 1, table: table, array: array})
		default:
			key, value := splitKey(line)
			l := configLine{number: i + 1, table: table, key: key}
			var v valueScanner
			v.line(value)
			for v.open() && i+1 < len(lines) {
				i++
				v.line(lines[i])
			}
			l.end = i + 1
			found = append(found, l)
		}
	}
	return found
}

// splitKey splits a dotted key, with quoted parts or without, from what follows its "=" or "]".
func splitKey(s string) (parts []string, rest string) {
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return parts, ""
		}
		if q := s[0]; q == '"' || q == '\'' {
			end := strings.IndexByte(s[1:], q)
			if end < 0 {
				return append(parts, s[1:]), ""
			}
			parts, s = append(parts, s[1:1+end]), strings.TrimLeft(s[2+end:], " \t")
		} else {
			end := strings.IndexAny(s, ".=] \t")
			if end < 0 {
				return append(parts, s), ""
			}
			parts, s = append(parts, s[:end]), strings.TrimLeft(s[end:], " \t")
		}
		if s == "" || s[0] != '.' {
			return parts, strings.TrimPrefix(s, "=")
		}
		s = s[1:]
	}
}

// valueScanner follows a value from line to line.
type valueScanner struct {
	depth int    // open brackets
	quote string // the closing quotes that a multi-line string waits for
}

func (v *valueScanner) open() bool { return v.depth > 0 || v.quote != "" }

func (v *valueScanner) line(s string) {
	for s != "" {
		if v.quote != "" {
			if v.quote[0] == '"' && s[0] == '\\' {
				s = s[min(2, len(s)):]
				continue
			}
			if strings.HasPrefix(s, v.quote) {
				s, v.quote = s[len(v.quote):], ""
				continue
			}
			s = s[1:]
			continue
		}
		switch s[0] {
		case '#':
			return
		case '[', '{':
			v.depth++
		case ']', '}':
			v.depth--
		case '"', '\'':
			v.quote = s[:1]
			if triple := strings.Repeat(s[:1], 3); strings.HasPrefix(s, triple) {
				v.quote = triple
			}
			s = s[len(v.quote):]
			continue
		}
		s = s[1:]
	}
	if len(v.quote) == 1 { // no such string goes beyond its line
		v.quote = ""
	}
}

// later are tables that belong to features which this version doesn't have. Ignoring one would let an operator believe that a drop-in
// listens.
var later = []string{"dropin", "pull", "desk"}

// unknownKeys says which keys nothing uses, where they stand, and what may have been meant.
func unknownKeys(name string, text []byte, undecoded []toml.Key) error {
	if len(undecoded) == 0 {
		return nil
	}
	lines := scanConfig(string(text))
	var problems []error
	said := map[string]bool{}
	for _, key := range undecoded {
		where := name
		if n := lineOf(lines, key); n > 0 {
			where = fmt.Sprintf("%s:%d", name, n)
		}
		var text string
		if slices.Contains(later, key[0]) {
			table := key[0]
			if table == "dropin" && len(key) > 1 {
				table += "." + key[1]
			}
			text = fmt.Sprintf("[%s] is not available in this version", table)
		} else {
			text = fmt.Sprintf("unknown key %q", key[len(key)-1])
			if len(key) > 1 {
				text += fmt.Sprintf(" in [%s]", strings.Join(key[:len(key)-1], "."))
			}
			if near := nearestKey(key); near != "" {
				text += fmt.Sprintf("; did you mean %q?", near)
			}
		}
		if said[text] { // once a table, not once a key of it
			continue
		}
		said[text] = true
		problems = append(problems, fmt.Errorf("%s: %s", where, text))
	}
	return errors.Join(problems...)
}

// lineOf finds the first line that a key stands on, 0 if it is written in some other way.
func lineOf(lines []configLine, key toml.Key) int {
	for _, l := range lines {
		if slices.Equal(slices.Concat(l.table, l.key), key) {
			return l.number
		}
	}
	return 0
}

// nearestKey returns the key of the same table that is at most two slips away, "" if none is.
func nearestKey(key toml.Key) (near string) {
	best := 3
	for _, k := range keysOf(reflect.TypeFor[Config](), key[:len(key)-1]) {
		if d := slips(key[len(key)-1], k, best); d < best {
			near, best = k, d
		}
	}
	return near
}

// keysOf returns the keys of a table of t, by the names that toml knows them by.
func keysOf(t reflect.Type, table []string) (keys []string) {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("toml")
		switch {
		case len(table) == 0:
			keys = append(keys, key)
		case key == table[0]:
			return keysOf(t.Field(i).Type, table[1:])
		}
	}
	return keys
}

// slips returns the Levenshtein distance of a and b, or limit if it is as much or more.
func slips(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
