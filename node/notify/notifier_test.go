package notify

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a receiver that a test plays: answer says what becomes of each attempt.
type desk struct {
	mu     sync.Mutex
	got    []string    // what arrived
	tries  []time.Time // of all attempts
	answer func(m Message, try int) error
	closed int
}

func (d *desk) send(ctx context.Context, m Message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries = append(d.tries, time.Now())
	if d.answer != nil {
		if err := d.answer(m, len(d.tries)); err != nil {
			return err
		}
	}
	d.got = append(d.got, m.ID)
	return nil
}

func (d *desk) close() { d.closed++ }

func (d *desk) arrived() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got)
}

// target is one whose sender is a desk; the tests don't reach what it names.
func testTarget(name string, kinds ...string) Target {
	if kinds == nil {
		kinds = []string{"block"}
	}
	return Target{Name: name, Command: []string{"/" + name}, Kinds: kinds}
}

func openWith(t *testing.T, dir string, desks map[string]*desk, targets ...Target) *Notifier {
	t.Helper()
	n, err := Open(dir, targets, Options{sender: func(t Target) (sender, error) { return desks[t.Name], nil }})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// now is a message of this moment.
func now(n int) Message {
	m := message(n)
	m.Time = time.Now()
	return m
}

// TestOrderAndBackOff: nothing overtakes a message that isn't taken; the waits grow to five minutes and no further.
func TestOrderAndBackOff(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		d := &desk{answer: func(m Message, try int) error {
			if try <= 15 {
				return errors.New("away")
			}
			return nil
		}}
		n := openWith(t, dir, map[string]*desk{"a": d}, testTarget("a"))
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if !n.Offer(now(i)) {
				t.Fatal("not kept")
			}
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := n.State()[0]; s.Waiting != 3 || s.Trouble != "away" || s.Since.Sub(begun) > time.Second || !s.Oldest.Equal(begun) {
			t.Errorf("while it is away: %+v", s)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := d.arrived(); !slices.Equal(got, []string{"id0", "id1", "id2"}) {
			t.Errorf("got %v", got)
		}
		want := time.Second
		for i := 1; i <= 15; i++ {
			wait := d.tries[i].Sub(d.tries[i-1])
			if wait < want*8/10 || wait > want*12/10 {
				t.Errorf("wait %d: got %s, want about %s", i, wait, want)
			}
			want = min(2*want, longestWait)
		}
		if s := n.State()[0]; s.Waiting != 0 || s.Trouble != "" {
			t.Errorf("afterwards: %+v", s)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if n.Offer(now(4)) {
			t.Error("kept a message after Close")
		}
	})
}

// TestGivenUp: a message of three days is given up, and one that the receiver itself blames, so that those behind it come through.
func TestGivenUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: func(m Message, try int) error {
			if m.ID == "id1" {
				return &attempt{err: errors.New("it answers 422"), refused: true}
			}
			return nil
		}}
		n := openWith(t, dir, map[string]*desk{"a": d}, testTarget("a"))
		old := now(0)
		old.Time = old.Time.Add(-maxAge - time.Second)
		for _, m := range []Message{old, now(1), now(2)} {
			n.Offer(m)
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := d.arrived(); !slices.Equal(got, []string{"id2"}) || len(d.tries) != maxRefusals+1 {
			t.Errorf("got %v after %d attempts, want id2 after %d", got, len(d.tries), maxRefusals+1)
		}
		if s := n.State()[0]; s.Dropped != 2 {
			t.Errorf("got %+v, want 2 dropped", s)
		}
		n.Close()
	})
}

// TestAskedToWait: a receiver may ask for more time than the first waits, up to five minutes.
func TestAskedToWait(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: func(m Message, try int) error {
			if try == 1 {
				return &attempt{err: errors.New("busy"), after: 3 * time.Minute}
			}
			return nil
		}}
		n := openWith(t, dir, map[string]*desk{"a": d}, testTarget("a"))
		n.Offer(now(0))
		n.Start(t.Context())
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(d.tries) != 2 || d.tries[1].Sub(d.tries[0]) != 3*time.Minute {
			t.Errorf("attempts at %v, want the second after 3 minutes", d.tries)
		}
		n.Close()
	})
}

