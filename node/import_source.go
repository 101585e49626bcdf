package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"hashfeed/feed"
	"hashfeed/node/journal"
)

// SourceConfig is what the operator lets a source of lists do. It holds whatever an import asks for.
type SourceConfig struct {
	Name string `toml:"name" json:"name"` // as import --source names it

	// MaxVerdict is the gravest verdict that rows of the source may carry: baseline, national, doubtful or test. Default baseline: what the import says.
	MaxVerdict string `toml:"max_verdict" json:"max_verdict"`

	// MaxAddsPerDay is how many additions and changes the source may bring in 24 hours; an import that brings more is held until somebody lets it
	// through. Default 10,000. A source that has gone wrong is found out by its numbers first: set it to twice a busy day.
	MaxAddsPerDay int `toml:"max_adds_per_day" json:"max_adds_per_day"`
}

// defaultAddsPerDay is a busy day of the largest hotlines.
const defaultAddsPerDay = 10_000

func (s SourceConfig) check() error {
	if _, err := feed.ParseSource(s.Name + ":-"); err != nil {
		return errors.New(`name: want 1 to 16 of a-z, 0-9 and "-"`)
	}
	if s.MaxVerdict != "" {
		if _, err := feed.ParseVerdict(s.MaxVerdict); err != nil {
			return fmt.Errorf("max_verdict %.20q: want baseline, national, doubtful or test", s.MaxVerdict)
		}
	}
	if s.MaxAddsPerDay < 0 || s.MaxAddsPerDay > 1_000_000_000 {
		return fmt.Errorf("max_adds_per_day %d: want 1 to 1,000,000,000", s.MaxAddsPerDay)
	}
	return nil
}

// sourceOf is what the config says of a source.
func (c *Config) sourceOf(name string) SourceConfig {
	found := SourceConfig{Name: name}
	for _, s := range c.Sources {
		if s.Name == name {
			found = s
		}
	}
	if found.MaxVerdict == "" {
		found.MaxVerdict = feed.Baseline.String()
	}
	if found.MaxAddsPerDay == 0 {
		found.MaxAddsPerDay = defaultAddsPerDay
	}
	return found
}

// pastImport is an import that took something, or began to: a line of the file of imports. It is written before the first record is signed, with
// what the list will bring, and again after the last: what a crash leaves counts as if all had come.
type pastImport struct {
	Time       int64  `json:"time"`
	Source     string `json:"source"`
	Feed       string `json:"feed"`
	Format     string `json:"format"`
	File       string `json:"file"` // SHA-256 of the list, hex
	Permission string `json:"permission,omitempty"`
	MaxVerdict string `json:"max_verdict"`
	Adds       int    `json:"adds"` // additions and changes
	Retracts   int    `json:"retracts"`
	Initial    bool   `json:"initial,omitempty"`
	Approved   bool   `json:"approved,omitempty"` // several signed it, or somebody released it: it doesn't count as a day's
	Done       bool   `json:"done"`

	Run  string          `json:"run,omitempty"`  // tells it from others of the same list
	Owed *journal.Import `json:"owed,omitempty"` // what the journal hasn't taken yet; nil: nothing
}

func (p pastImport) check() error {
	if p.Time <= 0 || p.Source == "" || p.Adds < 0 {
		return errors.New("not an import")
	}
	return nil
}

// pastImports are those that are remembered.
func (n *Node) pastImports() ([]pastImport, error) {
	return readJSONLines(n.dir.pastImports(), maxImportsFile, pastImport.check)
}

// remember writes an import down. It replaces what was written of the same run, and an unfinished one of the same list that the journal has.
func (n *Node) remember(p pastImport) error {
	list, err := n.pastImports()
	if err != nil {
		return err
	}
	kept := list[:0]
	for _, o := range list {
		if o.Run == p.Run && o.Run != "" || o.unfinished(p) && o.Owed == nil {
			continue
		}
		kept = append(kept, o)
	}
	// What is left out are the oldest; a first load is remembered for ever, since there is one a source, and what is owed until it isn't.
	for len(kept) >= maxImports {
		i := 0
		for i < len(kept)-1 && (kept[i].Initial || kept[i].Owed != nil) {
			i++
		}
		kept = append(kept[:i], kept[i+1:]...)
	}
	if err := os.MkdirAll(n.dir.imports(), 0o700); err != nil {
		return err
	}
	if err := writeJSONLines(n.dir.pastImports(), append(kept, p)); err != nil {
		return err
	}
	return syncDir(n.dir.imports())
}

// unfinished says whether p goes on with o, which was interrupted.
func (p pastImport) unfinished(of pastImport) bool {
	return !p.Done && p.Source == of.Source && p.Feed == of.Feed && p.File == of.File
}

// allowance is how many additions and changes a source may still bring to the own feeds today, and whether it had its first load.
func (n *Node) allowance(now pastImport) (left int, loaded bool, err error) {
	list, err := n.pastImports()
	if err != nil {
		return 0, false, err
	}
	left = n.config.Load().sourceOf(now.Source).MaxAddsPerDay
	for _, p := range list {
		if p.Source != now.Source || p.unfinished(now) {
			continue
		}
		loaded = loaded || p.Initial
		if p.Time > now.Time-24*3600 && !p.Initial && !p.Approved {
			left -= p.Adds
		}
	}
	return max(left, 0), loaded, nil
}

// heldFiles are the imports that are held, by id.
func (n *Node) heldFiles() ([]string, error) {
	files, err := os.ReadDir(n.dir.imports())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, f := range files {
		if id, ok := heldID(f.Name()); ok {
			ids = append(ids, id)
		}
	}
	return ids, err
}
