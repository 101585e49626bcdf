package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"hashfeed/feed"
	"hashfeed/node"
	"hashfeed/node/api"
)

func publishCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "publish", Usage: "list files, or bare hashes, in an own feed", ArgsUsage: "FILE…",
		Description: "Hashes each file here and lists it as an item of its own; the file itself goes nowhere. --hash, repeated, lists\n" +
			"one item by its hashes alone. Nothing is taken for granted: say the verdict. Prints a JSON object a line:\n" +
			"{\"ref\",\"hashes\"}, or {\"duplicate\"} where an active item of the feed holds an equal exact hash.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "verdict", Usage: "what assessors found: `V` is baseline, national, doubtful or test"},
			&cli.StringFlag{Name: "media", Usage: "`M` is image or video; needed where the file doesn't tell"},
			&cli.IntFlag{Name: "verified-by", Usage: "how many people or bodies assessed it independently (`N`, 1-255)"},
			&cli.IntFlag{Name: "severity", Usage: "`N`, 1-4"},
			&cli.StringFlag{Name: "age-band", Usage: "`BAND` is undetermined, infant, prepubescent, pubescent or adult"},
			&cli.BoolFlag{Name: "virtual", Usage: "drawn or generated"},
			&cli.StringFlag{Name: "not-before", Usage: "no effect until this `TIME` (RFC 3339)"},
			&cli.StringFlag{Name: "source", Usage: "the category in its source's own words, `SCHEME:CODE`, such as ncmec:A2"},
			&cli.StringFlag{Name: "harm", Usage: "must be the feed's, if given (`HARM`)"},
			&cli.StringFlag{Name: "feed", Usage: "the own `FEED` to list in; default the first"},
			&cli.StringSliceFlag{Name: "hash", Usage: "a hash of the one item that is listed without a file (`ALG:HEX`), repeatable"},
			&cli.BoolFlag{Name: "again", Usage: "list duplicates nevertheless"},
			overrideFlag(), aloneFlag(), passphraseFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error { return publish(e, c) },
	}
}

func publish(e *env, c *cli.Context) error {
	template, err := itemOfFlags(c)
	if err != nil {
		return err
	}
	hashes := c.StringSlice("hash")
	switch {
	case len(hashes) > 0 && c.NArg() > 0:
		return usagef("publish: files and --hash don't go together")
	case len(hashes) == 0 && c.NArg() == 0:
		return usagef("publish: a file, or --hash, is missing")
	case len(hashes) > 0 && template.Media == "":
		return usagef("publish: --hash needs --media image or --media video")
	}

	request := api.Publish{Feed: c.String("feed"), Harm: c.String("harm"), Again: c.Bool("again")}
	failed := false
	say := func(format string, args ...any) {
		failed = true
		fmt.Fprintf(e.stderr, "hashfeed: "+format+"\n", args...)
	}
	var names []string
	if len(hashes) > 0 {
		item := template
		item.Hashes = hashes
		request.Items, names = []api.Item{item}, []string{"--hash"}
	}
	for _, path := range c.Args().Slice() {
		sum, err := e.digest(c.Context, path)
		if err != nil {
			say("%v", err)
			continue
		}
		item := template
		if item.Media == "" {
			item.Media = string(sum.Media)
		}
		if item.Media == "" {
			return usagef("publish %s: its media type can't be told from the file: say --media image or --media video", path)
		}
		list, notes, err := node.ListableHashes(sum)
		if err != nil {
			say("publish %s: %v", path, err)
			continue
		}
		for _, note := range notes {
			fmt.Fprintf(e.stderr, "%s: %s\n", path, note)
		}
		for _, h := range list {
			item.Hashes = append(item.Hashes, h.Text())
		}
		item.Size = uint64(sum.Size)
		request.Items, names = append(request.Items, item), append(names, path)
	}
	if len(request.Items) == 0 {
		return codeError(exitError)
	}

	door, closeDoor, err := e.door(c)
	if err != nil {
		return err
	}
	defer closeDoor()
	published, err := door.Publish(c.Context, request)
	if err != nil {
		return usageIfIncomplete(fmt.Errorf("publish: %w", err))
	}
	batch := ""
	for i, p := range published {
		batch = cmp.Or(batch, p.Batch)
		if p.Refused != "" {
			say("publish %s: %s", names[i], p.Refused)
			continue
		}
		if p.Duplicate != "" {
			say("publish %s: already listed as %s (--again lists it nevertheless)", names[i], p.Duplicate)
		}
		if err := e.printJSON(p); err != nil {
			return err
		}
	}
	e.sayAwaits(batch)
	if failed {
		return codeError(exitError)
	}
	return nil
}

// itemOfFlags checks what only the command line can get wrong; the node checks the rest.
func itemOfFlags(c *cli.Context) (api.Item, error) {
	item := api.Item{Verdict: c.String("verdict"), Media: c.String("media"), VerifiedBy: c.Int("verified-by"),
		Severity: c.Int("severity"), AgeBand: c.String("age-band"), Virtual: c.Bool("virtual"),
		NotBefore: c.String("not-before"), Source: c.String("source"), OverrideKnownGood: c.String(overrideName)}
	if item.Verdict == "" {
		return item, usagef("publish: --verdict is missing: nothing is listed without saying what it is (baseline, national, doubtful, test)")
	}
	if _, err := feed.ParseVerdict(item.Verdict); err != nil {
		return item, usagef("publish: --verdict %q: %v", item.Verdict, err)
	}
	if item.Media != "" {
		if _, err := feed.ParseMedia(item.Media); err != nil {
			return item, usagef("publish: --media %q: %v", item.Media, err)
		}
	}
	if err := checkOverride(c, "publish"); err != nil {
		return item, err
	}
	for name, top := range map[string]int{"verified-by": 255, "severity": 4} {
		if n := c.Int(name); c.IsSet(name) && (n < 1 || n > top) {
			return item, usagef("publish: --%s %d: must be 1 to %d", name, n, top)
		}
	}
	if scheme, code, ok := strings.Cut(item.Source, ":"); item.Source != "" && (!ok || scheme == "" || code == "") {
		return item, usagef("publish: --source %q: must be SCHEME:CODE", item.Source)
	}
	return item, nil
}

// aloneFlag lets a publisher sign though no member's head has been heard since the start.
func aloneFlag() cli.Flag {
	return &cli.BoolFlag{Name: "alone", Usage: "sign though no member's head was heard: only if this is no restored or copied directory"}
}