// TestOneDoesNotHoldAnother: targets go on by themselves, and get what they ask for.
func TestOneDoesNotHoldAnother(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, b := &desk{answer: func(Message, int) error { return errors.New("away") }}, &desk{}
		n := openWith(t, dir, map[string]*desk{"a": a, "b": b}, testTarget("a", "block", "alarm"), testTarget("b", "alarm", "dispute"))
		n.Start(t.Context())
		for i, kind := range []string{"block", "alarm", "dispute", "review"} {
			m := now(i)
			m.Kind = kind
			n.Offer(m)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.arrived(); !slices.Equal(got, []string{"id1", "id2"}) {
			t.Errorf("b got %v", got)
		}
		if s := n.State(); s[0].Waiting != 2 || s[1].Waiting != 0 {
			t.Errorf("got %+v", s)
		}
		n.Close()
	})
}

// TestRestart: what waits is there after a restart, in order and once, also where it was being sent.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		// No daemon: it is kept all the same.
		n := openWith(t, dir, nil, testTarget("a"))
		for i := range 5 {
			n.Offer(now(i))
		}
		n.Close()
		d := &desk{answer: func(m Message, try int) error {
			if m.ID == "id2" {
				return errors.New("away")
			}
			return nil
		}}
		n = openWith(t, dir, map[string]*desk{"a": d}, testTarget("a"))
		n.Start(t.Context())
		time.Sleep(time.Minute)
		n.Close()
		after := &desk{}
		n = openWith(t, dir, map[string]*desk{"a": after}, testTarget("a"))
		n.Offer(now(5))
		n.Start(t.Context())
		time.Sleep(time.Minute)
		synctest.Wait()
		n.Close()
		if got := slices.Concat(d.arrived(), after.arrived()); !slices.Equal(got, []string{"id0", "id1", "id2", "id3", "id4", "id5"}) {
			t.Errorf("got %v", got)
		}
		if d.closed != 1 {
			t.Errorf("the sender was closed %d times", d.closed)
		}
	})
}

// TestSetTargets: of a target that is reached in another way the queue stays, of one that goes too; an error changes nothing.
func TestSetTargets(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		away := &desk{answer: func(Message, int) error { return errors.New("away") }}
		b := &desk{}
		desks := map[string]*desk{"a": away, "b": b}
		n := openWith(t, dir, desks, testTarget("a"), testTarget("b"))
		n.Start(t.Context())
		n.Offer(now(0))
		n.Offer(now(1))
		time.Sleep(time.Minute)
		synctest.Wait()

		for _, bad := range [][]Target{
			{testTarget("a"), testTarget("a")}, {testTarget("../a")}, {testTarget("A")}, {{Name: "a"}}, {{Name: "a", URL: "http://a.example/"}},
			make([]Target, maxTargets+1),
		} {
			if err := n.SetTargets(bad); err == nil {
				t.Errorf("took %+v", bad)
			}
		}
		if s := n.State(); len(s) != 2 || s[0].Waiting != 2 {
			t.Fatalf("after errors: got %+v", s)
		}

		desks["a"] = &desk{}
		other := testTarget("a")
		other.Command = append(other.Command, "word")
		if err := n.SetTargets([]Target{other}); err != nil {
			t.Fatal(err)
		}
		n.Offer(now(2))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := desks["a"].arrived(); !slices.Equal(got, []string{"id0", "id1", "id2"}) {
			t.Errorf("reached in another way: got %v", got)
		}
		if got := b.arrived(); !slices.Equal(got, []string{"id0", "id1"}) {
			t.Errorf("b, which has gone: got %v", got)
		}

		if err := n.SetTargets(nil); err != nil {
			t.Fatal(err)
		}
		n.Offer(now(3)) // to nobody
		if err := n.SetTargets([]Target{testTarget("a")}); err != nil {
			t.Fatal(err)
		}
		n.Offer(now(4))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := desks["a"].arrived(); !slices.Equal(got, []string{"id0", "id1", "id2", "id4"}) {
			t.Errorf("come again: got %v", got)
		}
		n.Close()
	})
}

// TestProbe: a probe goes to all at once, whatever waits and whatever they want, and isn't kept.
func TestProbe(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, b := &desk{}, &desk{answer: func(Message, int) error { return errors.New("away") }}
		n := openWith(t, dir, map[string]*desk{"a": a, "b": b}, testTarget("a"), testTarget("b"))
		for _, r := range n.Probe(t.Context(), now(9)) {
			if !errors.Is(r.Err, errStopped) {
				t.Errorf("before Start: %+v", r)
			}
		}
		n.Start(t.Context())
		n.Offer(now(0))
		time.Sleep(time.Second)
		m := now(1)
		m.Kind = "test"
		results := n.Probe(t.Context(), m)
		if len(results) != 2 || results[0].Err != nil || results[1].Err == nil || results[1].Target != "b" {
			t.Errorf("got %+v", results)
		}
		if s := n.State(); s[0].Waiting != 0 || s[1].Waiting != 1 {
			t.Errorf("got %+v", s)
		}
		n.Close()
	})
}

