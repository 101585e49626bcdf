package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// In June 2021 a hash service enabled a supplier's category "other" by mistake. WordPress' default pictures became illegal, and a large host deleted its
// customers' files. The tests here play it again, with real programs.

const (
	mapOther = "other,national,csam" // the mistake
	mapA1    = "A1,national,csam"
)

// genuine is what the supplier lists with reason, invented here.
const genuine = "0cc175b9c0f1b6a831c399e2697726610cc175b9c0f1b6a831c399e269772661"

// switches are what stands between the mistake and a customer's file. Each is one switch, and none needs another.
//
// The runaway breaker isn't among them: it acts after a record has blocked as many uploads as it is set to. It bounds the harm, it doesn't prevent it.
// What is independent of the publisher and of both lists of known-good files is that another publisher must say the same.
type switches struct {
	mapping      bool     // the hotline's map doesn't know the code "other"
	guardThere   bool     // the hotline's list of known-good files has the picture
	guardHere    bool     // the host's has it
	onePublisher bool     // the host acts on what two publishers say
	trust        []string // how the host follows
}

// trusting is a host that blocks whatever it is told.
var trusting = []string{"--verdicts", "baseline,national", "--action", "block", "--near", "block", "--weak", "block"}

func TestIncidentLayers(t *testing.T) {
	binary := buildProgram(t)
	const n = 4
	for _, tt := range []struct {
		name                 string
		on                   switches
		refused              string // what the import says
		verdict, state       string // of each upload
		publishedIsHarmless  bool   // nothing of the picture reached the feed
		otherListedIsBlocked bool   // the layer doesn't just switch all blocking off
	}{
		{"none", switches{trust: trusting}, "", "block", "active", false, true},
		{"1 the closed mapping", switches{mapping: true, trust: trusting}, `category "other"`, "allow", "", true, true},
		{"2 the guard at the import", switches{guardThere: true, trust: trusting}, "known good", "allow", "", true, true},
		{"3 a new follow", switches{}, "", "log", "untrusted", false, false},
		{"3 a trusted verdict that only logs", switches{trust: []string{"--verdicts", "national"}}, "", "log", "active", false, false},
		{"3 an untrusted verdict", switches{trust: []string{"--verdicts", "baseline", "--action", "block", "--near", "block", "--weak", "block"}},
			"", "log", "untrusted", false, false},
		{"4 the guard at the host", switches{guardHere: true, trust: trusting}, "", "review", "held", false, true},
		{"5 two publishers", switches{onePublisher: true, trust: trusting}, "", "review", "active", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policy := "[policy]\nbreaker = 0\n"
			if tt.on.onePublisher {
				policy += "min_publishers = 2\n"
			}
			hotline, host := newParty(t, binary, "hotline.example", "hotline", ""), newParty(t, binary, "host.example", "host", policy)
			picture := drawPicture(2021, 640, 480)
			files := copies("header", picture, pngOf(picture), n)
			logo := filepath.Join(t.TempDir(), "header.png")
			if err := os.WriteFile(logo, files[0].data, 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.on.guardThere {
				hotline.must("knowngood", "add", logo)
			}
			if tt.on.guardHere {
				host.must("knowngood", "add", logo)
			}
			hotline.start()
			host.start()
			host.follows(hotline, tt.on.trust...)

			list := &suppliersList{}
			list.add("A1", "", "", genuine, "")
			list.addFile(hotline, "other", files[0])
			codes := []string{mapA1, mapOther}
			if tt.on.mapping {
				codes = codes[:1]
			}
			out, errs, code := hotline.do("import", "--format", "csv", "--verdict", "national", "--source", "supplier", "--into", "known",
				"--permission", "contract 7", "--map", mapping(t, codes...), "--partial", list.write(t))
			switch {
			case tt.refused == "" && code != 0:
				t.Fatalf("import: exit code %d: %s%s", code, out, errs)
			case tt.refused != "" && (code != exitError || !strings.Contains(errs, tt.refused)):
				t.Fatalf("import: exit code %d, want %d and %s named: %s%s", code, exitError, tt.refused, out, errs)
			}
			host.hasHeard(hotline)
			want := "2"
			if tt.publishedIsHarmless {
				want = "1"
			}
			if got := hotline.get("size", "feed", "show", "known", "--json"); got != want {
				t.Fatalf("%s records are published, want %s", got, want)
			}
			other := host.get("verdict", "match", "--json", "sha256:"+genuine)
			if (other == "block") != tt.otherListedIsBlocked {
				t.Errorf("what is listed with reason: %s", other)
			}

			answers := host.uploads(files)
			wantBlocked := 0
			if tt.verdict == "block" {
				wantBlocked = n
			}
			if got := blocked(answers); got != wantBlocked {
				t.Errorf("%d of %d uploads are blocked, want %d", got, n, wantBlocked)
			}
			for i, a := range answers {
				if a.Verdict != tt.verdict {
					t.Errorf("upload %d: %s, want %s", i, a.Verdict, tt.verdict)
				}
				if (len(a.Matches) > 0) != (tt.state != "") || len(a.Matches) > 0 && a.Matches[0].State != tt.state {
					t.Errorf("upload %d: matches %+v, want the state %q", i, a.Matches, tt.state)
				}
			}
		})
	}
}

