package journal

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"hashfeed/node/policy"
)

// Options are how a journal is opened.
type Options struct {
	Dir    string
	Key    Key
	Now    func() time.Time // nil: the system's clock
	Logger *slog.Logger     // nil: nothing is logged
	Room   func() error     // why the disk must not be written to now; nil: it may always
}

// Journal is a journal that is open for writing; only one may be, for a folder. Its methods may be called by any number of goroutines.
type Journal struct {
	o Options

	mu      sync.Mutex // guards the end of the chain, and what waits to be written
	ids     ids
	seq     uint64    // of the newest line
	last    digest    // its hash
	latest  time.Time // the clock when something was recorded last: the writer goes by it, and asks none itself
	pending []byte    // lines that the writer hasn't taken yet
	first   uint64    // number of the first of them
	backlog int       // bytes that aren't written: pending and what the writer has in hand
	counts  Counts    // of the hour, up to the newest line, without Allow
	old     *hourCount
	oldRead uint64 // how much of old stands in the journal
	missed  uint64 // decisions since the last note
	durable uint64 // number of the newest line that is on disk
	urgent  bool   // somebody waits
	settled chan struct{}
	closed  bool

	allow atomic.Pointer[hourCount]
	state atomic.Pointer[State]

	writing  sync.Mutex // held by whoever writes files: the writer, and Purge
	file     *os.File   // the newest; nil: the next line begins one
	size     int64
	month    string // of its first line
	begun    string // the path of the newest file that was begun
	ragged   bool   // a failed write may have left bytes behind size
	headFile *os.File
	heads    uint64 // how many heads were written
	hand     []byte // what the writer has taken and not written
	handAt   mark   // the end of the chain with it
	handTime time.Time
	handFrom uint64 // number of its first line
	written  mark   // the end of what was written
	synced   mark   // and of what is on disk
	dirty    time.Time
	headed   time.Time

	wake  chan struct{} // something is to be written
	hurry chan struct{} // at once
	stop  chan struct{}
	done  chan struct{}
}

// mark is a place in the chain.
type mark struct {
	seq    uint64
	last   digest
	counts Counts
}

// hourCount counts what was allowed.
type hourCount struct {
	hour  int64 // its beginning, Unix seconds
	n     atomic.Uint64
	dirty atomic.Bool // n isn't in the head
}

// State is how the journal is.
type State struct {
	Err    error     // why lines aren't written; nil: they are
	Since  time.Time // since when
	Missed uint64    // decisions that aren't in the journal, since it was opened
	Late   uint64    // answers that didn't wait until their line was on disk
	Torn   int       // bytes of a torn line that were set aside when it was opened
	Damage string    // what was wrong with its end then; "": nothing
}

// State tells how the journal is.
func (j *Journal) State() State { return *j.state.Load() }

func (j *Journal) change(do func(*State)) {
	for {
		old := j.state.Load()
		changed := *old
		do(&changed)
		if j.state.CompareAndSwap(old, &changed) {
			return
		}
	}
}

// Decided records a decision, to which it doesn't hold on, and gives it its id; "" if the journal missed it. The line is on disk soon; Wait waits for it.
func (j *Journal) Decided(d Decision) (id string, seq uint64) {
	if len(d.Matches) > maxMatches {
		d.Matches, d.Truncated = d.Matches[:maxMatches], true
	}
	d.Ref, d.Note = cut(d.Ref, maxRef), cut(d.Note, maxNote)
	l := decisionLines.Get().(*decisionLine)
	l.Decision = d
	l.Line = Line{Time: j.now(), Kind: KindDecision, Decision: &l.Decision}
	id, seq = j.add(&l.Line, d.Verdict == policy.OutcomeBlock)
	*l = decisionLine{}
	decisionLines.Put(l)
	return id, seq
}

// decisionLine is a decision on its way into the journal.
type decisionLine struct {
	Line     Line
	Decision Decision
}

var decisionLines = sync.Pool{New: func() any { return new(decisionLine) }}

// Uploaded records an allowed upload.
func (j *Journal) Uploaded(u Upload) {
	u.Ref = cut(u.Ref, maxRef)
	j.add(&Line{Time: j.now(), Kind: KindUpload, Upload: &u}, false)
}

// Acted records what people did about a decision.
func (j *Journal) Acted(ctx context.Context, a Act) (Line, error) {
	l := Line{Time: j.now(), Kind: KindAct, Act: &a}
	id, seq := j.add(&l, true)
	if id == "" {
		return l, fmt.Errorf("write journal: %w", j.State().Err)
	}
	j.Wait(ctx, seq)
	return l, nil
}

func cut(s string, n int) string { return s[:min(len(s), n)] }

func (j *Journal) now() time.Time { return j.o.Now().UTC().Truncate(time.Millisecond) }

// tails are what lines are made in, before they get their place in the chain.
var tails = sync.Pool{New: func() any { return new([]byte) }}

