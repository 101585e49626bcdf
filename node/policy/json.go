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
		b = append(AppendText(append(b, `"file":`...), v.File), ',')
	}
	if v.Query != "" {
		b = append(AppendText(append(b, `"query":`...), v.Query), ',')
	}
	if len(v.Hashes) > 0 {
		b = append(AppendTexts(append(b, `"hashes":`...), v.Hashes), ',')
	}
	return v.appendRest(b, nil)
}

// appendRest appends what comes after the hashes. heads is what its heads look like, if somebody knows already.
func (v *Verdict) appendRest(b, heads []byte) (_ []byte, err error) {
	b = AppendText(append(b, `"verdict":`...), string(v.Verdict))
	b = AppendTexts(append(b, `,"checked":`...), v.Checked)
	b = AppendTexts(append(b, `,"unchecked":`...), v.Unchecked)
	if b, err = appendMatches(append(b, `,"matches":`...), v.Matches); err != nil {
		return nil, err
	}
	b = append(b, `,"heads":`...)
	if heads != nil {
		b = append(b, heads...)
	} else {
		b = AppendHeads(b, v.Heads)
	}
	if v.Note != "" {
		b = AppendText(append(b, `,"note":`...), v.Note)
	}
	if v.Truncated {
		b = append(b, `,"truncated":true`...)
	}
	if v.Decision != "" {
		b = AppendText(append(b, `,"decision":`...), v.Decision)
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
		if b, err = list[i].AppendMembers(append(b, '{')); err != nil {
			return nil, err
		}
		b = append(b, '}')
	}
	return append(b, ']'), nil
}

// AppendMembers appends what stands between the braces of m's JSON, which the journal adds to.
func (m *Match) AppendMembers(b []byte) (_ []byte, err error) {
	b = AppendText(append(b, `"origin":`...), m.Origin)
	b = strconv.AppendUint(append(b, `,"index":`...), m.Index, 10)
	b = AppendText(append(b, `,"ref":`...), m.Ref)
	b = AppendText(append(b, `,"alg":`...), m.Alg)
	b = strconv.AppendInt(append(b, `,"distance":`...), int64(m.Distance), 10)
	b = AppendText(append(b, `,"verdict":`...), m.Verdict)
	b = AppendText(append(b, `,"harm":`...), m.Harm)
	b = AppendText(append(b, `,"media":`...), m.Media)
	if b, err = m.Listed.AppendText(append(b, `,"listed":"`...)); err != nil {
		return nil, fmt.Errorf("write a verdict: %w", err)
	}
	b = AppendText(append(b, `","state":`...), string(m.State))
	b = strconv.AppendBool(append(b, `,"stale":`...), m.Stale)
	b = AppendTexts(append(b, `,"endorsed_by":`...), m.EndorsedBy)
	if len(m.DisputedBy) > 0 {
		b = AppendTexts(append(b, `,"disputed_by":`...), m.DisputedBy)
	}
	if m.Test {
		b = append(b, `,"test":true`...)
	}
	return AppendText(append(b, `,"action":`...), string(m.Action)), nil
}

// AppendHeads appends heads as [Verdict.AppendJSON] does.
func AppendHeads(b []byte, list []Head) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, h := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendText(append(b, `{"origin":`...), h.Origin)
		b = strconv.AppendUint(append(b, `,"size":`...), h.Size, 10)
		b = strconv.AppendInt(append(b, `,"age_s":`...), h.AgeS, 10)
		b = AppendText(append(b, `,"state":`...), h.State)
		b = append(b, '}')
	}
	return append(b, ']')
}

// AppendTexts appends strings as encoding/json does without escaping HTML.
func AppendTexts(b []byte, list []string) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendText(b, s)
	}
	return append(b, ']')
}

// AppendText appends a string as encoding/json does without escaping HTML. What a verdict says is nearly always plain ASCII; the rest is left to encoding/json.
func AppendText(b []byte, s string) []byte {
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
