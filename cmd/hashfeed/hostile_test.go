//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"hashfeed/feed"
	"hashfeed/node/api"
)

// hostileMemory is what each victim may use.
const hostileMemory = 256 << 20

// A hostileWorld is a hotline and a host, each a daemon in a memory cgroup of its own, and a program to talk to them with.
type hostileWorld struct {
	t             *testing.T
	ctx           context.Context
	out           *story // runs the program outside of the cgroups
	hotline, host *actor
	jails         map[*actor]*jail
	rows          strings.Builder
	honest        []string // peer ids
	most          map[*actor]int64
}

// TestHostile lets raw libp2p hosts that lie, leak, drown and stall at real daemons, which may use 256 MiB each.
func TestHostile(t *testing.T) {
	binary := buildProgram(t)
	dir, err := os.MkdirTemp("", "hf") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute+10*floodTime())
	defer cancel()
	w := &hostileWorld{t: t, ctx: ctx, out: &story{self: binary, dir: dir, env: &env{}}, jails: map[*actor]*jail{}, most: map[*actor]int64{}}
	began := time.Now()
	if !w.set(binary) {
		return
	}
	defer func() {
		if t.Failed() {
			for _, a := range []*actor{w.hotline, w.host} {
				text, _ := os.ReadFile(a.dir + ".log")
				t.Logf("log of %s:\n%s", a.name, text[max(0, len(text)-6000):])
			}
		}
		w.hotline.end()
		w.host.end()
	}()
	w.leaks()
	w.lies()
	w.floods()
	for _, a := range []*actor{w.hotline, w.host} {
		w.measure(a)
		j := w.jails[a]
		if n := j.killed(); n != 0 {
			t.Errorf("%s: %d processes were killed for using more than %d MiB", a.name, n, hostileMemory>>20)
		}
		fmt.Fprintf(&w.rows, "| %s through all of it | | resident ≤ %d MiB, with the cache of files ≤ %d MiB, of 256; killed: %d |\n",
			a.name, w.most[a]>>20, j.peak()>>20, j.killed())
	}
	fmt.Fprintf(t.Output(), "<!-- hostile -->\n%.0f s.\n\n| who, what | named | outcome |\n|---|---|---|\n%s<!-- /hostile -->\n", time.Since(began).Seconds(), &w.rows)
}

func (w *hostileWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *hostileWorld) start(a *actor) {
	w.t.Helper()
	s := *w.out
	s.self = w.jails[a].program
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	w.must(s.start(ctx, a))
	w.honest = append(w.honest, a.peer)
}

// end ends a daemon, having looked at the most that it used.
func (w *hostileWorld) end(a *actor) {
	w.measure(a)
	a.end()
}

func (w *hostileWorld) measure(a *actor) {
	if a.cmd != nil {
		w.most[a] = max(w.most[a], resident(a.cmd.Process.Pid))
	}
}

// set makes the two nodes, has them pair, and lists something; false: they can't be jailed here.
func (w *hostileWorld) set(binary string) bool {
	for _, of := range []struct {
		name, role string
		to         **actor
	}{{"hotline.example", "hotline", &w.hotline}, {"host.example", "host", &w.host}} {
		a, err := w.out.newActor(w.ctx, of.name, of.role)
		w.must(err)
		*of.to = a
		if w.jails[a] = newJail(w.t, binary, hostileMemory); w.jails[a] == nil {
			return false
		}
		config, err := os.ReadFile(filepath.Join(a.dir, "hashfeed.toml"))
		w.must(err)
		w.must(os.WriteFile(filepath.Join(a.dir, "hashfeed.toml"), append(config, "\n[limits]\nmemory = \"128 MiB\"\n"...), 0o600))
		w.start(a)
	}
	_, err := w.hotline.door.CreateFeed(w.ctx, api.CreateFeed{Name: "urgent"})
	w.must(err)
	w.publish("known", 600)
	w.publish("urgent", 20)
	_, err = w.hotline.door.AddMember(w.ctx, api.AddMember{PeerID: w.host.peer, Name: w.host.name})
	w.must(err)
	id, err := w.hotline.door.Identity(w.ctx)
	w.must(err)
	_, err = w.host.door.Follow(w.ctx, api.Follow{Invite: id.Invite})
	w.must(err)
	w.same()
	return true
}

