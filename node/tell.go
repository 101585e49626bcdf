package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"hashfeed/feed"
	"hashfeed/feed/store"
	"hashfeed/node/api"
)

// tellEvery is how often it is looked what there is to tell, when nothing was committed: an alarm is told when two looks saw it.
const tellEvery = 5 * time.Second

// tellSkew is by how much a publisher's clock may be behind ours: what it retracted longer before we followed it isn't news.
const tellSkew = 300

// stir lets the teller look.
func (w *news) stir() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// teller tells what the feeds here say, retractions and disputes, and which alarms come and go. It follows the store with a cursor of its own,
// kept in a file, so that what was committed while it wasn't looking is told too: by a command without a daemon, or just before a crash.
//
// Crash order: events are in the queues' files before the cursor passes them. So an event may be told twice, and then it has two ids.
type teller struct {
	n       *Node
	cursors map[feed.Origin]*told
	alarms  map[alarmKey]*told
	changed bool  // what is kept differs from the file
	passed  int64 // of the self-test, as the file has it
}

// told is a line of the file: up to where a log was told of, an alarm that was told and hasn't ended, or when the self-test passed.
type told struct {
	Origin feed.Origin `json:"origin,omitempty"`
	Next   uint64      `json:"next,omitempty"`  // the first record that wasn't looked at
	Since  int64       `json:"since,omitempty"` // when the log was first seen, Unix seconds: what was retracted before isn't news

	Code   string `json:"code,omitempty"`
	Feed   string `json:"feed,omitempty"`
	Text   string `json:"text,omitempty"`
	Remedy string `json:"remedy,omitempty"`

	Passed int64 `json:"passed,omitempty"` // Unix seconds

	known bool // the alarm was told
	other bool // the last look saw it otherwise than it is known
}

type alarmKey struct{ code, feed string }

func (t told) check() error {
	one := 0
	for _, set := range []bool{t.Origin != "", t.Code != "", t.Passed != 0} {
		if set {
			one++
		}
	}
	if one != 1 {
		return errors.New("want a log, an alarm or a self-test")
	}
	if t.Origin != "" {
		if _, err := feed.ParseOrigin(string(t.Origin)); err != nil {
			return err
		}
	}
	return nil
}

// newTeller reads what was told. A file that is damaged is begun anew, from now on.
func newTeller(n *Node) *teller {
	t := &teller{n: n, cursors: map[feed.Origin]*told{}, alarms: map[alarmKey]*told{}}
	lines, err := readJSONLines(n.dir.told(), maxToldFile, told.check)
	if err != nil {
		n.log.Error("what was told isn't known any more: retractions and disputes are told from now on", "err", err)
	}
	for _, l := range lines {
		switch {
		case l.Origin != "":
			t.cursors[l.Origin] = &l
		case l.Code != "":
			l.known = true
			t.alarms[alarmKey{l.Code, l.Feed}] = &l
		default:
			t.passed = l.Passed
			n.passed.CompareAndSwap(0, l.Passed)
		}
	}
	return t
}

// run looks until ctx ends.
func (t *teller) run(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	alarms := true
	for {
		t.look(ctx, alarms)
		select {
		case <-t.n.news.wake:
			alarms = false
		case <-tick.C:
			alarms = true
		case <-ctx.Done():
			return
		}
	}
}

// look tells what is new. alarms: those too.
func (t *teller) look(ctx context.Context, alarms bool) {
	for _, v := range *t.n.views.Load() {
		if v == nil || v.state == nil {
			continue
		}
		if err := t.feed(ctx, v); err != nil && ctx.Err() == nil {
			t.n.log.Error("tell what a feed says", "feed", string(v.name), "err", err)
		}
	}
	if alarms {
		t.lookAtAlarms(t.n.alarms(t.n.ages(), t.n.openDisputes()))
	}
	t.keep(ctx)
}

// ages are the feeds as alarms want to know them.
func (n *Node) ages() (feeds []api.FeedInfo) {
	now := n.now()
	for _, v := range *n.views.Load() {
		if v == nil || v.state == nil {
			continue
		}
		r := v.reading.Load()
		f := api.FeedInfo{Origin: string(r.origin), AgeS: ageOf(r.head.Stamp, now)}
		f.State, f.StateText = n.stateOf(v, now)
		feeds = append(feeds, f)
	}
	return feeds
}

