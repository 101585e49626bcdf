package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // pictures of --images
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hashfeed/node/api"
	"hashfeed/node/policy"
)

// story is the demo: three daemons of this binary, and what they do for each other, step by step.
type story struct {
	env     *env
	dir     string
	self    string // this binary
	broken  string // the step to break
	known   image.Image
	other   image.Image
	hotline *actor
	liaison *actor
	host    *actor
	ref     string // of the picture's record
}

// actor is one node of the story.
type actor struct {
	name, dir            string
	peer, listen, socket string
	cmd                  *exec.Cmd
	ended                chan struct{} // closed when cmd has ended
	log                  *os.File
	door                 *api.Client
}

// step is one sentence of the story and what must hold.
type step struct {
	name string // what --break takes
	do   func(context.Context, *story) (string, error)
}

const (
	// demoStepTime bounds each step.
	demoStepTime = 60 * time.Second
	// demoLogLines is how much of each log is shown after a failure.
	demoLogLines = 12
	// brokenStepTime bounds one that was broken, and can only fail.
	brokenStepTime = 5 * time.Second
)

func newStory(e *env, images, broken string) (*story, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	s := &story{env: e, self: self, broken: broken, known: drawPicture(2026, 1024, 768), other: drawPicture(2021, 1024, 768)}
	if broken != "" && !slices.ContainsFunc(storySteps, func(st step) bool { return st.name == broken }) {
		return nil, usagef("demo: there is no step %q to break", broken)
	}
	if images != "" {
		if s.known, s.other, err = loadPictures(images); err != nil {
			return nil, err
		}
	}
	if s.dir, err = os.MkdirTemp("", "hashfeed-demo-"); err != nil {
		return nil, err
	}
	return s, nil
}

// loadPictures takes the first two pictures of a folder that can be decoded.
func loadPictures(dir string) (known, other image.Image, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	var found []image.Image
	for _, entry := range entries {
		f, err := os.Open(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue
		}
		config, _, err := image.DecodeConfig(f)
		if err == nil && config.Width*config.Height <= maxDemoPixels {
			if _, err = f.Seek(0, io.SeekStart); err == nil {
				if m, _, err := image.Decode(f); err == nil {
					found = append(found, m)
				}
			}
		}
		f.Close()
		if len(found) == 2 {
			return found[0], found[1], nil
		}
	}
	return nil, nil, fmt.Errorf("demo: %s has %d pictures that can be decoded, and two are needed", dir, len(found))
}

// tell runs the steps. The first that doesn't hold ends the story, and is named.
func (s *story) tell(ctx context.Context) error {
	fmt.Fprintln(s.env.stdout, "hashfeed demo: a hotline, a liaison and a host, three real processes on this machine.")
	for i, st := range storySteps {
		limit := demoStepTime
		if s.breaks(st.name) {
			limit = brokenStepTime
		}
		within, cancel := context.WithTimeout(ctx, limit)
		began := time.Now()
		text, err := st.do(within, s)
		cancel()
		if err != nil {
			fmt.Fprintf(s.env.stdout, "%2d. %s: DID NOT HOLD: %v\n", i+1, st.name, err)
			return fmt.Errorf("demo: step %d, %s: %w", i+1, st.name, err)
		}
		fmt.Fprintf(s.env.stdout, "%2d. %s (%s)\n", i+1, text, time.Since(began).Round(time.Millisecond))
	}
	fmt.Fprintln(s.env.stdout, "Every step held.")
	return nil
}

// cleanUp ends what runs and removes what was written.
func (s *story) cleanUp() {
	for _, a := range []*actor{s.host, s.liaison, s.hotline} {
		if a != nil {
			a.end()
		}
	}
	if err := os.RemoveAll(s.dir); err != nil {
		fmt.Fprintf(s.env.stderr, "hashfeed: demo: %v\n", err)
	}
}

// showLogs prints the end of what each daemon said, which after a failure is what one wants to see.
func (s *story) showLogs() {
	for _, a := range []*actor{s.hotline, s.liaison, s.host} {
		if a == nil {
			continue
		}
		text, err := os.ReadFile(a.dir + ".log")
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(s.env.stderr, "log of %s:\n  %s\n", a.name, strings.Join(lines[max(0, len(lines)-demoLogLines):], "\n  "))
	}
}

func (s *story) keep() {
	fmt.Fprintln(s.env.stdout, "\nThe nodes run on. Talk to them:")
	for _, a := range []*actor{s.hotline, s.liaison, s.host} {
		fmt.Fprintf(s.env.stdout, "  %s --dir %s status        (process %d)\n", s.self, a.dir, a.cmd.Process.Pid)
	}
	fmt.Fprintf(s.env.stdout, "Pictures are in %s. To end them: kill the processes, then remove %s\n", s.dir, s.dir)
}

