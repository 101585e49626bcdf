package match

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// faissKinds are FAISS' indexes of binary vectors that are exact within 31 bits: reading
// all; the multi-hash as HMA, the leading open matcher, sets it; the fastest setting of it
// that is exact. Bytes a hash are what building takes, to leave out what doesn't fit.
var faissKinds = []struct {
	kind, name string
	bytes      uint64
}{
	{"flat", "FAISS flat", 80},
	{"16x16", "FAISS multi-hash 16×16, as HMA", 360},
	{"11x23", "FAISS multi-hash 11×23", 900},
}

// python returns a Python that has FAISS: that of HASHFEED_BENCH_PYTHON, or the system's;
// "" if there is none.
func python() string {
	for _, p := range []string{os.Getenv("HASHFEED_BENCH_PYTHON"), "/usr/bin/python3", "python3"} {
		if p != "" && exec.Command(p, "-c", "import faiss, numpy").Run() == nil {
			return p
		}
	}
	return ""
}

// faissPeers are FAISS' indexes of the values, each in a process of its own; none, if it
// isn't installed or this run is small.
func (h *harness) faissPeers(t *testing.T, values, queries []byte) (peers []*peer) {
	if !h.full {
		return nil
	}
	py := python()
	if py == "" {
		h.tell(t, "no FAISS: Debian's package is python3-faiss")
		return nil
	}
	valuesFile, queriesFile := files(t, values, queries)
	defer os.Remove(valuesFile) // its processes have it open
	for _, k := range faissKinds {
		if need, there := uint64(len(values)/32)*k.bytes, freeMemory(); need > there {
			h.tell(t, "%s left out: needs up to %d MB, %d MB are free", k.name, need>>20, there>>20)
			continue
		}
		p, err := h.startFAISS(py, k.kind, valuesFile, queriesFile)
		if err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
		p.name = k.name
		t.Cleanup(p.end)
		h.tell(t, "%s built in %.1f s", p.name, p.build.Seconds())
		peers = append(peers, p)
	}
	return peers
}

// startFAISS starts a process and waits until it has built its index. It ends when its
// input does, so also when this process dies.
func (h *harness) startFAISS(py, kind, values, queries string) (*peer, error) {
	cmd := exec.Command(py, "testdata/peer_faiss.py", kind, values, queries)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{end: sync.OnceFunc(func() {
		in.Close()
		cmd.Wait()
	})}
	lines := json.NewDecoder(bufio.NewReader(out))
	var about struct {
		Build        float64
		Bytes        int64
		Version      string
		AVX2, POPCNT bool
	}
	if err := lines.Decode(&about); err != nil {
		in.Close()
		return nil, fmt.Errorf("build: %w, %v", err, cmd.Wait())
	}
	p.build, p.bytes = time.Duration(about.Build*1e9), about.Bytes
	h.machine.faiss = fmt.Sprintf("FAISS %s (%s AVX2, %s POPCNT instruction)", about.Version, with(about.AVX2), with(about.POPCNT))
	p.turn = func(first int, budget time.Duration) ([]reply, error) { return ask(in, lines, first, budget) }
	return p, nil
}

func ask(in io.Writer, lines *json.Decoder, first int, budget time.Duration) (rs []reply, err error) {
	if _, err := fmt.Fprintf(in, "%d %f\n", first, budget.Seconds()); err != nil {
		return nil, err
	}
	var list [][5]uint64
	if err := lines.Decode(&list); err != nil {
		return nil, err
	}
	for _, a := range list {
		rs = append(rs, reply{time.Duration(a[0]), answer{a[1], a[2], a[3], a[4]}})
	}
	return rs, nil
}

func with(b bool) string {
	if b {
		return "with"
	}
	return "without"
}
