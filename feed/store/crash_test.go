package store

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"hashfeed/feed"
)

// What TestMain's process is told.
const (
	crashDir = "HASHFEED_TEST_CRASH_DIR"
	crashBug = "HASHFEED_TEST_CRASH_BUG"
	lifeDir  = "HASHFEED_TEST_LIFE_DIR"
)

// The seeded bugs, each of which the harness must see.
const (
	bugEarly    = "early"    // says that a batch is stored before it is
	bugUnsynced = "unsynced" // leaves syncing to the system
	bugSwallow  = "swallow"  // doesn't heed that a file couldn't be written
)

// TestMain lets the test binary be the process that dies, or whose disk fails.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := publishForEver(dir, os.Getenv(crashBug)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if dir := os.Getenv(lifeDir); dir != "" {
		if err := live(dir, os.Getenv(crashBug)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// unsyncedDisk is a disk whose database syncs when it likes.
type unsyncedDisk struct{ realDisk }

func (unsyncedDisk) open(dir string, logger *slog.Logger) (*badger.DB, error) {
	return openBadger(badgerOptions(dir, logger).WithSyncWrites(false))
}

// publishForEver commits batches and says on stdout how many records are acknowledged, until it dies. Records depend on their
// index alone, so who has it die knows them.
func publishForEver(dir, bug string) error {
	var d disk = realDisk{}
	if bug == bugUnsynced {
		d = unsyncedDisk{}
	}
	s, err := open(dir, testOptions, d, false)
	if err != nil {
		return err
	}
	p := newPublisher(&testing.B{}, testName)
	p.tree, _ = s.Tree(p.origin())
	p.last, _ = s.Head(p.origin())
	p.salt, p.now = p.tree.Size(), max(testNow, p.last.Stamp)
	for {
		n := 1
		if rand.IntN(3) == 0 {
			n = rand.IntN(700)
		}
		if p.last.IsZero() {
			n = 0
		}
		b := p.publish(n)
		if bug == bugEarly {
			fmt.Println(b.To())
		}
		if err := s.Commit(b); err != nil {
			return err
		}
		fmt.Println(b.To())
	}
}

// A mortal is a store whose writer dies again and again. What was acknowledged is known here, outside of it.
type mortal struct {
	p            *publisher // of the records known to be there
	acknowledged uint64
	bug          string
}

// mortalStore makes the store.
func mortalStore(t testing.TB, dir, bug string) *mortal {
	t.Helper()
	m := &mortal{p: newPublisher(t, testName), bug: bug}
	s := create(t, dir)
	if err := errors.Join(s.AddFeed(m.p.chain), s.Close()); err != nil {
		t.Fatal(err)
	}
	return m
}

// live has a process of its own publish in dir, until after its first acknowledgement and a while more die is called, which
// must end it.
func (m *mortal) live(t testing.TB, dir string, after time.Duration, die func(*os.Process)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashBug+"="+m.bug)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	dead := make(chan struct{})
	for first := true; lines.Scan(); first = false {
		if m.acknowledged, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		if first {
			time.AfterFunc(after, func() {
				die(cmd.Process)
				close(dead)
			})
		}
	}
	select {
	case <-dead:
	case <-time.After(time.Minute):
		t.Error("it ended by itself")
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it ended without an error")
	}
}

// check opens what a death left, and returns what is wrong with it: each acknowledged record must be there, as it was published,
// no head may be ahead of the records, and all must be whole.
func (m *mortal) check(dir string) (err error) {
	s, err := Open(dir, testOptions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if d := s.Damage(testName); d != nil {
		return d
	}
	o := m.p.origin()
	size := s.Size(o)
	if size < m.acknowledged {
		return fmt.Errorf("%d records, acknowledged were %d", size, m.acknowledged)
	}
	for _, r := range m.p.make(int(size) - len(m.p.records)) {
		m.p.records = append(m.p.records, r)
		m.p.tree.Append(feed.LeafHash(r.Head))
	}
	if tree, _ := s.Tree(o); tree != m.p.tree {
		return fmt.Errorf("root %x at size %d, published was %x", tree.Root(), size, m.p.tree.Root())
	}
	if head, ok := s.Head(o); ok && (head.Size != size || head.Root != m.p.tree.Root()) || !ok && size > 0 {
		return fmt.Errorf("head of size %d, %d records", head.Size, size)
	}
	n := 0
	for r, err := range s.Records(o, 0, size) {
		if err != nil {
			return err
		}
		if want := m.p.records[n]; string(r.Head) != string(want.Head) || string(r.Body) != string(want.Body) {
			return fmt.Errorf("record %d isn't the one that was published", n)
		}
		n++
	}
	if n != int(size) {
		return fmt.Errorf("%d of %d records can be read", n, size)
	}
	var found []error
	if err := s.Fsck(noContext, func(f Finding) { found = append(found, errors.New("fsck: "+f.String())) }); err != nil {
		return err
	}
	return errors.Join(found...)
}

func kill(p *os.Process) { p.Kill() }

// TestKilled kills a publishing process again and again, and opens what it leaves.
func TestKilled(t *testing.T) {
	r := rounds(t, 5, 40, 400)
	dir := filepath.Join(t.TempDir(), "x")
	m := mortalStore(t, dir, "")
	began := time.Now()
	for round := range r {
		m.live(t, dir, time.Duration(10+rand.IntN(200))*time.Millisecond, kill)
		if err := m.check(dir); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if m.acknowledged == 0 {
		t.Error("nothing was ever committed")
	}
	table(t, "sigkill-store", "| rounds | records acknowledged | lost | heads ahead | fsck findings | time |\n|---|---|---|---|---|---|\n| %d | %d | 0 | 0 | 0 | %.0f s |\n",
		r, m.acknowledged, time.Since(began).Seconds())
}

// TestKilledSeeded: the harness sees a writer that says too early that a batch is stored.
func TestKilledSeeded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	m := mortalStore(t, dir, bugEarly)
	for range 40 {
		m.live(t, dir, time.Duration(rand.IntN(50))*time.Millisecond, kill)
		if err := m.check(dir); err != nil {
			t.Log(err)
			return
		}
	}
	t.Error("40 rounds, and nothing was missed")
}
