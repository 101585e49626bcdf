package feed

import (
	"errors"
	"fmt"
	"strings"
)

// Verdict says what an item is, as the publisher's people judged it.
type Verdict uint8

// The verdicts. A higher number claims less, except Test, which claims nothing.
const (
	Baseline Verdict = 1 // illegal everywhere (the ICSE baseline); at least two assessed it
	National Verdict = 2 // illegal under the publisher's own law
	Doubtful Verdict = 3 // not decided; only in feeds with "use review"
	Test     Verdict = 4 // a harmless picture, to try the path
)

// Media is the kind of item.
type Media uint8

// The kinds of media.
const (
	Image Media = 1
	Video Media = 2
)

// Reason says why a record is retracted, disputed, or a dispute resolved. No free text ever enters a feed.
type Reason uint8

// The reasons: 1 to 6 of a retract or dispute, 16 to 19 of a dispute, 32 and 33 of a resolve.
const (
	FalsePositive      Reason = 1
	LegalOrder         Reason = 2
	Duplicate          Reason = 3
	PublisherError     Reason = 4
	Reclassified       Reason = 5
	WithdrawnBySubject Reason = 6

	KnownGood     Reason = 16
	Runaway       Reason = 17
	Collision     Reason = 18
	WrongCategory Reason = 19

	Upheld            Reason = 32
	ResolvedRetracted Reason = 33 // "retracted"
)

// Facts is what a body says of its item besides the hashes. Where not said otherwise 0 means absent.
type Facts struct {
	Verdict    Verdict // required
	Media      Media   // required
	Severity   uint8   // 1..4, 1 the gravest
	AgeBand    uint8   // 1..5: undetermined, infant, prepubescent, pubescent, adult
	Virtual    bool    // drawn or generated
	Size       uint64  // of the file, in bytes, 1..2^40
	VerifiedBy uint8   // how many people or bodies assessed it independently
	NotBefore  int64   // Unix seconds, below 2^32: no effect until then. 0, absent or written out, means at once
	Override   uint8   // 1..3: reviewed, legal, test: lists what a known-good list holds
}

// Source is where a publisher has an item from, as a scheme and a code of that scheme: {"ncmec", "A2"}.
type Source struct{ Scheme, Code string }

var (
	errVerdict = errors.New("verdict: not baseline, national, doubtful or test")
	errMedia   = errors.New("media: not image or video")
	errReason  = errors.New("reason: unknown")
	errSource  = errors.New(`source: not "scheme:code", a scheme of 1 to 16 of a-z, 0-9 and "-", a code of 1 to 32 printable characters without spaces`)
)

var (
	verdictNames = [...]string{Baseline: "baseline", National: "national", Doubtful: "doubtful", Test: "test"}
	mediaNames   = [...]string{Image: "image", Video: "video"}
	reasonNames  = [...]string{FalsePositive: "false-positive", LegalOrder: "legal-order", Duplicate: "duplicate", PublisherError: "publisher-error",
		Reclassified: "reclassified", WithdrawnBySubject: "withdrawn-by-subject", KnownGood: "known-good", Runaway: "runaway", Collision: "collision",
		WrongCategory: "wrong-category", Upheld: "upheld", ResolvedRetracted: "retracted"}
)

// nameOf and numberOf read a table of names by number, in which "" and what lies outside it have no name.
func nameOf(names []string, n int, kind string) string {
	if n < len(names) && names[n] != "" {
		return names[n]
	}
	return fmt.Sprintf("%s(%d)", kind, n)
}

func numberOf(names []string, s string) (int, bool) {
	for n, name := range names {
		if name == s && s != "" {
			return n, true
		}
	}
	return 0, false
}

// String returns the word that ParseVerdict reads.
func (v Verdict) String() string { return nameOf(verdictNames[:], int(v), "verdict") }

// ParseVerdict parses "baseline", "national", "doubtful" or "test".
func ParseVerdict(s string) (Verdict, error) {
	n, ok := numberOf(verdictNames[:], s)
	if !ok {
		return 0, errVerdict
	}
	return Verdict(n), nil
}

