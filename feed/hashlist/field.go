package hashlist

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hashfeed/feed"
)

// ageBands are the words for an age band, by its number (WIRE §2).
var ageBands = []string{"", "undetermined", "infant", "prepubescent", "pubescent", "adult"}

var errSpreadsheet = errors.New("a spreadsheet has made a number of it, and its digits are lost: format the column as text before the hashes come into it, and paste them anew")

// scientific reports whether a spreadsheet has written a number with an exponent, as it does with a hash that is all digits, or digits
// with one e among them.
func scientific(text string) bool {
	if !strings.ContainsAny(text, "+.,") { // nearly all
		return false
	}
	mantissa, exponent, ok := strings.Cut(strings.ToLower(text), "e")
	if !ok || !strings.HasPrefix(exponent, "+") && !strings.ContainsAny(mantissa, ".,") {
		return false
	}
	digits := func(s, more string) bool { return s != "" && strings.Trim(s, "0123456789"+more) == "" }
	return digits(mantissa, ".,") && digits(strings.TrimLeft(exponent, "+-"), "")
}

// set puts the text of a column into the row; an empty one says nothing. Its errors don't repeat a hash.
func (r *Row) set(column, text string) error {
	if text == "" {
		return nil
	}
	var err error
	number := func(low, high uint64) uint64 {
		n, e := strconv.ParseUint(text, 10, 64)
		if e != nil || n < low || n > high || strconv.FormatUint(n, 10) != text {
			err = fmt.Errorf("%.*q is not a number from %d to %d", maxShown, text, low, high)
		}
		return n
	}
	switch column {
	case "md5", "sha1", "sha256", "pdq", "pdq_full", "photodna", "vpdq":
		if scientific(text) {
			return errSpreadsheet
		}
		for _, word := range strings.Fields(text) {
			if err := r.addHash(column, word); err != nil {
				return err
			}
		}
	case "id":
		if len(text) > maxID || !printable(text) {
			return fmt.Errorf("longer than %d bytes, or not printable", maxID)
		}
		r.ID = text
	case "category":
		if len(text) > maxCategory || !printable(text) {
			return fmt.Errorf("longer than %d bytes, or not printable", maxCategory)
		}
		r.Category = text
	case "verdict":
		r.Facts.Verdict, err = feed.ParseVerdict(strings.ToLower(text))
	case "media":
		r.Facts.Media, err = feed.ParseMedia(strings.ToLower(text))
	case "harm":
		r.Harm, err = feed.ParseHarm(strings.ToLower(text))
	case "severity":
		r.Facts.Severity = uint8(number(1, 4))
	case "age_band":
		band := slices.Index(ageBands, strings.ToLower(text))
		if band < 1 {
			return fmt.Errorf("%.*q is none of %s", maxShown, text, strings.Join(ageBands[1:], ", "))
		}
		r.Facts.AgeBand = uint8(band)
	case "virtual":
		switch strings.ToLower(text) {
		case "yes", "true", "1", "ja", "waar":
			r.Facts.Virtual = true
		case "no", "false", "0", "nee", "onwaar":
		default:
			return fmt.Errorf("%.*q is neither yes nor no", maxShown, text)
		}
	case "size":
		if scientific(text) {
			return errSpreadsheet
		}
		r.Facts.Size = number(1, 1<<40)
	case "verified_by":
		r.Facts.VerifiedBy = uint8(number(1, 255))
	case "not_before":
		t, e := time.Parse(time.RFC3339, text)
		if e != nil || t.Unix() < 0 || t.Unix() >= 1<<32 {
			return fmt.Errorf("%.*q is no time such as 2026-11-23T08:00:00Z", maxShown, text)
		}
		r.Facts.NotBefore = t.Unix()
	case "state":
		state, ok := states[strings.ToLower(text)]
		if !ok {
			return fmt.Errorf("%.*q is none of active, retracted, pending, held", maxShown, text)
		}
		r.State = state
	case "reason":
		r.Reason, err = feed.ParseReason(strings.ToLower(text))
		if err == nil && !r.Reason.Fits(feed.OpRetract) {
			err = fmt.Errorf("%s is not the reason of a retraction", r.Reason)
		}
	case "source", "listed":
	default:
		return fmt.Errorf("there is no such column")
	}
	return err
}

