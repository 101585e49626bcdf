package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node/policy"
)

// matchLines is how many lines of standard input are asked at once, if that many are there.
const matchLines = 1000

func matchCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "match", Usage: "say what hashes match", ArgsUsage: "HASH… | -",
		Description: "A hash is ALG:HEX (md5, sha1, sha256, pdq, pdq_full, photodna); a bare hex is told by its length; pdq may add its\n" +
			"quality, pdq:HEX:QUALITY. - reads a hash a line, bare or as a JSON string, any number; each is answered at once, in order.\n" +
			"What is no hash is told with its line, the others are answered. Exit code 1: some verdict is review or block.",
		Flags:  []cli.Flag{passphraseFlag(), jsonFlag()},
		Action: func(c *cli.Context) error { return match(e, c) },
	}
}

// match answers in the order of the question while that still comes. Three work at once: one reads, one asks what was read, and this one prints
// what was answered; each has a batch at a time, so that the memory is bounded however long the question is.
func match(e *env, c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	ctx, cancel := context.WithCancel(c.Context)
	read, answered := make(chan *matchBatch), make(chan *matchBatch)
	go func() { // nobody waits for it: while standard input says nothing it can't end
		defer close(read)
		r := matchReader{ctx: ctx, out: read}
		r.readAll(c.Args().Slice(), e.stdin)
	}()
	go func() {
		defer close(answered)
		for b := range read {
			if b.err == nil && b.hashes.Len() > 0 {
				b.answers, b.err = door.Answers(ctx, &b.hashes)
			}
			if !b.send(ctx, answered) {
				return
			}
		}
	}()
	defer func() { // before the door is closed, nobody may be asking any more
		cancel()
		for range answered {
		}
	}()
	worst := &worstVerdict{}
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	for b := range answered {
		if err := e.printBatch(out, b, c.Bool("json"), worst); err != nil {
			return fmt.Errorf("match: %w", err)
		}
	}
	if err := c.Context.Err(); err != nil {
		return fmt.Errorf("match: %w", err)
	}
	return worst.exit()
}

// matchBatch are some hashes of the question on their way to the answer.
type matchBatch struct {
	lines   []matchLine
	hashes  feed.Hashes // of the good lines
	answers policy.Answers
	err     error // nothing comes after this
}

// matchLine is a line of standard input, or an argument.
type matchLine struct {
	where string // "line" or "hash"
	n     int    // from 1
	bad   error  // why it is no hash
}

