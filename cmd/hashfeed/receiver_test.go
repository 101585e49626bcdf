package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// receiver is a program that the scripts tell of [[notify]]:
//
//	receiver HOST:PORT FILE SECRETFILE [fail=N] [redirect=URL]   a web hook; the first N requests get 503
//	receiver stdin FILE [WORD…]                                  a command
//	receiver URL FILE TOKEN [LASTID]                             listens to server-sent events
//
// Each appends what it was told to FILE, a JSON object a line: the event under "event", and what came with it. What it takes for signed it computes
// by itself, from the specification of Standard Webhooks.
func receiver() {
	if err := receive(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
}

type received struct {
	Event  json.RawMessage `json:"event"`
	ID     string          `json:"id,omitempty"`     // the header webhook-id, or the stream's id
	Signed bool            `json:"signed,omitempty"` // by the secret, now
	Type   string          `json:"type,omitempty"`   // Content-Type, or the stream's type of event
	Words  []string        `json:"words,omitempty"`
	Env    []string        `json:"env,omitempty"`
}

func receive(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("want an address and a file")
	}
	out, err := os.OpenFile(args[1], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if args[0] == "stdin" {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		if !bytes.HasSuffix(text, []byte("\n")) || bytes.Count(text, []byte("\n")) != 1 {
			return fmt.Errorf("not one line: %q", text)
		}
		return json.NewEncoder(out).Encode(received{Event: bytes.TrimSpace(text), Words: args[2:], Env: os.Environ()})
	}
	if strings.HasPrefix(args[0], "http") {
		return listenTo(args[0], out, args[2:])
	}
	text, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	fail, redirect := 0, ""
	for _, o := range args[3:] {
		switch name, value, _ := strings.Cut(o, "="); name {
		case "fail":
			if fail, err = strconv.Atoi(value); err != nil {
				return err
			}
		case "redirect":
			redirect = value
		}
	}
	return http.ListenAndServe(args[0], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
			return
		case redirect != "":
			http.Redirect(w, r, redirect, http.StatusTemporaryRedirect)
			return
		case fail > 0:
			fail--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
		mac := hmac.New(sha256.New, secret)
		io.WriteString(mac, id+"."+stamp+"."+string(body))
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		at, err := strconv.ParseInt(stamp, 10, 64)
		fresh := err == nil && time.Since(time.Unix(at, 0)).Abs() < 5*time.Minute
		json.NewEncoder(out).Encode(received{Event: body, ID: id, Type: r.Header.Get("Content-Type"), Signed: fresh && r.Header.Get("webhook-signature") == want})
		w.WriteHeader(http.StatusNoContent)
	}))
}

// listenTo writes down server-sent events until the stream ends.
func listenTo(url string, out io.Writer, args []string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+args[0])
	if len(args) > 1 {
		r.Header.Set("Last-Event-ID", args[1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		return fmt.Errorf("status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	fmt.Fprintln(out, `{"type":"open"}`) // so that a script knows that what comes now is heard
	var e received
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			e.ID = value
		case "event":
			e.Type = value
		case "data":
			e.Event = json.RawMessage(value)
		case "":
			if e.Type != "" { // else a sign of life
				if err := json.NewEncoder(out).Encode(e); err != nil {
					return err
				}
			}
			e = received{}
		}
	}
	return lines.Err()
}

func scriptLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lines SECONDS N FILE")
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	deadline := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for {
		text, err := os.ReadFile(ts.MkAbs(args[2]))
		got := bytes.Count(text, []byte("\n"))
		if err == nil && got == want {
			return
		}
		if got > want || time.Now().After(deadline) {
			ts.Fatalf("%s has %d lines after %s s, want %d:\n%s", args[2], got, args[0], want, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