// TestFlush: what was offered before is in the files.
func TestFlush(t *testing.T) {
	dir := t.TempDir()
	n := openWith(t, dir, nil, testTarget("a"))
	defer n.Close()
	for i := range 1000 {
		if !n.Offer(now(i)) {
			t.Fatalf("%d is lost", i)
		}
	}
	if err := n.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "a.queue"))
	if err != nil {
		t.Fatal(err)
	}
	if got, damaged := parseQueue(text); len(got) != 1000 || damaged != 0 {
		t.Errorf("got %d messages, %d damaged", len(got), damaged)
	}
	if info, err := os.Stat(filepath.Join(dir, "a.queue")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v", info.Mode(), err)
	}
}

// TestNoTargets: a node that tells nobody makes no folder and starts nothing.
func TestNoTargets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "notify")
	n := openWith(t, dir, nil)
	if !n.Offer(now(0)) {
		t.Error("a message for nobody is lost")
	}
	if err := errors.Join(n.Start(t.Context()), n.Flush(t.Context()), n.Close(), n.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("got %v, want no folder", err)
	}
}

// TestOfferDoesNotWait: what comes faster than it can be written is counted.
func TestOfferDoesNotWait(t *testing.T) {
	n := openWith(t, t.TempDir(), nil, testTarget("a"))
	n.targets[0].queue.mu.Lock() // the disk stands still
	lost := 0
	for i := range maxOffered + maxTogether + 1000 {
		if !n.Offer(now(i)) {
			lost++
		}
	}
	n.targets[0].queue.mu.Unlock()
	if got, at := n.Lost(); lost < 999 || got != uint64(lost) || time.Since(at) > time.Minute {
		t.Errorf("%d of %d are lost, told %d at %s", lost, maxOffered+maxTogether+1000, got, at)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTargetCheck(t *testing.T) {
	long := strings.Repeat("x", maxURL)
	for _, c := range []struct {
		target  Target
		want    string // in the error
		private bool
	}{
		{Target{Name: "a", URL: "https://desk.example/hook"}, "", false},
		{Target{Name: "a", URL: "https://desk.example:8443/hook?x=1"}, "", false},
		{Target{Name: "a", URL: "http://127.0.0.1:80/"}, "", false},
		{Target{Name: "a", URL: "http://localhost/"}, "", false},
		{Target{Name: "a", URL: "http://[::1]:1/"}, "", false},
		{Target{Name: "a", URL: "https://10.1.2.3/"}, "", true},
		{Target{Name: "a", URL: "https://[fd00::1]/"}, "", true},
		{Target{Name: "a", URL: "https://169.254.169.254/"}, "", true},
		{Target{Name: "a", URL: "https://100.64.0.1/"}, "", true},
		{Target{Name: "a", URL: "https://[::ffff:192.168.0.1]/"}, "", true},
		{Target{Name: "a", URL: "http://desk.example/"}, "want https", false},
		{Target{Name: "a", URL: "http://127.0.0.1.desk.example/"}, "want https", false},
		{Target{Name: "a", URL: "ftp://127.0.0.1/"}, "want https", false},
		{Target{Name: "a", URL: "https://me:hunter2@desk.example/"}, "name and password", false},
		{Target{Name: "a", URL: "https://desk.example/#hunter2"}, "never sent", false},
		{Target{Name: "a", URL: "https:/hunter2"}, "want one such as", false},
		{Target{Name: "a", URL: "https://desk.example/" + long}, "want one such as", false},
		{Target{Name: "a", Command: []string{"/bin/true", ""}}, "", false},
		{Target{Name: "a", Command: []string{"true"}}, "full path", false},
		{Target{Name: "a", Command: []string{""}}, "full path", false},
		{Target{Name: "a", Command: []string{"/bin/true", "a\x00b"}}, "zeros", false},
		{Target{Name: "a", Command: slices.Repeat([]string{"/x"}, maxWords+1)}, "more than", false},
		{Target{Name: "a", Command: []string{"/bin/true"}, URL: "https://desk.example/"}, "either", false},
		{Target{Name: "", Command: []string{"/bin/true"}}, "name", false},
		{Target{Name: "ü", Command: []string{"/bin/true"}}, "name", false},
		{Target{Name: strings.Repeat("a", maxName+1), Command: []string{"/bin/true"}}, "name", false},
	} {
		err := c.target.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80v: got %v, want %q", c.target, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.80v: the error tells the secret: %v", c.target, err)
		}
		if got := c.target.Private(); got != c.private {
			t.Errorf("%.80v: private: got %v", c.target, got)
		}
	}
}
