package main

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hashfeed/node"
)

// matching runs match - on a new node's directory; code is what it ends with.
func matching(t *testing.T, stdin io.Reader, stdout io.Writer) (code <-chan int, stderr *bytes.Buffer) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "node")
	if _, err := node.Init(dir, node.InitOptions{Name: "a.example", Role: node.RoleHotline, Harm: "csam", Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	stderr = new(bytes.Buffer)
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"hashfeed", "--dir", dir, "match", "-"}, stdin, stdout, stderr)
	}()
	return ended, stderr
}

// TestMatchAnswersAtOnce: who types a line has its answer before the next one, though what follows in the pipe is half a line.
func TestMatchAnswersAtOnce(t *testing.T) {
	stdin, say := io.Pipe()
	answers, stdout := io.Pipe()
	code, stderr := matching(t, stdin, stdout)
	lines := bufio.NewScanner(answers)
	half := ""
	for i := range 3 {
		rest := hashOfLine(i)[len(half):]
		half = hashOfLine(i + 1)[:7]
		fmt.Fprintf(say, "%s\n%s", rest, half)
		if !lines.Scan() || lines.Text() != "allow  md5:"+hashOfLine(i)+": no match" {
			t.Fatalf("line %d: got %q, %v", i, lines.Text(), lines.Err())
		}
	}
	say.Close() // the last half line is none
	if got := <-code; got != exitError || !strings.Contains(stderr.String(), "line 4: hash") {
		t.Errorf("got exit code %d, %s, want %d and line 4", got, stderr, exitError)
	}
}

// manyHashes says n hashes, a line each, of which every thousandth is none.
type manyHashes struct {
	n, said int
	rest    []byte
}

func hashOfLine(i int) string { return fmt.Sprintf("%x", md5.Sum(fmt.Append(nil, i))) }

func (m *manyHashes) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		if m.said == m.n {
			return 0, io.EOF
		}
		if m.said++; m.said%1000 == 0 {
			m.rest = []byte("nonsense\n")
		} else {
			m.rest = []byte(hashOfLine(m.said) + "\n")
		}
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// TestMatchMany: the answers to many lines come in their order.
func TestMatchMany(t *testing.T) {
	const n = 10_500
	var stdout bytes.Buffer
	code, stderr := matching(t, bufio.NewReaderSize(&manyHashes{n: n}, 1<<20), &stdout)
	if got := <-code; got != exitError {
		t.Errorf("got exit code %d, want %d", got, exitError)
	}
	var want strings.Builder
	for i := 1; i <= n; i++ {
		if i%1000 != 0 {
			fmt.Fprintf(&want, "allow  md5:%s: no match\n", hashOfLine(i))
		}
	}
	if stdout.String() != want.String() {
		t.Errorf("got %d bytes of answers, want %d, or another order", stdout.Len(), want.Len())
	}
	if got := strings.Count(stderr.String(), "\n"); got != n/1000 {
		t.Errorf("got %d errors, want %d", got, n/1000)
	}
}

// closedPipe is standard output that nobody reads any more.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("nobody reads this") }

// TestMatchStops: when the answers can't be written, the rest of the question isn't read.
func TestMatchStops(t *testing.T) {
	endless := &manyHashes{n: 1 << 40}
	code, stderr := matching(t, endless, closedPipe{})
	if got := <-code; got != exitError || !strings.Contains(stderr.String(), "nobody reads this") {
		t.Errorf("got exit code %d, %s", got, stderr)
	}
}