var hostileItem int

// publish lists items in a feed of the hotline, and returns the last one's reference.
func (w *hostileWorld) publish(name string, count int) string {
	w.t.Helper()
	r := api.Publish{Feed: name}
	for range count {
		hostileItem++
		r.Items = append(r.Items, api.Item{Verdict: "national", Media: "image", Hashes: []string{fmt.Sprintf("md5:0123456789abcdef%016x", hostileItem)}})
	}
	made, err := w.hotline.door.Publish(api.WithAlone(w.ctx), r)
	w.must(err)
	return made[len(made)-1].Ref
}

// same waits until the host has all of the hotline's feed, and says how long that took.
func (w *hostileWorld) same() time.Duration {
	w.t.Helper()
	f, err := w.hotline.door.Feed(w.ctx, "known")
	w.must(err)
	ctx, cancel := context.WithTimeout(w.ctx, 60*time.Second)
	defer cancel()
	took, err := w.host.has(ctx, string(knownFeed), f.Size)
	w.must(err)
	return took
}

// row notes what came of an attack.
func (w *hostileWorld) row(what, named, format string, args ...any) {
	fmt.Fprintf(&w.rows, "| %s | %s | "+format+" |\n", append([]any{what, named}, args...)...)
}

// named waits for the alarm that names a peer as one that lied.
func (w *hostileWorld) named(a *actor, m *mallory, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(w.ctx, within)
	defer cancel()
	_, err := until(ctx, func() (bool, error) {
		status, err := a.door.Status(ctx)
		return err == nil && slices.ContainsFunc(status.Alarms, func(l api.Alarm) bool {
			return l.Code == "peer-lied" && strings.Contains(l.Text, m.peerID())
		}), nil
	})
	return err == nil
}

// fair wants no honest peer to be named, and the two to be connected.
func (w *hostileWorld) fair() {
	w.t.Helper()
	for _, a := range []*actor{w.hotline, w.host} {
		status, err := a.door.Status(w.ctx)
		w.must(err)
		for _, l := range status.Alarms {
			for _, id := range w.honest {
				if l.Code == "peer-lied" && strings.Contains(l.Text, id) {
					w.t.Errorf("%s names an honest peer: %s", a.name, l.Text)
				}
			}
		}
		for _, f := range status.Feeds {
			if f.State != "ok" {
				w.t.Errorf("%s: %s is %s: %s", a.name, f.Origin, f.State, f.StateText)
			}
		}
	}
}

// raw makes a raw host, a member of a feed of the hotline if one is named.
func (w *hostileWorld) raw(name, feed string) *mallory {
	w.t.Helper()
	m, err := newMallory(name)
	w.must(err)
	w.t.Cleanup(m.close)
	if feed != "" {
		_, err := w.hotline.door.AddMember(w.ctx, api.AddMember{Feed: feed, PeerID: m.peerID(), Name: name})
		w.must(err)
	}
	return m
}

// leaks: whoever isn't a member asks for everything, and each byte that comes back is counted.
func (w *hostileWorld) leaks() {
	removed := w.raw("removed.example", "known")
	other := w.raw("urgent.example", "urgent")
	member := w.raw("member.example", "known")
	w.must(w.hotline.door.RemoveMember(w.ctx, "known", removed.peerID()))
	for _, of := range []struct {
		who    string
		m      *mallory
		vetted bool
		served bool
	}{{"an outsider", w.raw("outsider.example", ""), false, false}, {"a removed member", removed, false, false},
		{"a member of another feed", other, true, false}, {"a member (to see that the counter counts)", member, true, true}} {
		told := of.m.listens()
		got := of.m.asksForAll(w.ctx, w.hotline, knownFeed, of.vetted)
		heard := told()
		if !of.vetted {
			got += len(heard)
		}
		if bytes.Contains(heard, []byte(knownFeed)) && !of.served {
			w.t.Errorf("%s is told of %s", of.who, knownFeed)
		}
		if (got > 0) != of.served {
			w.t.Errorf("%s got %d bytes of %s", of.who, got, knownFeed)
		}
		if w.named(w.hotline, of.m, 10*time.Millisecond) {
			w.t.Errorf("%s is called a liar for asking", of.who)
		}
		w.row(of.who+" asks for everything", "-", "%d bytes served", got)
	}
	if n := other.asksForAll(w.ctx, w.hotline, "hotline.example/urgent", true); n == 0 {
		w.t.Error("a member of the other feed gets nothing of that, either")
	}
}

