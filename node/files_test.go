package node

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A storedFile is a file of a node's directory. Behind data there are holes up to size.
type storedFile struct {
	path string // below DIR
	data []byte
	size int64
}

// storedFiles are a node's directory, in order of their paths.
type storedFiles []storedFile

// readFiles reads a directory, as a crash would leave it if it is in use: what Badger has acknowledged is in its mapped files.
func readFiles(dir string) (all storedFiles, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all = append(all, storedFile{rel, bytes.Clone(bytes.TrimRight(data, "\x00")), int64(len(data))})
		return nil
	})
	return all, err
}

// write makes the directory.
func (all storedFiles) write(dir string) error {
	for _, f := range all {
		path := filepath.Join(dir, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(path, f.size); err != nil {
			return err
		}
	}
	return nil
}

// harmed returns them with one byte changed, or, if mask is 0, with one file cut off.
func (all storedFiles) harmed(h harm) storedFiles {
	all = slices.Clone(all)
	f := &all[slices.IndexFunc(all, func(f storedFile) bool { return f.path == h.Path })]
	if h.Mask == 0 {
		f.data, f.size = f.data[:h.At], int64(h.At)
		return all
	}
	f.data = bytes.Clone(f.data)
	f.data[h.At] ^= h.Mask
	return all
}

// kindOf says in words what a file of a node is.
func kindOf(name string) string {
	dir, base := path.Split(filepath.ToSlash(name))
	switch {
	case dir == "index/" && base == "snapshot":
		return "snapshot of the tables"
	case dir == "index/":
		return "copy of the config"
	case base == "hashfeed.toml":
		return "config"
	case base == "tokens", base == "members":
		return "tokens and members"
	case strings.HasPrefix(dir, "keys/"):
		return "keys"
	case dir == "heads/" && base == "manifest":
		return "length of the MANIFEST"
	case dir == "heads/" && base == "writes":
		return "number of the newest write"
	case dir == "heads/":
		return "head files"
	case dir == "journal/" && base == "head":
		return "head of the journal"
	case dir == "journal/":
		return "journal"
	case dir == "evidence/":
		return "evidence"
	case strings.HasPrefix(dir, "charters/"):
		what, _, _ := strings.Cut(base, "-")
		return what + "s"
	case dir == "store/":
		switch ext := path.Ext(base); ext {
		case ".sst":
			return "Badger's tables (.sst)"
		case ".mem":
			return "Badger's write-ahead log (.mem)"
		case ".vlog":
			return "Badger's value log (.vlog)"
		}
		return "Badger's " + base
	}
	return "other: " + name
}
