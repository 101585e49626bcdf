package api

import (
	"context"
	"io"
)

func (f *fakeNode) Import(_ context.Context, r Import, list io.Reader, tell func(ImportProgress)) (Imported, error) {
	text, err := io.ReadAll(list)
	if err != nil {
		return Imported{}, err
	}
	if f.told {
		tell(ImportProgress{Stage: ImportTakes, Rows: 1, Of: 2})
	}
	return Imported{Source: r.Source, Added: 1}, f.note("Import", asJSON(r), string(text))
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
