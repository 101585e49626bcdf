package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a Notifier is told besides its targets.
type Options struct {
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // where it counts; nil: nowhere
	Now        func() time.Time      // nil: the system's clock

	sender func(Target) (sender, error) // nil: what the target says
}

// Notifier keeps messages for its targets and, once started, delivers them. Its methods may be called by any number of goroutines.
type Notifier struct {
	dir string
	o   Options
	log *slog.Logger

	mu      sync.RWMutex // of targets and closed; writing of a batch holds it for reading
	targets []*target
	closed  bool

	changing sync.Mutex // of SetTargets, Start and Close, one at a time
	started  context.Context

	offered chan offer
	writing bool          // the writer was started, which it is with the first target; guarded by mu
	written chan struct{} // closed when the writer has ended
	lost    atomic.Uint64 // messages that came faster than they could be written
	lostAt  atomic.Int64  // Unix seconds of the last
}

// offer is a message to be kept; or, without one, a mark: it is closed when all before it is kept.
type offer struct {
	Message
	mark chan struct{}
}

// Open opens the queues below dir, which is made only if there are targets. Messages that wait from the last time wait on; Start delivers them.
func Open(dir string, targets []Target, o Options) (*Notifier, error) {
	n := &Notifier{dir: dir, o: o, log: o.Logger, offered: make(chan offer, maxOffered), written: make(chan struct{})}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.o.Now == nil {
		n.o.Now = time.Now
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(metrics{n}); err != nil {
			return nil, err
		}
	}
	if err := n.SetTargets(targets); err != nil {
		return nil, err
	}
	return n, nil
}

// SetTargets replaces the targets. Of one that stays the queue stays, and of one that goes the file, for the case that it comes again. An error
// changes nothing.
func (n *Notifier) SetTargets(targets []Target) (err error) {
	n.changing.Lock()
	defer n.changing.Unlock()
	n.mu.RLock()
	closed := n.closed
	n.mu.RUnlock()
	if closed {
		return errStopped
	}
	if len(targets) > maxTargets {
		return fmt.Errorf("more than %d targets", maxTargets)
	}
	seen := map[string]bool{}
	for _, t := range targets {
		if err := t.Check(); err != nil {
			return fmt.Errorf("target %.40q: %w", t.Name, err)
		}
		if seen[t.Name] {
			return fmt.Errorf("target %s stands there twice", t.Name)
		}
		seen[t.Name] = true
	}
	old := map[string]*target{}
	for _, t := range n.targets {
		old[t.Name] = t
	}
	var next, opened []*target
	defer func() {
		if err != nil {
			for _, t := range opened {
				t.queue.close()
			}
		}
	}()
	for _, want := range targets {
		was := old[want.Name]
		if was != nil && was.Target.same(want) {
			next = append(next, was)
			continue
		}
		t := &target{Target: want, n: n, wake: make(chan struct{}, 1)}
		if was != nil { // its queue is taken over
			t.queue = was.queue
		} else {
			if err := os.MkdirAll(n.dir, 0o700); err != nil {
				return err
			}
			var damaged int
			if t.queue, damaged, err = openQueue(filepath.Join(n.dir, want.Name+".queue")); err != nil {
				return err
			}
			opened = append(opened, t)
			if damaged > 0 {
				n.log.Error("messages that waited were damaged on the disk", "target", want.Name, "lines", damaged, "kept", want.Name+".queue.damaged")
				t.drop(uint64(damaged))
			}
		}
		next = append(next, t)
	}
	if n.started != nil { // their senders are made before anything is changed
		for _, t := range next {
			if err := t.open(); err != nil {
				return err
			}
		}
	}
	n.mu.Lock()
	n.targets = next
	if len(next) > 0 && !n.writing {
		n.writing = true
		go n.write()
	}
	n.mu.Unlock()
	for _, t := range old {
		if !contains(next, t) {
			t.halt()
			if !takenOver(next, t) {
				err = errors.Join(err, t.queue.close())
			}
		}
	}
	if n.started != nil {
		for _, t := range next {
			t.start(n.started)
		}
	}
	return err
}

func contains(list []*target, t *target) bool {
	for _, o := range list {
		if o == t {
			return true
		}
	}
	return false
}

func takenOver(list []*target, t *target) bool {
	for _, o := range list {
		if o.queue == t.queue {
			return true
		}
	}
	return false
}

// Start begins to deliver, until ctx ends or Stop is called.
func (n *Notifier) Start(ctx context.Context) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	for _, t := range n.targets {
		if err := t.open(); err != nil {
			return err
		}
	}
	n.started = ctx
	for _, t := range n.targets {
		t.start(ctx)
	}
	return nil
}

