package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hashfeed/feed"
	"hashfeed/node/api"
	"hashfeed/node/gossip"
	"hashfeed/node/policy"
)

// heard is what a node has told so far.
func heard(t *testing.T, n *Node) (events []api.Event) {
	t.Helper()
	n.news.mu.Lock()
	defer n.news.mu.Unlock()
	for _, line := range n.news.late {
		var e api.Event
		if err := json.Unmarshal(line.JSON, &e); err != nil {
			t.Fatal(err)
		}
		if e.ID != line.ID || e.Kind != line.Kind {
			t.Errorf("a line of %s %s is the event %+v", line.ID, line.Kind, e)
		}
		events = append(events, e)
	}
	return events
}

// said is each of those in short.
func said(t *testing.T, n *Node) (short []string) {
	for _, e := range heard(t, n) {
		short = append(short, strings.TrimSpace(fmt.Sprintln(e.Kind, e.Ref, e.Reason, e.Code, map[bool]string{true: "ended"}[e.Ended])))
	}
	for i, s := range short {
		short[i] = strings.Join(strings.Fields(s), " ")
	}
	return short
}

// TestAnnounceVerdict: which verdicts are events, and what their text asks for.
func TestAnnounceVerdict(t *testing.T) {
	d := newDesk(t)
	m := func(ref string, action policy.Action, test bool) policy.Match {
		return policy.Match{Origin: strings.Split(ref, "#")[0], Ref: ref, Verdict: "baseline", Harm: "csam", Action: action, Test: test}
	}
	for _, c := range []struct {
		verdict policy.Outcome
		matches []policy.Match
		want    api.Event // without id and time
	}{
		{policy.OutcomeAllow, nil, api.Event{}},
		{policy.OutcomeLog, []policy.Match{m("a.example/known/1#1", policy.Log, false)}, api.Event{}},
		{policy.OutcomeError, nil, api.Event{}},
		{policy.OutcomeBlock, []policy.Match{m("a.example/known/1#1", policy.Block, false), m("a.example/known/1#1", policy.Block, false), m("b.example/known/1#2", policy.Log, false)},
			api.Event{Kind: "block", Ref: "42", Origin: "a.example/known/1", Records: []string{"a.example/known/1#1"}, Verdict: "block", Decision: "D",
				Text: "don't accept this upload: it matches a.example/known/1#1 (baseline, csam)"}},
		{policy.OutcomeReview, []policy.Match{m("a.example/known/1#1", policy.Review, false), m("b.example/known/1#2", policy.Review, false)},
			api.Event{Kind: "review", Ref: "42", Origin: "a.example/known/1", Records: []string{"a.example/known/1#1", "b.example/known/1#2"}, Verdict: "review", Decision: "D",
				Text: "let a person look before this upload is accepted: it matches a.example/known/1#1 (baseline, csam), b.example/known/1#2 (baseline, csam)"}},
		{policy.OutcomeBlock, []policy.Match{m("hashfeed-test/selftest/1#0", policy.Block, true)},
			api.Event{Kind: "test", Ref: "42", Origin: "hashfeed-test/selftest/1", Records: []string{"hashfeed-test/selftest/1#0"}, Verdict: "block", Decision: "D", Test: true,
				Text: "the test picture was recognised: do nothing about it"}},
		// A test record beside a real one doesn't make it a test.
		{policy.OutcomeBlock, []policy.Match{m("hashfeed-test/selftest/1#0", policy.Block, true), m("a.example/known/1#1", policy.Review, false)},
			api.Event{Kind: "block", Ref: "42", Origin: "hashfeed-test/selftest/1", Records: []string{"hashfeed-test/selftest/1#0", "a.example/known/1#1"}, Verdict: "block", Decision: "D",
				Text: "don't accept this upload: it matches a.example/known/1#1 (baseline, csam)"}},
	} {
		before := len(heard(t, d.Node))
		d.announceVerdict(policy.Verdict{Verdict: c.verdict, Matches: c.matches, Decision: "D"}, "42")
		events := heard(t, d.Node)[before:]
		if c.want.Kind == "" {
			if len(events) != 0 {
				t.Errorf("%s: got %+v, want nothing", c.verdict, events)
			}
			continue
		}
		if len(events) != 1 {
			t.Errorf("%s: got %d events, want one", c.verdict, len(events))
			continue
		}
		got := events[0]
		if got.Time != "2026-11-23T09:00:00Z" || len(got.ID) != 26 {
			t.Errorf("%s: got id %s, time %s", c.verdict, got.ID, got.Time)
		}
		got.ID, got.Time = "", ""
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v\nwant %+v", c.verdict, got, c.want)
		}
		if strings.Contains(strings.ToLower(got.Text), "account") {
			t.Errorf("%s: an event speaks of accounts: %s", c.verdict, got.Text)
		}
	}
}