// lies: each liar is the only one that the host can reach when records are missing. It must be named if it lied, and must not be if it
// was only slow or broken, and the feed must be completed from the hotline afterwards.
func (w *hostileWorld) lies() {
	for _, of := range []struct {
		what  string
		lied  bool
		reply func(part []byte, path string) []byte // what is sent for a part, with its length
	}{
		{"honest (to see that nobody is named for nothing)", false, sized},
		{"a forged head", true, func(part []byte, path string) []byte {
			return sized(changed(part, strings.HasPrefix(path, "tile/entries")), path)
		}},
		{"a forged body", true, func(part []byte, path string) []byte {
			return sized(changed(part, strings.HasPrefix(path, "body")), path)
		}},
		{"a truncated body", true, func(part []byte, path string) []byte {
			if strings.HasPrefix(path, "body") {
				part = part[:len(part)-7]
			}
			return sized(part, path)
		}},
		{"messages cut off in the middle", false, nil},
		{"an oversized message", true, func([]byte, string) []byte { return append([]byte{0x7f, 0xff, 0xff, 0xff}, make([]byte, 8<<20)...) }},
		{"slow", false, func(part []byte, path string) []byte {
			time.Sleep(4 * time.Second)
			return sized(part, path)
		}},
		{"reordered parts", true, nil},
		{"endless", true, nil},
	} {
		if !full() && !slices.Contains([]string{"a forged body", "endless"}, of.what) {
			continue
		}
		name := "liar" + fmt.Sprint(len(w.honest)) + ".example"
		m := w.raw(name, "known")
		w.must(w.host.door.AddPeer(w.ctx, api.AddPeer{PeerID: m.peerID(), Name: name, Address: m.address()}))
		w.end(w.host)
		w.publish("known", 300)
		w.must(m.steal(w.ctx, w.hotline, knownFeed))
		w.end(w.hotline)
		var asked atomic.Int64
		m.hands(of.what, of.reply, &asked)
		w.start(w.host)
		if err := m.announce(w.ctx, w.host); err != nil {
			w.t.Fatalf("%s: %v", of.what, err)
		}
		within := 3 * time.Second
		if of.lied {
			within = 20 * time.Second
		}
		named := w.named(w.host, m, within)
		if asked.Load() == 0 {
			w.t.Errorf("%s: it was never asked", of.what)
		}
		if named != of.lied {
			w.t.Errorf("%s: named: %v, want %v", of.what, named, of.lied)
		}
		w.start(w.hotline)
		took := w.same()
		w.fair()
		outcome := fmt.Sprintf("complete %s after the hotline came back", took.Round(time.Millisecond))
		if strings.HasPrefix(of.what, "honest") {
			outcome = "complete"
		}
		w.row("a member serves: "+of.what, map[bool]string{true: "yes", false: "no"}[named], "%s", outcome)
		m.close()
	}
}

