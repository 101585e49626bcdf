package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func init() {
	form := "--b\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name=\"list\"\r\n\r\nid,md5\r\n--b--\r\n"
	for name, s := range map[string]struct{ path, contentType, body string }{
		"POST /v1/imports":              {"/v1/imports", "multipart/form-data; boundary=b", form},
		"GET /v1/imports":               {"/v1/imports", "", ""},
		"POST /v1/imports/{id}/release": {"/v1/imports/abc/release?dry_run=true", "", ""},
		"DELETE /v1/imports/{id}":       {"/v1/imports/abc", "", ""},
		"GET /v1/export":                {"/v1/export?feed=known&format=csv", "", ""},
	} {
		samples[name] = s
	}
}

func (f *fakeNode) Import(_ context.Context, r Import, list io.Reader, tell func(ImportProgress)) (Imported, error) {
	text, err := io.ReadAll(list)
	if err != nil {
		return Imported{}, err
	}
	if f.told {
		tell(ImportProgress{Stage: ImportTakes, Rows: 1, Of: 2})
	}
	return Imported{Source: r.Source, Added: 1}, f.note("Import", asJSON(r), len(text))
}

func (f *fakeNode) HeldImports(context.Context) ([]HeldImport, error) {
	return []HeldImport{{ID: "abc"}}, f.note("HeldImports")
}

func (f *fakeNode) ReleaseImport(_ context.Context, id string, dryRun bool, tell func(ImportProgress)) (Imported, error) {
	return Imported{Added: 2}, f.note("ReleaseImport", id, dryRun)
}

func (f *fakeNode) DropImport(_ context.Context, id string) error { return f.note("DropImport", id) }

func (f *fakeNode) Export(_ context.Context, r Export, w io.Writer) error {
	if err := f.note("Export", r.Feed, r.Format); err != nil {
		return err
	}
	_, err := io.WriteString(w, "id,md5\r\n")
	return err
}

// tryLists asks a client for the verbs of lists.
func tryLists(t *testing.T, c *Client, f *fakeNode, did func(string)) {
	t.Helper()
	ctx := context.Background()
	list := strings.Repeat("a,b\n", 100_000)
	for _, f.told = range []bool{false, true} {
		var progress []ImportProgress
		done, err := c.Import(ctx, Import{Format: "csv", Source: "s", Map: "code"}, strings.NewReader(list), func(p ImportProgress) { progress = append(progress, p) })
		if err != nil || done.Source != "s" || done.Added != 1 || f.told != (len(progress) == 1) {
			t.Errorf("import: got %+v %v, progress %v", done, err, progress)
		}
		did("Import " + asJSON(Import{Format: "csv", Source: "s", Map: "code"}) + " 400000")
		// The error comes as the answer, or as its last line where it has begun.
		f.err = &Error{Status: 422, Code: CodeIncomplete, Text: "line 2: no"}
		_, err = c.Import(ctx, Import{}, strings.NewReader(""), nil)
		var e *Error
		if !errors.As(err, &e) || e.Status != 422 || e.Code != CodeIncomplete || e.Text != "line 2: no" {
			t.Errorf("told %v: got %v, want the node's error", f.told, err)
		}
		f.err = nil
		did("Import " + asJSON(Import{}) + " 0")
	}
	f.told = false
	if _, err := c.Import(ctx, Import{}, iotestErr{}, nil); err == nil {
		t.Error("a list that can't be read is imported")
	}
	if len(f.asked) > 0 {
		t.Errorf("a list that broke off came to the node: %v", f.asked)
	}
	held, err := c.HeldImports(ctx)
	if err != nil || len(held) != 1 || held[0].ID != "abc" {
		t.Errorf("got %v %v", held, err)
	}
	did("HeldImports")
	if done, err := c.ReleaseImport(ctx, "abc", true, nil); err != nil || done.Added != 2 {
		t.Errorf("got %v %v", done, err)
	}
	did("ReleaseImport abc true")
	if err := c.DropImport(ctx, "abc"); err != nil {
		t.Error(err)
	}
	did("DropImport abc")
	var b bytes.Buffer
	if err := c.Export(ctx, Export{Feed: "known", Format: "csv"}, &b); err != nil || b.String() != "id,md5\r\n" {
		t.Errorf("got %q %v", b.String(), err)
	}
	did("Export known csv")
}

// iotestErr is a list that breaks off.
type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, errors.New("broken off") }