// feed tells what is new in the logs of a feed.
func (t *teller) feed(ctx context.Context, v *view) error {
	var before *told // the log's that came before
	for log := 1; log <= v.reading.Load().chain.Newest().Log; log++ {
		origin := v.name.Log(log)
		stored := t.n.store.Size(origin)
		size := min(stored, v.state.Size(log))
		c := t.cursors[origin]
		switch {
		case c == nil:
			c = &told{Origin: origin, Next: size, Since: t.n.unix()}
			if before != nil { // it goes on from a log that we know
				c.Next, c.Since = 0, before.Since
			}
			t.cursors[origin], t.changed = c, true
		case stored < c.Next: // it was set aside, or has lost its end
			c.Next, t.changed = size, true
		}
		before = c
		if err := t.log(ctx, v, log, c, size); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) log(ctx context.Context, v *view, log int, c *told, size uint64) error {
	said := 0
	for c.Next < size {
		n := min(size-c.Next, replayChunk)
		for r, err := range t.n.store.Records(c.Origin, c.Next, n) {
			if err != nil {
				return err
			}
			if e, ok := t.event(v, feed.Position{Log: log, Index: r.Index}, r, c.Since); ok {
				t.n.announce(e)
				if said++; said%tellChunk == 0 {
					if err := t.n.news.notifier.Flush(ctx); err != nil {
						return err
					}
				}
			}
			c.Next, t.changed = r.Index+1, true
		}
	}
	return ctx.Err()
}

// event is what a record is worth telling; ok is false where it isn't.
func (t *teller) event(v *view, at feed.Position, r store.Indexed, since int64) (e api.Event, ok bool) {
	// A head is a map that begins with 1: 1, 2: op, a byte each.
	if len(r.Head) < 5 || feed.Op(r.Head[4]) != feed.OpRetract && feed.Op(r.Head[4]) != feed.OpDispute {
		return e, false
	}
	head, err := feed.ParseHead(r.Head)
	if err != nil || head.Time < since-tellSkew || v.pastCut(at) {
		return e, false
	}
	info := t.n.recordInfo(v, at, r.Record)
	if info.Void != "" {
		return e, false
	}
	if head.Op == feed.OpRetract {
		item, ok := v.state.ItemAt(at)
		if !ok {
			return e, false
		}
		return t.n.retractionEvent(v, item, info), true
	}
	subject, err := feed.ParseRef(info.Subject)
	if err != nil {
		return e, false
	}
	about := t.n.viewNamed(subject.Origin.Name())
	switch {
	case about == nil:
		return e, false // of a feed that isn't here
	case v.own && head.Ticket != nil && v.reading.Load().charter.Signer.K > 1:
		return e, false // it was told when it came
	case v.own && head.Ticket != nil:
		return reportEvent(v, info.Subject, info.Reason), true
	}
	e = api.Event{Kind: api.EventDispute, Ref: info.Subject, Origin: string(v.name.Log(at.Log)), Records: []string{info.Subject}, Reason: info.Reason}
	switch {
	case v.own:
		e.Text = fmt.Sprintf("this node disputes %s (%s): it can't block here until that is resolved", info.Subject, info.Reason)
	case head.Ticket != nil:
		e.Text = fmt.Sprintf("%s has %s reported to it as wrong (%s)", v.name.Publisher(), info.Subject, info.Reason)
	case about.own:
		e.Text = fmt.Sprintf("%s disputes our record %s (%s): look at it again, and answer with hashfeed resolve %s --uphold or --retract",
			v.name.Publisher(), info.Subject, info.Reason, info.Subject)
	default:
		e.Text = fmt.Sprintf("%s disputes %s (%s)", v.name.Publisher(), info.Subject, info.Reason)
	}
	return e, true
}

// retractionEvent says that an item is retracted.
func (n *Node) retractionEvent(v *view, item uint32, info api.Record) api.Event {
	e := api.Event{Kind: api.EventRetraction, Ref: info.Item, Origin: string(v.reading.Load().origin), Records: info.Targets, Reason: info.Reason}
	if len(e.Records) > maxEventRecords {
		e.Records = e.Records[:maxEventRecords]
	}
	e.Text = fmt.Sprintf("%s has retracted %s (%s): it matches nothing any more; look again at what was refused or taken down because of it",
		v.name.Publisher(), info.Item, info.Reason)
	if body, err := n.latestBody(v, v.state.Item(item)); err == nil && body.Facts.Verdict == feed.Test {
		e.Kind, e.Test = api.EventTest, true
	}
	return e
}

// reportEvent says that a member has reported a record of an own feed as wrong.
func reportEvent(v *view, ref, reason string) api.Event {
	return api.Event{Kind: api.EventDispute, Ref: ref, Origin: string(v.reading.Load().origin), Records: []string{ref}, Reason: reason,
		Text: fmt.Sprintf("a member disputes our record %s (%s): look at it again, and answer with hashfeed resolve %s --uphold or --retract", ref, reason, ref)}
}

// lookAtAlarms tells which alarms came and went. Two looks must agree: a daemon that starts needs a moment to catch up.
func (t *teller) lookAtAlarms(now []api.Alarm) {
	there := map[alarmKey]bool{}
	for _, a := range now {
		key := alarmKey{a.Code, a.Feed}
		if there[key] {
			continue // two of a kind are one to tell
		}
		there[key] = true
		k := t.alarms[key]
		switch {
		case k == nil:
			t.alarms[key] = &told{Code: a.Code, Feed: a.Feed, Text: shortened(a.Text), Remedy: shortened(a.Remedy), other: true}
		case k.known:
			k.other = false
		default:
			k.known, k.other, t.changed = true, false, true
			k.Text, k.Remedy = shortened(a.Text), shortened(a.Remedy)
			t.n.announce(api.Event{Kind: api.EventAlarm, Origin: a.Feed, Code: a.Code, Text: k.Text, Remedy: k.Remedy})
		}
	}
	for key, k := range t.alarms {
		switch {
		case there[key]:
		case !k.known:
			delete(t.alarms, key) // it came and went
		case !k.other:
			k.other = true
		default:
			delete(t.alarms, key)
			t.changed = true
			t.n.announce(api.Event{Kind: api.EventAlarm, Origin: key.feed, Code: key.code, Ended: true, Text: "over: " + k.Text})
		}
	}
}

func shortened(s string) string { return s[:min(len(s), maxAlarmText)] }

// keep writes down what was told, when it is on the disk.
func (t *teller) keep(ctx context.Context) {
	passed := t.n.passed.Load()
	if !t.changed && passed == t.passed {
		return
	}
	err := t.n.news.notifier.Flush(ctx)
	if err == nil {
		err = os.MkdirAll(t.n.dir.notify(), 0o700)
	}
	if err == nil {
		err = writeJSONLines(t.n.dir.told(), t.lines(passed))
	}
	if err != nil {
		if ctx.Err() == nil {
			t.n.log.Warn("keep what was told", "err", err)
		}
		return
	}
	t.changed, t.passed = false, passed
}

func (t *teller) lines(passed int64) (lines []told) {
	for _, c := range t.cursors {
		if t.n.viewNamed(c.Origin.Name()) != nil { // a feed that is let go begins anew
			lines = append(lines, *c)
		}
	}
	for _, k := range t.alarms {
		if k.known {
			lines = append(lines, *k)
		}
	}
	if passed > 0 {
		lines = append(lines, told{Passed: passed})
	}
	slices.SortFunc(lines, func(a, b told) int {
		return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Feed, b.Feed))
	})
	return lines
}

