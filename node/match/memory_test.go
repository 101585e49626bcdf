package match

import (
	"bufio"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// TestMemory: an array is zero, its own, and gone with its owner.
func TestMemory(t *testing.T) {
	m := newMemory()
	for _, n := range []int{0, 1, smallArray/8 - 1, smallArray / 8, hugePage / 8, hugePage/8 + 1} {
		a, b := newArray[uint64](m, n), newArray[uint64](m, n)
		if len(a) != n || len(b) != n {
			t.Fatalf("got %d and %d words, want %d", len(a), len(b), n)
		}
		for i := range a {
			if a[i] != 0 {
				t.Fatalf("word %d of %d: got %d, want 0", i, n, a[i])
			}
			a[i] = uint64(i) + 1
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("word %d of the second array of %d: got %d, want 0", i, n, b[i])
			}
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	big := newArray[byte](m, hugePage)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(big)))
	if !isMapped(t, at) {
		t.Fatalf("an array of %d bytes isn't outside the heap", len(big))
	}
	runtime.KeepAlive(m)
	for range 100 {
		runtime.GC()
		if !isMapped(t, at) {
			return
		}
		time.Sleep(10 * time.Millisecond) // cleanups run beside us
	}
	t.Error("memory whose owner is gone wasn't given back")
}

// isMapped says whether a mapping of this process begins at an address.
func isMapped(t *testing.T, at uintptr) bool {
	t.Helper()
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		from, to, ok := strings.Cut(strings.Fields(lines.Text())[0], "-")
		if ok && hex(t, from) <= at && at < hex(t, to) {
			return true
		}
	}
	return false
}

func hex(t *testing.T, s string) (n uintptr) {
	t.Helper()
	for _, c := range []byte(s) {
		d := strings.IndexByte("0123456789abcdef", c)
		if d < 0 {
			t.Fatalf("address %q: %q is no digit", s, c)
		}
		n = n<<4 | uintptr(d)
	}
	return n
}
