package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// parserName is how functions are called that read what others wrote.
var parserName = regexp.MustCompile(`^(Parse|Open|Split|Verify|ReadMirror)[A-Z]?`)

// notParsers are named like parsers and read nothing from outside, or read it through a parser that is named elsewhere.
var notParsers = map[string]string{
	"feed.ReadMirror": "FuzzVerifyMirror goes through it",
	"feed.Verify":     "FuzzVerifyMirror goes through it",
	"feed.OpenChain":  "FuzzParseCharter and FuzzOpenProof go through it",
	"store.Open":      "a directory; FuzzParseHeadFile reads what it believes first",
	"node.Open":       "a directory",
	"notify.Open":     "a directory; FuzzParseQueue reads what it believes",

	"journal.Verify":     "FuzzOpen goes through it",
	"node.VerifyJournal": "a directory",
}

// TestParsersAreFuzzed wants a fuzz target with a committed corpus for each exported function that parses.
func TestParsersAreFuzzed(t *testing.T) {
	root := moduleRoot(t)
	for folder := range layers {
		if folder == "cmd/hashfeed" {
			continue
		}
		dir := filepath.Join(root, folder)
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var parsers []string
		fuzzed := map[string]string{} // what a fuzz target calls -> its name
		for _, name := range names {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				if !strings.HasSuffix(name, "_test.go") {
					if f.Name.IsExported() && parserName.MatchString(f.Name.Name) && takesText(f) {
						parsers = append(parsers, f.Name.Name)
					}
					continue
				}
				if !strings.HasPrefix(f.Name.Name, "Fuzz") {
					continue
				}
				fuzzed[strings.TrimPrefix(f.Name.Name, "Fuzz")] = f.Name.Name
				corpus, err := os.ReadDir(filepath.Join(dir, "testdata", "fuzz", f.Name.Name))
				if err != nil || len(corpus) == 0 {
					t.Errorf("%s: %s has no committed corpus", folder, f.Name.Name)
				}
				ast.Inspect(f, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						fuzzed[id.Name] = f.Name.Name
					}
					return true
				})
			}
		}
		for _, p := range parsers {
			if _, ok := fuzzed[p]; !ok && notParsers[filepath.Base(folder)+"."+p] == "" {
				t.Errorf("%s.%s is called by no fuzz target", filepath.Base(folder), p)
			}
		}
	}
}

// takesText says whether a function's first argument is bytes or text of any kind, or something to read from.
func takesText(f *ast.FuncDecl) bool {
	if f.Type.Params == nil {
		return false
	}
	for _, p := range f.Type.Params.List {
		switch x := p.Type.(type) {
		case *ast.ArrayType:
			if id, ok := x.Elt.(*ast.Ident); ok && id.Name == "byte" && x.Len == nil {
				return true
			}
		case *ast.Ident:
			if x.Name == "string" {
				return true
			}
		case *ast.SelectorExpr:
			if x.Sel.Name == "Reader" || x.Sel.Name == "FS" {
				return true
			}
		}
	}
	return false
}
