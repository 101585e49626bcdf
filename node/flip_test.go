package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A harm is what is done to one file.
type harm struct {
	Path string
	At   int
	Mask byte // what is changed of the byte; 0: the file is cut off there
}

func (h harm) String() string {
	if h.Mask == 0 {
		return fmt.Sprintf("%s cut off at %d", h.Path, h.At)
	}
	return fmt.Sprintf("%s, byte %d, mask %#x", h.Path, h.At, h.Mask)
}

// What came of a harm.
const (
	isRefused  = "refused"  // the node doesn't start, and says why
	isFrozen   = "frozen"   // it starts, and says which feed is damaged; of the others each answer is the same
	isAlarm    = "alarm"    // it starts, and an alarm tells that receipts or erasures were lost, or the log which keys of the config are others
	isFailed   = "failed"   // a question is answered by an error, and each other answer is the same
	isFound    = "found"    // each answer is the same, and fsck finds it
	isHarmless = "harmless" // each answer is the same: nothing reads the byte, or there is a second copy
	isWrong    = "WRONG"    // an answer is another, and nobody said anything
	isPanic    = "PANIC"    // the process died, or hung
)

var outcomes = []string{isRefused, isFrozen, isAlarm, isFailed, isFound, isHarmless, isWrong, isPanic}

// effect is what a worker says of a harm.
type effect struct {
	Verdict string
	Detail  string
}

// TestFlips harms each kind of file of a node that has been used, a byte or a cut at a time, and asks the node everything.
func TestFlips(t *testing.T) {
	count := map[string]int{"full": 2000, "soak": 20_000}[os.Getenv("HASHFEED_TEST")]
	if count == 0 {
		count = 60
	}
	if raceEnabled {
		count = 16
	}
	seed := harmSeed(t)
	dir := usedNode(t)
	files, err := readFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("seeded", func(t *testing.T) { seededFlips(t, dir, files) })
	harms := chooseHarms(files, count, rand.New(rand.NewPCG(seed, 0)))
	began := time.Now()
	results := tryAll(t, dir, "", harms)
	bytesOf := map[string]int{}
	for _, f := range files {
		bytesOf[kindOf(f.path)] += len(f.data)
	}
	type row struct {
		flips, cuts int
		by          map[string]int
	}
	rows := map[string]*row{}
	total := &row{by: map[string]int{}}
	for i, h := range harms {
		kind := kindOf(h.Path)
		if rows[kind] == nil {
			rows[kind] = &row{by: map[string]int{}}
		}
		for _, r := range []*row{rows[kind], total} {
			if h.Mask == 0 {
				r.cuts++
			} else {
				r.flips++
			}
			r.by[results[i].Verdict]++
		}
		if v := results[i].Verdict; v == isWrong || v == isPanic {
			t.Errorf("%s: %s: %s", h, v, results[i].Detail)
		}
	}
	var text strings.Builder
	line := func(name string, size int, r *row) {
		fmt.Fprintf(&text, "| %s | %d | %d | %d |", name, size, r.flips, r.cuts)
		for _, o := range outcomes {
			fmt.Fprintf(&text, " %d |", r.by[o])
		}
		text.WriteString("\n")
	}
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		line(kind, bytesOf[kind], rows[kind])
	}
	all := 0
	for _, n := range bytesOf {
		all += n
	}
	line("**all**", all, total)
	fmt.Fprintf(t.Output(), "<!-- flips -->\nSeed %d, %d harms in %.0f s.\n\n| file | bytes | flips | cuts | refused | frozen | alarm | failed | fsck | harmless | wrong | panic |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n%s<!-- /flips -->\n",
		seed, len(harms), time.Since(began).Seconds(), &text)
}

