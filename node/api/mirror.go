package api

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
)

// A feed as plain files (WIRE §10) crosses the socket as a tar stream, so that the daemon, which has the store, needs no access to the folder that
// the command writes. The order is feed.WriteMirror's, whoever reads an older file finds everything that it promises, but for the anchor's charter, which
// comes first: it never changes, and tells at once whether the folder is another feed's.

// PackMirror writes the files of a feed that src holds.
func PackMirror(ctx context.Context, w io.Writer, name feed.Name, src feed.MirrorSource) error {
	p := mirrorPacker{ctx: ctx, out: tar.NewWriter(w), src: src}
	if err := p.feed(name); err != nil {
		return fmt.Errorf("pack mirror of %s: %w", name, err)
	}
	// Tar can't tell a stream that was cut off between two files from a whole one; and what a whole one doesn't have is removed. Other
	// readers of tar pass over a global header.
	if err := p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": mirrorEnd}}); err != nil {
		return fmt.Errorf("pack mirror of %s: %w", name, err)
	}
	if err := p.out.Close(); err != nil {
		return fmt.Errorf("pack mirror of %s: %w", name, err)
	}
	return nil
}

// PackMirrorInto writes the files of a feed into a larger archive, below a folder.
func PackMirrorInto(ctx context.Context, out *tar.Writer, folder string, name feed.Name, src feed.MirrorSource) error {
	p := mirrorPacker{ctx: ctx, out: out, src: src, folder: folder}
	if err := p.feed(name); err != nil {
		return fmt.Errorf("pack mirror of %s: %w", name, err)
	}
	return nil
}

type mirrorPacker struct {
	ctx    context.Context
	out    *tar.Writer
	src    feed.MirrorSource
	folder string // before each path
}

func (p mirrorPacker) feed(name feed.Name) error {
	chain, ok := p.src.Chain(name)
	if !ok {
		return fs.ErrNotExist
	}
	notes := chain.Notes()
	charter := func(i int) string { return "charter/" + strconv.Itoa(chain.First().Version+i) }
	if err := p.file(charter(0), notes[0]); err != nil {
		return err
	}
	for log := 1; log <= chain.Newest().Log; log++ {
		if err := p.log(chain, log); err != nil {
			return fmt.Errorf("log %d: %w", log, err)
		}
	}
	for _, s := range p.src.Suspensions(name) {
		if err := p.file("suspension/"+feed.Anchor(s.Sum).String(), s.Bytes()); err != nil {
			return err
		}
	}
	for i := 1; i < len(notes); i++ {
		if err := p.file(charter(i), notes[i]); err != nil {
			return err
		}
	}
	return nil
}

const mirrorEnd = "end of hashfeed mirror"