// Stop ends delivering. What is being sent is broken off, and sent again after the next Start.
func (n *Notifier) Stop() {
	n.changing.Lock()
	defer n.changing.Unlock()
	n.started = nil
	for _, t := range n.targets {
		t.halt()
	}
}

// Offer hands a message in, for all targets that want its kind; it doesn't wait. false: it isn't kept, as too many came at once.
func (n *Notifier) Offer(m Message) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.closed || m.check() != nil {
		return false
	}
	wanted := false
	for _, t := range n.targets {
		wanted = wanted || t.wants(m.Kind)
	}
	if !wanted {
		return true
	}
	select {
	case n.offered <- offer{Message: m}:
		return true
	default:
		n.lost.Add(1)
		n.lostAt.Store(n.o.Now().Unix())
		return false
	}
}

// Flush waits until all that was offered before is kept.
func (n *Notifier) Flush(ctx context.Context) error {
	mark := make(chan struct{})
	n.mu.RLock()
	if n.closed || !n.writing {
		n.mu.RUnlock()
		return nil
	}
	select {
	case n.offered <- offer{mark: mark}:
		n.mu.RUnlock()
	default:
		n.mu.RUnlock()
		return errBusy
	}
	select {
	case <-mark:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errBusy = errors.New("too much is being told")

// write puts what is offered into the queues, as much together as there is.
func (n *Notifier) write() {
	defer close(n.written)
	for o := range n.offered {
		var batch []Message
		var marks []chan struct{}
		take := func(o offer) {
			if o.mark != nil {
				marks = append(marks, o.mark)
			} else {
				batch = append(batch, o.Message)
			}
		}
		take(o)
		for more := true; more && len(batch) < maxTogether; {
			select {
			case o, ok := <-n.offered:
				if more = ok; ok {
					take(o)
				}
			default:
				more = false
			}
		}
		n.keep(batch)
		for _, mark := range marks {
			close(mark)
		}
	}
}

func (n *Notifier) keep(batch []Message) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, t := range n.targets {
		var wanted []Message
		for _, m := range batch {
			if t.wants(m.Kind) {
				wanted = append(wanted, m)
			}
		}
		if len(wanted) == 0 {
			continue
		}
		kept, err := t.queue.add(wanted)
		if err != nil {
			n.log.Error("messages are kept in memory only", "target", t.Name, "err", err)
		}
		for _, ok := range kept {
			if !ok {
				t.drop(1)
			}
		}
		t.stir()
	}
}

// Close keeps what was offered, stops, and closes the queues.
func (n *Notifier) Close() error {
	n.Stop()
	n.changing.Lock()
	defer n.changing.Unlock()
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	close(n.offered)
	n.mu.Unlock()
	if n.writing {
		<-n.written
	}
	var err error
	for _, t := range n.targets {
		err = errors.Join(err, t.queue.close())
	}
	return err
}

// Result is how one delivery went.
type Result struct {
	Target string
	Took   time.Duration
	Err    error
}

var errStopped = errors.New("nothing is delivered now")

// Probe delivers a message to every target at once, whatever kinds it wants and whatever waits for it; it isn't kept and isn't tried again.
func (n *Notifier) Probe(ctx context.Context, m Message) []Result {
	n.mu.RLock()
	targets := n.targets
	n.mu.RUnlock()
	results := make([]Result, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			t.sending.Lock()
			defer t.sending.Unlock()
			begun := time.Now()
			err := errStopped
			if t.sender != nil {
				if err = m.check(); err == nil {
					err = t.sender.send(ctx, m)
				}
			}
			results[i] = Result{t.Name, time.Since(begun), err}
		})
	}
	all.Wait()
	return results
}

// State is how it goes with one target.
type State struct {
	Target    string
	Waiting   int       // messages
	Oldest    time.Time // of the first of them
	Trouble   string    // why the last attempt failed; "" if it didn't
	Since     time.Time // of trouble
	Dropped   uint64    // messages that were given up, or that had no room, since the start
	DroppedAt time.Time // when the last of those was
}

// State is how it goes with each target.
func (n *Notifier) State() []State {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var all []State
	for _, t := range n.targets {
		waiting, oldest := t.queue.state()
		t.mu.Lock()
		all = append(all, State{t.Name, waiting, oldest.Time, t.trouble, t.since, t.dropped.Load(), t.droppedAt})
		t.mu.Unlock()
	}
	return all
}

// Lost is how many messages came faster than they could be written, since the start, and when the last did.
func (n *Notifier) Lost() (count uint64, last time.Time) {
	return n.lost.Load(), time.Unix(n.lostAt.Load(), 0)
}
