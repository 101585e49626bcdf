package api

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// fakeSource is a feed whose signed notes are real and whose parts say what they are; what a mirror is worth is tested with package feed.
type fakeSource struct {
	chain  *feed.Chain
	head   feed.Checkpoint
	seen   map[uint64]feed.Checkpoint
	erased string // path of a bundle of bodies that isn't there
	fails  string // path of a part that can't be read
}

func (f *fakeSource) Chain(n feed.Name) (*feed.Chain, bool)      { return f.chain, n == f.chain.Feed() }
func (f *fakeSource) Suspensions(feed.Name) []feed.Suspension    { return nil }
func (f *fakeSource) Head(o feed.Origin) (feed.Checkpoint, bool) { return f.head, o == f.head.Origin }
func (f *fakeSource) SeenSizes(feed.Origin) []uint64             { return []uint64{0, 600, 1000} }
func (f *fakeSource) Seen(_ feed.Origin, n uint64) (feed.Checkpoint, bool) {
	c, ok := f.seen[n]
	return c, ok
}
func (f *fakeSource) Part(o feed.Origin, path string, size uint64) ([]byte, error) {
	switch path {
	case f.erased:
		return nil, fs.ErrNotExist
	case f.fails:
		return nil, errors.New("damaged")
	}
	return fmt.Appendf(nil, "%s of %s", path, o), nil
}

