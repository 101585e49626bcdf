package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"hashfeed/node/policy"
)

// Kind is what a line tells.
type Kind string

const (
	KindDecision Kind = "decision"
	KindUpload   Kind = "upload"
	KindAct      Kind = "act"
	KindImport   Kind = "import"
	KindCounts   Kind = "counts"
	KindNote     Kind = "note"
	KindPurged   Kind = "purged"
)

// Line is one line of the journal. Of the members named like kinds it has the one of its kind.
type Line struct {
	Seq      uint64    `json:"seq"`
	Prev     string    `json:"prev"` // SHA-256 of the line before, hex
	ID       string    `json:"id,omitempty"`
	Time     time.Time `json:"time"`
	Kind     Kind      `json:"kind"`
	Decision *Decision `json:"decision,omitempty"`
	Upload   *Upload   `json:"upload,omitempty"`
	Act      *Act      `json:"act,omitempty"`
	Import   *Import   `json:"import,omitempty"`
	Counts   *Counts   `json:"counts,omitempty"`
	Note     *Note     `json:"note,omitempty"`
	Purged   *Purged   `json:"purged,omitempty"`
}

// Decision is an answer other than allow, and what it was made of.
type Decision struct {
	Ref           string           `json:"ref,omitempty"` // the caller's own, opaque
	Hashes        []string         `json:"hashes"`        // of what was asked, keyed: kind, ":" and 32 hex digits
	Verdict       policy.Outcome   `json:"verdict"`
	Harm          string           `json:"harm,omitempty"` // of the match that decided
	Test          bool             `json:"test,omitempty"` // only test records match
	Checked       []string         `json:"checked"`
	Unchecked     []string         `json:"unchecked"`
	Matches       []Matched        `json:"matches"`
	Heads         []policy.Head    `json:"heads"` // of the feeds that have a match
	Rules         map[string]*Rule `json:"rules"` // in force for these feeds
	MinPublishers int              `json:"min_publishers,omitempty"`
	Note          string           `json:"note,omitempty"`
	Truncated     bool             `json:"truncated,omitempty"` // more records match than stand here
}

// Matched is a match, with what it was judged by.
type Matched struct {
	policy.Match
	Strength   string   `json:"strength"`             // weak, near or strong
	Holds      []string `json:"holds,omitempty"`      // all that speaks against it
	KnownGood  string   `json:"known_good,omitempty"` // list or own
	Override   int      `json:"override,omitempty"`   // the record's, of known-good lists
	Publishers int      `json:"publishers"`           // how many say the same
	AgeS       int64    `json:"age_s"`                // of the feed's newest stamp
	Age        string   `json:"age"`                  // fresh, stale or overdue, by the feed's charter
	Review     bool     `json:"use_review,omitempty"` // the charter says "use review"
}

// Rule is what the operator had decided about a feed.
type Rule struct {
	Verdicts    []string      `json:"verdicts,omitempty"`
	Action      policy.Action `json:"action"`
	ActionNear  policy.Action `json:"action_near"`
	ActionWeak  policy.Action `json:"action_weak"`
	MaxDistance int           `json:"max_distance"`
	MaxSquare   int           `json:"max_distance_photodna,omitempty"`
	OnStale     string        `json:"on_stale,omitempty"`
	Own         bool          `json:"own,omitempty"`
}

// Upload is one that was allowed.
type Upload struct {
	Ref    string   `json:"ref,omitempty"`
	Hashes []string `json:"hashes"` // keyed
}

// What was done about a decision.
const (
	Removed   = "removed"   // the file is gone
	Refused   = "refused"   // the upload was not taken
	Preserved = "preserved" // a copy is kept for the authorities
	Reported  = "reported"  // to them; Report says under which number
	False     = "false"     // the file is not what the record says
)

// Acts are the words for them.
func Acts() []string { return []string{Removed, Refused, Preserved, Reported, False} }

// Act is what people did about a decision.
type Act struct {
	Of     string   `json:"of"` // the decision's id
	Done   []string `json:"done"`
	Report string   `json:"report,omitempty"` // the report's number, the caller's own
	Tells  string   `json:"tells,omitempty"`  // what it is the first to tell of the decision: Right or False
	Harm   string   `json:"harm,omitempty"`   // the decision's
	Test   bool     `json:"test,omitempty"`
}

// Right is what an act tells that isn't False.
const Right = "right"

// TellsOf is what an act tells of a decision on which others were acted before.
func TellsOf(done []string, before []Line) string {
	if !slices.Contains(done, False) {
		if len(before) == 0 {
			return Right
		}
		return ""
	}
	if slices.ContainsFunc(before, func(l Line) bool { return slices.Contains(l.Act.Done, False) }) {
		return ""
	}
	return False
}

