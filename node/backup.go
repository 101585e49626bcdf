package node

import (
	"archive/tar"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/node/api"
)

// A backup is a tar archive in a sealed stream (crypto.SealWriter):
//
//	node.json                     what it is a backup of: see backupHead
//	feeds/<pub>_<feed>/…          each feed as plain files (WIRE §10), bodies included, up to one of its checkpoints, and beside them
//	feeds/<pub>_<feed>/roster     the newest
//	feeds/<pub>_<feed>/<log>/receipts   "<size> <cosignature line>" a line: what members have stored
//	feeds/<pub>_<feed>/<log>/cosigned   "<size> <root in hex> <unix>": what this node has cosigned last
//	feeds/<pub>_<feed>/<log>/erased     an index a line: bodies that were erased here
//	files/…                       all other files under DIR: config, keys, tokens, evidence, the journal
//
// The database itself isn't copied: Badger's own backup may see a part of a transaction. What is written is read as any reader reads it, so that it
// is consistent feed by feed, and is verified when it is restored as if a stranger had sent it. The store's part comes through the
// node's door, from the daemon if there is one; the other files, among them the keys, never cross a door: they are read from DIR.

// backupHead is node.json.
type backupHead struct {
	Format  int            `json:"format"` // 1
	Name    string         `json:"name"`
	Version string         `json:"version"` // of the program
	Time    string         `json:"time"`
	Feeds   []backupFeed   `json:"feeds"`    // in the order in which they came here
	LeftOut []backupAbsent `json:"left_out"` // followed feeds that come again from peers
}

type backupFeed struct {
	Feed   string `json:"feed"`
	Anchor string `json:"anchor"`
}

type backupAbsent struct {
	Feed string `json:"feed"`
	Why  string `json:"why"`
}

const (
	backupFormat = 1
	backupEnd    = "end of hashfeed backup"
	filesPrefix  = "files/"
	feedsPrefix  = "feeds/"
	// backupCursor is where the store keeps when it was read out last.
	backupCursor = "backup"
)

func feedFolder(name feed.Name) string {
	return feedsPrefix + strings.ReplaceAll(string(name), "/", "_") + "/"
}

// Backup writes what the store holds, as a tar archive that ends with a mark, so that one that was cut off isn't taken for all.
func (n *Node) Backup(ctx context.Context, w io.Writer) error {
	n.journal.Flush() // its files are copied as they are, after this
	out := tar.NewWriter(w)
	head := backupHead{Format: backupFormat, Name: n.config.Load().Name, Version: Version, Time: timeText(n.unix()), Feeds: []backupFeed{}, LeftOut: []backupAbsent{}}
	var names []feed.Name
	for _, name := range n.store.Feeds() {
		chain, ok := n.store.Chain(name)
		err := n.whole(name)
		if err == nil && ok {
			head.Feeds = append(head.Feeds, backupFeed{string(name), chain.Anchor().String()})
			names = append(names, name)
			continue
		}
		if n.keys.owns(name) {
			return &api.Error{Status: 500, Code: api.CodeDamaged, Text: fmt.Sprintf("back up %s: %v", name, err), Hint: remedyRepair}
		}
		head.LeftOut = append(head.LeftOut, backupAbsent{string(name), err.Error()})
	}
	text, err := json.MarshalIndent(head, "", "\t")
	if err != nil {
		return err
	}
	if err := tarFile(out, "node.json", append(text, '\n')); err != nil {
		return err
	}
	for _, name := range names {
		if err := n.backupFeed(ctx, out, name); err != nil {
			return fmt.Errorf("back up %s: %w", name, err)
		}
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": backupEnd}}); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	if err := n.store.PutCursor(backupCursor, []byte(strconv.FormatInt(n.unix(), 10))); err != nil {
		n.log.Warn("note down that a backup was made", "err", err)
	}
	return nil
}

// whole is why a feed can't be backed up, nil if it can: it is damaged, or not all of a closed log, or no head, has come yet.
func (n *Node) whole(name feed.Name) error {
	if d := n.store.Damage(name); d != nil {
		return d
	}
	chain, ok := n.store.Chain(name)
	if !ok {
		return errors.New("its charters are lost")
	}
	for log := 1; log <= chain.Newest().Log; log++ {
		if _, named := chain.ForLog(log); named {
			head, ok := n.store.Head(name.Log(log))
			if cut, closed := chain.Cut(log); !ok || closed && head.Size < cut.Size {
				return errors.New("it hasn't arrived completely yet")
			}
		} else if end, ok := chain.ClosedHead(log); !ok || n.store.Size(name.Log(log)) < end.Size {
			return errors.New("it hasn't arrived completely yet")
		}
	}
	return nil
}

func (n *Node) backupFeed(ctx context.Context, out *tar.Writer, name feed.Name) error {
	src, err := n.store.Mirror(name)
	if err != nil {
		return err
	}
	chain, ok := src.Chain(name)
	if !ok {
		return fs.ErrNotExist
	}
	folder := feedFolder(name)
	// First what only adds up: it may speak of more than the records that follow, and what doesn't fit is left out when it is restored.
	for log := 1; log <= chain.Newest().Log; log++ {
		if err := n.backupLog(out, folder+strconv.Itoa(log)+"/", name.Log(log)); err != nil {
			return err
		}
	}
	if err := api.PackMirrorInto(ctx, out, folder, name, src); err != nil {
		return err
	}
	if roster, ok := n.store.Roster(name); ok {
		return tarFile(out, folder+"roster", roster.Bytes())
	}
	return nil
}