// String returns the word that ParseMedia reads.
func (m Media) String() string { return nameOf(mediaNames[:], int(m), "media") }

// ParseMedia parses "image" or "video".
func ParseMedia(s string) (Media, error) {
	n, ok := numberOf(mediaNames[:], s)
	if !ok {
		return 0, errMedia
	}
	return Media(n), nil
}

// String returns the word that ParseReason reads.
func (r Reason) String() string { return nameOf(reasonNames[:], int(r), "reason") }

// ParseReason parses a reason's name, for example "false-positive". Which op may bear it, [Reason.Fits] says.
func ParseReason(s string) (Reason, error) {
	n, ok := numberOf(reasonNames[:], s)
	if !ok {
		return 0, errReason
	}
	return Reason(n), nil
}

// Fits reports whether a head of this op may bear the reason.
func (r Reason) Fits(op Op) bool {
	switch op {
	case OpRetract:
		return FalsePositive <= r && r <= WithdrawnBySubject
	case OpDispute:
		return FalsePositive <= r && r <= WithdrawnBySubject || KnownGood <= r && r <= WrongCategory
	case OpResolve:
		return r == Upheld || r == ResolvedRetracted
	}
	return false
}

// ParseSource parses "scheme:code". The code may hold further colons.
func ParseSource(s string) (Source, error) {
	if len(s) > maxScheme+1+maxCode {
		return Source{}, errSource
	}
	scheme, code, ok := strings.Cut(s, ":")
	src := Source{scheme, code}
	if !ok || !src.valid() {
		return Source{}, errSource
	}
	return src, nil
}

// String returns the form that ParseSource reads.
func (s Source) String() string { return s.Scheme + ":" + s.Code }

func (s Source) valid() bool {
	if len(s.Scheme) < 1 || len(s.Scheme) > maxScheme || len(s.Code) < 1 || len(s.Code) > maxCode {
		return false
	}
	for i := range len(s.Scheme) {
		if c := s.Scheme[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	for i := range len(s.Code) {
		if s.Code[i] < '!' || s.Code[i] > '~' {
			return false
		}
	}
	return true
}

// factsKeys are the keys of the CDDL's facts.
var (
	factsRequired = keyBits(1, 2)
	factsOptional = keyBits(3, 4, 5, 6, 7, 8, 9)
)

// readFacts reads the CDDL's facts.
func readFacts(r *cborReader) (Facts, bool) {
	f, ok := r.fields()
	if !ok || !f.only(factsRequired, factsOptional, false) {
		return Facts{}, false
	}
	bounds := [...][2]uint64{1: {1, 4}, 2: {1, 2}, 3: {1, 4}, 4: {1, 5}, 6: {1, MaxSize}, 7: {1, 255}, 8: {0, maxSecs}, 9: {1, 3}}
	var n [10]uint64
	for k := 1; k <= 9; k++ {
		switch {
		case !f.has(k):
		case k == 5:
			ok = ok && f.key(k).isTrue()
		default:
			v, fits := f.key(k).uint(bounds[k][0], bounds[k][1])
			n[k], ok = v, ok && fits
		}
	}
	return Facts{Verdict(n[1]), Media(n[2]), uint8(n[3]), uint8(n[4]), f.has(5), n[6], uint8(n[7]), int64(n[8]), uint8(n[9])}, ok
}

// appendFacts is the inverse of readFacts. An out of range NotBefore becomes a number that readFacts rejects.
func appendFacts(b []byte, f Facts) []byte {
	values := [...]uint64{1: uint64(f.Verdict), 2: uint64(f.Media), 3: uint64(f.Severity), 4: uint64(f.AgeBand), 6: f.Size,
		7: uint64(f.VerifiedBy), 8: uint64(f.NotBefore), 9: uint64(f.Override)}
	pairs := 0
	if f.Virtual {
		pairs++
	}
	for _, v := range values {
		if v != 0 {
			pairs++
		}
	}
	b = appendCBORMap(b, pairs)
	for k, v := range values {
		switch {
		case k == 5 && f.Virtual:
			b = append(b, 5, cborTrue)
		case v != 0:
			b = appendCBORUint(append(b, byte(k)), v)
		}
	}
	return b
}
