package match

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// A machine is what figures depend on.
type machine struct {
	load         string // before the first of them
	faiss, redis string // "": they didn't take part
}

func thisMachine() *machine {
	return &machine{load: word("/proc/loadavg", `^\S+`)}
}

// word returns what a pattern finds in a file, its first group if it has one.
func word(path, pattern string) string {
	b, _ := os.ReadFile(path)
	m := regexp.MustCompile("(?m)" + pattern).FindSubmatch(b)
	if m == nil {
		return "unknown"
	}
	return string(m[len(m)-1])
}

// meminfo returns a figure of the system's memory, in bytes.
func meminfo(name string) uint64 {
	n, _ := strconv.ParseUint(word("/proc/meminfo", name+`:\s+(\d+) kB`), 10, 64)
	return n << 10
}

func freeMemory() uint64 { return meminfo("MemAvailable") }

func (m *machine) String() string {
	parts := []string{
		fmt.Sprintf("%s, %d processors", word("/proc/cpuinfo", `^model name\s*: (.*)$`), runtime.NumCPU()),
		fmt.Sprintf("%.0f GB of memory", float64(meminfo("MemTotal"))/(1<<30)),
		"Linux " + word("/proc/sys/kernel/osrelease", `^\d+\.\d+`),
		fmt.Sprintf("Go %s with GOAMD64=%s", strings.TrimPrefix(runtime.Version(), "go"), setting("GOAMD64")),
	}
	for _, s := range []string{m.faiss, m.redis} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return fmt.Sprintf("%s; load %s at the start.", strings.Join(parts, ", "), m.load)
}

// setting returns what this program was built with.
func setting(key string) string {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return "unknown"
}
