package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hashfeed/feed/store"
	"hashfeed/node/api"
	"hashfeed/node/match"
)

// The worker's environment.
const (
	flipDir = "HASHFEED_TEST_FLIP_DIR" // of the node to be harmed
	flipBug = "HASHFEED_TEST_FLIP_BUG"
)

// The seeded bugs, each of which the harness must see.
const (
	bugBlind = "blind" // what the store says of damage is not heeded
	bugTable = "table" // the tables lose a hash
	bugPanic = "panic" // a background goroutine panics
)

// init makes the test binary a worker, in whose process a harmed node may die.
func init() {
	if dir := os.Getenv(flipDir); dir != "" {
		if err := flipWorker(dir, os.Getenv(flipBug)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// flipWorker reads harms, a JSON object a line, and answers each with an effect.
func flipWorker(dir, bug string) error {
	files, err := readFiles(dir)
	if err != nil {
		return err
	}
	w := &worker{files: files, bug: bug, dir: filepath.Join(dir+"-work", strconv.Itoa(os.Getpid()))}
	defer os.RemoveAll(w.dir)
	if err := w.learn(); err != nil {
		return fmt.Errorf("unharmed: %w", err)
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var h harm
		if err := in.Decode(&h); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Encode(w.try(h)); err != nil {
			return err
		}
	}
}

type worker struct {
	files   storedFiles
	dir     string
	bug     string
	asked   questions
	answers []answer          // of the unharmed node
	frozen  map[string]string // feeds that are frozen in it, with the reason: one that contradicts itself
	log     logText
}

// open makes the directory and opens it as the daemon does.
func (w *worker) open(files storedFiles) (*Node, error) {
	if err := os.RemoveAll(w.dir); err != nil {
		return nil, err
	}
	if err := files.write(w.dir); err != nil {
		return nil, err
	}
	return w.reopen()
}

func (w *worker) reopen() (*Node, error) {
	w.log.Reset()
	return Open(w.dir, Options{Now: usedClock, Logger: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
}

// logText is what a node logs.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logText) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// learn asks the unharmed node.
func (w *worker) learn() error {
	n, err := w.open(w.files)
	if err != nil {
		return err
	}
	if n.index.start.Source != api.IndexSnapshot {
		return errors.Join(fmt.Errorf("the snapshot was not used: %+v", n.index.start), n.Close())
	}
	w.asked = questionsFor(n)
	w.answers = w.asked.ask(n)
	infos, err := n.Feeds(context.Background())
	if err != nil {
		return err
	}
	w.frozen = map[string]string{}
	for _, f := range infos {
		if f.State == "frozen" {
			w.frozen[f.Origin] = f.StateText
		}
	}
	found, err := fsck(n)
	for _, a := range w.answers {
		if a.err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", a.question, a.err))
		}
	}
	return errors.Join(append(found, err, n.Close())...)
}

func fsck(n *Node) (found []error, err error) {
	err = n.store.Fsck(context.Background(), func(f store.Finding) { found = append(found, errors.New(f.String())) })
	return found, err
}

// try harms the node, opens it and asks. A panic in this goroutine is told as such; one in another ends the process, and the
// parent tells.
func (w *worker) try(h harm) (o effect) {
	defer func() {
		if r := recover(); r != nil {
			o = effect{isPanic, fmt.Sprintf("%v\n%s", r, debug.Stack())}
		}
	}()
	debug.SetPanicOnFault(true) // a fault in a mapped file, in this goroutine
	n, err := w.open(w.files.harmed(h))
	if err != nil {
		return w.spared(effect{isRefused, err.Error()})
	}
	o = w.spared(w.judge(n))
	if err := n.Close(); err != nil && o.Verdict == isHarmless {
		return effect{isFailed, "close: " + err.Error()}
	}
	if o.Verdict != isHarmless {
		return o
	}
	// What was overlooked must not have been written out.
	if n, err = w.reopen(); err != nil {
		return effect{isWrong, "when opened again: " + err.Error()}
	}
	if again := w.judge(n); again.Verdict != isHarmless {
		o = effect{isWrong, "when opened again: " + again.Verdict + ": " + again.Detail}
	}
	n.Close()
	return o
}

// spared wants a node that was refused or is damaged to have all its tables still: what can be mended must not be deleted.
func (w *worker) spared(o effect) effect {
	for _, f := range w.files {
		if _, err := os.Stat(filepath.Join(w.dir, f.path)); o.Verdict != isHarmless && strings.HasSuffix(f.path, ".sst") && err != nil {
			return effect{isWrong, "a table was deleted: " + o.Verdict + ": " + o.Detail}
		}
	}
	return o
}

// judge compares a harmed node's answers with those of the unharmed one.
func (w *worker) judge(n *Node) effect {
	w.seed(n)
	damaged := map[string]string{}
	infos, err := n.Feeds(context.Background())
	if err != nil {
		return effect{isFailed, err.Error()}
	}
	for _, f := range infos {
		if f.State == "frozen" && w.frozen[f.Origin] != f.StateText { // not for what it did itself
			damaged[f.Origin] = f.StateText
		}
	}
	alarmed := n.store.Lost() > 0
	if status, err := n.Status(context.Background()); err != nil || alarmed != slices.ContainsFunc(status.Alarms, func(a api.Alarm) bool { return a.Code == "lost-writes" }) {
		return effect{isFailed, fmt.Sprintf("status: %v, %v", status.Alarms, err)}
	}
	changed := strings.Contains(w.log.String(), "isn't the config that ran last")
	var fails []string
	for i, a := range w.asked.ask(n) {
		switch want := w.answers[i]; {
		case a.err != nil:
			fails = append(fails, a.question+": "+a.err.Error())
		case a.text == want.text:
		case changed && slices.Contains([]string{"config", "match", "identity"}, a.question):
		case alarmed && a.mayBeLost:
		case len(damaged) == 0 || a.feed != "" && damaged[a.feed] == "":
			return effect{isWrong, a.question + ": " + difference(a.text, want.text)}
		}
	}
	findings, err := fsck(n)
	if err != nil {
		fails = append(fails, "fsck: "+err.Error())
	}
	if note := n.index.start.Note; note != "" {
		findings = append(findings, errors.New(note))
	}
	switch {
	case len(damaged) > 0:
		return effect{isFrozen, fmt.Sprint(damaged)}
	case alarmed || changed:
		return effect{isAlarm, w.log.String()}
	case len(fails) > 0:
		return effect{isFailed, strings.Join(fails, "; ")}
	case len(findings) > 0:
		return effect{isFound, fmt.Sprint(findings)}
	}
	return effect{isHarmless, ""}
}

// difference shows where two texts begin to differ.
func difference(got, want string) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	part := func(s string) string { return s[min(max(0, i-60), len(s)):min(i+140, len(s))] }
	return fmt.Sprintf("got …%s…, want …%s…", part(got), part(want))
}

// seed puts the seeded bug in.
func (w *worker) seed(n *Node) {
	switch w.bug {
	case bugBlind:
		for _, v := range *n.views.Load() {
			if v != nil && v.state != nil {
				r := *v.reading.Load()
				r.damage = nil
				v.reading.Store(&r)
			}
		}
	case bugTable:
		h := w.asked.hashes[0]
		if hits, _, err := n.tables.Lookup(nil, match.Alg(h.Alg), h.Bytes(), 0); err == nil && len(hits) > 0 {
			n.tables.Remove(match.Alg(h.Alg), h.Bytes(), hits[0].ID)
		}
	case bugPanic:
		go func() { panic("seeded") }()
		time.Sleep(time.Second)
	}
}
