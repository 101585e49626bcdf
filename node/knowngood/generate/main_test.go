package main

import (
	"image"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestParsePackages(t *testing.T) {
	got, err := parsePackages("# a comment\n\ndeb wordpress all # the incident's\nnpm @primer/octicons\n")
	want := []pkg{{"deb", "wordpress", true}, {"npm", "@primer/octicons", false}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, text := range []string{"deb", "rpm x", "deb x images", "deb x all more"} {
		if got, err := parsePackages("deb a\n" + text); err == nil || !strings.Contains(err.Error(), "packages.txt:2") {
			t.Errorf("%q: got %v, %v, want an error that names the line", text, got, err)
		}
	}
}

// TestSources: what the list was made of is what packages.txt says, each with a version.
func TestSources(t *testing.T) {
	text, err := os.ReadFile("../packages.txt")
	if err != nil {
		t.Fatal(err)
	}
	packages, err := parsePackages(string(text))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := os.ReadFile("../sources.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, line := range strings.Split(strings.TrimSuffix(string(sources), "\n"), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 4 || f[2] == "" {
			t.Fatalf("source %q", line)
		}
		if f[0] != "made" {
			got = append(got, f[0]+" "+f[1])
		}
	}
	for _, p := range packages {
		want = append(want, p.kind+" "+p.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("sources.tsv has %v, packages.txt %v: make knowngood", got, want)
	}
}

// TestDrawn: the pictures that are drawn are pictures, of one colour and so without a look.
func TestDrawn(t *testing.T) {
	for _, p := range blanksOf([]image.Point{{X: 16, Y: 16}, {X: 100, Y: 100}, {X: 88, Y: 31}}) {
		f, err := hashed(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Hashes) != 5 {
			t.Fatalf("a picture of %d bytes has %d hashes, want 5", len(p), len(f.Hashes))
		}
		for _, h := range f.Hashes[3:] {
			if h.Quality != 0 {
				t.Errorf("a picture of %d bytes has a %s of quality %d", len(p), h.Alg, h.Quality)
			}
		}
	}
}