// seededFlips: the harness sees a node that doesn't heed damage, one whose tables lost a hash, and one that dies.
func seededFlips(t *testing.T, dir string, files storedFiles) {
	var harms []harm
	for _, f := range files {
		if strings.HasSuffix(f.path, ".mem") {
			harms = append(harms, harm{f.path, len(f.data) / 5, 0x10})
		}
	}
	if len(harms) == 0 {
		t.Fatal("there is no write-ahead log")
	}
	for bug, want := range map[string]string{bugBlind: isWrong, bugTable: isWrong, bugPanic: isPanic} {
		results := tryAll(t, dir, bug, harms[:map[string]int{bugBlind: len(harms), bugPanic: 1}[bug]])
		if bug == bugTable { // any harm that does nothing
			results = tryAll(t, dir, bug, []harm{{"store/LOCK", 0, 1}})
		}
		if !slices.ContainsFunc(results, func(o effect) bool { return o.Verdict == want }) {
			t.Errorf("bug %s: got %v, want %s", bug, results, want)
		}
	}
}

// chooseHarms chooses half of them uniformly over all bytes that aren't holes, and half uniformly over the kinds of file, since almost
// all bytes are in tables.
func chooseHarms(files storedFiles, count int, r *rand.Rand) (harms []harm) {
	kinds := map[string]storedFiles{}
	for _, f := range files {
		if len(f.data) > 0 {
			kinds[kindOf(f.path)] = append(kinds[kindOf(f.path)], f)
		}
	}
	names := slices.Sorted(maps.Keys(kinds))
	for i := range count {
		from := files
		if i%2 == 1 {
			from = kinds[names[i/2%len(names)]]
		}
		total := 0
		for _, f := range from {
			total += len(f.data)
		}
		at := r.IntN(total)
		for _, f := range from {
			if at -= len(f.data); at < 0 {
				h := harm{f.path, at + len(f.data), 1 << r.IntN(8)}
				if r.IntN(6) == 0 {
					h.Mask = 0
				}
				harms = append(harms, h)
				break
			}
		}
	}
	return harms
}

// tryAll has workers try harms; one that dies is replaced.
func tryAll(t testing.TB, dir, bug string, harms []harm) []effect {
	t.Helper()
	results := make([]effect, len(harms))
	jobs := make(chan int)
	var all sync.WaitGroup
	for range min(2, len(harms)) {
		all.Go(func() {
			var w *flipProcess
			for i := range jobs {
				if w == nil {
					var err error
					if w, err = startFlipProcess(dir, bug); err != nil {
						t.Error(err)
						w = nil
						continue
					}
				}
				var alive bool
				if results[i], alive = w.try(harms[i]); !alive {
					w = nil
				}
			}
			if w != nil {
				w.in.Close()
				w.cmd.Wait()
			}
		})
	}
	for i := range harms {
		jobs <- i
	}
	close(jobs)
	all.Wait()
	return results
}

type flipProcess struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *bytes.Buffer
}

func startFlipProcess(dir, bug string) (*flipProcess, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), flipDir+"="+dir, flipBug+"="+bug)
	w := &flipProcess{cmd: cmd, stderr: &bytes.Buffer{}}
	cmd.Stderr = w.stderr
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	w.in, w.out = in, bufio.NewReader(out)
	return w, errors.Join(err, err2, cmd.Start())
}

// hangs is how long a worker may take over one harm.
const hangs = 60 * time.Second

func (w *flipProcess) try(h harm) (o effect, alive bool) {
	hung := time.AfterFunc(hangs, func() { w.cmd.Process.Kill() })
	defer hung.Stop()
	err := json.NewEncoder(w.in).Encode(h)
	if err == nil {
		err = json.NewDecoder(w.out).Decode(&o)
	}
	if err != nil {
		w.in.Close()
		w.cmd.Wait()
		text := w.stderr.String()
		return effect{isPanic, fmt.Sprintf("the process ended: %v\n%.3000s", w.cmd.ProcessState, text)}, false
	}
	return o, true
}

// harmSeed is HASHFEED_SEED, or another each time; it is printed.
func harmSeed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64N(1_000_000)
	if text := os.Getenv("HASHFEED_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("HASHFEED_SEED: %v", err)
		}
	}
	t.Logf("HASHFEED_SEED=%d", seed)
	return seed
}