func (p mirrorPacker) log(chain *feed.Chain, log int) error {
	dir := strconv.Itoa(log) + "/"
	_, named := chain.ForLog(log)
	head, ok := p.src.Head(chain.Feed().Log(log))
	if !named {
		head, ok = chain.ClosedHead(log)
	}
	if cut, closed := chain.Cut(log); !ok || closed && head.Size < cut.Size {
		return errors.New("it isn't complete here")
	}
	for _, sub := range []string{"tile/entries/", "body/"} {
		if err := p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: p.folder + dir + sub, Mode: 0o700}); err != nil {
			return err
		}
	}
	for level, have := 0, head.Size; have > 0; level, have = level+1, have/feed.TileWidth {
		for n := range feed.Bundles(have) {
			width := int(min(have-n*feed.TileWidth, feed.TileWidth))
			if level == 0 {
				if err := p.part(head, dir, feed.Part{Kind: feed.PartEntries, N: n, Width: width}); err != nil {
					return err
				}
				if err := p.part(head, dir, feed.Part{Kind: feed.PartBody, N: n, Width: width}); err != nil {
					return err
				}
			}
			if err := p.part(head, dir, feed.Part{Kind: feed.PartTile, Level: level, N: n, Width: width}); err != nil {
				return err
			}
		}
	}
	if !named {
		return nil
	}
	if err := p.file(dir+"checkpoint", head.Bytes()); err != nil {
		return err
	}
	for _, size := range p.src.SeenSizes(head.Origin) {
		seen, ok := p.src.Seen(head.Origin, size)
		if !ok || size > head.Size { // grown since
			continue
		}
		if err := p.file(dir+"seen/"+strconv.FormatUint(size, 10), seen.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (p mirrorPacker) part(head feed.Checkpoint, dir string, part feed.Part) error {
	data, err := p.src.Part(head.Origin, part.Path(), head.Size)
	if part.Kind == feed.PartBody && errors.Is(err, fs.ErrNotExist) {
		return nil // absent bodies
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", part.Path(), err)
	}
	return p.file(dir+part.Path(), data)
}

func (p mirrorPacker) file(path string, data []byte) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if err := p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: p.folder + path, Mode: 0o600, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := p.out.Write(data)
	return err
}

// UnpackMirror writes the files of a stream that PackMirror made into dir, each at once and complete. dir must be empty or hold this feed, of the
// same generation: a file that can't have changed and has is an error. Bodies that are there and not in the stream were erased, and are removed.
func UnpackMirror(r io.Reader, dir string) error {
	u := mirrorUnpacker{dir: dir, got: map[string]bool{}}
	if err := u.read(tar.NewReader(r)); err != nil {
		return fmt.Errorf("unpack mirror to %s: %w", dir, err)
	}
	return nil
}

type mirrorUnpacker struct {
	dir  string
	got  map[string]bool // bodies
	logs []string        // folders of bodies
}

// mirrorPath is every path that a mirror can hold. Whatever else a stream holds, it writes nowhere.
var mirrorPath = regexp.MustCompile(`^(?:charter/[1-9][0-9]{0,3}|suspension/[0-9a-f]{64}|[1-9][0-9]{0,3}/(?:checkpoint|seen/(?:0|[1-9][0-9]{0,12})|` +
	`(?:tile/(?:[0-9]|entries)|body)/(?:x[0-9]{3}/){0,5}[0-9]{3}(?:\.p/[1-9][0-9]{0,2})?))$`)

func (u *mirrorUnpacker) read(in *tar.Reader) error {
	for n := 0; ; n++ {
		h, err := in.Next()
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeXGlobalHeader && h.PAXRecords["comment"] == mirrorEnd {
			if _, err := in.Next(); err != io.EOF {
				return fmt.Errorf("after its end: %w", cmp.Or(err, errors.New("another file")))
			}
			return u.forget()
		}
		if h.Typeflag == tar.TypeDir {
			if err := u.folder(h.Name); err != nil {
				return err
			}
			continue
		}
		switch {
		case n >= maxMirrorFiles:
			return fmt.Errorf("more than %d files", maxMirrorFiles)
		case h.Typeflag != tar.TypeReg || len(h.Name) > maxMirrorPath || !mirrorPath.MatchString(h.Name):
			return fmt.Errorf("%.200q is no file of a mirror", h.Name)
		case h.Size > maxMirrorFile:
			return fmt.Errorf("%s is larger than %d bytes", h.Name, maxMirrorFile)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		if err := u.file(h.Name, data); err != nil {
			return err
		}
	}
}

var mirrorFolder = regexp.MustCompile(`^[1-9][0-9]{0,3}/(?:tile/entries|body)/$`)

// folder makes a folder that must be there even if nothing is in it.
func (u *mirrorUnpacker) folder(name string) error {
	if !mirrorFolder.MatchString(name) {
		return fmt.Errorf("%.200q is no folder of a mirror", name)
	}
	path := filepath.Join(u.dir, filepath.FromSlash(name))
	if strings.HasSuffix(name, "/body/") {
		u.logs = append(u.logs, path)
	}
	return os.MkdirAll(path, 0o700)
}

func (u *mirrorUnpacker) file(name string, data []byte) error {
	path := filepath.Join(u.dir, filepath.FromSlash(name))
	old, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(old, data):
	case err == nil && strings.HasPrefix(name, "charter/") && !sameText(old, data):
		return fmt.Errorf("%s is another feed's", name)
	case err == nil && strings.Contains(name, "/tile/"):
		return fmt.Errorf("%s is there with another content: a new generation is written into an empty folder", name)
	default:
		parent := filepath.Dir(path)
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return err
		}
		if err := renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(parent), renameio.WithStaticPermissions(0o600)); err != nil {
			return err
		}
	}
	if strings.Contains(name, "/body/") {
		u.got[path] = true
	}
	return nil
}

// sameText tells whether two notes differ in their signatures at most.
func sameText(a, b []byte) bool {
	x, errX := crypto.ParseNote(a)
	y, errY := crypto.ParseNote(b)
	return errX == nil && errY == nil && bytes.Equal(x.Text, y.Text)
}

// forget removes bodies that the stream, which is complete, didn't have: they were erased, or a wider bundle has them.
func (u *mirrorUnpacker) forget() error {
	for _, dir := range u.logs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || u.got[path] {
				return err
			}
			return os.Remove(path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