// addHash adds a hash of a kind, as it stands in the kind's column.
func (r *Row) addHash(kind, text string) error {
	alg, err := feed.ParseAlg(kind)
	if err != nil {
		return err
	}
	if alg == feed.VPDQ {
		h, err := vpdqOf(text)
		if err == nil {
			r.Hashes = append(r.Hashes, h)
		}
		return err
	}
	digits, _, graded := strings.Cut(text, ":")
	if alg.Graded() && !graded {
		return fmt.Errorf("its quality is missing: HEX:QUALITY")
	}
	if n := 2 * alg.Size(); alg.Exact() && len(digits) != n {
		if allDigits := strings.Trim(digits, "0123456789") == ""; allDigits && len(digits) < n {
			return fmt.Errorf("%d digits, want %d: a spreadsheet drops the zeros in front of a number; format the column as text", len(digits), n)
		}
		return fmt.Errorf("%d digits, want %d", len(digits), n)
	}
	h, err := feed.ParseHash(kind + ":" + text)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "hash: "))
	}
	r.Hashes = append(r.Hashes, h)
	return nil
}

// addTyped adds a hash as jsonl has it: with its kind.
func (r *Row) addTyped(text string) error {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok {
		return fmt.Errorf("a hash without its kind")
	}
	return r.addHash(kind, rest)
}

var errVPDQ = errors.New("not frames: MILLISECONDS:HEX:QUALITY, put together with +")

func vpdqOf(text string) (feed.Hash, error) {
	var frames []feed.Frame
	for part := range strings.SplitSeq(text, "+") {
		f := strings.Split(part, ":")
		if len(f) != 3 || len(frames) == feed.MaxFrames {
			return feed.Hash{}, errVPDQ
		}
		ms, err1 := strconv.ParseUint(f[0], 10, 32)
		pdq, err2 := hex.DecodeString(f[1])
		quality, err3 := strconv.ParseUint(f[2], 10, 8)
		if err1 != nil || err2 != nil || err3 != nil || len(pdq) != 32 {
			return feed.Hash{}, errVPDQ
		}
		frames = append(frames, feed.Frame{Milliseconds: uint32(ms), PDQ: [32]byte(pdq), Quality: uint8(quality)})
	}
	return feed.NewVPDQ(frames)
}

// textOf is a hash as its column has it, without its kind.
func textOf(h feed.Hash) (string, error) {
	if h.Alg != feed.VPDQ {
		_, text, _ := strings.Cut(h.Text(), ":")
		return text, nil
	}
	frames, err := h.Frames()
	if err != nil {
		return "", err
	}
	var parts []string
	for _, f := range frames {
		parts = append(parts, fmt.Sprintf("%d:%x:%d", f.Milliseconds, f.PDQ, f.Quality))
	}
	return strings.Join(parts, "+"), nil
}

// text is what a column besides the hashes has of a row; set reads it.
func (r *Row) text(column string) string {
	number := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(n, 10)
	}
	clock := func(t int64) string {
		if t == 0 {
			return ""
		}
		return time.Unix(t, 0).UTC().Format(time.RFC3339)
	}
	switch f := r.Facts; column {
	case "id":
		return r.ID
	case "verdict":
		if f.Verdict != 0 {
			return f.Verdict.String()
		}
	case "media":
		if f.Media != 0 {
			return f.Media.String()
		}
	case "harm":
		return string(r.Harm)
	case "category":
		return r.Category
	case "severity":
		return number(uint64(f.Severity))
	case "age_band":
		if int(f.AgeBand) < len(ageBands) {
			return ageBands[f.AgeBand]
		}
	case "virtual":
		if f.Virtual {
			return "yes"
		}
	case "size":
		return number(f.Size)
	case "verified_by":
		return number(uint64(f.VerifiedBy))
	case "not_before":
		return clock(f.NotBefore)
	case "state":
		return string(r.State)
	case "reason":
		if r.Reason != 0 {
			return r.Reason.String()
		}
	case "source":
		if r.Source != nil {
			return r.Source.String()
		}
	case "listed":
		return clock(r.Listed)
	}
	return ""
}

// printable reports whether a text has neither control characters nor what can't be seen.
func printable(text string) bool {
	for _, c := range text {
		if c != ' ' && !strconv.IsGraphic(c) || c == '\uFEFF' || c == '\uFFFD' {
			return false
		}
	}
	return true
}
