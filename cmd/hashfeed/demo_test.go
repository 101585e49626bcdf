package main

import (
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildProgram builds the binary under test.
func buildProgram(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hashfeed")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// runDemo runs the demo with a folder for temporary files of its own, and wants it to be empty afterwards.
func runDemo(t *testing.T, binary string, args ...string) (out string, code int) {
	t.Helper()
	temp, err := os.MkdirTemp("", "hf") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	cmd := exec.Command(binary, append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	text, err := cmd.CombinedOutput()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		t.Fatal(err)
	}
	left, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("demo %v left %s behind", args, left[0].Name())
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func TestDemo(t *testing.T) {
	binary := buildProgram(t)
	out, code := runDemo(t, binary)
	if code != 0 || !strings.Contains(out, "Every step held.") {
		t.Fatalf("demo: exit code %d:\n%s", code, out)
	}
	for i, st := range storySteps {
		if !strings.Contains(out, fmt.Sprintf("\n%2d. ", i+1)) {
			t.Errorf("demo: step %d, %s, isn't told:\n%s", i+1, st.name, out)
		}
	}

	// The demo is only worth something if it fails when a step doesn't hold, and says which.
	broken := storySteps
	if os.Getenv("HASHFEED_TEST") != "full" {
		broken = broken[2:5] // the others with make test-full
	}
	for _, st := range broken {
		out, code := runDemo(t, binary, "--break", st.name)
		if code != exitError || !strings.Contains(out, st.name+": DID NOT HOLD") {
			t.Errorf("demo with %s broken: exit code %d, want %d and the step named:\n%s", st.name, code, exitError, out)
		}
	}
	if out, code := runDemo(t, binary, "--break", "nothing"); code != exitUsage {
		t.Errorf("demo --break nothing: exit code %d, want %d:\n%s", code, exitUsage, out)
	}
}

func TestDemoImages(t *testing.T) {
	binary := buildProgram(t)
	dir := t.TempDir()
	if out, code := runDemo(t, binary, "--images", dir); code != exitError || !strings.Contains(out, "0 pictures") {
		t.Errorf("demo with no pictures: exit code %d:\n%s", code, out)
	}
	for seed := range uint64(2) {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.png", seed)))
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, drawPicture(seed+50, 800, 600)); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if out, code := runDemo(t, binary, "--images", dir); code != 0 {
		t.Errorf("demo with own pictures: exit code %d:\n%s", code, out)
	}
}
