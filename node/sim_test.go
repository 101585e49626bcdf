package node

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// simRange is which seeds are played: HASHFEED_SEED is one, or the first of HASHFEED_SEEDS; more with HASHFEED_TEST.
func simRange(t *testing.T) (first, n uint64) {
	t.Helper()
	first, n = 1, 8
	switch {
	case raceEnabled:
		n = 2
	case os.Getenv("HASHFEED_TEST") == "full":
		n = 300
	case os.Getenv("HASHFEED_TEST") == "soak":
		n = 3000
	}
	number := func(name string, into *uint64) bool {
		s := os.Getenv(name)
		if s == "" {
			return false
		}
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		*into = v
		return true
	}
	if number("HASHFEED_SEED", &first) {
		n = 1
	}
	number("HASHFEED_SEEDS", &n)
	return first, n
}

// TestSimulation plays networks of whole nodes. TestSimulation/seeds plays plans made from seeds: HASHFEED_SEED=n one, HASHFEED_SEEDS=k so many
// from there on. What it logs in the end is a section of docs/reliability.md (make simulation).
func TestSimulation(t *testing.T) {
	r := &simResults{sum: simTally{kinds: map[simKind]int{}}, bugs: map[string][]violation{}, healed: map[time.Duration]time.Duration{}}
	root, err := newSimRoot()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root.dir)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *simRoot, *simResults)
	}{
		{"seeds", simSeeds}, {"bugs", simFindsBugs}, {"reach", simReach}, {"reach after a partition", simReachAfterPartition},
		{"split view", simSplitView}, {"removed member", simRemovedMember},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, root, r) })
	}
	if r.complete() { // else HASHFEED_SEED or -run has chosen some
		t.Logf("\n<!-- simulation -->\n%s<!-- /simulation -->", r.section())
	}
}

// simSeeds plays a plan for each seed.
func simSeeds(t *testing.T, root *simRoot, r *simResults) {
	first, n := simRange(t)
	r.seeds = [2]uint64{first, first + n - 1}
	begun := cpuTime()
	t.Run("of", func(t *testing.T) {
		for seed := first; seed < first+n; seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				plan := newSimPlan(seed)
				w := playSim(t, root, plan, simBug{})
				r.mu.Lock()
				r.sum.add(w.tally)
				r.found += len(w.found)
				r.mu.Unlock()
				if len(w.found) == 0 {
					return
				}
				t.Errorf("seed %d (HASHFEED_SEED=%d go test -run TestSimulation/seeds ./node): %s", seed, seed, violations(w.found))
				t.Logf("it also happens with\n%v", shorten(t, root, plan, w.found[0].invariant))
			})
		}
	})
	t.Logf("seeds %d to %d: %+v, %v of CPU", first, first+n-1, r.sum, cpuTime()-begun)
}

// shorten leaves out of a plan what isn't needed to break an invariant, as long as that takes less than a minute.
func shorten(t *testing.T, root *simRoot, plan simPlan, invariant string) simPlan {
	begun := time.Now()
	for size := len(plan.ops) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(plan.ops); {
			if time.Since(begun) > time.Minute {
				return plan
			}
			less := plan
			less.ops = append(append([]simOp{}, plan.ops[:at]...), plan.ops[at+size:]...)
			if w := playSim(t, root, less, simBug{}); len(w.found) > 0 && w.found[0].invariant == invariant {
				plan = less
			} else {
				at += size
			}
		}
	}
	return plan
}

func (s *simTally) add(o simTally) {
	s.nodes += o.nodes
	for k, n := range o.kinds {
		s.kinds[k] += n
	}
	s.refused += o.refused
	s.checks += o.checks
	s.answers += o.answers
	s.records += o.records
	s.converged = max(s.converged, o.converged)
	s.pairBytes = max(s.pairBytes, o.pairBytes)
	s.quietPackets, s.quietBytes = max(s.quietPackets, o.quietPackets), max(s.quietBytes, o.quietBytes)
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
