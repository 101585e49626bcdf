package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// AppendJSON appends v as a json.Encoder writes it that doesn't escape HTML, without the line's end: every verdict that leaves the node
// passes here, and encoding/json took longer for one than looking it up. What is in a verdict's struct tags is true of both.
func (v *Verdict) AppendJSON(b []byte) ([]byte, error) {
	b = append(b, '{')
	if v.File != "" {
		b = append(appendText(append(b, `"file":`...), v.File), ',')
	}
	if v.Query != "" {
		b = append(appendText(append(b, `"query":`...), v.Query), ',')
	}
	if len(v.Hashes) > 0 {
		b = append(appendTexts(append(b, `"hashes":`...), v.Hashes), ',')
	}
	return v.appendRest(b, nil)
}

// appendRest appends what comes after the hashes. heads is what its heads look like, if somebody knows already.
func (v *Verdict) appendRest(b, heads []byte) (_ []byte, err error) {
	b = appendText(append(b, `"verdict":`...), string(v.Verdict))
	b = appendTexts(append(b, `,"checked":`...), v.Checked)
	b = appendTexts(append(b, `,"unchecked":`...), v.Unchecked)
	if b, err = appendMatches(append(b, `,"matches":`...), v.Matches); err != nil {
		return nil, err
	}
	b = append(b, `,"heads":`...)
	if heads != nil {
		b = append(b, heads...)
	} else {
		b = appendHeads(b, v.Heads)
	}
	if v.Note != "" {
		b = appendText(append(b, `,"note":`...), v.Note)
	}
	if v.Truncated {
		b = append(b, `,"truncated":true`...)
	}
	if v.Decision != "" {
		b = appendText(append(b, `,"decision":`...), v.Decision)
	}
	return append(b, '}'), nil
}

func appendMatches(b []byte, list []Match) (_ []byte, err error) {
	if list == nil {
		return append(b, "null"...), nil
	}
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = list[i].appendJSON(b); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func (m *Match) appendJSON(b []byte) (_ []byte, err error) {
	b = appendText(append(b, `{"origin":`...), m.Origin)
	b = strconv.AppendUint(append(b, `,"index":`...), m.Index, 10)
	b = appendText(append(b, `,"ref":`...), m.Ref)
	b = appendText(append(b, `,"alg":`...), m.Alg)
	b = strconv.AppendInt(append(b, `,"distance":`...), int64(m.Distance), 10)
	b = appendText(append(b, `,"verdict":`...), m.Verdict)
	b = appendText(append(b, `,"harm":`...), m.Harm)
	b = appendText(append(b, `,"media":`...), m.Media)
	if b, err = m.Listed.AppendText(append(b, `,"listed":"`...)); err != nil {
		return nil, fmt.Errorf("write a verdict: %w", err)
	}
	b = appendText(append(b, `","state":`...), string(m.State))
	b = strconv.AppendBool(append(b, `,"stale":`...), m.Stale)
	b = appendTexts(append(b, `,"endorsed_by":`...), m.EndorsedBy)
	if len(m.DisputedBy) > 0 {
		b = appendTexts(append(b, `,"disputed_by":`...), m.DisputedBy)
	}
	if m.Test {
		b = append(b, `,"test":true`...)
	}
	b = appendText(append(b, `,"action":`...), string(m.Action))
	return append(b, '}'), nil
}

func appendHeads(b []byte, list []Head) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, h := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"origin":`...), h.Origin)
		b = strconv.AppendUint(append(b, `,"size":`...), h.Size, 10)
		b = strconv.AppendInt(append(b, `,"age_s":`...), h.AgeS, 10)
		b = appendText(append(b, `,"state":`...), h.State)
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendTexts(b []byte, list []string) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendText appends a string. What a verdict says is nearly always plain ASCII; the rest is left to encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			var text bytes.Buffer
			e := json.NewEncoder(&text)
			e.SetEscapeHTML(false)
			e.Encode(s) // a string has always a form
			return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
