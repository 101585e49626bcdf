package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/feed/hashlist"
	"hashfeed/node/api"
)

func importCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "take a list of hashes into an own feed", ArgsUsage: "FILE|-",
		Description: "Reads a list (" + hashlist.Names(true) + "; docs/import.md), judges every row, and lists the good ones. A list with a wrong row changes\n" +
			"nothing, unless --partial takes the others. Nothing is taken for granted: say the verdict, and the media type where rows\n" +
			"don't. Without --into it lands in the own feed private, which nobody else reads; a feed that others read wants\n" +
			"--permission. A list may be imported again: what is in the feed already is left alone, a changed row is a revision, and\n" +
			"with --complete an item that is gone from the list is retracted. More additions than the source may bring in a day are held.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "how the list is written: `F` is one of " + hashlist.Names(true)},
			&cli.StringFlag{Name: "verdict", Usage: "of rows that say none (`V`), and the gravest that a row may carry: baseline, national, doubtful or test"},
			&cli.StringFlag{Name: "max-verdict", Usage: "rows may carry up to `V`, graver than --verdict"},
			&cli.StringFlag{Name: "media", Usage: "of rows that say none: `M` is image or video"},
			&cli.IntFlag{Name: "verified-by", Usage: "how many assessed each item independently, of rows that say nothing of it (`N`, 1-255)"},
			&cli.StringFlag{Name: "source", Usage: "whose list it is (`NAME`, of a-z, 0-9 and -); default the format's name"},
			&cli.StringFlag{Name: "map", Usage: "what the source's category codes mean, a table in `FILE`; a code that isn't there is refused"},
			&cli.StringFlag{Name: "into", Usage: "the own `FEED` to list in; default private"},
			&cli.StringFlag{Name: "harm", Usage: "must be the feed's, if given (`HARM`)"},
			&cli.StringFlag{Name: "permission", Usage: "by which contract or mail the list may be passed on (`REFERENCE`); the journal keeps it"},
			&cli.BoolFlag{Name: "dry-run", Usage: "change nothing: counts, facts, and a sample to look at"},
			&cli.BoolFlag{Name: "partial", Usage: "take the good rows of a list that has wrong ones"},
			&cli.BoolFlag{Name: "initial", Usage: "the source's first load, which may be larger than a day's additions; once a source"},
			&cli.BoolFlag{Name: "complete", Usage: "the list is all that the source lists: retract what is gone from it"},
			&cli.IntFlag{Name: "max-retract", Usage: "how many percent of the source's items --complete may retract (`N`); default 10"},
			&cli.BoolFlag{Name: "held", Usage: "list the imports that are held"},
			&cli.StringFlag{Name: "release", Usage: "let a held import through (`ID`); with --dry-run look at it"},
			&cli.StringFlag{Name: "drop", Usage: "forget a held import (`ID`)"},
			aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error { return importList(e, c) },
	}
}

func importList(e *env, c *cli.Context) error {
	asked := 0
	for _, other := range []string{"held", "release", "drop"} {
		if c.IsSet(other) {
			asked++
		}
	}
	switch {
	case asked > 1 || asked == 1 && c.NArg() > 0:
		return usagef("import: --held, --release and --drop go with nothing else")
	case asked == 1:
		return e.withDoor(c, func(door api.Verbs) error { return heldImports(e, c, door) })
	}
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	request, err := importOfFlags(c)
	if err != nil {
		return err
	}
	list, size, err := e.openList(c.Args().First())
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer list.Close()
	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	bar := e.importBar(size)
	reading := progressbar.NewReader(list, bar.ProgressBar)
	done, err := door.Import(c.Context, request, &reading, bar.tell)
	bar.Finish()
	if err != nil {
		return usageIfIncomplete(fmt.Errorf("import: %w", err))
	}
	return e.sayImported(c, done)
}