// newActor makes a node in its directory.
func (s *story) newActor(ctx context.Context, name, role string) (*actor, error) {
	a := &actor{name: name, dir: filepath.Join(s.dir, strings.TrimSuffix(name, ".example"))}
	_, err := s.run(ctx, a, "init", "--name", name, "--role", role, "--harm", "csam", "--contact", "desk@"+name)
	return a, err
}

// run asks the binary, as a person at that node would, and returns what it prints on standard output.
func (s *story) run(ctx context.Context, a *actor, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.self, append([]string{"--dir", a.dir}, args...)...)
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: hashfeed %s: %w: %s", a.name, args[0], err, strings.TrimSpace(talk.String()))
	}
	return out.Bytes(), nil
}

// start runs an actor's daemon, and waits until it is ready.
func (s *story) start(ctx context.Context, a *actor) error {
	if a.listen == "" {
		port, err := quietPort()
		if err != nil {
			return err
		}
		a.listen = fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)
	}
	cmd := exec.Command(s.self, "--dir", a.dir, "run", "--api", "127.0.0.1:0", "--listen", a.listen)
	log, err := os.OpenFile(a.dir+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	offset, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd.Stderr, a.log = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	a.cmd, a.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		cmd.Wait()
		close(ended)
	}(a.ended)
	for {
		text, err := os.ReadFile(a.dir + ".log")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text[offset:])) {
			if words := strings.Fields(line); len(words) == 5 && words[0] == "ready" {
				a.peer = strings.TrimPrefix(words[1], "peer=")
				a.listen = strings.TrimPrefix(words[2], "listen=")
				a.socket = strings.TrimPrefix(words[4], "socket=")
				a.door, err = api.Dial(ctx, a.socket)
				return err
			}
		}
		select {
		case <-a.ended:
			return fmt.Errorf("%s ended at its start", a.name)
		case <-ctx.Done():
			return fmt.Errorf("%s doesn't get ready in time", a.name)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// quietPort finds a free port that the system doesn't hand out for outgoing connections, so that a node that is stopped
// and started again finds it free still.
func quietPort() (int, error) {
	for range 100 {
		port := 10_240 + rand.IntN(20_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("find a free port: a hundred are taken")
}

func (a *actor) end() {
	if a.cmd == nil {
		return
	}
	if a.door != nil {
		a.door.Close()
	}
	a.cmd.Process.Signal(os.Interrupt)
	select {
	case <-a.ended:
	case <-time.After(10 * time.Second):
		a.cmd.Process.Kill()
		<-a.ended
	}
	a.log.Close()
	a.cmd, a.door = nil, nil
}

// wait is a moment between two looks.
func wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5 * time.Millisecond):
		return nil
	}
}

// until looks until done is so, and returns how long that took.
func until(ctx context.Context, done func() (bool, error)) (time.Duration, error) {
	began := time.Now()
	for {
		ok, err := done()
		if err != nil {
			return 0, err
		}
		if ok {
			return time.Since(began), nil
		}
		if err := wait(ctx); err != nil {
			return 0, errors.New("it didn't come about in time")
		}
	}
}

// has waits until an actor's copy of a feed has a size.
func (a *actor) has(ctx context.Context, feed string, size uint64) (time.Duration, error) {
	took, err := until(ctx, func() (bool, error) {
		f, err := a.door.Feed(ctx, feed)
		if statusOf(err) == http.StatusNotFound {
			return false, nil
		}
		return err == nil && f.ActiveSize >= size && f.State == "ok", err
	})
	if err != nil {
		return 0, fmt.Errorf("%s has not received %s up to %d: %w", a.name, feed, size, err)
	}
	return took, nil
}

// upload has an actor scan bytes, and wants the outcome.
func (a *actor) upload(ctx context.Context, data []byte, want policy.Outcome) (policy.Verdict, error) {
	v, err := a.door.Scan(ctx, bytes.NewReader(data), "")
	if err != nil {
		return v, err
	}
	if v.Verdict != want {
		return v, fmt.Errorf("%s answers %s, not %s", a.name, v.Verdict, want)
	}
	return v, nil
}

// byPDQ is the nearest match by PDQ.
func byPDQ(v policy.Verdict) (policy.Match, error) {
	for _, m := range v.Matches {
		if m.Alg == "pdq" || m.Alg == "pdq_full" {
			return m, nil
		}
	}
	return policy.Match{}, errors.New("it isn't matched by PDQ")
}

func decodeLine(data []byte, out any) error {
	line, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
	return json.Unmarshal(line, out)
}