// TestVerdictsAreTold: each of several hashes by itself, several of one file together, and none with its hash.
func TestVerdictsAreTold(t *testing.T) {
	d := newDesk(t)
	refs := d.list(0, 1)
	var hashes []feed.Hash
	for i := range 4 {
		h, err := feed.ParseHash(hashOf(i))
		d.must(err)
		hashes = append(hashes, h)
	}
	_, err := d.Answers(context.Background(), feed.HashesOf(hashes))
	d.must(err)
	if got, want := said(t, d.Node), []string{"block", "block"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	events := heard(t, d.Node)
	if !slices.Equal(events[0].Records, refs[:1]) || !slices.Equal(events[1].Records, refs[1:]) {
		t.Errorf("got %+v, want one about each of %v", events, refs)
	}
	_, err = d.Match(context.Background(), hashes[:1], true)
	d.must(err)
	_, err = d.Scan(context.Background(), strings.NewReader("thing 1"), "upload 7")
	d.must(err)
	events = heard(t, d.Node)
	if len(events) != 4 || events[3].Ref != "upload 7" || events[2].Ref != "" {
		t.Errorf("got %+v", events)
	}
	for _, e := range events {
		text, err := json.Marshal(e)
		d.must(err)
		for i := range 2 {
			if strings.Contains(string(text), strings.TrimPrefix(hashOf(i), "md5:")) {
				t.Errorf("an event tells a hash: %s", text)
			}
		}
	}
}

// TestEventIDs: they sort in the order in which they were given, also within a millisecond and when the clock is set back.
func TestEventIDs(t *testing.T) {
	w := newNews()
	at := time.Date(2026, 11, 29, 2, 0, 0, 0, time.UTC)
	last := ""
	for i := range 300_000 {
		switch i {
		case 100_000:
			at = at.Add(-time.Hour)
		case 200_000:
			at = at.Add(2 * time.Hour)
		}
		id := w.nextID(at)
		if id <= last || len(id) != 26 || strings.Trim(id, crockford) != "" {
			t.Fatalf("after %s comes %s", last, id)
		}
		last = id
	}
	// The first ten are the time, as ULIDs have it: the example of their specification.
	if got, want := newNews().nextID(time.UnixMilli(1469918176385))[:10], "01ARYZ6S41"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestListen: who comes back hears what was missed, who is too slow is cut off, and there are not too many of them.
func TestListen(t *testing.T) {
	d := newDesk(t)
	tell := func(n int) {
		for range n {
			d.announce(api.Event{Kind: api.EventAlarm, Code: "x"})
		}
	}
	tell(3)
	events := heard(t, d.Node)
	for after, want := range map[string]int{"": 0, events[2].ID: 0, events[0].ID: 2, "unknown": 3} {
		s, err := d.listen(after)
		d.must(err)
		if len(s.Past) != want || s.Gap != (after == "unknown") {
			t.Errorf("after %q: got %d, gap %v, want %d", after, len(s.Past), s.Gap, want)
		}
		s.Stop()
	}
	slow, err := d.listen("")
	d.must(err)
	tell(listenerBuffer + 1)
	n := 0
	for range slow.Next {
		n++
	}
	if n != listenerBuffer {
		t.Errorf("one that doesn't keep up: got %d events before it was cut off, want %d", n, listenerBuffer)
	}
	slow.Stop()
	tell(2 * keptEvents)
	if got := len(heard(t, d.Node)); got > keptEvents || got < keptEvents*3/4 {
		t.Errorf("%d events are kept", got)
	}
	var all []api.EventStream
	for range maxListeners {
		s, err := d.listen("")
		d.must(err)
		all = append(all, s)
	}
	if _, err := d.listen(""); err == nil || !strings.Contains(err.Error(), "listen already") {
		t.Errorf("one too many: got %v", err)
	}
	d.endNews()
	for _, s := range all {
		if _, more := <-s.Next; more {
			t.Error("a listener isn't sent away")
		}
		s.Stop()
	}
	if _, err := d.listen(""); err == nil {
		t.Error("the node stops, and somebody may listen")
	}
}

// TestTeller: retractions and disputes are told once, also when they were made while nobody looked; what was retracted before the feed came here
// isn't news.
func TestTeller(t *testing.T) {
	d := newDesk(t)
	ctx := t.Context()
	refs := d.list(0, 1, 2, 3)
	ref := func(i int) feed.Ref {
		r, err := feed.ParseRef(refs[i])
		d.must(err)
		return r
	}
	retract := func(i int) {
		t.Helper()
		_, err := d.Retract(context.Background(), ref(i), feed.FalsePositive)
		d.must(err)
	}
	retract(0) // before the teller knows the feed
	teller := newTeller(d.Node)
	teller.look(ctx, true)
	if got := said(t, d.Node); len(got) != 0 {
		t.Fatalf("at first: got %q, want nothing", got)
	}
	retract(1)
	_, err := d.Dispute(context.Background(), ref(2), feed.WrongCategory)
	d.must(err)
	teller.look(ctx, false)
	teller.look(ctx, true)
	want := []string{"retraction " + refs[1] + " false-positive", "dispute " + refs[2] + " wrong-category"}
	if got := said(t, d.Node); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}

	// After a restart nothing is told again, and nothing is left out that was done without a teller.
	retract(2)
	d.reopen()
	newTeller(d.Node).look(ctx, true)
	want = []string{"retraction " + refs[2] + " false-positive"}
	if got := said(t, d.Node); !slices.Equal(got, want) {
		t.Errorf("after a restart: got %q, want %q", got, want)
	}
	e := heard(t, d.Node)[0]
	if !slices.Equal(e.Records, []string{refs[2]}) || e.Origin != "hotline.example/known/1" ||
		e.Text != "hotline.example has retracted "+refs[2]+" (false-positive): it matches nothing any more; look again at what was refused or taken down because of it" {
		t.Errorf("got %+v", e)
	}

	// A file that is damaged is begun anew.
	data, err := os.ReadFile(d.Node.dir.told())
	d.must(err)
	data[len(data)/2] ^= 1
	d.must(os.WriteFile(d.Node.dir.told(), data, 0o600))
	retract(3)
	again := newTeller(d.Node)
	again.look(ctx, true)
	if got := said(t, d.Node); len(got) != 1 {
		t.Errorf("damaged: got %q, want nothing more", got)
	}
	// A feed that was first seen long ago, and is fetched only now: what was retracted before isn't told.
	for _, c := range again.cursors {
		c.Next, c.Since = 0, d.clock.Unix()+tellSkew+1
	}
	again.look(ctx, true)
	if got := said(t, d.Node); len(got) != 1 {
		t.Errorf("history: got %q, want nothing more", got)
	}
	for _, c := range again.cursors {
		c.Next, c.Since = 0, d.clock.Unix()+tellSkew
	}
	again.look(ctx, true)
	if got := said(t, d.Node); len(got) != 6 {
		t.Errorf("from the beginning: got %q, want all five of them", got)
	}
}

// TestReportsAreTold: a member's report is told when it comes, and not again when it is in the feed.
func TestReportsAreTold(t *testing.T) {
	s := newShared(t)
	ref := s.list(md5A)
	teller := newTeller(s.Node)
	teller.look(t.Context(), true)
	record, err := s.store.Record(ref.Origin, ref.Index)
	s.must(err)
	report := gossip.Report{Ref: ref, Leaf: feed.LeafHash(record.Head), Reason: feed.WrongCategory}
	for range 2 {
		_, err = s.takeReport(context.Background(), report)
		s.must(err)
	}
	second := s.propose(md5B)
	s.approve(s.bob, second.Batch)
	teller.look(t.Context(), true)
	want := []string{"dispute " + ref.String() + " wrong-category"}
	if got := said(t, s.Node); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if text := heard(t, s.Node)[0].Text; !strings.Contains(text, "hashfeed resolve "+ref.String()+" --uphold or --retract") {
		t.Errorf("got %q", text)
	}
}

// TestAlarmsAreTold: when two looks saw them, when two looks didn't, and once each whatever restarts there are.
func TestAlarmsAreTold(t *testing.T) {
	d := newDesk(t)
	disk := []api.Alarm{{Code: "disk", Text: "full", Remedy: "make room"}, {Code: "disk", Text: "full too"}}
	stale := append(slices.Clone(disk), api.Alarm{Code: "stale", Feed: "a.example/known/1", Text: "old"})
	teller := newTeller(d.Node)
	step := func(alarms []api.Alarm, want ...string) {
		t.Helper()
		before := len(heard(t, d.Node))
		teller.lookAtAlarms(alarms)
		teller.keep(t.Context())
		if got := said(t, d.Node)[before:]; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	step(disk)
	step(nil) // it came and went
	step(disk)
	step(stale, "alarm disk")
	step(disk) // stale came and went
	teller = newTeller(d.Node)
	step(stale)
	step(stale, "alarm stale")
	step(nil)
	step(disk, "alarm stale ended")
	step(nil)
	teller = newTeller(d.Node) // which has seen nothing yet
	step(nil)
	step(nil, "alarm disk ended")
	step(nil)
	e := heard(t, d.Node)
	if e[0].Text != "full" || e[0].Remedy != "make room" || e[1].Origin != "a.example/known/1" || e[len(e)-1].Text != "over: full" {
		t.Errorf("got %+v", e)
	}
}

// TestReloadTargets: a config that names who is told is taken over as a whole, or not at all.
func TestReloadTargets(t *testing.T) {
	d := newDesk(t)
	path := d.Node.dir.config()
	before, err := os.ReadFile(path)
	d.must(err)
	write := func(more string) {
		t.Helper()
		d.must(os.WriteFile(path, append(slices.Clip(before), more...), 0o600))
	}
	write("\n[[notify]]\nname = \"desk\"\nurl = \"https://desk.example/\"\nsecret_file = \"keys/none\"\n")
	if err := d.Reload(); err == nil || !strings.Contains(err.Error(), "read secret") {
		t.Errorf("without the secret: got %v", err)
	}
	write("\n[[notify]]\nname = \"page\"\ncommand = [\"/bin/true\"]\non = [\"dispute\"]\n")
	d.must(d.Reload())
	d.announce(api.Event{Kind: api.EventDispute, Text: "x"})
	d.announce(api.Event{Kind: api.EventAlarm, Text: "x"})
	d.must(d.news.notifier.Flush(t.Context()))
	if s := d.news.notifier.State(); len(s) != 1 || s[0].Target != "page" || s[0].Waiting != 1 {
		t.Errorf("got %+v, want the dispute to wait for page", s)
	}
	write("\n[[notify]]\nname = \"page\"\ncommand = [\"true\"]\n")
	if err := d.Reload(); err == nil || len(d.news.notifier.State()) != 1 {
		t.Errorf("a wrong config: got %v", err)
	}
}

// TestNotifyAlarms: a receiver that is away, and events that nobody will get, are alarms.
func TestNotifyAlarms(t *testing.T) {
	d := newDesk(t)
	d.must(os.MkdirAll(d.Node.dir.notify(), 0o700))
	d.must(os.WriteFile(d.Node.dir.notify()+"/page.queue", []byte("damaged\n"), 0o600))
	config, err := os.ReadFile(d.Node.dir.config())
	d.must(err)
	d.must(os.WriteFile(d.Node.dir.config(), append(config, "\n[[notify]]\nname = \"page\"\ncommand = [\"/bin/false\"]\n"...), 0o600))
	d.must(d.Reload())
	told := func() (texts []string) {
		for _, a := range d.alarms(nil, nil) {
			if a.Code == "notify" {
				texts = append(texts, a.Feed+": "+a.Text)
			}
		}
		return texts
	}
	if got := told(); len(got) != 1 || !strings.HasPrefix(got[0], "notify/page: 1 messages for page were given up") {
		t.Errorf("damaged: got %q", got)
	}
	d.clock = d.clock.Add(droppedWarn)
	if got := told(); len(got) != 0 {
		t.Errorf("a day later: got %q", got)
	}
	stop, err := d.startNews(t.Context())
	d.must(err)
	d.announce(api.Event{Kind: api.EventDispute, Text: "x"})
	for deadline := time.Now().Add(20 * time.Second); d.news.notifier.State()[0].Trouble == ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was tried")
		}
	}
	d.must(stop())
	if got := told(); len(got) != 0 {
		t.Errorf("at once: got %q", got)
	}
	d.clock = d.clock.Add(notifyWarn + time.Second)
	if got, want := told(), "notify/page: 1 messages wait for page: run false: exit status 1"; len(got) != 1 || got[0] != want {
		t.Errorf("a minute later: got %q, want %q", got, want)
	}
}

