package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The order of writing: lines, fsync, head. So whatever a crash leaves, the head names a line that is there.

// run is the writer.
func (j *Journal) run() {
	defer close(j.done)
	timer, linger := time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	defer timer.Stop()
	defer linger.Stop()
	timer.Stop()
	for {
		last := false
		select {
		case <-j.wake: // nobody waits: what comes meanwhile is written with it
			linger.Reset(lingerTime)
			select {
			case <-j.hurry:
			case <-linger.C:
			case <-j.stop:
				last = true
			}
		case <-j.hurry:
		case <-timer.C:
		case <-j.stop:
			last = true
		}
		next := j.turn(last)
		if last {
			return
		}
		timer.Stop()
		if next > 0 {
			timer.Reset(next)
		}
	}
}

// turn writes what there is, and makes it durable if that is due. It returns when to come again; 0: when it is woken.
func (j *Journal) turn(last bool) (next time.Duration) {
	j.writing.Lock()
	defer j.writing.Unlock()
	urgent, err := j.drainLocked(last)
	if err == nil {
		j.mu.Lock()
		if j.missed > 0 && !j.closed {
			j.noteLocked(Note{What: NoteMissed, Count: j.missed, Text: "decisions that the disk didn't take"})
			j.missed = 0
		}
		j.mu.Unlock()
	}
	unsynced := j.written.seq > j.synced.seq
	due := time.Until(j.dirty.Add(syncAfter))
	if err == nil && unsynced {
		if urgent || last || due <= 0 {
			err = j.syncLocked()
			unsynced = false
		}
	}
	if c := j.allow.Load(); err == nil && c.dirty.Load() {
		if wait := time.Until(j.headed.Add(headAfter)); wait <= 0 || last {
			err = j.headLocked(last)
		} else {
			next = wait
		}
	}
	if last && err == nil && j.headFile != nil {
		err = j.headFile.Sync()
	}
	j.settle(err)
	switch {
	case err != nil:
		return retryAfter
	case unsynced && (next == 0 || due < next):
		return max(due, time.Millisecond)
	}
	return next
}

// settle tells those who wait, and the state.
func (j *Journal) settle(err error) {
	if old := j.state.Load().Err; (err == nil) != (old == nil) {
		j.mu.Lock()
		since := j.latest
		j.mu.Unlock()
		j.change(func(s *State) { s.Err, s.Since = err, since })
		if err != nil {
			j.o.Logger.Error("journal not written: answers go on without it", "err", err)
		} else {
			j.o.Logger.Info("journal written again")
		}
	}
	j.mu.Lock()
	j.durable = j.synced.seq
	j.backlog = len(j.pending) + len(j.hand)
	close(j.settled)
	j.settled = make(chan struct{})
	j.mu.Unlock()
}

// drainLocked writes what waits, and what comes meanwhile; all says: as long as any comes. The caller holds writing.
func (j *Journal) drainLocked(all bool) (urgent bool, err error) {
	for range 4 {
		again := true
		for again {
			taken, hurry := j.takeLocked()
			urgent = urgent || hurry
			if !taken {
				return urgent, nil
			}
			if err := j.writeLocked(); err != nil {
				return urgent, err
			}
			again = all
		}
	}
	return urgent, nil
}

// takeLocked takes what waits in hand.
func (j *Journal) takeLocked() (taken, urgent bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	urgent, j.urgent = j.urgent, false
	if len(j.hand) == 0 && len(j.pending) > 0 { // else first what a full disk didn't take
		j.hand, j.pending = j.pending, j.hand[:0]
		j.handFrom, j.handAt = j.first, mark{j.seq, j.last, j.counts.clone()}
		j.handTime = j.latest
	}
	return len(j.hand) > 0, urgent
}

// writeLocked hands what is in hand to the system.
func (j *Journal) writeLocked() error {
	if len(j.hand) == 0 {
		return nil
	}
	if j.o.Room != nil {
		if err := j.o.Room(); err != nil {
			return err
		}
	}
	if j.heads == 0 { // lines without a head look like a journal whose end was cut off
		if err := j.headLocked(true); err != nil {
			return err
		}
	}
	if err := j.rotateLocked(); err != nil {
		return err
	}
	if j.ragged {
		if err := j.file.Truncate(j.size); err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
		j.ragged = false
	}
	if _, err := j.file.WriteAt(j.hand, j.size); err != nil {
		j.ragged = true
		return fmt.Errorf("write journal: %w", err)
	}
	if j.written.seq == j.synced.seq {
		j.dirty = time.Now()
	}
	j.size += int64(len(j.hand))
	j.written = j.handAt
	if len(j.hand) < cap(j.hand)/8 && cap(j.hand) > maxHandKept { // a burst is over
		j.hand = nil
	}
	j.hand = j.hand[:0]
	return nil
}

// syncLocked makes what was written durable.
func (j *Journal) syncLocked() error {
	if j.file != nil {
		if err := j.file.Sync(); err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
	}
	j.synced = j.written
	return j.headLocked(false)
}

// headLocked writes the head.
func (j *Journal) headLocked(durable bool) error {
	c := j.allow.Load()
	c.dirty.Store(false)
	h := head{Seq: j.synced.seq, Hash: j.synced.last.String(), Counts: j.synced.counts}
	j.mu.Lock()
	// What was allowed stands in no line, so that it is as new as the head; if the hour has changed since, a counts line is on its way.
	if counts := j.countsLocked(c); counts.Hour.Equal(h.Counts.Hour) {
		h.Counts.Allow = counts.Allow
	} else if h.Counts.empty() {
		h.Counts = Counts{Hour: counts.Hour, Allow: counts.Allow}
	}
	j.mu.Unlock()
	j.headed = time.Now()
	if err := j.saveHead(h, durable); err != nil {
		return fmt.Errorf("write journal's head: %w", err)
	}
	return nil
}

// rotateLocked begins a file for what is in hand, if it is time.
func (j *Journal) rotateLocked() error {
	month := j.handTime.UTC().Format("2006-01")
	if j.file != nil && (j.size == 0 || j.size+int64(len(j.hand)) <= maxFile && j.month == month) {
		return nil
	}
	if err := j.closeFileLocked(); err != nil {
		return err
	}
	if err := os.MkdirAll(j.o.Dir, 0o700); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	path := filepath.Join(j.o.Dir, fileName(j.handFrom))
	if info, err := os.Stat(path); err == nil && info.Size() > 0 && path != j.begun {
		return fmt.Errorf("write journal: %s is there already", filepath.Base(path))
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	j.begun = path
	if err := syncDir(j.o.Dir); err != nil {
		f.Close()
		return fmt.Errorf("write journal: %w", err)
	}
	j.file, j.size, j.month, j.ragged = f, 0, month, true
	return nil
}

// closeFileLocked ends the newest file: the next line begins another.
func (j *Journal) closeFileLocked() error {
	if j.file == nil {
		return nil
	}
	if j.ragged {
		if err := j.file.Truncate(j.size); err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
		j.ragged = false
	}
	if err := j.syncLocked(); err != nil {
		return err
	}
	giveUp(j.file)
	err := j.file.Close()
	j.file = nil
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
