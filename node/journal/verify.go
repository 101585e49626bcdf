package journal

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
)

// Problem is something about the journal that isn't as it was written.
type Problem struct {
	Seq  uint64 `json:"seq"`  // the number of the line
	To   uint64 `json:"to"`   // of the last, where it is several
	File string `json:"file"` // below the journal's folder
	What string `json:"what"` // edited, dropped, moved, cut, damaged or head
	Text string `json:"text"`
}

// What a problem is.
const (
	Edited  = "edited"  // the line was changed
	Dropped = "dropped" // lines are missing
	Moved   = "moved"   // the line stands elsewhere than it was written, or twice
	CutOff  = "cut"     // lines at the end are missing
	Damaged = "damaged" // not a line
	BadHead = "head"    // the head can't tell whether the end is whole
)

// Report is what Verify found.
type Report struct {
	Lines    uint64    `json:"lines"` // that the chain has, purged ones included
	Purged   uint64    `json:"purged"`
	Files    int       `json:"files"`
	Last     string    `json:"last"`           // hash of the newest line, hex
	Note     string    `json:"note,omitempty"` // what couldn't be checked
	Problems []Problem `json:"problems"`
}

// maxProblems is how many problems are listed: more nobody reads.
const maxProblems = 1000

// Verify checks a journal's files, also while they are being written. Without a key it takes the head's and the purged lines' word.
func Verify(ctx context.Context, dir string, key *Key) (Report, error) {
	v := verifier{key: key, report: Report{Problems: []Problem{}}}
	h, found, headErr := readHead(dir, key) // first: the lines only grow beyond it
	if headErr != nil && !found {
		return v.report, fmt.Errorf("verify journal: %w", headErr)
	}
	v.head = h
	names, err := listFiles(dir)
	if err != nil {
		return v.report, err
	}
	v.report.Files = len(names)
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return v.report, err
		}
		data, err := readFile(dir, name)
		if err != nil {
			return v.report, err
		}
		lines, rest := splitLines(data)
		if first, _ := fileNumber(name); len(lines) > 0 && first > v.seq+1 {
			v.gap(first, name)
		}
		for _, line := range lines {
			v.line(name, line)
		}
		switch {
		case len(rest) == 0:
		case i < len(names)-1:
			v.problem(Damaged, v.seq+1, 0, name, "%d bytes at its end are no line", len(rest))
		default:
			v.report.Note = fmt.Sprintf("%d bytes at the end are a line that isn't finished, or was torn: the next start sets it aside", len(rest))
		}
	}
	v.end(found, headErr, len(names))
	return v.report, nil
}

type verifier struct {
	key    *Key
	report Report
	head   head

	seq    uint64 // of the line before
	hash   digest // its
	file   string // where it stands
	unsure bool   // it isn't known: a gap, or something that is no line
	bent   uint64 // the line before's number, where its own prev is wrong
}

func (v *verifier) problem(what string, seq, to uint64, file, format string, args ...any) {
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, Problem{Seq: seq, To: max(seq, to), File: file, What: what, Text: fmt.Sprintf(format, args...)})
	}
}

// gap notes that the lines up to the one before next are missing.
func (v *verifier) gap(next uint64, file string) {
	v.problem(Dropped, v.seq+1, next-1, file, "%s", plural(v.seq+1, next-1, "is missing", "are missing"))
	v.seq, v.unsure, v.bent = next-1, true, 0
}

func plural(from, to uint64, one, many string) string {
	if from == to {
		return fmt.Sprintf("line %d %s", from, one)
	}
	return fmt.Sprintf("lines %d to %d %s", from, to, many)
}

// found takes a line out of what is missing: it stands elsewhere.
func (v *verifier) found(seq uint64) bool {
	for i, p := range v.report.Problems {
		if p.What != Dropped || seq < p.Seq || seq > p.To {
			continue
		}
		list := v.report.Problems
		list = slices.Delete(slices.Clone(list), i, i+1)
		if seq < p.To {
			list = slices.Insert(list, i, Problem{seq + 1, p.To, p.File, Dropped, plural(seq+1, p.To, "is missing", "are missing")})
		}
		if p.Seq < seq {
			list = slices.Insert(list, i, Problem{p.Seq, seq - 1, p.File, Dropped, plural(p.Seq, seq-1, "is missing", "are missing")})
		}
		v.report.Problems = list
		return true
	}
	return false
}

