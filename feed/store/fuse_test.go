//go:build linux

package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// A faultFS is a file system whose n-th call fails. Badger's own calls are among them, those through mapped memory too: what it writes
// there comes as writes when it syncs.
type faultFS struct {
	fuse.RawFileSystem
	mu    sync.Mutex
	calls int
	kinds map[string]int
	order []string
	// The n-th call gets the error; forever: and all that change something from then on.
	n       int
	errno   fuse.Status
	forever bool
	hit     string // the first call that failed
}

// fails counts a call, and says how it fails.
func (f *faultFS) fails(what string) fuse.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.kinds[what]++
	f.order = append(f.order, what)
	if f.n == 0 || f.calls != f.n && !(f.forever && f.hit != "" && what != "read" && what != "open") {
		return fuse.OK
	}
	if f.hit == "" {
		f.hit = what
	}
	return f.errno
}

// Init doesn't tell the file system of its server, so that it can't have the kernel read and write the files behind by itself.
func (f *faultFS) Init(*fuse.Server) {}

// Writev has the server call Write.
func (f *faultFS) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

func (f *faultFS) SetAttr(c <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if in.Valid&fuse.FATTR_SIZE != 0 {
		if s := f.fails("truncate"); s != fuse.OK {
			return s
		}
	}
	return f.RawFileSystem.SetAttr(c, in, out)
}

func (f *faultFS) Mkdir(c <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if s := f.fails("mkdir"); s != fuse.OK {
		return s
	}
	return f.RawFileSystem.Mkdir(c, in, name, out)
}

func (f *faultFS) Unlink(c <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	if s := f.fails("unlink"); s != fuse.OK {
		return s
	}
	return f.RawFileSystem.Unlink(c, h, name)
}

func (f *faultFS) Rename(c <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	if s := f.fails("rename"); s != fuse.OK {
		return s
	}
	return f.RawFileSystem.Rename(c, in, from, to)
}

func (f *faultFS) Create(c <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if s := f.fails("create"); s != fuse.OK {
		return s
	}
	return f.RawFileSystem.Create(c, in, name, out)
}

func (f *faultFS) Open(c <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if s := f.fails("open"); s != fuse.OK {
		return s
	}
	return f.RawFileSystem.Open(c, in, out)
}

func (f *faultFS) Read(c <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	if s := f.fails("read"); s != fuse.OK {
		return nil, s
	}
	return f.RawFileSystem.Read(c, in, buf)
}

func (f *faultFS) Write(c <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if s := f.fails("write"); s != fuse.OK {
		return 0, s
	}
	return f.RawFileSystem.Write(c, in, data)
}

func (f *faultFS) Fsync(c <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if s := f.fails("fsync"); s != fuse.OK {
		return s
	}
	return f.RawFileSystem.Fsync(c, in)
}

func (f *faultFS) FsyncDir(c <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if s := f.fails("fsync of a folder"); s != fuse.OK {
		return s
	}
	return f.RawFileSystem.FsyncDir(c, in)
}

// mountFaults serves a folder, in which backing has what is on the disk.
func mountFaults(t testing.TB, f *faultFS) (dir, backing string, unmount func(), err error) {
	base := t.TempDir()
	dir, backing = filepath.Join(base, "mounted"), filepath.Join(base, "backing")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(backing, 0o700)); err != nil {
		return "", "", nil, err
	}
	root, err := fs.NewLoopbackRoot(backing)
	if err != nil {
		return "", "", nil, err
	}
	f.RawFileSystem, f.kinds = fs.NewNodeFS(root, &fs.Options{}), map[string]int{}
	server, err := fuse.NewServer(f, dir, &fuse.MountOptions{DirectMount: true, Name: "faults"})
	if err != nil {
		return "", "", nil, fmt.Errorf("%w: %w", errMount, err)
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		return "", "", nil, err
	}
	return dir, backing, sync.OnceFunc(func() {
		for range 100 {
			if server.Unmount() == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		os.RemoveAll(base)
	}), nil
}

var errMount = errors.New("a FUSE file system can't be mounted here")

// faulted is what came of a life with a fault.
type faulted struct {
	done   int    // steps acknowledged
	end    string // how the process ended
	kinds  map[string]int
	order  []string // the calls
	calls  int
	hit    string
	stderr string
}

