package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// followError is what is wrong with a [[follow]] block.
type followError struct {
	block int // which, from 0
	feed  string
	err   error // it begins with its key
}

func (e followError) Error() string { return fmt.Sprintf("[[follow]] %.140q: %v", e.feed, e.err) }
func (e followError) Unwrap() error { return e.err }

// placed says of each problem of a config's values in which file it is, and on which line where that can be told.
func placed(name string, text []byte, err error) error {
	problems := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		problems = slices.Clone(joined.Unwrap())
	}
	lines := scanConfig(string(text))
	for i, p := range problems {
		where := name
		if n := lineOfProblem(lines, p); n > 0 {
			where = fmt.Sprintf("%s:%d", name, n)
		}
		problems[i] = fmt.Errorf("%s: %w", where, p)
	}
	return errors.Join(problems...)
}

// lineOfProblem finds the line of the key that a problem begins with, or of the block that lacks it; 0: it is written in some other way.
func lineOfProblem(lines []configLine, problem error) int {
	var f followError
	if errors.As(problem, &f) {
		key, block, line := firstWord(f.err.Error()), -1, 0
		for _, l := range lines {
			if l.header() && l.array && slices.Equal(l.table, []string{"follow"}) {
				block++
			}
			switch {
			case block != f.block:
			case l.header() && slices.Equal(l.table, []string{"follow"}):
				line = l.number
			case slices.Equal(l.table, []string{"follow"}) && slices.Equal(l.key, []string{key}):
				return l.number
			}
		}
		return line
	}
	text, table, whole := problem.Error(), "", true
	if strings.HasPrefix(text, "[") {
		table, text, whole = strings.Cut(strings.TrimPrefix(text, "["), "] ")
	}
	if !whole || table != "" && strings.HasPrefix(table, "[") {
		return 0
	}
	key := []string{firstWord(text)}
	if table != "" {
		key = append([]string{table}, key...)
	}
	return lineOf(lines, key)
}

// firstWord is the key that a problem begins with.
func firstWord(text string) string {
	return strings.TrimRight(strings.Fields(text + " -")[0], ":")
}
