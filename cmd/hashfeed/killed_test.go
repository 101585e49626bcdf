package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// A ledger is what a daemon has acknowledged, kept outside of it: each listed hash, its record, and whether it was retracted.
type ledger struct {
	mu        sync.Mutex
	listed    map[feed.Hash]string
	retracted map[feed.Hash]bool
	doubtful  map[feed.Hash]bool // asked for, and not answered: it may be either
	recent    []feed.Hash        // listed since the last check
	next      int
	early     bool // the seeded bug: believes what wasn't answered yet
}

func newLedger() *ledger {
	return &ledger{listed: map[feed.Hash]string{}, retracted: map[feed.Hash]bool{}, doubtful: map[feed.Hash]bool{}}
}

// items makes items that were never listed.
func (l *ledger) items(n int) (r api.Publish, hashes []feed.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.next++
		text := fmt.Sprintf("sha1:0123456789abcdef01234567%016x", l.next)
		h, err := feed.ParseHash(text)
		if err != nil {
			panic(err)
		}
		r.Items = append(r.Items, api.Item{Verdict: "national", Media: "image", Hashes: []string{text}})
		hashes = append(hashes, h)
	}
	return r, hashes
}

// live publishes and retracts until the daemon is gone.
func (l *ledger) live(ctx context.Context, a *actor, first func()) {
	for {
		r, hashes := l.items(1 + rand.IntN(8)*rand.IntN(8))
		if l.early {
			l.note(hashes, make([]api.Published, len(hashes)))
			first()
		}
		made, err := a.door.Publish(ctx, r)
		if err != nil {
			return
		}
		l.note(hashes, made)
		first()
		if rand.IntN(3) > 0 {
			continue
		}
		ref, err := feed.ParseRef(made[0].Ref)
		if err != nil {
			return
		}
		l.mark(l.doubtful, hashes[0], true)
		if _, err := a.door.Retract(ctx, ref, feed.FalsePositive); err != nil {
			return
		}
		l.mark(l.retracted, hashes[0], true)
		l.mark(l.doubtful, hashes[0], false)
	}
}

func (l *ledger) note(hashes []feed.Hash, made []api.Published) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, h := range hashes {
		l.listed[h] = made[i].Ref
	}
	l.recent = append(l.recent, hashes...)
}

func (l *ledger) mark(set map[feed.Hash]bool, h feed.Hash, in bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if set[h] = in; !in {
		delete(set, h)
	}
}

// check asks a daemon for what was acknowledged since the last time, and for some, or all, of what was before.
func (l *ledger) check(ctx context.Context, a *actor, all bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	hashes := l.recent
	l.recent = nil
	some := 300
	for h := range l.listed { // in any order
		if some--; some < 0 && !all {
			break
		}
		hashes = append(hashes, h)
	}
	for len(hashes) > 0 {
		part := hashes[:min(10_000, len(hashes))]
		hashes = hashes[len(part):]
		verdicts, err := a.door.Match(ctx, part, false)
		if err != nil {
			return err
		}
		for i, h := range part {
			v := verdicts[i]
			switch {
			case l.doubtful[h]:
			case l.retracted[h]:
				if v.Verdict != policy.OutcomeAllow {
					return fmt.Errorf("sha1:%s, retracted, is %s", hex.EncodeToString(h.Bytes()), v.Verdict)
				}
			case len(v.Matches) != 1 || l.listed[h] != "" && v.Matches[0].Ref != l.listed[h]:
				return fmt.Errorf("sha1:%s, acknowledged as %s, has %d matches", hex.EncodeToString(h.Bytes()), l.listed[h], len(v.Matches))
			}
		}
	}
	return nil
}

// A publishing is a hotline's daemon that is killed again and again while several clients publish.
type publishing struct {
	s *story
	a *actor
	l *ledger
}

