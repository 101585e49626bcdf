package node

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hashfeed/feed"
)

// saidBy is what one feed says of records.
type saidBy struct {
	of       []saidOf
	resolved []feed.Ref
}

type saidOf struct {
	subject feed.Ref
	statement
}

// all is what is said, by feed, in the order of the feeds' records.
func (s *statements) all() map[feed.Name]saidBy {
	by := map[feed.Name]saidBy{}
	s.of.Range(func(key, value any) bool {
		for _, t := range value.([]statement) {
			b := by[t.by]
			b.of = append(b.of, saidOf{key.(feed.Ref), t})
			by[t.by] = b
		}
		return true
	})
	s.resolved.Range(func(key, value any) bool {
		for _, name := range value.([]feed.Name) {
			b := by[name]
			b.resolved = append(b.resolved, key.(feed.Ref))
			by[name] = b
		}
		return true
	})
	for name, b := range by {
		slices.SortFunc(b.of, func(a, b saidOf) int { return a.at.Position().Compare(b.at.Position()) })
		by[name] = b
	}
	return by
}

// restore takes in what a view's feed said.
func (s *statements) restore(v *view, said saidBy) {
	for _, t := range said.of {
		t.by, t.own = v.name, v.own
		add(&s.mu, &s.of, t.subject, t.statement)
	}
	for _, dispute := range said.resolved {
		add(&s.mu, &s.resolved, dispute, v.name)
	}
}

// write writes them: two numbers, and as many lines of JSON.
func (b saidBy) write(out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "%d %d\n", len(b.of), len(b.resolved))
	enc := json.NewEncoder(w)
	for _, t := range b.of {
		line := saidLine{Op: t.op, At: t.at.String(), Subject: t.subject.String(), Leaf: t.leaf[:], Reason: t.reason}
		if t.ticket != nil {
			line.Ticket = t.ticket[:]
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	for _, dispute := range b.resolved {
		if err := enc.Encode(saidLine{Subject: dispute.String()}); err != nil {
			return err
		}
	}
	return w.Flush()
}

type saidLine struct {
	Op      feed.Op     `json:"op,omitempty"`
	At      string      `json:"at,omitempty"`
	Subject string      `json:"subject"`
	Leaf    []byte      `json:"leaf,omitempty"`
	Reason  feed.Reason `json:"reason,omitempty"`
	Ticket  []byte      `json:"ticket,omitempty"`
}

// readSaid reads what write wrote.
func readSaid(in io.ByteReader) (b saidBy, err error) {
	bad := errors.New("statements that can't be")
	text, err := readSaidLine(in)
	if err != nil {
		return b, err
	}
	var of, resolved uint64
	if _, err := fmt.Sscanf(text, "%d %d\n", &of, &resolved); err != nil {
		return b, bad
	}
	for i := uint64(0); i < of+resolved; i++ {
		if text, err = readSaidLine(in); err != nil {
			return b, err
		}
		var l saidLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return b, bad
		}
		subject, err := feed.ParseRef(l.Subject)
		if err != nil {
			return b, bad
		}
		if i >= of {
			b.resolved = append(b.resolved, subject)
			continue
		}
		t := saidOf{subject, statement{op: l.Op, reason: l.Reason}}
		if t.at, err = feed.ParseRef(l.At); err != nil || len(l.Leaf) != len(t.leaf) || len(l.Ticket) != 0 && len(l.Ticket) != len(feed.Ticket{}) {
			return b, bad
		}
		t.leaf = feed.Digest(l.Leaf)
		if len(l.Ticket) > 0 {
			ticket := feed.Ticket(l.Ticket)
			t.ticket = &ticket
		}
		b.of = append(b.of, t)
	}
	return b, nil
}

func readSaidLine(in io.ByteReader) (string, error) {
	var line strings.Builder
	for line.Len() < maxSaidLine {
		c, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		line.WriteByte(c)
		if c == '\n' {
			return line.String(), nil
		}
	}
	return "", errors.New("a statement that is too long")
}
