package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// typed is a command in a document: in code, or on a line of its own after a prompt.
var typed = regexp.MustCompile("(?:`|(?m:^[a-z]*[$] +))hashfeed ([^`\n]*)")

// commandsIn are the commands of a document, as far as they name command and flags.
func commandsIn(text string) (commands [][]string) {
	for _, m := range typed.FindAllStringSubmatch(text, -1) {
		line, _, _ := strings.Cut(m[1], " #")
		words := strings.Fields(strings.NewReplacer("…", "x", "[", "", "]", "", "|", " ").Replace(line))
		commands = append(commands, append([]string{"hashfeed"}, words...))
	}
	return commands
}

// TestDocumentsNameCommands: every command in the handbooks and the operator's book exists, with its flags.
func TestDocumentsNameCommands(t *testing.T) {
	for _, name := range []string{"host-handbook.md", "handboek-host.md", "operating.md", "legal-nl-eu.md", "words.md"} {
		for _, words := range commandsIn(document(t, name)) {
			if _, err := permute(newApp(&env{}), words); err != nil {
				t.Errorf("%s: %q: %v", name, words, err)
			}
		}
	}
	if _, err := permute(newApp(&env{}), []string{"hashfeed", "nosuch"}); err == nil {
		t.Error("an unknown command passes")
	}
}

// TestHandbooksAgree: the Dutch handbook names the commands, fields and sections that the English one names, in the same order.
func TestHandbooksAgree(t *testing.T) {
	english, dutch := document(t, "host-handbook.md"), document(t, "handboek-host.md")
	code := regexp.MustCompile("`[^`]+`")
	one, two := code.FindAllString(english, -1), code.FindAllString(dutch, -1)
	slices.Sort(one)
	slices.Sort(two)
	if len(one) < 60 || !slices.Equal(slices.Compact(one), slices.Compact(two)) {
		for _, w := range one {
			if !slices.Contains(two, w) {
				t.Errorf("only in English: %s", w)
			}
		}
		for _, w := range two {
			if !slices.Contains(one, w) {
				t.Errorf("only in Dutch: %s", w)
			}
		}
	}
	if a, b := strings.Count(english, "\n## "), strings.Count(dutch, "\n## "); a != b || a == 0 {
		t.Errorf("%d sections in English, %d in Dutch", a, b)
	}
	if a, b := strings.Count(english, "\n| "), strings.Count(dutch, "\n| "); a != b {
		t.Errorf("%d rows in English, %d in Dutch", a, b)
	}
}

// TestWordsAreExplained: docs/words.md has every word that an answer or a record may have.
func TestWordsAreExplained(t *testing.T) {
	text := document(t, "words.md")
	words := slices.Concat(api.Scopes(), api.EventKinds())
	for _, a := range []policy.Action{policy.Log, policy.Review, policy.Block} {
		words = append(words, string(a))
	}
	for _, s := range []policy.State{policy.Suspended, policy.Disputed, policy.Held, policy.Untrusted, policy.Active} {
		words = append(words, string(s))
	}
	for _, v := range []feed.Verdict{feed.Baseline, feed.National, feed.Doubtful, feed.Test} {
		words = append(words, v.String())
	}
	for op := feed.OpAdd; op <= feed.OpResolve; op++ {
		words = append(words, op.String())
	}
	for r := feed.FalsePositive; r <= feed.WrongCategory; r++ {
		words = append(words, r.String())
	}
	for alg := feed.MD5; alg <= feed.PhotoDNA; alg++ {
		words = append(words, alg.String())
	}
	words = append(words, "csam", "ncii", "tvec", "allow", "stale", "frozen", "behind", "waiting", "expired", "hotline", "liaison", "host")
	for _, w := range words {
		if strings.HasPrefix(w, "reason(") {
			continue // a number without a name
		}
		if !strings.Contains(text, "`"+w+"`") {
			t.Errorf("docs/words.md doesn't explain %s", w)
		}
	}
}