// program is the binary, where all harm is to be done; else this test, which is the same program under that name.
func program(t *testing.T) string {
	t.Helper()
	if os.Getenv("HASHFEED_TEST") != "" {
		return buildProgram(t)
	}
	path, err := exec.LookPath("hashfeed")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func newPublishing(t *testing.T, binary string) *publishing {
	t.Helper()
	dir, err := os.MkdirTemp("", "hf") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	p := &publishing{s: &story{self: binary, dir: dir, env: &env{}}, l: newLedger()}
	t.Cleanup(func() {
		if p.a != nil {
			p.a.end()
		}
		os.RemoveAll(dir)
	})
	if p.a, err = p.s.newActor(t.Context(), "hotline.example", "hotline"); err != nil {
		t.Fatal(err)
	}
	return p
}

// round starts the daemon, checks all that was acknowledged, publishes, and kills it.
func (p *publishing) round(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := p.s.start(ctx, p.a); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	err := p.l.check(ctx, p.a, false)
	var all sync.WaitGroup
	var once sync.Once
	begun := make(chan struct{})
	for range 3 {
		all.Go(func() { p.l.live(ctx, p.a, func() { once.Do(func() { close(begun) }) }) })
	}
	select {
	case <-begun:
	case <-ctx.Done():
		err = errors.Join(err, errors.New("nothing was published"))
	}
	time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
	p.a.cmd.Process.Kill()
	<-p.a.ended
	all.Wait()
	p.a.door.Close()
	p.a.log.Close()
	p.a.cmd, p.a.door = nil, nil
	return err
}

// TestDaemonKilled kills a hotline's daemon at random moments while clients publish and retract. Each time it must start again, and
// answer for all that it has acknowledged; at the end its feed, mirrored, must verify.
func TestDaemonKilled(t *testing.T) {
	rounds := map[string]int{"full": 200, "soak": 2000}[os.Getenv("HASHFEED_TEST")]
	if rounds == 0 {
		rounds = 6
	}
	p := newPublishing(t, program(t))
	began := time.Now()
	for i := range rounds {
		if err := p.round(t); err != nil {
			text, _ := os.ReadFile(p.a.dir + ".log")
			t.Fatalf("round %d: %v\n%s", i, err, text[max(0, len(text)-3000):])
		}
	}
	if err := p.s.start(t.Context(), p.a); err != nil {
		t.Fatal(err)
	}
	if err := p.l.check(t.Context(), p.a, true); err != nil {
		t.Fatal(err)
	}
	id, err := p.a.door.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mirror := filepath.Join(p.s.dir, "mirror")
	if _, err := p.s.run(t.Context(), p.a, "feed", "mirror", id.Origin, mirror); err != nil {
		t.Fatal(err)
	}
	out, err := p.s.run(t.Context(), p.a, "feed", "verify", mirror, "--anchor", id.Anchor, "--json")
	if err != nil {
		t.Fatal(err)
	}
	if valid, err := lookup(string(out), "valid"); err != nil || valid != "true" {
		t.Errorf("verify: %s %v", out, err)
	}
	fmt.Fprintf(t.Output(), "<!-- sigkill-daemon -->\n| rounds | listings acknowledged | retractions acknowledged | lost | undone | didn't start | time |\n|---|---|---|---|---|---|---|\n| %d | %d | %d | 0 | 0 | 0 | %.0f s |\n<!-- /sigkill-daemon -->\n",
		rounds, len(p.l.listed), len(p.l.retracted), time.Since(began).Seconds())
	if len(p.l.listed) < rounds {
		t.Errorf("%d listings in %s rounds", len(p.l.listed), strconv.Itoa(rounds))
	}
}

// TestDaemonKilledSeeded: the harness sees that what wasn't answered is lost.
func TestDaemonKilledSeeded(t *testing.T) {
	p := newPublishing(t, program(t))
	p.l.early = true
	for range 30 {
		if err := p.round(t); err != nil {
			t.Log(err)
			return
		}
	}
	t.Error("30 rounds, and nothing was missed")
}