// add puts a line at the end of the chain, and its id in it. urgent: somebody will wait for it.
func (j *Journal) add(l *Line, urgent bool) (id string, seq uint64) {
	made := tails.Get().(*[]byte)
	defer tails.Put(made)
	rest, err := appendTail((*made)[:0], l)
	if cap(rest) <= maxTailKept {
		*made = rest
	}
	if err != nil || len(rest) > maxLine-256 {
		j.o.Logger.Error("journal: a line that can't be written", "kind", string(l.Kind), "bytes", len(rest), "err", err)
		j.miss(1)
		return "", 0
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.roomLocked(len(rest)) {
		if l.Kind != KindImport { // whose caller keeps it
			j.missed++
			j.change(func(s *State) { s.Missed++ })
		}
		return "", 0
	}
	j.latest = l.Time
	j.rollLocked(l.Time.Unix())
	l.ID = j.ids.next(uint64(l.Time.UnixMilli()))
	l.Seq = j.pushLocked(l.ID, rest)
	j.counts.line(l)
	if j.urgent = j.urgent || urgent; urgent || len(j.pending) >= enoughPending {
		poke(j.hurry)
	} else {
		poke(j.wake)
	}
	return l.ID, l.Seq
}

func (j *Journal) miss(n uint64) {
	j.mu.Lock()
	j.missed += n
	j.mu.Unlock()
	j.change(func(s *State) { s.Missed += n })
}

// roomLocked waits until there is room for n more bytes. It doesn't wait for a disk that takes nothing.
func (j *Journal) roomLocked(n int) bool {
	var timer *time.Timer
	for !j.closed && j.backlog+n > maxBacklog {
		if j.state.Load().Err != nil {
			return false
		}
		if timer == nil {
			timer = time.NewTimer(roomWait)
			defer timer.Stop()
		}
		settled := j.settled
		poke(j.hurry)
		j.mu.Unlock()
		timeout := false
		select {
		case <-settled:
		case <-timer.C:
			timeout = true
		}
		j.mu.Lock()
		if timeout {
			return j.backlog+n <= maxBacklog && !j.closed
		}
	}
	return !j.closed
}

// pushLocked makes the line the newest.
func (j *Journal) pushLocked(id string, rest []byte) uint64 {
	if len(j.pending) == 0 {
		j.first = j.seq + 1
	}
	begin := len(j.pending)
	j.pending = appendLine(j.pending, j.seq+1, j.last, id, rest)
	line := j.pending[begin:]
	j.seq, j.last = j.seq+1, sha256.Sum256(line[:len(line)-1])
	j.backlog += len(line)
	return j.seq
}

// noteLocked records what the journal itself went through.
func (j *Journal) noteLocked(n Note) {
	if rest, err := tail(&Line{Time: j.latest, Kind: KindNote, Note: &n}); err == nil { // it always has a form
		j.pushLocked("", rest)
		poke(j.wake)
	}
}

// poke wakes the writer.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Allowed counts n uploads that matched nothing, at a time.
func (j *Journal) Allowed(now time.Time, n int) {
	if n <= 0 {
		return
	}
	c := j.allow.Load()
	if hour := hourOf(now.Unix()); hour > c.hour {
		j.mu.Lock()
		j.rollLocked(now.Unix())
		j.mu.Unlock()
		c = j.allow.Load()
	}
	c.n.Add(uint64(n))
	if !c.dirty.Load() && c.dirty.CompareAndSwap(false, true) {
		poke(j.wake)
	}
}

// rollLocked writes the counts of an hour that is over.
func (j *Journal) rollLocked(now int64) {
	c, hour := j.allow.Load(), hourOf(now)
	if hour <= c.hour || j.closed {
		return
	}
	if at := time.Unix(now, 0).UTC(); at.After(j.latest) {
		j.latest = at
	}
	next := &hourCount{hour: hour}
	j.allow.Store(next)
	counts := j.countsLocked(c)
	// Whoever had loaded c may still count in it: that goes to the next hour.
	j.old, j.oldRead = c, c.n.Load()
	if !counts.empty() {
		if rest, err := tail(&Line{Time: j.latest, Kind: KindCounts, Counts: &counts}); err == nil {
			j.pushLocked("", rest)
		}
	}
	j.counts = Counts{Hour: time.Unix(hour, 0).UTC()}
	poke(j.wake)
}

// countsLocked are those of the hour so far, of which c counts what was allowed.
func (j *Journal) countsLocked(c *hourCount) Counts {
	counts := j.counts.clone()
	counts.Allow += c.n.Load()
	if j.old != nil && j.old != c {
		counts.Allow += j.old.n.Load() - j.oldRead
	}
	return counts
}

// Counts are those of the hour so far.
func (j *Journal) Counts() Counts {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rollLocked(j.o.Now().Unix())
	return j.countsLocked(j.allow.Load())
}

// Wait waits until a line is on disk, at most MaxWait: no answer fails for the journal's sake. It says whether it is.
func (j *Journal) Wait(ctx context.Context, seq uint64) bool {
	onDisk := j.wait(ctx, seq, MaxWait)
	if !onDisk {
		j.change(func(s *State) { s.Late++ })
	}
	return onDisk
}

// wait waits until a line is on disk, for a time at most. It doesn't wait for a disk that takes nothing.
func (j *Journal) wait(ctx context.Context, seq uint64, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		j.mu.Lock()
		durable, settled := j.durable >= seq, j.settled
		j.mu.Unlock()
		if durable {
			return true
		}
		if j.state.Load().Err == nil {
			select {
			case <-settled:
				continue
			case <-timer.C:
			case <-ctx.Done():
			case <-j.done:
			}
		}
		return false
	}
}

// Flush waits until all that was recorded is written, so that whoever reads the files finds it.
func (j *Journal) Flush() {
	j.writing.Lock()
	defer j.writing.Unlock()
	if _, err := j.drainLocked(false); err != nil {
		j.o.Logger.Warn("write journal", "err", err)
	}
}

// Close writes what is left, and ends the writer. What is recorded from then on is missed.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	close(j.stop)
	<-j.done
	j.writing.Lock()
	defer j.writing.Unlock()
	err := j.state.Load().Err
	if j.file != nil {
		j.file.Close()
		j.file = nil
	}
	if j.headFile != nil {
		j.headFile.Close()
		j.headFile = nil
	}
	return err
}
