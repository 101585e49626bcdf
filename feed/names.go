package feed

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Name is the name of a feed: "publisher/feed", for example "eokm.example/known".
type Name string

// Origin is the name of one log of a feed, as it stands on the first line of its checkpoints: "eokm.example/known/1".
type Origin string

// Ref names a record of any feed: "eokm.example/known/1#17".
type Ref struct {
	Origin Origin
	Index  uint64
}

// Position names a record of the feed at hand. It is the CDDL's target. The zero Position names none: logs count from 1.
type Position struct {
	Log   int
	Index uint64
}

// SelfTest is the built-in feed that every node carries for its test picture. No charter may bear a name beginning with "hashfeed-".
const SelfTest Name = "hashfeed-test/selftest"

const reservedPublisher = "hashfeed-"

var (
	errName     = errors.New(`name: not "publisher/feed" of 1 to 64 lower-case letters, digits, dots and hyphens each`)
	errReserved = errors.New(`name: a publisher's name never begins with "hashfeed-"`)
	errOrigin   = errors.New(`origin: not "publisher/feed/log"`)
	errRef      = errors.New(`reference: not "publisher/feed/log#index"`)
	errPosition = errors.New(`position: not "log#index"`)
)

// ValidName reports whether s is a name by itself: a publisher, a feed's short name, a node. It is 1 to 64 of a-z, 0-9, "." and "-",
// begins and ends with a letter or digit, and has no two dots in a row.
func ValidName(s string) bool {
	if len(s) < 1 || len(s) > MaxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		case c != '.' && c != '-', i == 0, i == len(s)-1, c == '.' && s[i-1] == '.':
			return false
		}
	}
	return true
}

// ParseName parses the name of a feed that may have a charter.
func ParseName(s string) (Name, error) {
	pub, short, ok := strings.Cut(s, "/")
	if !ok || !ValidName(pub) || !ValidName(short) {
		return "", errName
	}
	if strings.HasPrefix(pub, reservedPublisher) {
		return "", errReserved
	}
	return Name(s), nil
}

// Publisher returns what stands before the slash.
func (n Name) Publisher() string {
	pub, _, _ := strings.Cut(string(n), "/")
	return pub
}

// Short returns what stands after the slash.
func (n Name) Short() string {
	_, short, _ := strings.Cut(string(n), "/")
	return short
}

// Log returns the origin of log number log, 1 to MaxLog.
func (n Name) Log(log int) Origin { return Origin(string(n) + "/" + strconv.Itoa(log)) }

// Ref names the record at p of feed n.
func (n Name) Ref(p Position) Ref { return Ref{n.Log(p.Log), p.Index} }

// ParseOrigin parses the name of a log. Besides the logs of feeds that may have a charter it knows that of [SelfTest].
func ParseOrigin(s string) (Origin, error) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", errOrigin
	}
	if _, ok := parseNumber(s[i+1:], 1, MaxLog); !ok {
		return "", errOrigin
	}
	if s[:i] != string(SelfTest) {
		if _, err := ParseName(s[:i]); err != nil {
			return "", fmt.Errorf("origin: %w", err)
		}
	}
	return Origin(s), nil
}

// Name returns the feed of a log.
func (o Origin) Name() Name {
	i := strings.LastIndexByte(string(o), '/')
	return Name(o[:max(i, 0)])
}

// Log returns the number of a log, and 0 for what no ParseOrigin has returned.
func (o Origin) Log() int {
	n, _ := parseNumber(string(o[strings.LastIndexByte(string(o), '/')+1:]), 1, MaxLog)
	return int(n)
}

// Publisher returns the publisher of a log.
func (o Origin) Publisher() string { return o.Name().Publisher() }

// ParseRef parses a reference to a record.
func ParseRef(s string) (Ref, error) {
	if len(s) > maxReference {
		return Ref{}, errRef
	}
	origin, index, ok := strings.Cut(s, "#")
	if !ok {
		return Ref{}, errRef
	}
	n, ok := parseNumber(index, 0, MaxSize-1)
	if !ok {
		return Ref{}, errRef
	}
	o, err := ParseOrigin(origin)
	if err != nil {
		return Ref{}, fmt.Errorf("reference: %w", err)
	}
	return Ref{o, n}, nil
}

// String returns the form that [ParseRef] reads.
func (r Ref) String() string { return string(r.Origin) + "#" + strconv.FormatUint(r.Index, 10) }

// Position returns the place of the record within its feed.
func (r Ref) Position() Position { return Position{r.Origin.Log(), r.Index} }

// MarshalText makes a Ref a string in JSON.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *Ref) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRef(string(text))
	return err
}

// ParsePosition parses "log#index".
func ParsePosition(s string) (Position, error) {
	log, index, ok := strings.Cut(s, "#")
	l, ok1 := parseNumber(log, 1, MaxLog)
	i, ok2 := parseNumber(index, 0, MaxSize-1)
	if !ok || !ok1 || !ok2 {
		return Position{}, errPosition
	}
	return Position{int(l), i}, nil
}

// String returns "log#index".
func (p Position) String() string { return strconv.Itoa(p.Log) + "#" + strconv.FormatUint(p.Index, 10) }

// Compare orders positions as the feed does: by log, then by index.
func (p Position) Compare(q Position) int {
	if c := cmp.Compare(p.Log, q.Log); c != 0 {
		return c
	}
	return cmp.Compare(p.Index, q.Index)
}

// Less reports whether p comes before q.
func (p Position) Less(q Position) bool { return p.Compare(q) < 0 }

// parseNumber reads a decimal number in its one canonical form: no sign, no leading zero.
func parseNumber(s string, low, high uint64) (uint64, bool) {
	if len(s) == 0 || len(s) > 13 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	if n < low || n > high {
		return 0, false
	}
	return n, true
}
