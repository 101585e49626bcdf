package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A party is a node of the story: a folder, the program, and the daemon that runs it.
type party struct {
	t           *testing.T
	binary, dir string
	peer, door  string // of the running daemon
}

// newParty makes a node, with text at the end of its config.
func newParty(t *testing.T, binary, name, role, text string) *party {
	t.Helper()
	root, err := os.MkdirTemp("", "hf") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	p := &party{t: t, binary: binary, dir: filepath.Join(root, "n")}
	p.must("init", "--name", name, "--role", role, "--harm", "csam")
	f, err := os.OpenFile(filepath.Join(p.dir, "hashfeed.toml"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("\n" + text); err != nil {
		t.Fatal(err)
	}
	return p
}

// do runs a command on the node.
func (p *party) do(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	cmd := exec.Command(p.binary, append([]string{"--dir", p.dir}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that has to succeed.
func (p *party) must(args ...string) string {
	p.t.Helper()
	out, errs, code := p.do(args...)
	if code != 0 {
		p.t.Fatalf("%v: exit code %d: %s%s", args, code, out, errs)
	}
	return out
}

// start runs the daemon until the test ends.
func (p *party) start() {
	p.t.Helper()
	cmd := exec.Command(p.binary, "--dir", p.dir, "run", "--api", "127.0.0.1:0", "--listen", "/ip4/127.0.0.1/tcp/0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	log, ready, ended := &tail{}, make(chan string, 1), make(chan struct{})
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			log.add(lines.Text())
			if strings.HasPrefix(lines.Text(), "ready ") {
				ready <- lines.Text()
			}
		}
		cmd.Wait()
		close(ended)
	}()
	p.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
			p.t.Errorf("the daemon in %s doesn't end", p.dir)
		}
		if p.t.Failed() {
			p.t.Logf("log of %s:\n%s", p.dir, log)
		}
	})
	select {
	case line := <-ready:
		for _, field := range strings.Fields(line)[1:] {
			switch key, value, _ := strings.Cut(field, "="); key {
			case "peer":
				p.peer = value
			case "api":
				p.door = "http://" + strings.TrimPrefix(value, "http://")
			}
		}
	case <-ended:
		p.t.Fatalf("the daemon ended:\n%s", log)
	case <-time.After(30 * time.Second):
		p.t.Fatalf("the daemon isn't ready:\n%s", log)
	}
}

// get is the value at path of what a command prints.
func (p *party) get(path string, args ...string) string {
	p.t.Helper()
	out, errs, _ := p.do(args...)
	got, err := lookup(out, path)
	if err != nil {
		p.t.Fatalf("%v: %v: %s", args, err, errs)
	}
	return got
}

// await asks until the value at path is want, and says how long that took.
func (p *party) await(path, want string, args ...string) time.Duration {
	p.t.Helper()
	start := time.Now()
	for {
		got := p.get(path, args...)
		if got == want {
			return time.Since(start)
		}
		if time.Since(start) > 30*time.Second {
			p.t.Fatalf("%v: %s is %s, want %s", args, path, got, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// follows makes the host a member of the hotline's feed, and a follower.
func (p *party) follows(hotline *party, trust ...string) {
	p.t.Helper()
	hotline.must("member", "add", p.peer, "--name", "host.example", "--as", "host")
	p.must(append([]string{"follow", hotline.get("invite", "id", "--json")}, trust...)...)
}

// hasHeard waits until the host has all that the hotline has listed.
func (p *party) hasHeard(hotline *party) {
	p.t.Helper()
	size := hotline.get("size", "feed", "show", "known", "--json")
	p.await("size", size, "feed", "show", "hotline.example/known", "--json")
}

// An answer is what the host says of one upload.
type answer struct {
	Verdict string
	Matches []struct{ Ref, State, Action string }
}

// uploads asks the host of each file, as its web server does: by the API, with a reference that means nothing to the node.
func (p *party) uploads(files []upload) []answer {
	p.t.Helper()
	token := p.get("token", "token", "create", "--scope", "match", "--json")
	answers := make([]answer, len(files))
	for i, f := range files {
		p.ask(token, "/v1/scan?ref="+f.ref, "application/octet-stream", f.data, &answers[i])
	}
	return answers
}

// matches asks the host of each hash.
func (p *party) matches(hashes []string) []answer {
	p.t.Helper()
	token := p.get("token", "token", "create", "--scope", "match", "--json")
	var got struct{ Results []answer }
	p.ask(token, "/v1/match", "application/json", []byte(`{"hashes":["`+strings.Join(hashes, `","`)+`"]}`), &got)
	if len(got.Results) != len(hashes) {
		p.t.Fatalf("%d answers to %d hashes", len(got.Results), len(hashes))
	}
	return got.Results
}

// ask sends a request to the API and reads the answer into v.
func (p *party) ask(token, path, mediaType string, body []byte, v any) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.door+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: status %d, %v: %s", path, resp.StatusCode, err, text)
	}
	if err := json.Unmarshal(text, v); err != nil {
		p.t.Fatalf("%s: %v: %s", path, err, text)
	}
}

// An upload is a file that a customer gives to the host.
type upload struct {
	ref  string
	data []byte
}

// copies are a picture as n customers have it: as it is, and saved anew.
func copies(name string, m image.Image, data []byte, n int) []upload {
	files := []upload{{name + "-0", data}}
	for i := 1; i < n; i++ {
		files = append(files, upload{fmt.Sprintf("%s-%d", name, i), jpegOf(m, 100-i)})
	}
	return files
}

func blocked(answers []answer) (n int) {
	for _, a := range answers {
		if a.Verdict == "block" {
			n++
		}
	}
	return n
}

// ordinary are pictures that the built-in list knows, kept in testdata or made here.
func ordinary(t *testing.T) (files []upload) {
	t.Helper()
	gif, err := base64.StdEncoding.DecodeString("R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
	if err != nil {
		t.Fatal(err)
	}
	blank := image.NewRGBA(image.Rect(0, 0, 100, 100))
	for i := range 100 * 100 {
		blank.Set(i%100, i/100, color.White)
	}
	files = []upload{{"empty", nil}, {"tracker", gif}, {"blank", pngOf(blank)}}
	paths, err := filepath.Glob("testdata/incident/*.png")
	if err != nil || len(paths) != 3 {
		t.Fatalf("got %d pictures in testdata/incident, want 3: %v", len(paths), err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, upload{filepath.Base(path), data})
	}
	return files
}

// suppliersList is a list as the supplier of 2021 gave it: real work, and under its category "other" whatever else it had.
type suppliersList struct{ rows [][]string }

func (l *suppliersList) add(category, md5, sha1, sha256, pdq string) {
	if len(l.rows) == 0 {
		l.rows = [][]string{{"id", "md5", "sha1", "sha256", "pdq", "media", "category"}}
	}
	l.rows = append(l.rows, []string{fmt.Sprint(len(l.rows)), md5, sha1, sha256, pdq, "image", category})
}

// addFile adds a file's hashes, which the program computes.
func (l *suppliersList) addFile(p *party, category string, f upload) {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), "f")
	if err := os.WriteFile(path, f.data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	var h struct {
		MD5, SHA1, SHA256, PDQ string
		Quality                int
	}
	if err := json.Unmarshal([]byte(p.must("hash", "--json", path)), &h); err != nil {
		p.t.Fatal(err)
	}
	if h.PDQ != "" && h.Quality >= 50 {
		h.PDQ = fmt.Sprintf("%s:%d", h.PDQ, h.Quality)
	} else {
		h.PDQ = ""
	}
	l.add(category, h.MD5, h.SHA1, h.SHA256, h.PDQ)
}

// addWordPress adds WordPress' pictures, and says how many.
func (l *suppliersList) addWordPress(t *testing.T, category string) int {
	t.Helper()
	f, err := os.Open(filepath.Join(moduleRoot(t), "node/knowngood/testdata/wordpress.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 100 {
		t.Fatalf("%d rows of wordpress.csv: %v", len(rows), err)
	}
	for _, r := range rows[1:] {
		l.add(category, r[3], r[4], r[5], "")
	}
	return len(rows) - 1
}

func (l *suppliersList) write(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := csv.NewWriter(f).WriteAll(l.rows); err != nil {
		t.Fatal(err)
	}
	return path
}

// mapping writes down what the supplier's codes mean.
func mapping(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "map.csv")
	text := "code,verdict,harm\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