// floods: members drown both daemons, in every protocol at once. Meanwhile a retraction must get through.
func (w *hostileWorld) floods() {
	for _, of := range []struct {
		what string
		do   func(ctx context.Context, m *mallory, to peer.ID, proto string) error
	}{
		{"old heads, again and again", func(ctx context.Context, m *mallory, to peer.ID, _ string) error {
			return m.pours(ctx, to, malloryHeads, func() []byte {
				data, _ := deterministic.Marshal(map[int]any{20: m.head, 21: []string{}, 22: string(knownFeed.Log(1))})
				return sized(data, "")
			}, true)
		}},
		{"garbage without end", func(ctx context.Context, m *mallory, to peer.ID, proto string) error {
			return m.pours(ctx, to, proto, func() []byte { return bytes.Repeat([]byte{byte(rand.Uint32())}, 64<<10) }, false)
		}},
		{"messages that announce 2 GiB", func(ctx context.Context, m *mallory, to peer.ID, proto string) error {
			return m.pours(ctx, to, proto, func() []byte { return append([]byte{0x7f, 0xff, 0xff, 0xff}, make([]byte, 64<<10)...) }, false)
		}},
		{"half messages, and then silence, on every stream that opens", func(ctx context.Context, m *mallory, to peer.ID, proto string) error {
			s, err := m.host.NewStream(ctx, to, protocol.ID(proto))
			if err != nil {
				return err
			}
			defer s.Reset()
			s.Write([]byte{0, 0, 1, 0, 0xa1})
			<-ctx.Done()
			return nil
		}},
		{"questions without end", func(ctx context.Context, m *mallory, to peer.ID, _ string) error {
			s, err := m.ask(ctx, to, malloryTiles, map[int]any{1: string(knownFeed.Log(1)), 2: 256, 3: []string{feed.BodyPath(0, 256)}})
			if err != nil {
				return err
			}
			defer s.Reset()
			_, err = io.Copy(io.Discard, s)
			return err
		}},
		{"new connections without end", func(ctx context.Context, m *mallory, to peer.ID, _ string) error {
			return m.host.Network().ClosePeer(to)
		}},
	} {
		if !full() && !strings.HasPrefix(of.what, "garbage") {
			continue
		}
		m := w.raw("flood"+fmt.Sprint(rand.IntN(1_000_000))+".example", "known")
		w.must(m.steal(w.ctx, w.hotline, knownFeed))
		ref := w.publish("known", 1) // what m has is old from now on
		parsed, err := feed.ParseRef(ref)
		w.must(err)
		w.same()
		ctx, cancel := context.WithTimeout(w.ctx, floodTime())
		var all sync.WaitGroup
		var tried atomic.Int64
		for _, a := range []*actor{w.hotline, w.host} {
			for i := range 48 {
				all.Go(func() {
					for ctx.Err() == nil {
						to, err := m.connect(ctx, a)
						if err != nil { // thrown out, and not let in
							sleepFor(ctx, 100*time.Millisecond)
							continue
						}
						tried.Add(1)
						if err := of.do(ctx, m, to, hostileProtocols[i%len(hostileProtocols)]); err != nil {
							sleepFor(ctx, 10*time.Millisecond)
						}
					}
				})
			}
		}
		time.Sleep(floodTime() / 3)
		began := time.Now()
		if _, err := w.hotline.door.Retract(w.ctx, parsed, feed.FalsePositive); err != nil {
			w.t.Errorf("%s: retract: %v", of.what, err)
		}
		w.same()
		took := time.Since(began)
		cancel()
		all.Wait()
		if limit := 5 * time.Second; took > limit {
			w.t.Errorf("%s: a retraction took %v, want at most %v", of.what, took, limit)
		}
		if tried.Load() == 0 {
			w.t.Errorf("%s: nothing was tried", of.what)
		}
		w.fair()
		for _, a := range []*actor{w.hotline, w.host} {
			if n := w.jails[a].killed(); n != 0 {
				w.t.Fatalf("%s: %s was killed for its memory", of.what, a.name)
			}
		}
		named := w.named(w.hotline, m, 10*time.Millisecond) || w.named(w.host, m, 10*time.Millisecond)
		w.row("a member pours: "+of.what, map[bool]string{true: "yes", false: "no"}[named], "a retraction meanwhile: %s", took.Round(time.Millisecond))
		m.close()
	}
}

// full says whether all harm is to be done, and not only some of each.
func full() bool { return os.Getenv("HASHFEED_TEST") != "" }

func floodTime() time.Duration {
	switch os.Getenv("HASHFEED_TEST") {
	case "full":
		return 6 * time.Second
	case "soak":
		return 10 * time.Minute
	}
	return 2 * time.Second
}

func sleepFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// TestHostileSeeded: the harness sees a victim that uses more than it may.
func TestHostileSeeded(t *testing.T) {
	j := newJail(t, "/usr/bin/python3", 64<<20)
	if j == nil {
		return
	}
	err := exec.Command(j.program, "-c", "x = bytearray(200 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1").Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || j.killed() != 1 {
		t.Errorf("a process that uses 200 of 64 MiB: %v, killed: %d, peak: %d", err, j.killed(), j.peak())
	}
}