// backupLog writes what a store knows of a log besides its records.
func (n *Node) backupLog(out *tar.Writer, folder string, origin feed.Origin) error {
	receipts, err := n.store.AllReceipts(origin)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, r := range receipts {
		fmt.Fprintf(&text, "%d %s", r.Size, r.Line) // which ends its line
	}
	if err := tarFile(out, folder+"receipts", []byte(text.String())); err != nil {
		return err
	}
	last, ok, err := n.store.LastCosigned(origin)
	if err != nil {
		return err
	}
	if ok {
		if err := tarFile(out, folder+"cosigned", fmt.Appendf(nil, "%d %s %d\n", last.Size, hex.EncodeToString(last.Root[:]), last.Time)); err != nil {
			return err
		}
	}
	erased, err := n.store.AllErased(origin)
	if err != nil {
		return err
	}
	text.Reset()
	for _, i := range erased {
		fmt.Fprintf(&text, "%d\n", i)
	}
	return tarFile(out, folder+"erased", []byte(text.String()))
}

func tarFile(out *tar.Writer, name string, data []byte) error {
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := out.Write(data)
	return err
}

// BackupTo writes a backup of the node in dir, through its door, to a file, which appears at once and complete, readable by this user alone.
// It tells which feeds were left out.
func BackupTo(ctx context.Context, dir string, door api.Verbs, path string, passphrase []byte) (leftOut []string, err error) {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return nil, fmt.Errorf("write backup: %w", err)
	}
	defer f.Cleanup()
	if leftOut, err = WriteBackup(ctx, dir, door, f, passphrase); err != nil {
		return nil, err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return nil, fmt.Errorf("write backup: %w", err)
	}
	return leftOut, syncDir(filepath.Dir(path))
}

// WriteBackup writes a backup of the node in dir, sealed.
func WriteBackup(ctx context.Context, dir string, door api.Verbs, w io.Writer, passphrase []byte) (leftOut []string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write backup: %w", err)
		}
	}()
	sealed, err := crypto.NewSealWriter(w, passphrase)
	if err != nil {
		return nil, err
	}
	out := tar.NewWriter(sealed)
	r, pipe := io.Pipe()
	go func() { pipe.CloseWithError(door.Backup(ctx, pipe)) }()
	leftOut, err = copyStore(tar.NewReader(r), out)
	r.CloseWithError(errors.New("nobody reads on"))
	if err != nil {
		return nil, err
	}
	// After the store: the keys of a feed are made before the store has it.
	if err := backupFiles(ctx, layout(dir), out); err != nil {
		return nil, err
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return leftOut, sealed.Close()
}

// copyStore passes on what Backup wrote, and makes sure that it is all.
func copyStore(in *tar.Reader, out *tar.Writer) (leftOut []string, err error) {
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeXGlobalHeader && h.PAXRecords["comment"] == backupEnd {
			_, err := io.Copy(io.Discard, restOf{in})
			return leftOut, err
		}
		if h.Name == "node.json" {
			text, err := io.ReadAll(io.LimitReader(in, maxBackupHead+1))
			if err != nil {
				return nil, err
			}
			head, err := parseBackupHead(text)
			if err != nil {
				return nil, err
			}
			for _, f := range head.LeftOut {
				leftOut = append(leftOut, f.Feed+": "+f.Why)
			}
			if err := tarFile(out, h.Name, text); err != nil {
				return nil, err
			}
			continue
		}
		if err := out.WriteHeader(&tar.Header{Typeflag: h.Typeflag, Name: h.Name, Mode: h.Mode, Size: h.Size}); err != nil {
			return nil, err
		}
		if _, err := io.Copy(out, in); err != nil {
			return nil, err
		}
	}
}

// restOf wants nothing but the end.
type restOf struct{ in *tar.Reader }

func (r restOf) Read([]byte) (int, error) {
	_, err := r.in.Next()
	if err == nil {
		err = errors.New("there is more after its end")
	}
	return 0, err
}

// notBackedUp are the folders and files of DIR that the store's part covers, or that are made anew; and what was shared with publishers: a restored
// journal is not the one that was counted.
var notBackedUp = map[string]bool{"store": true, "heads": true, "charters": true, "index": true, "shared": true, "hashfeed.sock": true, "hashfeed.sock.path": true}

// backupFiles writes all other files under DIR.
func backupFiles(ctx context.Context, dir layout, out *tar.Writer) error {
	return filepath.WalkDir(string(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(string(dir), path)
		if err != nil || rel == "." {
			return err
		}
		if notBackedUp[rel] || strings.HasPrefix(d.Name(), ".") { // what begins with a dot is being written just now
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || !d.Type().IsRegular() {
			return ctx.Err()
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // replaced or removed meanwhile
		}
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filesPrefix + filepath.ToSlash(rel), Mode: 0o600, Size: info.Size()}); err != nil {
			return err
		}
		if _, err := io.CopyN(out, f, info.Size()); err != nil { // one that only grows may grow
			return fmt.Errorf("read %s: %w", path, err)
		}
		return nil
	})
}

// parseBackupHead reads node.json.
func parseBackupHead(text []byte) (head backupHead, err error) {
	if len(text) > maxBackupHead {
		return head, fmt.Errorf("node.json is larger than %d bytes", maxBackupHead)
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return head, fmt.Errorf("read node.json: %w", err)
	}
	if head.Format != backupFormat {
		return head, fmt.Errorf("it is a backup of format %d, made by hashfeed %s; this program reads format %d", head.Format, head.Version, backupFormat)
	}
	return head, nil
}
