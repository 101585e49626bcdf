package node

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"hashfeed/node/api"
	"hashfeed/node/notify"
	"hashfeed/node/policy"
)

// news is where what happens here goes: to those who listen, and into the queues of those who are notified. It keeps the newest events, for a
// listener that comes back.
type news struct {
	notifier *notify.Notifier

	mu        sync.Mutex
	late      []api.EventLine // the newest, oldest first
	listeners map[chan api.EventLine]bool
	ended     bool   // the daemon stops: nobody listens any more
	last      uint64 // of the ids: milliseconds above 16 bits that count within one

	wake chan struct{} // something was committed that may be worth telling
}

func newNews() *news {
	return &news{listeners: map[chan api.EventLine]bool{}, wake: make(chan struct{}, 1)}
}

// openNews opens the queues, so that what happens is kept also where no daemon delivers it.
func (n *Node) openNews() (err error) {
	var targets []notify.Target
	for _, t := range n.config.Load().Notify {
		targets = append(targets, t.target())
	}
	n.news.notifier, err = notify.Open(n.dir.notify(), targets, notify.Options{Logger: n.log, Registerer: n.registry, Now: n.now})
	return err
}

// announce tells an event. It never waits: not for a receiver, nor for the disk. The event gets its id and, if it has none, its time.
func (n *Node) announce(e api.Event) {
	w := n.news
	w.mu.Lock()
	defer w.mu.Unlock() // to the end: events are told in the order of their ids
	now := n.now()
	text, err := w.write(&e, now)
	if err != nil {
		n.log.Error("tell an event", "kind", e.Kind, "err", err)
		return
	}
	line := api.EventLine{ID: e.ID, Kind: e.Kind, JSON: text}
	if len(w.late) == keptEvents {
		w.late = slices.Delete(w.late, 0, keptEvents/4) // not one by one
	}
	w.late = append(w.late, line)
	for l := range w.listeners {
		select {
		case l <- line:
		default: // too slow: it comes back with the last id that it has
			delete(w.listeners, l)
			close(l)
		}
	}
	if w.notifier == nil { // nobody has opened the queues
		return
	}
	w.notifier.Offer(notify.Message{ID: e.ID, Kind: e.Kind, Time: now, Urgent: e.Kind != api.EventBlock && e.Kind != api.EventReview, Body: text})
}

// write gives an event its id and, if it has none, its time, and writes it. The caller holds mu.
func (w *news) write(e *api.Event, now time.Time) ([]byte, error) {
	if e.Time == "" {
		e.Time = now.UTC().Format(time.RFC3339)
	}
	e.ID = w.nextID(now)
	return json.Marshal(e)
}

// crockford is base 32 as ULIDs write it.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// nextID makes an id in the form of a ULID: it sorts after the ones before, also where the clock was set back. The caller holds mu.
func (w *news) nextID(now time.Time) string {
	w.last = max(w.last+1, uint64(max(0, now.UnixMilli()))<<16)
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], w.last)
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64()) // so that two nodes' events differ
	high, low := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	var id [26]byte
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = crockford[low&31]
		low = low>>5 | high<<59
		high >>= 5
	}
	return string(id[:])
}

// listen begins a stream of events.
func (n *Node) listen(after string) (api.EventStream, error) {
	w := n.news
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return api.EventStream{}, &api.Error{Status: http.StatusServiceUnavailable, Code: api.CodeNotReady, Text: "the node stops"}
	}
	if len(w.listeners) == maxListeners {
		return api.EventStream{}, &api.Error{Status: http.StatusTooManyRequests, Code: api.CodeBusy, Text: fmt.Sprintf("%d listen already", maxListeners)}
	}
	l := make(chan api.EventLine, listenerBuffer)
	w.listeners[l] = true
	s := api.EventStream{Next: l, Stop: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, l)
	}}
	if after != "" {
		i := slices.IndexFunc(w.late, func(e api.EventLine) bool { return e.ID == after })
		s.Gap = i < 0
		s.Past = slices.Clone(w.late[i+1:]) // all that is kept where it isn't among them
	}
	return s, nil
}

// endNews sends all listeners away, so that a stopping daemon needn't wait for them.
func (n *Node) endNews() {
	w := n.news
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for l := range w.listeners {
		delete(w.listeners, l)
		close(l)
	}
}

// announceVerdict tells of a verdict of block or review. ref is the caller's own reference, opaque.
func (n *Node) announceVerdict(v policy.Verdict, ref string) {
	if v.Verdict != policy.OutcomeBlock && v.Verdict != policy.OutcomeReview {
		return
	}
	e := api.Event{Kind: string(v.Verdict), Ref: ref, Decision: v.Decision, Verdict: v.Verdict, Test: true}
	var whose []string
	for _, m := range v.Matches {
		if m.Action != policy.Block && m.Action != policy.Review || slices.Contains(e.Records, m.Ref) {
			continue
		}
		e.Test = e.Test && m.Test
		if len(e.Records) == maxEventRecords {
			continue
		}
		e.Records = append(e.Records, m.Ref)
		if e.Origin == "" {
			e.Origin = m.Origin
		}
		if !m.Test {
			whose = append(whose, fmt.Sprintf("%s (%s, %s)", m.Ref, m.Verdict, m.Harm))
		}
	}
	switch what := strings.Join(whose[:min(len(whose), 3)], ", "); {
	case e.Test:
		e.Kind, e.Text = api.EventTest, "the test picture was recognised: do nothing about it"
	case v.Verdict == policy.OutcomeBlock:
		e.Text = "don't accept this upload: it matches " + what
	default:
		e.Text = "let a person look before this upload is accepted: it matches " + what
	}
	n.announce(e)
}
