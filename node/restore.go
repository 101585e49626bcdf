package node

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
)

// RestoreOptions say how a backup is opened.
type RestoreOptions struct {
	Backup     []byte           // the passphrase that the backup was sealed with
	Passphrase []byte           // opens sealed keys; nil: they are unsealed
	Now        func() time.Time // nil: the system's clock
}

// Restored is what came of a restore.
type Restored struct {
	Name    string   `json:"name"`
	Time    string   `json:"time"` // of the backup
	Feeds   []string `json:"feeds"`
	LeftOut []string `json:"left_out"` // come again from peers
}

// Restore makes a node's directory from a backup. It is built beside, verified as if a stranger had sent it, checked by fsck, and moved into
// place only then; after an error nothing of it is left. dir must be absent or empty. Own feeds are noted down as copies: before
// one is signed a member must have been heard.
func Restore(ctx context.Context, dir string, in io.Reader, o RestoreOptions) (done Restored, err error) {
	plain, err := crypto.OpenSealed(in, o.Backup)
	switch {
	case errors.Is(err, crypto.ErrPassphraseWrong):
		return done, &api.Error{Status: 422, Code: api.CodeRefused, Text: "restore: wrong passphrase for this backup", Hint: "--backup-passphrase-file FILE"}
	case err != nil:
		return done, fmt.Errorf("restore: %w", err)
	}
	return unpackBackup(ctx, dir, plain, o)
}

// unpackBackup is Restore of what was in the sealed file.
func unpackBackup(ctx context.Context, dir string, plain io.Reader, o RestoreOptions) (done Restored, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore to %s: %w", dir, err)
		}
	}()
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return done, &api.Error{Status: 409, Code: api.CodeConflict, Text: "it isn't empty, and nothing is overwritten",
			Hint: "move it away first, and keep it until the restored node runs"}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return done, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return done, err
	}
	building, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".restore-")
	if err != nil {
		return done, err
	}
	defer os.RemoveAll(building)
	r := restoring{ctx: ctx, dir: layout(filepath.Join(building, "node")), staging: filepath.Join(building, "feeds"), o: o}
	if done, err = r.run(plain); err != nil {
		return Restored{}, err
	}
	if err := os.Rename(string(r.dir), dir); err != nil {
		return Restored{}, err
	}
	return done, syncDir(filepath.Dir(dir))
}

type restoring struct {
	ctx     context.Context
	dir     layout
	staging string // feeds as plain files, until they are verified
	o       RestoreOptions
	head    backupHead
}

func (r *restoring) run(plain io.Reader) (done Restored, err error) {
	if err := os.MkdirAll(string(r.dir), 0o700); err != nil {
		return done, err
	}
	if err := r.unpack(tar.NewReader(plain)); err != nil {
		return done, err
	}
	// What follows the archive's end must be nothing: only then it is known that the file is whole.
	if n, err := io.Copy(io.Discard, plain); err != nil {
		return done, err
	} else if n > 0 {
		return done, errors.New("there is more after its end")
	}
	config, err := LoadConfig(r.dir.config())
	if err != nil {
		return done, err
	}
	if config.Name != r.head.Name {
		return done, fmt.Errorf("its config is of %s, it says to be of %.80q", config.Name, r.head.Name)
	}
	seal, err := crypto.LoadSealKey(r.dir.sealKey(), config.Name+"/store", r.o.Passphrase)
	if err != nil {
		return done, err
	}
	s, err := store.Create(string(r.dir), store.Options{Key: seal, Reserve: int64(config.Limits.Reserve), Now: r.o.Now})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	done = Restored{Name: r.head.Name, Time: r.head.Time, Feeds: []string{}, LeftOut: []string{}}
	ring := keyring{dir: r.dir}
	for _, f := range r.head.Feeds {
		name, anchor, err := r.anchor(config, f, ring)
		if err != nil {
			return done, err
		}
		if err := r.feed(s, name, anchor); err != nil {
			return done, fmt.Errorf("%s: %w", name, err)
		}
		if ring.owns(name) {
			if err := s.PutCursor(copiedCursor(name), []byte{1}); err != nil {
				return done, err
			}
		}
		done.Feeds = append(done.Feeds, f.Feed)
	}
	for _, f := range r.head.LeftOut {
		done.LeftOut = append(done.LeftOut, f.Feed)
	}
	if at, err := time.Parse(time.RFC3339, r.head.Time); err == nil {
		if err := s.PutCursor(backupCursor, []byte(strconv.FormatInt(at.Unix(), 10))); err != nil {
			return done, err
		}
	}
	return done, r.check(s)
}

// check refuses what fsck would complain of.
func (r *restoring) check(s *store.Store) error {
	var problems []error
	files := fileCheck{dir: r.dir, passphrase: r.o.Passphrase, chain: func(name feed.Name) *feed.Chain {
		chain, _ := s.Chain(name)
		return chain
	}, report: func(f api.Finding) {
		if f.State == api.FindingDamaged {
			problems = append(problems, fmt.Errorf("%s: %s", f.Where, f.Text))
		}
	}}
	files.run()
	if err := s.Fsck(r.ctx, func(f store.Finding) { problems = append(problems, errors.New(f.String())) }); err != nil {
		return err
	}
	return errors.Join(problems...)
}

// backedUp says whether a path of a backup is written: no other is, so that nothing lands outside of the folder that it is below.
func backedUp(path string) bool {
	return len(path) <= maxBackupPath && fs.ValidPath(path) && path != "." && !strings.HasPrefix(path, ".") && !strings.Contains(path, "/.") &&
		!strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' })
}