// startNews begins to deliver and to tell. Whoever stops it stops the listeners too.
func (n *Node) startNews(ctx context.Context) (stop func() error, err error) {
	targets, err := n.config.Load().targets(n.dir)
	if err != nil {
		return nil, err
	}
	if err := n.news.notifier.SetTargets(targets); err != nil {
		return nil, err
	}
	if err := n.news.notifier.Start(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		newTeller(n).run(ctx)
	}()
	return func() error {
		n.endNews()
		cancel()
		<-ended
		n.news.notifier.Stop()
		return nil
	}, nil
}

// notifyAlarms are those about who can't be notified.
func (n *Node) notifyAlarms(say func(code, about, text, remedy string, since time.Time)) {
	now := n.now()
	for _, s := range n.news.notifier.State() {
		about := "notify/" + s.Target
		switch {
		case s.Trouble != "" && now.Sub(s.Since) > notifyWarn:
			say("notify", about, fmt.Sprintf("%d messages wait for %s: %s", s.Waiting, s.Target, s.Trouble),
				"see whether the receiver is up and takes them: hashfeed selftest", s.Since)
		case s.Dropped > 0 && now.Sub(s.DroppedAt) < droppedWarn:
			say("notify", about, fmt.Sprintf("%d messages for %s were given up, damaged on the disk, or had no room", s.Dropped, s.Target),
				"the log says which; hashfeed feed log and status have what was missed of feeds and alarms", s.DroppedAt)
		}
	}
	if lost, last := n.news.notifier.Lost(); lost > 0 && now.Sub(last) < droppedWarn {
		say("notify", "notify", fmt.Sprintf("%d messages came faster than they could be written", lost),
			"a desk needn't be told of each of thousands: leave block and review out of on in [[notify]]", last)
	}
}

const (
	// notifyWarn is how long a receiver may be away before that is an alarm.
	notifyWarn = time.Minute
	// droppedWarn is for how long it is an alarm that messages were dropped.
	droppedWarn = 24 * time.Hour
)
