package gossip

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hashfeed/feed"
)

// An Alarm is something that an operator should act on.
type Alarm struct {
	Code   string
	Feed   feed.Name // "": of no feed
	Since  time.Time
	Text   string
	Remedy string
}

// The codes.
const (
	AlarmWithheld   = "withheld"   // a signed head whose records nobody hands out
	AlarmLied       = "peer-lied"  // a peer sent what it can't have got from an honest one, and was disconnected
	AlarmClock      = "clock"      // our clock is off
	AlarmClone      = "clone"      // a peer's directory is in use twice
	AlarmHarm       = "harm"       // a feed lists another harm than expected
	AlarmAnchor     = "anchor"     // nobody has charters that follow from the anchor
	AlarmEvidence   = "evidence"   // a feed has contradicted itself
	AlarmUnanswered = "unanswered" // a report of ours isn't in the feed
	AlarmOldCopy    = "old-copy"   // an own feed is larger elsewhere
	AlarmStore      = "store"      // our own store doesn't take what came
	AlarmCut        = "cut"        // a closed log isn't what the charter closed
)

// board holds alarms by what they are about: raising one again keeps its time.
type board struct {
	log *slog.Logger
	now func() time.Time
	mu  sync.Mutex
	all map[alarmKey]Alarm
}

type alarmKey struct{ code, about string }

func newBoard(log *slog.Logger, now func() time.Time) *board {
	return &board{log: log, now: now, all: map[alarmKey]Alarm{}}
}

// raise puts up an alarm about something, by default the feed.
func (b *board) raise(code, about string, name feed.Name, text, remedy string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := alarmKey{code, cmp.Or(about, string(name))}
	a, old := b.all[k]
	if !old {
		a.Since = b.now()
		b.log.Warn("alarm", "code", code, "feed", string(name), "text", text, "remedy", remedy)
	}
	a.Code, a.Feed, a.Text, a.Remedy = code, name, text, remedy
	b.all[k] = a
}

func (b *board) clear(code, about string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.all[alarmKey{code, about}]; ok {
		delete(b.all, alarmKey{code, about})
		b.log.Info("alarm is over", "code", code, "about", about)
	}
}

func (b *board) list() []Alarm {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Alarm, 0, len(b.all))
	for _, a := range b.all {
		all = append(all, a)
	}
	slices.SortFunc(all, func(x, y Alarm) int {
		return cmp.Or(x.Since.Compare(y.Since), cmp.Compare(x.Code, y.Code), cmp.Compare(x.Feed, y.Feed), cmp.Compare(x.Text, y.Text))
	})
	return all
}
