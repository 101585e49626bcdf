package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers says who may import whom: folder -> the folders of this module that its files may import. What isn't a
// row may not exist. docs/design names the reason for each arrow; imports only ever go down.
var layers = map[string][]string{
	"crypto":           {},
	"feed":             {"crypto"},
	"feed/store":       {"crypto", "feed"},
	"feed/hashlist":    {"crypto", "feed"},
	"node/digest/pdq":  {},
	"node/digest/jpeg": {},
	"node/digest":      {"node/digest/pdq", "node/digest/jpeg"},
	"node/match":       {"feed", "crypto"},
	"node/policy":      {"node/match", "feed", "crypto"},
	"node/gossip":      {"feed", "crypto"},
	"node/knowngood":   {"feed"},
	"node/journal":     {"node/policy", "feed", "crypto"},
	"node/api":         {"node/journal", "node/policy", "feed", "crypto"},
	"node/notify":      {},
	"node": {"node/api", "node/journal", "node/policy", "node/match", "node/digest", "node/digest/pdq", "node/gossip", "node/knowngood", "node/notify",
		"feed/store", "feed/hashlist", "feed", "crypto"},
	"node/knowngood/generate": {"node/knowngood", "node/digest", "feed"},
	"cmd/hashfeed":            {"node", "node/api", "node/journal", "node/policy", "node/digest", "node/digest/pdq", "feed/hashlist", "feed", "crypto"},
}

// heavy are modules that somebody who only verifies feeds must not have to build.
var heavy = []string{"net/http", "github.com/libp2p/", "github.com/dgraph-io/", "github.com/prometheus/"}

// TestLayers reads the import lines of every file, not `go list`: the test cache doesn't see an import that
// `go list` would tell.
func TestLayers(t *testing.T) {
	root := moduleRoot(t)
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != root && (strings.HasPrefix(n, ".") || n == "testdata" || n == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(rel))
		allowed, listed := layers[folder]
		if !listed {
			t.Errorf("%s: folder %s is not in the package map", rel, folder)
			return nil
		}
		seen[folder] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			own, inside := strings.CutPrefix(imported, "hashfeed/")
			if inside && own != folder && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s: %s may import only %v", rel, imported, folder, allowed)
			}
			if strings.HasSuffix(path, "_test.go") || folder != "feed" && folder != "crypto" {
				continue
			}
			for _, h := range heavy {
				if strings.HasPrefix(imported, h) {
					t.Errorf("%s imports %s: who only verifies feeds must not need it", rel, imported)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder := range layers {
		if !seen[folder] {
			t.Errorf("folder %s is in the package map and doesn't exist", folder)
		}
	}
}

// TestPackageDocs wants of every package the sentence that says what it is.
func TestPackageDocs(t *testing.T) {
	root := moduleRoot(t)
	for folder := range layers {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(folder)
		want := "Package " + name + " "
		if folder == "cmd/hashfeed" || folder == "node/knowngood/generate" {
			want = "Command " + name + " "
		}
		found := 0
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil && strings.HasPrefix(file.Doc.Text(), want) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s: %d files have a package comment beginning %q, want 1", folder, found, want)
		}
	}
}

// moduleRoot is the folder of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = up
	}
}
