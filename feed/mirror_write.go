package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
)

// A MirrorSource is what WriteMirror reads a feed from: a store. Parts are those of the tree of the given size, byte for byte, and
// fs.ErrNotExist says that there is no bundle of bodies. Nothing is asked for that the source hasn't named: Part only up to Head's size, or up
// to the cut of a log that was closed before the anchor.
type MirrorSource interface {
	Chain(Name) (*Chain, bool)
	Suspensions(Name) []Suspension
	Head(Origin) (Checkpoint, bool)
	SeenSizes(Origin) []uint64
	Seen(Origin, uint64) (Checkpoint, bool)
	Part(origin Origin, path string, size uint64) ([]byte, error)
}

// WriteMirror writes a feed as plain files into dir, which it makes if need be (the form: [Mirror]). What is there already is left alone where
// it is the same, so a second run adds what is new, and a broken-off one goes on. Each file appears at once, complete (written beside, synced,
// renamed), and in such an order that the folder is a valid feed at every moment, an older or the newer one. Bodies erased since
// are erased here too. dir must be empty or hold this feed, of the same generation: a file that can't have changed and has is an error.
//
// The folder holds every hash of the feed: it is made for this user alone (0700, files 0600). Who publishes it without the body folders
// discloses none.
func WriteMirror(dir string, feed Name, src MirrorSource) error {
	w := mirrorWriter{dir: dir, src: src}
	if err := w.feed(feed); err != nil {
		return fmt.Errorf("write mirror of %s to %s: %w", feed, dir, err)
	}
	return nil
}

type mirrorWriter struct {
	dir string
	src MirrorSource
}

// feed writes in this order: bundles and bodies, tiles, checkpoint, seen, suspensions, charters. Whoever reads an older file finds everything
// that it promises.
func (w mirrorWriter) feed(feed Name) error {
	chain, ok := w.src.Chain(feed)
	if !ok {
		return errors.New("there is no such feed")
	}
	notes := chain.Notes()
	for i, note := range notes {
		old, err := os.ReadFile(filepath.Join(w.dir, charterPath(chain, i)))
		if err == nil && noteSum(old) != noteSum(note) {
			return fmt.Errorf("%s is another feed's", charterPath(chain, i))
		}
	}
	for log := 1; log <= chain.Newest().Log; log++ {
		if err := w.log(chain, log); err != nil {
			return fmt.Errorf("log %d: %w", log, err)
		}
	}
	for _, s := range w.src.Suspensions(feed) {
		if err := w.file("suspension/"+Anchor(s.Sum).String(), s.Bytes()); err != nil {
			return err
		}
	}
	for i, note := range notes {
		if err := w.file(charterPath(chain, i), note); err != nil {
			return err
		}
	}
	return nil
}

func charterPath(chain *Chain, i int) string {
	return "charter/" + strconv.Itoa(chain.First().Version+i)
}

func (w mirrorWriter) log(chain *Chain, log int) error {
	dir := strconv.Itoa(log) + "/"
	_, named := chain.ForLog(log)
	head, ok := w.src.Head(chain.Feed().Log(log))
	if !named {
		if head, ok = chain.ClosedHead(log); !ok {
			return errors.New("the charters don't name it")
		}
	}
	cut, closed := chain.Cut(log)
	if !ok || closed && head.Size < cut.Size {
		return errors.New("it isn't complete here")
	}
	// Where there are folders, a reader looks for what is in them; without, for nothing.
	for _, sub := range []string{"tile/entries", "body"} {
		if err := os.MkdirAll(filepath.Join(w.dir, dir+sub), 0o700); err != nil {
			return err
		}
	}
	// Who follows the feed from a later anchor reads a closed log up to its cut, and finds no wider part than of that size.
	if closed && 0 < cut.Size && cut.Size < head.Size {
		if err := w.parts(head.Origin, dir, cut.Size, Bundles(cut.Size)-1); err != nil {
			return err
		}
	}
	if err := w.parts(head.Origin, dir, head.Size, 0); err != nil {
		return err
	}
	if !named {
		return nil
	}
	if err := w.file(dir+"checkpoint", head.Bytes()); err != nil {
		return err
	}
	for _, size := range w.src.SeenSizes(head.Origin) {
		seen, ok := w.src.Seen(head.Origin, size)
		if !ok || size > head.Size { // grown since
			continue
		}
		if err := w.file(dir+"seen/"+strconv.FormatUint(size, 10), seen.Bytes()); err != nil {
			return err
		}
	}
	return w.forget(dir, head.Size, cut.Size)
}

// parts writes the bundles, from a number on, and the tiles over them, of the tree of size.
func (w mirrorWriter) parts(origin Origin, dir string, size, from uint64) error {
	for n := from; n < Bundles(size); n++ {
		width := partWidth(size, 0, n)
		for _, kind := range []PartKind{PartEntries, PartBody} {
			if err := w.part(origin, dir, size, Part{kind, 0, n, width}); err != nil {
				return err
			}
		}
	}
	for level := range maxLevels {
		for n := from >> (tileBits * level); n < Bundles(size>>(tileBits*level)); n++ {
			if err := w.part(origin, dir, size, Part{PartTile, level, n, partWidth(size, level, n)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// part writes a part of the tree of size as the source has it.
func (w mirrorWriter) part(origin Origin, dir string, size uint64, p Part) error {
	data, err := w.src.Part(origin, p.Path(), size)
	if p.Kind == PartBody && errors.Is(err, fs.ErrNotExist) {
		err := os.Remove(filepath.Join(w.dir, dir+p.Path()))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", p.Path(), err)
	}
	if p.Kind != PartBody { // bodies can be erased; nothing else of a log ever changes
		old, err := os.ReadFile(filepath.Join(w.dir, dir+p.Path()))
		if err == nil && !bytes.Equal(old, data) {
			return fmt.Errorf("%s%s is there with another content: a new generation is written into an empty folder", dir, p.Path())
		}
	}
	return w.file(dir+p.Path(), data)
}

// forget removes the narrower copies of bundles of bodies that earlier runs have left, but for that of the cut: they may hold what has been
// erased since.
func (w mirrorWriter) forget(dir string, size, cut uint64) error {
	for n := range Bundles(size) {
		partials, _ := strings.CutSuffix(filepath.Join(w.dir, dir+BodyPath(n, 1)), "1")
		names, err := os.ReadDir(partials)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if width := name.Name(); width != strconv.Itoa(partWidth(size, 0, n)) && width != strconv.Itoa(partWidth(cut, 0, n)) {
				if err := os.Remove(filepath.Join(partials, name.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// file writes a file, unless it is there with this content.
func (w mirrorWriter) file(path string, data []byte) error {
	path = filepath.Join(w.dir, filepath.FromSlash(path))
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600))
}
