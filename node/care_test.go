package node

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hashfeed/crypto"
	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
)

const testNode = "a.example"

// made makes a node's directory.
func made(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "node")
	if _, err := Init(dir, InitOptions{Name: testNode, Role: RoleHotline, Harm: "csam", Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func opened(t *testing.T, dir string, o Options) *Node {
	t.Helper()
	n, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// list publishes an item of its own.
func list(n *Node, i int) error {
	p, err := n.Publish(context.Background(), api.Publish{Items: []api.Item{{Hashes: []string{fmt.Sprintf("md5:%032x", uint64(i)*0x9e3779b97f4a7c15+0x0123456789)}, Verdict: "national", Media: "image"}}})
	if err == nil && p[0].Refused != "" {
		err = errors.New(p[0].Refused)
	}
	return err
}

func alarmCodes(t *testing.T, n *Node) (codes []string) {
	t.Helper()
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range s.Alarms {
		codes = append(codes, a.Code)
		if a.Remedy == "" {
			t.Errorf("alarm %s has no remedy", a.Code)
		}
	}
	return codes
}

// TestFullDisk: below the reserve nothing is published, the answer says so with 503, /readyz and status tell, lookups go on; and when there is room
// again all of it is over by itself.
func TestFullDisk(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 40)
	n := opened(t, made(t), Options{Free: func(string) (uint64, error) { return free.Load(), nil }})
	if err := list(n, 1); err != nil {
		t.Fatal(err)
	}
	free.Store(1 << 20)
	for range 2 {
		var e *api.Error
		if err := list(n, 2); !errors.As(err, &e) || e.Status != 503 || e.Hint == "" {
			t.Errorf("publish: got %v, want 503 with a hint", err)
		}
	}
	if err := n.Ready(); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("ready: got %v, want ErrNoSpace", err)
	}
	if got := alarmCodes(t, n); !slices.Contains(got, "disk") {
		t.Errorf("alarms: got %v, want disk", got)
	}
	found, err := n.Doctor(t.Context())
	if err != nil || !slices.ContainsFunc(found, func(f api.Finding) bool { return f.Kind == "disk" && f.Remedy != "" }) {
		t.Errorf("doctor: got %v %v, want disk", found, err)
	}
	h, err := feed.ParseHash(fmt.Sprintf("md5:%032x", uint64(0x9e3779b97f4a7c15)+0x0123456789))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := n.Match(t.Context(), []feed.Hash{h}, false); err != nil || v[0].Verdict != "block" {
		t.Errorf("match: got %v %v, want block", v, err)
	}
	free.Store(1 << 40)
	if err := list(n, 2); err != nil {
		t.Errorf("publish when there is room: %v", err)
	}
	if err := n.Ready(); err != nil {
		t.Errorf("ready when there is room: %v", err)
	}
	if got := alarmCodes(t, n); slices.Contains(got, "disk") {
		t.Errorf("alarms when there is room: got %v", got)
	}
}

// TestScrub: a walk that finds something raises an alarm and a metric, and is paced by what it reads; one that finds nothing ends them.
func TestScrub(t *testing.T) {
	dir := made(t)
	n := opened(t, dir, Options{})
	for i := range 3 {
		if err := list(n, i); err != nil {
			t.Fatal(err)
		}
	}
	metric := func(want float64) {
		t.Helper()
		families, err := n.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "hashfeed_store_scrub_findings" {
				if got := f.GetMetric()[0].GetGauge().GetValue(); got != want {
					t.Errorf("hashfeed_store_scrub_findings: got %v, want %v", got, want)
				}
				return
			}
		}
		t.Error("no metric hashfeed_store_scrub_findings")
	}
	metric(0)
	read := 0
	pace := func(bytes int) error { read += bytes; return nil }
	n.scrubOnce(t.Context(), pace)
	metric(0)
	if read < 300 {
		t.Errorf("paced by %d bytes, want those of 3 records", read)
	}
	if _, _, finished := n.care.last(); finished.IsZero() {
		t.Error("the walk isn't noted")
	}
	charter := filepath.Join(dir, "charters", testNode+"_known", "charter-1")
	whole, err := os.ReadFile(charter)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(charter, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	n.scrubOnce(t.Context(), pace)
	metric(1)
	if got := alarmCodes(t, n); !slices.Contains(got, "damaged") {
		t.Errorf("alarms: got %v, want damaged", got)
	}
	stop := errors.New("stop")
	n.scrubOnce(t.Context(), func(int) error { return stop }) // a walk that was broken off says nothing
	metric(1)
	for f, err := range n.Fsck(t.Context(), true) {
		if err != nil || f.State != api.FindingRepaired {
			t.Errorf("repair: got %+v %v", f, err)
		}
	}
	metric(0)
	if got := alarmCodes(t, n); slices.Contains(got, "damaged") {
		t.Errorf("alarms after the repair: got %v", got)
	}
	if now, err := os.ReadFile(charter); err != nil || !bytes.Equal(now, whole) {
		t.Errorf("the charter's file: got %q %v", now, err)
	}
}

// TestBackupWhilePublishing: what is restored from a backup that was made while items were published is what was published first, up to some of
// them, whole and verified.
func TestBackupWhilePublishing(t *testing.T) {
	dir := made(t)
	n := opened(t, dir, Options{})
	if err := list(n, 0); err != nil {
		t.Fatal(err)
	}
	began, stop, done := make(chan bool), make(chan bool), make(chan error)
	var published atomic.Int64
	go func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := list(n, i); err != nil {
				done <- err
				return
			}
			published.Add(1)
			if i == 3 {
				close(began)
			}
		}
	}()
	<-began
	pass := []byte("secret")
	before := published.Load()
	path := filepath.Join(t.TempDir(), "backup")
	if leftOut, err := BackupTo(t.Context(), dir, slowDoor{n, &published}, path, pass); err != nil || len(leftOut) > 0 {
		t.Fatal(leftOut, err)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "again")
	if _, err := Restore(t.Context(), to, bytes.NewReader(data), RestoreOptions{Backup: pass}); err != nil {
		t.Fatal(err)
	}
	m := opened(t, to, Options{})
	origin := feed.Origin(testNode + "/known/1")
	size := m.store.Size(origin)
	if size < uint64(before) || size > uint64(published.Load())+1 {
		t.Errorf("restored: %d records, want at least %d", size, before)
	}
	want, err := n.store.RootAt(origin, size)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.store.RootAt(origin, size); err != nil || got != want {
		t.Errorf("root at %d: got %x %v, want %x", size, got, err, want)
	}
	for f, err := range m.Fsck(t.Context(), false) {
		t.Errorf("fsck: %+v %v", f, err)
	}
	// It may be an old copy: it signs for nobody but who says that it isn't. Once.
	if err := list(m, 9999); err == nil || !strings.Contains(err.Error(), "was restored or mended here") {
		t.Errorf("publish from the copy: got %v", err)
	}
	if _, err := m.Publish(api.WithAlone(t.Context()), api.Publish{Items: []api.Item{{Hashes: []string{"md5:00112233445566778899aabbccddeeff"}, Verdict: "national", Media: "image"}}}); err != nil {
		t.Errorf("publish --alone: %v", err)
	}
	if err := list(m, 9999); err != nil {
		t.Errorf("publish after it: %v", err)
	}
}

