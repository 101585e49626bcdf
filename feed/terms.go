package feed

import (
	"errors"
	"strconv"
	"time"
)

// A Term is a length of time as a charter spells it: a number of hours ("6h") or days ("2d"). "48h" and "2d" are two Terms, since a
// signed text is kept as it was signed. The zero Term is none.
type Term struct {
	N    int  // 1 to 9999
	Unit byte // 'h' or 'd'
}

var (
	errTerm = errors.New(`term: not a number of 1 to 9999 and "h" or "d"`)
	errDate = errors.New("date: not a real one in the form 2006-01-02T15:04:05Z")
)

// ParseTerm parses "6h" or "2d".
func ParseTerm(s string) (Term, error) {
	if len(s) < 2 {
		return Term{}, errTerm
	}
	n, ok := parseNum(s[:len(s)-1])
	t := Term{n, s[len(s)-1]}
	if !ok || !t.valid() {
		return Term{}, errTerm
	}
	return t, nil
}

func (t Term) valid() bool { return 1 <= t.N && t.N <= maxNum && (t.Unit == 'h' || t.Unit == 'd') }

// String returns the form that ParseTerm reads.
func (t Term) String() string { return strconv.Itoa(t.N) + string(rune(t.Unit)) }

// Duration returns the length of t. A day has 24 hours.
func (t Term) Duration() time.Duration {
	if t.Unit == 'd' {
		return time.Duration(t.N) * 24 * time.Hour
	}
	return time.Duration(t.N) * time.Hour
}

// parseNum reads the ABNF's num: 1 to 9999 without leading zeros.
func parseNum(s string) (int, bool) {
	n, ok := parseNumber(s, 1, maxNum)
	return int(n), ok
}

const dateForm = "2006-01-02T15:04:05Z"

// parseDate reads a date of the years 1 to 9999 into Unix seconds. There are no leap seconds.
func parseDate(s string) (int64, error) {
	if len(s) != len(dateForm) {
		return 0, errDate
	}
	t, err := time.Parse(dateForm, s)
	// time.Parse is lenient about digits; formatting again is not.
	if err != nil || t.Year() < 1 || t.Format(dateForm) != s {
		return 0, errDate
	}
	return t.Unix(), nil
}

// formatDate writes the form that parseDate reads; years outside 1 to 9999 come out as what it refuses.
func formatDate(unix int64) string { return time.Unix(unix, 0).UTC().Format(dateForm) }