func TestIncidentOfJune2021(t *testing.T) {
	binary := buildProgram(t)
	receiver, err := exec.LookPath("receiver")
	if err != nil {
		t.Fatal(err)
	}
	const breaker = 5
	told := filepath.Join(t.TempDir(), "told.jsonl")
	publisherTold := filepath.Join(t.TempDir(), "told.jsonl")
	desk := "[[notify]]\nname = \"desk\"\ncommand = [%q, \"stdin\", %q]\n"
	hotline := newParty(t, binary, "hotline.example", "hotline", fmt.Sprintf(desk, receiver, publisherTold))
	host := newParty(t, binary, "host.example", "host", fmt.Sprintf("[policy]\nbreaker = %d\n\n"+desk, breaker, receiver, told))
	hotline.start()
	host.start()
	host.follows(hotline, trusting...)

	// The supplier's list: one row of real work, and all that is under "other".
	files := ordinary(t)
	list := &suppliersList{}
	list.add("A1", "", "", genuine, "")
	others := list.addWordPress(t, "other")
	for _, f := range files {
		list.addFile(hotline, "other", f)
	}
	others += len(files)
	different := map[string]bool{} // some are in WordPress twice
	for _, row := range list.rows[2:] {
		different["sha256:"+row[3]] = true
	}
	path := list.write(t)
	take := func(args ...string) (string, string, int) {
		return hotline.do(append(append([]string{"import", "--format", "csv", "--verdict", "national", "--source", "supplier", "--into", "known",
			"--permission", "contract 7", "--json"}, args...), path)...)
	}

	// As it should be: the code is nowhere in the map, so nothing at all is taken.
	out, errs, code := take("--map", mapping(t, mapA1))
	if code != exitError || !strings.Contains(errs, `category "other" is not in the map`) {
		t.Fatalf("import: exit code %d: %s%s", code, out, errs)
	}
	// As it was in 2021: somebody puts the code into the map. Each of the pictures is known good; only the work is taken.
	out, errs, code = take("--map", mapping(t, mapA1, mapOther), "--partial")
	for path, want := range map[string]string{"added": "1", "refused": fmt.Sprint(len(different)), "skipped": fmt.Sprint(others - len(different))} {
		if got, err := lookup(out, path); err != nil || got != want || code != exitError {
			t.Fatalf("import: %s is %s, want %s; exit code %d, %v: %s%s", path, got, want, code, err, out, errs)
		}
	}
	host.hasHeard(hotline)
	if got := host.get("verdict", "match", "--json", "sha256:"+genuine); got != "block" {
		t.Errorf("what is listed with reason: %s", got)
	}
	answers := host.uploads(files)
	for i, a := range answers {
		if a.Verdict != "allow" {
			t.Errorf("%s: %s", files[i].ref, a.Verdict)
		}
	}
	for i, a := range host.matches(slices.Sorted(maps.Keys(different))) {
		if a.Verdict != "allow" {
			t.Errorf("hash %d of the list: %s", i, a.Verdict)
		}
	}
	t.Logf("%d rows, %d of them different known-good files, all refused; %d files uploaded, %d blocked", others+1, len(different), len(files), blocked(answers))

	// One is forced through. Its customers have it in different files.
	start := time.Now()
	logo := filepath.Join("testdata", "incident", "camera-photo.png")
	data, err := os.ReadFile(logo)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	uploaded := copies("icon", picture, data, 3*breaker)
	if _, errs, code := hotline.do("publish", "--verdict", "national", logo); code != exitError || !strings.Contains(errs, "known good") {
		t.Fatalf("publish what is known good: exit code %d: %s", code, errs)
	}
	ref, err := lookup(hotline.must("publish", "--verdict", "national", "--override-known-good", "reviewed", "--json", logo), "ref")
	if err != nil {
		t.Fatal(err)
	}
	host.hasHeard(hotline)
	published := time.Since(start)

	start = time.Now()
	answers = host.uploads(uploaded)
	uploading := time.Since(start)
	if got := blocked(answers); got != breaker {
		t.Errorf("%d uploads are blocked, want %d, and no more", got, breaker)
	}
	for i, a := range answers[breaker:] {
		if a.Verdict != "review" || a.Matches[0].State != "held" {
			t.Errorf("upload %d: %+v", breaker+i, a)
		}
	}
	hotline.await("disputes.0.ref", ref, "status", "--json")
	disputed := time.Since(start)
	if got := hotline.get("disputes.0.reason", "status", "--json"); got != "runaway" {
		t.Errorf("the dispute's reason is %s", got)
	}

	if got := host.get("alarms.0.code", "status", "--json"); got != "runaway" {
		t.Errorf("the host's status shows %s, want the alarm runaway", got)
	}

	start = time.Now()
	hotline.must("suspend", ref)
	host.await("matches.0.state", "suspended", "scan", "--json", logo)
	suspended := time.Since(start)

	start = time.Now()
	hotline.must("retract", ref, "--reason", "false-positive")
	host.await("verdict", "allow", "scan", "--json", logo)
	retracted := time.Since(start)

	// The host sees whom it turned away, by the references that it gave.
	var listed struct{ Entries []struct{ Ref string } }
	if err := json.Unmarshal([]byte(host.must("journal", "affected", ref, "--json")), &listed); err != nil {
		t.Fatal(err)
	}
	var affected []string
	for _, e := range listed.Entries {
		affected = append(affected, e.Ref)
	}
	for _, f := range uploaded {
		if !slices.Contains(affected, f.ref) {
			t.Errorf("the list of affected decisions lacks %s: %v", f.ref, affected)
		}
	}
	if verify := host.must("journal", "verify"); !strings.HasPrefix(verify, "true") {
		t.Errorf("journal: %s", verify)
	}

	// Both desks were told of each step.
	awaitTold(t, told, ref, map[string]int{"block": breaker, "review": 1, "retraction": 1})
	awaitTold(t, publisherTold, ref, map[string]int{"dispute": 1, "retraction": 1})
	notified := time.Since(start)
	t.Logf("forced through: %v until the host had it; %d of %d uploads blocked in %v, the others held by the breaker; disputed at the publisher after %v; "+
		"suspended at the host in %v, retracted in %v, %d affected decisions listed, all told after %v",
		published.Round(time.Millisecond), breaker, len(uploaded), uploading.Round(time.Millisecond), disputed.Round(time.Millisecond),
		suspended.Round(time.Millisecond), retracted.Round(time.Millisecond), len(affected), notified.Round(time.Millisecond))
	for what, took := range map[string]time.Duration{"dispute": disputed, "suspension": suspended, "retraction": retracted} {
		if took > 20*time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
}

// awaitTold waits until a desk was told of the record as often as wanted, by kind.
func awaitTold(t *testing.T, path, ref string, wanted map[string]int) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute) // each event starts this test's binary, which takes a second where many tests run with the race detector
	for {
		kinds, missing := toldOf(t, path, ref), ""
		for kind, n := range wanted {
			if kinds[kind] < n {
				missing += fmt.Sprintf(" %s %d of %d;", kind, kinds[kind], n)
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not told of:%s", missing)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// toldOf counts by kind what a desk was told of the record.
func toldOf(t *testing.T, path, ref string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for line := range bytes.Lines(text) {
		var r struct {
			Event struct {
				Kind, Ref string
				Records   []string
			}
		}
		if json.Unmarshal(line, &r) != nil {
			continue // it is being written
		}
		if e := r.Event; e.Ref == ref || slices.Contains(e.Records, ref) {
			kinds[e.Kind]++
		}
	}
	return kinds
}