// TestSelfTest: a node's own doors answer as they must; where the tables lie, the test says so.
func TestSelfTest(t *testing.T) {
	d := newDesk(t)
	r, err := d.SelfTest(context.Background())
	d.must(err)
	if r.Passed || len(r.Doors) != 4 || !r.Doors[0].OK || !r.Doors[1].OK || r.Doors[2].OK || d.passed.Load() != 0 {
		t.Errorf("without a daemon: got %+v", r)
	}
	for _, e := range heard(t, d.Node) {
		if e.Kind != api.EventTest || !e.Test {
			t.Errorf("a self-test is told as %+v", e)
		}
	}
	cases, err := testCases()
	d.must(err)
	answer := func(outcome policy.Outcome, matches ...policy.Match) testDoor {
		return testDoor{"x", func(context.Context, []byte) (policy.Verdict, error) {
			return policy.Verdict{Verdict: outcome, Matches: matches}, nil
		}}
	}
	for _, c := range []struct {
		name   string
		door   testDoor
		listed bool
		want   string // in the error; "" if it is ok
	}{
		{"test picture", answer(policy.OutcomeBlock, policy.Match{Test: true, Origin: "hashfeed-test/selftest/1"}), true, ""},
		{"reviewed", answer(policy.OutcomeReview, policy.Match{Test: true, Origin: "hashfeed-test/selftest/1"}), true, "want block"},
		{"let through", answer(policy.OutcomeAllow), true, "want block"},
		{"blocked for another reason", answer(policy.OutcomeBlock, policy.Match{Origin: "a.example/known/1"}), true, "not as the test picture"},
		{"a test record of another", answer(policy.OutcomeBlock, policy.Match{Test: true, Origin: "a.example/known/1"}), true, "not as the test picture"},
		{"innocent", answer(policy.OutcomeAllow), false, ""},
		{"innocent, logged", answer(policy.OutcomeLog), false, "nothing like it"},
		{"innocent, blocked", answer(policy.OutcomeBlock), false, "nothing like it"},
	} {
		err := c.door.try(context.Background(), testCase{c.name, cases[0].picture, c.listed})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if string(cases[0].picture) == string(cases[1].picture) || string(cases[2].picture) == string(must(testCases())[2].picture) {
		t.Error("the copy is the picture itself, or an innocent picture comes twice")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