// newFakeSource signs a feed of 600 records.
func newFakeSource(t *testing.T, name feed.Name) *fakeSource {
	t.Helper()
	key := func(name string, kind crypto.Type) *crypto.PrivateKey {
		k, err := crypto.GenerateKey(name, kind)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	origin := string(name.Log(1))
	root, signer, stamp := key(string(name)+"/root", crypto.TypeSignature), key(origin, crypto.TypeSignature), key(origin, crypto.TypeCosignature)
	charter := feed.Charter{
		Feed: name, Version: 1, Expires: 1_900_000_000, Harm: feed.CSAM, Use: feed.UseMatch, Audience: []string{"hosts"}, Contact: "none",
		Answer: feed.Term{N: 2, Unit: 'd'}, SoftAge: feed.Term{N: 6, Unit: 'h'}, HardAge: feed.Term{N: 72, Unit: 'h'}, Log: 1,
		Root: feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{root.Public()}}, Signer: feed.KeyGroup{K: 1, Keys: []crypto.PublicKey{signer.Public()}}, Stamp: stamp.Public(),
	}
	note, err := feed.SignCharter(charter, root)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := feed.OpenChain(charter.Anchor(), [][]byte{note})
	if err != nil {
		t.Fatal(err)
	}
	signing := feed.Signing{Chain: chain, Signers: []crypto.Signer{signer}, Stamp: stamp}
	opening, err := feed.Sign(signing, feed.Tree{}, feed.Checkpoint{}, nil, 1_800_000_000)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := opening.Checkpoint()
	records := make([]feed.Record, 600)
	for i := range records {
		head := feed.Head{Op: feed.OpEndorse, Time: 1_800_000_000, Subject: feed.Subject{Origin: "b.example/known/1", Index: uint64(i)}}
		if records[i].Head, err = head.Bytes(); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := feed.Sign(signing, opening.After(), first, records, 1_800_000_060)
	if err != nil {
		t.Fatal(err)
	}
	head, _ := batch.Checkpoint()
	return &fakeSource{chain: chain, head: head, seen: map[uint64]feed.Checkpoint{0: first, 600: head}}
}

// files returns what is in a folder: content by path, "/" for folders.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || d.IsDir() {
			all[rel] = "/"
			return err
		}
		data, err := os.ReadFile(path)
		all[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func unpackFrom(t *testing.T, src *fakeSource, dir string) error {
	t.Helper()
	var b bytes.Buffer
	if err := PackMirror(t.Context(), &b, src.chain.Feed(), src); err != nil {
		t.Fatal(err)
	}
	return UnpackMirror(&b, dir)
}

// TestMirror: what comes through the stream is what feed.WriteMirror writes, the second time too.
func TestMirror(t *testing.T) {
	src := newFakeSource(t, "a.example/known")
	direct, streamed := filepath.Join(t.TempDir(), "m"), filepath.Join(t.TempDir(), "m")
	for _, erased := range []string{"", "", feed.BodyPath(1, feed.TileWidth)} {
		src.erased = erased
		if err := feed.WriteMirror(direct, "a.example/known", src); err != nil {
			t.Fatal(err)
		}
		if err := unpackFrom(t, src, streamed); err != nil {
			t.Fatal(err)
		}
		got, want := files(t, streamed), files(t, direct)
		if !maps.Equal(got, want) {
			t.Errorf("erased %q: got  %v\nwant %v", erased, got, want)
		}
		if _, ok := got[filepath.Join("1", feed.BodyPath(1, feed.TileWidth))]; ok == (erased != "") {
			t.Errorf("erased %q: there is the body: %v", erased, ok)
		}
	}
	if len(files(t, streamed)) < 15 {
		t.Errorf("got %v, want tiles, bundles, bodies and notes", files(t, streamed))
	}

	// Another feed doesn't go into this folder, and leaves it as it is.
	before := files(t, streamed)
	if err := unpackFrom(t, newFakeSource(t, "a.example/known"), streamed); err == nil || !strings.Contains(err.Error(), "another feed's") {
		t.Errorf("another feed: got %v", err)
	}
	if !maps.Equal(files(t, streamed), before) {
		t.Error("another feed has changed the folder")
	}
	// Nor another generation.
	tile := filepath.Join(streamed, "1", "tile", "0", "000")
	if err := os.WriteFile(tile, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unpackFrom(t, src, streamed); err == nil || !strings.Contains(err.Error(), "generation") {
		t.Errorf("another generation: got %v", err)
	}

	src.fails = "tile/0/001"
	if err := PackMirror(t.Context(), new(bytes.Buffer), "a.example/known", src); err == nil {
		t.Error("a part that can't be read: got no error")
	}
	if err := PackMirror(t.Context(), new(bytes.Buffer), "x.example/known", src); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such feed: got %v", err)
	}
}

// TestUnpackMirrorRefuses: a stream writes nothing but a mirror's files, and a broken one removes nothing.
func TestUnpackMirrorRefuses(t *testing.T) {
	for _, h := range []tar.Header{
		{Name: "../x"}, {Name: "/etc/x"}, {Name: "1/../../x"}, {Name: "x"}, {Name: "1/tile/0/000/../../../x"}, {Name: "0/checkpoint"}, {Name: "charter/01"},
		{Name: "1/checkpoint", Typeflag: tar.TypeSymlink, Linkname: "/etc/x"}, {Name: "1/checkpoint", Typeflag: tar.TypeLink, Linkname: "x"},
		{Name: "1/checkpoint", Size: maxMirrorFile + 1}, {Name: "1/", Typeflag: tar.TypeDir}, {Name: "../1/body/", Typeflag: tar.TypeDir},
		{Name: "1/body/000.p/256/x"}, {Name: "keys/node"}, {}, // nothing at all
	} {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Mode = 0o644
		var b bytes.Buffer
		out := tar.NewWriter(&b)
		if h.Name != "" {
			if err := out.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			out.Write(make([]byte, h.Size))
		}
		out.Close()
		dir := t.TempDir()
		if err := UnpackMirror(&b, dir); err == nil {
			t.Errorf("%s: got no error", h.Name)
		}
		if got := files(t, dir); len(got) != 1 {
			t.Errorf("%s: got %v, want nothing", h.Name, got)
		}
	}

	src := newFakeSource(t, "a.example/known")
	dir := t.TempDir()
	if err := unpackFrom(t, src, dir); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	var b bytes.Buffer
	if err := PackMirror(t.Context(), &b, "a.example/known", src); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < b.Len()-3000; n += 512 { // also between two files
		if err := UnpackMirror(bytes.NewReader(b.Bytes()[:n]), dir); err == nil {
			t.Errorf("%d of %d bytes: got no error", n, b.Len())
		}
		if !maps.Equal(files(t, dir), before) {
			t.Errorf("%d of %d bytes: files are gone", n, b.Len())
		}
	}
}