// slowDoor gives the publisher time while the backup is read.
type slowDoor struct {
	*Node
	published *atomic.Int64
}

func (d slowDoor) Backup(ctx context.Context, w io.Writer) error {
	return d.Node.Backup(ctx, slowWriter{w, d.published})
}

type slowWriter struct {
	io.Writer
	published *atomic.Int64
}

func (w slowWriter) Write(p []byte) (int, error) {
	for now, until := w.published.Load(), time.Now().Add(time.Second); w.published.Load() == now && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	return w.Writer.Write(p)
}

// TestRestoreRefuses: a backup by somebody who has the passphrase writes nowhere but into DIR, and brings in nothing that isn't signed. Nothing is
// left of any of them.
func TestRestoreRefuses(t *testing.T) {
	dir := made(t)
	n := opened(t, dir, Options{})
	for i := range 3 {
		if err := list(n, i); err != nil {
			t.Fatal(err)
		}
	}
	pass := []byte("secret")
	var b bytes.Buffer
	if _, err := WriteBackup(t.Context(), dir, n, &b, pass); err != nil {
		t.Fatal(err)
	}
	plain, err := crypto.OpenSealed(bytes.NewReader(b.Bytes()), pass)
	if err != nil {
		t.Fatal(err)
	}
	type file struct {
		h    tar.Header
		data []byte
	}
	var files []file
	for in := tar.NewReader(plain); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{*h, data})
	}
	pack := func(files []file) io.Reader { // unsealed: sealing has tests of its own, and takes its time
		var b bytes.Buffer
		out := tar.NewWriter(&b)
		for _, f := range files {
			h := tar.Header{Typeflag: f.h.Typeflag, Name: f.h.Name, Linkname: f.h.Linkname, Mode: 0o600, Size: int64(len(f.data))}
			if err := out.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Write(f.data); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		return &b
	}
	extra := func(h tar.Header, data string) func([]file) []file {
		h.Size = int64(len(data))
		return func(files []file) []file { return append(files, file{h, []byte(data)}) }
	}
	change := func(name string, do func([]byte) []byte) func([]file) []file {
		return func(files []file) []file {
			for i, f := range files {
				if strings.HasSuffix(f.h.Name, name) {
					files[i].data = do(bytes.Clone(f.data))
					return files
				}
			}
			t.Fatalf("no file %s in the backup", name)
			return nil
		}
	}
	without := func(name string) func([]file) []file {
		return func(files []file) []file {
			return slices.DeleteFunc(files, func(f file) bool { return strings.HasSuffix(f.h.Name, name) })
		}
	}
	regular := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	for what, do := range map[string]func([]file) []file{
		"nothing changed":     func(files []file) []file { return files },
		"a path that goes up": extra(regular("files/../../evil"), "x"),
		"an absolute path":    extra(regular("files//etc/evil"), "x"),
		"a file of the store": extra(regular("files/store/MANIFEST"), "x"),
		"a head file":         extra(regular("files/heads/a.example_known_1"), "x"),
		"a link":              extra(tar.Header{Typeflag: tar.TypeSymlink, Name: "files/keys/link", Linkname: "/etc/passwd"}, ""),
		"a file outside":      extra(regular("evil"), "x"),
		"a file twice":        extra(regular("files/hashfeed.toml"), "name = \"a.example\"\nrole = \"hotline\"\n"),
		"a feed of somebody else": change("node.json", func(d []byte) []byte {
			return bytes.ReplaceAll(d, []byte(testNode+"/known"), []byte("b.example/known"))
		}),
		"another format":            change("node.json", func(d []byte) []byte { return bytes.Replace(d, []byte(`"format": 1`), []byte(`"format": 2`), 1) }),
		"a head changed":            change("entries/000.p/3", func(d []byte) []byte { d[20] ^= 1; return d }),
		"a body changed":            change("body/000.p/3", func(d []byte) []byte { d[20] ^= 1; return d }),
		"a tile changed":            change("tile/0/000.p/3", func(d []byte) []byte { d[20] ^= 1; return d }),
		"the checkpoint changed":    change("1/checkpoint", func(d []byte) []byte { d[len(d)-10] ^= 1; return d }),
		"the charter changed":       change("charter/1", func(d []byte) []byte { d[40] ^= 1; return d }),
		"the entries missing":       without("entries/000.p/3"),
		"the charter missing":       without("charter/1"),
		"a key changed":             change("known/1/signer", func(d []byte) []byte { d[200] ^= 1; return d }),
		"the stamp's key missing":   without("known/1/stamp"),
		"the store's key missing":   without("keys/store"),
		"the config missing":        without("hashfeed.toml"),
		"nothing but the beginning": func(files []file) []file { return files[:1] },
		"nothing":                   func([]file) []file { return nil },
		"a receipt that is none":    change("1/receipts", func([]byte) []byte { return []byte("7 no line\n") }),
	} {
		t.Run(what, func(t *testing.T) {
			parent := t.TempDir()
			to := filepath.Join(parent, "node")
			_, err := unpackBackup(t.Context(), to, pack(do(slices.Clone(files))), RestoreOptions{})
			if what == "nothing changed" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := unpackBackup(t.Context(), to, pack(files), RestoreOptions{}); err == nil {
					t.Error("over a node: restored")
				}
				return
			}
			if err == nil {
				t.Error("restored")
			}
			if left, _ := os.ReadDir(parent); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