// liveWith has a process live on a disk with a fault, opens what it leaves on a sound one, checks it and goes on to the end.
func liveWith(t testing.TB, l *life, bug string, n int, errno syscall.Errno, forever bool) (r faulted, err error) {
	f := &faultFS{n: n, errno: fuse.Status(errno), forever: forever}
	mounted, backing, unmount, err := mountFaults(t, f)
	if err != nil {
		return r, err
	}
	defer unmount()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lifeDir+"="+filepath.Join(mounted, "x"), crashBug+"="+bug, "GOTRACEBACK=none")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := cmd.Start(); err != nil {
		return r, err
	}
	hangs := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer hangs.Stop()
	well := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			r.done = n
		}
		well = lines.Text() == "well"
	}
	waitErr := cmd.Wait()
	f.mu.Lock()
	r.kinds, r.order, r.calls, r.hit, f.n = maps.Clone(f.kinds), slices.Clone(f.order), f.calls, f.hit, 0
	f.mu.Unlock()
	r.stderr = stderr.String()
	switch text := r.stderr; {
	case waitErr == nil:
		r.end = "went on"
	case strings.Contains(text, "fatal error: fault") || strings.Contains(text, "SIGBUS"):
		r.end = "died of SIGBUS"
	case strings.Contains(text, "panic:") || strings.Contains(text, "fatal error:"):
		r.end = "panicked"
	case strings.Contains(text, errClosing.Error()):
		r.end = "doesn't close"
	case cmd.ProcessState.ExitCode() == 1 && well:
		r.end = "error, goes on"
	case cmd.ProcessState.ExitCode() == 1:
		r.end = "error, unwell"
	default:
		r.end = cmd.ProcessState.String()
	}
	// Whatever wasn't written comes too late now.
	dir := filepath.Join(filepath.Dir(backing), "left")
	if err := os.Rename(backing, dir); err != nil {
		return r, err
	}
	return r, l.resume(filepath.Join(dir, "x"), r.done)
}

// resume opens what is left of a life, checks it, and goes on.
func (l *life) resume(dir string, done int) error {
	s, err := Open(dir, testOptions)
	if err != nil && done == 0 {
		if err := os.RemoveAll(dir); err != nil { // nothing was acknowledged: making it failed, and is begun anew
			return err
		}
		s, err = Create(dir, testOptions)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if d := s.Damage(testName); d != nil {
		return d
	}
	if err := l.held(s, done); err != nil {
		return err
	}
	check := func() error {
		var all []error
		err := s.Fsck(noContext, func(f Finding) { all = append(all, errors.New("fsck: "+f.String())) })
		return errors.Join(append(all, err)...)
	}
	return errors.Join(check(), l.goOn(s, done), check())
}

// TestDiskFaults makes each call to the disk fail in turn, Badger's included, in a life of a store.
func TestDiskFaults(t *testing.T) {
	l := newLife(t)
	whole, err := liveWith(t, l, "", 0, 0, false) // no call fails
	if errors.Is(err, errMount) {
		cannot(t, err.Error())
		return
	}
	if err != nil || whole.end != "went on" || whole.done != len(l.steps) {
		t.Fatalf("without a fault: %s after %d steps: %v\n%s", whole.end, whole.done, err, whole.stderr)
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(whole.kinds)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, whole.kinds[k]))
	}
	t.Logf("%d calls: %s", whole.calls, strings.Join(kinds, ", "))
	ends := []string{"went on", "error, goes on", "error, unwell", "doesn't close", "died of SIGBUS", "panicked"}
	var rows strings.Builder
	began := time.Now()
	for _, of := range []struct {
		what    string
		errno   syscall.Errno
		forever bool
		every   int // in test-full
	}{{"EIO, once", syscall.EIO, false, 1}, {"EIO, from then on", syscall.EIO, true, 8}, {"ENOSPC, from then on", syscall.ENOSPC, true, 8}} {
		every := rounds(t, max(1, whole.calls/4), of.every, 1)
		var ns []int
		for n := 1; n <= whole.calls; n += every {
			ns = append(ns, n)
		}
		results, errs := make([]faulted, len(ns)), make([]error, len(ns))
		var both sync.WaitGroup
		for half := range 2 {
			both.Go(func() {
				for i := half; i < len(ns); i += 2 {
					results[i], errs[i] = liveWith(t, newLife(t), "", ns[i], of.errno, of.forever)
				}
			})
		}
		both.Wait()
		count, by := 0, map[string]int{}
		for i, n := range ns {
			r, err := results[i], errs[i]
			where := fmt.Sprintf("%s, call %d (%s), %s after %d steps", of.what, n, r.hit, r.end, r.done)
			if err != nil {
				t.Errorf("%s: %v\n%.2000s", where, err, r.stderr)
			}
			if !slices.Contains(ends, r.end) || r.end == "panicked" {
				t.Errorf("%s:\n%.2000s", where, r.stderr)
			}
			count++
			by[r.end]++
		}
		fmt.Fprintf(&rows, "| %s | %d of %d |", of.what, count, whole.calls)
		for _, e := range ends {
			fmt.Fprintf(&rows, " %d |", by[e])
		}
		rows.WriteString(" 0 | 0 |\n")
	}
	table(t, "faults", "Calls: %s. %.0f s.\n\n| fault | calls that failed | %s | acknowledged, and lost | fsck findings |\n|---|---|---|---|---|---|---|---|---|---|\n%s",
		strings.Join(kinds, ", "), time.Since(began).Seconds(), strings.Join(ends, " | "), &rows)
}

// TestDiskFaultsSeeded: the harness sees a store that doesn't heed that a file couldn't be written.
func TestDiskFaultsSeeded(t *testing.T) {
	whole, err := liveWith(t, newLife(t), bugSwallow, 0, 0, false)
	if errors.Is(err, errMount) {
		cannot(t, err.Error())
		return
	}
	if err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	for i, what := range whole.order {
		if what != "rename" {
			continue
		}
		if _, err := liveWith(t, newLife(t), bugSwallow, i+1, syscall.EIO, false); err != nil {
			t.Logf("call %d: %v", i+1, err)
			return
		}
	}
	t.Errorf("none of %d calls was missed", whole.kinds["rename"])
}