// send is false where nobody wants the batch any more.
func (b *matchBatch) send(ctx context.Context, to chan<- *matchBatch) bool {
	select {
	case to <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// matchReader makes batches of what is asked.
type matchReader struct {
	ctx   context.Context
	out   chan<- *matchBatch
	batch *matchBatch
}

func (r *matchReader) readAll(args []string, stdin io.Reader) {
	r.batch = &matchBatch{}
	for i, arg := range args {
		goesOn := true
		if arg == "-" {
			goesOn = r.readLines(stdin)
		} else {
			goesOn = r.add("hash", i+1, arg)
		}
		if !goesOn {
			return
		}
	}
	r.flush()
}

// readLines reads hashes until the end of in. What is there is asked at once, when the next line has not come yet.
func (r *matchReader) readLines(in io.Reader) bool {
	lines := bufio.NewReaderSize(in, 64<<10)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		for err == bufio.ErrBufferFull {
			_, err = lines.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			r.batch.err = fmt.Errorf("read standard input: %w", err)
			r.flush()
			return false
		}
		text := strings.TrimSpace(string(line[:min(len(line), maxHashLine+1)]))
		if long {
			text = string(line[:maxHashLine+1])
		}
		if text != "" && !r.add("line", n, text) {
			return false
		}
		if err == io.EOF {
			return true
		}
		waiting, _ := lines.Peek(lines.Buffered())
		if bytes.IndexByte(waiting, '\n') < 0 && !r.flush() {
			return false
		}
	}
}

// add reads one more hash: as people type it, or that as a JSON string. It is false where nobody wants more.
func (r *matchReader) add(where string, n int, text string) bool {
	if len(text) > maxHashLine {
		text = "?"
	} else if text[:min(1, len(text))] == `"` {
		var s string
		if json.Unmarshal([]byte(text), &s) == nil {
			text = s
		}
	}
	r.batch.lines = append(r.batch.lines, matchLine{where, n, r.batch.hashes.Parse([]byte(text))})
	return len(r.batch.lines) < matchLines || r.flush()
}

// flush sends what was read since the last time.
func (r *matchReader) flush() bool {
	b := r.batch
	r.batch = &matchBatch{}
	return len(b.lines) == 0 && b.err == nil || b.send(r.ctx, r.out)
}

// printBatch writes the verdicts of a batch, and on standard error, where they stand, what is no hash.
func (e *env) printBatch(out *bufio.Writer, b *matchBatch, asJSON bool, worst *worstVerdict) error {
	asked := b.answers.Len() == b.hashes.Len()
	if !asked && b.err == nil {
		return errors.New("the node answered something else than was asked")
	}
	next := 0
	for _, l := range b.lines {
		switch {
		case l.bad != nil:
			fmt.Fprintf(e.stderr, "hashfeed: %s %d: %v\n", l.where, l.n, l.bad)
			worst.unchecked = true
		case asked:
			worst.addOutcome(b.answers.Outcome(next))
			var err error
			if asJSON {
				var text []byte
				if text, err = b.answers.AppendJSON(out.AvailableBuffer(), next); err == nil {
					_, err = out.Write(append(text, '\n'))
				}
			} else {
				v := b.answers.Verdict(next)
				err = writeVerdict(out, &v)
			}
			if err != nil {
				return err
			}
			next++
		}
	}
	return cmp.Or(out.Flush(), b.err)
}

// worstVerdict makes the exit code of many verdicts. Something that could not be checked outweighs a match.
type worstVerdict struct{ matched, unchecked bool }

func (w *worstVerdict) add(v policy.Verdict) { w.addOutcome(v.Verdict) }

func (w *worstVerdict) addOutcome(o policy.Outcome) {
	if o == policy.OutcomeReview || o == policy.OutcomeBlock {
		w.matched = true
	}
}

func (w *worstVerdict) exit() error {
	switch {
	case w.unchecked:
		return codeError(exitError)
	case w.matched:
		return codeError(exitMatched)
	}
	return nil
}

// printVerdict writes a verdict: JSON with --json, else in words.
func (e *env) printVerdict(c *cli.Context, v policy.Verdict) error {
	if c.Bool("json") {
		return e.printJSON(v)
	}
	return writeVerdict(e.stdout, &v)
}

// writeVerdict writes a line for the verdict and one for each match.
func writeVerdict(w io.Writer, v *policy.Verdict) error {
	what := v.File
	if what == "" {
		what = v.Query
	}
	if len(v.Matches) == 0 {
		_, err := fmt.Fprintf(w, "%-6s %s: no match\n", v.Verdict, what)
		return err
	}
	if _, err := fmt.Fprintf(w, "%-6s %s\n", v.Verdict, what); err != nil {
		return err
	}
	for _, m := range v.Matches {
		line := fmt.Sprintf("       %s by %s", m.Ref, m.Alg)
		if m.Distance > 0 {
			line += fmt.Sprintf(", distance %d", m.Distance)
		}
		line += fmt.Sprintf(": %s, %s, %s", m.Verdict, m.Harm, m.Media)
		if m.State != policy.Active {
			line += ", " + string(m.State)
		}
		if m.Stale {
			line += ", stale"
		}
		if m.Test {
			line += ", test"
		}
		if len(m.EndorsedBy) > 0 {
			line += ", endorsed by " + strings.Join(m.EndorsedBy, " ")
		}
		if _, err := fmt.Fprintf(w, "%s -> %s\n", line, m.Action); err != nil {
			return err
		}
	}
	if v.Truncated {
		_, err := fmt.Fprintln(w, "       and more: only the nearest are shown")
		return err
	}
	return nil
}
