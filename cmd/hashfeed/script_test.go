package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh/agent"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hashfeed": main, "receiver": receiver})
}

// TestScripts runs testdata/*.txt, each a story that a user could type, with the real binary. Besides testscript's own
// commands they have:
//
//	draw FILE SEED [OP…]         draws a harmless picture; OP is jpeg=QUALITY, resize=FACTOR, crop=PART, size=WxH
//	bomb FILE                    writes a BMP header that promises 60,000 × 60,000 pixels
//	json FILE PATH WANT          the value at PATH (a.b.0.c; # counts; line N of several is @N at the front) must be WANT
//	jsonset VAR FILE PATH        puts the value at PATH into $VAR
//	daemon NAME ARG…             starts hashfeed run ARG… and waits until it is ready: $NAME_PEER, $NAME_LISTEN, $NAME_API
//	end NAME [kill]              ends it by SIGTERM, which must give exit code 0, or by SIGKILL
//	code N hashfeed ARG…         runs the program and wants this exit code
//	offline hashfeed ARG…        runs the program in an empty folder and in a network namespace without any interface
//	http [CODE] METHOD URL TOKEN [FILE [TYPE]]  asks, wants the status, and leaves the body in response
//	until SECONDS PATH WANT hashfeed ARG…       asks again until the JSON it prints has the value
//	sleep DURATION               waits, where something must not happen meanwhile
//	flip FILE OFFSET             changes one byte; a negative OFFSET counts from the end
//	line VAR FILE                puts the first line of FILE into $VAR
//	lines SECONDS N FILE         waits until the file has N lines
//	agent VAR COMMENT            serves an ssh-agent with one new Ed25519 key; its socket's path goes into $VAR
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HASHFEED_DIR", filepath.Join(e.WorkDir, "node"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_DATA_HOME", "")
			e.Setenv("ROOT", moduleRoot(t))
			port, err := quietPort() // for a daemon that is started again
			if err != nil {
				return err
			}
			e.Setenv("PORT", strconv.Itoa(port))
			e.Values[daemonsKey{}] = &daemons{all: map[string]*daemon{}}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"draw": scriptDraw, "bomb": scriptBomb, "json": scriptJSON, "jsonset": scriptJSONSet, "daemon": scriptDaemon, "end": scriptEnd,
			"code": scriptCode, "http": scriptHTTP, "until": scriptUntil, "flip": scriptFlip, "sleep": scriptSleep, "offline": scriptOffline,
			"line": scriptLine, "lines": scriptLines, "agent": scriptAgent,
		},
	})
}

func scriptDraw(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: draw FILE SEED [OP…]")
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	width, height, quality := 640, 480, 0
	var ops []string
	for _, op := range args[2:] {
		name, value, _ := strings.Cut(op, "=")
		switch name {
		case "size":
			_, err := fmt.Sscanf(value, "%dx%d", &width, &height)
			ts.Check(err)
		case "jpeg":
			quality, err = strconv.Atoi(value)
			ts.Check(err)
		default:
			ops = append(ops, op)
		}
	}
	var m image.Image = drawPicture(seed, width, height)
	for _, op := range ops {
		name, value, _ := strings.Cut(op, "=")
		factor, err := strconv.ParseFloat(value, 64)
		ts.Check(err)
		switch name {
		case "resize":
			m = resized(m, factor)
		case "crop":
			m = cropped(m, factor)
		default:
			ts.Fatalf("unknown operation %s", op)
		}
	}
	data := pngOf(m)
	if quality > 0 {
		data = jpegOf(m, quality)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

func scriptBomb(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: bomb FILE")
	}
	header := make([]byte, 54+64)
	copy(header, "BM")
	header[10], header[14] = 54, 40
	binary.LittleEndian.PutUint32(header[18:], 60_000)
	binary.LittleEndian.PutUint32(header[22:], 60_000)
	header[26], header[28] = 1, 24
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), header, 0o644))
}

