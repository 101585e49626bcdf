// Command generate makes node/knowngood's built-in list out of Debian and npm packages, and of pictures that it draws itself.
//
//	go run ./node/knowngood/generate            (or: make knowngood)
//
// packages.txt names the packages, a line each: deb or npm, the name, and "all" where scripts, styles and fonts are wanted beside pictures.
// They are fetched with apt-get download and npm pack, unpacked by dpkg-deb and tar into a temporary folder, and only read: nothing of
// them is executed. What came of it is written to builtin.bin, and the packages' versions to sources.tsv.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"hashfeed/feed"
	"hashfeed/node/digest"
	"hashfeed/node/knowngood"
)

func main() {
	out := flag.String("out", "node/knowngood", "the `folder` of packages.txt, in which builtin.bin and sources.tsv are written")
	cache := flag.String("cache", "", "keep what is fetched in this `folder`, and take it from there another time; default a temporary one")
	flag.Parse()
	if err := generate(context.Background(), *out, *cache); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// pkg is a line of packages.txt.
type pkg struct {
	kind, name string
	all        bool
}

func generate(ctx context.Context, out, cache string) error {
	text, err := os.ReadFile(filepath.Join(out, "packages.txt"))
	if err != nil {
		return err
	}
	packages, err := parsePackages(string(text))
	if err != nil {
		return err
	}
	if cache == "" {
		if cache, err = os.MkdirTemp("", "knowngood"); err != nil {
			return err
		}
		defer os.RemoveAll(cache)
	}
	var files []knowngood.File
	var sources bytes.Buffer
	n := uint16(0)
	add := func(kind, name, version string, list []knowngood.File) {
		fmt.Fprintf(&sources, "%s\t%s\t%s\t%d\n", kind, name, version, len(list))
		files = append(files, list...)
		n++
	}
	made, err := drawn(ctx)
	if err != nil {
		return err
	}
	for _, m := range made {
		for i := range m.files {
			m.files[i].Source = n
		}
		add("made", m.name, "1", m.files)
	}
	for _, p := range packages {
		version, root, err := fetch(ctx, p, cache)
		if err != nil {
			return fmt.Errorf("%s %s: %w", p.kind, p.name, err)
		}
		list, err := filesOf(ctx, root, p.all, n)
		if err != nil {
			return fmt.Errorf("%s %s: %w", p.kind, p.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s %s %s: %d files\n", p.kind, p.name, version, len(list))
		add(p.kind, p.name, version, list)
	}
	if err := os.WriteFile(filepath.Join(out, "sources.tsv"), sources.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "builtin.bin"), knowngood.AppendList(nil, files), 0o644)
}

func parsePackages(text string) (list []pkg, err error) {
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 2 || len(f) > 3 || f[0] != "deb" && f[0] != "npm" || len(f) == 3 && f[2] != "all" {
			return nil, fmt.Errorf("packages.txt:%d: want deb or npm, a name, and all or nothing", i+1)
		}
		list = append(list, pkg{f[0], f[1], len(f) == 3})
	}
	return list, nil
}

// fetch unpacks a package under dir, where that hasn't been done before, and returns its version and where it is.
func fetch(ctx context.Context, p pkg, dir string) (version, root string, err error) {
	base := filepath.Join(dir, p.kind+"_"+strings.ReplaceAll(p.name, "/", "_"))
	root = filepath.Join(base, "files")
	stamp := filepath.Join(base, "version")
	if v, err := os.ReadFile(stamp); err == nil {
		return string(v), root, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", "", err
	}
	run := func(name string, args ...string) (string, error) {
		c := exec.CommandContext(ctx, name, args...)
		c.Dir = base
		var stderr bytes.Buffer
		c.Stderr = &stderr
		text, err := c.Output()
		if err != nil {
			return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
		}
		return strings.TrimSpace(string(text)), nil
	}
	if p.kind == "deb" {
		if _, err := run("apt-get", "download", p.name); err != nil {
			return "", "", err
		}
		debs, err := filepath.Glob(filepath.Join(base, "*.deb"))
		if err != nil || len(debs) != 1 {
			return "", "", fmt.Errorf("%d packages were fetched, want 1", len(debs))
		}
		if version, err = run("dpkg-deb", "-f", debs[0], "Version"); err != nil {
			return "", "", err
		}
		if _, err := run("dpkg-deb", "-x", debs[0], root); err != nil {
			return "", "", err
		}
	} else {
		if version, err = run("npm", "view", p.name, "version"); err != nil {
			return "", "", err
		}
		if _, err := run("npm", "pack", "--silent", "--ignore-scripts", p.name+"@"+version); err != nil {
			return "", "", err
		}
		packed, err := filepath.Glob(filepath.Join(base, "*.tgz"))
		if err != nil || len(packed) != 1 {
			return "", "", fmt.Errorf("%d packages were fetched, want 1", len(packed))
		}
		if _, err := run("tar", "-xzf", packed[0], "-C", root); err != nil {
			return "", "", err
		}
	}
	return version, root, os.WriteFile(stamp, []byte(version), 0o644)
}

var (
	pictureEndings = []string{".png", ".gif", ".jpg", ".jpeg", ".webp", ".ico", ".bmp", ".cur", ".avif", ".svg", ".svgz", ".xpm", ".tif", ".tiff",
		".mp4", ".webm", ".ogv", ".mov", ".avi", ".swf", ".mp3", ".ogg", ".oga", ".wav"}
	assetEndings = []string{".js", ".css", ".html", ".woff", ".woff2", ".ttf", ".otf", ".eot"}
)

// filesOf hashes the files of a package that somebody might upload.
func filesOf(ctx context.Context, root string, all bool, source uint16) (list []knowngood.File, err error) {
	seen := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		ending := strings.ToLower(filepath.Ext(path))
		if !slices.Contains(pictureEndings, ending) && !(all && slices.Contains(assetEndings, ending)) {
			return nil
		}
		sum, err := digest.File(ctx, path, digest.Limits{})
		if err != nil {
			return err
		}
		if sum.Size == 0 || seen[string(sum.SHA256[:])] {
			return nil
		}
		seen[string(sum.SHA256[:])] = true
		list = append(list, knowngood.File{Hashes: hashesOf(sum), Source: source})
		return nil
	})
	if err == nil && len(list) == 0 {
		err = errors.New("it has no pictures")
	}
	return list, err
}

func hashesOf(s digest.Sum) []feed.Hash {
	hashes := []feed.Hash{
		{Alg: feed.MD5, Value: string(s.MD5[:])}, {Alg: feed.SHA1, Value: string(s.SHA1[:])}, {Alg: feed.SHA256, Value: string(s.SHA256[:])},
	}
	if s.PDQ != nil {
		hashes = append(hashes, feed.Hash{Alg: feed.PDQ, Value: string(s.PDQ.Hash[:]), Quality: uint8(s.PDQ.Quality)},
			feed.Hash{Alg: feed.PDQFull, Value: string(s.PDQFull.Hash[:]), Quality: uint8(s.PDQFull.Quality)})
	}
	return hashes
}