// line checks the next line.
func (v *verifier) line(file string, text []byte) {
	l, err := ParseLine(text)
	if err != nil {
		// By the chain alone it may still be the line that was written: then it was never whole.
		v.problem(Damaged, v.seq+1, 0, file, "line %d: %v", v.seq+1, err)
		v.seq, v.hash, v.file, v.unsure, v.bent = v.seq+1, sha256.Sum256(text), file, true, 0
		return
	}
	switch {
	case l.Seq > v.seq+1 && !v.unsure && l.Prev == v.hash.String():
		v.problem(Edited, v.seq+1, 0, file, "line %d was changed: it says that it is line %d", v.seq+1, l.Seq)
		v.seq, v.hash, v.file, v.unsure, v.bent = v.seq+1, sha256.Sum256(text), file, true, 0
		return
	case l.Seq > v.seq+1:
		v.gap(l.Seq, file)
	case l.Seq <= v.seq && !v.unsure && l.Prev == v.hash.String():
		v.problem(Edited, v.seq+1, 0, file, "line %d was changed: it says that it is line %d", v.seq+1, l.Seq)
		v.seq, v.hash, v.file, v.unsure, v.bent = v.seq+1, sha256.Sum256(text), file, true, 0
		return
	case l.Seq <= v.seq:
		if v.found(l.Seq) {
			v.problem(Moved, l.Seq, 0, file, "line %d stands behind line %d", l.Seq, v.seq)
		} else {
			v.problem(Moved, l.Seq, 0, file, "line %d stands here again, behind line %d", l.Seq, v.seq)
		}
		return
	}
	wrong := !v.unsure && l.Prev != v.hash.String()
	switch {
	case !wrong:
		v.bent = 0
	case v.bent != 0 && v.bent == v.seq:
		v.straighten()
	case v.seq == 0:
		v.problem(Edited, l.Seq, 0, file, "line %d was changed: it is the first and names one before", l.Seq)
		v.bent = 0
	default:
		v.problem(Edited, v.seq, 0, v.file, "line %d was changed: line %d has another hash of it", v.seq, l.Seq)
		v.bent = l.Seq
	}
	v.seq, v.hash, v.file, v.unsure = l.Seq, sha256.Sum256(text), file, false
	v.report.Lines++
	if l.Purged != nil {
		v.report.Lines += l.Purged.Lines - 1
		v.report.Purged += l.Purged.Lines
		if v.key != nil && l.Purged.MAC != v.key.purgedMAC(l.Seq, l.Prev, l.Purged) {
			v.problem(Edited, l.Seq, l.Purged.To, file, "%s not purged by this node: the MAC isn't its", plural(l.Seq, l.Purged.To, "was", "were"))
		}
		v.seq, v.hash = l.Purged.To, l.Purged.digest()
		if v.bent != 0 {
			v.bent = v.seq
		}
	}
	if v.seq == v.head.Seq {
		if v.hash.String() == v.head.Hash {
			return
		}
		if v.bent != 0 && v.bent == v.seq {
			v.straighten()
		} else {
			v.problem(Edited, v.seq, 0, file, "line %d, or one before, was changed: the head has another hash of it", v.seq)
		}
	}
}

// straighten puts right what was said of the line before the last one, as the last one has another hash too: it alone was changed, together with
// what it says of the one before.
func (v *verifier) straighten() {
	v.bent = 0
	for i := range v.report.Problems {
		if p := &v.report.Problems[i]; p.What == Edited && p.Seq == v.seq-1 {
			*p = Problem{v.seq, v.seq, v.file, Edited, fmt.Sprintf("line %d was changed", v.seq)}
		}
	}
}

// end compares the chain's end with the head.
func (v *verifier) end(found bool, headErr error, files int) {
	v.report.Last = v.hash.String()
	switch {
	case headErr != nil:
		v.problem(BadHead, v.seq, 0, headFile, "%v: whether lines are cut off at the end isn't known", headErr)
	case !found && files > 0:
		v.problem(BadHead, v.seq, 0, headFile, "there is no head: whether lines are cut off at the end isn't known")
	case v.seq < v.head.Seq:
		v.problem(CutOff, v.seq+1, v.head.Seq, v.file, "%s cut off", plural(v.seq+1, v.head.Seq, "is", "are"))
	}
	if v.key == nil && (found || files > 0) {
		note := "without the node's key the head is taken at its word"
		if v.report.Note != "" {
			note = v.report.Note + "; " + note
		}
		v.report.Note = note
	}
}
