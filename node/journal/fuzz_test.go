package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// FuzzParseLine: what is taken for a line is written again, and taken again, with the same number and hash before.
func FuzzParseLine(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseLine(text)
		if err != nil {
			return
		}
		var prev digest
		seq, prev, err := parsePrefix(text)
		if err != nil || seq != l.Seq || prev.String() != l.Prev {
			t.Fatalf("its prefix says %d and %s, %v; the line %d and %s", seq, prev, err, l.Seq, l.Prev)
		}
		rest, err := tail(&l)
		if err != nil {
			t.Fatalf("it can't be written again: %v", err)
		}
		again := appendLine(nil, l.Seq, prev, l.ID, rest)
		if m, err := ParseLine(again[:len(again)-1]); err != nil || m.Seq != l.Seq || m.Kind != l.Kind {
			t.Fatalf("written again as %s: %v", again, err)
		}
		_ = Keep{Block: time.Hour, Review: time.Hour, Log: time.Hour, Uploads: time.Hour}.of(&l)
		var c Counts
		c.line(&l)
	})
}

// FuzzOpen gives a folder any bytes for lines and for a head: it opens, says what is wrong, takes a decision, and finds it.
func FuzzOpen(f *testing.F) {
	f.Fuzz(func(t *testing.T, lines, head []byte) {
		lines, head = lines[:min(len(lines), 1<<16)], head[:min(len(head), 1<<14)] // more tells nothing new
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName(1)), lines, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, headFile), head, 0o600); err != nil {
			t.Fatal(err)
		}
		key := Key{1}
		before, err := Verify(t.Context(), dir, &key)
		if err != nil {
			t.Fatal(err)
		}
		j, err := Open(Options{Dir: dir, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if len(before.Problems) == 0 && j.State().Damage != "" {
			t.Fatalf("Verify finds nothing, Open says %q", j.State().Damage)
		}
		id, _ := j.Decided(decision("review", "a.example/known/1#1"))
		if _, err := j.Find(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzOpenReceipt: nothing but what the journal's key signed is a receipt.
func FuzzOpenReceipt(f *testing.F) {
	key := crypto.NewKeyFromSeed("a.example/journal", crypto.TypeSignature, [32]byte{1})
	line := appendLine(nil, 1, digest{}, "01M8JHN8KCEQ3GE66C68TNSWK3", []byte(`"time":"2026-11-29T02:20:32.236Z","kind":"decision","decision":{"hashes":[],"verdict":"block","checked":[],"unchecked":[],"matches":[],"heads":[],"rules":{}}}`))
	good, err := SignReceipt(bytes.TrimSuffix(line, []byte("\n")), nil, key.Sign)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := OpenReceipt(good, key.Public(), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := OpenReceipt(data, key.Public(), []feed.Anchor{{1}})
		if err == nil && !bytes.HasPrefix(data, good[:bytes.LastIndex(good, []byte("\n\n"))]) {
			t.Fatalf("%q is a receipt: %+v", data, r)
		}
	})
}

// FuzzParseOutcome: what it takes is one of three words, in any case.
func FuzzParseOutcome(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOutcome(text)
		if err == nil && (!strings.EqualFold(string(o), text) || o != "log" && o != "review" && o != "block") {
			t.Fatalf("%q is %q", text, o)
		}
	})
}
