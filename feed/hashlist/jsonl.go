package hashlist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

type jsonReader struct {
	in *lines
}

func newJSONReader(r io.Reader) (Reader, error) { return &jsonReader{newLines(r)}, nil }

func (j *jsonReader) Read() (Row, error) {
	for {
		text, whole, err := j.in.next()
		if err == io.EOF {
			return Row{}, err
		}
		if err != nil {
			return Row{}, fmt.Errorf("line %d: %w", j.in.line, err)
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		row := Row{Line: j.in.line}
		if err = row.parseJSON(text); err == nil {
			err = row.check()
		} else if !whole {
			err = fmt.Errorf("%w; the line has no end: the file was cut off", err)
		}
		if err != nil {
			return Row{}, &RowError{row.Line, err}
		}
		return row, nil
	}
}

var errObject = errors.New("not a JSON object, or not a whole one")

// parseJSON reads an object. Unlike encoding/json on a struct it wants each key as it is written, and once.
func (r *Row) parseJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errObject
	}
	var seen uint64
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return errObject
		}
		at := -1
		for i, c := range jsonKeys {
			if c.Name == key {
				at = i
			}
		}
		if at < 0 {
			return fmt.Errorf("unknown key %.*q; there are %s", maxShown, key, namesOf(jsonKeys))
		}
		if seen&(1<<at) != 0 {
			return fmt.Errorf("key %s is there twice", key)
		}
		seen |= 1 << at
		if err := r.setJSON(d, key); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return errObject
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// jsonKeys is jsonColumns, made once.
var jsonKeys = jsonColumns()

// setJSON reads the value of a key: a text, a number, true or false; of hashes a list of texts.
func (r *Row) setJSON(d *json.Decoder, key string) error {
	t, err := d.Token()
	if err != nil {
		return errObject
	}
	if key == "hashes" {
		if t == nil {
			return nil
		}
		if t != json.Delim('[') {
			return errors.New("not a list")
		}
		for i := 0; d.More(); i++ {
			t, err := d.Token()
			if err != nil {
				return errObject
			}
			text, ok := t.(string)
			if !ok {
				return fmt.Errorf("hash %d: not a text", i)
			}
			if i == maxHashes {
				return fmt.Errorf("more than %d", maxHashes)
			}
			if err := r.addTyped(text); err != nil {
				return fmt.Errorf("hash %d: %w", i, err)
			}
		}
		if _, err := d.Token(); err != nil {
			return errObject
		}
		return nil
	}
	switch v := t.(type) {
	case nil:
		return nil
	case string:
		return r.set(key, v)
	case json.Number:
		return r.set(key, v.String())
	case bool:
		if key == "virtual" {
			r.Facts.Virtual = v
			return nil
		}
	}
	return errors.New("neither a text nor a number")
}

type jsonWriter struct{ out io.Writer }

func newJSONWriter(w io.Writer) Writer { return &jsonWriter{w} }

// jsonRow is a row as it is written.
type jsonRow struct {
	ID         string   `json:"id,omitempty"`
	Hashes     []string `json:"hashes,omitempty"`
	Verdict    string   `json:"verdict,omitempty"`
	Media      string   `json:"media,omitempty"`
	Harm       string   `json:"harm,omitempty"`
	Category   string   `json:"category,omitempty"`
	Severity   uint8    `json:"severity,omitempty"`
	AgeBand    string   `json:"age_band,omitempty"`
	Virtual    bool     `json:"virtual,omitempty"`
	Size       uint64   `json:"size,omitempty"`
	VerifiedBy uint8    `json:"verified_by,omitempty"`
	NotBefore  string   `json:"not_before,omitempty"`
	State      string   `json:"state,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Source     string   `json:"source,omitempty"`
	Listed     string   `json:"listed,omitempty"`
}

func (j *jsonWriter) Write(r Row) error {
	row := jsonRow{ID: r.ID, Verdict: r.text("verdict"), Media: r.text("media"), Harm: r.text("harm"), Category: r.Category,
		Severity: r.Facts.Severity, AgeBand: r.text("age_band"), Virtual: r.Facts.Virtual, Size: r.Facts.Size, VerifiedBy: r.Facts.VerifiedBy,
		NotBefore: r.text("not_before"), State: r.text("state"), Reason: r.text("reason"), Source: r.text("source"), Listed: r.text("listed")}
	for _, h := range r.Hashes {
		text, err := textOf(h)
		if err != nil {
			return err
		}
		row.Hashes = append(row.Hashes, h.Alg.String()+":"+text)
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(row); err != nil {
		return err
	}
	_, err := j.out.Write(line.Bytes())
	return err
}

func (j *jsonWriter) Close() error { return nil }