// unpack writes the files of a backup. Whoever made it had the passphrase; that is no reason to let it write just anywhere.
func (r *restoring) unpack(in *tar.Reader) error {
	for n := 0; ; n++ {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		h, err := in.Next()
		if err == io.EOF {
			if r.head.Format == 0 {
				return errors.New("it has no node.json")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			if part, ok := strings.CutPrefix(h.Name, feedsPrefix); ok && backedUp(strings.TrimSuffix(part, "/")) {
				if err := os.MkdirAll(filepath.Join(r.staging, filepath.FromSlash(part)), 0o700); err != nil {
					return err
				}
			}
			continue
		}
		rel, isFile := strings.CutPrefix(h.Name, filesPrefix)
		part, isPart := strings.CutPrefix(h.Name, feedsPrefix)
		switch {
		case h.Typeflag != tar.TypeReg:
			return fmt.Errorf("%.200q is no file", h.Name)
		case h.Name == "node.json" && n == 0:
			text, err := io.ReadAll(io.LimitReader(in, maxBackupHead+1))
			if err != nil {
				return err
			}
			if r.head, err = parseBackupHead(text); err != nil {
				return err
			}
		case isFile && backedUp(rel) && !notBackedUp[strings.SplitN(rel, "/", 2)[0]]:
			err = writeTar(filepath.Join(string(r.dir), filepath.FromSlash(rel)), in)
		case isPart && backedUp(part):
			if h.Size > maxBackupPart {
				return fmt.Errorf("%s is larger than %d bytes", h.Name, maxBackupPart)
			}
			err = writeTar(filepath.Join(r.staging, filepath.FromSlash(part)), in)
		default:
			return fmt.Errorf("%.200q is no file of a backup", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

func writeTar(path string, in io.Reader) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, in); err != nil {
		return err
	}
	return f.Sync()
}

// anchor is what a feed of the backup is believed by: of a followed one the config's anchor. An own one has its keys beside, which check
// compares with its charter.
func (r *restoring) anchor(config Config, f backupFeed, ring keyring) (feed.Name, feed.Anchor, error) {
	name, err := feed.ParseName(f.Feed)
	if err != nil {
		return "", feed.Anchor{}, err
	}
	anchor, err := feed.ParseAnchor(f.Anchor)
	if err != nil {
		return "", feed.Anchor{}, fmt.Errorf("%s: %w", name, err)
	}
	if name.Publisher() == config.Name && ring.owns(name) {
		return name, anchor, nil
	}
	for _, follow := range config.Follow {
		if follow.Feed == f.Feed && follow.Anchor == f.Anchor {
			return name, anchor, nil
		}
	}
	return "", feed.Anchor{}, fmt.Errorf("%s: neither are its keys here, nor does the config follow it by this anchor", name)
}

// feed verifies a feed and stores it.
func (r *restoring) feed(s *store.Store, name feed.Name, anchor feed.Anchor) error {
	folder := filepath.Join(r.staging, strings.ReplaceAll(string(name), "/", "_"))
	m, err := feed.ReadMirror(os.DirFS(folder), anchor)
	if err != nil {
		return err
	}
	if m.Chain().Feed() != name {
		return fmt.Errorf("it is %s", m.Chain().Feed())
	}
	if err := s.AddFeed(m.Chain()); err != nil {
		return err
	}
	for log := 1; log <= m.Chain().Newest().Log; log++ {
		tree, tail, _ := s.Position(name.Log(log))
		for b, err := range m.Batches(log, tree, tail) {
			if err != nil {
				return err
			}
			if err := r.ctx.Err(); err != nil {
				return err
			}
			if err := s.Commit(b); err != nil {
				return err
			}
		}
		if err := r.log(s, folder, name.Log(log)); err != nil {
			return fmt.Errorf("log %d: %w", log, err)
		}
	}
	suspensions, err := m.Suspensions()
	if err != nil {
		return err
	}
	for _, n := range suspensions {
		if err := s.Suspend(n); err != nil {
			return err
		}
	}
	note, err := readSmall(filepath.Join(folder, "roster"), maxBackupPart)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	roster, err := m.Chain().OpenRoster(note)
	if err != nil {
		return nil // of a charter that came while the backup was made: the next roster counts
	}
	return s.SetRoster(roster)
}

// log restores what a store knows of a log besides its records.
func (r *restoring) log(s *store.Store, folder string, origin feed.Origin) error {
	size := s.Size(origin)
	read := func(file string, line func(string) error) error {
		data, err := readSmall(filepath.Join(folder, strconv.Itoa(origin.Log()), file), maxBackupPart)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for text := range bytes.Lines(data) {
			if err := line(strings.TrimSuffix(string(text), "\n")); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
		return nil
	}
	var erased []uint64
	err := errors.Join(
		read("receipts", func(text string) error {
			at, rest, _ := strings.Cut(text, " ")
			n, err := strconv.ParseUint(at, 10, 64)
			if err != nil {
				return err
			}
			line, err := crypto.ParseLine(rest + "\n")
			if err != nil || n > size { // of more than was backed up: members may well have more
				return err
			}
			return s.PutReceipt(origin, n, line)
		}),
		read("cosigned", func(text string) error {
			var c store.Cosigned
			var root string
			if _, err := fmt.Sscanf(text, "%d %64s %d", &c.Size, &root, &c.Time); err != nil {
				return err
			}
			sum, err := hex.DecodeString(root)
			if err != nil || len(sum) != len(c.Root) || c.Size > size {
				return err
			}
			copy(c.Root[:], sum)
			return s.SetCosigned(origin, c)
		}),
		read("erased", func(text string) error {
			i, err := strconv.ParseUint(text, 10, 64)
			if err == nil && i < size {
				erased = append(erased, i)
			}
			return err
		}),
	)
	if err != nil || len(erased) == 0 {
		return err
	}
	return s.Erase(origin, erased...)
}
