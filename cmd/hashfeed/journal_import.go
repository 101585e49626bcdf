package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hashfeed/node/api"
)

// importText is an import in a line.
func importText(i api.JournalImport) string {
	text := fmt.Sprintf("%s %s import of %s into %s: %sadded %d, revised %d, retracted %d", i.ID, i.Time.Format(time.RFC3339), i.Source, i.Feed,
		map[bool]string{true: "at most "}[i.Lost], i.Added, i.Revised, i.Retracted)
	if i.Permission != "" {
		text += fmt.Sprintf(" permission %q", i.Permission)
	}
	if !i.Done {
		text += " " + importState(i)
	}
	return text
}

// importState is how far an import came.
func importState(i api.JournalImport) string {
	switch {
	case i.Lost:
		return "lost"
	case !i.Done:
		return "unfinished"
	}
	return "done"
}

func (e *env) printImport(i api.JournalImport) error {
	say := func(format string, args ...any) { fmt.Fprintf(e.stdout, format+"\n", args...) }
	say("import %s, line %d, %s", i.ID, i.Seq, i.Time.Format(time.RFC3339))
	say("began %s; %s", i.Began.Format(time.RFC3339), map[string]string{
		"lost":       "the node died over it: the counts are what it was to bring, at most",
		"unfinished": "unfinished: a part of the list was taken",
		"done":       "done",
	}[importState(i)])
	say("list of %s, %s, sha256 %s", i.Source, i.Format, i.File)
	say("into %s", i.Feed)
	say("permission %s", cmp.Or(i.Permission, "none"))
	say("rows %d up to %s: added %d, revised %d, retracted %d, unchanged %d, skipped %d, refused %d, waiting %d", i.Rows, i.MaxVerdict,
		i.Added, i.Revised, i.Retracted, i.Unchanged, i.Skipped, i.Refused, i.Waiting)
	for _, reason := range slices.Sorted(maps.Keys(i.Overrides)) {
		say("known good, and listed all the same: %d %s", i.Overrides[reason], reason)
	}
	if i.Batch != "" {
		say("batch %s", i.Batch)
	}
	var asked []string
	for _, f := range []struct {
		set  bool
		name string
	}{{i.Initial, "initial"}, {i.Complete, "complete"}, {i.Partial, "partial"}, {i.Released, "released"}} {
		if f.set {
			asked = append(asked, f.name)
		}
	}
	if len(asked) > 0 {
		say("as %s", strings.Join(asked, ", "))
	}
	return nil
}
