package journal

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hashfeed/node/policy"
)

const killedDir = "HASHFEED_JOURNAL_KILLED"

// writeUntilKilled is the process that TestKilled kills. It says which decisions it was told are on disk.
func writeUntilKilled(dir string) error {
	j, err := Open(Options{Dir: dir, Key: Key{1}})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for i := 0; ; i++ {
		d := decision([]policy.Outcome{policy.OutcomeReview, policy.OutcomeBlock}[i%2], "a.example/known/1#1")
		d.Checked = []string{strings.Repeat("x", rand.IntN(5000))}
		id, seq := j.Decided(d)
		j.Allowed(time.Now(), 1)
		if i%2 == 1 && j.Wait(context.Background(), seq) {
			fmt.Println(id)
		}
	}
}

// TestKilled kills a process that records, at any moment, ten times over one journal: no decision that was waited for is lost, the chain is whole, and
// what was torn is told.
func TestKilled(t *testing.T) {
	rounds := map[string]int{"full": 50, "soak": 500}[os.Getenv("HASHFEED_TEST")]
	if rounds == 0 {
		rounds = 5
	}
	dir := filepath.Join(t.TempDir(), "journal")
	total, torn := 0, 0
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killedDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "ready" {
		}
		time.AfterFunc(time.Duration(20+rand.IntN(300))*time.Millisecond, func() { cmd.Process.Kill() })
		var ids []string
		for lines.Scan() {
			if ValidID(lines.Text()) {
				ids = append(ids, lines.Text())
			}
		}
		cmd.Wait()
		j, err := Open(Options{Dir: dir, Key: Key{1}})
		if err != nil {
			t.Fatal(err)
		}
		s := j.State()
		if s.Damage != "" {
			t.Fatalf("got %+v", s)
		}
		if s.Torn > 0 {
			torn++
		}
		for _, id := range ids {
			if _, err := j.Find(t.Context(), id); err != nil {
				t.Fatalf("%s was on disk: %v", id, err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		key := Key{1}
		if r := verified(t, dir, &key); len(r.Problems) > 0 || r.Note != "" {
			t.Fatalf("got %+v", r)
		}
		total += len(ids)
	}
	if total == 0 {
		t.Error("no decision was recorded in time: nothing was tried")
	}
	t.Logf("%d kills, %d decisions that were waited for, %d torn lines", rounds, total, torn)
}