// Note is what the journal itself went through.
type Note struct {
	What  string `json:"what"`
	Count uint64 `json:"count,omitempty"` // of decisions that were missed, or bytes that were set aside
	Text  string `json:"text"`
}

// What a note tells.
const (
	NoteTorn    = "torn"    // the newest line was not whole, and set aside
	NoteMissed  = "missed"  // decisions that the disk didn't take
	NoteDamaged = "damaged" // the end was not as it was left
)

// Purged stands for the lines from its line's number to To.
type Purged struct {
	To    uint64 `json:"to"`
	Hash  string `json:"hash"`  // of line To, hex
	Lines uint64 `json:"lines"` // how many
	MAC   string `json:"mac"`
}

// digest is the SHA-256 of a line without its end.
type digest [sha256.Size]byte

func (d digest) String() string { return hex.EncodeToString(d[:]) }

const (
	seqMark  = `{"seq":`
	prevMark = `,"prev":"`
)

var errLine = errors.New("not a line of the journal")

// parsePrefix reads what a line begins with: its number, and the hash of the line before.
func parsePrefix(line []byte) (seq uint64, prev digest, err error) {
	rest, ok := bytes.CutPrefix(line, []byte(seqMark))
	comma := bytes.IndexByte(rest, ',')
	if !ok || comma < 1 || comma > 20 {
		return 0, prev, errLine
	}
	seq, err = strconv.ParseUint(string(rest[:comma]), 10, 63)
	if err != nil || seq == 0 || strconv.FormatUint(seq, 10) != string(rest[:comma]) {
		return 0, prev, errLine
	}
	rest, ok = bytes.CutPrefix(rest[comma:], []byte(prevMark))
	if !ok || len(rest) < 2*len(prev)+2 || rest[2*len(prev)] != '"' || rest[2*len(prev)+1] != ',' || line[len(line)-1] != '}' {
		return 0, prev, errLine
	}
	if _, err := hex.Decode(prev[:], rest[:2*len(prev)]); err != nil || prev.String() != string(rest[:2*len(prev)]) {
		return 0, prev, errLine
	}
	return seq, prev, nil
}

// ParseLine reads a line, without its end. It has one form: what would be written otherwise is refused.
func ParseLine(line []byte) (l Line, err error) {
	if len(line) > maxLine {
		return l, fmt.Errorf("longer than %d bytes", maxLine)
	}
	if _, _, err := parsePrefix(line); err != nil {
		return l, err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, fmt.Errorf("%w: %w", errLine, err)
	}
	if d.InputOffset() != int64(len(line)) {
		return l, errLine
	}
	return l, l.check()
}

// check wants the member of the line's kind, and no other.
func (l *Line) check() error {
	members := map[Kind]bool{KindDecision: l.Decision != nil, KindUpload: l.Upload != nil, KindAct: l.Act != nil, KindImport: l.Import != nil,
		KindCounts: l.Counts != nil, KindNote: l.Note != nil, KindPurged: l.Purged != nil}
	if !members[l.Kind] {
		return errLine
	}
	for kind, there := range members {
		if there && kind != l.Kind {
			return errLine
		}
	}
	if l.Purged != nil && (l.Purged.To < l.Seq || l.Purged.Lines != l.Purged.To-l.Seq+1) {
		return errLine
	}
	if l.Import != nil {
		return l.Import.check()
	}
	if l.Act != nil {
		for _, a := range l.Act.Done {
			if !slices.Contains(Acts(), a) {
				return errLine
			}
		}
	}
	return nil
}

// appendLine appends a line with its end; rest is its JSON from the id on, without the opening brace.
func appendLine(b []byte, seq uint64, prev digest, id string, rest []byte) []byte {
	b = strconv.AppendUint(append(b, seqMark...), seq, 10)
	b = hex.AppendEncode(append(b, prevMark...), prev[:])
	b = append(b, `",`...)
	if id != "" {
		b = append(append(append(b, `"id":"`...), id...), `",`...)
	}
	return append(append(b, rest...), '\n')
}

// tail is a line's JSON after its id.
func tail(l *Line) ([]byte, error) { return appendTail(nil, l) }

func appendTail(b []byte, l *Line) ([]byte, error) {
	if l.Decision != nil { // tens of thousands a second, where the others come one by one
		return appendDecision(b, l)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	rest := *l
	rest.Seq, rest.Prev, rest.ID = 0, "", ""
	if err := e.Encode(rest); err != nil {
		return nil, err
	}
	return append(b, out.Bytes()[len(seqMark+"0"+prevMark+`",`):out.Len()-1]...), nil
}
