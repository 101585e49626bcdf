# One line a target. CGO_ENABLED=0 gives one static binary.
export CGO_ENABLED ?= 0
GO ?= go
FUZZTIME ?= 10s

.PHONY: build test race fuzz lint bench bench-match knowngood demo test-full soak reliability simulation

build:
	$(GO) build -trimpath -o bin/hashfeed ./cmd/hashfeed

test:
	$(GO) test -timeout 20m $(TESTFLAGS) ./...

# race runs node/gossip on one processor: a synctest bubble's timers have one context in the race detector, and two threads that run
# them at once, each in its own select, crash it (Go 1.26.8, raceCtx in runtime.(*timer).unlockAndRun). Races are found by order, not by chance.
race:
	CGO_ENABLED=1 $(GO) test -race -timeout 40m $(TESTFLAGS) $$($(GO) list ./... | grep -v '/node/gossip$$')
	CGO_ENABLED=1 $(GO) test -race -cpu 1 -timeout 40m $(TESTFLAGS) ./node/gossip

# test-full runs the tests that have a longer form, in that form. HARM is those of them that do harm.
HARM = Killed|PowerCut|Fault|Flip|DiskFull|Hostile|Simul
test-full:
	HASHFEED_TEST=full $(GO) test -count=1 -timeout 40m -run '$(HARM)|TestDemo|TestEveryFile|TestMend|TestGuardBugs' $(TESTFLAGS) ./...

# soak is test-full with ten times the harm: hours, not minutes.
soak:
	HASHFEED_TEST=soak $(GO) test -count=1 -timeout 6h -v -run '$(HARM)' $(TESTFLAGS) ./...

# reliability does what test-full does of it, and writes the tables of docs/reliability.md.
reliability:
	HASHFEED_TEST=full $(GO) test -count=1 -timeout 60m -v -run '$(HARM)' $(TESTFLAGS) ./... | python3 .ci/tables docs/reliability.md

# simulation plays all seeds of the networks in simulation, and writes their section of docs/reliability.md.
simulation:
	HASHFEED_TEST=full $(GO) test -count=1 -timeout 60m -v -run '^TestSimulation$$' $(TESTFLAGS) ./node | python3 .ci/tables docs/reliability.md

fuzz:
	@GO=$(GO) FUZZTIME=$(FUZZTIME) sh .ci/fuzz

lint:
	sh .ci/lint

# knowngood makes the built-in list of known-good files anew, from Debian and npm packages: minutes, and a network.
knowngood:
	$(GO) run ./node/knowngood/generate

bench:
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

# bench-match measures the tables beside FAISS (Debian's python3-faiss), Redis (redis-server), Go's map and reading all, checks every
# answer, and writes the tables of docs/benchmarks.md. SIZES may have 50000000: an hour and 20 GB of memory.
SIZES ?= 1000000 10000000
ROUNDS ?= 5
PYTHON ?= /usr/bin/python3
bench-match:
	HASHFEED_BENCH_MATCH="$(SIZES)" HASHFEED_BENCH_ROUNDS=$(ROUNDS) HASHFEED_BENCH_PYTHON=$(PYTHON) $(GO) test -count=1 -timeout 4h -v -run '^TestPeers$$' ./node/match | python3 .ci/tables docs/benchmarks.md

demo: build
	bin/hashfeed demo