// lookup walks a path such as matches.0.distance through JSON text; @N at the front takes line N of several, and # counts.
func lookup(text, path string) (string, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	line := lines[len(lines)-1]
	steps := strings.Split(path, ".")
	if n, ok := strings.CutPrefix(steps[0], "@"); ok {
		i, err := strconv.Atoi(n)
		if err != nil || i < 1 || i > len(lines) {
			return "", fmt.Errorf("no line %s of %d", n, len(lines))
		}
		line, steps = lines[i-1], steps[1:]
	}
	var v any
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "", fmt.Errorf("decode %.200q: %w", line, err)
	}
	for _, step := range steps {
		switch x := v.(type) {
		case map[string]any:
			if step == "#" {
				v = len(x)
				continue
			}
			value, ok := x[step]
			if !ok {
				return "<absent>", nil
			}
			v = value
		case []any:
			if step == "#" {
				v = len(x)
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return "<absent>", nil
			}
			v = x[i]
		default:
			return "<absent>", nil
		}
	}
	switch v.(type) {
	case map[string]any, []any:
		b, err := json.Marshal(v)
		return string(b), err
	}
	return fmt.Sprint(v), nil
}

func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH WANT")
	}
	got, err := lookup(ts.ReadFile(args[0]), args[1])
	ts.Check(err)
	if (got == args[2]) == neg {
		ts.Fatalf("%s of %s: got %s, want %s%s", args[1], args[0], got, map[bool]string{true: "not "}[neg], args[2])
	}
}

func scriptJSONSet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: jsonset VAR FILE PATH")
	}
	got, err := lookup(ts.ReadFile(args[1]), args[2])
	ts.Check(err)
	ts.Setenv(args[0], got)
}

func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("run %v: %v", args[1:], err)
	}
	if got != want {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

func scriptOffline(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[0] != "hashfeed" {
		ts.Fatalf("usage: offline hashfeed ARG…")
	}
	if out, err := exec.Command("unshare", "--map-root-user", "--net", "true").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			ts.Fatalf("no network namespace can be made: %v: %s", err, out)
		}
		fmt.Fprintf(ts.Stdout(), "not tried without a network: no namespace can be made: %v\n", err)
		ts.Check(ts.Exec(args[0], args[1:]...))
		return
	}
	empty, err := os.MkdirTemp(ts.Getenv("WORK"), "empty")
	ts.Check(err)
	ts.Check(ts.Exec("sh", append([]string{"-c", `cd "$0" && exec env -u HASHFEED_DIR HOME="$0" unshare --map-root-user --net hashfeed "$@"`, empty}, args[1:]...)...))
	left, err := os.ReadDir(empty)
	ts.Check(err)
	if len(left) > 0 {
		ts.Fatalf("it left %s behind", left[0].Name())
	}
}

type daemonsKey struct{}

type daemons struct {
	mu  sync.Mutex
	all map[string]*daemon
}

type daemon struct {
	cmd  *exec.Cmd
	log  *tail
	done chan error
}

// tail keeps what a daemon says on standard error.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

func scriptDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: daemon NAME ARG…")
	}
	d := ts.Value(daemonsKey{}).(*daemons)
	path, err := exec.LookPath("hashfeed")
	if err != nil {
		path = filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "hashfeed")
	}
	words := []string{"run"}
	if dir := ts.Getenv(args[0] + "_DIR"); dir != "" {
		words = []string{"--dir", dir, "run"}
	}
	cmd := exec.Command(path, append(words, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HASHFEED_DIR="+ts.Getenv("HASHFEED_DIR"), "PATH="+ts.Getenv("PATH"), "HOME="+ts.Getenv("HOME"),
		"HASHFEED_PASSPHRASE_FILE="+ts.Getenv("HASHFEED_PASSPHRASE_FILE"), "SSH_AUTH_SOCK="+ts.Getenv("DAEMON_AGENT"))
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	run := &daemon{cmd: cmd, log: &tail{}, done: make(chan error, 1)}
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			run.log.add(lines.Text())
			if strings.HasPrefix(lines.Text(), "ready ") {
				ready <- lines.Text()
			}
		}
		run.done <- cmd.Wait()
	}()
	d.mu.Lock()
	d.all[args[0]] = run
	d.mu.Unlock()
	ts.Defer(func() {
		cmd.Process.Kill()
		if d.all[args[0]] == run {
			ts.Logf("log of %s:\n%s", args[0], run.log)
		}
	})
	select {
	case line := <-ready:
		for _, field := range strings.Fields(line)[1:] {
			key, value, _ := strings.Cut(field, "=")
			if key == "api" {
				value = strings.TrimPrefix(value, "http://")
			}
			ts.Setenv(args[0]+"_"+strings.ToUpper(key), value)
		}
	case err := <-run.done:
		ts.Fatalf("daemon %s ended: %v\n%s", args[0], err, run.log)
	case <-time.After(30 * time.Second):
		ts.Fatalf("daemon %s isn't ready:\n%s", args[0], run.log)
	}
}

func scriptEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: end NAME [kill]")
	}
	d := ts.Value(daemonsKey{}).(*daemons)
	run := d.all[args[0]]
	if run == nil {
		ts.Fatalf("no daemon %s", args[0])
	}
	delete(d.all, args[0])
	sig, wantClean := syscall.SIGTERM, true
	if len(args) > 1 && args[1] == "kill" {
		sig, wantClean = syscall.SIGKILL, false
	}
	ts.Check(run.cmd.Process.Signal(sig))
	select {
	case err := <-run.done:
		if wantClean && err != nil {
			ts.Fatalf("daemon %s: %v\n%s", args[0], err, run.log)
		}
	case <-time.After(30 * time.Second):
		ts.Fatalf("daemon %s doesn't end:\n%s", args[0], run.log)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".log"), []byte(run.log.String()+"\n"), 0o644))
}

func scriptHTTP(ts *testscript.TestScript, neg bool, args []string) {
	want := http.StatusOK
	if len(args) > 0 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			want, args = n, args[1:]
		}
	}
	if neg || len(args) < 3 {
		ts.Fatalf("usage: http [CODE] METHOD URL TOKEN [FILE [TYPE]]")
	}
	var body io.Reader
	if len(args) > 3 {
		f, err := os.Open(ts.MkAbs(args[3]))
		ts.Check(err)
		defer f.Close()
		body = f
	}
	req, err := http.NewRequest(args[0], args[1], body)
	ts.Check(err)
	if args[2] != "" && args[2] != "-" {
		req.Header.Set("Authorization", "Bearer "+args[2])
	}
	if len(args) > 4 {
		req.Header.Set("Content-Type", args[4])
	}
	client := &http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("response"), data, 0o644))
	if resp.StatusCode != want {
		ts.Fatalf("%s %s: status %d, want %d: %s", args[0], args[1], resp.StatusCode, want, data)
	}
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: until SECONDS PATH WANT COMMAND…")
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	deadline := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for {
		ts.Exec(args[3], args[4:]...) // its exit code may tell of the very state that is awaited
		got, err := lookup(ts.ReadFile("stdout"), args[1])
		if err == nil && got == args[2] {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v: %s is %s (%v) after %s s, want %s", args[3:], args[1], got, err, args[0], args[2])
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func scriptSleep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sleep DURATION")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	time.Sleep(d)
}

func scriptLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: line VAR FILE")
	}
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	ts.Setenv(args[0], line)
}

func scriptAgent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: agent VAR COMMENT")
	}
	_, key, err := ed25519.GenerateKey(nil)
	ts.Check(err)
	keys := agent.NewKeyring()
	ts.Check(keys.Add(agent.AddedKey{PrivateKey: key, Comment: args[1]}))
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	ts.Check(err)
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	ts.Check(err)
	ts.Defer(func() {
		l.Close()
		os.RemoveAll(dir)
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				agent.ServeAgent(keys, conn)
				conn.Close()
			}()
		}
	}()
	ts.Setenv(args[0], path)
}

func scriptFlip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(path, data, 0o600))
}
