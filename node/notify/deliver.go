package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// target is one that is told, and how that goes.
type target struct {
	Target
	n     *Notifier
	queue *queue
	wake  chan struct{}

	stop    context.CancelFunc // of its deliverer; nil: it isn't started
	stopped chan struct{}

	sending sync.Mutex // of whoever sends: a probe isn't a second voice in between
	sender  sender

	delivered, failed, dropped atomic.Uint64

	mu        sync.Mutex
	trouble   string    // why the last attempt failed; "" if it didn't
	since     time.Time // of the first that failed
	droppedAt time.Time // of the last message that was given up or had no room
}

// stir lets the deliverer look.
func (t *target) stir() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// open makes the sender, if there is none yet.
func (t *target) open() (err error) {
	t.sending.Lock()
	defer t.sending.Unlock()
	if t.sender != nil {
		return nil
	}
	switch {
	case t.n.o.sender != nil:
		t.sender, err = t.n.o.sender(t.Target)
	case t.URL != "":
		t.sender, err = newHook(t.Target, t.n.log, t.n.o.Now)
	default:
		t.sender, err = newCommand(t.Target)
	}
	if err != nil {
		t.sender = nil // (not a nil *hook)
		return fmt.Errorf("target %s: %w", t.Name, err)
	}
	return nil
}

func (t *target) start(ctx context.Context) {
	if t.stop != nil {
		return
	}
	ctx, t.stop = context.WithCancel(ctx)
	stopped := make(chan struct{})
	t.stopped = stopped
	go func() {
		defer close(stopped)
		t.deliver(ctx)
	}()
}

func (t *target) halt() {
	if t.stop == nil {
		return
	}
	t.stop()
	<-t.stopped
	t.stop = nil
	t.sending.Lock()
	defer t.sending.Unlock()
	t.sender.close()
	t.sender = nil
}

// deliver sends what waits, in order, one at a time.
func (t *target) deliver(ctx context.Context) {
	failures, refusals := 0, 0
	for ctx.Err() == nil {
		m, ok := t.queue.first()
		if !ok {
			select {
			case <-t.wake:
			case <-ctx.Done():
			}
			continue
		}
		if t.n.o.Now().Sub(m.Time) > maxAge {
			t.giveUp(m, "it is too old")
			continue
		}
		err := t.attempt(ctx, m)
		if ctx.Err() != nil && err != nil {
			return // it may have arrived: it is sent again
		}
		t.note(err)
		if err == nil {
			failures, refusals = 0, 0
			t.delivered.Add(1)
			t.done()
			continue
		}
		t.failed.Add(1)
		var a *attempt
		if errors.As(err, &a) && a.refused {
			if refusals++; refusals == maxRefusals {
				t.giveUp(m, err.Error())
				failures, refusals = 0, 0
				continue
			}
		}
		if failures == 0 {
			t.n.log.Warn("a message isn't delivered; it is tried again", "target", t.Name, "err", err)
		}
		wait := backOff(failures)
		if a != nil {
			wait = max(wait, a.after)
		}
		failures++
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// backOff is how long to wait after so many failures and one more: twice as long each time, and a fifth more or less, so that many nodes that lost
// one receiver don't come back to it as one.
func backOff(failures int) time.Duration {
	wait := longestWait
	if failures < 16 {
		wait = min(firstWait<<failures, longestWait)
	}
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
}

func (t *target) attempt(ctx context.Context, m Message) error {
	t.sending.Lock()
	defer t.sending.Unlock()
	return t.sender.send(ctx, m)
}

func (t *target) done() {
	if err := t.queue.done(); err != nil {
		t.n.log.Warn("a message is done with and may come again after a restart", "target", t.Name, "err", err)
	}
}

func (t *target) giveUp(m Message, why string) {
	t.n.log.Error("a message is given up", "target", t.Name, "id", m.ID, "kind", m.Kind, "why", why)
	t.drop(1)
	t.done()
}

func (t *target) drop(n uint64) {
	t.dropped.Add(n)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.droppedAt = t.n.o.Now()
}

// note remembers how the last attempt went.
func (t *target) note(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		if t.trouble != "" {
			t.n.log.Info("messages are delivered again", "target", t.Name)
		}
		t.trouble = ""
		return
	}
	if t.trouble == "" {
		t.since = t.n.o.Now()
	}
	t.trouble = err.Error()
}
