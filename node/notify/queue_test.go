package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func message(n int) Message {
	return Message{ID: fmt.Sprintf("id%d", n), Kind: "block", Time: time.Unix(1732867200+int64(n), 0).UTC(), Body: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

func ids(list []Message) (all []string) {
	for _, m := range list {
		all = append(all, m.ID)
	}
	return all
}

// TestQueueIsKept: whatever is added and done with, and wherever a crash cuts the file, what was synced and not done with is there, in order.
func TestQueueIsKept(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "q")
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			rt.Fatal(err)
		}
		q, _, err := openQueue(path)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { q.close() }()
		var model []Message
		next := 0
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				var some []Message
				for range rapid.IntRange(1, 5).Draw(rt, "messages") {
					some = append(some, message(next))
					next++
				}
				if _, err := q.add(some); err != nil {
					rt.Fatal(err)
				}
				model = append(model, some...)
			case 2:
				if len(model) > 0 {
					if err := q.done(); err != nil {
						rt.Fatal(err)
					}
					model = model[1:]
				}
			case 3: // a crash: a line that was being written is torn
				q.close()
				file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					rt.Fatal(err)
				}
				torn := appendMessage(nil, message(9999))
				file.Write(torn[:rapid.IntRange(0, len(torn)-1).Draw(rt, "torn")])
				file.Close()
				var damaged int
				if q, damaged, err = openQueue(path); err != nil || damaged != 0 {
					rt.Fatalf("open again: %d damaged, %v", damaged, err)
				}
			}
			if !slices.Equal(ids(q.waiting), ids(model)) {
				rt.Fatalf("got %v, want %v", ids(q.waiting), ids(model))
			}
			if m, ok := q.first(); ok != (len(model) > 0) || ok && !reflect.DeepEqual(m, model[0]) {
				rt.Fatalf("first: got %+v, %v", m, ok)
			}
		}
	})
}

// TestQueueFlipped: a flipped byte never makes a message of what was none; it costs the line that it is in, and the one that it is joined with.
func TestQueueFlipped(t *testing.T) {
	var file []byte
	for i := range 4 {
		file = appendMessage(file, message(i))
	}
	file = appendDone(file, "id0")
	file = appendDone(file, "id1")
	if got, damaged := parseQueue(file); !slices.Equal(ids(got), []string{"id2", "id3"}) || damaged != 0 {
		t.Fatalf("unchanged: got %v, %d damaged", ids(got), damaged)
	}
	for at := range file {
		for bit := range 8 {
			flipped := bytes.Clone(file)
			flipped[at] ^= 1 << bit
			got, damaged := parseQueue(flipped)
			for _, m := range got {
				if !slices.ContainsFunc([]int{0, 1, 2, 3}, func(n int) bool { return reflect.DeepEqual(m, message(n)) }) {
					t.Fatalf("byte %d, bit %d: made %+v", at, bit, m)
				}
			}
			missing := 0
			for _, id := range []string{"id2", "id3"} {
				if !slices.Contains(ids(got), id) {
					missing++
				}
			}
			if missing > 0 && damaged == 0 {
				t.Fatalf("byte %d, bit %d: got %v, and no word of damage", at, bit, ids(got))
			}
		}
	}
}

// TestQueueDamaged: what can be read is kept, and the file as it was lies beside.
func TestQueueDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	file := slices.Concat(appendMessage(nil, message(0)), []byte("nonsense\n"), appendMessage(nil, message(1)))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	q, damaged, err := openQueue(path)
	if err != nil || damaged != 1 || !slices.Equal(ids(q.waiting), []string{"id0", "id1"}) {
		t.Fatalf("got %v, %d damaged, %v", q, damaged, err)
	}
	defer q.close()
	if kept, err := os.ReadFile(path + ".damaged"); err != nil || !bytes.Equal(kept, file) {
		t.Errorf("what was damaged isn't kept: %v", err)
	}
	if again, damaged := parseQueue(must(os.ReadFile(path))); damaged != 0 || len(again) != 2 {
		t.Errorf("the file was not written anew: %d, %d damaged", len(again), damaged)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestQueueFull: a queue has a bound in messages and in bytes, and its last tenth is for what is urgent.
func TestQueueFull(t *testing.T) {
	q, _, err := openQueue(filepath.Join(t.TempDir(), "q"))
	if err != nil {
		t.Fatal(err)
	}
	defer q.close()
	add := func(n int, m Message) (kept int) {
		t.Helper()
		for from := 0; from < n; from += 1000 {
			some := slices.Repeat([]Message{m}, min(1000, n-from))
			ok, err := q.add(some)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range ok {
				if k {
					kept++
				}
			}
		}
		return kept
	}
	urgent := message(1)
	urgent.Urgent = true
	if got := add(maxWaiting, message(0)); got != maxWaiting*9/10 {
		t.Errorf("kept %d of %d, want %d", got, maxWaiting, maxWaiting*9/10)
	}
	if got := add(maxWaiting, urgent); got != maxWaiting/10 {
		t.Errorf("urgent: kept %d, want %d", got, maxWaiting/10)
	}
	for range maxWaiting {
		if err := q.done(); err != nil {
			t.Fatal(err)
		}
	}
	if q.bytes != 0 || q.size != 0 {
		t.Errorf("empty: %d bytes in memory, %d in the file", q.bytes, q.size)
	}
	large := message(2)
	large.Body = json.RawMessage(`"` + strings.Repeat("x", maxBody-2) + `"`)
	large.Urgent = true
	if got, want := add(1000, large), maxWaitingBytes/maxBody; got != want {
		t.Errorf("large: kept %d, want %d", got, want)
	}
	// The file is written anew before it outgrows what is read of it.
	for range 6 {
		for range 200 {
			if err := q.done(); err != nil {
				t.Fatal(err)
			}
		}
		add(200, large)
		if info := must(os.Stat(q.path)); info.Size() > maxQueueFile+maxBody {
			t.Fatalf("the file has %d bytes", info.Size())
		}
	}
	if got, damaged := parseQueue(must(os.ReadFile(q.path))); len(got) != maxWaitingBytes/maxBody || damaged != 0 {
		t.Errorf("read again: %d, %d damaged", len(got), damaged)
	}
}

func FuzzParseQueue(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		waiting, _ := parseQueue(data)
		if len(waiting) > maxWaiting {
			t.Fatalf("%d messages", len(waiting))
		}
		var file []byte
		for _, m := range waiting {
			if err := m.check(); err != nil {
				t.Fatalf("took %+v for a message: %v", m, err)
			}
			file = appendMessage(file, m)
		}
		again, damaged := parseQueue(file)
		if damaged != 0 || len(again) != len(waiting) {
			t.Fatalf("written again: %d messages, %d damaged, want %d", len(again), damaged, len(waiting))
		}
	})
}
