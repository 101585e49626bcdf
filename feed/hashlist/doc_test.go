package hashlist

import (
	"os"
	"strings"
	"testing"
)

// TestDocumented: docs/import.md names each column, and the template is a list that can be read.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Formats {
		if !strings.Contains(string(text), "`"+f.Name+"`") {
			t.Errorf("format %s is not documented", f.Name)
		}
		for _, c := range append(f.Columns, mapColumns...) {
			if !strings.Contains(string(text), "`"+c.Name+"`") {
				t.Errorf("column %s of %s is not documented", c.Name, f.Name)
			}
		}
	}
	list, err := os.Open("../../docs/import-template.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	if rows, wrong, err := readAll("csv", list); err != nil || len(rows)+len(wrong) > 0 {
		t.Errorf("the template: got %v %v %v, want no row", rows, wrong, err)
	}
	_, example, _ := strings.Cut(string(text), "code;verdict")
	example, _, _ = strings.Cut(example, "```")
	if m, err := ParseMapping(strings.NewReader("code;verdict" + example)); err != nil || len(m) != 3 {
		t.Errorf("the map of docs/import.md: got %v %v", m, err)
	}
}