func heldImports(e *env, c *cli.Context, door api.Verbs) error {
	switch {
	case c.IsSet("drop"):
		return door.DropImport(c.Context, c.String("drop"))
	case c.IsSet("release"):
		bar := e.importBar(-1)
		done, err := door.ReleaseImport(c.Context, c.String("release"), c.Bool("dry-run"), bar.tell)
		bar.Finish()
		if err != nil {
			return err
		}
		return e.sayImported(c, done)
	}
	held, err := door.HeldImports(c.Context)
	if err != nil {
		return err
	}
	for _, h := range held {
		if c.Bool("json") {
			err = e.printJSON(h)
		} else {
			_, err = fmt.Fprintf(e.stdout, "%s  since %s  %s of source %s into %s\n", h.ID, h.Since, h.Import.Format,
				cmp.Or(h.Import.Source, h.Import.Format), cmp.Or(h.Import.Feed, "private"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// importOfFlags checks what only the command line can get wrong; the node checks the rest.
func importOfFlags(c *cli.Context) (api.Import, error) {
	r := api.Import{Format: c.String("format"), Verdict: c.String("verdict"), MaxVerdict: c.String("max-verdict"), Media: c.String("media"),
		VerifiedBy: c.Int("verified-by"), Source: c.String("source"), Feed: c.String("into"), Harm: c.String("harm"), Permission: c.String("permission"),
		DryRun: c.Bool("dry-run"), Partial: c.Bool("partial"), Initial: c.Bool("initial"), Complete: c.Bool("complete"), MaxRetract: c.Int("max-retract")}
	if f, ok := hashlist.Find(r.Format); !ok || f.Read == nil {
		return r, usagef("import: --format %q: one of %s", r.Format, hashlist.Names(true))
	}
	if r.Verdict == "" {
		return r, usagef("import: --verdict is missing: nothing is listed without saying what it is (baseline, national, doubtful, test)")
	}
	for name, value := range map[string]string{"verdict": r.Verdict, "max-verdict": r.MaxVerdict} {
		if _, err := feed.ParseVerdict(value); value != "" && err != nil {
			return r, usagef("import: --%s %q: %v", name, value, err)
		}
	}
	if _, err := feed.ParseMedia(r.Media); r.Media != "" && err != nil {
		return r, usagef("import: --media %q: %v", r.Media, err)
	}
	if _, err := feed.ParseHarm(r.Harm); r.Harm != "" && err != nil {
		return r, usagef("import: --harm %q: %v", r.Harm, err)
	}
	if _, err := feed.ParseSource(r.Source + ":-"); r.Source != "" && err != nil {
		return r, usagef("import: --source %q: want 1 to 16 of a-z, 0-9 and -", r.Source)
	}
	for name, top := range map[string]int{"verified-by": 255, "max-retract": 100} {
		if n := c.Int(name); c.IsSet(name) && (n < 1 || n > top) {
			return r, usagef("import: --%s %d: must be 1 to %d", name, n, top)
		}
	}
	if path := c.String("map"); path != "" {
		f, err := os.Open(path)
		if err != nil {
			return r, fmt.Errorf("import: read map: %w", err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxMap+1))
		if err != nil {
			return r, fmt.Errorf("import: read map: %w", err)
		}
		if len(text) == 0 || len(text) > maxMap {
			return r, fmt.Errorf("import: map %s: empty, or longer than %d bytes", path, maxMap)
		}
		r.Map = string(text)
	}
	return r, nil
}

// openList opens a list; its size is -1 where that isn't known.
func (e *env) openList(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(e.stdin), -1, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return f, -1, nil
	}
	return f, info.Size(), nil
}

// importBar is a line on a terminal, and nothing elsewhere: how much of the list was read, then how many rows were judged and taken.
type importBar struct {
	*progressbar.ProgressBar
	stage string
}

func (e *env) importBar(size int64) *importBar {
	// With an interval it would move by a goroutine of its own, which races with Set.
	return &importBar{ProgressBar: progressbar.NewOptions64(size, progressbar.OptionSetWriter(e.stderr), progressbar.OptionSetDescription("read"),
		progressbar.OptionSetVisibility(isTerminal(e.stderr)), progressbar.OptionSetSpinnerChangeInterval(0), progressbar.OptionClearOnFinish())}
}

func (b *importBar) tell(p api.ImportProgress) {
	if b.stage != p.Stage {
		b.stage = p.Stage
		b.Describe(p.Stage)
		b.ChangeMax(cmp.Or(p.Of, -1))
	}
	b.Set(p.Rows)
}

// sayImported prints what came of a list: the result on standard output, the notes on standard error.
func (e *env) sayImported(c *cli.Context, done api.Imported) error {
	for _, note := range done.Notes {
		what := "skipped"
		if note.Refused {
			what = "refused"
		}
		where := ""
		if note.Line > 0 {
			where = fmt.Sprintf("line %d ", note.Line)
		}
		fmt.Fprintf(e.stderr, "%s%s: %s\n", where, what, note.Text)
	}
	if more := done.Skipped + done.Refused - len(done.Notes); more > 0 {
		fmt.Fprintf(e.stderr, "and %d more\n", more)
	}
	if c.Bool("json") {
		if err := e.printJSON(done); err != nil {
			return err
		}
	} else if err := e.printImported(done); err != nil {
		return err
	}
	e.sayAwaits(done.Batch)
	if done.Warning != "" {
		fmt.Fprintf(e.stderr, "warning: %s\n", done.Warning)
	}
	if done.Why != "" {
		fmt.Fprintf(e.stderr, "hashfeed: import: %s\n", done.Why)
	}
	if done.Held != "" {
		fmt.Fprintf(e.stderr, "hint: hashfeed import --release %s --dry-run shows them, hashfeed import --release %s lets them through, --drop forgets them; --initial is for a source's first load\n",
			done.Held, done.Held)
	}
	if !done.Done || done.Refused > 0 {
		return codeError(exitError)
	}
	return nil
}

func (e *env) printImported(done api.Imported) error {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s "+format+"\n", append([]any{label}, args...)...)
	}
	line("feed", "%s", done.Feed)
	line("source", "%s, rows up to %s", done.Source, done.MaxVerdict)
	if done.Permission != "" {
		line("permission", "%s", done.Permission)
	}
	if done.Journal != "" {
		line("journal", "%s", done.Journal)
	}
	line("rows", "%d in %.1f s", done.Rows, done.Seconds)
	did := map[bool]string{true: "would be ", false: ""}[done.DryRun || !done.Done && done.Why != "" && done.Held == "" && done.Batch == ""]
	line("added", "%s%d", did, done.Added)
	line("revised", "%s%d", did, done.Revised)
	line("retracted", "%s%d", did, done.Retracted)
	line("unchanged", "%d", done.Unchanged)
	line("skipped", "%d", done.Skipped)
	line("refused", "%d", done.Refused)
	if done.Waiting > 0 {
		line("waiting", "%d", done.Waiting)
	}
	for label, counts := range map[string]map[string]int{"facts": done.Facts, "hashes": done.Kinds} {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(counts)) {
			if counts[k] != 0 {
				parts = append(parts, fmt.Sprintf("%d %s", counts[k], k))
			}
		}
		if len(parts) > 0 {
			line(label, "%s", strings.Join(parts, ", "))
		}
	}
	if done.DryRun {
		for _, s := range done.Sample {
			line("sample", "line %d %s %s %s %s", s.Line, s.ID, s.Facts.Verdict, s.Facts.Media, strings.Join(s.Hashes, " "))
		}
	}
	_, err := io.WriteString(e.stdout, b.String())
	return errors.Join(err)
}
