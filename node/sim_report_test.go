package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// simResults is what the simulations of a run came to.
type simResults struct {
	mu      sync.Mutex
	seeds   [2]uint64
	sum     simTally
	found   int
	bugs    map[string][]violation // by invariant: what its bug was reported as
	reach   reachResult
	healed  map[time.Duration]time.Duration // by how long the partition lasted
	splits  []time.Duration
	removed bool
}

type reachResult struct {
	retractions, members int
	median, p99, most    time.Duration
}

// simChecks says how each invariant is looked at.
var simChecks = map[string]string{
	"I1": "a ledger outside the nodes has the leaf of every record that a verb acknowledged; the publisher's store must have it, and each member's store what it has cosigned",
	"I2": "charters from the pinned anchor, head, every head of a record and every body are verified anew from the store's bytes, the tree by golang.org/x/mod; every match must be of a record so verified",
	"I3": "size, stamp, charter and roster of every feed at every node only rise; after a restart before the network is joined",
	"I4": "where there is evidence no head is adopted and what was active still matches; where nothing was said twice there is no evidence; in the end every follower has it",
	"I5": "no item of which a retraction is here matches, at any node, after whatever followed; a reinstated one may",
	"I6": "within two minutes of the end of all faults every member has its publisher's head, charter, roster, suspensions and counted size, and its state comes to the same report",
	"I7": "what is held of others (`hashfeed_gossip_held`) is at most what nodes, logs and notes there are; a node sends another at most 120 packets and 64 KiB in half a minute in which nothing happens, and 512 KiB and 32 KiB for each thing that happens altogether",
	"I8": "views and tables made anew from the store answer every hash as the live ones, byte for byte, and hold as many values",
}

// simBugsFound are the bugs of hashfeed, not put in, that this simulation has found.
var simBugsFound = []struct{ bug, by, test string }{
	{"A witness's line that reached a member while it still fetched what was witnessed was dropped, and the peer believed that it had arrived: on a slow link " +
		"every addition of a feed with a quorum stayed pending there until the next stamp.", "I6, seed 5", "`TestCosignedWhileFetching` in node/gossip"},
}

// complete reports whether every part was run.
func (r *simResults) complete() bool {
	return r.sum.nodes > 0 && len(r.bugs) == len(simInvariants) && r.reach.retractions > 0 && len(r.healed) > 0 && len(r.splits) > 0 && r.removed
}

func (r *simResults) section() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	say(`## Networks in simulation

Whole nodes (store on disk, gossip, views, match tables) in one process, on a simulated network (QUIC over packets in memory) and in fake time.
What happens follows from a seed: 5 to 20 nodes, 1 to 3 publishers, some with a quorum of witnesses; links of 10 to 300 ms each way, up to
5 %% of packets lost; clocks up to 30 s apart and set; partitions; nodes stopped in order, or ended as by SIGKILL and started from what was on
the disk; members removed and added; charters changed; a node that claims to be the publisher, with keys of its own; a publisher whose
directory runs twice and who tells two halves, or one eclipsed node and the rest, two stories, before they meet.
'make simulation' plays seeds %d to %d and writes this section; 'HASHFEED_SEED=n go test -run TestSimulation$ ./node' plays one again. How
goroutines interleave is the scheduler's, so a seed is a plan, not a recording.

`, r.seeds[0], r.seeds[1])
	s := r.sum
	say("| | |\n| --- | --- |\n")
	say("| seeds | %d (%d to %d) |\n| nodes | %d, all with a store on disk |\n", r.seeds[1]-r.seeds[0]+1, r.seeds[0], r.seeds[1], s.nodes)
	var ops, faults []string
	for _, k := range slices.Sorted(maps.Keys(s.kinds)) {
		line := fmt.Sprintf("%s %d", k, s.kinds[k])
		switch {
		case k == simCheck:
		case simFaults[k]:
			faults = append(faults, line)
		default:
			ops = append(ops, line)
		}
	}
	say("| work | %s |\n| refused to sign without having heard a member | %d |\n| faults | %s |\n", strings.Join(ops, ", "), s.refused, strings.Join(faults, ", "))
	say("| records acknowledged | %d |\n| moments at which every node was checked | %d |\n| answers compared | %d |\n", s.records, s.checks, s.answers)
	say("| longest until all had converged after the last fault | %v of fake time |\n", s.converged.Round(100*time.Millisecond))
	say("| most that a node has sent another in half a quiet minute, and in a whole run | %d packets, %d bytes; %d bytes |\n", s.quietPackets, s.quietBytes, s.pairBytes)
	say("| **violations** | **%d** |\n\n", r.found)
	say("An invariant is worth what it would notice: a test puts one bug after the other in, and demands that its invariant is reported, and no other.\n\n")
	say("| invariant | checked by | seeded bug | reported as |\n| --- | --- | --- | --- |\n")
	for _, inv := range simInvariants {
		for _, bug := range simBugs {
			if bug.breaks == inv.id {
				found := r.bugs[inv.id]
				kinds := map[string]bool{}
				for _, v := range found {
					kinds[v.invariant] = true
				}
				say("| %s %s | %s | %s | %s |\n", inv.id, inv.says, simChecks[inv.id], bug.is, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
			}
		}
	}
	say("\n### How far and how fast\n\nTwenty nodes, links of 50 to 150 ms each way, 1 %% of packets lost; fake time, so the figures are the network's and not the machine's.\n")
	say("Three real processes on loopback: `BenchmarkReach` in cmd/hashfeed.\n\n| what | promised | measured |\n| --- | --- | --- |\n")
	say("| a retraction acts at a member, from the call of `retract` (%d retractions, %d members) | p99 2 s | median %v, p99 %v, most %v |\n", r.reach.retractions,
		r.reach.members, ms(r.reach.median), ms(r.reach.p99), ms(r.reach.most))
	for _, d := range slices.Sorted(maps.Keys(r.healed)) {
		say("| the same, after a partition of %v has ended | 60 s | most %v |\n", d, ms(r.healed[d]))
	}
	say("| two that tell two stories of a feed are linked: both have evidence | one exchange of lists | most %v |\n", ms(slices.Max(r.splits)))
	say("| a removed member gets what is committed later, from members that have the roster | nothing | nothing, over three restarts of it |\n")
	say("\n### What it has found\n\n| bug | found by | reproduced by |\n| --- | --- | --- |\n")
	for _, f := range simBugsFound {
		say("| %s | %s | %s |\n", f.bug, f.by, f.test)
	}
	return b.String()
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
